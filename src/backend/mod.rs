//! Runs graphs. Two backends behind one face: [`cpu`] (one thread: the fallback and the oracle) and [`gpu`] (wgpu).
//!
//! ```text
//! Device ── begin(graph) ──▶ Loader ── put(rows) … finish ──▶ Resident ── compile(graph) ──▶ Plan ── step ──▶ Pending
//! ```
//!
//! A [`Resident`] holds the weights and states of one model on a device. Every graph of that model (decode, prefill of
//! any length, scoring) compiles to a [`Plan`] over the same resident; weights and states are matched by name. Plans of one
//! resident share its states, so what a prefill wrote a decode reads. Dropping all plans and the resident frees the memory.

pub mod cpu;
mod fusion;
pub mod gpu;
pub mod profile;
mod rows;
pub mod self_check;
pub mod speed;

use std::{future::Future, pin::Pin};

use profile::Timing;

use crate::{
    Error, Result,
    graph::{Graph, StepParams, WeightId},
};

/// What runs the model and why that was chosen.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceInfo {
    /// `"webgpu"` or `"cpu"`.
    pub kind: &'static str,
    /// The adapter's own name, or the CPU kernels in use.
    pub name: String,
    /// A sentence: why this device.
    pub reason: String,
    /// A GPU made of software (SwiftShader, llvmpipe).
    pub software: bool,
    pub subgroups: bool,
    pub f16: bool,
    /// Largest buffer and largest binding in bytes; 0 on the CPU.
    pub max_buffer_bytes: u64,
    pub max_binding_bytes: u64,
}

/// What one step of a plan costs, counted where it happens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepCost {
    pub dispatches: u32,
    pub passes: u32,
    pub submits: u32,
}

/// A place to compute.
#[derive(Clone)]
pub enum Device {
    Cpu(cpu::Device),
    Gpu(gpu::Device),
}

/// Takes a model's weights in pieces.
#[allow(clippy::large_enum_variant)] // one a load, moved once
pub enum Loader {
    Cpu(cpu::Loader),
    Gpu(gpu::Loader),
}

/// The weights and states of one model on a device. Clones share them.
#[derive(Clone)]
pub enum Resident {
    Cpu(cpu::Resident),
    Gpu(gpu::Resident),
}

/// Copies of the first words of some states of a [`Resident`], on its device.
pub enum Snapshot {
    Cpu(cpu::Snapshot),
    Gpu(gpu::Snapshot),
}

/// A compiled graph, replayed a step at a time.
#[allow(clippy::large_enum_variant)] // a handful a model, never moved in bulk
pub enum Plan {
    Cpu(cpu::Plan),
    Gpu(gpu::Plan),
}

/// The outputs of a step that is on its way: one vector of 32-bit words for each output asked for (f32 values as
/// their bits, row-major).
pub type Pending = Pin<Box<dyn Future<Output = Result<Vec<Vec<u32>>>>>>;

macro_rules! each {
    ($kind:ident, $on:expr, $x:ident => $do:expr) => {
        match $on {
            $kind::Cpu($x) => $do,
            $kind::Gpu($x) => $do,
        }
    };
}

impl Device {
    pub fn info(&self) -> DeviceInfo {
        each!(Device, self, d => d.info())
    }

    /// How many steps the text loop should keep in flight: 1 where a step runs to its end before it returns.
    pub fn steps_in_flight(&self) -> usize {
        each!(Device, self, d => d.steps_in_flight())
    }

    /// The row counts worth compiling a prefill for, longest first. Where [`Self::exact_rows`] is true any count up to the
    /// first will do; elsewhere a chunk is padded to the next of these.
    pub fn prefill_rows(&self) -> &'static [usize] {
        each!(Device, self, d => d.prefill_rows())
    }

    /// Whether compiling a graph for any number of rows costs nothing.
    pub fn exact_rows(&self) -> bool {
        matches!(self, Self::Cpu(_))
    }

    /// Makes room for the weights and states of `graph` (any graph of the model: all of them name the same weights).
    pub async fn begin(&self, graph: &Graph) -> Result<Loader> {
        Ok(match self {
            Self::Cpu(d) => Loader::Cpu(d.begin(graph).await?),
            Self::Gpu(d) => Loader::Gpu(d.begin(graph).await?),
        })
    }
}

impl Loader {
    /// Takes whole rows of a weight in the file's own encoding (rows are the first dimension; a vector `[n]` is one row).
    /// `bytes` holds rows `first_row ..`; pieces of one weight come in order. A NaN or infinite scale in a quantised block
    /// is refused as a corrupt file, by the weight's name.
    pub fn put(&mut self, weight: WeightId, first_row: usize, bytes: &[u8]) -> Result<()> {
        each!(Loader, self, l => l.put(weight, first_row, bytes))
    }

    /// Lets the device catch up; call it now and then while streaming.
    pub async fn settle(&mut self) -> Result<()> {
        each!(Loader, self, l => l.settle().await)
    }

    /// All weights are in. A weight that never came whole is an error.
    pub async fn finish(self) -> Result<Resident> {
        Ok(match self {
            Self::Cpu(l) => Resident::Cpu(l.finish().await?),
            Self::Gpu(l) => Resident::Gpu(l.finish().await?),
        })
    }
}

impl Resident {
    /// Bytes that weights, states and plans hold on the device.
    pub fn bytes(&self) -> u64 {
        each!(Resident, self, r => r.bytes())
    }

    /// Overwrites a state from its start with 32-bit words.
    pub fn write_state(&self, name: &str, words: &[u32]) -> Result<()> {
        each!(Resident, self, r => r.write_state(name, words))
    }

    /// Copies the first words of states, each by its name and how many. Steps that were started before have run by then.
    ///
    /// Errors: `out-of-memory`; the states are as they were.
    pub async fn snapshot(&self, states: &[(String, usize)]) -> Result<Snapshot> {
        Ok(match self {
            Self::Cpu(r) => Snapshot::Cpu(r.snapshot(states)?),
            Self::Gpu(r) => Snapshot::Gpu(r.snapshot(states).await?),
        })
    }

    /// States become what they were when `snapshot` was taken, as many words of each as `states` says: the same names in the same order.
    pub fn bring_back(&self, snapshot: &Snapshot, states: &[(String, usize)]) -> Result<()> {
        match (self, snapshot) {
            (Self::Cpu(r), Snapshot::Cpu(s)) => r.bring_back(s, states),
            (Self::Gpu(r), Snapshot::Gpu(s)) => r.bring_back(s, states),
            _ => Err(Error::internal("a snapshot was taken on another device")),
        }
    }

    /// What a snapshot holds, as many words of each state as `states` says: the same names in the same order.
    pub async fn read(&self, snapshot: &Snapshot, states: &[(String, usize)]) -> Result<Vec<Vec<u32>>> {
        match (self, snapshot) {
            (Self::Cpu(_), Snapshot::Cpu(s)) => Ok(s.read(states)),
            (Self::Gpu(r), Snapshot::Gpu(s)) => r.read(s, states).await,
            _ => Err(Error::internal("a snapshot was taken on another device")),
        }
    }

    /// Makes everything a step of `graph` needs: buffers, pipelines, bind groups.
    pub async fn compile(&self, graph: &Graph) -> Result<Plan> {
        Ok(match self {
            Self::Cpu(r) => Plan::Cpu(cpu::Plan::compile(r, graph)?),
            Self::Gpu(r) => Plan::Gpu(gpu::Plan::compile(r, graph).await?),
        })
    }
}

impl Snapshot {
    pub fn bytes(&self) -> u64 {
        each!(Snapshot, self, s => s.bytes())
    }
}

impl Plan {
    /// Writes an input (U32 values as they are, f32 values as their bits), for the steps that follow.
    pub fn write_input(&mut self, name: &str, words: &[u32]) -> Result<()> {
        each!(Plan, self, p => p.write_input(name, words))
    }

    /// Starts a step and returns what will be the named outputs. It reads the inputs as they were written before it was started, and
    /// steps that share states run in the order in which they are started.
    ///
    /// On the GPU this returns at once. On the CPU it returns when the step is done, save for a graph without states (pictures, whose
    /// steps take seconds): that one is computed while the [`Pending`] is polled, gives way to other tasks every few milliseconds, and
    /// ends where the `Pending` is dropped, so that [`Cancel::race`](crate::cancel::Cancel::race) stops it.
    pub fn step(&mut self, params: &StepParams, outputs: &[&str]) -> Result<Pending> {
        each!(Plan, self, p => p.step(params, outputs))
    }

    /// Runs one step and tells how long each of its parts took, in order.
    ///
    /// Errors: `bad-argument` where the device cannot tell.
    pub async fn profile(&mut self, params: &StepParams) -> Result<Vec<Timing>> {
        match self {
            Self::Cpu(plan) => plan.profile(params),
            Self::Gpu(plan) => plan.profile(params).await,
        }
    }

    /// What a step costs.
    pub fn cost(&self) -> StepCost {
        each!(Plan, self, p => p.cost())
    }
}
