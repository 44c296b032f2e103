//! The numbers of a step as the kernels read them, written before each submit.

use crate::graph::{SampleParams, StepParams};

/// The same in WGSL, where the numbers of the choice are members like the rest.
pub fn wgsl() -> String {
    format!(
        "struct Step {{\n    position: u32,\n    row: u32,\n    memory: u32,\n    draw: f32,\n    chance: f32,\n{}}}\n",
        SampleParams::WGSL
    )
}

/// The numbers of a step. [`wgsl`] lays them out alike.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct StepWords {
    /// Tokens that the caches already hold; row 0 of the step stands here.
    position: u32,
    /// The row that is selected.
    row: u32,
    /// Rows of stored keys and values that are seen.
    memory: u32,
    /// The draw in `[0, 1)`, and that of XTC.
    draw: f32,
    chance: f32,
    sample: SampleParams,
}

impl StepWords {
    pub const BYTES: u64 = size_of::<Self>() as u64;

    pub fn new(params: &StepParams) -> Self {
        let sample = params.sample.sound();
        Self {
            position: params.position,
            row: params.row,
            memory: params.memory,
            draw: sample.uniform(),
            chance: sample.chance(),
            sample,
        }
    }
}
