//! Files, addresses and kept models in a real browser's dedicated worker: real requests to the test server, the real
//! private file system. Where a test needs trouble it stands between the page and the network, in `fetch`.

#![cfg(target_arch = "wasm32")]

use std::rc::Rc;

use js_sys::{Array, Uint8Array};
use sha2::{Digest, Sha256};
use vitrine::{
    Cancel, ErrorCode,
    web::{
        opfs::Cache,
        sources::{BlobSource, UrlOptions, UrlSource},
    },
    weights::{
        ByteSource, Format, WeightFile,
        download::{Expected, Patience},
    },
};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::{Blob, File};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// Served from the crate's folder.
const MODEL: &str = "/tests/fixtures/tiny_llama.gguf";
const MODEL_BYTES: &[u8] = include_bytes!("fixtures/tiny_llama.gguf");

/// Puts `trouble` (a JavaScript function of address, options and the real `fetch`) before the network; `null` ends it.
/// Requests are noted in `self.asked`, aborted ones in `self.aborted`.
fn trouble(function: &str) {
    let script = format!(
        "self.realFetch ??= self.fetch.bind(self);
         self.asked = []; self.aborted = 0;
         self.trouble = {function};
         self.fetch = (address, options) => {{
             self.asked.push(`${{options.method}} ${{options.headers.Range ?? ''}}`);
             options.signal.addEventListener('abort', () => self.aborted++);
             return self.trouble ? self.trouble(address, options) : self.realFetch(address, options);
         }};"
    );
    js_sys::eval(&script).unwrap();
}

/// A server that says sizes and knows ranges, which the test server does not. `BREAKS` says of which answers the
/// connection breaks after a third of the file.
const RANGES: &str = "async (address, options) => {
    const whole = new Uint8Array(await (await self.realFetch(address)).arrayBuffer());
    if (options.method == 'HEAD') return new Response(null, { headers: { 'Content-Length': whole.length } });
    const start = Number(options.headers.Range.match(/bytes=(\\d+)-/)[1]);
    const breaks = BREAKS;
    const body = new ReadableStream({ start(out) {
        const end = breaks ? Math.floor(whole.length / 3) : whole.length;
        for (let at = start; at < end; at += 30000) out.enqueue(whole.slice(at, Math.min(at + 30000, end)));
        if (breaks) setTimeout(() => out.error(new TypeError('network error')), 20);
        else out.close();
    } });
    return new Response(body, { status: 206, headers: {
        'Content-Range': `bytes ${start}-${whole.length - 1}/${whole.length}` } });
}";

fn ranges() {
    trouble(&RANGES.replace("BREAKS", "false"));
}

fn breaks_once() {
    trouble(&RANGES.replace("BREAKS", "self.asked.length == 1"));
}

const OFFLINE: &str = "async () => { throw new TypeError('Failed to fetch'); }";

/// Never answers, as long as nobody aborts.
const HANGS: &str = "(address, options) => new Promise((_, no) =>
    options.signal.addEventListener('abort', () => no(options.signal.reason)))";

fn number(script: &str) -> f64 {
    js_sys::eval(script).unwrap().as_f64().unwrap()
}

fn requests() -> Vec<String> {
    Array::from(&js_sys::eval("self.asked").unwrap()).iter().filter_map(|r| r.as_string()).collect()
}

fn options(cache: bool) -> UrlOptions {
    let patience = Patience { stall_ms: 2_000, attempts: 4, pause_ms: 10 };
    UrlOptions { name: None, cache, expected: Expected::default(), patience }
}

fn checked(sha256: [u8; 32]) -> UrlOptions {
    UrlOptions { expected: Expected { size: None, sha256: Some(sha256) }, ..options(true) }
}

fn digest() -> [u8; 32] {
    Sha256::digest(MODEL_BYTES).into()
}

fn blob(bytes: &[u8]) -> Blob {
    Blob::new_with_u8_array_sequence(&Array::of1(&Uint8Array::from(bytes))).unwrap()
}

async fn whole(source: &UrlSource) -> vitrine::Result<Vec<u8>> {
    let len = source.len().await?;
    let mut bytes = vec![];
    while (bytes.len() as u64) < len {
        let at = bytes.len() as u64;
        bytes.extend(source.read(at..(at + 50_000).min(len)).await?);
    }
    source.finish().await?;
    Ok(bytes)
}

async fn fresh() -> Cache {
    ranges();
    let cache = Cache::open().await.unwrap();
    cache.clear().await.unwrap();
    cache
}

#[wasm_bindgen_test]
async fn a_blob_is_read_in_slices() {
    let source = BlobSource::new("m.gguf", blob(MODEL_BYTES));
    assert_eq!(source.len().await.unwrap(), MODEL_BYTES.len() as u64);
    assert_eq!(source.read(100..200).await.unwrap(), MODEL_BYTES[100..200]);
    assert_eq!(source.read(0..1 << 60).await.unwrap_err().code(), ErrorCode::CorruptFile);
    let file = WeightFile::open(Rc::new(source)).await.unwrap();
    assert_eq!(file.format, Format::Gguf);
    assert_eq!(file.metadata.require::<&str>("general.architecture").unwrap(), "llama");
}

#[wasm_bindgen_test]
async fn a_file_of_pytorchs_is_the_same_from_a_blob_and_from_an_address_kept_or_not() {
    const STATE: &[u8] = include_bytes!("fixtures/pytorch/state.bin");
    const EXPECTED: &[u8] = include_bytes!("fixtures/pytorch/expected.safetensors");
    let cache = fresh().await;
    let address = "/tests/fixtures/pytorch/state.bin";
    let wanted = WeightFile::open(Rc::new(BlobSource::new("m.safetensors", blob(EXPECTED)))).await.unwrap();
    let sources: [Rc<dyn ByteSource>; 3] = [
        Rc::new(BlobSource::new("m.bin", blob(STATE))),
        Rc::new(UrlSource::open(address, options(false)).await.unwrap()),
        Rc::new(UrlSource::open(address, options(true)).await.unwrap()),
    ];
    for source in sources {
        let file = WeightFile::open(source).await.unwrap();
        assert!(file.tensors.keys().eq(wanted.tensors.keys()));
        for name in wanted.tensors.keys() {
            assert_eq!(file.read_tensor(name).await.unwrap(), wanted.read_tensor(name).await.unwrap(), "{name}");
        }
        file.finish(&Cancel::new()).await.unwrap();
    }
    let kept = cache.list().await.unwrap();
    assert!(
        kept.iter().any(|entry| entry.record.complete && entry.record.about().total == STATE.len() as u64),
        "nothing was kept"
    );
}

#[wasm_bindgen_test]
async fn a_file_brings_its_name_along() {
    let parts = Array::of1(&blob(b"{}"));
    let source = BlobSource::file(File::new_with_blob_sequence(&parts, "tokenizer.json").unwrap());
    assert_eq!(source.name(), "tokenizer.json");
    assert_eq!(WeightFile::open(Rc::new(source)).await.unwrap().extra("tokenizer.json"), Some(b"{}".as_slice()));
}

#[wasm_bindgen_test]
async fn a_model_opens_from_an_address_and_its_weights_are_those_of_the_file() {
    trouble("null");
    let source = UrlSource::open(MODEL, options(false)).await.unwrap();
    assert_eq!(source.name(), "tiny_llama.gguf");
    let file = WeightFile::open(Rc::new(source)).await.unwrap();
    let here = WeightFile::open(Rc::new(BlobSource::new("m", blob(MODEL_BYTES)))).await.unwrap();
    assert!(!here.tensors.is_empty());
    for name in here.tensors.keys() {
        assert_eq!(file.read_tensor(name).await.unwrap(), here.read_tensor(name).await.unwrap(), "{name}");
    }
}

#[wasm_bindgen_test]
async fn an_address_that_fails_says_how_and_what_to_do() {
    trouble("null");
    for (address, words) in [
        ("/no/such/model.gguf", ["404", "/no/such/model.gguf", "check the address"]),
        ("/", ["web page", "hf://", "address of the file"]),
        ("http://127.0.0.1:9/m.gguf", ["127.0.0.1:9", "no answer", "check the connection"]),
    ] {
        let source = UrlSource::open(address, options(false)).await.unwrap();
        let error = source.len().await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::Network, "{error}");
        for word in words {
            assert!(error.to_string().contains(word), "{error} does not say {word:?}");
        }
    }
    for address in ["ftp://x.org/m.gguf", "file:///etc/passwd", "http://", "hf://owner/repo"] {
        let error = UrlSource::open(address, options(false)).await.err().map(|e| e.code());
        assert_eq!(error, Some(ErrorCode::BadArgument), "{address}");
    }
}

#[wasm_bindgen_test]
async fn a_broken_connection_is_resumed_by_range() {
    breaks_once();
    let source = UrlSource::open(MODEL, options(false)).await.unwrap();
    assert_eq!(whole(&source).await.unwrap(), MODEL_BYTES);
    assert_eq!(requests(), ["GET bytes=0-".to_string(), format!("GET bytes={}-", MODEL_BYTES.len() / 3)]);
}

#[wasm_bindgen_test]
async fn an_address_that_stalls_is_given_up_with_its_time() {
    trouble(HANGS);
    let patience = Patience { stall_ms: 100, ..options(false).patience };
    let source = UrlSource::open(MODEL, UrlOptions { patience, ..options(false) }).await.unwrap();
    let error = source.len().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Network);
    assert!(error.to_string().contains("no answer"), "{error}");
    assert_eq!(number("self.aborted"), 2.0);
}

#[wasm_bindgen_test]
async fn a_load_that_is_aborted_aborts_its_request() {
    trouble(HANGS);
    let source = UrlSource::open(MODEL, options(false)).await.unwrap();
    let cancel = Cancel::new();
    let stop = cancel.clone();
    wasm_bindgen_futures::spawn_local(async move { stop.cancel() });
    assert_eq!(cancel.race(source.len()).await.unwrap_err().code(), ErrorCode::Aborted);
    assert_eq!(number("self.asked.length"), 1.0);
    assert_eq!(number("self.aborted"), 1.0);
}

#[wasm_bindgen_test]
async fn a_model_is_kept_and_the_second_visit_needs_no_download() {
    let cache = fresh().await;
    let source = UrlSource::open(MODEL, options(true)).await.unwrap();
    assert!(!source.is_cached());
    assert_eq!(whole(&source).await.unwrap(), MODEL_BYTES);
    assert!(source.warnings().await.is_empty(), "{:?}", source.warnings().await);
    drop(source);

    ranges();
    let source = UrlSource::open(MODEL, options(true)).await.unwrap();
    assert!(source.is_cached());
    assert_eq!(whole(&source).await.unwrap(), MODEL_BYTES);
    assert_eq!(requests(), ["HEAD "]);

    trouble(OFFLINE);
    let source = UrlSource::open(MODEL, options(true)).await.unwrap();
    assert_eq!(whole(&source).await.unwrap(), MODEL_BYTES);
    assert!(source.warnings().await.concat().contains("does not answer"));

    let entries = cache.list().await.unwrap();
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    assert!(entry.record.complete && entry.record.address.ends_with(MODEL));
    assert_eq!(entry.bytes, MODEL_BYTES.len() as u64);
    assert!(cache.usage().await.unwrap().bytes > entry.bytes);
    cache.delete(&entry.record.address).await.unwrap();
    assert!(cache.list().await.unwrap().is_empty());
    assert_eq!(cache.usage().await.unwrap().bytes, 0);
}

/// A server of one file that is another for each number in `self.edition`, of the same size, called by its `TAGS` (headers). To HEAD it
/// answers as `HEAD` says.
const EDITIONS: &str = "async (address, options) => {
    const body = new Uint8Array(5000).fill(self.edition);
    body.set(new TextEncoder().encode('GGUF'));
    const tags = TAGS;
    if (options.method == 'HEAD') { HEAD }
    const start = Number(options.headers.Range.match(/bytes=(\\d+)-/)[1]);
    if (start >= body.length) return new Response(null, { status: 416 });
    return new Response(body.slice(start), { status: 206, headers: { ...tags, 'Content-Range': `bytes ${start}-4999/5000` } });
}";
const HEAD: &str = "return new Response(null, { headers: { ...tags, 'Content-Length': 5000 } });";

fn edition(number: u8, tags: &str, head: &str) {
    js_sys::eval(&format!("self.edition = {number}")).unwrap();
    trouble(&EDITIONS.replace("TAGS", tags).replace("HEAD }", &format!("{head} }}")));
}

/// The number that fills the file of this visit, and whether it was kept.
async fn visit() -> (u8, bool) {
    let source = UrlSource::open("/edited.gguf", options(true)).await.unwrap();
    let bytes = whole(&source).await.unwrap();
    assert!(bytes[4..].iter().all(|byte| *byte == bytes[4]), "two editions were mixed");
    (bytes[4], source.is_cached())
}

#[wasm_bindgen_test]
async fn a_file_that_changed_is_never_served_from_before() {
    let silent =
        "return new Promise((_, no) => options.signal.addEventListener('abort', () => no(options.signal.reason)));";
    for tags in [
        "({ ETag: `\"${self.edition}\"` })",
        "({ 'Last-Modified': `Sun, 22 Nov 2026 01:00:0${self.edition} GMT` })",
        "({ ETag: `W/\"${self.edition}\"`, 'Last-Modified': 'Sun, 22 Nov 2026 01:00:00 GMT' })",
    ] {
        for head in [
            HEAD,
            "return new Response(null, { status: 405 });",
            "return new Response(null, { status: 403 });",
            "return new Response(null, { headers: { ...tags, 'Content-Encoding': 'gzip' } });",
            "return new Response(null, { headers: { 'Content-Length': 5000 } });",
            "throw new TypeError('Failed to fetch');",
            silent,
        ] {
            fresh().await;
            edition(1, tags, head);
            assert_eq!([visit().await, visit().await], [(1, false), (1, true)], "{tags} {head}");
            edition(2, tags, head);
            assert_eq!([visit().await, visit().await], [(2, false), (2, true)], "{tags} {head}");
        }
    }
}

#[wasm_bindgen_test]
async fn a_visit_that_ended_early_is_begun_anew_where_the_file_changed() {
    let tags = "({ ETag: `\"${self.edition}\"` })";
    for (then, name) in [(tags, "another version"), ("({})", "no version")] {
        let cache = fresh().await;
        edition(1, tags, HEAD);
        let source = UrlSource::open("/edited.gguf", options(true)).await.unwrap();
        source.read(0..100).await.unwrap();
        drop(source);
        assert!(!cache.list().await.unwrap()[0].record.complete);
        edition(2, then, HEAD);
        assert_eq!(visit().await.0, 2, "{name}");
    }
}

#[wasm_bindgen_test]
async fn a_server_that_lets_head_hang_costs_no_visit_its_time() {
    fresh().await;
    let tags = "({ ETag: '\"one\"' })";
    let silent =
        "return new Promise((_, no) => options.signal.addEventListener('abort', () => no(options.signal.reason)));";
    edition(1, tags, silent);
    visit().await;
    let begun = number("performance.now()");
    assert_eq!(visit().await, (1, true));
    let waited = number("performance.now()") - begun;
    assert!(waited < 1000.0, "{waited} ms");
}

#[wasm_bindgen_test]
async fn a_page_in_the_files_place_leaves_the_kept_copy_in_use_and_says_so() {
    fresh().await;
    edition(1, "({ ETag: '\"one\"' })", HEAD);
    visit().await;
    for (answer, words) in [
        (
            "new Response('<!doctype html>', { headers: { 'Content-Type': 'text/html', 'Content-Length': 5000 } })",
            "web page",
        ),
        ("new Response('', { status: 404, statusText: 'Not Found' })", "404"),
    ] {
        trouble(&format!("async () => {answer}"));
        let source = UrlSource::open("/edited.gguf", options(true)).await.unwrap();
        assert!(source.is_cached());
        let warnings = source.warnings().await.concat();
        assert!(warnings.contains(words) && warnings.contains("kept from before"), "{warnings}");
    }
}

#[wasm_bindgen_test]
async fn an_address_signed_anew_finds_what_was_kept_and_other_queries_do_not() {
    let cache = fresh().await;
    let tags = "({ ETag: '\"one\"' })";
    edition(1, tags, HEAD);
    let open = async |query: &str| {
        let source = UrlSource::open(&format!("/edited.gguf?{query}"), options(true)).await.unwrap();
        whole(&source).await.unwrap();
        source.is_cached()
    };
    assert!(!open("file=a&X-Amz-Date=1&X-Amz-Signature=aa").await);
    assert!(open("file=a&X-Amz-Date=2&X-Amz-Signature=bb").await);
    assert!(open("file=a#fragment").await);
    assert!(!open("file=b").await);
    let kept: Vec<String> = cache.list().await.unwrap().into_iter().map(|entry| entry.record.address).collect();
    assert!(matches!(kept.as_slice(), [a, b] if a.ends_with("?file=a") && b.ends_with("?file=b")), "{kept:?}");
    cache.delete(&format!("{}&X-Amz-Date=3&X-Amz-Signature=cc", kept[0])).await.unwrap();
    assert_eq!(cache.list().await.unwrap().len(), 1);
}

#[wasm_bindgen_test]
async fn what_stands_in_a_files_place_is_not_kept() {
    let cache = fresh().await;
    for (body, code, words) in [
        ("<!DOCTYPE html><title>Sign in</title>", ErrorCode::Network, "web page"),
        (
            "version https://git-lfs.github.com/spec/v1\\noid sha256:00\\nsize 9\\n",
            ErrorCode::CorruptFile,
            "git lfs pull",
        ),
    ] {
        trouble(&format!("async () => new Response('{body}', {{ headers: {{ 'Content-Length': '{body}'.length }} }})"));
        for _ in 0..2 {
            let source = UrlSource::open("/edited.gguf", options(true)).await.unwrap();
            let error = WeightFile::open(Rc::new(source)).await.err().unwrap();
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(words), "{error}");
            assert!(cache.list().await.unwrap().is_empty());
        }
    }
}

#[wasm_bindgen_test]
async fn a_visit_that_ended_early_is_gone_on_with() {
    let cache = fresh().await;
    breaks_once();
    let source = UrlSource::open(MODEL, options(true)).await.unwrap();
    source.read(0..1000).await.unwrap();
    drop(source);
    let kept = cache.list().await.unwrap()[0].clone();
    assert!(!kept.record.complete && kept.bytes > 1000, "{kept:?}");

    ranges();
    let source = UrlSource::open(MODEL, checked(digest())).await.unwrap();
    assert_eq!(whole(&source).await.unwrap(), MODEL_BYTES);
    assert_eq!(requests(), [format!("GET bytes={}-", kept.bytes)]);
    drop(source);

    trouble(OFFLINE);
    let source = UrlSource::open(MODEL, checked(digest())).await.unwrap();
    assert!(source.is_cached() && requests().is_empty(), "a checked model needs no word from the server");
}

#[wasm_bindgen_test]
async fn bytes_with_another_sha256_are_refused_and_not_kept() {
    let cache = fresh().await;
    let source = UrlSource::open(MODEL, checked([7; 32])).await.unwrap();
    let error = whole(&source).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::CorruptFile);
    assert!(error.to_string().contains("SHA-256"), "{error}");
    assert!(cache.list().await.unwrap().is_empty());
    assert_eq!(cache.usage().await.unwrap().bytes, 0);
}

#[wasm_bindgen_test]
async fn two_loads_of_one_address_at_once_both_bring_every_byte() {
    let cache = fresh().await;
    let first = UrlSource::open(MODEL, options(true)).await.unwrap();
    let second = UrlSource::open(MODEL, options(true)).await.unwrap();
    let (a, b) = futures_util::future::join(whole(&first), whole(&second)).await;
    assert_eq!(a.unwrap(), MODEL_BYTES);
    assert_eq!(b.unwrap(), MODEL_BYTES);
    let warnings = [first.warnings().await, second.warnings().await].concat();
    assert!(matches!(warnings.as_slice(), [one] if one.contains("another load")), "{warnings:?}");
    drop((first, second));
    let third = UrlSource::open(MODEL, options(true)).await.unwrap();
    assert!(third.is_cached());
    assert_eq!(whole(&third).await.unwrap(), MODEL_BYTES);
    assert_eq!(cache.list().await.unwrap().len(), 1);
}

#[wasm_bindgen_test]
async fn a_model_that_is_being_written_cannot_be_deleted_under_its_load() {
    let cache = fresh().await;
    let source = UrlSource::open(MODEL, options(true)).await.unwrap();
    source.read(0..1000).await.unwrap();
    let address = cache.list().await.unwrap()[0].record.address.clone();
    assert_eq!(cache.delete(&address).await.unwrap_err().code(), ErrorCode::Storage);
    assert_eq!(whole(&source).await.unwrap(), MODEL_BYTES);
}

#[wasm_bindgen_test]
async fn a_full_storage_does_not_stop_a_load() {
    let cache = fresh().await;
    js_sys::eval(
        "self.realWrite ??= FileSystemSyncAccessHandle.prototype.write;
         FileSystemSyncAccessHandle.prototype.write = function (bytes, options) {
             if ((options?.at ?? 0) > 100000) throw new DOMException('no room', 'QuotaExceededError');
             return self.realWrite.call(this, bytes, options);
         };",
    )
    .unwrap();
    let source = UrlSource::open(MODEL, options(true)).await.unwrap();
    let bytes = whole(&source).await;
    js_sys::eval("FileSystemSyncAccessHandle.prototype.write = self.realWrite").unwrap();
    assert_eq!(bytes.unwrap(), MODEL_BYTES);
    assert!(source.warnings().await.concat().contains("no more room"), "{:?}", source.warnings().await);
    assert!(cache.list().await.unwrap().is_empty());
}

#[wasm_bindgen_test]
async fn a_browser_without_storage_does_not_stop_a_load() {
    trouble("null");
    js_sys::eval("Object.defineProperty(navigator, 'storage', { value: undefined, configurable: true })").unwrap();
    let source = UrlSource::open(MODEL, options(true)).await.unwrap();
    let bytes = whole(&source).await;
    js_sys::eval("delete navigator.storage").unwrap();
    assert_eq!(bytes.unwrap(), MODEL_BYTES);
    assert!(source.warnings().await.concat().contains("keeps no files"), "{:?}", source.warnings().await);
}
