//! What logits say of tokens.

use serde::Serialize;

use super::Tokenizer;

/// A token that the model knows, what it says, and how likely it was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    pub token: u32,
    pub text: String,
    /// Natural logarithm of the model's own probability, before temperature and filters.
    pub logprob: f32,
}

/// F32 from their bits.
pub fn numbers(bits: &[u32]) -> Vec<f32> {
    bits.iter().map(|bits| f32::from_bits(*bits)).collect()
}

/// `ln Σ exp(logit)`, in f64.
pub fn log_sum_exp(logits: &[f32]) -> f64 {
    let largest = logits.iter().fold(f64::NEG_INFINITY, |most, logit| most.max(f64::from(*logit)));
    largest + logits.iter().map(|logit| (f64::from(*logit) - largest).exp()).sum::<f64>().ln()
}

/// The `k` likeliest tokens, likeliest first; of equal ones the one with the lower id.
pub fn likeliest(logits: &[f32], k: usize, tokenizer: &Tokenizer) -> Vec<Candidate> {
    let log_sum = log_sum_exp(logits);
    let mut ranked: Vec<(u32, f32)> = logits.iter().enumerate().map(|(id, logit)| (id as u32, *logit)).collect();
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if k < ranked.len() {
        ranked.select_nth_unstable_by(k.saturating_sub(1), order);
        ranked.truncate(k);
    }
    ranked.sort_unstable_by(order);
    let candidate = |(token, logit): (u32, f32)| Candidate {
        token,
        text: tokenizer.token_text(token).unwrap_or_default(),
        logprob: (f64::from(logit) - log_sum) as f32,
    };
    ranked.into_iter().map(candidate).collect()
}
