//! Encoders of text: BERT (arXiv 1810.04805), RoBERTa and XLM-R (arXiv 1907.11692, 1911.02116), DistilBERT (arXiv 1910.01108), Nomic BERT (arXiv 2402.01613),
//! ModernBERT (arXiv 2412.13663), T5's encoder (arXiv 1910.10683), and tables of tokens alone. Rows that all see one another; their mean, made as long as 1, is a text's embedding (Sentence-BERT, arXiv 1908.10084); heads
//! fill masks and classify.
//!
//! Families differ in facts ([`EncoderConfig`]) and in what their files call the weights ([`names`]). Texts are a batch, padded at their ends to one length.

mod config;
mod names;

pub use config::{EncoderConfig, Family, Positions};

use super::{Builder, Search, Tensors, Weights, encoder_decoder::t5};
use crate::{
    Error, Result,
    graph::{Attention, Binary, DType, Graph, Mask, Pooling, Rope, RopeLayout, Unary, ValueId},
    weights::{Metadata, Recipes, Storage},
};

/// What a graph is to give beside the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// One row a text.
    Embed(Pooling),
    /// The logits of the row that the step names, over the vocabulary.
    Fill,
    /// The logits of each text, or of each token, over the labels.
    Classify,
}

/// What a head says something of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labelled {
    Texts,
    Tokens,
}

/// An encoder whose weights are known by name, shape and type.
#[derive(Debug, Clone)]
pub struct Encoder {
    config: EncoderConfig,
    /// Whether there is a head for masked words.
    fills: bool,
    classifies: Option<Labelled>,
    weights: Weights,
}

/// What a probe keeps at most: layers, of the vocabulary, of a feed-forward layer's width.
const PROBE_LAYERS: usize = 2;
const PROBE_VOCABULARY: usize = 512;
const PROBE_WIDTH: usize = 2048;

impl Encoder {
    /// Reads a `config.json` of `transformers` and finds every weight.
    ///
    /// Errors: `unsupported-model` where it is of another kind, `corrupt-file` where it says what cannot be, or a weight is missing or of another shape.
    pub fn from_hugging_face(config_json: &str, tensors: &dyn Tensors, storage: Storage) -> Result<Self> {
        Self::find(EncoderConfig::from_hugging_face(config_json)?, tensors, storage)
    }

    /// The same from a GGUF's metadata.
    pub fn from_gguf(metadata: &Metadata, tensors: &dyn Tensors, storage: Storage) -> Result<Self> {
        Self::find(EncoderConfig::from_gguf(metadata, tensors)?, tensors, storage)
    }

    /// The same from a file that holds one table of tokens and nothing else.
    pub fn from_table(tensors: &dyn Tensors, storage: Storage) -> Result<Self> {
        let config = EncoderConfig::of_table(tensors).ok_or_else(|| {
            Error::unsupported_model("the file holds no table of tokens alone; give its config.json too, or a model whose tokens have no weights of their own (model2vec)")
        })?;
        Self::find(config, tensors, storage)
    }

    fn find(config: EncoderConfig, tensors: &dyn Tensors, storage: Storage) -> Result<Self> {
        let names = |weight: &str| names::origin(&config, tensors, weight);
        let search = Search::new(tensors, storage, &names);
        let labelled = || if config.classifies_tokens { Labelled::Tokens } else { Labelled::Texts };
        let mut model = Self {
            fills: search.has("mlm.dense.weight"),
            classifies: (search.has("classifier.out.weight") && !config.cut_head).then(labelled),
            weights: Weights::declared(DType::F32),
            config: config.clone(),
        };
        model.everything(search.builder(config.family.name()))?;
        model.weights = search.finish();
        Ok(model)
    }

    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    pub fn fills(&self) -> bool {
        self.fills
    }

    pub fn classifies(&self) -> Option<Labelled> {
        self.classifies
    }

    /// How its weights are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        self.weights.recipes()
    }

    /// A small model of the same widths and heads, whose steps take this one's paths through a backend's kernels.
    pub fn probe(&self) -> Self {
        let mut probe = Self { weights: self.weights.alike(), ..self.clone() };
        let c = &mut probe.config;
        c.layers = c.layers.min(PROBE_LAYERS);
        c.vocabulary = c.vocabulary.min(PROBE_VOCABULARY);
        c.feed_forward = c.feed_forward.min(PROBE_WIDTH);
        probe
    }

    /// Every weight, for loading: a graph that is never run.
    pub fn whole(&self) -> Result<Graph> {
        self.everything(self.weights.builder(self.config.family.name()))
    }

    /// `batch` texts of `length` tokens, pads included. Inputs `ids` and, where there are kinds of tokens, `kinds` (0 where there is one segment)
    /// `[batch · length]` U32, and `lengths` `[batch]` U32: of each text so many tokens count, from the first on. Outputs:
    ///
    /// - `hidden` `[batch · length, width]`; what stands behind a text's end means nothing,
    /// - `pooled` `[batch, width]` of [`Task::Embed`], not yet made as long as 1,
    /// - `pooler` `[batch, width]` with it, where the file has one: the first row through a layer and tanh,
    /// - `logits` of the other tasks, `[1, vocabulary]`, or `[batch, labels]` and `[batch · length, labels]`.
    ///
    /// Errors: `bad-argument` where texts are longer than there are positions, for several whose positions turn, and for a task that the file has no head for.
    pub fn graph(&self, task: Task, batch: usize, length: usize) -> Result<Graph> {
        let c = &self.config;
        if !(1..=c.context_length).contains(&length) || batch == 0 {
            return Err(Error::bad_argument(format!(
                "{batch} texts of {length} tokens were to be read; there is at least one text, of 1 to {} tokens",
                c.context_length
            )));
        }
        if batch > 1 && matches!(c.positions, Positions::Rotary { .. } | Positions::Distances { .. }) {
            return Err(Error::bad_argument("positions that turn or lean are of one text; read them one by one"));
        }
        let name = format!("{} {task:?} {batch} × {length}", c.family.name());
        let mut b = self.weights.builder(name);
        let (x, lengths) = self.rows(&mut b, batch, length)?;
        self.task(&mut b, task, x, lengths)?;
        Ok(b.finish())
    }

    fn everything(&self, mut b: Builder) -> Result<Graph> {
        let (x, lengths) = self.rows(&mut b, 1, 1)?;
        self.task(&mut b, Task::Embed(Pooling::Mean), x, lengths)?;
        if self.fills {
            self.task(&mut b, Task::Fill, x, lengths)?;
        }
        if self.classifies.is_some() {
            self.task(&mut b, Task::Classify, x, lengths)?;
        }
        Ok(b.finish())
    }

    fn norm(&self, b: &mut Builder, name: &str, x: ValueId) -> Result<ValueId> {
        let columns = [b.columns_of(x)];
        let weight = b.weight(&format!("{name}.weight"), &columns)?;
        if self.config.family == Family::T5 {
            return b.g.rms_norm(weight, self.config.eps, x);
        }
        let bias = match self.config.norm_bias {
            true => Some(b.weight(&format!("{name}.bias"), &columns)?),
            false => None,
        };
        b.g.layer_norm(Some(weight), bias, self.config.eps, x)
    }

    fn linear(&self, b: &mut Builder, name: &str, out: usize, x: ValueId) -> Result<ValueId> {
        match b.has(&format!("{name}.bias")) {
            true => b.linear(name, out, x),
            false => b.linear_without_bias(name, out, x),
        }
    }

    fn rows(&self, b: &mut Builder, batch: usize, length: usize) -> Result<(ValueId, ValueId)> {
        let c = &self.config;
        let rows = batch.saturating_mul(length);
        b.g.at("embeddings");
        let ids = b.g.input("ids", &[rows], DType::U32);
        let mut x = b.embedding("word", c.vocabulary, c.width, ids)?;
        if c.kinds > 0 {
            let kinds = b.g.input("kinds", &[rows], DType::U32);
            let kinds = b.embedding("kind", c.kinds, c.width, kinds)?;
            x = b.add(x, kinds)?;
        }
        if c.positions == Positions::Table {
            let places: Vec<u32> = (0..batch).flat_map(|_| 0..length as u32).collect();
            let places = b.g.ids(&places);
            let positions = b.embedding("position", c.context_length, c.width, places)?;
            x = b.add(x, positions)?;
        }
        if !matches!(c.family, Family::Static | Family::T5) {
            x = self.norm(b, "embedding_norm", x)?;
        }
        let mut bias = self.bias(b, 0, length)?;
        let lengths = b.g.input("lengths", &[batch], DType::U32);
        for i in 0..c.layers {
            if i > 0 && c.leans_by_layer {
                bias = self.bias(b, i, length)?;
            }
            let mut layer = b.pp(format!("layer.{i}"));
            layer.g.at(format!("layer {i}"));
            x = self.layer(&mut layer, i, batch, (lengths, bias), x)?;
        }
        if c.pre_norm {
            x = self.norm(b, "final_norm", x)?;
        }
        b.g.at("output");
        b.g.output("hidden", x);
        Ok((x, lengths))
    }

    /// What T5's keys get added to their scores by their distance, and the row of a key at its own place.
    fn bias(&self, b: &mut Builder, layer: usize, length: usize) -> Result<Option<(ValueId, usize)>> {
        let Positions::Distances { buckets, farthest } = self.config.positions else { return Ok(None) };
        let before = length as isize - 1;
        let ids: Vec<u32> = (-before..=before).map(|at| t5::bucket((buckets, farthest), at, true)).collect();
        let ids = b.g.ids(&ids);
        let table = b.pp(format!("layer.{layer}")).embedding("distances", buckets, self.config.heads, ids)?;
        Ok(Some((table, length - 1)))
    }

    fn layer(
        &self,
        b: &mut Builder,
        i: usize,
        batch: usize,
        seen: (ValueId, Option<(ValueId, usize)>),
        x: ValueId,
    ) -> Result<ValueId> {
        let c = &self.config;
        // ModernBERT's first layer has none: the embedding's stands right before it.
        let normed = c.pre_norm && (i > 0 || c.family == Family::T5);
        let h = if normed { self.norm(b, "attention_norm", x)? } else { x };
        let h = self.attention(b, i, batch, seen, h)?;
        let x = b.add(x, h)?;
        let x = if c.pre_norm { x } else { self.norm(b, "attention_norm", x)? };
        let h = if c.pre_norm { self.norm(b, "feed_forward_norm", x)? } else { x };
        let h = if c.gated {
            let gate = self.linear(b, "gate", c.feed_forward, h)?;
            let up = self.linear(b, "up", c.feed_forward, h)?;
            let gate = b.g.unary(c.activation, gate);
            b.g.binary(Binary::Mul, gate, up)?
        } else {
            let up = self.linear(b, "up", c.feed_forward, h)?;
            b.g.unary(c.activation, up)
        };
        let h = self.linear(b, "down", c.width, h)?;
        let x = b.add(x, h)?;
        if c.pre_norm { Ok(x) } else { self.norm(b, "feed_forward_norm", x) }
    }

    fn attention(
        &self,
        b: &mut Builder,
        i: usize,
        batch: usize,
        (lengths, bias): (ValueId, Option<(ValueId, usize)>),
        h: ValueId,
    ) -> Result<ValueId> {
        let c = &self.config;
        let (heads, dim) = (c.heads, c.head_dim.unwrap_or(c.width / c.heads));
        let mut q = self.linear(b, "q", heads * dim, h)?;
        let mut k = self.linear(b, "k", heads * dim, h)?;
        let v = self.linear(b, "v", heads * dim, h)?;
        let is_local = c.local.get(i).copied().unwrap_or(false);
        if let Positions::Rotary { base, local_base } = c.positions {
            let base = if is_local { local_base } else { base };
            let of = Rope::plain(heads, dim, base, RopeLayout::HalfSplit);
            (q, k) = (b.g.rope(of, q)?, b.g.rope(of, k)?);
        }
        let mask = Mask::FULL.within(c.window.filter(|_| is_local));
        let scale = if bias.is_some() { 1.0 } else { 1.0 / (dim as f32).sqrt() };
        let of = Attention::plain(heads, heads, dim, scale, mask, batch);
        let h = b.g.attend(of, [q, k, v], bias, Some(lengths))?;
        self.linear(b, "o", c.width, h)
    }

    /// A layer, a function and perhaps a norm below a head.
    fn dense(&self, b: &mut Builder, name: &str, function: Unary, norm: bool, x: ValueId) -> Result<ValueId> {
        let h = self.linear(b, &format!("{name}.dense"), self.config.width, x)?;
        let h = b.g.unary(function, h);
        if norm { self.norm(b, &format!("{name}.norm"), h) } else { Ok(h) }
    }

    fn task(&self, b: &mut Builder, task: Task, x: ValueId, lengths: ValueId) -> Result<()> {
        let c = &self.config;
        let none = |what: &str| {
            Error::bad_argument(format!(
                "the file has no head for {what}; give a model that was trained for it (its config.json names one under architectures)"
            ))
        };
        match task {
            Task::Embed(how) => {
                let pooled = b.g.pool(how, x, lengths)?;
                b.g.output("pooled", pooled);
                if b.has("pooler.dense.weight") {
                    let first = b.g.pool(Pooling::First, x, lengths)?;
                    let first = self.dense(b, "pooler", Unary::Tanh, false, first)?;
                    b.g.output("pooler", first);
                }
            }
            Task::Fill if !self.fills => return Err(none("masked words")),
            Task::Fill => {
                let row = b.g.select_row(x)?;
                let h = self.dense(b, "mlm", c.head_activation, true, row)?;
                let own = b.has("mlm.decoder.weight");
                let table = if own { "mlm.decoder.weight" } else { "word.weight" };
                let table = b.weight(table, &[c.vocabulary, c.width])?;
                let bias = match b.has("mlm.bias") {
                    true => Some(b.weight("mlm.bias", &[c.vocabulary])?),
                    false => None,
                };
                let logits = b.g.linear(table, bias, h)?;
                b.g.output("logits", logits);
            }
            Task::Classify => {
                let labelled = self.classifies.ok_or_else(|| none("labels"))?;
                let rows = match labelled {
                    Labelled::Tokens => x,
                    Labelled::Texts => b.g.pool(c.classifier_pooling, x, lengths)?,
                };
                let h = match (c.family, labelled) {
                    (Family::ModernBert, _) => self.dense(b, "classifier", c.head_activation, true, rows)?,
                    (_, Labelled::Tokens) => rows,
                    (Family::DistilBert, _) => {
                        self.dense(b, "classifier", Unary::LeakyRelu { slope: 0.0 }, false, rows)?
                    }
                    (Family::Roberta, _) => self.dense(b, "classifier", Unary::Tanh, false, rows)?,
                    // In a GGUF, where RoBERTa and DistilBERT are a BERT, which of them it is the table of kinds tells.
                    _ if b.has("classifier.dense.weight") => {
                        let function = if c.kinds == 0 { Unary::LeakyRelu { slope: 0.0 } } else { Unary::Tanh };
                        self.dense(b, "classifier", function, false, rows)?
                    }
                    _ => self.dense(b, "pooler", Unary::Tanh, false, rows)?,
                };
                let logits = self.linear(b, "classifier.out", c.labels.len(), h)?;
                b.g.output("logits", logits);
            }
        }
        Ok(())
    }
}
