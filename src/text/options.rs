//! What a caller may ask of a generation, and the check that it can be.

use serde::Deserialize;
use vitrine_jinja::Json;

use super::{ChatOptions, ChatRequest};
use crate::{Error, Result, graph::SampleParams};

/// The most alternatives reported beside a token.
pub const MOST_ALTERNATIVES: usize = 20;
const MOST_TOKENS: usize = 1_000_000;
const MOST_STOPS: usize = 16;

/// What happens when a text outgrows the model's context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// A prompt that does not fit is an error; a generation that fills the context ends.
    #[default]
    Error,
    /// The older half of the text is forgotten (all but BOS), and the generation goes on.
    Slide,
}

/// How to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// 1 to 1,000,000.
    pub max_tokens: usize,
    /// 0 (greedy) to 10.
    pub temperature: f32,
    /// Keep the likeliest; 0 keeps all.
    pub top_k: u32,
    /// Above 0, to 1 (all).
    pub top_p: f32,
    /// 0 (all) to 1.
    pub min_p: f32,
    /// 0.1 to 10; 1 is none.
    pub repetition_penalty: f32,
    /// Chosen at random, and reported, where there is none.
    pub seed: Option<u32>,
    /// Texts that end the generation; they are not part of it.
    pub stop: Vec<String>,
    /// How many of the likeliest tokens are reported beside each token: 0 to 20.
    pub alternatives: usize,
    pub overflow: Overflow,
    /// What the written text begins with, of a model that reads one text and writes another.
    pub decoder_prompt: Option<String>,
    /// What a conversation's template is told; nothing, where a text is gone on with.
    pub chat: ChatOptions,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            max_tokens: 256,
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            repetition_penalty: 1.0,
            seed: None,
            stop: vec![],
            alternatives: 0,
            overflow: Overflow::Error,
            decoder_prompt: None,
            chat: ChatOptions::default(),
        }
    }
}

impl GenerateOptions {
    /// Always the likeliest token.
    pub fn greedy(max_tokens: usize) -> Self {
        Self { max_tokens, temperature: 0.0, ..Self::default() }
    }

    /// Errors: `bad-argument` that names the option, the value and what is allowed.
    pub fn check(&self) -> Result<()> {
        within("maxTokens", self.max_tokens as f64, 1.0, MOST_TOKENS as f64)?;
        within("temperature", f64::from(self.temperature), 0.0, 10.0)?;
        above_0_to_1("topP", f64::from(self.top_p))?;
        within("minP", f64::from(self.min_p), 0.0, 1.0)?;
        within("repetitionPenalty", f64::from(self.repetition_penalty), 0.1, 10.0)?;
        within("alternatives", self.alternatives as f64, 0.0, MOST_ALTERNATIVES as f64)?;
        if self.stop.len() > MOST_STOPS {
            return Err(wrong("stop", format!("{} strings", self.stop.len()), "at most 16 strings"));
        }
        if self.stop.iter().any(String::is_empty) {
            return Err(wrong("stop", "an empty string", "strings that are not empty"));
        }
        self.chat.check()
    }

    pub(super) fn sample_params(&self, seed: u32) -> SampleParams {
        SampleParams {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            seed,
            step: 0,
        }
    }
}

fn wrong(name: &str, value: impl std::fmt::Display, allowed: &str) -> Error {
    Error::bad_argument(format!("{name} is {value}, but must be {allowed}"))
}

/// NaN is within nothing.
pub(super) fn within(name: &str, value: f64, least: f64, most: f64) -> Result<()> {
    if value >= least && value <= most {
        return Ok(());
    }
    Err(wrong(name, value, &format!("from {least} to {most}")))
}

fn above_0_to_1(name: &str, value: f64) -> Result<()> {
    within(name, value, f64::MIN_POSITIVE, 1.0).map_err(|_| wrong(name, value, "above 0, to 1"))
}

/// Options as JavaScript gives them: any of them absent, all numbers doubles. Unknown names are refused.
/// Their names stand in `www/options.js` too.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct GenerateRequest {
    pub max_tokens: Option<f64>,
    pub temperature: Option<f64>,
    pub top_k: Option<f64>,
    pub top_p: Option<f64>,
    pub min_p: Option<f64>,
    pub repetition_penalty: Option<f64>,
    pub seed: Option<f64>,
    pub stop: Option<Stop>,
    pub alternatives: Option<f64>,
    /// `"error"` or `"slide"`.
    pub overflow: Option<String>,
    pub decoder_prompt: Option<String>,
    pub thinking: Option<bool>,
    pub tools: Option<Vec<Json>>,
    pub documents: Option<Vec<Json>>,
    pub template_options: Option<Json>,
    pub continue_final_message: Option<bool>,
    pub parse_special_tokens: Option<bool>,
}

/// One stop string or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Stop {
    One(String),
    Several(Vec<String>),
}

impl GenerateRequest {
    /// The options that were asked for, and the model's own for the rest.
    ///
    /// Errors: `bad-argument` that names the option, the value and what is allowed.
    pub fn check(self, default: &GenerateOptions) -> Result<GenerateOptions> {
        let whole = |name: &str, value: Option<f64>, default: u64, least: u64, most: u64| -> Result<u64> {
            let Some(value) = value else { return Ok(default) };
            if value.fract() != 0.0 || !(least as f64..=most as f64).contains(&value) {
                return Err(wrong(name, value, &format!("a whole number from {least} to {most}")));
            }
            Ok(value as u64)
        };
        // Range checks come before rounding to 32 bits, and once more after it.
        let number = |name: &str, value: Option<f64>, default: f32, (least, most): (f64, f64)| -> Result<f32> {
            let Some(value) = value else { return Ok(default) };
            within(name, value, least, most)?;
            Ok(value as f32)
        };
        self.top_p.map_or(Ok(()), |value| above_0_to_1("topP", value))?;
        let all_ids = u64::from(u32::MAX);
        let seed = self.seed.map(|seed| whole("seed", Some(seed), 0, 0, all_ids)).transpose()?;
        let options = GenerateOptions {
            max_tokens: whole("maxTokens", self.max_tokens, default.max_tokens as u64, 1, MOST_TOKENS as u64)? as usize,
            temperature: number("temperature", self.temperature, default.temperature, (0.0, 10.0))?,
            top_k: whole("topK", self.top_k, default.top_k.into(), 0, all_ids)? as u32,
            top_p: number("topP", self.top_p, default.top_p, (0.0, 1.0))?,
            min_p: number("minP", self.min_p, default.min_p, (0.0, 1.0))?,
            repetition_penalty: number(
                "repetitionPenalty",
                self.repetition_penalty,
                default.repetition_penalty,
                (0.1, 10.0),
            )?,
            seed: seed.map(|seed| seed as u32),
            stop: match self.stop {
                None => vec![],
                Some(Stop::One(stop)) => vec![stop],
                Some(Stop::Several(stops)) => stops,
            },
            alternatives: whole("alternatives", self.alternatives, 0, 0, MOST_ALTERNATIVES as u64)? as usize,
            overflow: match self.overflow.as_deref() {
                None | Some("error") => Overflow::Error,
                Some("slide") => Overflow::Slide,
                Some(other) => return Err(wrong("overflow", format!("{other:?}"), "\"error\" or \"slide\"")),
            },
            decoder_prompt: self.decoder_prompt,
            chat: ChatRequest {
                thinking: self.thinking,
                tools: self.tools,
                documents: self.documents,
                template_options: self.template_options,
                continue_final_message: self.continue_final_message,
                parse_special_tokens: self.parse_special_tokens,
            }
            .check()?,
        };
        options.check()?;
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    fn refused(request: GenerateRequest, name: &str) {
        let error = request.check(&GenerateOptions::default()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::BadArgument);
        assert!(error.to_string().starts_with(name), "{error}");
    }

    #[test]
    fn an_option_that_cannot_be_is_refused_by_name() {
        let none = GenerateRequest::default();
        for bad in [f64::NAN, f64::INFINITY, -1.0] {
            refused(GenerateRequest { temperature: Some(bad), ..none.clone() }, "temperature is");
            refused(GenerateRequest { top_p: Some(bad), ..none.clone() }, "topP is");
            refused(GenerateRequest { min_p: Some(bad), ..none.clone() }, "minP is");
            refused(GenerateRequest { top_k: Some(bad), ..none.clone() }, "topK is");
            refused(GenerateRequest { seed: Some(bad), ..none.clone() }, "seed is");
            refused(GenerateRequest { max_tokens: Some(bad), ..none.clone() }, "maxTokens is");
            refused(GenerateRequest { alternatives: Some(bad), ..none.clone() }, "alternatives is");
            refused(GenerateRequest { repetition_penalty: Some(bad), ..none.clone() }, "repetitionPenalty is");
        }
        refused(
            GenerateRequest { max_tokens: Some(0.0), ..none.clone() },
            "maxTokens is 0, but must be a whole number from 1",
        );
        refused(GenerateRequest { max_tokens: Some(2.5), ..none.clone() }, "maxTokens is 2.5");
        refused(GenerateRequest { top_p: Some(0.0), ..none.clone() }, "topP is 0, but must be above 0");
        refused(GenerateRequest { repetition_penalty: Some(0.0), ..none.clone() }, "repetitionPenalty");
        refused(GenerateRequest { alternatives: Some(21.0), ..none.clone() }, "alternatives");
        refused(GenerateRequest { stop: Some(Stop::One(String::new())), ..none.clone() }, "stop");
        refused(GenerateRequest { overflow: Some("wrap".into()), ..none }, "overflow");
    }

    #[test]
    fn options_come_in_as_javascript_spells_them() {
        let json =
            r#"{"maxTokens": 7, "topK": 5, "stop": "x", "overflow": "slide", "seed": 4294967295, "thinking": false}"#;
        let options =
            serde_json::from_str::<GenerateRequest>(json).unwrap().check(&GenerateOptions::default()).unwrap();
        let expected = GenerateOptions {
            max_tokens: 7,
            top_k: 5,
            stop: vec!["x".into()],
            overflow: Overflow::Slide,
            seed: Some(u32::MAX),
            chat: ChatOptions { thinking: Some(false), ..ChatOptions::default() },
            ..GenerateOptions::default()
        };
        assert_eq!(options, expected);
        assert!(serde_json::from_str::<GenerateRequest>(r#"{"temprature": 1}"#).is_err());
    }
}
