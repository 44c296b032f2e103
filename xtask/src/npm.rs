//! Packages of npm that the work uses where node is installed (`wasm-opt`, `tsc`, what a page is tried with), kept under the target directory.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, bail};

use crate::workspace::{self, Workspace, find_program};

/// A package at a fixed version.
pub struct Package {
    pub name: &'static str,
    pub version: &'static str,
}

pub const BINARYEN: Package = Package { name: "binaryen", version: "132.0.0" };
pub const AI: Package = Package { name: "ai", version: "7.0.173" };
pub const AI_OPENAI_COMPATIBLE: Package = Package { name: "@ai-sdk/openai-compatible", version: "3.0.92" };
pub const ANYWIDGET: Package = Package { name: "anywidget", version: "0.11.0" };
pub const AXE: Package = Package { name: "axe-core", version: "4.14.1" };
pub const ESBUILD: Package = Package { name: "esbuild", version: "0.28.2" };
pub const JUPYTER_WIDGETS: Package = Package { name: "@jupyter-widgets/base-manager", version: "1.0.13" };
pub const LANGCHAIN_OPENAI: Package = Package { name: "@langchain/openai", version: "1.6.0" };
pub const MARKED: Package = Package { name: "marked", version: "18.2.1" };
pub const OPENAI: Package = Package { name: "openai", version: "7.59.0" };
pub const REVEAL: Package = Package { name: "reveal.js", version: "6.0.2" };
pub const TEMML: Package = Package { name: "temml", version: "0.13.5" };
pub const TYPESCRIPT: Package = Package { name: "typescript", version: "7.0.2" };

/// The folder of a package, installed if it was not there.
pub fn install(workspace: &Workspace, package: &Package) -> Result<PathBuf> {
    // Of two that want one package, the second finds it there.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let npm = find_program(&["npm"]).context("npm is not installed; it comes with Node.js from version 20")?;
    let prefix = workspace.target.join("npm").join(format!("{}-{}", package.name, package.version));
    let folder = prefix.join("node_modules").join(package.name);
    if !folder.join("package.json").is_file() {
        fs::create_dir_all(&prefix)?;
        fs::write(prefix.join("package.json"), "{\"private\":true}\n")?;
        let mut install = Command::new(npm);
        install.current_dir(&prefix).args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--save-exact"]);
        install.arg(format!("{}@{}", package.name, package.version)).stdout(Stdio::null());
        workspace::run(&mut install)?;
    }
    if !folder.is_dir() {
        bail!("npm did not install {}", package.name);
    }
    Ok(folder)
}

/// A program of an installed package.
pub fn program(workspace: &Workspace, package: &Package, name: &str) -> Result<PathBuf> {
    let folder = install(workspace, package)?;
    let program = folder.with_file_name(".bin").join(name);
    if !program.exists() {
        bail!("{} {} brings no program called {name}", package.name, package.version);
    }
    Ok(program)
}
