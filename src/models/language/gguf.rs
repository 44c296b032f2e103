//! A configuration from a GGUF's metadata: the keys of the GGUF specification, below the architecture's name.

use super::{
    Architecture, LanguageConfig, Local, Names, Rotary,
    config::{count, every, linear_scale, missing, most, unsupported_scaling},
};
use crate::{
    Error, Result,
    graph::RopeLayout,
    weights::{Metadata, Value},
};

/// Layers of the one Gemma 3 whose queries are scaled by other than a head's width.
const GEMMA3_27B_LAYERS: usize = 62;

impl LanguageConfig {
    /// `embedding` is the shape of the token embedding: the vocabulary is as long as it has rows.
    pub fn from_gguf(metadata: &Metadata, embedding: Option<&[usize]>) -> Result<Self> {
        let architecture = Architecture::of_gguf(metadata.require("general.architecture")?)?;
        let key = |name: &str| format!("{}.{name}", architecture.name());
        let optional = |name: &str, most: u64| -> Result<Option<usize>> {
            let key = key(name);
            metadata.get(&key)?.map(|v| count(&key, v, most)).transpose()
        };
        let needed =
            |name: &str, most: u64| -> Result<usize> { optional(name, most)?.ok_or_else(|| missing(&key(name))) };

        if metadata.get::<u64>(&key("expert_count"))?.is_some_and(|n| n > 0) {
            return Err(Error::unsupported_model(
                "this model is a mixture of experts, which does not run here; use a dense model",
            ));
        }
        for name in ["attention.head_count", "attention.head_count_kv", "feed_forward_length"] {
            let key = key(name);
            if metadata.iter().any(|(k, v)| k == key && matches!(v, Value::Array(_))) {
                let why = format!("{key} differs from layer to layer, which does not run here");
                return Err(Error::unsupported_model(why));
            }
        }

        let dim = needed("embedding_length", most::WIDTH)?;
        let heads = needed("attention.head_count", most::HEADS)?;
        let layers = needed("block_count", most::LAYERS)?;
        let head_dim = optional("attention.key_length", most::WIDTH)?.unwrap_or(dim / heads);
        if let Some(values) = optional("attention.value_length", most::WIDTH)?
            && values != head_dim
        {
            return Err(Error::unsupported_model(format!(
                "keys are {head_dim} wide and values {values}; here they must be equal"
            )));
        }
        let vocabulary = vocabulary(metadata, embedding, optional("vocab_size", most::VOCABULARY)?)?;
        let gemma = architecture == Architecture::Gemma3;
        let norm = if architecture.has_layer_norms() { "layer_norm_epsilon" } else { "layer_norm_rms_epsilon" };
        let base: Option<f32> = metadata.get(&key("rope.freq_base"))?;
        let rotary = Rotary {
            base: base.unwrap_or(if gemma { 1_000_000.0 } else { 10_000.0 }),
            frequency_scale: frequency_scale(metadata, &key)?,
            dim: optional("rope.dimension_count", most::WIDTH)?.unwrap_or(head_dim),
            // llama.cpp permutes the rows of Llama's q and k, and no others.
            layout: if architecture == Architecture::Llama { RopeLayout::Interleaved } else { RopeLayout::HalfSplit },
            factors: None,
        };
        let window = if gemma { optional("attention.sliding_window", most::CONTEXT)? } else { None };
        let local = match window {
            Some(window) => {
                let pattern = optional("attention.sliding_window_pattern", most::LAYERS)?.unwrap_or(6);
                let base = metadata.get(&key("rope.freq_base_swa"))?.unwrap_or(10_000.0);
                Some(Local { window, layers: every(pattern, layers), base })
            }
            None => None,
        };
        let scaled_by = if gemma && layers == GEMMA3_27B_LAYERS { dim / heads } else { head_dim };
        Ok(Self {
            architecture,
            vocabulary,
            dim,
            layers,
            heads,
            kv_heads: optional("attention.head_count_kv", most::HEADS)?.unwrap_or(heads),
            head_dim,
            feed_forward: needed("feed_forward_length", most::WIDTH)?,
            context_length: needed("context_length", most::CONTEXT)?,
            eps: metadata.require(&key(&format!("attention.{norm}")))?,
            attention_scale: 1.0 / (scaled_by as f32).sqrt(),
            embedding_scale: gemma.then(|| (dim as f32).sqrt()),
            rotary: (architecture != Architecture::Gpt2).then_some(rotary),
            local,
            tied: None,
            names: Names::Gguf,
        })
    }
}

fn vocabulary(metadata: &Metadata, embedding: Option<&[usize]>, said: Option<usize>) -> Result<usize> {
    let vocabulary = match embedding {
        Some(&[rows, _]) => count("the number of rows of token_embd.weight", rows as u64, most::VOCABULARY)?,
        _ => return Err(missing("a weight token_embd.weight of two dimensions")),
    };
    if let Some(said) = said
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
    Ok(vocabulary)
}

fn frequency_scale(metadata: &Metadata, key: &impl Fn(&str) -> String) -> Result<f32> {
    let scaling = metadata.get(&key("rope.scaling.type"))?.unwrap_or("linear");
    let factor: Option<f32> = metadata.get(&key("rope.scaling.factor"))?.or(metadata.get(&key("rope.scale_linear"))?);
    match (scaling, factor) {
        ("none", _) | ("linear", None) => Ok(1.0),
        ("linear", Some(factor)) => linear_scale("rope.scaling.factor", f64::from(factor)),
        (other, _) => Err(unsupported_scaling(other)),
    }
}
