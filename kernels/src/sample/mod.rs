//! Chooses a token: the measure of the GPU's sampling kernel. What each number means stands in
//! [`SampleParams`]; the draw walks the tokens that are left in the order of their ids.

mod filters;

use filters::{DROPPED, filter, temper};
pub use filters::{Filter, SampleParams};

use crate::elementwise::{exp_below, largest};

/// A bias as low as this bans its token.
pub const BANNED: f32 = -1e30;

/// A choice, and as a record `[token, bits of its log-probability, bits of that among what the filters left, (id, bits of log-probability) × alternatives]`.
/// Log-probabilities are of the model's own distribution, before penalty, temperature and filters, save for the one that says so. Alternatives come
/// likeliest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    pub token: u32,
    pub logprob: f32,
    /// Of the distribution that the token was drawn from; 0 where the likeliest is taken.
    pub drawn_logprob: f32,
    pub alternatives: Vec<(u32, f32)>,
}

impl Sampled {
    /// Length of the record in u32 words.
    pub fn words(alternatives: usize) -> usize {
        3 + 2 * alternatives
    }

    /// Reads a record; `None` where it is too short.
    pub fn from_words(words: &[u32]) -> Option<Self> {
        let [token, logprob, drawn, rest @ ..] = words else { return None };
        let alternatives = rest.chunks_exact(2).map(|pair| (pair[0], f32::from_bits(pair[1]))).collect();
        let (logprob, drawn_logprob) = (f32::from_bits(*logprob), f32::from_bits(*drawn));
        Some(Self { token: *token, logprob, drawn_logprob, alternatives })
    }

    /// Writes a record.
    pub fn to_words(&self) -> Vec<u32> {
        let mut words = vec![self.token, self.logprob.to_bits(), self.drawn_logprob.to_bits()];
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

/// What a token is chosen from: logits, how often each token stands in the text, and what is added to each logit once penalties are taken off.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    pub logits: &'a [f32],
    pub seen: &'a [u32],
    pub bias: &'a [f32],
}

/// A logit that is not finite is never chosen and has the log-probability −∞; where none is finite the choice is token 0
/// with a log-probability of NaN.
pub fn sample(params: &SampleParams, choice: Choice<'_>, alternatives: usize, scratch: &mut Scratch) -> Sampled {
    let params = params.sound();
    let Scratch { logits: kept, sorted } = scratch;
    kept.clear();
    kept.extend(choice.logits.iter().map(|l| finite(*l)));
    let top = largest(kept);
    if top == DROPPED {
        let alternatives = (0..alternatives as u32).map(|id| (id, f32::NAN)).collect();
        return Sampled { token: 0, logprob: f32::NAN, drawn_logprob: f32::NAN, alternatives };
    }
    sorted.clone_from(kept);
    let log_sum = top + exp_below(sorted, top).ln();
    let logprob = |id: u32| finite(choice.logits[id as usize]) - log_sum;
    let alternatives = likeliest(kept, alternatives).into_iter().map(|id| (id, logprob(id))).collect();

    prefer(&params, choice, kept);
    let best = first_largest(kept);
    let (token, drawn_logprob) = if params.temperature > 0.0 { draw(&params, best, kept, sorted) } else { (best, 0.0) };
    Sampled { token, logprob: logprob(token), drawn_logprob, alternatives }
}

/// Logits as tokens are chosen by: penalties off, the bias on; −∞ of what is never chosen.
pub fn preferred(params: &SampleParams, choice: Choice<'_>) -> Vec<f32> {
    let mut logits: Vec<f32> = choice.logits.iter().map(|l| finite(*l)).collect();
    prefer(&params.sound(), choice, &mut logits);
    logits.iter_mut().filter(|logit| **logit == DROPPED).for_each(|logit| *logit = f32::NEG_INFINITY);
    logits
}

/// What became of a token that could have been chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fate {
    /// Of the distribution that the token was drawn from; 0 for one that was dropped.
    pub probability: f32,
    pub dropped_by: Option<Filter>,
}

/// What [`sample`] leaves of the tokens `ids`, and how many tokens each filter that is on leaves of all.
pub fn trace(params: &SampleParams, choice: Choice<'_>, ids: &[u32]) -> (Vec<Fate>, Vec<(Filter, usize)>) {
    let params = params.sound();
    let mut kept: Vec<f32> = choice.logits.iter().map(|l| finite(*l)).collect();
    let mut fates = vec![Fate { probability: 0.0, dropped_by: None }; ids.len()];
    let mut counts = vec![];
    let mut cut = |by: Filter, left: &[f32]| {
        counts.push((by, left.iter().filter(|logit| **logit != DROPPED).count()));
        for (fate, id) in fates.iter_mut().zip(ids) {
            if fate.dropped_by.is_none() && left.get(*id as usize).is_none_or(|logit| *logit == DROPPED) {
                fate.dropped_by = Some(by);
            }
        }
    };
    prefer(&params, choice, &mut kept);
    if choice.bias.iter().any(|bias| *bias <= BANNED) {
        cut(Filter::Ban, &kept);
    }
    if largest(&kept) == DROPPED {
        return (fates, counts);
    }
    let mut weights = vec![];
    let mass = if params.temperature > 0.0 {
        let temperature = filter(&params, &mut kept, &mut weights, &mut cut);
        temper(temperature, &kept, &mut weights)
    } else {
        let best = first_largest(&kept) as usize;
        kept.iter_mut().enumerate().filter(|(id, _)| *id != best).for_each(|(_, logit)| *logit = DROPPED);
        cut(Filter::Temperature, &kept);
        temper(1.0, &kept, &mut weights)
    };
    for (fate, id) in fates.iter_mut().zip(ids) {
        let weight = weights.get(*id as usize).copied().unwrap_or_default();
        fate.probability = (f64::from(weight) / mass) as f32;
    }
    (fates, counts)
}

fn finite(logit: f32) -> f32 {
    if logit.is_finite() { logit } else { DROPPED }
}

/// Takes penalties off and adds the bias.
fn prefer(params: &SampleParams, choice: Choice<'_>, logits: &mut [f32]) {
    if params.has_penalties() {
        for (l, n) in logits.iter_mut().zip(choice.seen).filter(|(l, n)| **n > 0 && **l != DROPPED) {
            *l = if *l > 0.0 { *l / params.repetition_penalty } else { *l * params.repetition_penalty };
            *l -= params.presence_penalty + params.frequency_penalty * *n as f32;
        }
    }
    for (l, bias) in logits.iter_mut().zip(choice.bias) {
        *l = if *bias <= BANNED { DROPPED } else { *l + bias };
    }
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

/// Drops what the filters drop and draws from the rest; returns the token and its log-probability there; `best` where every token was banned.
fn draw(params: &SampleParams, best: u32, logits: &mut [f32], weights: &mut Vec<f32>) -> (u32, f32) {
    if largest(logits) == DROPPED {
        return (best, 0.0);
    }
    let temperature = filter(params, logits, weights, |_, _| ());
    let total = temper(temperature, logits, weights);
    let target = f64::from(params.uniform()) * total;
    let mut sum = 0.0;
    let mut drawn = (best, f32::NAN);
    for (id, weight) in weights.iter().enumerate().filter(|(_, w)| **w > 0.0) {
        sum += f64::from(*weight);
        drawn = (id as u32, (f64::from(*weight) / total).ln() as f32);
        if sum > target {
            break;
        }
    }
    drawn
}
