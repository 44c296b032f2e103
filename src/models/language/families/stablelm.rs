//! StableLM and StableLM 2 (arXiv 2402.17834): LayerNorms, a gate, heads of which the first numbers turn. That of 12B norms each head by itself.

use super::super::{
    config::{Biases, Block, HeadNorms, LanguageConfig, Residual},
    family::Family,
    gguf::Gguf,
    hugging_face::Config,
    names::Names,
};
use crate::{Result, graph::RopeLayout, models::Form};

pub const FAMILY: Family = Family { name: "stablelm", model_type: "stablelm", gguf, hugging_face };

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
        ("attn_q", "self_attn.q_proj", Form::Whole),
        ("attn_k", "self_attn.k_proj", Form::Whole),
        ("attn_v", "self_attn.v_proj", Form::Whole),
        ("attn_q_norm", "self_attn.q_layernorm.norms", Form::Whole),
        ("attn_k_norm", "self_attn.k_layernorm.norms", Form::Whole),
        ("attn_output", "self_attn.o_proj", Form::Whole),
        ("ffn_norm", "post_attention_layernorm", Form::Whole),
        ("ffn_gate", "mlp.gate_proj", Form::Whole),
        ("ffn_up", "mlp.up_proj", Form::Whole),
        ("ffn_down", "mlp.down_proj", Form::Whole),
    ],
};

const BLOCK: Block = Block { layer_norms: true, ..Block::LLAMA };

fn residual(parallel: bool) -> Residual {
    if parallel { Residual::ParallelOneNorm } else { Residual::Sequential }
}

/// Layers with no norm of the feed-forward layer's are parallel, whatever `use_parallel_residual` says: converters set that key where a
/// configuration does not speak of it.
fn gguf(file: &Gguf) -> Result<LanguageConfig> {
    let config = file.decoder(BLOCK)?;
    let has = |part: &str| (0..config.layers).any(|i| file.tensors.tensor(&format!("blk.{i}.{part}.weight")).is_some());
    let normed = has("attn_q_norm") || has("attn_k_norm");
    let head_norms = if normed { HeadNorms::Apart { stacked: true } } else { HeadNorms::None };
    let block = Block { residual: residual(!has("ffn_norm")), head_norms, ..BLOCK };
    let rotary = file.rotary(config.head_dim, 10_000.0, RopeLayout::HalfSplit)?;
    Ok(LanguageConfig { rotary: Some(rotary), block, ..config })
}

fn hugging_face(config: &Config) -> Result<LanguageConfig> {
    config.check_activation("hidden_act", &["silu", "swish"])?;
    let said = |key: &str| config.0[key] == true;
    let head_norms = if said("qk_layernorm") { HeadNorms::Apart { stacked: false } } else { HeadNorms::None };
    let biases = if said("use_qkv_bias") { Biases::Projections } else { Biases::AsStored };
    let block = Block { residual: residual(said("use_parallel_residual")), head_norms, biases, ..BLOCK };
    let decoder = config.decoder("stablelm", block, &NAMES, None)?;
    let rotary = config.rotary(decoder.head_dim, 10_000.0, 0.25)?;
    Ok(LanguageConfig { rotary: Some(rotary), ..decoder })
}
