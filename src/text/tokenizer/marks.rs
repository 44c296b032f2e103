//! Marks that are text. A stranger's words may spell `<|im_end|>`; read as the token of that name, they would end a turn that is not
//! theirs to end. So a mark inside a message is broken by a character that no message holds before the template frames it, and that
//! character is taken out again where text becomes tokens: after the template's own marks were found.

use std::{ops::RangeInclusive, sync::PoisonError};

use tokenizers::{Model, OffsetType, PreTokenizer};

use super::{
    Encoder, Tokenizer, sentence_piece,
    special::{Fragment, SpecialMatcher},
};
use crate::{Error, Result};

/// Unicode's noncharacters, which no text holds that was meant for others: one of them breaks the marks.
const BREAKS: RangeInclusive<char> = '\u{FDD0}'..='\u{FDEF}';

/// Breaks the marks of one vocabulary, wherever they stand in a text.
pub struct MarkBreaker {
    marks: SpecialMatcher,
    breaks: char,
}

impl MarkBreaker {
    /// `None` where no text holds a mark.
    pub fn new(tokenizer: &Tokenizer, texts: &[&str]) -> Option<Self> {
        let pieces = &tokenizer.0.pieces;
        let hidden = (0..pieces.len() as u32).filter(|id| pieces.is_hidden(*id));
        let spelled = hidden.filter_map(|id| Some((id, std::str::from_utf8(pieces.get(id)?).ok()?)));
        // A mark of one character has no middle to break it in.
        let marks = SpecialMatcher::new(spelled.filter(|(_, mark)| mark.chars().nth(1).is_some()));
        if !texts.iter().any(|text| marks.is_in(text)) {
            return None;
        }
        let unused = |c: &char| !texts.iter().any(|text| text.contains(*c));
        Some(Self { breaks: BREAKS.clone().find(unused).unwrap_or(*BREAKS.end()), marks })
    }

    /// The text with every mark in it broken behind its first character.
    pub fn broken(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // A mark may hold another, which is found once the first is broken.
        while self.marks.is_in(&text) {
            let mut broken = String::with_capacity(text.len() + 8);
            for fragment in self.marks.split(&text) {
                let (Fragment::Text(part) | Fragment::Token(_, part)) = fragment;
                let first = part.chars().next().map_or(0, char::len_utf8);
                match fragment {
                    Fragment::Text(_) => broken.push_str(part),
                    Fragment::Token(..) => {
                        broken.push_str(&part[..first]);
                        broken.push(self.breaks);
                        broken.push_str(&part[first..]);
                    }
                }
            }
            text = broken;
        }
        text
    }
}

impl Tokenizer {
    /// The ids of a text whose whole marks are tokens, and whose broken ones are the characters that they are spelled with. Nothing is put
    /// round it.
    pub fn encode_broken(&self, text: &str, breaker: &MarkBreaker) -> Result<Vec<u32>> {
        match &self.0.encoder {
            Encoder::SentencePiece { model, marks, add_space, .. } => {
                let mut ids = Vec::with_capacity(text.len() / 3 + 2);
                sentence_piece(model, *add_space, marks.split(text), Some(breaker.breaks), &mut ids);
                Ok(ids)
            }
            Encoder::Library { tokenizer, .. } => {
                let mut tokenizer = tokenizer.lock().unwrap_or_else(PoisonError::into_inner);
                tokenizer.set_encode_special_tokens(false);
                library(&tokenizer, text, breaker.breaks)
                    .map_err(|cause| Error::bad_argument(format!("the text cannot be tokenized: {cause}")))
            }
        }
    }
}

/// The library's own way from a text to ids, with one step more behind its search for marks.
fn library(tokenizer: &tokenizers::Tokenizer, text: &str, breaks: char) -> tokenizers::Result<Vec<u32>> {
    let mut parts = tokenizer.get_added_vocabulary().extract_and_normalize(tokenizer.get_normalizer(), text);
    parts.normalize(|part| {
        part.filter(|c| c != breaks);
        Ok(())
    })?;
    if let Some(pre_tokenizer) = tokenizer.get_pre_tokenizer() {
        pre_tokenizer.pre_tokenize(&mut parts)?;
    }
    parts.tokenize(|part| tokenizer.get_model().tokenize(part.get()))?;
    Ok(parts.into_encoding(None, 0, OffsetType::None)?.get_ids().to_vec())
}
