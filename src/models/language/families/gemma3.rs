//! Gemma 3's text model (arXiv 2503.19786): norms on both sides of every part, and five layers that see the last few tokens for
//! each that sees all.

use serde_json::Value;

use super::super::{
    config::{Block, HeadNorms, LanguageConfig, Local, Rotary, most},
    family::Family,
    gguf::Gguf,
    hugging_face::Config,
    names::Names,
};
use crate::{
    Error, Result,
    graph::{RopeLayout, Unary},
    models::Form,
};

/// Its name without more is that of the model with eyes.
pub const FAMILY: Family = Family { name: "gemma3", model_type: "gemma3_text", gguf, hugging_face };

/// The norms' weights lie about 0 here; llama.cpp's converter has added the 1 already.
pub const NAMES: Names = Names {
    prefix: "model.",
    whole: &[
        ("token_embd", "embed_tokens", Form::Whole),
        ("output_norm", "norm", Form::Plus(1.0)),
        ("output", "lm_head", Form::Whole),
    ],
    layers: "layers.",
    parts: &[
        ("attn_norm", "input_layernorm", Form::Plus(1.0)),
        ("attn_q", "self_attn.q_proj", Form::Whole),
        ("attn_k", "self_attn.k_proj", Form::Whole),
        ("attn_v", "self_attn.v_proj", Form::Whole),
        ("attn_q_norm", "self_attn.q_norm", Form::Plus(1.0)),
        ("attn_k_norm", "self_attn.k_norm", Form::Plus(1.0)),
        ("attn_output", "self_attn.o_proj", Form::Whole),
        ("post_attention_norm", "post_attention_layernorm", Form::Plus(1.0)),
        ("ffn_norm", "pre_feedforward_layernorm", Form::Plus(1.0)),
        ("ffn_gate", "mlp.gate_proj", Form::Whole),
        ("ffn_up", "mlp.up_proj", Form::Whole),
        ("ffn_down", "mlp.down_proj", Form::Whole),
        ("post_ffw_norm", "post_feedforward_layernorm", Form::Plus(1.0)),
    ],
};

const BLOCK: Block =
    Block { head_norms: HeadNorms::Heads, result_norms: true, activation: Unary::GeluTanh, ..Block::LLAMA };

/// Layers of the one Gemma 3 whose queries are scaled by other than a head's width.
const LAYERS_OF_27B: usize = 62;

fn gguf(file: &Gguf) -> Result<LanguageConfig> {
    let mut config = file.decoder(BLOCK)?;
    config.rotary = Some(file.rotary(config.head_dim, 1_000_000.0, RopeLayout::HalfSplit)?);
    if let Some(window) = file.window()? {
        let pattern = file.optional("attention.sliding_window_pattern", most::LAYERS)?.unwrap_or(6);
        let base = file.metadata.get(&file.key("rope.freq_base_swa"))?.unwrap_or(10_000.0);
        config.local = Some(Local { window, layers: every(pattern, config.layers), base: Some(base) });
    }
    if config.layers == LAYERS_OF_27B {
        config.attention_scale = 1.0 / ((config.dim / config.heads) as f32).sqrt();
    }
    config.embedding_scale = Some((config.dim as f32).sqrt());
    Ok(config)
}

fn hugging_face(config: &Config) -> Result<LanguageConfig> {
    config.check_activation("hidden_activation", &["gelu_pytorch_tanh"])?;
    for key in ["final_logit_softcapping", "attn_logit_softcapping"] {
        if config.number(key).is_some() {
            return Err(Error::unsupported_model(format!("{key} does not run here; use a Gemma 3 as it is published")));
        }
    }
    if config.0["use_bidirectional_attention"] == true {
        return Err(Error::unsupported_model("this Gemma 3 embeds texts and writes none; use one that writes"));
    }
    let mut decoder = config.decoder("gemma3", BLOCK, &NAMES, Some(256))?;
    let window = config.optional("sliding_window", most::CONTEXT)?.unwrap_or(4096);
    let pattern = ["sliding_window_pattern", "_sliding_window_pattern"];
    let pattern = pattern.iter().find_map(|key| config.optional(key, most::LAYERS).transpose());
    let usual = every(pattern.transpose()?.unwrap_or(6), decoder.layers);
    // Newer versions write the two bases below `rope_parameters`.
    let ropes = &config.0["rope_parameters"];
    let base = |key: &str, kind: &str, default: f64| {
        config.number(key).or_else(|| ropes[kind]["rope_theta"].as_f64()).unwrap_or(default) as f32
    };
    let local = config.local(window, decoder.layers, |layer| usual[layer]);
    decoder.local = Some(Local { base: Some(base("rope_local_base_freq", "sliding_attention", 10_000.0)), ..local });
    let global = base("rope_theta", "full_attention", 1_000_000.0);
    let rope = [&ropes["full_attention"], &config.0["rope_scaling"]].into_iter().find(|v| v.is_object());
    let rotary = Rotary::plain(decoder.head_dim, global, RopeLayout::HalfSplit);
    decoder.rotary = Some(config.scaled(rotary, rope.unwrap_or(&Value::Null))?);
    decoder.attention_scale = 1.0 / config.number("query_pre_attn_scalar").unwrap_or(256.0).sqrt() as f32;
    decoder.embedding_scale = Some((decoder.dim as f32).sqrt());
    decoder.tied = config.0["tie_word_embeddings"].as_bool().or(Some(true));
    Ok(decoder)
}

/// The last layer of every `pattern` sees all tokens.
fn every(pattern: usize, layers: usize) -> Vec<bool> {
    (1..=layers).map(|i| !i.is_multiple_of(pattern)).collect()
}
