//! Source to tokens, with Jinja's rules for white space round tags: `-` strips, `+` keeps, and by `trim_blocks` and `lstrip_blocks` a
//! tag that stands alone on a line takes the line with it.

use std::rc::Rc;

use crate::error::{Error, ErrorKind, Result};

#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    Data(Rc<str>),
    VariableBegin,
    VariableEnd,
    BlockBegin,
    BlockEnd,
    Name(Rc<str>),
    Str(Rc<str>),
    Int(i128),
    Float(f64),
    Op(&'static str),
    End,
}

pub struct Spanned {
    pub token: Token,
    pub line: usize,
}

/// Longest first.
const OPERATORS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",", ";",
];

/// Python's idea of white space.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

pub fn tokens(source: &str) -> Result<Vec<Spanned>> {
    let mut text = source.replace("\r\n", "\n").replace('\r', "\n");
    if text.ends_with('\n') {
        text.pop();
    }
    let mut lexer = Lexer { text: &text, at: 0, line: 1, line_starting: true, tokens: vec![] };
    lexer.run()?;
    lexer.push(Token::End);
    Ok(lexer.tokens)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    line: usize,
    /// Whether the latest match ended a line.
    line_starting: bool,
    tokens: Vec<Spanned>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn push(&mut self, token: Token) {
        self.tokens.push(Spanned { token, line: self.line });
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(Error::new(ErrorKind::Syntax, message).at(self.line))
    }

    fn advance(&mut self, bytes: usize) {
        let taken = self.text.get(self.at..self.at + bytes).unwrap_or_default();
        self.line += taken.matches('\n').count();
        if let Some(last) = taken.chars().last() {
            self.line_starting = last == '\n';
        }
        self.at += bytes;
    }

    fn run(&mut self) -> Result<()> {
        while !self.rest().is_empty() {
            let begun = self.rest().match_indices('{').find_map(|(at, _)| {
                let tag = self.rest().get(at..at + 2).filter(|tag| matches!(*tag, "{{" | "{%" | "{#"))?;
                Some((
                    at,
                    if tag == "{{" {
                        "{{"
                    } else if tag == "{%" {
                        "{%"
                    } else {
                        "{#"
                    },
                ))
            });
            let Some((to, tag)) = begun else {
                self.data(self.rest().len(), None, false);
                return Ok(());
            };
            let sign = self.rest()[to + 2..].chars().next().filter(|c| matches!(c, '-' | '+'));
            if let ("{%", Some(tag)) = (tag, raw_tag(&self.rest()[to..], "raw")) {
                self.data(to, sign, true);
                self.advance(tag);
                self.raw()?;
                continue;
            }
            self.data(to, sign, tag != "{{");
            self.advance(2 + usize::from(sign.is_some()));
            match tag {
                "{#" => {
                    let Some(end) = self.rest().find("#}") else { return self.fail("a comment has no end") };
                    self.advance(end + 2 + trimmed_after(self.rest(), end));
                }
                "{{" => self.tag(Token::VariableBegin, Token::VariableEnd, "}}")?,
                _ => self.tag(Token::BlockBegin, Token::BlockEnd, "%}")?,
            }
        }
        Ok(())
    }

    /// The text before a tag whose sign is `sign`; a block's takes the white space before it from its line.
    fn data(&mut self, bytes: usize, sign: Option<char>, block: bool) {
        let data = self.rest().get(..bytes).unwrap_or_default();
        let kept = match sign {
            Some('-') => data.trim_end_matches(is_space),
            None if block => {
                let line = data.rfind('\n').map_or(0, |at| at + 1);
                let alone = line > 0 || self.line_starting;
                if alone && data[line..].chars().all(is_space) { &data[..line] } else { data }
            }
            _ => data,
        };
        let token = (!kept.is_empty()).then(|| Token::Data(kept.into()));
        token.into_iter().for_each(|token| self.push(token));
        self.advance(bytes);
    }

    fn raw(&mut self) -> Result<()> {
        let mut from = 0;
        while let Some(found) = self.rest().get(from..).and_then(|rest| rest.find("{%")) {
            let at = from + found;
            if let Some(tag) = raw_tag(&self.rest()[at..], "endraw") {
                let sign = self.rest()[at + 2..].chars().next().filter(|c| matches!(c, '-' | '+'));
                self.data(at, sign, true);
                let trimmed = self.rest()[..tag].ends_with("%}") && !self.rest()[..tag].ends_with("+%}");
                let newline = trimmed && self.rest()[tag..].starts_with('\n');
                self.advance(tag + usize::from(newline));
                return Ok(());
            }
            from = at + 2;
        }
        self.fail("a raw block has no end")
    }

    /// The tokens up to the end of a tag.
    fn tag(&mut self, begin: Token, end: Token, mark: &str) -> Result<()> {
        self.push(begin);
        let mut open: Vec<&str> = vec![];
        loop {
            let space = self.rest().len() - self.rest().trim_start_matches(is_space).len();
            self.advance(space);
            let rest = self.rest();
            let Some(first) = rest.chars().next() else { return Ok(()) };
            if open.is_empty() {
                let signed = rest.strip_prefix(['-', '+']).is_some_and(|rest| rest.starts_with(mark));
                let signed = signed && (first == '-' || mark == "%}");
                if signed || rest.starts_with(mark) {
                    self.push(end);
                    let at = usize::from(signed);
                    let variable = mark == "}}" && !signed;
                    let trimmed = if variable { 0 } else { trimmed_after(self.rest(), at) };
                    self.advance(at + 2 + trimmed);
                    return Ok(());
                }
            }
            let after_dot = self.text.get(..self.at).is_some_and(|before| before.ends_with('.'));
            if first.is_ascii_digit() {
                let (bytes, number) = number(rest, after_dot);
                let Some(number) = number else {
                    return self.fail(format!("the number {} is too large", &rest[..bytes]));
                };
                self.push(number);
                self.advance(bytes);
            } else if first.is_alphanumeric() || first == '_' {
                let bytes = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                let name = rest[..bytes].into();
                self.push(Token::Name(name));
                self.advance(bytes);
            } else if first == '\'' || first == '"' {
                let Some(bytes) = string_end(rest, first) else { return self.fail("a string has no end") };
                match unescape(&rest[1..bytes - 1]) {
                    Some(text) => self.push(Token::Str(text.into())),
                    None => return self.fail("a string has an escape that does not name a character"),
                }
                self.advance(bytes);
            } else {
                let Some(operator) = OPERATORS.into_iter().find(|operator| rest.starts_with(operator)) else {
                    return self.fail(format!("unexpected character {first:?}"));
                };
                match operator {
                    "(" => open.push(")"),
                    "[" => open.push("]"),
                    "{" => open.push("}"),
                    ")" | "]" | "}" => match open.pop() {
                        Some(expected) if expected == operator => {}
                        Some(expected) => return self.fail(format!("unexpected '{operator}', expected '{expected}'")),
                        None => return self.fail(format!("unexpected '{operator}'")),
                    },
                    _ => {}
                }
                self.push(Token::Op(operator));
                self.advance(operator.len());
            }
        }
    }
}

/// Bytes behind the end mark at `end` that go with it: all white space after `-`, nothing after `+`, else one end of a line.
fn trimmed_after(rest: &str, end: usize) -> usize {
    let after = &rest[end + 2..];
    match rest[..end].chars().last() {
        Some('-') => after.len() - after.trim_start_matches(is_space).len(),
        Some('+') => 0,
        _ => usize::from(after.starts_with('\n')),
    }
}

/// The length of `{% word %}` at the beginning of `text`, with the white space that a `-` at its end takes.
fn raw_tag(text: &str, word: &str) -> Option<usize> {
    let rest = text.strip_prefix("{%")?;
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest).trim_start_matches(is_space);
    let rest = rest.strip_prefix(word)?.trim_start_matches(is_space);
    let end = match rest.strip_prefix("-%}") {
        Some(end) => end.trim_start_matches(is_space),
        None if word == "endraw" => rest.strip_prefix("+%}").or(rest.strip_prefix("%}"))?,
        None => rest.strip_prefix("%}")?,
    };
    Some(text.len() - end.len())
}

/// The length of a number and its value; none where it is larger than what is counted with.
fn number(text: &str, after_dot: bool) -> (usize, Option<Token>) {
    let bytes = text.as_bytes();
    // Digits with single underscores between them.
    let digits = |mut at: usize, is_digit: fn(&u8) -> bool| {
        let from = at;
        while bytes.get(at).is_some_and(is_digit)
            || (at > from && bytes.get(at) == Some(&b'_') && bytes.get(at + 1).is_some_and(is_digit))
        {
            at += 1;
        }
        at
    };
    let clean = |range: std::ops::Range<usize>| text[range].replace('_', "");
    for (marks, radix, is_digit) in [
        (["0b", "0B"], 2, (|b: &u8| matches!(b, b'0' | b'1')) as fn(&u8) -> bool),
        (["0o", "0O"], 8, |b| matches!(b, b'0'..=b'7')),
        (["0x", "0X"], 16, u8::is_ascii_hexdigit),
    ] {
        if marks.iter().any(|mark| text.starts_with(mark)) {
            let from = if bytes.get(2) == Some(&b'_') { 3 } else { 2 };
            let end = digits(from, is_digit);
            if end > from {
                return (end, i128::from_str_radix(&clean(from..end), radix).ok().map(Token::Int));
            }
        }
    }
    let whole = digits(0, u8::is_ascii_digit);
    if !after_dot {
        let mut end = whole;
        if bytes.get(end) == Some(&b'.') {
            let fraction = digits(end + 1, u8::is_ascii_digit);
            end = if fraction > end + 1 { fraction } else { end };
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign, u8::is_ascii_digit);
            end = if exponent > end + 1 + sign { exponent } else { end };
        }
        if end > whole {
            return (end, clean(0..end).parse().ok().map(Token::Float));
        }
    }
    // `007` is 00 and then 7, as in Jinja.
    let zeros = digits(0, |b| *b == b'0');
    let end = if zeros > 0 { zeros } else { whole };
    (end, clean(0..end).parse().ok().map(Token::Int))
}

/// The length of a string with its quotes.
fn string_end(text: &str, quote: char) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()?),
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Python's escapes; those that it does not know stay as they are.
fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    // Half of a pair of surrogates waits for its other half.
    let mut high: Option<u32> = None;
    while let Some(c) = chars.next() {
        let code = if c != '\\' {
            u32::from(c)
        } else {
            match chars.next() {
                Some('\n') => continue,
                Some('a') => 7,
                Some('b') => 8,
                Some('f') => 12,
                Some('n') => 10,
                Some('r') => 13,
                Some('t') => 9,
                Some('v') => 11,
                Some(c @ ('\\' | '\'' | '"')) => u32::from(c),
                Some(c @ '0'..='7') => {
                    let mut code = c.to_digit(8)?;
                    for _ in 0..2 {
                        let Some(digit) = chars.clone().next().and_then(|c| c.to_digit(8)) else { break };
                        code = code * 8 + digit;
                        chars.next();
                    }
                    code
                }
                Some(c @ ('x' | 'u' | 'U')) => {
                    let count = if c == 'x' {
                        2
                    } else if c == 'u' {
                        4
                    } else {
                        8
                    };
                    (0..count).try_fold(0u32, |code, _| Some(code.checked_mul(16)? + chars.next()?.to_digit(16)?))?
                }
                // Names of characters would need a table of all.
                Some('N') => return None,
                Some(other) => {
                    out.push('\\');
                    u32::from(other)
                }
                None => u32::from('\\'),
            }
        };
        match (high.take(), code) {
            (Some(first), 0xdc00..=0xdfff) => {
                out.push(char::from_u32(0x10000 + ((first - 0xd800) << 10) + (code - 0xdc00)).unwrap_or('\u{fffd}'));
                continue;
            }
            (Some(_), _) => out.push('\u{fffd}'),
            _ => {}
        }
        match code {
            0xd800..=0xdbff => high = Some(code),
            _ if code > 0x10ffff => return None,
            _ => out.push(char::from_u32(code).unwrap_or('\u{fffd}')),
        }
    }
    out.extend(high.map(|_| '\u{fffd}'));
    Some(out)
}
