//! What a graph becomes: kernels' work over stores.

use crate::{
    backend::{
        fusion::Gate,
        gpu::{
            kernels::{
                attention::{self, Operands},
                norm,
            },
            linear::Gather,
        },
    },
    graph::{Binary, Cell, Pooling, RopeLayout, StateId, Unary, WeightId},
};

/// An index into [`Program::stores`].
pub type StoreId = usize;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// 32-bit words.
    pub words: usize,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Lives from the stage that writes it to the last that reads it.
    Scratch,
    /// An output: nothing else may use its memory.
    Kept,
    /// Written by the caller.
    Input(String),
    /// Lives from step to step.
    State(StateId),
}

/// `[rows, cols]` words of a store; row `r` begins at `first + r · stride`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tensor {
    pub store: StoreId,
    pub first: usize,
    pub stride: usize,
    pub rows: usize,
    pub cols: usize,
}

impl Tensor {
    pub(super) fn is_contiguous(&self) -> bool {
        self.first == 0 && (self.rows == 1 || self.stride == self.cols)
    }

    /// Row `r` of it.
    pub(super) fn row(&self, r: usize) -> Self {
        Self { first: self.first + r * self.stride, rows: 1, ..*self }
    }

    /// Columns `first .. first + cols` of it.
    pub(super) fn columns(&self, first: usize, cols: usize) -> Self {
        Self { first: self.first + first, cols, ..*self }
    }
}

/// A tensor each of whose rows meets `rows` rows of another value, one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Side {
    pub tensor: Tensor,
    pub rows: usize,
}

/// What happens to a layer's result: `f(result · gain + residual)`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Epilogue {
    /// The rows are those of two halves, of which the result is `f(gate) · other`.
    pub gate: Option<Gate>,
    pub gain: Option<Side>,
    pub residual: Option<Side>,
    pub activation: Option<Unary>,
}

/// An element-by-element function of up to three operands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    Copy,
    Unary(Unary),
    Binary(Binary),
    /// `silu(a) · b`
    SiluMul,
    /// `a · (1 + c) + b`
    Modulate,
    /// `f(a · b + c)`
    ScaleShift(Option<Unary>),
}

/// Which row of the first operand a row of the result is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Same,
    /// The row that the step's parameters name.
    Selected,
    /// Pixels become squares of `factor²`; `width` is that of the result's pictures.
    Upsampled {
        width: usize,
        factor: usize,
    },
    /// The top left of pictures of these sides, height first.
    Cropped {
        from: [usize; 2],
        to: [usize; 2],
    },
}

/// An RMSNorm over each head of q and of k.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadNorm {
    pub q: WeightId,
    pub k: WeightId,
    pub eps: f32,
}

/// How q and k are turned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rotary {
    pub head_dim: usize,
    pub rotary_dim: usize,
    pub base: f32,
    pub frequency_scale: f32,
    pub factors: Option<WeightId>,
    pub layout: RopeLayout,
}

/// One kernel's work.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    Embedding {
        table: WeightId,
        ids: Tensor,
        out: Tensor,
    },
    /// Rows of a table by the tokens' positions, added to x.
    AddPositions {
        table: WeightId,
        x: Tensor,
        out: Tensor,
    },
    /// A linear layer, or a convolution where rows of x are gathered.
    Linear {
        matrix: usize,
        x: Tensor,
        gather: Option<Gather>,
        norm: Option<(WeightId, f32)>,
        epilogue: Epilogue,
        out: Tensor,
    },
    RmsNorm {
        weight: WeightId,
        eps: f32,
        x: Tensor,
        /// What is added to the result.
        residual: Option<Tensor>,
        out: Tensor,
    },
    /// Turns `q.0` into `q.1`; turns `k.0` (where there is a rotary) into the cache `k.1`; copies `v.0` into the cache `v.1`. The heads
    /// of q and k are normed before, where there is a norm.
    RopeCache {
        rotary: Option<Rotary>,
        norm: Option<HeadNorm>,
        q: Option<(Tensor, Tensor)>,
        k: Option<(Tensor, Tensor)>,
        v: Option<(Tensor, Tensor)>,
    },
    /// `partial` lies between the two halves of a single row's attention.
    Attention {
        shape: attention::Shape,
        operands: attention::Operands,
        partial: Option<StoreId>,
        out: Tensor,
    },
    /// Later operands with fewer rows than the result are shared by as many of its rows.
    Elementwise {
        function: Function,
        operands: [Option<Tensor>; 3],
        source: Source,
        out: Tensor,
    },
    /// LayerNorm or GroupNorm, each block by one workgroup.
    Norm {
        shape: norm::Shape,
        weight: Option<WeightId>,
        bias: Option<WeightId>,
        activation: Option<Unary>,
        x: Tensor,
        out: Tensor,
    },
    /// GroupNorm as a factor and a summand for each channel: `out` is `[batch, 2 · channels]`.
    NormFactors {
        shape: norm::Shape,
        weight: WeightId,
        bias: WeightId,
        x: Tensor,
        partial: StoreId,
        out: Tensor,
    },
    Softmax {
        x: Tensor,
        out: Tensor,
    },
    Pool {
        how: Pooling,
        batch: usize,
        x: Tensor,
        lengths: Tensor,
        out: Tensor,
    },
    /// A cell's step, from row `x` of the inputs' projections to row `out` of the results.
    Cell {
        cell: Cell,
        x: Tensor,
        projection: Tensor,
        hidden: Tensor,
        memory: Option<Tensor>,
        out: Tensor,
    },
    Timestep {
        max_period: f32,
        shift: f32,
        cosine_first: bool,
        t: Tensor,
        out: Tensor,
    },
    Sample {
        logits: Tensor,
        seen: Tensor,
        token: Tensor,
        alternatives: usize,
        out: Tensor,
    },
}

impl Work {
    /// Stores that are read, then stores that are written.
    pub fn touches(&self) -> (Vec<StoreId>, Vec<StoreId>) {
        let of = |list: &[Option<Tensor>]| list.iter().flatten().map(|t| t.store).collect::<Vec<_>>();
        match self {
            Self::Embedding { ids, out, .. } => (of(&[Some(*ids)]), of(&[Some(*out)])),
            Self::Linear { x, epilogue, out, .. } => {
                let side = |side: Option<Side>| side.map(|side| side.tensor);
                (of(&[Some(*x), side(epilogue.gain), side(epilogue.residual)]), of(&[Some(*out)]))
            }
            Self::RmsNorm { x, residual, out, .. } => (of(&[Some(*x), *residual]), of(&[Some(*out)])),
            Self::AddPositions { x, out, .. } => (of(&[Some(*x)]), of(&[Some(*out)])),
            Self::RopeCache { q, k, v, .. } => {
                let (from, to): (Vec<_>, Vec<_>) = [q, k, v].into_iter().flatten().copied().unzip();
                (from.iter().map(|t| t.store).collect(), to.iter().map(|t| t.store).collect())
            }
            Self::Attention { operands: Operands { q, k, v }, partial, out, .. } => {
                (of(&[Some(*q), Some(*k), Some(*v)]), partial.iter().copied().chain([out.store]).collect())
            }
            Self::NormFactors { x, partial, out, .. } => (vec![x.store], vec![*partial, out.store]),
            Self::Elementwise { operands, out, .. } => (of(operands), of(&[Some(*out)])),
            Self::Pool { x, lengths, out, .. } => (of(&[Some(*x), Some(*lengths)]), of(&[Some(*out)])),
            Self::Cell { x, projection, hidden, memory, out, .. } => {
                (of(&[Some(*x), Some(*projection)]), of(&[Some(*hidden), *memory, Some(*out)]))
            }
            Self::Norm { x, out, .. } | Self::Softmax { x, out } | Self::Timestep { t: x, out, .. } => {
                (of(&[Some(*x)]), of(&[Some(*out)]))
            }
            Self::Sample { logits, seen, token, out, .. } => {
                (of(&[Some(*logits)]), of(&[Some(*seen), Some(*token), Some(*out)]))
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    pub work: Work,
    /// Where in the model.
    pub label: String,
}

/// A graph as kernels over stores.
#[derive(Debug, Clone, Default)]
pub struct Program {
    pub stages: Vec<Stage>,
    pub stores: Vec<Store>,
    pub outputs: Vec<(String, Tensor)>,
}
