//! A configuration from a GGUF's metadata: the keys of the GGUF specification, below the architecture's name.

use super::{
    config::{Block, LanguageConfig, Rotary, count, linear_scale, missing, most, unsupported_scaling},
    names,
};
use crate::{
    Error, Result,
    graph::RopeLayout,
    weights::{Metadata, Value},
};

/// A GGUF's metadata, read below its architecture's name.
pub(super) struct Gguf<'a> {
    pub metadata: &'a Metadata,
    pub architecture: &'static str,
    /// The shape of the token embedding.
    pub embedding: Option<&'a [usize]>,
}

impl Gguf<'_> {
    pub fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    pub fn optional(&self, name: &str, most: u64) -> Result<Option<usize>> {
        let key = self.key(name);
        self.metadata.get(&key)?.map(|v| count(&key, v, most)).transpose()
    }

    fn needed(&self, name: &str, most: u64) -> Result<usize> {
        self.optional(name, most)?.ok_or_else(|| missing(&self.key(name)))
    }

    /// What every family says, of layers that are made so; without positions that turn.
    pub fn decoder(&self, block: Block) -> Result<LanguageConfig> {
        let Self { metadata, architecture, .. } = *self;
        if metadata.get::<u64>(&self.key("expert_count"))?.is_some_and(|n| n > 0) {
            return Err(Error::unsupported_model(
                "this model is a mixture of experts, which does not run here; use a dense model",
            ));
        }
        for name in ["attention.head_count", "attention.head_count_kv", "feed_forward_length"] {
            let key = self.key(name);
            if metadata.iter().any(|(k, v)| k == key && matches!(v, Value::Array(_))) {
                let why = format!("{key} differs from layer to layer, which does not run here");
                return Err(Error::unsupported_model(why));
            }
        }
        let dim = self.needed("embedding_length", most::WIDTH)?;
        let heads = self.needed("attention.head_count", most::HEADS)?;
        let layers = self.needed("block_count", most::LAYERS)?;
        let head_dim = self.optional("attention.key_length", most::WIDTH)?.unwrap_or(dim / heads);
        if let Some(values) = self.optional("attention.value_length", most::WIDTH)?
            && values != head_dim
        {
            return Err(Error::unsupported_model(format!(
                "keys are {head_dim} wide and values {values}; here they must be equal"
            )));
        }
        let said = self.optional("vocab_size", most::VOCABULARY)?;
        let norm = if block.layer_norms { "layer_norm_epsilon" } else { "layer_norm_rms_epsilon" };
        Ok(LanguageConfig {
            architecture,
            block,
            vocabulary: vocabulary(metadata, self.embedding, said)?,
            dim,
            layers,
            heads,
            kv_heads: self.optional("attention.head_count_kv", most::HEADS)?.unwrap_or(heads),
            head_dim,
            feed_forward: self.needed("feed_forward_length", most::WIDTH)?,
            context_length: self.needed("context_length", most::CONTEXT)?,
            eps: metadata.require(&self.key(&format!("attention.{norm}")))?,
            attention_scale: 1.0 / (head_dim as f32).sqrt(),
            embedding_scale: None,
            rotary: None,
            local: None,
            tied: None,
            names: &names::GGUF,
        })
    }

    /// How heads of `head_dim` turn, by `base` unless the file says another.
    pub fn rotary(&self, head_dim: usize, base: f32, layout: RopeLayout) -> Result<Rotary> {
        let said: Option<f32> = self.metadata.get(&self.key("rope.freq_base"))?;
        Ok(Rotary {
            base: said.unwrap_or(base),
            frequency_scale: self.frequency_scale()?,
            dim: self.optional("rope.dimension_count", most::WIDTH)?.unwrap_or(head_dim),
            layout,
            factors: None,
        })
    }

    fn frequency_scale(&self) -> Result<f32> {
        let scaling = self.metadata.get(&self.key("rope.scaling.type"))?.unwrap_or("linear");
        let factor: Option<f32> = self.metadata.get(&self.key("rope.scaling.factor"))?;
        match (scaling, factor.or(self.metadata.get(&self.key("rope.scale_linear"))?)) {
            ("none", _) | ("linear", None) => Ok(1.0),
            ("linear", Some(factor)) => linear_scale("rope.scaling.factor", f64::from(factor)),
            (other, _) => Err(unsupported_scaling(other)),
        }
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
