//! Gemma 2 (arXiv 2408.00118): norms on both sides of every part, every second layer with a window, scores and logits kept below a bound.

use super::{
    super::{
        config::{Block, LanguageConfig, Local, most},
        family::Family,
        gguf::Gguf,
        hugging_face::Config,
    },
    gemma3::NAMES,
};
use crate::{
    Error, Result,
    graph::{RopeLayout, Unary},
};

pub const FAMILY: Family = Family { name: "gemma2", model_type: "gemma2", gguf, hugging_face };

const BLOCK: Block = Block { result_norms: true, activation: Unary::GeluTanh, ..Block::LLAMA };

/// Layers of the one Gemma 2 whose queries are scaled by other than a head's width.
const LAYERS_OF_27B: usize = 46;

fn gguf(file: &Gguf) -> Result<LanguageConfig> {
    let mut config = file.decoder(BLOCK)?;
    config.rotary = Some(file.rotary(config.head_dim, 10_000.0, RopeLayout::HalfSplit)?);
    config.local =
        file.window()?.map(|window| Local { window, layers: (0..config.layers).map(has_window).collect(), base: None });
    if config.layers == LAYERS_OF_27B {
        config.attention_scale = 1.0 / ((config.dim / config.heads) as f32).sqrt();
    }
    config.embedding_scale = Some((config.dim as f32).sqrt());
    config.attention_softcap = file.number("attn_logit_softcapping")?;
    config.logit_softcap = file.number("final_logit_softcapping")?;
    Ok(config)
}

fn hugging_face(config: &Config) -> Result<LanguageConfig> {
    config.check_activation("hidden_activation", &["gelu_pytorch_tanh"])?;
    if config.0["use_bidirectional_attention"] == true {
        return Err(Error::unsupported_model("this Gemma 2 embeds texts and writes none; use one that writes"));
    }
    let decoder = config.decoder("gemma2", BLOCK, &NAMES, Some(256))?;
    let number = |key: &str| config.number(key).map(|number| number as f32);
    let window = config.optional("sliding_window", most::CONTEXT)?;
    Ok(LanguageConfig {
        rotary: Some(config.rotary(decoder.head_dim, 10_000.0, 1.0)?),
        local: window.map(|window| config.local(window, decoder.layers, has_window)),
        attention_scale: 1.0 / number("query_pre_attn_scalar").unwrap_or(256.0).sqrt(),
        embedding_scale: Some((decoder.dim as f32).sqrt()),
        attention_softcap: number("attn_logit_softcapping"),
        logit_softcap: number("final_logit_softcapping"),
        tied: config.0["tie_word_embeddings"].as_bool().or(Some(true)),
        ..decoder
    })
}

fn has_window(layer: usize) -> bool {
    layer.is_multiple_of(2)
}
