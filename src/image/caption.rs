//! A prompt as a text encoder takes it: a fixed number of ids, and what of the words did not get through.

use super::emphasis::Emphasis;
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
    /// How much each counts; none where all count the same.
    pub weights: Vec<f64>,
    pub cut: Option<String>,
    pub unknown: Vec<String>,
    /// Marks that are read as words.
    pub literal: Vec<String>,
}

impl Caption {
    /// Gives the text encoder's rows of this caption their weights, and then their mean back, as AUTOMATIC1111's web UI does; a mean that is
    /// nothing but rounding is left alone.
    pub fn weigh(&self, rows: &mut [f32]) {
        if self.weights.is_empty() {
            return;
        }
        let sum = |rows: &[f32]| rows.iter().map(|v| f64::from(*v)).sum::<f64>();
        let (before, width) = (sum(rows), rows.len() / self.weights.len());
        let size: f64 = rows.iter().map(|v| f64::from(v.abs())).sum();
        for (row, weight) in rows.chunks_exact_mut(width).zip(&self.weights) {
            row.iter_mut().for_each(|v| *v = (f64::from(*v) * weight) as f32);
        }
        let back = before / sum(rows);
        if back.is_finite() && before.abs() > 1e-3 * size {
            rows.iter_mut().for_each(|v| *v = (f64::from(*v) * back) as f32);
        }
    }
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
                let emphasis = Emphasis::of(prompt);
                let (mut encoded, mut weights) = (vec![], vec![1.0]);
                for (text, weight) in &emphasis.parts {
                    encoded.extend(tokenizer.encode(text, EncodeOptions::default()).unwrap_or_default());
                    weights.resize(1 + encoded.len(), *weight);
                }
                let (read, cut) = encoded.split_at(encoded.len().min(length - 2));
                weights.truncate(1 + read.len());
                weights.resize(*length, 1.0);
                let mut ids = [&[*begin], read, &[*end]].concat();
                ids.resize(*length, *pad);
                // CLIP writes the end of a word into its last token.
                let cut = tokenizer.decode(cut).replace("</w>", " ").trim().to_owned();
                Caption {
                    ids,
                    weights: if emphasis.is_plain() { vec![] } else { weights },
                    cut: (!cut.is_empty()).then_some(cut),
                    unknown: vec![],
                    literal: emphasis.literal,
                }
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
            // Marks alone are nothing to miss; a picture in a character is.
            let word = word.trim_matches(|c: char| c.is_ascii() && !c.is_alphanumeric());
            unknown.extend((!word.is_empty()).then(|| word.to_owned()));
        } else if cut.is_empty() && ids.len() + known.len() <= length {
            ids.extend(known);
        } else {
            cut.push(word);
        }
    }
    ids.resize(length, pad);
    let Emphasis { marked, literal, .. } = Emphasis::of(prompt);
    let literal = [marked, literal].concat();
    Caption { ids, weights: vec![], cut: (!cut.is_empty()).then(|| cut.join(" ")), unknown, literal }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_of_words_lacks_is_named_and_marks_alone_are_not() {
        let tokenizer = serde_json::json!({
            "version": "1.0", "pre_tokenizer": { "type": "WhitespaceSplit" },
            "model": { "type": "WordLevel", "vocab": { "<unk>": 0, "fox": 1 }, "unk_token": "<unk>" },
        });
        let tokenizer = Tokenizer::from_json(tokenizer.to_string().as_bytes()).unwrap();
        let caption = words(&tokenizer, Some(0), 4, 0, "fox !!! 🦊 (owl) …");
        assert_eq!((caption.ids, caption.unknown), (vec![1, 0, 0, 0], vec!["🦊".to_owned(), "owl".into(), "…".into()]));
    }

    #[test]
    fn weighted_rows_keep_their_mean() {
        let caption = |weights: &[f64]| Caption {
            ids: vec![],
            weights: weights.to_vec(),
            cut: None,
            unknown: vec![],
            literal: vec![],
        };
        let given = [1.0f32, 3.0, -1.0, 2.0, 0.5, 0.5];
        let mut rows = given;
        caption(&[]).weigh(&mut rows);
        assert_eq!(rows, given);
        // numpy: z = z * [1, 1.4, 1] by rows, then z * (6 / 6.4).
        caption(&[1.0, 1.4, 1.0]).weigh(&mut rows);
        for (got, wanted) in rows.iter().zip([0.9375f32, 2.8125, -1.3125, 2.625, 0.46875, 0.46875]) {
            assert!((got - wanted).abs() < 1e-6, "{rows:?}");
        }
        let mut even = [1.0f32, -1.0, 2.0, -2.0];
        caption(&[2.0, 1.0]).weigh(&mut even);
        assert_eq!(even, [2.0, -2.0, 2.0, -2.0]);
    }
}
