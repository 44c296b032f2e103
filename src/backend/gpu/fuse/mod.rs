//! Turns a graph into the list of kernels that a step runs: what belongs together becomes one.
//!
//! - a norm of one row goes into the linear layers that read it;
//! - layers that lie in one matrix (see [`super::layout`]) become one;
//! - `f(gate) · up` and GEGLU's product of two halves, the multiplication by a gain, the residual addition and the function after it become the end of the linear layer or
//!   convolution before them;
//! - an enlarged picture goes into the convolution that reads it, the function after a norm into the norm;
//! - the norms of the heads of q and k, their rotary turns and both cache writes become one, just before their attention;
//! - a sum becomes the end of the norm before it.
//!
//! A value is a [`Tensor`]: a window on a [`Store`]. Stores are memory in the abstract; [`super::memory`] places them.

mod layers;
mod pictures;
mod work;

pub use work::{
    Epilogue, Function, HeadNorm, Kind, Program, Rotary, Side, Source, Stage, Store, StoreId, Tensor, Work,
};

use super::{
    kernels::attention,
    layout::{Layout, gated_product},
};
use crate::{
    Error, Result,
    backend::gate,
    graph::{Binary, Graph, Node, Op, StateId, Unary, ValueId, WeightId},
};
use layers::Chain;

/// Fuses `graph` for weights that lie as `layout` says.
pub fn fuse(graph: &Graph, layout: &Layout) -> Result<Program> {
    let mut fuser = Fuser::new(graph, layout);
    for i in 0..graph.nodes.len() {
        fuser.node(ValueId(i as u32))?;
    }
    for (name, value) in &graph.outputs {
        let tensor = fuser.tensor(*value)?;
        let tensor = fuser.contiguous(tensor, "output");
        let store = &mut fuser.program.stores[tensor.store];
        if store.kind == Kind::Scratch {
            store.kind = Kind::Kept;
        }
        fuser.program.outputs.push((name.clone(), tensor));
    }
    Ok(fuser.program)
}

struct Fuser<'a> {
    graph: &'a Graph,
    layout: &'a Layout,
    program: Program,
    tensors: Vec<Option<Tensor>>,
    consumers: Vec<Vec<ValueId>>,
    reads: Vec<usize>,
    /// Nodes whose work a later node does.
    absorbed: Vec<bool>,
    /// For a node that ends what a layer does to its result: the layer, and all that it does.
    chains: Vec<Option<Chain>>,
    states: Vec<Option<StoreId>>,
}

/// A product `f(gate) · up`.
struct Gated {
    f: Unary,
    /// The node that makes `f(gate)`.
    function: ValueId,
    /// The layers that make gate and up, where their matrix can do it all.
    layers: Option<(ValueId, ValueId)>,
}

/// The windows on rotated and cached values that one attention needs.
struct Turned {
    /// `None`: q is as it was, k is only written.
    rotary: Option<Rotary>,
    norm: Option<HeadNorm>,
    q: ValueId,
    k: (ValueId, StateId),
    v: (ValueId, StateId),
    /// The nodes whose work this does.
    between: Vec<ValueId>,
}

/// A value before its heads were normed and turned.
struct Raw {
    value: ValueId,
    norm: Option<(WeightId, f32)>,
    rotary: Option<Rotary>,
}

impl<'a> Fuser<'a> {
    fn new(graph: &'a Graph, layout: &'a Layout) -> Self {
        let mut consumers = vec![vec![]; graph.nodes.len()];
        for (i, node) in graph.nodes.iter().enumerate() {
            for input in &node.inputs {
                consumers[input.0 as usize].push(ValueId(i as u32));
            }
        }
        let mut fuser = Self {
            graph,
            layout,
            program: Program::default(),
            tensors: vec![None; graph.nodes.len()],
            consumers,
            reads: gate::reads(graph),
            absorbed: vec![false; graph.nodes.len()],
            chains: vec![None; graph.nodes.len()],
            states: vec![None; graph.states.len()],
        };
        for i in 0..graph.nodes.len() {
            fuser.absorb(ValueId(i as u32));
        }
        fuser.find_chains();
        fuser
    }

    /// Whether `value` is read by exactly one node and by nobody outside.
    fn is_private(&self, value: ValueId) -> bool {
        self.consumers[value.0 as usize].len() == 1 && !self.is_output(value)
    }

    fn is_output(&self, value: ValueId) -> bool {
        self.graph.outputs.iter().any(|(_, v)| *v == value)
    }

    /// Marks the nodes whose work the node `at` will do.
    fn absorb(&mut self, at: ValueId) {
        let node = self.graph.node(at);
        let parts: Vec<ValueId> = match &node.op {
            Op::Binary(Binary::Mul) => match (self.halved(at), self.gated(at)) {
                (Some(halves), _) => [halves.parts.as_slice(), &[halves.both]].concat(),
                (None, Some(Gated { function, layers: Some((gate, up)), .. })) => vec![function, gate, up],
                (None, Some(Gated { function, layers: None, .. })) => vec![function],
                (None, None) => vec![],
            },
            Op::RmsNorm { .. } if self.is_prologue(at) => vec![at],
            Op::Unary(_) => self.normed(at).into_iter().collect(),
            Op::Conv2d { .. } => self.enlarged(at).into_iter().collect(),
            Op::Binary(Binary::Add) => self.normed_sum(at).map(|(norm, _)| norm).into_iter().collect(),
            Op::Attention { .. } => self.turned(at).map(|turned| turned.between).unwrap_or_default(),
            _ => vec![],
        };
        for part in parts {
            self.absorbed[part.0 as usize] = true;
        }
    }

    /// For a product at `at` of one half of a layer's result and a function of the other: both, where the layer can do it all.
    fn halved(&self, at: ValueId) -> Option<gate::Gate> {
        let halves = gate::Gate::at(self.graph, &self.reads, at.0 as usize)?;
        let Op::Linear { weight, .. } = &self.graph.node(halves.both).op else { return None };
        let (matrix, _) = self.layout.matrix(&self.graph.weight(*weight).name).ok()?;
        (self.layout.matrices[matrix].members.len() == 1 && self.reads[halves.both.0 as usize] == 2).then_some(halves)
    }

    /// For `f(a) · b` at `at`: what it is made of, where a kernel does both. Without their layers that is one for SiLU alone.
    fn gated(&self, at: ValueId) -> Option<Gated> {
        let node = self.graph.node(at);
        let (f, gate, up) = gated_product(self.graph, &node.op, &node.inputs)?;
        let made = |v: &&ValueId| self.graph.node(**v).op == Op::Unary(f) && self.graph.node(**v).inputs == [gate];
        let function = *node.inputs.iter().find(made)?;
        if !self.is_private(function) {
            return None;
        }
        let matrix = |value: ValueId| match &self.graph.node(value).op {
            Op::Linear { weight, .. } => self.layout.matrix(&self.graph.weight(*weight).name).ok(),
            _ => None,
        };
        let whole = match (matrix(gate), matrix(up)) {
            (Some((a, 0)), Some((b, first))) => {
                let spec = &self.layout.matrices[a];
                a == b
                    && spec.members.len() == 2
                    && first * 2 == spec.rows
                    && self.graph.node(gate).inputs == self.graph.node(up).inputs
                    && self.is_private(gate)
                    && self.is_private(up)
            }
            _ => false,
        };
        (whole || f == Unary::Silu).then_some(Gated { f, function, layers: whole.then_some((gate, up)) })
    }

    /// For a sum at `at`: the RMSNorm that gives one of its terms to nobody else, and the other term.
    fn normed_sum(&self, at: ValueId) -> Option<(ValueId, ValueId)> {
        let node = self.graph.node(at);
        let (Op::Binary(Binary::Add), &[a, b]) = (&node.op, node.inputs.as_slice()) else { return None };
        let is_norm = |v: ValueId| matches!(self.graph.node(v).op, Op::RmsNorm { .. }) && self.is_private(v);
        // The later one: the other is there by then.
        let (first, last) = if a.0 < b.0 { (a, b) } else { (b, a) };
        (first != last && is_norm(last)).then_some((last, first))
    }

    /// Whether the norm at `at` can be done by every layer that reads it.
    fn is_prologue(&self, at: ValueId) -> bool {
        let node = self.graph.node(at);
        let Op::RmsNorm { weight, .. } = &node.op else { return false };
        let readers = &self.consumers[at.0 as usize];
        node.shape[0] == 1
            && self.graph.weight(*weight).shape == [node.shape[1]]
            && !self.is_output(at)
            && !readers.is_empty()
            && readers.iter().all(|v| matches!(self.graph.node(*v).op, Op::Linear { .. }))
    }

    /// For an attention at `at`: its inputs as they are before the turn and the cache writes, where nobody else reads what
    /// lies between.
    fn turned(&self, at: ValueId) -> Option<Turned> {
        let node = self.graph.node(at);
        let &[q, k, v] = node.inputs.as_slice() else { return None };
        let written = |value: ValueId| match &self.graph.node(value).op {
            Op::CacheWrite { cache } => Some((self.graph.node(value).inputs[0], *cache)),
            _ => None,
        };
        let (whole_k, k_cache) = written(k)?;
        let (raw_v, v_cache) = written(v)?;
        let mut between = vec![k, v];
        let raw_q = self.raw(q, &mut between);
        let raw_k = self.raw(whole_k, &mut between);
        let norm = match (raw_q.norm, raw_k.norm) {
            (Some((q, eps)), Some((k, its))) if eps == its => Some(HeadNorm { q, k, eps }),
            (None, None) => None,
            _ => return None,
        };
        let private = between.iter().all(|value| self.is_private(*value));
        (private && raw_k.rotary == raw_q.rotary && k_cache != v_cache).then_some(Turned {
            rotary: raw_q.rotary,
            norm,
            q: raw_q.value,
            k: (raw_k.value, k_cache),
            v: (raw_v, v_cache),
            between,
        })
    }

    /// What `value` was before its turn and the norm of its heads, where it was turned; these nodes join `between`.
    fn raw(&self, value: ValueId, between: &mut Vec<ValueId>) -> Raw {
        let node = self.graph.node(value);
        let Some(rotary) = rotary(&node.op) else { return Raw { value, norm: None, rotary: None } };
        between.push(value);
        let before = node.inputs[0];
        match &self.graph.node(before).op {
            // With factors there is no room for the norms' weights: a kernel has eight buffers to read and write.
            Op::RmsNorm { weight, eps }
                if rotary.factors.is_none() && self.graph.weight(*weight).shape == [rotary.head_dim] =>
            {
                between.push(before);
                let value = self.graph.node(before).inputs[0];
                Raw { value, norm: Some((*weight, *eps)), rotary: Some(rotary) }
            }
            _ => Raw { value: before, norm: None, rotary: Some(rotary) },
        }
    }

    fn store(&mut self, words: usize, kind: Kind) -> StoreId {
        self.program.stores.push(Store { words, kind });
        self.program.stores.len() - 1
    }

    fn fresh(&mut self, rows: usize, cols: usize) -> Tensor {
        let store = self.store(rows * cols, Kind::Scratch);
        Tensor { store, first: 0, stride: cols, rows, cols }
    }

    fn state(&mut self, id: StateId) -> Tensor {
        let shape = &self.graph.state(id).shape;
        let cols = shape.last().copied().unwrap_or(1);
        let words = shape.iter().product::<usize>();
        let store = match self.states[id.0 as usize] {
            Some(store) => store,
            None => self.store(words, Kind::State(id)),
        };
        self.states[id.0 as usize] = Some(store);
        Tensor { store, first: 0, stride: cols, rows: words / cols.max(1), cols }
    }

    fn tensor(&self, value: ValueId) -> Result<Tensor> {
        self.tensors[value.0 as usize].ok_or_else(|| {
            let node = self.graph.node(value);
            Error::internal(format!("{} at {}: read before it was made", node.op.name(), node.label))
        })
    }

    fn emit(&mut self, work: Work, label: &str) {
        self.program.stages.push(Stage { work, label: label.into() });
    }

    fn elementwise(&mut self, function: Function, operands: [Option<Tensor>; 3], out: Tensor, label: &str) {
        self.emit(Work::Elementwise { function, operands, source: Source::Same, out }, label);
    }

    /// The same numbers without gaps between rows; a copy where there are some.
    fn contiguous(&mut self, tensor: Tensor, label: &str) -> Tensor {
        if tensor.is_contiguous() {
            return tensor;
        }
        let out = self.fresh(tensor.rows, tensor.cols);
        self.elementwise(Function::Copy, [Some(tensor), None, None], out, label);
        out
    }

    fn node(&mut self, at: ValueId) -> Result<()> {
        let node = self.graph.node(at);
        if self.absorbed[at.0 as usize] || self.tensors[at.0 as usize].is_some() {
            return Ok(());
        }
        let (rows, cols) = match *node.shape.as_slice() {
            [n] if node.dtype == crate::graph::DType::U32 => (1, n),
            [rows, cols] => (rows, cols),
            _ => return Err(refused(node, "the GPU runs values of one row or of rows and columns")),
        };
        if rows == 0 || cols == 0 || rows.checked_mul(cols).is_none_or(|n| n > i32::MAX as usize) {
            return Err(refused(node, "a size that the GPU cannot hold"));
        }
        if self.chains[at.0 as usize].is_some() {
            return self.chain(at, rows, cols);
        }
        let label = node.label.as_str();
        let out = match &node.op {
            Op::Input { name } => {
                let store = self.store(rows * cols, Kind::Input(name.clone()));
                Tensor { store, first: 0, stride: cols, rows, cols }
            }
            Op::LastToken { token } => self.state(*token),
            Op::Embedding { table } => {
                let ids = self.tensor(node.inputs[0])?;
                let ids = self.contiguous(ids, label);
                let out = self.fresh(rows, cols);
                self.emit(Work::Embedding { table: *table, ids, out }, label);
                out
            }
            Op::AddPositions { table } => {
                let x = self.tensor(node.inputs[0])?;
                let (x, out) = (self.contiguous(x, label), self.fresh(rows, cols));
                self.emit(Work::AddPositions { table: *table, x, out }, label);
                out
            }
            Op::Linear { .. } => return self.layers(at),
            Op::RmsNorm { weight, eps } => {
                let x = self.tensor(node.inputs[0])?;
                let out = self.fresh(rows, cols);
                self.emit(Work::RmsNorm { weight: *weight, eps: *eps, x, residual: None, out }, label);
                out
            }
            Op::Rope { .. } => {
                let (x, out) = (self.tensor(node.inputs[0])?, self.fresh(rows, cols));
                let rotary = rotary(&node.op);
                self.emit(Work::RopeCache { rotary, norm: None, q: Some((x, out)), k: None, v: None }, label);
                out
            }
            Op::CacheWrite { cache } => {
                let (x, out) = (self.tensor(node.inputs[0])?, self.state(*cache));
                self.emit(Work::RopeCache { rotary: None, norm: None, q: None, k: None, v: Some((x, out)) }, label);
                out
            }
            Op::Attention { heads, kv_heads, head_dim, scale, mask, batch } => {
                let [q, k, v] = match self.turned(at) {
                    Some(turned) => {
                        let from = self.tensor(turned.q)?;
                        let q = if turned.rotary.is_some() { self.fresh(rows, cols) } else { from };
                        let k = (self.tensor(turned.k.0)?, self.state(turned.k.1));
                        let v = (self.tensor(turned.v.0)?, self.state(turned.v.1));
                        let Turned { rotary, norm, .. } = turned;
                        let moved = rotary.map(|_| (from, q));
                        self.emit(Work::RopeCache { rotary, norm, q: moved, k: Some(k), v: Some(v) }, label);
                        [q, k.1, v.1]
                    }
                    None => [self.tensor(node.inputs[0])?, self.tensor(node.inputs[1])?, self.tensor(node.inputs[2])?],
                };
                let shape = attention::Shape {
                    rows: rows / batch,
                    heads: *heads,
                    kv_heads: *kv_heads,
                    head_dim: *head_dim,
                    capacity: k.rows / batch,
                    scale: *scale,
                    mask: *mask,
                    batch: *batch,
                };
                let words = shape.partial_words();
                let q = if words > 0 { self.contiguous(q, label) } else { q };
                let out = self.fresh(rows, cols);
                let partial = (words > 0).then(|| self.store(words, Kind::Scratch));
                let operands = attention::Operands { q, k, v };
                self.emit(Work::Attention { shape, operands, partial, out }, label);
                out
            }
            Op::SelectRow => {
                let x = self.tensor(node.inputs[0])?;
                if x.rows == 1 {
                    x
                } else {
                    let out = self.fresh(rows, cols);
                    let (function, operands, source) = (Function::Copy, [Some(x), None, None], Source::Selected);
                    self.emit(Work::Elementwise { function, operands, source, out }, label);
                    out
                }
            }
            Op::Unary(f) => self.unary(at, *f)?,
            Op::Binary(f) => return self.binary(at, *f, rows, cols),
            Op::Sample { seen, token, alternatives } => {
                let logits = self.tensor(node.inputs[0])?;
                let logits = self.contiguous(logits, label);
                let (seen, token, out) = (self.state(*seen), self.state(*token), self.fresh(rows, cols));
                self.emit(Work::Sample { logits, seen, token, alternatives: *alternatives, out }, label);
                out
            }
            _ => self.picture(at)?,
        };
        self.tensors[at.0 as usize] = Some(out);
        Ok(())
    }
}

fn rotary(op: &Op) -> Option<Rotary> {
    let &Op::Rope { head_dim, rotary_dim, base, frequency_scale, factors, layout, .. } = op else { return None };
    Some(Rotary { head_dim, rotary_dim, base, frequency_scale, factors, layout })
}

fn refused(node: &Node, why: &str) -> Error {
    Error::invalid_graph(format!("{} at {} {:?}: {why}", node.op.name(), node.label, node.shape))
}
