//! What a family of language models says of itself.

use super::{config::LanguageConfig, gguf::Gguf, hugging_face::Config};
use crate::Result;

pub struct Family {
    /// As `general.architecture` of a GGUF spells it.
    pub name: &'static str,
    /// As `model_type` of a `config.json` spells it.
    pub model_type: &'static str,
    pub gguf: fn(&Gguf) -> Result<LanguageConfig>,
    pub hugging_face: fn(&Config) -> Result<LanguageConfig>,
}
