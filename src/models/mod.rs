//! Model families: from a configuration to a [`Graph`](crate::graph::Graph), and the names of the weights it reads.
//!
//! May use `graph` and `weights`. A family knows no device: it never sees a number of its weights, only their
//! names, shapes and types, and says so in a sentence where a file does not fit.

pub mod llama;

pub use llama::Llama;

use crate::{Error, Result, graph::DType, weights::WeightFile};

/// The architectures that run, as `general.architecture` of a GGUF or `model_type` of a `config.json` spells them.
pub const ARCHITECTURES: &[&str] = &["llama"];

/// Says what a file knows of the tensor with this name: its type and its shape, outermost dimension first.
pub trait Tensors {
    fn tensor(&self, name: &str) -> Option<(DType, &[usize])>;
}

impl Tensors for WeightFile {
    fn tensor(&self, name: &str) -> Option<(DType, &[usize])> {
        self.tensors.get(name).map(|t| (t.dtype, t.shape.as_slice()))
    }
}

/// Refuses an architecture that no family here takes.
pub fn check_architecture(name: &str) -> Result<()> {
    if ARCHITECTURES.contains(&name) {
        return Ok(());
    }
    Err(Error::unsupported_model(format!(
        "the architecture {name:?} is not one that runs here; use a model of one of these: {}",
        ARCHITECTURES.join(", ")
    )))
}
