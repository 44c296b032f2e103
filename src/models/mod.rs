//! Model families: from a configuration to a [`Graph`](crate::graph::Graph), and the names of the weights it reads.
//!
//! May use `graph` and `weights`. A family knows no device: it never sees a number of its weights, only their
//! names, shapes and types, and says so in a sentence where a file does not fit.

pub mod autoencoder_kl;
pub mod autoencoder_tiny;
pub mod autoregressive;
mod builder;
pub mod clip;
mod config;
pub mod conv_vae;
pub mod dcgan;
pub mod dense;
pub mod diffusion;
pub mod encoder;
pub mod encoder_decoder;
pub mod illustrator;
pub mod language;
pub mod plain;
pub mod recurrent;
pub mod unet;

pub use autoencoder_kl::{AutoencoderKl, KlConfig};
pub use autoencoder_tiny::AutoencoderTiny;
pub use autoregressive::Autoregressive;
pub use builder::{Builder, Form, Origin, Search, Weights};
pub use clip::{Clip, ClipPair};
pub use conv_vae::ConvVae;
pub use dcgan::Dcgan;
pub use dense::Dense;
pub use diffusion::{Denoiser, TextEncoder};
pub use encoder::{Encoder, EncoderConfig};
pub use encoder_decoder::EncoderDecoder;
pub use illustrator::Illustrator;
pub use language::LanguageModel;
pub use recurrent::Recurrent;
pub use unet::UNet;

pub use crate::weights::Tensors;
