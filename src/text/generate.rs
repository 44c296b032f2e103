//! The generation loop: prompt in, tokens out as they come, several steps ahead of what was read.
//!
//! The device feeds each chosen token to the next step by itself, so steps are started before the ones before them were read;
//! what was computed past the end of a generation is forgotten. A [`Generation`] holds its model until it is dropped or has
//! ended: another call on the model waits its turn, so caches are never written by two.

use std::{collections::VecDeque, rc::Rc};

use futures_util::lock::OwnedMutexGuard;
use serde::Serialize;
use web_time::Instant;

use super::{
    Detokenizer, GenerateOptions, Overflow, StopMatcher,
    loaded::{GenerationStats, Inner},
    session::Session,
};
use crate::{
    Error, Result,
    backend::Pending,
    cancel::Cancel,
    graph::{SampleParams, Sampled},
};

/// A token that the model knows, what it says, and how likely it was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    pub token: u32,
    pub text: String,
    /// Natural logarithm of the model's own probability, before temperature and filters.
    pub logprob: f32,
}

/// A step of a generation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TokenEvent {
    /// What can be shown now. Empty while characters or a possible stop string are incomplete.
    pub text: String,
    /// `None` for the text that the end sets free.
    pub token: Option<u32>,
    /// What the token itself says; see [`Candidate::logprob`] for the number.
    pub piece: String,
    pub logprob: Option<f32>,
    /// The likeliest tokens in this place, likeliest first.
    pub alternatives: Vec<Candidate>,
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EndReason {
    /// The model ended the text.
    Eos,
    /// A stop string was met.
    Stop,
    /// `max_tokens` were generated.
    Length,
    /// The context is full.
    Context,
    /// The caller's signal fired.
    Aborted,
}

/// A running generation: pull it with [`Generation::next`].
pub struct Generation {
    model: Rc<Inner>,
    guard: Option<OwnedMutexGuard<Session>>,
    cancel: Cancel,
    overflow: Overflow,
    sample: SampleParams,
    max_tokens: usize,
    shown_alternatives: usize,
    alternatives: usize,
    detokenizer: Detokenizer,
    stop: StopMatcher,
    /// The prompt and what came after it, as far as it is in the context.
    window: Vec<u32>,
    /// Tokens asked of the device so far.
    asked: usize,
    in_flight: VecDeque<Pending>,
    begun: Option<Instant>,
    first_token: Option<Instant>,
    stats: GenerationStats,
    tail: Option<TokenEvent>,
    end: Option<EndReason>,
}

impl Generation {
    pub(super) fn new(model: Rc<Inner>, prompt: Prompt, options: GenerateOptions, seed: u32, cancel: Cancel) -> Self {
        let alternatives = model.compiled_alternatives(options.alternatives);
        let stats = GenerationStats { prompt_tokens: prompt.ids.len(), seed, ..GenerationStats::default() };
        Self {
            guard: None,
            cancel,
            overflow: options.overflow,
            sample: options.sample_params(seed),
            max_tokens: options.max_tokens,
            shown_alternatives: options.alternatives,
            alternatives,
            detokenizer: model.tokenizer.detokenizer(prompt.begins),
            stop: StopMatcher::new(options.stop),
            window: prompt.ids,
            asked: 0,
            in_flight: VecDeque::new(),
            begun: None,
            first_token: None,
            stats,
            tail: None,
            end: None,
            model,
        }
    }

    /// The seed, given or drawn: the same seed gives the same text.
    pub fn seed(&self) -> u32 {
        self.stats.seed
    }

    /// Why it ended; `None` while it runs.
    pub fn end_reason(&self) -> Option<EndReason> {
        self.end
    }

    /// What it took so far.
    pub fn stats(&self) -> GenerationStats {
        self.stats
    }

    /// The next token, or `None` once the generation has ended; [`Self::end_reason`] then says why.
    ///
    /// Errors: `context-overflow` where the prompt does not fit, `closed` where the model was closed meanwhile, and whatever the
    /// device says. After an error the generation is over; the model goes on.
    pub async fn next(&mut self) -> Result<Option<TokenEvent>> {
        if let Some(tail) = self.tail.take() {
            return Ok(Some(tail));
        }
        if self.end.is_some() {
            return Ok(None);
        }
        let outcome = self.advance().await;
        match outcome {
            Ok(event) => Ok(event.or_else(|| self.tail.take())),
            Err(error) if error.code() == crate::ErrorCode::Aborted => {
                self.finish(EndReason::Aborted);
                Ok(self.tail.take())
            }
            Err(error) => {
                if let Some(session) = &mut self.guard {
                    session.forget();
                }
                self.finish(EndReason::Aborted);
                self.tail = None;
                Err(error)
            }
        }
    }

    /// Runs to the end and gives back the whole text.
    pub async fn text(&mut self) -> Result<String> {
        let mut text = String::new();
        while let Some(event) = self.next().await? {
            text.push_str(&event.text);
        }
        Ok(text)
    }

    async fn advance(&mut self) -> Result<Option<TokenEvent>> {
        self.cancel.check()?;
        if self.begun.is_none() {
            self.begin().await?;
        }
        self.keep_in_flight().await?;
        let Some(pending) = self.in_flight.pop_front() else {
            self.finish(EndReason::Context);
            return Ok(None);
        };
        if self.in_flight.is_empty() && self.model.device.steps_in_flight() > 1 {
            self.stats.waits += 1;
        }
        let outputs = self.cancel.race(pending).await?;
        let sampled = outputs.first().and_then(|words| Sampled::from_words(words));
        let sampled = sampled.ok_or_else(|| Error::internal("a step gave no token"))?;
        let event = self.accept(sampled)?;
        if let Some(session) = &mut self.guard {
            session.give_way().await;
        }
        Ok(event)
    }

    async fn begin(&mut self) -> Result<()> {
        self.begun = Some(Instant::now());
        let session = self.model.session.clone();
        let guard = self.cancel.race(async { Ok(session.lock_owned().await) }).await?;
        self.model.check_open()?;
        let capacity = guard.capacity();
        self.guard = Some(guard);
        if self.window.len() > capacity {
            match self.overflow {
                Overflow::Slide => self.slide(),
                Overflow::Error => {
                    return Err(Error::context_overflow(format!(
                        "the prompt has {} tokens, but the model's context holds {capacity}; shorten it by {}, or pass overflow: \"slide\"",
                        self.window.len(),
                        self.window.len() - capacity
                    )));
                }
            }
        }
        self.stats.reused_tokens = self.prefill().await?;
        Ok(())
    }

    fn session(&mut self) -> Result<&mut Session> {
        self.model.check_open()?;
        self.guard.as_deref_mut().ok_or_else(|| Error::internal("a generation runs without its model"))
    }

    /// Brings the window into the caches; the step that ends it chooses the next token.
    async fn prefill(&mut self) -> Result<usize> {
        let sample = self.next_sample();
        let (alternatives, cancel) = (self.alternatives, self.cancel.clone());
        let window = std::mem::take(&mut self.window);
        let outcome = match self.session() {
            Ok(session) => session.prefill(&window, sample, alternatives, "sampled", &cancel).await,
            Err(error) => Err(error),
        };
        self.window = window;
        let (pending, reused) = outcome?;
        self.in_flight.push_back(pending);
        Ok(reused)
    }

    fn next_sample(&mut self) -> SampleParams {
        let sample = SampleParams { step: self.asked as u32, ..self.sample };
        self.asked += 1;
        sample
    }

    /// Starts steps ahead of the one that is read next, as far as the context and the count of tokens allow.
    async fn keep_in_flight(&mut self) -> Result<()> {
        let most = self.model.device.steps_in_flight().max(1);
        while self.in_flight.len() < most && self.asked < self.max_tokens {
            // The step in front of the queue has put nothing of its own choice into the cache yet: with n steps in flight
            // after a window of w tokens, the next one writes row w + n - 1.
            let position = self.window.len() + self.in_flight.len();
            let Some(position) = position.checked_sub(1) else { break };
            let capacity = self.session()?.capacity();
            if position >= capacity {
                if !self.in_flight.is_empty() || self.overflow == Overflow::Error {
                    break;
                }
                self.slide();
                self.prefill().await?;
                continue;
            }
            let sample = self.next_sample();
            let alternatives = self.alternatives;
            let pending = self.session()?.decode(position, sample, alternatives).await?;
            self.in_flight.push_back(pending);
        }
        Ok(())
    }

    /// Forgets the older half of what the context could hold, all but BOS.
    fn slide(&mut self) {
        let capacity = self.guard.as_ref().map_or(1, |session| session.capacity());
        let bos = self.model.tokenizer.special().bos.filter(|bos| self.window.first() == Some(bos));
        let kept = (capacity / 2).max(1).min(self.window.len());
        let mut window: Vec<u32> = bos.into_iter().collect();
        if kept + window.len() > capacity {
            window.clear();
        }
        window.extend_from_slice(&self.window[self.window.len() - kept..]);
        self.window = window;
    }

    fn accept(&mut self, sampled: Sampled) -> Result<Option<TokenEvent>> {
        let now = Instant::now();
        self.count(now);
        let tokenizer = self.model.tokenizer.clone();
        // Whatever was chosen before now stands in the cache.
        let row = self.window.len();
        let previous = self.window.last().copied();
        if let (Some(session), Some(previous)) = (&mut self.guard, previous)
            && session.cached().len() + 1 == row
        {
            session.remember(previous);
        }
        let mark = tokenizer.is_hidden(sampled.token).then(|| tokenizer.token_text(sampled.token).unwrap_or_default());
        if tokenizer.is_end(sampled.token) {
            self.stats.generated_tokens -= 1;
            // A stop string may begin before the mark: what stands there is not part of the text.
            let text = mark.map(|mark| self.stop.push_mark(&mark)).unwrap_or_default();
            self.finish_with(text, EndReason::Eos);
            return Ok(None);
        }
        self.window.push(sampled.token);
        let text = match mark {
            Some(mark) => self.stop.push_mark(&mark),
            None => self.stop.push(&self.detokenizer.push(sampled.token)),
        };
        let candidate = |(token, logprob): &(u32, f32)| Candidate {
            token: *token,
            text: tokenizer.token_text(*token).unwrap_or_default(),
            logprob: *logprob,
        };
        let event = TokenEvent {
            text,
            token: Some(sampled.token),
            piece: tokenizer.token_text(sampled.token).unwrap_or_default(),
            logprob: Some(sampled.logprob),
            alternatives: sampled.alternatives.iter().take(self.shown_alternatives).map(candidate).collect(),
        };
        if self.stop.stopped() {
            self.finish(EndReason::Stop);
        } else if self.stats.generated_tokens >= self.max_tokens {
            self.finish(EndReason::Length);
        }
        Ok(Some(event))
    }

    fn count(&mut self, now: Instant) {
        self.stats.generated_tokens += 1;
        let Some(begun) = self.begun else { return };
        let first = *self.first_token.get_or_insert(now);
        let to_first = first.duration_since(begun).as_secs_f64();
        let computed = self.stats.prompt_tokens.saturating_sub(self.stats.reused_tokens);
        self.stats.first_token_ms = to_first * 1e3;
        self.stats.prefill_tokens_per_second = rate(computed, to_first);
        let after = now.duration_since(first).as_secs_f64();
        self.stats.decode_tokens_per_second = rate(self.stats.generated_tokens - 1, after);
    }

    /// Steps that are still in flight go on to write rows past the text; the next call's writes come after theirs.
    fn finish(&mut self, reason: EndReason) {
        self.finish_with(String::new(), reason);
    }

    /// The same, with text that is still to be shown.
    fn finish_with(&mut self, mut text: String, reason: EndReason) {
        self.in_flight.clear();
        self.guard = None;
        self.end = Some(reason);
        text.push_str(&self.stop.push(&self.detokenizer.finish()));
        text.push_str(&self.stop.finish());
        if !text.is_empty() {
            self.tail =
                Some(TokenEvent { text, token: None, piece: String::new(), logprob: None, alternatives: vec![] });
        }
        self.model.record(self.stats);
    }
}

fn rate(count: usize, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

/// The tokens that a generation goes on from.
pub(super) struct Prompt {
    pub ids: Vec<u32>,
    /// The text begins with the generation: nothing but BOS stands before it, or a frame that asks for an answer.
    pub begins: bool,
}
