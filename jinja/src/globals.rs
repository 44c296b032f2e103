//! What every template can call: Jinja's globals and those of transformers.

use std::{cell::Cell, rc::Rc};

use crate::{
    error::{Result, fail},
    escape,
    run::{Args, Run},
    sequences, strftime, strings,
    value::{Dict, Object, Range, Value},
};

const GLOBALS: [&str; 8] =
    ["cycler", "dict", "joiner", "lipsum", "namespace", "raise_exception", "range", "strftime_now"];

/// As many items as the sandbox lets a range have.
const LONGEST_RANGE: usize = 100_000;

pub fn lookup(name: &str) -> Option<Value> {
    GLOBALS.into_iter().find(|known| *known == name).map(Object::function)
}

/// Names of a namespace that the sandbox keeps for itself.
pub fn check_attribute(name: &str) -> Result<()> {
    if name.starts_with('_') {
        return fail(format!(
            "Chat templates cannot store underscore-prefixed attributes on a namespace, but got '{name}'."
        ));
    }
    Ok(())
}

pub fn call(run: &Run, name: &str, args: Args) -> Result<Value> {
    let budget = &run.budget;
    match name {
        "dict" => Ok(Value::Dict(Dict::new(sequences::dictionary(run, args)?, budget)?)),
        "namespace" => {
            let mut entries = vec![];
            for (key, value) in sequences::dictionary(run, args)? {
                let Value::Str(key, _) = key else { return fail("attribute name must be string") };
                check_attribute(&key)?;
                entries.push((key, value));
            }
            run.namespace(entries)
        }
        "range" => {
            let bound = args.bind("range", &["_start", "_stop", "_step"], 1)?;
            let (start, stop) = match bound.get(1) {
                Some(_) => (bound.int(0, 0)?, bound.int(1, 0)?),
                None => (0, bound.int(0, 0)?),
            };
            let step = bound.int(2, 1)?;
            if step == 0 {
                return fail("range() arg 3 must not be zero");
            }
            let range = Range { start, stop, step };
            if range.len() > LONGEST_RANGE {
                return fail(format!(
                    "Range too big. The sandbox blocks ranges larger than MAX_RANGE ({LONGEST_RANGE})."
                ));
            }
            Ok(Value::Range(range))
        }
        "cycler" => {
            if !args.keyword.is_empty() {
                return fail("cycler takes no keywords");
            }
            if args.positional.is_empty() {
                return fail("at least one item has to be provided");
            }
            Ok(Value::Object(Rc::new(Object::Cycler { items: args.positional, at: Cell::new(0) })))
        }
        "joiner" => {
            let separator = args.bind("joiner", &["sep"], 0)?.get(0).cloned().unwrap_or_else(|| Value::text(", "));
            Ok(Value::Object(Rc::new(Object::Joiner { separator, used: Cell::new(false) })))
        }
        "raise_exception" => {
            let message = args.bind(name, &["message"], 1)?.value(0).print(budget)?;
            Err(run.raise(message))
        }
        "strftime_now" => {
            let format = args.bind(name, &["format"], 1)?.text(0)?;
            let mut out = String::new();
            strftime::write(&format, run.now, &mut out, budget)?;
            Value::string(out, budget)
        }
        _ => lipsum(run, args),
    }
}

/// Words that mean nothing.
const WORDS: &str = "a ac accumsan ad adipiscing aenean aliquam aliquet amet ante aptent arcu at auctor augue bibendum blandit \
    commodo condimentum congue consectetuer consequat conubia convallis cras cubilia cum cursus dapibus diam dictum dolor donec \
    dui duis egestas eget eleifend elit enim erat eros est et etiam eu euismod facilisi fames felis fermentum feugiat";

fn lipsum(run: &Run, args: Args) -> Result<Value> {
    let bound = args.bind("lipsum", &["n", "html", "min", "max"], 0)?;
    let html = bound.get(1).is_none_or(Value::truth);
    let (least, most) = (bound.int(2, 20)?, bound.int(3, 100)?);
    if least >= most {
        return fail(format!("empty range for randrange() ({least}, {most}, {})", most - least));
    }
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let spread = usize::try_from(most - least).unwrap_or(usize::MAX);
    let mut paragraphs = vec![];
    for _ in 0..bound.int(0, 5)? {
        let count = usize::try_from(least).unwrap_or(0) + run.draw(spread);
        run.budget.bytes(count.saturating_mul(16))?;
        run.budget.step(count)?;
        let mut text = String::new();
        let mut sentence = 0;
        for _ in 0..count {
            let word = words[run.draw(words.len())];
            if sentence == 0 {
                text.push_str(if text.is_empty() { "" } else { " " });
                text.push_str(&strings::capitalize(word));
                sentence = 5 + run.draw(10);
            } else {
                text.push(' ');
                text.push_str(word);
                sentence -= 1;
                text.push_str(if sentence == 0 { "." } else { "" });
            }
        }
        let text = text.trim_end_matches('.').to_owned() + ".";
        paragraphs.push(if html { format!("<p>{}</p>", escape::html(&text)) } else { text });
    }
    Ok(Value::Str(paragraphs.join(if html { "\n" } else { "\n\n" }).into(), html))
}
