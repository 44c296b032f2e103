//! A JSON Schema as it was given, and as it is followed: how its JSON is spaced, in which order its keys come, and whether it ever ends.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use crate::{
    Fault,
    ends::{Shape, can_end},
    format::{KeyOrder, NamedOrder, SchemaFormat, Whitespace},
    plain::{plain, referred},
};

/// Schemas within schemas at most.
const DEEPEST: usize = 200;
/// Where a schema says itself how it is written; what is said there is ours to say.
const HINTS: &str = "x-guidance";
/// Keywords whose members are schemas by names, and those that hold one schema or several.
const BY_NAME: [&str; 5] = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
const WITHIN: [&str; 12] = [
    "items",
    "prefixItems",
    "additionalProperties",
    "additionalItems",
    "contains",
    "propertyNames",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
];

/// The schema with the hints that llguidance reads.
///
/// Errors: it is no schema, too deep, or no JSON of finite length meets it.
pub fn prepared(schema: &Value, format: Option<&SchemaFormat>) -> Result<Value, Fault> {
    let mut schema = match schema {
        Value::Object(_) => schema.clone(),
        // Any JSON.
        Value::Bool(true) => json!({}),
        Value::Bool(false) => {
            return Err(Fault::new("schema is false, which no JSON meets; give one that something meets"));
        }
        _ => return Err(Fault::new("schema must be an object, true or false, as JSON Schema has it")),
    };
    check_depth(&schema, 0)?;
    plain(&mut schema);
    if !ends(&schema) {
        return Err(Fault::new(
            "schema describes no JSON that ends: it requires itself within itself; make that property optional, or give another way with anyOf",
        ));
    }
    let format = format.cloned().unwrap_or_default();
    order(&mut schema, &format.key_order);
    let hints = match format.whitespace {
        Whitespace::Spaced => json!({ "whitespace_flexible": false, "item_separator": ", ", "key_separator": ": " }),
        Whitespace::Compact => json!({ "whitespace_flexible": false, "item_separator": ",", "key_separator": ":" }),
        Whitespace::Flexible => json!({ "whitespace_flexible": true }),
    };
    if let Some(members) = schema.as_object_mut() {
        members.insert(HINTS.into(), hints);
    }
    Ok(schema)
}

fn check_depth(value: &Value, depth: usize) -> Result<(), Fault> {
    if depth > DEEPEST {
        return Err(Fault::new(format!(
            "schema goes more than {DEEPEST} levels deep; give parts of it names in $defs and refer to them"
        )));
    }
    let below: Vec<&Value> = match value {
        Value::Object(members) => members.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => vec![],
    };
    below.into_iter().try_for_each(|value| check_depth(value, depth + 1))
}

/// Puts the properties of all objects in the order in which their keys are to be written.
fn order(schema: &mut Value, wanted: &KeyOrder) {
    if matches!(wanted, KeyOrder::AsWritten | KeyOrder::Named(NamedOrder::Schema)) {
        return;
    }
    let Some(members) = schema.as_object_mut() else {
        if let Some(items) = schema.as_array_mut() {
            items.iter_mut().for_each(|item| order(item, wanted));
        }
        return;
    };
    if let Some(Value::Object(properties)) = members.get_mut("properties") {
        let mut all: Vec<(String, Value)> = std::mem::take(properties).into_iter().collect();
        match wanted {
            KeyOrder::First(names) => {
                all.sort_by_key(|(name, _)| names.iter().position(|first| first == name).unwrap_or(names.len()));
            }
            _ => all.sort_by(|(a, _), (b, _)| a.cmp(b)),
        }
        *properties = Map::from_iter(all);
    }
    for (name, member) in members.iter_mut() {
        if BY_NAME.contains(&name.as_str()) {
            member.as_object_mut().into_iter().flat_map(Map::values_mut).for_each(|schema| order(schema, wanted));
        } else if WITHIN.contains(&name.as_str()) || name == "else" {
            order(member, wanted);
        }
    }
}

/// Whether some JSON of finite length meets the schema, as far as its references and what it requires say.
fn ends(schema: &Value) -> bool {
    let mut shapes = HashMap::new();
    let mut wanted = vec!["#".to_owned()];
    let mut seen: HashSet<String> = HashSet::new();
    while let Some(reference) = wanted.pop() {
        if !seen.insert(reference.clone()) {
            continue;
        }
        // What refers to nothing is named by the parser.
        let target = referred(schema, &reference);
        let shape = target.map_or(Shape::Text, |target| shape_of(target, &mut wanted));
        shapes.insert(reference, shape);
    }
    can_end(&shapes, "#")
}

/// What a value must hold whatever else it is; references are put into `wanted`.
fn shape_of(schema: &Value, wanted: &mut Vec<String>) -> Shape {
    let Some(members) = schema.as_object() else { return Shape::Text };
    let mut all = vec![];
    if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
        wanted.push(reference.into());
        all.push(Shape::Rule(reference.into()));
    }
    if let Some(parts) = members.get("allOf").and_then(Value::as_array) {
        all.extend(parts.iter().map(|part| shape_of(part, wanted)));
    }
    for name in ["anyOf", "oneOf"] {
        if let Some(ways) = members.get(name).and_then(Value::as_array) {
            all.push(Shape::Any(ways.iter().map(|way| shape_of(way, wanted)).collect()));
        }
    }
    let is_told = members.contains_key("const") || members.contains_key("enum");
    if !is_told {
        all.push(Shape::Any(of_types(members, wanted)));
    }
    Shape::All(all)
}

/// For each type that a value may have, what it needs.
fn of_types(members: &Map<String, Value>, wanted: &mut Vec<String>) -> Vec<Shape> {
    let named: Vec<&str> = match members.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => return vec![Shape::Text],
    };
    let of_type = |name: &str| match name {
        "object" => {
            let required = members.get("required").and_then(Value::as_array);
            let names = required.into_iter().flatten().filter_map(Value::as_str);
            let below = |name: &str| {
                let property = members.get("properties").and_then(|properties| properties.get(name));
                property.or_else(|| members.get("additionalProperties"))
            };
            Shape::All(names.filter_map(below).map(|schema| shape_of(schema, wanted)).collect())
        }
        "array" => {
            let least = members.get("minItems").and_then(Value::as_u64).unwrap_or(0) as usize;
            let empty = vec![];
            let first = members.get("prefixItems").and_then(Value::as_array).unwrap_or(&empty);
            let rest = members.get("items").filter(|_| least > first.len());
            Shape::All(first.iter().take(least).chain(rest).map(|schema| shape_of(schema, wanted)).collect())
        }
        _ => Shape::Text,
    };
    named.into_iter().map(of_type).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_that_requires_itself_never_ends() {
        for schema in [
            json!({ "$ref": "#" }),
            json!({ "type": "object", "properties": { "a": { "$ref": "#" } }, "required": ["a"] }),
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "anyOf": [{ "$ref": "#/$defs/b" }] }, "b": { "allOf": [{ "$ref": "#/$defs/a" }] } } }),
            json!({ "type": "array", "minItems": 1, "items": { "$ref": "#" } }),
            json!({ "type": "object", "required": ["a"], "additionalProperties": { "$ref": "#" } }),
        ] {
            let error = prepared(&schema, None).unwrap_err();
            assert!(error.to_string().starts_with("schema describes no JSON that ends"), "{schema}: {error}");
        }
        for schema in [
            json!({ "type": "object", "properties": { "a": { "$ref": "#" } } }),
            json!({ "type": "array", "items": { "$ref": "#" } }),
            json!({ "type": ["object", "null"], "properties": { "a": { "$ref": "#" } }, "required": ["a"] }),
            json!({ "anyOf": [{ "$ref": "#/$defs/a%20b" }], "$defs": { "a b": { "type": "string" } } }),
            json!({ "properties": { "a": { "$ref": "#" } }, "required": ["a"] }),
            json!({ "$ref": "#/nowhere" }),
        ] {
            prepared(&schema, None).unwrap_or_else(|error| panic!("{schema}: {error}"));
        }
    }

    #[test]
    fn keys_come_in_the_order_that_was_asked_for() {
        let schema = json!({
            "type": "object",
            "properties": { "c": {}, "a": { "type": "object", "properties": { "z": {}, "b": {} } }, "b": {} },
        });
        let keys =
            |value: &Value| -> Vec<String> { value["properties"].as_object().unwrap().keys().cloned().collect() };
        for (key_order, outer, inner) in [
            (KeyOrder::AsWritten, "c a b", "z b"),
            (KeyOrder::Named(NamedOrder::Schema), "c a b", "z b"),
            (KeyOrder::Named(NamedOrder::Sorted), "a b c", "b z"),
            (KeyOrder::First(vec!["b".into()]), "b c a", "b z"),
        ] {
            let format = SchemaFormat { key_order, ..SchemaFormat::default() };
            let schema = prepared(&schema, Some(&format)).unwrap();
            assert_eq!(
                (keys(&schema).join(" "), keys(&schema["properties"]["a"]).join(" ")),
                (outer.into(), inner.into())
            );
        }
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        let mut deep = json!({});
        for _ in 0..DEEPEST {
            deep = json!({ "items": deep });
        }
        for (schema, expected) in [
            (json!(7), "schema must be an object"),
            (json!(false), "schema is false"),
            (json!({ "items": deep }), "schema goes more"),
        ] {
            let error = prepared(&schema, None).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
        }
    }
}
