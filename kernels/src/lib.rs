//! The loops in which a model spends its time on the CPU, over plain slices: products with weights as they are stored, attention, norms,
//! convolutions, recurrent cells, sampling; and GGUF's blocks, which both backends read.
//!
//! One thread, 128-bit vectors, no I/O, no graph. A crate of its own so that it alone is compiled for speed: what is around it runs once
//! a load or once a step, and is compiled to be small. Hence no function of the hot ones takes a closure from outside: it would be compiled there.

pub mod attention;
pub mod blocks;
pub mod dtype;
pub mod elementwise;
mod factors;
pub mod matmul;
pub mod matrix;
pub mod ops;
pub mod pictures;
pub mod recurrent;
pub mod room;
mod rows;
pub mod sample;
mod simd;
mod units;
pub mod winograd;

/// What 128-bit vectors are made of here.
pub const VECTORS: &str = simd::NAME;
