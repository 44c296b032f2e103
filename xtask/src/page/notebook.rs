//! Widgets in notebooks: the wheel `vitrine-widgets`, built and installed by pip, with a kernel's widget and messages from Python and Jupyter's and anywidget's own front ends in
//! the browser. Only what carries the messages is a stand-in.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Test, Visit, bundlers, ensure_that, script};
use crate::{
    npm,
    package::python,
    server::{self, Routes},
    workspace,
};

pub const TESTS: &[Test] = &[
    Test::new("a_notebooks_kernel_hands_over_what_its_page_runs", kernel),
    Test::new("a_widget_is_rendered_by_the_address_of_its_module", by_address),
];

/// A Python process with one widget; it ends with this value.
struct Kernel {
    process: Child,
    address: String,
}

impl Kernel {
    fn start(python: &Path, source: &Path, class: &str, attributes: &Value) -> Result<Self> {
        let mut command = Command::new(python);
        command.arg(source.join("kernel.py")).args([class, &attributes.to_string()]).stdout(Stdio::piped());
        let mut process = command.stdin(Stdio::null()).spawn().context("could not start Python")?;
        let output = process.stdout.take().context("Python has no output")?;
        let mut port = String::new();
        let read = BufReader::new(output).read_line(&mut port);
        let kernel = Self { process, address: format!("http://127.0.0.1:{}", port.trim()) };
        ensure_that!(read? > 0, "the kernel did not start");
        Ok(kernel)
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn kernel(visit: &Visit) -> Result<()> {
    let text = bundlers::text_without_bundler(visit)?;
    let source = visit.root.join("xtask/src/page/notebook");
    let python = with_wheel(visit)?;
    workspace::run(Command::new(&python).arg(source.join("checks.py")))?;
    let folders = vec![
        ("/notebook/".into(), front(visit, &source)?),
        ("/npm/anywidget/".into(), npm::install(visit.workspace, &npm::ANYWIDGET)?),
        ("/".into(), visit.scratch()?),
    ];
    // Of Vitrine it has nothing but what the kernel gives.
    let server = server::start(Routes { folders, faults: true, ..Routes::default() }, 0)?;

    let attributes = json!({ "prompt": "One day", "max_tokens": 8, "temperature": 0, "device": "cpu" });
    let kernel = Kernel::start(&python, &source, "Text", &attributes)?;
    visit.session.goto(&format!("{}/fault/blank", server.address()))?;
    let other = json!({ "prompt": "One day", "max-tokens": 3, "temperature": 0, "device": "cpu" });
    let wrong = json!({ "promt": "One day", "device": "cpu" });
    let calls = json!([
        ["call", { "method": "call", "args": ["write"] }, "outcome"],
        ["set", { "name": "attributes", "value": other }, ""],
        ["call", { "method": "call", "args": ["write"] }, "outcome"],
        ["set", { "name": "attributes", "value": wrong }, "failed"],
    ]);
    let seen = visit.call(script!("notebook.js", inNotebook), json!({ "kernel": kernel.address, "calls": calls }))?;
    let told = &seen["told"];
    ensure_that!(told[0]["outcome"]["text"] == text.as_str(), "{text:?} is right: {seen}");
    ensure_that!(told[0]["outcome"]["stopped"] == false && told[0]["error"] == "", "{seen}");
    let shorter = told[2]["outcome"]["text"].as_str().context("no text came")?;
    ensure_that!(shorter.len() < text.len() && text.starts_with(shorter), "three tokens are {shorter:?} of {text:?}");
    let error = told[3]["error"].as_str().unwrap_or_default();
    ensure_that!(told[3]["state"] == "failed" && error.contains("promt") && error.contains("prompt?"), "{seen}");
    ensure_that!(seen["left"] == 0 && seen["attributes"]["promt"] == Value::Null, "{seen}");

    let attributes = json!({ "prompt": "a fox", "steps": 1, "seed": 1, "device": "cpu" });
    let kernel = Kernel::start(&python, &source, "Image", &attributes)?;
    visit.session.goto(&format!("{}/fault/blank", server.address()))?;
    let calls = json!([["call", { "method": "call", "args": ["paint"] }, "outcome"]]);
    let seen = visit.call(script!("notebook.js", inNotebook), json!({ "kernel": kernel.address, "calls": calls }))?;
    ensure_that!(seen["told"][0]["outcome"]["picture"] == "b'\\x89PNG'", "{seen}");
    Ok(())
}

/// A Python that has the wheel of this site installed.
fn with_wheel(visit: &Visit) -> Result<PathBuf> {
    let out = visit.workspace.target.join("page-tests").join("wheel");
    let wheel = python::build(visit.workspace, &bundlers::installed(visit)?, &out)?;
    let python = python::environment(visit.workspace, &python::WIDGETS)?;
    python::pip_install(&python, &["--force-reinstall", "--no-deps", &wheel.to_string_lossy()])?;
    Ok(python)
}

/// The notebook's front end in one file.
fn front(visit: &Visit, source: &Path) -> Result<PathBuf> {
    let out = visit.workspace.target.join("page-tests").join("notebook-front");
    let manager = npm::install(visit.workspace, &npm::JUPYTER_WIDGETS)?;
    let modules = manager.ancestors().find(|each| each.ends_with("node_modules")).context("npm's folder")?;
    let esbuild = npm::program(visit.workspace, &npm::ESBUILD, "esbuild")?;
    let mut command = Command::new(esbuild);
    command.arg(source.join("front.js")).args(["--bundle", "--format=esm", "--log-level=error"]);
    command.args([
        "--loader:.svg=dataurl",
        "--loader:.woff=dataurl",
        "--loader:.woff2=dataurl",
        "--loader:.ttf=dataurl",
        "--loader:.eot=dataurl",
    ]);
    workspace::run(command.arg(format!("--outdir={}", out.display())).env("NODE_PATH", modules))?;
    Ok(out)
}

fn by_address(visit: &Visit) -> Result<()> {
    let text = bundlers::text_without_bundler(visit)?;
    let attributes = json!({ "prompt": "One day", "max-tokens": 8, "temperature": 0, "device": "cpu" });
    let seen = visit.call(script!("notebook.js", byAddress), json!({ "traits": { "attributes": attributes } }))?;
    ensure_that!(seen["outcome"]["text"] == text.as_str() && seen["state"] == "ready", "{text:?} is right: {seen}");
    ensure_that!(seen["left"] == 0 && seen["listeners"] == 0, "something stayed: {seen}");
    let seen = visit.call(script!("notebook.js", byAddress), json!({ "traits": { "tag": "vitrine-none" } }))?;
    let error = seen["error"].as_str().unwrap_or_default();
    ensure_that!(seen["state"] == "failed" && error.contains("There is no widget"), "{seen}");
    Ok(())
}
