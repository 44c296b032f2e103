mod grammars;
mod random;
mod suite;

use std::cell::RefCell;

use super::*;

const WORDS: [&str; 8] = ["true", "null", "{\"", "\": ", ", \"", " the", "ab", "0."];

/// What a token says.
fn bytes_of(token: u32) -> Vec<u8> {
    match token.checked_sub(256) {
        None => vec![token as u8],
        Some(word) => WORDS[word as usize].as_bytes().to_vec(),
    }
}

/// Bytes, some words, and an end.
fn vocabulary() -> Vocabulary {
    let mut tokens: Vec<(Vec<u8>, bool)> =
        (0..256 + WORDS.len() as u32).map(|token| (bytes_of(token), false)).collect();
    tokens.push((b"<end>".to_vec(), true));
    let end = tokens.len() as u32 - 1;
    Vocabulary::new(tokens, end).unwrap()
}

thread_local! {
    static VOCABULARY: RefCell<Option<Vocabulary>> = const { RefCell::new(None) };
}

fn asked(json: &str) -> Result<Matcher, Fault> {
    VOCABULARY.with_borrow_mut(|known| known.get_or_insert_with(vocabulary).matcher(&Request::from_json(json)?))
}

fn allows(mask: &[u32], token: u32) -> bool {
    mask[token as usize / 32] >> (token % 32) & 1 == 1
}

/// Whether the text as a whole is what was asked for, byte by byte.
fn accepts(matcher: &mut Matcher, text: &str) -> bool {
    for byte in text.bytes() {
        let mask = matcher.mask().unwrap();
        if !allows(&mask, byte.into()) {
            return false;
        }
        matcher.take(byte.into()).unwrap();
    }
    let mask = matcher.mask().unwrap();
    allows(&mask, matcher.end())
}

#[test]
fn texts_are_what_was_asked_for() {
    for (request, good, bad) in [
        (r#"{"regex": "^[a-c]+\\d?$"}"#, vec!["a", "abc1"], vec!["", "1", "ab12", "d"]),
        (
            r#"{"choice": ["yes", "yesterday", "\"no\"\n"]}"#,
            vec!["yes", "yesterday", "\"no\"\n"],
            vec!["yest", "no", ""],
        ),
        (
            r#"{"schema": {"type": "integer", "minimum": 3, "maximum": 12}}"#,
            vec!["3", "12"],
            vec!["2", "13", "3.0", "\"3\""],
        ),
        (
            r#"{"schema": {"type": "object", "properties": {"a": {"type": "boolean"}, "b": {"type": "null"}}, "required": ["b"], "additionalProperties": false}}"#,
            vec![r#"{"a": true, "b": null}"#, r#"{"b": null}"#],
            vec![r#"{"b": null, "a": true}"#, r#"{"a": true}"#, r#"{"b":null}"#, r#"{"b": null, "c": 1}"#],
        ),
        (
            r#"{"schema": {"type": "array", "items": {"enum": ["x", 1]}, "maxItems": 2}, "schemaFormat": {"whitespace": "compact"}}"#,
            vec!["[]", r#"["x",1]"#],
            vec![r#"["x", 1]"#, "[1,1,1]", "[2]"],
        ),
        (
            r#"{"schema": {"type": "array"}, "schemaFormat": {"whitespace": "flexible"}}"#,
            vec!["[\n  1,  {}\n]", "[1]"],
            vec!["[1", "{}"],
        ),
        (r#"{"regex": "a/b\\/[/]"}"#, vec!["a/b//"], vec!["a"]),
        (r#"{"grammar": "start: \"a\" start? \"b\""}"#, vec!["ab", "aaabbb"], vec!["aab", "", "ba"]),
    ] {
        for text in good {
            assert!(accepts(&mut asked(request).unwrap(), text), "{request}: {text:?}");
        }
        for text in bad {
            assert!(!accepts(&mut asked(request).unwrap(), text), "{request}: {text:?}");
        }
    }
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    for (request, expected) in [
        (r#"{"schema": {"allOf": [{"type": "string"}, {"type": "integer"}]}}"#, "schema can be met by no text"),
        (r#"{"schema": {"not": {"type": "string"}}}"#, "schema uses [\"not\"]"),
        (r#"{"schema": {"type": "integer", "minimum": 5, "maximum": 3}}"#, "schema can be met by no text: minimum (5)"),
        (r#"{"schema": {"$ref": "https://example.com/a.json"}}"#, "schema refers to https://example.com/a.json, and"),
        (r#"{"schema": {"type": "integer", "multipleOf": 0.123456789123456789}}"#, "schema cannot be taken"),
        (r##"{"schema": {"$ref": "#/$defs/none"}}"##, "schema cannot be taken"),
        (r#"{"schema": {"type": "text"}}"#, "schema cannot be taken"),
        (r#"{"regex": "(a"}"#, "regex cannot be taken"),
        (r#"{"regex": "(?=a)b"}"#, "regex cannot be taken"),
        (r#"{"grammar": "start: \"a"}"#, "grammar cannot be taken"),
        (r#"{"grammar": "start: missing"}"#, "grammar cannot be taken"),
        (r#"{"grammar": "root ::= missing"}"#, "grammar names the rule missing in root (line 1)"),
        (r#"{"grammar": "root ::= \"a\" root"}"#, "grammar describes no text that ends"),
        (r#"{"grammar": "item ::= \"a\""}"#, "grammar has no rule named root"),
    ] {
        let error = asked(request).map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{request}: {error}");
    }
}

/// A regular expression that a naive automaton would need 2^40 states for: it is followed, or refused, and soon.
#[test]
fn an_expression_that_explodes_is_bounded() {
    for regex in ["(.*a.{40}){5}", "((((a{1,100}){1,100}){1,100}){1,100}){1,100}", "(x+x+)+y", "(.{1,900}){1,900}"] {
        let request = serde_json::json!({ "regex": regex }).to_string();
        let mut matcher = match asked(&request) {
            Ok(matcher) => matcher,
            Err(error) => {
                assert!(error.to_string().contains("simpler"), "{regex}: {error}");
                continue;
            }
        };
        for byte in b"aaxaaxaaxaaxaaxa".repeat(8) {
            let Ok(mask) = matcher.mask() else { break };
            if !allows(&mask, byte.into()) || matcher.take(byte.into()).is_err() {
                break;
            }
        }
    }
}

#[test]
fn what_must_come_is_told_at_once() {
    let mut matcher = asked(r#"{"schema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "additionalProperties": false}}"#).unwrap();
    assert_eq!(matcher.forced(), br#"{"name": ""#);
    for byte in br#"{"name": "x""# {
        matcher.take((*byte).into()).unwrap();
    }
    assert_eq!(matcher.forced(), b"}");
    assert!(!matcher.is_complete());
    matcher.take(b'}'.into()).unwrap();
    assert!(matcher.is_complete());
    assert_eq!(asked(r#"{"choice": ["ab", "abc"]}"#).unwrap().accepts(&[262, 262]).unwrap(), 1);
}

#[test]
fn texts_under_one_request_follow_it_each_by_itself() {
    let vocabulary = vocabulary();
    let of = |regex: &str| {
        let request = Request { regex: Some(regex.into()), ..Request::default() };
        vocabulary.matcher(&request).unwrap()
    };
    let (mut first, mut second) = (of("a(b|c)"), of("a(b|c)"));
    first.take(u32::from(b'a')).unwrap();
    assert!(allows(&first.mask().unwrap(), u32::from(b'c')) && allows(&second.mask().unwrap(), u32::from(b'a')));
    assert!(!allows(&second.mask().unwrap(), u32::from(b'c')));
    // More than are kept, and then the first once more.
    for other in ["d+", "e+", "f+", "g+", "h+"] {
        assert!(accepts(&mut of(other), &other[..1]), "{other}");
    }
    assert!(accepts(&mut of("a(b|c)"), "ab") && accepts(&mut second, "ac"));
}
