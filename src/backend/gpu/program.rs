//! What a graph becomes: kernels' work over stores. Plain data, which kernels describe, [`super::fuse`] puts together and
//! [`super::plan`] makes real.

use super::wgsl::{Kernel, Variant};
use crate::{
    backend::fusion::Gate,
    graph::{Attention, Grid, Keys, Mask, RopeLayout, StateId, Unary, WeightId, Window},
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
    /// Holds these words from the beginning.
    Constant(Vec<u32>),
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
    pub fn is_contiguous(&self) -> bool {
        self.first == 0 && (self.rows == 1 || self.stride == self.cols)
    }

    /// Row `r` of it.
    pub fn row(&self, r: usize) -> Self {
        Self { first: self.first + r * self.stride, rows: 1, ..*self }
    }

    /// Columns `first .. first + cols` of it.
    pub fn columns(&self, first: usize, cols: usize) -> Self {
        Self { first: self.first + first, cols, ..*self }
    }
}

/// Where a convolution's rows come from: a window over the pictures of `input`, each of whose pixels first becomes a square of
/// `up · up`. Of a transposed one the window is that of the convolution it is the transpose of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gather {
    pub input: Grid,
    pub up: usize,
    pub window: Window,
    pub transposed: bool,
}

impl Gather {
    /// The sides of its output.
    pub fn output(&self) -> Option<Grid> {
        if self.transposed {
            self.window.transposed_output(self.input)
        } else {
            self.window.output(self.input.times(self.up))
        }
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
    pub magnitude: f32,
    pub factors: Option<WeightId>,
    pub layout: RopeLayout,
}

/// An attention's numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionShape {
    pub rows: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub capacity: usize,
    pub scale: f32,
    pub softcap: Option<f32>,
    pub mask: Mask,
    /// Rows and capacity are those of one member.
    pub batch: usize,
    /// The bias's row for a key at the query's own place, where there is a bias.
    pub zero: Option<usize>,
    /// Whether so many keys of each member count as it says.
    pub lengths: bool,
    /// Whether each row stands in a slot of the caches of its own; capacity is then that of a slot.
    pub placed: bool,
}

impl AttentionShape {
    /// That of `of` over `rows` queries and `keys` of all members, where caches have so many `slots` if rows are placed.
    pub fn new(of: &Attention, rows: usize, keys: usize, slots: Option<usize>) -> Self {
        let Attention { heads, kv_heads, head_dim, scale, softcap, mask, batch, bias: zero, lengths } = *of;
        let slots = slots.filter(|_| mask.keys == Keys::Cache);
        let (rows, capacity, placed) = (rows / batch, keys / batch / slots.unwrap_or(1), slots.is_some());
        Self { rows, heads, kv_heads, head_dim, capacity, scale, softcap, mask, batch, zero, lengths, placed }
    }
}

/// What else an attention reads.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Leanings {
    pub bias: Option<StoreId>,
    pub lengths: Option<StoreId>,
}

/// Where queries, keys and values lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Operands {
    pub q: Tensor,
    pub k: Tensor,
    pub v: Tensor,
}

/// The binding of where the rows of a step stand: the step, or the places of rows that were placed.
pub const STAND: u32 = 14;

/// What a kernel binds under a number of its source.
#[derive(Debug, Clone)]
pub enum Bound {
    Read(StoreId),
    /// Written, and perhaps read.
    Write(StoreId),
    /// A weight of one dimension.
    Vector(WeightId),
    /// The numbers of the step.
    Step,
    /// Where the rows of the step were placed.
    Places,
}

/// One dispatch of a kernel.
#[derive(Debug, Clone)]
pub struct Call {
    pub kernel: Kernel,
    pub variant: Variant,
    pub bound: Vec<(u32, Bound)>,
    /// Workgroups in x, y and z. Where a kernel counts its workgroups along x, then y ([`Call::in_lines`]), a plan breaks them into lines
    /// as long as the device allows.
    pub grid: [usize; 3],
    pub lines: bool,
}

impl Call {
    pub fn new(kernel: Kernel, variant: Variant, bound: Vec<(u32, Bound)>, grid: [usize; 3]) -> Self {
        Self { kernel, variant, bound, grid, lines: false }
    }

    /// The kernel counts its workgroups along x, then y, and leaves out those that are too many.
    pub fn in_lines(self) -> Self {
        Self { lines: true, ..self }
    }
}

/// One kernel's work, or that of a few that belong together.
#[derive(Debug, Clone)]
pub enum Work {
    Call(Call),
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
        shape: AttentionShape,
        operands: Operands,
        leanings: Leanings,
        partial: Option<StoreId>,
        out: Tensor,
    },
}

impl Work {
    /// Stores that are read, then stores that are written.
    pub fn touches(&self) -> (Vec<StoreId>, Vec<StoreId>) {
        match self {
            Self::Call(Call { bound, .. }) => {
                let (mut read, mut written) = (vec![], vec![]);
                for (_, bound) in bound {
                    match bound {
                        Bound::Read(store) => read.push(*store),
                        Bound::Write(store) => written.push(*store),
                        Bound::Vector(_) | Bound::Step | Bound::Places => {}
                    }
                }
                (read, written)
            }
            Self::Embedding { ids: x, out, .. } | Self::AddPositions { x, out, .. } => (vec![x.store], vec![out.store]),
            Self::Linear { x, epilogue, out, .. } => {
                let sides = [epilogue.gain, epilogue.residual].into_iter().flatten().map(|side| side.tensor.store);
                ([x.store].into_iter().chain(sides).collect(), vec![out.store])
            }
            Self::RopeCache { q, k, v, .. } => {
                let (from, to): (Vec<_>, Vec<_>) = [q, k, v].into_iter().flatten().copied().unzip();
                (from.iter().map(|t| t.store).collect(), to.iter().map(|t| t.store).collect())
            }
            Self::Attention { operands: Operands { q, k, v }, leanings, partial, out, .. } => {
                let read = [q.store, k.store, v.store].into_iter().chain(leanings.bias).chain(leanings.lengths);
                (read.collect(), partial.iter().copied().chain([out.store]).collect())
            }
        }
    }
}

#[derive(Debug, Clone)]
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
    /// What places the rows of a step, and how many slots caches have then.
    pub places: Option<(StoreId, usize)>,
}
