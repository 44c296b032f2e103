//! Puts `dist/` together: the page's own files, the module with its glue, and the models. A copy, no bundling: what is in
//! `www/` is what the browser reads.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Copies everything to `dist/` afresh.
pub fn assemble(workspace: &Workspace, package: &Path) -> Result<PathBuf> {
    let dist = workspace.root.join("dist");
    if dist.exists() {
        fs::remove_dir_all(&dist)?;
    }
    copy_folder(&workspace.root.join("www"), &dist)?;
    copy_folder(package, &dist.join("pkg"))?;
    let models = workspace.root.join("models");
    if models.is_dir() {
        copy_folder(&models, &dist.join("models"))?;
    }
    Ok(dist)
}

/// Copies a folder with all below it, save what begins with a dot.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("could not make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("could not read {}", from.display()))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).with_context(|| format!("could not copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// What the pages import without a connection must be what the service worker keeps.
    #[test]
    fn the_service_worker_keeps_every_module_of_the_pages() {
        let www = Path::new(env!("CARGO_MANIFEST_DIR")).join("../www");
        let worker = fs::read_to_string(www.join("sw.js")).expect("the service worker");
        for folder in ["", "page/", "widgets/"] {
            for file in fs::read_dir(www.join(folder)).expect("a folder of the page") {
                let name = file.expect("a file").file_name().to_string_lossy().into_owned();
                let kept = ["js", "css", "html"].iter().any(|end| name.ends_with(&format!(".{end}")));
                if kept && name != "sw.js" && name != "index.html" {
                    assert!(worker.contains(&format!("\"{folder}{name}\"")), "sw.js does not keep {folder}{name}");
                }
            }
        }
    }
}
