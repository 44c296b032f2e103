//! From the crate to `vitrine.js` glue and `vitrine_bg.wasm`: compile, bind, optimise, weigh.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

use super::{BuildProfile, WasmSize};
use crate::{
    npm,
    workspace::{self, WASM_TARGET, Workspace, find_program},
};

/// The proposals that the module uses. Binaryen refuses what it is not told of.
const WASM_FEATURES: [&str; 9] = [
    "--enable-simd",
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-reference-types",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-multivalue",
    "--enable-relaxed-simd",
];

/// A function with one caller stays where it is: LLVM has put into others what is worth it, and bodies that are joined compress worse, by a
/// twentieth of the module.
const OPTIMISATIONS: [&str; 2] = ["-O3", "--one-caller-inline-max-function-size=0"];

/// A crate that becomes a module of its own, and what its files in `pkg/` are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module {
    package: &'static str,
    name: &'static str,
}

/// The engine, which every page loads.
pub const CORE: Module = Module { package: "vitrine", name: "vitrine" };
/// What holds texts to a form, which is loaded when one first is.
pub const CONSTRAINTS: Module = Module { package: "vitrine-constraints", name: "constraints" };

impl Module {
    fn file(self, package: &Path) -> PathBuf {
        package.join(format!("{}_bg.wasm", self.name))
    }
}

/// Compiles a module for the page and returns it as rustc wrote it.
pub fn compile(workspace: &Workspace, module: Module, profile: BuildProfile) -> Result<PathBuf> {
    let mut cargo = cargo_build(workspace, module, profile);
    cargo.arg("--message-format=json-render-diagnostics");
    eprintln!("  $ {}", workspace::shown(&cargo));
    let start = Instant::now();
    let mut child = cargo.stdout(Stdio::piped()).spawn().context("could not start cargo")?;
    let mut file = None;
    for line in BufReader::new(child.stdout.take().context("cargo has no output")?).lines() {
        file = module_in(&line?, module).or(file);
    }
    if !child.wait()?.success() {
        bail!("{} does not compile for {WASM_TARGET}", module.package);
    }
    eprintln!("    {:.1} s", start.elapsed().as_secs_f64());
    file.context("cargo made no WebAssembly module")
}

/// Compiles the modules in the time that other work leaves. [`compile`] waits for that, and says what failed.
pub fn compile_beside(workspace: &Workspace, profile: BuildProfile) -> Result<()> {
    let commands = [CORE, CONSTRAINTS].map(|module| {
        let mut cargo = workspace.in_spare_time(cargo_build(workspace, module, profile));
        cargo.stdout(Stdio::null()).stderr(Stdio::null());
        cargo
    });
    thread::spawn(move || {
        for mut cargo in commands {
            let _ = cargo.status();
        }
    });
    Ok(())
}

/// One module at a time: what one of them has of a dependency's features is nothing to the other.
fn cargo_build(workspace: &Workspace, module: Module, profile: BuildProfile) -> Command {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--package", module.package, "--lib", "--target", WASM_TARGET]);
    cargo.args(["--profile", profile.cargo_name()]);
    cargo
}

/// The `.wasm` that a cargo message announces.
fn module_in(message: &str, module: Module) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let target = module.package.replace('-', "_");
    if message["reason"] != "compiler-artifact" || message["target"]["name"] != *target {
        return None;
    }
    let files = message["filenames"].as_array()?.iter().filter_map(|name| name.as_str());
    files.map(PathBuf::from).find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
}

/// The folder for bound modules, emptied. With the core it holds what `wasm-pack build --target web` puts into `pkg/`, save its `package.json`.
pub fn package(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target.join("site").join("pkg");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Runs wasm-bindgen over what rustc wrote.
pub fn bind(folder: &Path, module: Module, file: &Path) -> Result<()> {
    let start = Instant::now();
    let mut bindgen = Bindgen::new();
    // Functions' names are a sixth of what a visitor would download; a panic tells its place without them.
    bindgen.input_path(file).out_name(module.name).web(true)?.typescript(true).remove_name_section(true);
    bindgen.generate(folder).context("wasm-bindgen failed")?;
    eprintln!("    wasm-bindgen {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Shrinks a module with Binaryen's `wasm-opt`: the one on the PATH, else npm's. Without node it says so and goes on.
pub fn optimise(workspace: &Workspace, package: &Path, module: Module) -> Result<()> {
    let Some(program) = find_wasm_opt(workspace)? else {
        println!(
            "wasm-opt is skipped: it is not on the PATH, and without npm it cannot be fetched; the module stays larger than it need be"
        );
        return Ok(());
    };
    let file = module.file(package);
    let smaller = file.with_extension("opt.wasm");
    workspace::run(Command::new(program).args(WASM_FEATURES).args(OPTIMISATIONS).arg(&file).arg("-o").arg(&smaller))?;
    fs::rename(smaller, file)?;
    Ok(())
}

fn find_wasm_opt(workspace: &Workspace) -> Result<Option<PathBuf>> {
    if let Some(program) = find_program(&["wasm-opt"]) {
        return Ok(Some(program));
    }
    if find_program(&["npm"]).is_none() {
        return Ok(None);
    }
    npm::program(workspace, &npm::BINARYEN, "wasm-opt").map(Some)
}

/// Weighs a module as it is and as a static host would send it.
pub fn measure(package: &Path, module: Module) -> Result<WasmSize> {
    let file = module.file(package);
    Ok(WasmSize { raw: fs::metadata(&file)?.len(), brotli: brotli_size(&file)? })
}

/// Node's own compressor at its best (quality 11, a window of 16 MB).
const WEIGH: &str = "const zlib = require('zlib'), { BROTLI_PARAM_QUALITY: quality, BROTLI_PARAM_LGWIN: window } = zlib.constants; \
    const module = require('fs').readFileSync(process.argv[1]); \
    console.log(zlib.brotliCompressSync(module, { params: { [quality]: 11, [window]: 24 } }).length);";

fn brotli_size(module: &Path) -> Result<u64> {
    let node = find_program(&["node"]).context("the module was not weighed; install Node.js from version 20")?;
    let told = Command::new(node).args(["-e", WEIGH]).arg(module).output()?;
    let size = String::from_utf8_lossy(&told.stdout).trim().parse();
    size.with_context(|| format!("node could not weigh the module: {}", String::from_utf8_lossy(&told.stderr)))
}
