//! RWKV's "World" vocabularies: byte strings, and a text is cut into the longest that it goes on with, from its beginning to its end. In a GGUF
//! a token is written as Python writes bytes; in the `rwkv_vocab_v20230424.txt` beside weights each has a line, `ID LITERAL LENGTH`, as Python writes text or bytes.

use std::cmp::Reverse;

use super::{
    Encoder, SpecialTokens, Tokenizer,
    pieces::Pieces,
    settings::Settings,
    special::{Fragment, SpecialMatcher},
    vocabulary::{TokenKind, Vocabulary},
};
use crate::{Error, Result};

/// What the list of tokens beside weights is called.
pub const WORLD: &str = "rwkv_vocab_v20230424.txt";
/// What stands between texts where no file gives it another name; its bytes are no text's.
const END_OF_TEXT: &str = "<s>";

/// Finds the longest tokens among those that texts are made of.
pub struct LongestMatch {
    /// Ids in the order of their bytes.
    sorted: Vec<u32>,
    /// Where in it those begin that begin with each byte, and where the last ones end.
    firsts: Vec<usize>,
    /// All marks, and those that are read in any text.
    marks: SpecialMatcher,
    shown: SpecialMatcher,
}

/// The bytes of a token, and what it is.
type Token = (Vec<u8>, TokenKind);

impl LongestMatch {
    /// Of equal tokens the last counts.
    ///
    /// Errors: a byte that is no token by itself, without which some text could not be written.
    fn new(tokens: &[Token]) -> std::result::Result<Self, u8> {
        let spelled = |id: &u32| tokens[*id as usize].0.as_slice();
        let of = |kinds: &[TokenKind]| {
            let has = |id: &u32| kinds.contains(&tokens[*id as usize].1) && !spelled(id).is_empty();
            (0..tokens.len() as u32).filter(has).collect::<Vec<_>>()
        };
        let mut sorted = of(&[TokenKind::Normal, TokenKind::Byte]);
        sorted.sort_unstable_by_key(|id| (spelled(id), Reverse(*id)));
        sorted.dedup_by(|later, first| spelled(later) == spelled(first));
        let begins_below = |byte: usize| sorted.partition_point(|id| usize::from(spelled(id)[0]) < byte);
        let firsts: Vec<usize> = (0..=256).map(begins_below).collect();
        let alone = |byte: &u8| sorted.get(firsts[usize::from(*byte)]).is_some_and(|id| spelled(id) == [*byte]);
        if let Some(byte) = (0..=255).find(|byte| !alone(byte)) {
            return Err(byte);
        }
        let matcher = |ids: Vec<u32>| {
            let text = |id: u32| Some((id, std::str::from_utf8(&tokens[id as usize].0).ok()?));
            SpecialMatcher::new(ids.into_iter().filter_map(text))
        };
        Ok(Self {
            marks: matcher(of(&[TokenKind::Control, TokenKind::Unknown, TokenKind::UserDefined])),
            shown: matcher(of(&[TokenKind::UserDefined])),
            sorted,
            firsts,
        })
    }

    /// `pieces` are the vocabulary's. Where `marks` are read, the tokens of that name stand for them; the character `left_out` is taken out of the text between
    /// them.
    pub fn encode(&self, pieces: &Pieces, text: &str, marks: bool, left_out: Option<char>, ids: &mut Vec<u32>) {
        let matcher = if marks { &self.marks } else { &self.shown };
        for fragment in matcher.split(text) {
            match (fragment, left_out) {
                (Fragment::Token(id, _), _) => ids.push(id),
                (Fragment::Text(text), None) => self.cut(pieces, text.as_bytes(), ids),
                (Fragment::Text(text), Some(left_out)) => self.cut(pieces, text.replace(left_out, "").as_bytes(), ids),
            }
        }
    }

    /// Appends the tokens of a text without marks.
    fn cut(&self, pieces: &Pieces, text: &[u8], ids: &mut Vec<u32>) {
        let mut rest = text;
        while let Some(first) = rest.first() {
            let first = usize::from(*first);
            // Those that the text goes on with as far as it was compared: the shortest comes first, here the byte by itself.
            let mut alike = &self.sorted[self.firsts[first]..self.firsts[first + 1]];
            let (mut found, mut length) = (alike[0], 1);
            for (at, byte) in rest.iter().enumerate().skip(1) {
                let byte_at = |id: &u32| pieces.get(*id).and_then(|token| token.get(at));
                alike = &alike[alike.partition_point(|id| byte_at(id) < Some(byte))..];
                alike = &alike[..alike.partition_point(|id| byte_at(id) == Some(byte))];
                let Some(shortest) = alike.first() else { break };
                if pieces.get(*shortest).is_some_and(|token| token.len() == at + 1) {
                    (found, length) = (*shortest, at + 1);
                }
            }
            ids.push(found);
            rest = &rest[length..];
        }
    }
}

/// What encodes with these tokens, and what they say.
fn made(tokens: &[Token]) -> Result<(Encoder, Pieces)> {
    let model = LongestMatch::new(tokens).map_err(|byte| {
        Error::corrupt_file(format!(
            "the vocabulary has no token for the byte {byte:#04x}, so that some texts could not be written; give the model's own"
        ))
    })?;
    let mut pieces = Pieces::new(false);
    for (bytes, kind) in tokens {
        match kind {
            TokenKind::UserDefined => pieces.push_shown_mark(bytes),
            kind => pieces.push(bytes, kind.is_special() || *kind == TokenKind::Unused),
        }
    }
    Ok((Encoder::LongestMatch(model), pieces))
}

/// Of the tokens of a GGUF.
///
/// Errors: `corrupt-file` that names a token which is not written as Python writes bytes, or the byte that no token is.
pub fn of_gguf(vocabulary: &Vocabulary) -> Result<(Encoder, Pieces)> {
    let spelled = |(id, text, kind): (u32, &str, TokenKind)| match kind {
        TokenKind::Normal | TokenKind::Byte => match unescaped(text, true) {
            Some(bytes) => Ok((bytes, kind)),
            None => Err(Error::corrupt_file(format!(
                "token {id} of the file, {text:?}, is not written as Python writes bytes; convert the model again"
            ))),
        },
        _ => Ok((text.into(), kind)),
    };
    made(&vocabulary.iter().map(spelled).collect::<Result<Vec<_>>>()?)
}

/// Of the list that lies beside weights, with the settings there.
///
/// Errors: `corrupt-file` with the line that is none, or the byte that no token is.
pub fn tokenizer(settings: &Settings, list: &[u8]) -> Result<Tokenizer> {
    let mut tokens = listed(list, settings.rows)?;
    let mut put = |id: usize, text: &str, kind: TokenKind| {
        if tokens.len() <= id {
            tokens.resize(id + 1, (vec![], TokenKind::Unused));
        }
        let token = &mut tokens[id];
        if token.0.is_empty() {
            *token = (text.into(), kind);
        }
        if token.0 == text.as_bytes() {
            return Ok(());
        }
        Err(Error::corrupt_file(format!(
            "the files beside the vocabulary give {text:?} the id {id}, which is another token's; fetch them again"
        )))
    };
    for (id, text, special) in &settings.added {
        put(*id, text, if *special { TokenKind::Control } else { TokenKind::UserDefined })?;
    }
    // The list begins with 1.
    if tokens[0].0.is_empty() {
        tokens[0] = (settings.mark("eos_token").unwrap_or(END_OF_TEXT).into(), TokenKind::Control);
    }
    let named = |name: &str| {
        let text = settings.mark(name)?;
        tokens.iter().position(|(bytes, _)| bytes == text.as_bytes()).map(|id| id as u32)
    };
    let eos = named("eos_token").or(Some(0));
    let special = SpecialTokens {
        bos: named("bos_token").or(Some(0)),
        eos,
        closing: eos,
        add_bos: settings.flag("add_bos_token").unwrap_or(false),
        add_eos: settings.flag("add_eos_token").unwrap_or(false),
        ends: eos.into_iter().collect(),
        unknown: None,
    };
    let (encoder, pieces) = made(&tokens)?;
    Ok(Tokenizer::assemble(encoder, pieces, special, settings.chat(), true))
}

/// The tokens of a list by their ids, which are below `most`; those that it leaves out are empty.
fn listed(list: &[u8], most: usize) -> Result<Vec<Token>> {
    let damaged = |line: usize, what: &str| {
        Error::corrupt_file(format!("{WORLD}: line {}: {what}; fetch the file again", line + 1))
    };
    let list =
        std::str::from_utf8(list).map_err(|_| Error::corrupt_file(format!("{WORLD} is no text; fetch it again")))?;
    let mut tokens = vec![(vec![], TokenKind::Unused)];
    for (at, line) in list.lines().enumerate() {
        let parts = line.split_once(' ').and_then(|(id, rest)| Some((id, rest.rsplit_once(' ')?)));
        let read = parts.and_then(|(id, (token, length))| {
            Some((id.parse::<usize>().ok()?, literal(token.trim())?, length.parse::<usize>().ok()?))
        });
        let Some((id, bytes, length)) = read else {
            return Err(damaged(at, "it is not a number, a token as Python writes it, and the token's length"));
        };
        if bytes.is_empty() || bytes.len() != length {
            return Err(damaged(at, &format!("its token has {} bytes and not {length}", bytes.len())));
        }
        if id >= most {
            return Err(damaged(at, &format!("the id {id} is past the {most} tokens of the model")));
        }
        if tokens.len() <= id {
            tokens.resize(id + 1, (vec![], TokenKind::Unused));
        }
        if !tokens[id].0.is_empty() {
            return Err(damaged(at, &format!("the id {id} has a token already")));
        }
        tokens[id] = (bytes, TokenKind::Normal);
    }
    Ok(tokens)
}

/// Python's `'text'` or `b'bytes'`, in quotes of either kind.
fn literal(text: &str) -> Option<Vec<u8>> {
    let (bytes, quoted) = match text.strip_prefix('b') {
        Some(quoted) => (true, quoted),
        None => (false, text),
    };
    ['\'', '"'].into_iter().find_map(|quote| {
        let body = quoted.strip_prefix(quote)?.strip_suffix(quote)?;
        unescaped(body, bytes)
    })
}

/// What stands between the quotes of a literal: `\x` is a byte in bytes, and a character in text.
fn unescaped(body: &str, bytes: bool) -> Option<Vec<u8>> {
    let mut said = Vec::with_capacity(body.len());
    let mut rest = body.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            said.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let digits = match rest.next()? {
            't' => {
                said.push(b'\t');
                continue;
            }
            'n' => {
                said.push(b'\n');
                continue;
            }
            'r' => {
                said.push(b'\r');
                continue;
            }
            c @ ('\\' | '\'' | '"') => {
                said.push(c as u8);
                continue;
            }
            'x' => 2,
            'u' if !bytes => 4,
            'U' if !bytes => 8,
            _ => return None,
        };
        let mut number = 0;
        for _ in 0..digits {
            number = number << 4 | rest.next()?.to_digit(16)?;
        }
        match bytes {
            true => said.push(number as u8),
            false => said.extend_from_slice(char::from_u32(number)?.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_literals_are_read_as_python_reads_them() {
        for (text, said) in [
            (r"' \t\'x\''", &b" \t'x'"[..]),
            (r#"" '""#, b" '"),
            (r"b'\xff\\'", b"\xff\\"),
            (r"'\xe9'", "é".as_bytes()),
            (r"'\u3000\U0001f999'", "\u{3000}\u{1f999}".as_bytes()),
            ("'語'", "語".as_bytes()),
        ] {
            assert_eq!(literal(text).as_deref(), Some(said), "{text}");
        }
        for text in ["", "'", "x", "'x", r"'\'", r"b'\x4'", r"b'\u3000'", r"'\ud800'", r"'\q'", "'x\""] {
            assert_eq!(literal(text), None, "{text}");
        }
    }
}
