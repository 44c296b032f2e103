//! What each token says: the bytes behind every id, whatever kind of tokenizer they came from.

use std::collections::HashMap;

/// The bytes of each token, and which tokens are marks for the model that a reader never sees.
#[derive(Debug, Default)]
pub struct Pieces {
    bytes: Vec<u8>,
    /// Where each token's bytes end in `bytes`.
    ends: Vec<u32>,
    hidden: Vec<bool>,
    /// Tokens that a vocabulary was given beside its pieces, and that readers see (`<think>`, `<tool_call>`).
    shown_marks: Vec<u32>,
    /// Whether a text starts with a space that is not its own (SentencePiece's dummy prefix, WordPiece's word starts).
    pub strip_first_space: bool,
}

impl Pieces {
    pub fn new(strip_first_space: bool) -> Self {
        Self { strip_first_space, ..Self::default() }
    }

    pub fn push(&mut self, bytes: &[u8], hidden: bool) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len() as u32);
        self.hidden.push(hidden);
    }

    /// A mark that readers see.
    pub fn push_shown_mark(&mut self, bytes: &[u8]) {
        self.shown_marks.push(self.len() as u32);
        self.push(bytes, false);
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// `None` for an id past the vocabulary.
    pub fn get(&self, id: u32) -> Option<&[u8]> {
        let i = id as usize;
        let end = *self.ends.get(i)? as usize;
        let start = if i == 0 { 0 } else { *self.ends.get(i - 1)? as usize };
        self.bytes.get(start..end)
    }

    pub fn shown_marks(&self) -> &[u32] {
        &self.shown_marks
    }

    /// Control tokens (BOS, EOS, turn marks) are hidden from readers.
    pub fn is_hidden(&self, id: u32) -> bool {
        self.hidden.get(id as usize).copied().unwrap_or(true)
    }
}

/// The character that stands for each byte in a byte-level vocabulary (GPT-2's `bytes_to_unicode`): printable Latin-1
/// stands for itself, the rest for U+0100 and on in order.
pub fn byte_level_chars() -> [char; 256] {
    let mut next = 0x100u32;
    std::array::from_fn(|byte| {
        let byte = byte as u8;
        if matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF) {
            return byte as char;
        }
        next += 1;
        char::from_u32(next - 1).unwrap_or(char::REPLACEMENT_CHARACTER)
    })
}

/// Turns a byte-level vocabulary's spelling back into bytes. Characters outside the alphabet keep their own bytes.
pub struct ByteLevel(HashMap<char, u8>);

impl ByteLevel {
    pub fn new() -> Self {
        Self(byte_level_chars().into_iter().zip(0..=255).collect())
    }

    pub fn bytes(&self, token: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(token.len());
        for c in token.chars() {
            match self.0.get(&c) {
                Some(byte) => bytes.push(*byte),
                None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        bytes
    }
}

/// The byte that SentencePiece's `<0xE2>` stands for.
pub fn byte_token(token: &str) -> Option<u8> {
    let hex = token.strip_prefix("<0x")?.strip_suffix('>')?;
    let digits = hex.len() == 2 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    if digits { u8::from_str_radix(hex, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_level_spelling_comes_back_as_bytes() {
        let spell: String = "Ġé\n".bytes().map(|b| byte_level_chars()[b as usize]).collect();
        assert_eq!(ByteLevel::new().bytes(&spell), "Ġé\n".as_bytes());
        assert_eq!(byte_level_chars()[b' ' as usize], 'Ġ');
        assert_eq!(byte_level_chars()[b'\n' as usize], 'Ċ');
    }

    #[test]
    fn only_two_hex_digits_make_a_byte_token() {
        assert_eq!(byte_token("<0xE2>"), Some(0xE2));
        for other in ["<0xE>", "<0xE2", "<0x+1>", "<0xG0>", "<s>"] {
            assert_eq!(byte_token(other), None, "{other}");
        }
    }
}
