//! A text model, ready to use: its tokenizer, its weights on a device, and the calls that readers make of it.

use std::cell::OnceCell;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use web_time::Instant;

#[cfg(not(target_arch = "wasm32"))]
use super::constraint;
use super::{
    ChatMessage, ChatOptions, ChatTemplate, Contrastive, EncodeOptions, Framed, GenerateOptions, Generation,
    GenerationStats, MOST_ALTERNATIVES, Samples, SamplingDefaults, TextModelInfo, TextModelStats, Tokenizer,
    logits::{Candidate, likeliest, log_sum_exp, numbers},
    ranges::within,
    session::{Asked, Session},
    steps::Prompt,
};
use crate::{
    Error, Result,
    backend::{
        Device,
        profile::{Part, by_part},
        self_check::{self, Probe},
    },
    cancel::Cancel,
    graph::{MOST_SLOTS, SampleParams},
    loaded::{Kind, Loaded, stream_weights},
    models::{
        Autoregressive, EncoderDecoder, LanguageModel, Recurrent, autoregressive::Trial, encoder_decoder::Start,
        language::ALTERNATIVES,
    },
    weights::{Format, Storage, Summary, WeightFile},
};

/// Rows of the caches where the caller does not say: enough for a long story, and little beside the weights.
const DEFAULT_CONTEXT: usize = 2048;

/// How to load a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// Tokens that the context should hold, at most what the model was made for. By default that, or 2048 if it is more.
    pub context_length: Option<usize>,
    /// How matrices are stored on the device.
    pub storage: Storage,
}

/// What a text begins with.
#[derive(Debug, Clone, Copy)]
pub enum Beginning<'a> {
    Text(&'a str),
    Ids(&'a [u32]),
    /// What is answered, through the model's own chat template.
    Chat(&'a [ChatMessage]),
}

/// A token of a scored text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoredToken {
    pub token: u32,
    pub text: String,
    /// Missing of the first token: nothing stands before it.
    pub logprob: Option<f32>,
}

/// How likely the model finds a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// Every token of the text with its log-probability; the first of all has none.
    pub tokens: Vec<ScoredToken>,
    /// The sum of the log-probabilities.
    pub logprob: f64,
    /// `exp` of the negated mean log-probability; 1 where there is nothing to score.
    pub perplexity: f64,
}

/// What the calls on a language model share.
pub struct Text {
    tokenizer: Tokenizer,
    pub(super) device: Device,
    /// What a written text begins and ends with, where another is read before it.
    pub(super) start: Option<Start>,
    looks_ahead: bool,
    /// Of all tokens, computed when a draft model is first compared.
    tokens_digest: OnceCell<[u8; 32]>,
    #[cfg(not(target_arch = "wasm32"))]
    sorted: std::sync::OnceLock<constraint::Vocabulary>,
    /// Tells its weights from others of the same shape.
    pub(super) weights_digest: [u8; 32],
}

impl Kind for Text {
    type Info = TextModelInfo;
    type Stats = TextModelStats;
    type Session = Session;

    fn refresh(stats: &mut TextModelStats, session: &Session) {
        stats.device_bytes = session.device_bytes();
    }
}

/// A language model on a device.
pub type TextModel = Loaded<Text>;

impl Loaded<Text> {
    /// Reads the model's configuration and tokenizer, streams its weights to the device and compiles its plans.
    ///
    /// Takes a GGUF, or safetensors with `config.json` and `tokenizer.json`. `progress` is told the bytes given to the device and
    /// the bytes in all.
    ///
    /// Errors: `unsupported-model`, `corrupt-file`, `out-of-memory`, `aborted`, `bad-argument`, and the source's own.
    pub async fn load(
        file: &WeightFile,
        device: &Device,
        options: LoadOptions,
        progress: &mut dyn FnMut(u64, u64),
        cancel: &Cancel,
    ) -> Result<Self> {
        let begun = Instant::now();
        let (model, tokenizer) = read_model(file, options.storage)?;
        let context = match (options.context_length, model.context_length()) {
            (Some(_), None) => {
                return Err(Error::bad_argument(
                    "contextLength is for models with a context; what a recurrent one met lies in states of one size, so leave it out",
                ));
            }
            (Some(context), Some(trained)) if context == 0 || context > trained => {
                return Err(Error::bad_argument(format!(
                    "contextLength is {context}, but must be from 1 to {trained}, which the model was made for"
                )));
            }
            (Some(context), _) => context,
            (None, trained) => usual_context(trained),
        };
        let model = model.with_capacity(context);
        tokenizer.check_rows(model.vocabulary())?;
        let mut info = describe(file, &model, &tokenizer, device)?;
        cancel.race(check_device(&model, device)).await?;
        let graph = model.whole()?;
        let (residents, weights_digest) =
            stream_weights(file, device, &[(&graph, model.recipes())], progress, cancel).await?;
        let resident = residents.into_iter().next().ok_or_else(|| Error::internal("no weights came to the device"))?;
        let alternatives = ALTERNATIVES.min(info.vocabulary);
        let start = model.start().cloned();
        let mut session = Session::new(model, device.clone(), resident)?;
        cancel.race(session.warm_up(alternatives)).await?;
        // Only now is it known which kernels the device takes.
        info.device = device.info();
        let stats = TextModelStats {
            load_ms: begun.elapsed().as_secs_f64() * 1e3,
            device_bytes: session.device_bytes(),
            decode: session.decode_cost(alternatives).await?,
            generation: GenerationStats::default(),
        };
        Ok(Self::new(
            Text {
                tokenizer,
                device: device.clone(),
                start,
                looks_ahead: session.looks_ahead(),
                tokens_digest: OnceCell::new(),
                weights_digest,
                #[cfg(not(target_arch = "wasm32"))]
                sorted: std::sync::OnceLock::new(),
            },
            info,
            stats,
            session,
        ))
    }

    /// Where the time of a decode step goes, the longest part first; the mean of `steps` steps behind what was read last.
    ///
    /// Errors: `bad-argument` where the device cannot tell, `aborted`, `closed`.
    pub async fn profile(&self, steps: usize, cancel: &Cancel) -> Result<Vec<Part>> {
        let mut session = self.turn(cancel).await?;
        let timings = cancel.race(session.profile(steps, self.compiled_alternatives(0))).await?;
        Ok(by_part(&timings, steps))
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Plans exist for two counts of alternatives, so that no odd wish compiles a plan of its own.
    pub(super) fn compiled_alternatives(&self, wanted: usize) -> usize {
        let compiled = if wanted <= ALTERNATIVES { ALTERNATIVES } else { MOST_ALTERNATIVES };
        compiled.min(self.info().vocabulary)
    }

    /// Goes on from `prompt`; an empty one begins with the beginning-of-text token. A model with an encoder reads it instead, and writes another text. Nothing is
    /// computed before the first [`Generation::next`].
    ///
    /// Errors: `bad-argument` for options that cannot be and for an empty prompt where the model has no BOS; `closed`.
    pub fn generate(&self, prompt: &str, options: GenerateOptions, cancel: Cancel) -> Result<Generation> {
        self.one(Beginning::Text(prompt), options, cancel)
    }

    /// Answers a conversation, through the model's own chat template; one that ends with words of the assistant is gone on with.
    ///
    /// Errors: as [`Self::generate`], and `bad-argument` where the model has no template or it refuses the messages.
    pub fn chat(&self, messages: &[ChatMessage], options: GenerateOptions, cancel: Cancel) -> Result<Generation> {
        self.one(Beginning::Chat(messages), options, cancel)
    }

    /// Goes on from token ids.
    pub fn generate_ids(&self, ids: &[u32], options: GenerateOptions, cancel: Cancel) -> Result<Generation> {
        self.one(Beginning::Ids(ids), options, cancel)
    }

    /// Several texts behind one beginning, as many as the options' `n`.
    ///
    /// Errors: as those of [`Self::generate`] and [`Self::chat`].
    pub fn samples(&self, beginning: Beginning<'_>, options: GenerateOptions, cancel: Cancel) -> Result<Samples> {
        let prompt = self.beginning(beginning, &options)?;
        Samples::new(self.clone(), prompt, options, cancel)
    }

    fn one(&self, beginning: Beginning<'_>, options: GenerateOptions, cancel: Cancel) -> Result<Generation> {
        let prompt = self.beginning(beginning, &options)?;
        if options.n > 1 {
            return Err(Error::bad_argument(format!(
                "n is {}, and a generation writes one text; take samples",
                options.n
            )));
        }
        self.start(prompt, options, cancel)
    }

    fn beginning(&self, beginning: Beginning<'_>, options: &GenerateOptions) -> Result<Prompt> {
        self.check_open()?;
        options.check()?;
        match beginning {
            Beginning::Text(prompt) => {
                let ids = self.tokenizer.encode(prompt, EncodeOptions { add_special: true, parse_special: false })?;
                self.prompt(ids, options)
            }
            Beginning::Ids(ids) => {
                let vocabulary = self.info().read_vocabulary;
                if let Some(id) = ids.iter().find(|id| **id as usize >= vocabulary) {
                    return Err(Error::bad_argument(format!(
                        "the token id {id} is not below the vocabulary's {vocabulary}"
                    )));
                }
                self.prompt(ids.to_vec(), options)
            }
            Beginning::Chat(messages) => {
                let Framed { ids, begun } = self.tokenizer.encode_chat(messages, &options.chat)?;
                let prompt = self.prompt(ids, options)?;
                // What is answered anew begins a text of its own.
                Ok(Prompt { begins: prompt.read.is_some() || !begun, ..prompt })
            }
        }
    }

    pub(super) fn start(&self, prompt: Prompt, options: GenerateOptions, cancel: Cancel) -> Result<Generation> {
        if options.prompt_lookup > 0 && !self.looks_ahead {
            return Err(Error::bad_argument(
                "promptLookup is for models that go on from a text and look back at it (a decoder with a context); leave it out for this one",
            ));
        }
        let vocabulary = self.info().vocabulary;
        if let Some(Contrastive { k, .. }) = options.contrastive {
            if !self.looks_ahead {
                return Err(Error::bad_argument(
                    "contrastive is for models that go on from a text and look back at it (a decoder with a context); leave it out for this one",
                ));
            }
            within("contrastive.k", k as f64, 2.0, MOST_SLOTS.min(vocabulary) as f64)?;
        }
        if let Some((id, _)) = options.logit_bias.iter().find(|(id, _)| **id as usize >= vocabulary) {
            return Err(Error::bad_argument(format!(
                "logitBias is for the token {id}, but the model's tokens go from 0 to {}",
                vocabulary - 1
            )));
        }
        let seed = options.seed()?;
        #[cfg(not(target_arch = "wasm32"))]
        if let Some(constraint) = options.constraint.clone() {
            let matcher = self.sorted_vocabulary()?.matcher(&constraint)?;
            return Ok(Generation::new(self.clone(), prompt, options, seed, cancel).held_to(matcher));
        }
        Ok(Generation::new(self.clone(), prompt, options, seed, cancel))
    }

    /// Whether `draft` can guess for this model.
    ///
    /// Errors: `closed`, `bad-argument`.
    pub(super) fn check_draft(&self, draft: &Self) -> Result<()> {
        draft.check_open()?;
        let refused = |what: &str| Err(Error::bad_argument(what));
        if draft.is(self) {
            return refused(
                "draft is the model itself, which guesses no faster than it writes; give a smaller one with the same tokens",
            );
        }
        if !self.looks_ahead || !draft.looks_ahead {
            return refused(
                "draft is for two models that go on from a text and look back at it (decoders with a context); leave it out for these",
            );
        }
        if self.device.info() != draft.device.info() {
            return refused("draft is on another device than the model; load both on the same");
        }
        if self.info().vocabulary != draft.info().vocabulary || self.tokens_digest() != draft.tokens_digest() {
            return refused(
                "draft has other tokens than the model; give a model with the same tokenizer, or leave it out",
            );
        }
        Ok(())
    }

    fn tokens_digest(&self) -> &[u8; 32] {
        self.tokens_digest.get_or_init(|| {
            let mut digest = Sha256::new();
            for id in 0..self.tokenizer.vocabulary_size() as u32 {
                let bytes = self.tokenizer.token_bytes(id).unwrap_or_default();
                digest.update((bytes.len() as u32).to_le_bytes());
                digest.update(bytes);
                digest.update([u8::from(self.tokenizer.is_end(id))]);
            }
            digest.finalize().into()
        })
    }

    /// The model's tokens as masks are computed over them, sorted when a text is first held to something.
    #[cfg(not(target_arch = "wasm32"))]
    fn sorted_vocabulary(&self) -> Result<&constraint::Vocabulary> {
        if let Some(sorted) = self.sorted.get() {
            return Ok(sorted);
        }
        let sorted = constraint::Vocabulary::new(&self.tokenizer, self.info().vocabulary)?;
        Ok(self.sorted.get_or_init(|| sorted))
    }

    /// How many tokens are chosen at most: where a text must end with a certain one, that is the last.
    pub(super) fn most_tokens(&self, options: &GenerateOptions) -> usize {
        let ends_as_told = self.start.as_ref().is_some_and(|start| start.last.is_some());
        (options.max_tokens - usize::from(ends_as_told)).max(1)
    }

    /// What the steps of a generation begin with.
    ///
    /// Errors: `bad-argument` for an option that does not apply, and as [`Self::begun`].
    pub(super) fn prompt(&self, ids: Vec<u32>, options: &GenerateOptions) -> Result<Prompt> {
        let Some(start) = &self.start else {
            if options.decoder_prompt.is_some() {
                return Err(Error::bad_argument(
                    "decoderPrompt is for models that read one text and write another; this one goes on from its prompt, so put those words there",
                ));
            }
            let ids = self.begun(ids)?;
            let special = self.tokenizer.special();
            let head = usize::from(special.bos.is_some() && special.bos == ids.first().copied());
            return Ok(Prompt { read: None, begins: ids.len() == head, ids, head });
        };
        if ids.is_empty() {
            return Err(Error::bad_argument("there is nothing to read; give a text of at least a word"));
        }
        let (written, begins) = match &options.decoder_prompt {
            // A text that has begun is not told how to begin.
            Some(_) if self.tokenizer.reads_letters() => {
                return Err(Error::bad_argument(
                    "decoderPrompt is a text, and this model writes phonemes; leave it out",
                ));
            }
            Some(words) => {
                let words = self.tokenizer.encode(words, EncodeOptions::default())?;
                (vec![start.first].into_iter().chain(words).collect(), false)
            }
            None => (start.tokens(), true),
        };
        Ok(Prompt { read: Some(ids), head: start.tokens().len().min(written.len()), ids: written, begins })
    }

    /// A text that goes on needs at least one token to go on from.
    fn begun(&self, mut ids: Vec<u32>) -> Result<Vec<u32>> {
        let special = self.tokenizer.special();
        let closes = special.add_eos && ids.len() > 1 && ids.last().copied() == special.closing;
        if closes {
            // A text that goes on does not end here.
            ids.pop();
        }
        if ids.is_empty() {
            let bos = special.bos.filter(|bos| (*bos as usize) < self.info().vocabulary);
            let bos = bos.ok_or_else(|| {
                Error::bad_argument(
                    "the prompt is empty and this model has no beginning-of-text token to start from; give it at least a word",
                )
            })?;
            ids.push(bos);
        }
        Ok(ids)
    }

    /// The `k` likeliest tokens after `text`, likeliest first, with log-probabilities; `k` is from 1 to the vocabulary.
    ///
    /// Errors: `bad-argument`, `context-overflow`, `aborted`, `closed`.
    pub async fn next(&self, text: &str, k: usize, cancel: &Cancel) -> Result<Vec<Candidate>> {
        self.check_open()?;
        let vocabulary = self.info().vocabulary;
        if k == 0 || k > vocabulary {
            return Err(Error::bad_argument(format!("k is {k}, but must be from 1 to {vocabulary}, the vocabulary")));
        }
        let ids = self.tokenizer.encode(text, EncodeOptions { add_special: true, parse_special: false })?;
        let Prompt { read, ids, .. } = self.prompt(ids, &GenerateOptions::default())?;
        self.check_fits(read.as_ref().unwrap_or(&ids).len())?;
        let mut session = self.turn(cancel).await?;
        if let Some(read) = read {
            session.read(&read, cancel).await?;
        }
        let alternatives = self.compiled_alternatives(0);
        let asked =
            Asked { sample: SampleParams::default(), alternatives, outputs: &["logits"], window: None, ahead: 0 };
        let (pending, _) = session.prefill(&ids, &asked, cancel).await?;
        let outputs = cancel.race(pending).await?;
        let logits = outputs.first().map(|bits| numbers(bits)).unwrap_or_default();
        Ok(likeliest(&logits, k, &self.tokenizer))
    }

    /// How likely each token of `text` is after those before it (BOS first, where the model has one).
    ///
    /// Errors: `context-overflow`, `aborted`, `closed`.
    pub async fn score(&self, text: &str, cancel: &Cancel) -> Result<Score> {
        self.check_open()?;
        if self.start.is_some() {
            return Err(Error::bad_argument(
                "this model reads one text and writes another, and how likely a text is depends on what was read; take the log-probabilities that generate reports",
            ));
        }
        let mut ids = self.tokenizer.encode(text, EncodeOptions { add_special: true, parse_special: false })?;
        if !ids.is_empty() {
            ids = self.begun(ids)?;
        }
        self.check_fits(ids.len())?;
        let mut logprobs: Vec<Option<f32>> = vec![None; ids.len()];
        if ids.len() > 1 {
            let mut session = self.turn(cancel).await?;
            session
                .score(&ids, cancel, |row, logits| {
                    let Some(next) = ids.get(row + 1) else { return Ok(()) };
                    let logits = numbers(logits);
                    let logit = logits.get(*next as usize).copied();
                    let logit = logit.ok_or_else(|| Error::internal("a token has no logit"))?;
                    logprobs[row + 1] = Some((f64::from(logit) - log_sum_exp(&logits)) as f32);
                    Ok(())
                })
                .await?;
        }
        let scored: Vec<f64> = logprobs.iter().flatten().map(|l| f64::from(*l)).collect();
        let logprob: f64 = scored.iter().sum();
        let perplexity = (-logprob / scored.len().max(1) as f64).exp();
        let text_of = |id: u32| self.tokenizer.token_text(id).unwrap_or_default();
        let tokens = ids.iter().zip(logprobs);
        let tokens = tokens.map(|(id, logprob)| ScoredToken { token: *id, text: text_of(*id), logprob }).collect();
        Ok(Score { tokens, logprob, perplexity })
    }

    pub(super) fn check_fits(&self, tokens: usize) -> Result<()> {
        let Some(capacity) = self.info().context_length else { return Ok(()) };
        if tokens > capacity {
            return Err(Error::context_overflow(format!(
                "the text has {tokens} tokens, but the model's context holds {capacity}; shorten it by {}",
                tokens - capacity
            )));
        }
        Ok(())
    }
}

fn probe(trial: &Trial) -> Probe<'_> {
    let Trial { graph, inputs, states, params, output, sampled } = trial;
    Probe { graph, inputs, states, params: *params, output, sampled: *sampled }
}

/// Tries a small model of the same kind on the device, before the weights are sent there.
async fn check_device(model: &Autoregressive, device: &Device) -> Result<()> {
    // The count of rows that a short prompt is padded to.
    let rows = device.prefill_rows().iter().copied().filter(|rows| *rows > 1).min().unwrap_or(1);
    let (whole, trials) = model.trials(rows)?;
    let probes: Vec<Probe> = trials.iter().map(probe).collect();
    self_check::check(device, &whole, &probes).await
}

fn read_model(file: &WeightFile, storage: Storage) -> Result<(Autoregressive, Tokenizer)> {
    let model = find_model(file, storage)?;
    let tokenizer = match &model {
        Autoregressive::Recurrent(model) if file.extra("tokenizer.json").is_none() => {
            let config = model.config();
            match &config.reader {
                Some(reader) => Tokenizer::of_phonemes(file, reader.vocabulary, config.vocabulary)?,
                None => Tokenizer::of_characters(file, config.vocabulary)?,
            }
        }
        _ => Tokenizer::from_file(file)?,
    };
    Ok((model, tokenizer))
}

/// What writes a text, found in the index of its files, with room for as many tokens as where a caller does not say.
pub(crate) fn find_model(file: &WeightFile, storage: Storage) -> Result<Autoregressive> {
    let model = match file.format {
        Format::Gguf if file.tensors.is_empty() => {
            return Err(Error::unsupported_model(
                "this file holds a vocabulary and no weights; open it as a tokenizer, or load the whole model",
            ));
        }
        Format::Gguf if EncoderDecoder::is_one_gguf(&file.metadata) => {
            Autoregressive::EncoderDecoder(EncoderDecoder::from_gguf(&file.metadata, file, storage)?)
        }
        Format::Gguf => Autoregressive::Decoder(LanguageModel::from_gguf(&file.metadata, file, storage)?),
        Format::StateDict if Recurrent::is_one(file) => Autoregressive::Recurrent(Recurrent::find(file, storage)?),
        Format::StateDict => {
            let config = file.extra("config.json").ok_or_else(|| {
                Error::bad_argument(
                    "weights in safetensors or PyTorch's files need their config.json; give the weights, config.json and tokenizer.json together",
                )
            })?;
            match encoder_decoder_config(file)? {
                Some(config) => Autoregressive::EncoderDecoder(EncoderDecoder::find(&config, file, storage)?),
                None => Autoregressive::Decoder(LanguageModel::from_hugging_face(
                    &String::from_utf8_lossy(config),
                    file,
                    storage,
                )?),
            }
        }
        Format::Json => {
            return Err(Error::bad_argument(
                "these files hold no weights; open a tokenizer.json as a tokenizer, or give the model's weights too",
            ));
        }
    };
    let room = usual_context(model.context_length());
    Ok(model.with_capacity(room))
}

/// Tokens that a context has room for where the caller does not say, of a model that was made for so many.
pub(crate) fn usual_context(trained: Option<usize>) -> usize {
    trained.unwrap_or(DEFAULT_CONTEXT).min(DEFAULT_CONTEXT)
}

/// The configuration of a model with an encoder, and over it what `generation_config.json` says.
fn encoder_decoder_config(file: &WeightFile) -> Result<Option<Value>> {
    let Some(mut config) = file.extra_json("config.json")?.filter(EncoderDecoder::is_one) else { return Ok(None) };
    if let (Some(config), Some(Value::Object(more))) =
        (config.as_object_mut(), file.extra_json("generation_config.json")?)
    {
        config.extend(more.into_iter().filter(|(_, value)| !value.is_null()));
    }
    Ok(Some(config))
}

fn describe(
    file: &WeightFile,
    model: &Autoregressive,
    tokenizer: &Tokenizer,
    device: &Device,
) -> Result<TextModelInfo> {
    let chat = ChatTemplate::of(tokenizer, &ChatOptions::default());
    let Summary { name, parameters, quantization, weight_bytes } = file.summary();
    let trained = model.context_length();
    let encoder_decoder = model.start().is_some();
    Ok(TextModelInfo {
        kind: "text",
        name,
        architecture: model.architecture().into(),
        parameters,
        quantization,
        weight_bytes,
        vocabulary: model.vocabulary(),
        read_vocabulary: model.read_vocabulary(),
        layers: model.layers(),
        width: model.width(),
        context_length: trained.map(|_| model.capacity()),
        trained_context_length: trained,
        encoder_decoder,
        chat: chat.is_ok(),
        chat_problem: chat.err().filter(|_| tokenizer.has_template()).map(|problem| problem.to_string()),
        chat_template: tokenizer.chat().template(true).ok().flatten().map(str::to_owned),
        sampling: SamplingDefaults::of(file, encoder_decoder)?,
        device: device.info(),
    })
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::rc::Rc;

    use pollster::block_on;

    use super::*;
    use crate::{
        ErrorCode,
        backend::gpu::{self, features::Features, pipelines::Fault},
        weights::{MemorySource, SharedSource},
    };

    fn file(family: &str) -> WeightFile {
        let name = format!("tiny_{family}.gguf");
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(&name);
        let source = Rc::new(MemorySource::new(name, std::fs::read(path).unwrap())) as SharedSource;
        block_on(WeightFile::open_parts(vec![source])).unwrap()
    }

    /// A device of its own, for it stays broken; used as software is or as hardware is.
    fn device(fault: Option<Fault>, software: bool) -> Device {
        let device = block_on(gpu::Device::open(gpu::Preference::Any));
        let device = device.expect("these tests need a Vulkan driver: install mesa-vulkan-drivers");
        fault.into_iter().for_each(|fault| device.context().pipelines().break_kernel(fault));
        let features = device.context().features();
        Device::Gpu(device.used_as(Features { software, subgroups: software && features.subgroups, ..features }))
    }

    fn as_hardware_with_subgroups(fault: Option<Fault>) -> Device {
        let Device::Gpu(device) = device(fault, true) else { unreachable!() };
        let features = device.context().features();
        assert!(features.subgroups, "these tests need a Vulkan driver with subgroups");
        Device::Gpu(device.used_as(Features { software: false, ..features }))
    }

    fn load(family: &str, device: &Device) -> Result<TextModel> {
        block_on(TextModel::load(&file(family), device, LoadOptions::default(), &mut |_, _| (), &Cancel::new()))
    }

    /// One fault for each family of kernels that a model runs, and whether they run on software.
    const FAULTS: [(Fault, bool); 9] = [
        (("linear_software", "let steps = (numbers.COLS + 31u) / 32u;", "let steps = numbers.COLS / 64u;"), true),
        (("embedding", "weight4(row - numbers.FIRST_ROW, k4)", "weight4(0u, k4)"), true),
        (("rope_cache", "k_cache[to + at.x] = turned.x;", "k_cache[to + at.x] = pair.x;"), true),
        (("attention_lanes", "let share = exp(score - top);", "let share = 1.0;"), true),
        (("attention_split", "exp(scores[g * THREADS + lid] - top)", "1.0"), false),
        (("attention_tiled", "weight = exp(scores[slot] - top);", "weight = 1.0;"), false),
        (("matvec", "{ partial[lid] += partial[lid + width]; }", "{ }"), false),
        (("matmul", "sums[3] += w * a.w;", "sums[3] += w * a.z;"), false),
        (("sample", "record[row * RECORD] = chosen;", "record[row * RECORD] = chosen ^ 1u;"), false),
    ];

    /// What the other families add to these.
    const FAULTS_OF_FAMILIES: [(&str, Fault); 6] = [
        (
            "qwen3",
            (
                "rope_cache",
                "pair *= scale * vec2(k_norm[at.x], k_norm[at.y]);",
                "pair *= scale * vec2(k_norm[at.y], k_norm[at.x]);",
            ),
        ),
        ("gpt2", ("embedding", "position_of(token)", "min(position_of(token), 1u)")),
        ("gpt2", ("norm", "v += bias[first_column + column];", "v -= bias[first_column + column];")),
        ("gpt2", ("rope_cache", "k_cache[to + PAIRS + i] = value;", "k_cache[to + PAIRS + i] = -value;")),
        ("gemma3", ("rms_norm", "v += residual[", "v -= residual[")),
        ("gemma3", ("attention_lanes", "end - min(end, numbers.WINDOW)", "0u")),
    ];

    #[test]
    fn a_sound_gpu_passes_its_check() {
        for (family, software) in [("llama", false), ("llama", true), ("qwen3", true), ("gpt2", true), ("gemma3", true)]
        {
            assert!(load(family, &device(None, software)).is_ok(), "{family}");
        }
        let device = as_hardware_with_subgroups(None);
        let model = load("llama", &device).unwrap();
        assert!(
            model.info().device.subgroups && !model.info().device.reason.contains("without"),
            "{device:?}",
            device = device.info()
        );
    }

    #[test]
    fn what_models_run_is_among_the_kernels_that_are_tried_for_every_adapter() {
        for gpu in [device(None, true), as_hardware_with_subgroups(None)] {
            for family in ["llama", "qwen3", "gpt2", "gemma3"] {
                load(family, &gpu).unwrap();
            }
            let Device::Gpu(gpu) = gpu else { unreachable!() };
            assert_eq!(gpu::kernels::unlisted(&gpu), [""; 0]);
        }
    }

    #[test]
    fn a_gpu_with_any_kernel_wrong_is_refused_as_faulty() {
        for (fault, software) in FAULTS {
            let error = load("llama", &device(Some(fault), software)).err().map(|error| error.code());
            assert_eq!(error, Some(ErrorCode::DeviceFaulty), "{fault:?}");
        }
        for (family, fault) in FAULTS_OF_FAMILIES {
            let error = load(family, &device(Some(fault), true)).err().map(|error| error.code());
            assert_eq!(error, Some(ErrorCode::DeviceFaulty), "{family}: {fault:?}");
        }
    }

    /// The model on the device that is left in the end.
    fn load_somewhere(device: &mut Device) -> TextModel {
        let (file, cancel, options) = (file("llama"), Cancel::new(), LoadOptions::default());
        let load = async |device: &Device| TextModel::load(&file, device, options, &mut |_, _| (), &cancel).await;
        block_on(self_check::load_or_fall_back(device, false, load)).unwrap()
    }

    /// Token ids after a prompt, chosen greedily.
    fn told(model: &TextModel) -> Vec<u32> {
        let options = GenerateOptions { max_tokens: 12, temperature: 0.0, ..GenerateOptions::default() };
        let mut generation = model.generate_ids(&[1, 2, 3, 4, 5], options, Cancel::new()).unwrap();
        let mut tokens = vec![];
        while let Some(event) = block_on(generation.next()).unwrap() {
            tokens.extend(event.token);
        }
        tokens
    }

    #[test]
    fn a_faulty_gpu_gives_its_place_to_the_cpu_and_says_why() {
        let mut device = device(Some(FAULTS[0].0), true);
        let name = device.info().name;
        let model = load_somewhere(&mut device);
        assert_eq!((device.info().kind, model.info().device.kind), ("cpu", "cpu"));
        let reason = device.info().reason;
        assert!(reason.contains(&name) && reason.contains("wrong numbers"), "{reason}");
    }

    /// What a driver or a browser may have against kernels with subgroups, and how it shows.
    const NOT_WITH_SUBGROUPS: [(Fault, &str); 2] = [
        (("matvec", "subgroupAdd(value)", "subgroupAdd(nothing)"), "refuses a kernel"),
        (("matvec", "partial[lid / size] = own", "partial[lid / size] = 2.0 * own"), "wrong numbers"),
    ];

    #[test]
    fn a_gpu_that_is_bad_at_subgroups_computes_without_them_and_says_so() {
        let expected = told(&load("llama", &Device::Cpu(crate::backend::cpu::Device::new("the measure"))).unwrap());
        for (fault, sign) in NOT_WITH_SUBGROUPS {
            let mut device = as_hardware_with_subgroups(Some(fault));
            let model = load_somewhere(&mut device);
            let info = &model.info().device;
            assert_eq!((info.kind, info.subgroups), ("webgpu", false), "{fault:?}: {info:?}");
            let reason = &info.reason;
            assert!(reason.contains("without subgroups") && reason.contains(sign), "{fault:?}: {reason}");
            assert_eq!(told(&model), expected, "{fault:?}");
        }
    }

    /// What a driver or a browser may have against the plainest kernels: a word of their text, a pipeline's demands, and a kernel that only
    /// the whole model needs.
    const NOT_AT_ALL: [Fault; 3] = [
        ("rope_cache", "k_cache[to + at.x] = turned.x;", "k_cache[to + at.x] = turned.nothing;"),
        ("sample", "@workgroup_size(THREADS)", "@workgroup_size(1024u * THREADS)"),
        ("matmul", "const TOKENS: u32 = 64u;", "const TOKENS: i32 = 64u;"),
    ];

    #[test]
    fn a_gpu_that_refuses_the_plainest_kernel_gives_its_place_to_the_cpu_and_says_why() {
        let expected = told(&load("llama", &Device::Cpu(crate::backend::cpu::Device::new("the measure"))).unwrap());
        for fault in NOT_AT_ALL {
            let device = as_hardware_with_subgroups(Some(fault));
            let insisted = load("llama", &device).err().map(|error| error.code());
            assert_eq!(insisted, Some(ErrorCode::DeviceFaulty), "{fault:?}");
            // What one load found out holds for the next, and for a device that nobody has tried.
            for mut device in [device, as_hardware_with_subgroups(Some(fault))] {
                let model = load_somewhere(&mut device);
                let info = &model.info().device;
                assert_eq!((device.info().kind, info.kind), ("cpu", "cpu"), "{fault:?}");
                assert!(info.reason.contains("refuses a kernel"), "{fault:?}: {}", info.reason);
                assert_eq!(told(&model), expected, "{fault:?}");
            }
        }
    }
}
