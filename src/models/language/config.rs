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
    /// Columns of the embedding and of the head where they are others; a matrix leads from the one into the stream, another out of it.
    pub embedding_dim: Option<usize>,
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
    /// What these scores are kept below.
    pub attention_softcap: Option<f32>,
    /// What comes out of the last layer is normed.
    pub output_norm: bool,
    /// What the rows of the embedding are multiplied by, where they are.
    pub embedding_scale: Option<f32>,
    /// What the results of attention and feed-forward layer are multiplied by before they are added, where they are.
    pub residual_scale: Option<f32>,
    /// What the logits are multiplied by, where they are.
    pub logit_scale: Option<f32>,
    /// What the logits are kept below.
    pub logit_softcap: Option<f32>,
    /// How heads turn with their position; `None`: positions are learned.
    pub rotary: Option<Rotary>,
    /// Layers that see the last few tokens alone.
    pub local: Option<Local>,
    /// Layers that convolve instead of attending.
    pub short_convs: Option<ShortConvs>,
    /// Layers are state spaces, and nothing else: the numbers of heads and of the feed-forward layer mean nothing.
    pub mamba: Option<Mamba>,
    /// Layers are RWKV-7's, and nothing else, as above.
    pub rwkv: Option<Rwkv>,
    /// Whether the embedding serves as output; `None`: it does where the file has no output of its own.
    pub tied: Option<bool>,
    pub names: &'static Names,
}

/// What a layer is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block {
    /// LayerNorm with a bias, else RMSNorm.
    pub layer_norms: bool,
    /// What goes into attention and feed-forward layer is normed.
    pub input_norms: bool,
    /// Queries and keys are normed before they turn.
    pub head_norms: HeadNorms,
    /// What attention and feed-forward layer give is normed before it is added.
    pub result_norms: bool,
    /// What comes of the addition is normed (arXiv 1706.03762).
    pub sum_norms: bool,
    /// Whether the feed-forward layer reads what attention gave.
    pub residual: Residual,
    pub attention: Projections,
    /// Which layers must have a bias. Of the others one that is in the file is taken.
    pub biases: Biases,
    /// The feed-forward layer is `down(f(gate) · up)`, else `down(f(up))`.
    pub gated: bool,
    /// Gate and up are rows of one weight, the gate's first.
    pub fused_gate: bool,
    /// That f.
    pub activation: Unary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Biases {
    AsStored,
    /// Those that make queries, keys and values.
    Projections,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadNorms {
    None,
    /// Head by head, with one weight for all.
    Heads,
    /// All heads of a row together.
    Row,
    /// Head by head by a LayerNorm, each with a weight of its own: rows of one tensor, or a tensor for each.
    Apart {
        stacked: bool,
    },
}

/// How attention and feed-forward layer join the residual stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residual {
    /// One after another.
    Sequential,
    /// Both read what the layer is given, each through a norm of its own (GPT-J and GPT-NeoX, arXiv 2204.06745).
    Parallel,
    /// Both read it through the norm of attention.
    ParallelOneNorm,
}

/// How the weights of query, key and value lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projections {
    Apart,
    /// As rows of one weight: all of the queries', the keys', the values'.
    Fused,
    /// As rows of one weight, head by head: the query's, the key's and the value's of each.
    FusedByHead,
}

impl Block {
    pub const LLAMA: Self = Self {
        layer_norms: false,
        input_norms: true,
        head_norms: HeadNorms::None,
        result_norms: false,
        sum_norms: false,
        residual: Residual::Sequential,
        attention: Projections::Apart,
        biases: Biases::AsStored,
        gated: true,
        fused_gate: false,
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
    /// The same by how long texts may be, instead.
    pub long: Option<Long>,
    /// How many times as long what is turned becomes.
    pub magnitude: f32,
    /// Which layers' heads turn; `None`: all.
    pub layers: Option<Vec<bool>>,
}

impl Rotary {
    /// The first `dim` numbers of each head turn.
    pub fn plain(dim: usize, base: f32, layout: RopeLayout) -> Self {
        Self { base, frequency_scale: 1.0, dim, layout, factors: None, long: None, magnitude: 1.0, layers: None }
    }
}

/// LongRoPE's divisors (arXiv 2402.13753): short ones for texts of `original` tokens at most, long ones for longer texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Long {
    pub original: usize,
    /// Short and long ones; `None`: they are weights of the file.
    pub factors: Option<[Vec<f32>; 2]>,
}

/// Layers with a sliding window (arXiv 2004.05150).
#[derive(Debug, Clone, PartialEq)]
pub struct Local {
    /// Tokens that a token of such a layer sees, itself among them.
    pub window: usize,
    /// Which layers have one.
    pub layers: Vec<bool>,
    /// Of these layers' rotary frequencies, which are then not scaled; `None`: they turn as the others do.
    pub base: Option<f32>,
}

/// Layers of a short causal convolution between two gates (Hyena, arXiv 2302.10866; LFM2): `out(c ∗ conv(b ∗ x))` of b, c and x side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct ShortConvs {
    /// Tokens that a token of such a layer sees, itself among them.
    pub width: usize,
    /// Which layers are so.
    pub layers: Vec<bool>,
}

/// Layers of a selective state space (Mamba, arXiv 2312.00752).
#[derive(Debug, Clone, PartialEq)]
pub struct Mamba {
    /// Columns that have states.
    pub inner: usize,
    /// States of each.
    pub states: usize,
    /// Columns that the steps are made of.
    pub rank: usize,
    /// Tokens that the convolution before the states sees.
    pub width: usize,
    /// Whether that adds a bias.
    pub conv_bias: bool,
    /// Of the norms of steps, and of how states are fed and read, where there are (Falcon Mamba, arXiv 2410.05355).
    pub norms: Option<f32>,
    /// Whether the file holds the logarithms of the decays, else the decays themselves.
    pub logarithms: bool,
}

/// RWKV-7's layers (arXiv 2503.14456).
#[derive(Debug, Clone, PartialEq)]
pub struct Rwkv {
    /// Numbers of a head.
    pub head: usize,
    /// Columns of the feed-forward layer.
    pub wide: usize,
    /// Columns within what makes decays, rates, the part of the first layer's values, and gates.
    pub ranks: [usize; 4],
    /// Of the heads' norms.
    pub head_eps: f32,
}

/// Larger numbers than any model has, so that products of two stay far from overflow on a 32-bit machine's tensors.
pub(super) mod most {
    pub const VOCABULARY: u64 = 1 << 24;
    pub const WIDTH: u64 = 1 << 20;
    pub const LAYERS: u64 = 1 << 12;
    pub const HEADS: u64 = 1 << 12;
    pub const CONTEXT: u64 = 1 << 28;
    pub const STATES: u64 = 1 << 26;
    pub const STATE_OF_A_HEAD: usize = 128;
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
        "rotary scaling of the kind {kind:?} does not run here; these do: default, linear, dynamic, llama3, yarn, longrope"
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

/// The numbers that every model has.
pub(super) struct Sizes {
    pub vocabulary: usize,
    pub dim: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub feed_forward: usize,
    pub context_length: usize,
    pub eps: f32,
}

impl LanguageConfig {
    /// A model of these sizes with nothing beside: positions are learned, every layer sees all, the file says whether the head is tied.
    pub(super) fn plain(architecture: &'static str, block: Block, names: &'static Names, sizes: Sizes) -> Self {
        let Sizes { vocabulary, dim, layers, heads, kv_heads, head_dim, feed_forward, context_length, eps } = sizes;
        Self {
            architecture,
            block,
            vocabulary,
            dim,
            embedding_dim: None,
            layers,
            heads,
            kv_heads,
            head_dim,
            feed_forward,
            context_length,
            eps,
            output_norm: true,
            attention_scale: 1.0 / (head_dim as f32).sqrt(),
            attention_softcap: None,
            embedding_scale: None,
            residual_scale: None,
            logit_scale: None,
            logit_softcap: None,
            rotary: None,
            local: None,
            short_convs: None,
            mamba: None,
            rwkv: None,
            tied: None,
            names,
        }
    }

    /// Whether what it met lies in states of one size, which each step writes over.
    pub fn is_recurrent(&self) -> bool {
        self.mamba.is_some() || self.rwkv.is_some()
    }

    /// The most tokens that it was made for; `None` where its states have one size whatever was met.
    pub fn trained_context(&self) -> Option<usize> {
        (!self.is_recurrent()).then_some(self.context_length)
    }

    /// Whether layer `i` sees the last few tokens alone.
    pub fn is_local(&self, i: usize) -> bool {
        self.local.as_ref().is_some_and(|local| local.layers.get(i) == Some(&true))
    }

    /// The width of layer `i`'s convolution, where it has one instead of attention.
    pub fn conv_width(&self, i: usize) -> Option<usize> {
        self.short_convs.as_ref().filter(|convs| convs.layers.get(i) == Some(&true)).map(|convs| convs.width)
    }

    /// Bytes of the caches of `rows` tokens on a device, or of the states that take their place.
    pub fn cache_bytes(&self, rows: usize) -> u64 {
        if let Some(of) = &self.mamba {
            return 4 * self.layers as u64 * of.inner as u64 * (of.states + of.width - 1) as u64;
        }
        let columns = |layer| self.conv_width(layer).map_or(2 * self.kv_heads * self.head_dim, |_| self.dim);
        if let Some(of) = &self.rwkv {
            return 4 * self.layers as u64 * self.dim as u64 * (of.head + 2) as u64;
        }
        (0..self.layers).map(|layer| 4 * columns(layer) as u64 * rows as u64).sum()
    }

    /// Whether the heads of layer `i` turn with their position.
    pub fn turns(&self, i: usize) -> bool {
        let layers = self.rotary.as_ref().and_then(|rotary| rotary.layers.as_ref());
        self.rotary.is_some() && layers.is_none_or(|layers| layers.get(i) == Some(&true))
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
        if let Some(convs) = &self.short_convs
            && convs.width.checked_mul(self.dim).is_none_or(|n| n as u64 > most::WIDTH)
        {
            return wrong(format!("convolutions see {} tokens of {} numbers", convs.width, self.dim));
        }
        if let Some(of) = &self.mamba {
            let sides = [of.states + of.width, of.rank + 2 * of.states, 2];
            if sides.iter().any(|side| of.inner.checked_mul(*side).is_none_or(|n| n as u64 > most::STATES)) {
                return wrong(format!("state spaces have {} columns of {} states", of.inner, of.states));
            }
        }
        if let Some(of) = &self.rwkv
            && !(of.head <= most::STATE_OF_A_HEAD && self.dim.is_multiple_of(of.head))
        {
            return wrong(format!("heads are {} wide, of {} columns", of.head, self.dim));
        }
        let factors = [
            ("the attention's scale", Some(self.attention_scale)),
            ("the bound of the attention's scores", self.attention_softcap),
            ("the embedding's scale", self.embedding_scale),
            ("the residual scale", self.residual_scale),
            ("the logits' scale", self.logit_scale),
            ("the bound of the logits", self.logit_softcap),
        ];
        for (name, factor) in factors {
            if let Some(factor) = factor.filter(|factor| !(factor.is_finite() && *factor > 0.0)) {
                return wrong(format!("{name} is {factor}"));
            }
        }
        let bases = [self.rotary.as_ref().map(|rotary| rotary.base), self.local.as_ref().and_then(|local| local.base)];
        if let Some(base) = bases.into_iter().flatten().find(|base| !(base.is_finite() && *base > 0.0)) {
            return wrong(format!("the base of the rotary frequencies is {base}"));
        }
        let lists = [
            ("to see all or few", self.local.as_ref().map(|local| &local.layers)),
            ("to turn or not", self.rotary.as_ref().and_then(|rotary| rotary.layers.as_ref())),
            ("to attend or to convolve", self.short_convs.as_ref().map(|convs| &convs.layers)),
        ];
        for (what, layers) in lists {
            if let Some(layers) = layers.filter(|layers| layers.len() != self.layers) {
                return wrong(format!("{} layers are said {what}, of {}", layers.len(), self.layers));
            }
        }
        Ok(())
    }
}
