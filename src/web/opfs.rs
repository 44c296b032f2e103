//! Models kept in the origin's private file system, from one visit to the next.
//!
//! Each address has two files in the directory `vitrine-models`, both named by the SHA-256 of the address (without what signs it, see
//! [`cache_key`]): the bytes, and a small JSON [`Record`] of what they are (address, size, version, whether all of them are there). An
//! entry is used only where address and size are those of the file asked for.
//!
//! While bytes are written their file is held by a sync access handle, which the browser gives out once: a second load
//! of the same address, here or in another tab, gets an error with the code `storage` and goes on without the cache.
//! Handles of that kind exist in dedicated workers only. Every failure here is a `storage` error; none needs to stop
//! a load.

use async_trait::async_trait;
use js_sys::{Object, Reflect};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use web_sys::Blob;

use super::js::said;
use crate::{
    Error, Result,
    weights::{
        cache_key,
        download::{About, Store, hex, parse_sha256},
    },
};

#[wasm_bindgen]
extern "C" {
    type Directory;
    #[wasm_bindgen(method, catch, js_name = getDirectoryHandle)]
    async fn directory(this: &Directory, name: &str, options: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch, js_name = getFileHandle)]
    async fn file(this: &Directory, name: &str, options: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch, js_name = removeEntry)]
    async fn remove(this: &Directory, name: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn keys(this: &Directory) -> Result<js_sys::AsyncIterator, JsValue>;

    type FileHandle;
    #[wasm_bindgen(method, catch, js_name = getFile)]
    async fn blob(this: &FileHandle) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch, js_name = createSyncAccessHandle)]
    async fn sync(this: &FileHandle) -> Result<JsValue, JsValue>;

    type SyncHandle;
    #[wasm_bindgen(method, catch)]
    fn read(this: &SyncHandle, bytes: &mut [u8], options: &JsValue) -> Result<f64, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn write(this: &SyncHandle, bytes: &[u8], options: &JsValue) -> Result<f64, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn truncate(this: &SyncHandle, size: f64) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch, js_name = getSize)]
    fn size(this: &SyncHandle) -> Result<f64, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn flush(this: &SyncHandle) -> Result<(), JsValue>;
    #[wasm_bindgen(method)]
    fn close(this: &SyncHandle);

    type Storage;
    #[wasm_bindgen(method, catch, js_name = getDirectory)]
    async fn root(this: &Storage) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn estimate(this: &Storage) -> Result<JsValue, JsValue>;
}

const DIRECTORY: &str = "vitrine-models";

/// What the bytes of an entry are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The address it came from, without the parameters that sign it (`X-Amz-…`, `Signature` and what is signed with it, `token`): it is kept by this.
    pub address: String,
    /// Of the whole file, in bytes.
    pub size: u64,
    /// What the server called this state of the file (its `ETag`, `Last-Modified` or both).
    pub version: Option<String>,
    /// All bytes are there.
    pub complete: bool,
    /// In hexadecimal, where the bytes were checked against one.
    pub sha256: Option<String>,
}

impl Record {
    pub fn about(&self) -> About {
        About { total: self.size, version: self.version.clone() }
    }

    pub fn sha256(&self) -> Option<[u8; 32]> {
        self.sha256.as_deref().and_then(|text| parse_sha256(text).ok())
    }
}

/// An entry as a page lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    #[serde(flatten)]
    pub record: Record,
    /// Bytes that are there.
    pub bytes: u64,
}

/// Bytes in use and allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Kept by Vitrine.
    pub bytes: u64,
    /// Used by the whole origin, and what the browser allows it; 0 where it does not say.
    pub used: u64,
    pub quota: u64,
}

fn failed(what: &str) -> impl FnOnce(JsValue) -> Error {
    move |e| {
        let name = Reflect::get(&e, &"name".into()).ok().and_then(|n| n.as_string()).unwrap_or_default();
        Error::storage(match name.as_str() {
            "QuotaExceededError" => format!("{what}: the browser has no more room for this site; delete kept models"),
            "NoModificationAllowedError" => {
                format!("{what}: another load is writing the same model; wait until it is done and load again")
            }
            _ => format!("{what}: {} {}", name, said(&e)),
        })
    }
}

fn option(name: &str, value: impl Into<JsValue>) -> JsValue {
    let options = Object::new();
    // A plain object takes any property.
    let _ = Reflect::set(&options, &name.into(), &value.into());
    options.into()
}

fn storage() -> Result<Storage> {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).unwrap_or_default();
    let storage = Reflect::get(&navigator, &"storage".into()).unwrap_or_default();
    if storage.is_undefined() || storage.is_null() {
        return Err(Error::storage(
            "this browser keeps no files for this page: only pages over https or on localhost have a storage, and frames without an origin of their own have none",
        ));
    }
    Ok(storage.unchecked_into())
}

/// Whether this is a place where files can be written (a dedicated worker).
fn sync_handles() -> bool {
    let has = |object: &JsValue, name: &str| Reflect::get(object, &name.into()).unwrap_or_default();
    let handle = has(&js_sys::global(), "FileSystemFileHandle");
    !handle.is_undefined() && has(&has(&handle, "prototype"), "createSyncAccessHandle").is_function()
}

/// The models kept for this origin.
pub struct Cache(Directory);

impl Cache {
    /// Opens the directory, made where it is missing.
    pub async fn open() -> Result<Self> {
        let storage = storage()?;
        let root: Directory = storage.root().await.map_err(failed("the browser's storage"))?.unchecked_into();
        let directory = root.directory(DIRECTORY, &option("create", true)).await;
        Ok(Self(directory.map_err(failed("the browser's storage"))?.unchecked_into()))
    }

    fn key(address: &str) -> String {
        hex(&Sha256::digest(cache_key(address).as_bytes())[..16])
    }

    async fn existing(&self, name: &str) -> Option<FileHandle> {
        self.0.file(name, &JsValue::UNDEFINED).await.ok().map(JsCast::unchecked_into)
    }

    async fn created(&self, name: &str) -> Result<FileHandle> {
        let handle = self.0.file(name, &option("create", true)).await;
        handle.map(JsCast::unchecked_into).map_err(failed("a kept model"))
    }

    async fn record(&self, key: &str) -> Option<Record> {
        let file = self.existing(&format!("{key}.json")).await?;
        let blob: Blob = file.blob().await.ok()?.unchecked_into();
        let text = wasm_bindgen_futures::JsFuture::from(blob.text()).await.ok()?.as_string()?;
        serde_json::from_str(&text).ok()
    }

    /// What is kept for an address. A record that does not read counts as none.
    pub async fn find(&self, address: &str) -> Option<Record> {
        self.record(&Self::key(address)).await.filter(|record| record.address == cache_key(address))
    }

    /// The bytes of an entry; `storage` where they are not as many as its record says.
    pub async fn blob(&self, record: &Record) -> Result<Blob> {
        let missing = || Error::storage("the bytes of a kept model are missing");
        let file = self.existing(&format!("{}.bin", Self::key(&record.address))).await.ok_or_else(missing)?;
        let blob: Blob = file.blob().await.map_err(failed("a kept model"))?.unchecked_into();
        if blob.size() as u64 == record.size { Ok(blob) } else { Err(missing()) }
    }

    /// Everything that is kept, whole or not.
    pub async fn list(&self) -> Result<Vec<Entry>> {
        let mut entries = vec![];
        for name in self.names().await? {
            let Some(key) = name.strip_suffix(".json") else { continue };
            let Some(record) = self.record(key).await else { continue };
            let bytes = match self.existing(&format!("{key}.bin")).await {
                Some(file) => size_of(&file).await,
                None => 0,
            };
            entries.push(Entry { record, bytes });
        }
        entries.sort_by(|a, b| a.record.address.cmp(&b.record.address));
        Ok(entries)
    }

    async fn names(&self) -> Result<Vec<String>> {
        let keys = self.0.keys().map_err(failed("the kept models"))?;
        let mut names = vec![];
        loop {
            let next = keys.next().map_err(failed("the kept models"))?;
            let next = wasm_bindgen_futures::JsFuture::from(next).await.map_err(failed("the kept models"))?;
            let field = |name: &str| Reflect::get(&next, &name.into()).unwrap_or_default();
            if field("done").is_truthy() {
                return Ok(names);
            }
            names.extend(field("value").as_string());
        }
    }

    /// Forgets an address. One that is being written is an error with the code `storage`.
    pub async fn delete(&self, address: &str) -> Result<()> {
        self.delete_key(&Self::key(address)).await
    }

    async fn delete_key(&self, key: &str) -> Result<()> {
        for name in [format!("{key}.bin"), format!("{key}.json")] {
            if self.existing(&name).await.is_some() {
                self.0.remove(&name).await.map_err(failed("a kept model"))?;
            }
        }
        Ok(())
    }

    /// Forgets everything. What is being written stays, and is an error with the code `storage`.
    pub async fn clear(&self) -> Result<()> {
        let mut result = Ok(());
        for name in self.names().await? {
            if let Err(error) = self.0.remove(&name).await.map_err(failed("a kept model")) {
                result = Err(error);
            }
        }
        result
    }

    pub async fn usage(&self) -> Result<Usage> {
        let mut bytes = 0;
        for name in self.names().await? {
            if let Some(file) = self.existing(&name).await {
                bytes += size_of(&file).await;
            }
        }
        let estimate = storage()?.estimate().await.unwrap_or_default();
        let field = |name: &str| Reflect::get(&estimate, &name.into()).ok().and_then(|v| v.as_f64()).unwrap_or(0.0);
        Ok(Usage { bytes, used: field("usage") as u64, quota: field("quota") as u64 })
    }
}

async fn size_of(file: &FileHandle) -> u64 {
    match file.blob().await {
        Ok(blob) => blob.unchecked_into::<Blob>().size() as u64,
        Err(_) => 0,
    }
}

/// A sync access handle that is closed when it is dropped.
struct Held(SyncHandle);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// One address's entry, held for writing.
pub struct OpfsStore {
    cache: Cache,
    key: String,
    address: String,
    sha256: Option<[u8; 32]>,
    /// `None` until there is something to write, and once it was deleted.
    file: Option<Held>,
    have: u64,
    record: Option<Record>,
}

impl OpfsStore {
    /// Takes the entry of `address` for writing, with the bytes that an earlier visit left there. `sha256` is what the
    /// bytes will have been checked against when [`complete`](Store::complete) is called.
    ///
    /// Errors: `storage`, where another load holds it, and where there are no sync access handles.
    pub async fn open(cache: Cache, address: &str, sha256: Option<[u8; 32]>) -> Result<Self> {
        if !sync_handles() {
            return Err(Error::storage("files are written in a dedicated worker only; load the model from there"));
        }
        let key = Cache::key(address);
        let record = cache.find(address).await;
        let mut store = Self { cache, key, address: cache_key(address), sha256, file: None, have: 0, record };
        if store.record.is_some() {
            store.hold().await?;
            store.have = store.file()?.size().map_err(failed("a kept model"))? as u64;
        }
        Ok(store)
    }

    /// Takes the file for writing; made where it is missing.
    async fn hold(&mut self) -> Result<()> {
        let handle = self.cache.created(&format!("{}.bin", self.key)).await?.sync().await;
        self.file = Some(Held(handle.map_err(failed("a kept model"))?.unchecked_into()));
        Ok(())
    }

    fn file(&self) -> Result<&SyncHandle> {
        self.file.as_ref().map(|held| &held.0).ok_or_else(|| Error::storage("the kept model was deleted"))
    }

    async fn write_record(&mut self, record: Record) -> Result<()> {
        let text = serde_json::to_vec(&record).map_err(|e| Error::storage("a record does not write").caused_by(e))?;
        let handle = self.cache.created(&format!("{}.json", self.key)).await?.sync().await;
        let file = Held(handle.map_err(failed("a kept model's record"))?.unchecked_into());
        file.0.truncate(0.0).map_err(failed("a kept model's record"))?;
        write(&file.0, 0, &text)?;
        file.0.flush().map_err(failed("a kept model's record"))?;
        self.record = Some(record);
        Ok(())
    }
}

fn write(file: &SyncHandle, at: u64, bytes: &[u8]) -> Result<()> {
    let written = file.write(bytes, &option("at", at as f64)).map_err(failed("writing a kept model"))?;
    if written as usize == bytes.len() {
        Ok(())
    } else {
        Err(Error::storage("the browser took only a part of the model; there may be no more room"))
    }
}

#[async_trait(?Send)]
impl Store for OpfsStore {
    fn have(&self) -> u64 {
        self.have
    }

    fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<()> {
        let len = bytes.len();
        let read = self.file()?.read(bytes, &option("at", at as f64)).map_err(failed("reading a kept model"))?;
        if read as usize == len { Ok(()) } else { Err(Error::storage("the bytes of a kept model are missing")) }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        write(self.file()?, self.have, bytes)?;
        self.have += bytes.len() as u64;
        Ok(())
    }

    fn about(&self) -> Option<About> {
        self.record.as_ref().map(Record::about)
    }

    async fn begin(&mut self, about: &About) -> Result<()> {
        self.record = None;
        self.have = 0;
        if self.file.is_none() {
            self.hold().await?;
        }
        self.file()?.truncate(0.0).map_err(failed("a kept model"))?;
        let (size, version) = (about.total, about.version.clone());
        let record = Record { address: self.address.clone(), size, version, complete: false, sha256: None };
        self.write_record(record).await
    }

    async fn complete(&mut self) -> Result<()> {
        self.file()?.flush().map_err(failed("a kept model"))?;
        let Some(record) = self.record.clone() else {
            return Err(Error::storage("the record of a kept model is missing"));
        };
        let sha256 = self.sha256.map(|sha| hex(&sha));
        self.write_record(Record { complete: true, sha256, ..record }).await
    }

    async fn discard(&mut self) {
        self.record = None;
        self.have = 0;
        // Only who holds the bytes may delete them: another load may be writing them.
        if self.file.take().is_some() {
            // What cannot be deleted now has no record of being whole, and is begun anew at the next visit.
            let _ = self.cache.delete_key(&self.key).await;
        }
    }
}
