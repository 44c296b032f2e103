//! `cargo xtask test`: format and lint, native tests, tests in a browser, the page itself, and models that others published. Every stage counts what it
//! ran; the last line of the output is the sum.

mod browser;
pub mod compiler;
mod lint;
mod native;
mod output;
mod published;
mod readme;

use std::{path::PathBuf, time::Instant};

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::{
    browser::{Engine, build_geckodriver_beside},
    build::{self, BuildProfile, Site},
    page, proofs,
    tally::Tally,
    workspace::Workspace,
};

#[derive(Args)]
pub struct Options {
    /// One stage; all of them where none is named
    #[arg(value_enum)]
    stage: Option<Stage>,
    /// Only tests whose names contain this (all stages but lint)
    #[arg(long)]
    only: Option<String>,
    /// A finished site for the page tests and those of published models, instead of building one
    #[arg(long)]
    site: Option<PathBuf>,
    /// The browser that shows the page in the page tests; all three where none is named
    #[arg(long, value_enum)]
    engine: Option<Engine>,
    /// Write what the tests proved of models into docs/models.md, instead of holding the document to it
    #[arg(long)]
    record: bool,
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
    /// Models that `cargo xtask models` fetched, natively and in the page; those that were not are counted as ignored
    Published,
}

impl Stage {
    const ALL: [Self; 5] = [Self::Lint, Self::Native, Self::Browser, Self::Page, Self::Published];
}

/// Runs the stages and prints the sum; `false` where something failed.
pub fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let stages = options.stage.map_or(Stage::ALL.to_vec(), |stage| vec![stage]);
    // Where all that there is gets compiled anyway, clippy reads it then.
    let linting = compiler::of(workspace)?;
    let workspace = if options.stage.is_none() { &linting } else { workspace };
    let (filter, screenshots) = (options.only.as_deref(), options.screenshots.as_deref());
    let (mut sum, mut whole) = (Tally::default(), vec![]);
    // Built once, by the first stage that shows it.
    let mut built = options.site.clone();
    let mut site = || -> Result<Site> {
        if let Some(folder) = &built {
            return build::open(folder);
        }
        let site = build::build(workspace, BuildProfile::Everyday)?;
        built = Some(site.dist.clone());
        Ok(site)
    };
    for stage in stages {
        println!("\n== {stage:?}");
        let start = Instant::now();
        let mut tally = Tally::default();
        if stage == Stage::Native && options.stage.is_none() {
            // The native tests leave some of a processor's time, and the stages after them want it.
            build_geckodriver_beside(workspace)?;
            build::compile_beside(workspace)?;
        }
        let outcome = match stage {
            Stage::Lint => lint::run(workspace, options.stage.is_some(), &mut tally),
            Stage::Native => native::run(workspace, filter, &mut tally),
            Stage::Browser => browser::run(workspace, filter, &mut tally),
            Stage::Page => {
                let engines = options.engine.map_or(Engine::ALL.to_vec(), |engine| vec![engine]);
                site().and_then(|site| page::run(workspace, &site, &engines, filter, screenshots, &mut tally))
            }
            Stage::Published => published::run(workspace, site(), filter, screenshots, &mut tally),
        };
        if let Err(error) = outcome {
            println!("{stage:?} could not run: {error:#}");
            tally.fail(format!("{stage:?}: {error:#}"));
        }
        // Without any of the models there is nothing to run.
        let lacks_all = stage == Stage::Published && !tally.without_published.is_empty();
        if tally.passed + tally.failed == 0 && filter.is_none() && !lacks_all {
            tally.fail(format!("{stage:?}: it ran no test at all"));
        }
        println!(
            "== {stage:?}: {} passed, {} failed, {:.0} s",
            tally.passed,
            tally.failed,
            start.elapsed().as_secs_f64()
        );
        let name = format!("{stage:?}").to_lowercase();
        tally.proofs = tally.proofs.into_iter().map(|proof| proof.of_stage(&name)).collect();
        if filter.is_none() && options.engine.is_none_or(|engine| engine == Engine::Chromium) && tally.failed == 0 {
            whole.push(name);
        }
        sum.add(tally);
    }
    let ignored = [&sum.without_reference[..], &sum.without_case, &sum.without_published].concat();
    let proofs = std::mem::take(&mut sum.proofs);
    let ran = proofs::Ran { seen: &proofs, whole: &whole, ignored: &ignored };
    if options.record {
        proofs::record(&linting, &ran)?;
    } else if sum.failed == 0 {
        sum.check("what was proved is what docs/models.md says", proofs::check(&linting, &ran));
    }
    report(&sum);
    Ok(sum.failed == 0)
}

fn report(sum: &Tally) {
    println!();
    for stumbled in &sum.at_second_run {
        println!("passed at the second run: {stumbled}");
    }
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
    for name in &sum.without_published {
        println!("needs-published: {name}");
    }
    if !sum.without_published.is_empty() {
        println!(
            "{} tests had no published model to run: `cargo xtask models` fetches them",
            sum.without_published.len()
        );
    }
    if sum.ignored > 0 {
        println!("{} ignored", sum.ignored);
    }
    println!("{} passed, {} failed", sum.passed, sum.failed);
}
