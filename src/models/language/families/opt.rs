//! OPT (arXiv 2205.01068): LayerNorms, biases, learned positions, ReLU. No GGUF holds one.

use super::super::{
    config::{Biases, Block, LanguageConfig, Sizes, most},
    family::Family,
    gguf::Gguf,
    hugging_face::Config,
    names::Names,
};
use crate::{Error, Result, graph::Unary, models::Form};

pub const FAMILY: Family = Family { name: "opt", model_type: "opt", gguf, hugging_face };

/// The first two positions stand for padding and are no token's.
const NAMES: Names = Names {
    prefix: "model.decoder.",
    whole: &[
        ("token_embd", "embed_tokens", Form::Whole),
        ("position_embd", "embed_positions", Form::From { first: 2 }),
        ("output_norm", "final_layer_norm", Form::Whole),
        ("output", "lm_head", Form::Whole),
        ("project_in", "project_in", Form::Whole),
        ("project_out", "project_out", Form::Whole),
    ],
    layers: "layers.",
    parts: &[
        ("attn_norm", "self_attn_layer_norm", Form::Whole),
        ("attn_q", "self_attn.q_proj", Form::Whole),
        ("attn_k", "self_attn.k_proj", Form::Whole),
        ("attn_v", "self_attn.v_proj", Form::Whole),
        ("attn_output", "self_attn.out_proj", Form::Whole),
        ("post_attention_norm", "self_attn_layer_norm", Form::Whole),
        ("ffn_norm", "final_layer_norm", Form::Whole),
        ("post_ffw_norm", "final_layer_norm", Form::Whole),
        ("ffn_up", "fc1", Form::Whole),
        ("ffn_down", "fc2", Form::Whole),
    ],
};

const BLOCK: Block = Block {
    layer_norms: true,
    biases: Biases::All,
    gated: false,
    activation: Unary::LeakyRelu { slope: 0.0 },
    ..Block::LLAMA
};

fn gguf(_: &Gguf) -> Result<LanguageConfig> {
    Err(Error::unsupported_model("llama.cpp has no OPT, and so no layout for one in a GGUF; take its safetensors"))
}

fn hugging_face(config: &Config) -> Result<LanguageConfig> {
    config.check_activation("activation_function", &["relu"])?;
    let dim = config.needed("hidden_size", most::WIDTH)?;
    let embedding_dim = config.optional("word_embed_proj_dim", most::WIDTH)?.filter(|width| *width != dim);
    for key in ["enable_bias", "layer_norm_elementwise_affine"] {
        if config.0[key] == false {
            return Err(Error::unsupported_model(format!("{key}: false does not run here; use another OPT")));
        }
    }
    // That of 350M norms behind its layers, and then no more.
    let before = config.0["do_layer_norm_before"] != false;
    let block = Block { input_norms: before, sum_norms: !before, ..BLOCK };
    let output_norm = before && config.0["_remove_final_layer_norm"] != true;
    let heads = config.needed("num_attention_heads", most::HEADS)?;
    let head_dim = dim / heads;
    let sizes = Sizes {
        vocabulary: config.needed("vocab_size", most::VOCABULARY)?,
        dim,
        layers: config.needed("num_hidden_layers", most::LAYERS)?,
        heads,
        kv_heads: heads,
        head_dim,
        feed_forward: config.needed("ffn_dim", most::WIDTH)?,
        context_length: config.needed("max_position_embeddings", most::CONTEXT)?,
        eps: 1e-5,
    };
    let tied = config.0["tie_word_embeddings"].as_bool().or(Some(true));
    Ok(LanguageConfig { tied, embedding_dim, output_norm, ..LanguageConfig::plain("opt", block, &NAMES, sizes) })
}
