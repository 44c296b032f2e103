//! Llama (arXiv 2302.13971, 2307.09288), TinyLlama, SmolLM2 and kin.

use super::super::{
    config::{Block, LanguageConfig, Local},
    family::Family,
    gguf::Gguf,
    hugging_face::Config,
    names::Names,
};
use crate::{Result, graph::RopeLayout, models::Form};

pub const FAMILY: Family = Family { name: "llama", model_type: "llama", gguf, hugging_face };

pub const NAMES: Names = Names {
    prefix: "model.",
    whole: &[
        ("token_embd", "embed_tokens", Form::Whole),
        ("output_norm", "norm", Form::Whole),
        ("output", "lm_head", Form::Whole),
    ],
    layers: "layers.",
    parts: &[
        ("attn_norm", "input_layernorm", Form::Whole),
        ("attn_q", "self_attn.q_proj", Form::Whole),
        ("attn_k", "self_attn.k_proj", Form::Whole),
        ("attn_v", "self_attn.v_proj", Form::Whole),
        ("attn_q_norm", "self_attn.q_norm", Form::Whole),
        ("attn_k_norm", "self_attn.k_norm", Form::Whole),
        ("attn_output", "self_attn.o_proj", Form::Whole),
        ("ffn_norm", "post_attention_layernorm", Form::Whole),
        ("ffn_gate", "mlp.gate_proj", Form::Whole),
        ("ffn_up", "mlp.up_proj", Form::Whole),
        ("ffn_down", "mlp.down_proj", Form::Whole),
    ],
};

fn gguf(file: &Gguf) -> Result<LanguageConfig> {
    let config = file.decoder(Block::LLAMA)?;
    // llama.cpp permutes the rows of Llama's q and k, and no others.
    let rotary = file.rotary(config.head_dim, 10_000.0, RopeLayout::Interleaved)?;
    // A Mistral's.
    let local = file.window()?.map(|window| Local { window, layers: vec![true; config.layers], base: None });
    Ok(LanguageConfig { rotary: Some(rotary), local, ..config })
}

fn hugging_face(config: &Config) -> Result<LanguageConfig> {
    like_llama(config, "llama", Block::LLAMA, None)
}

/// What all say that are named, numbered and turned like a Llama.
pub fn like_llama(
    config: &Config,
    architecture: &'static str,
    block: Block,
    head_dim: Option<usize>,
) -> Result<LanguageConfig> {
    config.check_activation("hidden_act", &["silu", "swish"])?;
    let decoder = config.decoder(architecture, block, &NAMES, head_dim)?;
    let rotary = Some(config.rotary(decoder.head_dim, 10_000.0, 1.0)?);
    Ok(LanguageConfig { rotary, ..decoder })
}
