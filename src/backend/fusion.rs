//! Which operations of a graph are computed in one go. A model says each by itself; a kernel does several:
//!
//! - a function after a LayerNorm or a GroupNorm belongs to the norm, a sum after an RMSNorm as well;
//! - `f(x · gain + residual)` of what a linear layer or a convolution makes is the end of that layer;
//! - `f(a) · b` is one operation: of two values, of the two halves of one (GEGLU, arXiv 2002.05202), or as the end of the layer
//!   that makes both;
//! - the RMSNorm of a single row belongs to each layer that reads it;
//! - an enlarged picture goes into the convolution that reads it.
//!
//! Both backends compute what [`fuse`] returns, each as far as its [`Kernels`] go. Values that somebody else reads as well are always
//! made.

use crate::{
    Error, Result,
    graph::{Binary, Graph, Grid, Node, Op, Unary, ValueId, WeightId},
};

/// A product of two halves of one value: `f(gate) · other`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gate {
    pub f: Unary,
    /// The gate is the second half.
    pub last: bool,
}

impl Gate {
    /// `silu(first half) · second half`
    pub const SILU: Self = Self { f: Unary::Silu, last: false };
}

/// What a backend's kernels can do in one go.
pub trait Kernels {
    /// Whether the linear layer or convolution at `layer` can go on with its result.
    fn goes_on(&self, layer: ValueId) -> bool;
    /// Whether one matrix makes both values, `gate` above `up`, and can multiply them.
    fn makes_both(&self, gate: ValueId, up: ValueId) -> bool;
    /// Whether the layer at `layer` can multiply the halves of its result.
    fn multiplies_halves(&self, layer: ValueId) -> bool;
    /// Whether the halves of any value can be multiplied where they stand.
    fn reads_halves(&self) -> bool;
    /// Whether linear layers can norm a row that they read.
    fn norms_rows(&self) -> bool;
}

/// An operation of the graph, and what is done with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fused {
    /// The node whose operation it is: `layer`, norm or product.
    pub node: ValueId,
    /// What this operation reads. With a `gate` and without a layer: the gate and the other factor, or the value with both halves.
    pub inputs: Vec<ValueId>,
    /// What norms the row before a linear layer.
    pub norm: Option<(WeightId, f32)>,
    /// The picture that a convolution reads as if each of its pixels were a square of so many on a side.
    pub enlarged: Option<(Grid, usize)>,
    pub gate: Option<Gate>,
    /// What the result is multiplied by; each of its rows meets as many of the result's.
    pub gain: Option<ValueId>,
    /// What is added then, likewise.
    pub residual: Option<ValueId>,
    pub activation: Option<Unary>,
}

impl Fused {
    fn alone(node: ValueId, inputs: Vec<ValueId>) -> Self {
        Self { node, inputs, norm: None, enlarged: None, gate: None, gain: None, residual: None, activation: None }
    }

    /// Every value that it reads.
    pub fn reads(&self) -> impl Iterator<Item = ValueId> {
        self.inputs.iter().copied().chain(self.gain).chain(self.residual)
    }

    /// Whether it is its node and nothing else.
    pub fn is_plain(&self) -> bool {
        self.gate.is_none() && self.gain.is_none() && self.residual.is_none() && self.activation.is_none()
    }
}

/// Who reads each value.
pub struct Readers {
    nodes: Vec<Vec<ValueId>>,
    outputs: Vec<bool>,
}

impl Readers {
    /// Errors: `invalid-graph` where a node reads the value of a later one, or an output names none.
    pub fn of(graph: &Graph) -> Result<Self> {
        let count = graph.nodes.len();
        let (mut nodes, mut outputs) = (vec![vec![]; count], vec![false; count]);
        for (i, node) in graph.nodes.iter().enumerate() {
            for input in &node.inputs {
                if input.0 as usize >= i {
                    return Err(Error::invalid_graph(format!("node {i} reads the value of a later one")));
                }
                nodes[input.0 as usize].push(ValueId(i as u32));
            }
        }
        for (name, value) in &graph.outputs {
            match outputs.get_mut(value.0 as usize) {
                Some(output) => *output = true,
                None => return Err(Error::invalid_graph(format!("output {name} names a value that no node makes"))),
            }
        }
        Ok(Self { nodes, outputs })
    }

    /// The one node that reads `value`, where nobody else does.
    fn only(&self, value: ValueId) -> Option<ValueId> {
        match self.nodes[value.0 as usize].as_slice() {
            [one] if !self.outputs[value.0 as usize] => Some(*one),
            _ => None,
        }
    }

    /// Whether `value` is read by exactly one node and by nobody outside.
    pub fn is_private(&self, value: ValueId) -> bool {
        self.only(value).is_some()
    }
}

/// For each node what makes its value; `None` where another node's work does.
pub fn fuse(graph: &Graph, readers: &Readers, kernels: &impl Kernels) -> Vec<Option<Fused>> {
    let count = graph.nodes.len();
    let mut pass = Pass { graph, readers, kernels, absorbed: vec![false; count], chains: vec![None; count] };
    let all = || (0..count as u32).map(ValueId);
    all().for_each(|at| pass.absorb(at));
    all().rev().for_each(|at| pass.find_chain(at));
    all().map(|at| pass.fused(at)).collect()
}

/// For a node `f(a) · b` (in either order): `(f, a, b)`.
pub fn gated_product(graph: &Graph, node: &Node) -> Option<(Unary, ValueId, ValueId)> {
    let (Op::Binary(Binary::Mul), &[left, right]) = (&node.op, node.inputs.as_slice()) else { return None };
    let under = |value: ValueId| match (&graph.node(value).op, graph.node(value).inputs.as_slice()) {
        (Op::Unary(f), [x]) => Some((*f, *x)),
        _ => None,
    };
    match (under(left), under(right)) {
        (Some((f, gate)), _) => Some((f, gate, right)),
        (None, Some((f, gate))) => Some((f, gate, left)),
        (None, None) => None,
    }
}

/// A layer, and what it does to its result: `f(layer · gain + residual)`.
#[derive(Clone, Copy)]
struct Chain {
    layer: ValueId,
    gain: Option<ValueId>,
    residual: Option<ValueId>,
    activation: Option<Unary>,
}

/// A product of the two halves of `both`, and the nodes between: the cuts and the function.
struct Halves {
    gate: Gate,
    both: ValueId,
    between: [ValueId; 3],
}

/// A product `f(gate) · up`.
struct Product {
    f: Unary,
    gate: ValueId,
    up: ValueId,
    /// The node that makes `f(gate)`.
    function: ValueId,
    /// Whether the layer that makes both does it all.
    by_layer: bool,
}

struct Pass<'a, K> {
    graph: &'a Graph,
    readers: &'a Readers,
    kernels: &'a K,
    /// Nodes whose work another node's does.
    absorbed: Vec<bool>,
    /// For a node that ends what a layer does to its result: that layer, and all that it does.
    chains: Vec<Option<Chain>>,
}

impl<K: Kernels> Pass<'_, K> {
    /// Marks the nodes whose work the node `at` does.
    fn absorb(&mut self, at: ValueId) {
        let parts = match &self.graph.node(at).op {
            Op::Binary(Binary::Mul) => match (self.halves(at), self.product(at)) {
                (Some(halves), _) if self.kernels.multiplies_halves(halves.both) && self.reads_only_halves(&halves) => {
                    [halves.between.as_slice(), &[halves.both]].concat()
                }
                (Some(halves), _) => halves.between.to_vec(),
                (None, Some(Product { function, gate, up, by_layer: true, .. })) => vec![function, gate, up],
                (None, Some(Product { function, .. })) => vec![function],
                (None, None) => vec![],
            },
            Op::RmsNorm { .. } if self.is_prologue(at) => vec![at],
            Op::Unary(_) => self.normed(at).into_iter().collect(),
            Op::Conv2d { .. } => self.enlarged(at).into_iter().collect(),
            Op::Binary(Binary::Add) => self.normed_sum(at).map(|(norm, _)| norm).into_iter().collect(),
            _ => vec![],
        };
        for part in parts {
            self.absorbed[part.0 as usize] = true;
        }
    }

    /// For a product at `at` of one half of a value and a function of the other: both, where they can be multiplied in one go.
    fn halves(&self, at: ValueId) -> Option<Halves> {
        let end = self.graph.node(at);
        let (f, gate, other) = gated_product(self.graph, end)?;
        let &[_, n] = end.shape.as_slice() else { return None };
        let cut = |v: ValueId| match (&self.graph.node(v).op, self.graph.node(v).inputs.as_slice()) {
            (Op::SliceColumns { first }, [x]) => Some((*x, *first)),
            _ => None,
        };
        let ((both, first), (same, other_first)) = (cut(gate)?, cut(other)?);
        let function = self.function(at, gate)?;
        let between = [gate, other, function];
        let halves = (first, other_first) == (0, n) || (first, other_first) == (n, 0);
        let whole = same == both && halves && self.graph.node(both).shape.get(1) == Some(&(2 * n));
        let private = between.iter().all(|v| self.readers.is_private(*v));
        let halves = Halves { gate: Gate { f, last: first == n }, both, between };
        let possible =
            || self.kernels.reads_halves() || (self.kernels.multiplies_halves(both) && self.reads_only_halves(&halves));
        (whole && private && possible()).then_some(halves)
    }

    /// Whether nobody but the two cuts reads the value that they are cut from.
    fn reads_only_halves(&self, Halves { both, .. }: &Halves) -> bool {
        self.readers.nodes[both.0 as usize].len() == 2 && !self.readers.outputs[both.0 as usize]
    }

    /// The factor of the product at `at` that is a function of `gate`.
    fn function(&self, at: ValueId, gate: ValueId) -> Option<ValueId> {
        let is_it = |v: &&ValueId| {
            let node = self.graph.node(**v);
            matches!(node.op, Op::Unary(_)) && node.inputs == [gate]
        };
        self.graph.node(at).inputs.iter().find(is_it).copied()
    }

    /// For `f(a) · b` at `at`: what it is made of, where that is done in one go. Without their layers that is so of SiLU alone.
    fn product(&self, at: ValueId) -> Option<Product> {
        let (f, gate, up) = gated_product(self.graph, self.graph.node(at))?;
        let function = self.function(at, gate)?;
        if !self.readers.is_private(function) {
            return None;
        }
        let by_layer =
            self.readers.is_private(gate) && self.readers.is_private(up) && self.kernels.makes_both(gate, up);
        (by_layer || f == Unary::Silu).then_some(Product { f, gate, up, function, by_layer })
    }

    /// For a sum at `at`: the RMSNorm that gives one of its terms to nobody else, and the other term.
    fn normed_sum(&self, at: ValueId) -> Option<(ValueId, ValueId)> {
        let node = self.graph.node(at);
        let (Op::Binary(Binary::Add), &[a, b]) = (&node.op, node.inputs.as_slice()) else { return None };
        let is_norm = |v: ValueId| matches!(self.graph.node(v).op, Op::RmsNorm { .. }) && self.readers.is_private(v);
        // The later one: the other is there by then.
        let (first, last) = if a < b { (a, b) } else { (b, a) };
        (first != last && is_norm(last)).then_some((last, first))
    }

    /// Whether the norm at `at` can be done by every layer that reads it.
    fn is_prologue(&self, at: ValueId) -> bool {
        let node = self.graph.node(at);
        let Op::RmsNorm { weight, .. } = &node.op else { return false };
        let readers = &self.readers.nodes[at.0 as usize];
        self.kernels.norms_rows()
            && node.shape[0] == 1
            && self.graph.weight(*weight).shape == [node.shape[1]]
            && !self.readers.outputs[at.0 as usize]
            && !readers.is_empty()
            && readers.iter().all(|v| matches!(self.graph.node(*v).op, Op::Linear { .. }))
    }

    /// For a function of one value at `at`: the norm before it, where nobody else reads that and no product takes the function.
    fn normed(&self, at: ValueId) -> Option<ValueId> {
        let &[x] = self.graph.node(at).inputs.as_slice() else { return None };
        let norm = matches!(self.graph.node(x).op, Op::LayerNorm { .. } | Op::GroupNorm { .. });
        let gates = |reader: ValueId| self.product(reader).is_some_and(|product| product.function == at);
        (norm && self.readers.is_private(x) && !self.readers.nodes[at.0 as usize].iter().any(|v| gates(*v)))
            .then_some(x)
    }

    /// For a convolution at `at`: the enlargement before it that nobody else reads.
    fn enlarged(&self, at: ValueId) -> Option<ValueId> {
        let before = *self.graph.node(at).inputs.first()?;
        let is_upsample = matches!(self.graph.node(before).op, Op::Upsample { .. });
        (is_upsample && self.readers.is_private(before)).then_some(before)
    }

    /// Finds what the layer at `layer` can do to its result. The last layer is asked first: of two that meet in a sum the later one
    /// adds, so that the other is there by then.
    fn find_chain(&mut self, layer: ValueId) {
        let is_layer =
            matches!(self.graph.node(layer).op, Op::Linear { .. } | Op::Conv2d { .. } | Op::ConvTranspose2d { .. });
        if !is_layer || self.absorbed[layer.0 as usize] || !self.kernels.goes_on(layer) {
            return;
        }
        let mut chain = Chain { layer, gain: None, residual: None, activation: None };
        let mut end = layer;
        while let Some(next) = self.readers.only(end) {
            let node = self.graph.node(next);
            let taken = self.chains[next.0 as usize].is_some() || self.normed_sum(next).is_some();
            let other = node.inputs.iter().copied().find(|v| *v != end);
            match (&node.op, other) {
                _ if taken || self.absorbed[next.0 as usize] || chain.activation.is_some() => break,
                (Op::Broadcast { f: Binary::Mul, .. }, Some(gain))
                    if node.inputs[0] == end && chain.gain.is_none() && chain.residual.is_none() =>
                {
                    chain.gain = Some(gain);
                }
                (Op::Broadcast { f: Binary::Add, .. }, Some(residual))
                    if node.inputs[0] == end && chain.residual.is_none() =>
                {
                    chain.residual = Some(residual);
                }
                (Op::Binary(Binary::Add), Some(residual)) if chain.residual.is_none() => {
                    chain.residual = Some(residual);
                }
                // What gates something is done by the product.
                (Op::Unary(f), None) => chain.activation = Some(*f),
                _ => break,
            }
            self.absorbed[end.0 as usize] = true;
            end = next;
        }
        self.chains[end.0 as usize] = Some(chain);
    }

    fn fused(&self, at: ValueId) -> Option<Fused> {
        if self.absorbed[at.0 as usize] {
            return None;
        }
        let node = self.graph.node(at);
        if let Some(Chain { layer, gain, residual, activation }) = self.chains[at.0 as usize] {
            return Some(Fused { gain, residual, activation, ..self.layer(layer) });
        }
        let alone = |at: ValueId| Fused::alone(at, self.graph.node(at).inputs.clone());
        Some(match &node.op {
            Op::Linear { .. } | Op::Conv2d { .. } | Op::ConvTranspose2d { .. } => self.layer(at),
            Op::Unary(f) => match self.normed(at) {
                Some(norm) => Fused { activation: Some(*f), ..alone(norm) },
                None => alone(at),
            },
            Op::Binary(Binary::Add) => match self.normed_sum(at) {
                Some((norm, residual)) => Fused { residual: Some(residual), ..alone(norm) },
                None => alone(at),
            },
            Op::Binary(Binary::Mul) => match (self.halves(at), self.product(at)) {
                (Some(Halves { gate, both, .. }), _) => {
                    let of =
                        if self.absorbed[both.0 as usize] { self.layer(both) } else { Fused::alone(at, vec![both]) };
                    Fused { gate: Some(gate), ..of }
                }
                (None, Some(Product { f, gate, by_layer: true, .. })) => {
                    Fused { gate: Some(Gate { f, last: false }), ..self.layer(gate) }
                }
                (None, Some(Product { f, gate, up, .. })) => {
                    Fused { gate: Some(Gate { f, last: false }), ..Fused::alone(at, vec![gate, up]) }
                }
                (None, None) => alone(at),
            },
            _ => alone(at),
        })
    }

    /// The layer at `at` with what it does to its input.
    fn layer(&self, at: ValueId) -> Fused {
        let node = self.graph.node(at);
        let mut fused = Fused::alone(at, node.inputs.clone());
        let Some(&source) = node.inputs.first() else { return fused };
        let before = self.graph.node(source);
        if !self.absorbed[source.0 as usize] {
            return fused;
        }
        match before.op {
            Op::RmsNorm { weight, eps } => fused.norm = Some((weight, eps)),
            Op::Upsample { input, factor } => fused.enlarged = Some((input, factor)),
            _ => return fused,
        }
        fused.inputs = before.inputs.clone();
        fused
    }
}
