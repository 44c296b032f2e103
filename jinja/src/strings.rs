//! Python's methods of texts. Places are counted in characters.

mod kinds;
mod search;
mod split;

use std::rc::Rc;

use crate::{
    budget::Budget,
    error::{Result, fail},
    escape, format,
    lexer::is_space,
    operators,
    run::{Args, Run},
    value::{Dict, Value},
};

pub use kinds::is_upper_or_lower;
pub use split::lines;

pub fn call(run: &Run, text: &Rc<str>, safe: bool, name: &str, args: Args) -> Result<Value> {
    let budget = &run.budget;
    budget.step(text.len() / 64)?;
    let made = |made: String| -> Result<Value> {
        budget.bytes(made.len())?;
        Ok(Value::Str(made.into(), safe))
    };
    match name {
        "format" => return format::format(run, text, safe, args),
        "format_map" => {
            let map = args.bind(name, &["_mapping"], 1)?.value(0);
            return format::format_map(run, text, safe, map);
        }
        "split" | "rsplit" => {
            let bound = args.bind(name, &["sep", "maxsplit"], 0)?;
            let most = usize::try_from(bound.int(1, -1)?).unwrap_or(usize::MAX);
            let separator = bound.given(0).map(|_| bound.text(0)).transpose()?;
            let parts = split::split(text, separator.as_deref(), most, name == "rsplit")?;
            return texts(parts, safe, budget);
        }
        "splitlines" => {
            let keep = args.bind(name, &["keepends"], 0)?.truth(0);
            return texts(lines(text, keep), safe, budget);
        }
        "partition" | "rpartition" => {
            let separator = args.bind(name, &["_sep"], 1)?.text(0)?;
            if separator.is_empty() {
                return fail("empty separator");
            }
            let at = if name == "partition" { text.find(&*separator) } else { text.rfind(&*separator) };
            let parts = match at {
                Some(at) => [&text[..at], &text[at..at + separator.len()], &text[at + separator.len()..]],
                None if name == "partition" => [text, "", ""],
                None => ["", "", text],
            };
            budget.bytes(text.len())?;
            return Value::tuple(parts.map(|part| Value::Str(part.into(), safe)).into(), budget);
        }
        "find" | "rfind" | "index" | "rindex" | "count" | "startswith" | "endswith" => {
            return search::call(text, name, args);
        }
        "encode" => return encode(text, args, budget),
        "join" => {
            let items = args.bind(name, &["_iterable"], 1)?.value(0).iterate(budget)?;
            return join(text, safe, &items, budget);
        }
        "maketrans" => return make_table(args, budget),
        "translate" => {
            let table = args.bind(name, &["_table"], 1)?.value(0);
            return made(translate(run, text, &table)?);
        }
        "replace" => {
            let bound = args.bind(name, &["_old", "_new", "count"], 2)?;
            let escaped = |text: Rc<str>| if safe { escape::html(&text).into() } else { text };
            let most = usize::try_from(bound.int(2, -1)?).unwrap_or(usize::MAX);
            return made(replace(text, &bound.text(0)?, &escaped(bound.text(1)?), most, budget)?);
        }
        "removeprefix" => {
            let prefix = args.bind(name, &["_prefix"], 1)?.text(0)?;
            return made(text.strip_prefix(&*prefix).unwrap_or(text).into());
        }
        "removesuffix" => {
            let suffix = args.bind(name, &["_suffix"], 1)?.text(0)?;
            return made(text.strip_suffix(&*suffix).unwrap_or(text).into());
        }
        "strip" | "lstrip" | "rstrip" => {
            let bound = args.bind(name, &["_chars"], 0)?;
            let chars = bound.given(0).map(|_| bound.text(0)).transpose()?;
            return made(strip(text, chars.as_deref(), name != "rstrip", name != "lstrip").into());
        }
        "center" | "ljust" | "rjust" => {
            let bound = args.bind(name, &["_width", "_fillchar"], 1)?;
            let fill = if bound.get(1).is_some() { bound.text(1)? } else { " ".into() };
            let mut fills = fill.chars();
            let (Some(fill), None) = (fills.next(), fills.next()) else {
                return fail("The fill character must be exactly one character long");
            };
            return made(pad(text, bound.int(0, 0)?, fill, name, budget)?);
        }
        "zfill" => {
            let width = args.bind(name, &["_width"], 1)?.int(0, 0)?;
            let (sign, digits) = match text.chars().next() {
                Some(sign @ ('+' | '-')) => (Some(sign), &text[1..]),
                _ => (None, &**text),
            };
            let padded = pad(digits, width - sign.is_some() as i128, '0', "rjust", budget)?;
            return made(sign.into_iter().collect::<String>() + &padded);
        }
        "expandtabs" => {
            let size = args.bind(name, &["tabsize"], 0)?.int(0, 8)?;
            return made(expand_tabs(text, usize::try_from(size).unwrap_or(0), budget)?);
        }
        _ => args.none(name)?,
    }
    match name {
        "upper" => made(text.to_uppercase()),
        "lower" => made(text.to_lowercase()),
        "casefold" => made(text.to_lowercase().replace('ß', "ss").replace('ς', "σ")),
        "capitalize" => made(capitalize(text)),
        "title" => made(title(text)),
        "swapcase" => made(text.chars().flat_map(swapped).collect()),
        _ => Ok(Value::Bool(kinds::is(name, text))),
    }
}

/// A list of texts.
pub fn texts(parts: Vec<&str>, safe: bool, budget: &Budget) -> Result<Value> {
    budget.bytes(parts.iter().map(|part| part.len()).sum())?;
    Value::list(parts.into_iter().map(|part| Value::Str(part.into(), safe)).collect(), budget)
}

pub fn join(separator: &str, safe: bool, items: &[Value], budget: &Budget) -> Result<Value> {
    let mut out = String::new();
    for (index, item) in items.iter().enumerate() {
        let Value::Str(item, item_safe) = item else {
            return fail(format!("sequence item {index}: expected str instance, {} found", item.type_name()));
        };
        budget.bytes(item.len() + separator.len())?;
        out.push_str(if index > 0 { separator } else { "" });
        if safe && !item_safe { out.push_str(&escape::html(item)) } else { out.push_str(item) }
    }
    Ok(Value::Str(out.into(), safe))
}

pub fn replace(text: &str, old: &str, new: &str, most: usize, budget: &Budget) -> Result<String> {
    let count = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() };
    budget.bytes(text.len().saturating_add(count.min(most).saturating_mul(new.len())))?;
    Ok(text.replacen(old, new, most))
}

pub fn strip<'t>(text: &'t str, chars: Option<&str>, left: bool, right: bool) -> &'t str {
    let stripped = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
    let text = if left { text.trim_start_matches(stripped) } else { text };
    if right { text.trim_end_matches(stripped) } else { text }
}

/// `center`, `ljust` or `rjust` to so many characters.
pub fn pad(text: &str, width: i128, fill: char, way: &str, budget: &Budget) -> Result<String> {
    let length = text.chars().count() as i128;
    let missing = usize::try_from((width - length).max(0)).unwrap_or(usize::MAX);
    budget.bytes(missing.saturating_mul(fill.len_utf8()).saturating_add(text.len()))?;
    let before = match way {
        "ljust" => 0,
        "rjust" => missing,
        _ => missing / 2 + (missing & width as usize & 1),
    };
    let fills = |count: usize| std::iter::repeat_n(fill, count);
    Ok(fills(before).chain(text.chars()).chain(fills(missing - before)).collect())
}

/// The first character as a title writes it.
fn titled(c: char) -> impl Iterator<Item = char> {
    // The digraphs have a form of their own in titles.
    let own = match c {
        'Ǆ'..='ǆ' => Some('ǅ'),
        'Ǉ'..='ǉ' => Some('ǈ'),
        'Ǌ'..='ǌ' => Some('ǋ'),
        'Ǳ'..='ǳ' => Some('ǲ'),
        _ => None,
    };
    let mut upper = own.unwrap_or(c).to_uppercase();
    let first = own.or_else(|| upper.next());
    let rest = if own.is_some() { None } else { Some(upper.flat_map(char::to_lowercase)) };
    first.into_iter().chain(rest.into_iter().flatten())
}

pub fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    titled(first).chain(chars.as_str().to_lowercase().chars()).collect()
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(titled(c));
        }
        inside = is_upper_or_lower(c);
    }
    out
}

fn swapped(c: char) -> Vec<char> {
    if c.is_uppercase() { c.to_lowercase().collect() } else { c.to_uppercase().collect() }
}

fn expand_tabs(text: &str, size: usize, budget: &Budget) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' if size > 0 => {
                let spaces = size - column % size;
                budget.bytes(spaces)?;
                out.extend(std::iter::repeat_n(' ', spaces));
                column += spaces;
            }
            '\t' => {}
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            c => {
                out.push(c);
                column += 1;
            }
        }
    }
    Ok(out)
}

fn encode(text: &str, args: Args, budget: &Budget) -> Result<Value> {
    let bound = args.bind("encode", &["encoding", "errors"], 0)?;
    let encoding = bound.printed(0, "utf-8", budget)?.to_lowercase().replace('_', "-");
    let errors = bound.printed(1, "strict", budget)?;
    budget.bytes(text.len())?;
    let most = match encoding.as_str() {
        "utf-8" | "utf8" => return Ok(Value::Bytes(text.as_bytes().into())),
        "ascii" | "us-ascii" => 0x7f,
        "latin-1" | "latin1" | "iso-8859-1" => 0xff,
        _ => return fail(format!("unknown encoding: {encoding}")),
    };
    let mut bytes = vec![];
    for c in text.chars() {
        match (u32::from(c), errors.as_str()) {
            (code, _) if code <= most => bytes.push(code as u8),
            (_, "ignore") => {}
            (_, "replace") => bytes.push(b'?'),
            (code, "xmlcharrefreplace") => bytes.extend(format!("&#{code};").bytes()),
            (_, "backslashreplace") => {
                let mut escape = String::new();
                crate::print::escaped(c, &mut escape);
                bytes.extend(escape.bytes());
            }
            _ => return fail(format!("'{encoding}' codec can't encode character {c:?}")),
        }
    }
    Ok(Value::Bytes(bytes.into()))
}

fn make_table(args: Args, budget: &Budget) -> Result<Value> {
    let bound = args.bind("maketrans", &["_x", "_y", "_z"], 1)?;
    let code = |c: char| Value::Int(u32::from(c).into());
    if bound.get(1).is_none() {
        let Value::Dict(dict) = bound.value(0) else {
            return fail("if you give only one argument to maketrans it must be a dict");
        };
        let mut entries = vec![];
        for (key, value) in &dict.entries {
            let key = match key {
                Value::Str(text, _) => match (text.chars().next(), text.chars().nth(1)) {
                    (Some(c), None) => code(c),
                    _ => return fail("string keys in translate table must be of length 1"),
                },
                key => key.clone(),
            };
            entries.push((key, value.clone()));
        }
        return Dict::of(entries, budget);
    }
    let (from, to) = (bound.text(0)?, bound.text(1)?);
    if from.chars().count() != to.chars().count() {
        return fail("the first two maketrans arguments must have equal length");
    }
    let mut entries: Vec<_> = from.chars().zip(to.chars()).map(|(from, to)| (code(from), code(to))).collect();
    if bound.get(2).is_some() {
        entries.extend(bound.text(2)?.chars().map(|c| (code(c), Value::None)));
    }
    Dict::of(entries, budget)
}

fn translate(run: &Run, text: &str, table: &Value) -> Result<String> {
    let mut out = String::new();
    for c in text.chars() {
        match operators::item(table, &Value::Int(u32::from(c).into()), &run.budget)? {
            None => out.push(c),
            Some(Value::None) => {}
            Some(Value::Str(text, _)) => {
                run.budget.bytes(text.len())?;
                out.push_str(&text);
            }
            Some(value) => match value.as_int().and_then(|n| u32::try_from(n).ok()).and_then(char::from_u32) {
                Some(c) => out.push(c),
                None => return fail("character mapping must return integer, None or str"),
            },
        }
    }
    Ok(out)
}
