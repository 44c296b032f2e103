//! `split`, `rsplit`, `splitlines`.

use crate::{
    error::{Result, fail},
    lexer::is_space,
};

/// At most `most` splits, from the left or from the right; without a separator at runs of white space.
pub fn split<'t>(text: &'t str, separator: Option<&str>, most: usize, from_right: bool) -> Result<Vec<&'t str>> {
    match separator {
        Some("") => fail("empty separator"),
        Some(separator) if from_right => {
            let mut parts: Vec<&str> = text.rsplitn(most.saturating_add(1), separator).collect();
            parts.reverse();
            Ok(parts)
        }
        Some(separator) => Ok(text.splitn(most.saturating_add(1), separator).collect()),
        None => {
            let mut parts = vec![];
            let mut rest = text;
            loop {
                rest = if from_right { rest.trim_end_matches(is_space) } else { rest.trim_start_matches(is_space) };
                if rest.is_empty() {
                    break;
                }
                if parts.len() == most {
                    parts.push(rest);
                    break;
                }
                let (part, left) = if from_right {
                    let at =
                        rest.char_indices().rev().find(|(_, c)| is_space(*c)).map_or(0, |(at, c)| at + c.len_utf8());
                    (&rest[at..], &rest[..at])
                } else {
                    rest.split_at(rest.find(is_space).unwrap_or(rest.len()))
                };
                parts.push(part);
                rest = left;
            }
            if from_right {
                parts.reverse();
            }
            Ok(parts)
        }
    }
}

/// The lines of a text, by all that Python takes for an end of a line.
pub fn lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let mut lines = vec![];
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if !matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}') {
            continue;
        }
        let mut end = at + c.len_utf8();
        if c == '\r' && chars.next_if(|(_, c)| *c == '\n').is_some() {
            end += 1;
        }
        lines.push(&text[start..if keep_ends { end } else { at }]);
        start = end;
    }
    if start < text.len() {
        lines.push(&text[start..]);
    }
    lines
}
