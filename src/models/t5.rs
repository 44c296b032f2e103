//! T5 (arXiv 1910.10683), an encoder and a decoder of text: pre-norm blocks with RMSNorm, attention that nothing scales and that leans on how far a key is
//! away, and keys and values of the encoder's that the decoder reads at every step. T5 1.1 and Flan-T5 gate their feed-forward layers and have a
//! head of their own; the first T5 has ReLU and multiplies by its embedding.
//!
//! One [`T5`] makes three graphs over the same weights and states: [`T5::encoder`] reads a text and stores what the decoder wants of it, [`T5::prefill`]
//! and [`T5::decode`] write; [`T5::whole`] names them all, for loading. Weights are called as in `transformers`' `T5ForConditionalGeneration`.
//! States: `memory.k.N` and `memory.v.N` for each layer of the decoder, stored by the encoder, `cache.k.N` and `cache.v.N`, all
//! `[capacity, heads · head_dim]` F32; `seen` `[vocabulary]` U32, `token` `[1]` U32.
//!
//! A text is written so: a step of the encoder; [`T5Config::start`] into the state `token`; then steps of `decode` from position 0 on, each with the encoder's
//! rows as [`StepParams::memory`](crate::graph::StepParams::memory).

use super::{Builder, Origin, Search, Tensors, Weights, config::Json, language::ALTERNATIVES};
use crate::{
    Error, Result,
    graph::{Attention, Binary, DType, Graph, Mask, StateId, Unary, ValueId},
    weights::{Recipes, Storage},
};

/// The numbers of an encoder and its decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct T5Config {
    pub vocabulary: usize,
    pub width: usize,
    pub heads: usize,
    /// Heads together may be wider than a row.
    pub head_dim: usize,
    pub feed_forward: usize,
    /// Layers of the encoder.
    pub layers: usize,
    pub decoder_layers: usize,
    /// What distances between a query and its keys are told apart by: so many rows of a table …
    pub buckets: usize,
    /// … and all from this one on alike.
    pub farthest: usize,
    pub gated: bool,
    pub activation: Unary,
    pub eps: f32,
    /// Whether the last rows are multiplied by `width`^−0.5 before the head.
    pub scaled: bool,
    /// The token that a text begins with, before any that is written.
    pub start: u32,
    /// Rows that a text should have at most. Nothing in the weights says so.
    pub context_length: usize,
}

impl T5Config {
    /// From the text of a `config.json` of `transformers`.
    ///
    /// Errors: `unsupported-model` where it is of another kind, `corrupt-file` where it says what cannot be.
    pub fn from_hugging_face(config_json: &str) -> Result<Self> {
        const WHAT: &str = "T5's config.json";
        let value = Json::parse(WHAT, config_json)?;
        let json = Json::new(WHAT, &value)?;
        let kind = json.word_or("model_type", "t5")?;
        if kind != "t5" {
            return Err(Error::unsupported_model(format!("the model is a {kind}, no t5; give T5 or Flan-T5")));
        }
        let feed_forward = json.word_or("feed_forward_proj", "relu")?;
        let (gated, activation) = match feed_forward {
            "relu" => (false, Unary::LeakyRelu { slope: 0.0 }),
            "gelu" => (false, Unary::Gelu),
            "gated-gelu" => (true, Unary::GeluTanh),
            "gated-silu" => (true, Unary::Silu),
            other => {
                return Err(Error::unsupported_model(format!(
                    "the feed-forward layers are {other}; relu, gelu, gated-gelu and gated-silu run here"
                )));
            }
        };
        let vocabulary = json.count_or("vocab_size", 32128)?;
        let start = json.number_or("decoder_start_token_id", json.number_or("pad_token_id", 0.0)?)?;
        if start.fract() != 0.0 || !(0.0..vocabulary as f64).contains(&start) {
            return Err(Error::corrupt_file(format!(
                "{WHAT}: decoder_start_token_id {start} is none of {vocabulary} tokens; give the model's own configuration"
            )));
        }
        let layers = json.count_or("num_layers", 6)?;
        Self {
            vocabulary,
            width: json.count_or("d_model", 512)?,
            heads: json.count_or("num_heads", 8)?,
            head_dim: json.count_or("d_kv", 64)?,
            feed_forward: json.count_or("d_ff", 2048)?,
            layers,
            decoder_layers: json.count_or("num_decoder_layers", layers)?,
            buckets: json.count_or("relative_attention_num_buckets", 32)?,
            farthest: json.count_or("relative_attention_max_distance", 128)?,
            gated,
            activation,
            eps: json.number_or("layer_norm_epsilon", 1e-6)? as f32,
            scaled: json.flag_or("scale_decoder_outputs", json.flag_or("tie_word_embeddings", true)?)?,
            start: start as u32,
            context_length: json.count_or("n_positions", 512)?,
        }
        .checked()
    }

    fn checked(self) -> Result<Self> {
        // A quarter of the buckets are for single distances each way, at least one.
        if self.buckets < 4 || !self.buckets.is_multiple_of(2) || self.farthest <= self.buckets / 2 {
            return Err(Error::corrupt_file(format!(
                "{} buckets for distances up to {} cannot be; give the model's own configuration",
                self.buckets, self.farthest
            )));
        }
        if self.layers.max(self.decoder_layers) > 1024 {
            let layers = self.layers.max(self.decoder_layers);
            return Err(Error::corrupt_file(format!("{layers} layers cannot be; give the model's own configuration")));
        }
        Ok(self)
    }

    /// Which bucket a key is in that stands `distance` places after the query (before it where negative). The encoder sees `both_ways` and
    /// has half of the buckets for each; to the decoder, what is not before the query is in bucket 0. Half of the buckets of a way are single
    /// distances, the others grow with the logarithm.
    pub fn bucket(&self, distance: isize, both_ways: bool) -> u32 {
        let (first, buckets, distance) = match both_ways {
            true if distance > 0 => (self.buckets / 2, self.buckets / 2, distance.unsigned_abs()),
            true => (0, self.buckets / 2, distance.unsigned_abs()),
            false => (0, self.buckets, distance.min(0).unsigned_abs()),
        };
        let exact = buckets / 2;
        if distance < exact {
            return (first + distance) as u32;
        }
        // In f32, as PyTorch has it: where a bucket begins depends on it.
        let whole = (self.farthest as f64 / exact as f64).ln() as f32;
        let part = (distance as f32 / exact as f32).ln() / whole * (buckets - exact) as f32;
        (first + (exact + part as usize).min(buckets - 1)) as u32
    }

    /// Columns of keys and values.
    fn inner(&self) -> usize {
        self.heads * self.head_dim
    }

    fn attention(&self, mask: Mask) -> Attention {
        Attention::plain(self.heads, self.heads, self.head_dim, 1.0, mask, 1)
    }

    /// What keys from `before` places before a query to `after` behind it get added to their scores, and the row of a key at its own place.
    fn bias(&self, b: &mut Builder, before: usize, after: usize, both_ways: bool) -> Result<(ValueId, usize)> {
        let buckets: Vec<u32> =
            (0..=before + after).map(|row| self.bucket(row as isize - before as isize, both_ways)).collect();
        let ids = b.g.ids(&buckets);
        let table = "block.0.layer.0.SelfAttention.relative_attention_bias";
        Ok((b.embedding(table, self.buckets, self.heads, ids)?, before))
    }

    /// Of the rows themselves, or of a cache that they are written to.
    fn self_attention(
        &self,
        b: &mut Builder,
        cache: Option<[StateId; 2]>,
        bias: (ValueId, usize),
        x: ValueId,
    ) -> Result<ValueId> {
        let h = b.rms_norm("layer_norm", self.width, self.eps, x)?;
        let mut b = b.pp("SelfAttention");
        let q = b.linear_without_bias("q", self.inner(), h)?;
        let k = b.linear_without_bias("k", self.inner(), h)?;
        let v = b.linear_without_bias("v", self.inner(), h)?;
        let (mask, k, v) = match cache {
            Some([keys, values]) => (Mask::CACHED, b.g.cache_write(keys, k)?, b.g.cache_write(values, v)?),
            None => (Mask::FULL, k, v),
        };
        let h = b.g.attend(self.attention(mask), [q, k, v], Some(bias), None)?;
        let h = b.linear_without_bias("o", self.width, h)?;
        b.add(x, h)
    }

    /// Of what the encoder stored.
    fn cross_attention(&self, b: &mut Builder, [keys, values]: [StateId; 2], x: ValueId) -> Result<ValueId> {
        let h = b.rms_norm("layer_norm", self.width, self.eps, x)?;
        let mut b = b.pp("EncDecAttention");
        let q = b.linear_without_bias("q", self.inner(), h)?;
        let (k, v) = (b.g.stored(keys)?, b.g.stored(values)?);
        let h = b.g.attend(self.attention(Mask::MEMORY), [q, k, v], None, None)?;
        let h = b.linear_without_bias("o", self.width, h)?;
        b.add(x, h)
    }

    fn feed_forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let h = b.rms_norm("layer_norm", self.width, self.eps, x)?;
        let mut b = b.pp("DenseReluDense");
        let h = if self.gated {
            let gate = b.linear_without_bias("wi_0", self.feed_forward, h)?;
            let up = b.linear_without_bias("wi_1", self.feed_forward, h)?;
            let gate = b.g.unary(self.activation, gate);
            b.g.binary(Binary::Mul, gate, up)?
        } else {
            let up = b.linear_without_bias("wi", self.feed_forward, h)?;
            b.g.unary(self.activation, up)
        };
        let h = b.linear_without_bias("wo", self.width, h)?;
        b.add(x, h)
    }
}

/// Where the rows of the decoder come from.
#[derive(Clone, Copy)]
enum Rows {
    /// The token chosen in the step before.
    Last,
    /// So many ids from the caller, of which one row is read.
    Given(usize),
}

/// An encoder and decoder whose weights are known by name, shape and type.
#[derive(Debug, Clone)]
pub struct T5 {
    config: T5Config,
    capacity: usize,
    alternatives: usize,
    /// Whether a head of its own stands beside the embedding.
    own_head: bool,
    weights: Weights,
}

impl T5 {
    /// Finds every weight in a file.
    ///
    /// Errors: `corrupt-file` that names the weight which is missing, or is of another shape than the configuration says.
    pub fn find(config: T5Config, tensors: &dyn Tensors, storage: Storage) -> Result<Self> {
        // What is shared is stored once, under any of these.
        let shared = ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"];
        let shared = shared.into_iter().find(|name| tensors.tensor(name).is_some()).unwrap_or("shared.weight");
        let names = |weight: &str| Origin::same(if weight == "shared.weight" { shared } else { weight });
        let search = Search::new(tensors, storage, &names);
        let own_head = search.has("lm_head.weight");
        if !own_head && !config.scaled {
            return Err(Error::corrupt_file(
                "the file has no weight lm_head.weight, which its configuration asks for; fetch the whole file again",
            ));
        }
        let mut model = Self {
            capacity: config.context_length,
            alternatives: ALTERNATIVES.min(config.vocabulary),
            own_head,
            weights: Weights::declared(DType::F32),
            config,
        };
        model.everything(search.builder("t5"))?;
        model.weights = search.finish();
        Ok(model)
    }

    pub fn config(&self) -> &T5Config {
        &self.config
    }

    /// Rows that each cache, and the memory, have room for; the configuration's context length unless set.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Gives the caches and the memory room for `rows` tokens, at least one. T5 knows no farthest position.
    pub fn with_capacity(mut self, rows: usize) -> Self {
        self.capacity = rows.max(1);
        self
    }

    /// Sets how many likeliest tokens a step reports, at most the vocabulary.
    pub fn with_alternatives(mut self, alternatives: usize) -> Self {
        self.alternatives = alternatives.min(self.config.vocabulary);
        self
    }

    /// How its weights are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        self.weights.recipes()
    }

    /// Every weight and state, for loading: encoder and decoder in one graph that is never run.
    pub fn whole(&self) -> Result<Graph> {
        self.everything(self.weights.builder("t5"))
    }

    /// Reads `t` tokens, `ids` `[t]` U32, as one text, and stores keys and values for every layer of the decoder. Output `hidden` `[t, width]`, the encoder's rows.
    ///
    /// Errors: `context-overflow` where the memory has no room for so many.
    pub fn encoder(&self, t: usize) -> Result<Graph> {
        if !(1..=self.capacity).contains(&t) {
            return Err(Error::context_overflow(format!(
                "a text of {t} tokens was to be read, and there is room for 1 to {}; give another, or make room for more",
                self.capacity
            )));
        }
        let mut b = self.weights.builder(format!("t5 encoder {t}"));
        self.encode(&mut b, t)?;
        Ok(b.finish())
    }

    /// One step of the decoder: the token chosen before → logits → the next. Outputs `sampled` and `logits` `[1, vocabulary]`.
    pub fn decode(&self) -> Result<Graph> {
        let mut b = self.weights.builder("t5 decode");
        self.write(&mut b, Rows::Last)?;
        Ok(b.finish())
    }

    /// `t` tokens into the decoder's caches, [`T5Config::start`] first where a text begins; input `ids` `[t]` U32. The row that the step names is sampled
    /// from. Outputs `sampled` and `logits` `[1, vocabulary]`.
    pub fn prefill(&self, t: usize) -> Result<Graph> {
        let mut b = self.weights.builder(format!("t5 prefill {t}"));
        self.write(&mut b, Rows::Given(t))?;
        Ok(b.finish())
    }

    fn everything(&self, mut b: Builder) -> Result<Graph> {
        self.encode(&mut b, 1)?;
        self.write(&mut b, Rows::Last)?;
        Ok(b.finish())
    }

    /// Keys and values `[capacity, heads · head_dim]` of a layer of the decoder.
    fn states(&self, b: &mut Builder, kind: &str, layer: usize) -> Result<[StateId; 2]> {
        let shape = [self.capacity, self.config.inner()];
        let mut state = |part: &str| b.g.state(&format!("{kind}.{part}.{layer}"), &shape, DType::F32);
        Ok([state("k")?, state("v")?])
    }

    fn encode(&self, b: &mut Builder, t: usize) -> Result<()> {
        let c = &self.config;
        b.g.at("encoder embedding");
        let ids = b.g.input("ids", &[t], DType::U32);
        let mut x = b.embedding("shared", c.vocabulary, c.width, ids)?;
        let mut stack = b.pp("encoder");
        let bias = c.bias(&mut stack, t - 1, t - 1, true)?;
        for i in 0..c.layers {
            let mut block = stack.pp(format!("block.{i}"));
            block.g.at(format!("encoder layer {i}"));
            x = c.self_attention(&mut block.pp("layer.0"), None, bias, x)?;
            x = c.feed_forward(&mut block.pp("layer.1"), x)?;
        }
        let hidden = stack.rms_norm("final_layer_norm", c.width, c.eps, x)?;
        drop(stack);
        b.g.at("memory");
        for i in 0..c.decoder_layers {
            let [keys, values] = self.states(b, "memory", i)?;
            let mut cross = b.pp(format!("decoder.block.{i}.layer.1.EncDecAttention"));
            let k = cross.linear_without_bias("k", c.inner(), hidden)?;
            let v = cross.linear_without_bias("v", c.inner(), hidden)?;
            cross.g.cache_write(keys, k)?;
            cross.g.cache_write(values, v)?;
        }
        b.g.output("hidden", hidden);
        Ok(())
    }

    fn write(&self, b: &mut Builder, rows: Rows) -> Result<()> {
        let c = &self.config;
        b.g.at("decoder embedding");
        let seen = b.g.state("seen", &[c.vocabulary], DType::U32)?;
        let token = b.g.state("token", &[1], DType::U32)?;
        let ids = match rows {
            Rows::Last => b.g.last_token(token),
            Rows::Given(t) => b.g.input("ids", &[t], DType::U32),
        };
        let mut x = b.embedding("shared", c.vocabulary, c.width, ids)?;
        let mut stack = b.pp("decoder");
        let bias = c.bias(&mut stack, self.capacity - 1, 0, false)?;
        for i in 0..c.decoder_layers {
            let (cache, memory) = (self.states(&mut stack, "cache", i)?, self.states(&mut stack, "memory", i)?);
            let mut block = stack.pp(format!("block.{i}"));
            block.g.at(format!("decoder layer {i}"));
            x = c.self_attention(&mut block.pp("layer.0"), Some(cache), bias, x)?;
            x = c.cross_attention(&mut block.pp("layer.1"), memory, x)?;
            x = c.feed_forward(&mut block.pp("layer.2"), x)?;
        }
        stack.g.at("output");
        if let Rows::Given(_) = rows {
            x = stack.g.select_row(x)?;
        }
        x = stack.rms_norm("final_layer_norm", c.width, c.eps, x)?;
        drop(stack);
        if c.scaled {
            x = b.g.unary(Unary::Affine { scale: 1.0 / (c.width as f32).sqrt(), shift: 0.0 }, x);
        }
        let head = if self.own_head { "lm_head" } else { "shared" };
        let logits = b.linear_without_bias(head, c.vocabulary, x)?;
        let sampled = b.g.sample(seen, token, self.alternatives, logits)?;
        b.g.output("sampled", sampled);
        b.g.output("logits", logits);
        Ok(())
    }
}
