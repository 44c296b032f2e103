//! Clippy while the tests are compiled. `cargo clippy` checks all dependencies before it reads a line of ours, and `cargo test` compiles
//! the same dependencies once more; where everything is tested, cargo takes this program for its compiler of the workspace's packages:
//! clippy reads a crate with the dependencies that are there, then rustc compiles it as it always does.

use std::{
    env,
    ffi::OsString,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Says to this program what it is called for.
const CALLED: &str = "VITRINE_LINTING_COMPILER";

/// The workspace whose packages are linted as they are compiled.
pub fn of(workspace: &Workspace) -> Result<Workspace> {
    let program = env::current_exe().context("this program lies nowhere")?;
    Ok(workspace.with_compiler(program, (CALLED, "1")))
}

/// Whether cargo calls this program as a compiler.
pub fn is_called() -> bool {
    env::var_os(CALLED).is_some()
        && env::args_os().nth(1).is_some_and(|first| Path::new(&first).file_stem() == Some("rustc".as_ref()))
}

/// `arguments` are rustc's path and its arguments.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    for lint in lints(&arguments) {
        match Command::new("clippy-driver").args(lint).status() {
            Ok(status) if status.success() => {}
            Ok(_) => return ExitCode::FAILURE,
            Err(error) => {
                eprintln!("error: could not start clippy-driver: {error}; `rustup component add clippy` installs it");
                return ExitCode::FAILURE;
            }
        }
    }
    let strict = if is_read_with_its_tests(&arguments) { &["-D", "warnings"][..] } else { &[] };
    let Some((rustc, arguments)) = arguments.split_first() else { return ExitCode::FAILURE };
    match Command::new(rustc).args(arguments).args(strict).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: could not start {}: {error}", Path::new(rustc).display());
            ExitCode::FAILURE
        }
    }
}

/// Whether this is a library for this machine, which clippy reads once more with its tests: then rustc's own warnings are enough here.
fn is_read_with_its_tests(arguments: &[OsString]) -> bool {
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    arguments.iter().any(|word| Path::new(word).ends_with("src/lib.rs")) && !has("--test") && !has("--target")
}

/// Clippy's arguments for a crate: those of rustc, but nothing is made of it and every warning is an error. A program's tests are read as the
/// program alone too, which no test compiles.
fn lints(arguments: &[OsString]) -> Vec<Vec<OsString>> {
    let is_emitted = |word: &OsString| word.to_str().is_some_and(|word| word.starts_with("--emit="));
    // Without it cargo asks rustc about itself.
    if !arguments.iter().any(is_emitted) || is_read_with_its_tests(arguments) {
        return vec![];
    }
    let mut lint: Vec<OsString> = vec![];
    for argument in arguments {
        lint.push(match argument.to_str() {
            Some(word) if word.starts_with("--emit=") => "--emit=metadata".into(),
            // Cargo waits for none of what is made here.
            Some(word) if word.starts_with("--json=") => {
                let told = word["--json=".len()..].split(',').filter(|part| *part != "artifacts");
                format!("--json={}", told.collect::<Vec<_>>().join(",")).into()
            }
            _ => argument.clone(),
        });
    }
    if let Some(at) = lint.iter().position(|word| word == "--out-dir")
        && let Some(folder) = lint.get_mut(at + 1)
    {
        *folder = Path::new(folder).join("linted").into();
    }
    lint.extend(["-D", "warnings"].map(OsString::from));
    let is_test = |word: &OsString| word == "--test";
    let is_program = lint.iter().any(|word| Path::new(word).ends_with("src/main.rs"));
    let alone = lint.iter().filter(|word| !is_test(word)).cloned().collect();
    if is_program && lint.iter().any(is_test) { vec![alone, lint] } else { vec![lint] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lints_of(line: &str) -> Vec<String> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        lints(&words).iter().map(|lint| lint.join(" ".as_ref()).into_string().unwrap()).collect()
    }

    #[test]
    fn what_is_linted_is_not_made() {
        let line =
            "rustc --crate-name a src/lib.rs --json=artifacts,future-incompat --emit=dep-info,link --out-dir t/deps";
        let lint = "rustc --crate-name a src/lib.rs --json=future-incompat --emit=metadata --out-dir t/deps/linted";
        assert_eq!(lints_of(&format!("{line} --test")), [format!("{lint} --test -D warnings")]);
        assert_eq!(lints_of(&format!("{line} --target wasm")), [format!("{lint} --target wasm -D warnings")]);
        // Its tests are read, and it is in them.
        assert!(lints_of(line).is_empty());
    }

    #[test]
    fn a_program_is_linted_without_its_tests_too() {
        let lint = |words: &str| format!("rustc {words} --emit=metadata -D warnings");
        let alone = [lint("xtask/src/main.rs"), lint("xtask/src/main.rs --test")];
        assert_eq!(lints_of("rustc xtask/src/main.rs --test --emit=link"), alone);
        assert_eq!(lints_of("rustc tests/a/main.rs --test --emit=link"), [lint("tests/a/main.rs --test")]);
        assert!(lints_of("rustc -vV").is_empty());
    }
}
