//! A schema as llguidance reads it: counts as whole numbers, and references by pointers without escapes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Keywords that count something, where `2.0` is 2.
const COUNTS: [&str; 6] = ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"];
/// Keywords whose members are values, and no schemas.
const VALUES: [&str; 4] = ["enum", "const", "default", "examples"];

/// Errors: none. A reference to what is not there stays, and is named where it is followed.
pub fn plain(schema: &mut Value) {
    let whole = schema.clone();
    let mut renamed = BTreeMap::new();
    let taken: Vec<String> = schema["$defs"].as_object().into_iter().flat_map(Map::keys).cloned().collect();
    let mut names = (1..).map(|number| format!("reference-{number}")).filter(|name| !taken.contains(name));
    rewrite(schema, &mut |reference| {
        let is_plain = reference == "#" || reference.starts_with("#/") && !reference.contains(['%', '~']);
        if is_plain || referred(&whole, reference).is_none() {
            return None;
        }
        let name = renamed.entry(reference.to_owned()).or_insert_with(|| names.next().unwrap_or_default());
        Some(format!("#/$defs/{name}"))
    });
    let targets: Vec<(String, Option<Value>)> =
        renamed.iter().map(|(reference, name)| (name.clone(), referred(schema, reference).cloned())).collect();
    for (name, target) in targets {
        let Some(members) = schema.as_object_mut() else { return };
        let kept = members.entry("$defs").or_insert_with(|| Value::Object(Map::new()));
        if let (Some(target), Some(kept)) = (target, kept.as_object_mut()) {
            kept.insert(name, target);
        }
    }
}

fn rewrite(schema: &mut Value, rename: &mut dyn FnMut(&str) -> Option<String>) {
    match schema {
        Value::Object(members) => {
            for (name, member) in members.iter_mut().filter(|(name, _)| !VALUES.contains(&name.as_str())) {
                if let (true, Some(count)) = (COUNTS.contains(&name.as_str()), member.as_f64()) {
                    if !member.is_u64() && count.fract() == 0.0 && (0.0..9e15).contains(&count) {
                        *member = Value::from(count as u64);
                    }
                } else if let ("$ref", Some(reference)) = (name.as_str(), member.as_str()) {
                    if let Some(renamed) = rename(reference) {
                        *member = Value::from(renamed);
                    }
                } else {
                    rewrite(member, rename);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, rename)),
        _ => {}
    }
}

/// What a reference within the schema leads to: a pointer, as addresses have it, or the name of an anchor.
pub fn referred<'s>(schema: &'s Value, reference: &str) -> Option<&'s Value> {
    let pointer = unescaped(reference.strip_prefix('#')?);
    if pointer.is_empty() || pointer.starts_with('/') { schema.pointer(&pointer) } else { anchored(schema, &pointer) }
}

fn anchored<'s>(schema: &'s Value, anchor: &str) -> Option<&'s Value> {
    match schema {
        Value::Object(members) => {
            if members.get("$anchor").and_then(Value::as_str) == Some(anchor) {
                return Some(schema);
            }
            let below = members.iter().filter(|(name, _)| !VALUES.contains(&name.as_str()));
            // What has an address of its own has anchors of its own.
            below
                .filter(|(_, member)| !member.get("$id").is_some_and(Value::is_string))
                .find_map(|(_, member)| anchored(member, anchor))
        }
        Value::Array(items) => items.iter().find_map(|item| anchored(item, anchor)),
        _ => None,
    }
}

/// `%25` and kin, as addresses have them.
fn unescaped(pointer: &str) -> String {
    let mut bytes = vec![];
    let mut rest = pointer.bytes();
    while let Some(byte) = rest.next() {
        let mut after = rest.clone();
        let digits: Vec<u8> = after.by_ref().take(2).collect();
        let code = std::str::from_utf8(&digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(code) if byte == b'%' && digits.len() == 2 => {
                bytes.push(code);
                rest = after;
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_lose_their_escapes_and_counts_their_fractions() {
        let mut schema = json!({
            "items": { "$ref": "#/$defs/a~1b%25" }, "contains": { "$ref": "#here" }, "not": { "$ref": "#/$defs/none~0" },
            "maxItems": 2.0, "const": { "minItems": 1.0, "$ref": "#here" },
            "$defs": { "a/b%": { "$ref": "#/$defs/a~1b%25" }, "reference-1": { "$anchor": "here", "minLength": 1.5 } },
        });
        plain(&mut schema);
        let (here, escaped) = ("#/$defs/reference-3", "#/$defs/reference-2");
        assert_eq!(schema["items"]["$ref"], escaped);
        assert_eq!(schema["contains"]["$ref"], here);
        assert_eq!(schema["$defs"]["reference-2"], json!({ "$ref": escaped }));
        assert_eq!(schema["$defs"]["reference-3"], schema["$defs"]["reference-1"]);
        assert_eq!(schema["not"]["$ref"], "#/$defs/none~0");
        assert_eq!(schema["maxItems"].as_u64(), Some(2));
        assert_eq!(schema["const"], json!({ "minItems": 1.0, "$ref": "#here" }));
    }
}
