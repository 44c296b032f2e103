//! The two libraries of others that the page for conversations uses: what stands in `www/vendor/` is what esbuild makes of npm's packages, byte for byte.

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{
    npm::{self, ESBUILD, MARKED, Package, TEMML},
    workspace::Workspace,
};

/// A package, and its file that is made small.
const LIBRARIES: [(&Package, &str); 2] = [(&MARKED, "lib/marked.esm.js"), (&TEMML, "dist/temml.mjs")];

const OPTIONS: [&str; 4] = ["--minify", "--format=esm", "--target=es2022", "--legal-comments=inline"];

/// Errors: a file is another than npm's, or its licence is.
pub fn check(workspace: &Workspace) -> Result<()> {
    let esbuild = npm::program(workspace, &ESBUILD, "esbuild")?;
    let folder = workspace.root.join("www/vendor");
    for (package, file) in LIBRARIES {
        let Package { name, version } = package;
        let theirs = npm::install(workspace, package)?;
        let output =
            Command::new(&esbuild).arg(theirs.join(file)).args(OPTIONS).output().context("esbuild did not start")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let ours = fs::read(folder.join(format!("{name}.js"))).with_context(|| format!("www/vendor/{name}.js"))?;
        let how = format!("esbuild {file} {}", OPTIONS.join(" "));
        ensure!(ours == output.stdout, "www/vendor/{name}.js is not what `{how}` makes of {name} {version}");
        let licences = [theirs.join("LICENSE"), folder.join(format!("LICENSE-{name}"))].map(fs::read);
        let [theirs, ours] = licences;
        ensure!(theirs? == ours?, "www/vendor/LICENSE-{name} is not that of {name} {version}");
    }
    Ok(())
}
