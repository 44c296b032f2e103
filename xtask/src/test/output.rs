//! Reads the output of test harnesses while it passes by.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use crate::{proofs::Proof, tally::Tally, workspace};

/// Runs a `cargo test` and counts its tests. A run that fails without a failed test (the code does not compile, the
/// browser went away) counts as one failure.
pub fn run_counted(command: &mut Command, name: &str, tally: &mut Tally) -> Result<()> {
    println!("  $ {}", workspace::shown(command));
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("could not start {name}"))?;
    let mut run = Tally::default();
    let stdout = child.stdout.take().context("a test run without output")?;
    let mut test = String::new();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        read_line(&line, &mut test, &mut run);
    }
    let status = child.wait()?;
    if !status.success() && run.failed == 0 {
        run.fail(format!("{name} ({status})"));
    }
    // The harness has counted them among the passed.
    let without = run.without_case.len() + run.without_reference.len() + run.without_published.len();
    let without = without.min(run.passed);
    run.passed -= without;
    run.ignored += without;
    tally.add(run);
    Ok(())
}

/// What one line of a harness says, of `test` where it is what a test wrote.
fn read_line(line: &str, test: &mut String, run: &mut Tally) {
    let line = line.trim();
    // A test that needs several files counts once.
    let once = |names: &mut Vec<String>, needed: &str| {
        if !names.iter().any(|name| name.starts_with(&format!("{test}: "))) {
            names.push(format!("{test}: {needed}"));
        }
    };
    if let Some(counts) = line.strip_prefix("test result: ") {
        let number = |word: &str| {
            let words: Vec<&str> = counts.split([' ', ';']).filter(|part| !part.is_empty()).collect();
            words.windows(2).find(|pair| pair[1] == word).and_then(|pair| pair[0].parse::<usize>().ok()).unwrap_or(0)
        };
        run.passed += number("passed");
        run.failed += number("failed");
        run.ignored += number("ignored");
    } else if let Some(name) = line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----")) {
        name.clone_into(test);
    } else if let Some(name) = line.strip_prefix("needs-reference: ") {
        once(&mut run.without_reference, name);
    } else if let Some(name) = line.strip_prefix("needs-case: ") {
        once(&mut run.without_case, name);
    } else if let Some(name) = line.strip_prefix("needs-published: ") {
        once(&mut run.without_published, name);
    } else if let Some(proof) = Proof::in_line(line, test) {
        run.proofs.push(proof);
    } else if let Some(test) = line.strip_prefix("test ")
        && let Some((name, outcome)) = test.rsplit_once(" ... ")
        && outcome.starts_with("FAIL")
    {
        run.failures.push(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_all_harnesses_are_summed() {
        let (mut run, mut test) = (Tally::default(), String::new());
        for line in [
            "test graph::a_shape_is_checked ... ok",
            "test weights::a_cut_file_is_refused ... FAILED",
            "---- models::greedy stdout ----",
            "needs-reference: greedy200",
            "needs-reference: model.bin",
            "---- cases::dates stdout ----",
            "needs-case: 17-strftime",
            "---- published::smollm2 stdout ----",
            "needs-published: smollm2",
            "---- models::qwen stdout ----",
            "proved: language models | Qwen 3 | GGUF | native cpu | random",
            "test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 3 filtered out; finished in 0.10s",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 filtered out; finished in 1.20s",
        ] {
            read_line(line, &mut test, &mut run);
        }
        assert_eq!((run.passed, run.failed, run.ignored), (15, 1, 2));
        assert_eq!(run.failures, ["weights::a_cut_file_is_refused"]);
        assert_eq!(run.without_reference, ["models::greedy: greedy200"]);
        assert_eq!(run.without_case, ["cases::dates: 17-strftime"]);
        assert_eq!(run.without_published, ["published::smollm2: smollm2"]);
        assert!(run.proofs.len() == 1 && run.proofs[0].test() == "models::qwen");
    }

    #[test]
    fn a_run_that_dies_before_its_tests_is_a_failure() {
        let mut tally = Tally::default();
        let mut command = Command::new("rustc");
        command.arg("--no-such-flag");
        run_counted(&mut command, "a broken run", &mut tally).unwrap();
        assert_eq!((tally.passed, tally.failed), (0, 1));
    }
}
