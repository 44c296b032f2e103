//! The generation loop: prompt in, tokens out as they come.
//!
//! A [`Generation`] holds its model's turn from its first step until it is dropped or has ended: another call on the model waits, so caches are
//! never written by two. [`Steps`] runs the device, [`Words`] makes text of tokens, [`Clock`] measures.

use std::collections::VecDeque;

use serde::Serialize;
use web_time::Instant;

use super::{
    Detokenizer, GenerateOptions, GenerationStats, Matcher, StopMatcher, TextModel, Tokenizer,
    guesses::Pace,
    guide::Guide,
    logits::Candidate,
    options::MOST_GUESSES,
    steps::{Chosen, Prompt, StepOptions, Steps, Todo},
};
use crate::{
    Error, ErrorCode, Result,
    cancel::Cancel,
    graph::{Filter, Sampled},
};

/// A filter by its option: `"ban"` is any bias that rules a token out, `"temperature"` the choice of the likeliest; `"topNSigma"`, `"topK"`, `"typicalP"`,
/// `"topP"`, `"minP"`, `"xtc"` and `"mirostat"` are themselves.
pub type FilterName = &'static str;

/// A token that might have come, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Considered {
    pub token: u32,
    pub text: String,
    /// As [`Candidate::logprob`].
    pub logprob: f32,
    /// In what the token was drawn from, after temperature and filters; 0 for one that was dropped.
    pub probability: f32,
    /// The option whose filter dropped it.
    pub dropped_by: Option<FilterName>,
}

/// What the filters left of the tokens that might have come.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trace {
    /// The likeliest, likeliest first; last the chosen one, where it is not among them.
    pub candidates: Vec<Considered>,
    /// Each filter that is on, in order, by its option's name, and how many tokens it left.
    pub filters: Vec<(FilterName, usize)>,
}

/// A step of a generation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenEvent {
    /// What can be shown now. Empty while characters or a possible stop string are incomplete.
    pub text: String,
    /// The token, and what it says by itself. The last chunk may hold only text that was held back: it then has no token.
    pub token: Option<u32>,
    /// What the token itself says; see [`Candidate::logprob`] for the number, which no one asked for where it is `forced`.
    pub piece: String,
    /// Whether it is a mark that readers do not see, so that [`Self::piece`] alone tells of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mark: bool,
    /// As in `Alternative`; absent where the token is `forced`.
    pub logprob: Option<f32>,
    /// Natural logarithm of its probability in what it was drawn from, after temperature and filters; 0 where the likeliest is taken or nothing else
    /// could come.
    pub drawn_logprob: Option<f32>,
    /// The likeliest tokens at this place, likeliest first; empty unless asked for.
    pub alternatives: Vec<Candidate>,
    /// Where it was asked for.
    pub trace: Option<Trace>,
    /// What the text is held to let nothing else come, and the model was not asked. Where `alternatives` or `trace` are asked for, it always is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
}

impl TokenEvent {
    /// Of text that the end set free, if there is any.
    pub(super) fn of_end(text: String) -> Option<Self> {
        (!text.is_empty()).then(|| Self {
            text,
            token: None,
            piece: String::new(),
            mark: false,
            logprob: None,
            drawn_logprob: None,
            alternatives: vec![],
            trace: None,
            forced: false,
        })
    }
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EndReason {
    /// The model ended the text.
    Eos,
    /// A stop string was met, or the text is all that it is held to.
    Stop,
    /// As many tokens are there as were asked for.
    Length,
    /// The context is full.
    Context,
    /// The caller's signal fired.
    Aborted,
}

/// A running generation: pull it with [`Generation::next`].
pub struct Generation {
    model: TextModel,
    cancel: Cancel,
    progress: Progress,
    words: Words,
    max_tokens: usize,
    stats: GenerationStats,
    clock: Clock,
    /// The text that the end set free.
    tail: Option<TokenEvent>,
}

/// A generation takes its model's turn with its first step and gives it back with its last.
enum Progress {
    /// What its steps will be asked.
    Waiting(Box<Todo>),
    Running(Box<Steps>),
    Ended(EndReason),
}

impl Generation {
    pub(super) fn new(model: TextModel, prompt: Prompt, options: GenerateOptions, seed: u32, cancel: Cancel) -> Self {
        let prompt_tokens = prompt.read.as_ref().unwrap_or(&prompt.ids).len();
        let stats = GenerationStats { prompt_tokens, seed, ..GenerationStats::default() };
        let (max_tokens, traced) = (model.most_tokens(&options), options.traced());
        let words = Words::new(&model, prompt.begins, &options);
        let steps = StepOptions {
            sample: options.sample_params(seed),
            guide: Guide::new(&options, model.tokenizer(), model.info().vocabulary),
            overflow: options.overflow,
            max_tokens,
            alternatives: model.compiled_alternatives(options.alternatives.max(traced.unwrap_or(0))),
            window: options.penalty_window,
            traced,
            pace: (options.prompt_lookup > 0).then(|| Pace::new(options.prompt_lookup)),
            draft: None,
            contrastive: options.contrastive,
            forces: options.alternatives == 0 && !options.trace,
            asked: 0,
            ready: VecDeque::new(),
        };
        Self {
            cancel,
            words,
            progress: Progress::Waiting(Box::new(Todo { prompt, options: steps })),
            max_tokens,
            stats,
            clock: Clock::default(),
            tail: None,
            model,
        }
    }

    /// Holds the text to what the matcher lets come, from its first token on. A generation that has begun goes on as it is.
    pub fn held_to(mut self, matcher: Box<dyn Matcher>) -> Self {
        if let Progress::Waiting(todo) = &mut self.progress {
            todo.options.guide.hold_to(matcher);
        }
        self
    }

    /// Has a smaller model with the same tokens guess what comes next, so that one step of the model confirms several tokens: the text is the same. Guessing rests
    /// where it does not pay, by the clock. A generation that has begun goes on as it is; one that goes on elsewhere ([`Self::move_to`]) does so without it.
    ///
    /// Errors: `bad-argument` where the two do not go together, or an option needs tokens one by one; `closed`.
    pub fn drafted_by(mut self, draft: &TextModel) -> Result<Self> {
        self.model.check_draft(draft)?;
        if let Progress::Waiting(todo) = &mut self.progress {
            let options = &mut todo.options;
            if options.pace.is_some() {
                return Err(Error::bad_argument(
                    "draft and promptLookup both guess what comes next; leave one of them out",
                ));
            }
            if options.traced.is_some() || options.contrastive.is_some() || options.guide.waits() {
                return Err(Error::bad_argument(
                    "draft computes several tokens at once, and trace, contrastive, dry, mirostat, ban and what a text is held to need them one by one; leave draft out, or those",
                ));
            }
            options.pace = Some(Pace::new(MOST_GUESSES));
            options.draft = Some(draft.clone());
        }
        Ok(self)
    }

    /// The seed, given or drawn: the same seed gives the same text.
    pub fn seed(&self) -> u32 {
        self.stats.seed
    }

    /// Why it ended; `None` while it runs.
    pub fn end_reason(&self) -> Option<EndReason> {
        match self.progress {
            Progress::Ended(reason) => Some(reason),
            _ => None,
        }
    }

    /// What it took so far.
    pub fn stats(&self) -> GenerationStats {
        self.stats
    }

    /// The next token, or `None` once the generation has ended; [`Self::end_reason`] then says why.
    ///
    /// Errors: `context-overflow` where the prompt does not fit, `closed` where the model was closed meanwhile, and whatever the
    /// device says. After an error the generation is over, and the model goes on; after `device-lost` it is the other way round, and
    /// [`Self::move_to`] takes the generation on.
    pub async fn next(&mut self) -> Result<Option<TokenEvent>> {
        if let Some(tail) = self.tail.take() {
            return Ok(Some(tail));
        }
        if self.end_reason().is_some() {
            return Ok(None);
        }
        match self.advance().await {
            Ok(event) => Ok(event.or_else(|| self.tail.take())),
            Err(error) if error.code() == ErrorCode::Aborted => {
                self.finish(String::new(), EndReason::Aborted);
                Ok(self.tail.take())
            }
            Err(error) if error.code() == ErrorCode::DeviceLost => {
                self.pause();
                Err(error)
            }
            Err(error) => {
                if let Progress::Running(steps) = &mut self.progress {
                    steps.forget();
                }
                self.finish(String::new(), EndReason::Aborted);
                self.tail = None;
                Err(error)
            }
        }
    }

    /// Goes on with the same model on another device, behind the last token that was told: the same seed draws on as it would have.
    pub fn move_to(&mut self, model: TextModel) {
        self.pause();
        self.model = model;
    }

    /// Gives the turn back, and keeps what is still to be done.
    fn pause(&mut self) {
        self.progress = match std::mem::replace(&mut self.progress, Progress::Ended(EndReason::Aborted)) {
            Progress::Running(steps) => Progress::Waiting(Box::new(steps.into_rest(self.stats.generated_tokens))),
            other => other,
        };
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
        if matches!(self.progress, Progress::Waiting(_))
            && let Progress::Waiting(todo) = std::mem::replace(&mut self.progress, Progress::Ended(EndReason::Aborted))
        {
            self.clock.begin();
            let steps = Steps::begin(self.model.clone(), *todo, self.cancel.clone()).await?;
            self.progress = Progress::Running(Box::new(steps));
            if let Progress::Running(steps) = &mut self.progress {
                steps.start().await?;
            }
        }
        let Progress::Running(steps) = &mut self.progress else { return Ok(None) };
        let chosen = steps.next().await?;
        self.stats.waits = steps.waits;
        self.stats.reused_tokens = steps.reused();
        if let Some((drafted, accepted)) = steps.guesses() {
            (self.stats.drafted_tokens, self.stats.accepted_tokens) = (drafted, accepted);
        }
        let Some(chosen) = chosen else {
            let reason = if steps.is_complete() { EndReason::Stop } else { EndReason::Context };
            self.finish(String::new(), reason);
            return Ok(None);
        };
        self.stats.forced_tokens += usize::from(chosen.forced);
        self.clock.read(&mut self.stats, 1);
        let token = chosen.sampled.token;
        if self.words.tokenizer.is_end(token) {
            let text = self.words.end(token);
            self.finish(text, EndReason::Eos);
            return Ok(None);
        }
        self.stats.generated_tokens += 1;
        steps.keep(token);
        let event = self.words.say(&chosen);
        steps.give_way().await;
        if self.words.stopped() {
            self.finish(String::new(), EndReason::Stop);
        } else if self.stats.generated_tokens >= self.max_tokens {
            self.finish(String::new(), EndReason::Length);
        }
        Ok(Some(event))
    }

    /// The end, with `text` that is still to be shown. Steps that are in flight go on to write rows past the text; the next call's writes come
    /// after theirs.
    fn finish(&mut self, mut text: String, reason: EndReason) {
        self.progress = Progress::Ended(reason);
        text.push_str(&self.words.rest());
        self.tail = TokenEvent::of_end(text);
        let stats = self.stats;
        self.model.record(|model| model.generation = stats);
    }
}

/// Of a token that a record tells of.
fn logprob_of(sampled: &Sampled, token: u32) -> f32 {
    let own = (sampled.token, sampled.logprob);
    let told = sampled.alternatives.iter().chain([&own]).find(|(id, _)| *id == token);
    told.map_or(f32::NAN, |(_, logprob)| *logprob)
}

/// From tokens to what is shown of them.
pub(super) struct Words {
    tokenizer: Tokenizer,
    detokenizer: Detokenizer,
    stop: StopMatcher,
    /// How many are shown with each token.
    alternatives: usize,
}

impl Words {
    /// Of a text that begins with its first token, or goes on with what stands before it.
    pub fn new(model: &TextModel, begins: bool, options: &GenerateOptions) -> Self {
        Self {
            tokenizer: model.tokenizer().clone(),
            detokenizer: model.tokenizer().detokenizer(begins),
            stop: StopMatcher::new(options.stop.clone()),
            alternatives: options.alternatives,
        }
    }

    pub fn stopped(&self) -> bool {
        self.stop.stopped()
    }

    pub fn say(&mut self, Chosen { sampled, trace, forced }: &Chosen) -> TokenEvent {
        let mark = self.mark(sampled.token);
        let text = match &mark {
            Some(mark) => self.stop.push_mark(mark),
            None => self.stop.push(&self.detokenizer.push(sampled.token)),
        };
        let candidate =
            |(token, logprob): &(u32, f32)| Candidate { token: *token, text: self.piece(*token), logprob: *logprob };
        TokenEvent {
            text,
            token: Some(sampled.token),
            piece: self.piece(sampled.token),
            mark: mark.is_some(),
            logprob: (!forced).then_some(sampled.logprob),
            drawn_logprob: Some(sampled.drawn_logprob),
            alternatives: sampled.alternatives.iter().take(self.alternatives).map(candidate).collect(),
            trace: trace.as_ref().map(|(fates, left)| Trace {
                candidates: fates
                    .iter()
                    .map(|(token, fate)| Considered {
                        token: *token,
                        text: self.piece(*token),
                        logprob: logprob_of(sampled, *token),
                        probability: fate.probability,
                        dropped_by: fate.dropped_by.map(Filter::name),
                    })
                    .collect(),
                filters: left.iter().map(|(filter, left)| (filter.name(), *left)).collect(),
            }),
            forced: *forced,
        }
    }

    /// The text before the mark that ends it: a stop string may begin before the mark, and what stands there is not part of the text.
    pub fn end(&mut self, token: u32) -> String {
        self.mark(token).map(|mark| self.stop.push_mark(&mark)).unwrap_or_default()
    }

    /// What was held back.
    pub fn rest(&mut self) -> String {
        let mut rest = self.stop.push(&self.detokenizer.finish());
        rest.push_str(&self.stop.finish());
        rest
    }

    fn piece(&self, token: u32) -> String {
        self.tokenizer.token_text(token).unwrap_or_default()
    }

    /// What a token says that readers do not see.
    fn mark(&self, token: u32) -> Option<String> {
        self.tokenizer.is_hidden(token).then(|| self.piece(token))
    }
}

/// When a generation began, and when its first tokens came, and how many at once.
#[derive(Default)]
pub(super) struct Clock {
    begun: Option<Instant>,
    first: Option<(Instant, usize)>,
}

impl Clock {
    pub fn begin(&mut self) {
        self.begun.get_or_insert_with(Instant::now);
    }

    /// So many tokens more than `stats` counts have come.
    pub fn read(&mut self, stats: &mut GenerationStats, came: usize) {
        let now = Instant::now();
        let Some(begun) = self.begun else { return };
        let (first, at_first) = *self.first.get_or_insert((now, came));
        let to_first = first.duration_since(begun).as_secs_f64();
        let computed = stats.prompt_tokens.saturating_sub(stats.reused_tokens);
        stats.first_token_ms = to_first * 1e3;
        stats.prefill_tokens_per_second = rate(computed, to_first);
        let after = now.duration_since(first).as_secs_f64();
        stats.decode_tokens_per_second = rate((stats.generated_tokens + came).saturating_sub(at_first), after);
    }
}

fn rate(count: usize, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}
