//! What both native test binaries use; what one of them uses alone lies with it.

pub mod devices;
mod files;
mod numbers;
pub mod proofs;
mod tokens;

pub use devices::{as_hardware, on_cpu, on_gpu};
pub use files::{fixture, json, opened, reference, safetensors, shipped, streamed};
pub use numbers::{bits, cosine, floats, numbers_in};
pub use proofs::proved;
pub use tokens::{ids_in, sampled, spelled};
