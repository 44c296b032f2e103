//! What models stand on: the backends, and the files of weights.

#![cfg(not(target_arch = "wasm32"))]

mod backends;
#[path = "../common/mod.rs"]
mod common;
mod weights;
