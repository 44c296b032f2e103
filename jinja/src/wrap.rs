//! Lines: `indent`, `truncate`, and `wordwrap` as Python's `textwrap` breaks them.

use std::rc::Rc;

use crate::{
    error::{Result, fail},
    run::{Args, Run},
    strings,
    value::Value,
};

fn text_of(value: &Value) -> Result<(&Rc<str>, bool)> {
    value.defined()?;
    match value {
        Value::Str(text, safe) => Ok((text, *safe)),
        _ => fail(format!("a text is wanted, not {}", value.type_name())),
    }
}

pub fn indent(run: &Run, value: &Value, args: Args) -> Result<Value> {
    let bound = args.bind("indent", &["width", "first", "blank"], 0)?;
    let (text, safe) = text_of(value)?;
    let text = format!("{text}\n");
    let lines = strings::lines(&text, false);
    let width = match bound.get(0) {
        Some(Value::Str(indention, _)) => indention.len(),
        _ => usize::try_from(bound.int(0, 4)?).unwrap_or(0),
    };
    run.budget.bytes(text.len().saturating_add(width.saturating_mul(lines.len() + 1)))?;
    let indention = match bound.get(0) {
        Some(Value::Str(indention, _)) => indention.to_string(),
        _ => " ".repeat(width),
    };
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        out.push_str(if index > 0 { "\n" } else { "" });
        let indented = if index == 0 { bound.truth(1) } else { bound.truth(2) || !line.is_empty() };
        out.push_str(if indented { &indention } else { "" });
        out.push_str(line);
    }
    Ok(Value::Str(out.into(), safe))
}

pub fn truncate(run: &Run, value: &Value, args: Args) -> Result<Value> {
    let bound = args.bind("truncate", &["length", "killwords", "end", "leeway"], 0)?;
    let (length, end) = (bound.int(0, 255)?, bound.printed(2, "...", &run.budget)?);
    let leeway = if bound.given(3).is_some() { bound.int(3, 5)? } else { 5 };
    let end_length = end.chars().count() as i128;
    if length < end_length {
        return fail(format!("expected length >= {end_length}, got {length}"));
    }
    if leeway < 0 {
        return fail(format!("expected leeway >= 0, got {leeway}"));
    }
    // What is short enough is given back, whatever it is.
    if value.len().is_some_and(|count| count as i128 <= length.saturating_add(leeway)) {
        return Ok(value.clone());
    }
    let (text, _) = text_of(value)?;
    let kept: String = text.chars().take((length - end_length) as usize).collect();
    let kept =
        if bound.truth(1) { kept.as_str() } else { kept.rsplit_once(' ').map_or(kept.as_str(), |(before, _)| before) };
    Value::string(format!("{kept}{end}"), &run.budget)
}

pub fn wordwrap(run: &Run, value: &Value, args: Args) -> Result<Value> {
    let names = ["width", "break_long_words", "wrapstring", "break_on_hyphens"];
    let bound = args.bind("wordwrap", &names, 0)?;
    let width = bound.int(0, 79)?;
    let break_words = bound.get(1).is_none_or(Value::truth);
    let hyphens = bound.get(3).is_none_or(Value::truth);
    let between = if bound.given(2).is_some() { bound.text(2)? } else { "\n".into() };
    let (text, safe) = text_of(value)?;
    let Some(width) = usize::try_from(width).ok().filter(|width| *width > 0) else {
        return fail(format!("invalid width {width} (must be > 0)"));
    };
    let mut paragraphs = vec![];
    for line in strings::lines(text, false) {
        run.budget.bytes(line.len().saturating_mul(8))?;
        let chars: Vec<char> = line.chars().collect();
        let lines = wrapped(chunks(&chars, hyphens), width, break_words, hyphens);
        run.budget.bytes(lines.len().saturating_mul(between.len()))?;
        paragraphs.push(lines.join(&between));
    }
    run.budget.bytes(paragraphs.len().saturating_mul(between.len()))?;
    Ok(Value::Str(paragraphs.join(&between).into(), safe))
}

/// What `textwrap` takes for white space.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\x0b' | '\x0c' | '\r' | ' ')
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_letter(c: char) -> bool {
    is_word(c) && !c.is_numeric()
}

/// Words, parts of words behind hyphens, dashes, and the white space between them.
fn chunks(chars: &[char], hyphens: bool) -> Vec<&[char]> {
    let at = |index: usize| chars.get(index).copied();
    let is = |index: usize, kind: fn(char) -> bool| at(index).is_some_and(kind);
    let before = |index: usize, back: usize, kind: fn(char) -> bool| index >= back && is(index - back, kind);
    let punctuated = |c: char| is_word(c) || "!\"'&.,?".contains(c);
    // The end of a dash of two or more that a word follows.
    let dash = |from: usize| {
        let mut end = from;
        while at(end) == Some('-') {
            end += 1;
        }
        (end >= from + 2 && is(end, is_word)).then_some(end)
    };
    let mut chunks = vec![];
    let mut from = 0;
    while from < chars.len() {
        let mut end = from;
        if is(from, is_blank) || !hyphens {
            let blank = is(from, is_blank);
            while end < chars.len() && is(end, is_blank) == blank {
                end += 1;
            }
        } else if let Some(dash) = dash(from).filter(|_| before(from, 1, punctuated)) {
            end = dash;
        } else {
            loop {
                end += 1;
                if end >= chars.len() || is(end, is_blank) || (before(end, 1, punctuated) && dash(end).is_some()) {
                    break;
                }
                let letters = before(end, 1, is_letter) && before(end, 2, is_letter);
                let again = before(end, 1, punctuated) && before(end, 2, |c| c == '-') && before(end, 3, is_letter);
                let follows = is(end + 1, is_letter)
                    && (is(end + 2, is_letter) || (at(end + 2) == Some('-') && is(end + 3, is_letter)));
                if at(end) == Some('-') && (letters || again) && follows {
                    end += 1;
                    break;
                }
            }
        }
        chunks.extend(chars.get(from..end));
        from = end;
    }
    chunks
}

fn wrapped(mut chunks: Vec<&[char]>, width: usize, break_words: bool, hyphens: bool) -> Vec<String> {
    let blank = |chunk: &&[char]| chunk.iter().all(|c| crate::lexer::is_space(*c));
    chunks.reverse();
    let mut lines: Vec<String> = vec![];
    while !chunks.is_empty() {
        let mut line: Vec<&[char]> = vec![];
        let mut length = 0;
        if !lines.is_empty() && chunks.last().is_some_and(blank) {
            chunks.pop();
        }
        while let Some(chunk) = chunks.last().filter(|chunk| length + chunk.len() <= width) {
            length += chunk.len();
            line.push(chunk);
            chunks.pop();
        }
        if let Some(chunk) = chunks.last().copied().filter(|chunk| chunk.len() > width) {
            let room = width - length;
            if break_words {
                let hyphen = chunk[..room]
                    .iter()
                    .rposition(|c| *c == '-')
                    .filter(|at| hyphens && chunk[..*at].iter().any(|c| *c != '-'));
                let end = hyphen.filter(|at| *at > 0).map_or(room, |at| at + 1);
                line.push(&chunk[..end]);
                chunks.pop();
                chunks.push(&chunk[end..]);
            } else if line.is_empty() {
                line.push(chunk);
                chunks.pop();
            }
        }
        if line.last().is_some_and(blank) {
            line.pop();
        }
        if !line.is_empty() {
            lines.push(line.concat().into_iter().collect());
        }
    }
    lines
}
