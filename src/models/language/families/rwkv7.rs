//! RWKV-7 "Goose" (arXiv 2503.14456), in GGUF and as fla-hub publishes it.

use super::super::{
    config::{Block, LanguageConfig, Rwkv, Sizes, count, most},
    family::Family,
    gguf::Gguf,
    hugging_face::Config,
    names::Names,
};
use crate::{Error, Result, models::Form};

pub const FAMILY: Family = Family { name: "rwkv7", model_type: "rwkv7", gguf, hugging_face };

const NAMES: Names = Names {
    prefix: "model.",
    whole: &[
        ("token_embd", "embeddings", Form::Whole),
        ("token_embd_norm", "layers.0.pre_norm", Form::Whole),
        ("output_norm", "norm", Form::Whole),
        ("output", "lm_head", Form::Whole),
    ],
    layers: "layers.",
    parts: &[
        ("attn_norm", "attn_norm", Form::Whole),
        ("attn_norm_2", "ffn_norm", Form::Whole),
        ("time_mix_lerp_fused", "attn.x_x", Form::Whole),
        ("time_mix_lerp_r", "attn.x_r", Form::Whole),
        ("time_mix_lerp_w", "attn.x_w", Form::Whole),
        ("time_mix_lerp_k", "attn.x_k", Form::Whole),
        ("time_mix_lerp_v", "attn.x_v", Form::Whole),
        ("time_mix_lerp_a", "attn.x_a", Form::Whole),
        ("time_mix_lerp_g", "attn.x_g", Form::Whole),
        ("time_mix_receptance", "attn.r_proj", Form::Whole),
        ("time_mix_key", "attn.k_proj", Form::Whole),
        ("time_mix_value", "attn.v_proj", Form::Whole),
        ("time_mix_output", "attn.o_proj", Form::Whole),
        ("time_mix_w0", "attn.w_lora.lora.2.bias", Form::Whole),
        ("time_mix_w1", "attn.w_lora.lora.0", Form::Whole),
        ("time_mix_w2", "attn.w_lora.lora.2", Form::Whole),
        ("time_mix_a0", "attn.a_lora.lora.2.bias", Form::Whole),
        ("time_mix_a1", "attn.a_lora.lora.0", Form::Whole),
        ("time_mix_a2", "attn.a_lora.lora.2", Form::Whole),
        ("time_mix_v0", "attn.v_lora.lora.2.bias", Form::Whole),
        ("time_mix_v1", "attn.v_lora.lora.0", Form::Whole),
        ("time_mix_v2", "attn.v_lora.lora.2", Form::Whole),
        ("time_mix_g1", "attn.g_lora.lora.0", Form::Whole),
        ("time_mix_g2", "attn.g_lora.lora.2", Form::Whole),
        ("time_mix_k_k", "attn.k_k", Form::Whole),
        ("time_mix_k_a", "attn.k_a", Form::Whole),
        ("time_mix_r_k", "attn.r_k", Form::Whole),
        ("time_mix_ln", "attn.g_norm", Form::Whole),
        ("channel_mix_lerp_k", "ffn.x_k", Form::Whole),
        ("channel_mix_key", "ffn.key", Form::Whole),
        ("channel_mix_value", "ffn.value", Form::Whole),
    ],
};

/// Every name ends in a GGUF, and how a layer mixes neighbours is one tensor.
const IN_GGUF: Names = Names {
    prefix: "",
    whole: &[],
    layers: "blk.",
    parts: &[
        ("time_mix_lerp_fused", "time_mix_lerp_fused.weight", Form::Whole),
        ("time_mix_lerp_r", "time_mix_lerp_fused.weight", Form::Whole),
        ("time_mix_lerp_w", "time_mix_lerp_fused.weight", Form::Whole),
        ("time_mix_lerp_k", "time_mix_lerp_fused.weight", Form::Whole),
        ("time_mix_lerp_v", "time_mix_lerp_fused.weight", Form::Whole),
        ("time_mix_lerp_a", "time_mix_lerp_fused.weight", Form::Whole),
        ("time_mix_lerp_g", "time_mix_lerp_fused.weight", Form::Whole),
        ("time_mix_w0", "time_mix_w0.weight", Form::Whole),
        ("time_mix_a0", "time_mix_a0.weight", Form::Whole),
        ("time_mix_v0", "time_mix_v0.weight", Form::Whole),
        ("time_mix_k_k", "time_mix_k_k.weight", Form::Whole),
        ("time_mix_k_a", "time_mix_k_a.weight", Form::Whole),
        ("time_mix_r_k", "time_mix_r_k.weight", Form::Whole),
        ("channel_mix_lerp_k", "channel_mix_lerp_k.weight", Form::Whole),
    ],
};

const BLOCK: Block = Block { layer_norms: true, ..Block::LLAMA };
/// Of the heads' norms, as llama.cpp has it.
const HEAD_EPS: f32 = 64e-5;

/// There are no caches and no positions.
fn sizes(vocabulary: usize, dim: usize, layers: usize, eps: f32) -> Sizes {
    let context_length = most::CONTEXT as usize;
    Sizes { vocabulary, dim, layers, heads: 1, kv_heads: 1, head_dim: dim, feed_forward: dim, context_length, eps }
}

fn gguf(file: &Gguf) -> Result<LanguageConfig> {
    let rank = |name: &str| file.needed(&format!("attention.{name}_lora_rank"), most::WIDTH);
    let rwkv = Rwkv {
        head: file.needed("wkv.head_size", most::WIDTH)?,
        wide: file.needed("feed_forward_length", most::WIDTH)?,
        ranks: [rank("decay")?, rank("iclr")?, rank("value_residual_mix")?, rank("gate")?],
        head_eps: HEAD_EPS,
    };
    let dim = file.needed("embedding_length", most::WIDTH)?;
    let layers = file.needed("block_count", most::LAYERS)?;
    let eps = file.metadata.require(&file.key("attention.layer_norm_epsilon"))?;
    let plain = LanguageConfig::plain("rwkv7", BLOCK, &IN_GGUF, sizes(file.vocabulary()?, dim, layers, eps));
    Ok(LanguageConfig { rwkv: Some(rwkv), ..plain })
}

fn hugging_face(config: &Config) -> Result<LanguageConfig> {
    config.check_activation("hidden_act", &["sqrelu"])?;
    let dim = config.needed("hidden_size", most::WIDTH)?;
    let value_dims = config.0["value_dim"].as_array().into_iter().flatten();
    for (other, what) in [
        (config.0["norm_first"] == false, "norm_first: false"),
        (config.0["norm_bias"] == false, "norm_bias: false"),
        (!config.0["attn"].is_null(), "attn (layers of attention)"),
        (value_dims.into_iter().any(|width| width.as_u64() != Some(dim as u64)), "value_dim other than hidden_size"),
    ] {
        if other {
            return Err(Error::unsupported_model(format!("{what} does not run here; use another RWKV-7")));
        }
    }
    let heads = config.optional("num_heads", most::HEADS)?;
    let head = config.optional("head_dim", most::WIDTH)?.or(heads.map(|heads| dim / heads)).unwrap_or(64);
    // Where nothing is said of ranks and widths they are what fla makes of the model's.
    let rank = |kind: &str, of_root: f64, grows: bool| -> Result<usize> {
        let factor = if grows { head as f64 / 64.0 } else { 1.0 };
        let usual = 32 * ((of_root * (dim as f64).sqrt() * factor / 32.0).round_ties_even() as usize).max(1);
        Ok(config.optional(&format!("{kind}_low_rank_dim"), most::WIDTH)?.unwrap_or(usual))
    };
    let ratio = config.number("hidden_ratio").unwrap_or(4.0);
    let eps = config.number("norm_eps").unwrap_or(1e-5);
    let rwkv = Rwkv {
        head,
        wide: match config.optional("intermediate_size", most::WIDTH)? {
            Some(wide) => wide,
            None => count("hidden_ratio · hidden_size", 32 * (dim as f64 * ratio / 32.0).ceil() as u64, most::WIDTH)?,
        },
        ranks: [rank("decay", 2.5, true)?, rank("a", 2.5, true)?, rank("v", 1.7, true)?, rank("gate", 5.0, false)?],
        head_eps: (head as f64 * eps) as f32,
    };
    let vocabulary = config.needed("vocab_size", most::VOCABULARY)?;
    let sizes = sizes(vocabulary, dim, config.needed("num_hidden_layers", most::LAYERS)?, eps as f32);
    let tied = config.0["tie_word_embeddings"].as_bool().or(Some(false));
    Ok(LanguageConfig { rwkv: Some(rwkv), tied, ..LanguageConfig::plain("rwkv7", BLOCK, &NAMES, sizes) })
}
