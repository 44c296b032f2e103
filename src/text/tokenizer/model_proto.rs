//! SentencePiece's own files (`tokenizer.model`, `spiece.model`, `source.spm`): of their `ModelProto` (`sentencepiece_model.proto`) the few
//! fields that turning a text into tokens needs, read from protocol buffers' wire format.

use super::{
    normalizer::{CharsMap, Normalizer},
    sentencepiece::Search,
    vocabulary::{TokenKind, Vocabulary},
};
use crate::{Error, Result};

/// No vocabulary in use has more.
pub const MOST_TOKENS: usize = 1 << 22;

/// What a SentencePiece file says.
#[derive(Debug)]
pub struct ModelProto<'a> {
    pub vocabulary: Vocabulary<'a>,
    pub search: Search,
    pub normalizer: Normalizer,
    /// Whether characters that are no token become tokens of their bytes.
    pub byte_fallback: bool,
    /// Where the file has them.
    pub bos: Option<u32>,
    pub eos: Option<u32>,
}

impl<'a> ModelProto<'a> {
    /// `name` is the file's, for errors.
    ///
    /// Errors: `corrupt-file` with the byte where the file stops making sense, `unsupported-model` for models of words and characters.
    pub fn read(name: &str, bytes: &'a [u8]) -> Result<Self> {
        let file = Message { name, bytes, at: 0, end: bytes.len() };
        let mut vocabulary = Vocabulary::default();
        let [mut kind, mut suffix, mut byte_fallback, mut bos, mut eos] = [1, 0, 0, 1, 2];
        let mut normalizer = Normalizer { prefix: true, squeezes: true, ..Normalizer::default() };
        let mut fields = file;
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, Field::Bytes(piece)) => {
                    if vocabulary.len() == MOST_TOKENS {
                        return Err(piece.damaged(format!("there are more than {MOST_TOKENS} pieces")));
                    }
                    let (token, kind, score) = read_piece(piece)?;
                    vocabulary.push(token, kind, score);
                }
                (2, Field::Bytes(mut trainer)) => {
                    while let Some((number, field)) = trainer.next()? {
                        let Field::Number(value) = field else { continue };
                        match number {
                            3 => kind = value,
                            24 => suffix = value,
                            35 => byte_fallback = value,
                            41 => bos = value,
                            42 => eos = value,
                            _ => {}
                        }
                    }
                }
                (3, Field::Bytes(mut spec)) => {
                    while let Some((number, field)) = spec.next()? {
                        match (number, field) {
                            (2, Field::Bytes(map)) if map.at < map.end => {
                                let read = CharsMap::read(&bytes[map.at..map.end]);
                                normalizer.charsmap = Some(read.map_err(|what| map.damaged(what))?);
                            }
                            (3, Field::Number(value)) => normalizer.prefix = value != 0,
                            (4, Field::Number(value)) => normalizer.squeezes = value != 0,
                            (5, Field::Number(value)) => normalizer.plain_spaces = value == 0,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        let search = match kind {
            1 => Search::Likeliest,
            2 => Search::Merges,
            other => {
                let kind = match other {
                    3 => "of words",
                    4 => "of characters",
                    _ => "of an unknown kind",
                };
                return Err(Error::unsupported_model(format!(
                    "{name}: the SentencePiece model is {kind}; unigram and bpe run here: give a tokenizer.json, or another conversion of the model"
                )));
            }
        };
        if !vocabulary.kinds.contains(&TokenKind::Unknown) {
            return Err(fields.damaged("there is no piece for what is unknown".into()));
        }
        normalizer.suffix = suffix != 0;
        let control = |id: u64| {
            let kind = usize::try_from(id).ok().and_then(|id| vocabulary.kinds.get(id));
            (kind == Some(&TokenKind::Control)).then_some(id as u32)
        };
        let (bos, eos) = (control(bos), control(eos));
        Ok(Self { vocabulary, search, normalizer, byte_fallback: byte_fallback != 0, bos, eos })
    }
}

fn read_piece<'a>(mut piece: Message<'_, 'a>) -> Result<(&'a str, TokenKind, f32)> {
    let mut read = ("", TokenKind::Normal, 0.0);
    while let Some((number, field)) = piece.next()? {
        match (number, field) {
            (1, Field::Bytes(text)) => {
                let token = std::str::from_utf8(&text.bytes[text.at..text.end]);
                read.0 = token.map_err(|_| text.damaged("a piece is no text".into()))?;
            }
            (2, Field::Word(bits)) => read.2 = f32::from_bits(bits),
            (3, Field::Number(kind)) => read.1 = TokenKind::from_number(i32::try_from(kind).unwrap_or_default()),
            _ => {}
        }
    }
    if read.2.is_nan() {
        return Err(piece.damaged("a piece's score is not a number".into()));
    }
    Ok(read)
}

/// A stretch of the file that holds fields one after another.
#[derive(Clone, Copy)]
struct Message<'n, 'a> {
    name: &'n str,
    /// The whole file, so that errors know where they are.
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

/// A field's value, by how it is written.
enum Field<'n, 'a> {
    Number(u64),
    Word(u32),
    Long,
    Bytes(Message<'n, 'a>),
}

impl<'n, 'a> Message<'n, 'a> {
    fn damaged(&self, what: String) -> Error {
        Error::corrupt_file(format!("{}: at byte {}: {what}; fetch the file again", self.name, self.at))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let left = self.end - self.at;
        match usize::try_from(length) {
            Ok(length) if length <= left => {
                let taken = &self.bytes[self.at..self.at + length];
                self.at += length;
                Ok(taken)
            }
            _ => Err(self.damaged(format!("{length} bytes were to come, and {left} are there"))),
        }
    }

    /// Seven bits a byte, the least first.
    fn number(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.damaged("a number has no end".into()))
    }

    /// The next field's number and value; `None` at the end.
    fn next(&mut self) -> Result<Option<(u64, Field<'n, 'a>)>> {
        if self.at == self.end {
            return Ok(None);
        }
        let key = self.number()?;
        let field = match key & 7 {
            0 => Field::Number(self.number()?),
            1 => {
                self.take(8)?;
                Field::Long
            }
            2 => {
                let length = self.number()?;
                let at = self.at;
                self.take(length)?;
                Field::Bytes(Message { at, end: self.at, ..*self })
            }
            5 => Field::Word(self.take(4)?.try_into().map(u32::from_le_bytes).unwrap_or_default()),
            other => return Err(self.damaged(format!("a field is of the kind {other}, which none of these files has"))),
        };
        Ok(Some((key >> 3, field)))
    }
}
