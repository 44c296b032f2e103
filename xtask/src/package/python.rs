//! The wheel `vitrine-widgets` for Jupyter and marimo: `python/` with the package's modules in three files, so that a front end gets them from the kernel, and its models.
//! Python's packages come from PyPI, by pip, at fixed versions, into environments below the target directory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    build::copy_folder,
    npm, system,
    workspace::{self, Workspace, find_program},
};

/// Packages of Python that are installed together.
pub struct Environment {
    pub name: &'static str,
    pub packages: &'static [&'static str],
}

/// What builds the wheel, and what it needs where it is installed.
pub const WIDGETS: Environment =
    Environment { name: "widgets", packages: &["build==1.6.1", "hatchling==1.33.0", "anywidget==0.11.0"] };

/// The Python of an environment, made if it was not there.
pub fn environment(workspace: &Workspace, environment: &Environment) -> Result<PathBuf> {
    // Of two that want one environment, the second finds it there.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = workspace.target.join("python").join(environment.name);
    let (python, done) = (folder.join("bin/python"), folder.join("packages"));
    let wanted = environment.packages.join("\n");
    if fs::read_to_string(&done).is_ok_and(|there| there == wanted) {
        return Ok(python);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let make = || {
        let system = find_program(&["python3"]).context("Python 3 is not installed")?;
        workspace::run(workspace.command(system).args(["-m", "venv"]).arg(&folder))
    };
    if let Err(error) = make() {
        system::apt_install(&["python3-venv"]);
        make().with_context(|| format!("an environment of Python could not be made ({error:#})"))?;
    }
    pip_install(&python, environment.packages)?;
    fs::write(done, wanted)?;
    Ok(python)
}

/// `pip install` into the environment of this Python.
pub fn pip_install(python: &Path, packages: &[&str]) -> Result<()> {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]).args(packages);
    workspace::run(&mut pip)
}

/// Builds the wheel from a package for npm, in `out`.
pub fn build(workspace: &Workspace, package: &Path, out: &Path) -> Result<PathBuf> {
    if out.exists() {
        fs::remove_dir_all(out)?;
    }
    let source = out.join("source");
    copy_folder(&workspace.root.join("python"), &source)?;
    let description = source.join("pyproject.toml");
    let text = fs::read_to_string(&description)?.replace("VERSION", env!("CARGO_PKG_VERSION"));
    fs::write(&description, text)?;
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        fs::copy(workspace.root.join(licence), source.join(licence))?;
    }
    let module = source.join("vitrine_widgets");
    let files = module.join("files");
    copy_folder(&package.join("models"), &files.join("models"))?;
    for name in ["vitrine_bg.wasm", "constraints_bg.wasm"] {
        fs::copy(package.join("pkg").join(name), files.join(name))?;
    }
    // What comes over a kernel's messages has no address from which to import another file.
    let esbuild = npm::program(workspace, &npm::ESBUILD, "esbuild")?;
    let mut bundle = Command::new(esbuild);
    bundle.current_dir(package).args(["anywidget.js", "worker.js", "--bundle", "--format=esm", "--log-level=error"]);
    workspace::run(bundle.arg(format!("--outdir={}", files.display())))?;

    let python = environment(workspace, &WIDGETS)?;
    let mut wheel = Command::new(python);
    wheel.current_dir(&source).args(["-m", "build", "--wheel", "--no-isolation", "--outdir"]).arg(out);
    let built = wheel.output().context("could not start python -m build")?;
    if !built.status.success() {
        bail!(
            "the wheel could not be built: {}",
            String::from_utf8_lossy(&built.stdout) + String::from_utf8_lossy(&built.stderr)
        );
    }
    let wheel = out.join(concat!("vitrine_widgets-", env!("CARGO_PKG_VERSION"), "-py3-none-any.whl"));
    ensure!(wheel.is_file(), "python -m build made no {}", wheel.display());
    Ok(wheel)
}
