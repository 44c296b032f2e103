//! Contrastive search (Su et al., arXiv 2202.06417): of the `k` likeliest tokens the one whose probability, less how much the text with it is like what stands before it,
//! is the largest. What transformers 4 does with `penalty_alpha` and `top_k`.
//!
//! Each candidate has a slot of the caches, and one step computes all of them; the chosen one's slot becomes the others.

use serde::Deserialize;

use super::{
    logits::numbers,
    ranges::{above, whole},
    session::Session,
};
use crate::{Error, Result, cancel::Cancel, graph::MOST_SLOTS};

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contrastive {
    /// How much being alike weighs against being likely: above 0, to 1.
    pub alpha: f32,
    /// Candidates: 2 to 64.
    pub k: usize,
}

/// [`Contrastive`] as JavaScript gives it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ContrastiveRequest {
    pub alpha: Option<f64>,
    pub k: Option<f64>,
}

impl ContrastiveRequest {
    /// Errors: `bad-argument` that names the option, the value and what is allowed.
    pub fn check(self) -> Result<Contrastive> {
        let alpha = self.alpha.unwrap_or(0.6);
        above("contrastive.alpha", alpha, 0.0, 1.0)?;
        let k = whole("contrastive.k", self.k, 4, 2, MOST_SLOTS as u64)? as usize;
        Ok(Contrastive { alpha: alpha as f32, k })
    }
}

/// A search under way.
pub struct Search {
    how: Contrastive,
    slots: usize,
    /// What the head reads of each token of the text, brought to a length of 1: `[tokens, width]`.
    context: Vec<f32>,
    width: usize,
    /// Behind the text.
    logits: Vec<f32>,
}

impl Search {
    /// Brings a text into every slot; there is at least one token, and they fit. The text will have `ahead` more at most.
    pub async fn begin(
        session: &mut Session,
        how: Contrastive,
        slots: usize,
        ids: &[u32],
        ahead: usize,
        cancel: &Cancel,
    ) -> Result<Self> {
        let (hidden, logits) = session.prefill_with_hidden(ids, ahead, cancel).await?;
        session.copy_slots(&vec![0; slots], ids.len()).await?;
        let width = hidden.len() / ids.len();
        let mut context = numbers(&hidden);
        context.chunks_exact_mut(width).for_each(unit);
        Ok(Self { how, slots, context, width, logits: numbers(&logits) })
    }

    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// The next token behind `position` others, which then stands in the caches. `preferred` are the logits once penalties and biases are in them.
    pub async fn step(
        &mut self,
        session: &mut Session,
        preferred: &[f32],
        position: usize,
        cancel: &Cancel,
    ) -> Result<u32> {
        let candidates = likeliest(preferred, self.how.k);
        let rows: Vec<(u32, usize)> = candidates.iter().zip(0..).map(|((id, _), slot)| (*id, slot)).collect();
        let [logits, hidden] = cancel.race(session.decode_rows_with_hidden(&rows, self.slots, position)).await?;
        let mut hidden = numbers(&hidden);
        hidden.chunks_exact_mut(self.width).for_each(unit);
        let scores = candidates.iter().zip(hidden.chunks_exact(self.width)).map(|((_, probability), own)| {
            let alike = self.context.chunks_exact(self.width).map(|before| dot(own, before));
            let alike = alike.fold(f32::NEG_INFINITY, f32::max);
            (1.0 - self.how.alpha) * probability - self.how.alpha * alike
        });
        let best = scores.enumerate().fold(
            (0, f32::NEG_INFINITY),
            |best, (at, score)| {
                if score > best.1 { (at, score) } else { best }
            },
        );
        let (best, vocabulary) = (best.0, self.logits.len());
        let of_best = logits.get(best * vocabulary..(best + 1) * vocabulary);
        self.logits = numbers(of_best.ok_or_else(|| Error::internal("a step gave no logits"))?);
        self.context.extend_from_slice(&hidden[best * self.width..(best + 1) * self.width]);
        session.copy_slots(&vec![best; self.slots], position + 1).await?;
        Ok(candidates[best].0)
    }
}

/// Brings a vector to a length of 1.
fn unit(vector: &mut [f32]) {
    let length = dot(vector, vector).sqrt();
    vector.iter_mut().for_each(|x| *x /= length);
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The `k` likeliest tokens, likeliest first, of equal ones the lower first, with their probabilities.
fn likeliest(logits: &[f32], k: usize) -> Vec<(u32, f32)> {
    let sum = super::logits::log_sum_exp(logits);
    let mut ranked: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).collect();
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if k < ranked.len() {
        ranked.select_nth_unstable_by(k - 1, order);
        ranked.truncate(k);
    }
    ranked.sort_unstable_by(order);
    ranked.into_iter().map(|(id, logit)| (id, (f64::from(logit) - sum).exp() as f32)).collect()
}
