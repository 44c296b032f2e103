//! Model families: from a configuration to a [`Graph`](crate::graph::Graph), and the names of the weights it reads.
//!
//! May use `graph` and `weights`. A family knows no device: it never sees a number of its weights, only their
//! names, shapes and types, and says so in a sentence where a file does not fit.

pub mod autoencoder_kl;
pub mod autoencoder_tiny;
pub mod clip;
mod config;
pub mod conv_vae;
pub mod dcgan;
pub mod diffusion;
mod find;
pub mod illustrator;
pub mod language;
mod named;
pub mod unet;

pub use autoencoder_kl::{AutoencoderKl, KlConfig};
pub use autoencoder_tiny::AutoencoderTiny;
pub use clip::Clip;
pub use conv_vae::ConvVae;
pub use dcgan::Dcgan;
pub use diffusion::{Denoiser, TextEncoder};
pub use illustrator::Illustrator;
pub use language::LanguageModel;
pub use named::Types;
pub use unet::UNet;

pub use crate::weights::Tensors;

use std::collections::HashMap;

use crate::{graph::DType, weights::WeightFile};

/// What a file knows of its tensors, without the file.
#[derive(Debug, Clone, Default)]
pub struct Index(HashMap<String, (DType, Vec<usize>)>);

impl Index {
    pub fn of(file: &WeightFile) -> Self {
        Self(file.tensors.values().map(|t| (t.name.clone(), (t.dtype, t.shape.clone()))).collect())
    }
}

impl Tensors for Index {
    fn tensor(&self, name: &str) -> Option<(DType, &[usize])> {
        self.0.get(name).map(|(dtype, shape)| (*dtype, shape.as_slice()))
    }
}
