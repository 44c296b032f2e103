//! The steps of one generation on the device: what stands in the context, and what was asked for ahead of what was read.
//!
//! The device feeds each chosen token to the next step by itself, so steps are started before the ones before them were read; what was
//! computed past the end is forgotten.

use std::collections::VecDeque;

use futures_util::lock::OwnedMutexGuard;

use super::{Overflow, TextModel, session::Session};
use crate::{
    Error, ErrorCode, Result,
    backend::Pending,
    cancel::Cancel,
    graph::{SampleParams, Sampled},
};

/// The tokens that a generation goes on from.
pub struct Prompt {
    /// What an encoder reads first, where the model has one.
    pub read: Option<Vec<u32>>,
    pub ids: Vec<u32>,
    /// How many of them, from the first on, stay where the context slides.
    pub head: usize,
    /// The text begins with the generation: nothing but BOS stands before it, or a frame that asks for an answer.
    pub begins: bool,
}

/// What of a generation's options the steps need.
pub struct StepOptions {
    pub sample: SampleParams,
    pub overflow: Overflow,
    pub max_tokens: usize,
    /// Of each step, as the plans are compiled.
    pub alternatives: usize,
}

/// Holds the model's turn from [`Steps::begin`] until it is dropped.
pub struct Steps {
    model: TextModel,
    session: OwnedMutexGuard<Session>,
    cancel: Cancel,
    options: StepOptions,
    /// The prompt and what came after it, as far as it is in the context.
    window: Vec<u32>,
    /// How many of its first tokens stay whatever is forgotten: BOS, or what a text begins with that another was read for.
    head: usize,
    /// Tokens asked of the device so far.
    asked: usize,
    in_flight: VecDeque<Pending>,
    /// Prompt tokens that were in the cache already.
    pub reused: usize,
    /// Tokens that were awaited with no step queued behind them.
    pub waits: usize,
}

impl Steps {
    /// Waits for the model's turn and brings the prompt into its caches.
    ///
    /// Errors: `context-overflow` where the prompt does not fit and may not slide, `aborted`, `closed`.
    pub async fn begin(model: TextModel, prompt: Prompt, options: StepOptions, cancel: Cancel) -> Result<Self> {
        let mut session = model.turn(&cancel).await?;
        let capacity = session.capacity();
        if let Some(read) = &prompt.read {
            model.check_fits(read.len())?;
            session.read(read, &cancel).await?;
        }
        let mut steps = Self {
            model,
            session,
            cancel,
            options,
            window: prompt.ids,
            head: prompt.head,
            asked: 0,
            in_flight: VecDeque::new(),
            reused: 0,
            waits: 0,
        };
        if steps.window.len() > capacity {
            match steps.options.overflow {
                Overflow::Slide => steps.slide(),
                Overflow::Error => {
                    return Err(Error::context_overflow(format!(
                        "the prompt has {} tokens, but the model's context holds {capacity}; shorten it by {}, or pass overflow: \"slide\"",
                        steps.window.len(),
                        steps.window.len() - capacity
                    )));
                }
            }
        }
        match steps.prefill().await {
            Ok(reused) => steps.reused = reused,
            Err(error) => {
                if error.code() != ErrorCode::Aborted {
                    steps.forget();
                }
                return Err(error);
            }
        }
        Ok(steps)
    }

    /// The next token that the device chose; `None` where the context is full.
    pub async fn next(&mut self) -> Result<Option<Sampled>> {
        self.keep_in_flight().await?;
        let Some(pending) = self.in_flight.pop_front() else { return Ok(None) };
        if self.in_flight.is_empty() && self.model.device.steps_in_flight() > 1 {
            self.waits += 1;
        }
        let outputs = self.cancel.race(pending).await?;
        let sampled = outputs.first().and_then(|words| Sampled::from_words(words));
        let sampled = sampled.ok_or_else(|| Error::internal("a step gave no token"))?;
        // Whatever was chosen before now stands in the cache.
        if let Some(previous) = self.window.last()
            && self.session.cached().len() + 1 == self.window.len()
        {
            self.session.remember(*previous);
        }
        Ok(Some(sampled))
    }

    /// `token` is part of the text.
    pub fn keep(&mut self, token: u32) {
        self.window.push(token);
    }

    /// Lets the page breathe between two steps where they run on its thread.
    pub async fn give_way(&mut self) {
        self.session.give_way().await;
    }

    /// After a failure nobody knows what the caches hold.
    pub fn forget(&mut self) {
        self.session.forget();
    }

    /// Brings the window into the caches; the step that ends it chooses the next token.
    async fn prefill(&mut self) -> Result<usize> {
        self.model.check_open()?;
        let sample = self.next_sample();
        let (alternatives, cancel) = (self.options.alternatives, &self.cancel);
        let prefilled = self.session.prefill(&self.window, sample, alternatives, "sampled", cancel).await;
        let (pending, reused) = prefilled?;
        self.in_flight.push_back(pending);
        Ok(reused)
    }

    fn next_sample(&mut self) -> SampleParams {
        let sample = SampleParams { step: self.asked as u32, ..self.options.sample };
        self.asked += 1;
        sample
    }

    /// Starts steps ahead of the one that is read next, as far as the context and the count of tokens allow.
    async fn keep_in_flight(&mut self) -> Result<()> {
        let most = self.model.device.steps_in_flight().max(1);
        let capacity = self.session.capacity();
        while self.in_flight.len() < most && self.asked < self.options.max_tokens {
            self.model.check_open()?;
            // The step in front of the queue has put nothing of its own choice into the cache yet: with n steps in flight
            // after a window of w tokens, the next one writes row w + n - 1.
            let position = self.window.len() + self.in_flight.len();
            let Some(position) = position.checked_sub(1) else { break };
            if position >= capacity {
                if !self.in_flight.is_empty() || self.options.overflow == Overflow::Error {
                    break;
                }
                self.slide();
                self.prefill().await?;
                continue;
            }
            let sample = self.next_sample();
            let pending = self.session.decode(position, sample, self.options.alternatives).await?;
            self.in_flight.push_back(pending);
        }
        Ok(())
    }

    /// Forgets the older half of what the context could hold, all but its head.
    fn slide(&mut self) {
        let capacity = self.session.capacity();
        let kept = (capacity / 2).max(1).min(self.window.len());
        let head = if kept + self.head > capacity { 0 } else { self.head.min(self.window.len() - kept) };
        self.window.drain(head..self.window.len() - kept);
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if !self.in_flight.is_empty() {
            self.session.ran_on();
        }
    }
}
