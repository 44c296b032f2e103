//! `json.dumps`, as transformers' `tojson` calls it: characters as they are unless `ensure_ascii` is asked for, keys in their order.

use crate::{
    budget::Budget,
    error::{Result, fail},
    operators, print,
    run::Bound,
    sort,
    value::Value,
};

/// How JSON is laid out.
pub struct Style {
    ascii: bool,
    indent: Option<String>,
    between: String,
    behind_key: String,
    sorted: bool,
}

impl Style {
    /// Of the arguments `ensure_ascii`, `indent`, `separators`, `sort_keys`.
    pub fn of(bound: &Bound, budget: &Budget) -> Result<Self> {
        let indent = match bound.given(1) {
            None => None,
            Some(Value::Str(text, _)) => Some(text.to_string()),
            Some(_) => {
                let width = usize::try_from(bound.int(1, 0)?).unwrap_or(0);
                budget.bytes(width)?;
                Some(" ".repeat(width))
            }
        };
        let (between, behind_key) = match bound.given(2) {
            None => (if indent.is_some() { "," } else { ", " }.into(), ": ".into()),
            Some(separators) => match separators.iterate(budget)?.as_slice() {
                [Value::Str(between, _), Value::Str(behind_key, _)] => (between.to_string(), behind_key.to_string()),
                _ => return fail("separators are two texts: one between items, one behind a key"),
            },
        };
        Ok(Self { ascii: bound.truth(0), indent, between, behind_key, sorted: bound.truth(3) })
    }
}

pub fn dumps(value: &Value, style: &Style, budget: &Budget) -> Result<String> {
    let mut out = String::new();
    write(value, style, 0, &mut out, budget)?;
    Ok(out)
}

fn write(value: &Value, style: &Style, level: usize, out: &mut String, budget: &Budget) -> Result<()> {
    budget.enter()?;
    budget.bytes(16)?;
    match value {
        Value::None => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(n) => out.push_str(&n.to_string()),
        Value::Float(x) => out.push_str(&number(*x)),
        Value::Str(text, _) => string(text, style.ascii, out, budget)?,
        Value::List(items) | Value::Tuple(items) if items.values.is_empty() => out.push_str("[]"),
        Value::List(items) | Value::Tuple(items) => {
            out.push('[');
            for (index, item) in items.values.iter().enumerate() {
                separate(index, style, level + 1, out, budget)?;
                write(item, style, level + 1, out, budget)?;
            }
            line(style, level, out, budget)?;
            out.push(']');
        }
        Value::Dict(dict) if dict.entries.is_empty() => out.push_str("{}"),
        Value::Dict(dict) => {
            let mut places: Vec<usize> = (0..dict.entries.len()).collect();
            if style.sorted {
                places = sort::places(places.len(), &mut |a, b| {
                    let order = operators::order("<", &dict.entries[a].0, &dict.entries[b].0, budget)?;
                    Ok(order == Some(std::cmp::Ordering::Greater))
                })?;
            }
            out.push('{');
            for (index, place) in places.into_iter().enumerate() {
                let (key, value) = &dict.entries[place];
                separate(index, style, level + 1, out, budget)?;
                let key = match key {
                    Value::Str(text, _) => text.to_string(),
                    Value::None => "null".into(),
                    Value::Bool(b) => b.to_string(),
                    Value::Int(n) => n.to_string(),
                    Value::Float(x) => number(*x),
                    other => {
                        return fail(format!("keys must be str, int, float, bool or None, not {}", other.type_name()));
                    }
                };
                string(&key, style.ascii, out, budget)?;
                budget.bytes(style.behind_key.len())?;
                out.push_str(&style.behind_key);
                write(value, style, level + 1, out, budget)?;
            }
            line(style, level, out, budget)?;
            out.push('}');
        }
        other => return fail(format!("Object of type {} is not JSON serializable", other.type_name())),
    }
    budget.leave();
    Ok(())
}

fn separate(index: usize, style: &Style, level: usize, out: &mut String, budget: &Budget) -> Result<()> {
    if index > 0 {
        budget.bytes(style.between.len())?;
        out.push_str(&style.between);
    }
    line(style, level, out, budget)
}

fn line(style: &Style, level: usize, out: &mut String, budget: &Budget) -> Result<()> {
    if let Some(indent) = &style.indent {
        budget.bytes(1 + indent.len().saturating_mul(level))?;
        out.push('\n');
        (0..level).for_each(|_| out.push_str(indent));
    }
    Ok(())
}

fn number(x: f64) -> String {
    if x.is_nan() {
        return "NaN".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    print::float(x)
}

fn string(text: &str, ascii: bool, out: &mut String, budget: &Budget) -> Result<()> {
    budget.bytes(text.len().saturating_mul(if ascii { 3 } else { 1 }) + 2)?;
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0c' => out.push_str("\\f"),
            '\x08' => out.push_str("\\b"),
            c if c < ' ' || (ascii && !c.is_ascii()) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    Ok(())
}
