//! Operators, comparisons and subscripts between Python's values.

use std::{cmp::Ordering, rc::Rc};

use crate::{
    budget::Budget,
    error::{Result, fail},
    escape, numbers, percent,
    syntax::{Comparison, Operator},
    value::{Dict, Items, Value, View},
};

impl Operator {
    fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::FloorDiv => "//",
            Self::Mod => "%",
            Self::Pow => "** or pow()",
        }
    }
}

pub fn binary(operator: Operator, left: &Value, right: &Value, budget: &Budget) -> Result<Value> {
    left.defined()?;
    if let (Value::Str(format, safe), Operator::Mod) = (left, operator) {
        return percent::format(format, *safe, right, budget);
    }
    right.defined()?;
    if let (Some(a), Some(b)) = (left.as_int(), right.as_int()) {
        return whole(operator, a, b);
    }
    if let (Some(a), Some(b)) = (numbers::as_float(left), numbers::as_float(right)) {
        return Ok(Value::Float(match operator {
            Operator::Add => a + b,
            Operator::Sub => a - b,
            Operator::Mul => a * b,
            Operator::Div if b == 0.0 => return fail("float division by zero"),
            Operator::Div => a / b,
            Operator::FloorDiv => numbers::float_floor_div(a, b)?,
            Operator::Mod => numbers::float_modulo(a, b)?,
            Operator::Pow => numbers::float_power(a, b)?,
        }));
    }
    match (operator, left, right) {
        (Operator::Add, Value::Str(a, safe_a), Value::Str(b, safe_b)) => {
            budget.bytes(a.len() + b.len())?;
            let safe = *safe_a || *safe_b;
            let part =
                |text: &Rc<str>, is_safe: bool| if safe && !is_safe { escape::html(text) } else { text.to_string() };
            Ok(Value::Str((part(a, *safe_a) + &part(b, *safe_b)).into(), safe))
        }
        (Operator::Add, Value::List(a), Value::List(b)) => {
            Ok(Value::List(Items::new([a.values.as_slice(), &b.values].concat(), budget)?))
        }
        (Operator::Add, Value::Tuple(a), Value::Tuple(b)) => {
            Ok(Value::Tuple(Items::new([a.values.as_slice(), &b.values].concat(), budget)?))
        }
        (Operator::Add, Value::Bytes(a), Value::Bytes(b)) => {
            budget.bytes(a.len() + b.len())?;
            Ok(Value::Bytes([&**a, &**b].concat().into()))
        }
        (Operator::Add, Value::Str(..), _) => {
            fail(format!("can only concatenate str (not \"{}\") to str", right.type_name()))
        }
        (Operator::Add, Value::List(_), _) => {
            fail(format!("can only concatenate list (not \"{}\") to list", right.type_name()))
        }
        (Operator::Mul, sequence, times) if times.as_int().is_some() && is_sequence(sequence) => {
            repeat(sequence, times, budget)
        }
        (Operator::Mul, times, sequence) if times.as_int().is_some() && is_sequence(sequence) => {
            repeat(sequence, times, budget)
        }
        _ => fail(format!(
            "unsupported operand type(s) for {}: '{}' and '{}'",
            operator.symbol(),
            left.type_name(),
            right.type_name()
        )),
    }
}

fn whole(operator: Operator, a: i128, b: i128) -> Result<Value> {
    let number = match operator {
        Operator::Add => a.checked_add(b),
        Operator::Sub => a.checked_sub(b),
        Operator::Mul => a.checked_mul(b),
        Operator::Div if b == 0 => return fail("division by zero"),
        Operator::Div => return Ok(Value::Float(a as f64 / b as f64)),
        Operator::FloorDiv => Some(numbers::floor_div(a, b)?),
        Operator::Mod => Some(numbers::modulo(a, b)?),
        Operator::Pow if b < 0 => return Ok(Value::Float(numbers::float_power(a as f64, b as f64)?)),
        Operator::Pow => match u32::try_from(b) {
            Ok(exponent) => a.checked_pow(exponent),
            Err(_) => match a {
                0 | 1 => Some(a),
                -1 => Some(if b % 2 == 0 { 1 } else { -1 }),
                _ => None,
            },
        },
    };
    number.map_or_else(numbers::too_large, |number| Ok(Value::Int(number)))
}

fn is_sequence(value: &Value) -> bool {
    matches!(value, Value::Str(..) | Value::List(_) | Value::Tuple(_) | Value::Bytes(_))
}

fn repeat(sequence: &Value, times: &Value, budget: &Budget) -> Result<Value> {
    let times = usize::try_from(times.as_int().unwrap_or(0).max(0)).unwrap_or(usize::MAX);
    let size = match sequence {
        Value::Str(text, _) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => sequence.len().unwrap_or(0).saturating_mul(size_of::<Value>()),
    };
    if size == 0 {
        return Ok(sequence.clone());
    }
    budget.bytes(size.saturating_mul(times))?;
    Ok(match sequence {
        Value::Str(text, safe) => Value::Str(text.repeat(times).into(), *safe),
        Value::Bytes(bytes) => Value::Bytes(bytes.repeat(times).into()),
        Value::List(items) => Value::list(repeated(&items.values, times), budget)?,
        Value::Tuple(items) => Value::tuple(repeated(&items.values, times), budget)?,
        other => other.clone(),
    })
}

fn repeated(values: &[Value], times: usize) -> Vec<Value> {
    (0..times).flat_map(|_| values.iter().cloned()).collect()
}

/// Python's `==`.
pub fn equal(left: &Value, right: &Value, budget: &Budget) -> Result<bool> {
    budget.step(1)?;
    let all = |a: &[Value], b: &[Value]| -> Result<bool> {
        if a.len() != b.len() {
            return Ok(false);
        }
        budget.enter()?;
        for (a, b) in a.iter().zip(b) {
            if !equal(a, b, budget)? {
                budget.leave();
                return Ok(false);
            }
        }
        budget.leave();
        Ok(true)
    };
    Ok(match (left, right) {
        (Value::Undefined(_), Value::Undefined(_)) | (Value::None, Value::None) => true,
        (Value::Str(a, _), Value::Str(b, _)) => {
            budget.step(a.len().min(b.len()) / 64)?;
            a == b
        }
        (Value::Bytes(a), Value::Bytes(b)) => a == b,
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => all(&a.values, &b.values)?,
        (Value::Range(a), Value::Range(b)) => {
            a.len() == b.len() && (a.len() == 0 || (a.start == b.start && (a.len() == 1 || a.step == b.step)))
        }
        (Value::Dict(a), Value::Dict(b)) => {
            if a.entries.len() != b.entries.len() {
                return Ok(false);
            }
            budget.enter()?;
            for (key, value) in &a.entries {
                let same = match b.get(key, budget)? {
                    Some(other) => equal(value, other, budget)?,
                    None => false,
                };
                if !same {
                    budget.leave();
                    return Ok(false);
                }
            }
            budget.leave();
            true
        }
        (Value::View(View::Keys, a), Value::View(View::Keys, b)) => {
            let mut same = a.entries.len() == b.entries.len();
            for (key, _) in &a.entries {
                same = same && b.get(key, budget)?.is_some();
            }
            same
        }
        (Value::Object(a), Value::Object(b)) => Rc::ptr_eq(a, b),
        _ => match (left.as_int(), right.as_int(), left, right) {
            (Some(a), Some(b), ..) => a == b,
            (Some(a), _, _, Value::Float(b)) => numbers::compare(a, *b) == Some(Ordering::Equal),
            (_, Some(b), Value::Float(a), _) => numbers::compare(b, *a) == Some(Ordering::Equal),
            (_, _, Value::Float(a), Value::Float(b)) => a == b,
            _ => false,
        },
    })
}

/// Python's order: numbers among numbers, texts among texts, lists among lists. Nothing for NaN; other kinds are an error.
pub fn order(symbol: &str, left: &Value, right: &Value, budget: &Budget) -> Result<Option<Ordering>> {
    budget.step(1)?;
    left.defined()?;
    right.defined()?;
    match (left, right) {
        (Value::Str(a, _), Value::Str(b, _)) => {
            budget.step(a.len().min(b.len()) / 64)?;
            return Ok(Some(a.cmp(b)));
        }
        (Value::Bytes(a), Value::Bytes(b)) => return Ok(Some(a.cmp(b))),
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            budget.enter()?;
            for (a, b) in a.values.iter().zip(&b.values) {
                if !equal(a, b, budget)? {
                    let order = order(symbol, a, b, budget)?;
                    budget.leave();
                    return Ok(order);
                }
            }
            budget.leave();
            return Ok(Some(a.values.len().cmp(&b.values.len())));
        }
        _ => {}
    }
    match (left.as_int(), right.as_int(), left, right) {
        (Some(a), Some(b), ..) => Ok(Some(a.cmp(&b))),
        (Some(a), _, _, Value::Float(b)) => Ok(numbers::compare(a, *b)),
        (_, Some(b), Value::Float(a), _) => Ok(numbers::compare(b, *a).map(Ordering::reverse)),
        (_, _, Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        _ => fail(format!(
            "'{symbol}' not supported between instances of '{}' and '{}'",
            left.type_name(),
            right.type_name()
        )),
    }
}

pub fn compare(comparison: Comparison, left: &Value, right: &Value, budget: &Budget) -> Result<bool> {
    let ordered = |symbol: &str, wanted: &[Ordering]| -> Result<bool> {
        Ok(order(symbol, left, right, budget)?.is_some_and(|order| wanted.contains(&order)))
    };
    match comparison {
        Comparison::Eq => equal(left, right, budget),
        Comparison::Ne => Ok(!equal(left, right, budget)?),
        Comparison::Lt => ordered("<", &[Ordering::Less]),
        Comparison::Le => ordered("<=", &[Ordering::Less, Ordering::Equal]),
        Comparison::Gt => ordered(">", &[Ordering::Greater]),
        Comparison::Ge => ordered(">=", &[Ordering::Greater, Ordering::Equal]),
        Comparison::In => contains(right, left, budget),
        Comparison::NotIn => Ok(!contains(right, left, budget)?),
    }
}

/// Python's `item in holder`.
pub fn contains(holder: &Value, item: &Value, budget: &Budget) -> Result<bool> {
    match (holder, item) {
        (Value::Str(text, _), Value::Str(part, _)) => {
            budget.step(text.len() / 64)?;
            Ok(text.contains(&**part))
        }
        (Value::Str(..), _) => fail(format!("'in <string>' requires string as left operand, not {}", item.type_name())),
        (Value::Dict(dict) | Value::View(View::Keys, dict), _) => Ok(dict.get(item, budget)?.is_some()),
        (Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_), _) => {
            fail(format!("argument of type '{}' is not iterable", holder.type_name()))
        }
        _ => {
            for value in holder.iterate(budget)? {
                if equal(&value, item, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

/// Whether a value may be a key.
pub fn hashable(value: &Value) -> Result<()> {
    match value {
        Value::List(_) | Value::Dict(_) => fail(format!("unhashable type: '{}'", value.type_name())),
        Value::Tuple(items) => items.values.iter().try_for_each(hashable),
        _ => Ok(()),
    }
}

impl Dict {
    pub(crate) fn get(&self, key: &Value, budget: &Budget) -> Result<Option<&Value>> {
        if let Value::Str(key, _) = key {
            budget.step(self.entries.len() / 16)?;
            return Ok(self.get_str(key));
        }
        hashable(key)?;
        for (known, value) in &self.entries {
            if equal(known, key, budget)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Of entries in which the last of equal keys counts, in the place of the first.
    pub(crate) fn of(entries: Vec<(Value, Value)>, budget: &Budget) -> Result<Value> {
        let mut dict = Self::default();
        for (key, value) in entries {
            hashable(&key)?;
            let mut place = None;
            for (index, (known, _)) in dict.entries.iter().enumerate() {
                if equal(known, &key, budget)? {
                    place = Some(index);
                    break;
                }
            }
            match place.and_then(|index| dict.entries.get_mut(index)) {
                Some((_, old)) => *old = value,
                None => dict.entries.push((key, value)),
            }
        }
        Ok(Value::Dict(Self::new(dict.entries, budget)?))
    }
}

/// `value[index]` where Python has it; nothing for what is missing there.
pub fn item(value: &Value, index: &Value, budget: &Budget) -> Result<Option<Value>> {
    let at = |length: usize| -> Option<usize> {
        let index = index.as_int()?;
        let index = if index < 0 { index + length as i128 } else { index };
        usize::try_from(index).ok().filter(|index| *index < length)
    };
    Ok(match value {
        Value::Undefined(_) => {
            value.defined()?;
            None
        }
        Value::Str(text, safe) => at(value.len().unwrap_or(0)).and_then(|index| {
            let c = if text.is_ascii() {
                text.get(index..index + 1).map(Rc::from)
            } else {
                text.chars().nth(index).map(|c| c.to_string().into())
            };
            c.map(|c| Value::Str(c, *safe))
        }),
        Value::Bytes(bytes) => {
            at(bytes.len()).and_then(|index| bytes.get(index)).map(|byte| Value::Int((*byte).into()))
        }
        Value::List(items) | Value::Tuple(items) => {
            at(items.values.len()).and_then(|index| items.values.get(index)).cloned()
        }
        Value::Range(range) => at(range.len()).map(|index| range.get(index)),
        Value::Dict(dict) if hashable(index).is_ok() => dict.get(index, budget)?.cloned(),
        _ => None,
    })
}

/// `value[start:stop:step]`.
pub fn slice(value: &Value, [start, stop, step]: [&Value; 3], budget: &Budget) -> Result<Value> {
    value.defined()?;
    let length = match value {
        Value::Str(..) | Value::Bytes(_) | Value::List(_) | Value::Tuple(_) | Value::Range(_) => {
            value.len().unwrap_or(0)
        }
        Value::Dict(_) => return fail("unhashable type: 'slice'"),
        _ => return fail(format!("'{}' object is not subscriptable", value.type_name())),
    };
    let bound = |value: &Value| match (value, value.as_int()) {
        (Value::None, _) => Ok(None),
        (_, Some(n)) => Ok(Some(n)),
        _ => fail("slice indices must be integers or None or have an __index__ method"),
    };
    let step = bound(step)?.unwrap_or(1);
    if step == 0 {
        return fail("slice step cannot be zero");
    }
    let (length, least, most) =
        if step > 0 { (length as i128, 0, length as i128) } else { (length as i128, -1, length as i128 - 1) };
    let clamp = |bound: i128| (if bound < 0 { bound.saturating_add(length) } else { bound }).clamp(least, most);
    let first = bound(start)?.map_or(if step > 0 { least } else { most }, clamp);
    let end = bound(stop)?.map_or(if step > 0 { most } else { least }, clamp);
    let places = crate::value::Range { start: first, stop: end, step };
    let count = places.len();
    let place = |n: usize| usize::try_from(first + step * n as i128).unwrap_or(usize::MAX);
    budget.step(count / 16)?;
    match value {
        Value::Str(text, safe) if text.is_ascii() && step == 1 => {
            let part = text.get(place(0)..place(0) + count).unwrap_or_default();
            budget.bytes(part.len())?;
            Ok(Value::Str(part.into(), *safe))
        }
        Value::Str(text, safe) => {
            budget.bytes(text.len().saturating_mul(4))?;
            let chars: Vec<char> = text.chars().collect();
            let part: String = (0..count).filter_map(|n| chars.get(place(n))).collect();
            Ok(Value::Str(part.into(), *safe))
        }
        Value::Bytes(bytes) => {
            budget.bytes(count)?;
            Ok(Value::Bytes((0..count).filter_map(|n| bytes.get(place(n)).copied()).collect()))
        }
        Value::Range(range) => {
            let get = |n: i128| range.start.saturating_add(range.step.saturating_mul(n));
            Ok(Value::Range(crate::value::Range {
                start: get(first),
                stop: get(end),
                step: range.step.saturating_mul(step),
            }))
        }
        Value::List(items) => {
            Value::list((0..count).filter_map(|n| items.values.get(place(n)).cloned()).collect(), budget)
        }
        Value::Tuple(items) => {
            Value::tuple((0..count).filter_map(|n| items.values.get(place(n)).cloned()).collect(), budget)
        }
        other => Ok(other.clone()),
    }
}
