//! `str.format` and `str.format_map`, with attributes and items looked up as the sandbox allows.

use crate::{
    budget::Budget,
    error::{Result, fail},
    escape, numbers, operators, percent, print,
    run::{Args, Run},
    value::{Dict, Value},
};

/// Where values come from, and how many were taken in turn; `None` once they were taken by number.
struct Values {
    positional: Vec<Value>,
    named: Value,
    turn: Option<usize>,
}

pub fn format(run: &Run, text: &str, safe: bool, args: Args) -> Result<Value> {
    let named = args.keyword.into_iter().map(|(name, value)| (Value::Str(name, false), value)).collect();
    let named = Value::Dict(Dict::new(named, &run.budget)?);
    let mut values = Values { positional: args.positional, named, turn: Some(0) };
    Ok(Value::Str(fill(run, text, safe, &mut values, 2)?.into(), safe))
}

pub fn format_map(run: &Run, text: &str, safe: bool, map: Value) -> Result<Value> {
    let mut values = Values { positional: vec![], named: map, turn: Some(0) };
    Ok(Value::Str(fill(run, text, safe, &mut values, 2)?.into(), safe))
}

fn fill(run: &Run, text: &str, safe: bool, values: &mut Values, depth: usize) -> Result<String> {
    if depth == 0 {
        return fail("Max string recursion exceeded");
    }
    let budget = &run.budget;
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, mark) = rest.split_at(at);
        budget.bytes(before.len() + 8)?;
        out.push_str(before);
        let brace = &mark[..1];
        if mark[1..].starts_with(brace) {
            out.push_str(brace);
            rest = &mark[2..];
            continue;
        }
        if brace == "}" {
            return fail("Single '}' encountered in format string");
        }
        let Some(end) = field_end(&mark[1..]) else { return fail("expected '}' before end of string") };
        let field = &mark[1..1 + end];
        rest = &mark[end + 2..];
        let (name, conversion, spec) = parts(field)?;
        let value = lookup(run, name, values)?;
        let value = match conversion {
            None => value,
            Some('s') => Value::string(value.print(budget)?, budget)?,
            Some('r') => Value::string(value.repr(budget)?, budget)?,
            Some('a') => Value::string(percent::ascii(&value.repr(budget)?), budget)?,
            Some(other) => return fail(format!("Unknown conversion specifier {other}")),
        };
        let spec = if spec.contains(['{', '}']) { fill(run, spec, false, values, depth - 1)? } else { spec.into() };
        let written = by_spec(&value, &spec, budget)?;
        budget.bytes(written.len())?;
        if safe && !matches!(value, Value::Str(_, true)) {
            out.push_str(&escape::html(&written));
        } else {
            out.push_str(&written);
        }
    }
    budget.bytes(rest.len())?;
    out.push_str(rest);
    Ok(out)
}

/// Where a field's brace closes, inner braces and brackets counted.
fn field_end(text: &str) -> Option<usize> {
    let (mut open, mut bracket) = (0usize, false);
    for (at, c) in text.char_indices() {
        match c {
            '[' if open == 0 => bracket = true,
            ']' => bracket = false,
            '{' if !bracket => open += 1,
            '}' if !bracket && open == 0 => return Some(at),
            '}' if !bracket => open -= 1,
            _ => {}
        }
    }
    None
}

/// `name!conversion:spec`
fn parts(field: &str) -> Result<(&str, Option<char>, &str)> {
    let mut bracket = false;
    let mark = field.char_indices().find(|(_, c)| {
        bracket = (bracket || *c == '[') && *c != ']';
        !bracket && matches!(c, '!' | ':')
    });
    let Some((at, mark)) = mark else { return Ok((field, None, "")) };
    let (name, rest) = (&field[..at], &field[at + 1..]);
    if mark == ':' {
        return Ok((name, None, rest));
    }
    let mut chars = rest.chars();
    let Some(conversion) = chars.next() else { return fail("end of string while looking for conversion specifier") };
    match (chars.next(), chars.as_str()) {
        (None, _) => Ok((name, Some(conversion), "")),
        (Some(':'), spec) => Ok((name, Some(conversion), spec)),
        _ => fail("expected ':' after conversion specifier"),
    }
}

fn lookup(run: &Run, name: &str, values: &mut Values) -> Result<Value> {
    let end = name.find(['.', '[']).unwrap_or(name.len());
    let (first, mut rest) = name.split_at(end);
    let number = if first.is_empty() {
        let Some(turn) = values.turn else {
            return fail("cannot switch from manual field specification to automatic field numbering");
        };
        values.turn = Some(turn + 1);
        Some(turn)
    } else if first.bytes().all(|byte| byte.is_ascii_digit()) {
        if values.turn.is_some_and(|turn| turn > 0) {
            return fail("cannot switch from automatic field numbering to manual field specification");
        }
        values.turn = None;
        Some(first.parse().unwrap_or(usize::MAX))
    } else {
        None
    };
    let found = match number {
        Some(number) => values.positional.get(number).cloned(),
        None => operators::item(&values.named, &Value::text(first), &run.budget)?,
    };
    let Some(mut value) = found else {
        return match number {
            Some(number) => fail(format!("Replacement index {number} out of range for positional args tuple")),
            None => fail(format!("there is no value '{first}' to format")),
        };
    };
    while !rest.is_empty() {
        run.budget.step(1)?;
        if let Some(attribute) = rest.strip_prefix('.') {
            let end = attribute.find(['.', '[']).unwrap_or(attribute.len());
            if end == 0 {
                return fail("Empty attribute in format string");
            }
            value = run.attribute(&value, &attribute[..end])?;
            rest = &attribute[end..];
        } else {
            let Some((index, after)) = rest.strip_prefix('[').and_then(|item| item.split_once(']')) else {
                return fail("Missing ']' in format string");
            };
            let number = index.parse().ok().filter(|_| index.bytes().all(|byte| byte.is_ascii_digit()));
            let index = number.map_or_else(|| Value::text(index), Value::Int);
            value = run.item(&value, &index)?;
            rest = after;
        }
    }
    Ok(value)
}

/// `[[fill]align][sign][z][#][0][width][grouping][.precision][type]`
struct Spec {
    fill: char,
    align: Option<char>,
    sign: char,
    alternative: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

impl Spec {
    fn parse(text: &str) -> Result<Self> {
        let mut spec = Self {
            fill: ' ',
            align: None,
            sign: '-',
            alternative: false,
            width: 0,
            grouping: None,
            precision: None,
            kind: None,
        };
        let mut chars = text.chars();
        let is_align = |c: char| matches!(c, '<' | '>' | '=' | '^');
        let (first, second) = (chars.clone().next(), chars.clone().nth(1));
        if let (Some(fill), Some(align)) = (first, second.filter(|c| is_align(*c))) {
            (spec.fill, spec.align) = (fill, Some(align));
            chars.nth(1);
        } else if let Some(align) = first.filter(|c| is_align(*c)) {
            spec.align = Some(align);
            chars.next();
        }
        let mut take = |accepted: &str| {
            let c = chars.clone().next().filter(|c| accepted.contains(*c))?;
            chars.next();
            Some(c)
        };
        spec.sign = take("+- ").unwrap_or('-');
        let _ = take("z");
        spec.alternative = take("#").is_some();
        if take("0").is_some() && spec.align.is_none() {
            (spec.fill, spec.align) = ('0', Some('='));
        }
        let mut number = || -> Result<Option<usize>> {
            let mut digits = String::new();
            while let Some(digit) = take("0123456789") {
                digits.push(digit);
            }
            if digits.is_empty() {
                return Ok(None);
            }
            digits.parse().map(Some).or_else(|_| fail("Too many decimal digits in format string"))
        };
        spec.width = number()?.unwrap_or(0);
        spec.grouping = take(",_");
        if take(".").is_some() {
            let mut digits = String::new();
            while let Some(digit) = take("0123456789") {
                digits.push(digit);
            }
            match digits.parse() {
                Ok(precision) => spec.precision = Some(precision),
                Err(_) => return fail("Format specifier missing precision"),
            }
        }
        spec.kind = chars.next();
        if !chars.as_str().is_empty() {
            return fail("Invalid format specifier");
        }
        Ok(spec)
    }

    fn pad(&self, sign: &str, body: &str, default: char) -> String {
        let missing = self.width.saturating_sub(sign.chars().count() + body.chars().count());
        let fills = |count: usize| std::iter::repeat_n(self.fill, count).collect::<String>();
        match self.align.unwrap_or(default) {
            '<' => format!("{sign}{body}{}", fills(missing)),
            '^' => format!("{}{sign}{body}{}", fills(missing / 2), fills(missing - missing / 2)),
            '=' => format!("{sign}{}{body}", fills(missing)),
            _ => format!("{}{sign}{body}", fills(missing)),
        }
    }
}

/// Python's `format(value, spec)`.
fn by_spec(value: &Value, text: &str, budget: &Budget) -> Result<String> {
    if text.is_empty() {
        return value.print(budget);
    }
    if !matches!(value, Value::Str(..) | Value::Int(_) | Value::Bool(_) | Value::Float(_)) {
        return fail(format!("unsupported format string passed to {}.__format__", value.type_name()));
    }
    let spec = Spec::parse(text)?;
    budget.bytes(spec.width.saturating_mul(4).saturating_add(spec.precision.unwrap_or(0)))?;
    let unknown = || {
        fail(format!("Unknown format code '{}' for object of type '{}'", spec.kind.unwrap_or(' '), value.type_name()))
    };
    match (value, spec.kind, value.as_int()) {
        (Value::Str(text, _), None | Some('s'), _) => {
            if spec.align == Some('=') && spec.fill != '0' {
                return fail("'=' alignment not allowed in string format specifier");
            }
            let cut: String = text.chars().take(spec.precision.unwrap_or(usize::MAX)).collect();
            let align = spec.align.filter(|align| *align != '=').unwrap_or('<');
            Ok(Spec { align: Some(align), ..spec }.pad("", &cut, '<'))
        }
        (Value::Str(..), ..) => unknown(),
        (_, Some('c'), Some(n)) => match u32::try_from(n).ok().and_then(char::from_u32) {
            Some(c) => Ok(spec.pad("", &c.to_string(), '<')),
            None => fail("%c arg not in range(0x110000)"),
        },
        (_, None | Some('d' | 'n' | 'b' | 'o' | 'x' | 'X'), Some(n)) => {
            if spec.precision.is_some() {
                return fail("Precision not allowed in integer format specifier");
            }
            let magnitude = n.unsigned_abs();
            let (prefix, digits) = match spec.kind {
                Some('b') => ("0b", format!("{magnitude:b}")),
                Some('o') => ("0o", format!("{magnitude:o}")),
                Some('x') => ("0x", format!("{magnitude:x}")),
                Some('X') => ("0X", format!("{magnitude:X}")),
                _ => ("", magnitude.to_string()),
            };
            let size = if prefix.is_empty() { 3 } else { 4 };
            let sign = sign(n < 0, spec.sign) + if spec.alternative { prefix } else { "" };
            Ok(spec.pad(&sign, &grouped(&digits, "", size, sign.len(), &spec), '>'))
        }
        (_, None | Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'n' | '%'), _) => {
            let x = numbers::as_float(value).unwrap_or(f64::NAN);
            let magnitude = x.abs();
            let text = match (spec.kind, spec.precision) {
                (None, None) => print::float(magnitude),
                (None, Some(precision)) if magnitude.is_finite() => {
                    let text = percent::general(magnitude, precision.max(1), spec.alternative, 1);
                    if text.contains(['.', 'e']) { text } else { text + ".0" }
                }
                (Some('%'), precision) => {
                    percent::float(magnitude * 100.0, 'f', precision.unwrap_or(6), spec.alternative) + "%"
                }
                (kind, precision) => {
                    let letter = kind.filter(|kind| *kind != 'n').unwrap_or('g');
                    percent::float(magnitude, letter, precision.unwrap_or(6), spec.alternative)
                }
            };
            let whole = text.bytes().take_while(u8::is_ascii_digit).count();
            let sign = sign(x.is_sign_negative() && !x.is_nan(), spec.sign);
            Ok(spec.pad(&sign, &grouped(&text[..whole], &text[whole..], 3, sign.len(), &spec), '>'))
        }
        _ => unknown(),
    }
}

fn sign(negative: bool, wanted: char) -> String {
    match (negative, wanted) {
        (true, _) => "-".into(),
        (_, '-') => String::new(),
        (_, other) => other.to_string(),
    }
}

/// Digits in groups; zeros that fill a width are grouped with them.
fn grouped(digits: &str, rest: &str, size: usize, sign: usize, spec: &Spec) -> String {
    let Some(separator) = spec.grouping.filter(|_| !digits.is_empty()) else { return format!("{digits}{rest}") };
    let mut count = digits.len();
    if spec.fill == '0' && spec.align == Some('=') {
        while sign + count + (count - 1) / size + rest.len() < spec.width {
            count += 1;
        }
    }
    let all = "0".repeat(count - digits.len()) + digits;
    let mut out = String::with_capacity(count * 2);
    for (index, digit) in all.chars().enumerate() {
        if index > 0 && (count - index).is_multiple_of(size) {
            out.push(separator);
        }
        out.push(digit);
    }
    out + rest
}
