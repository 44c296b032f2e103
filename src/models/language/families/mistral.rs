//! Mistral (arXiv 2310.06825): a Llama whose layers all see the last few tokens alone. GGUF files call it a Llama.

use super::{
    super::{
        config::{Block, LanguageConfig, most},
        family::Family,
        hugging_face::Config,
    },
    llama::{self, like_llama},
};
use crate::Result;

pub const FAMILY: Family = Family { model_type: "mistral", hugging_face, ..llama::FAMILY };

fn hugging_face(config: &Config) -> Result<LanguageConfig> {
    let decoder = like_llama(config, "mistral", Block::LLAMA, None)?;
    let window = match config.0.get("sliding_window") {
        None => Some(4096),
        Some(_) => config.optional("sliding_window", most::CONTEXT)?,
    };
    let local = window.map(|window| config.local(window, decoder.layers, |_| true));
    Ok(LanguageConfig { local, ..decoder })
}
