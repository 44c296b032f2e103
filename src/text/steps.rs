//! The steps of one generation on the device: what stands in the context, and what was asked for ahead of what was read.
//!
//! The device feeds each chosen token to the next step by itself, so steps are started before the ones before them were read; what was
//! computed past the end is forgotten.

use std::collections::VecDeque;

use futures_util::lock::OwnedMutexGuard;
use web_time::Instant;

use super::{
    Overflow, TextModel,
    contrastive::{Contrastive, Search},
    draft::{self, Draft, Drawn},
    guesses::{Pace, ran_before},
    guide::Guide,
    session::{Asked, Session, counts},
};
use crate::{
    Error, Result,
    backend::Pending,
    cancel::Cancel,
    graph::{Choice, Fate, Filter, SampleParams, Sampled, Scratch, preferred, sample, trace},
};

/// The tokens that a generation goes on from.
#[derive(Debug, Clone)]
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
    pub guide: Guide,
    pub overflow: Overflow,
    pub max_tokens: usize,
    /// Of each step, as the plans are compiled.
    pub alternatives: usize,
    /// How many of the last tokens the penalties look at.
    pub window: Option<usize>,
    /// How many of the likeliest tokens each step is traced for; `None` for no trace.
    pub traced: Option<usize>,
    /// How many tokens are guessed at once, where any are.
    pub pace: Option<Pace>,
    /// Who guesses them; what the text held before, where there is none.
    pub draft: Option<TextModel>,
    pub contrastive: Option<Contrastive>,
    /// Whether tokens that must come are not computed one by one.
    pub forces: bool,
    /// Tokens of the text that are there already, and those that are only to be told.
    pub asked: usize,
    pub ready: VecDeque<Chosen>,
}

/// A text to go on with, and how.
pub struct Todo {
    pub prompt: Prompt,
    pub options: StepOptions,
}

/// A token of the text.
pub struct Chosen {
    pub sampled: Sampled,
    pub trace: Option<Traced>,
    /// Nothing else could come, and the model was not asked.
    pub forced: bool,
}

/// The tokens that were traced, what became of each, and how many tokens each filter left.
pub type Traced = (Vec<(u32, Fate)>, Vec<(Filter, usize)>);

/// What became of the `most` likeliest tokens and of the one that was chosen.
pub fn traced(sample: &SampleParams, choice: Choice<'_>, sampled: &Sampled, most: usize) -> Traced {
    let mut ids: Vec<u32> = sampled.alternatives.iter().take(most).map(|(id, _)| *id).collect();
    if !ids.contains(&sampled.token) {
        ids.push(sampled.token);
    }
    let (fates, left) = trace(sample, choice, &ids);
    (ids.into_iter().zip(fates).collect(), left)
}

/// The model's turn, and the steps that nobody has read.
struct Turn {
    session: OwnedMutexGuard<Session>,
    in_flight: VecDeque<Pending>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.in_flight.is_empty() {
            self.session.ran_on();
        }
    }
}

/// Holds the model's turn from [`Steps::begin`] until it is dropped.
pub struct Steps {
    model: TextModel,
    turn: Turn,
    draft: Option<Draft>,
    cancel: Cancel,
    options: StepOptions,
    /// What an encoder reads first.
    read: Option<Vec<u32>>,
    /// The prompt and what came after it, as far as it is in the context.
    window: Vec<u32>,
    /// How many of its first tokens stay whatever is forgotten: BOS, or what a text begins with that another was read for.
    head: usize,
    /// Tokens asked of the device so far.
    asked: usize,
    /// How the step that was started last chooses.
    sample: SampleParams,
    /// Tokens that were guessed right, and the one that was chosen behind them, of which the caches hold all but the last; or tokens that are forced.
    ready: VecDeque<Chosen>,
    /// Whether the device does not know what was chosen last.
    is_behind: bool,
    scratch: Scratch,
    /// Where each token is one of several that were weighed, once the prompt is computed.
    search: Option<Search>,
    /// How many slots share the caches.
    slots: usize,
    /// Prompt tokens that were in the cache already; `None` before the prompt is computed.
    reused: Option<usize>,
    /// Tokens that were awaited with no step queued behind them.
    pub waits: usize,
}

impl Steps {
    /// Waits for the model's turn.
    ///
    /// Errors: `aborted`, `closed`; what the steps were to do is then `over`.
    pub async fn begin(model: TextModel, Todo { prompt, mut options }: Todo, cancel: Cancel) -> Result<Self> {
        let (session, draft) = draft::turns(&model, options.draft.take(), &cancel).await?;
        let slots = match options.contrastive {
            None => 1,
            Some(Contrastive { k, .. }) => session.slots(k).ok_or_else(|| {
                Error::bad_argument(format!(
                    "contrastive weighs {k} candidates, each in a share of the context, and that cannot be cut into so many; take fewer"
                ))
            })?,
        };
        let (asked, ready) = (options.asked, std::mem::take(&mut options.ready));
        Ok(Self {
            model,
            turn: Turn { session, in_flight: VecDeque::new() },
            draft,
            cancel,
            sample: options.sample,
            options,
            read: prompt.read,
            window: prompt.ids,
            head: prompt.head,
            asked,
            ready,
            is_behind: false,
            scratch: Scratch::default(),
            search: None,
            slots,
            reused: None,
            waits: 0,
        })
    }

    /// Brings the prompt into the caches.
    ///
    /// Errors: `context-overflow` where the prompt does not fit and may not slide, and the device's.
    pub async fn start(&mut self) -> Result<()> {
        let capacity = self.capacity();
        if let Some(read) = &self.read {
            self.model.check_fits(read.len())?;
            self.turn.session.read(read, &self.cancel).await?;
        }
        if self.window.len() > capacity {
            match self.options.overflow {
                Overflow::Slide => self.slide(),
                Overflow::Error => {
                    let share = if self.slots > 1 { " for each of contrastive's candidates" } else { "" };
                    return Err(Error::context_overflow(format!(
                        "the prompt has {} tokens, but the model's context holds {capacity}{share}; shorten it by {}, or pass overflow: \"slide\"",
                        self.window.len(),
                        self.window.len() - capacity
                    )));
                }
            }
        }
        if self.options.contrastive.is_some() {
            return self.begin_search().await;
        }
        self.force()?;
        if self.ready.is_empty() {
            self.prefill().await?;
        }
        Ok(())
    }

    /// Tokens that the context has room for.
    fn capacity(&self) -> usize {
        self.turn.session.capacity() / self.slots
    }

    /// What is still to be done, for the same model on another device: behind `told` tokens of the text, those that are ready, and all that is to be
    /// computed anew. A draft model that was lost too guesses no more.
    pub fn into_rest(self, told: usize) -> Todo {
        let asked = told + self.ready.len();
        let prompt = Prompt { read: self.read, ids: self.window, head: self.head, begins: false };
        let pace = self.options.pace.filter(|_| self.draft.is_none());
        Todo { prompt, options: StepOptions { asked, ready: self.ready, pace, ..self.options } }
    }

    /// Prompt tokens that were in the cache already.
    pub fn reused(&self) -> usize {
        self.reused.unwrap_or(0)
    }

    /// Whether the text is what it is held to, and nothing may come after it.
    pub fn is_complete(&self) -> bool {
        self.ready.is_empty() && self.options.guide.is_complete()
    }

    /// The next token that the device chose, or that had to come; `None` where the context is full, or the text complete.
    pub async fn next(&mut self) -> Result<Option<Chosen>> {
        if self.ready.is_empty() && self.turn.in_flight.is_empty() {
            self.look_ahead().await?;
            self.force()?;
        }
        if let Some(chosen) = self.ready.pop_front() {
            return Ok(Some(chosen));
        }
        if self.options.contrastive.is_some() {
            return self.weigh().await;
        }
        if self.is_complete() {
            return Ok(None);
        }
        let begun = Instant::now();
        self.keep_in_flight().await?;
        let Some(pending) = self.turn.in_flight.pop_front() else { return Ok(None) };
        if self.turn.in_flight.is_empty() && self.model.device.steps_in_flight() > 1 {
            self.waits += 1;
        }
        let outputs = self.cancel.race(pending).await?;
        if let Some(pace) = self.options.pace.as_mut().filter(|_| self.asked > 1) {
            pace.went_alone(begun.elapsed());
        }
        let sampled = outputs.first().and_then(|words| Sampled::from_words(words));
        let sampled = sampled.ok_or_else(|| Error::internal("a step gave no token"))?;
        let trace = match (self.options.traced, outputs.get(1)) {
            (Some(most), Some(logits)) => {
                let seen = counts(self.counted(), logits.len());
                let bias = self.options.guide.last_bias();
                let choice = Choice { logits: bytemuck::cast_slice(logits), seen: &seen, bias };
                Some(traced(&self.sample, choice, &sampled, most))
            }
            _ => None,
        };
        self.options.guide.took(&sampled, self.model.tokenizer())?;
        // Whatever was chosen before now stands in the cache.
        if let Some(previous) = self.window.last()
            && self.turn.session.cached().len() + 1 == self.window.len()
        {
            self.turn.session.remember(*previous);
        }
        Ok(Some(Chosen { sampled, trace, forced: false }))
    }

    /// Makes ready what must come next. Where each step is to be told of, all are computed.
    fn force(&mut self) -> Result<()> {
        let options = &mut self.options;
        if !self.ready.is_empty() || !options.forces {
            return Ok(());
        }
        let left = options.max_tokens.saturating_sub(self.asked);
        let room = left.min(self.turn.session.capacity().saturating_sub(self.window.len()));
        let tokenizer = self.model.tokenizer();
        for token in options.guide.forced(tokenizer, self.window.last().copied(), room)? {
            let sampled = Sampled { token, logprob: 0.0, drawn_logprob: 0.0, alternatives: vec![] };
            options.guide.took(&sampled, tokenizer)?;
            self.asked += 1;
            self.ready.push_back(Chosen { sampled, trace: None, forced: true });
        }
        Ok(())
    }

    /// The tokens that penalties look at.
    fn counted(&self) -> &[u32] {
        let counted = self.options.window.unwrap_or(self.window.len()).min(self.window.len());
        &self.window[self.window.len() - counted..]
    }

    /// How many of the tokens that were guessed were right.
    pub fn guesses(&self) -> Option<(usize, usize)> {
        self.options.pace.as_ref().map(|pace| (pace.drafted, pace.accepted))
    }

    /// Guesses what comes next, if there is anything to guess, and makes ready what the sampler chooses of it and behind it.
    async fn look_ahead(&mut self) -> Result<()> {
        let Some(pace) = &self.options.pace else { return Ok(()) };
        let Some(position) = self.window.len().checked_sub(1) else { return Ok(()) };
        // A row for the token before, and a token behind the guesses.
        let left = self.options.max_tokens.saturating_sub(self.asked + 1);
        let room = left.min(self.turn.session.capacity().saturating_sub(position + 1));
        let size = pace.size(self.asked, room);
        // Prompts are brought there by a step of their own.
        if size == 0 || self.reused.is_none() || self.turn.session.cached().len() < position {
            return Ok(());
        }
        self.model.check_open()?;
        self.turn.session.ready_ahead(size + 1).await?;
        let begun = Instant::now();
        let guessed = match &mut self.draft {
            Some(draft) => {
                let bias = self.options.guide.bias(self.asked, &self.window)?;
                let sample = SampleParams { step: self.asked as u32, ..self.options.sample };
                let drawn = Drawn { sample, window: self.options.window, bias };
                draft.guess(&self.window, size, &drawn, &self.cancel).await?
            }
            None => ran_before(&self.window, size),
        };
        if guessed.is_empty() || self.turn.session.outgrown_by(position + 1 + guessed.len()) {
            return Ok(());
        }
        let ids: Vec<u32> = self.window.last().copied().into_iter().chain(guessed.iter().copied()).collect();
        let logits = self.turn.session.look_ahead(&ids, position);
        let logits = self.cancel.race(logits).await?;
        let vocabulary = logits.len() / ids.len();
        let mut text = std::mem::take(&mut self.window);
        let written = text.len();
        for (row, logits) in logits.chunks_exact(vocabulary.max(1)).enumerate() {
            let counted = self.options.window.unwrap_or(text.len()).min(text.len());
            let seen = counts(&text[text.len() - counted..], vocabulary);
            let guide = &mut self.options.guide;
            let bias = match guide.bias(self.asked, &text)? {
                [] => vec![0.0; vocabulary],
                bias => bias.to_vec(),
            };
            let params = SampleParams { step: self.asked as u32, ..self.options.sample };
            self.asked += 1;
            let choice = Choice { logits: bytemuck::cast_slice(logits), seen: &seen, bias: &bias };
            let sampled = sample(&params, choice, self.options.alternatives, &mut self.scratch);
            let token = sampled.token;
            self.ready.push_back(Chosen { sampled, trace: None, forced: false });
            if guessed.get(row) != Some(&token) || self.model.tokenizer().is_end(token) {
                break;
            }
            text.push(token);
        }
        let accepted = text.len() - written;
        // The caches hold the token before and the guesses that were right.
        let known = self.turn.session.cached().len();
        text.iter().skip(known).for_each(|token| self.turn.session.remember(*token));
        text.truncate(written);
        self.window = text;
        self.is_behind = true;
        let asked = self.asked;
        if let Some(pace) = &mut self.options.pace {
            pace.went_guessing(guessed.len(), accepted, begun.elapsed(), asked);
        }
        Ok(())
    }

    /// `token` is part of the text.
    pub fn keep(&mut self, token: u32) {
        self.window.push(token);
    }

    /// Lets the page breathe between two steps where they run on its thread.
    pub async fn give_way(&mut self) {
        self.turn.session.give_way().await;
    }

    /// After a failure nobody knows what the caches hold.
    pub fn forget(&mut self) {
        self.turn.session.forget();
        if let Some(draft) = &mut self.draft {
            draft.forget();
        }
    }

    /// Brings the window into the caches; the step that ends it chooses the next token.
    async fn prefill(&mut self) -> Result<()> {
        self.model.check_open()?;
        let asked = self.ask(None)?;
        self.is_behind = false;
        let (pending, reused) = self.turn.session.prefill(&self.window, &asked, &self.cancel).await?;
        self.turn.in_flight.push_back(pending);
        self.reused.get_or_insert(reused);
        Ok(())
    }

    /// What the next step is asked; `leaving` is the token that the penalties see no longer.
    fn ask(&mut self, leaving: Option<u32>) -> Result<Asked<'static>> {
        let options = &mut self.options;
        self.turn.session.write_bias(options.guide.bias(self.asked, &self.window)?)?;
        let leaving = leaving.unwrap_or(SampleParams::NOTHING);
        let sample = options.guide.sample(SampleParams { step: self.asked as u32, leaving, ..options.sample });
        self.sample = sample;
        self.asked += 1;
        let outputs: &[&str] = if options.traced.is_some() { &["sampled", "logits"] } else { &["sampled"] };
        Ok(Asked { sample, alternatives: options.alternatives, outputs, window: options.window, ahead: 0 })
    }

    /// How many steps may be on their way at once: one where the next depends on what the last one gave.
    fn most_in_flight(&self) -> usize {
        if self.options.guide.waits() || self.options.traced.is_some() || self.options.pace.is_some() {
            return 1;
        }
        // What leaves the penalties' window has been read by then.
        self.model.device.steps_in_flight().min(self.options.window.unwrap_or(usize::MAX)).max(1)
    }

    /// Starts steps ahead of the one that is read next, as far as the context and the count of tokens allow.
    async fn keep_in_flight(&mut self) -> Result<()> {
        let most = self.most_in_flight();
        let capacity = self.turn.session.capacity();
        while self.turn.in_flight.len() < most && self.asked < self.options.max_tokens {
            self.model.check_open()?;
            // The step in front of the queue has put nothing of its own choice into the cache yet: with n steps in flight
            // after a window of w tokens, the next one writes row w + n - 1.
            let position = self.window.len() + self.turn.in_flight.len();
            let Some(position) = position.checked_sub(1) else { break };
            if position >= capacity {
                if !self.turn.in_flight.is_empty() || self.options.overflow == Overflow::Error {
                    break;
                }
                self.slide();
                self.turn.session.forget_behind(self.head);
                self.prefill().await?;
                continue;
            }
            // What the caches hold before the prompt is brought there is another text's.
            let is_behind =
                self.reused.is_none() || self.turn.session.cached().len() < position && self.turn.in_flight.is_empty();
            if self.turn.session.outgrown_by(position + 1) || is_behind {
                // The text is computed anew, or what was forced of it at all, and all of it must be known.
                if !self.turn.in_flight.is_empty() {
                    break;
                }
                self.prefill().await?;
                continue;
            }
            let mut leaving =
                self.options.window.and_then(|window| self.window.get(position.checked_sub(window)?).copied());
            if std::mem::take(&mut self.is_behind) {
                self.turn.session.write_last(self.counted())?;
                leaving = None;
            }
            let asked = self.ask(leaving)?;
            self.turn.in_flight.push_back(self.turn.session.decode(position, &asked).await?);
        }
        Ok(())
    }

    /// Brings the window into every slot.
    async fn begin_search(&mut self) -> Result<()> {
        self.model.check_open()?;
        let Some(how) = self.options.contrastive else { return Ok(()) };
        let ahead = self.options.max_tokens.saturating_sub(self.asked);
        let session = &mut self.turn.session;
        let search = Search::begin(session, how, self.slots, &self.window, ahead, &self.cancel).await?;
        self.search = Some(search);
        self.reused.get_or_insert(0);
        Ok(())
    }

    /// The next token of a contrastive search; `None` where the context is full.
    async fn weigh(&mut self) -> Result<Option<Chosen>> {
        self.model.check_open()?;
        if self.window.len() >= self.capacity() {
            if self.options.overflow == Overflow::Error {
                return Ok(None);
            }
            self.slide();
            self.begin_search().await?;
        }
        let Some(search) = &mut self.search else { return Err(Error::internal("a search that was not begun")) };
        let logits = search.logits().to_vec();
        let counted = self.options.window.unwrap_or(self.window.len()).min(self.window.len());
        let seen = counts(&self.window[self.window.len() - counted..], logits.len());
        let bias = self.options.guide.bias(self.asked, &self.window)?;
        let choice = Choice { logits: &logits, seen: &seen, bias };
        let how = SampleParams { temperature: 0.0, ..self.options.sample };
        let mut sampled = sample(&how, choice, self.options.alternatives, &mut self.scratch);
        let position = self.window.len();
        let chosen = search.step(&mut self.turn.session, &preferred(&how, choice), position, &self.cancel).await?;
        let logit = |token: u32| logits.get(token as usize).copied().unwrap_or(f32::NAN);
        sampled.logprob += logit(chosen) - logit(sampled.token);
        sampled.token = chosen;
        self.turn.session.remember(chosen);
        self.options.guide.took(&sampled, self.model.tokenizer())?;
        self.asked += 1;
        Ok(Some(Chosen { sampled, trace: None, forced: false }))
    }

    /// Forgets the older half of what the context could hold, all but its head.
    fn slide(&mut self) {
        let capacity = self.capacity();
        let kept = (capacity / 2).max(1).min(self.window.len());
        let head = if kept + self.head > capacity { 0 } else { self.head.min(self.window.len() - kept) };
        self.window.drain(head..self.window.len() - kept);
    }
}
