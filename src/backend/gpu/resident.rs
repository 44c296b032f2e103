//! A model on the GPU: its weights as they come in, and then weights and states for as long as it lives.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    buffer::Buffer,
    context::Context,
    kernels::rope_cache,
    layout::{Layout, Place},
    linear::PackedWeight,
    program::Rotary,
};
use crate::{
    Error, Result,
    backend::rows::Written,
    graph::{DType, Graph, StateSpec, WeightId, WeightSpec},
};

/// Bytes that may wait in the queue before they are sent on their way.
const MOST_WAITING: usize = 32 << 20;

/// Takes a model's weights in pieces.
pub struct Loader {
    model: Model,
    weights: Vec<WeightSpec>,
    /// Rows of each weight that have come.
    rows: Vec<usize>,
    waiting: usize,
}

/// A model's weights and states. Clones share them.
#[derive(Clone)]
pub struct Resident {
    pub(super) model: Arc<Model>,
}

pub(super) struct Model {
    pub context: Context,
    pub layout: Layout,
    pub matrices: Vec<PackedWeight>,
    pub vectors: Vec<Buffer>,
    states: Mutex<HashMap<String, (StateSpec, Buffer)>>,
    pub written: Written,
    /// Rotary frequencies by what they are computed from.
    frequencies: Mutex<HashMap<(usize, u32, u32), Buffer>>,
}

/// Rows of a weight, and whether its pieces are rows of a matrix or one whole vector.
fn rows_of(spec: &WeightSpec) -> usize {
    if spec.shape.len() == 2 { spec.shape[0] } else { 1 }
}

impl Loader {
    /// Makes room for the weights and states of `graph`.
    pub(super) async fn begin(context: &Context, graph: &Graph) -> Result<Self> {
        let context = context.with_own_ledger();
        let watch = context.watch();
        let made = Self::make(context, graph);
        watch.check().await?;
        made
    }

    fn make(context: Context, graph: &Graph) -> Result<Self> {
        let layout = Layout::of(graph)?;
        let mut matrices = vec![];
        for spec in &layout.matrices {
            let label = spec.members.first().map_or("", |m| m.name.as_str());
            matrices.push(PackedWeight::new(&context, label, spec.dtype, spec.rows, spec.cols)?);
        }
        let mut vectors = vec![];
        for spec in &layout.vectors {
            vectors.push(context.storage(&spec.label, (spec.len as u64).saturating_mul(4))?);
        }
        let (states, written, frequencies) = Default::default();
        let model = Model { context, layout, matrices, vectors, states, written, frequencies };
        for state in &graph.states {
            model.state(state)?;
        }
        Ok(Self { model, weights: graph.weights.clone(), rows: vec![0; graph.weights.len()], waiting: 0 })
    }

    pub fn put(&mut self, weight: WeightId, first_row: usize, bytes: &[u8]) -> Result<()> {
        let context = &self.model.context;
        context.alive()?;
        let at = weight.0 as usize;
        let Some(spec) = self.weights.get(at) else {
            return Err(Error::internal(format!("weight {at}: the model has {}", self.weights.len())));
        };
        if first_row != self.rows[at] {
            let why = format!("weight {}: row {first_row} came when row {} was due", spec.name, self.rows[at]);
            return Err(Error::internal(why));
        }
        let width = spec.shape.last().copied().unwrap_or(0);
        let row_bytes = spec.dtype.row_bytes(width).filter(|n| *n > 0);
        let rows = row_bytes.map_or(0, |n| bytes.len() / n);
        if row_bytes.is_none_or(|n| rows * n != bytes.len()) || rows > rows_of(spec) - first_row {
            let why = format!("{} bytes from row {first_row} are not whole rows of {:?}", bytes.len(), spec.shape);
            return Err(Error::corrupt_file(format!("weight {}: {why} {}", spec.name, spec.dtype)));
        }
        match self.model.layout.place(&spec.name)? {
            Place::Matrix { matrix, first_row: top } => {
                self.model.matrices[matrix].put(context, top + first_row, bytes)?;
            }
            Place::Vector { vector, first } => {
                let numbers = plain(spec, bytes)?;
                let buffer = self.model.vectors[vector].raw();
                context.queue().write_buffer(buffer, first as u64 * 4, bytemuck::cast_slice(&numbers));
            }
        }
        self.rows[at] += rows;
        self.waiting += bytes.len();
        if self.waiting > MOST_WAITING {
            self.waiting = 0;
            context.queue().submit([]);
        }
        Ok(())
    }

    pub async fn settle(&mut self) -> Result<()> {
        self.waiting = 0;
        self.model.context.queue().submit([]);
        self.model.context.idle().await
    }

    pub async fn finish(mut self) -> Result<Resident> {
        if let Some((spec, rows)) = self.weights.iter().zip(&self.rows).find(|(spec, rows)| rows_of(spec) != **rows) {
            let why = format!("only {rows} of its {} rows came; fetch the file again", rows_of(spec));
            return Err(Error::corrupt_file(format!("weight {}: {why}", spec.name)));
        }
        self.settle().await?;
        #[cfg_attr(target_arch = "wasm32", allow(clippy::arc_with_non_send_sync))]
        let model = Arc::new(self.model);
        Ok(Resident { model })
    }
}

/// The numbers of a vector as f32.
fn plain(spec: &WeightSpec, bytes: &[u8]) -> Result<Vec<f32>> {
    let pairs = || bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    Ok(match spec.dtype {
        DType::F32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        DType::F16 => pairs().map(|b| half::f16::from_bits(b).to_f32()).collect(),
        DType::BF16 => pairs().map(|b| half::bf16::from_bits(b).to_f32()).collect(),
        other => {
            let why = "a vector must be F32, F16 or BF16; convert the file with its norms and biases in one of them";
            return Err(Error::unsupported_model(format!("weight {} is {other}: {why}", spec.name)));
        }
    })
}

impl Model {
    /// The buffer of a state, made when it is first asked for.
    pub fn state(&self, spec: &StateSpec) -> Result<Buffer> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, buffer)) = states.get(&spec.name) {
            if known.shape != spec.shape || known.dtype != spec.dtype {
                return Err(Error::invalid_graph(format!(
                    "state {}: {:?} {} in one graph of the model and {:?} {} in another",
                    spec.name, known.shape, known.dtype, spec.shape, spec.dtype
                )));
            }
            return Ok(buffer.clone());
        }
        if !matches!(spec.dtype, DType::F32 | DType::U32) {
            return Err(Error::invalid_graph(format!("state {}: {} is not F32 or U32", spec.name, spec.dtype)));
        }
        let bytes = spec.shape.iter().try_fold(4u64, |bytes, n| bytes.checked_mul(*n as u64));
        let bytes = bytes.filter(|bytes| *bytes <= self.context.max_binding()).ok_or_else(|| {
            let limit = self.context.max_binding();
            let why =
                format!("state {} {:?} is more than the {limit} bytes that one binding shows", spec.name, spec.shape);
            Error::out_of_memory(format!("{why}; ask for a shorter context"))
        })?;
        let buffer = self.context.storage(&spec.name, bytes)?;
        states.insert(spec.name.clone(), (spec.clone(), buffer.clone()));
        Ok(buffer)
    }

    /// A state by its name.
    pub fn known_state(&self, name: &str) -> Result<(StateSpec, Buffer)> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.get(name).cloned().ok_or_else(|| Error::bad_argument(format!("the model has no state called {name}")))
    }

    /// The rotary frequencies of `rotary`.
    pub fn frequencies(&self, rotary: &Rotary) -> Result<Buffer> {
        let key = (rotary.rotary_dim, rotary.base.to_bits(), rotary.frequency_scale.to_bits());
        let mut known = self.frequencies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(buffer) = known.get(&key) {
            return Ok(buffer.clone());
        }
        let numbers: Vec<u32> = rope_cache::frequencies(rotary).iter().map(|f| f.to_bits()).collect();
        let buffer = self.context.words("rotary frequencies", &numbers)?;
        known.insert(key, buffer.clone());
        Ok(buffer)
    }
}

impl Resident {
    pub fn bytes(&self) -> u64 {
        self.model.context.bytes()
    }

    pub fn write_state(&self, name: &str, words: &[u32]) -> Result<()> {
        self.model.context.alive()?;
        let (spec, buffer) = self.model.known_state(name)?;
        if words.len() as u64 > spec.shape.iter().product::<usize>() as u64 {
            let why = format!("state {name} {:?}: {} words are too many", spec.shape, words.len());
            return Err(Error::bad_argument(why));
        }
        self.model.context.queue().write_buffer(buffer.raw(), 0, bytemuck::cast_slice(words));
        self.model.written.note_words(&spec, words.len());
        Ok(())
    }
}
