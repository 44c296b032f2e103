//! CLIP's text encoder (arXiv 2103.00020): pre-norm blocks of causal attention over tokens with learned positions, as Stable
//! Diffusion reads its prompts with. ViT-L's (SD 1.x, QuickGELU) and OpenCLIP ViT-H's (SD 2.x, GELU, read before its last
//! layer) differ in numbers alone.
//!
//! Weights are called as in `transformers`' `CLIPTextModel`, whatever the file calls them: see [`Names`].

mod names;

pub use names::Names;

use super::{
    Tensors, TextEncoder,
    config::Json,
    diffusion::Origin,
    find::find,
    named::{Heads, Named, Types},
};
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
        }
        .checked()
    }

    /// From the shapes of a single-file checkpoint, which has no configuration beside it.
    pub fn from_tensors(names: Names, tensors: &dyn Tensors) -> Result<Self> {
        let shape = |weight: &str, rank: usize| -> Result<Vec<usize>> {
            let name = names.origin(weight).name;
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
            tensors.tensor(&names.origin(&weight).name).is_some()
        };
        let layers = (0..).take_while(|i| has(*i)).count();
        // OpenCLIP's encoders are 1,024 wide or more; Stable Diffusion reads them before the last of their 24 layers, which
        // diffusers' files leave out.
        let open = table[1] >= 1024;
        Self {
            vocabulary: table[0],
            length: positions[0],
            width: table[1],
            layers: if open { layers.min(23) } else { layers },
            heads: table[1] / 64,
            feed_forward: hidden[0],
            activation: if open { Unary::Gelu } else { Unary::QuickGelu },
            eps: 1e-5,
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
    names: Names,
    types: Types,
}

impl Clip {
    /// `types`: in which its weights are kept on the device.
    pub fn new(config: ClipConfig, names: Names, types: Types) -> Self {
        Self { config, names, types }
    }

    /// Finds every weight in a file and says how each is made on its way to the device; without a configuration, the shapes of
    /// its tensors say it.
    ///
    /// Errors: `corrupt-file` where there is no text encoder, or one that is not as the configuration says.
    pub fn find(config: Option<ClipConfig>, tensors: &dyn Tensors, storage: Storage) -> Result<(Self, Recipes)> {
        let names = Names::of(tensors).ok_or_else(|| {
            Error::corrupt_file(
                "the file holds no text encoder that goes by a known name; give the model's text encoder too",
            )
        })?;
        let config = config.map_or_else(|| ClipConfig::from_tensors(names, tensors), Ok)?;
        let draft = Self::new(config.clone(), names, Types::Matrices(DType::F32));
        let (types, recipes) = find(&draft.graph(1)?, |weight| names.origin(weight), tensors, storage)?;
        Ok((Self::new(config, names, types), recipes))
    }

    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    fn layer(&self, m: &mut Named, batch: usize, i: usize, x: ValueId) -> Result<ValueId> {
        let c = &self.config;
        let at = format!("text_model.encoder.layers.{i}");
        m.g.at(format!("text layer {i}"));
        let h = m.layer_norm(&format!("{at}.layer_norm1"), c.eps, x)?;
        let q = m.linear(&format!("{at}.self_attn.q_proj"), c.width, h)?;
        let k = m.linear(&format!("{at}.self_attn.k_proj"), c.width, h)?;
        let v = m.linear(&format!("{at}.self_attn.v_proj"), c.width, h)?;
        let h = m.attend(Heads { batch, heads: c.heads, width: c.width }, Mask::CAUSAL, q, k, v)?;
        let h = m.linear(&format!("{at}.self_attn.out_proj"), c.width, h)?;
        let x = m.add(x, h)?;
        let h = m.layer_norm(&format!("{at}.layer_norm2"), c.eps, x)?;
        let h = m.linear(&format!("{at}.mlp.fc1"), c.feed_forward, h)?;
        let h = m.g.unary(c.activation, h);
        let h = m.linear(&format!("{at}.mlp.fc2"), c.width, h)?;
        m.add(x, h)
    }
}

impl TextEncoder for Clip {
    fn graph(&self, batch: usize) -> Result<Graph> {
        let c = &self.config;
        let mut m = Named::new(format!("clip {batch}"), &self.types);
        let rows = batch.saturating_mul(c.length);
        let ids = m.g.input("ids", &[rows], DType::U32);
        let positions = m.g.input("positions", &[rows], DType::U32);
        m.g.at("text embedding");
        let tokens = m.embedding("text_model.embeddings.token_embedding", c.vocabulary, c.width, ids)?;
        let places = m.embedding("text_model.embeddings.position_embedding", c.length, c.width, positions)?;
        let mut x = m.add(tokens, places)?;
        for i in 0..c.layers {
            x = self.layer(&mut m, batch, i, x)?;
        }
        m.g.at("text output");
        let x = m.layer_norm("text_model.final_layer_norm", c.eps, x)?;
        m.g.output("context", x);
        Ok(m.finish())
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

    fn origin(&self, weight: &str) -> Origin {
        self.names.origin(weight)
    }
}
