//! The families of language models that run.

mod gemma3;
mod gpt2;
mod llama;
mod qwen3;

use super::{config::LanguageConfig, family::Family, gguf::Gguf, hugging_face::Config};
use crate::{Error, Result, weights::Metadata};

const FAMILIES: [Family; 4] = [llama::FAMILY, qwen3::FAMILY, gpt2::FAMILY, gemma3::FAMILY];

fn find(name: &str, called: impl Fn(&Family) -> &'static str) -> Result<&'static Family> {
    FAMILIES.iter().find(|family| called(family) == name).ok_or_else(|| {
        let known: Vec<_> = FAMILIES.iter().map(called).collect();
        Error::unsupported_model(format!(
            "the architecture {name:?} is not one that runs here; use a model of one of these: {}",
            known.join(", ")
        ))
    })
}

impl LanguageConfig {
    /// Reads a GGUF's metadata. `embedding` is the shape of the token embedding: the vocabulary is as long as it has rows.
    pub fn from_gguf(metadata: &Metadata, embedding: Option<&[usize]>) -> Result<Self> {
        let family = find(metadata.require("general.architecture")?, |family| family.name)?;
        (family.gguf)(&Gguf { metadata, architecture: family.name, embedding })
    }

    /// Reads the text of a `config.json`.
    pub fn from_hugging_face(json: &str) -> Result<Self> {
        let config = Config::parse(json)?;
        let family = find(config.word("model_type")?, |family| family.model_type)?;
        (family.hugging_face)(&config)
    }
}
