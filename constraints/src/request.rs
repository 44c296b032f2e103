//! What a text is held to, as a caller asks for it.

use llguidance::api::TopLevelGrammar;
use serde::Deserialize;
use serde_json::Value;

use crate::{Fault, format::SchemaFormat, gbnf, lark, schema};

/// Strings of a choice at most.
const MOST_CHOICES: usize = 10_000;
/// Characters of what is asked at most.
const LONGEST: usize = 1_000_000;

/// Exactly one of the four, and for a schema how its JSON is written.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Request {
    /// A JSON Schema, draft 2020-12: an object, `true` (any JSON) or `false`.
    pub schema: Option<Value>,
    /// A regular expression in the syntax of Rust's `regex`, for the whole text.
    pub regex: Option<String>,
    /// A grammar in Lark's or llama.cpp's (GBNF) notation.
    pub grammar: Option<String>,
    /// One of these strings.
    pub choice: Option<Vec<String>>,
    pub schema_format: Option<SchemaFormat>,
}

impl Request {
    /// Errors: the JSON is of another shape.
    pub fn from_json(json: &str) -> Result<Self, Fault> {
        serde_json::from_str(json).map_err(|error| {
            Fault::new(format!("what the text is held to cannot be read: {error}; see docs/constraints.md"))
        })
    }

    /// The option's name, and what llguidance takes.
    pub(crate) fn grammar(&self) -> Result<(&'static str, TopLevelGrammar), Fault> {
        let asked = [
            ("schema", self.schema.is_some()),
            ("regex", self.regex.is_some()),
            ("grammar", self.grammar.is_some()),
            ("choice", self.choice.is_some()),
        ];
        let mut names = asked.iter().filter(|(_, is)| *is).map(|(name, _)| *name);
        let (first, second) = (names.next(), names.next());
        if let (Some(first), Some(second)) = (first, second) {
            return Err(Fault::new(format!("{first} and {second} both say what the text is; leave one of them out")));
        }
        if self.schema_format.is_some() && self.schema.is_none() {
            return Err(Fault::new(
                "schemaFormat says how JSON is written under a schema, and there is none; give one or leave it out",
            ));
        }
        if let Some(wanted) = &self.schema {
            return Ok((
                "schema",
                TopLevelGrammar::from_json_schema(schema::prepared(wanted, self.schema_format.as_ref())?),
            ));
        }
        if let Some(regex) = &self.regex {
            short("regex", regex.len())?;
            return Ok(("regex", TopLevelGrammar::from_regex(whole(regex))));
        }
        if let Some(grammar) = &self.grammar {
            short("grammar", grammar.len())?;
            let rules = if gbnf::is_gbnf(grammar) { gbnf::to_lark(grammar)? } else { grammar.clone() };
            lark::check_ends(&rules)?;
            return Ok(("grammar", TopLevelGrammar::from_lark(lark::with_schemas(&rules)?)));
        }
        let choices = self.choice.as_deref().unwrap_or_default();
        if choices.is_empty() {
            return Err(Fault::new(
                "choice is an empty array, and no text is one of none; give strings to choose from",
            ));
        }
        if choices.len() > MOST_CHOICES {
            return Err(Fault::new(format!("choice has {} strings; give at most {MOST_CHOICES}", choices.len())));
        }
        short("choice", choices.iter().map(String::len).sum())?;
        if choices.iter().any(String::is_empty) {
            return Err(Fault::new("choice holds an empty string, which would be no answer; leave it out"));
        }
        let quoted: Vec<String> = choices.iter().map(|choice| lark::quoted(choice)).collect();
        Ok(("choice", TopLevelGrammar::from_lark(format!("start: CHOICE\nCHOICE: {}", quoted.join(" | ")))))
    }
}

fn short(name: &str, length: usize) -> Result<(), Fault> {
    if length > LONGEST {
        return Err(Fault::new(format!("{name} has {length} characters; give at most {LONGEST}")));
    }
    Ok(())
}

/// A regular expression always describes the whole text, so that the marks of its beginning and end say nothing new.
fn whole(regex: &str) -> &str {
    let regex = regex.strip_prefix('^').unwrap_or(regex);
    let Some(before) = regex.strip_suffix('$') else { return regex };
    let backslashes = before.len() - before.trim_end_matches('\\').len();
    if backslashes % 2 == 1 { regex } else { before }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_the_beginning_and_the_end_say_nothing_new() {
        for (regex, expected) in [("^ab$", "ab"), ("a\\$", "a\\$"), ("a\\\\$", "a\\\\"), ("ab", "ab"), ("^", "")] {
            assert_eq!(whole(regex), expected, "{regex}");
        }
    }

    #[test]
    fn a_request_is_one_thing() {
        for (json, expected) in [
            (r#"{"schema": true, "regex": "a"}"#, "schema and regex both say"),
            (r#"{"regex": "a", "schemaFormat": {}}"#, "schemaFormat says how JSON"),
            (r#"{"choice": []}"#, "choice is an empty array"),
            (r#"{"choice": ["a", ""]}"#, "choice holds an empty string"),
        ] {
            let error = Request::from_json(json).unwrap().grammar().map(|_| ()).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
        }
        for json in [r#"{"schemaFormat": {"whitespace": "wide"}}"#, r#"{"scheme": {}}"#, r#"{"regex": 7}"#] {
            assert!(Request::from_json(json).is_err(), "{json}");
        }
    }
}
