//! The crate's `wasm_bindgen_test`s in headless Chromium. This program is cargo's runner for them, so that there is no
//! tool to install; `webdriver.json` beside `Cargo.toml` holds Chromium's arguments.

use std::env;

use anyhow::{Context, Result};

use super::{Tally, output};
use crate::{
    browser::{Browser, Engine},
    system,
    workspace::{WASM_TARGET, Workspace},
};

/// Seconds that one test module may take: software adapters compile every kernel in it.
const TIMEOUT: &str = "600";

pub fn run(workspace: &Workspace, filter: Option<&str>, tally: &mut Tally) -> Result<()> {
    system::ensure_wasm_target(workspace)?;
    let chromium = Browser::ensure(Engine::Chromium, workspace)?;
    let runner = env::current_exe()?;
    let runner = serde_json::to_string(runner.to_str().context("the path of xtask is not UTF-8")?)?;
    let mut cargo = workspace.cargo();
    cargo.arg("test").arg("--config").arg(format!("target.{WASM_TARGET}.runner = [{runner}, 'wasm-test-runner']"));
    cargo.args(["--package", "vitrine", "--target", WASM_TARGET, "--profile", "page", "--no-fail-fast"]);
    cargo.args(["--lib", "--tests"]).args(filter.map(|_| "--")).args(filter);
    // The runner takes the first driver that it is told of.
    cargo.env_remove("GECKODRIVER").env("CHROMEDRIVER", &chromium.driver).env("WASM_BINDGEN_TEST_TIMEOUT", TIMEOUT);
    cargo.env("WASM_BINDGEN_TEST_DRIVER_TIMEOUT", "60");
    output::run_counted(&mut cargo, "the browser tests", tally)
}
