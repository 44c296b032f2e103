//! Marks that are text. A stranger's words may spell `<|im_end|>`; read as the token of that name, they would end a turn that is not
//! theirs to end. So a mark inside a message is broken by a character that no message holds before the template frames it, and that
//! character is taken out again where text becomes tokens: after the template's own marks were found.

use std::{collections::HashSet, ops::RangeInclusive, sync::PoisonError};

use tokenizers::{Model, OffsetType, PreTokenizer};

use super::{
    Encoder, Tokenizer,
    pieces::Pieces,
    sentence_piece,
    special::{Fragment, SpecialMatcher},
};
use crate::{Error, Result};

/// Unicode's noncharacters, which no text holds that was meant for others: one of them breaks the marks.
const BREAKS: RangeInclusive<char> = '\u{FDD0}'..='\u{FDEF}';

/// Breaks the marks of one vocabulary, wherever they stand in a text.
pub struct MarkBreaker {
    /// Those that readers never see, and those that they see and that the template frames turns with.
    all: Marks,
    hidden: Marks,
    breaks: char,
}

/// Some marks of a vocabulary.
struct Marks {
    whole: SpecialMatcher,
    /// What each begins with, up to all but its last character, where that is no word.
    beginnings: HashSet<String>,
    /// The longest of them in bytes.
    longest: usize,
}

impl Marks {
    fn new(pieces: &Pieces, ids: impl Iterator<Item = u32>, counts: impl Fn(u32, &str) -> bool) -> Self {
        let spelled = ids.filter_map(|id| Some((id, std::str::from_utf8(pieces.get(id)?).ok()?)));
        // A mark of one character has no middle to break it in; runs of spaces are words like others.
        let marks: Vec<_> = spelled
            .filter(|(id, mark)| mark.chars().nth(1).is_some() && !mark.trim().is_empty() && counts(*id, mark))
            .collect();
        let no_words = marks.iter().filter(|(_, mark)| !mark.starts_with(char::is_alphanumeric));
        let beginnings: HashSet<String> =
            no_words.flat_map(|(_, mark)| mark.char_indices().skip(1).map(|(at, _)| mark[..at].to_owned())).collect();
        let longest = beginnings.iter().map(String::len).max().unwrap_or(0);
        Self { whole: SpecialMatcher::new(marks.into_iter()), beginnings, longest }
    }

    /// Whether a text ends as a mark begins: what is put behind it could make it whole.
    fn begins_at_the_end_of(&self, text: &str) -> bool {
        let ends = text.char_indices().rev().map(|(at, _)| &text[at..]);
        ends.take_while(|end| end.len() <= self.longest).any(|end| self.beginnings.contains(end))
    }
}

impl MarkBreaker {
    /// For a template with this source; `None` where no text holds a mark or the beginning of one.
    pub fn new(tokenizer: &Tokenizer, template: &str, texts: &[&str]) -> Option<Self> {
        let pieces = &tokenizer.0.pieces;
        let hidden = || (0..pieces.len() as u32).filter(|id| pieces.is_hidden(*id));
        let shown = pieces.shown_marks().iter().copied();
        let all = Marks::new(pieces, hidden().chain(shown), |id, mark| pieces.is_hidden(id) || template.contains(mark));
        if !texts.iter().any(|text| all.whole.is_in(text) || all.begins_at_the_end_of(text)) {
            return None;
        }
        let unused = |c: &char| !texts.iter().any(|text| text.contains(*c));
        let breaks = BREAKS.clone().find(unused).unwrap_or(*BREAKS.end());
        Some(Self { all, hidden: Marks::new(pieces, hidden(), |_, _| true), breaks })
    }

    /// A stranger's text with every mark in it broken behind its first character, and what begins one at its end too.
    pub fn broken(&self, text: &str) -> String {
        self.broken_by(&self.all, text)
    }

    /// The model's own text, whose marks that readers see (`</think>`) are its own to set and a template's to find.
    pub fn broken_own(&self, text: &str) -> String {
        self.broken_by(&self.hidden, text)
    }

    fn broken_by(&self, marks: &Marks, text: &str) -> String {
        let mut text = text.to_owned();
        // A mark may hold another, which is found once the first is broken.
        while marks.whole.is_in(&text) {
            let mut broken = String::with_capacity(text.len() + 8);
            for fragment in marks.whole.split(&text) {
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
        if marks.begins_at_the_end_of(&text) {
            text.push(self.breaks);
        }
        text
    }
}

impl Tokenizer {
    /// The ids of a text whose whole marks are tokens, and whose broken ones are the characters that they are spelled with. Nothing is put
    /// round it.
    pub fn encode_broken(&self, text: &str, breaker: &MarkBreaker) -> Result<Vec<u32>> {
        match &self.0.encoder {
            Encoder::SentencePiece { model, marks, .. } => {
                let mut ids = Vec::with_capacity(text.len() / 3 + 2);
                sentence_piece(model, marks.split(text), Some(breaker.breaks), &mut ids);
                Ok(ids)
            }
            Encoder::LongestMatch(model) => {
                let mut ids = Vec::with_capacity(text.len() / 3 + 2);
                model.encode(&self.0.pieces, text, true, Some(breaker.breaks), &mut ids);
                Ok(ids)
            }
            // Marks are no characters, so nothing is broken.
            Encoder::Characters(characters) => {
                let mut ids = vec![];
                characters.encode(text, &mut ids)?;
                Ok(ids)
            }
            Encoder::Library(tokenizer) => {
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
