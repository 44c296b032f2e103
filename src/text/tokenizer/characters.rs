//! The vocabulary of a recurrent model: a list of characters, as tutorials save it.

use std::collections::HashMap;

use serde_json::Value;

use super::{Encoder, SpecialTokens, Tokenizer, chat::ChatParts, pieces::Pieces};
use crate::{Error, Result, weights::WeightFile};

/// What tutorials call it in a configuration.
const KEYS: [&str; 12] = [
    "vocab",
    "chars",
    "characters",
    "itos",
    "stoi",
    "char_to_idx",
    "char_to_ix",
    "char2idx",
    "idx_to_char",
    "ix_to_char",
    "idx2char",
    "int2char",
];
const UNKNOWN: [&str; 4] = ["<unk>", "[UNK]", "<UNK>", "unk"];
const ENDS: [&str; 5] = ["<eos>", "</s>", "<EOS>", "<end>", "[EOS]"];
const BEGINNINGS: [&str; 5] = ["<bos>", "<s>", "<BOS>", "<start>", "<sos>"];

/// Ids of single characters, and what stands for all others.
pub(super) struct Characters {
    ids: HashMap<char, u32>,
    unknown: Option<u32>,
}

impl Characters {
    /// Errors: `bad-argument` that names a character which the model does not know.
    pub fn encode(&self, text: &str, ids: &mut Vec<u32>) -> Result<()> {
        for c in text.chars() {
            let id = self.ids.get(&c).copied().or(self.unknown);
            ids.push(id.ok_or_else(|| {
                Error::bad_argument(format!(
                    "the character {c:?} is none of the {} that this model knows; write it otherwise",
                    self.ids.len()
                ))
            })?);
        }
        Ok(())
    }
}

impl Tokenizer {
    /// Of the characters that lie beside a recurrent model of `tokens` tokens: a `vocab.json`, or a list in its `config.json`. What is longer than a
    /// character is a mark.
    ///
    /// Errors: `bad-argument` where there are none, `corrupt-file` where they are not as many as the model has.
    pub fn of_characters(file: &WeightFile, tokens: usize) -> Result<Self> {
        let vocab = file.extra_json("vocab.json")?;
        let config = file.extra_json("config.json")?.unwrap_or(Value::Null);
        let listed = vocab.as_ref().into_iter().chain(KEYS.iter().map(|key| &config[key])).find_map(list);
        let listed = listed.ok_or_else(|| {
            Error::bad_argument(
                "a recurrent model needs its characters; give a vocab.json beside it, {\"a\": 0, …} or a list of them, or a list \"vocab\" in its config.json",
            )
        })?;
        if listed.len() != tokens {
            return Err(Error::corrupt_file(format!(
                "{} characters are listed, and the model knows {tokens}; give the list that belongs to it",
                listed.len()
            )));
        }
        let mut pieces = Pieces::new(false);
        let mut ids = HashMap::new();
        for (id, token) in listed.iter().enumerate() {
            let mut chars = token.chars();
            match (chars.next(), chars.next()) {
                (Some(only), None) => {
                    ids.entry(only).or_insert(id as u32);
                    pieces.push(token.as_bytes(), false);
                }
                _ => pieces.push(token.as_bytes(), true),
            }
        }
        let find = |names: &[&str]| listed.iter().position(|token| names.contains(&token.as_str())).map(|id| id as u32);
        let eos = find(&ENDS);
        let special = SpecialTokens {
            bos: find(&BEGINNINGS),
            eos,
            closing: eos,
            add_bos: false,
            add_eos: false,
            ends: eos.into_iter().collect(),
            unknown: find(&UNKNOWN),
        };
        let characters = Characters { ids, unknown: special.unknown };
        Ok(Self::assemble(Encoder::Characters(characters), pieces, special, ChatParts::default(), false))
    }
}

/// Tokens in the order of their ids: `["a", …]`, `{"a": 0, …}` or `{"0": "a", …}`.
fn list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(list) => list.iter().map(|token| Some(token.as_str()?.to_owned())).collect(),
        Value::String(text) => Some(text.chars().map(String::from).collect()),
        Value::Object(map) => {
            let pair = |(key, value): (&String, &Value)| match value {
                Value::Number(id) => Some((id.as_u64()?, key.clone())),
                Value::String(token) => Some((key.parse().ok()?, token.clone())),
                _ => None,
            };
            let mut pairs: Vec<(u64, String)> = map.iter().map(pair).collect::<Option<_>>()?;
            pairs.sort_unstable();
            let in_order = pairs.iter().enumerate().all(|(at, (id, _))| at as u64 == *id);
            (in_order && !pairs.is_empty()).then(|| pairs.into_iter().map(|(_, token)| token).collect())
        }
        _ => None,
    }
}
