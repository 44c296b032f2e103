//! Functions of ES modules, as a page gets them: by their text, since a page of a strict policy or without an origin could not fetch them.

use serde_json::Value;

/// A function that a file exports, with what a file of others' exports that it uses.
#[derive(Clone, Copy)]
pub struct Script {
    common: &'static str,
    text: &'static str,
    name: &'static str,
}

impl Script {
    /// Panics, and in a constant so stops the compiler, where `text` exports no such function.
    pub const fn new(common: &'static str, text: &'static str, name: &'static str) -> Self {
        assert!(exports(text.as_bytes(), name.as_bytes()), "the file exports no function of this name");
        Self { common, text, name }
    }

    /// The body of an `async` function that calls it with the first of `args`.
    pub fn body(self) -> String {
        format!("{}\n{}\nreturn await {}(args[0]);", plain(self.common), plain(self.text), self.name)
    }

    /// An expression that calls it with `argument`.
    pub fn call(self, argument: &Value) -> String {
        format!("(async (...args) => {{ {} }})({argument})", self.body())
    }
}

/// A module without its marks of one.
fn plain(module: &str) -> String {
    let lines = module.lines().filter(|line| !line.starts_with("import "));
    lines.map(|line| line.strip_prefix("export ").unwrap_or(line)).flat_map(|line| [line, "\n"]).collect()
}

const fn exports(text: &[u8], name: &[u8]) -> bool {
    let mut at = 0;
    while at < text.len() {
        if (at == 0 || text[at - 1] == b'\n')
            && let Some(declared) = behind(text, at, b"export ")
        {
            let declared = match behind(text, declared, b"async ") {
                Some(declared) => declared,
                None => declared,
            };
            if let Some(named) = behind(text, declared, b"function ")
                && let Some(end) = behind(text, named, name)
                && behind(text, end, b"(").is_some()
            {
                return true;
            }
        }
        at += 1;
    }
    false
}

/// The place behind `word`, where that stands at `at`.
const fn behind(text: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    if at + word.len() > text.len() {
        return None;
    }
    let mut i = 0;
    while i < word.len() {
        if text[at + i] != word[i] {
            return None;
        }
        i += 1;
    }
    Some(at + word.len())
}

#[cfg(test)]
mod tests {
    use super::{Script, exports, plain};

    const MODULE: &str = "import { a } from \"./common.js\";\n\nconst b = 1;\n\n/** Two. */\nexport async function two() {\n  return a + b;\n}\n";

    #[test]
    fn a_module_loses_its_marks_alone() {
        assert_eq!(plain(MODULE), "\nconst b = 1;\n\n/** Two. */\nasync function two() {\n  return a + b;\n}\n");
        assert!(Script::new("export const a = 1;", MODULE, "two").body().ends_with("\nreturn await two(args[0]);"));
    }

    #[test]
    fn what_is_exported_is_told_by_its_whole_name() {
        for (name, is_exported) in [("two", true), ("tw", false), ("twos", false), ("b", false)] {
            assert_eq!(exports(MODULE.as_bytes(), name.as_bytes()), is_exported, "{name}");
        }
    }
}
