//! The sampling options that are made of several numbers. What each does stands in [`SampleParams`](crate::graph::SampleParams).

use serde::Deserialize;

use super::ranges::{above, whole, within};
use crate::{Error, Result};

const MOST_BREAKERS: usize = 64;

/// Now and then drops the likeliest tokens, all but the last that reaches a threshold (exclude top choices).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Xtc {
    /// How often, 0 to 1.
    pub probability: f32,
    /// 0 to 0.5.
    pub threshold: f32,
}

/// Holds the surprise of the text at `tau` bits a token (arXiv 2007.14966, version 2), in place of filters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mirostat {
    /// Above 0, to 20.
    pub tau: f32,
    /// How fast it corrects itself: above 0, to 1.
    pub eta: f32,
}

/// A temperature that follows the entropy of what the filters left (arXiv 2403.14541).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DynamicTemperature {
    /// On both sides of the temperature: above 0, to 10.
    pub range: f32,
    /// Above 0, to 10.
    pub exponent: f32,
}

/// Don't repeat yourself: takes `multiplier · base^(n − allowed)` from the logit of a token that would make a repeated run of `n` tokens longer.
#[derive(Debug, Clone, PartialEq)]
pub struct Dry {
    /// Above 0, to 100.
    pub multiplier: f32,
    /// 1 to 10.
    pub base: f32,
    /// The longest run that costs nothing: 1 to 1000.
    pub allowed: usize,
    /// A run does not go past a token with any of these in it.
    pub breakers: Vec<String>,
}

macro_rules! requests {
    ($($(#[doc = $doc:literal])* $name:ident { $($field:ident: $kind:ty,)* })*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Debug, Clone, Default, Deserialize)]
            #[serde(rename_all = "camelCase", default, deny_unknown_fields)]
            pub struct $name {
                $(pub $field: Option<$kind>,)*
            }
        )*
    };
}

requests! {
    /// [`Xtc`] as JavaScript gives it.
    XtcRequest { probability: f64, threshold: f64, }
    /// [`Mirostat`] as JavaScript gives it.
    MirostatRequest { tau: f64, eta: f64, }
    /// [`DynamicTemperature`] as JavaScript gives it.
    DynamicTemperatureRequest { range: f64, exponent: f64, }
    /// [`Dry`] as JavaScript gives it.
    DryRequest { multiplier: f64, base: f64, allowed: f64, breakers: Vec<String>, }
}

impl XtcRequest {
    /// Errors, of this and the others: `bad-argument` that names the option, the value and what is allowed.
    pub fn check(self) -> Result<Xtc> {
        let (probability, threshold) = (self.probability.unwrap_or(0.5), self.threshold.unwrap_or(0.1));
        within("xtc.probability", probability, 0.0, 1.0)?;
        within("xtc.threshold", threshold, 0.0, 0.5)?;
        Ok(Xtc { probability: probability as f32, threshold: threshold as f32 })
    }
}

impl MirostatRequest {
    pub fn check(self) -> Result<Mirostat> {
        let (tau, eta) = (self.tau.unwrap_or(5.0), self.eta.unwrap_or(0.1));
        above("mirostat.tau", tau, 0.0, 20.0)?;
        above("mirostat.eta", eta, 0.0, 1.0)?;
        Ok(Mirostat { tau: tau as f32, eta: eta as f32 })
    }
}

impl DynamicTemperatureRequest {
    pub fn check(self) -> Result<DynamicTemperature> {
        let (range, exponent) = (self.range.unwrap_or(0.5), self.exponent.unwrap_or(1.0));
        above("dynamicTemperature.range", range, 0.0, 10.0)?;
        above("dynamicTemperature.exponent", exponent, 0.0, 10.0)?;
        Ok(DynamicTemperature { range: range as f32, exponent: exponent as f32 })
    }
}

impl DryRequest {
    pub fn check(self) -> Result<Dry> {
        let (multiplier, base) = (self.multiplier.unwrap_or(0.8), self.base.unwrap_or(1.75));
        above("dry.multiplier", multiplier, 0.0, 100.0)?;
        within("dry.base", base, 1.0, 10.0)?;
        let allowed = whole("dry.allowed", self.allowed, 2, 1, 1000)? as usize;
        let usual = || ["\n", ":", "\"", "*"].map(String::from).to_vec();
        let breakers = self.breakers.unwrap_or_else(usual);
        if breakers.iter().any(String::is_empty) || breakers.len() > MOST_BREAKERS {
            return Err(Error::bad_argument(format!(
                "dry.breakers holds an empty string, or more than {MOST_BREAKERS}; give texts that end a repetition"
            )));
        }
        Ok(Dry { multiplier: multiplier as f32, base: base as f32, allowed, breakers })
    }
}
