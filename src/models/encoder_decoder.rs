//! Encoder-decoders of text: an encoder reads one text as a whole and stores what the decoder wants of it, the decoder writes another, a token at a time.
//!
//! One [`EncoderDecoder`] makes three graphs over the same weights and states: [`EncoderDecoder::read`] reads, [`EncoderDecoder::prefill`] and
//! [`EncoderDecoder::decode`] write; [`EncoderDecoder::whole`] names them all, for loading. Weights are called as in `transformers`.
//! States: `memory.k.N` and `memory.v.N` for each layer of the decoder, stored by the encoder, `cache.k.N` and `cache.v.N`, all
//! `[capacity, heads · head_dim]` F32; `seen` `[vocabulary]` U32, `token` `[1]` U32.
//!
//! A text is written so: a step of `read`; the tokens that every text [begins](Sizes::start) with through `prefill`; then steps of `decode`, each with the
//! encoder's rows as [`StepParams::memory`](crate::graph::StepParams::memory).

pub mod bart;
pub mod t5;

use std::{fmt::Debug, rc::Rc};

use serde_json::Value;

use super::{Builder, Search, Tensors, Weights, config::Json, language::ALTERNATIVES};
use crate::{
    Error, Result,
    graph::{Attention, DType, Graph, Mask, StateId, ValueId},
    weights::{Metadata, Recipes, Storage},
};

/// What all families say of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Sizes {
    /// As `model_type` of a `config.json` spells it.
    pub architecture: &'static str,
    /// Tokens that are read.
    pub vocabulary: usize,
    /// Tokens that are written.
    pub written: usize,
    pub width: usize,
    /// Columns of keys and values.
    pub inner: usize,
    /// Layers of the encoder.
    pub layers: usize,
    pub decoder_layers: usize,
    /// Tokens that a text should have at most.
    pub context_length: usize,
    /// Whether there is no position behind these.
    pub bounded: bool,
    pub start: Start,
}

/// What `transformers` forces a written text to be.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Start {
    /// The token that a text begins with, before any that is written.
    pub first: u32,
    /// The one that follows, where one must (`forced_bos_token_id`).
    pub second: Option<u32>,
    /// What a text that is cut off ends with (`forced_eos_token_id`).
    pub last: Option<u32>,
    /// Tokens that are never written (`bad_words_ids` of one token, `suppress_tokens`).
    pub banned: Vec<u32>,
}

impl Start {
    /// From a `config.json`, over which a `generation_config.json` was laid.
    fn of(json: &Json, vocabulary: usize) -> Result<Self> {
        let token = |key: &str| -> Result<Option<u32>> {
            let Some(value) = json.get(key) else { return Ok(None) };
            // A list has one for each language, and the first is as good as any.
            let value = value.as_array().and_then(|list| list.first()).unwrap_or(value);
            match value.as_u64() {
                Some(id) if id < vocabulary as u64 => Ok(Some(id as u32)),
                _ => Err(Error::corrupt_file(format!(
                    "config.json: {key} {value} is none of {vocabulary} tokens; give the model's own configuration"
                ))),
            }
        };
        let mut banned: Vec<u64> = vec![];
        for word in json.get("bad_words_ids").and_then(Value::as_array).into_iter().flatten() {
            // Of longer ones each token may be written.
            if let Some([one]) = word.as_array().map(Vec::as_slice) {
                banned.extend(one.as_u64());
            }
        }
        banned.extend(
            json.get("suppress_tokens").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_u64),
        );
        banned.retain(|id| *id < vocabulary as u64);
        Ok(Self {
            first: token("decoder_start_token_id")?.or(token("pad_token_id")?).unwrap_or(0),
            second: token("forced_bos_token_id")?,
            last: token("forced_eos_token_id")?,
            banned: banned.into_iter().map(|id| id as u32).collect(),
        })
    }

    /// The tokens before those that are chosen.
    pub fn tokens(&self) -> Vec<u32> {
        [self.first].into_iter().chain(self.second).collect()
    }
}

/// Keys and values of a layer of the decoder: of what it wrote itself, and of what was read.
type LayerStates = [[StateId; 2]; 2];

/// What a family's encoder and decoder are made of.
trait Layers: Debug {
    fn sizes(&self) -> Sizes;

    /// One layer a side, few tokens: what stands for the model where a device is tried.
    fn probe(&self) -> Rc<dyn Layers>;

    /// `t` ids, of which `lengths` `[1]` count → `[t, width]`.
    fn read(&self, b: &mut Builder, t: usize, ids: ValueId, lengths: ValueId) -> Result<ValueId>;

    /// Keys and values of what was read, `[t, inner]`, for a layer of the decoder.
    fn memory(&self, b: &mut Builder, layer: usize, hidden: ValueId) -> Result<[ValueId; 2]>;

    /// Ids `[t]` → `[t, width]`; caches have room for `capacity` rows.
    fn write(&self, b: &mut Builder, capacity: usize, ids: ValueId, states: &[LayerStates]) -> Result<ValueId>;

    /// `[1, width]` → logits `[1, written]`.
    fn head(&self, b: &mut Builder, x: ValueId) -> Result<ValueId>;
}

/// What an attention looks at.
#[derive(Clone, Copy)]
enum Keys {
    /// All rows of the text that is read, as many as count.
    Read(ValueId),
    /// Those before it, in a cache that it is written to.
    Cached([StateId; 2]),
    /// What the encoder stored.
    Memory([StateId; 2]),
}

impl Keys {
    /// Attention of `heads` of `head_dim` columns, scaled; keys and values are `made` unless they are stored.
    fn attend(
        self,
        b: &mut Builder,
        (heads, head_dim, scale): (usize, usize, f32),
        bias: Option<(ValueId, usize)>,
        q: ValueId,
        made: impl FnOnce(&mut Builder) -> Result<[ValueId; 2]>,
    ) -> Result<ValueId> {
        let of = |mask| Attention::plain(heads, heads, head_dim, scale, mask, 1);
        match self {
            Self::Read(lengths) => {
                let [k, v] = made(b)?;
                b.g.attend(of(Mask::FULL), [q, k, v], bias, Some(lengths))
            }
            Self::Cached([keys, values]) => {
                let [k, v] = made(b)?;
                let (k, v) = (b.g.cache_write(keys, k)?, b.g.cache_write(values, v)?);
                b.g.attend(of(Mask::CACHED), [q, k, v], bias, None)
            }
            Self::Memory([keys, values]) => {
                let (k, v) = (b.g.stored(keys)?, b.g.stored(values)?);
                b.g.attend(of(Mask::MEMORY), [q, k, v], bias, None)
            }
        }
    }
}

/// Where the rows of the decoder come from.
#[derive(Clone, Copy)]
enum Rows {
    /// The token chosen in the step before.
    Last,
    /// So many ids from the caller, of which one row is read.
    Given(usize),
    /// An id from the caller for each of several texts; see [`EncoderDecoder::decode_rows`].
    Placed { rows: usize, slots: usize },
}

/// An encoder and decoder whose weights are known by name, shape and type.
#[derive(Debug, Clone)]
pub struct EncoderDecoder {
    layers: Rc<dyn Layers>,
    sizes: Sizes,
    capacity: usize,
    alternatives: usize,
    weights: Weights,
}

impl EncoderDecoder {
    /// Whether a `config.json` is one of a family that is known here.
    pub fn is_one(config: &Value) -> bool {
        config["model_type"].as_str().is_some_and(|kind| t5::KINDS.contains(&kind) || bart::KINDS.contains(&kind))
    }

    /// Reads a `config.json` of `transformers`, over which a `generation_config.json` may have been laid, and finds every weight.
    ///
    /// Errors: `unsupported-model` where the configuration is of another kind, `corrupt-file` where it says what cannot be, or a weight is missing or of
    /// another shape.
    pub fn find(config: &Value, tensors: &dyn Tensors, storage: Storage) -> Result<Self> {
        let json = Json::new("config.json", config)?;
        match json.word_or("model_type", "t5")? {
            kind if bart::KINDS.contains(&kind) => bart::find(&json, tensors, storage),
            _ => t5::find(&json, tensors, storage),
        }
    }

    /// Whether a GGUF is one, by its metadata.
    pub fn is_one_gguf(metadata: &Metadata) -> bool {
        metadata.get::<&str>("general.architecture").ok().flatten() == Some(t5::KINDS[0])
    }

    /// The same from a GGUF's metadata.
    pub fn from_gguf(metadata: &Metadata, tensors: &dyn Tensors, storage: Storage) -> Result<Self> {
        t5::find_gguf(metadata, tensors, storage)
    }

    fn new(layers: Rc<dyn Layers>, search: Search) -> Result<Self> {
        let sizes = layers.sizes();
        let mut model = Self {
            capacity: sizes.context_length,
            alternatives: ALTERNATIVES.min(sizes.written),
            weights: Weights::declared(DType::F32),
            layers,
            sizes,
        };
        model.everything(search.builder(model.sizes.architecture))?;
        model.weights = search.finish();
        Ok(model)
    }

    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// Rows that each cache, and the memory, have room for; the configuration's context length unless set.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Gives the caches and the memory room for `rows` tokens, at least one, and at most as many as there are positions.
    pub fn with_capacity(mut self, rows: usize) -> Self {
        self.capacity = rows.clamp(1, if self.sizes.bounded { self.sizes.context_length } else { usize::MAX });
        self
    }

    /// Sets how many likeliest tokens a step reports, at most the vocabulary.
    pub fn with_alternatives(mut self, alternatives: usize) -> Self {
        self.alternatives = alternatives.min(self.sizes.written);
        self
    }

    /// A small model of the same widths and heads, whose steps take this one's paths through a backend's kernels.
    pub fn probe(&self) -> Self {
        let layers = self.layers.probe();
        let sizes = layers.sizes();
        let capacity = self.capacity.min(PROBE_CAPACITY);
        let alternatives = self.alternatives.min(sizes.written);
        Self { capacity, alternatives, weights: self.weights.alike(), sizes, layers }
    }

    /// How its weights are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        self.weights.recipes()
    }

    /// Every weight and state, for loading: encoder and decoder in one graph that is never run.
    pub fn whole(&self) -> Result<Graph> {
        self.everything(self.builder(""))
    }

    /// Reads `t` tokens, `ids` `[t]` U32, of which the first `lengths` `[1]` U32 count, as one text, and stores keys and values for every layer of the decoder. Output
    /// `hidden` `[t, width]`, the encoder's rows; those behind the end mean nothing.
    ///
    /// Errors: `context-overflow` where the memory has no room for so many.
    pub fn read(&self, t: usize) -> Result<Graph> {
        if !(1..=self.capacity).contains(&t) {
            return Err(Error::context_overflow(format!(
                "a text of {t} tokens was to be read, and there is room for 1 to {}; give another, or make room for more",
                self.capacity
            )));
        }
        let mut b = self.builder(&format!("read {t}"));
        self.encode(&mut b, t)?;
        Ok(b.finish())
    }

    /// One step of the decoder: the token chosen before → logits → the next. Outputs `sampled` and `logits` `[1, vocabulary]`.
    pub fn decode(&self) -> Result<Graph> {
        let mut b = self.builder("decode");
        self.write(&mut b, Rows::Last)?;
        Ok(b.finish())
    }

    /// `t` tokens into the decoder's caches, [`Sizes::start`] first where a text begins; input `ids` `[t]` U32. The row that the step names is sampled
    /// from. Outputs `sampled` and `logits` `[1, vocabulary]`.
    pub fn prefill(&self, t: usize) -> Result<Graph> {
        let mut b = self.builder(&format!("prefill {t}"));
        self.write(&mut b, Rows::Given(t))?;
        Ok(b.finish())
    }

    /// One step of several texts behind one that was read, which the decoder's caches are cut into `slots` for; inputs `ids` `[rows]` and `places` `[rows, 2]` U32, a slot and a
    /// position there for each. Output `logits` `[rows, vocabulary]`, those of [`Start::banned`] tokens too.
    pub fn decode_rows(&self, rows: usize, slots: usize) -> Result<Graph> {
        let mut b = self.builder(&format!("decode {rows} of {slots}"));
        self.write(&mut b, Rows::Placed { rows, slots })?;
        Ok(b.finish())
    }

    fn builder(&self, work: &str) -> Builder<'_> {
        self.weights.builder(format!("{} {work}", self.sizes.architecture).trim_end())
    }

    fn everything(&self, mut b: Builder) -> Result<Graph> {
        self.encode(&mut b, 1)?;
        self.write(&mut b, Rows::Last)?;
        Ok(b.finish())
    }

    /// Keys and values `[capacity, inner]` of a layer of the decoder.
    fn states(&self, b: &mut Builder, kind: &str, layer: usize) -> Result<[StateId; 2]> {
        let shape = [self.capacity, self.sizes.inner];
        let mut state = |part: &str| b.g.state(&format!("{kind}.{part}.{layer}"), &shape, DType::F32);
        Ok([state("k")?, state("v")?])
    }

    fn encode(&self, b: &mut Builder, t: usize) -> Result<()> {
        b.g.at("encoder embedding");
        let ids = b.g.input("ids", &[t], DType::U32);
        let lengths = b.g.input("lengths", &[1], DType::U32);
        let hidden = self.layers.read(b, t, ids, lengths)?;
        b.g.at("memory");
        for layer in 0..self.sizes.decoder_layers {
            let states = self.states(b, "memory", layer)?;
            for (state, x) in states.into_iter().zip(self.layers.memory(b, layer, hidden)?) {
                b.g.cache_write(state, x)?;
            }
        }
        b.g.output("hidden", hidden);
        Ok(())
    }

    fn write(&self, b: &mut Builder, rows: Rows) -> Result<()> {
        let Sizes { written, decoder_layers, .. } = self.sizes;
        b.g.at("decoder embedding");
        let choice = b.g.sample_states(written)?;
        let ids = match rows {
            Rows::Last => b.g.last_token(choice.token),
            Rows::Given(t) => b.g.input("ids", &[t], DType::U32),
            Rows::Placed { rows, slots } => {
                b.g.place_rows(rows, slots)?;
                b.g.input("ids", &[rows], DType::U32)
            }
        };
        let of = |layer| Ok([self.states(b, "cache", layer)?, self.states(b, "memory", layer)?]);
        let states = (0..decoder_layers).map(of).collect::<Result<Vec<_>>>()?;
        let mut x = self.layers.write(b, self.capacity, ids, &states)?;
        b.g.at("output");
        if let Rows::Given(_) = rows {
            x = b.g.select_row(x)?;
        }
        let mut logits = self.layers.head(b, x)?;
        if let Rows::Placed { .. } = rows {
            b.g.output("logits", logits);
            return Ok(());
        }
        let banned = &self.sizes.start.banned;
        if !banned.is_empty() {
            let mut never = vec![0.0; written];
            banned.iter().for_each(|id| never[*id as usize] = NEVER);
            let never = b.g.constant(1, &never)?;
            logits = b.add(logits, never)?;
        }
        let sampled = b.g.sample(choice, self.alternatives, logits)?;
        b.g.output("sampled", sampled);
        b.g.output("logits", logits);
        Ok(())
    }
}

/// What a probe keeps at most of the vocabulary and of a feed-forward layer's width, multiples of the largest block; and the rows of its caches.
const PROBE_VOCABULARY: usize = 512;
const PROBE_WIDTH: usize = 2048;
const PROBE_CAPACITY: usize = 64;

/// What a logit loses that must not win.
const NEVER: f32 = -1e9;
