//! Files of weights: GGUF (its metadata read by candle, behind our own checks), safetensors, PyTorch's own archives of a state dict and NumPy's, from any [`ByteSource`].
//!
//! ```text
//! ByteSource ── WeightFile::open ──▶ metadata, tensors by name ── stream(graph, loader) ──▶ rows on a device
//! ```
//!
//! Opening reads the header alone (of PyTorch's files the directory at their end, and the pickle), a megabyte at a time, so an address need not
//! be fetched whole to be looked at.
//! Nothing here trusts the file: every count, length, offset and shape is checked against the file's size before
//! anything is allocated by it, and a file that does not add up is an error with the code `corrupt-file` that says
//! where. Weights then go to a device in pieces of whole rows, in file order; no second copy of the model is made. On the way
//! they are turned, split, folded and quantised as the model's [`Recipes`] say.
//!
//! Uses `graph` (dtypes, weight names and shapes) and the face of `backend`'s loader.

mod address;
mod archive;
mod contents;
pub mod download;
mod encode;
mod file;
mod gguf;
mod manifest;
mod members;
mod metadata;
mod npz;
mod pytorch;
mod recipe;
mod safetensors;
mod shared_rows;
mod source;
mod stand_in;
mod stream;
mod summary;
mod wrappers;

pub use address::{cache_key, file_name, resolve_address};
pub use contents::TensorInfo;
pub(crate) use contents::shown;
pub use file::{Format, Tensors, WeightFile};
pub use gguf::Glance;
pub use metadata::{FromValue, Metadata, Value};
pub use recipe::{BatchNorm, Recipe, Recipes, SpectralNorm, Storage, WeightFinder};
#[cfg(not(target_arch = "wasm32"))]
pub use source::PathSource;
pub use source::{ByteSource, MemorySource, SharedSource, by_folder, past_the_end};
pub use stream::RowSink;
pub use summary::Summary;
