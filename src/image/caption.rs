//! A prompt as text encoders take it: a fixed number of ids for each, and what of the words did not get through.

use super::emphasis::Emphasis;
use crate::{
    Error, Result,
    text::{EncodeOptions, Tokenizer},
};

/// A character that no caption holds: it becomes the token of unknown words.
const NO_WORD: &str = "\u{e000}";

/// A prompt as one text encoder takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// As many as the encoder reads, padded.
    pub ids: Vec<u32>,
    /// Those as far as the end mark.
    pub length: usize,
    /// How much each counts; none where all count the same.
    pub weights: Vec<f64>,
}

/// A prompt as the text encoders take it.
#[derive(Debug, Clone, PartialEq)]
pub struct Caption {
    /// One for each encoder.
    pub readings: Vec<Reading>,
    pub cut: Option<String>,
    pub unknown: Vec<String>,
    /// Marks that are read as words.
    pub literal: Vec<String>,
}

impl Caption {
    /// Gives the text encoders' rows of this caption, which have columns of `widths` from each of them, their weights, and then each encoder's their
    /// mean back, as AUTOMATIC1111's web UI does; a mean that is nothing but rounding is left alone.
    pub fn weigh(&self, rows: &mut [f32], widths: &[usize]) {
        let whole: usize = widths.iter().sum();
        let mut first = 0;
        for (reading, width) in self.readings.iter().zip(widths) {
            let columns = first..first + width;
            first = columns.end;
            if reading.weights.is_empty() {
                continue;
            }
            let sum = |rows: &[f32], of: &dyn Fn(f64) -> f64| -> f64 {
                rows.chunks_exact(whole).flat_map(|row| &row[columns.clone()]).map(|v| of(f64::from(*v))).sum()
            };
            let (before, size) = (sum(rows, &|v| v), sum(rows, &f64::abs));
            for (row, weight) in rows.chunks_exact_mut(whole).zip(&reading.weights) {
                row[columns.clone()].iter_mut().for_each(|v| *v = (f64::from(*v) * weight) as f32);
            }
            let back = before / sum(rows, &|v| v);
            if back.is_finite() && before.abs() > 1e-3 * size {
                let rows = rows.chunks_exact_mut(whole).flat_map(|row| &mut row[columns.clone()]);
                rows.for_each(|v| *v = (f64::from(*v) * back) as f32);
            }
        }
    }
}

/// One of CLIP's tokenizers, with its marks.
pub struct ClipTokenizer {
    tokenizer: Tokenizer,
    begin: u32,
    end: u32,
    pad: u32,
}

impl ClipTokenizer {
    /// `pad`: the token that fills a short prompt; its end mark where nothing is said.
    ///
    /// Errors: `corrupt-file` where the vocabulary has not CLIP's marks.
    pub fn new(tokenizer: Tokenizer, pad: Option<&str>) -> Result<Self> {
        let id_of = |text: &str| {
            tokenizer.id_of(text).ok_or_else(|| {
                Error::corrupt_file(format!(
                    "the tokenizer has no token {text}, which CLIP's vocabularies have; give the model's own tokenizer"
                ))
            })
        };
        let (begin, end) = (id_of("<|startoftext|>")?, id_of("<|endoftext|>")?);
        let pad = pad.map(id_of).transpose()?.unwrap_or(end);
        Ok(Self { tokenizer, begin, end, pad })
    }

    /// The ids of a prompt's parts, and what of it is more than `length` of them.
    fn read(&self, emphasis: &Emphasis, length: usize) -> (Reading, Option<String>) {
        let (mut encoded, mut weights) = (vec![], vec![1.0]);
        for (text, weight) in &emphasis.parts {
            encoded.extend(self.tokenizer.encode(text, EncodeOptions::default()).unwrap_or_default());
            weights.resize(1 + encoded.len(), *weight);
        }
        let (read, cut) = encoded.split_at(encoded.len().min(length - 2));
        weights.truncate(1 + read.len());
        weights.resize(length, 1.0);
        let mut ids = [&[self.begin], read, &[self.end]].concat();
        let marked = ids.len();
        ids.resize(length, self.pad);
        // CLIP writes the end of a word into its last token.
        let cut = self.tokenizer.decode(cut).replace("</w>", " ").trim().to_owned();
        let weights = if emphasis.is_plain() { vec![] } else { weights };
        (Reading { ids, length: marked, weights }, (!cut.is_empty()).then_some(cut))
    }
}

/// How a model reads its prompts.
pub enum Reader {
    /// A vocabulary of whole words: those that it lacks are left out.
    Words { tokenizer: Tokenizer, unknown: Option<u32>, length: usize, pad: u32 },
    /// CLIP's: a mark, the prompt, another mark, and so on to the end; a tokenizer for each encoder.
    Clip { tokenizers: Vec<ClipTokenizer>, length: usize },
}

impl Reader {
    pub fn words(tokenizer: Tokenizer, length: usize, pad: u32) -> Result<Self> {
        let encoded = tokenizer.encode(NO_WORD, EncodeOptions::default())?;
        Ok(Self::Words { unknown: encoded.first().copied(), tokenizer, length, pad })
    }

    /// Errors: `corrupt-file` where nothing but marks can be read.
    pub fn clip(tokenizers: Vec<ClipTokenizer>, length: usize) -> Result<Self> {
        if length < 3 {
            return Err(Error::corrupt_file(
                "the text encoder reads no more than its marks; give the model's own configuration",
            ));
        }
        Ok(Self::Clip { tokenizers, length })
    }

    pub fn read(&self, prompt: &str) -> Caption {
        match self {
            Self::Words { tokenizer, unknown, length, pad } => words(tokenizer, *unknown, *length, *pad, prompt),
            Self::Clip { tokenizers, length } => {
                let emphasis = Emphasis::of(prompt);
                let (readings, cuts): (Vec<_>, Vec<_>) =
                    tokenizers.iter().map(|tokenizer| tokenizer.read(&emphasis, *length)).unzip();
                let cut = cuts.into_iter().flatten().next();
                Caption { readings, cut, unknown: vec![], literal: emphasis.literal }
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
    let known = ids.len();
    ids.resize(length, pad);
    let Emphasis { marked, literal, .. } = Emphasis::of(prompt);
    let literal = [marked, literal].concat();
    let readings = vec![Reading { ids, length: known, weights: vec![] }];
    Caption { readings, cut: (!cut.is_empty()).then(|| cut.join(" ")), unknown, literal }
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
        assert_eq!(caption.readings[0].ids, [1, 0, 0, 0]);
        assert_eq!(caption.unknown, ["🦊", "owl", "…"]);
    }

    #[test]
    fn weighted_rows_keep_their_mean() {
        let caption = |readings: &[&[f64]]| Caption {
            readings: readings
                .iter()
                .map(|weights| Reading { ids: vec![], length: 0, weights: weights.to_vec() })
                .collect(),
            cut: None,
            unknown: vec![],
            literal: vec![],
        };
        let given = [1.0f32, 3.0, -1.0, 2.0, 0.5, 0.5];
        let mut rows = given;
        caption(&[&[]]).weigh(&mut rows, &[2]);
        assert_eq!(rows, given);
        // numpy: z = z * [1, 1.4, 1] by rows, then z * (6 / 6.4).
        caption(&[&[1.0, 1.4, 1.0]]).weigh(&mut rows, &[2]);
        for (got, wanted) in rows.iter().zip([0.9375f32, 2.8125, -1.3125, 2.625, 0.46875, 0.46875]) {
            assert!((got - wanted).abs() < 1e-6, "{rows:?}");
        }
        let mut even = [1.0f32, -1.0, 2.0, -2.0];
        caption(&[&[2.0, 1.0]]).weigh(&mut even, &[2]);
        assert_eq!(even, [2.0, -2.0, 2.0, -2.0]);
        // Two encoders, a column each: 1 + 3 and 2 + 4 stay, each by itself.
        let mut both = [1.0f32, 2.0, 3.0, 4.0];
        caption(&[&[3.0, 1.0], &[1.0, 0.5]]).weigh(&mut both, &[1, 1]);
        for (got, wanted) in both.iter().zip([2.0f32, 3.0, 2.0, 3.0]) {
            assert!((got - wanted).abs() < 1e-6, "{both:?}");
        }
    }
}
