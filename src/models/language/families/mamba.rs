//! Mamba (arXiv 2312.00752), and Falcon Mamba (arXiv 2410.05355), which norms what its states are made with.

use super::super::{
    config::{Block, LanguageConfig, Mamba, Sizes, count, most},
    family::Family,
    gguf::Gguf,
    hugging_face::Config,
    names::{self, Names},
};
use crate::{Result, models::Form};

pub const FAMILY: Family = Family { name: "mamba", model_type: "mamba", gguf, hugging_face };
pub const FALCON: Family = Family { name: "mamba", model_type: "falcon_mamba", gguf, hugging_face: falcon };

const NAMES: Names = Names {
    prefix: "backbone.",
    whole: &[
        ("token_embd", "embeddings", Form::Whole),
        ("output_norm", "norm_f", Form::Whole),
        ("output", "lm_head", Form::Whole),
    ],
    layers: "layers.",
    parts: &[
        ("attn_norm", "norm", Form::Whole),
        ("ssm_in", "mixer.in_proj", Form::Whole),
        ("ssm_conv1d", "mixer.conv1d", Form::Whole),
        ("ssm_x", "mixer.x_proj", Form::Whole),
        ("ssm_dt", "mixer.dt_proj", Form::Whole),
        ("ssm_a", "mixer.A_log", Form::Whole),
        ("ssm_d", "mixer.D", Form::Whole),
        ("ssm_out", "mixer.out_proj", Form::Whole),
    ],
};

/// There are no heads, no feed-forward layers and no positions.
fn sizes(vocabulary: usize, dim: usize, layers: usize, eps: f32) -> Sizes {
    let context_length = most::CONTEXT as usize;
    Sizes { vocabulary, dim, layers, heads: 1, kv_heads: 1, head_dim: dim, feed_forward: dim, context_length, eps }
}

/// The eps of the norms is that of those within the layers too, as llama.cpp has it.
fn gguf(file: &Gguf) -> Result<LanguageConfig> {
    let part = |name: &str| file.needed(&format!("ssm.{name}"), most::WIDTH);
    let dim = file.needed("embedding_length", most::WIDTH)?;
    let layers = file.needed("block_count", most::LAYERS)?;
    let eps = file.metadata.require(&file.key("attention.layer_norm_rms_epsilon"))?;
    let normed = file.metadata.get(&file.key("ssm.dt_b_c_rms"))?.unwrap_or(false);
    let mamba = Mamba {
        inner: part("inner_size")?,
        states: part("state_size")?,
        rank: part("time_step_rank")?,
        width: part("conv_kernel")?,
        conv_bias: true,
        norms: normed.then_some(eps),
        logarithms: false,
    };
    let plain = LanguageConfig::plain("mamba", Block::LLAMA, &names::GGUF, sizes(file.vocabulary()?, dim, layers, eps));
    Ok(LanguageConfig { mamba: Some(mamba), ..plain })
}

fn hugging_face(config: &Config) -> Result<LanguageConfig> {
    read(config, "mamba", true, None)
}

fn falcon(config: &Config) -> Result<LanguageConfig> {
    read(config, "falcon_mamba", false, Some(config.number("mixer_rms_eps").unwrap_or(1e-6) as f32))
}

fn read(config: &Config, architecture: &'static str, tied: bool, norms: Option<f32>) -> Result<LanguageConfig> {
    config.check_activation("hidden_act", &["silu", "swish"])?;
    let usual = |key: &str, usual: usize| -> Result<usize> { Ok(config.optional(key, most::WIDTH)?.unwrap_or(usual)) };
    let dim = config.needed("hidden_size", most::WIDTH)?;
    let rank = if config.0["time_step_rank"] == "auto" {
        dim.div_ceil(16)
    } else {
        usual("time_step_rank", dim.div_ceil(16))?
    };
    let expanded = || count("expand · hidden_size", usual("expand", 2)? as u64 * dim as u64, most::WIDTH);
    let mamba = Mamba {
        inner: config.optional("intermediate_size", most::WIDTH)?.map_or_else(expanded, Ok)?,
        states: usual("state_size", 16)?,
        rank,
        width: usual("conv_kernel", 4)?,
        conv_bias: config.0["use_conv_bias"] != false,
        norms,
        logarithms: true,
    };
    let vocabulary = config.needed("vocab_size", most::VOCABULARY)?;
    let layers = config.needed("num_hidden_layers", most::LAYERS)?;
    let eps = config.number("layer_norm_epsilon").unwrap_or(1e-5) as f32;
    let tied = config.0["tie_word_embeddings"].as_bool().or(Some(tied));
    let plain = LanguageConfig::plain(architecture, Block::LLAMA, &NAMES, sizes(vocabulary, dim, layers, eps));
    Ok(LanguageConfig { mamba: Some(mamba), tied, ..plain })
}
