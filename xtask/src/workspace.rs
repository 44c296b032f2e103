//! Where things are, and how other programs are run: always in the workspace root, always shown before they start.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};

/// The target that the page runs on.
pub const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// The checkout and its target directory.
pub struct Workspace {
    pub root: PathBuf,
    pub target: PathBuf,
    /// What cargo compiles the workspace's own packages with, instead of rustc, and a variable that it sees.
    compiler: Option<(PathBuf, (&'static str, &'static str))>,
}

impl Workspace {
    /// Asks cargo, so that `CARGO_TARGET_DIR` and `build.target-dir` hold here too.
    pub fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in no workspace")?.to_path_buf();
        let output = Command::new(cargo())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(&root)
            .stderr(Stdio::inherit())
            .output()
            .context("could not start cargo; install Rust from https://rustup.rs")?;
        if !output.status.success() {
            bail!("cargo metadata failed; the message above says why");
        }
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let target = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
        Ok(Self { target: PathBuf::from(target), root, compiler: None })
    }

    /// The same, with another compiler for its own packages.
    pub fn with_compiler(&self, program: PathBuf, told: (&'static str, &'static str)) -> Self {
        Self { root: self.root.clone(), target: self.target.clone(), compiler: Some((program, told)) }
    }

    /// A command that runs in the root.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// `cargo` in the root.
    pub fn cargo(&self) -> Command {
        let mut command = self.command(cargo());
        if let Some((program, (variable, value))) = &self.compiler {
            command.env("RUSTC_WORKSPACE_WRAPPER", program).env(variable, value);
        }
        command
    }

    /// The same command at the lowest priority, where there is a program for that.
    pub fn in_spare_time(&self, command: Command) -> Command {
        let Some(nice) = find_program(&["nice"]) else { return command };
        let mut patient = self.command(nice);
        patient.args(["-n", "19"]).arg(command.get_program()).args(command.get_args());
        patient.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        patient
    }

    /// `cargo` for packages of others.
    pub fn cargo_of_others(&self) -> Command {
        self.command(cargo())
    }
}

fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// How a command reads when typed.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args()).map(|word| word.to_string_lossy());
    words.collect::<Vec<_>>().join(" ")
}

/// Runs a command to its end and says how long it took. A failure is an error that names the command.
pub fn run(command: &mut Command) -> Result<()> {
    let line = shown(command);
    eprintln!("  $ {line}");
    let start = Instant::now();
    let status = command.status().with_context(|| format!("could not start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    eprintln!("    {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// The first of `names` on the PATH.
pub fn find_program(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let suffix = env::consts::EXE_SUFFIX;
    names
        .iter()
        .flat_map(|name| env::split_paths(&path).map(move |folder| folder.join(format!("{name}{suffix}"))))
        .find(|candidate| candidate.is_file())
}

/// A size for people.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}
