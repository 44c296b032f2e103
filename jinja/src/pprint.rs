//! `pprint.pformat`: on one line where it fits into 80 columns, else an item a line; keys are sorted.

use crate::{
    budget::Budget,
    error::Result,
    operators, print, sort,
    value::{Dict, Value},
};

const WIDTH: usize = 80;

pub fn pformat(value: &Value, budget: &Budget) -> Result<String> {
    let mut out = String::new();
    format(&sorted(value, budget)?, 0, 0, 0, &mut out, budget)?;
    Ok(out)
}

/// The same value with all keys in order, where they have one.
fn sorted(value: &Value, budget: &Budget) -> Result<Value> {
    budget.enter()?;
    let all = |values: &[Value]| values.iter().map(|value| sorted(value, budget)).collect::<Result<Vec<_>>>();
    let sorted = match value {
        Value::List(items) => Value::list(all(&items.values)?, budget)?,
        Value::Tuple(items) => Value::tuple(all(&items.values)?, budget)?,
        Value::Dict(dict) => {
            let entries = dict.entries.iter().map(|(key, value)| Ok((key.clone(), sorted(value, budget)?)));
            let entries = entries.collect::<Result<Vec<(Value, Value)>>>()?;
            let places = sort::places(entries.len(), &mut |a, b| {
                let (a, b) = (&entries[a].0, &entries[b].0);
                let by_type = || a.type_name().cmp(b.type_name());
                let order = operators::order("<", a, b, budget).ok().flatten().unwrap_or_else(by_type);
                Ok(order == std::cmp::Ordering::Greater)
            })?;
            let entries = places.into_iter().map(|place| entries[place].clone()).collect();
            Value::Dict(Dict::new(entries, budget)?)
        }
        other => other.clone(),
    };
    budget.leave();
    Ok(sorted)
}

fn format(
    value: &Value,
    indent: usize,
    allowance: usize,
    level: usize,
    out: &mut String,
    budget: &Budget,
) -> Result<()> {
    budget.enter()?;
    let whole = value.repr(budget)?;
    let fits = whole.chars().count() <= WIDTH.saturating_sub(indent + allowance);
    let gap = |indent: usize| format!(",\n{}", " ".repeat(indent));
    match value {
        Value::List(items) | Value::Tuple(items) if !fits => {
            let list = matches!(value, Value::List(_));
            let end = if list {
                "]"
            } else if items.values.len() == 1 {
                ",)"
            } else {
                ")"
            };
            out.push(if list { '[' } else { '(' });
            for (index, item) in items.values.iter().enumerate() {
                budget.bytes(indent)?;
                out.push_str(&if index > 0 { gap(indent + 1) } else { String::new() });
                let last = index + 1 == items.values.len();
                format(item, indent + 1, if last { allowance + end.len() } else { 1 }, level + 1, out, budget)?;
            }
            out.push_str(end);
        }
        Value::Dict(dict) if !fits && !dict.entries.is_empty() => {
            out.push('{');
            for (index, (key, item)) in dict.entries.iter().enumerate() {
                budget.bytes(indent)?;
                out.push_str(&if index > 0 { gap(indent + 1) } else { String::new() });
                let key = key.repr(budget)?;
                out.push_str(&key);
                out.push_str(": ");
                let last = index + 1 == dict.entries.len();
                let inner = indent + key.chars().count() + 3;
                format(item, inner, if last { allowance + 1 } else { 1 }, level + 1, out, budget)?;
            }
            out.push('}');
        }
        Value::Str(text, _) if !fits && !text.is_empty() => string(text, indent, allowance, level == 0, out, budget)?,
        _ => out.push_str(&whole),
    }
    budget.leave();
    Ok(())
}

/// A long text in pieces, one a line, cut behind white space.
fn string(
    text: &str,
    indent: usize,
    allowance: usize,
    outermost: bool,
    out: &mut String,
    budget: &Budget,
) -> Result<()> {
    let (indent, allowance) = if outermost { (indent + 1, allowance + 1) } else { (indent, allowance) };
    let most = WIDTH.saturating_sub(indent);
    let quoted = |text: &str| {
        let mut out = String::new();
        print::quoted(text, &mut out);
        out
    };
    let mut pieces = vec![];
    let lines = crate::strings::lines(text, true);
    for (index, line) in lines.iter().enumerate() {
        let last_line = index + 1 == lines.len();
        budget.bytes(line.len().saturating_mul(8))?;
        let whole = quoted(line);
        if whole.chars().count() <= if last_line { most.saturating_sub(allowance) } else { most } {
            pieces.push(whole);
            continue;
        }
        let mut current = String::new();
        let mut rest = *line;
        while !rest.is_empty() {
            let word = rest.find(crate::lexer::is_space).unwrap_or(rest.len());
            let blank = rest[word..].len() - rest[word..].trim_start_matches(crate::lexer::is_space).len();
            let (part, after) = rest.split_at(word + blank);
            budget.step(current.len() / 8)?;
            let room = if after.is_empty() && last_line { most.saturating_sub(allowance) } else { most };
            if !current.is_empty() && quoted(&format!("{current}{part}")).chars().count() > room {
                pieces.push(quoted(&current));
                current.clear();
            }
            current.push_str(part);
            rest = after;
        }
        pieces.extend((!current.is_empty()).then(|| quoted(&current)));
    }
    if let [only] = pieces.as_slice() {
        out.push_str(only);
        return Ok(());
    }
    out.push_str(if outermost { "(" } else { "" });
    budget.bytes(pieces.len().saturating_mul(indent))?;
    out.push_str(&pieces.join(&format!("\n{}", " ".repeat(indent))));
    out.push_str(if outermost { ")" } else { "" });
    Ok(())
}
