//! Lark's notation, as far as one must read it to tell a grammar that never ends.

use std::collections::HashMap;

use serde_json::Value;

use crate::{
    Fault,
    ends::{Shape, can_end},
    schema,
};

/// What stands before a schema within a grammar.
const JSON: &str = "%json";

/// A string as Lark writes one.
pub fn quoted(text: &str) -> String {
    // JSON's escapes are Lark's.
    serde_json::Value::from(text).to_string()
}

/// Errors: no text of finite length is what `start` describes. What cannot be read is left to the parser, which tells the line.
pub fn check_ends(grammar: &str) -> Result<(), Fault> {
    let rules = rules(grammar);
    let reads_all = rules.values().all(|shape| known(shape, &rules));
    if rules.contains_key("start") && reads_all && !can_end(&rules, "start") {
        return Err(Fault::new(
            "grammar describes no text that ends: each way through it needs a rule that needs itself; add an alternative that does not",
        ));
    }
    Ok(())
}

/// The grammar with its schemas (`%json { … }`) as they are followed elsewhere too. What cannot be read is left to the parser, which tells the line.
///
/// Errors: one of them can be met by no text, as [`schema::prepared`] tells.
pub fn with_schemas(grammar: &str) -> Result<String, Fault> {
    let mut prepared = String::new();
    let mut rest = grammar;
    while let Some(at) = next_schema(rest) {
        let (before, behind) = rest.split_at(at + JSON.len());
        prepared.push_str(before);
        let mut values = serde_json::Deserializer::from_str(behind).into_iter::<Value>();
        let Some(Ok(wanted)) = values.next() else {
            rest = behind;
            continue;
        };
        let told = |fault: Fault| Fault::new(format!("grammar holds a {JSON} that cannot be taken: {fault}"));
        prepared.push_str(&format!(" {}", schema::prepared(&wanted, None).map_err(told)?));
        rest = &behind[values.byte_offset()..];
    }
    prepared.push_str(rest);
    Ok(prepared)
}

/// Where the next schema's word stands, outside of strings, regular expressions and comments.
fn next_schema(grammar: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = &grammar[at..];
        let letter = rest.chars().next()?;
        let line = rest.find('\n').unwrap_or(rest.len());
        at += match letter {
            '%' if rest.starts_with(JSON) => return Some(at),
            '#' => line,
            '/' if rest.starts_with("//") => line,
            '"' | '/' => quoted_length(rest, letter).unwrap_or(rest.len()),
            _ => letter.len_utf8(),
        };
    }
}

/// How long what begins with this mark is, with the mark that ends it.
fn quoted_length(text: &str, mark: char) -> Option<usize> {
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        if letter == mark {
            return Some(at + letter.len_utf8());
        }
        if letter == '\\' {
            letters.next();
        }
    }
    None
}

/// Whether all rules that are named are there.
fn known(shape: &Shape, rules: &HashMap<String, Shape>) -> bool {
    match shape {
        Shape::Text => true,
        Shape::Rule(name) => rules.contains_key(name),
        Shape::All(parts) | Shape::Any(parts) => parts.iter().all(|part| known(part, rules)),
    }
}

/// The shapes of the rules; of what is no rule (directives, imports) nothing.
fn rules(grammar: &str) -> HashMap<String, Shape> {
    let mut rules = HashMap::new();
    let tokens = tokens(grammar);
    // A rule begins at a name that a colon follows; a priority or attributes may stand before that.
    let begins = |at: usize| {
        let Some(Token::Name(_)) = tokens.get(at) else { return None };
        let mut colon = at + 1;
        if let (Some(Token::Other), Some(Token::Name(_))) = (tokens.get(colon), tokens.get(colon + 1)) {
            colon += 2;
        }
        if tokens.get(colon) == Some(&Token::Sign('[')) {
            colon += tokens[colon..].iter().position(|token| *token == Token::Sign(']'))? + 1;
        }
        (tokens.get(colon) == Some(&Token::Sign(':'))).then_some(colon)
    };
    let mut at = 0;
    while at < tokens.len() {
        let (Token::Name(name), Some(colon)) = (&tokens[at], begins(at)) else {
            at += 1;
            continue;
        };
        let end = (colon + 1..tokens.len()).find(|next| begins(*next).is_some() || tokens[*next] == Token::Directive);
        let body = &tokens[colon + 1..end.unwrap_or(tokens.len())];
        let (shape, _) = alternatives(body, 0);
        rules.insert(name.clone(), shape);
        at = end.unwrap_or(tokens.len());
    }
    rules
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Name(String),
    /// A string or a regular expression.
    Text,
    Sign(char),
    /// `{m,n}` and its least count.
    Times(usize),
    /// `%ignore`, `%import` and their line.
    Directive,
    Other,
}

fn tokens(grammar: &str) -> Vec<Token> {
    let text: Vec<char> = grammar.chars().collect();
    let mut tokens = vec![];
    let mut at = 0;
    let until = |from: usize, end: char| {
        let mut at = from;
        while at < text.len() && text[at] != end {
            at += if text[at] == '\\' { 2 } else { 1 };
        }
        at + 1
    };
    while let Some(&c) = text.get(at) {
        match c {
            '/' if text.get(at + 1) == Some(&'/') => at = line_end(&text, at),
            '#' => at = line_end(&text, at),
            '%' => {
                tokens.push(Token::Directive);
                // What follows in braces may go over lines.
                at = if text[at..line_end(&text, at)].contains(&'{') { until(at, '}') } else { line_end(&text, at) };
            }
            '"' | '/' => {
                tokens.push(Token::Text);
                at = until(at + 1, c);
            }
            '<' => {
                tokens.push(Token::Text);
                at = until(at + 1, '>');
            }
            '{' => {
                let end = until(at + 1, '}').min(text.len());
                let least: String = text[at + 1..end].iter().take_while(|c| c.is_ascii_digit()).collect();
                tokens.push(Token::Times(least.parse().unwrap_or(0)));
                at = end;
            }
            c if c.is_alphanumeric() || c == '_' => {
                let name: String =
                    text[at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_' || **c == '-').collect();
                at += name.chars().count();
                tokens.push(Token::Name(name));
            }
            '|' | '(' | ')' | '[' | ']' | '?' | '*' | '+' | ':' => {
                tokens.push(Token::Sign(c));
                at += 1;
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(Token::Other);
                }
                at += 1;
            }
        }
    }
    tokens
}

fn line_end(text: &[char], from: usize) -> usize {
    text[from..].iter().position(|c| *c == '\n').map_or(text.len(), |length| from + length)
}

/// The alternatives from `at` on, and where what they stand in goes on.
fn alternatives(tokens: &[Token], mut at: usize) -> (Shape, usize) {
    let (mut ways, mut parts) = (vec![], vec![]);
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token {
            Token::Sign('|') => ways.push(Shape::All(std::mem::take(&mut parts))),
            Token::Sign(')' | ']') => break,
            Token::Sign('(') => {
                let (inner, next) = alternatives(tokens, at);
                at = next;
                parts.push(inner);
            }
            // What stands in brackets may be left out.
            Token::Sign('[') => {
                at = alternatives(tokens, at).1;
                parts.push(Shape::Text);
            }
            Token::Sign('?' | '*') | Token::Times(0) => {
                parts.pop();
            }
            Token::Name(name) => parts.push(Shape::Rule(name.clone())),
            Token::Text => parts.push(Shape::Text),
            Token::Sign(_) | Token::Times(_) | Token::Directive | Token::Other => {}
        }
    }
    ways.push(Shape::All(parts));
    (Shape::Any(ways), at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_in_a_grammar_are_prepared_and_nothing_else_is() {
        let plain = "start: \"%json {}\" /%json {}/ // %json {}\n# %json {}\na: %json nothing";
        assert_eq!(with_schemas(plain).unwrap(), plain);
        let prepared = with_schemas("start: \"\\\"(\" %json{\"maxLength\": 2.0, \"const\": \"}\"}\")\" b").unwrap();
        assert!(prepared.starts_with("start: \"\\\"(\" %json {") && prepared.ends_with("}\")\" b"), "{prepared}");
        assert!(prepared.contains("\"maxLength\":2,") && prepared.contains("\"item_separator\":\", \""), "{prepared}");
        let refused =
            with_schemas("start: %json { \"items\": { \"$ref\": \"#\" }, \"minItems\": 1, \"type\": \"array\" }")
                .unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("grammar holds a %json that cannot be taken: schema describes no JSON that ends"),
            "{refused}"
        );
    }

    #[test]
    fn a_grammar_that_never_ends_is_told_before_it_is_followed() {
        for grammar in
            ["start: a\na: \"x\" a", "start: \"(\" start \")\"", "start: a b\na: \"a\" | a \"a\"\nb: /b/ b | b"]
        {
            assert!(check_ends(grammar).is_err(), "{grammar}");
        }
        for grammar in [
            "start: a\na: \"x\" a?",
            "start: \"(\" start \")\" | \"x\"",
            "start: a*\na: \"x\" a",
            "start: a{0,3} \"|\"\na: a",
            "%import common.INT\nstart: INT \"a\"  // start: start\n%ignore / /",
            "start[capture]: NAME\nNAME: /[a-z]+/",
            "?start: (\"a\" | start) [start]",
            "start: %json { \"type\": \"object\" }\n",
            "start: unknown",
        ] {
            check_ends(grammar).unwrap_or_else(|error| panic!("{grammar}: {error}"));
        }
    }
}
