//! How a model's files say that it is to be sampled: transformers' `generation_config.json`, or `general.sampling.*` in a GGUF. What they
//! say holds where a caller says nothing.

use serde::Serialize;
use serde_json::Value;

use super::GenerateOptions;
use crate::{Result, weights::WeightFile};

/// The sampling of a model where a caller leaves it open; see [`GenerateOptions`] for what each means.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SamplingDefaults {
    #[serde(serialize_with = "as_written")]
    pub temperature: f32,
    pub top_k: u32,
    #[serde(serialize_with = "as_written")]
    pub top_p: f32,
    #[serde(serialize_with = "as_written")]
    pub min_p: f32,
    #[serde(serialize_with = "as_written")]
    pub repetition_penalty: f32,
    /// Who says so: `"generation_config.json"`, `"gguf"`, or `"vitrine"` where the files are silent.
    pub from: &'static str,
}

/// As the file has it: 0.8, which no f32 is.
fn as_written<S: serde::Serializer>(number: &f32, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_f64(number.to_string().parse().unwrap_or(f64::from(*number)))
}

impl Default for SamplingDefaults {
    fn default() -> Self {
        let GenerateOptions { temperature, top_k, top_p, min_p, repetition_penalty, .. } = GenerateOptions::default();
        Self { temperature, top_k, top_p, min_p, repetition_penalty, from: "vitrine" }
    }
}

/// What one file says, as far as it says anything.
#[derive(Default)]
struct Said {
    temperature: Option<f64>,
    top_k: Option<f64>,
    top_p: Option<f64>,
    min_p: Option<f64>,
    repetition_penalty: Option<f64>,
}

impl SamplingDefaults {
    /// Reads the files of a model. `generation_config.json` comes first; `"do_sample": false` there is greedy. Where they say nothing, a model that reads one text
    /// to write another `is_greedy`: it is to translate and to sum up, not to invent.
    pub fn of(file: &WeightFile, is_greedy: bool) -> Result<Self> {
        if let Some(config) = file.extra_json("generation_config.json")? {
            if config["do_sample"] == Value::Bool(false) {
                return Ok(Self { temperature: 0.0, from: "generation_config.json", ..Self::NEUTRAL });
            }
            let said = |name: &str| config[name].as_f64();
            let said = Said {
                temperature: said("temperature"),
                top_k: said("top_k"),
                top_p: said("top_p"),
                min_p: said("min_p"),
                repetition_penalty: said("repetition_penalty"),
            };
            if said.anything() || config["do_sample"] == Value::Bool(true) {
                return Ok(said.over(Self { from: "generation_config.json", ..Self::NEUTRAL }));
            }
        }
        let silent = if is_greedy { Self { temperature: 0.0, ..Self::default() } } else { Self::default() };
        let metadata = |name: &str| -> Result<Option<f64>> {
            Ok(file.metadata.get::<f32>(&format!("general.sampling.{name}"))?.map(f64::from))
        };
        let said = Said {
            temperature: metadata("temp")?,
            top_k: file.metadata.get::<i32>("general.sampling.top_k")?.map(f64::from),
            top_p: metadata("top_p")?,
            min_p: metadata("min_p")?,
            repetition_penalty: metadata("penalty_repeat")?,
        };
        Ok(if said.anything() { said.over(Self { from: "gguf", ..Self::NEUTRAL }) } else { silent })
    }

    /// What transformers does where a `generation_config.json` samples and does not say how.
    const NEUTRAL: Self =
        Self { temperature: 1.0, top_k: 50, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, from: "" };

    /// Options that leave everything else as it is by default.
    pub fn options(self) -> GenerateOptions {
        let Self { temperature, top_k, top_p, min_p, repetition_penalty, from: _ } = self;
        GenerateOptions { temperature, top_k, top_p, min_p, repetition_penalty, ..GenerateOptions::default() }
    }
}

impl Said {
    fn anything(&self) -> bool {
        [self.temperature, self.top_k, self.top_p, self.min_p, self.repetition_penalty].iter().any(Option::is_some)
    }

    /// A number that no sampler could use says nothing.
    fn over(self, rest: SamplingDefaults) -> SamplingDefaults {
        let within = |value: Option<f64>, least: f64, most: f64, rest: f32| {
            value.filter(|value| (least..=most).contains(value)).map_or(rest, |value| value as f32)
        };
        SamplingDefaults {
            temperature: within(self.temperature, 0.0, 10.0, rest.temperature),
            top_k: self.top_k.filter(|k| *k >= 0.0 && *k <= f64::from(u32::MAX)).map_or(rest.top_k, |k| k as u32),
            top_p: within(self.top_p, f64::from(f32::MIN_POSITIVE), 1.0, rest.top_p),
            min_p: within(self.min_p, 0.0, 1.0, rest.min_p),
            repetition_penalty: within(self.repetition_penalty, 0.1, 10.0, rest.repetition_penalty),
            ..rest
        }
    }
}
