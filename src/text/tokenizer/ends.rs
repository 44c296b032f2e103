//! Which tokens end a text, from all that a model's files say of it: transformers ends at every `eos_token_id`, of `generation_config.json`
//! as of `config.json`, and a GGUF names three kinds.

use std::sync::Arc;

use serde_json::Value;

use super::Tokenizer;
use crate::{Result, weights::WeightFile};

impl Tokenizer {
    /// Adds the ends that the files beside the vocabulary name to those that it names itself. Ids past the vocabulary are none of its
    /// tokens and stay out.
    pub(super) fn end_as(&mut self, file: &WeightFile) -> Result<()> {
        let mut named = vec![];
        for name in ["config.json", "generation_config.json"] {
            if let Some(config) = file.extra_json(name)? {
                // A model of several kinds (Gemma 3 with eyes) holds its language model's configuration inside its own.
                named.extend(ids(&config["eos_token_id"]).chain(ids(&config["text_config"]["eos_token_id"])));
            }
        }
        for key in ["eos", "eot", "eom"] {
            named.extend(file.metadata.get::<u32>(&format!("tokenizer.ggml.{key}_token_id"))?);
        }
        let vocabulary = self.vocabulary_size();
        if let Some(shared) = Arc::get_mut(&mut self.0) {
            let ends = &mut shared.special.ends;
            ends.extend(named.into_iter().filter(|id| (*id as usize) < vocabulary));
            ends.sort_unstable();
            ends.dedup();
        }
        Ok(())
    }
}

/// One id, or a list of them; whatever else stands there names none.
fn ids(value: &Value) -> impl Iterator<Item = u32> {
    let one = value.as_u64().into_iter();
    let several = value.as_array().into_iter().flatten().filter_map(Value::as_u64);
    one.chain(several).filter_map(|id| u32::try_from(id).ok())
}
