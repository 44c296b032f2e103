//! Llama (arXiv 2302.13971, 2307.09288), TinyLlama, SmolLM2 and kin.

use super::super::{
    config::{Block, LanguageConfig, most},
    family::Family,
    gguf::Gguf,
    hugging_face::{Config, rotary},
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
    Ok(LanguageConfig { rotary: Some(rotary), ..config })
}

fn hugging_face(config: &Config) -> Result<LanguageConfig> {
    let dim = config.needed("hidden_size", most::WIDTH)?;
    let heads = config.needed("num_attention_heads", most::HEADS)?;
    like_llama(config, "llama", Block::LLAMA, dim / heads)
}

/// What all say that are named and numbered like a Llama.
pub fn like_llama(
    config: &Config,
    architecture: &'static str,
    block: Block,
    default_head_dim: usize,
) -> Result<LanguageConfig> {
    config.check_activation("hidden_act", &["silu", "swish"])?;
    let heads = config.needed("num_attention_heads", most::HEADS)?;
    let head_dim = config.optional("head_dim", most::WIDTH)?.unwrap_or(default_head_dim);
    // `rope_parameters` is where newer versions write both the base and the scaling.
    let rope = [&config.0["rope_parameters"], &config.0["rope_scaling"]].into_iter().find(|v| v.is_object());
    let base = config.number("rope_theta").or_else(|| rope?["rope_theta"].as_f64()).unwrap_or(10_000.0);
    let parsed = LanguageConfig {
        architecture,
        block,
        vocabulary: config.needed("vocab_size", most::VOCABULARY)?,
        dim: config.needed("hidden_size", most::WIDTH)?,
        layers: config.needed("num_hidden_layers", most::LAYERS)?,
        heads,
        kv_heads: config.optional("num_key_value_heads", most::HEADS)?.unwrap_or(heads),
        head_dim,
        feed_forward: config.needed("intermediate_size", most::WIDTH)?,
        context_length: config.needed("max_position_embeddings", most::CONTEXT)?,
        eps: config.needed_number("rms_norm_eps")? as f32,
        attention_scale: 1.0 / (head_dim as f32).sqrt(),
        embedding_scale: None,
        rotary: Some(rotary(head_dim, base)),
        local: None,
        tied: config.0["tie_word_embeddings"].as_bool().or(Some(false)),
        names: &NAMES,
    };
    match rope {
        Some(rope) => parsed.scaled(base, rope),
        None => Ok(parsed),
    }
}
