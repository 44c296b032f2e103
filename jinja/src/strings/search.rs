//! `find`, `index`, `count`, `startswith` and their kin.

use crate::{
    error::{Result, fail},
    run::Args,
    value::Value,
};

/// The part of a text between two places, and the first of them; nothing where it begins behind the end.
fn window(text: &str, start: i128, end: Option<i128>) -> Option<(usize, &str)> {
    let length = text.chars().count();
    let place = |at: i128| {
        let at = if at < 0 { (at + length as i128).max(0) } else { at };
        usize::try_from(at).unwrap_or(usize::MAX)
    };
    let (start, end) = (place(start), end.map_or(length, place).min(length));
    if start > end {
        return None;
    }
    let byte = |at: usize| text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte);
    let (from, to) = if text.is_ascii() { (start, end) } else { (byte(start), byte(end)) };
    text.get(from..to).map(|part| (start, part))
}

pub fn call(text: &str, name: &str, args: Args) -> Result<Value> {
    let bound = args.bind(name, &["_sub", "_start", "_end"], 1)?;
    let start = if bound.given(1).is_some() { bound.int(1, 0)? } else { 0 };
    let end = if bound.given(2).is_some() { Some(bound.int(2, 0)?) } else { None };
    let window = window(text, start, end);
    if let "startswith" | "endswith" = name {
        let begins = |affix: &Value| match (affix, window) {
            (Value::Str(affix, _), Some((_, part))) => {
                Ok(if name == "startswith" { part.starts_with(&**affix) } else { part.ends_with(&**affix) })
            }
            (Value::Str(..), None) => Ok(false),
            _ => fail(format!("{name} first arg must be str or a tuple of str, not {}", affix.type_name())),
        };
        return Ok(Value::Bool(match bound.value(0) {
            Value::Tuple(affixes) => {
                let mut any = false;
                for affix in &affixes.values {
                    any = any || begins(affix)?;
                }
                any
            }
            affix => begins(&affix)?,
        }));
    }
    let part = bound.text(0)?;
    let Some((first, within)) = window else {
        return match name {
            "count" => Ok(Value::Int(0)),
            "find" | "rfind" => Ok(Value::Int(-1)),
            _ => fail("substring not found"),
        };
    };
    if name == "count" {
        let count = if part.is_empty() { within.chars().count() + 1 } else { within.matches(&*part).count() };
        return Ok(Value::Int(count as i128));
    }
    let found = if name.starts_with('r') { within.rfind(&*part) } else { within.find(&*part) };
    match found {
        Some(byte) => Ok(Value::Int((first + within[..byte].chars().count()) as i128)),
        None if name.ends_with("find") => Ok(Value::Int(-1)),
        None => fail("substring not found"),
    }
}
