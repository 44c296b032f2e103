//! Several texts behind one prompt, each drawn with a seed of its own: number `i` of the seed `s` is what a generation with the seed `s + i` writes.
//!
//! As many as the context has room for are written at once ([`Batch`]). What cannot share a step is written one after another: texts that are held to a
//! form or guessed ahead, those of recurrent models, and those of which the context holds but one.

use std::collections::VecDeque;

use serde::Serialize;

use super::{
    EndReason, GenerateOptions, Generation, GenerationStats, Matcher, TextModel, TokenEvent, batch::Batch,
    generate::Clock, steps::Prompt,
};
use crate::{Error, ErrorCode, Result, cancel::Cancel};

/// A step of one of the texts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SampleEvent {
    /// Which text, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    #[serde(flatten)]
    pub event: TokenEvent,
}

/// What came of one of the texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SampleSummary {
    pub seed: u32,
    pub generated_tokens: usize,
    /// Missing while it is written.
    pub finish_reason: Option<EndReason>,
}

/// Makes a matcher for each text.
pub type Form = Box<dyn Fn() -> Result<Box<dyn Matcher>>>;

/// Texts under way: pull them with [`Samples::next`].
pub struct Samples {
    model: TextModel,
    cancel: Cancel,
    prompt: Prompt,
    options: GenerateOptions,
    /// What each text is held to, where the caller brings it.
    form: Option<Form>,
    texts: Vec<SampleSummary>,
    progress: Progress,
    ready: VecDeque<SampleEvent>,
    stats: GenerationStats,
    clock: Clock,
}

enum Progress {
    /// Nothing is written: the next texts are begun.
    Between,
    /// The text of this number, alone.
    One(usize, Box<Generation>),
    Several(Box<Batch>),
    Over,
}

impl Samples {
    /// Nothing is computed before the first [`Samples::next`].
    ///
    /// Errors: as those of a generation.
    pub(super) fn new(model: TextModel, prompt: Prompt, options: GenerateOptions, cancel: Cancel) -> Result<Self> {
        let seed = options.seed()?;
        let text = |i| SampleSummary { seed: seed.wrapping_add(i as u32), generated_tokens: 0, finish_reason: None };
        let prompt_tokens = prompt.read.as_ref().unwrap_or(&prompt.ids).len();
        let mut samples = Self {
            texts: (0..options.n).map(text).collect(),
            stats: GenerationStats { prompt_tokens, seed, ..GenerationStats::default() },
            model,
            cancel,
            prompt,
            options,
            form: None,
            progress: Progress::Between,
            ready: VecDeque::new(),
            clock: Clock::default(),
        };
        let first = samples.alone(0)?;
        if samples.is_alone() {
            samples.progress = Progress::One(0, Box::new(first));
        }
        Ok(samples)
    }

    /// Holds each text to what a matcher of its own lets come, from its first token on. What has begun goes on as it is.
    ///
    /// Errors: those of the form.
    pub fn held_to(mut self, form: Form) -> Result<Self> {
        if let Progress::One(at, generation) = self.progress {
            self.progress = Progress::One(at, Box::new(generation.held_to(form()?)));
        }
        self.form = Some(form);
        Ok(self)
    }

    /// As [`Generation::drafted_by`].
    ///
    /// Errors: its own, and `bad-argument` where there are several texts.
    pub fn drafted_by(mut self, draft: &TextModel) -> Result<Self> {
        let Progress::One(at, generation) = self.progress else {
            let several = self.options.n;
            return Err(Error::bad_argument(format!(
                "n is {several}, but a draft model guesses for one text; leave one of them out"
            )));
        };
        self.progress = Progress::One(at, Box::new(generation.drafted_by(draft)?));
        Ok(self)
    }

    /// What came of each text so far.
    pub fn texts(&self) -> &[SampleSummary] {
        &self.texts
    }

    /// What all took so far; the seed is that of the first.
    pub fn stats(&self) -> GenerationStats {
        self.stats
    }

    /// The next token of any text, or `None` once all have ended.
    ///
    /// Errors: as [`Generation::next`].
    pub async fn next(&mut self) -> Result<Option<SampleEvent>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            if matches!(self.progress, Progress::Over) {
                return Ok(None);
            }
            match self.advance().await {
                Ok(()) => {}
                Err(error) if error.code() == ErrorCode::Aborted => self.abort(),
                Err(error) if error.code() == ErrorCode::DeviceLost => {
                    if let Progress::Several(batch) = &mut self.progress {
                        batch.pause();
                    }
                    return Err(error);
                }
                Err(error) => {
                    self.abort();
                    self.ready.clear();
                    return Err(error);
                }
            }
        }
    }

    /// Goes on with the same model on another device, behind the last tokens that were told.
    pub fn move_to(&mut self, model: TextModel) {
        match &mut self.progress {
            Progress::One(_, generation) => generation.move_to(model.clone()),
            Progress::Several(batch) => batch.move_to(model.clone()),
            Progress::Between | Progress::Over => {}
        }
        self.model = model;
    }

    /// Whether each text is written alone.
    fn is_alone(&self) -> bool {
        self.options.n == 1 || self.options.constraint.is_some() || self.options.prompt_lookup > 0
    }

    fn alone(&self, at: usize) -> Result<Generation> {
        let options = GenerateOptions { seed: Some(self.texts[at].seed), n: 1, ..self.options.clone() };
        let generation = self.model.start(self.prompt.clone(), options, self.cancel.clone())?;
        Ok(match &self.form {
            Some(form) => generation.held_to(form()?),
            None => generation,
        })
    }

    async fn advance(&mut self) -> Result<()> {
        self.cancel.check()?;
        self.clock.begin();
        match &mut self.progress {
            Progress::Over => {}
            Progress::Between => match self.texts.iter().position(|text| text.finish_reason.is_none()) {
                Some(first) => self.progress = self.begin(first).await?,
                None => self.finish(),
            },
            Progress::One(at, generation) => {
                let (at, event) = (*at, generation.next().await);
                let (stats, end) = (generation.stats(), generation.end_reason());
                self.went_alone(at, stats);
                match event? {
                    Some(event) => self.tell(at, event),
                    None => {
                        self.texts[at].finish_reason = end;
                        self.progress = Progress::Between;
                        if end == Some(EndReason::Aborted) {
                            self.abort();
                        }
                    }
                }
            }
            Progress::Several(batch) => {
                let told = batch.step().await?;
                self.stats.reused_tokens = batch.reused();
                let is_over = batch.is_over();
                self.clock.read(&mut self.stats, told.iter().filter(|told| told.generated).count());
                for told in told {
                    let text = &mut self.texts[told.at];
                    text.generated_tokens += usize::from(told.generated);
                    text.finish_reason = told.end;
                    self.stats.generated_tokens += usize::from(told.generated);
                    told.events.into_iter().for_each(|event| self.tell(told.at, event));
                }
                if is_over {
                    self.progress = Progress::Between;
                }
            }
        }
        Ok(())
    }

    /// The texts from number `first` on, as many as can be written at once.
    async fn begin(&mut self, first: usize) -> Result<Progress> {
        let left = self.texts.len() - first;
        if left > 1 && !self.is_alone() {
            let rows = self.prompt.ids.len() + self.model.most_tokens(&self.options) - 1;
            let fitting = self.model.turn(&self.cancel).await?.at_once(left, rows);
            if let Some((texts, slots)) = fitting {
                let seeds: Vec<u32> = self.texts[first..first + texts].iter().map(|text| text.seed).collect();
                let (prompt, cancel) = (self.prompt.clone(), self.cancel.clone());
                let batch = Batch::new(self.model.clone(), prompt, &self.options, first, &seeds, slots, cancel);
                return Ok(Progress::Several(Box::new(batch)));
            }
        }
        Ok(Progress::One(first, Box::new(self.alone(first)?)))
    }

    /// What all took, now that a text which is written alone took so much.
    fn went_alone(&mut self, at: usize, stats: GenerationStats) {
        if self.texts.len() == 1 {
            self.stats = stats;
        } else {
            let came = stats.generated_tokens - self.texts[at].generated_tokens;
            self.clock.read(&mut self.stats, came);
            self.stats.generated_tokens += came;
            if at == 0 {
                self.stats.reused_tokens = stats.reused_tokens;
            }
        }
        self.texts[at].generated_tokens = stats.generated_tokens;
    }

    fn tell(&mut self, at: usize, event: TokenEvent) {
        self.ready.push_back(SampleEvent { index: (self.texts.len() > 1).then_some(at), event });
    }

    /// Ends what is under way, and what has not begun.
    fn abort(&mut self) {
        if let Progress::Several(batch) = &mut self.progress {
            for (at, event) in batch.rest() {
                self.ready.push_back(SampleEvent { index: Some(at), event });
            }
        }
        for text in self.texts.iter_mut().filter(|text| text.finish_reason.is_none()) {
            text.finish_reason = Some(EndReason::Aborted);
        }
        self.finish();
    }

    fn finish(&mut self) {
        self.progress = Progress::Over;
        let stats = self.stats;
        self.model.record(|model| model.generation = stats);
    }
}
