//! The vocabulary: what a model may ask for, at the level people talk in.

use super::{Binary, Cell, Grid, Pooling, RopeLayout, StateId, Unary, WeightId, Window};

/// A rotary position embedding: the first `rotary_dim` numbers of each head turn with frequencies
/// `base^(-2i / rotary_dim) · frequency_scale`, and are `magnitude` times as long afterwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rope {
    pub heads: usize,
    pub head_dim: usize,
    pub rotary_dim: usize,
    pub base: f32,
    pub frequency_scale: f32,
    /// YaRN (arXiv 2309.00071) and LongRoPE (arXiv 2402.13753) sharpen attention by it.
    pub magnitude: f32,
    /// What each frequency is divided by, `[rotary_dim / 2]` (Llama 3).
    pub factors: Option<WeightId>,
    pub layout: RopeLayout,
}

impl Rope {
    /// Turns whole heads, by frequencies as they are.
    pub fn plain(heads: usize, head_dim: usize, base: f32, layout: RopeLayout) -> Self {
        Self {
            heads,
            head_dim,
            rotary_dim: head_dim,
            base,
            frequency_scale: 1.0,
            magnitude: 1.0,
            factors: None,
            layout,
        }
    }
}

/// Where an attention's keys and values live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// They are values of this step.
    Values,
    /// Caches: row `r` of a step that begins at `position` stands at `position + r`.
    Cache,
    /// States that an earlier step wrote, as many rows of them as [`StepParams::memory`](super::StepParams::memory) says (cross-attention).
    Memory,
}

/// Which keys a row sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mask {
    pub keys: Keys,
    /// None that stands after the row itself. A cache is always seen so, a memory never.
    pub causal: bool,
    /// None that is so many places away or more: with 1 a row sees itself alone (sliding windows, arXiv 2004.05150).
    pub window: Option<usize>,
}

impl Mask {
    /// All of as many values as there are.
    pub const FULL: Self = Self { keys: Keys::Values, causal: false, window: None };
    /// Of as many values as there are queries those up to the row's own.
    pub const CAUSAL: Self = Self { causal: true, ..Self::FULL };
    /// Of a cache those up to the row's own.
    pub const CACHED: Self = Self { keys: Keys::Cache, causal: true, window: None };
    /// All that was stored.
    pub const MEMORY: Self = Self { keys: Keys::Memory, causal: false, window: None };

    /// The same, through a window.
    pub const fn within(self, window: Option<usize>) -> Self {
        Self { window, ..self }
    }

    /// Whether keys and values are states.
    pub fn is_cached(self) -> bool {
        self.keys != Keys::Values
    }
}

/// Grouped-query attention (arXiv 2305.13245): q `[t, heads · head_dim]`, k and v `[keys, kv_heads · head_dim]`. Query head `h` reads key
/// head `h / (heads / kv_heads)`. Where keys and values are states `batch` is 1; else they are values of `batch · keys` rows, q has
/// `batch · t` rows, and each member of the batch sees its own alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attention {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// What products of queries and keys are multiplied by.
    pub scale: f32,
    /// What these scores are kept below, before a bias: `softcap · tanh(score / softcap)` (Gemma 2, arXiv 2408.00118).
    pub softcap: Option<f32>,
    pub mask: Mask,
    pub batch: usize,
    /// With a bias `[distances, heads]` (an input after v): its row for a key at the query's own place. A key `d` places later gets what
    /// stands `d` rows further on added to its score, one earlier what stands before (T5, arXiv 1910.10683; ALiBi, arXiv 2108.12409).
    pub bias: Option<usize>,
    /// Whether the last input, `[batch]` U32, says how many keys of each member count.
    pub lengths: bool,
}

/// An operation. `t` is the number of rows (tokens) of the step.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// What the caller writes before a step.
    Input {
        name: String,
    },
    /// The tokens that [`Op::Sample`] chose in the step before, `[rows]` U32.
    LastToken {
        token: StateId,
    },
    /// Rows of a table: ids `[t]` → `[t, dim]`; weight `[vocabulary, dim]`. An id past the table reads row 0.
    Embedding {
        table: WeightId,
    },
    /// `[t, dim]` plus the rows of a table that stand for its positions, `position ..`; weight `[length, dim]`. A row past the table
    /// meets row 0.
    AddPositions {
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
    /// Rotary position embedding of `[t, heads · head_dim]`; row `r` stands at `position + r`, or where it was placed.
    Rope(Rope),
    /// Writes `[t, kv_heads · head_dim]` into rows `position ..` of a cache `[capacity, kv_heads · head_dim]`, or each row where it was
    /// placed in one `[slots · capacity, kv_heads · head_dim]`. Rows past the capacity are dropped. The value stands for the cache as it
    /// is afterwards.
    CacheWrite {
        cache: StateId,
    },
    /// A convolution of each column by itself over the rows up to the row's own → `[t, n]`: row `r` is the sum over `k` of
    /// `weight[column · width + k]` times what stands `width − 1 − k` rows before it, plus `bias` `[n]` (the short convolutions of Hyena,
    /// arXiv 2302.10866). Of a cache `[slots · capacity, n]` (`cached`) nothing stands before the first row; of a value `[width − 1 + t, n]`
    /// its first rows stand before those of the step.
    CausalConv {
        weight: WeightId,
        bias: Option<WeightId>,
        width: usize,
        cached: bool,
    },
    /// Copies slots of a cache `[slots · capacity, n]` to one another, all at once: `[slots, 2]` U32 say of each which slot it becomes, and
    /// how many rows of it. The value stands for the cache as it is afterwards.
    CopySlots {
        cache: StateId,
    },
    /// What each row makes of the values that it sees: q, k, v (and a bias, and lengths) → `[batch · t, heads · head_dim]`.
    Attention(Attention),
    /// How much each row takes from each key: q and k (and a bias, and lengths) of an [`Attention`] → `[batch · heads · t, keys]`; what a
    /// row does not see is 0.
    AttentionWeights(Attention),
    /// A state that an earlier step wrote, for an attention's keys or values: the state itself, not a copy.
    Stored {
        state: StateId,
    },
    /// Numbers that never change: U32 `[n]`, or F32 `[rows, n]` by their bits.
    Constant {
        words: Vec<u32>,
    },
    /// Row `row` (of the step's parameters) of `[t, n]` → `[1, n]`.
    SelectRow,
    Unary(Unary),
    Binary(Binary),
    /// A function of `[batch · t, n]` and a row for each member of the batch, `[batch, n]`, which all its `t` rows meet.
    Broadcast {
        f: Binary,
        batch: usize,
    },
    /// Adaptive normalisation's second half (DiT, arXiv 2212.09748): `x · (1 + scale) + shift` of x `[batch · t, n]`, shift and
    /// scale `[batch, n]` (in this order of inputs).
    Modulate {
        batch: usize,
    },
    /// Columns `first .. first + columns` of `[t, n]`, `columns` being the value's own width.
    SliceColumns {
        first: usize,
    },
    /// Rows `first .. first + rows` of `[t, n]`, `rows` being the value's own.
    Rows {
        first: usize,
    },
    /// The same numbers in rows of another length: `[t, n]` → `[rows, columns]`, as many in all.
    Reshape,
    /// `[t, a]` and `[t, b]` side by side → `[t, a + b]`.
    Concat,
    /// `[a, n]` above `[b, n]` → `[a + b, n]`.
    Stack,
    /// `e^x` over the sum of the row's: `[t, n]` → the same.
    Softmax,
    /// One row for each member of a batch, of x `[batch · t, n]` and lengths `[batch]` U32, which say how many rows of each member
    /// count: `[batch, n]`.
    Pool {
        how: Pooling,
        batch: usize,
    },
    /// A state as it is when the step comes here: its shape, `[rows, n]`.
    ReadState {
        state: StateId,
    },
    /// Puts `[rows, n]` into a state of that shape. The value stands for the state as it is afterwards.
    WriteState {
        state: StateId,
    },
    /// A recurrent network's layer over each of `batch` sequences of x `[batch · t, gates · n]`, projections of its inputs, one after
    /// another → its state after each, `[batch · t, n]`. `hidden` and an LSTM's `memory` `[batch, n]` are read before and written after;
    /// weight `[gates · n, n]`, bias `[gates · n]`.
    Recurrent {
        cell: Cell,
        weight: WeightId,
        bias: Option<WeightId>,
        hidden: StateId,
        memory: Option<StateId>,
    },
    /// A selective state space (Mamba, arXiv 2312.00752) over rows x `[t, n]`, steps `[t, n]`, and `[t, 2 · s]`: how each of a column's `s`
    /// states is fed (b) and read (c). Row by row, with `Δ = ln(1 + e^step)`, each state becomes `e^(Δ · a) · h + Δ · b · x`, and the column
    /// gives `Σ c · h + skip · x` → `[t, n]`. `state` `[n, s]` is read before and written after; weights `a` `[n · s]`, `skip` `[n]`.
    SelectiveScan {
        a: WeightId,
        skip: WeightId,
        state: StateId,
    },
    /// The generalised delta rule (RWKV-7, arXiv 2503.14456), head by head, over r, w, k, v, a and b `[t, heads · n]`: row by row a head's state
    /// S `[n, n]`, values by keys, becomes `S · diag(w) − (S · a) · bᵀ + v · kᵀ` and gives `S · r` → `[t, heads · n]`. `state`
    /// `[heads · n, n]` is read before and written after.
    DeltaRule {
        state: StateId,
    },
    /// `(x − mean) / sqrt(variance + eps) · w + b` over each row (arXiv 1607.06450); without weights where they are `None`.
    LayerNorm {
        weight: Option<WeightId>,
        bias: Option<WeightId>,
        eps: f32,
    },
    /// The same over all rows of a picture and each of `groups` groups of neighbouring channels (arXiv 1803.08494):
    /// `[batch · pixels, channels]`, weight and bias `[channels]`.
    GroupNorm {
        weight: WeightId,
        bias: WeightId,
        groups: usize,
        eps: f32,
        batch: usize,
    },
    /// A convolution of the pictures of `input`: `[rows, in]` → `[output rows, out]`. The weight is `[out, height · width · in]`:
    /// row by row of the window, channels innermost; bias `[out]`.
    Conv2d {
        weight: WeightId,
        bias: Option<WeightId>,
        input: Grid,
        window: Window,
    },
    /// The transpose of a convolution (a "deconvolution"), which gives each input pixel a window of the output. The weight lies as
    /// that of [`Op::Conv2d`]: `[out, height · width · in]`. `padding` is what is cut off the output.
    ConvTranspose2d {
        weight: WeightId,
        bias: Option<WeightId>,
        input: Grid,
        window: Window,
    },
    /// Every pixel of the pictures of `input` becomes a square of `factor · factor` pixels.
    Upsample {
        input: Grid,
        factor: usize,
    },
    /// The top left `height · width` pixels of the pictures of `input`.
    Crop {
        input: Grid,
        height: usize,
        width: usize,
    },
    /// Timesteps `[batch, 1]` as sines and cosines `[batch, columns]` (arXiv 1706.03762, 2006.11239): half `columns` frequencies
    /// `max_period^(−i / (columns / 2 − shift))`; sines first, or cosines first where `cosine_first`.
    TimestepEmbedding {
        max_period: f32,
        shift: f32,
        cosine_first: bool,
    },
    /// Chooses the next token from each row of logits `[rows, vocabulary]` as [`SampleParams`](super::SampleParams) say, writes it and counts it in
    /// `states`. The value holds a [`Sampled`](super::Sampled) record for each, `[rows, 3 + 2 · alternatives]` U32. With a second input,
    /// `[rows]` U32, each row draws by a seed of its own.
    Sample {
        states: SampleStates,
        alternatives: usize,
    },
}

/// What a choice reads and writes from step to step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleStates {
    /// How often each token stands in the text so far: `[vocabulary]`, or `[rows, vocabulary]`, U32.
    pub seen: StateId,
    /// Added to the logits of each row, once penalties are taken off: `[vocabulary]`. What is at most [`BANNED`](super::BANNED) is never chosen.
    pub bias: StateId,
    /// What was chosen, `[rows]` U32.
    pub token: StateId,
}

impl Op {
    /// The word that messages and the printer use.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Input { .. } => "input",
            Self::LastToken { .. } => "last_token",
            Self::Embedding { .. } => "embedding",
            Self::AddPositions { .. } => "add_positions",
            Self::Linear { .. } => "linear",
            Self::RmsNorm { .. } => "rms_norm",
            Self::Rope(_) => "rope",
            Self::CacheWrite { .. } => "cache_write",
            Self::CausalConv { .. } => "causal_conv",
            Self::CopySlots { .. } => "copy_slots",
            Self::Attention(_) => "attention",
            Self::AttentionWeights(_) => "attention_weights",
            Self::Stored { .. } => "stored",
            Self::Constant { .. } => "constant",
            Self::SelectRow => "select_row",
            Self::Unary(Unary::Silu) => "silu",
            Self::Unary(Unary::GeluTanh) => "gelu_tanh",
            Self::Unary(Unary::Exp) => "exp",
            Self::Unary(Unary::Log) => "log",
            Self::Unary(Unary::Sqrt) => "sqrt",
            Self::Unary(Unary::Sin) => "sin",
            Self::Binary(Binary::Add) => "add",
            Self::Binary(Binary::Sub) => "sub",
            Self::Binary(Binary::Mul) => "mul",
            Self::Binary(Binary::Div) => "div",
            Self::Unary(Unary::Gelu) => "gelu",
            Self::Unary(Unary::QuickGelu) => "quick_gelu",
            Self::Unary(Unary::LeakyRelu { .. }) => "leaky_relu",
            Self::Unary(Unary::Tanh) => "tanh",
            Self::Unary(Unary::Sigmoid) => "sigmoid",
            Self::Unary(Unary::Affine { .. }) => "affine",
            Self::Broadcast { f: Binary::Add, .. } => "broadcast_add",
            Self::Broadcast { f: Binary::Sub, .. } => "broadcast_sub",
            Self::Broadcast { f: Binary::Mul, .. } => "broadcast_mul",
            Self::Broadcast { f: Binary::Div, .. } => "broadcast_div",
            Self::Modulate { .. } => "modulate",
            Self::SliceColumns { .. } => "slice columns",
            Self::Rows { .. } => "rows",
            Self::Reshape => "reshape",
            Self::Concat => "concat",
            Self::Stack => "stack",
            Self::Softmax => "softmax",
            Self::Pool { .. } => "pool",
            Self::ReadState { .. } => "read_state",
            Self::WriteState { .. } => "write_state",
            Self::Recurrent { cell: Cell::Lstm, .. } => "lstm",
            Self::Recurrent { cell: Cell::Gru, .. } => "gru",
            Self::Recurrent { cell: Cell::Tanh, .. } => "rnn",
            Self::SelectiveScan { .. } => "selective_scan",
            Self::DeltaRule { .. } => "delta_rule",
            Self::LayerNorm { .. } => "layer_norm",
            Self::GroupNorm { .. } => "group_norm",
            Self::Conv2d { .. } => "conv2d",
            Self::ConvTranspose2d { .. } => "conv_transpose2d",
            Self::Upsample { .. } => "upsample",
            Self::Crop { .. } => "crop",
            Self::TimestepEmbedding { .. } => "timestep_embedding",
            Self::Sample { .. } => "sample",
        }
    }

    /// Of how many of its inputs, from the first on, the value may take the place: it has their shape, and a row of it is made of that row.
    pub fn overwrites(&self) -> usize {
        match self {
            Self::Binary(f) if f.commutes() => 2,
            Self::AddPositions { .. }
            | Self::RmsNorm { .. }
            | Self::Rope(_)
            | Self::Softmax
            | Self::Unary(_)
            | Self::Binary(_)
            | Self::Broadcast { .. }
            | Self::Modulate { .. }
            | Self::LayerNorm { .. }
            | Self::GroupNorm { .. } => 1,
            _ => 0,
        }
    }

    /// The weights it reads.
    pub fn weights(&self) -> impl Iterator<Item = WeightId> {
        let (a, b) = match self {
            Self::Embedding { table } | Self::AddPositions { table } => (Some(*table), None),
            Self::Linear { weight, bias }
            | Self::CausalConv { weight, bias, .. }
            | Self::Recurrent { weight, bias, .. }
            | Self::Conv2d { weight, bias, .. }
            | Self::ConvTranspose2d { weight, bias, .. } => (Some(*weight), *bias),
            Self::LayerNorm { weight, bias, .. } => (*weight, *bias),
            Self::GroupNorm { weight, bias, .. } => (Some(*weight), Some(*bias)),
            Self::RmsNorm { weight, .. } => (Some(*weight), None),
            Self::SelectiveScan { a, skip, .. } => (Some(*a), Some(*skip)),
            Self::Rope(of) => (of.factors, None),
            _ => (None, None),
        };
        a.into_iter().chain(b)
    }
}
