//! What SentencePiece does to a text before it looks for tokens (`normalizer_spec` of its `ModelProto`): sequences of characters are replaced
//! by others, spaces become visible, one is put before the text, and those that are too many may go.

use super::special::SpecialMatcher;

/// SentencePiece's visible space, U+2581.
pub const SPACE: char = '\u{2581}';

/// How a text is made ready. Spaces are U+2581 in what comes of it, unless a model leaves them as they are.
#[derive(Debug, Default)]
pub struct Normalizer {
    pub charsmap: Option<CharsMap>,
    /// Whether a space that is not the text's own is put before it (`add_dummy_prefix`).
    pub prefix: bool,
    /// Or behind it (`treat_whitespace_as_suffix`).
    pub suffix: bool,
    /// Whether spaces at the ends go, and of several in a row all but one (`remove_extra_whitespaces`).
    pub squeezes: bool,
    /// Whether spaces stay U+0020; `escape_whitespaces` says the contrary.
    pub plain_spaces: bool,
}

impl Normalizer {
    /// `prefix`: whether this text is one that gets a space where the model puts one. Where one of `whole` begins, it is left as it is.
    pub fn normalize(&self, text: &str, prefix: bool, whole: &SpecialMatcher) -> String {
        let space = if self.plain_spaces { ' ' } else { SPACE };
        let mut rest = text;
        if self.squeezes {
            while let (" ", length) = self.next(rest, whole) {
                rest = &rest[length..];
            }
        }
        let mut made = String::with_capacity(text.len() + text.len() / 2 + 3);
        if rest.is_empty() {
            return made;
        }
        let adds = self.prefix && prefix;
        if adds && !self.suffix {
            made.push(space);
        }
        let mut after_space = self.squeezes;
        while !rest.is_empty() {
            let (replacement, length) = self.next(rest, whole);
            rest = &rest[length..];
            let kept = if after_space { replacement.trim_start_matches(' ') } else { replacement };
            made.extend(kept.chars().map(|c| if c == ' ' { space } else { c }));
            if !kept.is_empty() {
                after_space = self.squeezes && kept.ends_with(' ');
            }
        }
        if self.squeezes {
            made.truncate(made.trim_end_matches(space).len());
        }
        if adds && self.suffix {
            made.push(space);
        }
        made
    }

    /// What the beginning of a text becomes, and how many bytes that beginning has: none of an empty text.
    fn next<'a>(&'a self, text: &'a str, whole: &SpecialMatcher) -> (&'a str, usize) {
        if let Some((_, length)) = whole.at_start(text) {
            return (&text[..length], length);
        }
        self.charsmap.as_ref().and_then(|map| map.longest(text)).unwrap_or_else(|| {
            let length = text.chars().next().map_or(0, char::len_utf8);
            (&text[..length], length)
        })
    }
}

/// Which sequences of characters are replaced: `precompiled_charsmap`, a double-array trie in the layout of Darts-clone, whose values are
/// places in a list of texts that end with a zero.
#[derive(Debug)]
pub struct CharsMap {
    units: Vec<u32>,
    texts: String,
}

/// No sequence that is replaced has more bytes.
const LONGEST: usize = 64;

impl CharsMap {
    /// Errors: what does not hold together, in words.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let (size, rest) = bytes.split_first_chunk::<4>().ok_or("its map of characters has no size")?;
        let size = u32::from_le_bytes(*size) as usize;
        if !size.is_multiple_of(4) || size > rest.len() {
            return Err(format!("its map of characters claims {size} bytes of {}", rest.len()));
        }
        let (units, texts) = rest.split_at(size);
        let (units, _) = units.as_chunks::<4>();
        let texts = std::str::from_utf8(texts).map_err(|e| format!("its map of characters holds no text ({e})"))?;
        Ok(Self { units: units.iter().map(|unit| u32::from_le_bytes(*unit)).collect(), texts: texts.to_owned() })
    }

    /// What replaces the longest sequence that the text begins with, and that sequence's bytes.
    fn longest(&self, text: &str) -> Option<(&str, usize)> {
        let offset = |unit: u32| (unit >> 10) << ((unit & (1 << 9)) >> 6);
        let mut at = offset(*self.units.first()?);
        let mut found = None;
        for (i, byte) in text.bytes().take(LONGEST).enumerate() {
            at ^= u32::from(byte);
            let Some(unit) = self.units.get(at as usize) else { break };
            if unit & (1 << 31 | 0xFF) != u32::from(byte) {
                break;
            }
            at ^= offset(*unit);
            if unit & (1 << 8) != 0 {
                let value = self.units.get(at as usize).map(|value| value & !(1 << 31));
                found = value.map(|value| (value as usize, i + 1)).or(found);
            }
        }
        let (from, length) = found.filter(|(_, length)| text.is_char_boundary(*length))?;
        let replacement = self.texts.get(from..)?;
        Some((replacement.split('\0').next()?, length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(normalizer: &Normalizer, text: &str) -> String {
        normalizer.normalize(text, true, &SpecialMatcher::new([(0, "a  b")].into_iter()))
    }

    #[test]
    fn spaces_go_where_they_are_too_many() {
        let plain = Normalizer { prefix: true, ..Normalizer::default() };
        let squeezes = Normalizer { squeezes: true, prefix: true, ..Normalizer::default() };
        for (text, as_is, squeezed) in [
            ("", "", ""),
            ("   ", "▁▁▁▁", ""),
            (" x  y ", "▁▁x▁▁y▁", "▁x▁y"),
            ("x a  b", "▁x▁a▁▁b", "▁x▁a▁▁b"),
            ("\u{a0}x\n", "▁\u{a0}x\n", "▁\u{a0}x\n"),
        ] {
            assert_eq!((normal(&plain, text), normal(&squeezes, text)), (as_is.into(), squeezed.into()), "{text:?}");
        }
        let behind = Normalizer { suffix: true, plain_spaces: true, ..squeezes };
        assert_eq!(normal(&behind, " x  y "), "x y ");
        assert_eq!(behind.normalize("x", false, &SpecialMatcher::default()), "x");
    }

    #[test]
    fn a_map_of_characters_that_claims_too_much_is_refused() {
        for (bytes, said) in [
            (&b"\x04\0"[..], "no size"),
            (b"\x08\0\0\0abcd", "claims 8 bytes of 4"),
            (b"\x02\0\0\0abcd", "claims 2"),
            (b"\x04\0\0\0abcd\xff", "no text"),
        ] {
            assert!(CharsMap::read(bytes).unwrap_err().contains(said), "{said}");
        }
        // Units that lead nowhere replace nothing.
        let wild = CharsMap::read(b"\x04\0\0\0\xff\xff\xff\xffx\0").unwrap();
        assert_eq!(wild.longest("abc"), None);
    }
}
