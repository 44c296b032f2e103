//! `cargo xtask package`: what others install. [`npm`] makes the package `vitrine` of a built site in `pkg/npm/`, [`python`] the wheel `vitrine-widgets` in
//! `pkg/python/`; [`crates`] looks at what crates.io would get.

pub mod crates;
pub mod npm;
pub mod python;

use anyhow::Result;
use clap::Args;

use crate::{
    build::{self, BuildProfile},
    workspace::{Workspace, megabytes},
};

#[derive(Args)]
pub struct Options {
    /// `everyday` links in a third of the time, `release` is what gets published
    #[arg(long, value_enum, default_value = "release")]
    profile: BuildProfile,
    /// The wheel `vitrine-widgets` for Python too
    #[arg(long)]
    python: bool,
    /// See what crates.io would get, without publishing it
    #[arg(long)]
    crates: bool,
    /// A finished site, instead of building one
    #[arg(long)]
    site: Option<std::path::PathBuf>,
}

/// Builds the site and the packages of it.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let site = match &options.site {
        Some(folder) => build::open(folder)?,
        None => build::build(workspace, options.profile)?,
    };
    let packages = workspace.root.join("pkg");
    let package = npm::assemble(&workspace.root, &site.dist, &packages.join("npm"))?;
    let archive = npm::pack(&package, &packages)?;
    println!("{}: {}", archive.display(), megabytes(archive.metadata()?.len()));
    if options.python {
        let wheel = python::build(workspace, &package, &packages.join("python"))?;
        println!("{}: {}", wheel.display(), megabytes(wheel.metadata()?.len()));
    }
    if options.crates {
        crates::check(workspace)?;
    }
    Ok(())
}
