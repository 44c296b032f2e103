//! The families of language models that run.

mod gemma2;
mod gemma3;
mod gpt2;
mod gpt_neox;
mod granite;
mod lfm2;
mod llama;
mod mamba;
mod mistral;
mod olmo2;
mod opt;
mod phi3;
mod qwen2;
mod qwen3;
mod rwkv7;
mod smollm3;
mod stablelm;

use super::{config::LanguageConfig, family::Family, gguf::Gguf, hugging_face::Config};
use crate::{Error, Result, models::Tensors, weights::Metadata};

const FAMILIES: [Family; 18] = [
    llama::FAMILY,
    mistral::FAMILY,
    qwen2::FAMILY,
    qwen3::FAMILY,
    smollm3::FAMILY,
    granite::FAMILY,
    phi3::FAMILY,
    olmo2::FAMILY,
    gpt2::FAMILY,
    gpt_neox::FAMILY,
    opt::FAMILY,
    stablelm::FAMILY,
    gemma2::FAMILY,
    gemma3::FAMILY,
    lfm2::FAMILY,
    mamba::FAMILY,
    mamba::FALCON,
    rwkv7::FAMILY,
];

fn find(name: &str, called: impl Fn(&Family) -> &'static str) -> Result<&'static Family> {
    FAMILIES.iter().find(|family| called(family) == name).ok_or_else(|| {
        let mut known: Vec<_> = FAMILIES.iter().map(called).collect();
        // A Mistral's GGUF is a Llama's.
        known.dedup();
        Error::unsupported_model(format!(
            "the architecture {name:?} is not one that runs here; use a model of one of these: {}",
            known.join(", ")
        ))
    })
}

impl LanguageConfig {
    /// Reads a GGUF's metadata, and from its index what that leaves out: the vocabulary is as long as the token embedding has rows.
    pub fn from_gguf(metadata: &Metadata, tensors: &dyn Tensors) -> Result<Self> {
        let family = find(metadata.require("general.architecture")?, |family| family.name)?;
        (family.gguf)(&Gguf { metadata, architecture: family.name, tensors })
    }

    /// Reads the text of a `config.json`.
    pub fn from_hugging_face(json: &str) -> Result<Self> {
        let config = Config::parse(json)?;
        let family = find(config.word("model_type")?, |family| family.model_type)?;
        (family.hugging_face)(&config)
    }
}
