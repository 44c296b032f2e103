//! Methods of lists, dictionaries, numbers, bytes and of Jinja's own objects.

use crate::{
    error::{Result, fail},
    globals, numbers, operators,
    run::{Args, Run},
    value::{Dict, Object, Value, View},
};

pub fn call(run: &Run, receiver: &Value, name: &str, args: Args) -> Result<Value> {
    let budget = &run.budget;
    match (receiver, name) {
        (Value::Dict(dict), "get") => {
            let bound = args.bind("get", &["_key", "_default"], 1)?;
            Ok(dict.get(&bound.value(0), budget)?.cloned().unwrap_or_else(|| bound.value(1)))
        }
        (Value::Dict(_), "fromkeys") | (Value::Object(_), "fromkeys") => {
            let bound = args.bind("fromkeys", &["_iterable", "_value"], 1)?;
            let keys = bound.value(0).iterate(budget)?;
            Dict::of(keys.into_iter().map(|key| (key, bound.value(1))).collect(), budget)
        }
        (Value::Dict(dict), "items" | "keys" | "values") => {
            args.none(name)?;
            let view = if name == "items" {
                View::Items
            } else if name == "keys" {
                View::Keys
            } else {
                View::Values
            };
            Ok(Value::View(view, dict.clone()))
        }
        (Value::List(_) | Value::Dict(_), "copy") => {
            args.none(name)?;
            Ok(receiver.clone())
        }
        (Value::List(_) | Value::Tuple(_) | Value::Range(_), "count" | "index") => {
            let bound = args.bind(name, &["_value", "_start", "_stop"], 1)?;
            let values = receiver.iterate(budget)?;
            let place = |at: i128| if at < 0 { (at + values.len() as i128).max(0) } else { at };
            let (start, stop) = (place(bound.int(1, 0)?), place(bound.int(2, i128::MAX)?));
            let mut count = 0;
            for (at, value) in values.iter().enumerate() {
                let within = (start..stop).contains(&(at as i128));
                if within && operators::equal(value, &bound.value(0), budget)? {
                    if name == "index" {
                        return Ok(Value::Int(at as i128));
                    }
                    count += 1;
                }
            }
            if name == "index" {
                return fail(format!("{} is not in list", bound.value(0).repr(budget)?));
            }
            Ok(Value::Int(count))
        }
        (Value::Float(x), _) => {
            args.none(name)?;
            float_method(*x, name, run)
        }
        (Value::Bytes(bytes), "decode") => {
            let bound = args.bind(name, &["encoding", "errors"], 0)?;
            budget.bytes(bytes.len())?;
            let strict = bound.printed(1, "strict", budget)? == "strict";
            match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Value::text(text)),
                Err(_) if !strict => Ok(Value::text(&String::from_utf8_lossy(bytes))),
                Err(_) => fail("'utf-8' codec can't decode these bytes"),
            }
        }
        (Value::Bytes(bytes), _) => {
            args.none(name)?;
            Value::string(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), budget)
        }
        (Value::Object(object), _) => object_method(run, object, name, args),
        _ => {
            args.none(name)?;
            int_method(receiver.as_int().unwrap_or_default(), name, run)
        }
    }
}

fn int_method(n: i128, name: &str, run: &Run) -> Result<Value> {
    Ok(Value::Int(match name {
        "bit_length" => (128 - n.unsigned_abs().leading_zeros()).into(),
        "bit_count" => n.unsigned_abs().count_ones().into(),
        "as_integer_ratio" => return Value::tuple(vec![Value::Int(n), Value::Int(1)], &run.budget),
        _ => n,
    }))
}

fn float_method(x: f64, name: &str, run: &Run) -> Result<Value> {
    match name {
        "is_integer" => Ok(Value::Bool(x.is_finite() && x.fract() == 0.0)),
        "as_integer_ratio" => {
            let (mut top, mut bottom) = (x, 1i128);
            while top.fract() != 0.0 {
                top *= 2.0;
                bottom = match bottom.checked_mul(2) {
                    Some(bottom) => bottom,
                    None => return numbers::too_large(),
                };
            }
            Value::tuple(vec![Value::Int(numbers::truncated(top)?), Value::Int(bottom)], &run.budget)
        }
        _ => Ok(Value::Float(x)),
    }
}

fn object_method(run: &Run, object: &Object, name: &str, args: Args) -> Result<Value> {
    match object {
        Object::Loop(state) if name == "cycle" => {
            let count = args.positional.len();
            match args.positional.get(state.index0.get() % count.max(1)) {
                Some(value) => Ok(value.clone()),
                None => fail("no items for cycling given"),
            }
        }
        Object::Loop(state) => {
            let before = state.changed.take();
            let mut same = before.as_ref().is_some_and(|before| before.len() == args.positional.len());
            for (old, new) in before.iter().flatten().zip(&args.positional) {
                same = same && operators::equal(old, new, &run.budget)?;
            }
            *state.changed.borrow_mut() = Some(args.positional);
            Ok(Value::Bool(!same))
        }
        Object::Cycler { items, at } => {
            args.none(name)?;
            if name == "reset" {
                at.set(0);
                return Ok(Value::None);
            }
            let value = items.get(at.get()).cloned();
            at.set((at.get() + 1) % items.len().max(1));
            Ok(value.unwrap_or(Value::None))
        }
        _ => globals::call(run, "dict", args),
    }
}
