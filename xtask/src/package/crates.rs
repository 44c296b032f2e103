//! What crates.io would get of the workspace: `cargo publish --dry-run` of all its crates together, which are siblings that none of them is without.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::workspace::{self, Workspace, megabytes};

/// What crates.io takes at most.
const LIMIT: u64 = 10_000_000;
/// All but `xtask`.
const CRATES: [&str; 4] = ["vitrine", "vitrine-constraints", "vitrine-jinja", "vitrine-kernels"];

/// Makes the archives as they would be published, and looks at them. They are not compiled once more: their sources are those that the tests compile.
pub fn check(workspace: &Workspace) -> Result<()> {
    // A folder of its own, for another cargo may be at work in the usual one.
    let target = workspace.target.join("crates");
    let mut cargo = workspace.cargo_of_others();
    cargo.args(["publish", "--dry-run", "--workspace", "--no-verify", "--allow-dirty", "--quiet", "--target-dir"]);
    workspace::run(cargo.arg(&target))?;
    let archives = target.join("package/tmp-crate");
    for name in CRATES {
        let file = archives.join(format!("{name}-{}.crate", env!("CARGO_PKG_VERSION")));
        let bytes = fs::metadata(&file).with_context(|| format!("cargo packed no {}", file.display()))?.len();
        ensure!(bytes < LIMIT, "{name} weighs {}, more than {}", megabytes(bytes), megabytes(LIMIT));
        println!("{name}: {}", megabytes(bytes));
    }
    let others =
        fs::read_dir(&archives)?.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
    let others: Vec<_> = others
        .filter(|file| !CRATES.iter().any(|name| file == &format!("{name}-{}.crate", env!("CARGO_PKG_VERSION"))))
        .collect();
    ensure!(others.is_empty(), "{others:?} would be published too");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_io_would_take_every_crate_of_the_workspace() {
        check(&Workspace::find().unwrap()).unwrap();
    }
}
