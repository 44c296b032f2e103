//! What an encoder is made of, whatever file said so.

use crate::{
    Error, Result,
    graph::{Pooling, Unary},
    models::{Tensors, config::Json},
    weights::Metadata,
};

/// Families by what their layers are called and their heads are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Bert,
    /// And XLM-R, which differs in its tokens.
    Roberta,
    DistilBert,
    NomicBert,
    ModernBert,
    /// The encoder of a T5 alone.
    T5,
    /// A table of tokens alone (model2vec, WordLlama): no layer follows.
    Static,
}

impl Family {
    /// As `model_type` of a `config.json` spells it.
    fn of(kind: &str) -> Option<Self> {
        Some(match kind {
            "bert" => Self::Bert,
            "roberta" | "xlm-roberta" | "camembert" => Self::Roberta,
            "distilbert" => Self::DistilBert,
            "nomic_bert" => Self::NomicBert,
            "modernbert" => Self::ModernBert,
            _ => return None,
        })
    }

    /// As `general.architecture` of a GGUF spells it, where RoBERTa and DistilBERT are a BERT.
    fn of_gguf(architecture: &str) -> Option<Self> {
        Some(match architecture {
            "bert" => Self::Bert,
            "nomic-bert" => Self::NomicBert,
            "modern-bert" => Self::ModernBert,
            "t5encoder" => Self::T5,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Roberta => "roberta",
            Self::DistilBert => "distilbert",
            Self::NomicBert => "nomic_bert",
            Self::ModernBert => "modernbert",
            Self::T5 => "t5encoder",
            Self::Static => "static",
        }
    }

    /// What stands before the base model's names in files with a head.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Bert => "bert.",
            Self::Roberta => "roberta.",
            Self::DistilBert => "distilbert.",
            Self::NomicBert => "nomic_bert.",
            Self::ModernBert => "model.",
            Self::T5 | Self::Static => "",
        }
    }
}

/// How an encoder knows where a token stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Positions {
    /// It does not: a text is a bag of tokens.
    None,
    /// By a table that is added to the embeddings.
    Table,
    /// By turning queries and keys (arXiv 2104.09864); in layers with a window, by a base of their own.
    Rotary { base: f32, local_base: f32 },
    /// By what is added to the scores of keys that are so far away, in buckets up to the farthest.
    Distances { buckets: usize, farthest: usize },
}

/// The numbers of an encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderConfig {
    pub family: Family,
    pub vocabulary: usize,
    /// Tokens of a text at most.
    pub context_length: usize,
    /// Kinds of tokens (first and second segment); 0 where they are not told apart.
    pub kinds: usize,
    pub width: usize,
    pub layers: usize,
    pub heads: usize,
    /// Columns of a head where the heads together are not as wide as a row.
    pub head_dim: Option<usize>,
    pub feed_forward: usize,
    pub activation: Unary,
    pub gated: bool,
    pub eps: f32,
    pub norm_bias: bool,
    /// Norms stand before the layers, and one more behind all of them; else behind each.
    pub pre_norm: bool,
    pub positions: Positions,
    /// Whether each layer has a table of distances of its own; else all look into the first one's.
    pub leans_by_layer: bool,
    /// What layers with a window see: none that is so many places away or more.
    pub window: Option<usize>,
    /// Which layers have it.
    pub local: Vec<bool>,
    pub labels: Vec<String>,
    /// Whether labels exclude one another; else each is likely or not by itself.
    pub one_label: bool,
    pub classifies_anything: bool,
    pub classifies_tokens: bool,
    /// Whether the layer before that of the labels is missing: llama.cpp's converter leaves it out of a BERT.
    pub cut_head: bool,
    pub classifier_pooling: Pooling,
    pub head_activation: Unary,
}

/// Tokens that are read at once of a text whose order does not count.
const MOST_OF_A_BAG: usize = 8192;
/// Columns of all heads at most.
const MOST_COLUMNS: usize = 1 << 20;
/// Layers at most.
const LAYERS: usize = 1024;

impl EncoderConfig {
    /// Whether a `config.json` is one of a family that is known here.
    pub fn is_known(config: &serde_json::Value) -> bool {
        config["model_type"].as_str().is_some_and(|kind| Family::of(kind).is_some())
    }

    /// The same of `general.architecture`.
    pub fn is_known_gguf(architecture: &str) -> bool {
        Family::of_gguf(architecture).is_some()
    }

    /// Of a file that holds one table of tokens and nothing else; `None` where it does not.
    pub fn of_table(tensors: &dyn Tensors) -> Option<Self> {
        let names = tensors.names_ending("");
        let [name] = names.as_slice() else { return None };
        let known = super::names::TABLES.contains(name);
        let (_, &[vocabulary, width]) = tensors.tensor(name).filter(|_| known)? else { return None };
        Some(Self {
            vocabulary,
            context_length: MOST_OF_A_BAG,
            width,
            positions: Positions::None,
            ..Self::plain(Family::Static)
        })
    }

    /// What a BERT is but for its sizes, without heads for labels.
    fn plain(family: Family) -> Self {
        Self {
            family,
            vocabulary: 0,
            context_length: 0,
            kinds: 0,
            width: 0,
            layers: 0,
            heads: 1,
            head_dim: None,
            feed_forward: 1,
            activation: Unary::Gelu,
            gated: false,
            eps: 1e-12,
            norm_bias: true,
            pre_norm: false,
            positions: Positions::Table,
            leans_by_layer: false,
            window: None,
            local: vec![],
            labels: vec![],
            one_label: true,
            classifies_anything: false,
            classifies_tokens: false,
            cut_head: false,
            classifier_pooling: Pooling::First,
            head_activation: Unary::Gelu,
        }
    }

    /// From the text of a `config.json` of `transformers`.
    ///
    /// Errors: `unsupported-model` where it is of another kind, `corrupt-file` where it says what cannot be.
    pub fn from_hugging_face(config_json: &str) -> Result<Self> {
        const WHAT: &str = "the encoder's config.json";
        let value = Json::parse(WHAT, config_json)?;
        let json = Json::new(WHAT, &value)?;
        let kind = json.word_or("model_type", "bert")?;
        let Some(family) = Family::of(kind) else {
            return Err(Error::unsupported_model(format!(
                "the model is a {kind}; of encoders bert, roberta, xlm-roberta, distilbert, nomic_bert and modernbert run here"
            )));
        };
        let places = json.word_or("position_embedding_type", "absolute")?;
        if places != "absolute" || json.flag_or("is_decoder", false)? {
            return Err(Error::unsupported_model(format!(
                "the model is a {kind} with {places} positions; an encoder with absolute ones is what runs here"
            )));
        }
        // Each family's own word, and the one before it where there was one.
        let count = |keys: &[&str], usual: usize| {
            let key = keys.iter().find(|key| json.get(key).is_some()).or(keys.first()).copied().unwrap_or_default();
            json.count_or(key, usual)
        };
        let architectures = value["architectures"].as_array().into_iter().flatten().filter_map(|a| a.as_str());
        let ends = |end: &str| architectures.clone().any(|name| name.ends_with(end));
        let labels = labels(&value);
        let base = Self {
            vocabulary: json.count_or("vocab_size", 30522)?,
            context_length: count(&["max_position_embeddings", "n_positions"], 512)?,
            kinds: json.count_or("type_vocab_size", 2)?,
            width: count(&["hidden_size", "dim", "n_embd"], 768)?,
            layers: count(&["num_hidden_layers", "n_layers", "n_layer"], 12)?,
            heads: count(&["num_attention_heads", "n_heads", "n_head"], 12)?,
            feed_forward: count(&["intermediate_size", "hidden_dim", "n_inner"], 3072)?,
            activation: json.activation_or("hidden_act", "gelu").or_else(|error| match family {
                // Which says how a layer is gated, too.
                Family::NomicBert => Ok(Unary::Silu),
                _ => Err(error),
            })?,
            eps: json.number_or("layer_norm_eps", 1e-12)? as f32,
            one_label: value["problem_type"] != "multi_label_classification" && labels.len() != 1,
            labels,
            classifies_anything: ends("ForSequenceClassification") || ends("ForTokenClassification"),
            classifies_tokens: ends("ForTokenClassification"),
            ..Self::plain(family)
        };
        let config = match family {
            Family::Bert | Family::T5 | Family::Static => Self { head_activation: base.activation, ..base },
            Family::Roberta => {
                // Two of its positions are pads'.
                let positions = base.context_length.checked_sub(2).filter(|n| *n > 0);
                let context_length = positions.ok_or_else(|| {
                    Error::corrupt_file(format!("{WHAT}: {} positions are too few", base.context_length))
                })?;
                Self { context_length, ..base }
            }
            Family::DistilBert => Self { kinds: 0, activation: json.activation_or("activation", "gelu")?, ..base },
            Family::NomicBert => {
                let rope = &value["rope_parameters"];
                let theta =
                    rope["rope_theta"].as_f64().map_or_else(|| json.number_or("rotary_emb_base", 1000.0), Ok)?;
                let scaling = rope["rope_type"].as_str().unwrap_or("default");
                if !["default", "dynamic"].contains(&scaling) || json.flag_or("prenorm", false)? {
                    return Err(Error::unsupported_model(format!(
                        "the model is a nomic_bert with {scaling} rotary scaling or norms before its layers, which do not run here"
                    )));
                }
                let activation = json.activation_or("hidden_act", "silu")?;
                let context = count(&["max_trained_positions", "max_position_embeddings", "n_positions"], 2048)?;
                Self {
                    activation,
                    head_activation: activation,
                    gated: true,
                    eps: json.number_or("layer_norm_epsilon", base.eps.into())? as f32,
                    context_length: context,
                    positions: Positions::Rotary { base: theta as f32, local_base: theta as f32 },
                    ..base
                }
            }
            Family::ModernBert => {
                let theta = |kind: &str, old: &str, usual: f64| -> Result<f32> {
                    let rope = &value["rope_parameters"][kind];
                    let scaling = rope["rope_type"].as_str().unwrap_or("default");
                    if scaling != "default" {
                        return Err(Error::unsupported_model(format!(
                            "the model is a modernbert with {scaling} rotary scaling, which does not run here"
                        )));
                    }
                    Ok(rope["rope_theta"].as_f64().map_or_else(|| json.number_or(old, usual), Ok)? as f32)
                };
                let every = json.count_or("global_attn_every_n_layers", 3)?;
                let listed = value["layer_types"].as_array();
                Self {
                    kinds: 0,
                    activation: json.activation_or("hidden_activation", "gelu")?,
                    head_activation: json.activation_or("classifier_activation", "gelu")?,
                    gated: true,
                    eps: json.number_or("norm_eps", 1e-5)? as f32,
                    norm_bias: json.flag_or("norm_bias", false)?,
                    pre_norm: true,
                    positions: Positions::Rotary {
                        base: theta("full_attention", "global_rope_theta", 160_000.0)?,
                        local_base: theta("sliding_attention", "local_rope_theta", 10_000.0)?,
                    },
                    window: Some(json.count_or("local_attention", 128)? / 2 + 1),
                    local: match listed {
                        Some(kinds) => kinds.iter().map(|kind| kind == "sliding_attention").collect(),
                        None => (0..base.layers.min(LAYERS)).map(|i| !i.is_multiple_of(every)).collect(),
                    },
                    classifier_pooling: match json.word_or("classifier_pooling", "cls")? {
                        "mean" => Pooling::Mean,
                        _ => Pooling::First,
                    },
                    ..base
                }
            }
        };
        config.checked(WHAT)
    }

    /// From a GGUF's metadata: the keys of the GGUF specification, below the architecture's name.
    ///
    /// Errors: as [`Self::from_hugging_face`].
    pub fn from_gguf(metadata: &Metadata, tensors: &dyn Tensors) -> Result<Self> {
        let architecture: &str = metadata.require("general.architecture")?;
        let Some(family) = Family::of_gguf(architecture) else {
            return Err(Error::unsupported_model(format!(
                "the model is a {architecture}; of encoders bert, nomic-bert, modern-bert and t5encoder run here"
            )));
        };
        let key = |name: &str| format!("{architecture}.{name}");
        let needed = |name: &str| metadata.require::<u64>(&key(name)).map(|n| n as usize);
        let number = |name: &str, usual: f32| Ok::<_, Error>(metadata.get::<f32>(&key(name))?.unwrap_or(usual));
        let rows = |name: &str| tensors.tensor(name).and_then(|(_, shape)| shape.first().copied());
        let missing = || Error::corrupt_file("the file has no weight token_embd.weight; fetch the whole file again");
        let modern = family == Family::ModernBert;
        let base = number("rope.freq_base", if modern { 160_000.0 } else { 1000.0 })?;
        let layers = needed("block_count")?;
        let context_length = needed("context_length")?;
        let (width, heads) = (needed("embedding_length")?, needed("attention.head_count")?);
        let t5 = family == Family::T5;
        let gated = match family {
            Family::T5 => rows("enc.blk.0.ffn_gate.weight").is_some(),
            _ => family != Family::Bert,
        };
        let count = |name: &str| metadata.get::<u64>(&key(name)).map(|n| n.map(|n| n as usize));
        let named = metadata.get::<Vec<&str>>(&key("classifier.output_labels"))?.unwrap_or_default();
        let classes = rows("cls.output.weight").unwrap_or(0);
        let labels: Vec<String> = match named.len() == classes {
            true => named.into_iter().map(str::to_owned).collect(),
            false => (0..classes).map(|id| format!("LABEL_{id}")).collect(),
        };
        Self {
            family,
            vocabulary: rows("token_embd.weight").ok_or_else(missing)?,
            context_length: rows("position_embd.weight").unwrap_or(context_length),
            kinds: rows("token_types.weight").unwrap_or(0),
            width,
            layers,
            heads,
            head_dim: if t5 { count("attention.key_length")? } else { None },
            feed_forward: needed("feed_forward_length")?,
            activation: match family {
                Family::NomicBert => Unary::Silu,
                Family::T5 if gated => Unary::GeluTanh,
                Family::T5 => Unary::LeakyRelu { slope: 0.0 },
                _ => Unary::Gelu,
            },
            gated,
            eps: if t5 {
                number("attention.layer_norm_rms_epsilon", 1e-6)?
            } else {
                number("attention.layer_norm_epsilon", 1e-12)?
            },
            norm_bias: tensors.tensor("token_embd_norm.bias").is_some(),
            pre_norm: modern || t5,
            leans_by_layer: t5 && rows("enc.blk.1.attn_rel_b.weight").is_some(),
            one_label: labels.len() != 1,
            labels,
            cut_head: classes > 0 && rows("cls.weight") != Some(width),
            // Of the two ways that there are, the one that llama.cpp goes.
            classifier_pooling: if modern { Pooling::Mean } else { Pooling::First },
            positions: match family {
                Family::Bert => Positions::Table,
                // What llama.cpp takes for granted.
                Family::T5 => {
                    Positions::Distances { buckets: needed("attention.relative_buckets_count")?, farthest: 128 }
                }
                _ => Positions::Rotary {
                    base,
                    local_base: number("rope.freq_base_swa", if modern { 10_000.0 } else { base })?,
                },
            },
            window: metadata.get::<u64>(&key("attention.sliding_window"))?.map(|n| n as usize / 2 + 1),
            local: (0..layers.min(LAYERS)).map(|i| modern && !i.is_multiple_of(3)).collect(),
            ..Self::plain(family)
        }
        .checked("the encoder's metadata")
    }

    fn checked(self, what: &str) -> Result<Self> {
        let divided = self.head_dim.map_or(self.heads > 0 && self.width.is_multiple_of(self.heads), |dim| {
            dim > 0 && self.heads > 0 && self.heads.checked_mul(dim).is_some_and(|inner| inner <= MOST_COLUMNS)
        });
        let leans = match self.positions {
            // A quarter of the buckets are for single distances each way, at least one.
            Positions::Distances { buckets, farthest } => {
                buckets >= 4 && buckets.is_multiple_of(2) && farthest > buckets / 2
            }
            _ => true,
        };
        let fits = self.layers <= LAYERS && divided && leans;
        if !fits || self.width == 0 || self.context_length == 0 || self.feed_forward == 0 {
            return Err(Error::corrupt_file(format!(
                "{what}: {} layers, {} heads in a width of {} and {} positions cannot be; give the model's own configuration",
                self.layers, self.heads, self.width, self.context_length
            )));
        }
        Ok(self)
    }
}

/// The labels in the order of their numbers; `LABEL_0`, … as `transformers` has it where they are not named.
fn labels(config: &serde_json::Value) -> Vec<String> {
    let named = config["id2label"].as_object().map(|map| {
        let mut labels: Vec<(u64, String)> = map
            .iter()
            .filter_map(|(id, label)| {
                Some((id.parse().ok()?, label.as_str().map_or_else(|| label.to_string(), str::to_owned)))
            })
            .collect();
        labels.sort_unstable();
        labels.into_iter().map(|(_, label)| label).collect::<Vec<_>>()
    });
    named.filter(|labels| !labels.is_empty()).unwrap_or_else(|| {
        let count = config["num_labels"].as_u64().unwrap_or(2).min(1 << 16);
        (0..count).map(|id| format!("LABEL_{id}")).collect()
    })
}
