//! What is kept in the browser's storage, for the page to list and delete.

use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use super::{
    js::{thrown, to_js},
    opfs::Cache,
    sources::absolute,
};
use crate::weights::{cache_key, resolve_address};

#[wasm_bindgen(js_name = cacheList, unchecked_return_type = "CacheEntry[]")]
pub async fn list() -> Result<JsValue, JsValue> {
    let entries = async { Cache::open().await?.list().await }.await.map_err(thrown)?;
    to_js(&entries)
}

/// What an address is kept by: in full, without what signs it.
#[wasm_bindgen(js_name = cacheKey)]
pub fn key(address: &str) -> Result<String, JsValue> {
    let address = resolve_address(address).and_then(|address| absolute(&address)).map_err(thrown)?;
    Ok(cache_key(&address))
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

/// Bytes of Vitrine's own, of the whole origin, and those that it may take.
#[wasm_bindgen(js_name = cacheUsage, unchecked_return_type = "CacheUsage")]
pub async fn usage() -> Result<JsValue, JsValue> {
    let usage = async { Cache::open().await?.usage().await }.await.map_err(thrown)?;
    to_js(&usage)
}
