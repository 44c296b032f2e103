//! What pictures, batches and sequences need beyond a decoder: their operations as kernels.

use super::{Fuser, refused};
use crate::{
    Result,
    backend::{
        fusion::Fused,
        gpu::{
            kernels::{
                elementwise::{Function, Source},
                norm, rows as row_kernels, timestep,
            },
            program::{Kind, Tensor},
        },
    },
    graph::{Op, ValueId},
};

impl Fuser<'_> {
    /// A norm that makes the value of the node `at`, and the function after it.
    pub(super) fn norm(&mut self, at: ValueId, fused: &Fused) -> Result<Tensor> {
        let (node, activation) = (self.graph.node(fused.node), fused.activation);
        let (x, out) = (self.tensor(fused.inputs[0])?, self.fresh(node.shape[0], node.shape[1]));
        let (label, subgroups) = (&self.graph.node(at).label, self.features.subgroups);
        match node.op {
            Op::LayerNorm { weight, bias, eps } => {
                let shape = norm::Shape::of_rows(&x, eps);
                let stores = [x.store, out.store];
                self.call(norm::norm(subgroups, &shape, activation, (weight, bias), stores)?, label);
            }
            Op::GroupNorm { weight, bias, groups, eps, batch } => {
                let shape = norm::Shape::of_groups(&x, groups, batch, eps);
                if shape.is_large() {
                    let partial = self.store(shape.partial_words(), Kind::Scratch);
                    let both = self.fresh(batch, 2 * x.cols);
                    let stores = [x.store, partial, both.store];
                    for call in norm::factors(subgroups, &shape, [weight, bias], stores)? {
                        self.call(call, label);
                    }
                    let factors = Tensor { cols: x.cols, ..both };
                    let operands = [Some(x), Some(factors), Some(Tensor { first: x.cols, ..factors })];
                    self.elementwise(Function::ScaleShift(activation), operands, out, label)?;
                } else {
                    let (weights, stores) = ((Some(weight), Some(bias)), [x.store, out.store]);
                    self.call(norm::norm(subgroups, &shape, activation, weights, stores)?, label);
                }
            }
            _ => return Err(refused(node, "no norm")),
        }
        Ok(out)
    }

    /// The node at `at`, one that only pictures, batches and sequences have.
    pub(super) fn picture(&mut self, at: ValueId) -> Result<Tensor> {
        let node = self.graph.node(at);
        let label = node.label.as_str();
        let (rows, cols) = (node.shape[0], node.shape[1]);
        Ok(match &node.op {
            Op::Broadcast { f, .. } => {
                let (x, y) = (self.tensor(node.inputs[0])?, self.tensor(node.inputs[1])?);
                let out = self.fresh(rows, cols);
                self.elementwise(Function::Binary(*f), [Some(x), Some(y), None], out, label)?;
                out
            }
            Op::Modulate { .. } => {
                let [x, shift, scale] = [0, 1, 2].map(|i| self.tensor(node.inputs[i]));
                let out = self.fresh(rows, cols);
                self.elementwise(Function::Modulate, [Some(x?), Some(shift?), Some(scale?)], out, label)?;
                out
            }
            Op::SliceColumns { first } => {
                let x = self.tensor(node.inputs[0])?;
                Tensor { first: x.first + first, cols, ..x }
            }
            Op::Rows { first } => {
                let x = self.tensor(node.inputs[0])?;
                Tensor { rows, ..x.row(*first) }
            }
            Op::Reshape => {
                let x = self.tensor(node.inputs[0])?;
                Tensor { rows, cols, stride: cols, ..self.contiguous(x, label)? }
            }
            Op::Stack => {
                let (a, b) = (self.tensor(node.inputs[0])?, self.tensor(node.inputs[1])?);
                let out = self.fresh(rows, cols);
                let (above, below) = (Tensor { rows: a.rows, ..out }, Tensor { rows: b.rows, ..out.row(a.rows) });
                self.elementwise(Function::Copy, [Some(a), None, None], above, label)?;
                self.elementwise(Function::Copy, [Some(b), None, None], below, label)?;
                out
            }
            Op::Softmax => {
                let (x, out) = (self.tensor(node.inputs[0])?, self.fresh(rows, cols));
                self.call(row_kernels::softmax(&x, out.store)?, label);
                out
            }
            Op::Pool { how, batch } => {
                let (x, lengths) = (self.tensor(node.inputs[0])?, self.tensor(node.inputs[1])?);
                let out = self.fresh(rows, cols);
                self.call(row_kernels::pool(*how, *batch, &x, [lengths.store, out.store])?, label);
                out
            }
            Op::Concat => {
                let (a, b) = (self.tensor(node.inputs[0])?, self.tensor(node.inputs[1])?);
                let out = self.fresh(rows, cols);
                self.elementwise(Function::Copy, [Some(a), None, None], Tensor { cols: a.cols, ..out }, label)?;
                let right = Tensor { first: a.cols, cols: b.cols, ..out };
                self.elementwise(Function::Copy, [Some(b), None, None], right, label)?;
                out
            }
            Op::Upsample { input, factor } => {
                let (x, out) = (self.tensor(node.inputs[0])?, self.fresh(rows, cols));
                let source = Source::Upsampled { width: input.width * factor, factor: *factor };
                self.rows_of(source, Function::Copy, [Some(x), None, None], out, label)?;
                out
            }
            Op::Crop { input, height, width } => {
                let (x, out) = (self.tensor(node.inputs[0])?, self.fresh(rows, cols));
                let source = Source::Cropped { from: [input.height, input.width], to: [*height, *width] };
                self.rows_of(source, Function::Copy, [Some(x), None, None], out, label)?;
                out
            }
            Op::TimestepEmbedding { max_period, shift, cosine_first } => {
                let t = self.tensor(node.inputs[0])?;
                let (t, out) = (self.contiguous(t, label)?, self.fresh(rows, cols));
                let (max_period, shift, cosine_first) = (*max_period, *shift, *cosine_first);
                self.call(timestep::timestep(max_period, shift, cosine_first, &t, &out)?, label);
                out
            }
            _ => return Err(refused(node, "no kernel of the GPU does this")),
        })
    }
}
