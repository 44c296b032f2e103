//! The files of a model as the worker names them, opened as sources of bytes.

use std::{cell::Cell, rc::Rc};

use futures_util::future::try_join_all;
use js_sys::{Array, Reflect};
use serde::Deserialize;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Blob;

use super::{
    js::from_js,
    sources::{BlobSource, UrlOptions, UrlSource},
};
use crate::{
    Error, Result,
    weights::{
        SharedSource,
        download::{Expected, parse_sha256},
    },
};

/// Files, and where their bytes come from.
pub struct Files {
    pub sources: Vec<SharedSource>,
    pub from: From,
    addresses: Vec<Rc<UrlSource>>,
}

/// Where bytes come from, as the page tells it; the slowest of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum From {
    Memory,
    Cache,
    Network,
}

/// A file at an address, with what is known of it beforehand.
#[derive(Deserialize)]
struct Address {
    name: Option<String>,
    address: String,
    size: Option<f64>,
    sha256: Option<String>,
}

#[allow(clippy::large_enum_variant)] // a few a model
enum Opened {
    Blob(BlobSource),
    Address(UrlSource),
}

impl Files {
    /// Opens what the worker describes as `[{ name, blob } | { name, address, size?, sha256? }]`. Nothing is fetched yet.
    pub async fn open(described: &JsValue, cache: bool) -> Result<Self> {
        // All at once: each may have to ask its server whether what is kept is the file still.
        let described = Array::from(described);
        let opened = described.iter().map(|file| async move {
            let field = |name: &str| Reflect::get(&file, &name.into()).unwrap_or_default();
            if let Ok(blob) = field("blob").dyn_into::<Blob>() {
                let name = field("name").as_string().unwrap_or_default();
                return Ok(Opened::Blob(BlobSource::new(name, blob)));
            }
            let Address { name, address, size, sha256 } = from_js(file, "the model's files")?;
            let expected = Expected {
                size: size.map(|size| size as u64),
                sha256: sha256.as_deref().map(parse_sha256).transpose()?,
            };
            let options = UrlOptions { name, cache, expected, ..UrlOptions::default() };
            UrlSource::open(&address, options).await.map(Opened::Address)
        });
        let mut files = Self { sources: vec![], from: From::Memory, addresses: vec![] };
        for opened in try_join_all(opened).await? {
            match opened {
                Opened::Blob(source) => files.sources.push(Rc::new(source)),
                Opened::Address(source) => {
                    let source = Rc::new(source);
                    files.from = files.from.max(if source.is_cached() { From::Cache } else { From::Network });
                    files.addresses.push(source.clone());
                    files.sources.push(source);
                }
            }
        }
        if files.sources.is_empty() {
            return Err(Error::bad_argument("no file was given; give at least one"));
        }
        Ok(files)
    }

    /// Tells `listener` the bytes that the network has brought and those of all files together (0 where a server does not say),
    /// from now on.
    pub fn listen(&self, listener: Rc<dyn Fn(u64, u64)>) {
        let parts: Rc<[Cell<(u64, Option<u64>)>]> = self.addresses.iter().map(|_| Cell::default()).collect();
        for (at, source) in self.addresses.iter().enumerate() {
            let (parts, listener) = (parts.clone(), listener.clone());
            source.listen(Box::new(move |loaded, total| {
                parts[at].set((loaded, total));
                let loaded = parts.iter().map(|part| part.get().0).sum();
                let total: Option<u64> = parts.iter().map(|part| part.get().1).sum();
                listener(loaded, total.unwrap_or(0));
            }));
        }
    }

    /// Tells the console what went wrong without stopping the load.
    pub async fn warn(&self) {
        for source in &self.addresses {
            for warning in source.warnings().await {
                web_sys::console::warn_1(&format!("vitrine: {warning}").into());
            }
        }
    }
}
