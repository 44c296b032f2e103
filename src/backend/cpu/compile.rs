//! From a graph to steps: finds weights and states, gives every value a buffer, and joins what is done together.

use super::{
    attention::Heads,
    elementwise::RopeTable,
    pictures::Reach,
    resident::{Shared, Weight},
    run::LINEAR_ROWS,
    winograd::Winograd,
};
use crate::{
    Error, Result,
    backend::gate::{self, Gate},
    graph::{Binary, Graph, Grid, Mask, Op, RopeLayout, StateId, Unary, ValueId, WeightId},
};

/// Where a value stands: in a buffer, or it is a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Buffer(usize),
    State(usize),
}

/// An operation with everything it needs found. Numbers are places in the plan's buffers, [`Shared::weights`], the states and
/// the rotary tables.
pub enum Step {
    LastToken {
        token: usize,
        out: usize,
    },
    Embedding {
        table: usize,
        ids: usize,
        out: usize,
    },
    AddPositions {
        table: usize,
        x: usize,
        out: usize,
    },
    /// `round`: the scratch does not hold `x` yet.
    Linear {
        weight: usize,
        bias: Option<usize>,
        rows: usize,
        x: usize,
        out: usize,
        round: bool,
    },
    RmsNorm {
        weight: usize,
        eps: f32,
        x: usize,
        out: usize,
    },
    Rope {
        table: usize,
        heads: usize,
        head_dim: usize,
        layout: RopeLayout,
        x: usize,
        out: usize,
    },
    CacheWrite {
        cache: usize,
        width: usize,
        x: usize,
    },
    Attention {
        heads: Heads,
        q: usize,
        k: usize,
        v: usize,
        out: usize,
    },
    SelectRow {
        x: usize,
        out: usize,
    },
    Unary {
        f: Unary,
        x: usize,
        out: usize,
    },
    Binary {
        f: Binary,
        a: usize,
        b: usize,
        out: usize,
    },
    SiluMul {
        x: usize,
        y: usize,
        out: usize,
    },
    Sample {
        seen: usize,
        token: usize,
        alternatives: usize,
        logits: usize,
        out: usize,
    },
    /// Attention between values of this step, each member of the batch for itself.
    AttentionBetween {
        heads: Heads,
        batch: usize,
        causal: bool,
        rows: usize,
        q: usize,
        k: usize,
        v: usize,
        out: usize,
    },
    Broadcast {
        f: Binary,
        batch: usize,
        x: usize,
        y: usize,
        out: usize,
    },
    Modulate {
        batch: usize,
        x: usize,
        shift: usize,
        scale: usize,
        out: usize,
    },
    Columns {
        first: usize,
        columns: usize,
        width: usize,
        x: usize,
        out: usize,
    },
    Gated {
        f: Unary,
        last: bool,
        n: usize,
        x: usize,
        out: usize,
    },
    Concat {
        rows: usize,
        a: usize,
        b: usize,
        out: usize,
    },
    LayerNorm {
        weight: Option<usize>,
        bias: Option<usize>,
        eps: f32,
        width: usize,
        x: usize,
        out: usize,
    },
    GroupNorm {
        weight: usize,
        bias: usize,
        groups: usize,
        eps: f32,
        batch: usize,
        silu: bool,
        x: usize,
        out: usize,
    },
    Convolution {
        weight: usize,
        bias: Option<usize>,
        reach: Reach,
        channels: usize,
        /// The quick way, where it is.
        winograd: Option<Box<Winograd>>,
        /// What is added to the result, and what becomes of it then.
        plus: Option<usize>,
        then: Option<Unary>,
        x: usize,
        out: usize,
    },
    Upsample {
        input: Grid,
        factor: usize,
        x: usize,
        out: usize,
    },
    Crop {
        input: Grid,
        output: Grid,
        x: usize,
        out: usize,
    },
    TimestepEmbedding {
        max_period: f32,
        shift: f32,
        cosine_first: bool,
        x: usize,
        out: usize,
    },
}

/// A rotary table and the rows that it holds.
pub struct Rope {
    /// Size, bits of base and scale, factors, rows: what makes two tables one.
    key: (usize, u32, u32, Option<usize>, usize),
    pub table: RopeTable,
    pub rows: usize,
    pub at: Option<u32>,
}

/// Goes through a graph once, in order.
pub struct Compiler<'a> {
    shared: &'a Shared,
    graph: &'a Graph,
    /// Places of the graph's weights and states in [`Shared`].
    weights: Vec<usize>,
    states: Vec<usize>,
    /// What each node reads, and the picture and factor where it reads an upsampled one as it was before.
    inputs: Vec<Vec<ValueId>>,
    upsampled: Vec<Option<(Grid, usize)>>,
    /// For a product of two halves of one value: how they meet.
    gates: Vec<Option<Gate>>,
    /// The node after which a value is needed no longer; `usize::MAX` for what the caller reads or writes.
    last_use: Vec<usize>,
    pub places: Vec<Option<Place>>,
    pub steps: Vec<Step>,
    /// Lengths of the buffers in words.
    pub sizes: Vec<usize>,
    free: Vec<usize>,
    /// Buffers that became free with the last nodes, for whoever keeps count.
    pub released: Vec<usize>,
    pub ropes: Vec<Rope>,
    /// The value whose rounded rows the scratch holds.
    rounded: Option<ValueId>,
}

impl<'a> Compiler<'a> {
    pub fn new(shared: &'a Shared, graph: &'a Graph) -> Result<Self> {
        let (inputs, upsampled, gates) = join(graph);
        let mut last_use: Vec<usize> = (0..graph.nodes.len()).collect();
        for (i, inputs) in inputs.iter().enumerate() {
            for input in inputs {
                match last_use.get_mut(input.0 as usize) {
                    Some(last) if (input.0 as usize) < i => *last = i,
                    _ => return Err(Error::invalid_graph(format!("node {i} reads the value of a later one"))),
                }
            }
        }
        for v in graph.outputs.iter().map(|(_, v)| *v).chain(graph.inputs().map(|(_, v)| v)) {
            match last_use.get_mut(v.0 as usize) {
                Some(last) => *last = usize::MAX,
                None => return Err(Error::invalid_graph("an output names a value that no node makes")),
            }
        }
        Ok(Self {
            shared,
            graph,
            weights: graph.weights.iter().map(|w| shared.weight(w)).collect::<Result<_>>()?,
            states: graph.states.iter().map(|s| shared.state(s)).collect::<Result<_>>()?,
            inputs,
            upsampled,
            gates,
            last_use,
            places: vec![None; graph.nodes.len()],
            steps: vec![],
            sizes: vec![],
            free: vec![],
            released: vec![],
            ropes: vec![],
            rounded: None,
        })
    }

    fn weight(&self, w: WeightId) -> usize {
        self.weights[w.0 as usize]
    }

    fn state(&self, s: StateId) -> usize {
        self.states[s.0 as usize]
    }

    fn buffer(&self, v: ValueId) -> Result<usize> {
        match self.places[v.0 as usize] {
            Some(Place::Buffer(b)) => Ok(b),
            _ => Err(Error::invalid_graph(format!("{} reads a state as a value", self.graph.node(v).op.name()))),
        }
    }

    fn cache(&self, v: ValueId) -> Result<usize> {
        match self.places[v.0 as usize] {
            Some(Place::State(s)) => Ok(s),
            _ => Err(Error::invalid_graph("attention reads keys and values from caches alone")),
        }
    }

    /// Length of node `i`'s value.
    fn words(&self, i: usize) -> Result<usize> {
        let node = &self.graph.nodes[i];
        let len = node.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).filter(|n| n.checked_mul(4).is_some());
        len.ok_or_else(|| {
            Error::out_of_memory(format!("{} of {:?} is too large; ask for less at once", node.op.name(), node.shape))
        })
    }

    /// A buffer as long as node `i`'s value.
    fn take(&mut self, i: usize) -> Result<usize> {
        let len = self.words(i)?;
        if let Some(at) = self.free.iter().position(|b| self.sizes[*b] == len) {
            return Ok(self.free.swap_remove(at));
        }
        self.sizes.push(len);
        Ok(self.sizes.len() - 1)
    }

    /// The buffer of `x` where node `i` is the last to need it, else a new one.
    fn take_over(&mut self, i: usize, x: ValueId) -> Result<usize> {
        let buffer = self.buffer(x)?;
        if self.last_use[x.0 as usize] == i { Ok(buffer) } else { self.take(i) }
    }

    pub fn node(&mut self, i: usize) -> Result<()> {
        let graph = self.graph;
        let node = &graph.nodes[i];
        let v = self.inputs[i].clone();
        let input =
            |n: usize| v.get(n).copied().ok_or_else(|| Error::invalid_graph(format!("node {i} lacks an input")));
        let mut place = None;
        match &node.op {
            // Inputs stand in their buffers from the beginning, so these held nothing before.
            Op::Input { .. } => {
                self.sizes.push(self.words(i)?);
                place = Some(self.sizes.len() - 1);
            }
            Op::LastToken { token } => {
                let out = self.take(i)?;
                self.steps.push(Step::LastToken { token: self.state(*token), out });
                place = Some(out);
            }
            Op::Embedding { table } => {
                let ids = self.buffer(input(0)?)?;
                let out = self.take(i)?;
                self.steps.push(Step::Embedding { table: self.weight(*table), ids, out });
                place = Some(out);
            }
            Op::AddPositions { table } => {
                let x = self.buffer(input(0)?)?;
                let out = self.take_over(i, input(0)?)?;
                self.steps.push(Step::AddPositions { table: self.weight(*table), x, out });
                place = Some(out);
            }
            Op::Linear { weight, bias } => {
                let value = input(0)?;
                let x = self.buffer(value)?;
                let weight = self.weight(*weight);
                let quantised = match &self.shared.weights[weight] {
                    Weight::Matrix(m) => m.dtype.is_quantised(),
                    Weight::Vector(_) => false,
                };
                let rows = node.shape[0];
                let round = quantised && self.rounded != Some(value);
                if quantised {
                    // Of a value that is computed in parts the scratch holds the last.
                    self.rounded = (rows <= LINEAR_ROWS).then_some(value);
                }
                let out = self.take(i)?;
                self.steps.push(Step::Linear { weight, bias: bias.map(|b| self.weight(b)), rows, x, out, round });
                place = Some(out);
            }
            Op::RmsNorm { weight, eps } => {
                let x = self.buffer(input(0)?)?;
                let out = self.take_over(i, input(0)?)?;
                self.steps.push(Step::RmsNorm { weight: self.weight(*weight), eps: *eps, x, out });
                place = Some(out);
            }
            Op::Rope { heads, head_dim, layout, .. } => {
                let x = self.buffer(input(0)?)?;
                let table = self.rope(i)?;
                let out = self.take_over(i, input(0)?)?;
                self.steps.push(Step::Rope { table, heads: *heads, head_dim: *head_dim, layout: *layout, x, out });
                place = Some(out);
            }
            Op::CacheWrite { cache } => {
                let x = self.buffer(input(0)?)?;
                let cache = self.state(*cache);
                let width = node.shape.last().copied().unwrap_or(0);
                self.steps.push(Step::CacheWrite { cache, width, x });
                self.places[i] = Some(Place::State(cache));
            }
            Op::Attention { heads, kv_heads, head_dim, scale, mask, batch } => {
                let (heads, kv_heads, head_dim, scale) = (*heads, *kv_heads, *head_dim, *scale);
                let heads = Heads { heads, kv_heads, head_dim, scale, window: mask.window() };
                let q = self.buffer(input(0)?)?;
                let step = if mask.is_cached() {
                    let (k, v) = (self.cache(input(1)?)?, self.cache(input(2)?)?);
                    Step::Attention { heads, q, k, v, out: self.take(i)? }
                } else {
                    let (k, v) = (self.buffer(input(1)?)?, self.buffer(input(2)?)?);
                    let causal = *mask == Mask::Causal;
                    Step::AttentionBetween {
                        heads,
                        batch: *batch,
                        causal,
                        rows: node.shape[0] / batch,
                        q,
                        k,
                        v,
                        out: self.take(i)?,
                    }
                };
                if let Step::Attention { out, .. } | Step::AttentionBetween { out, .. } = step {
                    place = Some(out);
                }
                self.steps.push(step);
            }
            Op::SelectRow => {
                let x = self.buffer(input(0)?)?;
                let out = self.take(i)?;
                self.steps.push(Step::SelectRow { x, out });
                place = Some(out);
            }
            Op::Unary(_) | Op::Columns { .. } if v.is_empty() => {}
            Op::Unary(f) => {
                let x = self.buffer(input(0)?)?;
                let out = self.take_over(i, input(0)?)?;
                if x != out || !self.join_unary(*f, out) {
                    self.steps.push(Step::Unary { f: *f, x, out });
                }
                place = Some(out);
            }
            Op::Binary(_) if let Some(Gate { f, last, .. }) = self.gates[i] => {
                let x = self.buffer(input(0)?)?;
                let out = self.take(i)?;
                self.steps.push(Step::Gated { f, last, n: node.shape[1], x, out });
                place = Some(out);
            }
            Op::Binary(f) => {
                let (a, b) = (self.buffer(input(0)?)?, self.buffer(input(1)?)?);
                let [a_last, b_last] = [input(0)?, input(1)?].map(|v| self.last_use[v.0 as usize] == i);
                let sum = if *f == Binary::Add { self.join_sum([(a, a_last), (b, b_last)]) } else { None };
                let out = match sum {
                    Some(out) => out,
                    None if !a_last && b_last => b,
                    None => self.take_over(i, input(0)?)?,
                };
                if sum.is_none() && !self.join_silu(i, *f, input(0)?, b, out) {
                    self.steps.push(Step::Binary { f: *f, a, b, out });
                }
                place = Some(out);
            }
            Op::Sample { seen, token, alternatives } => {
                let logits = self.buffer(input(0)?)?;
                let out = self.take(i)?;
                let (seen, token) = (self.state(*seen), self.state(*token));
                self.steps.push(Step::Sample { seen, token, alternatives: *alternatives, logits, out });
                place = Some(out);
            }
            Op::Broadcast { f, batch } => {
                let (x, y) = (self.buffer(input(0)?)?, self.buffer(input(1)?)?);
                let out = self.take_over(i, input(0)?)?;
                self.steps.push(Step::Broadcast { f: *f, batch: *batch, x, y, out });
                place = Some(out);
            }
            Op::Modulate { batch } => {
                let [x, shift, scale] = [self.buffer(input(0)?)?, self.buffer(input(1)?)?, self.buffer(input(2)?)?];
                let out = self.take_over(i, input(0)?)?;
                self.steps.push(Step::Modulate { batch: *batch, x, shift, scale, out });
                place = Some(out);
            }
            Op::Columns { first } => {
                let x = self.buffer(input(0)?)?;
                let (columns, width) = (node.shape[1], graph.node(input(0)?).shape[1]);
                let out = self.take(i)?;
                self.steps.push(Step::Columns { first: *first, columns, width, x, out });
                place = Some(out);
            }
            Op::Concat => {
                let (a, b) = (self.buffer(input(0)?)?, self.buffer(input(1)?)?);
                let out = self.take(i)?;
                self.steps.push(Step::Concat { rows: node.shape[0], a, b, out });
                place = Some(out);
            }
            Op::LayerNorm { weight, bias, eps } => {
                let x = self.buffer(input(0)?)?;
                let [weight, bias] = [weight, bias].map(|w| w.map(|w| self.weight(w)));
                let out = self.take_over(i, input(0)?)?;
                self.steps.push(Step::LayerNorm { weight, bias, eps: *eps, width: node.shape[1], x, out });
                place = Some(out);
            }
            Op::GroupNorm { weight, bias, groups, eps, batch } => {
                let x = self.buffer(input(0)?)?;
                let (weight, bias) = (self.weight(*weight), self.weight(*bias));
                let out = self.take_over(i, input(0)?)?;
                let (groups, batch) = (*groups, *batch);
                self.steps.push(Step::GroupNorm { weight, bias, groups, eps: *eps, batch, silu: false, x, out });
                place = Some(out);
            }
            Op::Conv2d { weight, bias, input: grid, window }
            | Op::ConvTranspose2d { weight, bias, input: grid, window } => {
                let transposed = matches!(node.op, Op::ConvTranspose2d { .. });
                let output = if transposed { window.under(*grid) } else { window.over(*grid) };
                let output = output.ok_or_else(|| Error::invalid_graph("a window does not fit its picture"))?;
                let x = self.buffer(input(0)?)?;
                let (picture, factor) = self.upsampled[i].unwrap_or((*grid, 1));
                let reach = Reach { input: picture, factor, output, window: *window, transposed };
                let (weight, bias) = (self.weight(*weight), bias.map(|b| self.weight(b)));
                let channels = graph.node(input(0)?).shape[1];
                let out = self.take(i)?;
                // The scratch now holds patches.
                self.rounded = None;
                let winograd = Winograd::new(&reach, channels, node.shape[1]).map(Box::new);
                let (plus, then) = (None, None);
                self.steps.push(Step::Convolution { weight, bias, reach, channels, winograd, plus, then, x, out });
                place = Some(out);
            }
            Op::Upsample { .. } if v.is_empty() => {}
            Op::Upsample { input: grid, factor } => {
                let x = self.buffer(input(0)?)?;
                let out = self.take(i)?;
                self.steps.push(Step::Upsample { input: *grid, factor: *factor, x, out });
                place = Some(out);
            }
            Op::Crop { input: grid, height, width } => {
                let x = self.buffer(input(0)?)?;
                let out = self.take(i)?;
                let output = Grid { height: *height, width: *width, ..*grid };
                self.steps.push(Step::Crop { input: *grid, output, x, out });
                place = Some(out);
            }
            Op::TimestepEmbedding { max_period, shift, cosine_first } => {
                let x = self.buffer(input(0)?)?;
                let out = self.take(i)?;
                let (max_period, shift, cosine_first) = (*max_period, *shift, *cosine_first);
                self.steps.push(Step::TimestepEmbedding { max_period, shift, cosine_first, x, out });
                place = Some(out);
            }
        }
        if let Some(out) = place {
            self.places[i] = Some(Place::Buffer(out));
        }
        self.release(i);
        Ok(())
    }

    /// Lets a convolution or a norm that was the last step end with a function of what it made in `x`.
    fn join_unary(&mut self, f: Unary, x: usize) -> bool {
        match self.steps.last_mut() {
            Some(Step::Convolution { then: then @ None, out, .. }) if *out == x => *then = Some(f),
            Some(Step::GroupNorm { silu: silu @ false, out, .. }) if *out == x && f == Unary::Silu => *silu = true,
            _ => return false,
        }
        true
    }

    /// Lets a convolution that was the last step add the other of two values to what it made, if nothing else needs that.
    fn join_sum(&mut self, values: [(usize, bool); 2]) -> Option<usize> {
        let Some(Step::Convolution { plus: plus @ None, then: None, out, .. }) = self.steps.last_mut() else {
            return None;
        };
        let [(a, a_last), (b, b_last)] = values;
        let other = match *out {
            out if out == a && a_last && a != b => b,
            out if out == b && b_last && a != b => a,
            _ => return None,
        };
        *plus = Some(other);
        Some(*out)
    }

    /// Makes `silu` and a product that follows it at once in the same buffer one step.
    fn join_silu(&mut self, i: usize, f: Binary, a: ValueId, y: usize, out: usize) -> bool {
        let alone = self.last_use[a.0 as usize] == i && a.0 as usize + 1 == i;
        match self.steps.last() {
            Some(&Step::Unary { f: Unary::Silu, x, out: silu })
                if f == Binary::Mul && alone && silu == out && y != out && x == out =>
            {
                self.steps.pop();
                self.steps.push(Step::SiluMul { x, y, out });
                true
            }
            _ => false,
        }
    }

    /// Buffers of values that node `i` was the last to need, save those that its own value took over, are free again.
    fn release(&mut self, i: usize) {
        let mut done: Vec<usize> = self.inputs[i].iter().map(|v| v.0 as usize).collect();
        done.push(i);
        done.sort_unstable();
        done.dedup();
        for v in done {
            if self.last_use[v] != i {
                continue;
            }
            // A value that nothing reads ends with its own node.
            let Some(Place::Buffer(b)) = self.places[v] else { continue };
            if v == i || self.places[i] != Some(Place::Buffer(b)) {
                self.free.push(b);
                self.released.push(b);
            }
        }
    }

    /// The table that node `i`, a rope, turns by.
    fn rope(&mut self, i: usize) -> Result<usize> {
        let node = &self.graph.nodes[i];
        let Op::Rope { rotary_dim, base, frequency_scale, factors, .. } = &node.op else {
            return Err(Error::internal("a rotary table was asked for by another operation"));
        };
        let factors = factors.map(|w| self.weight(w));
        let rows = node.shape[0];
        let key = (*rotary_dim, base.to_bits(), frequency_scale.to_bits(), factors, rows);
        if let Some(at) = self.ropes.iter().position(|r| r.key == key) {
            return Ok(at);
        }
        let divisors = match factors.map(|w| &self.shared.weights[w]) {
            Some(Weight::Vector(v)) => Some(v.as_slice()),
            Some(Weight::Matrix(_)) => return Err(Error::invalid_graph("frequency factors are a vector")),
            None => None,
        };
        let table = RopeTable::new(*rotary_dim, *base, *frequency_scale, divisors);
        self.ropes.push(Rope { key, table, rows, at: None });
        Ok(self.ropes.len() - 1)
    }
}

/// What each node reads where one step does the work of several, and how: a convolution that alone reads an upsampled picture reads
/// the picture before instead, a product of two halves the value that both are cut from. What lies between then reads nothing and makes
/// nothing.
fn join(graph: &Graph) -> (Vec<Vec<ValueId>>, Vec<Option<(Grid, usize)>>, Vec<Option<Gate>>) {
    let mut inputs: Vec<_> = graph.nodes.iter().map(|node| node.inputs.clone()).collect();
    let mut upsampled = vec![None; graph.nodes.len()];
    let mut gates = vec![None; graph.nodes.len()];
    let reads = gate::reads(graph);
    for (i, node) in graph.nodes.iter().enumerate() {
        if let Some(gate) = Gate::at(graph, &reads, i) {
            gate.parts.iter().for_each(|part| inputs[part.0 as usize].clear());
            inputs[i] = vec![gate.both];
            gates[i] = Some(gate);
        }
        let (Op::Conv2d { .. }, &[x]) = (&node.op, node.inputs.as_slice()) else { continue };
        let at = x.0 as usize;
        if let Some(Op::Upsample { input, factor }) = graph.nodes.get(at).map(|n| &n.op)
            && at < i
            && reads[at] == 1
        {
            inputs[i] = std::mem::take(&mut inputs[at]);
            upsampled[i] = Some((*input, *factor));
        }
    }
    (inputs, upsampled, gates)
}
