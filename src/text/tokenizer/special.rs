//! Tokens that are marks and not text: which end a generation, and where they stand in a text that may hold them.

/// Marks that end a text or a turn, by the names that model families give them.
pub const ENDS_OF_TEXT: [&str; 13] = [
    "</s>",
    "<eos>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "<EOT>",
    "[EOT]",
    "<｜end▁of▁sentence｜>",
];

/// Marks that begin a text.
pub const BEGINNINGS_OF_TEXT: [&str; 6] =
    ["<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>", "<｜begin▁of▁sentence｜>", "[CLS]"];

/// Finds special tokens in a text: the leftmost first, the longest among those that begin together.
#[derive(Debug, Default)]
pub struct SpecialMatcher {
    /// By first byte, longest first; none at all where there is no token.
    tokens: Vec<Vec<(String, u32)>>,
}

/// A stretch of a text.
#[derive(Debug, PartialEq)]
pub enum Fragment<'a> {
    Text(&'a str),
    /// A token's id, and its text.
    Token(u32, &'a str),
}

impl SpecialMatcher {
    /// Empty tokens are never found.
    pub fn new<'a>(tokens: impl Iterator<Item = (u32, &'a str)>) -> Self {
        let mut by_first = vec![vec![]; 256];
        for (id, text) in tokens {
            if let Some(first) = text.bytes().next() {
                by_first[first as usize].push((text.to_owned(), id));
            }
        }
        for tokens in &mut by_first {
            tokens.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        }
        Self { tokens: by_first }
    }

    /// The longest token that a text begins with, and its bytes.
    pub fn at_start(&self, text: &str) -> Option<(u32, usize)> {
        self.among(*text.as_bytes().first()?, text.as_bytes())
    }

    fn among(&self, first: u8, text: &[u8]) -> Option<(u32, usize)> {
        let found = self.tokens.get(first as usize)?.iter().find(|(token, _)| text.starts_with(token.as_bytes()));
        found.map(|(token, id)| (*id, token.len()))
    }

    pub fn is_in(&self, text: &str) -> bool {
        self.split(text).iter().any(|fragment| matches!(fragment, Fragment::Token(..)))
    }

    pub fn split<'a>(&self, text: &'a str) -> Vec<Fragment<'a>> {
        let mut fragments = vec![];
        let mut text_from = 0;
        let mut at = 0;
        while let Some(byte) = text.as_bytes().get(at) {
            let found = self.among(*byte, &text.as_bytes()[at..]);
            let Some((id, length)) = found else {
                at += 1;
                continue;
            };
            // No token begins with a continuation byte, so `at` is a character's start.
            if at > text_from {
                fragments.push(Fragment::Text(&text[text_from..at]));
            }
            fragments.push(Fragment::Token(id, &text[at..at + length]));
            at += length;
            text_from = at;
        }
        if text_from < text.len() {
            fragments.push(Fragment::Text(&text[text_from..]));
        }
        fragments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mark_at_the_leftmost_place_is_found() {
        let matcher = SpecialMatcher::new([(7, "<s>"), (8, "<s><s>"), (9, "")].into_iter());
        assert_eq!(
            matcher.split("a<s><s>b<s>"),
            [Fragment::Text("a"), Fragment::Token(8, "<s><s>"), Fragment::Text("b"), Fragment::Token(7, "<s>")]
        );
        assert!(matcher.split("").is_empty());
    }
}
