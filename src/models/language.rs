//! Language models that decode token by token: pre-norm blocks of causal attention over caches and a feed-forward layer.
//!
//! Llama, Qwen 3, GPT-2 and Gemma 3 are one function from a [`LanguageConfig`] to graphs; what sets them apart is told by
//! [`Architecture`]. One [`LanguageModel`] makes three graphs over the same weights and states: [`LanguageModel::decode`],
//! [`LanguageModel::prefill`] and [`LanguageModel::score`]. States: `cache.k.N` and `cache.v.N` `[capacity, kv_heads · head_dim]` F32,
//! `seen` `[vocabulary]` U32, `token` `[1]` U32.

mod architecture;
mod config;
mod gguf;
mod graph;
mod hugging_face;
mod names;
mod probe;

pub use architecture::Architecture;
pub use config::{LanguageConfig, Local, Rotary};
pub use names::{Names, Part, Whole};

use names::Place;

use super::Tensors;
use crate::{
    Error, Result,
    graph::{DType, WeightSpec},
    weights::{Metadata, Recipe, Recipes, Storage, WeightFinder},
};

/// How many likeliest tokens a step reports beside the chosen one, unless told otherwise.
pub const ALTERNATIVES: usize = 8;

/// The name of the weight that holds one frequency divisor for each rotated pair (Llama 3).
const ROPE_FACTORS: &str = "rope_freqs.weight";

/// A language model whose weights are known by name, shape and type.
#[derive(Debug, Clone)]
pub struct LanguageModel {
    config: LanguageConfig,
    capacity: usize,
    alternatives: usize,
    token_embedding: WeightSpec,
    /// `[context_length, dim]`, where positions are learned.
    positions: Option<WeightSpec>,
    layers: Vec<Layer>,
    output_norm: Norm,
    /// `None` where the embedding serves as output.
    output: Option<WeightSpec>,
    rope_factors: Option<WeightSpec>,
    recipes: Recipes,
}

#[derive(Debug, Clone)]
struct Layer {
    attention_norm: Norm,
    projections: Projections,
    /// Of queries and keys.
    head_norms: Option<[Norm; 2]>,
    attention_output: Linear,
    post_attention_norm: Option<Norm>,
    feed_forward_norm: Norm,
    gate: Option<Linear>,
    up: Linear,
    down: Linear,
    post_feed_forward_norm: Option<Norm>,
    local: bool,
}

/// Where queries, keys and values come from.
#[derive(Debug, Clone)]
enum Projections {
    Apart(Box<[Linear; 3]>),
    Fused(Linear),
}

impl Layer {
    fn linears(&self) -> Vec<&Linear> {
        let projections = match &self.projections {
            Projections::Apart(three) => three.as_slice(),
            Projections::Fused(one) => std::slice::from_ref(one),
        };
        projections.iter().chain([&self.attention_output]).chain(&self.gate).chain([&self.up, &self.down]).collect()
    }
}

#[derive(Debug, Clone)]
struct Linear {
    weight: WeightSpec,
    bias: Option<WeightSpec>,
}

/// An RMSNorm, or with a bias a LayerNorm.
#[derive(Debug, Clone)]
struct Norm {
    weight: WeightSpec,
    bias: Option<WeightSpec>,
}

impl LanguageModel {
    /// Reads the configuration from a GGUF's metadata and finds every weight in the file's index. A missing or
    /// mis-shaped weight is a corrupt file, by its name.
    pub fn from_gguf(metadata: &Metadata, tensors: &dyn Tensors) -> Result<Self> {
        let embedding = format!("{}.weight", Names::Gguf.whole(Whole::TokenEmbedding));
        let embedding = tensors.tensor(&embedding).map(|(_, shape)| shape.to_vec());
        Self::new(LanguageConfig::from_gguf(metadata, embedding.as_deref())?, tensors)
    }

    /// The same from the text of a Hugging Face `config.json` and the index of its safetensors.
    pub fn from_hugging_face(config_json: &str, tensors: &dyn Tensors) -> Result<Self> {
        let embedding = format!("{}.weight", Names::HuggingFaceGpt2 { prefixed: true }.whole(Whole::TokenEmbedding));
        let prefixed =
            tensors.tensor(&embedding).is_some() || !tensors.names_ending(&format!(".{embedding}")).is_empty();
        Self::new(LanguageConfig::from_hugging_face(config_json, prefixed)?, tensors)
    }

    /// Finds every weight that `config` asks for.
    pub fn new(config: LanguageConfig, tensors: &dyn Tensors) -> Result<Self> {
        config.check()?;
        let place = Place::of(config.names, tensors)?;
        let mut find = Finder { config: &config, place, tensors, finder: WeightFinder::new(tensors, Storage::Keep) };
        let (dim, table) = (config.dim, [config.vocabulary, config.dim]);
        let whole = |whole: Whole| config.names.whole(whole);
        let token_embedding = find.weight(&whole(Whole::TokenEmbedding), &table)?;
        let positions = match config.rotary {
            Some(_) => None,
            None => Some(find.weight(&whole(Whole::Positions), &[config.context_length, dim])?),
        };
        let layers = (0..config.layers).map(|i| find.layer(i)).collect::<Result<_>>()?;
        let output_norm = find.norm(whole(Whole::OutputNorm), dim)?;
        let own_output = match config.tied {
            Some(tied) => !tied,
            None => find.has(&format!("{}.weight", whole(Whole::Output))),
        };
        let output = own_output.then(|| find.weight(&whole(Whole::Output), &table)).transpose()?;
        let (rope_factors, mut recipes) = (find.rope_factors()?, find.finder.finish());
        if let Some(factors) = config.rotary.as_ref().and_then(|rotary| rotary.factors.clone()) {
            recipes.add(ROPE_FACTORS, Recipe::Computed(factors));
        }
        Ok(Self {
            capacity: config.context_length,
            alternatives: ALTERNATIVES.min(config.vocabulary),
            token_embedding,
            positions,
            layers,
            output_norm,
            output,
            rope_factors,
            recipes,
            config,
        })
    }

    pub fn config(&self) -> &LanguageConfig {
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

    /// How the weights are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        &self.recipes
    }
}

/// Finds weights by what they are.
struct Finder<'a> {
    config: &'a LanguageConfig,
    place: Place,
    tensors: &'a dyn Tensors,
    finder: WeightFinder<'a>,
}

impl Finder<'_> {
    fn has(&self, name: &str) -> bool {
        self.finder.shape(&self.place.name(name, self.tensors)).is_some()
    }

    fn find(&mut self, name: String, shape: &[usize], recipe: impl FnOnce(String) -> Recipe) -> Result<WeightSpec> {
        let tensor = self.place.name(&name, self.tensors);
        let found = self.finder.find(&name, shape, recipe(tensor.clone()));
        found.map_err(|error| match self.finder.shape(&tensor).is_some() {
            true => error,
            false => Error::corrupt_file(format!(
                "the file has no weight {tensor} {shape:?}, which its configuration asks for; fetch the whole file again{}",
                if tensor.starts_with("lm_head.") { ", or save the model with its head (AutoModelForCausalLM)" } else { "" }
            )),
        })
    }

    fn weight(&mut self, stem: &str, shape: &[usize]) -> Result<WeightSpec> {
        self.find(format!("{stem}.weight"), shape, Recipe::Tensor)
    }

    fn bias(&mut self, stem: &str, n: usize) -> Result<WeightSpec> {
        self.find(format!("{stem}.bias"), &[n], Recipe::Tensor)
    }

    fn linear(&mut self, stem: String, out: usize, inner: usize) -> Result<Linear> {
        let weight = match self.config.names {
            // `transformers` keeps GPT-2's layers as `[in, out]`.
            Names::HuggingFaceGpt2 { .. } => {
                self.find(format!("{stem}.weight"), &[out, inner], |name| Recipe::conv_transpose(name, [1, 1]))?
            }
            _ => self.weight(&stem, &[out, inner])?,
        };
        let biased = self.config.architecture.has_biases() || self.has(&format!("{stem}.bias"));
        let bias = biased.then(|| self.bias(&stem, out)).transpose()?;
        Ok(Linear { weight, bias })
    }

    fn norm(&mut self, stem: String, n: usize) -> Result<Norm> {
        let bias = self.config.architecture.has_layer_norms().then(|| self.bias(&stem, n)).transpose()?;
        let weight = match self.config.names {
            // llama.cpp's converter has added the 1 already.
            Names::HuggingFaceGemma3 => {
                self.find(format!("{stem}.weight"), &[n], |tensor| Recipe::Plus { tensor, plus: 1.0 })?
            }
            _ => self.weight(&stem, &[n])?,
        };
        Ok(Norm { weight, bias })
    }

    fn layer(&mut self, i: usize) -> Result<Layer> {
        let c = self.config;
        let (dim, q, kv) = (c.dim, c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let name = |part: Part| c.names.layer(i, part);
        let projections = if c.architecture.fuses_attention() {
            Projections::Fused(self.linear(name(Part::QueryKeyValue), q + 2 * kv, dim)?)
        } else {
            Projections::Apart(Box::new([
                self.linear(name(Part::Query), q, dim)?,
                self.linear(name(Part::Key), kv, dim)?,
                self.linear(name(Part::Value), kv, dim)?,
            ]))
        };
        let head_norms = match c.architecture.norms_heads() {
            true => Some([self.norm(name(Part::QueryNorm), c.head_dim)?, self.norm(name(Part::KeyNorm), c.head_dim)?]),
            false => None,
        };
        let after = c.architecture.norms_results();
        let mut result_norm = |part: Part| after.then(|| self.norm(name(part), dim)).transpose();
        let (post_attention_norm, post_feed_forward_norm) =
            (result_norm(Part::PostAttentionNorm)?, result_norm(Part::PostFeedForwardNorm)?);
        let gated = c.architecture.is_gated();
        Ok(Layer {
            attention_norm: self.norm(name(Part::AttentionNorm), dim)?,
            projections,
            head_norms,
            attention_output: self.linear(name(Part::AttentionOutput), dim, q)?,
            post_attention_norm,
            feed_forward_norm: self.norm(name(Part::FeedForwardNorm), dim)?,
            gate: gated.then(|| self.linear(name(Part::Gate), c.feed_forward, dim)).transpose()?,
            up: self.linear(name(Part::Up), c.feed_forward, dim)?,
            down: self.linear(name(Part::Down), dim, c.feed_forward)?,
            post_feed_forward_norm,
            local: c.is_local(i),
        })
    }

    /// Divisors of the rotary frequencies, which the configuration or the file has.
    fn rope_factors(&mut self) -> Result<Option<WeightSpec>> {
        let Some(rotary) = &self.config.rotary else { return Ok(None) };
        let pairs = vec![rotary.dim / 2];
        if rotary.factors.is_some() {
            return Ok(Some(WeightSpec { name: ROPE_FACTORS.into(), shape: pairs, dtype: DType::F32 }));
        }
        self.has(ROPE_FACTORS).then(|| self.find(ROPE_FACTORS.into(), &pairs, Recipe::Tensor)).transpose()
    }
}
