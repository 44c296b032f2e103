//! `cargo xtask build`: the crate as WebAssembly, its JavaScript glue, and the whole static site in `dist/`.

mod site;
pub mod types;
pub mod values;
mod wasm;

pub use site::copy_folder;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::{
    system,
    workspace::{Workspace, megabytes},
};

/// What the module may weigh after brotli: a page must not cost more than its smallest model.
const BROTLI_LIMIT: u64 = 1_300_000;
/// The same for a build that is linked quickly, which is some 7 % heavier than what is published.
const EVERYDAY_LIMIT: u64 = 1_388_000;

/// How much time the build may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BuildProfile {
    /// Optimised, but linked quickly: for working on the page and for its tests
    Everyday,
    /// Link-time optimisation and `wasm-opt`: what gets published
    Release,
}

impl BuildProfile {
    /// The cargo profile.
    pub fn cargo_name(self) -> &'static str {
        match self {
            Self::Everyday => "page",
            Self::Release => "release",
        }
    }
}

/// A built site.
pub struct Site {
    /// The folder that any static host can serve.
    pub dist: PathBuf,
    weight: OnceLock<WasmSize>,
}

impl Site {
    fn at(dist: PathBuf) -> Self {
        Self { dist, weight: OnceLock::new() }
    }

    /// What its module weighs. Brotli at its best takes some ten seconds for that, once.
    pub fn weigh(&self) -> Result<WasmSize> {
        if let Some(known) = self.weight.get() {
            return Ok(*known);
        }
        let found = wasm::measure(&self.dist.join("pkg"), wasm::CORE)?;
        Ok(*self.weight.get_or_init(|| found))
    }
}

/// What a visitor loads before any model.
#[derive(Debug, Clone, Copy)]
pub struct WasmSize {
    pub raw: u64,
    pub brotli: u64,
}

impl WasmSize {
    pub fn fits(self) -> bool {
        self.brotli <= BROTLI_LIMIT
    }

    /// Whether what is published will fit, as far as an everyday build can tell.
    pub fn nearly_fits(self) -> bool {
        self.brotli <= EVERYDAY_LIMIT
    }
}

/// A site that was built before.
pub fn open(folder: &Path) -> Result<Site> {
    let dist = fs::canonicalize(folder).with_context(|| format!("there is no {}", folder.display()))?;
    Ok(Site::at(dist))
}

/// Compiles the everyday module in the time that other work leaves.
pub fn compile_beside(workspace: &Workspace) -> Result<()> {
    system::ensure_wasm_target(workspace)?;
    wasm::compile_beside(workspace, BuildProfile::Everyday)
}

/// Builds the module and the site. A release is weighed, and one whose module is too heavy is an error.
pub fn build(workspace: &Workspace, profile: BuildProfile) -> Result<Site> {
    system::ensure_wasm_target(workspace)?;
    let package = wasm::package(workspace)?;
    for module in [wasm::CORE, wasm::CONSTRAINTS] {
        let file = wasm::compile(workspace, module, profile)?;
        wasm::bind(&package, module, &file)?;
        if profile == BuildProfile::Release {
            wasm::optimise(workspace, &package, module)?;
        }
    }
    let site = Site::at(site::assemble(workspace, &package)?);
    println!("dist/ is ready ({})", profile.cargo_name());
    if profile == BuildProfile::Release {
        let wasm = site.weigh()?;
        let held = wasm::measure(&site.dist.join("pkg"), wasm::CONSTRAINTS)?;
        println!("the module weighs {} raw, {} after brotli", megabytes(wasm.raw), megabytes(wasm.brotli));
        println!("what holds texts to a form, loaded on demand: {} after brotli", megabytes(held.brotli));
        if !wasm.fits() {
            bail!("the module weighs {} after brotli, more than {}", megabytes(wasm.brotli), megabytes(BROTLI_LIMIT));
        }
    }
    Ok(site)
}
