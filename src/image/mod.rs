//! Pictures: from words and noise, step by step.
//!
//! ```text
//! prompt ── tokenizer, text encoder ──▶ context ─┐
//! noise ──▶ latent ── denoiser, guidance, scheduler ──▶ latent ── … ──▶ decoder ──▶ picture
//! ```
//!
//! [`ImageModel`] holds a model on a device; [`Painting`] is pulled step by step, so that a preview, a stop and a look back come out of one
//! loop. Latents and pictures are rows, channels last, as the graphs have them ([`crate::graph::Grid`]). What the schedulers compute they compute
//! here, on numbers of a few thousand, between a step and the next: a step is one submit for the denoiser and one for its picture.
//!
//! Uses `models`, `text` (tokenizers), `weights` and the face of `backend`.

mod autoencoder;
mod caption;
mod codec;
mod device_check;
mod emphasis;
mod families;
mod model;
mod noise;
mod options;
mod painting;
mod picture;
mod pipeline;
mod preview;
pub mod schedulers;
mod session;
mod stable_diffusion;
mod tiles;

pub(crate) use autoencoder::Design;
pub use autoencoder::{Autoencoder, AutoencoderInfo, Coder};
pub use device_check::check_device;
pub use model::{Image, ImageModel, ImageModelInfo, ImageModelStats};
pub use noise::Noise;
pub use options::{ImageOptions, ImageRequest};
pub use painting::{PaintStep, PaintSummary, Painting};
pub use picture::Picture;
pub use schedulers::{Scheduler, SchedulerName};
pub(crate) use stable_diffusion::check_class;
pub use tiles::Tiles;
