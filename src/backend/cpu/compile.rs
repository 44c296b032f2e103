//! From a graph to steps: finds weights and states, and gives every value a buffer.

use vitrine_kernels::{elementwise::RopeTable, pictures::Reach, winograd::Winograd};

use super::resident::{Shared, Weight};
use crate::{
    Error, Result,
    backend::fusion::{self, Fused, Gate, Kernels, Readers},
    graph::{Graph, Grid, Op, StateId, Unary, ValueId, WeightId, Window},
};

/// Rows of a product that are computed in one go: some ten milliseconds of work for the widest of layers.
pub const LINEAR_ROWS: usize = 256;

/// Where a value stands: in a buffer, or it is a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Buffer(usize),
    State(usize),
}

/// An operation of the graph, and what is done with it (see [`Fused`]), over the plan's buffers.
pub struct Step {
    pub op: Op,
    /// Operation and place in the model.
    pub label: String,
    /// Buffers; for keys and values that are caches, places among the states.
    pub inputs: Vec<usize>,
    pub rows: usize,
    /// Of the result.
    pub columns: usize,
    pub out: usize,
    pub gate: Option<Gate>,
    pub gain: Option<Side>,
    pub residual: Option<Side>,
    pub activation: Option<Unary>,
    pub found: Found,
}

/// A buffer each of whose rows meets `rows` rows of a result.
#[derive(Debug, Clone, Copy)]
pub struct Side {
    pub buffer: usize,
    pub rows: usize,
}

/// What an operation needs besides.
pub enum Found {
    Nothing,
    /// A place among the rotary tables.
    Rope(usize),
    /// Whether the scratch does not hold the rounded rows of x yet.
    Linear {
        round: bool,
    },
    Convolution {
        reach: Reach,
        /// The quick way, where it is.
        winograd: Option<Box<Winograd>>,
    },
}

/// A rotary table and the rows that it holds.
pub struct Rope {
    /// Size, bits of base, scale and magnitude, factors, rows: what makes two tables one.
    key: (usize, [u32; 3], Option<usize>, usize),
    pub table: RopeTable,
    pub rows: usize,
    pub at: Option<u32>,
}

/// Everything but the norm of a row, which several layers read.
struct Fusing;

impl Kernels for Fusing {
    fn goes_on(&self, _: ValueId) -> bool {
        true
    }

    fn makes_both(&self, _: ValueId, _: ValueId) -> bool {
        false
    }

    fn multiplies_halves(&self, _: ValueId) -> bool {
        false
    }

    fn reads_halves(&self) -> bool {
        true
    }

    fn norms_rows(&self) -> bool {
        false
    }
}

/// Goes through a graph once, in order.
pub struct Compiler<'a> {
    shared: &'a Shared,
    graph: &'a Graph,
    /// Places of the graph's weights and states in [`Shared`].
    pub weights: Vec<usize>,
    pub states: Vec<usize>,
    fused: Vec<Option<Fused>>,
    /// The node after which a value is needed no longer; `usize::MAX` for what the caller reads or writes.
    last_use: Vec<usize>,
    pub places: Vec<Option<Place>>,
    pub steps: Vec<Step>,
    /// Lengths of the buffers in words.
    pub sizes: Vec<usize>,
    free: Vec<usize>,
    /// Buffers that became free with the last nodes, for whoever keeps count.
    pub released: Vec<usize>,
    pub ropes: Vec<Rope>,
    /// The value whose rounded rows the scratch holds.
    rounded: Option<ValueId>,
}

impl<'a> Compiler<'a> {
    pub fn new(shared: &'a Shared, graph: &'a Graph) -> Result<Self> {
        let fused = fusion::fuse(graph, &Readers::of(graph)?, &Fusing);
        let mut last_use: Vec<usize> = (0..graph.nodes.len()).collect();
        for (i, fused) in fused.iter().enumerate() {
            for value in fused.iter().flat_map(Fused::reads) {
                last_use[value.0 as usize] = i;
            }
        }
        for value in graph.outputs.iter().map(|(_, v)| *v).chain(graph.inputs().map(|(_, v)| v)) {
            last_use[value.0 as usize] = usize::MAX;
        }
        Ok(Self {
            shared,
            graph,
            weights: graph.weights.iter().map(|w| shared.weight(w)).collect::<Result<_>>()?,
            states: graph.states.iter().map(|s| shared.state(s)).collect::<Result<_>>()?,
            fused,
            last_use,
            places: vec![None; graph.nodes.len()],
            steps: vec![],
            sizes: vec![],
            free: vec![],
            released: vec![],
            ropes: vec![],
            rounded: None,
        })
    }

    fn weight(&self, w: WeightId) -> usize {
        self.weights[w.0 as usize]
    }

    fn state(&self, s: StateId) -> usize {
        self.states[s.0 as usize]
    }

    fn buffer(&self, v: ValueId) -> Result<usize> {
        match self.places[v.0 as usize] {
            Some(Place::Buffer(b)) => Ok(b),
            _ => Err(Error::invalid_graph(format!("{} reads a state as a value", self.graph.node(v).op.name()))),
        }
    }

    fn cache(&self, v: ValueId) -> Result<usize> {
        match self.places[v.0 as usize] {
            Some(Place::State(s)) => Ok(s),
            _ => Err(Error::invalid_graph("attention reads keys and values from caches alone")),
        }
    }

    /// Length of node `i`'s value.
    fn words(&self, i: usize) -> Result<usize> {
        let node = &self.graph.nodes[i];
        let len = node.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).filter(|n| n.checked_mul(4).is_some());
        len.ok_or_else(|| {
            Error::out_of_memory(format!("{} of {:?} is too large; ask for less at once", node.op.name(), node.shape))
        })
    }

    /// A buffer as long as node `i`'s value.
    fn take(&mut self, i: usize) -> Result<usize> {
        let len = self.words(i)?;
        if let Some(at) = self.free.iter().position(|b| self.sizes[*b] == len) {
            return Ok(self.free.swap_remove(at));
        }
        self.sizes.push(len);
        Ok(self.sizes.len() - 1)
    }

    /// A buffer for what `fused` makes at node `i`: that of an input which it overwrites and nobody needs afterwards, else another.
    fn room(&mut self, i: usize, fused: &Fused) -> Result<usize> {
        let overwrites = match (fused.gate, fused.inputs.len()) {
            (None, _) => self.graph.node(fused.node).op.overwrites(),
            // The halves of one value are longer than their product.
            (Some(_), 1) => 0,
            (Some(_), _) => 1,
        };
        for input in fused.inputs.iter().take(overwrites) {
            let once = fused.reads().filter(|value| value == input).count() == 1;
            if once && self.last_use[input.0 as usize] == i {
                return self.buffer(*input);
            }
        }
        self.take(i)
    }

    /// The other value of a layer's sum or product, each of whose rows meets as many of the result's `rows`.
    fn side(&self, value: ValueId, rows: usize) -> Result<Side> {
        let its = self.graph.node(value).shape.first().copied().unwrap_or(1).max(1);
        Ok(Side { buffer: self.buffer(value)?, rows: rows / its })
    }

    pub fn node(&mut self, i: usize) -> Result<()> {
        let Some(fused) = self.fused[i].clone() else { return Ok(()) };
        let node = &self.graph.nodes[i];
        let place = match &node.op {
            // Inputs stand in their buffers from the beginning, so these held nothing before.
            Op::Input { .. } => {
                self.sizes.push(self.words(i)?);
                Place::Buffer(self.sizes.len() - 1)
            }
            Op::Stored { state } => Place::State(self.state(*state)),
            Op::CacheWrite { cache: state } | Op::CopySlots { cache: state } | Op::WriteState { state } => {
                let place = Place::State(self.state(*state));
                self.step(i, &fused, usize::MAX)?;
                place
            }
            _ => {
                let out = self.room(i, &fused)?;
                self.step(i, &fused, out)?;
                Place::Buffer(out)
            }
        };
        self.places[i] = Some(place);
        self.release(i, &fused);
        Ok(())
    }

    /// The step that makes the value of node `i` in buffer `out`.
    fn step(&mut self, i: usize, fused: &Fused, out: usize) -> Result<()> {
        let (op, end) = (&self.graph.node(fused.node).op, &self.graph.nodes[i]);
        let (rows, columns) = match *end.shape.as_slice() {
            [rows, columns] => (rows, columns),
            [n] => (1, n),
            _ => {
                return Err(Error::invalid_graph(format!(
                    "{} of {:?}: expected rows and columns",
                    op.name(),
                    end.shape
                )));
            }
        };
        let caches = |n: usize| match op {
            Op::Attention(of) => of.mask.is_cached() && (1..3).contains(&n),
            Op::AttentionWeights(of) => of.mask.is_cached() && n == 1,
            Op::CausalConv { cached, .. } => *cached,
            _ => false,
        };
        let inputs = fused.inputs.iter().enumerate();
        let inputs = inputs.map(|(n, v)| if caches(n) { self.cache(*v) } else { self.buffer(*v) });
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let gain = fused.gain.map(|v| self.side(v, rows)).transpose()?;
        let residual = fused.residual.map(|v| self.side(v, rows)).transpose()?;
        let found = match op {
            Op::Rope(_) => Found::Rope(self.rope(i)?),
            Op::Linear { weight, .. } => {
                let quantised = match &self.shared.weights[self.weight(*weight)] {
                    Weight::Matrix(m) => m.dtype.is_quantised(),
                    Weight::Vector(_) => false,
                };
                let value = fused.inputs[0];
                let round = quantised && self.rounded != Some(value);
                if quantised {
                    // Of a value that is computed in parts the scratch holds the last.
                    self.rounded = (rows <= LINEAR_ROWS).then_some(value);
                }
                Found::Linear { round }
            }
            Op::Conv2d { input, window, .. } => {
                self.convolution(fused, *input, *window, window.output(*input), columns)?
            }
            Op::ConvTranspose2d { input, window, .. } => {
                self.convolution(fused, *input, *window, window.transposed_output(*input), columns)?
            }
            Op::Recurrent { .. } => {
                // The scratch now holds states.
                self.rounded = None;
                Found::Nothing
            }
            _ => Found::Nothing,
        };
        self.steps.push(Step {
            op: op.clone(),
            label: format!("{} @ {}", op.name(), end.label),
            inputs,
            rows,
            columns,
            out,
            gate: fused.gate,
            gain,
            residual,
            activation: fused.activation,
            found,
        });
        Ok(())
    }

    fn convolution(
        &mut self,
        fused: &Fused,
        grid: Grid,
        window: Window,
        output: Option<Grid>,
        columns: usize,
    ) -> Result<Found> {
        let output = output.ok_or_else(|| Error::invalid_graph("a window does not fit its picture"))?;
        let transposed = matches!(self.graph.node(fused.node).op, Op::ConvTranspose2d { .. });
        let (input, factor) = fused.enlarged.unwrap_or((grid, 1));
        let reach = Reach { input, factor, output, window, transposed };
        let channels = self.graph.node(fused.inputs[0]).shape[1];
        // The scratch now holds patches.
        self.rounded = None;
        let winograd = Winograd::new(&reach, channels, columns).map(Box::new);
        Ok(Found::Convolution { reach, winograd })
    }

    /// Buffers of values that node `i` was the last to need, save those that its own value took over, are free again.
    fn release(&mut self, i: usize, fused: &Fused) {
        // A value that nothing reads ends with its own node.
        let mut done: Vec<usize> = fused.reads().map(|v| v.0 as usize).chain([i]).collect();
        done.sort_unstable();
        done.dedup();
        for v in done {
            if self.last_use[v] != i {
                continue;
            }
            let Some(Place::Buffer(b)) = self.places[v] else { continue };
            if v == i || self.places[i] != Some(Place::Buffer(b)) {
                self.free.push(b);
                self.released.push(b);
            }
        }
    }

    /// The table that node `i`, a rope, turns by.
    fn rope(&mut self, i: usize) -> Result<usize> {
        let node = &self.graph.nodes[i];
        let Op::Rope(of) = &node.op else {
            return Err(Error::internal("a rotary table was asked for by another operation"));
        };
        let factors = of.factors.map(|w| self.weight(w));
        let rows = node.shape[0];
        let scales = [of.base, of.frequency_scale, of.magnitude];
        let key = (of.rotary_dim, scales.map(f32::to_bits), factors, rows);
        if let Some(at) = self.ropes.iter().position(|r| r.key == key) {
            return Ok(at);
        }
        let divisors = match factors.map(|w| &self.shared.weights[w]) {
            Some(Weight::Vector(v)) => Some(v.as_slice()),
            Some(Weight::Matrix(_)) => return Err(Error::invalid_graph("frequency factors are a vector")),
            None => None,
        };
        let table = RopeTable::new(of.rotary_dim, scales, divisors);
        self.ropes.push(Rope { key, table, rows, at: None });
        Ok(self.ropes.len() - 1)
    }
}
