//! Linear layers and convolutions, and what happens to their results on the way out.

use super::{Epilogue, Function, Fuser, Gated, Side, Tensor, Work, refused};
use crate::{
    Result,
    backend::gpu::{
        layout::gated_product,
        linear::{Gate, Gather},
    },
    graph::{Binary, Grid, Op, Unary, ValueId, WeightId, Window},
};

/// A layer, and the nodes after it that it does as well: `f(layer · gain + residual)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain {
    layer: ValueId,
    gain: Option<ValueId>,
    residual: Option<ValueId>,
    activation: Option<Unary>,
}

/// What a layer multiplies with its matrix.
struct Factors {
    matrix: usize,
    x: Tensor,
    gather: Option<Gather>,
    norm: Option<(WeightId, f32)>,
}

impl Fuser<'_> {
    /// Finds what each layer can do to its result. Of two layers that meet in a sum the later one adds, so that the other is there by then.
    pub(super) fn find_chains(&mut self) {
        for i in (0..self.graph.nodes.len()).rev() {
            let layer = ValueId(i as u32);
            let (weight, convolution) = match &self.graph.node(layer).op {
                Op::Linear { weight, .. } => (*weight, false),
                Op::Conv2d { weight, .. } | Op::ConvTranspose2d { weight, .. } => (*weight, true),
                _ => continue,
            };
            let alone = self
                .layout
                .matrix(&self.graph.weight(weight).name)
                .is_ok_and(|(m, _)| self.layout.matrices[m].members.len() == 1);
            if self.absorbed[i] || (!alone && !convolution) {
                continue;
            }
            let (chain, end) = self.follow(layer);
            if end != layer || convolution {
                self.chains[end.0 as usize] = Some(chain);
            }
        }
    }

    /// Goes on from `layer` as long as nobody else reads what lies between, and marks it as done by the end.
    fn follow(&mut self, layer: ValueId) -> (Chain, ValueId) {
        let mut chain = Chain { layer, gain: None, residual: None, activation: None };
        let mut end = layer;
        while let (true, [next]) = (self.is_private(end), self.consumers[end.0 as usize].as_slice()) {
            let next = *next;
            let node = self.graph.node(next);
            let taken = self.chains[next.0 as usize].is_some() || self.normed_sum(next).is_some();
            let free = !self.absorbed[next.0 as usize] && !taken;
            let other = node.inputs.iter().copied().find(|v| *v != end);
            match (&node.op, other) {
                _ if !free || chain.activation.is_some() => break,
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
        (chain, end)
    }

    /// Emits the chain that ends at `at`.
    pub(super) fn chain(&mut self, at: ValueId, rows: usize, cols: usize) -> Result<()> {
        let node = self.graph.node(at);
        let Some(chain) = self.chains[at.0 as usize] else { return Err(refused(node, "expected a chain")) };
        let Factors { matrix, x, gather, norm } = self.factors(chain.layer)?;
        let side = |value: Option<ValueId>| match value {
            Some(value) => {
                let tensor = self.tensor(value)?;
                Ok(Some(Side { tensor, rows: rows / tensor.rows.max(1) }))
            }
            None => Ok(None),
        };
        let (gain, residual) = (side(chain.gain)?, side(chain.residual)?);
        let epilogue = Epilogue { gate: None, gain, residual, activation: chain.activation };
        let out = self.fresh(rows, cols);
        self.emit(Work::Linear { matrix, x, gather, norm, epilogue, out }, &node.label);
        self.tensors[at.0 as usize] = Some(out);
        Ok(())
    }

    /// What the layer at `at` multiplies, with the norm before it where that is the layer's to do.
    fn factors(&mut self, at: ValueId) -> Result<Factors> {
        let node = self.graph.node(at);
        let (weight, gather) = match &node.op {
            Op::Linear { weight, .. } => (*weight, None),
            Op::Conv2d { weight, input, window, .. } => (*weight, self.gather(at, *input, *window, false)),
            Op::ConvTranspose2d { weight, input, window, .. } => (*weight, self.gather(at, *input, *window, true)),
            _ => return Err(refused(node, "expected a linear layer")),
        };
        let (matrix, _) = self.layout.matrix(&self.graph.weight(weight).name)?;
        let source = node.inputs[0];
        let before = self.graph.node(source);
        let (x, norm) = match &before.op {
            Op::RmsNorm { weight, eps } if self.absorbed[source.0 as usize] => {
                (self.tensor(before.inputs[0])?, Some((*weight, *eps)))
            }
            Op::Upsample { .. } if self.absorbed[source.0 as usize] => (self.tensor(before.inputs[0])?, None),
            _ => (self.tensor(source)?, None),
        };
        // Kernels load fours where they can: a window that begins between them is moved.
        let whole = x.first.is_multiple_of(4) && x.stride.is_multiple_of(4);
        let x = if whole || !x.cols.is_multiple_of(4) { x } else { self.contiguous(x, &node.label) };
        Ok(Factors { matrix, x, gather, norm })
    }

    /// For a convolution at `at`: the enlargement before it that nobody else reads.
    pub(super) fn enlarged(&self, at: ValueId) -> Option<ValueId> {
        let node = self.graph.node(at);
        let before = *node.inputs.first()?;
        let is_upsample = matches!(self.graph.node(before).op, Op::Upsample { .. });
        let is_conv = matches!(node.op, Op::Conv2d { .. });
        (is_conv && is_upsample && self.is_private(before)).then_some(before)
    }

    /// Where the rows of the convolution at `at` come from; a window of one pixel that moves by one is a linear layer.
    fn gather(&self, at: ValueId, input: Grid, window: Window, transposed: bool) -> Option<Gather> {
        let enlarged = self.enlarged(at).map(|source| &self.graph.node(source).op);
        let (input, up) = match enlarged {
            Some(Op::Upsample { input, factor }) => (*input, *factor),
            _ => (input, 1),
        };
        (up != 1 || window != Window::square(1, 1, 0)).then_some(Gather { input, up, window, transposed })
    }

    /// All layers that share the matrix and the input of the layer at `at`.
    pub(super) fn layers(&mut self, at: ValueId) -> Result<()> {
        let node = self.graph.node(at);
        let Factors { matrix, x, gather, norm } = self.factors(at)?;
        let spec = &self.layout.matrices[matrix];
        let out = self.fresh(x.rows, spec.rows);
        let epilogue = Epilogue::default();
        self.emit(Work::Linear { matrix, x, gather, norm, epilogue, out }, &node.label);
        for (i, other) in self.graph.nodes.iter().enumerate() {
            let Op::Linear { weight, .. } = &other.op else { continue };
            let (its, first) = self.layout.matrix(&self.graph.weight(*weight).name)?;
            if its == matrix && other.inputs == node.inputs && !self.absorbed[i] {
                self.tensors[i] = Some(out.columns(first, other.shape[1]));
            }
        }
        Ok(())
    }

    /// A sum or a product that no layer does, or a product that two layers in one matrix do.
    pub(super) fn binary(&mut self, at: ValueId, f: Binary, rows: usize, cols: usize) -> Result<()> {
        let node = self.graph.node(at);
        let label = node.label.as_str();
        if let Some((norm, residual)) = self.normed_sum(at) {
            let Op::RmsNorm { weight, eps } = self.graph.node(norm).op else {
                return Err(refused(node, "expected a norm"));
            };
            let (x, residual) = (self.tensor(self.graph.node(norm).inputs[0])?, self.tensor(residual)?);
            let out = self.fresh(rows, cols);
            self.emit(Work::RmsNorm { weight, eps, x, residual: Some(residual), out }, label);
            self.tensors[at.0 as usize] = Some(out);
            return Ok(());
        }
        let gated = if f == Binary::Mul { self.gated(at) } else { None };
        let layer = match (self.halved(at), &gated) {
            (Some(halves), _) => Some((halves.both, Gate { f: halves.f, last: halves.last })),
            (None, Some(Gated { f, layers: Some((gate, _)), .. })) => Some((*gate, Gate { f: *f, last: false })),
            _ => None,
        };
        let out = if let Some((layer, gate)) = layer {
            let Factors { matrix, x, gather, norm } = self.factors(layer)?;
            let out = self.fresh(rows, cols);
            let epilogue = Epilogue { gate: Some(gate), ..Epilogue::default() };
            self.emit(Work::Linear { matrix, x, gather, norm, epilogue, out }, label);
            out
        } else {
            let (function, a, b) = match (f, gated, gated_product(self.graph, &node.op, &node.inputs)) {
                (Binary::Mul, Some(_), Some((_, gate, up))) => (Function::SiluMul, gate, up),
                (Binary::Mul, ..) => (Function::Mul, node.inputs[0], node.inputs[1]),
                (Binary::Add, ..) => (Function::Add, node.inputs[0], node.inputs[1]),
            };
            let (a, b) = (self.tensor(a)?, self.tensor(b)?);
            let out = self.fresh(rows, cols);
            self.elementwise(function, [Some(a), Some(b), None], out, label);
            out
        };
        self.tensors[at.0 as usize] = Some(out);
        Ok(())
    }
}
