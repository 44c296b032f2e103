//! Two texts that are read as one, as cross-encoders and models of entailment want them: `[CLS] a [SEP] b [SEP]`.

use std::sync::PoisonError;

use tokenizers::{PostProcessor, TruncationDirection};

use super::{EncodeOptions, Encoder, Tokenizer};
use crate::{Error, Result};

/// The ids of two texts and of the marks round them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub ids: Vec<u32>,
    /// Which text each belongs to, as the tokenizer tells them apart: 0, and 1 of the second one where it does.
    pub kinds: Vec<u32>,
}

impl Tokenizer {
    /// Both texts as the model's files frame them; marks inside of them are text. Where `most` tokens in all are given, the longer text loses
    /// its end first.
    ///
    /// Errors: `bad-argument` where a text cannot be tokenized.
    pub fn encode_pair(&self, [first, second]: [&str; 2], most: Option<usize>) -> Result<Pair> {
        if let (Encoder::Library(tokenizer), true) = (&self.0.encoder, self.0.of_transformers) {
            let mut tokenizer = tokenizer.lock().unwrap_or_else(PoisonError::into_inner);
            tokenizer.set_encode_special_tokens(true);
            return framed(&tokenizer, [first, second], most)
                .map_err(|cause| Error::bad_argument(format!("the texts cannot be tokenized: {cause}")));
        }
        let special = &self.0.special;
        let plain = EncodeOptions::default();
        let [mut a, mut b] = [self.encode(first, plain)?, self.encode(second, plain)?];
        let begin = special.bos.filter(|_| special.add_bos);
        let end = special.closing.filter(|_| special.add_eos);
        // Fairseq's models close the first text and open the second by the same mark.
        let closes = |id| self.0.pieces.get(id) == Some(b"</s>".as_slice());
        let fairseq = begin.is_some() && end.is_some_and(closes);
        let between: Vec<u32> = end.into_iter().chain(end.filter(|_| fairseq)).collect();
        let marks = begin.iter().len() + between.len() + end.iter().len();
        let [first, second] = fitting([a.len(), b.len()], most.map(|most| most.saturating_sub(marks)));
        a.truncate(first);
        b.truncate(second);
        let mut ids: Vec<u32> = begin.into_iter().chain(a).chain(between).collect();
        let mut kinds = vec![0; ids.len()];
        ids.extend(b.into_iter().chain(end));
        kinds.resize(ids.len(), u32::from(!fairseq));
        Ok(Pair { ids, kinds })
    }
}

/// By the library's own post-processor.
fn framed(
    tokenizer: &tokenizers::Tokenizer,
    [first, second]: [&str; 2],
    most: Option<usize>,
) -> tokenizers::Result<Pair> {
    let [mut a, mut b] = [tokenizer.encode_fast(first, false)?, tokenizer.encode_fast(second, false)?];
    let marks = tokenizer.get_post_processor().map_or(0, |framing| framing.added_tokens(true));
    let [first, second] = fitting([a.len(), b.len()], most.map(|most| most.saturating_sub(marks)));
    a.truncate(first, 0, TruncationDirection::Right);
    b.truncate(second, 0, TruncationDirection::Right);
    let whole = tokenizer.post_process(a, Some(b), true)?;
    Ok(Pair { ids: whole.get_ids().to_vec(), kinds: whole.get_type_ids().to_vec() })
}

/// What is left of two lengths: the longer one gives way until both are alike.
fn fitting([a, b]: [usize; 2], most: Option<usize>) -> [usize; 2] {
    let Some(most) = most.filter(|most| a + b > *most) else { return [a, b] };
    let shorter = a.min(b).min(most / 2);
    if a <= b { [shorter, most - shorter] } else { [most - shorter, shorter] }
}

#[cfg(test)]
mod tests {
    use super::fitting;

    #[test]
    fn the_longer_text_gives_way() {
        for (lengths, most, left) in [
            ([3, 9], None, [3, 9]),
            ([3, 9], Some(12), [3, 9]),
            ([3, 9], Some(10), [3, 7]),
            ([9, 3], Some(10), [7, 3]),
            ([8, 9], Some(11), [5, 6]),
            ([9, 8], Some(11), [6, 5]),
            ([4, 4], Some(0), [0, 0]),
        ] {
            assert_eq!(fitting(lengths, most), left, "{lengths:?} in {most:?}");
        }
    }
}
