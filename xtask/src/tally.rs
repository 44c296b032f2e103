//! What was tested, counted.

use anyhow::Result;

use crate::proofs::Proof;

/// What a stage ran.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
    pub ignored: usize,
    /// Tests that had no `../shared/reference` to compare with, by name; they count among the ignored.
    pub without_reference: Vec<String>,
    /// Tests whose folder of `../shared/cases` is absent, by name; they count among the ignored.
    pub without_case: Vec<String>,
    /// Tests whose published model was not fetched, by name; they count among the ignored.
    pub without_published: Vec<String>,
    pub failures: Vec<String>,
    /// Tests that passed, but not at once, with what stood in their way; they count among the passed.
    pub at_second_run: Vec<String>,
    /// What tests said that they proved.
    pub proofs: Vec<Proof>,
}

impl Tally {
    /// Counts one check that is not a test of a test harness.
    pub fn check(&mut self, name: &str, result: Result<()>) {
        match result {
            Ok(()) => {
                println!("check {name} ... ok");
                self.passed += 1;
            }
            Err(error) => {
                println!("check {name} ... FAILED: {error:#}");
                self.fail(format!("{name}\n    {error:#}"));
            }
        }
    }

    pub fn fail(&mut self, name: impl Into<String>) {
        self.failed += 1;
        self.failures.push(name.into());
    }

    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.without_reference.extend(other.without_reference);
        self.without_case.extend(other.without_case);
        self.without_published.extend(other.without_published);
        self.failures.extend(other.failures);
        self.at_second_run.extend(other.at_second_run);
        self.proofs.extend(other.proofs);
    }
}
