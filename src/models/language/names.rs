//! How files call the weights of a language model.

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
        if self == (Self::HuggingFaceGpt2 { prefixed: true }) { "transformer." } else { "" }
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
