//! A configuration from a `config.json` as `transformers` writes it.

use serde_json::Value;

use super::{
    config::{Block, LanguageConfig, Local, Long, Rotary, Sizes, count, missing, most, unsupported_scaling},
    names::Names,
    rope_scaling::{Scaling, long_magnitude, yarn_magnitude},
};
use crate::{Error, Result, graph::RopeLayout};

/// The values of a `config.json` by their keys.
pub(super) struct Config(pub Value);

impl Config {
    pub fn parse(json: &str) -> Result<Self> {
        let config = serde_json::from_str(json)
            .map_err(|e| Error::corrupt_file("config.json is not JSON; fetch it again").caused_by(e))?;
        let config = Self(config);
        if let Some(method) = config.0["quantization_config"]["quant_method"].as_str() {
            return Err(Error::unsupported_model(format!(
                "its weights are quantised by {method}, which is not read here; take a GGUF of the model, or its weights as they were before"
            )));
        }
        Ok(config)
    }

    pub fn word(&self, key: &str) -> Result<&str> {
        self.0[key].as_str().ok_or_else(|| missing(key))
    }

    pub fn optional(&self, key: &str, most: u64) -> Result<Option<usize>> {
        match &self.0[key] {
            Value::Null => Ok(None),
            Value::Number(n) if n.is_u64() => count(key, n.as_u64().unwrap_or(0), most).map(Some),
            other => Err(Error::corrupt_file(format!("{key} in config.json is {other}, not a count"))),
        }
    }

    pub fn needed(&self, key: &str, most: u64) -> Result<usize> {
        self.optional(key, most)?.ok_or_else(|| missing(key))
    }

    pub fn number(&self, key: &str) -> Option<f64> {
        self.0[key].as_f64()
    }

    pub fn needed_number(&self, key: &str) -> Result<f64> {
        self.number(key).ok_or_else(|| missing(key))
    }

    /// What all say that are numbered like a Llama, of layers that are made so; without positions that turn. Heads are as wide as `head_dim` says where
    /// the file does not.
    pub fn decoder(
        &self,
        architecture: &'static str,
        block: Block,
        names: &'static Names,
        head_dim: Option<usize>,
    ) -> Result<LanguageConfig> {
        let dim = self.needed("hidden_size", most::WIDTH)?;
        let heads = self.needed("num_attention_heads", most::HEADS)?;
        let head_dim = self.optional("head_dim", most::WIDTH)?.or(head_dim).unwrap_or(dim / heads);
        let norm = if block.layer_norms { "layer_norm_eps" } else { "rms_norm_eps" };
        let sizes = Sizes {
            vocabulary: self.needed("vocab_size", most::VOCABULARY)?,
            dim,
            layers: self.needed("num_hidden_layers", most::LAYERS)?,
            heads,
            kv_heads: self.optional("num_key_value_heads", most::HEADS)?.unwrap_or(heads),
            head_dim,
            feed_forward: self.needed("intermediate_size", most::WIDTH)?,
            context_length: self.needed("max_position_embeddings", most::CONTEXT)?,
            eps: self.number(norm).map_or_else(|| self.needed_number("norm_eps"), Ok)? as f32,
        };
        let tied = self.0["tie_word_embeddings"].as_bool().or(Some(false));
        Ok(LanguageConfig { tied, ..LanguageConfig::plain(architecture, block, names, sizes) })
    }

    /// What is said of the rotary embedding: below `rope_parameters`, or in older versions `rope_scaling`.
    fn rope(&self) -> &Value {
        let rope = &self.0["rope_parameters"];
        if rope.is_object() { rope } else { &self.0["rope_scaling"] }
    }

    /// How heads turn, by `base` and so large a `part` of them unless the file says another.
    pub fn rotary(&self, head_dim: usize, base: f64, part: f64) -> Result<Rotary> {
        let rope = self.rope();
        let number = |key: &str, usual: f64| rope[key].as_f64().or(self.number(key)).unwrap_or(usual);
        let dim = (head_dim as f64 * number("partial_rotary_factor", part)) as usize;
        self.scaled(Rotary::plain(dim, number("rope_theta", base) as f32, RopeLayout::HalfSplit), rope)
    }

    /// The same rotary embedding, scaled as `rope` says.
    pub fn scaled(&self, rotary: Rotary, rope: &Value) -> Result<Rotary> {
        let said = |key: &str| rope[key].as_f64();
        let needed = |key: &str| said(key).ok_or_else(|| missing(&format!("rope_scaling.{key}")));
        let context = self.needed("max_position_embeddings", most::CONTEXT)? as f64;
        let outer = self.number("original_max_position_embeddings");
        let original = outer.or(said("original_max_position_embeddings")).unwrap_or(context);
        match rope["rope_type"].as_str().or(rope["type"].as_str()).unwrap_or("default") {
            // The base grows with texts that are longer than the context, which there are none of here.
            "default" | "dynamic" => Ok(rotary),
            "linear" => rotary.scaled(Scaling::Linear { factor: needed("factor")? }),
            "llama3" => rotary.scaled(Scaling::Llama3 {
                factor: needed("factor")?,
                low: needed("low_freq_factor")?,
                high: needed("high_freq_factor")?,
                original,
            }),
            "yarn" => {
                let factor = said("factor").unwrap_or(context / original);
                let mscales = said("mscale").zip(said("mscale_all_dim")).filter(|(a, b)| *a != 0.0 && *b != 0.0);
                let usual = match mscales {
                    Some((one, all)) => yarn_magnitude(factor, one) / yarn_magnitude(factor, all),
                    None => yarn_magnitude(factor, 1.0),
                };
                rotary.scaled(Scaling::Yarn {
                    factor,
                    original,
                    beta_fast: said("beta_fast").unwrap_or(32.0),
                    beta_slow: said("beta_slow").unwrap_or(1.0),
                    truncate: rope["truncate"] != false,
                    magnitude: said("attention_factor").unwrap_or(usual),
                })
            }
            // Phi-3's first files call it so.
            "longrope" | "su" => {
                let list = |key: &str| -> Result<Vec<f32>> {
                    let list = rope[key].as_array().ok_or_else(|| missing(&format!("rope_scaling.{key}")))?;
                    Ok(list.iter().map(|n| n.as_f64().unwrap_or(f64::NAN) as f32).collect())
                };
                let usual = long_magnitude(said("factor").unwrap_or(context / original), original);
                let factors = Some([list("short_factor")?, list("long_factor")?]);
                let long = Long { original: original as usize, factors };
                rotary.scaled(Scaling::LongRope { long, magnitude: said("attention_factor").unwrap_or(usual) })
            }
            other => Err(unsupported_scaling(other)),
        }
    }

    /// Layers that see the last `window` tokens alone, where `layer_types` says which; those that `usual` says where it does not.
    pub fn local(&self, window: usize, layers: usize, usual: impl Fn(usize) -> bool) -> Local {
        let kinds = match &self.0["layer_types"] {
            Value::Array(kinds) => kinds.iter().map(|kind| kind == "sliding_attention").collect(),
            _ => (0..layers).map(usual).collect(),
        };
        Local { window, layers: kinds, base: None }
    }

    /// Refuses an activation that is not among `known`.
    pub fn check_activation(&self, key: &str, known: &[&str]) -> Result<()> {
        match self.0[key].as_str() {
            Some(found) if !known.contains(&found) => Err(Error::unsupported_model(format!(
                "the activation {found:?} does not run here; this family's is {}",
                known.join(" or ")
            ))),
            _ => Ok(()),
        }
    }
}
