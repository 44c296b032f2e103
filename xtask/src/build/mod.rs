//! `cargo xtask build`: the crate as WebAssembly, its JavaScript glue, and the whole static site in `dist/`.

mod site;
mod wasm;

pub use site::copy_folder;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::{
    system,
    workspace::{Workspace, megabytes},
};

/// What the module may weigh after brotli: a page must not cost more than its smallest model.
const BROTLI_LIMIT: u64 = 1_250_000;
/// The same for a build that is linked quickly, which is 3 to 4 % heavier than what is published.
const EVERYDAY_LIMIT: u64 = 1_300_000;

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
    pub wasm: WasmSize,
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
    Ok(Site { wasm: wasm::measure(&dist.join("pkg"))?, dist })
}

/// Builds the module and the site. A release whose module is too heavy is an error.
pub fn build(workspace: &Workspace, profile: BuildProfile) -> Result<Site> {
    system::ensure_wasm_target(workspace)?;
    let module = wasm::compile(workspace, profile)?;
    let package = wasm::bind(workspace, &module)?;
    if profile == BuildProfile::Release {
        wasm::optimise(workspace, &package)?;
    }
    let wasm = wasm::measure(&package)?;
    let dist = site::assemble(workspace, &package)?;
    println!(
        "dist/ is ready ({}); the module weighs {} raw, {} after brotli",
        profile.cargo_name(),
        megabytes(wasm.raw),
        megabytes(wasm.brotli)
    );
    if profile == BuildProfile::Release && !wasm.fits() {
        bail!("the module weighs {} after brotli, more than {}", megabytes(wasm.brotli), megabytes(BROTLI_LIMIT));
    }
    Ok(Site { dist, wasm })
}
