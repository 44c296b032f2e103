//! A configuration from a `config.json` as `transformers` writes it.

use std::f64::consts::TAU;

use serde_json::Value;

use super::config::{LanguageConfig, Rotary, count, linear_scale, missing, unsupported_scaling};
use crate::{Error, Result, graph::RopeLayout};

/// The values of a `config.json` by their keys.
pub(super) struct Config(pub Value);

impl Config {
    pub fn parse(json: &str) -> Result<Self> {
        let config = serde_json::from_str(json)
            .map_err(|e| Error::corrupt_file("config.json is not JSON; fetch it again").caused_by(e))?;
        Ok(Self(config))
    }

    pub fn word(&self, key: &str) -> Result<&str> {
        self.0[key].as_str().ok_or_else(|| missing(key))
    }

    pub fn optional(&self, key: &str, most: u64) -> Result<Option<usize>> {
        match &self.0[key] {
            Value::Null => Ok(None),
            Value::Number(n) if n.is_u64() => count(key, n.as_u64().unwrap_or(0), most).map(Some),
            other => Err(Error::corrupt_file(format!("{key} in config.json is {other}, not a count"))),
        }
    }

    pub fn needed(&self, key: &str, most: u64) -> Result<usize> {
        self.optional(key, most)?.ok_or_else(|| missing(key))
    }

    pub fn number(&self, key: &str) -> Option<f64> {
        self.0[key].as_f64()
    }

    pub fn needed_number(&self, key: &str) -> Result<f64> {
        self.number(key).ok_or_else(|| missing(key))
    }

    /// Refuses an activation that is not among `known`.
    pub fn check_activation(&self, key: &str, known: &[&str]) -> Result<()> {
        match self.0[key].as_str() {
            Some(found) if !known.contains(&found) => Err(Error::unsupported_model(format!(
                "the activation {found:?} does not run here; this family's is {}",
                known.join(" or ")
            ))),
            _ => Ok(()),
        }
    }
}

impl LanguageConfig {
    /// The same with its rotary frequencies scaled as `rope` says.
    pub(super) fn scaled(mut self, base: f64, rope: &Value) -> Result<Self> {
        self.check()?;
        let Some(rotary) = &mut self.rotary else { return Ok(self) };
        let number = |key: &str| rope[key].as_f64().ok_or_else(|| missing(&format!("rope_scaling.{key}")));
        match rope["rope_type"].as_str().or(rope["type"].as_str()).unwrap_or("default") {
            "default" => {}
            "linear" => rotary.frequency_scale = linear_scale("rope_scaling.factor", number("factor")?)?,
            "llama3" => {
                rotary.factors = Some(llama3_factors(
                    rotary.dim,
                    base,
                    number("factor")?,
                    number("low_freq_factor")?,
                    number("high_freq_factor")?,
                    number("original_max_position_embeddings")?,
                )?);
            }
            other => return Err(unsupported_scaling(other)),
        }
        Ok(self)
    }
}

pub(super) fn rotary(head_dim: usize, base: f64) -> Rotary {
    Rotary { base: base as f32, frequency_scale: 1.0, dim: head_dim, layout: RopeLayout::HalfSplit, factors: None }
}

/// Llama 3's divisors: long wavelengths are stretched by `factor`, short ones stay, those between are blended
/// (`rope_type: llama3` of a Hugging Face configuration).
fn llama3_factors(rotary_dim: usize, base: f64, factor: f64, low: f64, high: f64, original: f64) -> Result<Vec<f32>> {
    let sane = [factor, low, high, original].iter().all(|v| v.is_finite() && *v > 0.0) && high > low;
    if !sane {
        return Err(Error::corrupt_file(format!(
            "rope_scaling has factor {factor}, low {low}, high {high}, original context {original}; config.json is damaged"
        )));
    }
    let divisor = |i: usize| {
        let wavelength = TAU * base.powf(2.0 * i as f64 / rotary_dim as f64);
        let turns = original / wavelength;
        let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
        (1.0 / ((1.0 - kept) / factor + kept)) as f32
    };
    Ok((0..rotary_dim / 2).map(divisor).collect())
}
