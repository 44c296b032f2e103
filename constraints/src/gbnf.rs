//! GBNF, llama.cpp's notation for grammars, as Lark's.
//!
//! Rules that lead back to themselves stay rules. What does not is one lexeme, a regular expression, together with all that stands beside it: so
//! `[a-z] [a-z0-9]*` is a name and not a row of letters, and masks over it are fast. A lexeme takes as much text as it can.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Fault, lark};

/// Repetitions at most, as llama.cpp has it.
const MOST_TIMES: usize = 2000;

/// Whether a grammar is written in GBNF: Lark has no `::=`.
pub fn is_gbnf(grammar: &str) -> bool {
    grammar.lines().any(|line| {
        let name = line.trim_start().trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        name.trim_start().starts_with("::=") && name.len() < line.trim_start().len()
    })
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Expression {
    Literal(String),
    /// The ends of its ranges, both within.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    Any,
    Rule(String),
    Sequence(Vec<Expression>),
    Alternatives(Vec<Expression>),
    Repeated {
        inner: Box<Expression>,
        least: usize,
        most: Option<usize>,
    },
}

use Expression::{Alternatives, Any, Class, Literal, Repeated, Rule, Sequence};

/// Errors: a sentence with the line.
pub fn to_lark(grammar: &str) -> Result<String, Fault> {
    let rules = Parser::new(grammar).rules()?;
    if !rules.contains_key("root") {
        return Err(Fault::new("grammar has no rule named root, where GBNF begins; name the first rule so"));
    }
    for (name, (line, expression)) in &rules {
        let mut named = BTreeSet::new();
        names(expression, &mut named);
        if let Some(missing) = named.iter().find(|named| !rules.contains_key(**named)) {
            return Err(Fault::new(format!(
                "grammar names the rule {missing} in {name} (line {line}), and has none of that name; add it"
            )));
        }
    }
    Ok(Writer::new(&rules).write())
}

fn names<'e>(expression: &'e Expression, found: &mut BTreeSet<&'e str>) {
    match expression {
        Rule(name) => _ = found.insert(name),
        Sequence(parts) | Alternatives(parts) => parts.iter().for_each(|part| names(part, found)),
        Repeated { inner, .. } => names(inner, found),
        Literal(_) | Class { .. } | Any => {}
    }
}

type Rules = BTreeMap<String, (usize, Expression)>;

struct Parser<'g> {
    text: Vec<char>,
    at: usize,
    grammar: &'g str,
}

impl<'g> Parser<'g> {
    fn new(grammar: &'g str) -> Self {
        Self { text: grammar.chars().collect(), at: 0, grammar }
    }

    fn line(&self) -> usize {
        1 + self.text.iter().take(self.at).filter(|c| **c == '\n').count()
    }

    fn wrong(&self, what: &str) -> Fault {
        let line = self.line();
        let shown = self.grammar.lines().nth(line - 1).unwrap_or_default().trim();
        Fault::new(format!("grammar cannot be read as GBNF at line {line}: {what} ({shown})"))
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    /// Skips spaces and comments; `lines`: line ends too.
    fn space(&mut self, lines: bool) {
        while let Some(c) = self.peek() {
            match c {
                '#' => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1
                    }
                }
                '\n' | '\r' if !lines => break,
                c if c.is_whitespace() => self.at += 1,
                _ => break,
            }
        }
    }

    fn takes(&mut self, text: &str) -> bool {
        let found = text.chars().enumerate().all(|(n, c)| self.text.get(self.at + n) == Some(&c));
        if found {
            self.at += text.chars().count();
        }
        found
    }

    fn name(&mut self) -> Option<String> {
        let rest = &self.text[self.at.min(self.text.len())..];
        let name: String = rest.iter().take_while(|c| c.is_ascii_alphanumeric() || **c == '-' || **c == '_').collect();
        self.at += name.len();
        (!name.is_empty()).then_some(name)
    }

    fn rules(&mut self) -> Result<Rules, Fault> {
        let mut rules = Rules::new();
        self.space(true);
        while self.peek().is_some() {
            let line = self.line();
            let Some(name) = self.name() else { return Err(self.wrong("a rule must begin with its name")) };
            self.space(false);
            if !self.takes("::=") {
                return Err(self.wrong("::= must follow the name of a rule"));
            }
            self.space(true);
            let expression = self.alternatives(false)?;
            if rules.insert(name.clone(), (line, expression)).is_some() {
                return Err(self.wrong(&format!("{name} is there twice")));
            }
            self.space(true);
        }
        Ok(rules)
    }

    /// `nested`: within parentheses, where lines may end.
    fn alternatives(&mut self, nested: bool) -> Result<Expression, Fault> {
        let mut ways = vec![self.sequence(nested)?];
        loop {
            self.space(nested);
            // A line may begin with the bar.
            let here = self.at;
            self.space(true);
            if !self.takes("|") {
                self.at = here;
                return Ok(if ways.len() == 1 { ways.remove(0) } else { Alternatives(ways) });
            }
            self.space(true);
            ways.push(self.sequence(nested)?);
        }
    }

    fn sequence(&mut self, nested: bool) -> Result<Expression, Fault> {
        let mut parts: Vec<Expression> = vec![];
        loop {
            self.space(nested);
            let Some(c) = self.peek() else { break };
            let part = match c {
                '"' => {
                    self.at += 1;
                    Literal(self.literal()?)
                }
                '[' => {
                    self.at += 1;
                    self.class()?
                }
                '(' => {
                    self.at += 1;
                    self.space(true);
                    let inner = self.alternatives(true)?;
                    self.space(true);
                    if !self.takes(")") {
                        return Err(self.wrong("a parenthesis is not closed"));
                    }
                    inner
                }
                '.' => {
                    self.at += 1;
                    Any
                }
                '*' | '+' | '?' | '{' => return Err(self.wrong(&format!("{c} has nothing before it to repeat"))),
                '<' | '!' => {
                    return Err(self.wrong("tokens are named by their text here, not by <…>; write it in quotes"));
                }
                _ => {
                    let begun = self.at;
                    let Some(name) = self.name() else { break };
                    // The name of the next rule.
                    self.space(false);
                    if self.takes("::=") {
                        self.at = begun;
                        break;
                    }
                    self.at = begun + name.len();
                    Rule(name)
                }
            };
            parts.push(self.repeated(part)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Sequence(parts) })
    }

    fn repeated(&mut self, mut part: Expression) -> Result<Expression, Fault> {
        loop {
            let (least, most) = match self.peek() {
                Some('*') => (0, None),
                Some('+') => (1, None),
                Some('?') => (0, Some(1)),
                Some('{') => {
                    let inside: String = self.text[self.at + 1..].iter().take_while(|c| **c != '}').collect();
                    self.at += inside.chars().count() + 1;
                    let number = |text: &str| {
                        let times = text.trim().parse::<usize>().ok().filter(|times| *times <= MOST_TIMES);
                        times.ok_or_else(|| {
                            self.wrong(&format!("{{{inside}}} must count from 0 to {MOST_TIMES}, like {{2,5}}"))
                        })
                    };
                    let (least, most) = match inside.split_once(',') {
                        None => (number(&inside)?, Some(number(&inside)?)),
                        Some((least, most)) if most.trim().is_empty() => (number(least)?, None),
                        Some((least, most)) => (number(least)?, Some(number(most)?)),
                    };
                    if most.is_some_and(|most| most < least) {
                        return Err(self.wrong(&format!("{{{inside}}} ends before it begins")));
                    }
                    (least, most)
                }
                _ => return Ok(part),
            };
            self.at += 1;
            part = Repeated { inner: Box::new(part), least, most };
        }
    }

    fn literal(&mut self) -> Result<String, Fault> {
        let mut text = String::new();
        loop {
            match self.peek() {
                None | Some('\n') => return Err(self.wrong("a quote is not closed")),
                Some('"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(_) => text.push(self.character()?),
            }
        }
    }

    fn class(&mut self) -> Result<Expression, Fault> {
        let negated = self.takes("^");
        let mut ranges = vec![];
        loop {
            match self.peek() {
                None | Some('\n') => return Err(self.wrong("a bracket is not closed")),
                Some(']') => {
                    self.at += 1;
                    return Ok(Class { negated, ranges });
                }
                Some(_) => {}
            }
            let first = self.character()?;
            let is_range = self.peek() == Some('-') && self.text.get(self.at + 1).is_some_and(|c| *c != ']');
            if is_range {
                self.at += 1;
            }
            let last = if is_range { self.character()? } else { first };
            if last < first {
                return Err(self.wrong(&format!("the range {first}-{last} ends before it begins")));
            }
            ranges.push((first, last));
        }
    }

    /// One character, with the escapes of llama.cpp.
    fn character(&mut self) -> Result<char, Fault> {
        let Some(c) = self.peek() else { return Err(self.wrong("it ends too soon")) };
        self.at += 1;
        if c != '\\' {
            return Ok(c);
        }
        let Some(escaped) = self.peek() else { return Err(self.wrong("it ends too soon")) };
        self.at += 1;
        let digits = match escaped {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            't' => return Ok('\t'),
            '\\' | '"' | '[' | ']' | '-' | '^' => return Ok(escaped),
            other => return Err(self.wrong(&format!("\\{other} is no escape"))),
        };
        let code: String = self.text[self.at..].iter().take(digits).collect();
        self.at += code.chars().count();
        let c = u32::from_str_radix(&code, 16).ok().filter(|_| code.len() == digits).and_then(char::from_u32);
        c.ok_or_else(|| self.wrong(&format!("\\{escaped}{code} is no character")))
    }
}

/// Writes Lark: rules in small letters, lexemes in large ones, by number.
struct Writer<'r> {
    rules: &'r Rules,
    /// Rules that lead back to themselves, and those that lead to such.
    recursive: BTreeSet<&'r str>,
    numbers: BTreeMap<&'r str, usize>,
    /// The lexemes that rules are made of, by what they are.
    lexemes: Vec<String>,
}

impl<'r> Writer<'r> {
    fn new(rules: &'r Rules) -> Self {
        let numbers: BTreeMap<&str, usize> =
            rules.keys().enumerate().map(|(number, name)| (name.as_str(), number)).collect();
        let mut writer = Self { rules, recursive: BTreeSet::new(), numbers, lexemes: vec![] };
        // What needs only what is regular is so too; the rest leads back to itself.
        let mut regular: BTreeSet<&str> = BTreeSet::new();
        loop {
            let is_regular = |expression: &Expression| {
                let mut named = BTreeSet::new();
                names(expression, &mut named);
                named.iter().all(|name| regular.contains(name))
            };
            let more: Vec<&str> = rules
                .iter()
                .filter(|(name, (_, expression))| !regular.contains(name.as_str()) && is_regular(expression))
                .map(|(name, _)| name.as_str())
                .collect();
            if more.is_empty() {
                break;
            }
            regular.extend(more);
        }
        writer.recursive = rules.keys().map(String::as_str).filter(|name| !regular.contains(name)).collect();
        writer
    }

    fn write(mut self) -> String {
        let mut lines = vec![];
        for (name, (_, expression)) in self.rules {
            let number = self.numbers[name.as_str()];
            lines.push(match self.recursive.contains(name.as_str()) {
                true => format!("r{number}: {}", self.rule(expression)),
                false => format!("T{number}: {}", self.lexeme(expression)),
            });
        }
        let root = self.rule(&Rule("root".into()));
        lines.insert(0, format!("start: {root}"));
        lines.extend(self.lexemes.iter().enumerate().map(|(number, lexeme)| format!("L{number}: {lexeme}")));
        lines.join("\n")
    }

    fn is_regular(&self, expression: &Expression) -> bool {
        let mut named = BTreeSet::new();
        names(expression, &mut named);
        named.iter().all(|name| !self.recursive.contains(name))
    }

    /// Whether nothing is among what it describes.
    fn is_nullable(&self, expression: &Expression) -> bool {
        match expression {
            Literal(text) => text.is_empty(),
            Class { .. } | Any => false,
            // A rule that leads back to itself is asked as a rule; here are lexemes.
            Rule(name) => self.rules.get(name).is_some_and(|(_, rule)| self.is_nullable(rule)),
            Sequence(parts) => parts.iter().all(|part| self.is_nullable(part)),
            Alternatives(ways) => ways.iter().any(|way| self.is_nullable(way)),
            Repeated { inner, least, .. } => *least == 0 || self.is_nullable(inner),
        }
    }

    /// As the body of a rule.
    fn rule(&mut self, expression: &Expression) -> String {
        if self.is_regular(expression) {
            return self.use_of(expression);
        }
        match expression {
            Rule(name) => format!("r{}", self.numbers[name.as_str()]),
            Sequence(parts) => {
                let mut written = vec![];
                let regular: Vec<bool> = parts.iter().map(|part| self.is_regular(part)).collect();
                let mut at = 0;
                for run in regular.chunk_by(|a, b| *a && *b) {
                    let run = &parts[at..at + run.len()];
                    at += run.len();
                    match run {
                        [one] => written.push(self.rule(one)),
                        run => written.push(self.use_of(&Sequence(run.to_vec()))),
                    }
                }
                format!("({})", written.join(" "))
            }
            Alternatives(ways) => {
                let ways: Vec<String> = ways.iter().map(|way| self.rule(way)).collect();
                format!("({})", ways.join(" | "))
            }
            Repeated { inner, least, most } => format!("({}){}", self.rule(inner), times(*least, *most)),
            Literal(_) | Class { .. } | Any => self.use_of(expression),
        }
    }

    /// A lexeme in a rule: lexemes are not empty, so that one that may be is left out.
    fn use_of(&mut self, expression: &Expression) -> String {
        let body = self.lexeme(expression);
        let is_nullable = self.is_nullable(expression);
        let body = if is_nullable { format!("({body}) & /(?s:.)+/") } else { body };
        let number = self.lexemes.iter().position(|known| *known == body).unwrap_or_else(|| {
            self.lexemes.push(body);
            self.lexemes.len() - 1
        });
        format!("L{number}{}", if is_nullable { "?" } else { "" })
    }

    /// As the body of a lexeme.
    fn lexeme(&self, expression: &Expression) -> String {
        match expression {
            Literal(text) => lark::quoted(text),
            Any => "/(?s:.)/".into(),
            Class { negated, ranges } => {
                let ranges: String = ranges
                    .iter()
                    .map(|(first, last)| format!("\\x{{{:x}}}-\\x{{{:x}}}", u32::from(*first), u32::from(*last)))
                    .collect();
                format!("/[{}{ranges}]/", if *negated { "^" } else { "" })
            }
            Rule(name) => format!("T{}", self.numbers[name.as_str()]),
            Sequence(parts) if parts.is_empty() => lark::quoted(""),
            Sequence(parts) => {
                let parts: Vec<String> = parts.iter().map(|part| self.lexeme(part)).collect();
                format!("({})", parts.join(" "))
            }
            Alternatives(ways) => {
                let ways: Vec<String> = ways.iter().map(|way| self.lexeme(way)).collect();
                format!("({})", ways.join(" | "))
            }
            Repeated { inner, least, most } => format!("({}){}", self.lexeme(inner), times(*least, *most)),
        }
    }
}

fn times(least: usize, most: Option<usize>) -> String {
    match (least, most) {
        (0, None) => "*".into(),
        (1, None) => "+".into(),
        (0, Some(1)) => "?".into(),
        (least, None) => format!("{{{least},}}"),
        (least, Some(most)) => format!("{{{least},{most}}}"),
    }
}
