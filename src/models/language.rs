//! Language models that decode token by token: pre-norm blocks of causal attention over caches and a feed-forward layer.
//!
//! A family is a file of `families/`: what its configurations say, in a GGUF's metadata and in a `config.json` of `transformers`, and what
//! `transformers` calls its weights; `families.rs` lists them. What its layers are made of is told by a [`Block`], and all go through
//! the same layers. One [`LanguageModel`] makes three graphs over the same weights and states: [`LanguageModel::decode`],
//! [`LanguageModel::prefill`] and [`LanguageModel::score`]. Weights are called as llama.cpp calls them (`blk.0.attn_q.weight`), whatever the
//! file does. States: `cache.k.N` and `cache.v.N` `[capacity, kv_heads · head_dim]` F32 (`cache.conv.N` `[capacity, dim]` of a layer that
//! convolves; `ssm.N` `[inner, states]` and `conv.N` `[width − 1, inner]` of a state space; `wkv.N` `[dim, head]`, `time.N` and `channel.N` `[1, dim]` of RWKV), `seen` `[vocabulary]` U32, `token` `[1]` U32.

mod config;
mod families;
mod family;
mod gguf;
mod graph;
mod hugging_face;
mod mamba;
mod names;
mod probe;
mod rope_scaling;
mod rwkv;

pub use config::{
    Biases, Block, HeadNorms, LanguageConfig, Local, Long, Mamba, Projections, Residual, Rotary, Rwkv, ShortConvs,
};
pub use names::Names;

use self::names::Place;
use super::{Search, Tensors, Weights};
use crate::{
    Error, Result,
    graph::DType,
    weights::{Metadata, Recipes, Storage},
};

/// How many likeliest tokens a step reports beside the chosen one, unless told otherwise.
pub const ALTERNATIVES: usize = 8;

/// A language model whose weights are known by name, shape and type.
#[derive(Debug, Clone)]
pub struct LanguageModel {
    config: LanguageConfig,
    capacity: usize,
    alternatives: usize,
    /// Graphs are for texts past the [bound](Self::bound).
    past_bound: bool,
    /// Those of the layers that run, by their numbers: all but in a probe.
    layers: Vec<usize>,
    /// Whether an output of its own stands beside the embedding.
    own_output: bool,
    weights: Weights,
}

impl LanguageModel {
    /// Reads the configuration from a GGUF's metadata and finds every weight in the file's index. A missing or
    /// mis-shaped weight is a corrupt file, by its name.
    pub fn from_gguf(metadata: &Metadata, tensors: &dyn Tensors, storage: Storage) -> Result<Self> {
        Self::new(LanguageConfig::from_gguf(metadata, tensors)?, tensors, storage)
    }

    /// The same from the text of a Hugging Face `config.json` and the index of its safetensors.
    pub fn from_hugging_face(config_json: &str, tensors: &dyn Tensors, storage: Storage) -> Result<Self> {
        Self::new(LanguageConfig::from_hugging_face(config_json)?, tensors, storage)
    }

    /// Finds every weight that `config` asks for.
    pub fn new(config: LanguageConfig, tensors: &dyn Tensors, storage: Storage) -> Result<Self> {
        config.check()?;
        let place = Place::of(config.names, tensors)?;
        let names = |weight: &str| place.origin(weight, tensors);
        let search = Search::new(tensors, storage, &names);
        let own_output = config.tied.map_or_else(|| search.has("output.weight"), |tied| !tied);
        if own_output && !search.has("output.weight") {
            let name = names("output.weight").name;
            return Err(Error::corrupt_file(format!(
                "the file has no weight {name}, which its configuration asks for; fetch the whole file again, or save the model with its head \
                 (AutoModelForCausalLM)"
            )));
        }
        let mut model = Self {
            capacity: config.context_length,
            alternatives: ALTERNATIVES.min(config.vocabulary),
            past_bound: false,
            layers: (0..config.layers).collect(),
            own_output,
            weights: Weights::declared(DType::F32),
            config,
        };
        model.visit_weights(search.builder("weights"))?;
        model.weights = search.finish();
        Ok(model)
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

    /// The most tokens of a text that LongRoPE's short divisors are for, where the caches have room for more. A longer text is turned by the long ones,
    /// its first tokens too, so that nothing of what was computed for a shorter one serves it.
    pub fn bound(&self) -> Option<usize> {
        let long = self.config.rotary.as_ref()?.long.as_ref()?;
        (long.original < self.capacity).then_some(long.original)
    }

    /// Makes graphs for texts past the [bound](Self::bound), or for those within it.
    pub fn with_texts_past_bound(mut self, past: bool) -> Self {
        self.past_bound = past;
        self
    }

    /// Sets how many likeliest tokens a step reports, at most the vocabulary.
    pub fn with_alternatives(mut self, alternatives: usize) -> Self {
        self.alternatives = alternatives.min(self.config.vocabulary);
        self
    }

    /// The states that hold what was met, and the words of each; none where caches hold it. Zeros begin a text.
    pub fn running_states(&self) -> Vec<(String, usize)> {
        let (mamba, rwkv) = (&self.config.mamba, &self.config.rwkv);
        let of_mamba = mamba.iter().flat_map(|of| [("ssm", of.states * of.inner), ("conv", (of.width - 1) * of.inner)]);
        let dim = self.config.dim;
        let of_rwkv = rwkv.iter().flat_map(|of| [("wkv", dim * of.head), ("time", dim), ("channel", dim)]);
        let kinds: Vec<_> = of_mamba.chain(of_rwkv).filter(|(_, words)| *words > 0).collect();
        let layers = self.layers.iter();
        layers.flat_map(|i| kinds.iter().map(move |(kind, words)| (format!("{kind}.{i}"), *words))).collect()
    }

    /// How the weights are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        self.weights.recipes()
    }
}
