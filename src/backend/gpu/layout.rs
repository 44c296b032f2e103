//! Where each weight of a model lies on the GPU.
//!
//! Linear layers that read the same value and are stored alike (q, k and v; gate and up) lie below one another in one
//! matrix, so that one dispatch computes them all. The layout is made once, from the graph that a model begins with, and
//! every other graph of the model finds its weights in it by name.

use std::collections::HashMap;

use crate::{
    Error, Result,
    backend::fusion::gated_product,
    graph::{DType, Graph, Node, Op, ValueId, WeightId},
};

/// Several weights of one width, rows below rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixSpec {
    /// Names of the members, top first.
    pub members: Vec<Member>,
    pub dtype: DType,
    pub rows: usize,
    pub cols: usize,
    /// The vector that holds the members' biases in the same order.
    pub bias: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    pub first_row: usize,
    pub rows: usize,
}

/// A weight of one dimension, or several biases end to end; f32 on the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorSpec {
    pub label: String,
    pub len: usize,
}

/// Where a weight lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Matrix { matrix: usize, first_row: usize },
    Vector { vector: usize, first: usize },
}

#[derive(Debug, Clone, Default)]
pub struct Layout {
    pub matrices: Vec<MatrixSpec>,
    pub vectors: Vec<VectorSpec>,
    places: HashMap<String, Place>,
}

/// A linear layer, a convolution or a recurrent layer of the graph.
#[derive(Clone, Copy)]
struct Layer {
    /// What a linear layer reads; a convolution or a recurrent layer lies in a matrix of its own.
    x: Option<ValueId>,
    out: ValueId,
    weight: WeightId,
    bias: Option<WeightId>,
}

impl Layout {
    /// # Errors
    /// `invalid-graph` where a weight is neither a matrix nor a vector, or is used as both.
    pub fn of(graph: &Graph) -> Result<Self> {
        let mut uses = vec![0usize; graph.weights.len()];
        let mut layers = vec![];
        for (i, node) in graph.nodes.iter().enumerate() {
            node.op.weights().for_each(|w| uses[w.0 as usize] += 1);
            let (weight, bias, x) = match &node.op {
                Op::Linear { weight, bias } => (*weight, *bias, node.inputs.first().copied()),
                Op::Conv2d { weight, bias, .. }
                | Op::ConvTranspose2d { weight, bias, .. }
                | Op::Recurrent { weight, bias, .. } => (*weight, *bias, None),
                _ => continue,
            };
            layers.push(Layer { x, out: ValueId(i as u32), weight, bias });
        }
        let once = |layer: &Layer| {
            uses[layer.weight.0 as usize] == 1 && layer.bias.is_none_or(|bias| uses[bias.0 as usize] == 1)
        };
        let mut layout = Self::default();
        let mut placed = vec![false; layers.len()];
        for i in 0..layers.len() {
            let first = layers[i];
            if placed[i] {
                continue;
            }
            if let Some(place) = layout.places.get(&graph.weight(first.weight).name) {
                layout.must_have_the_bias(graph, *place, &first)?;
                continue;
            }
            let alike = |layer: &Layer| {
                layer.x.is_some()
                    && layer.x == first.x
                    && layer.bias.is_some() == first.bias.is_some()
                    && graph.weight(layer.weight).dtype == graph.weight(first.weight).dtype
                    && once(layer)
            };
            let mut group = vec![first];
            if once(&first) {
                for j in i + 1..layers.len() {
                    if !placed[j] && alike(&layers[j]) {
                        placed[j] = true;
                        group.push(layers[j]);
                    }
                }
            }
            gate_first(graph, &mut group);
            layout.add_matrix(graph, &group)?;
        }
        // What no linear layer multiplies: tables that are only looked up, norms, factors, and weights of other graphs.
        for spec in &graph.weights {
            if layout.places.contains_key(&spec.name) {
                continue;
            }
            match *spec.shape.as_slice() {
                [len] => {
                    let vector = layout.add_vector(spec.name.clone(), len);
                    layout.places.insert(spec.name.clone(), Place::Vector { vector, first: 0 });
                }
                [rows, cols] => {
                    let members = vec![Member { name: spec.name.clone(), first_row: 0, rows }];
                    let place = Place::Matrix { matrix: layout.matrices.len(), first_row: 0 };
                    layout.matrices.push(MatrixSpec { members, dtype: spec.dtype, rows, cols, bias: None });
                    layout.places.insert(spec.name.clone(), place);
                }
                _ => {
                    return Err(Error::invalid_graph(format!(
                        "weight {}: the GPU takes one or two dimensions, not {:?}",
                        spec.name, spec.shape
                    )));
                }
            }
        }
        Ok(layout)
    }

    fn add_vector(&mut self, label: String, len: usize) -> usize {
        self.vectors.push(VectorSpec { label, len });
        self.vectors.len() - 1
    }

    fn add_matrix(&mut self, graph: &Graph, group: &[Layer]) -> Result<()> {
        let matrix = self.matrices.len();
        let mut members = vec![];
        let (mut rows, mut width, mut dtype) = (0usize, 0, DType::F32);
        for layer in group {
            let spec = graph.weight(layer.weight);
            let &[out, cols] = spec.shape.as_slice() else {
                return Err(Error::invalid_graph(format!("weight {}: a linear layer needs [out, in]", spec.name)));
            };
            (width, dtype) = (cols, spec.dtype);
            self.places.insert(spec.name.clone(), Place::Matrix { matrix, first_row: rows });
            members.push(Member { name: spec.name.clone(), first_row: rows, rows: out });
            rows = rows
                .checked_add(out)
                .ok_or_else(|| Error::invalid_graph(format!("weight {}: too many rows", spec.name)))?;
        }
        let bias = group.first().is_some_and(|layer| layer.bias.is_some()).then(|| {
            let label = format!("bias of {}", members[0].name);
            self.add_vector(label, rows)
        });
        if let Some(vector) = bias {
            for (layer, member) in group.iter().zip(&members) {
                if let Some(bias) = layer.bias {
                    let place = Place::Vector { vector, first: member.first_row };
                    if self.places.insert(graph.weight(bias).name.clone(), place).is_some() {
                        let why = "a bias that two layers share is not for the GPU";
                        return Err(Error::invalid_graph(format!("weight {}: {why}", graph.weight(bias).name)));
                    }
                }
            }
        }
        self.matrices.push(MatrixSpec { members, dtype, rows, cols: width, bias });
        Ok(())
    }

    /// Refuses a layer whose matrix an earlier layer uses with another bias: a matrix has one.
    fn must_have_the_bias(&self, graph: &Graph, place: Place, layer: &Layer) -> Result<()> {
        let Place::Matrix { matrix, first_row } = place else { return Ok(()) };
        let its = self.matrices[matrix].bias.map(|vector| Place::Vector { vector, first: first_row });
        let wanted = layer.bias.map(|bias| self.places.get(&graph.weight(bias).name).copied());
        if wanted.is_none() && its.is_none() || wanted.flatten().is_some_and(|place| Some(place) == its) {
            return Ok(());
        }
        let name = &graph.weight(layer.weight).name;
        Err(Error::invalid_graph(format!("weight {name}: two layers with different biases are not for the GPU")))
    }

    /// Where the weight called `name` lies.
    pub fn place(&self, name: &str) -> Result<Place> {
        self.places.get(name).copied().ok_or_else(|| {
            Error::invalid_graph(format!("weight {name} is not in the graph that the model was loaded with"))
        })
    }

    /// The matrix that holds `name`, and the first of its rows there.
    pub fn matrix(&self, name: &str) -> Result<(usize, usize)> {
        match self.place(name)? {
            Place::Matrix { matrix, first_row } => Ok((matrix, first_row)),
            Place::Vector { .. } => Err(Error::invalid_graph(format!("weight {name}: a vector, used as a matrix"))),
        }
    }

    /// The vector that holds `name`, from its first number on.
    pub fn vector(&self, name: &str) -> Result<usize> {
        match self.place(name)? {
            Place::Vector { vector, first: 0 } => Ok(vector),
            _ => Err(Error::invalid_graph(format!("weight {name}: not a vector of its own"))),
        }
    }
}

/// Of two layers whose results meet in `f(a) · b`, the one under the function comes first: so the epilogue expects it.
fn gate_first(graph: &Graph, group: &mut [Layer]) {
    let [a, b] = group else { return };
    let swapped = |node: &Node| gated_product(graph, node).is_some_and(|(_, f, x)| (f, x) == (b.out, a.out));
    if graph.nodes.iter().any(swapped) {
        group.swap(0, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Binary, GraphBuilder, Unary};

    fn names(layout: &Layout) -> Vec<Vec<&str>> {
        layout.matrices.iter().map(|m| m.members.iter().map(|m| m.name.as_str()).collect()).collect()
    }

    #[test]
    fn layers_that_read_one_value_in_one_dtype_lie_in_one_matrix() {
        let mut g = GraphBuilder::new("t");
        let x = g.input("x", &[1, 32], DType::F32);
        for (name, dtype, rows) in [("q", DType::Q8_0, 32), ("k", DType::Q8_0, 8), ("v", DType::Q4_0, 8)] {
            let w = g.weight(name, &[rows, 32], dtype).unwrap();
            g.linear(w, None, x).unwrap();
        }
        let layout = Layout::of(&g.finish()).unwrap();
        assert_eq!(names(&layout), [vec!["q", "k"], vec!["v"]]);
        assert_eq!(layout.place("k").unwrap(), Place::Matrix { matrix: 0, first_row: 32 });
    }

    #[test]
    fn the_gate_lies_above_the_up_projection_however_they_are_written() {
        for (swap, f) in [(false, Unary::Silu), (true, Unary::Silu), (false, Unary::GeluTanh), (true, Unary::GeluTanh)]
        {
            let mut g = GraphBuilder::new("t");
            let x = g.input("x", &[1, 32], DType::F32);
            let up = g.weight("up", &[64, 32], DType::F32).unwrap();
            let gate = g.weight("gate", &[64, 32], DType::F32).unwrap();
            let up = g.linear(up, None, x).unwrap();
            let gate = g.linear(gate, None, x).unwrap();
            let gate = g.unary(f, gate);
            let (a, b) = if swap { (up, gate) } else { (gate, up) };
            g.binary(Binary::Mul, a, b).unwrap();
            assert_eq!(names(&Layout::of(&g.finish()).unwrap()), [vec!["gate", "up"]]);
        }
    }

    #[test]
    fn a_table_that_is_also_the_head_stands_alone_and_once() {
        let mut g = GraphBuilder::new("t");
        let table = g.weight("table", &[16, 32], DType::F32).unwrap();
        let ids = g.input("ids", &[1], DType::U32);
        let x = g.embedding(table, ids).unwrap();
        let other = g.weight("other", &[4, 32], DType::F32).unwrap();
        g.linear(other, None, x).unwrap();
        g.linear(table, None, x).unwrap();
        assert_eq!(names(&Layout::of(&g.finish()).unwrap()), [vec!["other"], vec!["table"]]);
    }
}
