//! Published weights, fetched by `cargo xtask models`: natively, on the CPU and the GPU, and in the page in Chromium.

use std::path::Path;

use anyhow::Result;

use super::output;
use crate::{build::Site, page, system, tally::Tally, workspace::Workspace};

/// The module of `tests/models` that the native stage leaves to this one.
pub const MODULE: &str = "published::";

pub fn run(
    workspace: &Workspace,
    site: Result<Site>,
    filter: Option<&str>,
    screenshots: Option<&Path>,
    tally: &mut Tally,
) -> Result<()> {
    system::ensure_vulkan()?;
    let mut cargo = workspace.cargo();
    // Kernels run here for longer than LLVM takes to optimise them.
    cargo.args(["test", "--package", "vitrine", "--profile", "dev", "--test", "models", "--no-fail-fast", "--"]);
    cargo.arg(filter.unwrap_or(MODULE)).arg("--show-output");
    output::run_counted(&mut cargo, "the published models, natively", tally)?;
    page::run_published(workspace, &site?, filter, screenshots, tally)
}
