//! The families of language models that run, and what sets them apart.

use crate::{Error, Result, graph::Unary};

/// A family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Llama (arXiv 2302.13971, 2307.09288), TinyLlama, SmolLM2 and kin.
    Llama,
    /// Qwen 3 (arXiv 2505.09388): a Llama whose queries and keys are normed head by head.
    Qwen3,
    /// GPT-2 (Radford et al., 2019): LayerNorm, learned positions, biases, a feed-forward layer without a gate.
    Gpt2,
    /// Gemma 3's text model (arXiv 2503.19786): norms on both sides of every part, and five layers that see the last few tokens for
    /// each that sees all.
    Gemma3,
}

impl Architecture {
    pub const ALL: [Self; 4] = [Self::Llama, Self::Qwen3, Self::Gpt2, Self::Gemma3];

    /// As `general.architecture` of a GGUF spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen3 => "qwen3",
            Self::Gpt2 => "gpt2",
            Self::Gemma3 => "gemma3",
        }
    }

    /// As `model_type` of a `config.json` spells it. Gemma's name without more is that of the model with eyes.
    fn model_type(self) -> &'static str {
        if self == Self::Gemma3 { "gemma3_text" } else { self.name() }
    }

    pub fn of_gguf(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|a| a.name() == name).ok_or_else(|| unknown(name, Self::ALL.map(Self::name)))
    }

    pub fn of_model_type(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|a| a.model_type() == name)
            .ok_or_else(|| unknown(name, Self::ALL.map(Self::model_type)))
    }

    /// RMSNorm without a bias, or LayerNorm with one.
    pub fn has_layer_norms(self) -> bool {
        self == Self::Gpt2
    }

    /// Queries and keys are normed head by head before they turn.
    pub fn norms_heads(self) -> bool {
        matches!(self, Self::Qwen3 | Self::Gemma3)
    }

    /// What attention and feed-forward layer give is normed before it is added.
    pub fn norms_results(self) -> bool {
        self == Self::Gemma3
    }

    /// Query, key and value are rows of one weight.
    pub fn fuses_attention(self) -> bool {
        self == Self::Gpt2
    }

    /// Every layer has its bias. Where not, one that is in the file is taken.
    pub fn has_biases(self) -> bool {
        self == Self::Gpt2
    }

    /// The feed-forward layer is `down(f(gate) · up)`, else `down(f(up))`.
    pub fn is_gated(self) -> bool {
        self != Self::Gpt2
    }

    pub fn activation(self) -> Unary {
        match self {
            Self::Llama | Self::Qwen3 => Unary::Silu,
            Self::Gpt2 | Self::Gemma3 => Unary::GeluTanh,
        }
    }
}

fn unknown(name: &str, known: [&str; 4]) -> Error {
    Error::unsupported_model(format!(
        "the architecture {name:?} is not one that runs here; use a model of one of these: {}",
        known.join(", ")
    ))
}
