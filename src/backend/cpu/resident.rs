//! A model's weights and states in memory.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use vitrine_kernels::{
    matrix::{self, Matrix, Refusal},
    room::{self, NoRoom},
};

use crate::{
    Error, Result,
    backend::rows::Written,
    graph::{Graph, StateSpec, WeightId, WeightSpec},
};

/// A weight in the form in which operations read it.
pub enum Weight {
    Matrix(Matrix),
    /// A norm, a bias, frequency factors.
    Vector(Vec<f32>),
}

/// A state, made longer when it is written: a cache takes no memory for rows that no token has reached.
pub struct State {
    pub spec: StateSpec,
    /// Its whole length in words.
    len: usize,
    /// The words from the start that are in memory; those after are zeros.
    words: Vec<f32>,
}

impl State {
    /// The first `n` words (at most its length), which are in memory afterwards.
    pub fn first(&mut self, n: usize) -> Result<&mut [f32]> {
        let n = n.min(self.len);
        if self.words.len() < n {
            let room = n.max(self.words.len() * 3 / 2).min(self.len);
            self.words.try_reserve_exact(room - self.words.len()).map_err(|e| {
                Error::out_of_memory(format!("no room for {} words of {}; use a shorter context", room, self.spec.name))
                    .caused_by(e)
            })?;
            self.words.resize(n, 0.0);
        }
        Ok(&mut self.words[..n])
    }

    /// What is in memory: zeros follow.
    pub fn written(&self) -> &[f32] {
        &self.words
    }

    pub fn len(&self) -> usize {
        self.len
    }
}

fn no_room(NoRoom { bytes, cause }: NoRoom, what: &str) -> Error {
    Error::out_of_memory(format!("no room for the {bytes} bytes of {what}; use a smaller or more quantised model"))
        .caused_by(cause)
}

/// `n` zeros; `what` they are is for messages.
pub fn zeros(n: usize, what: &str) -> Result<Vec<f32>> {
    room::zeros(n).map_err(|refused| no_room(refused, what))
}

/// Room for a weight of two dimensions.
fn matrix(WeightSpec { name, dtype, .. }: &WeightSpec, rows: usize, columns: usize) -> Result<Matrix> {
    Matrix::new(rows, columns, *dtype).map_err(|refusal| match refusal {
        Refusal::Blocks => {
            Error::invalid_graph(format!("weight {name}: {columns} columns are no whole {dtype} blocks"))
        }
        Refusal::WholeNumbers => {
            Error::invalid_graph(format!("weight {name}: a matrix of whole numbers serves no operation"))
        }
        Refusal::TooLarge => {
            Error::out_of_memory(format!("weight {name} [{rows}, {columns}] is too large for this machine"))
        }
        Refusal::NoRoom(refused) => no_room(refused, name),
    })
}

/// What the clones of a [`Resident`] and its plans share.
pub struct Shared {
    pub weights: Vec<Weight>,
    specs: Vec<WeightSpec>,
    weight_places: HashMap<String, usize>,
    states: Mutex<Vec<State>>,
    state_places: HashMap<String, usize>,
    pub written: Written,
    /// Of all plans.
    pub plan_bytes: AtomicUsize,
    /// Of all snapshots.
    pub snapshot_bytes: AtomicUsize,
}

impl Shared {
    pub fn states(&self) -> MutexGuard<'_, Vec<State>> {
        // A step that panicked leaves states that are no worse than those of a step that failed.
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the weight of a graph stands; refused where it is unknown or of another shape.
    pub fn weight(&self, wanted: &WeightSpec) -> Result<usize> {
        match self.weight_places.get(&wanted.name) {
            Some(&i) if self.specs[i] == *wanted => Ok(i),
            Some(&i) => Err(Error::invalid_graph(format!(
                "weight {}: loaded as {:?} {}, asked for as {:?} {}",
                wanted.name, self.specs[i].shape, self.specs[i].dtype, wanted.shape, wanted.dtype
            ))),
            None => Err(Error::invalid_graph(format!("weight {} was not loaded with this model", wanted.name))),
        }
    }

    /// Likewise of a state.
    pub fn state(&self, wanted: &StateSpec) -> Result<usize> {
        let states = self.states();
        match self.state_places.get(&wanted.name) {
            Some(&i) if states[i].spec == *wanted => Ok(i),
            Some(&i) => Err(Error::invalid_graph(format!(
                "state {}: made as {:?}, asked for as {:?}",
                wanted.name, states[i].spec.shape, wanted.shape
            ))),
            None => Err(Error::invalid_graph(format!("state {} was not made with this model", wanted.name))),
        }
    }
}

/// Takes weights a few rows at a time.
pub struct Loader {
    weights: Vec<Weight>,
    specs: Vec<WeightSpec>,
    /// Rows that came, of each weight.
    rows: Vec<usize>,
    states: Vec<State>,
}

/// Rows as `put` counts them: a vector is one row.
fn rows_of(spec: &WeightSpec) -> usize {
    if spec.shape.len() == 2 { spec.shape[0] } else { 1 }
}

/// Asks for room for all weights before any of it is taken: what does not fit is refused at once, and no memory was touched.
fn reserve(weights: &[WeightSpec]) -> Result<()> {
    let held = |w: &WeightSpec| {
        let row = w.dtype.row_bytes(*w.shape.last()?)? as u64;
        Some(matrix::held_bytes(w.dtype, row.checked_mul(rows_of(w) as u64)?))
    };
    let held: Vec<u64> = weights.iter().map(|w| held(w).unwrap_or(0)).collect();
    let refused = || {
        let total = held.iter().fold(0u64, |sum, bytes| sum.saturating_add(*bytes));
        Error::out_of_memory(format!(
            "no room for the {} MiB of this model's weights; use a smaller or more quantised model",
            total.div_ceil(1 << 20)
        ))
    };
    let mut taken = Vec::with_capacity(held.len());
    for bytes in &held {
        let mut room = Vec::<u8>::new();
        let asked = usize::try_from(*bytes).map_err(|_| refused())?;
        room.try_reserve_exact(asked).map_err(|e| refused().caused_by(e))?;
        taken.push(room);
    }
    Ok(())
}

impl Loader {
    pub fn new(graph: &Graph) -> Result<Self> {
        reserve(&graph.weights)?;
        let weights = graph
            .weights
            .iter()
            .map(|w| match w.shape[..] {
                [n] if w.dtype.row_bytes(n).is_some() => Ok(Weight::Vector(zeros(n, &w.name)?)),
                [rows, columns] => Ok(Weight::Matrix(matrix(w, rows, columns)?)),
                _ => Err(Error::invalid_graph(format!(
                    "weight {} {:?} {}: a vector or a matrix of whole blocks is expected",
                    w.name, w.shape, w.dtype
                ))),
            })
            .collect::<Result<_>>()?;
        let states = graph
            .states
            .iter()
            .map(|s| {
                let len =
                    s.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).filter(|n| n.checked_mul(4).is_some());
                let len = len.ok_or_else(|| {
                    Error::out_of_memory(format!("state {} {:?} is too large; use a shorter context", s.name, s.shape))
                })?;
                Ok(State { spec: s.clone(), len, words: vec![] })
            })
            .collect::<Result<_>>()?;
        Ok(Self { weights, rows: vec![0; graph.weights.len()], specs: graph.weights.clone(), states })
    }

    pub fn put(&mut self, weight: WeightId, first_row: usize, bytes: &[u8]) -> Result<()> {
        let i = weight.0 as usize;
        let (Some(spec), Some(to)) = (self.specs.get(i), self.weights.get_mut(i)) else {
            return Err(Error::internal(format!("weight {i} is not one of this model's")));
        };
        let rows = rows_of(spec);
        let columns = spec.shape[spec.shape.len() - 1];
        let row_bytes = spec.dtype.row_bytes(columns).unwrap_or(0);
        if row_bytes == 0 || !bytes.len().is_multiple_of(row_bytes) {
            return Err(Error::internal(format!("weight {}: {} bytes are no whole rows", spec.name, bytes.len())));
        }
        let count = bytes.len() / row_bytes;
        if first_row != self.rows[i] || count > rows - first_row {
            return Err(Error::internal(format!(
                "weight {}: rows {first_row} to {} came after {} of {rows}",
                spec.name,
                first_row.saturating_add(count),
                self.rows[i]
            )));
        }
        for (r, row) in bytes.chunks_exact(row_bytes).enumerate() {
            let done = match to {
                Weight::Matrix(m) => m.put_row(first_row + r, row),
                Weight::Vector(v) => matrix::floats(spec.dtype, row, v),
            };
            done.map_err(|_| {
                Error::corrupt_file(format!(
                    "weight {}, row {}: a block's scale is not a finite number; fetch the file again",
                    spec.name,
                    first_row + r
                ))
            })?;
        }
        self.rows[i] += count;
        Ok(())
    }

    /// Nothing to wait for.
    pub async fn settle(&mut self) -> Result<()> {
        Ok(())
    }

    pub async fn finish(self) -> Result<Resident> {
        for (spec, came) in self.specs.iter().zip(&self.rows) {
            let rows = rows_of(spec);
            if *came != rows {
                return Err(Error::corrupt_file(format!(
                    "weight {} came with {came} of its {rows} rows; fetch the whole file again",
                    spec.name
                )));
            }
        }
        let places = |names: Vec<&String>| names.into_iter().cloned().enumerate().map(|(i, n)| (n, i)).collect();
        Ok(Resident(Arc::new(Shared {
            weight_places: places(self.specs.iter().map(|w| &w.name).collect()),
            state_places: places(self.states.iter().map(|s| &s.spec.name).collect()),
            weights: self.weights,
            specs: self.specs,
            states: Mutex::new(self.states),
            written: Written::default(),
            plan_bytes: AtomicUsize::new(0),
            snapshot_bytes: AtomicUsize::new(0),
        })))
    }
}

/// Weights and states of a model. Clones share them.
#[derive(Clone)]
pub struct Resident(pub(super) Arc<Shared>);

impl Resident {
    pub fn bytes(&self) -> u64 {
        let weights = self.0.weights.iter().map(|w| match w {
            Weight::Matrix(m) => m.bytes(),
            Weight::Vector(v) => 4 * v.len(),
        });
        let states = self.0.states().iter().map(|s| 4 * s.words.capacity()).sum::<usize>();
        let beside = [&self.0.plan_bytes, &self.0.snapshot_bytes].map(|bytes| bytes.load(Ordering::Relaxed));
        (weights.sum::<usize>() + states + beside[0] + beside[1]) as u64
    }

    pub fn write_state(&self, name: &str, words: &[u32]) -> Result<()> {
        self.with_state(name, |state| {
            if words.len() > state.len {
                return Err(Error::bad_argument(format!(
                    "state {name} holds {} words, and {} were given",
                    state.len,
                    words.len()
                )));
            }
            state.first(words.len())?.copy_from_slice(bytemuck::cast_slice(words));
            self.0.written.note_words(&state.spec, words.len());
            Ok(())
        })?
    }

    /// Does something with a state by its name.
    pub(super) fn with_state<T>(&self, name: &str, work: impl FnOnce(&mut State) -> T) -> Result<T> {
        let Some(&i) = self.0.state_places.get(name) else {
            return Err(Error::invalid_graph(format!("this model has no state {name}")));
        };
        Ok(work(&mut self.0.states()[i]))
    }
}
