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
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
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

    use serde_json::Value;

    fn read(file: &str) -> String {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    fn catalogue() -> Vec<Value> {
        let catalogue: Value = serde_json::from_str(&read("models/catalog.json")).expect("the catalogue");
        catalogue["models"].as_array().expect("models").clone()
    }

    /// What the pages import without a connection must be what the service worker keeps.
    #[test]
    fn the_service_worker_keeps_every_module_of_the_pages() {
        let www = Path::new(env!("CARGO_MANIFEST_DIR")).join("../www");
        let worker = read("www/sw.js");
        for folder in ["", "page/", "page/chat/", "vendor/", "widgets/"] {
            for file in fs::read_dir(www.join(folder)).expect("a folder of the page") {
                let name = file.expect("a file").file_name().to_string_lossy().into_owned();
                let kept = ["js", "css", "html"].iter().any(|end| name.ends_with(&format!(".{end}")));
                if kept && name != "sw.js" && name != "index.html" {
                    assert!(worker.contains(&format!("\"{folder}{name}\"")), "sw.js does not keep {folder}{name}");
                }
            }
        }
    }

    /// A bundler carries along what stands in a module as an address, and nothing that only the catalogue names.
    #[test]
    fn every_model_that_comes_along_has_an_address_that_bundlers_see() {
        let addresses = read("www/addresses.js");
        for model in catalogue() {
            let file = model["file"].as_str().expect("a file");
            if !file.starts_with("hf://") {
                let literal = format!("\"{file}\": () => new URL(\"./models/{file}\", import.meta.url)");
                assert!(addresses.contains(&literal), "addresses.js lacks {literal}");
            }
        }
    }

    #[test]
    fn typescript_knows_the_kind_of_every_model_in_the_catalogue() {
        let types = read("www/vitrine.d.ts");
        let (_, known) = types.split_once("export interface CatalogModels {").expect("CatalogModels");
        let known: Vec<&str> = known.split_once('}').expect("its end").0.lines().map(str::trim).collect();
        let models = catalogue();
        for model in &models {
            let id = model["id"].as_str().expect("an id");
            let kind = match model["kind"].as_str() {
                Some("text") => "TextModel",
                Some("image") => "ImageModel",
                _ => "Autoencoder",
            };
            let told = [format!("{id}: {kind};"), format!("\"{id}\": {kind};")];
            assert!(known.iter().any(|line| told.contains(&(*line).into())), "vitrine.d.ts lacks {}", told[1]);
        }
        assert_eq!(known.iter().filter(|line| line.ends_with(';')).count(), models.len(), "{known:?}");
    }

    #[test]
    fn the_package_is_of_the_crates_version_and_exports_what_is_there() {
        let package: Value = serde_json::from_str(&read("www/package.json")).expect("package.json");
        assert_eq!(package["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(package["license"], "MIT OR Apache-2.0");
        read(&format!("www/{}", package["types"].as_str().expect("an address")));
        let exports = package["exports"].as_object().expect("exports");
        let of = |one: &Value| vec![one["types"].clone(), one["default"].clone(), one.clone()];
        let files: Vec<String> = exports
            .values()
            .flat_map(of)
            .filter_map(|file| Some(file.as_str()?.to_owned()))
            // What is built, and what is anything.
            .filter(|file| !file.starts_with("./pkg/") && !file.contains('*'))
            .collect();
        assert!(files.len() > 8, "{files:?}");
        for file in files {
            read(&format!("www/{file}"));
        }
    }
}
