//! SentencePiece (arXiv 1808.06226): a text, its spaces made visible, becomes tokens in one of two ways. By merges: of all neighbours whose joint
//! text is a token, the pair with the highest score is merged first, the leftmost among equals. Or as the sequence of tokens that is likeliest
//! in all (unigram, arXiv 1804.10959), which the `tokenizers` crate finds. Characters that are no token fall back to their bytes.

use std::collections::{BinaryHeap, HashMap};

use tokenizers::{Model, models::unigram::Unigram};

use super::{
    normalizer::Normalizer,
    pieces::byte_token,
    special::{Fragment, SpecialMatcher},
    vocabulary::TokenKind,
};

/// How a text is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    Merges,
    Likeliest,
}

#[derive(Debug)]
pub struct SentencePiece {
    tokens: Tokens,
    bytes: Box<[Option<u32>; 256]>,
    unknown: Option<u32>,
    normalizer: Normalizer,
    /// User-defined tokens, which nothing inside a text takes apart.
    whole: SpecialMatcher,
    /// Whether the text behind a mark gets a space as the first one does; else the first alone.
    prefixes_all: bool,
    /// What a text may begin with to say which language is asked for (`>>fr<<`).
    languages: Option<HashMap<Box<str>, u32>>,
}

/// Tokens that text may become.
#[derive(Debug)]
enum Tokens {
    /// Ids and scores.
    Merged(HashMap<Box<str>, (u32, f32)>),
    /// Ids of the model's own numbers, of which the first stands for what is unknown.
    Likeliest(Box<Unigram>, Vec<u32>),
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
    /// Of a vocabulary's ids, texts, kinds and scores; `unknown` stands for what none of them spells.
    ///
    /// Errors: the `tokenizers` crate's.
    pub fn new<'a>(
        search: Search,
        vocabulary: impl Iterator<Item = (u32, &'a str, TokenKind, f32)>,
        unknown: Option<u32>,
        normalizer: Normalizer,
    ) -> tokenizers::Result<Self> {
        let mut bytes = Box::new([None; 256]);
        let mut merged: HashMap<Box<str>, (u32, f32)> = HashMap::new();
        let mut likely = vec![(String::new(), 0.0)];
        let mut ids = vec![unknown.unwrap_or_default()];
        let mut whole = vec![];
        for (id, token, kind, score) in vocabulary {
            if let (TokenKind::Byte, Some(byte)) = (kind, byte_token(token)) {
                bytes[byte as usize] = Some(id);
            }
            if kind == TokenKind::UserDefined {
                whole.push((id, token));
            }
            match (kind, search) {
                _ if token.is_empty() => {}
                (TokenKind::Normal | TokenKind::UserDefined | TokenKind::Unused, Search::Merges) => {
                    merged.entry(token.into()).or_insert((id, score));
                }
                (TokenKind::Normal, Search::Likeliest) => {
                    likely.push((token.to_owned(), score.into()));
                    ids.push(id);
                }
                _ => {}
            }
        }
        let tokens = match search {
            Search::Merges => Tokens::Merged(merged),
            Search::Likeliest => Tokens::Likeliest(Box::new(Unigram::from(likely, Some(0), false)?), ids),
        };
        let whole = SpecialMatcher::new(whole.into_iter());
        Ok(Self { tokens, bytes, unknown, normalizer, whole, prefixes_all: true, languages: None })
    }

    /// Only the text at the beginning gets a space, and none that follows a mark.
    pub fn prefixing_first(self) -> Self {
        Self { prefixes_all: false, ..self }
    }

    /// A text may begin with one of these.
    pub fn with_languages(self, languages: HashMap<Box<str>, u32>) -> Self {
        Self { languages: Some(languages), ..self }
    }

    /// Appends the tokens of a text between marks; `first` where it begins the whole.
    pub fn encode(&self, text: &str, first: bool, out: &mut Vec<u32>) {
        let text = if first { self.after_language(text, out) } else { text };
        let normal = self.normalizer.normalize(text, first || self.prefixes_all, &self.whole);
        for fragment in self.whole.split(&normal) {
            match (fragment, &self.tokens) {
                (Fragment::Token(id, _), _) => out.push(id),
                (Fragment::Text(text), Tokens::Merged(tokens)) => self.merged(tokens, text, out),
                (Fragment::Text(text), Tokens::Likeliest(model, ids)) => self.likeliest(model, ids, text, out),
            }
        }
    }

    /// What follows a language's mark, whose token is pushed.
    fn after_language<'a>(&self, text: &'a str, out: &mut Vec<u32>) -> &'a str {
        let Some(languages) = &self.languages else { return text };
        let Some(end) = text.strip_prefix(">>").and_then(|rest| rest.find("<<")) else { return text };
        let (language, rest) = text.split_at(end + 4);
        out.extend(languages.get(language).copied().or(self.unknown));
        rest
    }

    fn likeliest(&self, model: &Unigram, ids: &[u32], text: &str, out: &mut Vec<u32>) {
        // It fails where nothing stands for the unknown alone.
        for token in model.tokenize(text).unwrap_or_default() {
            match ids.get(token.id as usize) {
                Some(id) if token.id > 0 => out.push(*id),
                _ => {
                    self.push_unknown(&token.value, false, out);
                }
            }
        }
    }

    fn merged(&self, tokens: &HashMap<Box<str>, (u32, f32)>, text: &str, out: &mut Vec<u32>) {
        let mut symbols: Vec<Symbol> = Vec::with_capacity(text.len());
        for (start, c) in text.char_indices() {
            let i = symbols.len() as u32;
            let prev = i.checked_sub(1).unwrap_or(NONE);
            symbols.push(Symbol { start: start as u32, len: c.len_utf8() as u32, prev, next: i + 1 });
        }
        let Some(last) = symbols.last_mut() else { return };
        last.next = NONE;
        merge(tokens, text, &mut symbols);
        let mut after_unknown = false;
        let mut i = 0;
        while i != NONE {
            let symbol = symbols[i as usize];
            let piece = slice(text, symbol.start, symbol.len);
            after_unknown = match tokens.get(piece) {
                Some((id, _)) => {
                    out.push(*id);
                    false
                }
                None => self.push_unknown(piece, after_unknown, out),
            };
            i = symbol.next;
        }
    }

    /// The bytes, else one unknown token for a whole run. Returns whether it ended in an unknown.
    fn push_unknown(&self, piece: &str, after_unknown: bool, out: &mut Vec<u32>) -> bool {
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

fn merge(tokens: &HashMap<Box<str>, (u32, f32)>, text: &str, symbols: &mut [Symbol]) {
    let mut heap = BinaryHeap::with_capacity(symbols.len());
    let candidate = |symbols: &[Symbol], left: u32, right: u32| {
        if left == NONE || right == NONE {
            return None;
        }
        let (l, r) = (symbols[left as usize], symbols[right as usize]);
        let len = l.len + r.len;
        let (_, score) = tokens.get(slice(text, l.start, len))?;
        Some(Merge { score: *score, left, right, len })
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

fn slice(text: &str, start: u32, len: u32) -> &str {
    &text[start as usize..(start + len) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toy(search: Search, tokens: &[(&str, f32)]) -> SentencePiece {
        let scored = tokens.iter().enumerate().map(|(i, (t, score))| (i as u32, *t, TokenKind::Normal, *score));
        SentencePiece::new(search, scored, Some(99), Normalizer::default()).unwrap()
    }

    fn encode(model: &SentencePiece, text: &str) -> Vec<u32> {
        let mut out = vec![];
        model.encode(text, true, &mut out);
        out
    }

    #[test]
    fn the_pair_with_the_highest_score_merges_first() {
        let model = toy(Search::Merges, &[("a", 0.0), ("b", 0.0), ("c", 0.0), ("ab", -2.0), ("bc", -1.0)]);
        assert_eq!(encode(&model, "abc"), [0, 4]);
    }

    #[test]
    fn among_equal_scores_the_leftmost_pair_merges_first() {
        let model = toy(Search::Merges, &[("a", 0.0), ("aa", -1.0)]);
        assert_eq!(encode(&model, "aaaaa"), [1, 1, 0]);
    }

    #[test]
    fn the_likeliest_tokens_are_those_of_the_highest_sum() {
        let model = toy(Search::Likeliest, &[("a", -2.0), ("b", -1.0), ("c", -1.0), ("ab", -3.5), ("bc", -1.5)]);
        assert_eq!(encode(&model, "abc"), [0, 4]);
        assert_eq!(encode(&model, "ab"), [0, 1]);
    }

    #[test]
    fn a_run_of_unknown_characters_without_byte_tokens_is_one_unknown_token() {
        for search in [Search::Merges, Search::Likeliest] {
            let model = toy(search, &[("a", 0.0)]);
            assert_eq!(encode(&model, "aéüa"), [0, 99, 0]);
            assert!(encode(&model, "").is_empty());
        }
    }
}
