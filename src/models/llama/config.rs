//! What a Llama is made of, read from a GGUF's metadata (the keys of the GGUF specification) or a `config.json`.

use std::f64::consts::TAU;

use serde_json::Value;

use super::Part;
use crate::{
    Error, Result,
    graph::RopeLayout,
    models::check_architecture,
    weights::{Metadata, Value as MetadataValue},
};

/// The numbers of a Llama.
#[derive(Debug, Clone, PartialEq)]
pub struct LlamaConfig {
    pub vocabulary: usize,
    /// Width of the residual stream.
    pub dim: usize,
    pub layers: usize,
    pub heads: usize,
    /// Key and value heads; each serves `heads / kv_heads` query heads.
    pub kv_heads: usize,
    pub head_dim: usize,
    pub feed_forward: usize,
    /// The most tokens that the model was made for.
    pub context_length: usize,
    pub rms_eps: f32,
    pub rope_base: f32,
    /// Every rotary frequency is multiplied by this (1 / factor of linear scaling).
    pub rope_frequency_scale: f32,
    /// How many numbers of each head are turned.
    pub rotary_dim: usize,
    pub rope_layout: RopeLayout,
    /// One divisor for each rotated pair, where they follow from the configuration (Llama 3 in a `config.json`).
    pub rope_factors: Option<Vec<f32>>,
    /// Whether the embedding serves as output; `None`: it does where the file has no output of its own.
    pub tied: Option<bool>,
    pub names: Names,
}

/// How the weights are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// `blk.0.attn_q.weight`
    Gguf,
    /// `model.layers.0.self_attn.q_proj.weight`
    HuggingFace,
}

impl Names {
    pub fn token_embedding(self) -> &'static str {
        match self {
            Self::Gguf => "token_embd.weight",
            Self::HuggingFace => "model.embed_tokens.weight",
        }
    }

    pub fn output_norm(self) -> &'static str {
        match self {
            Self::Gguf => "output_norm.weight",
            Self::HuggingFace => "model.norm.weight",
        }
    }

    pub fn output(self) -> &'static str {
        match self {
            Self::Gguf => "output.weight",
            Self::HuggingFace => "lm_head.weight",
        }
    }

    /// A weight of layer `i`.
    pub(super) fn layer(self, i: usize, part: Part) -> String {
        let (gguf, hugging_face) = match part {
            Part::AttentionNorm => ("attn_norm", "input_layernorm"),
            Part::Query => ("attn_q", "self_attn.q_proj"),
            Part::Key => ("attn_k", "self_attn.k_proj"),
            Part::Value => ("attn_v", "self_attn.v_proj"),
            Part::AttentionOutput => ("attn_output", "self_attn.o_proj"),
            Part::FeedForwardNorm => ("ffn_norm", "post_attention_layernorm"),
            Part::Gate => ("ffn_gate", "mlp.gate_proj"),
            Part::Up => ("ffn_up", "mlp.up_proj"),
            Part::Down => ("ffn_down", "mlp.down_proj"),
        };
        match self {
            Self::Gguf => format!("blk.{i}.{gguf}.weight"),
            Self::HuggingFace => format!("model.layers.{i}.{hugging_face}.weight"),
        }
    }
}

/// Larger numbers than any model has, so that products of two stay far from overflow on a 32-bit machine's tensors.
mod most {
    pub const VOCABULARY: u64 = 1 << 24;
    pub const WIDTH: u64 = 1 << 20;
    pub const LAYERS: u64 = 1 << 12;
    pub const HEADS: u64 = 1 << 12;
    pub const CONTEXT: u64 = 1 << 28;
}

/// A count between 1 and `most`, or a corrupt file that names the key.
fn count(key: &str, value: u64, most: u64) -> Result<usize> {
    if value == 0 || value > most {
        return Err(Error::corrupt_file(format!(
            "{key} is {value}, and a sane model has between 1 and {most}; the file's configuration is damaged"
        )));
    }
    usize::try_from(value).map_err(|e| Error::corrupt_file(format!("{key} is {value}, too large here")).caused_by(e))
}

fn missing(key: &str) -> Error {
    Error::corrupt_file(format!("the configuration lacks {key}; the file is no whole Llama model"))
}

impl LlamaConfig {
    /// Reads `llama.*`. `embedding` is the shape of the token embedding: the vocabulary is as long as it has rows.
    pub fn from_gguf(metadata: &Metadata, embedding: Option<&[usize]>) -> Result<Self> {
        let architecture: &str = metadata.require("general.architecture")?;
        check_architecture(architecture)?;
        let key = |name: &str| format!("{architecture}.{name}");
        let optional = |name: &str, most: u64| -> Result<Option<usize>> {
            let key = key(name);
            metadata.get(&key)?.map(|v| count(&key, v, most)).transpose()
        };
        let needed =
            |name: &str, most: u64| -> Result<usize> { optional(name, most)?.ok_or_else(|| missing(&key(name))) };

        if metadata.get::<u64>(&key("expert_count"))?.is_some_and(|n| n > 0) {
            return Err(Error::unsupported_model(
                "this Llama is a mixture of experts, which does not run here; use a dense model",
            ));
        }
        for name in ["attention.head_count", "attention.head_count_kv", "feed_forward_length"] {
            let key = key(name);
            if metadata.iter().any(|(k, v)| k == key && matches!(v, MetadataValue::Array(_))) {
                let why = format!("{key} differs from layer to layer, which does not run here");
                return Err(Error::unsupported_model(why));
            }
        }

        let dim = needed("embedding_length", most::WIDTH)?;
        let heads = needed("attention.head_count", most::HEADS)?;
        let head_dim = optional("attention.key_length", most::WIDTH)?.unwrap_or(dim / heads);
        if let Some(values) = optional("attention.value_length", most::WIDTH)?
            && values != head_dim
        {
            return Err(Error::unsupported_model(format!(
                "keys are {head_dim} wide and values {values}; a Llama has them equal"
            )));
        }
        let vocabulary = match embedding {
            Some(&[rows, _]) => count("the number of rows of token_embd.weight", rows as u64, most::VOCABULARY)?,
            _ => return Err(missing("a weight token_embd.weight of two dimensions")),
        };
        if let Some(said) = optional("vocab_size", most::VOCABULARY)?
            && said > vocabulary
        {
            return Err(Error::corrupt_file(format!(
                "the configuration speaks of {said} tokens, and token_embd.weight has rows for {vocabulary}"
            )));
        }
        if let Some(tokens) = metadata.get::<Vec<&str>>("tokenizer.ggml.tokens")?.map(|t| t.len())
            && tokens > vocabulary
        {
            return Err(Error::corrupt_file(format!(
                "the tokenizer has {tokens} tokens, and token_embd.weight has rows for {vocabulary}; they do not belong together"
            )));
        }

        let scaling = metadata.get(&key("rope.scaling.type"))?.unwrap_or("linear");
        let factor: Option<f32> =
            metadata.get(&key("rope.scaling.factor"))?.or(metadata.get(&key("rope.scale_linear"))?);
        let rope_frequency_scale = match (scaling, factor) {
            ("none", _) | ("linear", None) => 1.0,
            ("linear", Some(factor)) => linear_scale("rope.scaling.factor", f64::from(factor))?,
            (other, _) => return Err(unsupported_scaling(other)),
        };
        Ok(Self {
            vocabulary,
            dim,
            layers: needed("block_count", most::LAYERS)?,
            heads,
            kv_heads: optional("attention.head_count_kv", most::HEADS)?.unwrap_or(heads),
            head_dim,
            feed_forward: needed("feed_forward_length", most::WIDTH)?,
            context_length: needed("context_length", most::CONTEXT)?,
            rms_eps: metadata.require(&key("attention.layer_norm_rms_epsilon"))?,
            rope_base: metadata.get(&key("rope.freq_base"))?.unwrap_or(10_000.0),
            rope_frequency_scale,
            rotary_dim: optional("rope.dimension_count", most::WIDTH)?.unwrap_or(head_dim),
            rope_layout: RopeLayout::Interleaved,
            rope_factors: None,
            tied: None,
            names: Names::Gguf,
        })
    }

    /// Reads the text of a `config.json` as `transformers` writes it for `LlamaForCausalLM`.
    pub fn from_hugging_face(json: &str) -> Result<Self> {
        let config: Value = serde_json::from_str(json)
            .map_err(|e| Error::corrupt_file("config.json is not JSON; fetch it again").caused_by(e))?;
        check_architecture(config["model_type"].as_str().ok_or_else(|| missing("model_type"))?)?;
        let optional = |key: &str, most: u64| -> Result<Option<usize>> {
            match &config[key] {
                Value::Null => Ok(None),
                Value::Number(n) if n.is_u64() => count(key, n.as_u64().unwrap_or(0), most).map(Some),
                other => Err(Error::corrupt_file(format!("{key} in config.json is {other}, not a count"))),
            }
        };
        let needed = |key: &str, most: u64| -> Result<usize> { optional(key, most)?.ok_or_else(|| missing(key)) };
        if let Some(act) = config["hidden_act"].as_str()
            && !matches!(act, "silu" | "swish")
        {
            return Err(Error::unsupported_model(format!(
                "the activation {act:?} does not run here; a Llama has silu"
            )));
        }

        let dim = needed("hidden_size", most::WIDTH)?;
        let heads = needed("num_attention_heads", most::HEADS)?;
        let head_dim = optional("head_dim", most::WIDTH)?.unwrap_or(dim / heads);
        // `rope_parameters` is where newer versions write both the base and the scaling.
        let rope = [&config["rope_parameters"], &config["rope_scaling"]].into_iter().find(|v| v.is_object());
        let base = config["rope_theta"].as_f64().or_else(|| rope?["rope_theta"].as_f64()).unwrap_or(10_000.0);
        let mut parsed = Self {
            vocabulary: needed("vocab_size", most::VOCABULARY)?,
            dim,
            layers: needed("num_hidden_layers", most::LAYERS)?,
            heads,
            kv_heads: optional("num_key_value_heads", most::HEADS)?.unwrap_or(heads),
            head_dim,
            feed_forward: needed("intermediate_size", most::WIDTH)?,
            context_length: needed("max_position_embeddings", most::CONTEXT)?,
            rms_eps: config["rms_norm_eps"].as_f64().ok_or_else(|| missing("rms_norm_eps"))? as f32,
            rope_base: base as f32,
            rope_frequency_scale: 1.0,
            rotary_dim: head_dim,
            rope_layout: RopeLayout::HalfSplit,
            rope_factors: None,
            tied: config["tie_word_embeddings"].as_bool().or(Some(false)),
            names: Names::HuggingFace,
        };
        if let Some(rope) = rope {
            let number = |key: &str| rope[key].as_f64().ok_or_else(|| missing(&format!("rope_scaling.{key}")));
            match rope["rope_type"].as_str().or(rope["type"].as_str()).unwrap_or("default") {
                "default" => {}
                "linear" => parsed.rope_frequency_scale = linear_scale("rope_scaling.factor", number("factor")?)?,
                "llama3" => {
                    parsed.check()?;
                    parsed.rope_factors = Some(llama3_factors(
                        parsed.rotary_dim,
                        base,
                        number("factor")?,
                        number("low_freq_factor")?,
                        number("high_freq_factor")?,
                        number("original_max_position_embeddings")?,
                    )?);
                }
                other => return Err(unsupported_scaling(other)),
            }
        }
        Ok(parsed)
    }

    /// Whether the numbers fit each other; a corrupt file where they do not.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |why: String| Err(Error::corrupt_file(format!("{why}; the file's configuration is damaged")));
        if self.kv_heads == 0 || !self.heads.is_multiple_of(self.kv_heads) {
            return wrong(format!("{} heads cannot share {} key heads", self.heads, self.kv_heads));
        }
        if self.head_dim == 0 || self.rotary_dim > self.head_dim || !self.rotary_dim.is_multiple_of(2) {
            return wrong(format!("heads are {} wide and {} numbers of each turn", self.head_dim, self.rotary_dim));
        }
        if self.heads.checked_mul(self.head_dim).is_none_or(|n| n as u64 > most::WIDTH) {
            return wrong(format!("{} heads of {} are wider than any model", self.heads, self.head_dim));
        }
        if !(self.rms_eps.is_finite() && self.rms_eps >= 0.0) {
            return wrong(format!("the norms' epsilon is {}", self.rms_eps));
        }
        if !(self.rope_base.is_finite() && self.rope_base > 0.0) {
            return wrong(format!("the base of the rotary frequencies is {}", self.rope_base));
        }
        Ok(())
    }
}

fn unsupported_scaling(kind: &str) -> Error {
    Error::unsupported_model(format!(
        "rotary scaling of the kind {kind:?} does not run here; these do: none, linear, llama3"
    ))
}

fn linear_scale(key: &str, factor: f64) -> Result<f32> {
    // Converters write 0 for "none".
    if factor == 0.0 {
        return Ok(1.0);
    }
    if !(factor.is_finite() && factor > 0.0) {
        return Err(Error::corrupt_file(format!("{key} is {factor}; the file's configuration is damaged")));
    }
    Ok((1.0 / factor) as f32)
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
