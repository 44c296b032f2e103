//! An encoder, ready to use: texts become embeddings, masked words are filled in, texts and tokens get labels.

use std::collections::HashMap;

use serde::Serialize;
use web_time::Instant;

use super::{
    EncodeOptions, Tokenizer,
    logits::{Candidate, likeliest, log_sum_exp},
    ranges::within,
    tokenizer::Pair,
};
use crate::{
    Error, Result,
    backend::{
        Device, DeviceInfo, Plan, Resident,
        self_check::{self, Probe},
    },
    cancel::Cancel,
    graph::{Pooling, StepParams},
    loaded::{Kind, Loaded, stream_weights},
    models::{
        self, EncoderConfig,
        encoder::{Family, Labelled, Task},
    },
    weights::{Format, Storage, Summary, WeightFile},
    yielding::Turns,
};

/// Texts are padded to a multiple of so many tokens where not every count of rows will do.
const PADDED: usize = 32;
/// Compiled lengths that are kept.
const MOST_PLANS: usize = 8;

/// What an encoder is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EncoderInfo {
    /// `"encoder"`.
    pub kind: &'static str,
    #[serde(flatten)]
    pub file: Summary,
    pub architecture: &'static str,
    pub vocabulary: usize,
    pub layers: usize,
    /// Numbers of an embedding.
    pub width: usize,
    /// Tokens of a text at most.
    pub context_length: usize,
    /// How rows become an embedding, and whether it is made as long as 1, where `EmbedOptions` leave it open: as the files say (sentence-transformers' `1_Pooling` and `modules.json`, a GGUF's `pooling_type`), else the mean, made so.
    pub pooling: PoolingName,
    pub normalize: bool,
    /// Whether it fills masks, and the mask's token as a text is to have it.
    pub fills: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
    /// What `classify` tells apart, where the file has a head for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Whether the labels are each token's; else the text's.
    pub classifies_tokens: bool,
    pub device: DeviceInfo,
}

/// How the rows of a text become one embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PoolingName {
    Mean,
    First,
    Last,
    Max,
}

impl PoolingName {
    /// Errors: `bad-argument` for a word that is none.
    pub fn parse(word: &str) -> Result<Self> {
        Ok(match word {
            "mean" => Self::Mean,
            "first" => Self::First,
            "last" => Self::Last,
            "max" => Self::Max,
            other => {
                return Err(Error::bad_argument(format!(
                    "pooling is {other:?}, but must be \"mean\", \"first\", \"last\" or \"max\""
                )));
            }
        })
    }

    fn pooling(self) -> Pooling {
        match self {
            Self::Mean => Pooling::Mean,
            Self::First => Pooling::First,
            Self::Last => Pooling::Last,
            Self::Max => Pooling::Max,
        }
    }
}

/// How to embed; what is left out is as the files say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EmbedOptions {
    pub pooling: Option<PoolingName>,
    /// Whether embeddings are made as long as 1.
    pub normalize: Option<bool>,
    /// So many numbers, the first ones (arXiv 2205.13147), made as long as 1 after that.
    pub dimensions: Option<usize>,
    /// Whether texts that are too long lose their end; else they are an error.
    pub truncate: bool,
}

/// A text, or its ids as they are, marks included.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Text(String),
    Ids(Vec<u32>),
}

/// A label and how likely it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Labelling {
    pub label: String,
    pub probability: f32,
    /// What it is said of, where labels are each token's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What an encoder took.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EncoderStats {
    pub load_ms: f64,
    /// Bytes on the device: weights and plans.
    pub device_bytes: u64,
    /// Tokens of the last text.
    pub tokens: usize,
    pub tokens_per_second: f64,
}

pub struct Session {
    resident: Resident,
    plans: HashMap<(Task, usize), Plan>,
    turns: Turns,
}

/// What the calls on an encoder share.
pub struct Encoding {
    model: models::Encoder,
    tokenizer: Tokenizer,
    device: Device,
    /// Whether tokens that stand for what the vocabulary cannot spell are left out of a text, as model2vec does.
    skips_unknown: bool,
}

impl Kind for Encoding {
    type Info = EncoderInfo;
    type Stats = EncoderStats;
    type Session = Session;

    fn refresh(stats: &mut EncoderStats, session: &Session) {
        stats.device_bytes = session.resident.bytes();
    }
}

/// An encoder on a device.
pub type Encoder = Loaded<Encoding>;

/// What an encoder is made of, found in the index of its files.
pub(crate) fn find_encoder(file: &WeightFile, storage: Storage) -> Result<models::Encoder> {
    let config = file.extra_json("config.json")?;
    match file.format {
        Format::Gguf => models::Encoder::from_gguf(&file.metadata, file, storage),
        _ if EncoderConfig::of_table(file).is_some() || config.as_ref().is_some_and(is_model2vec) => {
            models::Encoder::from_table(file, storage)
        }
        _ => {
            let config = file.extra("config.json").ok_or_else(|| {
                Error::bad_argument(
                    "weights in safetensors or PyTorch's files need their config.json; give the weights, config.json and tokenizer.json together",
                )
            })?;
            models::Encoder::from_hugging_face(&String::from_utf8_lossy(config), file, storage)
        }
    }
}

impl Loaded<Encoding> {
    /// Whether a file holds one, by its configuration.
    pub fn is_one(file: &WeightFile) -> bool {
        match file.format {
            Format::Gguf => {
                let architecture = file.metadata.get::<&str>("general.architecture").ok().flatten();
                architecture.is_some_and(EncoderConfig::is_known_gguf)
            }
            Format::StateDict => {
                let config = file.extra_json("config.json").ok().flatten();
                config.is_some_and(|config| EncoderConfig::is_known(&config) || is_model2vec(&config))
                    || EncoderConfig::of_table(file).is_some()
            }
            Format::Json => false,
        }
    }

    /// Reads the model's configuration and tokenizer and streams its weights to the device, stored as `storage` says. `progress` is told the bytes given to
    /// the device and the bytes in all.
    ///
    /// Errors: `unsupported-model`, `corrupt-file`, `out-of-memory`, `aborted`, `bad-argument`, and the source's own.
    pub async fn load(
        file: &WeightFile,
        device: &Device,
        storage: Storage,
        progress: &mut dyn FnMut(u64, u64),
        cancel: &Cancel,
    ) -> Result<Self> {
        let begun = Instant::now();
        let skips_unknown = file.extra_json("config.json")?.is_some_and(|config| is_model2vec(&config));
        let model = find_encoder(file, storage)?;
        let tokenizer = Tokenizer::from_file(file)?;
        tokenizer.check_rows(model.config().vocabulary)?;
        let (pooling, normalize, longest) = pooling_of(file)?;
        let config = model.config();
        let mut info = EncoderInfo {
            kind: "encoder",
            file: file.summary(),
            architecture: config.family.name(),
            vocabulary: config.vocabulary,
            layers: config.layers,
            width: config.width,
            context_length: longest.unwrap_or(config.context_length).clamp(1, config.context_length),
            pooling,
            normalize,
            fills: model.fills(),
            mask: tokenizer.mask().filter(|_| model.fills()).and_then(|id| tokenizer.token_text(id)),
            labels: model.classifies().map(|_| config.labels.clone()),
            classifies_tokens: model.classifies() == Some(Labelled::Tokens),
            device: device.info(),
        };
        cancel.race(check_device(&model, device)).await?;
        let graph = model.whole()?;
        let (residents, _) = stream_weights(file, device, &[(&graph, model.recipes())], progress, cancel).await?;
        let resident = residents.into_iter().next().ok_or_else(|| Error::internal("no weights came to the device"))?;
        // Only now is it known which kernels the device takes.
        info.device = device.info();
        let session = Session { resident, plans: HashMap::new(), turns: Turns::default() };
        let stats = EncoderStats {
            load_ms: begun.elapsed().as_secs_f64() * 1e3,
            device_bytes: session.resident.bytes(),
            ..EncoderStats::default()
        };
        let encoding = Encoding { model, tokenizer, device: device.clone(), skips_unknown };
        Ok(Self::new(encoding, info, stats, session))
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// An embedding of each text, `[width]` or as many numbers as are asked for.
    ///
    /// Errors: `bad-argument`, `context-overflow` where a text is too long and may not be cut, `aborted`, `closed`.
    pub async fn embed(&self, texts: &[Input], options: EmbedOptions, cancel: &Cancel) -> Result<Vec<Vec<f32>>> {
        self.check_open()?;
        let info = self.info();
        if let Some(dimensions) = options.dimensions {
            within("dimensions", dimensions as f64, 1.0, info.width as f64)?;
        }
        let pooling = options.pooling.unwrap_or(info.pooling).pooling();
        let all = texts.iter().map(|text| self.read(text, false, options.truncate)).collect::<Result<Vec<_>>>()?;
        let mut session = self.turn(cancel).await?;
        let mut embeddings = vec![];
        for read in &all {
            let mut embedding = self.run(&mut session, Task::Embed(pooling), read, 0, "pooled", cancel).await?;
            embedding.truncate(options.dimensions.unwrap_or(usize::MAX));
            if options.normalize.unwrap_or(info.normalize) {
                let length = embedding.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt().max(1e-12);
                embedding.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
            }
            embeddings.push(embedding);
            session.turns.give_way().await;
        }
        Ok(embeddings)
    }

    /// For each mask in a text the `k` likeliest tokens, likeliest first.
    ///
    /// Errors: as [`Self::embed`], and `bad-argument` where the file has no head for it, or the text no mask.
    pub async fn fill(&self, text: &Input, k: usize, cancel: &Cancel) -> Result<Vec<Vec<Candidate>>> {
        self.check_open()?;
        let info = self.info();
        let (true, Some(mask)) = (info.fills, self.tokenizer.mask()) else {
            return Err(Error::bad_argument(
                "this model fills no masks: its file has no head for that, or its tokenizer no mask; give one that was trained for it (…ForMaskedLM)",
            ));
        };
        within("k", k as f64, 1.0, info.vocabulary as f64)?;
        let read = self.read(text, true, false)?;
        let masks: Vec<usize> = read.ids.iter().enumerate().filter(|(_, id)| **id == mask).map(|(at, _)| at).collect();
        if masks.is_empty() {
            return Err(Error::bad_argument(format!(
                "there is no {} in the text; put one where a word is to be filled in",
                info.mask.as_deref().unwrap_or("mask")
            )));
        }
        let mut session = self.turn(cancel).await?;
        let mut filled = vec![];
        for at in masks {
            let logits = self.run(&mut session, Task::Fill, &read, at, "logits", cancel).await?;
            filled.push(likeliest(&logits, k, &self.tokenizer));
            session.turns.give_way().await;
        }
        Ok(filled)
    }

    /// The labels of a text, likeliest first; or the likeliest label of each of its tokens, where the file tells tokens apart. With a `pair`, of
    /// both texts as one reads them together: whether the second follows from the first, how well it answers it.
    ///
    /// Errors: as [`Self::embed`], and `bad-argument` where the file has no head for it, or where a text with a pair is given by its ids.
    pub async fn classify(
        &self,
        text: &Input,
        pair: Option<&str>,
        truncate: bool,
        cancel: &Cancel,
    ) -> Result<Vec<Labelling>> {
        self.check_open()?;
        let read = match pair {
            None => self.read(text, false, truncate)?,
            Some(second) => self.read_pair(text, second, truncate)?,
        };
        let config = self.model.config();
        let Some(labelled) = self.model.classifies() else {
            if config.cut_head {
                return Err(Error::bad_argument(
                    "this file's head for labels lacks the layer before it (cls.weight), which llama.cpp's converter leaves out of a BERT; give the model as safetensors",
                ));
            }
            return Err(Error::bad_argument(
                "this model has no labels: its file has no head for them; give one that was trained for it (…ForSequenceClassification or …ForTokenClassification)",
            ));
        };
        let mut session = self.turn(cancel).await?;
        let logits = self.run(&mut session, Task::Classify, &read, 0, "logits", cancel).await?;
        let probabilities = |logits: &[f32]| -> Vec<f32> {
            let log_sum = log_sum_exp(logits);
            let one = |v: &f32| {
                if config.one_label { (f64::from(*v) - log_sum).exp() } else { 1.0 / (1.0 + f64::from(-v).exp()) }
            };
            logits.iter().map(|v| one(v) as f32).collect()
        };
        let mut labels: Vec<Labelling> = vec![];
        match labelled {
            Labelled::Texts => {
                let each = config.labels.iter().zip(probabilities(&logits));
                labels.extend(each.map(|(label, probability)| Labelling {
                    label: label.clone(),
                    probability,
                    token: None,
                    text: None,
                }));
                labels.sort_by(|a, b| b.probability.total_cmp(&a.probability));
            }
            Labelled::Tokens => {
                for (token, logits) in read.ids.iter().zip(logits.chunks_exact(config.labels.len().max(1))) {
                    if self.tokenizer.is_hidden(*token) {
                        continue;
                    }
                    let best = config.labels.iter().zip(probabilities(logits)).max_by(|a, b| a.1.total_cmp(&b.1));
                    labels.extend(best.map(|(label, probability)| Labelling {
                        label: label.clone(),
                        probability,
                        token: Some(*token),
                        text: self.tokenizer.token_text(*token),
                    }));
                }
            }
        }
        Ok(labels)
    }

    /// The ids of a text, framed as the model wants them. Where marks count, one in the text is the token that it names.
    fn read(&self, text: &Input, parse_special: bool, truncate: bool) -> Result<Pair> {
        // Marks would count among the words of a bag.
        let add_special = self.model.config().family != Family::Static;
        let mut ids = match text {
            Input::Text(text) => self.tokenizer.encode(text, EncodeOptions { add_special, parse_special })?,
            Input::Ids(ids) => ids.clone(),
        };
        if let (true, Some(unknown)) = (self.skips_unknown, self.tokenizer.special().unknown) {
            ids.retain(|id| *id != unknown);
        }
        let most = self.info().context_length;
        if ids.len() > most && truncate {
            // What ends a text ends what is left of it.
            let last = ids.last().copied().filter(|last| self.tokenizer.is_hidden(*last));
            ids.truncate(most);
            if let (Some(last), Some(end)) = (last, ids.last_mut()) {
                *end = last;
            }
        }
        let kinds = vec![0; ids.len()];
        self.checked(Pair { ids, kinds })
    }

    /// The ids of two texts, framed as the model wants them. Where they are too long, the longer one is cut first.
    fn read_pair(&self, text: &Input, second: &str, truncate: bool) -> Result<Pair> {
        let Input::Text(first) = text else {
            return Err(Error::bad_argument(
                "a text with a pair is given as text; give both as texts, or the ids of both together",
            ));
        };
        let most = self.info().context_length;
        let mut pair = self.tokenizer.encode_pair([first, second], truncate.then_some(most))?;
        let last = self.model.config().kinds.saturating_sub(1) as u32;
        pair.kinds.iter_mut().for_each(|kind| *kind = (*kind).min(last));
        self.checked(pair)
    }

    fn checked(&self, read: Pair) -> Result<Pair> {
        let vocabulary = self.info().vocabulary;
        if let Some(id) = read.ids.iter().find(|id| **id as usize >= vocabulary) {
            return Err(Error::bad_argument(format!("the token id {id} is not below the vocabulary's {vocabulary}")));
        }
        if read.ids.is_empty() {
            return Err(Error::bad_argument("there is nothing to read; give a text of at least a word"));
        }
        let most = self.info().context_length;
        if read.ids.len() > most {
            return Err(Error::context_overflow(format!(
                "the text has {} tokens, but the model reads {most}; shorten it, or pass truncate: true to leave its end out",
                read.ids.len()
            )));
        }
        Ok(read)
    }

    async fn run(
        &self,
        session: &mut Session,
        task: Task,
        Pair { ids, kinds }: &Pair,
        row: usize,
        output: &str,
        cancel: &Cancel,
    ) -> Result<Vec<f32>> {
        cancel.check()?;
        self.check_open()?;
        let begun = Instant::now();
        let most = self.model.config().context_length;
        let rows = if self.device.exact_rows() { ids.len() } else { ids.len().next_multiple_of(PADDED).min(most) };
        let key = (task, rows);
        if !session.plans.contains_key(&key) {
            let graph = self.model.graph(task, 1, rows)?;
            let plan = cancel.race(session.resident.compile(&graph)).await?;
            if session.plans.len() >= MOST_PLANS {
                session.plans.clear();
            }
            session.plans.insert(key, plan);
        }
        let plan = session.plans.get_mut(&key).ok_or_else(|| Error::internal("a plan that was just made is gone"))?;
        let padded = |values: &[u32]| [values, &vec![0; rows - values.len()]].concat();
        plan.write_input("ids", &padded(ids))?;
        plan.write_input("lengths", &[ids.len() as u32])?;
        if self.model.config().kinds > 0 {
            plan.write_input("kinds", &padded(kinds))?;
        }
        let params = StepParams { row: row as u32, ..StepParams::default() };
        let outputs = cancel.race(plan.step(&params, &[output])?).await?;
        let took = begun.elapsed().as_secs_f64();
        self.record(|stats| {
            (stats.tokens, stats.tokens_per_second) = (ids.len(), ids.len() as f64 / took.max(1e-9));
        });
        Ok(outputs.into_iter().next().unwrap_or_default().into_iter().map(f32::from_bits).collect())
    }
}

/// Whether a `config.json` is model2vec's, whose later versions name no kind.
fn is_model2vec(config: &serde_json::Value) -> bool {
    config["model_type"] == "model2vec" || config["embedding_dtype"].is_string()
}

/// How embeddings are made, whether they are made as long as 1, and how long texts may be: sentence-transformers' `1_Pooling/config.json`, `modules.json` and
/// `sentence_bert_config.json`, or `pooling_type` in a GGUF, or `normalize` in model2vec's `config.json`. Where nothing is said, the mean, made as long as 1.
fn pooling_of(file: &WeightFile) -> Result<(PoolingName, bool, Option<usize>)> {
    if file.format == Format::Gguf {
        let architecture = file.metadata.get::<&str>("general.architecture")?.unwrap_or_default();
        let kind = file.metadata.get::<u64>(&format!("{architecture}.pooling_type"))?;
        let pooling = match kind {
            Some(2) => PoolingName::First,
            Some(3) => PoolingName::Last,
            _ => PoolingName::Mean,
        };
        return Ok((pooling, true, None));
    }
    if let Some(config) = file.extra_json("config.json")?.filter(is_model2vec) {
        return Ok((PoolingName::Mean, config["normalize"] == true, None));
    }
    let modules = file.extra_json("modules.json")?;
    let listed = modules.as_ref().and_then(|modules| modules.as_array());
    let is_of = |end: &str| {
        listed.is_none_or(|list| {
            list.iter().any(|module| module["type"].as_str().is_some_and(|kind| kind.ends_with(end)))
        })
    };
    if listed.is_some() && is_of("Dense") {
        return Err(Error::unsupported_model(
            "the model has a dense layer behind its pooling (modules.json), which does not run here; take one without",
        ));
    }
    let pooling = file.extra_json("1_Pooling/config.json")?.map(|config| {
        let is = |key: &str| config[key] == true;
        match () {
            () if is("pooling_mode_cls_token") || config["pooling_mode"] == "cls" => PoolingName::First,
            () if is("pooling_mode_max_tokens") || config["pooling_mode"] == "max" => PoolingName::Max,
            () if is("pooling_mode_lasttoken") || config["pooling_mode"] == "lasttoken" => PoolingName::Last,
            () => PoolingName::Mean,
        }
    });
    let longest = file.extra_json("sentence_bert_config.json")?.and_then(|config| config["max_seq_length"].as_u64());
    Ok((pooling.unwrap_or(PoolingName::Mean), is_of("Normalize"), longest.map(|n| n as usize)))
}

/// Tries a small model of the same kind on the device, before the weights are sent there.
async fn check_device(model: &models::Encoder, device: &Device) -> Result<()> {
    let probe = model.probe();
    let rows = PADDED.min(probe.config().context_length);
    let graph = probe.graph(Task::Embed(Pooling::Mean), 1, rows)?;
    let vocabulary = probe.config().vocabulary;
    let mut inputs = vec![
        ("ids", (0..rows).map(|row| (row * 7 % vocabulary) as u32).collect::<Vec<_>>()),
        ("lengths", vec![(rows * 3 / 4).max(1) as u32]),
    ];
    if probe.config().kinds > 0 {
        inputs.push(("kinds", vec![0; rows]));
    }
    let probes = [Probe {
        graph: &graph,
        inputs: &inputs,
        states: &[],
        params: StepParams::default(),
        output: "pooled",
        sampled: None,
    }];
    self_check::check(device, &graph, &probes).await
}
