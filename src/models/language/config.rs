//! What a language model is made of, whatever file said so.

use super::names::Names;
use crate::{
    Error, Result,
    graph::{RopeLayout, Unary},
};

/// The numbers of a language model.
#[derive(Debug, Clone, PartialEq)]
pub struct LanguageConfig {
    /// As `general.architecture` of a GGUF spells it.
    pub architecture: &'static str,
    pub block: Block,
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
    /// Of the norms.
    pub eps: f32,
    /// What the products of queries and keys are multiplied by.
    pub attention_scale: f32,
    /// What the rows of the embedding are multiplied by, where they are.
    pub embedding_scale: Option<f32>,
    /// How heads turn with their position; `None`: positions are learned.
    pub rotary: Option<Rotary>,
    /// Layers that see the last few tokens alone.
    pub local: Option<Local>,
    /// Whether the embedding serves as output; `None`: it does where the file has no output of its own.
    pub tied: Option<bool>,
    pub names: &'static Names,
}

/// What a layer is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block {
    /// LayerNorm with a bias, else RMSNorm.
    pub layer_norms: bool,
    /// Queries and keys are normed head by head before they turn.
    pub head_norms: bool,
    /// What attention and feed-forward layer give is normed before it is added.
    pub result_norms: bool,
    /// Query, key and value are rows of one weight.
    pub fused_attention: bool,
    /// Every layer has its bias. Where not, one that is in the file is taken.
    pub biases: bool,
    /// The feed-forward layer is `down(f(gate) · up)`, else `down(f(up))`.
    pub gated: bool,
    /// That f.
    pub activation: Unary,
}

impl Block {
    pub const LLAMA: Self = Self {
        layer_norms: false,
        head_norms: false,
        result_norms: false,
        fused_attention: false,
        biases: false,
        gated: true,
        activation: Unary::Silu,
    };
}

/// A rotary position embedding (arXiv 2104.09864).
#[derive(Debug, Clone, PartialEq)]
pub struct Rotary {
    pub base: f32,
    /// Every frequency is multiplied by this (1 / factor of linear scaling).
    pub frequency_scale: f32,
    /// How many numbers of each head are turned.
    pub dim: usize,
    pub layout: RopeLayout,
    /// One divisor for each rotated pair, where they follow from the configuration (Llama 3 in a `config.json`).
    pub factors: Option<Vec<f32>>,
}

/// Layers with a sliding window (arXiv 2004.05150).
#[derive(Debug, Clone, PartialEq)]
pub struct Local {
    /// Tokens that a token of such a layer sees, itself among them.
    pub window: usize,
    /// Which layers have one.
    pub layers: Vec<bool>,
    /// Of these layers' rotary frequencies, which are not scaled.
    pub base: f32,
}

/// Larger numbers than any model has, so that products of two stay far from overflow on a 32-bit machine's tensors.
pub(super) mod most {
    pub const VOCABULARY: u64 = 1 << 24;
    pub const WIDTH: u64 = 1 << 20;
    pub const LAYERS: u64 = 1 << 12;
    pub const HEADS: u64 = 1 << 12;
    pub const CONTEXT: u64 = 1 << 28;
}

/// A count between 1 and `most`, or a corrupt file that names the key.
pub(super) fn count(key: &str, value: u64, most: u64) -> Result<usize> {
    if value == 0 || value > most {
        return Err(Error::corrupt_file(format!(
            "{key} is {value}, and a sane model has between 1 and {most}; the file's configuration is damaged"
        )));
    }
    usize::try_from(value).map_err(|e| Error::corrupt_file(format!("{key} is {value}, too large here")).caused_by(e))
}

pub(super) fn missing(key: &str) -> Error {
    Error::corrupt_file(format!("the configuration lacks {key}; the file is no whole language model"))
}

pub(super) fn unsupported_scaling(kind: &str) -> Error {
    Error::unsupported_model(format!(
        "rotary scaling of the kind {kind:?} does not run here; these do: none, linear, llama3"
    ))
}

pub(super) fn linear_scale(key: &str, factor: f64) -> Result<f32> {
    // Converters write 0 for "none".
    if factor == 0.0 {
        return Ok(1.0);
    }
    if !(factor.is_finite() && factor > 0.0) {
        return Err(Error::corrupt_file(format!("{key} is {factor}; the file's configuration is damaged")));
    }
    Ok((1.0 / factor) as f32)
}

impl LanguageConfig {
    /// Whether layer `i` sees the last few tokens alone.
    pub fn is_local(&self, i: usize) -> bool {
        self.local.as_ref().is_some_and(|local| local.layers.get(i) == Some(&true))
    }

    /// Whether the numbers fit each other; a corrupt file where they do not.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |why: String| Err(Error::corrupt_file(format!("{why}; the file's configuration is damaged")));
        if self.kv_heads == 0 || !self.heads.is_multiple_of(self.kv_heads) {
            return wrong(format!("{} heads cannot share {} key heads", self.heads, self.kv_heads));
        }
        let turned = self.rotary.as_ref().map_or(0, |rotary| rotary.dim);
        if self.head_dim == 0 || turned > self.head_dim || !turned.is_multiple_of(2) {
            return wrong(format!("heads are {} wide and {turned} numbers of each turn", self.head_dim));
        }
        if self.heads.checked_mul(self.head_dim).is_none_or(|n| n as u64 > most::WIDTH) {
            return wrong(format!("{} heads of {} are wider than any model", self.heads, self.head_dim));
        }
        if !(self.eps.is_finite() && self.eps >= 0.0) {
            return wrong(format!("the norms' epsilon is {}", self.eps));
        }
        if !(self.attention_scale.is_finite() && self.attention_scale > 0.0) {
            return wrong(format!("the attention's scale is {}", self.attention_scale));
        }
        let bases = [self.rotary.as_ref().map(|rotary| rotary.base), self.local.as_ref().map(|local| local.base)];
        if let Some(base) = bases.into_iter().flatten().find(|base| !(base.is_finite() && *base > 0.0)) {
            return wrong(format!("the base of the rotary frequencies is {base}"));
        }
        if let Some(local) = &self.local
            && local.layers.len() != self.layers
        {
            return wrong(format!("{} layers are said to see all or few, of {}", local.layers.len(), self.layers));
        }
        Ok(())
    }
}
