//! (room under construction: the face that `backend/mod.rs` calls)

pub mod buffer;
pub mod context;
mod device;
pub mod kernels;
pub mod linear;
mod repack;
#[cfg(target_arch = "wasm32")]
mod subgroups_shim;
pub mod wgsl;

pub use device::{Device, NoDevice, Preference};

use super::{Pending, StepCost};
use crate::{
    Error, Result,
    graph::{Graph, StepParams, WeightId},
};

pub struct Loader;
#[derive(Clone)]
pub struct Resident;
pub struct Plan;

impl Device {
    pub fn steps_in_flight(&self) -> usize {
        4
    }
    pub fn prefill_rows(&self) -> &'static [usize] {
        &[128, 16, 1]
    }
    pub async fn begin(&self, _graph: &Graph) -> Result<Loader> {
        Err(Error::internal("under construction"))
    }
}

impl Loader {
    pub fn put(&mut self, _weight: WeightId, _first_row: usize, _bytes: &[u8]) -> Result<()> {
        Ok(())
    }
    pub async fn settle(&mut self) -> Result<()> {
        Ok(())
    }
    pub async fn finish(self) -> Result<Resident> {
        Err(Error::internal("under construction"))
    }
}

impl Resident {
    pub fn bytes(&self) -> u64 {
        0
    }
    pub fn write_state(&self, _name: &str, _words: &[u32]) -> Result<()> {
        Ok(())
    }
    pub async fn compile(&self, _graph: &Graph) -> Result<Plan> {
        Err(Error::internal("under construction"))
    }
}

impl Plan {
    pub fn write_input(&mut self, _name: &str, _words: &[u32]) -> Result<()> {
        Ok(())
    }
    pub fn step(&mut self, _params: &StepParams, _outputs: &[&str]) -> Result<Pending> {
        Err(Error::internal("under construction"))
    }
    pub fn cost(&self) -> StepCost {
        StepCost::default()
    }
}
