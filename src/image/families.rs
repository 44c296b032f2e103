//! Which family of text-to-image models files hold, and its parts.

use super::{
    caption::Reader,
    codec::Codec,
    pipeline::{Defaults, Load, Pipeline, Work},
    schedulers::{SchedulerConfig, SchedulerName},
    stable_diffusion,
};
use crate::{
    Error, Result,
    models::{Illustrator, illustrator},
    text::Tokenizer,
    weights::{Storage, WeightFile},
};

/// Whether a file is the house illustrator's.
fn is_house(file: &WeightFile) -> bool {
    file.metadata.get("general.architecture").ok().flatten() == Some(illustrator::ARCHITECTURE)
}

/// Whether files are meant to paint from words.
pub fn is_one(file: &WeightFile) -> bool {
    is_house(file) || stable_diffusion::is_one(file)
}

/// Finds the parts, and what is to be loaded for each.
///
/// Errors: `unsupported-model` and `bad-argument` that say which part is missing or does not run, `corrupt-file` from the parts themselves.
pub fn from_file(file: &WeightFile, storage: Storage) -> Result<(Pipeline, Vec<Load>)> {
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
    let loads = vec![Load { graph: model.whole()?, recipes: model.recipes().clone(), works }];
    let pipeline = Pipeline {
        architecture: illustrator::ARCHITECTURE.into(),
        text: Box::new(model.clone()),
        denoiser: Box::new(model.clone()),
        codec: Codec::Illustrator(model),
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
        zeros_for_nothing: false,
        cheap_previews: false,
    };
    Ok((pipeline, loads))
}
