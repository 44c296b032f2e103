//! The crate's `wasm_bindgen_test`s in headless Chromium, and those that need no adapter in headless Firefox. This program is cargo's
//! runner for them, so that there is no tool to install; `webdriver.json` beside `Cargo.toml` holds Chromium's arguments.

use std::{env, fs};

use anyhow::{Context, Result, ensure};

use super::output;
use crate::{
    browser::{Browser, Engine},
    system,
    tally::Tally,
    workspace::{WASM_TARGET, Workspace},
};

/// Seconds that one test module may take: software adapters compile every kernel in it.
const TIMEOUT: &str = "600";

pub fn run(workspace: &Workspace, filter: Option<&str>, tally: &mut Tally) -> Result<()> {
    system::ensure_wasm_target(workspace)?;
    let runner = env::current_exe()?;
    let runner = serde_json::to_string(runner.to_str().context("the path of xtask is not UTF-8")?)?;
    let runner = format!("target.{WASM_TARGET}.runner = [{runner}, 'wasm-test-runner']");
    // The runner takes the first driver that it is told of.
    for (engine, variable) in [(Engine::Chromium, "CHROMEDRIVER"), (Engine::Firefox, "GECKODRIVER")] {
        let driver = Browser::ensure(engine, workspace)?.driver;
        let mut tests = targets(workspace)?;
        // Firefox has no adapter here.
        tests.retain(|test| engine == Engine::Chromium || test != "web_gpu");
        let mut cargo = workspace.cargo();
        cargo.args(["test", "--config", &runner, "--package", "vitrine", "--target", WASM_TARGET, "--profile", "page"]);
        cargo.arg("--no-fail-fast").args(tests.iter().flat_map(|test| ["--test", test]));
        cargo.args(filter.map(|_| "--")).args(filter);
        cargo.env_remove("GECKODRIVER").env_remove("CHROMEDRIVER").env(variable, driver);
        cargo.env("WASM_BINDGEN_TEST_TIMEOUT", TIMEOUT).env("WASM_BINDGEN_TEST_DRIVER_TIMEOUT", "60");
        output::run_counted(&mut cargo, &format!("the browser tests in {engine:?}"), tally)?;
    }
    Ok(())
}

/// The files of `tests/` that are made for a browser, `web_….rs`; all others are empty there.
pub fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let mut targets = vec![];
    for entry in fs::read_dir(workspace.root.join("tests"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        targets.extend(name.strip_suffix(".rs").filter(|name| name.starts_with("web_")).map(str::to_owned));
    }
    targets.sort();
    ensure!(!targets.is_empty(), "there is no tests/web_….rs");
    Ok(targets)
}
