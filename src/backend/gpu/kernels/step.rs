//! The numbers of a step as the kernels read them, written before each submit.

use crate::graph::StepParams;

/// Declares the numbers for both sides: WGSL and Rust call their types alike, and lay them out alike.
macro_rules! numbers {
    ($($name:ident: $kind:ident,)*) => {
        #[repr(C)]
        #[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
        pub struct StepWords {
            $($name: $kind,)*
        }

        /// The same in WGSL.
        pub const WGSL: &str =
            concat!("struct Step {\n", $("    ", stringify!($name), ": ", stringify!($kind), ",\n",)* "}\n");
    };
}

numbers! {
    // Tokens that the caches already hold; row 0 of the step stands here.
    position: u32,
    // The row that is selected.
    row: u32,
    top_k: u32,
    // The draw in [0, 1), and which token of the text it is for.
    draw: f32,
    step: u32,
    // 0 is greedy.
    temperature: f32,
    top_p: f32,
    min_p: f32,
    repetition_penalty: f32,
    // Rows of stored keys and values that are seen.
    memory: u32,
}

impl StepWords {
    pub const BYTES: u64 = size_of::<Self>() as u64;

    /// Numbers that mean nothing (NaN, a negative temperature) switch their filter off.
    pub fn new(params: &StepParams) -> Self {
        let sample = &params.sample;
        let or = |value: f32, sound: bool, neutral: f32| if sound { value } else { neutral };
        Self {
            position: params.position,
            row: params.row,
            top_k: sample.top_k,
            draw: sample.uniform(),
            step: sample.step,
            temperature: or(sample.temperature, sample.temperature > 0.0, 0.0),
            top_p: or(sample.top_p, sample.top_p < 1.0, 1.0).max(0.0),
            min_p: or(sample.min_p, sample.min_p > 0.0, 0.0).min(1.0),
            repetition_penalty: or(sample.repetition_penalty, sample.repetition_penalty > 0.0, 1.0),
            memory: params.memory,
        }
    }
}
