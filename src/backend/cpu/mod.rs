//! The CPU backend: the fallback where no GPU is of use, and the measure of the GPU's kernels.
//!
//! One thread, our own kernels over plain slices, on 128-bit vectors, which are a crate of their own. Weights are repacked row by row
//! as they come in ([`vitrine_kernels::matrix`]); a plan is a list of steps over buffers that intermediates share by liveness ([`plan`]). Half floats and
//! quantised weights are multiplied as they are stored, never as a whole f32 copy.
//!
//! Uses `graph` alone. Promises: the same graph, weights, states and step give the same bits, always; no step of a language
//! model allocates after the first of its length, save caches, which grow with the rows that are written; a step of pictures gives
//! way while it computes, and no value takes memory longer than it is needed.

mod compile;
mod plan;
mod resident;
mod run;
mod snapshot;

pub use plan::Plan;
pub use resident::{Loader, Resident};
pub use snapshot::Snapshot;

use vitrine_kernels::VECTORS;

use super::DeviceInfo;
use crate::{Result, graph::Graph};

/// This machine's processor.
#[derive(Debug, Clone)]
pub struct Device {
    reason: String,
}

impl Device {
    /// `reason`: a sentence for people, why the model runs here.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }

    pub fn info(&self) -> DeviceInfo {
        DeviceInfo {
            kind: "cpu",
            name: format!("CPU, one thread, {}", VECTORS),
            reason: self.reason.clone(),
            software: false,
            subgroups: false,
            f16: false,
            max_buffer_bytes: 0,
            max_binding_bytes: 0,
        }
    }

    /// A step is over when it returns.
    pub fn steps_in_flight(&self) -> usize {
        1
    }

    /// Enough rows to spread the widening of weights over, few enough to stop a prefill within about a second.
    pub fn prefill_rows(&self) -> &'static [usize] {
        &[64, 16, 4, 1]
    }

    pub async fn begin(&self, graph: &Graph) -> Result<Loader> {
        Loader::new(graph)
    }
}
