//! A prompt as a text encoder takes it: a fixed number of ids, and what of the words did not get through.

use crate::{
    Error, Result,
    text::{EncodeOptions, Tokenizer},
};

/// A character that no caption holds: it becomes the token of unknown words.
const NO_WORD: &str = "\u{e000}";

/// A prompt as the text encoder takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Caption {
    /// As many as the encoder reads, padded.
    pub ids: Vec<u32>,
    pub cut: Option<String>,
    pub unknown: Vec<String>,
}

/// How a model reads its prompts.
pub enum Reader {
    /// A vocabulary of whole words: those that it lacks are left out.
    Words { tokenizer: Tokenizer, unknown: Option<u32>, length: usize, pad: u32 },
    /// CLIP's: a mark, the prompt, another mark, and so on to the end.
    Clip { tokenizer: Tokenizer, begin: u32, end: u32, length: usize, pad: u32 },
}

impl Reader {
    pub fn words(tokenizer: Tokenizer, length: usize, pad: u32) -> Result<Self> {
        let encoded = tokenizer.encode(NO_WORD, EncodeOptions::default())?;
        Ok(Self::Words { unknown: encoded.first().copied(), tokenizer, length, pad })
    }

    /// `pad`: the token that fills a short prompt; its end mark where nothing is said.
    ///
    /// Errors: `corrupt-file` where the vocabulary has not CLIP's marks.
    pub fn clip(tokenizer: Tokenizer, length: usize, pad: Option<&str>) -> Result<Self> {
        let id_of = |text: &str| -> Result<u32> {
            match tokenizer.encode(text, EncodeOptions { parse_special: true, add_special: false })?.as_slice() {
                [id] => Ok(*id),
                _ => Err(Error::corrupt_file(format!(
                    "the tokenizer has no token {text}, which CLIP's vocabularies have; give the model's own tokenizer"
                ))),
            }
        };
        let (begin, end) = (id_of("<|startoftext|>")?, id_of("<|endoftext|>")?);
        let pad = pad.map(id_of).transpose()?.unwrap_or(end);
        if length < 3 {
            return Err(Error::corrupt_file(
                "the text encoder reads no more than its marks; give the model's own configuration",
            ));
        }
        Ok(Self::Clip { tokenizer, begin, end, length, pad })
    }

    pub fn read(&self, prompt: &str) -> Caption {
        match self {
            Self::Words { tokenizer, unknown, length, pad } => words(tokenizer, *unknown, *length, *pad, prompt),
            Self::Clip { tokenizer, begin, end, length, pad } => {
                let encoded = tokenizer.encode(prompt, EncodeOptions::default()).unwrap_or_default();
                let (read, cut) = encoded.split_at(encoded.len().min(length - 2));
                let mut ids = [&[*begin], read, &[*end]].concat();
                ids.resize(*length, *pad);
                // CLIP writes the end of a word into its last token.
                let cut = tokenizer.decode(cut).replace("</w>", " ").trim().to_owned();
                Caption { ids, cut: (!cut.is_empty()).then_some(cut), unknown: vec![] }
            }
        }
    }

    /// The words of a vocabulary that is a list of words, sorted; none of a vocabulary that can spell any.
    pub fn vocabulary(&self) -> Vec<String> {
        let Self::Words { tokenizer, .. } = self else { return vec![] };
        let all = (0..tokenizer.vocabulary_size() as u32).filter_map(|id| tokenizer.token_text(id));
        let mut words: Vec<String> =
            all.filter(|word| word.chars().all(char::is_alphanumeric) && !word.is_empty()).collect();
        words.sort_unstable();
        words
    }
}

/// The prompt's known words, as many as the encoder reads at once.
fn words(tokenizer: &Tokenizer, missing: Option<u32>, length: usize, pad: u32, prompt: &str) -> Caption {
    let (mut ids, mut unknown, mut cut): (Vec<u32>, Vec<String>, Vec<&str>) = (vec![], vec![], vec![]);
    for word in prompt.split_whitespace() {
        let encoded = tokenizer.encode(word, EncodeOptions::default()).unwrap_or_default();
        let known: Vec<u32> = encoded.iter().copied().filter(|id| Some(*id) != missing).collect();
        if known.is_empty() {
            // Marks alone are nothing to miss.
            let word = word.trim_matches(|c: char| !c.is_alphanumeric());
            unknown.extend((!word.is_empty()).then(|| word.to_owned()));
        } else if cut.is_empty() && ids.len() + known.len() <= length {
            ids.extend(known);
        } else {
            cut.push(word);
        }
    }
    ids.resize(length, pad);
    Caption { ids, cut: (!cut.is_empty()).then(|| cut.join(" ")), unknown }
}
