//! What the kernels of layers can do, which decides what is computed in one go.

use crate::{
    backend::{fusion::Kernels, gpu::layout::Layout},
    graph::{Graph, Op, ValueId},
};

/// What the kernels of layers can do, by where the weights lie.
pub(super) struct Layers<'a> {
    pub graph: &'a Graph,
    pub layout: &'a Layout,
}

impl Layers<'_> {
    /// Whether the linear layer at `layer` has a matrix of its own.
    fn is_alone(&self, layer: ValueId) -> bool {
        self.matrix(layer).is_some_and(|(matrix, _)| self.layout.matrices[matrix].members.len() == 1)
    }

    /// The matrix of the linear layer at `layer`, and the first of its rows there.
    fn matrix(&self, layer: ValueId) -> Option<(usize, usize)> {
        match &self.graph.node(layer).op {
            Op::Linear { weight, .. } => self.layout.matrix(&self.graph.weight(*weight).name).ok(),
            _ => None,
        }
    }
}

impl Kernels for Layers<'_> {
    /// A convolution always; a linear layer whose matrix is its own.
    fn goes_on(&self, layer: ValueId) -> bool {
        match self.graph.node(layer).op {
            Op::Linear { .. } => self.is_alone(layer),
            _ => true,
        }
    }

    fn makes_both(&self, gate: ValueId, up: ValueId) -> bool {
        match (self.matrix(gate), self.matrix(up)) {
            (Some((a, 0)), Some((b, first))) => {
                let spec = &self.layout.matrices[a];
                a == b
                    && spec.members.len() == 2
                    && first * 2 == spec.rows
                    && self.graph.node(gate).inputs == self.graph.node(up).inputs
            }
            _ => false,
        }
    }

    fn multiplies_halves(&self, layer: ValueId) -> bool {
        self.is_alone(layer)
    }

    fn reads_halves(&self) -> bool {
        false
    }

    fn norms_rows(&self) -> bool {
        true
    }
}
