//! Models that others have published: fetched by [`fetch`] into `published/NAME/` below the target directory, for tests and for a site of one's own.
//! Nothing of them is in the repository.

mod fetch;
mod site;
mod table;

use std::path::PathBuf;

use anyhow::Result;

pub use fetch::fetch;
pub use site::put_into;
pub use table::{MODELS, Model};

use crate::workspace::Workspace;

/// The folder of a model's files, fetched or not.
pub fn folder(workspace: &Workspace, model: &Model) -> PathBuf {
    workspace.target.join("published").join(model.name)
}

/// Whether a model was fetched, with every byte as it should be.
pub fn is_there(workspace: &Workspace, model: &Model) -> Result<bool> {
    fetch::is_whole(&folder(workspace, model), model)
}

/// A model of this name, as commands take it.
pub fn named(name: &str) -> std::result::Result<&'static Model, String> {
    let known = || MODELS.iter().map(|model| model.name).collect::<Vec<_>>().join(", ");
    MODELS.iter().find(|model| model.name == name).ok_or_else(|| format!("known are {}", known()))
}
