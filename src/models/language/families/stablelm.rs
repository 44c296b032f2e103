//! StableLM and StableLM 2 (arXiv 2402.17834): LayerNorms, a gate, heads of which the first numbers turn.

use super::{
    super::{
        config::{Biases, Block, LanguageConfig, Residual},
        family::Family,
        gguf::Gguf,
        hugging_face::Config,
    },
    llama::NAMES,
};
use crate::{Error, Result, graph::RopeLayout};

pub const FAMILY: Family = Family { name: "stablelm", model_type: "stablelm", gguf, hugging_face };

fn block(parallel: bool, biases: Biases) -> Block {
    let residual = if parallel { Residual::ParallelOneNorm } else { Residual::Sequential };
    Block { layer_norms: true, residual, biases, ..Block::LLAMA }
}

fn with_head_norms() -> Error {
    Error::unsupported_model(
        "this StableLM norms each head by itself, which does not run here; use a smaller one, which norms none",
    )
}

fn gguf(file: &Gguf) -> Result<LanguageConfig> {
    if file.tensors.tensor("blk.0.attn_q_norm.weight").is_some() {
        return Err(with_head_norms());
    }
    let parallel = file.metadata.get(&file.key("use_parallel_residual"))?.unwrap_or(false);
    let config = file.decoder(block(parallel, Biases::AsStored))?;
    let rotary = file.rotary(config.head_dim, 10_000.0, RopeLayout::HalfSplit)?;
    Ok(LanguageConfig { rotary: Some(rotary), ..config })
}

fn hugging_face(config: &Config) -> Result<LanguageConfig> {
    config.check_activation("hidden_act", &["silu", "swish"])?;
    if config.0["qk_layernorm"] == true {
        return Err(with_head_norms());
    }
    let biases = if config.0["use_qkv_bias"] == true { Biases::Projections } else { Biases::AsStored };
    let parallel = config.0["use_parallel_residual"] == true;
    let decoder = config.decoder("stablelm", block(parallel, biases), &NAMES, None)?;
    let rotary = config.rotary(decoder.head_dim, 10_000.0, 0.25)?;
    Ok(LanguageConfig { rotary: Some(rotary), ..decoder })
}
