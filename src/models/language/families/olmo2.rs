//! OLMo 2 (arXiv 2501.00656): norms after attention and feed-forward layer, none before, and of whole rows of queries and keys.

use super::super::{
    config::{Block, HeadNorms, LanguageConfig},
    family::Family,
    gguf::Gguf,
    hugging_face::Config,
    names::Names,
};
use crate::{Result, graph::RopeLayout, models::Form};

pub const FAMILY: Family = Family { name: "olmo2", model_type: "olmo2", gguf, hugging_face };

const NAMES: Names = Names {
    prefix: "model.",
    whole: &[
        ("token_embd", "embed_tokens", Form::Whole),
        ("output_norm", "norm", Form::Whole),
        ("output", "lm_head", Form::Whole),
    ],
    layers: "layers.",
    parts: &[
        ("attn_q", "self_attn.q_proj", Form::Whole),
        ("attn_k", "self_attn.k_proj", Form::Whole),
        ("attn_v", "self_attn.v_proj", Form::Whole),
        ("attn_q_norm", "self_attn.q_norm", Form::Whole),
        ("attn_k_norm", "self_attn.k_norm", Form::Whole),
        ("attn_output", "self_attn.o_proj", Form::Whole),
        ("post_attention_norm", "post_attention_layernorm", Form::Whole),
        ("ffn_gate", "mlp.gate_proj", Form::Whole),
        ("ffn_up", "mlp.up_proj", Form::Whole),
        ("ffn_down", "mlp.down_proj", Form::Whole),
        ("post_ffw_norm", "post_feedforward_layernorm", Form::Whole),
    ],
};

const BLOCK: Block = Block { input_norms: false, head_norms: HeadNorms::Row, result_norms: true, ..Block::LLAMA };

fn gguf(file: &Gguf) -> Result<LanguageConfig> {
    let config = file.decoder(BLOCK)?;
    let rotary = file.rotary(config.head_dim, 10_000.0, RopeLayout::HalfSplit)?;
    Ok(LanguageConfig { rotary: Some(rotary), ..config })
}

fn hugging_face(config: &Config) -> Result<LanguageConfig> {
    config.check_activation("hidden_act", &["silu", "swish"])?;
    let decoder = config.decoder("olmo2", BLOCK, &NAMES, None)?;
    let rotary = config.rotary(decoder.head_dim, 10_000.0, 1.0)?;
    Ok(LanguageConfig { rotary: Some(rotary), ..decoder })
}
