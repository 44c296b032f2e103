//! The vocabulary: what a model may ask for, at the level people talk in.

use super::{StateId, WeightId};

/// Which pairs of a head rotary position embedding turns (RoFormer, arXiv 2104.09864).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RopeLayout {
    /// Neighbours `(2i, 2i + 1)`: llama2.c, and GGUF files of the `llama` architecture (their q and k rows are permuted).
    Interleaved,
    /// Halves `(i, i + n/2)`: Hugging Face safetensors, and GGUF's "neox" architectures (Qwen, Gemma …).
    HalfSplit,
}

/// Which keys a query may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mask {
    /// Row `t` of the step sees cache rows `0 ..= position + t`.
    Causal,
}

/// Functions of one value, element by element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unary {
    /// `x · sigmoid(x)`
    Silu,
    /// The tanh approximation (arXiv 1606.08415).
    GeluTanh,
}

/// Functions of two values of one shape, element by element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Binary {
    Add,
    Mul,
}

/// An operation. `t` is the number of rows (tokens) of the step.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// What the caller writes before a step.
    Input {
        name: String,
    },
    /// The token that [`Op::Sample`] chose in the step before, `[1]` U32.
    LastToken {
        token: StateId,
    },
    /// Rows of a table: ids `[t]` → `[t, dim]`; weight `[vocabulary, dim]`. An id past the table reads row 0.
    Embedding {
        table: WeightId,
    },
    /// `x · Wᵀ (+ b)`: `[t, in]` → `[t, out]`; weight `[out, in]`, bias `[out]`.
    Linear {
        weight: WeightId,
        bias: Option<WeightId>,
    },
    /// `x / sqrt(mean(x²) + eps) · w` over the last dimension (arXiv 1910.07467); over each `w.len()` wide group
    /// where the row is a multiple of the weight (per-head norms).
    RmsNorm {
        weight: WeightId,
        eps: f32,
    },
    /// Rotary position embedding of `[t, heads · head_dim]`; row `r` stands at `position + r`.
    /// Turns the first `rotary_dim` numbers of each head with frequencies `base^(-2i / rotary_dim) · frequency_scale`,
    /// divided by `factors[i]` where there are any (`[rotary_dim / 2]`, Llama 3).
    Rope {
        heads: usize,
        head_dim: usize,
        rotary_dim: usize,
        base: f32,
        frequency_scale: f32,
        factors: Option<WeightId>,
        layout: RopeLayout,
    },
    /// Writes `[t, kv_heads · head_dim]` into rows `position ..` of a cache `[capacity, kv_heads · head_dim]`. Rows past
    /// the capacity are dropped. The value stands for the cache as it is afterwards.
    CacheWrite {
        cache: StateId,
    },
    /// Grouped-query attention (arXiv 2305.13245) over caches: q `[t, heads · head_dim]`, k and v cache values
    /// `[capacity, kv_heads · head_dim]` → `[t, heads · head_dim]`. Query head `h` reads key head `h / (heads / kv_heads)`.
    Attention {
        heads: usize,
        kv_heads: usize,
        head_dim: usize,
        scale: f32,
        mask: Mask,
    },
    /// Row `row` (of the step's parameters) of `[t, n]` → `[1, n]`.
    SelectRow,
    Unary(Unary),
    Binary(Binary),
    /// Chooses the next token from logits `[1, vocabulary]` as [`SampleParams`](super::SampleParams) say, writes it to `token` and
    /// counts it in `seen` (`[vocabulary]` U32: how often each token stands in the text so far). The value is a
    /// [`Sampled`](super::Sampled) record, `[2 + 2 · alternatives]` U32.
    Sample {
        seen: StateId,
        token: StateId,
        alternatives: usize,
    },
}

impl Op {
    /// The word that messages and the printer use.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Input { .. } => "input",
            Self::LastToken { .. } => "last_token",
            Self::Embedding { .. } => "embedding",
            Self::Linear { .. } => "linear",
            Self::RmsNorm { .. } => "rms_norm",
            Self::Rope { .. } => "rope",
            Self::CacheWrite { .. } => "cache_write",
            Self::Attention { .. } => "attention",
            Self::SelectRow => "select_row",
            Self::Unary(Unary::Silu) => "silu",
            Self::Unary(Unary::GeluTanh) => "gelu_tanh",
            Self::Binary(Binary::Add) => "add",
            Self::Binary(Binary::Mul) => "mul",
            Self::Sample { .. } => "sample",
        }
    }

    /// The weights it reads.
    pub fn weights(&self) -> impl Iterator<Item = WeightId> {
        let (a, b) = match self {
            Self::Embedding { table } => (Some(*table), None),
            Self::Linear { weight, bias } => (Some(*weight), *bias),
            Self::RmsNorm { weight, .. } => (Some(*weight), None),
            Self::Rope { factors, .. } => (*factors, None),
            _ => (None, None),
        };
        a.into_iter().chain(b)
    }
}
