//! A configuration from a GGUF's metadata: the keys of the GGUF specification, below the architecture's name.

use super::{
    config::{Block, LanguageConfig, Long, Rotary, Sizes, count, missing, most, unsupported_scaling},
    graph::LONG_ROPE_FACTORS,
    names,
    rope_scaling::{Scaling, yarn_magnitude},
};
use crate::{
    Error, Result,
    graph::RopeLayout,
    models::Tensors,
    weights::{Metadata, Value},
};

/// A GGUF's metadata, read below its architecture's name.
pub(super) struct Gguf<'a> {
    pub metadata: &'a Metadata,
    pub architecture: &'static str,
    pub tensors: &'a dyn Tensors,
}

impl Gguf<'_> {
    pub fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    pub fn optional(&self, name: &str, most: u64) -> Result<Option<usize>> {
        let key = self.key(name);
        self.metadata.get(&key)?.map(|v| count(&key, v, most)).transpose()
    }

    pub fn needed(&self, name: &str, most: u64) -> Result<usize> {
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
        for name in ["attention.head_count", "feed_forward_length"] {
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
        let norm = if block.layer_norms { "layer_norm_epsilon" } else { "layer_norm_rms_epsilon" };
        let sizes = Sizes {
            vocabulary: self.vocabulary()?,
            dim,
            layers,
            heads,
            kv_heads: self.kv_heads()?.unwrap_or(heads),
            head_dim,
            feed_forward: self.needed("feed_forward_length", most::WIDTH)?,
            context_length: self.needed("context_length", most::CONTEXT)?,
            eps: metadata.require(&self.key(&format!("attention.{norm}")))?,
        };
        Ok(LanguageConfig::plain(architecture, block, &names::GGUF, sizes))
    }

    /// Of those layers that have any.
    fn kv_heads(&self) -> Result<Option<usize>> {
        let key = self.key("attention.head_count_kv");
        let is_list = self.metadata.iter().any(|(k, v)| k == key && matches!(v, Value::Array(_)));
        if !is_list {
            return self.optional("attention.head_count_kv", most::HEADS);
        }
        let heads: Vec<u64> = self.metadata.require(&key)?;
        let mut some = heads.into_iter().filter(|heads| *heads > 0);
        let Some(first) = some.next() else { return Err(missing(&key)) };
        if some.any(|heads| heads != first) {
            return Err(Error::unsupported_model(format!(
                "{key} differs from layer to layer, which does not run here"
            )));
        }
        count(&key, first, most::HEADS).map(Some)
    }

    /// As many tokens as the token embedding has rows.
    pub fn vocabulary(&self) -> Result<usize> {
        vocabulary(self.metadata, self.tensors, self.optional("vocab_size", most::VOCABULARY)?)
    }

    /// A number that may be missing.
    pub fn number(&self, name: &str) -> Result<Option<f32>> {
        self.metadata.get(&self.key(name))
    }

    /// How many tokens a layer with a window sees; none where the file says 0.
    pub fn window(&self) -> Result<Option<usize>> {
        match self.metadata.get::<u64>(&self.key("attention.sliding_window"))? {
            Some(0) => Ok(None),
            _ => self.optional("attention.sliding_window", most::CONTEXT),
        }
    }

    /// How heads of `head_dim` turn, by `base` unless the file says another. LongRoPE is told by its divisors, which stand among the tensors.
    pub fn rotary(&self, head_dim: usize, base: f32, layout: RopeLayout) -> Result<Rotary> {
        let base = self.number("rope.freq_base")?.unwrap_or(base);
        let dim = self.optional("rope.dimension_count", most::WIDTH)?.unwrap_or(head_dim);
        let rotary = Rotary::plain(dim, base, layout);
        let magnitude = f64::from(self.number("rope.scaling.attn_factor")?.unwrap_or(1.0));
        let original = self.optional("rope.scaling.original_context_length", most::CONTEXT)?;
        let in_file = LONG_ROPE_FACTORS.iter().any(|name| self.tensors.tensor(name).is_some());
        let kind = self.metadata.get(&self.key("rope.scaling.type"))?.unwrap_or("linear");
        let factor = self.number("rope.scaling.factor")?.or(self.number("rope.scale_linear")?).map(f64::from);
        let needed = |key: &str| missing(&self.key(&format!("rope.scaling.{key}")));
        match if in_file && kind == "linear" { "longrope" } else { kind } {
            "none" => Ok(rotary),
            "linear" => factor.map_or(Ok(rotary.clone()), |factor| rotary.scaled(Scaling::Linear { factor })),
            "yarn" => {
                let factor = factor.ok_or_else(|| needed("factor"))?;
                let beta = |name: &str, usual: f32| Ok::<_, Error>(f64::from(self.number(name)?.unwrap_or(usual)));
                rotary.scaled(Scaling::Yarn {
                    factor,
                    original: original.ok_or_else(|| needed("original_context_length"))? as f64,
                    beta_fast: beta("rope.scaling.yarn_beta_fast", 32.0)?,
                    beta_slow: beta("rope.scaling.yarn_beta_slow", 1.0)?,
                    truncate: true,
                    magnitude: magnitude * yarn_magnitude(factor, 1.0),
                })
            }
            "longrope" => {
                let original = original.ok_or_else(|| needed("original_context_length"))?;
                rotary.scaled(Scaling::LongRope { long: Long { original, factors: None }, magnitude })
            }
            other => Err(unsupported_scaling(other)),
        }
    }
}

fn vocabulary(metadata: &Metadata, tensors: &dyn Tensors, said: Option<usize>) -> Result<usize> {
    let vocabulary = match tensors.tensor("token_embd.weight") {
        Some((_, &[rows, _])) => count("the number of rows of token_embd.weight", rows as u64, most::VOCABULARY)?,
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
