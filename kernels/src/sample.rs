//! Chooses a token: the measure of the GPU's sampling kernel. What each number means stands in
//! [`SampleParams`]; the draw walks the tokens that are left in the order of their ids.

use crate::elementwise::{exp_below, largest};

/// How a token is chosen. The order of the filters: repetition penalty, (temperature 0: the likeliest
/// token, the lowest id among equals), top-k on the logits, temperature, top-p over what top-k kept, min-p, then a draw.
/// All filters keep a *threshold's* worth: tokens as likely as the last one kept are kept too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleParams {
    /// 0 is greedy.
    pub temperature: f32,
    /// Keep the `top_k` likeliest; 0 keeps all.
    pub top_k: u32,
    /// Keep the smallest set of likeliest tokens whose probabilities reach `top_p` (arXiv 1904.09751); 1 keeps all.
    pub top_p: f32,
    /// Drop tokens less likely than `min_p` times the likeliest (arXiv 2407.01082); 0 drops none.
    pub min_p: f32,
    /// Divide positive and multiply negative logits of tokens already in the text (arXiv 1909.05858); 1 is none.
    pub repetition_penalty: f32,
    /// The same seed and step give the same draw on the same backend.
    pub seed: u32,
    /// Which token of the text this is: the other half of the draw's key.
    pub step: u32,
}

impl Default for SampleParams {
    /// Greedy, with nothing held back.
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0, seed: 0, step: 0 }
    }
}

impl SampleParams {
    /// The draw in `[0, 1)` for this seed and step: one round of the PCG output permutation (O'Neill 2014) over a mixed
    /// key, 24 bits. The GPU's kernel computes the same bits.
    pub fn uniform(&self) -> f32 {
        let pcg = |v: u32| {
            let state = v.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
            (word >> 22) ^ word
        };
        (pcg(self.seed ^ pcg(self.step)) >> 8) as f32 / 16_777_216.0
    }
}

/// A choice, and as a record `[token, bits of its log-probability, (id, bits of log-probability) × alternatives]`.
/// Log-probabilities are of the model's own distribution: before penalty, temperature and filters. Alternatives come
/// likeliest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    pub token: u32,
    pub logprob: f32,
    pub alternatives: Vec<(u32, f32)>,
}

impl Sampled {
    /// Length of the record in u32 words.
    pub fn words(alternatives: usize) -> usize {
        2 + 2 * alternatives
    }

    /// Reads a record; `None` where it is too short.
    pub fn from_words(words: &[u32]) -> Option<Self> {
        let [token, logprob, rest @ ..] = words else { return None };
        let alternatives = rest.chunks_exact(2).map(|pair| (pair[0], f32::from_bits(pair[1]))).collect();
        Some(Self { token: *token, logprob: f32::from_bits(*logprob), alternatives })
    }

    /// Writes a record.
    pub fn to_words(&self) -> Vec<u32> {
        let mut words = vec![self.token, self.logprob.to_bits()];
        for (id, logprob) in &self.alternatives {
            words.extend([*id, logprob.to_bits()]);
        }
        words
    }
}

/// Room that sampling needs and keeps.
#[derive(Default)]
pub struct Scratch {
    logits: Vec<f32>,
    sorted: Vec<f32>,
}

impl Scratch {
    pub fn bytes(&self) -> usize {
        4 * (self.logits.capacity() + self.sorted.capacity())
    }
}

/// A logit that is not finite is never chosen and has the log-probability −∞; where none is finite the choice is token 0
/// with a log-probability of NaN.
pub fn sample(
    params: &SampleParams,
    logits: &[f32],
    seen: &[u32],
    alternatives: usize,
    scratch: &mut Scratch,
) -> Sampled {
    let Scratch { logits: kept, sorted } = scratch;
    kept.clear();
    kept.extend(logits.iter().map(|l| if l.is_finite() { *l } else { f32::NEG_INFINITY }));
    let top = largest(kept);
    if top == f32::NEG_INFINITY {
        let alternatives = (0..alternatives as u32).map(|id| (id, f32::NAN)).collect();
        return Sampled { token: 0, logprob: f32::NAN, alternatives };
    }
    sorted.clone_from(kept);
    let log_sum = top + exp_below(sorted, top).ln();
    let logprob = |id: u32| kept_logit(logits, id) - log_sum;
    let alternatives = likeliest(kept, alternatives).into_iter().map(|id| (id, logprob(id))).collect();

    if params.repetition_penalty != 1.0 {
        for (l, _) in kept.iter_mut().zip(seen).filter(|(_, n)| **n > 0) {
            *l = if *l > 0.0 { *l / params.repetition_penalty } else { *l * params.repetition_penalty };
        }
    }
    let token = if params.temperature > 0.0 { draw(params, kept, sorted) } else { first_largest(kept) };
    Sampled { token, logprob: logprob(token), alternatives }
}

fn kept_logit(logits: &[f32], id: u32) -> f32 {
    let logit = logits[id as usize];
    if logit.is_finite() { logit } else { f32::NEG_INFINITY }
}

fn first_largest(logits: &[f32]) -> u32 {
    let top = largest(logits);
    logits.iter().position(|l| *l == top).unwrap_or(0) as u32
}

/// The `n` likeliest ids, likeliest first, the lowest first among equals.
fn likeliest(logits: &[f32], n: usize) -> Vec<u32> {
    let mut best: Vec<u32> = Vec::with_capacity(n + 1);
    for (id, l) in logits.iter().enumerate() {
        if best.len() == n && best.last().is_none_or(|last| *l <= logits[*last as usize]) {
            continue;
        }
        let at = best.partition_point(|b| logits[*b as usize] >= *l);
        best.insert(at, id as u32);
        best.truncate(n);
    }
    best
}

/// Drops what the filters drop (a weight of zero) and draws from the rest.
fn draw(params: &SampleParams, logits: &mut [f32], sorted: &mut Vec<f32>) -> u32 {
    let best = first_largest(logits);
    if params.top_k > 0 && (params.top_k as usize) < logits.len() {
        sorted.clear();
        sorted.extend_from_slice(logits);
        let (_, least, _) = sorted.select_nth_unstable_by(params.top_k as usize - 1, |a, b| b.total_cmp(a));
        let least = *least;
        drop_below(logits, least);
    }
    // From here on `logits` holds weights: probabilities times an unknown that cancels out; the likeliest has 1.
    let top = largest(logits) / params.temperature;
    let dead = f32::NEG_INFINITY;
    for l in logits.iter_mut() {
        *l = if *l == dead { dead } else { *l / params.temperature };
    }
    sorted.clear();
    sorted.extend_from_slice(logits);
    exp_below(sorted, top);
    for (weight, e) in logits.iter_mut().zip(sorted.iter()) {
        *weight = if *weight == dead { 0.0 } else { *e };
    }
    if params.top_p < 1.0 {
        sorted.clear();
        sorted.extend(logits.iter().filter(|w| **w > 0.0));
        sorted.sort_unstable_by(|a, b| b.total_cmp(a));
        let total: f64 = sorted.iter().map(|w| f64::from(*w)).sum();
        let mut sum = 0.0;
        let least = sorted.iter().find(|w| {
            sum += f64::from(**w);
            sum >= f64::from(params.top_p) * total
        });
        if let Some(least) = least {
            let least = *least;
            zero_below(logits, least);
        }
    }
    if params.min_p > 0.0 {
        zero_below(logits, params.min_p.min(1.0));
    }
    let total: f64 = logits.iter().map(|w| f64::from(*w)).sum();
    let target = f64::from(params.uniform()) * total;
    let mut sum = 0.0;
    let mut last = best;
    for (id, w) in logits.iter().enumerate().filter(|(_, w)| **w > 0.0) {
        sum += f64::from(*w);
        last = id as u32;
        if sum > target {
            break;
        }
    }
    last
}

fn drop_below(logits: &mut [f32], least: f32) {
    for l in logits {
        if *l < least {
            *l = f32::NEG_INFINITY;
        }
    }
}

fn zero_below(weights: &mut [f32], least: f32) {
    for w in weights {
        if *w < least {
            *w = 0.0;
        }
    }
}
