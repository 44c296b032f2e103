//! What the tests proved of models: which family, out of which files, on which device, held to what. A test says it in a line of its output once it has
//! seen it; `docs/proofs.txt` keeps the lines and `docs/models.md` shows them as tables. A run of the tests holds the record to what it saw itself;
//! `cargo xtask test --record` writes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::Workspace;

const RECORD: &str = "docs/proofs.txt";
const DOCUMENT: &str = "docs/models.md";
const BEGIN: &str = "<!-- Made by `cargo xtask test --record` -->";
const END: &str = "<!-- To here -->";

/// The devices, as tests call them, and the columns of the table.
const DEVICES: [(&str, &str); 4] = [
    ("native cpu", "CPU"),
    ("native gpu", "GPU (lavapipe)"),
    ("chromium cpu", "Chromium, CPU"),
    ("chromium webgpu", "Chromium, WebGPU (SwiftShader)"),
];

/// One cell of the table, or a speed beside it, and the test that says so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    Held { kind: String, family: String, format: String, device: String, to: String, test: String },
    Measured { model: String, device: String, size: String, speed: String, test: String },
}

impl Proof {
    /// What a line of a test's output says: `proved: KIND | FAMILY | FORMAT | DEVICE | TO` or `measured: MODEL | DEVICE | SIZE | SPEED`.
    pub fn in_line(line: &str, test: &str) -> Option<Self> {
        let (word, rest) = line.split_once(": ")?;
        let parts: Vec<String> = rest.split(" | ").map(str::to_owned).collect();
        let test = test.to_owned();
        match (word, <[String; 5]>::try_from(parts.clone()), <[String; 4]>::try_from(parts)) {
            ("proved", Ok([kind, family, format, device, to]), _) => {
                Some(Self::Held { kind, family, format, device, to, test })
            }
            ("measured", _, Ok([model, device, size, speed])) => {
                Some(Self::Measured { model, device, size, speed, test })
            }
            _ => None,
        }
    }

    pub fn test(&self) -> &str {
        match self {
            Self::Held { test, .. } | Self::Measured { test, .. } => test,
        }
    }

    /// The same, of a test in this stage.
    pub fn of_stage(mut self, stage: &str) -> Self {
        let (Self::Held { test, .. } | Self::Measured { test, .. }) = &mut self;
        *test = format!("{stage} {test}");
        self
    }

    fn recorded(&self) -> String {
        match self {
            Self::Held { kind, family, format, device, to, test } => {
                format!("{test}\tproved: {kind} | {family} | {format} | {device} | {to}\n")
            }
            Self::Measured { model, device, size, speed, test } => {
                format!("{test}\tmeasured: {model} | {device} | {size} | {speed}\n")
            }
        }
    }

    /// The same, whatever the clock said.
    fn without_clock(&self) -> Self {
        match self.clone() {
            Self::Measured { model, device, size, test, .. } => {
                Self::Measured { model, device, size, speed: String::new(), test }
            }
            held => held,
        }
    }
}

fn read(workspace: &Workspace) -> Result<BTreeSet<Proof>> {
    let path = workspace.root.join(RECORD);
    let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    text.lines()
        .map(|line| {
            let (test, proof) = line.split_once('\t').with_context(|| format!("{RECORD}: {line:?} names no test"))?;
            Proof::in_line(proof, test).with_context(|| format!("{RECORD}: {line:?} is no proof"))
        })
        .collect()
}

/// Which tests ran: those that said something, and whole stages of them.
pub struct Ran<'a> {
    pub seen: &'a [Proof],
    /// Stages of which every test ran that could.
    pub whole: &'a [String],
    /// Tests that could not.
    pub ignored: &'a [String],
}

impl Ran<'_> {
    fn has(&self, test: &str) -> bool {
        let in_whole = || {
            let (stage, name) = test.split_once(' ').unwrap_or_default();
            self.whole.iter().any(|whole| whole == stage) && !self.ignored.iter().any(|ignored| ignored.contains(name))
        };
        self.seen.iter().any(|proof| proof.test() == test) || in_whole()
    }
}

/// Holds the record to what tests said now.
///
/// Errors: a test that says other than what is recorded of it, with the command that records it.
pub fn check(workspace: &Workspace, ran: &Ran) -> Result<()> {
    let seen = ran.seen;
    let of_these = |proofs: &mut dyn Iterator<Item = &Proof>| -> BTreeSet<Proof> {
        proofs.filter(|proof| ran.has(proof.test())).map(Proof::without_clock).collect()
    };
    let (now, recorded) = (of_these(&mut seen.iter()), of_these(&mut read(workspace)?.iter()));
    let other: Vec<String> = now.symmetric_difference(&recorded).map(Proof::recorded).collect();
    ensure!(
        other.is_empty(),
        "{RECORD} does not say what the tests proved; `cargo xtask test --record` writes it:\n{}",
        other.concat()
    );
    Ok(())
}

/// Whether the document shows what is recorded.
pub fn check_document(workspace: &Workspace) -> Result<()> {
    let path = workspace.root.join(DOCUMENT);
    let text = fs::read_to_string(&path)?;
    ensure!(
        with_tables(&text, &tables(&read(workspace)?))? == text,
        "{DOCUMENT} does not show what {RECORD} says; `cargo xtask test --record` writes it"
    );
    Ok(())
}

/// Puts what these tests said in the place of what was recorded of them, and shows it in the document.
pub fn record(workspace: &Workspace, ran: &Ran) -> Result<()> {
    let mut proofs = if workspace.root.join(RECORD).exists() { read(workspace)? } else { BTreeSet::new() };
    proofs.retain(|proof| !ran.has(proof.test()));
    proofs.extend(ran.seen.iter().cloned());
    let lines: BTreeSet<String> = proofs.iter().map(Proof::recorded).collect();
    fs::write(workspace.root.join(RECORD), lines.into_iter().collect::<String>())?;
    let path = workspace.root.join(DOCUMENT);
    let text = fs::read_to_string(&path)?;
    fs::write(path, with_tables(&text, &tables(&proofs))?)?;
    println!("{RECORD} and {DOCUMENT} say what the tests proved");
    Ok(())
}

fn with_tables(document: &str, tables: &str) -> Result<String> {
    let parts = document.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = parts else { bail!("{DOCUMENT} has no place for the tables, {BEGIN} … {END}") };
    Ok(format!("{before}{BEGIN}\n\n{tables}\n{END}{after}"))
}

/// The tables, in Markdown.
fn tables(proofs: &BTreeSet<Proof>) -> String {
    type Row<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;
    let mut kinds: BTreeMap<&str, BTreeMap<(&str, &str), Row>> = BTreeMap::new();
    let mut speeds: BTreeMap<(&str, &str), BTreeMap<&str, &str>> = BTreeMap::new();
    for proof in proofs {
        match proof {
            Proof::Held { kind, family, format, device, to, .. } => {
                let row = kinds.entry(kind).or_default().entry((family, format)).or_default();
                row.entry(device).or_default().insert(to);
            }
            Proof::Measured { model, device, size, speed, .. } => {
                speeds.entry((model, size)).or_default().insert(device, speed);
            }
        }
    }
    let columns = DEVICES.map(|(_, column)| column).join(" | ");
    let mut text = String::new();
    for (kind, rows) in kinds {
        text += &format!("| {kind} | files | {columns} |\n|---|---|---|---|---|---|\n");
        for ((family, format), row) in rows {
            let cells = DEVICES.map(|(device, _)| {
                row.get(device).map_or(String::new(), |held| held.iter().copied().collect::<Vec<_>>().join(", "))
            });
            text += &format!("| {family} | {format} | {} |\n", cells.join(" | "));
        }
        text.push('\n');
    }
    text += &format!("| published model | size | {columns} |\n|---|---|---|---|---|---|\n");
    for ((model, size), row) in speeds {
        let cells = DEVICES.map(|(device, _)| row.get(device).copied().unwrap_or_default());
        text += &format!("| {model} | {size} | {} |\n", cells.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [&str; 4] = [
        "proved: language models | Qwen 3 | GGUF | native cpu | random",
        "proved: language models | Qwen 3 | GGUF | native cpu | published",
        "proved: encoders | BERT | safetensors | chromium webgpu | random",
        "measured: SmolLM2 | chromium cpu | 98 MB | 61 tokens/s",
    ];

    fn proofs(test: &str) -> BTreeSet<Proof> {
        LINES.iter().map(|line| Proof::in_line(line, test).unwrap()).collect()
    }

    #[test]
    fn lines_become_tables_of_kinds() {
        let text = tables(&proofs("a"));
        for row in [
            "| Qwen 3 | GGUF | published, random |  |  |  |\n",
            "| BERT | safetensors |  |  |  | random |\n",
            "| SmolLM2 | 98 MB |  |  | 61 tokens/s |  |\n",
        ] {
            assert!(text.contains(row), "{text}");
        }
        let document = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let shown = with_tables(&document, &text).unwrap();
        assert!(shown.starts_with("before\n") && shown.ends_with("\nafter\n") && !shown.contains("old"));
        assert_eq!(with_tables(&shown, &text).unwrap(), shown);
        assert!(with_tables("nothing", &text).is_err());
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_clocks_are_of_no_matter() {
        for proof in proofs("page::a") {
            let line = proof.recorded();
            let (test, rest) = line.trim_end().split_once('\t').unwrap();
            assert_eq!(Proof::in_line(rest, test), Some(proof));
        }
        let slower = Proof::in_line("measured: SmolLM2 | chromium cpu | 98 MB | 3 tokens/s", "a").unwrap();
        let as_before = Proof::in_line(LINES[3], "a").unwrap();
        assert!(slower != as_before && slower.without_clock() == as_before.without_clock());
        assert_eq!(Proof::in_line("proved: too | few", "a"), None);
        assert_eq!(Proof::in_line("test result: ok", "a"), None);
    }
}
