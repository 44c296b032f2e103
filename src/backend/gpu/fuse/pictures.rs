//! What pictures and batches need beyond a language model: their operations as kernels.

use super::{Function, Fuser, Kind, Source, Tensor, Work, refused};
use crate::{
    Result,
    backend::gpu::kernels::norm,
    graph::{Binary, Op, Unary, ValueId},
};

impl Fuser<'_> {
    /// For a function of one value at `at`: the norm before it, where nobody else reads that and the function is not itself done by
    /// the product that it gates.
    pub(super) fn normed(&self, at: ValueId) -> Option<ValueId> {
        let &[x] = self.graph.node(at).inputs.as_slice() else { return None };
        let norm = matches!(self.graph.node(x).op, Op::LayerNorm { .. } | Op::GroupNorm { .. });
        let gates = |reader: &ValueId| {
            matches!(self.graph.node(*reader).op, Op::Binary(Binary::Mul))
                && self.gated(*reader).is_some_and(|gated| gated.function == at)
        };
        (norm && self.is_private(x) && !self.consumers[at.0 as usize].iter().any(gates)).then_some(x)
    }

    pub(super) fn unary(&mut self, at: ValueId, f: Unary) -> Result<Tensor> {
        if let Some(norm) = self.normed(at) {
            return self.norm(norm, Some(f));
        }
        let node = self.graph.node(at);
        let (x, out) = (self.tensor(node.inputs[0])?, self.fresh(node.shape[0], node.shape[1]));
        self.elementwise(Function::Unary(f), [Some(x), None, None], out, &node.label);
        Ok(out)
    }

    /// The norm at `at` and the function after it.
    fn norm(&mut self, at: ValueId, activation: Option<Unary>) -> Result<Tensor> {
        let node = self.graph.node(at);
        let (x, out) = (self.tensor(node.inputs[0])?, self.fresh(node.shape[0], node.shape[1]));
        let label = &node.label;
        match node.op {
            Op::LayerNorm { weight, bias, eps } => {
                let shape = norm::Shape::of_rows(&x, eps);
                self.emit(Work::Norm { shape, weight, bias, activation, x, out }, label);
            }
            Op::GroupNorm { weight, bias, groups, eps, batch } => {
                let shape = norm::Shape::of_groups(&x, groups, batch, eps);
                if shape.is_large() {
                    let partial = self.store(shape.partial_words(), Kind::Scratch);
                    let both = self.fresh(batch, 2 * x.cols);
                    self.emit(Work::NormFactors { shape, weight, bias, x, partial, out: both }, label);
                    let factors = Tensor { cols: x.cols, ..both };
                    let operands = [Some(x), Some(factors), Some(Tensor { first: x.cols, ..factors })];
                    self.elementwise(Function::ScaleShift(activation), operands, out, label);
                } else {
                    let (weight, bias) = (Some(weight), Some(bias));
                    self.emit(Work::Norm { shape, weight, bias, activation, x, out }, label);
                }
            }
            _ => return Err(refused(node, "no norm")),
        }
        Ok(out)
    }

    /// The node at `at`, one that only pictures and batches have.
    pub(super) fn picture(&mut self, at: ValueId) -> Result<Tensor> {
        let node = self.graph.node(at);
        let label = node.label.as_str();
        let (rows, cols) = (node.shape[0], node.shape[1]);
        Ok(match &node.op {
            Op::Broadcast { f, .. } => {
                let (x, y) = (self.tensor(node.inputs[0])?, self.tensor(node.inputs[1])?);
                let function = match f {
                    Binary::Add => Function::Add,
                    Binary::Mul => Function::Mul,
                };
                let out = self.fresh(rows, cols);
                self.elementwise(function, [Some(x), Some(y), None], out, label);
                out
            }
            Op::Modulate { .. } => {
                let [x, shift, scale] = [0, 1, 2].map(|i| self.tensor(node.inputs[i]));
                let out = self.fresh(rows, cols);
                self.elementwise(Function::Modulate, [Some(x?), Some(shift?), Some(scale?)], out, label);
                out
            }
            Op::Columns { first } => {
                let x = self.tensor(node.inputs[0])?;
                Tensor { first: x.first + first, cols, ..x }
            }
            Op::Concat => {
                let (a, b) = (self.tensor(node.inputs[0])?, self.tensor(node.inputs[1])?);
                let out = self.fresh(rows, cols);
                self.elementwise(Function::Copy, [Some(a), None, None], Tensor { cols: a.cols, ..out }, label);
                let right = Tensor { first: a.cols, cols: b.cols, ..out };
                self.elementwise(Function::Copy, [Some(b), None, None], right, label);
                out
            }
            Op::LayerNorm { .. } | Op::GroupNorm { .. } => self.norm(at, None)?,
            Op::Upsample { input, factor } => {
                let (x, out) = (self.tensor(node.inputs[0])?, self.fresh(rows, cols));
                let source = Source::Upsampled { width: input.width * factor, factor: *factor };
                let operands = [Some(x), None, None];
                self.emit(Work::Elementwise { function: Function::Copy, operands, source, out }, label);
                out
            }
            Op::Crop { input, height, width } => {
                let (x, out) = (self.tensor(node.inputs[0])?, self.fresh(rows, cols));
                let source = Source::Cropped { from: [input.height, input.width], to: [*height, *width] };
                let operands = [Some(x), None, None];
                self.emit(Work::Elementwise { function: Function::Copy, operands, source, out }, label);
                out
            }
            Op::TimestepEmbedding { max_period, shift, cosine_first } => {
                let t = self.tensor(node.inputs[0])?;
                let (t, out) = (self.contiguous(t, label), self.fresh(rows, cols));
                let (max_period, shift, cosine_first) = (*max_period, *shift, *cosine_first);
                self.emit(Work::Timestep { max_period, shift, cosine_first, t, out }, label);
                out
            }
            _ => return Err(refused(node, "no kernel of the GPU does this")),
        })
    }
}
