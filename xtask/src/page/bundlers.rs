//! Vitrine in applications that Vite, webpack, Parcel, Next.js, Rollup and esbuild build: each from npm at a fixed version, with the package `vitrine` as npm installs
//! what `cargo xtask package` packs, the result in the browser. What each is told here stands in `docs/embedding.md`.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{LazyLock, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{Test, Visit, ensure_that, nothing, script};
use crate::{
    build::copy_folder,
    npm::{self, ESBUILD, Package},
    package,
    server::{self, Routes},
    workspace,
};

const VITE: Package = Package { name: "vite", version: "8.4.0" };
const OLDER_VITE: Package = Package { name: "vite", version: "7.3.8" };
const WEBPACK: Package = Package { name: "webpack", version: "5.113.0" };
const ROLLUP: Package = Package { name: "rollup", version: "4.68.8" };
const NODE_RESOLVE: Package = Package { name: "@rollup/plugin-node-resolve", version: "16.0.3" };
const PARCEL: Package = Package { name: "parcel", version: "2.16.4" };
/// Next.js looks for all of them in the application's own folder.
const NEXT: [&str; 3] = ["next@16.4.6", "react@19.2.0", "react-dom@19.2.0"];

pub const TESTS: &[Test] = &[
    Test::new("vite_builds_an_application", |visit| built(visit, Bundler::Vite(&VITE))),
    Test::new("an_older_vite_builds_an_application", |visit| built(visit, Bundler::Vite(&OLDER_VITE))),
    Test::new("vite_serves_an_application_that_it_bundled_before", |visit| served(visit, &VITE, "")),
    Test::new("an_older_vite_serves_an_application_that_it_leaves_alone", |visit| {
        served(visit, &OLDER_VITE, "export default { optimizeDeps: { exclude: [\"vitrine\"] } };\n")
    }),
    Test::new("an_older_vite_that_bundles_before_serving_is_told_what_to_do", told_to_vite).expecting(&["worker.js"]),
    Test::new("webpack_builds_an_application", |visit| built(visit, Bundler::Webpack)),
    Test::new("parcel_builds_an_application_that_leaves_json_alone", |visit| built(visit, Bundler::Parcel)),
    Test::new("nextjs_renders_and_builds_an_application", next),
    Test::new("node_imports_the_package_without_a_document", imported_by_node),
    Test::new("rollup_builds_an_application", |visit| built(visit, Bundler::Rollup)),
    Test::new("esbuild_builds_an_application", |visit| built(visit, Bundler::Esbuild)),
    Test::new("a_bundle_that_left_the_worker_behind_says_so", left_behind).expecting(&["worker.js"]),
    Test::new("a_bundle_without_an_address_of_its_own_takes_the_workers", without_address),
    Test::new("a_bundle_on_another_origin_starts_its_worker", on_another_origin),
];

/// Parcel makes modules of whatever ends in `.json`, even where its address is asked for.
const PARCEL_CONFIGURATION: &str = r#"{
  "extends": "@parcel/config-default",
  "transformers": { "**/vitrine/models/**/*.json": ["@parcel/transformer-raw"] }
}
"#;

/// A way to build an application.
#[derive(Clone, Copy)]
pub enum Bundler {
    Vite(&'static Package),
    Webpack,
    Parcel,
    Rollup,
    Esbuild,
}

impl Bundler {
    /// All that build an application of plain modules.
    pub const ALL: [Self; 6] =
        [Self::Vite(&VITE), Self::Vite(&OLDER_VITE), Self::Webpack, Self::Parcel, Self::Rollup, Self::Esbuild];

    /// Builds the application; the folder holds what a static host would serve.
    pub fn build(self, app: &App) -> Result<PathBuf> {
        let out = app.folder.join("out");
        match self {
            Self::Vite(vite) => app.run(vite, "vite", &["build", "--logLevel", "warn", "--outDir", "out"])?,
            Self::Webpack => app.node("webpack.mjs", &[&app.install(&WEBPACK)?, &out])?,
            Self::Parcel => {
                fs::write(app.folder.join(".parcelrc"), PARCEL_CONFIGURATION)?;
                // By it Parcel knows where the application begins, as any that was installed has it.
                fs::write(app.folder.join("package-lock.json"), "{}\n")?;
                // What a configuration extends lies among the application's packages.
                let modules = app.folder.join("node_modules");
                copy_folder(app.install(&PARCEL)?.parent().context("npm's folder")?, &modules)?;
                let program = modules.join("parcel/lib/bin.js").to_string_lossy().into_owned();
                let options = ["--dist-dir", "out", "--no-cache", "--no-source-maps", "--log-level", "warn"];
                app.node(&program, &[&["build", "index.html"], &options[..]].concat())?;
            }
            Self::Rollup => app.node("rollup.mjs", &[&app.install(&ROLLUP)?, &app.install(&NODE_RESOLVE)?, &out])?,
            Self::Esbuild => {
                let options = ["--bundle", "--format=esm", "--outdir=out", "--log-level=warning"];
                app.run(&ESBUILD, "esbuild", &[&["main.js", "worker=vitrine/worker"], &options[..]].concat())?;
            }
        }
        if matches!(self, Self::Rollup | Self::Esbuild) {
            for folder in ["pkg", "models"] {
                copy_folder(&app.package().join(folder), &out.join(folder))?;
            }
        }
        if !matches!(self, Self::Vite(_) | Self::Parcel) {
            fs::copy(app.folder.join("index.html"), out.join("index.html"))?;
        }
        Ok(out)
    }
}

/// An application's folder, with Vitrine among its packages.
pub struct App<'a> {
    visit: &'a Visit<'a>,
    pub folder: PathBuf,
}

impl<'a> App<'a> {
    /// A fresh copy of the files in `source`, and the package as npm installs it.
    pub fn new(visit: &'a Visit, source: &Path) -> Result<Self> {
        let folder = visit.scratch()?;
        copy_folder(&own_files(visit), &folder)?;
        copy_folder(source, &folder)?;
        let app = Self { visit, folder };
        copy_folder(&installed(visit)?, &app.package())?;
        Ok(app)
    }

    fn package(&self) -> PathBuf {
        self.folder.join("node_modules").join("vitrine")
    }

    fn install(&self, package: &Package) -> Result<PathBuf> {
        npm::install(self.visit.workspace, package)
    }

    /// Runs a program of a package in the application's folder.
    fn run(&self, package: &Package, program: &str, arguments: &[&str]) -> Result<()> {
        let program = npm::program(self.visit.workspace, package, program)?;
        workspace::run(Command::new(program).args(arguments).current_dir(&self.folder))
    }

    /// Runs a script with the folders or options that it wants.
    fn node<Argument: AsRef<OsStr>>(&self, script: &str, arguments: &[Argument]) -> Result<()> {
        let node = workspace::find_program(&["node"]).context("Node.js is not installed")?;
        workspace::run(Command::new(node).arg(script).args(arguments).current_dir(&self.folder))
    }
}

/// The archive that would be published of the site.
fn packed(visit: &Visit) -> Result<PathBuf> {
    let folder = package_folder(visit);
    let package = package::npm::assemble(visit.root, visit.site, &folder.join("npm"))?;
    package::npm::pack(&package, &folder)
}

fn package_folder(visit: &Visit) -> PathBuf {
    visit.workspace.target.join("page-tests").join("package")
}

/// The package of a site as npm installs it from its archive, made once for all tests.
pub fn installed(visit: &Visit) -> Result<PathBuf> {
    static INSTALLED: LazyLock<Mutex<HashMap<PathBuf, PathBuf>>> = LazyLock::new(Mutex::default);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(folder) = installed.get(visit.site) {
        return Ok(folder.clone());
    }
    let archive = packed(visit)?;
    let prefix = package_folder(visit).join("installed");
    if prefix.exists() {
        fs::remove_dir_all(&prefix)?;
    }
    fs::create_dir_all(&prefix)?;
    npm_install(&prefix, &[&archive.to_string_lossy()])?;
    let folder = prefix.join("node_modules").join("vitrine");
    installed.insert(visit.site.to_path_buf(), folder.clone());
    Ok(folder)
}

/// `npm install` in a folder.
fn npm_install(folder: &Path, packages: &[&str]) -> Result<()> {
    if !folder.join("package.json").exists() {
        fs::write(folder.join("package.json"), "{\"private\":true}\n")?;
    }
    let npm =
        workspace::find_program(&["npm"]).context("npm is not installed; it comes with Node.js from version 20")?;
    let mut install = Command::new(npm);
    install.current_dir(folder).args(["install", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"]);
    workspace::run(install.args(packages).stdout(Stdio::null()))
}

/// The application that uses most of Vitrine.
fn own_files(visit: &Visit) -> PathBuf {
    visit.root.join("xtask/src/page/app")
}

/// Serves a folder and returns the title that its page ends with.
pub fn title_of(visit: &Visit, folder: &Path) -> Result<String> {
    let routes = Routes { folders: vec![("/".into(), folder.to_path_buf())], ..Routes::default() };
    let server = server::start(routes, 0)?;
    title_at(visit, &server.address())
}

fn title_at(visit: &Visit, address: &str) -> Result<String> {
    visit.session.goto(&format!("{address}/"))?;
    visit.session.wait_for("/^(OK|ERR) /.test(document.title)", 120)?;
    let title = visit.session.run("return document.title", &[])?;
    Ok(title.as_str().unwrap_or_default().to_owned())
}

/// Looks at what the application of this folder has to say.
fn works(title: &str, text: &str) -> Result<()> {
    let told = title.strip_prefix("OK ").with_context(|| title.to_owned())?;
    let told: Value = serde_json::from_str(told)?;
    ensure_that!(told["text"] == text, "it writes {}, and {text:?} without a bundler", told["text"]);
    ensure_that!(told["width"] == 64 && told["faces"] == "generator", "{told}");
    ensure_that!(told["widget"] == json!([true, "ready"]), "{told}");
    Ok(())
}

/// What `vitrine.js` writes where nothing was bundled.
pub fn text_without_bundler(visit: &Visit) -> Result<String> {
    visit.blank()?;
    let text = visit.call(script!("bundlers.js", text), nothing())?;
    Ok(text.as_str().context("no text came")?.to_owned())
}

fn built(visit: &Visit, bundler: Bundler) -> Result<()> {
    let text = text_without_bundler(visit)?;
    let app = App::new(visit, &own_files(visit))?;
    let out = bundler.build(&app)?;
    works(&title_of(visit, &out)?, &text)
}

/// Its pages are rendered on a server first, widgets and all.
fn next(visit: &Visit) -> Result<()> {
    let text = text_without_bundler(visit)?;
    installed(visit)?;
    let folder = visit.scratch()?;
    copy_folder(&visit.root.join("xtask/src/page/app-next"), &folder)?;
    let archive = package_folder(visit).join(concat!("vitrine-", env!("CARGO_PKG_VERSION"), ".tgz"));
    npm_install(&folder, &[&NEXT[..], &[&archive.to_string_lossy()]].concat())?;
    let program = folder.join("node_modules/next/dist/bin/next");
    let node = workspace::find_program(&["node"]).context("Node.js is not installed")?;
    let mut build = Command::new(node);
    build.arg(program).arg("build").current_dir(&folder).env("NEXT_TELEMETRY_DISABLED", "1").stdout(Stdio::null());
    workspace::run(&mut build)?;
    let page = fs::read_to_string(folder.join("out/index.html"))?;
    ensure_that!(page.contains("<vitrine-text"), "the widget was not rendered on the server: {page}");
    works(&title_of(visit, &folder.join("out"))?, &text)
}

/// On a server that renders pages there is no document, and no worker: that is said where an engine is asked for.
fn imported_by_node(visit: &Visit) -> Result<()> {
    let app = App::new(visit, &own_files(visit))?;
    app.node::<&str>("node.mjs", &[])
}

/// Vite's server while an application is written; it ends with this value.
struct ViteServer {
    child: Child,
    address: String,
}

impl ViteServer {
    fn start(app: &App, vite: &Package) -> Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let program = npm::program(app.visit.workspace, vite, "vite")?;
        let mut command = Command::new(program);
        command.args(["--host", "127.0.0.1", "--strictPort", "--logLevel", "error", "--port", &port.to_string()]);
        let child = command.current_dir(&app.folder).stdin(Stdio::null()).spawn().context("could not start vite")?;
        let server = Self { child, address: format!("http://127.0.0.1:{port}") };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if start.elapsed() > Duration::from_secs(60) {
                bail!("vite does not listen on port {port}");
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }
}

impl Drop for ViteServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn served(visit: &Visit, vite: &Package, configuration: &str) -> Result<()> {
    let text = text_without_bundler(visit)?;
    let app = App::new(visit, &own_files(visit))?;
    if !configuration.is_empty() {
        fs::write(app.folder.join("vite.config.js"), configuration)?;
    }
    let server = ViteServer::start(&app, vite)?;
    works(&title_at(visit, &server.address)?, &text)?;
    let is_bundled = app.folder.join("node_modules/.vite/deps/vitrine.js").is_file();
    ensure_that!(is_bundled == configuration.is_empty(), "bundled before serving: {is_bundled}");
    Ok(())
}

fn told_to_vite(visit: &Visit) -> Result<()> {
    let app = App::new(visit, &own_files(visit))?;
    let server = ViteServer::start(&app, &OLDER_VITE)?;
    let title = title_at(visit, &server.address)?;
    ensure_that!(title.contains("optimizeDeps.exclude") && title.contains("answers 404"), "{title}");
    Ok(())
}

fn left_behind(visit: &Visit) -> Result<()> {
    let app = App::new(visit, &own_files(visit))?;
    let out = Bundler::Esbuild.build(&app)?;
    fs::remove_file(out.join("worker.js"))?;
    let title = title_of(visit, &out)?;
    ensure_that!(
        title.contains("/worker.js. It answers 404") && title.contains("Engine.create({ worker })"),
        "{title}"
    );
    Ok(())
}

/// A classic script knows no address of its own, so that the application says where a whole copy of Vitrine lies.
fn without_address(visit: &Visit) -> Result<()> {
    let app = App::new(visit, &own_files(visit))?;
    let own = json!({});
    let beside = json!({ "worker": "/lib/worker.js" });
    for (engine, expected) in [(own, "ERR bad-argument: This bundle cannot tell"), (beside, "OK")] {
        fs::write(app.folder.join("options.json"), engine.to_string())?;
        let options = ["--bundle", "--format=iife", "--outfile=out/main.js", "--log-level=error"];
        app.run(&ESBUILD, "esbuild", &[&["classic.js"], &options[..]].concat())?;
        let out = app.folder.join("out");
        fs::copy(app.folder.join("index.html"), out.join("index.html"))?;
        copy_folder(visit.site, &out.join("lib"))?;
        let title = title_of(visit, &out)?;
        ensure_that!(title.starts_with(expected), "with {engine}: {title}");
    }
    Ok(())
}

/// webpack makes a classic script of the worker; with its files on another host that script is imported like a module.
fn on_another_origin(visit: &Visit) -> Result<()> {
    let text = text_without_bundler(visit)?;
    let app = App::new(visit, &own_files(visit))?;
    let out = app.folder.join("out");
    let headers = vec![("Access-Control-Allow-Origin".into(), "*".into())];
    let host = server::start(Routes { folders: vec![("/".into(), out.clone())], headers, ..Routes::default() }, 0)?;
    app.node("webpack.mjs", &[&app.install(&WEBPACK)?, &out, &PathBuf::from(format!("{}/", host.address()))])?;
    fs::copy(app.folder.join("index.html"), out.join("index.html"))?;
    works(&title_of(visit, &out)?, &text)
}
