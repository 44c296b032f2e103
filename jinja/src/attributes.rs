//! `value.name` and `value[key]`, with what the sandbox forbids.

use std::rc::Rc;

use crate::{
    error::Result,
    names, operators,
    run::Run,
    value::{LoopState, Object, Value},
};

/// What would change a list or a dictionary.
const CHANGING: [&str; 11] =
    ["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove", "popitem", "setdefault", "update"];

impl Run {
    /// Jinja's `getattr`: an attribute, else an item, else undefined.
    pub fn attribute(&self, value: &Value, name: &str) -> Result<Value> {
        if let Some(found) = self.python_attribute(value, name)? {
            return Ok(found);
        }
        if let Some(found) = operators::item(value, &Value::text(name), &self.budget)? {
            return Ok(found);
        }
        Ok(missing(value, name))
    }

    /// Jinja's `getitem`: an item, else an attribute, else undefined.
    pub fn item(&self, value: &Value, index: &Value) -> Result<Value> {
        if let Some(found) = operators::item(value, index, &self.budget)? {
            return Ok(found);
        }
        if let Value::Str(name, _) = index {
            if let Some(found) = self.python_attribute(value, name)? {
                return Ok(found);
            }
            return Ok(missing(value, name));
        }
        let shown = index.repr(&self.budget)?;
        Ok(Value::Undefined(format!("{} has no element {shown}", object_name(value)).into()))
    }

    fn python_attribute(&self, value: &Value, name: &str) -> Result<Option<Value>> {
        value.defined()?;
        let method = |known: &[&str]| known.contains(&name).then(|| method(value, name));
        if name.starts_with("__") && name.ends_with("__") && name.len() > 4 {
            let message = format!("access to attribute '{name}' of '{}' object is unsafe.", value.type_name());
            return Ok(Some(Value::Undefined(message.into())));
        }
        Ok(match value {
            Value::Str(..) => method(&names::OF_TEXTS),
            Value::List(_) | Value::Dict(_) if CHANGING.contains(&name) && has(value, name) => {
                let message = format!("access to attribute '{name}' of '{}' object is unsafe.", value.type_name());
                Some(Value::Undefined(message.into()))
            }
            Value::Object(object) => self.object_attribute(value, object, name)?,
            _ => property(value, name).or_else(|| method(names::methods(value))),
        })
    }

    fn object_attribute(&self, value: &Value, object: &Rc<Object>, name: &str) -> Result<Option<Value>> {
        let count = |n: usize| Some(Value::Int(n as i128));
        Ok(match &**object {
            Object::Namespace(entries) => {
                entries.borrow().iter().find(|(known, _)| **known == *name).map(|(_, value)| value.clone())
            }
            Object::Loop(state) => loop_attribute(value, state, name),
            Object::Cycler { items, at } => match name {
                "current" => items.get(at.get()).cloned(),
                "pos" => count(at.get()),
                "items" => Some(Value::tuple(items.clone(), &self.budget)?),
                "next" | "reset" => Some(method(value, name)),
                _ => None,
            },
            Object::Joiner { separator, used } => match name {
                "sep" => Some(separator.clone()),
                "used" => Some(Value::Bool(used.get())),
                _ => None,
            },
            Object::Macro(bound) => match name {
                "name" => Some(bound.definition.name.clone().map_or(Value::None, |name| Value::Str(name, false))),
                "arguments" => {
                    let names = bound.definition.parameters.iter().map(|(name, _)| Value::Str(name.clone(), false));
                    Some(Value::tuple(names.collect(), &self.budget)?)
                }
                "catch_kwargs" => Some(Value::Bool(bound.definition.takes_kwargs)),
                "catch_varargs" => Some(Value::Bool(bound.definition.takes_varargs)),
                "caller" => Some(Value::Bool(bound.definition.takes_caller)),
                _ => None,
            },
            Object::Function("dict") if name == "fromkeys" => Some(method(value, name)),
            Object::Function(_) | Object::Method(..) | Object::Iterator { .. } => None,
        })
    }
}

fn has(value: &Value, name: &str) -> bool {
    let of_list = !matches!(name, "popitem" | "setdefault" | "update");
    let of_dict = matches!(name, "clear" | "pop" | "popitem" | "setdefault" | "update");
    if matches!(value, Value::List(_)) { of_list } else { of_dict }
}

fn method(value: &Value, name: &str) -> Value {
    Value::Object(Rc::new(Object::Method(value.clone(), name.into())))
}

fn loop_attribute(value: &Value, state: &LoopState, name: &str) -> Option<Value> {
    let (index0, length) = (state.index0.get(), state.items.len());
    let count = |n: usize| Some(Value::Int(n as i128));
    match name {
        "index" => count(index0 + 1),
        "index0" => count(index0),
        "revindex" => count(length - index0),
        "revindex0" => count(length - index0 - 1),
        "first" => Some(Value::Bool(index0 == 0)),
        "last" => Some(Value::Bool(index0 + 1 == length)),
        "length" => count(length),
        "depth" => count(state.depth0 + 1),
        "depth0" => count(state.depth0),
        "previtem" => {
            let item = index0.checked_sub(1).and_then(|before| state.items.get(before)).cloned();
            Some(item.unwrap_or_else(|| Value::Undefined("there is no previous item".into())))
        }
        "nextitem" => {
            let item = state.items.get(index0 + 1).cloned();
            Some(item.unwrap_or_else(|| Value::Undefined("there is no next item".into())))
        }
        "cycle" | "changed" => Some(method(value, name)),
        _ => None,
    }
}

/// What Jinja calls a value in its sentences.
fn object_name(value: &Value) -> String {
    match value {
        Value::None => "None".into(),
        Value::Object(object) => match &**object {
            Object::Loop(_) => "jinja2.runtime.LoopContext object".into(),
            Object::Macro(_) => "jinja2.runtime.Macro object".into(),
            other => format!("{} object", other.type_name()),
        },
        other => format!("{} object", other.type_name()),
    }
}

fn missing(value: &Value, name: &str) -> Value {
    Value::Undefined(format!("'{}' has no attribute '{name}'", object_name(value)).into())
}

/// What a value has without a call.
fn property(value: &Value, name: &str) -> Option<Value> {
    Some(match (value, name) {
        (Value::Int(_) | Value::Bool(_), "real" | "numerator") => Value::Int(value.as_int()?),
        (Value::Int(_) | Value::Bool(_), "imag") => Value::Int(0),
        (Value::Int(_) | Value::Bool(_), "denominator") => Value::Int(1),
        (Value::Float(_), "real") => value.clone(),
        (Value::Float(_), "imag") => Value::Float(0.0),
        (Value::Range(range), "start") => Value::Int(range.start),
        (Value::Range(range), "stop") => Value::Int(range.stop),
        (Value::Range(range), "step") => Value::Int(range.step),
        (Value::Tuple(items), "grouper") if items.grouped => items.values.first()?.clone(),
        (Value::Tuple(items), "list") if items.grouped => items.values.get(1)?.clone(),
        _ => return None,
    })
}
