//! CLIP's text encoder (arXiv 2103.00020): pre-norm blocks of causal attention over tokens with learned positions, as Stable
//! Diffusion reads its prompts with. ViT-L's (SD 1.x, QuickGELU) and OpenCLIP ViT-H's (SD 2.x, GELU, read before its last
//! layer) differ in numbers alone. Stable Diffusion XL reads with two of them at once: [`ClipPair`].
//!
//! Weights are called as in `transformers`' `CLIPTextModel`, whatever the file calls them: see [`Names`].

mod names;
mod pair;

pub use names::{Names, Place};
pub use pair::ClipPair;

use std::ops::Range;

use super::{Builder, Search, Tensors, TextEncoder, Weights, builder::Heads, config::Json};
use crate::{
    Error, Result,
    graph::{DType, Graph, Mask, Unary, ValueId},
    weights::{Recipes, Storage},
};

/// The numbers of a text encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipConfig {
    pub vocabulary: usize,
    /// Tokens of a text, padding included.
    pub length: usize,
    pub width: usize,
    /// Layers that run: OpenCLIP's last is not among them.
    pub layers: usize,
    pub heads: usize,
    pub feed_forward: usize,
    pub activation: Unary,
    pub eps: f32,
    /// Columns of the row that stands for a whole text, where a model asks for it.
    pub projected: Option<usize>,
}

impl ClipConfig {
    /// From the text of a `config.json` of `transformers` (`text_encoder/config.json` of a pipeline).
    pub fn from_hugging_face(config_json: &str) -> Result<Self> {
        const WHAT: &str = "the text encoder's config.json";
        let value = Json::parse(WHAT, config_json)?;
        let json = Json::new(WHAT, &value)?;
        let kind = json.word_or("model_type", "clip_text_model")?;
        if kind != "clip_text_model" {
            return Err(Error::unsupported_model(format!(
                "the text encoder is a {kind}; Stable Diffusion's CLIP (clip_text_model) is the one that runs here"
            )));
        }
        let activation = match json.word_or("hidden_act", "quick_gelu")? {
            "quick_gelu" => Unary::QuickGelu,
            "gelu" => Unary::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" => Unary::GeluTanh,
            other => {
                return Err(Error::unsupported_model(format!(
                    "the text encoder's activation is {other}; quick_gelu and gelu run here"
                )));
            }
        };
        Self {
            vocabulary: json.count_or("vocab_size", 49408)?,
            length: json.count_or("max_position_embeddings", 77)?,
            width: json.count_or("hidden_size", 512)?,
            layers: json.count_or("num_hidden_layers", 12)?,
            heads: json.count_or("num_attention_heads", 8)?,
            feed_forward: json.count_or("intermediate_size", 2048)?,
            activation,
            eps: json.number_or("layer_norm_eps", 1e-5)? as f32,
            projected: Some(json.count_or("projection_dim", 512)?),
        }
        .checked()
    }

    /// From the shapes of a single-file checkpoint, which has no configuration beside it.
    pub fn from_tensors(names: Names, place: Place, tensors: &dyn Tensors) -> Result<Self> {
        let shape = |weight: &str, rank: usize| -> Result<Vec<usize>> {
            let name = names.origin(place, weight).name;
            let shape = tensors.tensor(&name).map(|(_, shape)| shape.to_vec()).filter(|shape| shape.len() == rank);
            shape.ok_or_else(|| {
                Error::corrupt_file(format!(
                    "the file has no text encoder's {name}; give a checkpoint that holds all its parts"
                ))
            })
        };
        let table = shape("text_model.embeddings.token_embedding.weight", 2)?;
        let positions = shape("text_model.embeddings.position_embedding.weight", 2)?;
        let hidden = shape("text_model.encoder.layers.0.mlp.fc1.weight", 2)?;
        let has = |i: usize| {
            let weight = format!("text_model.encoder.layers.{i}.layer_norm1.weight");
            tensors.tensor(&names.origin(place, &weight).name).is_some()
        };
        let layers = (0..).take_while(|i| has(*i)).count();
        // OpenCLIP's encoders are 1,024 wide or more; Stable Diffusion 2 reads them before the last of their 24 layers, which
        // diffusers' files leave out.
        let open = table[1] >= 1024;
        let projection = names.origin(place, "text_projection.weight").name;
        Self {
            vocabulary: table[0],
            length: positions[0],
            width: table[1],
            layers: if open && place == Place::Only { layers.min(23) } else { layers },
            heads: table[1] / 64,
            feed_forward: hidden[0],
            activation: if open { Unary::Gelu } else { Unary::QuickGelu },
            eps: 1e-5,
            projected: tensors.tensor(&projection).and_then(|(_, shape)| shape.get(1).copied()),
        }
        .checked()
    }

    fn checked(self) -> Result<Self> {
        if self.heads == 0 || self.layers == 0 || self.layers > 1024 || !self.width.is_multiple_of(self.heads) {
            return Err(Error::corrupt_file(format!(
                "a text encoder of {} layers and {} heads in a width of {} cannot be; give the model's own configuration",
                self.layers, self.heads, self.width
            )));
        }
        Ok(self)
    }
}

/// A text encoder.
#[derive(Debug, Clone)]
pub struct Clip {
    config: ClipConfig,
    weights: Weights,
}

impl Clip {
    pub fn new(config: ClipConfig, weights: Weights) -> Self {
        Self { config, weights }
    }

    /// Finds every weight in a file; without a configuration, the shapes of its tensors say it.
    ///
    /// Errors: `corrupt-file` where there is no text encoder, or one that is not as the configuration says.
    pub fn find(config: Option<ClipConfig>, tensors: &dyn Tensors, storage: Storage) -> Result<Self> {
        let names = Names::of(tensors, Place::Only).ok_or_else(|| {
            Error::corrupt_file(
                "the file holds no text encoder that goes by a known name; give the model's text encoder too",
            )
        })?;
        let config = config.map_or_else(|| ClipConfig::from_tensors(names, Place::Only, tensors), Ok)?;
        let origin = |weight: &str| names.origin(Place::Only, weight);
        let search = Search::new(tensors, storage, &origin);
        config.graph(search.builder("clip"), 1)?;
        Ok(Self::new(config, search.finish()))
    }

    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// How its weights are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        self.weights.recipes()
    }
}

impl ClipConfig {
    fn graph(&self, mut b: Builder, batch: usize) -> Result<Graph> {
        let rows = batch.saturating_mul(self.length);
        let ids = b.g.input("ids", &[rows], DType::U32);
        let positions = b.g.input("positions", &[rows], DType::U32);
        let mut text = b.pp("text_model");
        let x = self.embedded(&mut text, ids, positions)?;
        let x = self.through(&mut text, 0..self.layers, batch, x)?;
        text.g.at("text output");
        let x = text.layer_norm("final_layer_norm", self.eps, x)?;
        drop(text);
        b.g.output("context", x);
        Ok(b.finish())
    }

    fn embedded(&self, text: &mut Builder, ids: ValueId, positions: ValueId) -> Result<ValueId> {
        text.g.at("text embedding");
        let tokens = text.embedding("embeddings.token_embedding", self.vocabulary, self.width, ids)?;
        let places = text.embedding("embeddings.position_embedding", self.length, self.width, positions)?;
        text.add(tokens, places)
    }

    /// Through some of the layers.
    fn through(&self, text: &mut Builder, layers: Range<usize>, batch: usize, mut x: ValueId) -> Result<ValueId> {
        for i in layers {
            text.g.at(format!("text layer {i}"));
            x = self.layer(&mut text.pp(format!("encoder.layers.{i}")), batch, x)?;
        }
        Ok(x)
    }

    fn layer(&self, b: &mut Builder, batch: usize, x: ValueId) -> Result<ValueId> {
        let (width, heads) = (self.width, Heads { batch, heads: self.heads, width: self.width });
        let h = b.layer_norm("layer_norm1", self.eps, x)?;
        let q = b.linear("self_attn.q_proj", width, h)?;
        let k = b.linear("self_attn.k_proj", width, h)?;
        let v = b.linear("self_attn.v_proj", width, h)?;
        let h = b.attend(heads, Mask::CAUSAL, q, k, v)?;
        let h = b.linear("self_attn.out_proj", width, h)?;
        let x = b.add(x, h)?;
        let h = b.layer_norm("layer_norm2", self.eps, x)?;
        let h = b.linear("mlp.fc1", self.feed_forward, h)?;
        let h = b.g.unary(self.activation, h);
        let h = b.linear("mlp.fc2", width, h)?;
        b.add(x, h)
    }
}

impl TextEncoder for Clip {
    fn graph(&self, batch: usize) -> Result<Graph> {
        self.config.graph(self.weights.builder(format!("clip {batch}")), batch)
    }

    fn length(&self) -> usize {
        self.config.length
    }

    fn width(&self) -> usize {
        self.config.width
    }

    fn vocabulary(&self) -> usize {
        self.config.vocabulary
    }
}
