//! Qwen 2 and 2.5 (arXiv 2407.10671, 2412.15115), Coder among them: a Llama with biases on queries, keys and values.

use super::{
    super::{
        config::{Biases, Block, LanguageConfig, most},
        family::Family,
        gguf::Gguf,
        hugging_face::Config,
    },
    llama::like_llama,
};
use crate::{Result, graph::RopeLayout};

pub const FAMILY: Family = Family { name: "qwen2", model_type: "qwen2", gguf, hugging_face };

const BLOCK: Block = Block { biases: Biases::Projections, ..Block::LLAMA };

fn gguf(file: &Gguf) -> Result<LanguageConfig> {
    let config = file.decoder(BLOCK)?;
    let rotary = file.rotary(config.head_dim, 10_000.0, RopeLayout::HalfSplit)?;
    Ok(LanguageConfig { rotary: Some(rotary), ..config })
}

fn hugging_face(config: &Config) -> Result<LanguageConfig> {
    windowed(config, like_llama(config, "qwen2", BLOCK, None)?)
}

/// The same with the windows of a Qwen: of the layers from the `max_window_layers`th on, where it uses them.
pub fn windowed(config: &Config, decoder: LanguageConfig) -> Result<LanguageConfig> {
    if config.0["use_sliding_window"] != true {
        return Ok(decoder);
    }
    let window = config.optional("sliding_window", most::CONTEXT)?.unwrap_or(4096);
    let first = config.number("max_window_layers").unwrap_or(28.0) as usize;
    let local = config.local(window, decoder.layers, |layer| layer >= first);
    Ok(LanguageConfig { local: Some(local), ..decoder })
}
