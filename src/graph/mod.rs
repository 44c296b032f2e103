//! A model as data: operations, shapes and dtypes. No device, no I/O.
//!
//! A [`Graph`] is a list of [`Node`]s in an order in which they can run; each node makes one value. Weights and
//! states (caches that live from step to step) are named and shaped here and live on a backend. Graphs are made
//! with [`GraphBuilder`], which checks every shape and names the operation, the shapes and the weight when one does
//! not fit. `Display` prints a graph for people.
//!
//! What changes from step to step without changing the graph (the position, which row to read, how to sample)
//! travels in [`StepParams`].

use std::ops::RangeInclusive;

mod attention;
mod builder;
mod dtype;
mod op;
mod picture;
mod print;
mod recurrent;
mod step;

pub use builder::GraphBuilder;
pub use dtype::DType;
pub use op::{Attention, Binary, Cell, Grid, Mask, Op, Pooling, RopeLayout, Unary, Window};
pub use step::{SampleParams, Sampled, StepParams};

/// A value made by a node: an index into [`Graph::nodes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// A weight: an index into [`Graph::weights`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WeightId(pub u32);

/// A state: an index into [`Graph::states`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateId(pub u32);

/// A named tensor of the model's file, row-major, outermost dimension first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightSpec {
    pub name: String,
    /// `[out, in]` for a linear layer, `[out, height · width · in]` for a convolution, `[vocabulary, dim]` for an embedding,
    /// `[dim]` for a norm.
    pub shape: Vec<usize>,
    /// How the file stores it; a backend repacks or converts as it likes.
    pub dtype: DType,
}

/// Memory that lives from step to step on the backend (a key or value cache, the chosen token, the seen tokens).
/// It starts as zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSpec {
    pub name: String,
    pub shape: Vec<usize>,
    pub dtype: DType,
}

/// One operation and the value it makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub op: Op,
    pub inputs: Vec<ValueId>,
    pub shape: Vec<usize>,
    /// [`DType::F32`] for activations, [`DType::U32`] for token ids.
    pub dtype: DType,
    /// Where in the model it stands, e.g. `layer 3 attention`.
    pub label: String,
}

/// A whole computation: what one step of a model does.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    pub name: String,
    pub nodes: Vec<Node>,
    pub weights: Vec<WeightSpec>,
    pub states: Vec<StateSpec>,
    /// Named values that the caller may read after a step.
    pub outputs: Vec<(String, ValueId)>,
}

impl Graph {
    pub fn node(&self, value: ValueId) -> &Node {
        &self.nodes[value.0 as usize]
    }

    pub fn weight(&self, weight: WeightId) -> &WeightSpec {
        &self.weights[weight.0 as usize]
    }

    pub fn state(&self, state: StateId) -> &StateSpec {
        &self.states[state.0 as usize]
    }

    /// The value of the output called `name`.
    pub fn output(&self, name: &str) -> Option<ValueId> {
        self.outputs.iter().find(|(n, _)| n == name).map(|(_, v)| *v)
    }

    /// How many rows the shortest of the states holds that its attentions see as stored keys; `None` where there are none.
    pub fn memory(&self) -> Option<u32> {
        let stored = self.nodes.iter().filter_map(|node| match (&node.op, node.inputs.as_slice()) {
            (Op::Attention(of) | Op::AttentionWeights(of), [_, k, ..]) if of.mask == Mask::Memory => {
                Some(self.node(*k).shape[0] as u32)
            }
            _ => None,
        });
        stored.min()
    }

    /// The least and the most that each number of the input called `name` may be, where it counts rows.
    pub fn counted(&self, name: &str) -> Option<RangeInclusive<u32>> {
        let (_, value) = self.inputs().find(|(n, _)| *n == name)?;
        self.nodes.iter().find_map(|node| match (&node.op, node.inputs.as_slice()) {
            (Op::Pool { batch, .. }, [x, lengths]) if *lengths == value => {
                Some(1..=(self.node(*x).shape[0] / batch) as u32)
            }
            (Op::Attention(of) | Op::AttentionWeights(of), [_, k, .., lengths]) if of.lengths && *lengths == value => {
                Some(1..=(self.node(*k).shape[0] / of.batch) as u32)
            }
            _ => None,
        })
    }

    /// The inputs the caller writes before a step: name and value.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, ValueId)> {
        self.nodes.iter().enumerate().filter_map(|(i, n)| match &n.op {
            Op::Input { name } => Some((name.as_str(), ValueId(i as u32))),
            _ => None,
        })
    }
}
