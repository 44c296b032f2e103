//! The browsers that tests run in, each with the program that drives it: Chromium with chromedriver, Firefox with geckodriver, WebKitGTK's
//! MiniBrowser with WebKitWebDriver. On Debian, as root, what is missing gets installed; elsewhere one line says what to install.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::{
    system::apt_install,
    workspace::{self, Workspace, find_program},
};

/// What a browser is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    Chromium,
    Firefox,
    Webkit,
}

impl Engine {
    pub const ALL: [Self; 3] = [Self::Chromium, Self::Firefox, Self::Webkit];
}

/// An installed browser and the driver that fits it.
#[derive(Debug, Clone)]
pub struct Browser {
    pub engine: Engine,
    pub program: PathBuf,
    pub driver: PathBuf,
}

/// Debian has no geckodriver; crates.io has, and building it takes some minutes once.
const GECKODRIVER: &str = "0.37.1";

impl Browser {
    /// The same browser with all that a reader's has, where this one is a shell: a clipboard, say.
    pub fn whole(&self) -> Self {
        match find_whole_chromium().filter(|_| Some(&self.program) == find_shell().as_ref()) {
            Some(program) => Self { program, ..self.clone() },
            None => self.clone(),
        }
    }

    /// Finds one, and installs it where that can be done.
    pub fn ensure(engine: Engine, workspace: &Workspace) -> Result<Self> {
        match engine {
            Engine::Chromium => ensure_chromium(),
            Engine::Firefox => ensure_firefox(workspace),
            Engine::Webkit => ensure_webkit(),
        }
    }
}

/// What the variable names, where it is a file.
fn named(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_file())
}

/// `CHROMIUM` and `CHROMEDRIVER` come first.
fn ensure_chromium() -> Result<Browser> {
    if find_chromium().is_none() {
        apt_install(&["chromium-headless-shell", "chromium-driver"]);
    }
    find_chromium().context(
        "no Chromium with a chromedriver: `apt-get install chromium chromium-driver`, or set CHROMIUM and CHROMEDRIVER",
    )
}

/// Chromium without a window's frame around its pages: it starts in a third of the time. Debian's program of that name on the PATH is a script
/// that outlives no signal and leaves the browser behind, so its own is taken.
fn find_shell() -> Option<PathBuf> {
    let debians = Path::new("/usr/lib/chromium/chromium-headless-shell");
    debians.is_file().then(|| debians.to_path_buf()).or_else(|| find_program(&["chrome-headless-shell"]))
}

fn find_whole_chromium() -> Option<PathBuf> {
    let mac =
        || Some(PathBuf::from("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")).filter(|p| p.is_file());
    find_program(&["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]).or_else(mac)
}

fn find_chromium() -> Option<Browser> {
    let program = named("CHROMIUM").or_else(find_shell).or_else(find_whole_chromium)?;
    let driver = named("CHROMEDRIVER").or_else(|| find_program(&["chromedriver"]))?;
    Some(Browser { engine: Engine::Chromium, program, driver })
}

/// A build of geckodriver that goes on beside other work.
static BUILDING: Mutex<Option<Child>> = Mutex::new(None);

/// Where it is built, and what the build said.
fn geckodriver_folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("tools")
}

fn geckodriver_log(workspace: &Workspace) -> PathBuf {
    geckodriver_folder(workspace).join("geckodriver.log")
}

fn find_geckodriver(workspace: &Workspace) -> Option<PathBuf> {
    let built = geckodriver_folder(workspace).join("bin/geckodriver");
    named("GECKODRIVER").or_else(|| find_program(&["geckodriver"])).or_else(|| built.is_file().then_some(built))
}

/// Builds what Firefox is driven with in the time that other work leaves, where it is missing; [`Browser::ensure`] waits for it.
pub fn build_geckodriver_beside(workspace: &Workspace) -> Result<()> {
    if find_geckodriver(workspace).is_some() {
        return Ok(());
    }
    fs::create_dir_all(geckodriver_folder(workspace))?;
    let log = fs::File::create(geckodriver_log(workspace))?;
    let mut build = workspace.in_spare_time(install_geckodriver(workspace));
    let building = build.stdout(log.try_clone()?).stderr(log).spawn().context("could not start cargo")?;
    *BUILDING.lock().unwrap_or_else(PoisonError::into_inner) = Some(building);
    Ok(())
}

fn install_geckodriver(workspace: &Workspace) -> Command {
    let mut cargo = workspace.cargo_of_others();
    cargo.args(["install", "geckodriver", "--locked", "--version", GECKODRIVER, "--root"]);
    cargo.arg(geckodriver_folder(workspace));
    // It passes messages on; optimising it would take longer than all that it does.
    cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0").env("CARGO_PROFILE_RELEASE_LTO", "off");
    cargo
}

/// `FIREFOX` and `GECKODRIVER` come first.
fn ensure_firefox(workspace: &Workspace) -> Result<Browser> {
    let find = || named("FIREFOX").or_else(|| find_program(&["firefox", "firefox-esr"]));
    if find().is_none() {
        apt_install(&["firefox-esr"]);
    }
    let program = find().context("no Firefox: `apt-get install firefox-esr`, or set FIREFOX")?;
    if let Some(mut building) = BUILDING.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let told = geckodriver_log(workspace);
        ensure!(building.wait()?.success(), "geckodriver could not be built from crates.io, see {}", told.display());
    }
    if find_geckodriver(workspace).is_none() {
        workspace::run(&mut install_geckodriver(workspace))
            .context("no geckodriver, and it could not be built from crates.io; set GECKODRIVER")?;
    }
    let driver =
        find_geckodriver(workspace).context("no geckodriver: `cargo install geckodriver`, or set GECKODRIVER")?;
    Ok(Browser { engine: Engine::Firefox, program, driver })
}

/// MiniBrowser has no window of its own without a display: [`super::Driver`] gives it one of Xvfb's.
fn ensure_webkit() -> Result<Browser> {
    if find_webkit().is_none() {
        apt_install(&["webkit2gtk-driver", "xvfb"]);
    }
    find_webkit().context("no WebKitGTK with its driver and no Xvfb: `apt-get install webkit2gtk-driver xvfb`")
}

fn find_webkit() -> Option<Browser> {
    let driver = find_program(&["WebKitWebDriver"])?;
    find_program(&["Xvfb"])?;
    let below = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let libraries = ["/usr/lib", "/usr/libexec", "/usr/lib64"].map(Path::new);
    let folders = libraries.into_iter().flat_map(|library| below(library).chain([library.to_path_buf()]));
    let programs = folders
        .flat_map(|folder| ["webkit2gtk-4.1", "webkit2gtk-4.0"].map(|name| folder.join(name).join("MiniBrowser")));
    let program = programs.into_iter().find(|program| program.is_file())?;
    Some(Browser { engine: Engine::Webkit, program, driver })
}
