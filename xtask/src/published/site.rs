//! Published models in a built site: their files below `models/`, their entries in its catalogue.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    Model, folder,
    table::{Entry, TextEntry},
};
use crate::{build::copy_folder, workspace::Workspace};

/// Puts fetched models into a site, before those of its catalogue that lie elsewhere.
pub fn put_into(workspace: &Workspace, dist: &Path, models: &[&Model]) -> Result<()> {
    let path = dist.join("models/catalog.json");
    let text = fs::read_to_string(&path).with_context(|| format!("the site has no {}", path.display()))?;
    let mut catalogue: Value = serde_json::from_str(&text)?;
    let listed = catalogue["models"].as_array_mut().context("the catalogue lists no models")?;
    for model in models {
        let entry = model
            .entry
            .as_ref()
            .with_context(|| format!("no page loads {0}; `cargo xtask models {0}` alone fetches it", model.name))?;
        let there = folder(workspace, model);
        copy_folder(&there, &dist.join("models").join(model.name))?;
        listed.retain(|listed| listed["id"] != model.name);
        let elsewhere = listed.iter().position(|entry| entry["file"].as_str().is_some_and(|file| file.contains("://")));
        listed.insert(elsewhere.unwrap_or(listed.len()), entry_of(model, entry, &there)?);
        println!("{} is in {}: {}, {}", model.title, dist.display(), model.licence, model.terms);
    }
    fs::write(&path, serde_json::to_string_pretty(&catalogue)? + "\n")?;
    Ok(())
}

/// The catalogue's words for a model; what `training/make_catalog.py` writes of others.
fn entry_of(model: &Model, entry: &Entry, there: &Path) -> Result<Value> {
    let path = |name: &str| format!("{}/{name}", model.name);
    let described = |file: &super::table::File| -> Result<Value> {
        Ok(
            json!({ "path": path(file.name), "bytes": fs::metadata(there.join(file.name))?.len(), "sha256": file.sha256 }),
        )
    };
    let read = model.files.iter().filter(|file| is_read(file.name)).map(described).collect::<Result<Vec<_>>>()?;
    let weights = &read[0];
    let terms = if model.terms.contains("://") { model.terms.to_owned() } else { path(model.terms) };
    let mut told = json!({
        "id": model.name,
        "kind": entry.kind,
        "name": model.title,
        "parameters": entry.parameters,
        "license": model.licence,
        "licence": model.licence,
        "terms": terms,
        "file": weights["path"],
        "bytes": weights["bytes"],
        "sha256": weights["sha256"],
        "description": entry.description,
        "trainedOn": entry.trained_on,
        "goodAt": entry.good_at,
        "badAt": entry.bad_at,
        "files": read,
    });
    if let Some(TextEntry { context, chat, prompts, beginnings }) = &entry.text {
        told["context"] = json!(context);
        told["chat"] = json!(chat);
        told["prompts"] = json!(prompts);
        told["beginnings"] = json!(beginnings);
    }
    Ok(told)
}

/// Whether a file is one that an engine reads, and not one for people.
fn is_read(name: &str) -> bool {
    [".gguf", ".safetensors", ".json"].iter().any(|end| name.ends_with(end))
}
