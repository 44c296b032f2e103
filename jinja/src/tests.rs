//! Jinja's tests: what stands behind `is`.

use std::rc::Rc;

use crate::{
    error::{Result, fail},
    names, numbers, operators,
    run::{Args, Run},
    strings,
    syntax::Comparison,
    value::{Object, Value},
};

const TESTS: [&str; 39] = [
    "!=",
    "<",
    "<=",
    "==",
    ">",
    ">=",
    "boolean",
    "callable",
    "defined",
    "divisibleby",
    "eq",
    "equalto",
    "escaped",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
];

pub fn is_test(name: &str) -> bool {
    TESTS.contains(&name)
}

/// `value is name(args)`.
pub fn apply(run: &Run, name: &str, value: &Value, args: Args) -> Result<bool> {
    let budget = &run.budget;
    let comparison = match name {
        "==" | "eq" | "equalto" => Some(Comparison::Eq),
        "!=" | "ne" => Some(Comparison::Ne),
        "<" | "lt" | "lessthan" => Some(Comparison::Lt),
        "<=" | "le" => Some(Comparison::Le),
        ">" | "gt" | "greaterthan" => Some(Comparison::Gt),
        ">=" | "ge" => Some(Comparison::Ge),
        "in" => Some(Comparison::In),
        _ => None,
    };
    if let Some(comparison) = comparison {
        let other = args.bind(name, &["_other"], 1)?.value(0);
        return operators::compare(comparison, value, &other, budget);
    }
    match name {
        "divisibleby" => {
            return remainder(value, &args.bind(name, &["num"], 1)?.value(0), budget).map(|rest| is_number(&rest, 0));
        }
        "sameas" => return Ok(same(value, &args.bind(name, &["other"], 1)?.value(0))),
        _ => args.none(name)?,
    }
    Ok(match name {
        "odd" => is_number(&remainder(value, &Value::Int(2), budget)?, 1),
        "even" => is_number(&remainder(value, &Value::Int(2), budget)?, 0),
        "defined" => !value.is_undefined(),
        "undefined" => value.is_undefined(),
        "filter" => value.as_str().is_some_and(names::is_filter),
        "test" => value.as_str().is_some_and(is_test),
        "none" => matches!(value, Value::None),
        "boolean" => matches!(value, Value::Bool(_)),
        "true" => matches!(value, Value::Bool(true)),
        "false" => matches!(value, Value::Bool(false)),
        "integer" => matches!(value, Value::Int(_)),
        "float" => matches!(value, Value::Float(_)),
        "number" => matches!(value, Value::Int(_) | Value::Float(_) | Value::Bool(_)),
        "string" => matches!(value, Value::Str(..)),
        "escaped" => matches!(value, Value::Str(_, true)),
        "mapping" => matches!(value, Value::Dict(_)),
        "sequence" => {
            matches!(
                value,
                Value::Undefined(_)
                    | Value::Str(..)
                    | Value::Bytes(_)
                    | Value::List(_)
                    | Value::Tuple(_)
                    | Value::Dict(_)
                    | Value::Range(_)
            )
        }
        "iterable" => match value {
            Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => false,
            Value::Object(object) => matches!(**object, Object::Iterator { .. } | Object::Loop(_)),
            _ => true,
        },
        "callable" => match value {
            Value::Undefined(_) => true,
            Value::Object(object) => object.is_callable(),
            _ => false,
        },
        "lower" | "upper" => {
            let text = value.print(budget)?;
            let args = Args::default();
            return Ok(strings::call(
                run,
                &text.into(),
                false,
                if name == "lower" { "islower" } else { "isupper" },
                args,
            )?
            .truth());
        }
        _ => return fail(format!("No test named '{name}' found.")),
    })
}

fn remainder(value: &Value, divisor: &Value, budget: &crate::budget::Budget) -> Result<Value> {
    operators::binary(crate::syntax::Operator::Mod, value, divisor, budget)
}

fn is_number(value: &Value, number: i128) -> bool {
    match value {
        Value::Float(x) => numbers::compare(number, *x).is_some_and(std::cmp::Ordering::is_eq),
        _ => value.as_int() == Some(number),
    }
}

/// Python's `is`: one thing, not two equal ones; texts and numbers are taken for one where they are equal.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::None, Value::None) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Str(a, x), Value::Str(b, y)) => a == b && x == y,
        (Value::List(a), Value::List(b)) => Rc::ptr_eq(a, b),
        (Value::Tuple(a), Value::Tuple(b)) => Rc::ptr_eq(a, b),
        (Value::Dict(a), Value::Dict(b)) => Rc::ptr_eq(a, b),
        (Value::Object(a), Value::Object(b)) => Rc::ptr_eq(a, b),
        (Value::Undefined(a), Value::Undefined(b)) => Rc::ptr_eq(a, b),
        _ => false,
    }
}
