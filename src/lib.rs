//! Vitrine: small generative models inside a web page.
//!
//! A model is data: a function from its configuration to a [`graph::Graph`]. A backend runs graphs.
//!
//! ```text
//! bytes → weights → model → Graph → backend → numbers → text → web → page
//! ```
//!
//! The rooms, from the inside out: [`graph`] (operations and shapes, no device), [`weights`] (files and
//! tensors), [`models`] (one file a family), [`backend`] (runs a graph: our kernels on the CPU, wgpu on the GPU),
//! [`loaded`] (a model on a device and its calls' turns), [`text`] (tokenizer, sampling, the generation loop), [`image`] (schedulers, guidance, the painting loop), and `web` (the JavaScript face, wasm32 only).

pub mod backend;
pub mod cancel;
pub mod error;
pub mod graph;
pub mod image;
pub mod loaded;
pub mod models;
pub mod outlook;
pub mod text;
#[cfg(target_arch = "wasm32")]
pub mod web;
pub mod weights;
pub mod yielding;

pub use cancel::Cancel;
pub use error::{Error, ErrorCode, Result};
