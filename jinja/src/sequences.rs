//! Filters over lists and what else can be gone through.

use std::{cmp::Ordering, rc::Rc};

use crate::{
    error::{Result, fail},
    operators,
    run::{Args, Run},
    sort,
    value::{Dict, Items, Object, Value, View},
};

pub fn apply(run: &Run, name: &str, value: Value, args: Args) -> Result<Value> {
    let budget = &run.budget;
    let generator = |items: Vec<Value>| Ok(Object::iterator("generator", items));
    match name {
        "first" => {
            args.none(name)?;
            let first = match &value {
                Value::Object(object) => match &**object {
                    Object::Iterator { items, .. } => {
                        let mut items = items.borrow_mut();
                        if items.is_empty() { None } else { Some(items.remove(0)) }
                    }
                    _ => value.iterate(budget)?.into_iter().next(),
                },
                _ => value.iterate(budget)?.into_iter().next(),
            };
            Ok(first.unwrap_or_else(|| Value::Undefined("No first item, sequence was empty.".into())))
        }
        "last" => {
            args.none(name)?;
            if matches!(value, Value::Object(_)) {
                return fail(format!("'{}' object is not reversible", value.type_name()));
            }
            let last = value.iterate(budget)?.pop();
            Ok(last.unwrap_or_else(|| Value::Undefined("No last item, sequence was empty.".into())))
        }
        "random" => {
            args.none(name)?;
            if matches!(value, Value::Object(_) | Value::View(..) | Value::Dict(_)) {
                return fail(format!("'{}' object cannot be chosen from", value.type_name()));
            }
            let mut items = value.iterate(budget)?;
            if items.is_empty() {
                return Ok(Value::Undefined("No random item, sequence was empty.".into()));
            }
            let chosen = run.draw(items.len());
            Ok(items.swap_remove(chosen))
        }
        "list" => {
            args.none(name)?;
            Value::list(value.iterate(budget)?, budget)
        }
        "items" => {
            args.none(name)?;
            match value {
                Value::Undefined(_) => generator(vec![]),
                Value::Dict(dict) => generator(dict.entries.iter().map(|entry| View::Items.of(entry)).collect()),
                _ => fail("Can only get item pairs from a mapping."),
            }
        }
        "reverse" => {
            args.none(name)?;
            if let Value::Str(text, safe) = &value {
                budget.bytes(text.len())?;
                return Ok(Value::Str(text.chars().rev().collect::<String>().into(), *safe));
            }
            let mut items = value.iterate(budget)?;
            items.reverse();
            match &value {
                Value::Object(_) => Value::list(items, budget),
                Value::List(_) => Ok(Object::iterator("list_reverseiterator", items)),
                _ => Ok(Object::iterator("reversed", items)),
            }
        }
        "join" => {
            let bound = args.bind(name, &["d", "attribute"], 0)?;
            let separator = bound.printed(0, "", budget)?;
            let path = bound.given(1).map(Path::of).transpose()?;
            let mut out = String::new();
            for (index, item) in value.iterate(budget)?.iter().enumerate() {
                budget.bytes(separator.len())?;
                out.push_str(if index > 0 { &separator } else { "" });
                match &path {
                    Some(path) => path.get(run, item, None)?.print_into(&mut out, budget)?,
                    None => item.print_into(&mut out, budget)?,
                }
            }
            Value::string(out, budget)
        }
        "batch" => {
            let bound = args.bind(name, &["linecount", "fill_with"], 1)?;
            let size = usize::try_from(bound.int(0, 0)?).unwrap_or(0);
            let items = value.iterate(budget)?;
            if size == 0 {
                // The line before the first item is full already, and the next never is.
                let none = items.is_empty();
                let lines = [Value::list(vec![], budget)?, Value::list(items, budget)?];
                return generator(if none { vec![] } else { lines.into() });
            }
            let mut lines: Vec<Vec<Value>> = items.chunks(size).map(<[Value]>::to_vec).collect();
            if let (Some(last), Some(fill)) = (lines.last_mut(), bound.given(1)) {
                budget.bytes((size - last.len()).saturating_mul(size_of::<Value>()))?;
                last.resize(size, fill.clone());
            }
            generator(lines.into_iter().map(|line| Value::list(line, budget)).collect::<Result<_>>()?)
        }
        "slice" => {
            let bound = args.bind(name, &["slices", "fill_with"], 1)?;
            let count = bound.int(0, 0)?;
            let items = value.iterate(budget)?;
            if count == 0 {
                return fail("integer division or modulo by zero");
            }
            let count = usize::try_from(count).unwrap_or(0);
            budget.bytes(count.saturating_mul(64))?;
            let each = items.len().checked_div(count).unwrap_or(0);
            let longer = items.len() - each * count;
            let mut slices = vec![];
            let mut from = 0;
            for index in 0..count {
                let to = from + each + usize::from(index < longer);
                let mut slice = items.get(from..to).unwrap_or_default().to_vec();
                if let (Some(fill), true) = (bound.given(1), index >= longer) {
                    slice.push(fill.clone());
                }
                slices.push(Value::list(slice, budget)?);
                from = to;
            }
            generator(slices)
        }
        "sum" => {
            let bound = args.bind(name, &["attribute", "start"], 0)?;
            let path = bound.given(0).map(Path::of).transpose()?;
            let mut sum = bound.get(1).cloned().unwrap_or(Value::Int(0));
            if matches!(sum, Value::Str(..)) {
                return fail("sum() can't sum strings [use ''.join(seq) instead]");
            }
            for item in value.iterate(budget)? {
                let item = match &path {
                    Some(path) => path.get(run, &item, None)?,
                    None => item,
                };
                sum = operators::binary(crate::syntax::Operator::Add, &sum, &item, budget)?;
            }
            Ok(sum)
        }
        "dictsort" => dictsort(run, value, args),
        "sort" => {
            let bound = args.bind(name, &["reverse", "case_sensitive", "attribute"], 0)?;
            let paths = match bound.given(2) {
                Some(Value::Str(attributes, _)) => attributes.split(',').map(Path::parse).collect::<Result<_>>()?,
                Some(other) => vec![Path::of(other)?],
                None => vec![Path(vec![])],
            };
            let key = |item: &Value| {
                let keys = paths.iter().map(|path| folded(path.get(run, item, None)?, bound.truth(1)));
                Value::list(keys.collect::<Result<_>>()?, budget)
            };
            Value::list(sorted(run, value.iterate(budget)?, bound.truth(0), key)?, budget)
        }
        "unique" => {
            let bound = args.bind(name, &["case_sensitive", "attribute"], 0)?;
            let path = bound.given(1).map_or(Ok(Path(vec![])), Path::of)?;
            let (mut seen, mut kept) = (vec![], vec![]);
            for item in value.iterate(budget)? {
                let key = folded(path.get(run, &item, None)?, bound.truth(0))?;
                operators::hashable(&key)?;
                let mut known = false;
                for earlier in &seen {
                    if operators::equal(earlier, &key, budget)? {
                        known = true;
                        break;
                    }
                }
                if !known {
                    seen.push(key);
                    kept.push(item);
                }
            }
            generator(kept)
        }
        "min" | "max" => {
            let bound = args.bind(name, &["case_sensitive", "attribute"], 0)?;
            let path = bound.given(1).map_or(Ok(Path(vec![])), Path::of)?;
            let mut best: Option<(Value, Value)> = None;
            for item in value.iterate(budget)? {
                let key = folded(path.get(run, &item, None)?, bound.truth(0))?;
                let (symbol, wanted) = if name == "min" { ("<", Ordering::Less) } else { (">", Ordering::Greater) };
                let better = match &best {
                    Some((known, _)) => operators::order(symbol, &key, known, budget)? == Some(wanted),
                    None => true,
                };
                if better {
                    best = Some((key, item));
                }
            }
            Ok(best
                .map_or_else(|| Value::Undefined("No aggregated item, sequence was empty.".into()), |(_, item)| item))
        }
        _ => groupby(run, value, args),
    }
}

/// The way from an item to what is asked of it: names and numbers with dots between them.
#[derive(Default)]
pub struct Path(Vec<Value>);

impl Path {
    pub fn of(attribute: &Value) -> Result<Self> {
        match attribute {
            Value::Str(text, _) => Self::parse(text),
            other => Ok(Self(vec![other.clone()])),
        }
    }

    fn parse(text: &str) -> Result<Self> {
        let part = |part: &str| match part.parse::<u32>() {
            Ok(index) if part.bytes().all(|byte| byte.is_ascii_digit()) => Value::Int(index.into()),
            _ => Value::text(part),
        };
        Ok(Self(text.split('.').map(part).collect()))
    }

    pub fn get(&self, run: &Run, item: &Value, default: Option<&Value>) -> Result<Value> {
        let mut value = item.clone();
        for part in &self.0 {
            run.budget.step(1)?;
            value = run.item(&value, part)?;
            if let (true, Some(default)) = (value.is_undefined(), default) {
                value = default.clone();
            }
        }
        Ok(value)
    }
}

/// Texts are compared without regard to case unless it is asked for.
fn folded(value: Value, case_sensitive: bool) -> Result<Value> {
    Ok(match value {
        Value::Str(text, safe) if !case_sensitive => Value::Str(text.to_lowercase().into(), safe),
        other => other,
    })
}

/// Stable; in reverse too, equal items keep their order.
fn sorted(run: &Run, items: Vec<Value>, reverse: bool, key: impl Fn(&Value) -> Result<Value>) -> Result<Vec<Value>> {
    let keys = items.iter().map(key).collect::<Result<Vec<_>>>()?;
    let places = sort::places(items.len(), &mut |a, b| {
        let order = operators::order("<", &keys[a], &keys[b], &run.budget)?.unwrap_or(Ordering::Equal);
        Ok(order == if reverse { Ordering::Less } else { Ordering::Greater })
    })?;
    Ok(places.into_iter().map(|place| items[place].clone()).collect())
}

fn dictsort(run: &Run, value: Value, args: Args) -> Result<Value> {
    let bound = args.bind("dictsort", &["case_sensitive", "by", "reverse"], 0)?;
    let place = match bound.printed(1, "key", &run.budget)?.as_str() {
        "key" => 0,
        "value" => 1,
        _ => return fail("You can only sort by either \"key\" or \"value\""),
    };
    value.defined()?;
    let Value::Dict(dict) = &value else {
        return fail(format!("'{}' object has no attribute 'items'", value.type_name()));
    };
    let items = Value::View(View::Items, dict.clone()).iterate(&run.budget)?;
    let key = |item: &Value| {
        let key = operators::item(item, &Value::Int(place), &run.budget)?;
        folded(key.unwrap_or(Value::None), bound.truth(0))
    };
    Value::list(sorted(run, items, bound.truth(2), key)?, &run.budget)
}

fn groupby(run: &Run, value: Value, args: Args) -> Result<Value> {
    let budget = &run.budget;
    let bound = args.bind("groupby", &["attribute", "default", "case_sensitive"], 1)?;
    let path = Path::of(&bound.value(0))?;
    let key = |item: &Value| folded(path.get(run, item, bound.given(1))?, bound.truth(2));
    let mut groups: Vec<(Value, Value, Vec<Value>)> = vec![];
    for item in sorted(run, value.iterate(budget)?, false, key)? {
        let found = key(&item)?;
        match groups.last_mut() {
            Some((known, _, items)) if operators::equal(known, &found, budget)? => items.push(item),
            _ => groups.push((found, path.get(run, &item, bound.given(1))?, vec![item])),
        }
    }
    let groups = groups
        .into_iter()
        .map(|(_, shown, items)| Ok(Value::Tuple(Rc::new(Items::group(shown, Value::list(items, budget)?)))));
    Value::list(groups.collect::<Result<_>>()?, budget)
}

/// `dict(…)`: of a dictionary or of pairs, with keywords behind them.
pub fn dictionary(run: &Run, args: Args) -> Result<Vec<(Value, Value)>> {
    let Args { positional, keyword } = args;
    let mut entries = vec![];
    match positional.as_slice() {
        [] => {}
        [Value::Dict(dict)] => entries.extend(dict.entries.iter().cloned()),
        [pairs] => {
            for (index, pair) in pairs.iterate(&run.budget)?.iter().enumerate() {
                match <[Value; 2]>::try_from(pair.iterate(&run.budget)?) {
                    Ok([key, value]) => entries.push((key, value)),
                    Err(other) => {
                        return fail(format!(
                            "dictionary update sequence element #{index} has length {}; 2 is required",
                            other.len()
                        ));
                    }
                }
            }
        }
        _ => return fail(format!("dict expected at most 1 argument, got {}", positional.len())),
    }
    entries.extend(keyword.into_iter().map(|(name, value)| (Value::Str(name, false), value)));
    match Dict::of(entries, &run.budget)? {
        Value::Dict(dict) => Ok(dict.entries.clone()),
        _ => Ok(vec![]),
    }
}
