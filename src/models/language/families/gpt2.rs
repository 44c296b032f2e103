//! GPT-2 (Radford et al., 2019): LayerNorm, learned positions, biases, a feed-forward layer without a gate.

use super::super::{
    config::{Biases, Block, LanguageConfig, Projections, Sizes, most},
    family::Family,
    gguf::Gguf,
    hugging_face::Config,
    names::Names,
};
use crate::{Error, Result, graph::Unary, models::Form};

pub const FAMILY: Family = Family { name: "gpt2", model_type: "gpt2", gguf, hugging_face };

/// The first published files lack the prefix. `transformers` keeps the layers' matrices as `[in, out]`.
const NAMES: Names = Names {
    prefix: "transformer.",
    whole: &[
        ("token_embd", "wte", Form::Whole),
        ("position_embd", "wpe", Form::Whole),
        ("output_norm", "ln_f", Form::Whole),
        ("output", "lm_head", Form::Whole),
    ],
    layers: "h.",
    parts: &[
        ("attn_norm", "ln_1", Form::Whole),
        ("attn_qkv", "attn.c_attn", Form::Transposed),
        ("attn_output", "attn.c_proj", Form::Transposed),
        ("ffn_norm", "ln_2", Form::Whole),
        ("ffn_up", "mlp.c_fc", Form::Transposed),
        ("ffn_down", "mlp.c_proj", Form::Transposed),
    ],
};

const BLOCK: Block = Block {
    layer_norms: true,
    attention: Projections::Fused,
    biases: Biases::All,
    gated: false,
    activation: Unary::GeluTanh,
    ..Block::LLAMA
};

fn gguf(file: &Gguf) -> Result<LanguageConfig> {
    file.decoder(BLOCK)
}

fn hugging_face(config: &Config) -> Result<LanguageConfig> {
    config.check_activation("activation_function", &["gelu_new", "gelu_pytorch_tanh"])?;
    if config.0["scale_attn_weights"] == false || config.0["scale_attn_by_inverse_layer_idx"] == true {
        return Err(Error::unsupported_model(
            "this GPT-2 scales its attention in another way than all others; use one of those",
        ));
    }
    let dim = config.needed("n_embd", most::WIDTH)?;
    let heads = config.needed("n_head", most::HEADS)?;
    let head_dim = dim / heads;
    let sizes = Sizes {
        vocabulary: config.needed("vocab_size", most::VOCABULARY)?,
        dim,
        layers: config.needed("n_layer", most::LAYERS)?,
        heads,
        kv_heads: heads,
        head_dim,
        feed_forward: config.optional("n_inner", most::WIDTH)?.unwrap_or(4 * dim),
        context_length: config.needed("n_positions", most::CONTEXT)?,
        eps: config.number("layer_norm_epsilon").unwrap_or(1e-5) as f32,
    };
    let tied = config.0["tie_word_embeddings"].as_bool().or(Some(true));
    Ok(LanguageConfig { tied, ..LanguageConfig::plain("gpt2", BLOCK, &NAMES, sizes) })
}
