//! A tokenizer from a Hugging Face `tokenizer.json`: the `tokenizers` crate encodes, its decoder becomes a table of bytes.

use serde_json::Value;

use super::{
    Encoder, SpecialTokens, Tokenizer,
    chat::ChatParts,
    normalizer::SPACE,
    pieces::{ByteLevel, Pieces, byte_token},
    special::{BEGINNINGS_OF_TEXT, ENDS_OF_TEXT},
};
use crate::{Error, Result};

/// No vocabulary in use has more; an id past it would only make a table of holes.
const MOST_TOKENS: u64 = 1 << 22;

/// How the file's decoder spells tokens.
enum Spelling {
    ByteLevel(ByteLevel),
    /// U+2581 is a space, `<0xE2>` a byte.
    SentencePiece {
        strip_first_space: bool,
    },
    /// `##` goes on with a word.
    WordPiece {
        prefix: String,
    },
    /// `</w>` ends a word.
    WordEnd {
        suffix: String,
    },
    /// Tokens as they are.
    Plain,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// Errors: `corrupt-file` where it is no such file or its parts do not fit.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        Self::from_json_and_settings(bytes, None, None)
    }

    /// The same, with the `tokenizer_config.json` beside it, which names BOS and EOS and may hold the chat template, and the model's
    /// `config.json`, which has the id of a BOS that no other file names (GPT-2).
    pub fn from_json_and_settings(bytes: &[u8], settings: Option<&Value>, config: Option<&Value>) -> Result<Self> {
        let damaged = |cause: &dyn std::fmt::Display| {
            Error::corrupt_file(format!("the tokenizer.json cannot be used: {cause}; download it again"))
        };
        let file: Value = serde_json::from_slice(bytes).map_err(|e| damaged(&e))?;
        check_merges(&file["model"]).map_err(|e| damaged(&e))?;
        let mut tokenizer = tokenizers::Tokenizer::from_bytes(bytes).map_err(|e| damaged(&e))?;
        // How long a text may be is the model's matter, which says so where one is longer.
        tokenizer.with_padding(None).with_truncation(None).map_err(|e| damaged(&e))?;
        let pieces = pieces(&tokenizer, &spelling(&file)).map_err(|e| damaged(&e))?;
        let mut special = special_tokens(&tokenizer).map_err(|e| damaged(&e))?;
        let (named, numbered) = (file["model"]["unk_token"].as_str(), file["model"]["unk_id"].as_u64());
        special.unknown = named.and_then(|token| tokenizer.token_to_id(token)).or(numbered.map(|id| id as u32));
        let chat = settings.map(ChatParts::of_settings).unwrap_or_default();
        if let Some(settings) = settings {
            let named = |key: &str| {
                let token = &settings[key];
                tokenizer.token_to_id(token["content"].as_str().or(token.as_str())?)
            };
            special.bos = named("bos_token").or(special.bos);
            special.eos = named("eos_token").or(special.eos);
            special.ends.extend(special.eos);
            special.ends.sort_unstable();
            special.ends.dedup();
        }
        let of_model = config.and_then(|config| config["bos_token_id"].as_u64());
        let of_model = of_model.filter(|id| *id < pieces.len() as u64).map(|id| id as u32);
        special.bos = special.bos.or(of_model);
        Ok(Self::assemble(Encoder::library(tokenizer), pieces, special, chat, true))
    }
}

/// The library trusts that each merge makes a token that exists; a file need not.
fn check_merges(model: &Value) -> Result<(), String> {
    let (Some(merges), Some(words)) = (model["merges"].as_array(), model["vocab"].as_object()) else { return Ok(()) };
    let prefix = model["continuing_subword_prefix"].as_str().unwrap_or_default();
    for merge in merges {
        let pair = match merge {
            Value::String(text) => text.split_once(' '),
            Value::Array(pair) => match pair.as_slice() {
                [Value::String(a), Value::String(b)] => Some((a.as_str(), b.as_str())),
                _ => None,
            },
            _ => None,
        };
        let whole = pair.and_then(|(a, b)| {
            let rest = b.strip_prefix(prefix)?;
            (words.contains_key(a) && words.contains_key(b)).then(|| format!("{a}{rest}"))
        });
        if !whole.is_some_and(|whole| words.contains_key(&whole)) {
            return Err(format!("the merge {merge} does not fit its vocabulary"));
        }
    }
    Ok(())
}

fn spelling(file: &Value) -> Spelling {
    let kind = |v: &Value, name: &str| v["type"].as_str() == Some(name);
    let decoder = &file["decoder"];
    let no_steps = vec![];
    let steps = decoder["decoders"].as_array().unwrap_or(&no_steps);
    let has = |name: &str| kind(decoder, name) || steps.iter().any(|s| kind(s, name));
    if has("ByteLevel") {
        return Spelling::ByteLevel(ByteLevel::new());
    }
    if has("WordPiece") {
        let prefix = decoder["prefix"].as_str().unwrap_or("##").to_owned();
        return Spelling::WordPiece { prefix };
    }
    if has("BPEDecoder") {
        let suffix = decoder["suffix"].as_str().unwrap_or("</w>").to_owned();
        return Spelling::WordEnd { suffix };
    }
    if has("Metaspace") {
        let metaspace = steps.iter().find(|s| kind(s, "Metaspace")).unwrap_or(decoder);
        let never = metaspace["prepend_scheme"].as_str() == Some("never");
        return Spelling::SentencePiece { strip_first_space: !never };
    }
    if has("ByteFallback") || has("Replace") {
        return Spelling::SentencePiece { strip_first_space: has("Strip") };
    }
    // A file without a decoder still says by its pre-tokenizer how its tokens are spelled.
    let before = &file["pre_tokenizer"];
    let byte_level = before["pretokenizers"].as_array().unwrap_or(&no_steps).iter().any(|s| kind(s, "ByteLevel"));
    if byte_level || kind(before, "ByteLevel") { Spelling::ByteLevel(ByteLevel::new()) } else { Spelling::Plain }
}

fn pieces(tokenizer: &tokenizers::Tokenizer, spelling: &Spelling) -> Result<Pieces, String> {
    let mut tokens: Vec<(u32, String)> = tokenizer.get_vocab(true).into_iter().map(|(t, id)| (id, t)).collect();
    tokens.sort_unstable();
    let last = tokens.last().map_or(0, |(id, _)| *id);
    if u64::from(last) >= MOST_TOKENS {
        return Err(format!("it has a token with the id {last}"));
    }
    let strip_first_space = match spelling {
        Spelling::SentencePiece { strip_first_space } => *strip_first_space,
        Spelling::WordPiece { .. } => true,
        _ => false,
    };
    let added = tokenizer.get_added_tokens_decoder();
    let mut pieces = Pieces::new(strip_first_space);
    for (id, token) in tokens {
        while pieces.len() < id as usize {
            pieces.push(b"", true);
        }
        if pieces.len() > id as usize {
            continue;
        }
        match (added.get(&id), spelling) {
            // Gemma's runs of spaces are added tokens, spelled as pieces are.
            (Some(mark), Spelling::SentencePiece { .. }) if !mark.special => {
                pieces.push_shown_mark(mark.content.replace(SPACE, " ").as_bytes());
            }
            (Some(mark), _) if !mark.special => pieces.push_shown_mark(mark.content.as_bytes()),
            (Some(mark), _) => pieces.push(mark.content.as_bytes(), true),
            (None, Spelling::ByteLevel(alphabet)) => pieces.push(&alphabet.bytes(&token), false),
            (None, Spelling::SentencePiece { .. }) => match byte_token(&token) {
                Some(byte) => pieces.push(&[byte], false),
                None => pieces.push(token.replace(SPACE, " ").as_bytes(), false),
            },
            (None, Spelling::WordPiece { prefix }) => match token.strip_prefix(prefix.as_str()) {
                Some(rest) => pieces.push(rest.as_bytes(), false),
                None => pieces.push(format!(" {token}").as_bytes(), false),
            },
            (None, Spelling::WordEnd { suffix }) => match token.strip_suffix(suffix.as_str()) {
                Some(end) => pieces.push(format!("{end} ").as_bytes(), false),
                None => pieces.push(token.as_bytes(), false),
            },
            (None, Spelling::Plain) => pieces.push(token.as_bytes(), false),
        }
    }
    Ok(pieces)
}

/// The file does not name its BOS and EOS; what it puts round an empty text, and the names in use, do.
fn special_tokens(tokenizer: &tokenizers::Tokenizer) -> Result<SpecialTokens, tokenizers::Error> {
    let added = tokenizer.get_added_tokens_decoder();
    let named = |names: &[&str]| {
        let mut ids: Vec<u32> = vec![];
        for name in names {
            ids.extend(added.iter().filter(|(_, t)| t.special && t.content == *name).map(|(id, _)| *id));
        }
        ids
    };
    let frame = tokenizer.encode_fast("", true)?;
    let first = frame.get_ids().first().copied().filter(|id| added.contains_key(id));
    let mut ends = named(&ENDS_OF_TEXT);
    let eos = ends.first().copied();
    let starts_with_mark = first.is_some_and(|id| !ends.contains(&id));
    let bos = if starts_with_mark { first } else { named(&BEGINNINGS_OF_TEXT).first().copied() };
    ends.sort_unstable();
    Ok(SpecialTokens { bos, eos, closing: eos, add_bos: starts_with_mark, add_eos: false, ends, unknown: None })
}
