//! BERT (arXiv 1810.04805): an encoder that sees a text both ways, post-norm blocks over learned positions and segments. The mean of a text's rows, made as long
//! as 1, is its embedding (Sentence-BERT, arXiv 1908.10084).
//!
//! Texts are a batch, padded at their ends to one length. Weights are called as in `transformers`' `BertModel`, below `bert.` or not.

use super::{Builder, Origin, Search, Tensors, Weights, config::Json};
use crate::{
    Error, Result,
    graph::{Attention, DType, Graph, Mask, Pooling, Unary, ValueId},
    weights::{Recipes, Storage},
};

/// The numbers of an encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct BertConfig {
    pub vocabulary: usize,
    /// Tokens of a text at most.
    pub positions: usize,
    /// Kinds of tokens: first and second segment.
    pub kinds: usize,
    pub width: usize,
    pub layers: usize,
    pub heads: usize,
    pub feed_forward: usize,
    pub activation: Unary,
    pub eps: f32,
}

impl BertConfig {
    /// From the text of a `config.json` of `transformers`.
    ///
    /// Errors: `unsupported-model` where it is of another kind, `corrupt-file` where it says what cannot be.
    pub fn from_hugging_face(config_json: &str) -> Result<Self> {
        const WHAT: &str = "BERT's config.json";
        let value = Json::parse(WHAT, config_json)?;
        let json = Json::new(WHAT, &value)?;
        let kind = json.word_or("model_type", "bert")?;
        let places = json.word_or("position_embedding_type", "absolute")?;
        if kind != "bert" || places != "absolute" || json.flag_or("is_decoder", false)? {
            return Err(Error::unsupported_model(format!(
                "the model is a {kind} with {places} positions; BERT's encoder (bert, absolute) is the one that runs here"
            )));
        }
        let activation = match json.word_or("hidden_act", "gelu")? {
            "gelu" => Unary::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" => Unary::GeluTanh,
            "relu" => Unary::LeakyRelu { slope: 0.0 },
            "silu" | "swish" => Unary::Silu,
            other => {
                return Err(Error::unsupported_model(format!(
                    "the activation is {other}; gelu, gelu_new, relu and silu run here"
                )));
            }
        };
        let config = Self {
            vocabulary: json.count_or("vocab_size", 30522)?,
            positions: json.count_or("max_position_embeddings", 512)?,
            kinds: json.count_or("type_vocab_size", 2)?,
            width: json.count_or("hidden_size", 768)?,
            layers: json.count_or("num_hidden_layers", 12)?,
            heads: json.count_or("num_attention_heads", 12)?,
            feed_forward: json.count_or("intermediate_size", 3072)?,
            activation,
            eps: json.number_or("layer_norm_eps", 1e-12)? as f32,
        };
        if config.layers > 1024 || !config.width.is_multiple_of(config.heads) {
            return Err(Error::corrupt_file(format!(
                "{} layers and {} heads in a width of {} cannot be; give the model's own configuration",
                config.layers, config.heads, config.width
            )));
        }
        Ok(config)
    }

    fn graph(&self, mut b: Builder, batch: usize, length: usize) -> Result<Graph> {
        let rows = batch.saturating_mul(length);
        let [ids, kinds, positions] =
            ["ids", "token_types", "positions"].map(|name| b.g.input(name, &[rows], DType::U32));
        let lengths = b.g.input("lengths", &[batch], DType::U32);
        let mut table = b.pp("embeddings");
        table.g.at("embeddings");
        let x = table.embedding("word_embeddings", self.vocabulary, self.width, ids)?;
        let kinds = table.embedding("token_type_embeddings", self.kinds, self.width, kinds)?;
        let x = table.add(x, kinds)?;
        let positions = table.embedding("position_embeddings", self.positions, self.width, positions)?;
        let x = table.add(x, positions)?;
        let mut x = table.layer_norm("LayerNorm", self.eps, x)?;
        drop(table);
        for i in 0..self.layers {
            let mut layer = b.pp(format!("encoder.layer.{i}"));
            layer.g.at(format!("layer {i}"));
            x = self.layer(&mut layer, batch, lengths, x)?;
        }
        b.g.at("output");
        b.g.output("hidden", x);
        let mean = b.g.pool(Pooling::Mean, x, lengths)?;
        b.g.output("pooled", mean);
        if b.has("pooler.dense.weight") {
            let first = b.g.pool(Pooling::First, x, lengths)?;
            let first = b.linear("pooler.dense", self.width, first)?;
            let first = b.g.unary(Unary::Tanh, first);
            b.g.output("pooler", first);
        }
        Ok(b.finish())
    }

    fn layer(&self, b: &mut Builder, batch: usize, lengths: ValueId, x: ValueId) -> Result<ValueId> {
        let (width, dim) = (self.width, self.width / self.heads);
        let q = b.linear("attention.self.query", width, x)?;
        let k = b.linear("attention.self.key", width, x)?;
        let v = b.linear("attention.self.value", width, x)?;
        let of = Attention::plain(self.heads, self.heads, dim, 1.0 / (dim as f32).sqrt(), Mask::FULL, batch);
        let h = b.g.attend(of, [q, k, v], None, Some(lengths))?;
        let h = b.linear("attention.output.dense", width, h)?;
        let x = b.add(x, h)?;
        let x = b.layer_norm("attention.output.LayerNorm", self.eps, x)?;
        let h = b.linear("intermediate.dense", self.feed_forward, x)?;
        let h = b.g.unary(self.activation, h);
        let h = b.linear("output.dense", width, h)?;
        let x = b.add(x, h)?;
        b.layer_norm("output.LayerNorm", self.eps, x)
    }
}

/// An encoder whose weights are known by name, shape and type.
#[derive(Debug, Clone)]
pub struct Bert {
    config: BertConfig,
    weights: Weights,
}

impl Bert {
    /// Finds every weight in a file.
    ///
    /// Errors: `corrupt-file` that names the weight which is missing, or is of another shape than the configuration says.
    pub fn find(config: BertConfig, tensors: &dyn Tensors, storage: Storage) -> Result<Self> {
        let below = tensors.tensor("bert.embeddings.word_embeddings.weight").is_some();
        let names = |weight: &str| {
            let name = if below { format!("bert.{weight}") } else { weight.to_string() };
            // The first published files come from TensorFlow, which calls a norm's weights so.
            let old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
            Origin::whole(if tensors.tensor(&old).is_some() { old } else { name })
        };
        let search = Search::new(tensors, storage, &names);
        config.graph(search.builder("bert"), 1, 1)?;
        Ok(Self { config, weights: search.finish() })
    }

    pub fn config(&self) -> &BertConfig {
        &self.config
    }

    /// How its weights are made of the file's tensors.
    pub fn recipes(&self) -> &Recipes {
        self.weights.recipes()
    }

    /// `batch` texts of `length` tokens, pads included. Inputs `ids`, `token_types` (0 where there is one segment) and `positions` (from 0 on in each text)
    /// `[batch · length]` U32, and `lengths` `[batch]` U32: of each text so many tokens count, from the first on. Outputs:
    ///
    /// - `hidden` `[batch · length, width]`; what stands behind a text's end means nothing,
    /// - `pooled` `[batch, width]`: the mean of each text's rows, not yet made as long as 1,
    /// - `pooler` `[batch, width]`, where the file has one: the first row through a layer and tanh.
    ///
    /// Errors: `bad-argument` where texts are longer than there are positions.
    pub fn graph(&self, batch: usize, length: usize) -> Result<Graph> {
        if !(1..=self.config.positions).contains(&length) || batch == 0 {
            return Err(Error::bad_argument(format!(
                "{batch} texts of {length} tokens were to be read; there is at least one text, of 1 to {} tokens",
                self.config.positions
            )));
        }
        self.config.graph(self.weights.builder(format!("bert {batch} × {length}")), batch, length)
    }
}
