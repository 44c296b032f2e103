//! `%` between a text and values, as in C, and the ways to write a float that it shares with `str.format`.

use crate::{
    budget::Budget,
    error::{Result, fail},
    escape, numbers, print,
    value::Value,
};

/// What stands between `%` and its letter.
#[derive(Default)]
struct Flags {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    alternative: bool,
    width: usize,
    precision: Option<usize>,
}

/// Goes through the values in turn.
struct Values<'v> {
    values: Vec<Value>,
    at: usize,
    all: &'v Value,
}

impl Values<'_> {
    fn next(&mut self) -> Result<Value> {
        self.at += 1;
        match self.values.get(self.at - 1) {
            Some(value) => Ok(value.clone()),
            None => fail("not enough arguments for format string"),
        }
    }
}

pub fn format(text: &str, safe: bool, values: &Value, budget: &Budget) -> Result<Value> {
    let listed = match values {
        Value::Tuple(items) => items.values.clone(),
        other => vec![other.clone()],
    };
    let mut values = Values { values: listed, at: 0, all: values };
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, directive)) = rest.split_once('%') {
        budget.bytes(before.len() + 8)?;
        out.push_str(before);
        let mut chars = directive.chars();
        let named = match chars.as_str().strip_prefix('(') {
            Some(key) => {
                let Some(end) = closing(key) else { return fail("incomplete format key") };
                chars = key[end + 1..].chars();
                let Value::Dict(dict) = values.all else { return fail("format requires a mapping") };
                values.at = values.values.len();
                match dict.get_str(&key[..end]) {
                    Some(value) => Some(value.clone()),
                    None => return fail(format!("the mapping has no key '{}'", &key[..end])),
                }
            }
            None => None,
        };
        let flags = flags(&mut chars, &mut values)?;
        while chars.as_str().starts_with(['h', 'l', 'L']) {
            chars.next();
        }
        let Some(letter) = chars.next() else { return fail("incomplete format") };
        rest = chars.as_str();
        budget.bytes(flags.width.saturating_add(flags.precision.unwrap_or(0)))?;
        if letter == '%' && directive.starts_with('%') {
            out.push('%');
            continue;
        }
        let value = match named {
            Some(value) => value,
            None => values.next()?,
        };
        let written = write(letter, &flags, &value, budget)?;
        if safe && !matches!(value, Value::Str(_, true)) {
            out.push_str(&escape::html(&written));
        } else {
            out.push_str(&written);
        }
    }
    budget.bytes(rest.len())?;
    out.push_str(rest);
    let mapping = matches!(values.all, Value::Dict(_) | Value::List(_) | Value::Undefined(_) | Value::Range(_));
    if values.at < values.values.len() && !mapping {
        return fail("not all arguments converted during string formatting");
    }
    Ok(Value::Str(out.into(), safe))
}

/// Where a key ends, brackets inside it counted.
fn closing(key: &str) -> Option<usize> {
    let mut open = 0usize;
    for (at, c) in key.char_indices() {
        match c {
            '(' => open += 1,
            ')' if open == 0 => return Some(at),
            ')' => open -= 1,
            _ => {}
        }
    }
    None
}

fn flags(chars: &mut std::str::Chars<'_>, values: &mut Values<'_>) -> Result<Flags> {
    let mut flags = Flags::default();
    while let Some(flag) = chars.as_str().chars().next() {
        match flag {
            '-' => flags.left = true,
            '+' => flags.plus = true,
            ' ' => flags.space = true,
            '0' => flags.zero = true,
            '#' => flags.alternative = true,
            _ => break,
        }
        chars.next();
    }
    let mut count = |chars: &mut std::str::Chars<'_>| -> Result<i128> {
        if chars.as_str().starts_with('*') {
            chars.next();
            return match values.next()?.as_int() {
                Some(n) => Ok(n),
                None => fail("* wants int"),
            };
        }
        let digits = chars.as_str().bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = chars.as_str().split_at(digits);
        let number = if digits == 0 { Ok(0) } else { number.parse() };
        *chars = rest.chars();
        number.or_else(|_| fail("width too big"))
    };
    let width = count(chars)?;
    flags.left |= width < 0;
    flags.width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
    if chars.as_str().starts_with('.') {
        chars.next();
        flags.precision = Some(usize::try_from(count(chars)?.max(0)).unwrap_or(usize::MAX));
    }
    Ok(flags)
}

fn write(letter: char, flags: &Flags, value: &Value, budget: &Budget) -> Result<String> {
    let cut = |text: String| match flags.precision {
        Some(most) => text.chars().take(most).collect(),
        None => text,
    };
    let (sign, prefix, body, numeric) = match letter {
        's' => ("", "", cut(value.print(budget)?), false),
        'r' => ("", "", cut(value.repr(budget)?), false),
        'a' => ("", "", cut(ascii(&value.repr(budget)?)), false),
        'c' => {
            let text = match value {
                Value::Str(text, _) if text.chars().count() == 1 => text.to_string(),
                _ => match value.as_int().and_then(|n| u32::try_from(n).ok()).and_then(char::from_u32) {
                    Some(c) => c.to_string(),
                    None => return fail("%c requires int or char"),
                },
            };
            ("", "", text, false)
        }
        'd' | 'i' | 'u' | 'o' | 'x' | 'X' => {
            let n = match (value, value.as_int()) {
                (_, Some(n)) => n,
                (Value::Float(x), _) if matches!(letter, 'd' | 'i' | 'u') => numbers::truncated(*x)?,
                _ => {
                    value.defined()?;
                    let wanted = if matches!(letter, 'd' | 'i' | 'u') { "a real number" } else { "an integer" };
                    return fail(format!("%{letter} format: {wanted} is required, not {}", value.type_name()));
                }
            };
            let magnitude = n.unsigned_abs();
            let (prefix, digits) = match letter {
                'o' => ("0o", format!("{magnitude:o}")),
                'x' => ("0x", format!("{magnitude:x}")),
                'X' => ("0X", format!("{magnitude:X}")),
                _ => ("", magnitude.to_string()),
            };
            let zeros = flags.precision.unwrap_or(0).saturating_sub(digits.len());
            (signed(n < 0, flags), if flags.alternative { prefix } else { "" }, "0".repeat(zeros) + &digits, true)
        }
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
            let number = match value {
                Value::Float(x) => Some(*x),
                _ => numbers::as_float(value),
            };
            let Some(x) = number else {
                value.defined()?;
                return fail(format!("must be real number, not {}", value.type_name()));
            };
            let body = float(x.abs(), letter, flags.precision.unwrap_or(6), flags.alternative);
            (signed(x.is_sign_negative() && !x.is_nan(), flags), "", body, true)
        }
        other => return fail(format!("unsupported format character '{other}' (0x{:x})", u32::from(other))),
    };
    let length = sign.len() + prefix.len() + body.chars().count();
    let missing = flags.width.saturating_sub(length);
    Ok(if flags.left {
        format!("{sign}{prefix}{body}{}", " ".repeat(missing))
    } else if flags.zero && numeric {
        format!("{sign}{prefix}{}{body}", "0".repeat(missing))
    } else {
        format!("{}{sign}{prefix}{body}", " ".repeat(missing))
    })
}

fn signed(negative: bool, flags: &Flags) -> &'static str {
    match (negative, flags.plus, flags.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (.., true) => " ",
        _ => "",
    }
}

/// A `repr` with everything but ASCII escaped.
pub fn ascii(repr: &str) -> String {
    let mut out = String::with_capacity(repr.len());
    for c in repr.chars() {
        if c.is_ascii() { out.push(c) } else { print::escaped(c, &mut out) }
    }
    out
}

/// A float that is not negative, by C's `e`, `f` and `g`.
pub fn float(x: f64, letter: char, precision: usize, alternative: bool) -> String {
    let upper = letter.is_ascii_uppercase();
    if !x.is_finite() {
        let name = if x.is_nan() { "nan" } else { "inf" };
        return if upper { name.to_uppercase() } else { name.into() };
    }
    let text = match letter.to_ascii_lowercase() {
        'f' => fixed(x, precision, alternative),
        'e' => exponent(x, precision, alternative),
        _ => general(x, precision.max(1), alternative, 0),
    };
    if upper { text.to_uppercase() } else { text }
}

fn fixed(x: f64, precision: usize, alternative: bool) -> String {
    let point = if alternative && precision == 0 { "." } else { "" };
    // More digits than a float has are zeros; they are not asked of the formatter, which takes sixteen bits of them.
    let exact = precision.min(1100);
    format!("{x:.exact$}{}{point}", "0".repeat(precision - exact))
}

fn exponent(x: f64, precision: usize, alternative: bool) -> String {
    let exact = precision.min(1100);
    let text = format!("{x:.exact$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let point = if alternative && precision == 0 { "." } else { "" };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}{}{point}e{sign}{:02}", "0".repeat(precision - exact), exponent.unsigned_abs())
}

/// `g`: so many digits, with an exponent from `10^(precision - early)` and below 1e-4.
pub fn general(x: f64, precision: usize, alternative: bool, early: i64) -> String {
    let text = exponent(x, precision - 1, false);
    let power: i64 = text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let bare = |digits: &str| {
        if alternative || !digits.contains('.') {
            digits.to_owned()
        } else {
            digits.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    };
    if power < -4 || power >= precision as i64 - early {
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "+00"));
        return format!("{}e{exponent}", bare(digits));
    }
    bare(&fixed(x, usize::try_from(precision as i64 - 1 - power).unwrap_or(0), alternative))
}
