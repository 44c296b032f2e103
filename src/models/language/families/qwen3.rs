//! Qwen 3 (arXiv 2505.09388): a Llama whose queries and keys are normed head by head.

use super::{
    super::{
        config::{Block, LanguageConfig},
        family::Family,
        gguf::Gguf,
        hugging_face::Config,
    },
    llama::like_llama,
};
use crate::{Error, Result, graph::RopeLayout};

pub const FAMILY: Family = Family { name: "qwen3", model_type: "qwen3", gguf, hugging_face };

const BLOCK: Block = Block { head_norms: true, ..Block::LLAMA };

fn gguf(file: &Gguf) -> Result<LanguageConfig> {
    let config = file.decoder(BLOCK)?;
    let rotary = file.rotary(config.head_dim, 10_000.0, RopeLayout::HalfSplit)?;
    Ok(LanguageConfig { rotary: Some(rotary), ..config })
}

fn hugging_face(config: &Config) -> Result<LanguageConfig> {
    if config.0["use_sliding_window"] == true {
        return Err(Error::unsupported_model("sliding windows in a Qwen do not run here; use a model without them"));
    }
    like_llama(config, "qwen3", BLOCK, 128)
}
