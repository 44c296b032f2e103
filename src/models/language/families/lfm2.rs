//! LFM2 (Liquid AI, 2025): short convolutions in most layers, attention with norms of heads in the others.

use serde_json::Value;

use super::super::{
    config::{Block, HeadNorms, LanguageConfig, ShortConvs, missing, most},
    family::Family,
    gguf::Gguf,
    hugging_face::Config,
    names::{self, Names},
};
use crate::{Error, Result, graph::RopeLayout, models::Form};

pub const FAMILY: Family = Family { name: "lfm2", model_type: "lfm2", gguf, hugging_face };

const NAMES: Names = Names {
    prefix: "model.",
    whole: &[
        ("token_embd", "embed_tokens", Form::Whole),
        ("output_norm", "embedding_norm", Form::Whole),
        ("output", "lm_head", Form::Whole),
    ],
    layers: "layers.",
    parts: &[
        ("attn_norm", "operator_norm", Form::Whole),
        ("attn_q", "self_attn.q_proj", Form::Whole),
        ("attn_k", "self_attn.k_proj", Form::Whole),
        ("attn_v", "self_attn.v_proj", Form::Whole),
        ("attn_q_norm", "self_attn.q_layernorm", Form::Whole),
        ("attn_k_norm", "self_attn.k_layernorm", Form::Whole),
        ("attn_output", "self_attn.out_proj", Form::Whole),
        ("shortconv.in_proj", "conv.in_proj", Form::Whole),
        ("shortconv.conv", "conv.conv", Form::Whole),
        ("shortconv.out_proj", "conv.out_proj", Form::Whole),
        ("ffn_norm", "ffn_norm", Form::Whole),
        ("ffn_gate", "feed_forward.w1", Form::Whole),
        ("ffn_up", "feed_forward.w3", Form::Whole),
        ("ffn_down", "feed_forward.w2", Form::Whole),
    ],
};

/// The last norm is called after the embedding in most GGUF files too.
const IN_GGUF: Names = Names { whole: &[("output_norm", "token_embd_norm", Form::Whole)], ..names::GGUF };

const BLOCK: Block = Block { head_norms: HeadNorms::Heads, ..Block::LLAMA };
const BASE: f32 = 1_000_000.0;

/// Layers without keys are those that convolve.
fn gguf(file: &Gguf) -> Result<LanguageConfig> {
    let config = file.decoder(BLOCK)?;
    let key = file.key("attention.head_count_kv");
    let heads: Vec<u64> = file.metadata.get(&key)?.ok_or_else(|| missing(&key))?;
    let width =
        file.optional("shortconv.l_cache", most::WIDTH)?.ok_or_else(|| missing(&file.key("shortconv.l_cache")))?;
    let usual = file.tensors.tensor("output_norm.weight").is_some();
    Ok(LanguageConfig {
        rotary: Some(file.rotary(config.head_dim, BASE, RopeLayout::HalfSplit)?),
        short_convs: Some(ShortConvs { width, layers: heads.iter().map(|heads| *heads == 0).collect() }),
        names: if usual { config.names } else { &IN_GGUF },
        ..config
    })
}

fn hugging_face(config: &Config) -> Result<LanguageConfig> {
    let decoder = config.decoder("lfm2", BLOCK, &NAMES, None)?;
    let layers = match (&config.0["layer_types"], &config.0["full_attn_idxs"]) {
        (Value::Array(kinds), _) => kinds.iter().map(|kind| kind == "conv").collect(),
        (_, Value::Array(attending)) => (0..decoder.layers).map(|i| !attending.iter().any(|at| at == i)).collect(),
        _ => vec![false; decoder.layers],
    };
    let tied = ["tie_embedding", "tie_word_embeddings"].iter().find_map(|key| config.0[key].as_bool());
    Ok(LanguageConfig {
        rotary: Some(config.rotary(decoder.head_dim, f64::from(BASE), 1.0)?),
        short_convs: Some(ShortConvs { width: config.optional("conv_L_cache", most::WIDTH)?.unwrap_or(3), layers }),
        feed_forward: feed_forward(config)?,
        tied: tied.or(Some(true)),
        ..decoder
    })
}

/// The width that is meant: two thirds of what is said, times a factor, up to a whole multiple.
fn feed_forward(config: &Config) -> Result<usize> {
    let said = config.optional("block_ff_dim", most::WIDTH)?;
    let said = said.map_or_else(|| config.needed("intermediate_size", most::WIDTH), Ok)?;
    if config.0["block_auto_adjust_ff_dim"] == false {
        return Ok(said);
    }
    let factor = match &config.0["block_ffn_dim_multiplier"] {
        Value::Null if config.0.get("block_ffn_dim_multiplier").is_some() => return Ok(2 * said / 3),
        factor => factor.as_f64().unwrap_or(1.0),
    };
    let multiple = config.optional("block_multiple_of", most::WIDTH)?.unwrap_or(256);
    let width = (factor * (2 * said / 3) as f64) as usize;
    let sane = |width: &usize| (1..=most::WIDTH).contains(&(*width as u64));
    width.checked_next_multiple_of(multiple).filter(sane).ok_or_else(|| {
        let why = format!("block_ffn_dim_multiplier is {factor:?}, which no feed-forward layer can be wide by");
        Error::corrupt_file(format!("{why}; the file's configuration is damaged"))
    })
}
