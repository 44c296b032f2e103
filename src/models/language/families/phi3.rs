//! Phi-3 and Phi-4 mini (arXiv 2404.14219): a Llama whose projections and gate lie fused, and whose heads turn by LongRoPE.

use super::super::{
    config::{Block, LanguageConfig, Local, Projections, most},
    family::Family,
    gguf::Gguf,
    hugging_face::Config,
    names::Names,
};
use crate::{Result, graph::RopeLayout, models::Form};

pub const FAMILY: Family = Family { name: "phi3", model_type: "phi3", gguf, hugging_face };

const NAMES: Names = Names {
    prefix: "model.",
    whole: &[
        ("token_embd", "embed_tokens", Form::Whole),
        ("output_norm", "norm", Form::Whole),
        ("output", "lm_head", Form::Whole),
    ],
    layers: "layers.",
    parts: &[
        ("attn_norm", "input_layernorm", Form::Whole),
        ("attn_qkv", "self_attn.qkv_proj", Form::Whole),
        ("attn_output", "self_attn.o_proj", Form::Whole),
        ("ffn_norm", "post_attention_layernorm", Form::Whole),
        ("ffn_up", "mlp.gate_up_proj", Form::Whole),
        ("ffn_down", "mlp.down_proj", Form::Whole),
    ],
};

const BLOCK: Block = Block { attention: Projections::Fused, fused_gate: true, ..Block::LLAMA };

fn gguf(file: &Gguf) -> Result<LanguageConfig> {
    let config = file.decoder(BLOCK)?;
    let rotary = file.rotary(config.head_dim, 10_000.0, RopeLayout::HalfSplit)?;
    let local = file.window()?.map(|window| Local { window, layers: vec![true; config.layers], base: None });
    Ok(LanguageConfig { rotary: Some(rotary), local, ..config })
}

fn hugging_face(config: &Config) -> Result<LanguageConfig> {
    config.check_activation("hidden_act", &["silu", "swish"])?;
    let decoder = config.decoder("phi3", BLOCK, &NAMES, None)?;
    let rotary = config.rotary(decoder.head_dim, 10_000.0, 1.0)?;
    let window = config.optional("sliding_window", most::CONTEXT)?;
    let local = window.map(|window| config.local(window, decoder.layers, |_| true));
    Ok(LanguageConfig { rotary: Some(rotary), local, ..decoder })
}
