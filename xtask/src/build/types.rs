//! `www/wasm-face.d.ts`: the types that wasm-bindgen writes beside the module, so that `tsc` reads the page's JavaScript before anything is built.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

const FILE: &str = "www/wasm-face.d.ts";

const HEAD: &str = "/** What the worker calls: the face of `src/web`, written by `cargo xtask build`. Whatever fails throws, or rejects with, `{ code, message }`. */\n";

/// How the glue is started; what wasm-bindgen says of it names every function of the module, and is another in every build.
const START: &str = "\nexport default function init(options: { module_or_path: string | URL }): Promise<unknown>;\n";

/// The types of a built package, as they stand in `www/`.
fn of(package: &Path) -> Result<String> {
    let types = package.join("vitrine.d.ts");
    let types = fs::read_to_string(&types).with_context(|| types.display().to_string())?;
    let (_, types) = types.split_once("import type {").context("the module's types import none")?;
    let (types, _) = types.split_once("export type InitInput").context("the module's types say not how it starts")?;
    let types = types.replace("} from \"../", "} from \"./").replace("\n\n\n\n", "\n\n");
    Ok(format!("{HEAD}\nimport type {{{}\n{START}", types.trim_end()))
}

/// Writes them where they changed.
pub fn write(workspace: &Workspace, package: &Path) -> Result<()> {
    let (file, types) = (workspace.root.join(FILE), of(package)?);
    if fs::read_to_string(&file).is_ok_and(|known| known == types) {
        return Ok(());
    }
    println!("{FILE} changed with src/web");
    fs::write(file, types).context(FILE)
}

/// Errors: the types in `www/` are not those of the package.
pub fn check(workspace: &Workspace, package: &Path) -> Result<()> {
    let known = fs::read_to_string(workspace.root.join(FILE)).context(FILE)?;
    ensure!(known == of(package)?, "{FILE} is older than src/web: run `cargo xtask build --profile everyday`");
    Ok(())
}
