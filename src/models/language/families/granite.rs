//! Granite 3 (IBM, 2024): a Llama of which embedding, scores, residuals and logits are multiplied by numbers of its own.

use super::{
    super::{
        config::{Block, LanguageConfig},
        family::Family,
        gguf::Gguf,
        hugging_face::Config,
    },
    llama::{self, like_llama},
};
use crate::Result;

pub const FAMILY: Family = Family { name: "granite", model_type: "granite", gguf, hugging_face };

fn gguf(file: &Gguf) -> Result<LanguageConfig> {
    let config = (llama::FAMILY.gguf)(file)?;
    Ok(LanguageConfig {
        attention_scale: file.number("attention.scale")?.unwrap_or(config.attention_scale),
        embedding_scale: file.number("embedding_scale")?,
        residual_scale: file.number("residual_scale")?,
        logit_scale: file.number("logit_scale")?.map(|divisor| 1.0 / divisor),
        ..config
    })
}

fn hugging_face(config: &Config) -> Result<LanguageConfig> {
    let decoder = like_llama(config, "granite", Block::LLAMA, None)?;
    let number = |key: &str| config.number(key).map(|number| number as f32);
    Ok(LanguageConfig {
        attention_scale: number("attention_multiplier").unwrap_or(1.0),
        embedding_scale: number("embedding_multiplier"),
        residual_scale: number("residual_multiplier"),
        logit_scale: number("logits_scaling").map(|divisor| 1.0 / divisor),
        ..decoder
    })
}
