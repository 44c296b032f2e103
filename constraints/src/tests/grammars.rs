//! GBNF as llama.cpp has it: which texts are wholly of a grammar, and which grammars cannot be read.

use std::{collections::BTreeMap, fs};

use serde::Deserialize;
use serde_json::json;

use super::{accepts, allows, asked};
use crate::{Request, Vocabulary};

#[derive(Deserialize)]
struct Case {
    grammar: String,
    /// Whether each text is taken; `None` where llama.cpp reads no such grammar.
    texts: Option<BTreeMap<String, bool>>,
}

/// Texts that llama.cpp takes and we do not: a lexeme that can go on does, so that nothing is left for the one behind it.
const GREEDY: (&str, [&str; 4]) =
    ("root ::= [a-z]+ tail\ntail ::= \"end\" tail?", ["xend", "aend", "endend", "xyzendend"]);
/// A rule that begins with itself, which llama.cpp refuses and we follow.
const BEGINS_WITH_ITSELF: &str = "root ::= root \",\" [a-c] | [a-c]";

#[test]
fn grammars_are_llama_cpps() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/grammars.json");
    let cases: Vec<Case> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let (mut agreed, mut unread) = (0, 0);
    let mut wrong = vec![];
    for Case { grammar, texts } in &cases {
        let request = json!({ "grammar": grammar }).to_string();
        let Some(texts) = texts else {
            if asked(&request).is_ok() != (grammar == BEGINS_WITH_ITSELF) {
                wrong.push(format!("{grammar:?} is read"));
            }
            unread += 1;
            continue;
        };
        for (text, taken) in texts {
            let mut matcher = asked(&request).unwrap_or_else(|error| panic!("{grammar}: {error}"));
            let differs = GREEDY.0 == grammar && GREEDY.1.contains(&text.as_str());
            if (accepts(&mut matcher, text) == *taken) == differs {
                wrong.push(format!("{grammar:?}: {text:?} {taken}"));
            }
            agreed += usize::from(!differs);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((agreed, unread), (256, 8));
    let itself = json!({ "grammar": BEGINS_WITH_ITSELF }).to_string();
    assert!(accepts(&mut asked(&itself).unwrap(), "a,b,c") && !accepts(&mut asked(&itself).unwrap(), "a,"));
}

/// Calls as Python spells them, with a schema for each argument; and JSON behind a mark of the vocabulary.
#[test]
fn a_grammar_holds_schemas_between_its_words() {
    let python = r##"start: "f(" first_0 ")]"
first_0: name_0 more_1
more_1: ", " name_1 more_2 | more_2
more_2: ", " name_2 |
name_0: "a=" value_0
name_1: "b=" value_1
name_2: "c=" value_2
value_0: %json {"type": "integer", "minimum": 3, "maximum": 12}
value_1: %json {"$ref": "#/$defs/b", "$defs": {"b": {"type": "array", "items": {"type": "string", "maxLength": 3}, "maxItems": 2}}}
value_2: "True" | "False""##;
    let request = json!({ "grammar": python }).to_string();
    for (text, taken) in [
        ("f(a=12)]", true),
        ("f(a=4, b=[\"x)]\", \"y\"], c=True)]", true),
        ("f(a=4, c=False)]", true),
        ("f(a=2)]", false),
        ("f(a=4, c=true)]", false),
        ("f(b=[])]", false),
        ("f(a=4, b=[\"long\"])]", false),
        ("f(a=4, b=[\"x\",\"y\"])]", false),
        ("f(a=4, c=True, b=[])]", false),
        ("f(a=4", false),
    ] {
        assert_eq!(accepts(&mut asked(&request).unwrap(), text), taken, "{text}");
    }
}

#[test]
fn a_grammar_names_a_token_by_its_number_whether_readers_see_it_or_not() {
    let mut tokens: Vec<(Vec<u8>, bool)> = (0..=255).map(|byte| (vec![byte], false)).collect();
    tokens.extend([(b"[ARGS]".to_vec(), true), (b"[ARGS]".to_vec(), false), (b"<end>".to_vec(), true)]);
    let vocabulary = Vocabulary::new(tokens, 258).unwrap();
    for mark in [256, 257] {
        let grammar = format!("start: \"f\" <[{mark}]> value\nvalue: %json {{\"const\": 1}}");
        let request = Request::from_json(&json!({ "grammar": grammar }).to_string()).unwrap();
        let mut matcher = vocabulary.matcher(&request).unwrap();
        for token in [u32::from(b'f'), mark, u32::from(b'1')] {
            let mask = matcher.mask().unwrap();
            let allowed: Vec<u32> = (0..258).filter(|id| allows(&mask, *id)).collect();
            assert_eq!(allowed, [token]);
            matcher.take(token).unwrap();
        }
        assert!(matcher.is_complete());
    }
}
