//! What a caller may ask of a generation, and the check that it can be.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use vitrine_jinja::Json;

use super::{
    ChatOptions, ChatRequest, Constraint, Contrastive,
    contrastive::ContrastiveRequest,
    ranges::{above, whole, within, wrong},
    sampling::{
        Dry, DryRequest, DynamicTemperature, DynamicTemperatureRequest, Mirostat, MirostatRequest, Xtc, XtcRequest,
    },
};
use crate::{Error, Result, graph::SampleParams};

/// The most alternatives reported beside a token.
pub const MOST_ALTERNATIVES: usize = 20;
const MOST_TOKENS: usize = 1_000_000;
const MOST_STOPS: usize = 16;
const MOST_BANS: usize = 256;
/// Bytes of what is banned: each of its ends is looked for among all tokens.
const LONGEST: usize = 200;
/// A step confirms so many and chooses one more.
pub(super) const MOST_GUESSES: usize = 15;
/// As many answers as an OpenAI-shaped request may ask for.
pub const MOST_SAMPLES: usize = 128;
/// Candidates that a trace tells of where the caller does not say how many.
const TRACED: usize = 10;
/// A bias this strong bans a token, as OpenAI's servers have it.
const BAN: f64 = -100.0;

/// What happens when a text outgrows the model's context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// A prompt that does not fit is an error; a generation that fills the context ends.
    #[default]
    Error,
    /// The older half of the text is forgotten (all but BOS), and the generation goes on.
    Slide,
}

/// How to generate. What samplers do, and in which order, stands in [`SampleParams`].
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// 1 to 1,000,000.
    pub max_tokens: usize,
    /// Before so many tokens no token ends the text: 0 to `max_tokens`.
    pub min_tokens: usize,
    /// 0 (greedy) to 10.
    pub temperature: f32,
    pub dynamic_temperature: Option<DynamicTemperature>,
    /// 0 (all) to 100.
    pub top_n_sigma: f32,
    /// Keep the likeliest; 0 keeps all.
    pub top_k: u32,
    /// Above 0, to 1 (all).
    pub typical_p: f32,
    /// Above 0, to 1 (all).
    pub top_p: f32,
    /// 0 (all) to 1.
    pub min_p: f32,
    pub xtc: Option<Xtc>,
    /// In place of the filters above.
    pub mirostat: Option<Mirostat>,
    /// 0.1 to 10; 1 is none.
    pub repetition_penalty: f32,
    /// −10 to 10; 0 is none.
    pub presence_penalty: f32,
    /// −10 to 10; 0 is none.
    pub frequency_penalty: f32,
    /// How many of the last tokens the three penalties look at, the prompt's too; all where there is none.
    pub penalty_window: Option<usize>,
    pub dry: Option<Dry>,
    /// What is added to the logits of tokens; −∞ bans one.
    pub logit_bias: BTreeMap<u32, f32>,
    /// Words that the text written does not have: tokens that say them, or would complete them.
    pub ban: Vec<String>,
    /// Chosen at random, and reported, where there is none.
    pub seed: Option<u32>,
    /// How many texts are written, of which number `i` has the seed `seed + i`: 1 to 128.
    pub n: usize,
    /// Texts that end the generation; they are not part of it.
    pub stop: Vec<String>,
    /// How many of the likeliest tokens are reported beside each token: 0 to 20.
    pub alternatives: usize,
    /// Whether each token comes with what the filters left of the likeliest.
    pub trace: bool,
    /// At most so many tokens are guessed at once from what stood in the text before: 0 (none) to 15.
    pub prompt_lookup: usize,
    /// In place of the temperature and all filters.
    pub contrastive: Option<Contrastive>,
    pub overflow: Overflow,
    /// What the text written is.
    pub constraint: Option<Constraint>,
    /// What the written text begins with, of a model that reads one text and writes another.
    pub decoder_prompt: Option<String>,
    /// What a conversation's template is told; nothing, where a text is gone on with.
    pub chat: ChatOptions,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            max_tokens: 256,
            min_tokens: 0,
            temperature: 0.8,
            dynamic_temperature: None,
            top_n_sigma: 0.0,
            top_k: 40,
            typical_p: 1.0,
            top_p: 0.95,
            min_p: 0.05,
            xtc: None,
            mirostat: None,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            penalty_window: None,
            dry: None,
            logit_bias: BTreeMap::new(),
            ban: vec![],
            seed: None,
            n: 1,
            stop: vec![],
            alternatives: 0,
            trace: false,
            prompt_lookup: 0,
            contrastive: None,
            overflow: Overflow::Error,
            constraint: None,
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
        within("minTokens", self.min_tokens as f64, 0.0, self.max_tokens as f64)?;
        within("temperature", f64::from(self.temperature), 0.0, 10.0)?;
        within("topNSigma", f64::from(self.top_n_sigma), 0.0, 100.0)?;
        above("typicalP", f64::from(self.typical_p), 0.0, 1.0)?;
        above("topP", f64::from(self.top_p), 0.0, 1.0)?;
        within("minP", f64::from(self.min_p), 0.0, 1.0)?;
        within("repetitionPenalty", f64::from(self.repetition_penalty), 0.1, 10.0)?;
        within("presencePenalty", f64::from(self.presence_penalty), -10.0, 10.0)?;
        within("frequencyPenalty", f64::from(self.frequency_penalty), -10.0, 10.0)?;
        within("alternatives", self.alternatives as f64, 0.0, MOST_ALTERNATIVES as f64)?;
        within("penaltyWindow", self.penalty_window.unwrap_or(1) as f64, 1.0, MOST_TOKENS as f64)?;
        let penalties = self.repetition_penalty != 1.0 || self.presence_penalty != 0.0 || self.frequency_penalty != 0.0;
        if self.penalty_window.is_some() && !penalties {
            return Err(Error::bad_argument(
                "penaltyWindow is for repetitionPenalty, presencePenalty and frequencyPenalty, and none of them is set; set one or leave it out",
            ));
        }
        within("n", self.n as f64, 1.0, MOST_SAMPLES as f64)?;
        within("promptLookup", self.prompt_lookup as f64, 0.0, MOST_GUESSES as f64)?;
        let following = [
            ("dry", self.dry.is_some()),
            ("mirostat", self.mirostat.is_some()),
            ("ban", !self.ban.is_empty()),
            ("trace", self.trace),
            (self.constraint.as_ref().and_then(Constraint::name).unwrap_or_default(), self.constraint.is_some()),
        ];
        if let Some((name, _)) = following.iter().find(|(_, on)| *on && self.prompt_lookup > 0) {
            return Err(Error::bad_argument(format!(
                "promptLookup computes several tokens at once, and {name} needs them one by one; leave one of them out"
            )));
        }
        let others = following.into_iter().filter(|(name, _)| !["dry", "ban"].contains(name));
        let mut others = others.chain([("promptLookup", self.prompt_lookup > 0), ("n", self.n > 1)]);
        if let Some((name, _)) = others.find(|(_, on)| *on && self.contrastive.is_some()) {
            return Err(Error::bad_argument(format!(
                "{name} does not go with contrastive, which weighs a few tokens in each step of one text; leave one of them out"
            )));
        }
        let drawing = [
            ("dynamicTemperature", self.dynamic_temperature.is_some()),
            ("xtc", self.xtc.is_some()),
            ("mirostat", self.mirostat.is_some()),
        ];
        if let Some((name, _)) = drawing.iter().find(|(_, on)| *on && self.temperature == 0.0) {
            return Err(Error::bad_argument(format!(
                "{name} is for texts that are drawn, and a temperature of 0 takes the likeliest token; raise temperature or leave it out"
            )));
        }
        for (name, texts, most) in [("stop", &self.stop, MOST_STOPS), ("ban", &self.ban, MOST_BANS)] {
            if texts.len() > most {
                return Err(wrong(name, format!("{} strings", texts.len()), &format!("at most {most} strings")));
            }
            if name == "ban" && texts.iter().any(|text| text.len() > LONGEST) {
                return Err(wrong(
                    name,
                    format!("a text of more than {LONGEST} bytes"),
                    "words or phrases, shorter than that",
                ));
            }
            if texts.iter().any(String::is_empty) {
                return Err(wrong(name, "an empty string", "strings that are not empty"));
            }
        }
        self.chat.check()
    }

    /// The seed that is asked for, or one at random.
    pub(super) fn seed(&self) -> Result<u32> {
        self.seed
            .map_or_else(getrandom::u32, Ok)
            .map_err(|cause| Error::internal(format!("there is no randomness to be had: {cause}; pass a seed")))
    }

    /// How many of the likeliest tokens each step is traced for; `None` for no trace.
    pub(super) fn traced(&self) -> Option<usize> {
        self.trace.then_some(if self.alternatives > 0 { self.alternatives } else { TRACED })
    }

    pub(super) fn sample_params(&self, seed: u32) -> SampleParams {
        let none = SampleParams::default();
        let chosen = SampleParams {
            temperature: self.temperature,
            dynamic_range: self.dynamic_temperature.map_or(none.dynamic_range, |dynamic| dynamic.range),
            dynamic_exponent: self.dynamic_temperature.map_or(none.dynamic_exponent, |dynamic| dynamic.exponent),
            repetition_penalty: self.repetition_penalty,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            seed,
            ..none
        };
        if self.mirostat.is_some() {
            return chosen;
        }
        SampleParams {
            top_n_sigma: self.top_n_sigma,
            top_k: self.top_k,
            typical_p: self.typical_p,
            top_p: self.top_p,
            min_p: self.min_p,
            xtc_probability: self.xtc.map_or(none.xtc_probability, |xtc| xtc.probability),
            xtc_threshold: self.xtc.map_or(none.xtc_threshold, |xtc| xtc.threshold),
            ..chosen
        }
    }
}

/// Options as JavaScript gives them: any of them absent, all numbers doubles. Unknown names are refused.
/// Their names stand in `www/options.js` too.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct GenerateRequest {
    pub max_tokens: Option<f64>,
    pub min_tokens: Option<f64>,
    pub temperature: Option<f64>,
    pub dynamic_temperature: Option<DynamicTemperatureRequest>,
    pub top_n_sigma: Option<f64>,
    pub top_k: Option<f64>,
    pub typical_p: Option<f64>,
    pub top_p: Option<f64>,
    pub min_p: Option<f64>,
    pub xtc: Option<XtcRequest>,
    pub mirostat: Option<MirostatRequest>,
    pub repetition_penalty: Option<f64>,
    pub presence_penalty: Option<f64>,
    pub frequency_penalty: Option<f64>,
    pub penalty_window: Option<f64>,
    pub dry: Option<DryRequest>,
    /// By token ids.
    pub logit_bias: Option<BTreeMap<String, f64>>,
    pub ban: Option<Strings>,
    pub seed: Option<f64>,
    pub n: Option<f64>,
    pub stop: Option<Strings>,
    pub alternatives: Option<f64>,
    pub trace: Option<bool>,
    pub prompt_lookup: Option<f64>,
    pub contrastive: Option<ContrastiveRequest>,
    /// `"error"` or `"slide"`.
    pub overflow: Option<String>,
    pub schema: Option<Value>,
    pub regex: Option<String>,
    pub grammar: Option<String>,
    pub choice: Option<Vec<String>>,
    pub schema_format: Option<Value>,
    pub decoder_prompt: Option<String>,
    pub thinking: Option<bool>,
    pub tools: Option<Vec<Json>>,
    pub documents: Option<Vec<Json>>,
    pub template_options: Option<Json>,
    pub continue_final_message: Option<bool>,
    pub parse_special_tokens: Option<bool>,
}

/// One string or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Strings {
    One(String),
    Several(Vec<String>),
}

impl Strings {
    fn all(strings: Option<Self>) -> Vec<String> {
        match strings {
            None => vec![],
            Some(Self::One(one)) => vec![one],
            Some(Self::Several(several)) => several,
        }
    }
}

impl GenerateRequest {
    /// The options that were asked for, and the model's own for the rest.
    ///
    /// Errors: `bad-argument` that names the option, the value and what is allowed.
    pub fn check(self, default: &GenerateOptions) -> Result<GenerateOptions> {
        // Range checks come before rounding to 32 bits, and once more after it.
        let number = |name: &str, value: Option<f64>, default: f32, (least, most): (f64, f64)| -> Result<f32> {
            let Some(value) = value else { return Ok(default) };
            within(name, value, least, most)?;
            Ok(value as f32)
        };
        let share = |name: &str, value: Option<f64>, default: f32| -> Result<f32> {
            let Some(value) = value else { return Ok(default) };
            above(name, value, 0.0, 1.0)?;
            Ok((value as f32).max(f32::MIN_POSITIVE))
        };
        if self.mirostat.is_some() {
            self.goes_with_mirostat()?;
        }
        if self.contrastive.is_some() {
            self.goes_with_contrastive()?;
        }
        let all_ids = u64::from(u32::MAX);
        let seed = self.seed.map(|seed| whole("seed", Some(seed), 0, 0, all_ids)).transpose()?;
        let window = self.penalty_window;
        let window = window.map(|n| whole("penaltyWindow", Some(n), 0, 1, MOST_TOKENS as u64)).transpose()?;
        let penalty = (-10.0, 10.0);
        let constraint = Constraint {
            schema: self.schema,
            regex: self.regex,
            grammar: self.grammar,
            choice: self.choice,
            schema_format: self.schema_format,
        };
        let options = GenerateOptions {
            max_tokens: whole("maxTokens", self.max_tokens, default.max_tokens as u64, 1, MOST_TOKENS as u64)? as usize,
            min_tokens: whole("minTokens", self.min_tokens, 0, 0, MOST_TOKENS as u64)? as usize,
            temperature: number("temperature", self.temperature, default.temperature, (0.0, 10.0))?,
            dynamic_temperature: self.dynamic_temperature.map(DynamicTemperatureRequest::check).transpose()?,
            top_n_sigma: number("topNSigma", self.top_n_sigma, default.top_n_sigma, (0.0, 100.0))?,
            top_k: whole("topK", self.top_k, default.top_k.into(), 0, all_ids)? as u32,
            typical_p: share("typicalP", self.typical_p, default.typical_p)?,
            top_p: share("topP", self.top_p, default.top_p)?,
            min_p: number("minP", self.min_p, default.min_p, (0.0, 1.0))?,
            xtc: self.xtc.map(XtcRequest::check).transpose()?,
            mirostat: self.mirostat.map(MirostatRequest::check).transpose()?,
            repetition_penalty: number(
                "repetitionPenalty",
                self.repetition_penalty,
                default.repetition_penalty,
                (0.1, 10.0),
            )?,
            presence_penalty: number("presencePenalty", self.presence_penalty, default.presence_penalty, penalty)?,
            frequency_penalty: number("frequencyPenalty", self.frequency_penalty, default.frequency_penalty, penalty)?,
            penalty_window: window.map(|tokens| tokens as usize),
            dry: self.dry.map(DryRequest::check).transpose()?,
            logit_bias: self.logit_bias.unwrap_or_default().into_iter().map(bias).collect::<Result<_>>()?,
            ban: Strings::all(self.ban),
            seed: seed.map(|seed| seed as u32),
            n: whole("n", self.n, 1, 1, MOST_SAMPLES as u64)? as usize,
            stop: Strings::all(self.stop),
            alternatives: whole("alternatives", self.alternatives, 0, 0, MOST_ALTERNATIVES as u64)? as usize,
            trace: self.trace.unwrap_or(false),
            prompt_lookup: whole("promptLookup", self.prompt_lookup, 0, 0, MOST_GUESSES as u64)? as usize,
            contrastive: self.contrastive.map(ContrastiveRequest::check).transpose()?,
            overflow: match self.overflow.as_deref() {
                None | Some("error") => Overflow::Error,
                Some("slide") => Overflow::Slide,
                Some(other) => return Err(wrong("overflow", format!("{other:?}"), "\"error\" or \"slide\"")),
            },
            constraint: constraint.name().is_some().then_some(constraint),
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

    /// The filters that are asked for.
    fn filters(&self) -> [(&'static str, bool); 6] {
        [
            ("topNSigma", self.top_n_sigma.is_some()),
            ("topK", self.top_k.is_some()),
            ("typicalP", self.typical_p.is_some()),
            ("topP", self.top_p.is_some()),
            ("minP", self.min_p.is_some()),
            ("xtc", self.xtc.is_some()),
        ]
    }

    /// Mirostat says how many tokens are kept.
    fn goes_with_mirostat(&self) -> Result<()> {
        match self.filters().iter().find(|(_, is_set)| *is_set) {
            Some((name, _)) => Err(Error::bad_argument(format!(
                "{name} does not go with mirostat, which says itself how many tokens are kept; leave one of them out"
            ))),
            None => Ok(()),
        }
    }

    /// Contrastive search draws nothing.
    fn goes_with_contrastive(&self) -> Result<()> {
        let drawing = [
            ("temperature", self.temperature.is_some_and(|temperature| temperature != 0.0)),
            ("dynamicTemperature", self.dynamic_temperature.is_some()),
            ("mirostat", self.mirostat.is_some()),
        ];
        match drawing.iter().chain(&self.filters()).find(|(_, is_set)| *is_set) {
            Some((name, _)) => Err(Error::bad_argument(format!(
                "{name} does not go with contrastive, which draws nothing and says itself how many tokens it weighs (k); leave one of them out"
            ))),
            None => Ok(()),
        }
    }
}

/// A token and what is added to its logit.
fn bias((id, bias): (String, f64)) -> Result<(u32, f32)> {
    let token = id.parse::<u32>();
    let token =
        token.map_err(|_| wrong("logitBias", format!("of {id:?}"), "an object of token ids, like { 42: -5 }"))?;
    if bias == f64::NEG_INFINITY || bias == BAN {
        return Ok((token, f32::NEG_INFINITY));
    }
    within("logitBias", bias, BAN, 100.0)?;
    Ok((token, bias as f32))
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
        refused(GenerateRequest { top_p: Some(0.0), ..none.clone() }, "topP is 0, but must be above 0, to 1");
        refused(GenerateRequest { repetition_penalty: Some(0.0), ..none.clone() }, "repetitionPenalty");
        refused(GenerateRequest { alternatives: Some(21.0), ..none.clone() }, "alternatives");
        refused(GenerateRequest { stop: Some(Strings::One(String::new())), ..none.clone() }, "stop");
        refused(GenerateRequest { overflow: Some("wrap".into()), ..none }, "overflow");
    }

    #[test]
    fn sampling_options_that_do_not_go_together_are_refused_by_name() {
        let asked = |json: &str| serde_json::from_str::<GenerateRequest>(json).unwrap();
        for (json, name) in [
            (r#"{"typicalP": 0}"#, "typicalP is 0, but must be above 0, to 1"),
            (r#"{"topNSigma": -1}"#, "topNSigma is -1"),
            (r#"{"presencePenalty": 11}"#, "presencePenalty is 11"),
            (r#"{"frequencyPenalty": -11}"#, "frequencyPenalty is -11"),
            (r#"{"penaltyWindow": 3}"#, "penaltyWindow is for repetitionPenalty"),
            (r#"{"penaltyWindow": 0, "presencePenalty": 1}"#, "penaltyWindow is 0"),
            (r#"{"minTokens": 9, "maxTokens": 8}"#, "minTokens is 9, but must be from 0 to 8"),
            (r#"{"xtc": {"threshold": 0.6}}"#, "xtc.threshold is 0.6, but must be from 0 to 0.5"),
            (r#"{"xtc": {}, "temperature": 0}"#, "xtc is for texts that are drawn"),
            (r#"{"mirostat": {"tau": 0}}"#, "mirostat.tau is 0, but must be above 0, to 20"),
            (r#"{"mirostat": {}, "topK": 5}"#, "topK does not go with mirostat"),
            (r#"{"dynamicTemperature": {"range": 11}}"#, "dynamicTemperature.range is 11"),
            (r#"{"dry": {"allowed": 1.5}}"#, "dry.allowed is 1.5, but must be a whole number"),
            (r#"{"dry": {"base": 0.5}}"#, "dry.base is 0.5"),
            (r#"{"logitBias": {"the": 1}}"#, "logitBias is of \"the\", but must be an object of token ids"),
            (r#"{"logitBias": {"7": 101}}"#, "logitBias is 101, but must be from -100 to 100"),
            (r#"{"promptLookup": 16}"#, "promptLookup is 16, but must be a whole number from 0 to 15"),
            (r#"{"promptLookup": 4, "ban": "a"}"#, "promptLookup computes several tokens at once, and ban"),
            (r#"{"dry": {"breakers": [""]}}"#, "dry.breakers holds an empty string"),
            (r#"{"ban": ""}"#, "ban is an empty string"),
            (r#"{"contrastive": {"alpha": 0}}"#, "contrastive.alpha is 0, but must be above 0, to 1"),
            (r#"{"contrastive": {"alpha": 1.5}}"#, "contrastive.alpha is 1.5"),
            (r#"{"contrastive": {"k": 1}}"#, "contrastive.k is 1, but must be a whole number from 2 to 64"),
            (r#"{"contrastive": {"k": 1000000}}"#, "contrastive.k is 1000000"),
            (r#"{"contrastive": {}, "temperature": 0.5}"#, "temperature does not go with contrastive"),
            (r#"{"contrastive": {}, "topK": 4}"#, "topK does not go with contrastive"),
            (r#"{"contrastive": {}, "mirostat": {}}"#, "mirostat does not go with contrastive"),
            (r#"{"contrastive": {}, "promptLookup": 4}"#, "promptLookup does not go with contrastive"),
            (r#"{"contrastive": {}, "schema": true}"#, "schema does not go with contrastive"),
            (r#"{"contrastive": {}, "n": 2}"#, "n does not go with contrastive"),
            (r#"{"n": 0}"#, "n is 0, but must be a whole number from 1 to 128"),
            (r#"{"n": 1000000}"#, "n is 1000000"),
        ] {
            refused(asked(json), name);
        }
        refused(GenerateRequest { ban: Some(Strings::One("a".repeat(201))), ..asked("{}") }, "ban is a text of more");
        assert!(serde_json::from_str::<GenerateRequest>(r#"{"xtc": {"treshold": 0.1}}"#).is_err());
        let json = r#"{"logitBias": {"7": -100, "8": 2.5}, "mirostat": {"tau": 3}, "ban": ["a", "b"], "minTokens": 4}"#;
        let options = asked(json).check(&GenerateOptions::default()).unwrap();
        assert_eq!(options.logit_bias, BTreeMap::from([(7, f32::NEG_INFINITY), (8, 2.5)]));
        assert_eq!(options.mirostat, Some(Mirostat { tau: 3.0, eta: 0.1 }));
        assert_eq!((options.ban.len(), options.min_tokens), (2, 4));
        // The filters are off where mirostat is on.
        let params = options.sample_params(1);
        assert_eq!((params.top_k, params.top_p, params.min_p), (0, 1.0, 0.0));
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
