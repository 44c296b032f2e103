//! Turns a graph into the list of kernels that a step runs. What [`fusion`] puts together becomes one kernel, and besides:
//!
//! - layers that lie in one matrix (see [`super::layout`]) are one;
//! - the norms of the heads of q and k, their rotary turns and both cache writes are one, just before their attention.
//!
//! A value is a [`Tensor`]: a window on a [`Store`]. Stores are memory in the abstract; [`super::memory`] places them.

mod abilities;
mod layers;
mod pictures;

use super::{
    features::Features,
    kernels::{
        attention,
        elementwise::{self, Function, Source},
        rms_norm, rows as row_kernels, sample,
    },
    layout::Layout,
    program::{
        AttentionShape, Call, Epilogue, HeadNorm, Kind, Leanings, Operands, Program, Rotary, Stage, Store, StoreId,
        Tensor, Work,
    },
};
use crate::{
    Error, Result,
    backend::fusion::{self, Fused, Readers},
    graph::{Attention, Graph, Node, Op, Rope, SampleStates, StateId, ValueId, WeightId},
};
use abilities::Layers;

/// Fuses `graph` for weights that lie as `layout` says, in kernels for a device of these `features`.
pub fn fuse(graph: &Graph, layout: &Layout, features: Features) -> Result<Program> {
    let readers = Readers::of(graph)?;
    let mut fuser = Fuser::new(graph, layout, &readers, features);
    for i in 0..graph.nodes.len() {
        fuser.node(ValueId(i as u32))?;
    }
    for (name, value) in &graph.outputs {
        let tensor = fuser.tensor(*value)?;
        let tensor = fuser.contiguous(tensor, "output")?;
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
    readers: &'a Readers,
    features: Features,
    program: Program,
    tensors: Vec<Option<Tensor>>,
    /// What makes each node's value; `None` where another node's work does.
    fused: Vec<Option<Fused>>,
    states: Vec<Option<StoreId>>,
}

/// The windows on rotated and cached values that one attention needs.
struct RotaryIntoCache {
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
    fn new(graph: &'a Graph, layout: &'a Layout, readers: &'a Readers, features: Features) -> Self {
        let mut fuser = Self {
            graph,
            layout,
            readers,
            features,
            program: Program::default(),
            tensors: vec![None; graph.nodes.len()],
            fused: fusion::fuse(graph, readers, &Layers { graph, layout }),
            states: vec![None; graph.states.len()],
        };
        for i in 0..graph.nodes.len() {
            let at = ValueId(i as u32);
            if !matches!(graph.node(at).op, Op::Attention(_)) {
                continue;
            }
            for value in fuser.rotary_into_cache(at).map(|turned| turned.between).unwrap_or_default() {
                fuser.fused[value.0 as usize] = None;
            }
        }
        fuser
    }

    /// For an attention at `at`: its inputs as they are before the turn and the cache writes, where nobody else reads what
    /// lies between.
    fn rotary_into_cache(&self, at: ValueId) -> Option<RotaryIntoCache> {
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
        let private = between.iter().all(|value| self.readers.is_private(*value));
        (private && raw_k.rotary == raw_q.rotary && k_cache != v_cache).then_some(RotaryIntoCache {
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

    fn call(&mut self, call: Call, label: &str) {
        self.emit(Work::Call(call), label);
    }

    fn elementwise(
        &mut self,
        function: Function,
        operands: [Option<Tensor>; 3],
        out: Tensor,
        label: &str,
    ) -> Result<()> {
        self.rows_of(Source::Same, function, operands, out, label)
    }

    /// The same, of the rows of the first operand that `source` says.
    fn rows_of(
        &mut self,
        source: Source,
        function: Function,
        operands: [Option<Tensor>; 3],
        out: Tensor,
        label: &str,
    ) -> Result<()> {
        let shape = elementwise::Shape::of(function, operands, source, out);
        self.call(elementwise::elementwise(&shape)?, label);
        Ok(())
    }

    /// The same numbers without gaps between rows; a copy where there are some.
    fn contiguous(&mut self, tensor: Tensor, label: &str) -> Result<Tensor> {
        if tensor.is_contiguous() {
            return Ok(tensor);
        }
        let out = self.fresh(tensor.rows, tensor.cols);
        self.elementwise(Function::Copy, [Some(tensor), None, None], out, label)?;
        Ok(out)
    }

    /// The bias and the lengths of an attention, in this order the `last` of its inputs.
    fn leanings(&mut self, of: &Attention, last: &[ValueId], label: &str) -> Result<Leanings> {
        let bias = last.first().filter(|_| of.bias.is_some());
        let lengths = last.last().filter(|_| of.lengths);
        let mut store = |value: Option<&ValueId>| match value {
            Some(value) => {
                let tensor = self.tensor(*value)?;
                Ok(Some(self.contiguous(tensor, label)?.store))
            }
            None => Ok(None),
        };
        Ok(Leanings { bias: store(bias)?, lengths: store(lengths)? })
    }

    fn node(&mut self, at: ValueId) -> Result<()> {
        let Some(fused) = self.fused[at.0 as usize].clone() else { return Ok(()) };
        if self.tensors[at.0 as usize].is_some() {
            return Ok(());
        }
        let node = self.graph.node(at);
        let (rows, cols) = match *node.shape.as_slice() {
            [n] if node.dtype == crate::graph::DType::U32 => (1, n),
            [rows, cols] => (rows, cols),
            _ => return Err(refused(node, "the GPU runs values of one row or of rows and columns")),
        };
        if rows == 0 || cols == 0 || rows.checked_mul(cols).is_none_or(|n| n > i32::MAX as usize) {
            return Err(refused(node, "a size that the GPU cannot hold"));
        }
        let label = node.label.as_str();
        let out = match &self.graph.node(fused.node).op {
            Op::Input { name } => {
                let store = self.store(rows * cols, Kind::Input(name.clone()));
                if let Some(places) = self.graph.places.filter(|places| places.value == at) {
                    self.program.places = Some((store, places.slots));
                }
                Tensor { store, first: 0, stride: cols, rows, cols }
            }
            Op::LastToken { token } => self.state(*token),
            Op::Embedding { table } => {
                let ids = self.tensor(node.inputs[0])?;
                let ids = self.contiguous(ids, label)?;
                let out = self.fresh(rows, cols);
                self.emit(Work::Embedding { table: *table, ids, out }, label);
                out
            }
            Op::AddPositions { table } => {
                let x = self.tensor(node.inputs[0])?;
                let (x, out) = (self.contiguous(x, label)?, self.fresh(rows, cols));
                self.emit(Work::AddPositions { table: *table, x, out }, label);
                out
            }
            Op::Linear { .. } if fused.is_plain() => return self.layers(at, &fused),
            Op::Linear { .. } | Op::Conv2d { .. } | Op::ConvTranspose2d { .. } => self.layer(at, &fused)?,
            Op::RmsNorm { weight, eps } => {
                let x = self.tensor(fused.inputs[0])?;
                let residual = fused.residual.map(|residual| self.tensor(residual)).transpose()?;
                let out = self.fresh(rows, cols);
                let norm = (*weight, self.graph.weight(*weight).shape[0], *eps);
                let call = rms_norm::rms_norm(self.features.subgroups, norm, &x, residual.as_ref(), out.store)?;
                self.call(call, label);
                out
            }
            Op::LayerNorm { .. } | Op::GroupNorm { .. } => self.norm(at, &fused)?,
            Op::Rope(_) => {
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
            Op::CausalConv { weight, bias, width, cached } => {
                let x = self.tensor(node.inputs[0])?;
                let x = if *cached { x } else { self.contiguous(x, label)? };
                let (seen, out) =
                    (cached.then_some(self.graph.places.map(|places| places.slots)), self.fresh(rows, cols));
                self.call(row_kernels::causal_conv(*width, seen, &x, (*weight, *bias), &out)?, label);
                out
            }
            Op::CopySlots { cache } => {
                let (copies, out) = (self.tensor(node.inputs[0])?, self.state(*cache));
                self.call(row_kernels::copy_slots(copies.rows, &out, copies.store)?, label);
                out
            }
            Op::Attention(of) => {
                let [q, k, v] = match self.rotary_into_cache(at) {
                    Some(turned) => {
                        let from = self.tensor(turned.q)?;
                        let q = if turned.rotary.is_some() { self.fresh(rows, cols) } else { from };
                        let k = (self.tensor(turned.k.0)?, self.state(turned.k.1));
                        let v = (self.tensor(turned.v.0)?, self.state(turned.v.1));
                        let RotaryIntoCache { rotary, norm, .. } = turned;
                        let moved = rotary.map(|_| (from, q));
                        self.emit(Work::RopeCache { rotary, norm, q: moved, k: Some(k), v: Some(v) }, label);
                        [q, k.1, v.1]
                    }
                    None => [self.tensor(node.inputs[0])?, self.tensor(node.inputs[1])?, self.tensor(node.inputs[2])?],
                };
                let shape = AttentionShape::new(of, rows, k.rows, self.graph.places.map(|places| places.slots));
                let leanings = self.leanings(of, &node.inputs[3..], label)?;
                let words = shape.partial_words();
                let q = if words > 0 { self.contiguous(q, label)? } else { q };
                let out = self.fresh(rows, cols);
                let partial = (words > 0).then(|| self.store(words, Kind::Scratch));
                let operands = Operands { q, k, v };
                self.emit(Work::Attention { shape, operands, leanings, partial, out }, label);
                out
            }
            Op::AttentionWeights(of) => {
                let (q, k) = (self.tensor(node.inputs[0])?, self.tensor(node.inputs[1])?);
                let shape = AttentionShape::new(of, q.rows, k.rows, self.graph.places.map(|places| places.slots));
                let leanings = self.leanings(of, &node.inputs[2..], label)?;
                let out = self.fresh(rows, cols);
                self.call(attention::weights(&shape, [&q, &k], leanings, out.store)?, label);
                out
            }
            Op::Stored { state } => self.state(*state),
            Op::Constant { words } => {
                let store = self.store(rows * cols, Kind::Constant(words.clone()));
                Tensor { store, first: 0, stride: cols, rows, cols }
            }
            Op::SelectRow => {
                let x = self.tensor(node.inputs[0])?;
                if x.rows == 1 {
                    x
                } else {
                    let out = self.fresh(rows, cols);
                    self.rows_of(Source::Selected, Function::Copy, [Some(x), None, None], out, label)?;
                    out
                }
            }
            Op::Unary(f) => {
                let (x, out) = (self.tensor(node.inputs[0])?, self.fresh(rows, cols));
                self.elementwise(Function::Unary(*f), [Some(x), None, None], out, label)?;
                out
            }
            Op::Binary(f) => {
                let &[a, b] = fused.inputs.as_slice() else { return Err(refused(node, "expected two values")) };
                let (a, b, out) = (self.tensor(a)?, self.tensor(b)?, self.fresh(rows, cols));
                let function = if fused.gate.is_some() { Function::SiluMul } else { Function::Binary(*f) };
                self.elementwise(function, [Some(a), Some(b), None], out, label)?;
                out
            }
            Op::ReadState { state } => {
                // A copy: the state may be written before all that read this have done so.
                let (x, out) = (self.state(*state), self.fresh(rows, cols));
                self.elementwise(Function::Copy, [Some(x), None, None], out, label)?;
                out
            }
            Op::WriteState { state } => {
                let (x, out) = (self.tensor(node.inputs[0])?, self.state(*state));
                self.elementwise(Function::Copy, [Some(x), None, None], out, label)?;
                out
            }
            Op::Recurrent { cell, weight, hidden, memory, .. } => {
                let (matrix, _) = self.layout.matrix(&self.graph.weight(*weight).name)?;
                let (x, out) = (self.tensor(node.inputs[0])?, self.fresh(rows, cols));
                let (hidden, memory) = (self.state(*hidden), memory.map(|memory| self.state(memory)));
                let projection = self.fresh(hidden.rows, cols * cell.gates());
                for r in 0..rows / hidden.rows {
                    let epilogue = Epilogue::default();
                    let product =
                        Work::Linear { matrix, x: hidden, gather: None, norm: None, epilogue, out: projection };
                    self.emit(product, label);
                    let states = (hidden.store, memory.map(|memory| memory.store));
                    self.call(row_kernels::cell(*cell, r, [&x, &out], (&projection, states))?, label);
                }
                out
            }
            Op::SelectiveScan { a, skip, state } => {
                let [x, steps, ends] = [0, 1, 2].map(|i| self.tensor(node.inputs[i]));
                let (state, out) = (self.state(*state), self.fresh(rows, cols));
                let read = [&x?, &steps?, &ends?];
                self.call(row_kernels::selective_scan([*a, *skip], read, &state, out.store)?, label);
                out
            }
            Op::DeltaRule { state } => {
                let inputs = node.inputs.iter().map(|value| {
                    let tensor = self.tensor(*value)?;
                    Ok(self.contiguous(tensor, label)?.store)
                });
                let inputs = inputs.collect::<Result<Vec<_>>>()?;
                let (state, out) = (self.state(*state), self.fresh(rows, cols));
                self.call(row_kernels::delta_rule(&inputs, &state, &out)?, label);
                out
            }
            Op::Sample { states: SampleStates { seen, bias, token }, alternatives } => {
                let logits = self.tensor(node.inputs[0])?;
                let logits = self.contiguous(logits, label)?;
                let seeds = node.inputs.get(1).map(|seeds| self.tensor(*seeds)).transpose()?.map(|seeds| seeds.store);
                let (seen, token, out) = (self.state(*seen), self.state(*token), self.fresh(rows, cols));
                let (read, written) = ([&logits, &self.state(*bias)], [&seen, &token, &out]);
                let call = sample::sample(self.features.software, *alternatives, read, seeds, written)?;
                self.call(call, label);
                out
            }
            _ => self.picture(at)?,
        };
        self.tensors[at.0 as usize] = Some(out);
        Ok(())
    }
}

fn rotary(op: &Op) -> Option<Rotary> {
    let &Op::Rope(Rope { head_dim, rotary_dim, base, frequency_scale, magnitude, factors, layout, .. }) = op else {
        return None;
    };
    Some(Rotary { head_dim, rotary_dim, base, frequency_scale, magnitude, factors, layout })
}

fn refused(node: &Node, why: &str) -> Error {
    Error::invalid_graph(format!("{} at {} {:?}: {why}", node.op.name(), node.label, node.shape))
}
