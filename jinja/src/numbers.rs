//! Python's arithmetic. Whole numbers have 127 bits; what is larger is an error rather than a wrong number.

use std::cmp::Ordering;

use crate::{
    error::{Result, fail},
    value::Value,
};

pub fn too_large<T>() -> Result<T> {
    fail("a whole number becomes too large to count with")
}

pub fn as_float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(x) => Some(*x),
        _ => value.as_int().map(|n| n as f64),
    }
}

pub fn negative(value: &Value) -> Result<Value> {
    value.defined()?;
    match (value, value.as_int()) {
        (Value::Float(x), _) => Ok(Value::Float(-x)),
        (_, Some(n)) => n.checked_neg().map_or_else(too_large, |n| Ok(Value::Int(n))),
        _ => fail(format!("bad operand type for unary -: '{}'", value.type_name())),
    }
}

pub fn positive(value: &Value) -> Result<Value> {
    value.defined()?;
    match (value, value.as_int()) {
        (Value::Float(_), _) => Ok(value.clone()),
        (_, Some(n)) => Ok(Value::Int(n)),
        _ => fail(format!("bad operand type for unary +: '{}'", value.type_name())),
    }
}

/// Rounds down, as Python does.
pub fn floor_div(a: i128, b: i128) -> Result<i128> {
    if b == 0 {
        return fail("integer division or modulo by zero");
    }
    let Some(quotient) = a.checked_div(b) else { return too_large() };
    Ok(if a % b != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient })
}

/// Has the divisor's sign, as Python's.
pub fn modulo(a: i128, b: i128) -> Result<i128> {
    if b == 0 {
        return fail("integer modulo by zero");
    }
    let rest = a.wrapping_rem(b);
    Ok(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
}

pub fn float_modulo(a: f64, b: f64) -> Result<f64> {
    if b == 0.0 {
        return fail("float modulo");
    }
    let rest = a % b;
    Ok(if rest == 0.0 {
        0.0f64.copysign(b)
    } else if (rest < 0.0) != (b < 0.0) {
        rest + b
    } else {
        rest
    })
}

pub fn float_floor_div(a: f64, b: f64) -> Result<f64> {
    if b == 0.0 {
        return fail("float floor division by zero");
    }
    let rest = float_modulo(a, b)?;
    let quotient = (a - rest) / b;
    let floor = quotient.floor();
    Ok(if quotient == 0.0 {
        0.0f64.copysign(a / b)
    } else if quotient - floor > 0.5 {
        floor + 1.0
    } else {
        floor
    })
}

pub fn float_power(base: f64, exponent: f64) -> Result<f64> {
    if base == 0.0 && exponent < 0.0 {
        return fail("0.0 cannot be raised to a negative power");
    }
    let power = base.powf(exponent);
    if power.is_nan() && !base.is_nan() && !exponent.is_nan() {
        return fail("a complex number, which templates do not count with");
    }
    if power.is_infinite() && base.is_finite() && exponent.is_finite() {
        return fail("(34, 'Numerical result out of range')");
    }
    Ok(power)
}

/// Exact, also where a whole number has more digits than a float holds.
pub fn compare(a: i128, b: f64) -> Option<Ordering> {
    if b.is_nan() {
        return None;
    }
    if b >= i128::MAX as f64 {
        return Some(Ordering::Less);
    }
    if b <= i128::MIN as f64 {
        return Some(Ordering::Greater);
    }
    let whole = b.trunc();
    Some(a.cmp(&(whole as i128)).then(0.0f64.partial_cmp(&(b - whole))?))
}

/// `int(x)`.
pub fn truncated(x: f64) -> Result<i128> {
    if x.is_nan() {
        return fail("cannot convert float NaN to integer");
    }
    if x.is_infinite() {
        return fail("cannot convert float infinity to integer");
    }
    if x.abs() >= 1.7e38 {
        return too_large();
    }
    Ok(x as i128)
}

/// `round(x, digits)`: to the nearest, halves of what the float truly is to even.
pub fn round(x: f64, digits: i128) -> f64 {
    if !x.is_finite() || digits > 330 {
        return x;
    }
    if digits >= 0 {
        return format!("{x:.*}", digits as usize).parse().unwrap_or(x);
    }
    if digits < -330 {
        return 0.0f64.copysign(x);
    }
    let unit = 10f64.powi(-digits as i32);
    let scaled = (x / unit).round_ties_even();
    if scaled == 0.0 { scaled.copysign(x) } else { scaled * unit }
}

/// A text as `int(text, base)` reads it: white space round it, a sign, single underscores; base 0 goes by the prefix.
pub fn parse_int(text: &str, base: i128) -> Option<i128> {
    let text = text.trim_matches(crate::lexer::is_space);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_lowercase();
    let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().find(|(prefix, _)| lower.starts_with(prefix));
    let (digits, base) = match prefixed {
        Some((prefix, own)) if base == 0 || base == own => {
            let digits = &lower[prefix.len()..];
            (digits.strip_prefix('_').unwrap_or(digits), own)
        }
        _ if base == 0 => (lower.as_str(), 10),
        _ => (lower.as_str(), base),
    };
    let base = u32::try_from(base).ok().filter(|base| (2..=36).contains(base))?;
    if digits.starts_with('_') || digits.ends_with('_') || digits.contains("__") || digits.starts_with(['-', '+']) {
        return None;
    }
    let ascii: String =
        digits.chars().filter(|c| *c != '_').map(|c| decimal(c).map_or(c, |d| char::from(b'0' + d))).collect();
    let number = i128::from_str_radix(&ascii, base).ok()?;
    Some(if negative { -number } else { number })
}

/// A text as `float(text)` reads it.
pub fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim_matches(crate::lexer::is_space).to_lowercase();
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(&text);
    let named = ["inf", "infinity", "nan"].contains(&unsigned);
    let starts_well = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let underscores = unsigned.contains("__") || unsigned.starts_with('_') || unsigned.ends_with('_');
    if !(named || starts_well) || underscores {
        return None;
    }
    text.replace('_', "").parse().ok()
}

/// The value of a decimal digit of any script.
pub fn decimal(c: char) -> Option<u8> {
    /// Where each script's ten digits begin.
    const ZEROS: [u32; 24] = [
        0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0,
        0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0xff10,
    ];
    let code = u32::from(c);
    ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code)).map(|zero| (code - zero) as u8)
}
