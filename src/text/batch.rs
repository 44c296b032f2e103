//! Texts that are written at once: the prompt is computed once, each text has a slot of the caches, and one step gives a row of logits for each, of which
//! the page chooses its next token.

use futures_util::lock::OwnedMutexGuard;

use super::{
    EndReason, GenerateOptions, TextModel, TokenEvent,
    generate::Words,
    guide::Guide,
    session::{Asked, Session, counts},
    steps::{Chosen, Prompt, traced},
};
use crate::{
    Error, Result,
    cancel::Cancel,
    graph::{Choice, SampleParams, Scratch, sample},
};

/// What a step did to one of the texts.
pub struct Told {
    /// Its number among all.
    pub at: usize,
    pub events: Vec<TokenEvent>,
    /// Whether it has a token more.
    pub generated: bool,
    pub end: Option<EndReason>,
}

/// A text in its slot.
struct Text {
    guide: Guide,
    words: Words,
    sample: SampleParams,
    /// Behind the prompt.
    tokens: Vec<u32>,
    is_over: bool,
}

pub struct Batch {
    model: TextModel,
    cancel: Cancel,
    prompt: Prompt,
    /// The number of the first text, and one for each slot that is used.
    first: usize,
    texts: Vec<Text>,
    slots: usize,
    max_tokens: usize,
    alternatives: usize,
    traced: Option<usize>,
    /// How many of the last tokens the penalties look at.
    window: Option<usize>,
    /// Held from the first step to the last.
    turn: Option<OwnedMutexGuard<Session>>,
    /// Tokens that were chosen for each text that goes on.
    length: usize,
    /// Prompt tokens that were in the cache already.
    reused: Option<usize>,
    scratch: Scratch,
}

impl Batch {
    /// Of texts that have room in so many slots, all of them with these options.
    pub fn new(
        model: TextModel,
        prompt: Prompt,
        options: &GenerateOptions,
        first: usize,
        seeds: &[u32],
        slots: usize,
        cancel: Cancel,
    ) -> Self {
        let text = |seed: &u32| Text {
            guide: Guide::new(options, model.tokenizer(), model.info().vocabulary),
            words: Words::new(&model, prompt.begins, options),
            sample: options.sample_params(*seed),
            tokens: vec![],
            is_over: false,
        };
        let traced = options.traced();
        Self {
            texts: seeds.iter().map(text).collect(),
            max_tokens: model.most_tokens(options),
            alternatives: options.alternatives.max(traced.unwrap_or(0)),
            traced,
            window: options.penalty_window,
            turn: None,
            length: 0,
            reused: None,
            scratch: Scratch::default(),
            model,
            cancel,
            prompt,
            first,
            slots,
        }
    }

    pub fn is_over(&self) -> bool {
        self.texts.iter().all(|text| text.is_over)
    }

    /// Prompt tokens that were in the cache already.
    pub fn reused(&self) -> usize {
        self.reused.unwrap_or(0)
    }

    /// Gives the turn back, and keeps what was written.
    pub fn pause(&mut self) {
        self.turn = None;
    }

    pub fn move_to(&mut self, model: TextModel) {
        self.pause();
        self.model = model;
    }

    /// What was held back of the texts that are not over.
    pub fn rest(&mut self) -> Vec<(usize, TokenEvent)> {
        let going_on = self.texts.iter_mut().enumerate().filter(|(_, text)| !text.is_over);
        going_on.filter_map(|(at, text)| Some((self.first + at, TokenEvent::of_end(text.words.rest())?))).collect()
    }

    /// A token more of each text that goes on.
    ///
    /// Errors: `aborted`, `closed`, and the device's.
    pub async fn step(&mut self) -> Result<Vec<Told>> {
        let logits = match self.compute().await {
            Ok(logits) => logits,
            Err(error) => {
                // After a failure nobody knows what the caches hold.
                if let Some(session) = self.turn.as_mut().filter(|_| !self.cancel.is_cancelled()) {
                    session.forget();
                }
                return Err(error);
            }
        };
        let vocabulary = self.model.info().vocabulary;
        let mut told = vec![];
        for (row, at) in self.rows().into_iter().enumerate() {
            if self.texts[at].is_over {
                continue;
            }
            // What stands behind the prompt is the same for all.
            let row = if self.length == 0 { 0 } else { row };
            let logits = logits.get(row * vocabulary..(row + 1) * vocabulary);
            let logits = logits.ok_or_else(|| Error::internal("a step gave no logits"))?;
            told.push(self.choose(at, bytemuck::cast_slice(logits))?);
        }
        self.length += 1;
        if self.is_over() {
            self.turn = None;
        } else if let Some(session) = &mut self.turn {
            session.give_way().await;
        }
        Ok(told)
    }

    /// The next token of a text.
    fn choose(&mut self, at: usize, logits: &[f32]) -> Result<Told> {
        let Self { prompt, window, alternatives, traced: most, scratch, .. } = self;
        let text = &mut self.texts[at];
        let written: Vec<u32> = prompt.ids.iter().chain(&text.tokens).copied().collect();
        let counted = window.unwrap_or(written.len()).min(written.len());
        let seen = match text.sample.has_penalties() {
            true => counts(&written[written.len() - counted..], logits.len()),
            false => vec![],
        };
        text.guide.bias(text.tokens.len(), &written)?;
        let step = text.tokens.len() as u32;
        let how = text.guide.sample(SampleParams { step, ..text.sample });
        let choice = Choice { logits, seen: &seen, bias: text.guide.last_bias() };
        let sampled = sample(&how, choice, *alternatives, scratch);
        let trace = most.map(|most| traced(&how, choice, &sampled, most));
        let tokenizer = self.model.tokenizer();
        text.guide.took(&sampled, tokenizer)?;
        let token = sampled.token;
        let (mut events, mut end) = (vec![], None);
        let mut rest = String::new();
        let generated = !tokenizer.is_end(token);
        if generated {
            text.tokens.push(token);
            events.push(text.words.say(&Chosen { sampled, trace, forced: false }));
            if text.words.stopped() {
                end = Some(EndReason::Stop);
            } else if text.tokens.len() >= self.max_tokens {
                end = Some(EndReason::Length);
            }
        } else {
            rest = text.words.end(token);
            end = Some(EndReason::Eos);
        }
        if end.is_some() {
            text.is_over = true;
            rest.push_str(&text.words.rest());
            events.extend(TokenEvent::of_end(rest));
        }
        Ok(Told { at: self.first + at, events, generated, end })
    }

    /// The texts that have a row of a step. Where each count of rows is compiled for itself those that are over go on to have theirs.
    fn rows(&self) -> Vec<usize> {
        let exact = self.model.device.exact_rows();
        (0..self.texts.len()).filter(|at| !exact || !self.texts[*at].is_over).collect()
    }

    /// Logits `[rows, vocabulary]` of the next token of each text that has a row, as their bits; `[1, vocabulary]` behind the prompt.
    async fn compute(&mut self) -> Result<Vec<u32>> {
        self.cancel.check()?;
        self.model.check_open()?;
        if self.turn.is_some() {
            return self.follow(self.length).await;
        }
        self.turn = Some(self.model.turn(&self.cancel).await?);
        let mut logits = self.prefill().await?;
        // What was written before the device went away.
        for length in 1..=self.length {
            logits = self.follow(length).await?;
        }
        Ok(logits)
    }

    /// Brings the prompt into every slot.
    async fn prefill(&mut self) -> Result<Vec<u32>> {
        let session = self.turn.as_mut().ok_or_else(|| Error::internal("a step without a turn"))?;
        if let Some(read) = &self.prompt.read {
            self.model.check_fits(read.len())?;
            session.read(read, &self.cancel).await?;
        }
        let asked = Asked {
            sample: SampleParams::default(),
            alternatives: self.model.compiled_alternatives(0),
            outputs: &["logits"],
            window: None,
            ahead: self.max_tokens,
        };
        let ids = &self.prompt.ids;
        let (pending, reused) = session.prefill(ids, &asked, &self.cancel).await?;
        self.reused.get_or_insert(reused);
        let logits = self.cancel.race(pending).await?.into_iter().next();
        let sources: Vec<usize> = (0..self.slots).map(|slot| if slot < self.texts.len() { 0 } else { slot }).collect();
        session.copy_slots(&sources, ids.len()).await?;
        logits.ok_or_else(|| Error::internal("a step gave no logits"))
    }

    /// The step behind the first `length` tokens of each text.
    async fn follow(&mut self, length: usize) -> Result<Vec<u32>> {
        let token = |at: usize| self.texts[at].tokens.get(length - 1).copied().unwrap_or(0);
        let rows: Vec<(u32, usize)> = self.rows().into_iter().map(|at| (token(at), at)).collect();
        let position = self.prompt.ids.len() + length - 1;
        let session = self.turn.as_mut().ok_or_else(|| Error::internal("a step without a turn"))?;
        let mut logits = self.cancel.race(session.decode_rows(&rows, self.slots, position)).await?;
        // The device bans these where it chooses itself.
        let banned = self.model.start.iter().flat_map(|start| &start.banned);
        let vocabulary = self.model.info().vocabulary;
        for token in banned {
            logits.iter_mut().skip(*token as usize).step_by(vocabulary).for_each(|logit| *logit = f32::MIN.to_bits());
        }
        Ok(logits)
    }
}
