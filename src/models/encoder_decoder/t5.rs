//! T5 (arXiv 1910.10683): pre-norm blocks with RMSNorm, attention that nothing scales and that leans on how far a key is away. T5 1.1 and Flan-T5 gate
//! their feed-forward layers and have a head of their own; the first T5 has ReLU and multiplies by its embedding. mT5 (arXiv 2010.11934) is a T5 1.1 of
//! many languages, and umT5 (arXiv 2304.09151) one whose layers each lean in their own way. Weights are called as in `transformers`, or in a GGUF as llama.cpp's converter calls them.

use std::rc::Rc;

use serde_json::Value;

use super::{EncoderDecoder, Keys, LayerStates, Layers, PROBE_VOCABULARY, PROBE_WIDTH, Sizes, Start};
use crate::{
    Error, Result,
    graph::{Binary, Unary, ValueId},
    models::{Builder, Origin, Search, Tensors, config::Json},
    weights::{Metadata, Storage},
};

/// As `model_type` of a `config.json` spells them.
pub(super) const KINDS: [&str; 3] = ["t5", "mt5", "umt5"];

/// The numbers of an encoder and its decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct T5Config {
    /// As `model_type` of a `config.json` spells it.
    pub architecture: &'static str,
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
    /// Whether each layer has such a table of its own; else all look into the first one's.
    pub leans_by_layer: bool,
    pub gated: bool,
    pub activation: Unary,
    pub eps: f32,
    /// Whether the last rows are multiplied by `width`^−0.5 before the head.
    pub scaled: bool,
    pub start: Start,
    /// Rows that a text should have at most. Nothing in the weights says so.
    pub context_length: usize,
}

impl T5Config {
    /// From a `config.json` of `transformers`.
    ///
    /// Errors: `unsupported-model` where it is of another kind, `corrupt-file` where it says what cannot be.
    pub fn from_hugging_face(config: &Value) -> Result<Self> {
        Self::read(&Json::new("config.json", config)?)
    }

    fn read(json: &Json) -> Result<Self> {
        let kind = json.word_or("model_type", KINDS[0])?;
        let Some(architecture) = KINDS.into_iter().find(|known| *known == kind) else {
            return Err(Error::unsupported_model(format!(
                "the model is a {kind}, no t5; give T5, Flan-T5, mT5 or umT5"
            )));
        };
        let many_languages = architecture != "t5";
        let feed_forward = json.word_or("feed_forward_proj", if many_languages { "gated-gelu" } else { "relu" })?;
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
        let usual = |t5: usize, mt5: usize| if many_languages { mt5 } else { t5 };
        let vocabulary = json.count_or("vocab_size", usual(32128, 250_112))?;
        let layers = json.count_or("num_layers", usual(6, 8))?;
        Self {
            architecture,
            vocabulary,
            width: json.count_or("d_model", 512)?,
            heads: json.count_or("num_heads", usual(8, 6))?,
            head_dim: json.count_or("d_kv", 64)?,
            feed_forward: json.count_or("d_ff", usual(2048, 1024))?,
            layers,
            decoder_layers: json.count_or("num_decoder_layers", layers)?,
            buckets: json.count_or("relative_attention_num_buckets", 32)?,
            farthest: json.count_or("relative_attention_max_distance", 128)?,
            leans_by_layer: architecture == "umt5",
            gated,
            activation,
            eps: json.number_or("layer_norm_epsilon", 1e-6)? as f32,
            scaled: architecture != "mt5"
                && json.flag_or("scale_decoder_outputs", json.flag_or("tie_word_embeddings", true)?)?,
            start: Start::of(json, vocabulary)?,
            context_length: json.count_or("n_positions", 512)?,
        }
        .checked()
    }

    /// From a GGUF's metadata: the keys of the GGUF specification, below `t5`. What llama.cpp takes for granted is so here, and a head of its own is
    /// what tells T5 1.1 from the first.
    ///
    /// Errors: as [`Self::from_hugging_face`].
    fn from_gguf(metadata: &Metadata, tensors: &dyn Tensors) -> Result<Self> {
        let optional = |name: &str| metadata.get::<u64>(&format!("t5.{name}")).map(|n| n.map(|n| n as usize));
        let needed = |name: &str| metadata.require::<u64>(&format!("t5.{name}")).map(|n| n as usize);
        let has = |name: &str| tensors.tensor(name).is_some();
        let vocabulary = tensors.tensor("token_embd.weight").and_then(|(_, shape)| shape.first().copied());
        let vocabulary = vocabulary.ok_or_else(|| {
            Error::corrupt_file("the file has no weight token_embd.weight; fetch the whole file again")
        })?;
        let (heads, width, layers) =
            (needed("attention.head_count")?, needed("embedding_length")?, needed("block_count")?);
        let first = optional("decoder_start_token_id")?.unwrap_or(0);
        let gated = has("enc.blk.0.ffn_gate.weight");
        if heads == 0 || width == 0 || first >= vocabulary {
            return Err(Error::corrupt_file(format!(
                "{heads} heads in a width of {width}, with texts that begin with token {first} of {vocabulary}, cannot be; convert the model again"
            )));
        }
        Self {
            architecture: KINDS[0],
            vocabulary,
            width,
            heads,
            head_dim: optional("attention.key_length")?.unwrap_or(width / heads),
            feed_forward: needed("feed_forward_length")?,
            layers,
            decoder_layers: optional("decoder_block_count")?.unwrap_or(layers),
            buckets: needed("attention.relative_buckets_count")?,
            farthest: 128,
            leans_by_layer: has("enc.blk.1.attn_rel_b.weight"),
            gated,
            activation: if gated { Unary::GeluTanh } else { Unary::LeakyRelu { slope: 0.0 } },
            eps: metadata.get::<f32>("t5.attention.layer_norm_rms_epsilon")?.unwrap_or(1e-6),
            scaled: !has("output.weight"),
            start: Start { first: first as u32, ..Start::default() },
            context_length: needed("context_length")?,
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
        if self.context_length == 0 || self.layers.max(self.decoder_layers) > 1024 {
            let layers = self.layers.max(self.decoder_layers);
            return Err(Error::corrupt_file(format!(
                "{layers} layers with {} positions cannot be; give the model's own configuration",
                self.context_length
            )));
        }
        Ok(self)
    }

    /// [`bucket`] of these.
    pub fn bucket(&self, distance: isize, both_ways: bool) -> u32 {
        bucket((self.buckets, self.farthest), distance, both_ways)
    }

    /// Columns of keys and values.
    fn inner(&self) -> usize {
        self.heads * self.head_dim
    }

    /// What keys from `before` places before a query to `after` behind it get added to their scores, and the row of a key at its own place.
    fn bias(
        &self,
        b: &mut Builder,
        layer: usize,
        [before, after]: [usize; 2],
        both_ways: bool,
    ) -> Result<(ValueId, usize)> {
        let buckets: Vec<u32> =
            (0..=before + after).map(|row| self.bucket(row as isize - before as isize, both_ways)).collect();
        let ids = b.g.ids(&buckets);
        let table = format!("block.{layer}.layer.0.SelfAttention.relative_attention_bias");
        Ok((b.embedding(&table, self.buckets, self.heads, ids)?, before))
    }

    /// `name` is the layer's.
    fn attention(
        &self,
        b: &mut Builder,
        name: &str,
        keys: Keys,
        bias: Option<(ValueId, usize)>,
        x: ValueId,
    ) -> Result<ValueId> {
        let h = b.rms_norm("layer_norm", self.width, self.eps, x)?;
        let (mut b, inner) = (b.pp(name), self.inner());
        let q = b.linear_without_bias("q", inner, h)?;
        let made = |b: &mut Builder| Ok([b.linear_without_bias("k", inner, h)?, b.linear_without_bias("v", inner, h)?]);
        let h = keys.attend(&mut b, (self.heads, self.head_dim, 1.0), bias, q, made)?;
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

/// Which of so many buckets for distances up to the farthest a key is in that stands `distance` places after the query (before it where negative). An encoder
/// sees `both_ways` and has half of the buckets for each; to a decoder, what is not before the query is in bucket 0. Half of the buckets of a way are single
/// distances, the others grow with the logarithm.
pub fn bucket((buckets, farthest): (usize, usize), distance: isize, both_ways: bool) -> u32 {
    let (first, buckets, distance) = match both_ways {
        true if distance > 0 => (buckets / 2, buckets / 2, distance.unsigned_abs()),
        true => (0, buckets / 2, distance.unsigned_abs()),
        false => (0, buckets, distance.min(0).unsigned_abs()),
    };
    let exact = buckets / 2;
    if distance < exact {
        return (first + distance) as u32;
    }
    // In f32, as PyTorch has it: where a bucket begins depends on it.
    let whole = (farthest as f64 / exact as f64).ln() as f32;
    let part = (distance as f32 / exact as f32).ln() / whole * (buckets - exact) as f32;
    (first + (exact + part as usize).min(buckets - 1)) as u32
}

/// A configuration, and what the file has besides.
#[derive(Debug)]
struct T5 {
    config: T5Config,
    /// Whether a head of its own stands beside the embedding.
    own_head: bool,
}

/// Finds every weight in a file.
pub(super) fn find(json: &Json, tensors: &dyn Tensors, storage: Storage) -> Result<EncoderDecoder> {
    let config = T5Config::read(json)?;
    // What is shared is stored once, under any of these.
    let shared = ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"];
    let shared = shared.into_iter().find(|name| tensors.tensor(name).is_some()).unwrap_or("shared.weight");
    let names = |weight: &str| Origin::same(if weight == "shared.weight" { shared } else { weight });
    let search = Search::new(tensors, storage, &names);
    let own_head = search.has("lm_head.weight");
    if !own_head && !config.scaled && config.architecture == KINDS[0] {
        return Err(Error::corrupt_file(
            "the file has no weight lm_head.weight, which its configuration asks for; fetch the whole file again",
        ));
    }
    EncoderDecoder::new(Rc::new(T5 { config, own_head }), search)
}

/// The same in a GGUF.
pub(super) fn find_gguf(metadata: &Metadata, tensors: &dyn Tensors, storage: Storage) -> Result<EncoderDecoder> {
    let config = T5Config::from_gguf(metadata, tensors)?;
    let names = |weight: &str| Origin::whole(gguf_name(weight));
    let search = Search::new(tensors, storage, &names);
    let own_head = search.has("lm_head.weight");
    EncoderDecoder::new(Rc::new(T5 { config, own_head }), search)
}

/// What llama.cpp's converter calls a weight of `transformers`.
fn gguf_name(weight: &str) -> String {
    let parts: Vec<&str> = weight.split('.').collect();
    let (side, rest) = match parts.as_slice() {
        ["shared", ..] => return "token_embd.weight".into(),
        ["lm_head", ..] => return "output.weight".into(),
        [side, rest @ ..] => (if *side == "encoder" { "enc" } else { "dec" }, rest),
        [] => return String::new(),
    };
    let ["block", block, "layer", layer, part @ ..] = rest else { return format!("{side}.output_norm.weight") };
    let name = match (part, *layer, side) {
        (["layer_norm", ..], "0", _) => "attn_norm".into(),
        (["layer_norm", ..], "1", "dec") => "cross_attn_norm".into(),
        (["layer_norm", ..], ..) => "ffn_norm".into(),
        (["SelfAttention", "relative_attention_bias", ..], ..) => "attn_rel_b".into(),
        (["SelfAttention", of, ..], ..) => format!("attn_{of}"),
        (["EncDecAttention", of, ..], ..) => format!("cross_attn_{of}"),
        ([_, "wi_0", ..], ..) => "ffn_gate".into(),
        ([_, "wo", ..], ..) => "ffn_down".into(),
        _ => "ffn_up".into(),
    };
    format!("{side}.blk.{block}.{name}.weight")
}

impl Layers for T5 {
    fn sizes(&self) -> Sizes {
        let c = &self.config;
        Sizes {
            architecture: c.architecture,
            vocabulary: c.vocabulary,
            written: c.vocabulary,
            width: c.width,
            inner: c.inner(),
            layers: c.layers,
            decoder_layers: c.decoder_layers,
            context_length: c.context_length,
            bounded: false,
            start: c.start.clone(),
        }
    }

    fn probe(&self) -> Rc<dyn Layers> {
        let c = &self.config;
        let config = T5Config {
            vocabulary: c.vocabulary.min(PROBE_VOCABULARY),
            feed_forward: c.feed_forward.min(PROBE_WIDTH),
            layers: 1,
            decoder_layers: 1,
            start: Start::default(),
            ..c.clone()
        };
        Rc::new(Self { config, own_head: self.own_head })
    }

    fn read(&self, b: &mut Builder, t: usize, ids: ValueId, lengths: ValueId) -> Result<ValueId> {
        let c = &self.config;
        let mut x = b.embedding("shared", c.vocabulary, c.width, ids)?;
        let mut stack = b.pp("encoder");
        let mut bias = c.bias(&mut stack, 0, [t - 1, t - 1], true)?;
        for i in 0..c.layers {
            if c.leans_by_layer && i > 0 {
                bias = c.bias(&mut stack, i, [t - 1, t - 1], true)?;
            }
            let mut block = stack.pp(format!("block.{i}"));
            block.g.at(format!("encoder layer {i}"));
            x = c.attention(&mut block.pp("layer.0"), "SelfAttention", Keys::Read(lengths), Some(bias), x)?;
            x = c.feed_forward(&mut block.pp("layer.1"), x)?;
        }
        stack.rms_norm("final_layer_norm", c.width, c.eps, x)
    }

    fn memory(&self, b: &mut Builder, layer: usize, hidden: ValueId) -> Result<[ValueId; 2]> {
        let inner = self.config.inner();
        let mut cross = b.pp(format!("decoder.block.{layer}.layer.1.EncDecAttention"));
        Ok([cross.linear_without_bias("k", inner, hidden)?, cross.linear_without_bias("v", inner, hidden)?])
    }

    fn write(&self, b: &mut Builder, capacity: usize, ids: ValueId, states: &[LayerStates]) -> Result<ValueId> {
        let c = &self.config;
        let mut x = b.embedding("shared", c.vocabulary, c.width, ids)?;
        let mut stack = b.pp("decoder");
        let mut bias = c.bias(&mut stack, 0, [capacity - 1, 0], false)?;
        for (i, [cache, memory]) in states.iter().enumerate() {
            if c.leans_by_layer && i > 0 {
                bias = c.bias(&mut stack, i, [capacity - 1, 0], false)?;
            }
            let mut block = stack.pp(format!("block.{i}"));
            block.g.at(format!("decoder layer {i}"));
            x = c.attention(&mut block.pp("layer.0"), "SelfAttention", Keys::Cached(*cache), Some(bias), x)?;
            x = c.attention(&mut block.pp("layer.1"), "EncDecAttention", Keys::Memory(*memory), None, x)?;
            x = c.feed_forward(&mut block.pp("layer.2"), x)?;
        }
        Ok(x)
    }

    fn head(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let c = &self.config;
        let mut x = b.pp("decoder").rms_norm("final_layer_norm", c.width, c.eps, x)?;
        if c.scaled {
            x = b.g.unary(Unary::Affine { scale: 1.0 / (c.width as f32).sqrt(), shift: 0.0 }, x);
        }
        b.linear_without_bias(if self.own_head { "lm_head" } else { "shared" }, c.vocabulary, x)
    }
}
