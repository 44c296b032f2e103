//! Runs graphs on the GPU by way of wgpu, natively and in a browser. The only room that knows wgpu.
//!
//! ```text
//! Device ── begin ──▶ Loader (layout: where weights lie; repack) ── finish ──▶ Resident
//! Graph ── fuse ──▶ Program (kernels over stores) ── memory ──▶ slots ── plan ──▶ Plan (dispatches), replayed a step at a time
//! ```
//!
//! What each step costs is in [`Plan::cost`]; a lost device or a full one is an error of its own kind from the call that
//! meets it on, and never a panic.

pub mod adapters;
pub mod buffer;
pub mod context;
mod device;
pub mod features;
mod fuse;
pub mod health;
pub mod kernels;
mod layout;
pub mod linear;
mod memory;
pub mod pipelines;
mod plan;
mod profile;
pub mod program;
mod repack;
mod resident;
mod snapshot;
mod snippets;
mod staging;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod subgroup_sizes;
#[cfg(target_arch = "wasm32")]
mod subgroups_shim;
pub mod wgsl;

pub use device::{Device, NoDevice, Preference};
pub use plan::Plan;
pub use resident::{Loader, Resident};
pub use snapshot::Snapshot;
