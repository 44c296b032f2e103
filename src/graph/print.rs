//! A graph as text: weights' names and shapes beside the operations that read them.

use std::fmt;

use super::{Graph, Op, SampleStates};

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "graph {} ({} nodes, {} weights)", self.name, self.nodes.len(), self.weights.len())?;
        for (i, node) in self.nodes.iter().enumerate() {
            write!(f, "  %{i} = {}(", node.op.name())?;
            for (j, input) in node.inputs.iter().enumerate() {
                write!(f, "{}%{}", if j > 0 { ", " } else { "" }, input.0)?;
            }
            write!(f, ")")?;
            for weight in node.op.weights() {
                let w = self.weight(weight);
                write!(f, " {} {:?} {}", w.name, w.shape, w.dtype)?;
            }
            match &node.op {
                Op::Input { name } => write!(f, " {name:?}")?,
                Op::CacheWrite { cache: state }
                | Op::CopySlots { cache: state }
                | Op::ReadState { state }
                | Op::Stored { state }
                | Op::WriteState { state }
                | Op::SelectiveScan { state, .. }
                | Op::DeltaRule { state }
                | Op::Recurrent { hidden: state, .. } => write!(f, " {}", self.state(*state).name)?,
                Op::Sample { states: SampleStates { token, .. }, .. } | Op::LastToken { token } => {
                    write!(f, " {}", self.state(*token).name)?
                }
                _ => {}
            }
            write!(f, " : {:?} {}", node.shape, node.dtype)?;
            if !node.label.is_empty() {
                write!(f, "  # {}", node.label)?;
            }
            writeln!(f)?;
        }
        for (name, value) in &self.outputs {
            writeln!(f, "  output {name:?} = %{}", value.0)?;
        }
        Ok(())
    }
}
