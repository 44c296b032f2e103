//! GPT-NeoX (arXiv 2204.06745) and Pythia (arXiv 2304.01373): LayerNorms, biases, attention beside the feed-forward layer, heads of which the first
//! numbers turn.

use super::super::{
    config::{Biases, Block, LanguageConfig, Projections, Residual},
    family::Family,
    gguf::Gguf,
    hugging_face::Config,
    names::Names,
};
use crate::{
    Result,
    graph::{RopeLayout, Unary},
    models::Form,
};

pub const FAMILY: Family = Family { name: "gptneox", model_type: "gpt_neox", gguf, hugging_face };

const NAMES: Names = Names {
    prefix: "gpt_neox.",
    whole: &[
        ("token_embd", "embed_in", Form::Whole),
        ("output_norm", "final_layer_norm", Form::Whole),
        ("output", "embed_out", Form::Whole),
    ],
    layers: "layers.",
    parts: &[
        ("attn_norm", "input_layernorm", Form::Whole),
        ("attn_q", "attention.query_key_value", Form::Whole),
        ("attn_k", "attention.query_key_value", Form::Whole),
        ("attn_v", "attention.query_key_value", Form::Whole),
        ("attn_output", "attention.dense", Form::Whole),
        ("ffn_norm", "post_attention_layernorm", Form::Whole),
        ("ffn_up", "mlp.dense_h_to_4h", Form::Whole),
        ("ffn_down", "mlp.dense_4h_to_h", Form::Whole),
    ],
};

/// llama.cpp's converter sorts what lies head by head.
fn block(parallel: bool, biases: Biases, attention: Projections, activation: Unary) -> Block {
    let residual = if parallel { Residual::Parallel } else { Residual::Sequential };
    Block { layer_norms: true, residual, attention, biases, gated: false, activation, ..Block::LLAMA }
}

fn gguf(file: &Gguf) -> Result<LanguageConfig> {
    let parallel = file.metadata.get(&file.key("use_parallel_residual"))?.unwrap_or(true);
    let config = file.decoder(block(parallel, Biases::All, Projections::Fused, Unary::Gelu))?;
    let rotary = file.rotary(config.head_dim, 10_000.0, RopeLayout::HalfSplit)?;
    Ok(LanguageConfig { rotary: Some(rotary), ..config })
}

fn hugging_face(config: &Config) -> Result<LanguageConfig> {
    config.check_activation("hidden_act", &["gelu", "gelu_fast", "gelu_new", "gelu_pytorch_tanh"])?;
    let activation =
        if config.0["hidden_act"].as_str().unwrap_or("gelu") == "gelu" { Unary::Gelu } else { Unary::GeluTanh };
    let parallel = config.0["use_parallel_residual"] != false;
    let biases = if config.0["attention_bias"] == false { Biases::AsStored } else { Biases::All };
    let decoder =
        config.decoder("gptneox", block(parallel, biases, Projections::FusedByHead, activation), &NAMES, None)?;
    let part = config.number("rotary_pct").unwrap_or(0.25);
    let base = config.number("rotary_emb_base").unwrap_or(10_000.0);
    let rotary = config.rotary(decoder.head_dim, base, part)?;
    Ok(LanguageConfig { rotary: Some(rotary), ..decoder })
}
