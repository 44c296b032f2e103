//! Shows tokens as text while they come: never half a character, nothing lost.

use std::sync::Arc;

use super::tokenizer::TokenPieces;

/// Turns ids into text one by one. What `push` returns is final: bytes that may still become a character are
/// held back (at most three), bytes that cannot are U+FFFD. All that it returned is the text of all ids together.
#[derive(Debug, Clone)]
pub struct Detokenizer {
    pieces: Arc<TokenPieces>,
    held: Vec<u8>,
    /// The next byte, if a space, is not the text's own.
    strip_space: bool,
}

impl Detokenizer {
    pub(super) fn new(pieces: Arc<TokenPieces>, at_start: bool) -> Self {
        let strip_space = at_start && pieces.strip_first_space;
        Self { pieces, held: vec![], strip_space }
    }

    /// The text that this token completes. Marks and ids past the vocabulary say nothing.
    pub fn push(&mut self, id: u32) -> String {
        if self.pieces.is_hidden(id) {
            return String::new();
        }
        let mut piece = self.pieces.get(id).unwrap_or_default();
        if !piece.is_empty() && std::mem::take(&mut self.strip_space) {
            piece = piece.strip_prefix(b" ").unwrap_or(piece);
        }
        self.held.extend_from_slice(piece);
        self.take_whole_characters()
    }

    /// Ends the text: what is still held back becomes U+FFFD.
    pub fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.held).into_owned();
        self.held.clear();
        text
    }

    fn take_whole_characters(&mut self) -> String {
        let mut text = String::new();
        let mut rest = self.held.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, bad) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    rest = bad;
                    let Some(wrong) = error.error_len() else { break };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &rest[wrong..];
                }
            }
        }
        let kept = self.held.len() - rest.len();
        self.held.drain(..kept);
        text
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A vocabulary of all single bytes and some longer tokens.
    fn pieces(strip_first_space: bool) -> Arc<TokenPieces> {
        let mut pieces = TokenPieces::new(strip_first_space);
        for byte in 0..=255u8 {
            pieces.push(&[byte], false);
        }
        for token in [" a", "é", "🦙", " "] {
            pieces.push(token.as_bytes(), false);
        }
        pieces.push(b"</s>", true);
        Arc::new(pieces)
    }

    #[test]
    fn no_half_character_is_shown() {
        let mut d = Detokenizer::new(pieces(false), true);
        let parts: Vec<String> = "🦙".bytes().map(|b| d.push(b.into())).collect();
        assert_eq!(parts, ["", "", "", "🦙"]);
        assert_eq!(d.push(0xE2), "");
        assert_eq!(d.push(b'x'.into()), "\u{FFFD}x");
        assert_eq!(d.push(0xE2), "");
        assert_eq!(d.finish(), "\u{FFFD}");
        assert_eq!(d.finish(), "");
    }

    #[test]
    fn only_the_first_space_of_a_text_is_stripped() {
        let mut d = Detokenizer::new(pieces(true), true);
        assert_eq!([d.push(260), d.push(256), d.push(256)], ["", "a", " a"]);
        let mut later = Detokenizer::new(pieces(true), false);
        assert_eq!(later.push(256), " a");
    }

    proptest! {
        #[test]
        fn the_parts_together_are_the_whole(ids in proptest::collection::vec(0u32..270, 0..40)) {
            let pieces = pieces(false);
            let shown = ids.iter().filter(|id| !pieces.is_hidden(**id));
            let bytes: Vec<u8> = shown.flat_map(|id| pieces.get(*id).unwrap().to_vec()).collect();
            let mut d = Detokenizer::new(pieces.clone(), true);
            let mut text: String = ids.iter().map(|id| d.push(*id)).collect();
            text.push_str(&d.finish());
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }
}
