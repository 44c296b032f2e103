//! The finished site in real browsers: in Chromium all of it, in Firefox and WebKit its main paths. [`reader`] does what a reader does with
//! the page, [`layout`] looks at it, [`axe`] too, [`api`] calls `vitrine.js` as a developer would, [`freeing`] and is done with it, [`hardware`] takes the software
//! adapter for a graphics card, [`pictures`] its autoencoders, [`walk`] walks through a latent,
//! [`sources`] loads from everywhere, misbehaving addresses included, [`far`] files of more than four gibibytes, [`find`] asks a hub for models, [`options`] asks for what cannot be, [`constraints`] holds texts to forms,
//! [`openai`] brings OpenAI's own client, [`clients`] LangChain's and Vercel's, [`tools`] lets models call functions, [`conversation`] holds conversations, [`chat`] its page, [`prose`] reads their answers,
//! [`losses`] crashes the GPU's process, [`widgets`] puts widgets into pages of others, [`widget_kit`] looks at what they share, [`widget_next`] and [`widget_forms`] at what some of them show, [`widget_share`] at what a reader takes along of one and at the page that sets them up, [`offline`] takes the server away, [`embedded`] shows the site in frames, from other origins, under
//! policies and over plain http, [`bundlers`] builds applications with it, [`sites`] documents and slides, [`notebook`] asks a kernel for it, [`cases`] holds what once failed, [`published`] shows models of others.
//!
//! Every test gets a fresh browser profile, in Firefox perhaps one that was made to forget what it kept of the site, and ends with a look at
//! the console: an error there that the test did not ask for fails it. [`round`] runs them.

mod api;
mod axe;
mod bundlers;
mod cases;
mod chat;
mod clients;
mod constraints;
mod conversation;
mod embedded;
mod ending;
mod families;
mod far;
mod find;
mod focus;
mod freeing;
mod hardware;
mod layout;
mod leaving;
mod losses;
mod notebook;
mod notices;
mod offline;
mod openai;
mod options;
mod paint_details;
mod painter;
mod pictures;
mod prose;
mod published;
mod reader;
mod round;
mod sampling;
mod sites;
mod sources;
mod tools;
mod vendor;
mod walk;
mod widget_forms;
mod widget_kit;
mod widget_next;
mod widget_share;
mod widgets;
mod world;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use self::round::Round;
use crate::{
    browser::{Browser, Engine, Gpu, Script, Session},
    build::{Site, WasmSize, copy_folder, types},
    npm::{self, Package},
    proofs::Proof,
    published as models,
    server::{self, Routes},
    tally::Tally,
    workspace::Workspace,
};

/// Fails with a sentence where something is not so.
macro_rules! ensure_that {
    ($condition:expr, $($sentence:tt)+) => {
        anyhow::ensure!($condition, $($sentence)+)
    };
}
pub(crate) use ensure_that;

/// What the scripts of several tests share.
const COMMON: &str = include_str!("common.js");

/// A function of a file of JavaScript beside the test, for [`Visit::call`].
macro_rules! script {
    ($file:literal, $name:ident) => {{
        const SCRIPT: $crate::browser::Script =
            $crate::browser::Script::new($crate::page::COMMON, include_str!($file), stringify!($name));
        SCRIPT
    }};
}
pub(crate) use script;

/// One statement about the page.
#[derive(Clone, Copy)]
pub struct Test {
    name: &'static str,
    gpu: Gpu,
    /// Whether it compares with `../shared/reference`.
    reference: bool,
    /// The folder of `../shared/cases` that it needs, served below `/cases/`.
    case: Option<&'static str>,
    /// The published model that it needs, in the site that it is shown.
    published: Option<&'static str>,
    /// The package of npm that it needs, served below `/npm/`.
    package: Option<&'static Package>,
    /// Parts of console errors that the test brings about itself.
    expected: &'static [&'static str],
    /// Whether it runs in every engine, and not in Chromium alone: a main path, without a command of Chromium's own.
    everywhere: bool,
    /// Whether it needs all of the browser, where its shell would do for others.
    whole: bool,
    /// Whether most of its time is spent waiting for the clock.
    patient: bool,
    run: fn(&Visit) -> Result<()>,
}

impl Test {
    /// A test without an adapter, without reference data, with a clean console.
    const fn new(name: &'static str, run: fn(&Visit) -> Result<()>) -> Self {
        Self {
            name,
            gpu: Gpu::None,
            reference: false,
            case: None,
            published: None,
            package: None,
            expected: &[],
            everywhere: false,
            whole: false,
            patient: false,
            run,
        }
    }

    const fn on(mut self, gpu: Gpu) -> Self {
        self.gpu = gpu;
        self
    }

    const fn with_reference(mut self) -> Self {
        self.reference = true;
        self
    }

    const fn with_case(mut self, name: &'static str) -> Self {
        self.case = Some(name);
        self
    }

    const fn with_published(mut self, name: &'static str) -> Self {
        self.published = Some(name);
        self
    }

    const fn everywhere(mut self) -> Self {
        self.everywhere = true;
        self
    }

    const fn in_a_whole_browser(mut self) -> Self {
        self.whole = true;
        self
    }

    const fn patient(mut self) -> Self {
        self.patient = true;
        self
    }

    const fn with_package(mut self, package: &'static Package) -> Self {
        self.package = Some(package);
        self
    }

    const fn expecting(mut self, console: &'static [&'static str]) -> Self {
        self.expected = console;
        self
    }
}

/// What a test works with: a window, and where things are.
pub struct Visit<'a> {
    pub session: &'a Session<'a>,
    /// The site, without a slash at the end.
    pub address: String,
    pub root: &'a Path,
    pub workspace: &'a Workspace,
    /// The folder of the site, to be served once more in another way.
    pub site: &'a Path,
    pub screenshots: Option<&'a Path>,
    test: &'static str,
    proofs: Mutex<Vec<Proof>>,
}

impl Visit<'_> {
    /// A folder for what this test builds; empty.
    pub fn scratch(&self) -> Result<PathBuf> {
        let folder = self.workspace.target.join("page-tests").join(self.test);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Says what was proved here of a model, once it was seen: `to` is what it was held to.
    pub fn proved(&self, kind: &str, family: &str, format: &str, device: &str, to: &str) {
        self.says(&format!("proved: {kind} | {family} | {format} | chromium {device} | {to}"));
    }

    /// Says how fast a model wrote here.
    pub fn measured(&self, model: &str, device: &str, size: &str, speed: &str) {
        self.says(&format!("measured: {model} | chromium {device} | {size} | {speed}"));
    }

    fn says(&self, line: &str) {
        println!("{line}");
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner).extend(Proof::in_line(line, self.test));
    }

    /// Opens the page and waits until it can write.
    pub fn open(&self, query: &str) -> Result<()> {
        open_page(self.session, &format!("{}/{query}", self.address))
    }

    /// Opens an empty document of the site, to call `vitrine.js` from.
    pub fn blank(&self) -> Result<()> {
        self.session.goto(&format!("{}/fault/blank", self.address))
    }

    /// Calls a function in the page and waits for it.
    pub fn call(&self, script: Script, argument: Value) -> Result<Value> {
        self.session.call(script, argument)
    }
}

/// Opens a page and waits until its model is there.
fn open_page(page: &Session, address: &str) -> Result<()> {
    page.goto(address)?;
    page.wait_for(
        "document.body.dataset.state === 'ready' || document.querySelector('#error')?.hidden === false",
        120,
    )?;
    let state = page.run("return document.body.dataset.state", &[])?;
    ensure_that!(state == "ready", "{address} is {state}; its notice says {:?}", page.text("#error")?);
    Ok(())
}

/// What is looked at beside the tests.
const LIGHT: &str = "the module is light enough";
const TYPED: &str = "the types of the wasm face are the module's own";
const VENDORED: &str = "the page's libraries are what npm has";

/// Runs all tests whose names contain `filter`, in each of these engines those that it is for.
pub fn run(
    workspace: &Workspace,
    site: &Site,
    engines: &[Engine],
    filter: Option<&str>,
    screenshots: Option<&Path>,
    tally: &mut Tally,
) -> Result<()> {
    if filter.is_none_or(|part| TYPED.contains(part)) {
        tally.check(TYPED, types::check(workspace, &site.dist.join("pkg")));
    }
    if filter.is_none_or(|part| VENDORED.contains(part)) {
        tally.check(VENDORED, vendor::check(workspace));
    }
    thread::scope(|scope| {
        // It takes some time of one processor, and the tests leave some of theirs.
        let is_weighed = filter.is_none_or(|part| LIGHT.contains(part));
        let weighing = is_weighed.then(|| scope.spawn(|| site.weigh()));
        let outcome = run_tests(workspace, &site.dist, engines, &all(), filter, screenshots, tally);
        if let Some(weighing) = weighing {
            let wasm = weighing.join().unwrap_or_else(|_| bail!("the module could not be weighed"));
            let fits = |wasm: WasmSize| {
                ensure_that!(wasm.nearly_fits(), "{} bytes after brotli", wasm.brotli);
                Ok(())
            };
            tally.check(LIGHT, wasm.and_then(fits));
        }
        outcome
    })
}

/// Runs the tests of published models in Chromium, over a site that holds those that were fetched.
pub fn run_published(
    workspace: &Workspace,
    site: &Site,
    filter: Option<&str>,
    screenshots: Option<&Path>,
    tally: &mut Tally,
) -> Result<()> {
    let mut fetched = vec![];
    for model in published::models() {
        if models::is_there(workspace, model)? {
            fetched.push(model);
        }
    }
    let dist = workspace.target.join("page-tests").join("published-site");
    if dist.exists() {
        fs::remove_dir_all(&dist)?;
    }
    copy_folder(&site.dist, &dist)?;
    models::put_into(workspace, &dist, &fetched)?;
    let outcome = run_tests(workspace, &dist, &[Engine::Chromium], published::TESTS, filter, screenshots, tally);
    fs::remove_dir_all(&dist)?;
    outcome
}

/// All tests that need no published model. The longest come early, that no row waits for another's at the end.
fn all() -> Vec<Test> {
    [
        &cases::tests(),
        bundlers::TESTS,
        sites::TESTS,
        notebook::TESTS,
        offline::TESTS,
        reader::TESTS,
        ending::TESTS,
        focus::TESTS,
        world::TESTS,
        notices::TESTS,
        layout::TESTS,
        axe::TESTS,
        painter::TESTS,
        paint_details::TESTS,
        pictures::TESTS,
        api::TESTS,
        freeing::TESTS,
        leaving::TESTS,
        losses::TESTS,
        families::TESTS,
        sampling::TESTS,
        constraints::TESTS,
        hardware::TESTS,
        sources::TESTS,
        far::TESTS,
        find::TESTS,
        options::TESTS,
        openai::TESTS,
        clients::TESTS,
        tools::TESTS,
        conversation::TESTS,
        walk::TESTS,
        chat::TESTS,
        prose::TESTS,
        widgets::TESTS,
        widget_kit::TESTS,
        widget_next::TESTS,
        widget_forms::TESTS,
        widget_share::TESTS,
        embedded::TESTS,
    ]
    .concat()
}

fn run_tests(
    workspace: &Workspace,
    dist: &Path,
    engines: &[Engine],
    tests: &[Test],
    filter: Option<&str>,
    screenshots: Option<&Path>,
    tally: &mut Tally,
) -> Result<()> {
    let reference = workspace.root.join("../shared/reference");
    let mut folders = vec![
        ("/fixtures/".into(), workspace.root.join("tests/fixtures")),
        ("/examples/".into(), workspace.root.join("examples")),
        ("/".into(), dist.to_path_buf()),
    ];
    if reference.is_dir() {
        folders.insert(0, ("/reference/".into(), reference.clone()));
    }
    let cases = workspace.root.join("../shared/cases");
    if cases.is_dir() {
        folders.insert(0, ("/cases/".into(), cases.clone()));
    }
    let chosen = || tests.iter().filter(|test| filter.is_none_or(|part| test.name.contains(part)));
    for package in chosen().filter_map(|test| test.package) {
        folders.insert(0, (format!("/npm/{}/", package.name), npm::install(workspace, package)?));
    }
    let server = server::start(Routes { folders, faults: true, ..Routes::default() }, 0)?;
    for engine in engines {
        let browser = match Browser::ensure(*engine, workspace) {
            Ok(browser) => browser,
            Err(error) => {
                println!("{engine:?} could not run: {error:#}");
                tally.fail(format!("the page in {engine:?}: {error:#}"));
                continue;
            }
        };
        let fits = |test: &&Test| test.everywhere || *engine == Engine::Chromium;
        let round = Round {
            browser: &browser,
            address: server.address(),
            workspace,
            site: dist,
            screenshots,
            reference: reference.is_dir(),
            cases: &cases,
        };
        tally.add(round.run(chosen().filter(fits).copied()));
    }
    Ok(())
}

/// A JSON array of strings.
fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|each| Some(each.as_str()?.to_owned())).collect()
}

/// Nothing to pass.
fn nothing() -> Value {
    json!(null)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// What else would a file export for? And no other file's text stands before its own.
    #[test]
    fn scripts_export_what_their_tests_call_and_import_what_is_common() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page");
        let mut functions = 0;
        for entry in [page.clone(), page.join("cases")].iter().flat_map(|folder| fs::read_dir(folder).unwrap()) {
            let file = entry.unwrap().path();
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            if !name.ends_with(".js") || name == "common.js" {
                continue;
            }
            let tests = fs::read_to_string(file.with_extension("rs")).unwrap();
            for line in fs::read_to_string(&file).unwrap().lines() {
                if let Some(declared) = line.strip_prefix("export ") {
                    let declared = declared.trim_start_matches("async ").strip_prefix("function ").unwrap();
                    let function = declared.split('(').next().unwrap();
                    assert!(tests.contains(&format!("script!(\"{name}\", {function})")), "{name}: {function}");
                    functions += 1;
                }
                assert!(!line.starts_with("import ") || line.ends_with("common.js\";"), "{name}: {line}");
            }
        }
        assert!(functions > 100);
    }
}
