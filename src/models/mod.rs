//! Model families: from a configuration to a [`Graph`](crate::graph::Graph), and the names of the weights it reads.
//!
//! May use `graph` and `weights`. A family knows no device: it never sees a number of its weights, only their
//! names, shapes and types, and says so in a sentence where a file does not fit.

pub mod autoencoder_kl;
pub mod autoencoder_tiny;
pub mod bert;
mod builder;
pub mod char_lstm;
pub mod clip;
mod config;
pub mod conv_vae;
pub mod dcgan;
pub mod diffusion;
pub mod illustrator;
pub mod language;
pub mod t5;
pub mod unet;

pub use autoencoder_kl::{AutoencoderKl, KlConfig};
pub use autoencoder_tiny::AutoencoderTiny;
pub use bert::Bert;
pub use builder::{Builder, Form, Origin, Search, Weights};
pub use char_lstm::CharLstm;
pub use clip::Clip;
pub use conv_vae::ConvVae;
pub use dcgan::Dcgan;
pub use diffusion::{Denoiser, TextEncoder};
pub use illustrator::Illustrator;
pub use language::LanguageModel;
pub use t5::T5;
pub use unet::UNet;

pub use crate::weights::Tensors;
