//! Random schemas, and random texts that they let come: each parses, and an independent validator finds that it meets its schema.

use boon::{Compiler, Schemas};
use serde_json::{Map, Value, json};

use super::{allows, asked};
use crate::{Fault, Matcher};

/// xorshift32.
pub struct Random(u32);

impl Random {
    pub fn new(seed: u32) -> Self {
        Self(seed.wrapping_mul(2_654_435_761) | 1)
    }

    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn below(&mut self, count: usize) -> usize {
        self.next() as usize % count.max(1)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

const WORDS: [&str; 8] = ["name", "age", "tags", "is it", "größe", "a\"b", "x_1", "日本"];

/// What a schema may say of itself, at most so many levels deep.
fn schema(random: &mut Random, depth: usize) -> Value {
    let kinds = if depth == 0 { 6 } else { 11 };
    match random.below(kinds) {
        0 => json!({ "type": random.pick(&["null", "boolean", "number"]) }),
        1 => {
            let least = random.below(2000) as i64 - 1000;
            json!({ "type": "integer", "minimum": least, "maximum": least + random.below(500) as i64 })
        }
        2 => {
            let least = random.below(4);
            json!({ "type": "string", "minLength": least, "maxLength": least + random.below(9) })
        }
        3 => {
            json!({ "type": "string", "pattern": random.pick(&["^[a-z]{1,6}$", "^\\d+(-\\d{2})?$", "^(ab|cd)*e$", "^[A-ZÄÖÜ][^x\"]{2}$"]) })
        }
        4 => json!({ "enum": [random.pick(&WORDS), random.below(9), null, { "a": [1] }] }),
        5 => json!({ "type": "string", "format": random.pick(&["date", "uuid", "ipv4"]) }),
        6 => {
            let least = random.below(3);
            json!({ "type": "array", "items": schema(random, depth - 1), "minItems": least, "maxItems": least + random.below(3) })
        }
        7 => {
            json!({ "type": "array", "prefixItems": [schema(random, depth - 1), schema(random, depth - 1)], "items": false, "minItems": 2 })
        }
        8 => json!({ "anyOf": [schema(random, depth - 1), schema(random, depth - 1)] }),
        _ => {
            let mut properties = Map::new();
            for _ in 0..=random.below(4) {
                properties.insert((*random.pick(&WORDS)).into(), schema(random, depth - 1));
            }
            let required: Vec<String> = properties.keys().filter(|_| random.chance(60)).cloned().collect();
            let mut object = json!({ "type": "object", "properties": properties, "required": required });
            object["additionalProperties"] = if random.chance(70) { json!(false) } else { schema(random, depth - 1) };
            object
        }
    }
}

/// A text of tokens drawn from what may come, the ends of values often, so that it ends.
pub fn text(matcher: &mut Matcher, random: &mut Random) -> Result<Option<Vec<u8>>, Fault> {
    let mut written = vec![];
    for _ in 0..2000 {
        let mask = matcher.mask()?;
        let end = matcher.end();
        let allowed: Vec<u32> = (0..=end).filter(|token| allows(&mask, *token)).collect();
        let closing: Vec<u32> = allowed
            .iter()
            .copied()
            .filter(|token| *token == end || [b'"', b']', b'}'].map(u32::from).contains(token))
            .collect();
        let token =
            if !closing.is_empty() && random.chance(40) { *random.pick(&closing) } else { *random.pick(&allowed) };
        if token == end {
            return Ok(Some(written));
        }
        written.extend_from_slice(&super::bytes_of(token));
        matcher.take(token)?;
    }
    Ok(None)
}

/// Whether the JSON meets the schema.
pub fn meets(schema: &Value, value: &Value) -> Result<(), String> {
    let mut compiler = Compiler::new();
    compiler.enable_format_assertions();
    compiler.add_resource("https://test.invalid/schema.json", schema.clone()).map_err(|error| error.to_string())?;
    let mut schemas = Schemas::new();
    let index =
        compiler.compile("https://test.invalid/schema.json", &mut schemas).map_err(|error| error.to_string())?;
    schemas.validate(value, index).map_err(|error| error.to_string())
}

#[test]
fn a_thousand_random_schemas_are_met_by_whatever_comes() {
    let (mut met, mut refused) = (0, 0);
    for seed in 1..=1200 {
        let mut random = Random::new(seed);
        let schema = schema(&mut random, 3);
        let whitespace = random.pick(&["spaced", "compact", "flexible"]);
        let request = json!({ "schema": schema, "schemaFormat": { "whitespace": whitespace } }).to_string();
        let mut matcher = match asked(&request) {
            Ok(matcher) => matcher,
            // Two words of the enumeration that are no properties leave an object without any way.
            Err(error) => {
                assert!(error.to_string().contains("can be met by no text"), "{schema}: {error}");
                refused += 1;
                continue;
            }
        };
        let Some(text) = text(&mut matcher, &mut random).unwrap_or_else(|error| panic!("{schema}: {error}")) else {
            continue;
        };
        let text = String::from_utf8(text).expect("whole characters");
        let value: Value = match serde_json::from_str(&text) {
            Ok(value) => value,
            // JSON has no bound for numbers; who draws exponents at random soon leaves what 64 bits hold.
            Err(error) if error.to_string().contains("number out of range") => continue,
            Err(error) => panic!("{schema}\n{text}\n{error}"),
        };
        meets(&schema, &value).unwrap_or_else(|error| panic!("{schema}\n{text}\n{error}"));
        met += 1;
    }
    assert!(met >= 1000, "{met} met, {refused} refused");
}
