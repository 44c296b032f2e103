//! Byte-pair encoding by scores, as SentencePiece does it (arXiv 1808.06226): of all neighbours whose joint text is a token, the pair with
//! the highest score is merged first, the leftmost among equals. Characters that are no token fall back to their bytes.

use std::collections::{BinaryHeap, HashMap};

/// SentencePiece's visible space, U+2581.
pub const SPACE: char = '\u{2581}';

#[derive(Debug)]
pub struct SentencePiece {
    /// Tokens that text may become: normal, user-defined and unused ones.
    ids: HashMap<Box<str>, u32>,
    scores: Vec<f32>,
    bytes: Box<[Option<u32>; 256]>,
    unknown: Option<u32>,
}

/// A stretch of the text that has not been merged away.
#[derive(Clone, Copy)]
struct Symbol {
    start: u32,
    /// 0 once it was merged into its left neighbour.
    len: u32,
    prev: u32,
    next: u32,
}

const NONE: u32 = u32::MAX;

/// Two neighbours that could merge. The order is that of merging: score, then place.
struct Merge {
    score: f32,
    left: u32,
    right: u32,
    /// Length of both when it was found: a merge of either since makes it stale.
    len: u32,
}

impl Ord for Merge {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}
impl PartialOrd for Merge {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Merge {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Merge {}

impl SentencePiece {
    /// `bytes[b]` is the token that stands for the lone byte `b`.
    pub fn new(
        ids: HashMap<Box<str>, u32>,
        scores: Vec<f32>,
        bytes: Box<[Option<u32>; 256]>,
        unknown: Option<u32>,
    ) -> Self {
        Self { ids, scores, bytes, unknown }
    }

    /// Appends the tokens of `text`, in which spaces are already [`SPACE`].
    pub fn encode(&self, text: &str, out: &mut Vec<u32>) {
        let mut symbols: Vec<Symbol> = Vec::with_capacity(text.len());
        for (start, c) in text.char_indices() {
            let i = symbols.len() as u32;
            let prev = i.checked_sub(1).unwrap_or(NONE);
            symbols.push(Symbol { start: start as u32, len: c.len_utf8() as u32, prev, next: i + 1 });
        }
        let Some(last) = symbols.last_mut() else { return };
        last.next = NONE;
        self.merge(text, &mut symbols);
        let mut after_unknown = false;
        let mut i = 0;
        while i != NONE {
            let symbol = symbols[i as usize];
            after_unknown = self.push_symbol(slice(text, symbol.start, symbol.len), after_unknown, out);
            i = symbol.next;
        }
    }

    fn merge(&self, text: &str, symbols: &mut [Symbol]) {
        let mut heap = BinaryHeap::with_capacity(symbols.len());
        let candidate = |symbols: &[Symbol], left: u32, right: u32| {
            if left == NONE || right == NONE {
                return None;
            }
            let (l, r) = (symbols[left as usize], symbols[right as usize]);
            let len = l.len + r.len;
            let id = self.ids.get(slice(text, l.start, len))?;
            Some(Merge { score: self.scores.get(*id as usize).copied().unwrap_or(0.0), left, right, len })
        };
        for right in 1..symbols.len() as u32 {
            heap.extend(candidate(symbols, right - 1, right));
        }
        while let Some(merge) = heap.pop() {
            let (l, r) = (symbols[merge.left as usize], symbols[merge.right as usize]);
            if l.len == 0 || r.len == 0 || l.len + r.len != merge.len {
                continue;
            }
            symbols[merge.left as usize] = Symbol { len: merge.len, next: r.next, ..l };
            symbols[merge.right as usize].len = 0;
            if r.next != NONE {
                symbols[r.next as usize].prev = merge.left;
            }
            heap.extend(candidate(symbols, l.prev, merge.left));
            heap.extend(candidate(symbols, merge.left, r.next));
        }
    }

    /// A token, else the bytes, else one unknown token for a whole run. Returns whether it ended in an unknown.
    fn push_symbol(&self, piece: &str, after_unknown: bool, out: &mut Vec<u32>) -> bool {
        if let Some(id) = self.ids.get(piece) {
            out.push(*id);
            return false;
        }
        let mut unknown = after_unknown;
        for byte in piece.bytes() {
            match (self.bytes[byte as usize], self.unknown) {
                (Some(id), _) => {
                    out.push(id);
                    unknown = false;
                }
                (None, Some(id)) if !unknown => {
                    out.push(id);
                    unknown = true;
                }
                _ => {}
            }
        }
        unknown
    }
}

fn slice(text: &str, start: u32, len: u32) -> &str {
    &text[start as usize..(start + len) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toy(tokens: &[(&str, f32)]) -> SentencePiece {
        let ids = tokens.iter().enumerate().map(|(i, (t, _))| (Box::from(*t), i as u32)).collect();
        SentencePiece::new(ids, tokens.iter().map(|t| t.1).collect(), Box::new([None; 256]), Some(99))
    }

    fn encode(model: &SentencePiece, text: &str) -> Vec<u32> {
        let mut out = vec![];
        model.encode(text, &mut out);
        out
    }

    #[test]
    fn the_pair_with_the_highest_score_merges_first() {
        let model = toy(&[("a", 0.0), ("b", 0.0), ("c", 0.0), ("ab", -2.0), ("bc", -1.0)]);
        assert_eq!(encode(&model, "abc"), [0, 4]);
    }

    #[test]
    fn among_equal_scores_the_leftmost_pair_merges_first() {
        let model = toy(&[("a", 0.0), ("aa", -1.0)]);
        assert_eq!(encode(&model, "aaaaa"), [1, 1, 0]);
    }

    #[test]
    fn a_run_of_unknown_characters_without_byte_tokens_is_one_unknown_token() {
        let model = toy(&[("a", 0.0)]);
        assert_eq!(encode(&model, "aéüa"), [0, 99, 0]);
        assert!(encode(&model, "").is_empty());
    }
}
