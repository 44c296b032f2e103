//! A function of one half of a value's columns times the other half, as graphs write it (GEGLU, arXiv 2002.05202: two cuts, the
//! function, a product). Both backends look for it here and make it without the cuts.

use crate::graph::{Binary, Graph, Node, Op, Unary, ValueId};

/// `f(gate) · other` of the halves of `both`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gate {
    pub both: ValueId,
    pub f: Unary,
    /// The gate is the right half.
    pub last: bool,
    /// The nodes between, which nobody else reads.
    pub parts: [ValueId; 3],
}

/// How often each value is read, by nodes and as an output.
pub fn reads(graph: &Graph) -> Vec<usize> {
    let mut reads = vec![0; graph.nodes.len()];
    let all = graph.nodes.iter().flat_map(|node| &node.inputs).chain(graph.outputs.iter().map(|(_, v)| v));
    for v in all {
        if let Some(reads) = reads.get_mut(v.0 as usize) {
            *reads += 1;
        }
    }
    reads
}

impl Gate {
    /// The gate that ends at node `at`, if it is the end of one.
    pub fn at(graph: &Graph, reads: &[usize], at: usize) -> Option<Self> {
        let end = graph.nodes.get(at)?;
        let (Op::Binary(Binary::Mul), &[a, b], &[_, n]) = (&end.op, end.inputs.as_slice(), end.shape.as_slice()) else {
            return None;
        };
        let node = |v: ValueId| graph.nodes.get(v.0 as usize).filter(|_| (v.0 as usize) < at);
        let input = |node: &Node| node.inputs.first().copied();
        let function = |v: ValueId| match node(v)?.op {
            Op::Unary(f) => Some((f, input(node(v)?)?)),
            _ => None,
        };
        let cut = |v: ValueId| match node(v)?.op {
            Op::Columns { first } => Some((input(node(v)?)?, first)),
            _ => None,
        };
        let (done, other) = if function(a).is_some() { (a, b) } else { (b, a) };
        let (f, gate) = function(done)?;
        let ((both, first), (same, other_first)) = (cut(gate)?, cut(other)?);
        let parts = [gate, other, done];
        let halves = (first, other_first) == (0, n) || (first, other_first) == (n, 0);
        let whole = same == both && halves && node(both)?.shape.get(1) == Some(&(2 * n));
        let private = parts.iter().all(|v| reads.get(v.0 as usize) == Some(&1));
        (whole && private).then_some(Self { both, f, last: first == n, parts })
    }
}
