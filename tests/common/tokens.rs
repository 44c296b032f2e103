//! Tokens in fixtures, in what a step puts out, and as text.

use serde_json::Value;
use vitrine::{graph::Sampled, weights::WeightFile};

/// A fixture's list of ids.
pub fn ids_in(value: &Value) -> Vec<u32> {
    value.as_array().expect("a list").iter().map(|v| v.as_u64().expect("an id") as u32).collect()
}

/// The token that a step chose, of its output `sampled`.
pub fn sampled(words: &[u32]) -> u32 {
    Sampled::from_words(words).expect("a record").token
}

/// The text of tokens by the SentencePiece vocabulary of a GGUF.
pub fn spelled(file: &WeightFile, tokens: &[u32]) -> String {
    let pieces: Vec<&str> = file.metadata.require("tokenizer.ggml.tokens").expect("a vocabulary");
    let mut bytes = Vec::new();
    for t in tokens {
        let piece = pieces[*t as usize];
        match piece.strip_prefix("<0x").and_then(|p| p.strip_suffix('>')) {
            Some(hex) => bytes.push(u8::from_str_radix(hex, 16).expect("a byte")),
            None => bytes.extend(piece.replace('\u{2581}', " ").into_bytes()),
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}
