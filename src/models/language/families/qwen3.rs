//! Qwen 3 (arXiv 2505.09388): a Llama whose queries and keys are normed head by head.

use super::{
    super::{
        config::{Block, HeadNorms, LanguageConfig},
        family::Family,
        gguf::Gguf,
        hugging_face::Config,
    },
    llama::like_llama,
    qwen2::windowed,
};
use crate::{Result, graph::RopeLayout};

pub const FAMILY: Family = Family { name: "qwen3", model_type: "qwen3", gguf, hugging_face };

const BLOCK: Block = Block { head_norms: HeadNorms::Heads, ..Block::LLAMA };

fn gguf(file: &Gguf) -> Result<LanguageConfig> {
    let config = file.decoder(BLOCK)?;
    let rotary = file.rotary(config.head_dim, 10_000.0, RopeLayout::HalfSplit)?;
    Ok(LanguageConfig { rotary: Some(rotary), ..config })
}

fn hugging_face(config: &Config) -> Result<LanguageConfig> {
    windowed(config, like_llama(config, "qwen3", BLOCK, Some(128))?)
}
