//! Weights that a prompt gives to its words, as AUTOMATIC1111's web UI reads them: `(word)` counts 1.1 times as much, `[word]` 1.1 times less,
//! `(word:1.4)` as much as it says; brackets nest, and `\(` is a bracket that means nothing.

/// What one bracket more counts.
const BRACKET: f64 = 1.1;

/// A prompt in parts of one weight each.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Emphasis {
    pub parts: Vec<(String, f64)>,
    /// What stands in the outermost brackets, with them.
    pub marked: Vec<String>,
    /// Marks of that web UI that are not weights and are read as words: `[a|b]`, `[a:b:0.5]`, `<lora:a:1>`, `AND`, `BREAK`.
    pub literal: Vec<String>,
}

impl Emphasis {
    pub fn of(prompt: &str) -> Self {
        let mut read = Self::default();
        let (mut round, mut square): (Vec<usize>, Vec<usize>) = (vec![], vec![]);
        // Whether the last part still grows, and where the outermost bracket is.
        let (mut grows, mut outermost, mut at) = (false, 0, 0);
        while let Some(c) = prompt[at..].chars().next() {
            let rest = &prompt[at..];
            let (mut text, mut length, mut closed) = ("", c.len_utf8(), None);
            if round.is_empty() && square.is_empty() {
                outermost = at;
            }
            match c {
                '\\' => {
                    text = rest[1..].chars().next().filter(|c| r"()[]\".contains(*c)).map_or("", |_| &rest[1..2]);
                    length += text.len();
                }
                '(' => round.push(read.parts.len()),
                '[' if changes_on_the_way(rest).is_some() => {
                    text = changes_on_the_way(rest).unwrap_or_default();
                    length = text.len();
                    read.literal.push(text.into());
                }
                '[' => square.push(read.parts.len()),
                ')' if !round.is_empty() => closed = round.pop().map(|from| (from, BRACKET)),
                ']' if !square.is_empty() => closed = square.pop().map(|from| (from, 1.0 / BRACKET)),
                ':' if !round.is_empty() && weight(rest).is_some() => {
                    let (weight, end) = weight(rest).unwrap_or_default();
                    closed = round.pop().map(|from| (from, weight));
                    length = end;
                }
                _ => text = &rest[..length],
            }
            at += length;
            if let Some((from, weight)) = closed {
                read.parts[from..].iter_mut().for_each(|(_, w)| *w *= weight);
                if round.is_empty() && square.is_empty() {
                    read.marked.push(prompt[outermost..at].into());
                }
            }
            match read.parts.last_mut().filter(|_| grows && !text.is_empty()) {
                Some((last, _)) => last.push_str(text),
                None if !text.is_empty() => read.parts.push((text.into(), 1.0)),
                None => {}
            }
            grows = !text.is_empty() || (c == '\\' && grows);
        }
        if !round.is_empty() || !square.is_empty() {
            read.marked.push(prompt[outermost..].into());
        }
        for (from, weight) in round.iter().map(|at| (*at, BRACKET)).chain(square.iter().map(|at| (*at, 1.0 / BRACKET)))
        {
            read.parts[from..].iter_mut().for_each(|(_, w)| *w *= weight);
        }
        read.parts.dedup_by(|part, before| {
            let same = part.1 == before.1;
            if same {
                before.0.push_str(&part.0);
            }
            same
        });
        let words = prompt.split_whitespace().filter(|word| {
            ["AND", "BREAK"].contains(word) || (word.starts_with('<') && word.ends_with('>') && word.contains(':'))
        });
        read.literal.extend(words.map(Into::into));
        read
    }

    /// Whether all words count the same.
    pub fn is_plain(&self) -> bool {
        self.parts.iter().all(|(_, weight)| *weight == 1.0)
    }
}

/// The weight in `:1.4)`, and the length of all of it.
fn weight(text: &str) -> Option<(f64, usize)> {
    let end = text.find(')')?;
    let number = text.get(1..end)?.trim();
    let fits = number.trim_start_matches(['+', '-']).chars().all(|c| c == '.' || c.is_ascii_digit());
    Some((number.parse().ok().filter(|_| fits)?, end + 1))
}

/// A bracket whose words would change from step to step: with alternatives, or with the step at which to change.
fn changes_on_the_way(text: &str) -> Option<&str> {
    let mut depth = 0;
    let end = text.char_indices().find(|(_, c)| {
        depth += i32::from(*c == '[') - i32::from(*c == ']');
        depth == 0
    })?;
    let inner = &text[1..end.0];
    let when = inner.rsplit_once(':').is_some_and(|(_, when)| when.trim().parse::<f64>().is_ok());
    (when || inner.contains('|')).then(|| &text[..end.0 + 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(prompt: &str) -> Vec<(String, f64)> {
        let round = |weight: f64| (weight * 1e6).round() / 1e6;
        Emphasis::of(prompt).parts.into_iter().map(|(text, weight)| (text, round(weight))).collect()
    }

    fn are(wanted: &[(&str, f64)]) -> Vec<(String, f64)> {
        wanted.iter().map(|(text, weight)| ((*text).into(), *weight)).collect()
    }

    /// The examples of the web UI's own parser, and what it makes of a few more.
    #[test]
    fn brackets_weigh_as_in_automatic1111() {
        assert_eq!(parts("normal text"), are(&[("normal text", 1.0)]));
        assert_eq!(parts("an (important) word"), are(&[("an ", 1.0), ("important", 1.1), (" word", 1.0)]));
        assert_eq!(parts("(unbalanced"), are(&[("unbalanced", 1.1)]));
        assert_eq!(parts(r"\(literal\]"), are(&[("(literal]", 1.0)]));
        assert_eq!(parts("(unnecessary)(parens)"), are(&[("unnecessaryparens", 1.1)]));
        assert_eq!(
            parts("a (((house:1.3)) [on] a (hill:0.5), sun, (((sky)))."),
            are(&[
                ("a ", 1.0),
                ("house", 1.573),
                (" ", 1.1),
                ("on", 1.0),
                (" a ", 1.1),
                ("hill", 0.55),
                (", sun, ", 1.1),
                ("sky", 1.4641),
                (".", 1.1),
            ])
        );
        assert_eq!(parts("[fox]"), are(&[("fox", 0.909091)]));
        assert_eq!(parts("(fox : 1.4 )"), are(&[("fox ", 1.4)]));
        assert_eq!(parts("a fox: red, 3:1) and ]"), are(&[("a fox: red, 3:1) and ]", 1.0)]));
        assert_eq!(parts("(a:1.2.3)"), are(&[("a:1.2.3", 1.1)]));
        assert_eq!(parts("fo(x:1.0)"), are(&[("fox", 1.0)]));
        assert_eq!(parts(r"\\ \a (\(b\))"), are(&[(r"\ a ", 1.0), ("(b)", 1.1)]));
        assert_eq!(parts(""), []);
        assert_eq!(parts("(füchse 🦊:0.5)"), are(&[("füchse 🦊", 0.5)]));
    }

    #[test]
    fn what_is_no_weight_is_named() {
        let literal = |prompt: &str| Emphasis::of(prompt).literal;
        assert_eq!(
            literal("a [cat:dog:0.5] AND [a|b] <lora:x:1> BREAK (fox)"),
            ["[cat:dog:0.5]", "[a|b]", "AND", "<lora:x:1>", "BREAK"]
        );
        assert_eq!(literal("a fox and [a cat]"), [""; 0]);
        assert_eq!(parts("a [cat:dog:0.5]"), are(&[("a [cat:dog:0.5]", 1.0)]));
        assert_eq!(Emphasis::of("a ((red) fox:1.3) in [snow], (and").marked, ["((red) fox:1.3)", "[snow]", "(and"]);
    }
}
