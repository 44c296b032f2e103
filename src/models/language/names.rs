//! How files call the weights of a language model.

use super::super::Tensors;
use crate::{Error, Result};

/// Who named the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// llama.cpp, for all families: `blk.0.attn_q.weight`
    Gguf,
    /// `transformers`, for Llama and Qwen 3: `model.layers.0.self_attn.q_proj.weight`
    HuggingFace,
    /// The same for Gemma 3, whose norms stand elsewhere.
    HuggingFaceGemma3,
    /// `transformers`, for GPT-2: `transformer.h.0.attn.c_attn.weight`; the first published files lack the first word.
    HuggingFaceGpt2 { prefixed: bool },
}

/// A weight that a model has once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    TokenEmbedding,
    /// A row for each position (GPT-2).
    Positions,
    OutputNorm,
    Output,
}

/// A weight that each layer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    AttentionNorm,
    Query,
    Key,
    Value,
    /// Query, key and value in one (GPT-2).
    QueryKeyValue,
    QueryNorm,
    KeyNorm,
    AttentionOutput,
    /// After the attention, before its sum with what went in (Gemma 3).
    PostAttentionNorm,
    FeedForwardNorm,
    Gate,
    Up,
    Down,
    PostFeedForwardNorm,
}

impl Names {
    /// The name of a weight without its last word, `.weight` or `.bias`.
    pub fn whole(self, whole: Whole) -> String {
        match (self, whole) {
            (Self::Gguf, Whole::TokenEmbedding) => "token_embd".into(),
            (Self::Gguf, Whole::Positions) => "position_embd".into(),
            (Self::Gguf, Whole::OutputNorm) => "output_norm".into(),
            (Self::Gguf, Whole::Output) => "output".into(),
            // The head stands beside the transformer: no prefix is its.
            (_, Whole::Output) => "lm_head".into(),
            (Self::HuggingFaceGpt2 { .. }, Whole::TokenEmbedding) => format!("{}wte", self.prefix()),
            (_, Whole::Positions) => format!("{}wpe", self.prefix()),
            (Self::HuggingFaceGpt2 { .. }, Whole::OutputNorm) => format!("{}ln_f", self.prefix()),
            (_, Whole::TokenEmbedding) => "model.embed_tokens".into(),
            (_, Whole::OutputNorm) => "model.norm".into(),
        }
    }

    /// The same of a weight of layer `i`.
    pub fn layer(self, i: usize, part: Part) -> String {
        match self {
            Self::Gguf => format!("blk.{i}.{}", part.in_gguf()),
            Self::HuggingFaceGemma3 if part == Part::FeedForwardNorm => {
                format!("model.layers.{i}.pre_feedforward_layernorm")
            }
            Self::HuggingFace | Self::HuggingFaceGemma3 => format!("model.layers.{i}.{}", part.in_transformers()),
            Self::HuggingFaceGpt2 { .. } => format!("{}h.{i}.{}", self.prefix(), part.in_gpt2()),
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Gguf | Self::HuggingFaceGpt2 { prefixed: false } => "",
            Self::HuggingFaceGpt2 { prefixed: true } => "transformer.",
            Self::HuggingFace | Self::HuggingFaceGemma3 => "model.",
        }
    }
}

/// Where in a file a model's weights stand: behind the prefix that [`Names`] give them, behind another (one model of several, a trainer's
/// own class), or behind none (a base model saved without its head).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The prefix of [`Names`].
    usual: &'static str,
    /// The file's.
    here: String,
}

impl Place {
    /// Told by the embedding of tokens, which every model has once.
    ///
    /// Errors: `unsupported-model` that names the prefixes of several embeddings, or the weights of a layout that is none of these.
    pub fn of(names: Names, tensors: &dyn Tensors) -> Result<Self> {
        let usual = names.prefix();
        let embedding = format!("{}.weight", names.whole(Whole::TokenEmbedding));
        let bare = embedding.strip_prefix(usual).unwrap_or(&embedding);
        let behind = |prefix: &str| Self { usual, here: prefix.into() };
        if tensors.tensor(&embedding).is_some() {
            return Ok(behind(usual));
        }
        if tensors.tensor(bare).is_some() {
            return Ok(behind(""));
        }
        let others = tensors.names_ending(&format!(".{bare}"));
        match others.as_slice() {
            [one] => Ok(behind(one.strip_suffix(bare).unwrap_or_default())),
            // Perhaps a part is missing, which the weights say one by one.
            [] if usual.is_empty() || tensors.names_ending("").iter().any(|name| name.starts_with(usual)) => {
                Ok(behind(usual))
            }
            [] => match tensors.names_ending("").first() {
                Some(first) => Err(Error::unsupported_model(format!(
                    "the weights are called as in {first}, where {embedding} and the like are known; save the model with transformers' \
                     save_pretrained()"
                ))),
                None => Ok(behind(usual)),
            },
            several => Err(Error::unsupported_model(format!(
                "the file holds several models, by their prefixes: {}; save one of them by itself",
                several.join(", ")
            ))),
        }
    }

    /// What the file calls a weight.
    pub fn name(&self, weight: &str, tensors: &dyn Tensors) -> String {
        // The head stands outside the transformer, behind what stands before that.
        let inside = weight.strip_prefix(self.usual).filter(|_| !weight.starts_with("lm_head."));
        if let Some(rest) = inside {
            return format!("{}{rest}", self.here);
        }
        let outer = format!("{}{weight}", self.here.strip_suffix(self.usual).unwrap_or(&self.here));
        if tensors.tensor(&outer).is_some() { outer } else { weight.into() }
    }
}

impl Part {
    fn in_gguf(self) -> &'static str {
        match self {
            Self::AttentionNorm => "attn_norm",
            Self::Query => "attn_q",
            Self::Key => "attn_k",
            Self::Value => "attn_v",
            Self::QueryKeyValue => "attn_qkv",
            Self::QueryNorm => "attn_q_norm",
            Self::KeyNorm => "attn_k_norm",
            Self::AttentionOutput => "attn_output",
            Self::PostAttentionNorm => "post_attention_norm",
            Self::FeedForwardNorm => "ffn_norm",
            Self::Gate => "ffn_gate",
            Self::Up => "ffn_up",
            Self::Down => "ffn_down",
            Self::PostFeedForwardNorm => "post_ffw_norm",
        }
    }

    fn in_transformers(self) -> &'static str {
        match self {
            Self::AttentionNorm => "input_layernorm",
            Self::Query => "self_attn.q_proj",
            Self::Key => "self_attn.k_proj",
            Self::Value => "self_attn.v_proj",
            Self::QueryKeyValue => "self_attn.qkv_proj",
            Self::QueryNorm => "self_attn.q_norm",
            Self::KeyNorm => "self_attn.k_norm",
            Self::AttentionOutput => "self_attn.o_proj",
            // Llama has one norm by this name, before the feed-forward layer; Gemma 3 one after the attention.
            Self::PostAttentionNorm | Self::FeedForwardNorm => "post_attention_layernorm",
            Self::Gate => "mlp.gate_proj",
            Self::Up => "mlp.up_proj",
            Self::Down => "mlp.down_proj",
            Self::PostFeedForwardNorm => "post_feedforward_layernorm",
        }
    }

    fn in_gpt2(self) -> &'static str {
        match self {
            Self::AttentionNorm => "ln_1",
            Self::QueryKeyValue => "attn.c_attn",
            Self::AttentionOutput => "attn.c_proj",
            Self::FeedForwardNorm => "ln_2",
            Self::Up => "mlp.c_fc",
            Self::Down => "mlp.c_proj",
            // GPT-2 has no other.
            other => other.in_transformers(),
        }
    }
}
