//! Where bytes come from in a browser: a `File` or `Blob`, an address.
//!
//! An address is kept in the origin's private file system while it is read (see [`super::opfs`]), and read from there
//! at the next visit. Runs in a dedicated worker and in a page; nothing here needs a window. A future that is dropped
//! (see [`crate::Cancel::race`]) aborts its request at once.

use std::{cell::RefCell, ops::Range, pin::pin, rc::Rc};

use async_trait::async_trait;
use futures_util::future::{Either, select};
use js_sys::{Function, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Blob, File, ReadableStreamDefaultReader, RequestCache, RequestInit, Response, Url};

use super::{
    js::said,
    opfs::{Cache, OpfsStore},
};
use crate::{
    Error, Result,
    weights::{
        ByteSource,
        download::{
            About, Answer, Body, Download, Expected, Fault, Patience, Store, Transport, parse_content_range, web_page,
        },
        file_name, past_the_end, resolve_address,
    },
};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch)]
    fn fetch(address: &str, init: &RequestInit) -> Promise;
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(run: &Function, milliseconds: u32) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
}

/// A `File` or a `Blob`; only what is asked for is read.
#[derive(Debug, Clone)]
pub struct BlobSource {
    name: String,
    blob: Blob,
}

impl BlobSource {
    pub fn new(name: impl Into<String>, blob: Blob) -> Self {
        Self { name: name.into(), blob }
    }

    /// A `File` brings its name along.
    pub fn file(file: File) -> Self {
        Self { name: file.name(), blob: file.into() }
    }
}

#[async_trait(?Send)]
impl ByteSource for BlobSource {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn len(&self) -> Result<u64> {
        Ok(self.blob.size() as u64)
    }

    async fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let len = self.blob.size() as u64;
        if range.start > range.end || range.end > len {
            return Err(past_the_end(&self.name, &range, len));
        }
        let unread = |e: JsValue| {
            Error::storage(format!(
                "{}: the browser could not read the file ({}); choose it again, or load it again",
                self.name,
                said(&e)
            ))
        };
        let slice = self.blob.slice_with_f64_and_f64(range.start as f64, range.end as f64).map_err(unread)?;
        let bytes = Uint8Array::new(&JsFuture::from(slice.array_buffer()).await.map_err(unread)?).to_vec();
        if bytes.len() as u64 != range.end - range.start {
            return Err(past_the_end(&self.name, &range, range.start + bytes.len() as u64));
        }
        Ok(bytes)
    }
}

/// How long a HEAD may take before the file itself is asked for too.
const GRACE_MS: u32 = 300;

/// How an address is loaded.
#[derive(Debug, Clone)]
pub struct UrlOptions {
    /// What the file is called, folders included; else the last part of its address.
    pub name: Option<String>,
    /// Keep the bytes for the next visit, and use those of the last.
    pub cache: bool,
    pub expected: Expected,
    pub patience: Patience,
}

impl Default for UrlOptions {
    fn default() -> Self {
        Self { name: None, cache: true, expected: Expected::default(), patience: Patience::default() }
    }
}

/// An address.
pub struct UrlSource {
    origin: Origin,
    meter: Rc<Meter>,
    warnings: Vec<String>,
}

#[allow(clippy::large_enum_variant)] // one an address
enum Origin {
    Cache(BlobSource),
    Network(Download<Fetch>),
}

impl UrlSource {
    /// Looks in the cache and makes ready to load `address` (`https:`, `http:`, `blob:`, `data:`, relative, or
    /// `hf://owner/repo/file`). The model itself is asked for with the first read.
    ///
    /// Errors: `bad-argument` for what is no address. Reading gives `network` errors that name the address, the
    /// status and what to do, and `corrupt-file` where the bytes do not have the expected SHA-256.
    pub async fn open(address: &str, options: UrlOptions) -> Result<Self> {
        let address = absolute(&resolve_address(address)?)?;
        let name = options.name.clone().unwrap_or_else(|| file_name(&address).into());
        let meter = Rc::<Meter>::default();
        let fetch = Fetch { address: address.clone(), meter: meter.clone() };
        let mut warnings = vec![];
        let mut store: Option<Box<dyn Store>> = None;
        // Bytes that the page itself holds need no keeping.
        if options.cache && !address.starts_with("blob:") && !address.starts_with("data:") {
            match Cache::open().await {
                Ok(cache) => {
                    if let Some(blob) = kept(&cache, &fetch, &options, &mut warnings).await {
                        let origin = Origin::Cache(BlobSource::new(name, blob));
                        return Ok(Self { origin, meter, warnings });
                    }
                    match OpfsStore::open(cache, &address, options.expected.sha256).await {
                        Ok(opened) => store = Some(Box::new(opened)),
                        Err(error) => warnings.push(format!("the model is not kept for the next visit: {error}")),
                    }
                }
                Err(error) => warnings.push(format!("the model is not kept for the next visit: {error}")),
            }
        }
        let download = Download::new(name, address, fetch, store, options.expected, options.patience);
        Ok(Self { origin: Origin::Network(download), meter, warnings })
    }

    /// Listens to the network from now on; a source that needs none says nothing.
    pub fn listen(&self, listener: Listener) {
        self.meter.0.replace(Some(listener));
    }

    /// Whether the bytes come from an earlier visit.
    pub fn is_cached(&self) -> bool {
        matches!(self.origin, Origin::Cache(_))
    }

    /// What went wrong without stopping the load, in sentences: a cache that could not be used.
    pub async fn warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.clone();
        if let Origin::Network(download) = &self.origin {
            warnings.extend(download.warnings().await);
        }
        warnings
    }

    fn source(&self) -> &dyn ByteSource {
        match &self.origin {
            Origin::Cache(blob) => blob,
            Origin::Network(download) => download,
        }
    }
}

#[async_trait(?Send)]
impl ByteSource for UrlSource {
    fn name(&self) -> String {
        self.source().name()
    }

    async fn len(&self) -> Result<u64> {
        self.source().len().await
    }

    async fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        self.source().read(range).await
    }

    fn release(&self) {
        self.source().release();
    }

    async fn finish(&self) -> Result<()> {
        self.source().finish().await
    }
}

/// The whole file from an earlier visit, where it is still what the address holds: by the catalog's word where there
/// is one, else by asking the server. Without an answer the kept file serves, so a model works offline.
async fn kept(cache: &Cache, fetch: &Fetch, options: &UrlOptions, warnings: &mut Vec<String>) -> Option<Blob> {
    let entry = cache.find(&fetch.address).await?;
    if !entry.complete || options.expected.size.is_some_and(|size| size != entry.about().total) {
        return None;
    }
    match options.expected.sha256 {
        Some(sha256) if entry.sha256() == Some(sha256) => {}
        Some(_) => return None,
        None => {
            let wait = fetch.sleep(options.patience.stall_ms.min(5_000));
            let unsaid = match select(pin!(fetch.confirms(&entry.about())), wait).await {
                Either::Left((Ok(true), _)) => None,
                Either::Left((Ok(false), _)) => return None,
                Either::Left((Err(Fault::Refused(error)), _)) => Some(error.to_string()),
                _ => Some(format!("{} does not answer", fetch.address)),
            };
            warnings.extend(unsaid.map(|why| format!("{why}; the copy kept from before is used")));
        }
    }
    match cache.blob(&entry).await {
        Ok(blob) => Some(blob),
        Err(error) => {
            warnings.push(format!("the copy kept from before cannot be read: {error}"));
            None
        }
    }
}

/// An address in full.
pub(super) fn absolute(address: &str) -> Result<String> {
    let base = || {
        let location = Reflect::get(&js_sys::global(), &"location".into()).ok()?;
        Reflect::get(&location, &"href".into()).ok()?.as_string()
    };
    let url = Url::new(address).ok().or_else(|| Url::new_with_base(address, &base()?).ok());
    let url = url.filter(|u| ["https:", "http:", "blob:", "data:"].contains(&u.protocol().as_str()));
    url.map(|u| u.href()).ok_or_else(|| {
        Error::bad_argument(format!(
            "{address:?} is no address that can be loaded; give https://…, hf://owner/repo/file.gguf, or a file"
        ))
    })
}

/// Told how many bytes of a file the network has brought, and how many there are where the server says.
pub type Listener = Box<dyn Fn(u64, Option<u64>)>;

/// Listens to a download as it goes.
#[derive(Default)]
struct Meter(RefCell<Option<Listener>>);

impl Meter {
    fn tell(&self, bytes: u64, total: Option<u64>) {
        if let Some(listener) = &*self.0.borrow() {
            listener(bytes, total);
        }
    }
}

/// The network as `fetch` shows it.
struct Fetch {
    address: String,
    meter: Rc<Meter>,
}

/// Aborts its request when it is dropped.
struct Request(AbortController);

impl Drop for Request {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Forgets its timer when it is dropped.
struct Timer(JsValue);

impl Drop for Timer {
    fn drop(&mut self) {
        clear_timeout(&self.0);
    }
}

impl Fetch {
    async fn request(&self, method: &str, range: Option<String>) -> Result<(Request, Response), Fault> {
        let request = AbortController::new().map(Request).map_err(|e| Fault::Broken(said(&e)))?;
        let init = RequestInit::new();
        init.set_method(method);
        init.set_signal(Some(&request.0.signal()));
        // What is kept is kept in our own cache; a second copy in the browser's would be waste.
        init.set_cache(RequestCache::NoStore);
        let headers = Object::new();
        if let Some(range) = range {
            let set = Reflect::set(&headers, &"Range".into(), &range.into());
            set.map_err(|e| Fault::Broken(said(&e)))?;
        }
        init.set_headers(&headers);
        let response = JsFuture::from(fetch(&self.address, &init)).await;
        let response: Response = response.and_then(|r| r.dyn_into()).map_err(|e| {
            Fault::Broken(format!(
                "the browser got no answer ({}): the connection failed, or the server does not let other sites read",
                said(&e)
            ))
        })?;
        Ok((request, response))
    }

    fn refused(&self, response: &Response) -> Fault {
        let status = response.status();
        let next = match status {
            401 | 403 => "the file is not public, so log in there and download it, or take another address",
            404 | 410 => "check the address",
            _ => "take the file from another address",
        };
        let message = format!("{}: HTTP {status} {}", self.address, response.status_text());
        Fault::Refused(Error::network(format!("{}; {next}", message.trim_end())))
    }

    /// What the server says of the file without sending it. Not every server does, or does so well: see [`Self::confirms`].
    async fn head(&self) -> Result<About, Fault> {
        let (_request, response) = self.request("HEAD", None).await?;
        let total = header(&response, "content-length").and_then(|text| text.parse().ok());
        match total.filter(|_| response.ok() && header(&response, "content-encoding").is_none()) {
            Some(total) => Ok(About { total, version: version(&response) }),
            None => Err(self.refused(&response)),
        }
    }

    /// Whether the server says that `kept` is what the address holds.
    ///
    /// HEAD costs the least; a server that refuses it, compresses its answer, lets it hang or leaves the version out is asked as for the
    /// file itself, and the answer is left at its headers.
    async fn confirms(&self, kept: &About) -> Result<bool, Fault> {
        let yes = |answer: &Result<About, Fault>| answer.as_ref().is_ok_and(|now| now.confirms(kept));
        let whole = || async {
            match self.get(0).await {
                Ok(Answer { total: Some(total), version, .. }) => Ok(About { total, version }.confirms(kept)),
                Ok(_) | Err(Fault::PastTheEnd) => Ok(false),
                Err(fault) => Err(fault),
            }
        };
        let head = pin!(self.head());
        let head = match select(head, self.sleep(GRACE_MS)).await {
            Either::Left((answer, _)) if yes(&answer) => return Ok(true),
            Either::Left(_) => return whole().await,
            Either::Right(((), head)) => head,
        };
        match select(head, pin!(whole())).await {
            Either::Left((answer, _)) if yes(&answer) => Ok(true),
            Either::Left((_, whole)) => whole.await,
            Either::Right((answer, _)) => answer,
        }
    }
}

/// A header, where the server lets this page see it.
fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name).ok().flatten()
}

/// As [`Answer::version`].
fn version(response: &Response) -> Option<String> {
    let named: Vec<String> = ["etag", "last-modified"].iter().filter_map(|name| header(response, name)).collect();
    (!named.is_empty()).then(|| named.join(" "))
}

#[async_trait(?Send)]
impl Transport for Fetch {
    async fn get(&self, start: u64) -> Result<Answer, Fault> {
        // Asked for even from the first byte: a range is never sent compressed, so sizes can be trusted.
        let (request, response) = self.request("GET", Some(format!("bytes={start}-"))).await?;
        let status = response.status();
        match status {
            200 | 206 => {}
            416 => return Err(Fault::PastTheEnd),
            408 | 425 | 429 | 500.. => return Err(Fault::Broken(format!("HTTP {status} {}", response.status_text()))),
            _ => return Err(self.refused(&response)),
        }
        let kind = header(&response, "content-type").unwrap_or_default();
        if kind.trim_start().to_ascii_lowercase().starts_with("text/html") {
            return Err(Fault::Refused(web_page(&self.address)));
        }
        let plain = header(&response, "content-encoding").is_none_or(|e| e.eq_ignore_ascii_case("identity"));
        let length: Option<u64> = header(&response, "content-length").and_then(|text| text.parse().ok());
        let length = length.filter(|_| plain);
        let (start, total) = if status == 206 {
            // Content-Range is hidden from other origins unless the server shows it.
            let (first, total) = header(&response, "content-range").map_or((None, None), |h| parse_content_range(&h));
            let start = first.unwrap_or(start);
            (start, total.or_else(|| start.checked_add(length?)))
        } else {
            (0, length)
        };
        let version = version(&response);
        let Some(body) = response.body() else {
            return Err(Fault::Broken("the answer has no body".into()));
        };
        let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
        let body = Stream { reader, _request: request, meter: self.meter.clone(), at: start, total };
        Ok(Answer { start, total, version, body: Box::new(body) })
    }

    async fn sleep(&self, milliseconds: u32) {
        let mut timer = None;
        let promise = Promise::new(&mut |resolve, _| timer = Some(Timer(set_timeout(&resolve, milliseconds))));
        // A timer's promise is never rejected.
        let _ = JsFuture::from(promise).await;
    }
}

/// The body of an answer.
struct Stream {
    reader: ReadableStreamDefaultReader,
    _request: Request,
    meter: Rc<Meter>,
    /// Where the next byte belongs.
    at: u64,
    total: Option<u64>,
}

#[async_trait(?Send)]
impl Body for Stream {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let broken = |e: JsValue| Fault::Broken(format!("the connection broke ({})", said(&e)));
        let read = JsFuture::from(self.reader.read()).await.map_err(broken)?;
        if Reflect::get(&read, &"done".into()).map_err(broken)?.is_truthy() {
            return Ok(None);
        }
        let bytes = Reflect::get(&read, &"value".into()).map_err(broken)?;
        let bytes = Uint8Array::new(&bytes).to_vec();
        self.at += bytes.len() as u64;
        self.meter.tell(self.at, self.total);
        Ok(Some(bytes))
    }
}
