//! A model as data: operations, shapes and dtypes. No device, no I/O.
//!
//! A [`Graph`] is a list of [`Node`]s in an order in which they can run; each node makes one value. Weights and
//! states (caches that live from step to step) are named and shaped here and live on a backend. Graphs are made
//! with [`GraphBuilder`], which checks every shape and names the operation, the shapes and the weight when one does
//! not fit. `Display` prints a graph for people.
//!
//! What changes from step to step without changing the graph (the position, which row to read, how to sample)
//! travels in [`StepParams`].

mod attention;
mod builder;
mod op;
mod picture;
mod print;
mod recurrent;
mod slots;
mod step;

pub use builder::GraphBuilder;
pub use op::{Attention, Keys, Mask, Op, Rope, SampleStates};
pub use picture::pictures;
pub use slots::MOST_SLOTS;
pub use step::StepParams;
pub use vitrine_kernels::{
    dtype::{DType, Quants},
    ops::{Binary, Cell, Grid, Pooling, RopeLayout, Unary, Window},
    sample::{BANNED, Choice, Fate, Filter, SampleParams, Sampled, Scratch, preferred, sample, trace},
};

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
    /// Where the rows of a step stand, if not one after another.
    pub places: Option<Places>,
}

/// What an input's numbers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Of each member's rows so many, 1 to this.
    Rows(u32),
    /// A slot and a position there for each row of a step.
    Places { slots: u32, capacity: u32 },
    /// The source of each slot, and how many rows of it.
    Copies { slots: u32, capacity: u32 },
}

/// A slot of the caches and a position there for each row of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// `[rows, 2]` U32.
    pub value: ValueId,
    /// Slots of equal length that caches are cut into.
    pub slots: usize,
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

    /// What the numbers of the input called `name` count, where they do.
    pub fn counted(&self, name: &str) -> Option<Counted> {
        let (_, value) = self.inputs().find(|(n, _)| *n == name)?;
        let capacity = |state: StateId, slots: usize| (self.state(state).shape[0] / slots) as u32;
        if let Some(Places { slots, .. }) = self.places.filter(|places| places.value == value) {
            let caches = self.nodes.iter().filter_map(|node| match &node.op {
                Op::CacheWrite { cache } => Some(capacity(*cache, slots)),
                _ => None,
            });
            return Some(Counted::Places { slots: slots as u32, capacity: caches.min().unwrap_or(u32::MAX) });
        }
        self.nodes.iter().find_map(|node| match (&node.op, node.inputs.as_slice()) {
            (Op::Pool { batch, .. }, [x, lengths]) if *lengths == value => {
                Some(Counted::Rows((self.node(*x).shape[0] / batch) as u32))
            }
            (Op::Attention(of) | Op::AttentionWeights(of), [_, k, .., lengths]) if of.lengths && *lengths == value => {
                Some(Counted::Rows((self.node(*k).shape[0] / of.batch) as u32))
            }
            (Op::CopySlots { cache }, [copies]) if *copies == value => {
                let slots = self.node(value).shape[0];
                Some(Counted::Copies { slots: slots as u32, capacity: capacity(*cache, slots) })
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
