//! Chooses a token: the measure of the GPU's sampling kernel. What each number means stands in
//! [`SampleParams`]; the draw walks the tokens that are left in the order of their ids.

use super::elementwise::{exp_below, largest};
use crate::graph::{SampleParams, Sampled};

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
