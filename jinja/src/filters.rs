//! Jinja's filters, with transformers' `tojson` in the place of its own.

use crate::{
    error::{Result, fail},
    escape, json, numbers, operators, percent, pprint,
    run::{Args, Run},
    sequences, strings, tests, urlize,
    value::{Object, Value},
    wrap,
};

/// `value | name(args)`.
pub fn apply(run: &Run, name: &str, value: Value, args: Args) -> Result<Value> {
    let budget = &run.budget;
    match name {
        "batch" | "dictsort" | "first" | "groupby" | "items" | "join" | "last" | "list" | "max" | "min" | "random"
        | "reverse" | "slice" | "sort" | "sum" | "unique" => sequences::apply(run, name, value, args),
        "map" => map(run, value, args),
        "select" | "reject" | "selectattr" | "rejectattr" => select(run, name, value, args),
        "capitalize" | "lower" | "upper" => {
            let (text, safe) = soft(run, &value)?;
            strings::call(run, &text, safe, name, args)
        }
        "center" => {
            let width = args.bind(name, &["width"], 0)?.int(0, 80)?;
            let (text, safe) = soft(run, &value)?;
            Ok(Value::Str(strings::pad(&text, width, ' ', name, budget)?.into(), safe))
        }
        "title" => {
            args.none(name)?;
            let (text, _) = soft(run, &value)?;
            Value::string(title(&text), budget)
        }
        "trim" => {
            let bound = args.bind(name, &["chars"], 0)?;
            let chars = bound.given(0).map(|_| bound.text(0)).transpose()?;
            let (text, safe) = soft(run, &value)?;
            budget.bytes(text.len())?;
            Ok(Value::Str(strings::strip(&text, chars.as_deref(), true, true).into(), safe))
        }
        "replace" => {
            let bound = args.bind(name, &["old", "new", "count"], 2)?;
            let most = if bound.given(2).is_some() { bound.int(2, -1)? } else { -1 };
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            let (old, new) = (bound.printed(0, "", budget)?, bound.printed(1, "", budget)?);
            Value::string(strings::replace(&value.print(budget)?, &old, &new, most, budget)?, budget)
        }
        "string" => {
            args.none(name)?;
            let (text, safe) = soft(run, &value)?;
            Ok(Value::Str(text, safe))
        }
        "safe" => {
            args.none(name)?;
            Ok(Value::Str(value.print(budget)?.into(), true))
        }
        "e" | "escape" | "forceescape" => {
            args.none(name)?;
            Ok(match &value {
                Value::Str(_, true) if name != "forceescape" => value,
                _ => Value::Str(escape::html(&value.print(budget)?).into(), true),
            })
        }
        "striptags" => {
            args.none(name)?;
            Value::string(escape::strip_tags(&value.print(budget)?), budget)
        }
        "urlencode" => {
            args.none(name)?;
            urlencode(run, &value)
        }
        "urlize" => urlize::urlize(run, &value, args),
        "xmlattr" => xmlattr(run, &value, args),
        "indent" => wrap::indent(run, &value, args),
        "wordwrap" => wrap::wordwrap(run, &value, args),
        "truncate" => wrap::truncate(run, &value, args),
        "wordcount" => {
            args.none(name)?;
            let (text, _) = soft(run, &value)?;
            let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
            Ok(Value::Int(words.count() as i128))
        }
        "format" => {
            if !args.positional.is_empty() && !args.keyword.is_empty() {
                return fail("can't handle positional and keyword arguments at the same time");
            }
            let (text, safe) = soft(run, &value)?;
            let values = if args.keyword.is_empty() {
                Value::tuple(args.positional, budget)?
            } else {
                let entries = args.keyword.into_iter().map(|(name, value)| (Value::Str(name, false), value)).collect();
                crate::value::Dict::of(entries, budget)?
            };
            percent::format(&text, safe, &values, budget)
        }
        "tojson" => {
            let bound = args.bind(name, &["ensure_ascii", "indent", "separators", "sort_keys"], 0)?;
            Value::string(json::dumps(&value, &json::Style::of(&bound, budget)?, budget)?, budget)
        }
        "pprint" => {
            args.none(name)?;
            Value::string(pprint::pformat(&value, budget)?, budget)
        }
        "length" | "count" => {
            args.none(name)?;
            match value.len() {
                Some(length) => Ok(Value::Int(length as i128)),
                None => fail(format!("object of type '{}' has no len()", value.type_name())),
            }
        }
        "default" | "d" => {
            let bound = args.bind(name, &["default_value", "boolean"], 0)?;
            let absent = value.is_undefined() || (bound.truth(1) && !value.truth());
            Ok(if absent { bound.get(0).cloned().unwrap_or_else(|| Value::text("")) } else { value })
        }
        "attr" => {
            let name = args.bind(name, &["name"], 1)?.text(0)?;
            attr(run, &value, &name)
        }
        "abs" | "float" | "int" | "round" | "filesizeformat" => number(name, value, args, run),
        _ => fail(format!("No filter named '{name}' found.")),
    }
}

/// The value as a text; what is safe in HTML stays so.
fn soft(run: &Run, value: &Value) -> Result<(std::rc::Rc<str>, bool)> {
    match value {
        Value::Str(text, safe) => Ok((text.clone(), *safe)),
        _ => Ok((value.print(&run.budget)?.into(), false)),
    }
}

/// An attribute, never an item.
fn attr(run: &Run, value: &Value, name: &str) -> Result<Value> {
    value.defined()?;
    let found = run.attribute(value, name)?;
    let item = operators::item(value, &Value::text(name), &run.budget)?;
    let is_item = item.is_some_and(|item| {
        !matches!(&found, Value::Object(o) if matches!(**o, Object::Method(..)))
            && !found.is_undefined()
            && operators::equal(&item, &found, &run.budget).unwrap_or(false)
    });
    if is_item {
        return Ok(Value::Undefined(format!("'{} object' has no attribute '{name}'", value.type_name()).into()));
    }
    Ok(found)
}

/// Jinja's own idea of a title: words begin behind spaces, dashes and opening brackets.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        if crate::lexer::is_space(c) || "-({[<".contains(c) {
            out.push(c);
            begins = true;
        } else if begins {
            out.extend(c.to_uppercase());
            begins = false;
        } else {
            out.extend(c.to_lowercase());
        }
    }
    out
}

fn urlencode(run: &Run, value: &Value) -> Result<Value> {
    let budget = &run.budget;
    let pairs = match value {
        Value::Dict(dict) => dict.entries.clone(),
        Value::List(_)
        | Value::Tuple(_)
        | Value::View(..)
        | Value::Range(_)
        | Value::Object(_)
        | Value::Undefined(_) => {
            let mut pairs = vec![];
            for entry in value.iterate(budget)? {
                match entry.iterate(budget)?.as_slice() {
                    [key, value] => pairs.push((key.clone(), value.clone())),
                    entry => return fail(format!("not enough values to unpack (expected 2, got {})", entry.len())),
                }
            }
            pairs
        }
        Value::Bytes(bytes) => return Value::string(escape::percent(bytes, false), budget),
        _ => return Value::string(escape::percent(value.print(budget)?.as_bytes(), false), budget),
    };
    let mut parts = vec![];
    for (key, value) in pairs {
        let [key, value] = [key.print(budget)?, value.print(budget)?];
        parts.push(format!("{}={}", escape::percent(key.as_bytes(), true), escape::percent(value.as_bytes(), true)));
    }
    Value::string(parts.join("&"), budget)
}

fn xmlattr(run: &Run, value: &Value, args: Args) -> Result<Value> {
    let bound = args.bind("xmlattr", &["autospace"], 0)?;
    let autospace = bound.get(0).is_none_or(Value::truth);
    let Value::Dict(dict) = value else {
        value.defined()?;
        return fail(format!("'{}' object has no attribute 'items'", value.type_name()));
    };
    let mut out = String::new();
    for (key, value) in &dict.entries {
        if matches!(value, Value::None | Value::Undefined(_)) {
            continue;
        }
        let Value::Str(key, _) = key else { return fail("expected string or bytes-like object") };
        if key.contains(|c: char| c.is_ascii_whitespace() || c == '\x0b' || "/>=".contains(c)) {
            return fail(format!("Invalid character in attribute name: {}", Value::text(key).repr(&run.budget)?));
        }
        let value = match value {
            Value::Str(text, true) => text.to_string(),
            value => escape::html(&value.print(&run.budget)?),
        };
        out.push_str(if out.is_empty() && !autospace { "" } else { " " });
        out.push_str(&format!("{}=\"{value}\"", escape::html(key)));
    }
    Ok(Value::Str(out.into(), run.autoescape.get()))
}

fn number(name: &str, value: Value, args: Args, run: &Run) -> Result<Value> {
    match name {
        "abs" => {
            args.none(name)?;
            value.defined()?;
            match (value.as_int(), &value) {
                (Some(n), _) => n.checked_abs().map_or_else(numbers::too_large, |n| Ok(Value::Int(n))),
                (_, Value::Float(x)) => Ok(Value::Float(x.abs())),
                _ => fail(format!("bad operand type for abs(): '{}'", value.type_name())),
            }
        }
        "int" => {
            let bound = args.bind(name, &["default", "base"], 0)?;
            value.defined()?;
            let base = bound.int(1, 10)?;
            let number = match &value {
                Value::Str(text, _) => match numbers::parse_int(text, base) {
                    Some(n) => Some(n),
                    None => numbers::parse_float(text).filter(|x| x.is_finite()).map(numbers::truncated).transpose()?,
                },
                Value::Float(x) if !x.is_nan() => Some(numbers::truncated(*x)?),
                _ => value.as_int(),
            };
            Ok(number.map_or_else(|| bound.get(0).cloned().unwrap_or(Value::Int(0)), Value::Int))
        }
        "float" => {
            let bound = args.bind(name, &["default"], 0)?;
            value.defined()?;
            let number = match &value {
                Value::Str(text, _) => numbers::parse_float(text),
                _ => numbers::as_float(&value),
            };
            Ok(number.map_or_else(|| bound.get(0).cloned().unwrap_or(Value::Float(0.0)), Value::Float))
        }
        "round" => {
            let bound = args.bind(name, &["precision", "method"], 0)?;
            let precision = bound.int(0, 0)?;
            let method = bound.printed(1, "common", &run.budget)?;
            value.defined()?;
            round(&value, precision, &method)
        }
        _ => {
            let binary = args.bind(name, &["binary"], 0)?.truth(0);
            value.defined()?;
            let bytes = match &value {
                Value::Str(text, _) => numbers::parse_float(text),
                _ => numbers::as_float(&value),
            };
            match bytes {
                Some(bytes) => Ok(Value::text(&file_size(bytes, binary))),
                None => fail("could not convert the value to a float"),
            }
        }
    }
}

fn round(value: &Value, precision: i128, method: &str) -> Result<Value> {
    let Some(x) = numbers::as_float(value) else {
        return fail(format!("type {} doesn't define __round__ method", value.type_name()));
    };
    match (method, value.as_int()) {
        ("common", Some(n)) if precision >= 0 => Ok(Value::Int(n)),
        ("common", Some(n)) => {
            let Some(unit) = u32::try_from(-precision).ok().and_then(|digits| 10i128.checked_pow(digits)) else {
                return Ok(Value::Int(0));
            };
            let (down, rest) = (numbers::floor_div(n, unit)?, numbers::modulo(n, unit)?);
            let up = rest * 2 > unit || (rest * 2 == unit && down % 2 != 0);
            Ok(Value::Int((down + i128::from(up)) * unit))
        }
        ("common", None) => Ok(Value::Float(numbers::round(x, precision))),
        ("ceil" | "floor", _) => {
            let unit = 10f64.powi(precision.clamp(-400, 400) as i32);
            let scaled = x * unit;
            numbers::truncated(scaled)?;
            Ok(Value::Float(if method == "ceil" { scaled.ceil() } else { scaled.floor() } / unit))
        }
        _ => fail("method must be common, ceil or floor"),
    }
}

fn file_size(bytes: f64, binary: bool) -> String {
    let (base, suffix) = if binary { (1024f64, "iB") } else { (1000f64, "B") };
    if bytes == 1.0 {
        return "1 Byte".into();
    }
    if bytes < base {
        return format!("{} Bytes", bytes as i64);
    }
    let letters = [if binary { 'K' } else { 'k' }, 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];
    let power = (0..7).find(|power| bytes < base.powi(power + 2)).unwrap_or(7);
    format!("{:.1} {}{suffix}", base * bytes / base.powi(power + 2), letters[power as usize])
}

fn map(run: &Run, value: Value, mut args: Args) -> Result<Value> {
    if !value.truth() {
        return Ok(Object::iterator("generator", vec![]));
    }
    let items = value.iterate(&run.budget)?;
    let mut made = vec![];
    if args.positional.is_empty() && args.keyword.iter().any(|(name, _)| &**name == "attribute") {
        let bound = args.bind("map", &["attribute", "default"], 1)?;
        let path = sequences::Path::of(&bound.value(0))?;
        for item in &items {
            made.push(path.get(run, item, bound.given(1))?);
        }
    } else {
        if args.positional.is_empty() {
            return fail("map requires a filter argument");
        }
        let name = args.positional.remove(0).print(&run.budget)?;
        for item in items {
            run.budget.step(1)?;
            made.push(apply(run, &name, item, args.copy())?);
        }
    }
    Ok(Object::iterator("generator", made))
}

fn select(run: &Run, name: &str, value: Value, mut args: Args) -> Result<Value> {
    let mut kept = vec![];
    if !value.truth() {
        return Ok(Object::iterator("generator", kept));
    }
    let path = match name.ends_with("attr") {
        true if args.positional.is_empty() => return fail("Missing parameter for attribute name"),
        true => sequences::Path::of(&args.positional.remove(0))?,
        false => sequences::Path::default(),
    };
    let test = if args.positional.is_empty() { None } else { Some(args.positional.remove(0).print(&run.budget)?) };
    let wanted = name.starts_with("select");
    for item in value.iterate(&run.budget)? {
        run.budget.step(1)?;
        let tested = path.get(run, &item, None)?;
        let passes = match &test {
            Some(test) => tests::apply(run, test, &tested, args.copy())?,
            None => tested.truth(),
        };
        if passes == wanted {
            kept.push(item);
        }
    }
    Ok(Object::iterator("generator", kept))
}
