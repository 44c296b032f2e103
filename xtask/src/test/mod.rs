//! `cargo xtask test`: format and lint, native tests, tests in a browser, and the page itself. Every stage counts what it
//! ran; the last line of the output is the sum.

mod browser;
pub mod compiler;
mod lint;
mod native;
mod output;
mod readme;

use std::{path::PathBuf, time::Instant};

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::{
    browser::{Engine, build_geckodriver_beside},
    build::{self, BuildProfile},
    page,
    tally::Tally,
    workspace::Workspace,
};

#[derive(Args)]
pub struct Options {
    /// One stage; all of them where none is named
    #[arg(value_enum)]
    stage: Option<Stage>,
    /// Only tests whose names contain this (native, browser and page)
    #[arg(long)]
    only: Option<String>,
    /// A finished site for the page tests, instead of building one
    #[arg(long)]
    site: Option<PathBuf>,
    /// The browser that shows the page in the page tests; all three where none is named
    #[arg(long, value_enum)]
    engine: Option<Engine>,
    /// Where the page tests leave their screenshots
    #[arg(long)]
    screenshots: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// Format, clippy for both targets, and the types of JavaScript, the page's and its tests'
    Lint,
    /// `cargo test` on this machine, GPU kernels included
    Native,
    /// The crate's tests inside headless Chromium
    Browser,
    /// The finished page, driven like a reader would: in Chromium, and its main paths in Firefox and WebKit
    Page,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Lint, Self::Native, Self::Browser, Self::Page];
}

/// Runs the stages and prints the sum; `false` where something failed.
pub fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let stages = options.stage.map_or(Stage::ALL.to_vec(), |stage| vec![stage]);
    // Where all that there is gets compiled anyway, clippy reads it then.
    let linting = compiler::of(workspace)?;
    let workspace = if options.stage.is_none() { &linting } else { workspace };
    let filter = options.only.as_deref();
    let mut sum = Tally::default();
    for stage in stages {
        println!("\n== {stage:?}");
        let start = Instant::now();
        let mut tally = Tally::default();
        if stage == Stage::Native && options.stage.is_none() {
            // The native tests leave some of a processor's time, and the stage after them wants it.
            build_geckodriver_beside(workspace)?;
        }
        let outcome = match stage {
            Stage::Lint => lint::run(workspace, options.stage.is_some(), &mut tally),
            Stage::Native => native::run(workspace, filter, &mut tally),
            Stage::Browser => browser::run(workspace, filter, &mut tally),
            Stage::Page => {
                let site = match &options.site {
                    Some(folder) => build::open(folder),
                    None => build::build(workspace, BuildProfile::Everyday),
                };
                let engines = options.engine.map_or(Engine::ALL.to_vec(), |engine| vec![engine]);
                site.and_then(|site| {
                    page::run(workspace, &site, &engines, filter, options.screenshots.as_deref(), &mut tally)
                })
            }
        };
        if let Err(error) = outcome {
            println!("{stage:?} could not run: {error:#}");
            tally.fail(format!("{stage:?}: {error:#}"));
        }
        if tally.passed + tally.failed == 0 && filter.is_none() {
            tally.fail(format!("{stage:?}: it ran no test at all"));
        }
        println!(
            "== {stage:?}: {} passed, {} failed, {:.0} s",
            tally.passed,
            tally.failed,
            start.elapsed().as_secs_f64()
        );
        sum.add(tally);
    }
    report(&sum);
    Ok(sum.failed == 0)
}

fn report(sum: &Tally) {
    println!();
    for failure in &sum.failures {
        println!("failed: {failure}");
    }
    for name in &sum.without_reference {
        println!("needs-reference: {name}");
    }
    if !sum.without_reference.is_empty() {
        println!("{} tests had no ../shared/reference to compare with", sum.without_reference.len());
    }
    for name in &sum.without_case {
        println!("needs-case: {name}");
    }
    if !sum.without_case.is_empty() {
        println!("{} tests had no ../shared/cases to run", sum.without_case.len());
    }
    if sum.ignored > 0 {
        println!("{} ignored", sum.ignored);
    }
    println!("{} passed, {} failed", sum.passed, sum.failed);
}
