//! A tokenizer without a model.

use serde::Serialize;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use super::js::{thrown, to_js};
use crate::{
    Error, Result,
    text::{self, EncodeOptions},
    weights::{Format, WeightFile},
};

/// Turns text into token ids and back.
#[wasm_bindgen]
pub struct Tokenizer {
    tokenizer: text::Tokenizer,
    kind: &'static str,
}

/// What a tokenizer is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    /// What it was read from: `"gguf"`, `"tokenizer.json"`, `"sentencepiece"`, `"merges.txt"`, `"vocab.txt"` or `"rwkv_vocab_v20230424.txt"`.
    kind: &'static str,
    vocabulary: usize,
    bos: Option<u32>,
    eos: Option<u32>,
    chat: bool,
}

impl Tokenizer {
    /// The tokenizer that an opened file brings along.
    pub(super) fn of(file: &WeightFile) -> Result<Self> {
        let given = |end: &str| file.extras().any(|name| name.ends_with(end));
        let kind = match file.format {
            _ if given("tokenizer.json") => "tokenizer.json",
            Format::Gguf => "gguf",
            _ if given(".model") || given(".spm") => "sentencepiece",
            _ if given("merges.txt") => "merges.txt",
            _ if given("rwkv_vocab_v20230424.txt") => "rwkv_vocab_v20230424.txt",
            _ if given("vocab.txt") => "vocab.txt",
            _ => "tokenizer.json",
        };
        Ok(Self { tokenizer: text::Tokenizer::from_file(file)?, kind })
    }
}

#[wasm_bindgen]
impl Tokenizer {
    #[wasm_bindgen(unchecked_return_type = "TokenizerInfo")]
    pub fn info(&self) -> Result<JsValue, JsValue> {
        let special = self.tokenizer.special();
        to_js(&Info {
            kind: self.kind,
            vocabulary: self.tokenizer.vocabulary_size(),
            bos: special.bos,
            eos: special.eos,
            chat: self.tokenizer.has_template(),
        })
    }

    pub fn encode(&self, text: &str, add_special: bool, parse_special: bool) -> Result<Vec<u32>, JsValue> {
        encode(&self.tokenizer, text, add_special, parse_special)
    }

    /// The text of `tokens`; marks (`<|end|>` and the like) are left out, or spelled out.
    pub fn decode(&self, tokens: &[u32], skip_special: bool) -> Result<String, JsValue> {
        decode(&self.tokenizer, tokens, skip_special)
    }
}

/// The ids of a text: a tokenizer's, and a model's by its own.
pub(super) fn encode(
    tokenizer: &text::Tokenizer,
    text: &str,
    add_special: bool,
    parse_special: bool,
) -> Result<Vec<u32>, JsValue> {
    tokenizer.encode(text, EncodeOptions { add_special, parse_special }).map_err(thrown)
}

/// The text of ids.
pub(super) fn decode(tokenizer: &text::Tokenizer, tokens: &[u32], skip_special: bool) -> Result<String, JsValue> {
    check_ids(tokenizer, tokens).map_err(thrown)?;
    if skip_special {
        return Ok(tokenizer.decode(tokens));
    }
    let mut text = String::new();
    for run in tokens.chunk_by(|a, b| tokenizer.is_hidden(*a) == tokenizer.is_hidden(*b)) {
        match run.first() {
            Some(first) if tokenizer.is_hidden(*first) => {
                text.extend(run.iter().filter_map(|id| tokenizer.token_text(*id)));
            }
            _ => text.push_str(&tokenizer.decode(run)),
        }
    }
    Ok(text)
}

/// An id past the vocabulary is an error with the code `bad-argument`.
pub(super) fn check_ids(tokenizer: &text::Tokenizer, ids: &[u32]) -> Result<()> {
    let vocabulary = tokenizer.vocabulary_size();
    match ids.iter().find(|id| **id as usize >= vocabulary) {
        Some(id) => Err(Error::bad_argument(format!("the token id {id} is not below the vocabulary's {vocabulary}"))),
        None => Ok(()),
    }
}
