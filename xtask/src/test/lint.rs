//! Format, clippy for the machine and for the page, and the types of JavaScript: the page's, its tests' and the documents'.

use anyhow::{Context, Result};

use super::{browser, readme};
use crate::{
    build::values,
    npm, proofs, system,
    tally::Tally,
    workspace::{self, WASM_TARGET, Workspace, find_program},
};

/// `alone` says that no other stage follows, which would have clippy read what it compiles.
pub fn run(workspace: &Workspace, alone: bool, tally: &mut Tally) -> Result<()> {
    tally.check("format", workspace::run(workspace.cargo().args(["fmt", "--all", "--check"])));
    if alone {
        clippy(workspace, tally)?;
    }
    tally.check("the types of values are the crate's own", values::check(workspace));
    tally.check("types of the page's JavaScript", check_javascript(workspace, "www"));
    tally.check("types of the page tests' JavaScript", check_javascript(workspace, "xtask/src"));
    tally.check("types of the documents' JavaScript", readme::check(workspace));
    tally.check("the tables of docs/models.md", proofs::check_document(workspace));
    Ok(())
}

fn clippy(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    system::ensure_wasm_target(workspace)?;
    let clippy = |arguments: &[&str]| {
        let mut cargo = workspace.cargo();
        cargo.args(["clippy", "--quiet"]).args(arguments).args(["--", "--deny", "warnings"]);
        workspace::run(&mut cargo)
    };
    tally.check("clippy, the crate on this machine", clippy(&["--all-targets", "--package", "vitrine"]));
    let in_page = ["--package", "vitrine", "--target", WASM_TARGET, "--profile", "page", "--lib"];
    let targets = browser::targets(workspace)?;
    let tests: Vec<&str> = targets.iter().flat_map(|test| ["--test", test]).collect();
    tally.check("clippy, the crate in the page", clippy(&[&in_page[..], &tests[..]].concat()));
    tally.check("clippy, the templates' language", clippy(&["--all-targets", "--package", "vitrine-jinja"]));
    tally.check("clippy, what holds texts", clippy(&["--all-targets", "--package", "vitrine-constraints"]));
    tally.check("clippy, the CPU's kernels", clippy(&["--all-targets", "--package", "vitrine-kernels"]));
    tally.check("clippy, xtask", clippy(&["--all-targets", "--package", "xtask", "--profile", "tool"]));
    Ok(())
}

/// `tsc` over a folder, by its own `tsconfig.json`.
fn check_javascript(workspace: &Workspace, folder: &str) -> Result<()> {
    find_program(&["node"]).context("Node.js is not installed; tsc needs version 20 or later")?;
    let tsc = npm::program(workspace, &npm::TYPESCRIPT, "tsc")?;
    workspace::run(workspace.command(tsc).args(["--noEmit", "--project", folder]))
}
