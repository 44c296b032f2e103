//! What changes from step to step while the graph stays.

use super::SampleParams;

/// The numbers of one step.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StepParams {
    /// How many tokens the caches already hold: the first row of the step stands here.
    pub position: u32,
    /// The row that [`Op::SelectRow`](super::Op::SelectRow) takes.
    pub row: u32,
    /// Of how many rows of keys and values that were stored before an attention with [`Keys::Memory`](super::Keys::Memory) may see.
    pub memory: u32,
    pub sample: SampleParams,
}
