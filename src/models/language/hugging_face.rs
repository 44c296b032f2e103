//! A configuration from a `config.json` as `transformers` writes it.

use std::f64::consts::TAU;

use serde_json::Value;

use super::{
    Architecture, LanguageConfig, Local, Names, Rotary,
    config::{count, every, linear_scale, missing, most, unsupported_scaling},
};
use crate::{Error, Result, graph::RopeLayout};

/// The values of a `config.json` by their keys.
struct Config(Value);

impl Config {
    fn optional(&self, key: &str, most: u64) -> Result<Option<usize>> {
        match &self.0[key] {
            Value::Null => Ok(None),
            Value::Number(n) if n.is_u64() => count(key, n.as_u64().unwrap_or(0), most).map(Some),
            other => Err(Error::corrupt_file(format!("{key} in config.json is {other}, not a count"))),
        }
    }

    fn needed(&self, key: &str, most: u64) -> Result<usize> {
        self.optional(key, most)?.ok_or_else(|| missing(key))
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.0[key].as_f64()
    }

    /// Refuses an activation that is not among `known`.
    fn check_activation(&self, key: &str, known: &[&str]) -> Result<()> {
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
    /// Reads the text of a `config.json`. `prefixed` says whether the file's weights are named below `transformer.`, as some of GPT-2's are.
    pub fn from_hugging_face(json: &str, prefixed: bool) -> Result<Self> {
        let config: Value = serde_json::from_str(json)
            .map_err(|e| Error::corrupt_file("config.json is not JSON; fetch it again").caused_by(e))?;
        let architecture =
            Architecture::of_model_type(config["model_type"].as_str().ok_or_else(|| missing("model_type"))?)?;
        let config = Config(config);
        match architecture {
            Architecture::Llama | Architecture::Qwen3 => llama(architecture, &config),
            Architecture::Gpt2 => gpt2(&config, prefixed),
            Architecture::Gemma3 => gemma3(&config),
        }
    }
}

/// Llama, and all that is named and numbered like it.
fn llama(architecture: Architecture, config: &Config) -> Result<LanguageConfig> {
    config.check_activation("hidden_act", &["silu", "swish"])?;
    if config.0["use_sliding_window"] == true {
        return Err(Error::unsupported_model("sliding windows in a Qwen do not run here; use a model without them"));
    }
    let dim = config.needed("hidden_size", most::WIDTH)?;
    let heads = config.needed("num_attention_heads", most::HEADS)?;
    let default = if architecture == Architecture::Llama { dim / heads } else { 128 };
    let head_dim = config.optional("head_dim", most::WIDTH)?.unwrap_or(default);
    // `rope_parameters` is where newer versions write both the base and the scaling.
    let rope = [&config.0["rope_parameters"], &config.0["rope_scaling"]].into_iter().find(|v| v.is_object());
    let base = config.number("rope_theta").or_else(|| rope?["rope_theta"].as_f64()).unwrap_or(10_000.0);
    let parsed = LanguageConfig {
        architecture,
        vocabulary: config.needed("vocab_size", most::VOCABULARY)?,
        dim,
        layers: config.needed("num_hidden_layers", most::LAYERS)?,
        heads,
        kv_heads: config.optional("num_key_value_heads", most::HEADS)?.unwrap_or(heads),
        head_dim,
        feed_forward: config.needed("intermediate_size", most::WIDTH)?,
        context_length: config.needed("max_position_embeddings", most::CONTEXT)?,
        eps: config.number("rms_norm_eps").ok_or_else(|| missing("rms_norm_eps"))? as f32,
        attention_scale: 1.0 / (head_dim as f32).sqrt(),
        embedding_scale: None,
        rotary: Some(rotary(head_dim, base)),
        local: None,
        tied: config.0["tie_word_embeddings"].as_bool().or(Some(false)),
        names: Names::HuggingFace,
    };
    match rope {
        Some(rope) => scaled(parsed, base, rope),
        None => Ok(parsed),
    }
}

fn gpt2(config: &Config, prefixed: bool) -> Result<LanguageConfig> {
    config.check_activation("activation_function", &["gelu_new", "gelu_pytorch_tanh"])?;
    if config.0["scale_attn_weights"] == false || config.0["scale_attn_by_inverse_layer_idx"] == true {
        return Err(Error::unsupported_model(
            "this GPT-2 scales its attention in another way than all others; use one of those",
        ));
    }
    let dim = config.needed("n_embd", most::WIDTH)?;
    let heads = config.needed("n_head", most::HEADS)?;
    let head_dim = dim / heads;
    Ok(LanguageConfig {
        architecture: Architecture::Gpt2,
        vocabulary: config.needed("vocab_size", most::VOCABULARY)?,
        dim,
        layers: config.needed("n_layer", most::LAYERS)?,
        heads,
        kv_heads: heads,
        head_dim,
        feed_forward: config.optional("n_inner", most::WIDTH)?.unwrap_or(4 * dim),
        context_length: config.needed("n_positions", most::CONTEXT)?,
        eps: config.number("layer_norm_epsilon").unwrap_or(1e-5) as f32,
        attention_scale: 1.0 / (head_dim as f32).sqrt(),
        embedding_scale: None,
        rotary: None,
        local: None,
        tied: config.0["tie_word_embeddings"].as_bool().or(Some(true)),
        names: Names::HuggingFaceGpt2 { prefixed },
    })
}

fn gemma3(config: &Config) -> Result<LanguageConfig> {
    config.check_activation("hidden_activation", &["gelu_pytorch_tanh"])?;
    for key in ["final_logit_softcapping", "attn_logit_softcapping"] {
        if config.number(key).is_some() {
            return Err(Error::unsupported_model(format!("{key} does not run here; use a Gemma 3 as it is published")));
        }
    }
    if config.0["use_bidirectional_attention"] == true {
        return Err(Error::unsupported_model("this Gemma 3 embeds texts and writes none; use one that writes"));
    }
    let dim = config.needed("hidden_size", most::WIDTH)?;
    let layers = config.needed("num_hidden_layers", most::LAYERS)?;
    let head_dim = config.optional("head_dim", most::WIDTH)?.unwrap_or(256);
    let window = config.optional("sliding_window", most::CONTEXT)?.unwrap_or(4096);
    let kinds = match &config.0["layer_types"] {
        Value::Array(kinds) => kinds.iter().map(|kind| kind == "sliding_attention").collect(),
        _ => {
            let pattern = ["sliding_window_pattern", "_sliding_window_pattern"];
            let pattern = pattern.iter().find_map(|key| config.optional(key, most::LAYERS).transpose());
            every(pattern.transpose()?.unwrap_or(6), layers)
        }
    };
    // Newer versions write the two bases below `rope_parameters`.
    let ropes = &config.0["rope_parameters"];
    let base = |key: &str, kind: &str, default: f64| {
        config.number(key).or_else(|| ropes[kind]["rope_theta"].as_f64()).unwrap_or(default)
    };
    let global = base("rope_theta", "full_attention", 1_000_000.0);
    let local =
        Local { window, layers: kinds, base: base("rope_local_base_freq", "sliding_attention", 10_000.0) as f32 };
    let heads = config.needed("num_attention_heads", most::HEADS)?;
    let parsed = LanguageConfig {
        architecture: Architecture::Gemma3,
        vocabulary: config.needed("vocab_size", most::VOCABULARY)?,
        dim,
        layers,
        heads,
        kv_heads: config.optional("num_key_value_heads", most::HEADS)?.unwrap_or(heads),
        head_dim,
        feed_forward: config.needed("intermediate_size", most::WIDTH)?,
        context_length: config.needed("max_position_embeddings", most::CONTEXT)?,
        eps: config.number("rms_norm_eps").unwrap_or(1e-6) as f32,
        attention_scale: 1.0 / config.number("query_pre_attn_scalar").unwrap_or(256.0).sqrt() as f32,
        embedding_scale: Some((dim as f32).sqrt()),
        rotary: Some(rotary(head_dim, global)),
        local: Some(local),
        tied: config.0["tie_word_embeddings"].as_bool().or(Some(true)),
        names: Names::HuggingFaceGemma3,
    };
    let rope = [&config.0["rope_scaling"], &ropes["full_attention"]].into_iter().find(|v| v.is_object());
    match rope {
        Some(rope) => scaled(parsed, global, rope),
        None => Ok(parsed),
    }
}

fn rotary(head_dim: usize, base: f64) -> Rotary {
    Rotary { base: base as f32, frequency_scale: 1.0, dim: head_dim, layout: RopeLayout::HalfSplit, factors: None }
}

/// The configuration with its rotary frequencies scaled as `rope` says.
fn scaled(mut config: LanguageConfig, base: f64, rope: &Value) -> Result<LanguageConfig> {
    config.check()?;
    let Some(rotary) = &mut config.rotary else { return Ok(config) };
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
    Ok(config)
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
