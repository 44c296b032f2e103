//! What a language model is, and what it took.

use serde::Serialize;

use super::SamplingDefaults;
use crate::backend::{DeviceInfo, StepCost};

/// What a model is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TextModelInfo {
    /// `"text"`.
    pub kind: &'static str,
    pub name: String,
    pub architecture: String,
    pub parameters: u64,
    /// The type that most of the weights have.
    pub quantization: String,
    /// Bytes of the weights in the file.
    pub weight_bytes: u64,
    pub vocabulary: usize,
    /// Of what it reads, where that is another text than it writes.
    #[serde(skip)]
    pub read_vocabulary: usize,
    pub layers: usize,
    pub width: usize,
    /// Tokens that the context holds here; none of a recurrent model, whose states have one size whatever they met.
    pub context_length: Option<usize>,
    /// Tokens that the model was made for.
    pub trained_context_length: Option<usize>,
    /// Whether it reads its prompt as a whole and writes another text (T5, BART, Marian, Pegasus); else it goes on from the prompt.
    pub encoder_decoder: bool,
    /// Whether its files bring a chat template that can be read.
    pub chat: bool,
    /// Why not, where they bring one that cannot: `chat` says the same. Texts can be gone on with all the same.
    pub chat_problem: Option<String>,
    /// The source of the template that writes a conversation with tools, which is the one without them where there is no other.
    pub chat_template: Option<String>,
    /// How the model is sampled where `GenerateOptions` leaves it open.
    pub sampling: SamplingDefaults,
    pub device: DeviceInfo,
}

/// What a model took.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TextModelStats {
    pub load_ms: f64,
    /// Bytes on the device: weights, caches and plans.
    pub device_bytes: u64,
    /// What a decode step costs.
    pub decode: StepCost,
    /// Of the last generation.
    pub generation: GenerationStats,
}

/// What a generation took.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerationStats {
    pub prompt_tokens: usize,
    /// Of these, how many were in the cache already.
    pub reused_tokens: usize,
    pub generated_tokens: usize,
    /// Tokens that were awaited with no step queued behind them, so that a GPU then stood still; on the CPU none.
    pub waits: usize,
    /// The seed that was given or drawn.
    pub seed: u32,
    /// Tokens that were guessed, by prompt look-up or by a draft model, and how many of them were right.
    pub drafted_tokens: usize,
    pub accepted_tokens: usize,
    /// Tokens that had to come, and were not computed one by one.
    pub forced_tokens: usize,
    /// From the call to the first token.
    pub first_token_ms: f64,
    /// Prompt tokens that were computed, a second.
    pub prefill_tokens_per_second: f64,
    /// Tokens after the first, a second.
    pub decode_tokens_per_second: f64,
}
