//! Linear layers and convolutions, and what happens to their results on the way out.

use super::{Fuser, refused};
use crate::{
    Result,
    backend::{
        fusion::Fused,
        gpu::program::{Epilogue, Gather, Side, Tensor, Work},
    },
    graph::{Grid, Op, ValueId, WeightId, Window},
};

/// What a layer multiplies with its matrix.
struct Factors {
    matrix: usize,
    x: Tensor,
    gather: Option<Gather>,
    norm: Option<(WeightId, f32)>,
}

impl Fuser<'_> {
    /// The layer that makes the value of the node `at`, and what it does to its result.
    pub(super) fn layer(&mut self, at: ValueId, fused: &Fused) -> Result<Tensor> {
        let node = self.graph.node(at);
        let (rows, cols) = (node.shape[0], node.shape[1]);
        let Factors { matrix, x, gather, norm } = self.factors(fused)?;
        let side = |value: ValueId| {
            let tensor = self.tensor(value)?;
            Ok(Side { tensor, rows: rows / tensor.rows.max(1) })
        };
        let (gain, residual) = (fused.gain.map(side).transpose()?, fused.residual.map(side).transpose()?);
        let epilogue = Epilogue { gate: fused.gate, gain, residual, activation: fused.activation };
        let out = self.fresh(rows, cols);
        self.emit(Work::Linear { matrix, x, gather, norm, epilogue, out }, &node.label);
        Ok(out)
    }

    /// What a layer multiplies, with the norm before it where that is the layer's to do.
    fn factors(&mut self, fused: &Fused) -> Result<Factors> {
        let node = self.graph.node(fused.node);
        let gather = |input: Grid, window: Window, transposed: bool| {
            let (input, up) = fused.enlarged.unwrap_or((input, 1));
            // A window of one pixel that moves by one is a linear layer.
            (up != 1 || window != Window::square(1, 1, 0)).then_some(Gather { input, up, window, transposed })
        };
        let (weight, gather) = match &node.op {
            Op::Linear { weight, .. } => (*weight, None),
            Op::Conv2d { weight, input, window, .. } => (*weight, gather(*input, *window, false)),
            Op::ConvTranspose2d { weight, input, window, .. } => (*weight, gather(*input, *window, true)),
            _ => return Err(refused(node, "expected a linear layer")),
        };
        let (matrix, _) = self.layout.matrix(&self.graph.weight(weight).name)?;
        let x = self.tensor(fused.inputs[0])?;
        // Kernels load fours where they can: a window that begins between them is moved.
        let whole = x.first.is_multiple_of(4) && x.stride.is_multiple_of(4);
        let x = if whole || !x.cols.is_multiple_of(4) { x } else { self.contiguous(x, &node.label)? };
        Ok(Factors { matrix, x, gather, norm: fused.norm })
    }

    /// All layers that share the matrix and the input of the layer at `at`.
    pub(super) fn layers(&mut self, at: ValueId, fused: &Fused) -> Result<()> {
        let node = self.graph.node(at);
        let Factors { matrix, x, gather, norm } = self.factors(fused)?;
        let spec = &self.layout.matrices[matrix];
        let out = self.fresh(x.rows, spec.rows);
        let epilogue = Epilogue::default();
        self.emit(Work::Linear { matrix, x, gather, norm, epilogue, out }, &node.label);
        for (i, other) in self.graph.nodes.iter().enumerate() {
            let Op::Linear { weight, .. } = &other.op else { continue };
            let (its, first) = self.layout.matrix(&self.graph.weight(*weight).name)?;
            let alone = self.fused[i].as_ref().is_some_and(|its| its.node == ValueId(i as u32));
            if its == matrix && other.inputs == node.inputs && alone {
                self.tensors[i] = Some(out.columns(first, other.shape[1]));
            }
        }
        Ok(())
    }
}
