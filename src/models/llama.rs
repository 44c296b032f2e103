//! The Llama family (arXiv 2302.13971, 2307.09288): pre-norm blocks of grouped-query attention with rotary positions
//! and a gated feed-forward layer, and an output that is its own or shared with the embedding.
//!
//! One [`Llama`] makes three graphs over the same weights and states: [`Llama::decode`], [`Llama::prefill`] and
//! [`Llama::score`]. States: `cache.k.N` and `cache.v.N` `[capacity, kv_heads · head_dim]` F32, `seen` `[vocabulary]` U32,
//! `token` `[1]` U32.

mod config;

pub use config::{LlamaConfig, Names};

use super::Tensors;
use crate::{
    Error, Result,
    graph::{Binary, DType, Graph, GraphBuilder, Sampled, Unary, ValueId, WeightId},
    weights::{Metadata, Recipe, Recipes},
};

/// How many likeliest tokens a step reports beside the chosen one, unless told otherwise.
pub const ALTERNATIVES: usize = 8;

/// What [`Llama::probe`] keeps at most; multiples of the largest block.
const PROBE_LAYERS: usize = 3;
const PROBE_WIDTH: usize = 2048;
const PROBE_VOCABULARY: usize = 512;

/// The name of the weight that holds one frequency divisor for each rotated pair (Llama 3).
const ROPE_FACTORS: &str = "rope_freqs.weight";

/// A Llama whose weights are known by name, shape and type.
#[derive(Debug, Clone)]
pub struct Llama {
    config: LlamaConfig,
    capacity: usize,
    alternatives: usize,
    token_embedding: Tensor,
    layers: Vec<Layer>,
    output_norm: Tensor,
    /// `None` where the embedding serves as output.
    output: Option<Tensor>,
    rope_factors: Option<Tensor>,
}

#[derive(Debug, Clone)]
struct Tensor {
    name: String,
    shape: Vec<usize>,
    dtype: DType,
}

#[derive(Debug, Clone)]
struct Layer {
    attention_norm: Tensor,
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    feed_forward_norm: Tensor,
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl Layer {
    fn linears(&self) -> [&Linear; 7] {
        [&self.query, &self.key, &self.value, &self.attention_output, &self.gate, &self.up, &self.down]
    }
}

#[derive(Debug, Clone)]
struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

/// The weights of a layer.
#[derive(Debug, Clone, Copy)]
enum Part {
    AttentionNorm,
    Query,
    Key,
    Value,
    AttentionOutput,
    FeedForwardNorm,
    Gate,
    Up,
    Down,
}

/// Where the rows of a graph come from and which of them go on to the head.
enum Rows {
    /// The token chosen in the step before.
    Last,
    /// `t` ids from the caller, of which one row is read.
    One(usize),
    /// `t` ids from the caller, all of which are read.
    All(usize),
}

impl Llama {
    /// Reads the configuration from a GGUF's metadata and finds every weight in the file's index. A missing or
    /// mis-shaped weight is a corrupt file, by its name.
    pub fn from_gguf(metadata: &Metadata, tensors: &dyn Tensors) -> Result<Self> {
        let embedding = tensors.tensor(Names::Gguf.token_embedding()).map(|(_, shape)| shape.to_vec());
        Self::new(LlamaConfig::from_gguf(metadata, embedding.as_deref())?, tensors)
    }

    /// The same from the text of a Hugging Face `config.json` and the index of its safetensors.
    pub fn from_hugging_face(config_json: &str, tensors: &dyn Tensors) -> Result<Self> {
        Self::new(LlamaConfig::from_hugging_face(config_json)?, tensors)
    }

    /// Finds every weight that `config` asks for.
    pub fn new(config: LlamaConfig, tensors: &dyn Tensors) -> Result<Self> {
        config.check()?;
        let find = |name: String, shape: &[usize]| -> Result<Tensor> {
            find(tensors, &name, shape)?.ok_or_else(|| {
                Error::corrupt_file(format!(
                    "the file has no weight {name} {shape:?}, which its configuration asks for; fetch the whole file again"
                ))
            })
        };
        let names = config.names;
        let (dim, ffn) = (config.dim, config.feed_forward);
        let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        let mut layers = Vec::new();
        for i in 0..config.layers {
            let norm = |part: Part| find(names.layer(i, part), &[dim]);
            let linear = |part: Part, out: usize, inner: usize| -> Result<Linear> {
                let weight = find(names.layer(i, part), &[out, inner])?;
                let bias = match weight.name.strip_suffix(".weight") {
                    Some(stem) => self::find(tensors, &format!("{stem}.bias"), &[out])?,
                    None => None,
                };
                Ok(Linear { weight, bias })
            };
            layers.push(Layer {
                attention_norm: norm(Part::AttentionNorm)?,
                query: linear(Part::Query, q, dim)?,
                key: linear(Part::Key, kv, dim)?,
                value: linear(Part::Value, kv, dim)?,
                attention_output: linear(Part::AttentionOutput, dim, q)?,
                feed_forward_norm: norm(Part::FeedForwardNorm)?,
                gate: linear(Part::Gate, ffn, dim)?,
                up: linear(Part::Up, ffn, dim)?,
                down: linear(Part::Down, dim, ffn)?,
            });
        }
        let output = match config.tied {
            Some(true) => None,
            Some(false) => Some(find(names.output().into(), &[config.vocabulary, dim])?),
            None => self::find(tensors, names.output(), &[config.vocabulary, dim])?,
        };
        let pairs = [config.rotary_dim / 2];
        let rope_factors = match config.rope_factors {
            Some(_) => Some(Tensor { name: ROPE_FACTORS.into(), shape: pairs.to_vec(), dtype: DType::F32 }),
            None => self::find(tensors, ROPE_FACTORS, &pairs)?,
        };
        Ok(Self {
            capacity: config.context_length,
            alternatives: ALTERNATIVES.min(config.vocabulary),
            token_embedding: find(names.token_embedding().into(), &[config.vocabulary, dim])?,
            layers,
            output_norm: find(names.output_norm().into(), &[dim])?,
            output,
            rope_factors,
            config,
        })
    }

    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// Rows that each cache has room for; the model's context length unless set.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Gives the caches room for `rows` tokens, at most the model's context length.
    pub fn with_capacity(mut self, rows: usize) -> Self {
        self.capacity = rows.clamp(1, self.config.context_length);
        self
    }

    /// Sets how many likeliest tokens a step reports, at most the vocabulary.
    pub fn with_alternatives(mut self, alternatives: usize) -> Self {
        self.alternatives = alternatives.min(self.config.vocabulary);
        self
    }

    /// A small model of the same widths, heads and types, whose steps take this one's paths through a backend's kernels: to try
    /// a device with. Layers whose weights are of the same types count once.
    pub fn probe(&self) -> Self {
        let mut probe = self.clone();
        let rows = |tensor: &mut Tensor, most: usize| tensor.shape[0] = tensor.shape[0].min(most);
        let types = |layer: &Layer| layer.linears().map(|linear| (linear.weight.dtype, linear.bias.is_some()));
        let mut seen = vec![];
        probe.layers.retain(|layer| {
            let types = types(layer);
            let new = !seen.contains(&types) && seen.len() < PROBE_LAYERS;
            if new {
                seen.push(types);
            }
            new
        });
        for layer in &mut probe.layers {
            rows(&mut layer.gate.weight, PROBE_WIDTH);
            rows(&mut layer.up.weight, PROBE_WIDTH);
            for linear in [&mut layer.gate, &mut layer.up] {
                linear.bias.as_mut().into_iter().for_each(|bias| rows(bias, PROBE_WIDTH));
            }
            layer.down.weight.shape[1] = layer.down.weight.shape[1].min(PROBE_WIDTH);
        }
        for table in [Some(&mut probe.token_embedding), probe.output.as_mut()].into_iter().flatten() {
            rows(table, PROBE_VOCABULARY);
        }
        probe.config.layers = probe.layers.len();
        probe.config.vocabulary = probe.config.vocabulary.min(PROBE_VOCABULARY);
        probe.config.feed_forward = probe.config.feed_forward.min(PROBE_WIDTH);
        probe.alternatives = probe.alternatives.min(probe.config.vocabulary);
        probe
    }

    /// The weights that are not in the file as they are: frequency factors that follow from the configuration.
    pub fn recipes(&self) -> Recipes {
        let mut recipes = Recipes::default();
        if let Some(factors) = &self.config.rope_factors {
            recipes.add(ROPE_FACTORS, Recipe::Computed(factors.clone()));
        }
        recipes
    }

    /// One step: the token chosen before → logits → the next. Outputs `sampled` and `logits` `[1, vocabulary]`.
    pub fn decode(&self) -> Result<Graph> {
        self.graph("llama decode".into(), Rows::Last)
    }

    /// `t` tokens into the caches; input `ids` `[t]` U32. The row that the step names is sampled from. Outputs
    /// `sampled` and `logits` `[1, vocabulary]`.
    pub fn prefill(&self, t: usize) -> Result<Graph> {
        self.graph(format!("llama prefill {t}"), Rows::One(t))
    }

    /// `t` tokens into the caches and the logits of all of them; input `ids` `[t]` U32. Output `logits` `[t, vocabulary]`.
    pub fn score(&self, t: usize) -> Result<Graph> {
        self.graph(format!("llama score {t}"), Rows::All(t))
    }

    fn graph(&self, name: String, rows: Rows) -> Result<Graph> {
        let c = &self.config;
        let mut g = GraphBuilder::new(name);
        let declare = |g: &mut GraphBuilder, t: &Tensor| g.weight(&t.name, &t.shape, t.dtype);
        // Every graph declares all weights and states, so that any of them can say what to load.
        let table = declare(&mut g, &self.token_embedding)?;
        let factors = self.rope_factors.as_ref().map(|t| declare(&mut g, t)).transpose()?;
        let seen = g.state("seen", &[c.vocabulary], DType::U32)?;
        let token = g.state("token", &[1], DType::U32)?;

        g.at("embedding");
        let ids = match rows {
            Rows::Last => g.last_token(token),
            Rows::One(t) | Rows::All(t) => g.input("ids", &[t], DType::U32),
        };
        let mut x = g.embedding(table, ids)?;
        for (i, layer) in self.layers.iter().enumerate() {
            g.at(format!("layer {i} attention"));
            x = self.attention(&mut g, i, layer, factors, x)?;
            g.at(format!("layer {i} feed-forward"));
            x = self.feed_forward(&mut g, layer, x)?;
        }

        g.at("output");
        if let Rows::One(_) = rows {
            x = g.select_row(x)?;
        }
        let norm = declare(&mut g, &self.output_norm)?;
        let head = self.output.as_ref().map_or(Ok(table), |t| declare(&mut g, t))?;
        let x = g.rms_norm(norm, c.rms_eps, x)?;
        let logits = g.linear(head, None, x)?;
        if !matches!(rows, Rows::All(_)) {
            let sampled = g.sample(seen, token, self.alternatives, logits)?;
            debug_assert_eq!(g.shape(sampled), [Sampled::words(self.alternatives)]);
            g.output("sampled", sampled);
        }
        g.output("logits", logits);
        Ok(g.finish())
    }

    fn attention(
        &self,
        g: &mut GraphBuilder,
        i: usize,
        layer: &Layer,
        factors: Option<WeightId>,
        x: ValueId,
    ) -> Result<ValueId> {
        let c = &self.config;
        let cache = [self.capacity, c.kv_heads * c.head_dim];
        let keys = g.state(&format!("cache.k.{i}"), &cache, DType::F32)?;
        let values = g.state(&format!("cache.v.{i}"), &cache, DType::F32)?;
        let norm = g.weight(&layer.attention_norm.name, &layer.attention_norm.shape, layer.attention_norm.dtype)?;
        let h = g.rms_norm(norm, c.rms_eps, x)?;
        let q = linear(g, &layer.query, h)?;
        let k = linear(g, &layer.key, h)?;
        let v = linear(g, &layer.value, h)?;
        let rope = |g: &mut GraphBuilder, heads: usize, x: ValueId| {
            g.rope(heads, c.head_dim, c.rotary_dim, c.rope_base, c.rope_frequency_scale, factors, c.rope_layout, x)
        };
        let q = rope(g, c.heads, q)?;
        let k = rope(g, c.kv_heads, k)?;
        let k = g.cache_write(keys, k)?;
        let v = g.cache_write(values, v)?;
        let scale = 1.0 / (c.head_dim as f32).sqrt();
        let a = g.attention(c.heads, c.kv_heads, c.head_dim, scale, q, k, v)?;
        let o = linear(g, &layer.attention_output, a)?;
        g.binary(Binary::Add, x, o)
    }

    fn feed_forward(&self, g: &mut GraphBuilder, layer: &Layer, x: ValueId) -> Result<ValueId> {
        let norm = &layer.feed_forward_norm;
        let norm = g.weight(&norm.name, &norm.shape, norm.dtype)?;
        let h = g.rms_norm(norm, self.config.rms_eps, x)?;
        let gate = linear(g, &layer.gate, h)?;
        let up = linear(g, &layer.up, h)?;
        let gate = g.unary(Unary::Silu, gate);
        let h = g.binary(Binary::Mul, gate, up)?;
        let down = linear(g, &layer.down, h)?;
        g.binary(Binary::Add, x, down)
    }
}

fn linear(g: &mut GraphBuilder, linear: &Linear, x: ValueId) -> Result<ValueId> {
    let weight = g.weight(&linear.weight.name, &linear.weight.shape, linear.weight.dtype)?;
    let bias = linear.bias.as_ref().map(|b| g.weight(&b.name, &b.shape, b.dtype)).transpose()?;
    g.linear(weight, bias, x)
}

/// The tensor with this name, if there is one; a corrupt file where its shape is another.
fn find(tensors: &dyn Tensors, name: &str, shape: &[usize]) -> Result<Option<Tensor>> {
    let Some((dtype, found)) = tensors.tensor(name) else { return Ok(None) };
    if found != shape {
        return Err(Error::corrupt_file(format!(
            "weight {name} is {found:?} in the file, but the configuration asks for {shape:?}; the file is damaged or mislabelled"
        )));
    }
    Ok(Some(Tensor { name: name.into(), shape: found.into(), dtype }))
}
