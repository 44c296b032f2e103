//! The networks of a text-to-image model, how its prompts are read, and how its noise is taken out: what a [`Session`](super::session::Session)
//! runs, whichever family it is of.

use super::{
    caption::Reader,
    codec::Codec,
    schedulers::{SchedulerConfig, SchedulerName},
};
use crate::{
    graph::Graph,
    models::{Denoiser, TextEncoder},
    weights::Recipes,
};

/// What a model paints where nothing is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Defaults {
    pub width: usize,
    pub height: usize,
    pub steps: usize,
    pub guidance: f32,
    pub scheduler: SchedulerName,
}

/// The graphs of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Work {
    Text,
    Denoise,
    Decode,
    Encode,
}

/// Weights that are loaded together.
pub struct Load {
    /// It names them all.
    pub graph: Graph,
    pub recipes: Recipes,
    /// Whose graphs read them.
    pub works: &'static [Work],
}

/// A text-to-image model without its numbers.
pub struct Pipeline {
    pub architecture: String,
    pub text: Box<dyn TextEncoder>,
    pub denoiser: Box<dyn Denoiser>,
    pub codec: Codec,
    pub reader: Reader,
    pub schedule: SchedulerConfig,
    pub schedulers: Vec<SchedulerName>,
    pub defaults: Defaults,
    /// The longest side of a picture, in pixels.
    pub largest: usize,
    /// Whether where nothing is to be left out the rows of it are zeros, and not those of an empty text.
    pub zeros_for_nothing: bool,
    /// Whether previews are drawn instead of decoded, since a decoding takes as long as a step.
    pub cheap_previews: bool,
}

impl Pipeline {
    /// Channels of a latent.
    pub fn channels(&self) -> usize {
        self.codec.latent_channels()
    }

    /// Sides of a picture are multiples of this.
    pub fn multiple(&self) -> usize {
        match self.denoiser.only_size() {
            Some((side, _)) => side * self.codec.factor(),
            None => self.codec.factor(),
        }
    }

    /// Whether the pipeline was made for latent consistency.
    pub fn consistent(&self) -> bool {
        self.architecture.starts_with("LatentConsistencyModel")
    }

    /// Whether the denoiser looks at a mask and at what stays of a picture, beside the latent: it was trained to fill in.
    pub fn fills_in(&self) -> bool {
        self.denoiser.latent_channels() == 2 * self.channels() + 1
    }
}
