//! Makes a kernel's final WGSL from its source: picks the lines of a variant, puts in shared snippets and constants, and
//! adds the header that this target wants.
//!
//! A source is plain WGSL with four kinds of directive, each on a line of its own:
//!
//! ```text
//! #if FLAG      (or `#if !FLAG`; may nest)
//! #else
//! #endif
//! #include reduce
//! ```
//!
//! Constants stand before the source as `const NAME: u32 = 64u;`, so that array and workgroup sizes may use them and
//! loops over them unroll. Numbers that many dispatches differ in come as a uniform instead, so that they share a pipeline; a source names
//! both alike, `NAME`. It says in its first comment which flags, constants and numbers it takes.

use std::fmt::Write;

use super::snippets;
use crate::{Error, Result};

/// A kernel as it lies in `kernels/`: its name (the file's) and its text.
#[derive(Debug, Clone, Copy)]
pub struct Kernel {
    pub name: &'static str,
    pub source: &'static str,
}

/// A number that a kernel is specialised on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Const {
    U32(u32),
    F32(f32),
}

impl Const {
    /// A size as a constant; the kernels count in u32.
    pub fn size(n: usize) -> Result<Self> {
        u32::try_from(n)
            .map(Self::U32)
            .map_err(|_| Error::invalid_graph(format!("a size of {n} is more than a GPU kernel can count")))
    }
}

/// What a variant of a kernel is made with.
#[derive(Debug, Clone, Default)]
pub struct Variant {
    /// The flags that `#if` asks for. `SUBGROUPS` and `F16` also bring their `enable` line where the target wants it.
    pub flags: Vec<&'static str>,
    pub constants: Vec<(&'static str, Const)>,
    /// What each dispatch brings itself.
    pub numbers: Vec<(&'static str, Const)>,
}

/// The binding of a variant's numbers.
pub const NUMBERS: u32 = 15;

impl Variant {
    pub fn new(constants: &[(&'static str, Const)]) -> Self {
        Self { constants: constants.into(), ..Self::default() }
    }

    /// The variant with these numbers of a dispatch as well.
    pub fn with_numbers(mut self, numbers: &[(&'static str, Const)]) -> Self {
        self.numbers.extend(numbers);
        self
    }

    /// The numbers as the words of their uniform.
    pub fn words(&self) -> Vec<u32> {
        let word = |(_, number): &(_, Const)| match number {
            Const::U32(n) => *n,
            Const::F32(n) => n.to_bits(),
        };
        self.numbers.iter().map(word).collect()
    }

    /// The variant with `flag`, where `on` holds.
    pub fn flag(mut self, flag: &'static str, on: bool) -> Self {
        if on {
            self.flags.push(flag);
        }
        self
    }

    /// A name that no other variant of the kernel has. Which numbers it takes follows from its flags.
    pub fn key(&self, kernel: &Kernel) -> String {
        let mut key = kernel.name.to_string();
        for flag in &self.flags {
            let _ = write!(key, " {flag}");
        }
        for (name, value) in &self.constants {
            let _ = match value {
                Const::U32(v) => write!(key, " {name}={v}"),
                Const::F32(v) => write!(key, " {name}={v:?}"),
            };
        }
        key
    }
}

/// The WGSL of one variant for this target.
pub fn render(kernel: &Kernel, variant: &Variant) -> Result<String> {
    let mut out = String::with_capacity(kernel.source.len() + 512);
    // Browsers demand the line, naga does not know it.
    if cfg!(target_arch = "wasm32") && variant.flags.contains(&"SUBGROUPS") {
        out.push_str("enable subgroups;\n");
    }
    if variant.flags.contains(&"F16") {
        out.push_str("enable f16;\n");
    }
    for (name, value) in variant.constants.iter().chain(&variant.numbers) {
        if let Const::F32(v) = value
            && !v.is_finite()
        {
            return Err(Error::invalid_graph(format!("kernel {}: the constant {name} is {v}", kernel.name)));
        }
    }
    for (name, value) in &variant.constants {
        let _ = match value {
            Const::U32(v) => writeln!(out, "const {name}: u32 = {v}u;"),
            Const::F32(v) => writeln!(out, "const {name}: f32 = {v:?}f;"),
        };
    }
    if variant.numbers.is_empty() {
        expand(kernel.name, kernel.source, &variant.flags, &mut out)?;
        return Ok(out);
    }
    out.push_str("struct Numbers {\n");
    for (name, number) in &variant.numbers {
        let kind = match number {
            Const::U32(_) => "u32",
            Const::F32(_) => "f32",
        };
        let _ = writeln!(out, "    {name}: {kind},");
    }
    let _ = writeln!(out, "}}\n@group(0) @binding({NUMBERS}) var<uniform> numbers: Numbers;");
    let mut body = String::with_capacity(kernel.source.len() + 512);
    expand(kernel.name, kernel.source, &variant.flags, &mut body)?;
    for line in body.lines() {
        let (code, comment) = line.split_at(line.find("//").unwrap_or(line.len()));
        name_numbers(code, variant, &mut out);
        out.push_str(comment);
        out.push('\n');
    }
    Ok(out)
}

/// Has a line say where its numbers are.
fn name_numbers(code: &str, variant: &Variant, out: &mut String) {
    let mut rest = code;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        let (before, word) = rest.split_at(start);
        let end = word.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        out.push_str(before);
        if variant.numbers.iter().any(|(name, _)| *name == word) {
            out.push_str("numbers.");
        }
        out.push_str(word);
        rest = after;
    }
    out.push_str(rest);
}

fn expand(name: &str, source: &str, flags: &[&'static str], out: &mut String) -> Result<()> {
    let broken = |line: usize, why: &str| Error::internal(format!("kernel {name}, line {line}: {why}"));
    // One entry for each open `#if`: whether its present branch is taken.
    let mut open: Vec<bool> = vec![];
    for (i, line) in source.lines().enumerate() {
        let Some(directive) = line.trim_start().strip_prefix('#') else {
            if open.iter().all(|taken| *taken) {
                out.push_str(line);
                out.push('\n');
            }
            continue;
        };
        match directive.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["if", flag] => open.push(match flag.strip_prefix('!') {
                Some(flag) => !flags.contains(&flag),
                None => flags.contains(flag),
            }),
            ["else"] => match open.last_mut() {
                Some(taken) => *taken = !*taken,
                None => return Err(broken(i + 1, "#else without #if")),
            },
            ["endif"] => {
                open.pop().ok_or_else(|| broken(i + 1, "#endif without #if"))?;
            }
            ["include", snippet] => {
                if open.iter().all(|taken| *taken) {
                    let text = snippets::snippet(snippet).ok_or_else(|| broken(i + 1, "no such snippet"))?;
                    expand(name, &text, flags, out)?;
                }
            }
            _ => return Err(broken(i + 1, "an unknown directive")),
        }
    }
    if open.is_empty() { Ok(()) } else { Err(broken(source.lines().count(), "#if without #endif")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &'static str, variant: Variant) -> Result<String> {
        render(&Kernel { name: "k", source }, &variant)
    }

    #[test]
    fn only_the_lines_of_the_variant_stay() {
        let source = "a\n#if X\nb\n#if !Y\nc\n#else\nd\n#endif\n#else\ne\n#endif\nf";
        assert_eq!(text(source, Variant::default().flag("X", true)).unwrap(), "a\nb\nc\nf\n");
        assert_eq!(text(source, Variant::default().flag("X", true).flag("Y", true)).unwrap(), "a\nb\nd\nf\n");
        assert_eq!(text(source, Variant::default()).unwrap(), "a\ne\nf\n");
    }

    #[test]
    fn constants_keep_their_type_and_every_bit() {
        let variant = Variant::new(&[("N", Const::U32(7)), ("EPS", Const::F32(1e-5)), ("ONE", Const::F32(1.0))]);
        let text = text("", variant).unwrap();
        assert_eq!(text, "const N: u32 = 7u;\nconst EPS: f32 = 1e-5f;\nconst ONE: f32 = 1.0f;\n");
    }

    #[test]
    fn numbers_come_as_a_uniform_under_their_names() {
        let variant = Variant::default().with_numbers(&[("ROWS", Const::U32(7)), ("EPS", Const::F32(1e-5))]);
        assert_eq!(variant.words(), [7, 1e-5f32.to_bits()]);
        let struct_of_both = "struct Numbers {\n    ROWS: u32,\n    EPS: f32,\n}\n@group(0) @binding(15) var<uniform> numbers: Numbers;\n";
        let code = "let a = min(ROWS, ROWS_ALL) + ROWS; // ROWS\nb / EPS";
        let named = "let a = min(numbers.ROWS, ROWS_ALL) + numbers.ROWS; // ROWS\nb / numbers.EPS\n";
        assert_eq!(text(code, variant).unwrap(), format!("{struct_of_both}{named}"));
    }

    #[test]
    fn a_broken_source_is_refused_with_its_line() {
        for (source, part) in [("#if X", "#endif"), ("\n#else", "line 2"), ("#include nothing", "snippet")] {
            let error = text(source, Variant::default()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
