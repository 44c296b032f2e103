//! What a machine must have besides Rust and browsers: the wasm target, and a Vulkan driver for the GPU kernels. On Debian, as root, what is missing gets installed; elsewhere one line says what to install.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context, Result, bail};

use crate::workspace::{self, WASM_TARGET, Workspace, find_program};

/// Adds the wasm target where rustup knows the toolchain and it is missing.
pub fn ensure_wasm_target(workspace: &Workspace) -> Result<()> {
    let sysroot = workspace.command("rustc").args(["--print", "sysroot"]).output().context("could not start rustc")?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot.stdout).trim());
    if sysroot.join("lib/rustlib").join(WASM_TARGET).join("lib").is_dir() {
        return Ok(());
    }
    workspace::run(workspace.command("rustup").args(["target", "add", WASM_TARGET]))
        .with_context(|| format!("the target {WASM_TARGET} is missing; install it with rustup or your distribution"))
}

/// A Vulkan driver for the native GPU tests; Mesa's lavapipe will do. Only Linux is asked: elsewhere Metal or DirectX serve.
pub fn ensure_vulkan() -> Result<()> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    if !has_vulkan() {
        apt_install(&["mesa-vulkan-drivers", "libvulkan1"]);
    }
    if has_vulkan() {
        return Ok(());
    }
    bail!(
        "no Vulkan driver for the GPU tests: `apt-get install mesa-vulkan-drivers libvulkan1` (lavapipe runs on any CPU)"
    )
}

fn has_vulkan() -> bool {
    if ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].iter().any(|name| env::var_os(name).is_some()) {
        return true;
    }
    let has_files = |folder: &Path| fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    let driver = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];
    let loader =
        Command::new("ldconfig").arg("-p").output().or_else(|_| Command::new("/sbin/ldconfig").arg("-p").output());
    let loader = loader.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("libvulkan.so.1"));
    loader && driver.iter().any(|folder| has_files(Path::new(folder)))
}

/// Installs Debian packages where there is apt-get and the user is root; otherwise leaves things as they are. The
/// caller looks again and says what is missing.
pub fn apt_install(packages: &[&str]) {
    static UPDATED: OnceLock<bool> = OnceLock::new();
    if find_program(&["apt-get"]).is_none() || !is_root() {
        return;
    }
    UPDATED.get_or_init(|| workspace::run(Command::new("apt-get").args(["update", "-qq"])).is_ok());
    let mut install = Command::new("apt-get");
    install
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(packages);
    if let Err(error) = workspace::run(&mut install) {
        eprintln!("    {error:#}");
    }
}

/// Whether this process may install packages and must start Chromium without its sandbox.
pub fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == "0")
}
