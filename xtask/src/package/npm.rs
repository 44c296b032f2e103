//! The package `vitrine` for npm: of a built site what a developer's modules reach, with types, licences and a README, and none of its pages.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    build::copy_folder,
    workspace::{self, find_program},
};

/// What is imported by name, and the worker of a site that serves an address.
const ENTRIES: [&str; 6] = ["vitrine.js", "widgets.js", "openai.js", "anywidget.js", "worker.js", "sw.js"];
const TYPES: [&str; 5] = ["values.d.ts", "vitrine.d.ts", "widgets.d.ts", "openai.d.ts", "anywidget.d.ts"];
/// The module's and its glue, and the models that come along.
const FOLDERS: [&str; 2] = ["pkg", "models"];
const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// Puts the package of a site together in `out`, afresh.
pub fn assemble(root: &Path, site: &Path, out: &Path) -> Result<PathBuf> {
    if out.exists() {
        fs::remove_dir_all(out)?;
    }
    let mut files: BTreeSet<String> = BTreeSet::new();
    for entry in ENTRIES {
        reach(site, entry, &mut files)?;
    }
    files.extend(TYPES.map(String::from));
    for file in &files {
        let target = out.join(file);
        fs::create_dir_all(target.parent().context("a file lies in a folder")?)?;
        fs::copy(site.join(file), &target).with_context(|| format!("{file} is not in {}", site.display()))?;
    }
    for folder in FOLDERS {
        copy_folder(&site.join(folder), &out.join(folder))?;
    }
    // What wasm-bindgen says of its own files, for whoever builds the glue into something else.
    for entry in fs::read_dir(out.join("pkg"))? {
        let file = entry?.path();
        if file.to_string_lossy().ends_with(".d.ts") {
            fs::remove_file(file)?;
        }
    }
    for licence in LICENCES {
        fs::copy(root.join(licence), out.join(licence)).with_context(|| licence.to_owned())?;
    }
    fs::copy(root.join("xtask/src/package/README.md"), out.join("README.md")).context("the package's README")?;
    let description = fs::read_to_string(root.join("www/package.json")).context("www/package.json")?;
    fs::write(out.join("package.json"), of_this_version(&description)?)?;
    Ok(out.to_path_buf())
}

/// The description of the package, with the crates' version.
fn of_this_version(description: &str) -> Result<String> {
    let parsed: Value = serde_json::from_str(description).context("www/package.json is no JSON")?;
    let version = parsed["version"].as_str().context("www/package.json names no version")?;
    Ok(description.replacen(
        &format!("\"version\": \"{version}\""),
        concat!("\"version\": \"", env!("CARGO_PKG_VERSION"), "\""),
        1,
    ))
}

/// A module of the site with all that it imports.
fn reach(site: &Path, file: &str, found: &mut BTreeSet<String>) -> Result<()> {
    if !file.ends_with(".js") || file.starts_with("pkg/") || !found.insert(file.to_owned()) {
        return Ok(());
    }
    let code = fs::read_to_string(site.join(file)).with_context(|| format!("{file} is not in {}", site.display()))?;
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    for name in imports(&code) {
        let mut path: Vec<&str> = folder.iter().filter_map(|part| part.to_str()).collect();
        for part in name.split('/') {
            match part {
                "." => {}
                ".." => ensure!(path.pop().is_some(), "{file} imports {name}, which lies outside the site"),
                part => path.push(part),
            }
        }
        reach(site, &path.join("/"), found)?;
    }
    Ok(())
}

/// The relative addresses that a module imports.
fn imports(code: &str) -> Vec<&str> {
    let mut names = vec![];
    for line in code.lines().map(str::trim_start).filter(|line| !line.starts_with(['*', '/'])) {
        for before in ["from \"", "import \"", "import(\""] {
            let rest = line.split_once(before).map(|(_, rest)| rest);
            if let Some((name, _)) = rest.and_then(|rest| rest.split_once('"'))
                && name.starts_with('.')
            {
                names.push(name);
            }
        }
    }
    names
}

/// `npm pack`: the archive that would be published, in `out`.
pub fn pack(package: &Path, out: &Path) -> Result<PathBuf> {
    let npm = find_program(&["npm"]).context("npm is not installed; it comes with Node.js from version 20")?;
    let mut command = Command::new(npm);
    command.current_dir(package).args(["pack", "--silent", "--pack-destination"]).arg(out).stdout(Stdio::null());
    workspace::run(&mut command)?;
    let archive = out.join(concat!("vitrine-", env!("CARGO_PKG_VERSION"), ".tgz"));
    ensure!(archive.is_file(), "npm packed no {}", archive.display());
    Ok(archive)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn imports_are_what_code_imports_and_no_comment() {
        let code = "/** @import { A } from \"./no.js\" */\n * import \"./no.js\";\nimport { a } from \"./a.js\";\nexport { b } from \"../b.js\";\nimport \"./c.js\";\nawait import(\"./d.js\");\nimport x from \"x\";\n";
        assert_eq!(imports(code), ["./a.js", "../b.js", "./c.js", "./d.js"]);
    }

    /// No page is reached by what developers import, and all that is exported is there.
    #[test]
    fn the_package_holds_what_its_entries_reach_and_no_page() {
        let www = Path::new(env!("CARGO_MANIFEST_DIR")).join("../www");
        let mut files = BTreeSet::new();
        for entry in ENTRIES {
            reach(&www, entry, &mut files).unwrap();
        }
        for page in ["page.js", "chat.js", "paint.js", "walk.js"] {
            assert!(!files.contains(page), "{page} is in the package");
        }
        assert!(files.contains("widgets/text.js") && files.contains("host.js") && files.contains("openai-route.js"));
        let package: Value = serde_json::from_str(&fs::read_to_string(www.join("package.json")).unwrap()).unwrap();
        for (name, exported) in package["exports"].as_object().unwrap() {
            let files_of = |value: &Value| match value {
                Value::Object(conditions) => conditions.values().filter_map(Value::as_str).map(String::from).collect(),
                other => vec![other.as_str().unwrap().to_owned()],
            };
            for file in files_of(exported) {
                let file = file.trim_start_matches("./");
                let is_there = files.contains(file) || TYPES.contains(&file) || file.starts_with("pkg/") || file == "*";
                assert!(is_there, "{name} leads to {file}, which is not in the package");
            }
        }
        for entry in package["sideEffects"].as_array().unwrap() {
            assert!(files.contains(entry.as_str().unwrap().trim_start_matches("./")), "{entry}");
        }
    }
}
