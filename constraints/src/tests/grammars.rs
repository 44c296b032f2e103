//! GBNF as llama.cpp has it: which texts are wholly of a grammar, and which grammars cannot be read.

use std::{collections::BTreeMap, fs};

use serde::Deserialize;
use serde_json::json;

use super::{accepts, asked};

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
