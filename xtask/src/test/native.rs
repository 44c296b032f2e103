//! `cargo test` on this machine: the crate with its GPU kernels on whatever Vulkan device there is, its crates, and xtask itself.

use anyhow::Result;

use super::{output, published};
use crate::{
    system,
    tally::Tally,
    workspace::{self, Workspace},
};

/// Examples and benches are compiled, and documents hold none to run. The packages run apart, so that the crate is compiled with the same features as when it is tested alone.
pub fn run(workspace: &Workspace, filter: Option<&str>, tally: &mut Tally) -> Result<()> {
    system::ensure_vulkan()?;
    for (package, profile) in [
        ("vitrine", "dev"),
        ("vitrine-constraints", "dev"),
        ("vitrine-jinja", "dev"),
        ("vitrine-kernels", "dev"),
        ("xtask", "tool"),
    ] {
        let mut cargo = workspace.cargo();
        cargo
            .args(["test", "--package", package, "--profile", profile, "--no-fail-fast", "--tests", "--examples", "--"])
            .args(filter)
            .arg("--show-output")
            .args((package == "vitrine").then_some(["--skip", published::MODULE]).into_iter().flatten())
            // Lavapipe has LLVM optimise every kernel, which takes longer than all that our tests run of it.
            .env("GALLIVM_PERF", "nopt");
        output::run_counted(&mut cargo, &format!("cargo test --package {package}"), tally)?;
    }
    if filter.is_none() {
        let mut benches = workspace.cargo();
        benches.args(["build", "--package", "vitrine", "--profile", "dev", "--bench", "engine"]);
        tally.check("the benches compile", workspace::run(&mut benches));
    }
    Ok(())
}
