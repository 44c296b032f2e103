//! Text to token ids and back.
//!
//! A [`Tokenizer`] comes from the vocabulary inside a GGUF ([`Tokenizer::from_metadata`]), from a Hugging Face `tokenizer.json`
//! ([`Tokenizer::from_json`]), or from what lay beside weights before there was one: SentencePiece's files, `vocab.json` with `merges.txt`, `vocab.txt`, and RWKV's `rwkv_vocab_v20230424.txt`. Byte-level BPE and
//! WordPiece run in the `tokenizers` crate, and its search for the likeliest unigrams behind a normalizer of ours; SentencePiece's
//! merge-by-score is our own, since merge ranks cannot say it exactly, and so is RWKV's cut into the longest tokens. Decoding is a table of bytes by id for
//! all kinds, so that text can be shown token by token ([`Detokenizer`]).
//!
//! Promises: any `&str` can be encoded, in time about linear in its length; any ids can be decoded; clones share one vocabulary.

mod byte_pairs;
mod characters;
mod chat;
mod ends;
mod gguf;
mod json;
mod longest_match;
mod marks;
mod model_proto;
mod normalizer;
mod pair;
mod pieces;
mod pre_tokenizers;
mod sentencepiece;
mod settings;
mod special;
mod vocabulary;
mod vocabulary_files;

use std::sync::{Arc, Mutex, PoisonError};

use characters::Characters;
use chat::ChatParts;
use longest_match::LongestMatch;
use pieces::Pieces;
use sentencepiece::SentencePiece;
use special::{Fragment, SpecialMatcher};

use super::Detokenizer;
use crate::{
    Error, Result,
    weights::{Format, WeightFile},
};

/// Turns text into token ids and back. Clones share the vocabulary.
#[derive(Clone)]
pub struct Tokenizer(Arc<Shared>);

struct Shared {
    encoder: Encoder,
    pieces: Arc<Pieces>,
    special: SpecialTokens,
    chat: ChatParts,
    /// Whether it does what transformers does with files that are written for it; else what llama.cpp does with a GGUF.
    of_transformers: bool,
}

/// How [`Tokenizer::encode`] treats marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EncodeOptions {
    /// Puts BOS (CLS) before and EOS (SEP) after the text where the model's file asks for that.
    pub add_special: bool,
    /// Reads marks such as `<|im_start|>` in the text as the tokens that they name. Only for text that can be trusted with
    /// that: a chat template's output, never a reader's own words.
    pub parse_special: bool,
}

/// The marks that frame a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpecialTokens {
    /// What a text begins with (BERT's CLS).
    pub bos: Option<u32>,
    pub eos: Option<u32>,
    /// What `add_eos` puts after a text: EOS, or BERT's SEP.
    pub closing: Option<u32>,
    pub add_bos: bool,
    pub add_eos: bool,
    /// Tokens that end a generation: EOS and the marks that end a turn. Sorted.
    pub ends: Vec<u32>,
    /// What stands for what the vocabulary cannot spell.
    pub unknown: Option<u32>,
}

enum Encoder {
    SentencePiece {
        model: SentencePiece,
        /// All marks, and those that are read in any text.
        marks: SpecialMatcher,
        user_defined: SpecialMatcher,
    },
    LongestMatch(LongestMatch),
    /// Each a token.
    Characters(Characters),
    /// Its switch for reading marks is part of it, hence the lock. One of a `tokenizer.json` frames texts itself.
    Library(Box<Mutex<tokenizers::Tokenizer>>),
}

impl Encoder {
    fn library(tokenizer: tokenizers::Tokenizer) -> Self {
        Self::Library(Box::new(Mutex::new(tokenizer)))
    }
}

impl Tokenizer {
    fn assemble(
        encoder: Encoder,
        pieces: Pieces,
        special: SpecialTokens,
        chat: ChatParts,
        of_transformers: bool,
    ) -> Self {
        Self(Arc::new(Shared { encoder, pieces: Arc::new(pieces), special, chat, of_transformers }))
    }

    /// Reads the tokenizer of opened files: the `tokenizer.json` among them, with the `tokenizer_config.json` beside it if there is
    /// one, else the vocabulary inside the GGUF (vocabulary-only files too), else SentencePiece's file, `vocab.json` with `merges.txt`, `vocab.txt`, or RWKV's list, with
    /// the settings beside them; and the chat templates that lie beside them.
    ///
    /// Errors: as [`Self::from_metadata`] and [`Self::from_json`]; `bad-argument` where no file holds a tokenizer; `unsupported-model` where it
    /// is of a kind whose rules are not known here.
    pub fn from_file(file: &WeightFile) -> Result<Self> {
        let of_json = |json: &[u8]| {
            let [settings, config] = ["tokenizer_config.json", "config.json"].map(|name| file.extra_json(name));
            Self::from_json_and_settings(json, settings?.as_ref(), config?.as_ref())
        };
        let mut tokenizer = if let Some(json) = file.extra("tokenizer.json") {
            of_json(json)?
        } else if file.format == Format::Gguf {
            Self::from_metadata(&file.metadata)?
        } else if let Some(tokenizer) = Self::from_vocabulary_files(file)? {
            tokenizer
        } else {
            // A lone file is taken at its word, whatever it is called.
            let lone = file.extras().find(|name| !name.ends_with(".jinja") && file.format == Format::Json);
            of_json(lone.and_then(|name| file.extra(name)).ok_or_else(|| {
                Error::bad_argument(
                    "these weights hold no vocabulary; give the tokenizer.json that belongs to the model, or its tokenizer.model, spiece.model, vocab.json with merges.txt, vocab.txt, or rwkv_vocab_v20230424.txt",
                )
            })?)?
        };
        if let Some(shared) = Arc::get_mut(&mut tokenizer.0) {
            shared.chat.add_files(file)?;
        }
        tokenizer.end_as(file)?;
        Ok(tokenizer)
    }

    /// Ids go from 0 to this, exclusive.
    pub fn vocabulary_size(&self) -> usize {
        self.0.pieces.len()
    }

    pub fn special(&self) -> &SpecialTokens {
        &self.0.special
    }

    /// Whether a generation ends with this token.
    pub fn is_end(&self, id: u32) -> bool {
        self.0.special.ends.binary_search(&id).is_ok()
    }

    /// What stands for a word that is to be filled in (BERT's `[MASK]`, RoBERTa's `<mask>`).
    pub fn mask(&self) -> Option<u32> {
        let is_mask = |id: &u32| matches!(self.0.pieces.get(*id), Some(b"[MASK]" | b"<mask>")) && self.is_hidden(*id);
        (0..self.vocabulary_size() as u32).find(is_mask)
    }

    /// Whether the token is a mark that readers do not see.
    pub fn is_hidden(&self, id: u32) -> bool {
        self.0.pieces.is_hidden(id)
    }

    /// What a conversation begins with whatever its template says: llama.cpp puts BOS before one where the GGUF asks for BOS, and
    /// transformers, which `tokenizer.json`s are written for, puts nothing there.
    pub(super) fn bos_of_chats(&self) -> Option<u32> {
        self.0.special.bos.filter(|_| self.0.special.add_bos && !self.0.of_transformers)
    }

    /// Whether a chat template (Jinja) came with the model.
    pub fn has_template(&self) -> bool {
        !self.0.chat.templates.is_empty()
    }

    /// The chat templates, and the marks by the names that templates know.
    pub(super) fn chat(&self) -> &ChatParts {
        &self.0.chat
    }

    /// The bytes that the token says, marks included. `None` past the vocabulary.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        self.0.pieces.get(id)
    }

    /// What the token says, marks included; bytes that are no whole character become U+FFFD. `None` past the vocabulary.
    pub fn token_text(&self, id: u32) -> Option<String> {
        self.0.pieces.get(id).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The token that says exactly this, marks included: of CLIP's vocabularies, where `!` begins a word and `!</w>` is one, the first.
    pub fn id_of(&self, text: &str) -> Option<u32> {
        (0..self.vocabulary_size() as u32).find(|id| self.0.pieces.get(*id) == Some(text.as_bytes()))
    }

    pub fn encode(&self, text: &str, options: EncodeOptions) -> Result<Vec<u32>> {
        let special = &self.0.special;
        let mut ids = Vec::with_capacity(text.len() / 3 + 2);
        match &self.0.encoder {
            Encoder::Library(tokenizer) => {
                let frames_itself = self.0.of_transformers;
                let mut tokenizer = tokenizer.lock().unwrap_or_else(PoisonError::into_inner);
                tokenizer.set_encode_special_tokens(!options.parse_special);
                let encoding = tokenizer
                    .encode_fast(text, frames_itself && options.add_special)
                    .map_err(|cause| Error::bad_argument(format!("the text cannot be tokenized: {cause}")))?;
                if frames_itself {
                    return Ok(encoding.get_ids().to_vec());
                }
                self.frame(options, &mut ids, |ids| ids.extend_from_slice(encoding.get_ids()));
            }
            Encoder::SentencePiece { model, marks, user_defined } => {
                let marks = if options.parse_special { marks } else { user_defined };
                self.frame(options, &mut ids, |ids| {
                    sentence_piece(model, marks.split(text), None, ids);
                });
            }
            Encoder::LongestMatch(model) => {
                self.frame(options, &mut ids, |ids| {
                    model.encode(&self.0.pieces, text, options.parse_special, None, ids)
                });
            }
            Encoder::Characters(characters) => {
                let mut own = vec![];
                characters.encode(text, &mut own)?;
                self.frame(options, &mut ids, |ids| ids.append(&mut own));
            }
        }
        debug_assert!(special.bos.is_none_or(|id| (id as usize) < self.vocabulary_size()));
        Ok(ids)
    }

    fn frame(&self, options: EncodeOptions, ids: &mut Vec<u32>, text: impl FnOnce(&mut Vec<u32>)) {
        let special = &self.0.special;
        if options.add_special && special.add_bos {
            ids.extend(special.bos);
        }
        text(ids);
        if options.add_special && special.add_eos {
            ids.extend(special.closing);
        }
    }

    /// The text of `ids`, without marks. Bytes that are no whole character become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut detokenizer = self.detokenizer(true);
        let mut text: String = ids.iter().map(|id| detokenizer.push(*id)).collect();
        text.push_str(&detokenizer.finish());
        text
    }

    /// Decodes token by token. `at_start`: the first token begins a text (and may carry a space that is not the text's own);
    /// false where it goes on with one.
    pub fn detokenizer(&self, at_start: bool) -> Detokenizer {
        Detokenizer::new(self.0.pieces.clone(), at_start)
    }

    /// Whether the vocabulary fits an embedding of `rows` rows: each token has one.
    pub fn check_rows(&self, rows: usize) -> Result<()> {
        if self.vocabulary_size() > rows {
            return Err(Error::corrupt_file(format!(
                "the tokenizer has {} tokens but the model knows only {rows}; the file's vocabulary belongs to another model",
                self.vocabulary_size()
            )));
        }
        Ok(())
    }
}

/// SentencePiece over the fragments of a text, without the character `left_out` where there is one.
fn sentence_piece(model: &SentencePiece, fragments: Vec<Fragment>, left_out: Option<char>, ids: &mut Vec<u32>) {
    for (at, fragment) in fragments.into_iter().enumerate() {
        match (fragment, left_out) {
            (Fragment::Token(id, _), _) => ids.push(id),
            (Fragment::Text(text), None) => model.encode(text, at == 0, ids),
            (Fragment::Text(text), Some(left_out)) => model.encode(&text.replace(left_out, ""), at == 0, ids),
        }
    }
}

pub(super) use marks::MarkBreaker;
pub use pair::Pair;
pub(super) use pieces::Pieces as TokenPieces;
