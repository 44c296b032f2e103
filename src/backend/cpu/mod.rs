//! (room under construction: the face that `backend/mod.rs` calls)

use super::{DeviceInfo, Pending, StepCost};
use crate::{
    Error, Result,
    graph::{Graph, StepParams, WeightId},
};

#[derive(Clone)]
pub struct Device;
pub struct Loader;
#[derive(Clone)]
pub struct Resident;
pub struct Plan;

impl Device {
    pub fn info(&self) -> DeviceInfo {
        DeviceInfo {
            kind: "none",
            name: String::new(),
            reason: String::new(),
            software: false,
            subgroups: false,
            f16: false,
            max_buffer_bytes: 0,
            max_binding_bytes: 0,
        }
    }
    pub fn steps_in_flight(&self) -> usize {
        1
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
