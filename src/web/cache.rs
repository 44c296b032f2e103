//! What is kept in the browser's storage, for the page to list and delete.

use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use super::{
    js::{thrown, to_js},
    opfs::Cache,
};

/// `[{ address, bytes, size, version, complete, sha256 }]`.
#[wasm_bindgen(js_name = cacheList)]
pub async fn list() -> Result<JsValue, JsValue> {
    let entries = async { Cache::open().await?.list().await }.await.map_err(thrown)?;
    to_js(&entries)
}

/// Forgets one address, or everything.
#[wasm_bindgen(js_name = cacheDelete)]
pub async fn delete(address: Option<String>) -> Result<(), JsValue> {
    let delete = async {
        let cache = Cache::open().await?;
        match address {
            Some(address) => cache.delete(&address).await,
            None => cache.clear().await,
        }
    };
    delete.await.map_err(thrown)
}

/// `{ bytes, used, quota }`.
#[wasm_bindgen(js_name = cacheUsage)]
pub async fn usage() -> Result<JsValue, JsValue> {
    let usage = async { Cache::open().await?.usage().await }.await.map_err(thrown)?;
    to_js(&usage)
}
