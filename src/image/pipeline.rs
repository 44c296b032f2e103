//! The networks of a text-to-image model, how its prompts are read, and how its noise is taken out: what a [`Session`](super::session::Session)
//! runs, whichever family it is of.

use super::{
    caption::Reader,
    codec::Codec,
    schedulers::{SchedulerConfig, SchedulerName},
    session::Work,
    stable_diffusion,
};
use crate::{
    Error, Result,
    graph::Graph,
    models::{Denoiser, Illustrator, TextEncoder, illustrator},
    text::Tokenizer,
    weights::{Recipes, Storage, WeightFile},
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
    /// Whether previews are drawn instead of decoded, since a decoding takes as long as a step.
    pub cheap_previews: bool,
}

/// Whether a file is the house illustrator's.
fn is_house(file: &WeightFile) -> bool {
    file.metadata.get("general.architecture").ok().flatten() == Some(illustrator::ARCHITECTURE)
}

impl Pipeline {
    /// Whether files are meant to paint from words.
    pub fn is_one(file: &WeightFile) -> bool {
        is_house(file) || stable_diffusion::is_one(file)
    }

    /// Finds the parts, and what is to be loaded for each.
    ///
    /// Errors: `unsupported-model` and `bad-argument` that say which part is missing or does not run, `corrupt-file` from the parts themselves.
    pub fn from_file(file: &WeightFile, storage: Storage) -> Result<(Self, Vec<Load>)> {
        if is_house(file) {
            return house(file);
        }
        if stable_diffusion::is_one(file) {
            return stable_diffusion::read(file, storage);
        }
        Err(Error::unsupported_model(
            "these files hold no text-to-image model; give the illustrator's GGUF, a folder of diffusers, or a checkpoint of Stable Diffusion",
        ))
    }

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

fn house(file: &WeightFile) -> Result<(Pipeline, Vec<Load>)> {
    let model = Illustrator::from_gguf(file)?;
    let config = model.config().clone();
    let json: &str = file.metadata.require("tokenizer.huggingface.json")?;
    let tokenizer = Tokenizer::from_json(json.as_bytes())?;
    tokenizer.check_rows(config.text.vocabulary)?;
    let schedulers = vec![SchedulerName::FlowEuler];
    let scheduler = SchedulerName::parse(&config.sampler.scheduler, &schedulers)
        .map_err(|e| Error::unsupported_model(format!("vitrine.config: {e}")))?;
    let side = config.denoiser.latent_size * config.vae.factor();
    let works = &[Work::Text, Work::Denoise, Work::Decode, Work::Encode];
    let loads = vec![Load { graph: model.whole()?, recipes: Recipes::default(), works }];
    let pipeline = Pipeline {
        architecture: illustrator::ARCHITECTURE.into(),
        text: Box::new(model.clone()),
        denoiser: Box::new(model.clone()),
        codec: Codec::House(model, Recipes::default()),
        reader: Reader::words(tokenizer, config.text.length, config.text.pad)?,
        schedule: SchedulerConfig {
            class: Some("FlowMatchEulerDiscreteScheduler".into()),
            ..SchedulerConfig::default()
        },
        schedulers,
        defaults: Defaults {
            width: side,
            height: side,
            steps: config.sampler.steps,
            guidance: config.sampler.guidance,
            scheduler,
        },
        largest: side,
        cheap_previews: false,
    };
    Ok((pipeline, loads))
}
