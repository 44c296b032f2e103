//! SmolLM3 (Hugging Face, 2025): a Llama of which every fourth layer has no positions (NoPE, arXiv 2501.18795).

use serde_json::Value;

use super::{
    super::{
        config::{Block, LanguageConfig, Rotary, most},
        family::Family,
        gguf::Gguf,
        hugging_face::Config,
    },
    llama::{self, like_llama},
    qwen2::windowed,
};
use crate::Result;

pub const FAMILY: Family = Family { name: "smollm3", model_type: "smollm3", gguf, hugging_face };

/// GGUF files do not say which layers turn.
const INTERVAL: usize = 4;

fn gguf(file: &Gguf) -> Result<LanguageConfig> {
    let config = (llama::FAMILY.gguf)(file)?;
    let layers = Some(all_but_every(INTERVAL, config.layers));
    Ok(LanguageConfig { rotary: config.rotary.map(|rotary| Rotary { layers, ..rotary }), ..config })
}

fn hugging_face(config: &Config) -> Result<LanguageConfig> {
    let decoder = windowed(config, like_llama(config, "smollm3", Block::LLAMA, None)?)?;
    let layers = match &config.0["no_rope_layers"] {
        // 1 for a layer that turns, whatever the key says.
        Value::Array(layers) => layers.iter().map(|turns| turns != 0).collect(),
        _ => {
            let interval = config.optional("no_rope_layer_interval", most::LAYERS)?.unwrap_or(INTERVAL);
            all_but_every(interval, decoder.layers)
        }
    };
    Ok(LanguageConfig {
        rotary: decoder.rotary.map(|rotary| Rotary { layers: Some(layers), ..rotary }),
        tied: config.0["tie_word_embeddings"].as_bool().or(Some(true)),
        ..decoder
    })
}

fn all_but_every(interval: usize, layers: usize) -> Vec<bool> {
    (1..=layers).map(|layer| !layer.is_multiple_of(interval)).collect()
}
