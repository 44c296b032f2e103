//! A static server on 127.0.0.1: right MIME types, byte ranges, no special headers, as any plain static host would do.
//! The tests add folders and routes that misbehave on purpose.

mod hub;
mod patched;

use std::{
    collections::BTreeSet,
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use anyhow::{Result, anyhow};
use tiny_http::{HTTPVersion, Header, Method, Request, Response, Server, StatusCode};

/// Requests served at one time.
const THREADS: usize = 16;

/// What to serve where.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    /// Address prefixes (ending in `/`) and the folders below them; the first that fits is taken.
    pub folders: Vec<(String, PathBuf)>,
    /// Whether `/fault/…` answers, see [`fault`].
    pub faults: bool,
    /// Names and values that go with every answer: a policy, the leave to be read from elsewhere.
    pub headers: Vec<(String, String)>,
}

/// A server that stops when it is dropped.
pub struct Running {
    server: Arc<Server>,
    pub port: u16,
}

impl Running {
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for _ in 0..THREADS {
            self.server.unblock();
        }
    }
}

/// Starts a server. Port 0 takes a free one.
pub fn start(routes: Routes, port: u16) -> Result<Running> {
    let server =
        Server::http(("127.0.0.1", port)).map_err(|error| anyhow!("could not listen on port {port}: {error}"))?;
    let port = server.server_addr().to_ip().map_or(port, |address| address.port());
    let server = Arc::new(server);
    let routes = Arc::new(routes);
    for _ in 0..THREADS {
        let (server, routes) = (server.clone(), routes.clone());
        thread::spawn(move || {
            while let Ok(request) = server.recv() {
                answer(request, &routes);
            }
        });
    }
    Ok(Running { server, port })
}

/// Serves a folder until the process is stopped. A busy port is answered with a free one.
pub fn serve_forever(folder: &Path, port: u16) -> Result<()> {
    let routes = Routes { folders: vec![("/".into(), folder.to_path_buf())], ..Routes::default() };
    let running = start(routes.clone(), port).or_else(|error| {
        eprintln!("{error:#}; taking a free port");
        start(routes, 0)
    })?;
    println!("Vitrine is at {}/ (stop with Ctrl-C)", running.address());
    loop {
        thread::park();
    }
}

/// Answers one request. A reader that has gone away is nobody's error.
fn answer(request: Request, routes: &Routes) {
    let path = percent_decode(request.url().split(['?', '#']).next().unwrap_or("/"));
    if let Some(name) = path.strip_prefix("/fault/").filter(|_| routes.faults) {
        let name = name.to_owned();
        fault(request, &name, routes);
        return;
    }
    if !matches!(request.method(), Method::Get | Method::Head) {
        drop(respond(request, routes, text(405, "only GET and HEAD are answered here")));
        return;
    }
    match locate(&path, routes).and_then(|file| File::open(&file).ok().map(|open| (open, file))) {
        Some((open, file)) => drop(send_file(request, routes, open, &file)),
        None => drop(respond(request, routes, text(404, "there is no such file"))),
    }
}

/// The file behind an address path; never one outside the served folders.
fn locate(path: &str, routes: &Routes) -> Option<PathBuf> {
    let (folder, rest) =
        routes.folders.iter().find_map(|(prefix, folder)| Some((folder, path.strip_prefix(prefix.as_str())?)))?;
    let relative = Path::new(rest);
    if relative.components().any(|part| !matches!(part, Component::Normal(_))) {
        return None;
    }
    let file = folder.join(relative);
    let file = if file.is_dir() { file.join("index.html") } else { file };
    file.is_file().then_some(file)
}

fn send_file(request: Request, routes: &Routes, open: File, file: &Path) -> std::io::Result<()> {
    send_file_tagged(request, routes, open, file, None)
}

fn send_file_tagged(
    request: Request,
    routes: &Routes,
    mut open: File,
    file: &Path,
    tag: Option<&str>,
) -> std::io::Result<()> {
    let length = open.metadata()?.len();
    let range = request.headers().iter().find(|header| header.field.equiv("Range")).map(|header| header.value.as_str());
    let mut headers =
        vec![header("Content-Type", mime(file)), header("Accept-Ranges", "bytes"), header("Cache-Control", "no-cache")];
    headers.extend(tag.map(|tag| header("ETag", tag)));
    let (status, first, count) = match range.map(|range| byte_range(range, length)) {
        None | Some(Range::Ignored) => (200, 0, length),
        Some(Range::Bytes { first, last }) => {
            headers.push(header("Content-Range", &format!("bytes {first}-{last}/{length}")));
            (206, first, last - first + 1)
        }
        Some(Range::Unsatisfiable) => {
            let response = text(416, "the range lies outside the file");
            return respond(
                request,
                routes,
                response.with_header(header("Content-Range", &format!("bytes */{length}"))),
            );
        }
    };
    open.seek(SeekFrom::Start(first))?;
    let body = open.take(count);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    respond(request, routes, Response::new(StatusCode(status), headers, body, Some(count), None))
}

/// Sends an answer in the way of HTTP/1.0, after which the browser closes the connection. The library queues a new connection
/// behind those that are open when two arrive at once; if these stayed open, that one would never be answered. A body whose
/// length is known comes with a `Content-Length`, and with it the browser has its progress bar.
fn respond<R: Read>(request: Request, routes: &Routes, mut response: Response<R>) -> std::io::Result<()> {
    for (name, value) in &routes.headers {
        response.add_header(header(name, value));
    }
    let asks_for_head = *request.method() == Method::Head;
    let headers = request.headers().to_vec();
    let mut writer = request.into_writer();
    response.raw_print(&mut writer, HTTPVersion(1, 0), &headers, asks_for_head, None)?;
    writer.flush()
}

/// What a `Range` header asks of a file of a certain length (RFC 9110, section 14).
#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// Both ends belong to it.
    Bytes {
        first: u64,
        last: u64,
    },
    Unsatisfiable,
    /// Another unit, several ranges, or no range at all: the whole file is the answer.
    Ignored,
}

fn byte_range(header: &str, length: u64) -> Range {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Range::Ignored;
    };
    let end = length.saturating_sub(1);
    let (first, last) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.min(end)),
        (Ok(first), Err(_)) if last.is_empty() => (first, end),
        (Err(_), Ok(0)) if first.is_empty() => return Range::Unsatisfiable,
        (Err(_), Ok(tail)) if first.is_empty() => (length.saturating_sub(tail), end),
        _ => return Range::Ignored,
    };
    if first < length { Range::Bytes { first, last } } else { Range::Unsatisfiable }
}

/// Files that were asked for once.
static STUMBLED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// `/fault/NAME/PATH`: the ways in which an address fails.
///
/// - `blank`: an empty page, to run scripts from
/// - `status/CODE`: an empty answer with that status
/// - `html`: a page with status 200 where a model was expected
/// - `stall/PATH`: the first half of the file, then silence
/// - `cut/PATH`: the connection ends after half of the bytes that were promised
/// - `slow/PATH`: the file in small pieces over some seconds
/// - `redirect/PATH`: 302 to the file itself
/// - `no-range/PATH`: the whole file whatever is asked
/// - `vague/PATH`: as `spa`, but nobody is told that what answers is a web page
/// - `stumble/NAME/PATH`: 503 the first time that a file called NAME is asked for, and then the file
/// - `lfs/NAME/PATH`: a pointer of Git LFS in the place of a file called NAME
/// - `busy/NAME/PATH`: 503 whenever a file called NAME is asked for
/// - `spa/PATH`: the file, or a page with status 200 where there is none, as servers of applications answer
/// - `head/CODE/PATH`, `head/hang/PATH`, `head/gzip/PATH`: the file, and to HEAD that status, silence, or a compressed answer
/// - `edited/PATH?then=OTHER`: one file, and another of another `ETag` for browsers with the cookie `edited`
/// - `hub/PATH`: a hub of models, see [`hub`]
/// - `patched/PATH?…`: the file with other bytes and a hole in it, see [`patched`]
/// - `strict/PATH`: the file under the strictest policy that lets a page compute, see [`STRICT`]
fn fault(request: Request, name: &str, routes: &Routes) {
    let (kind, rest) = name.split_once('/').unwrap_or((name, ""));
    let bytes = || locate(&format!("/{rest}"), routes).and_then(|file| std::fs::read(file).ok());
    let sent = match kind {
        "blank" => respond(
            request,
            routes,
            page("<!doctype html><html lang=\"en\"><link rel=\"icon\" href=\"data:,\"><title>Blank</title>"),
        ),
        "status" => {
            let code = rest.split('/').next().and_then(|code| code.parse::<u16>().ok()).unwrap_or(500);
            respond(request, routes, Response::empty(code).boxed())
        }
        "html" => respond(request, routes, page("<!doctype html><title>Sign in</title><p>Sign in to go on.")),
        "spa" => match open_file(rest, routes) {
            Some((open, file)) => send_file(request, routes, open, &file),
            None => respond(request, routes, page("<!doctype html><title>An application</title>")),
        },
        "vague" => match open_file(rest, routes) {
            Some((open, file)) => send_file(request, routes, open, &file),
            None => {
                let page = "<!doctype html><title>An application</title>".as_bytes().to_vec();
                let kind = header("Content-Type", "application/octet-stream");
                respond(request, routes, Response::from_data(page).with_header(kind).boxed())
            }
        },
        "stumble" | "busy" | "lfs" => {
            let (name, path) = rest.split_once('/').unwrap_or_default();
            let is_meant = path.rsplit('/').next() == Some(name);
            let is_first = || STUMBLED.lock().is_ok_and(|mut paths| paths.insert(path.to_owned()));
            match open_file(path, routes) {
                Some(_) if is_meant && (kind == "busy" || kind == "stumble" && is_first()) => {
                    respond(request, routes, Response::empty(503).boxed())
                }
                Some(_) if is_meant && kind == "lfs" => {
                    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n";
                    respond(request, routes, Response::from_string(pointer).boxed())
                }
                Some((open, file)) => send_file(request, routes, open, &file),
                None => respond(request, routes, text(404, "there is no such file")),
            }
        }
        "head" => send_but_for_head(request, rest, routes),
        "edited" => send_edited(request, rest, routes),
        "hub" => hub::answer(request, rest, routes),
        "patched" => patched::answer(request, rest, routes),
        "strict" => match locate(&format!("/{rest}"), routes).and_then(|file| Some((std::fs::read(&file).ok()?, file)))
        {
            Some((bytes, file)) => respond(
                request,
                routes,
                Response::from_data(bytes)
                    .with_header(header("Content-Type", mime(&file)))
                    .with_header(header("Content-Security-Policy", STRICT))
                    .boxed(),
            ),
            None => respond(request, routes, text(404, "there is no such file")),
        },
        "redirect" => {
            respond(request, routes, Response::empty(302).with_header(header("Location", &format!("/{rest}"))).boxed())
        }
        _ => match (kind, bytes()) {
            ("no-range", Some(bytes)) => respond(request, routes, Response::from_data(bytes).boxed()),
            ("slow", Some(bytes)) => {
                send_paced(request, routes, bytes, Pace { pause: Duration::from_millis(150), pieces: 40, until: 1.0 })
            }
            ("stall", Some(bytes)) => {
                send_paced(request, routes, bytes, Pace { pause: Duration::ZERO, pieces: 2, until: 0.5 })
            }
            ("cut", Some(bytes)) => {
                let half = bytes.len() / 2;
                let body = std::io::Cursor::new(bytes[..half].to_vec()).chain(Broken);
                let length = bytes.len();
                respond(request, routes, Response::new(StatusCode(200), Vec::new(), body, Some(length), None))
            }
            _ => respond(request, routes, text(404, "there is no such file")),
        },
    };
    drop(sent);
}

fn open_file(path: &str, routes: &Routes) -> Option<(File, PathBuf)> {
    let file = locate(&format!("/{path}"), routes)?;
    Some((File::open(&file).ok()?, file))
}

fn send_but_for_head(request: Request, rest: &str, routes: &Routes) -> std::io::Result<()> {
    let (way, path) = rest.split_once('/').unwrap_or((rest, ""));
    let Some((open, file)) = open_file(path, routes) else {
        return respond(request, routes, text(404, "there is no such file"));
    };
    match (request.method(), way) {
        (Method::Head, "hang") => {
            thread::sleep(Duration::from_secs(60));
            Ok(())
        }
        (Method::Head, "gzip") => {
            respond(request, routes, Response::empty(200).with_header(header("Content-Encoding", "gzip")).boxed())
        }
        (Method::Head, code) => respond(request, routes, text(code.parse().unwrap_or(405), "")),
        _ => send_file(request, routes, open, &file),
    }
}

/// One file, which another took the place of for those who say so by a cookie.
fn send_edited(request: Request, rest: &str, routes: &Routes) -> std::io::Result<()> {
    let then = request.url().split_once("?then=").map(|(_, other)| percent_decode(other));
    let edited = request.headers().iter().any(|h| h.field.equiv("Cookie") && h.value.as_str().contains("edited"));
    let path = then.filter(|_| edited).unwrap_or_else(|| rest.to_owned());
    match open_file(&path, routes) {
        Some((open, file)) => send_file_tagged(request, routes, open, &file, Some(&format!("\"{path}\""))),
        None => respond(request, routes, text(404, "there is no such file")),
    }
}

/// Own files alone: no inline styles or scripts, no `blob:` or `data:` pictures. Without `wasm-unsafe-eval` there is no engine.
const STRICT: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Ends a body before its time.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::ConnectionAborted.into())
    }
}

/// How a body dribbles.
struct Pace {
    pause: Duration,
    pieces: usize,
    /// The part of the body that comes at all; after it there is silence for a minute.
    until: f64,
}

struct Paced {
    bytes: Vec<u8>,
    at: usize,
    pace: Pace,
}

impl Read for Paced {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at >= (self.bytes.len() as f64 * self.pace.until) as usize && self.at < self.bytes.len() {
            thread::sleep(Duration::from_secs(60));
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        thread::sleep(self.pace.pause);
        let piece = (self.bytes.len() / self.pace.pieces).max(1).min(buffer.len()).min(self.bytes.len() - self.at);
        buffer[..piece].copy_from_slice(&self.bytes[self.at..self.at + piece]);
        self.at += piece;
        Ok(piece)
    }
}

fn send_paced(request: Request, routes: &Routes, bytes: Vec<u8>, pace: Pace) -> std::io::Result<()> {
    let length = bytes.len();
    let body = Paced { bytes, at: 0, pace };
    respond(request, routes, Response::new(StatusCode(200), Vec::new(), body, Some(length), None))
}

fn text(status: u16, sentence: &str) -> tiny_http::ResponseBox {
    Response::from_string(sentence).with_status_code(status).boxed()
}

fn page(html: &str) -> tiny_http::ResponseBox {
    text(200, html).with_header(header("Content-Type", "text/html; charset=utf-8"))
}

fn header(name: &str, value: &str) -> Header {
    // Names and values here are our own words and numbers, or a test's: all are visible ASCII.
    Header::from_bytes(name, value).unwrap_or_else(|()| unreachable!("{name}: {value} is no header"))
}

fn mime(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "webmanifest" => "application/json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" | "md" | "ts" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn percent_decode(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code =
            bytes.get(at + 1..at + 3).and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        match code.filter(|_| byte == b'%') {
            Some(code) => {
                decoded.push(code);
                at += 3;
            }
            None => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_the_file() {
        assert_eq!(byte_range("bytes=0-9", 5), Range::Bytes { first: 0, last: 4 });
        assert_eq!(byte_range("bytes=2-", 5), Range::Bytes { first: 2, last: 4 });
        assert_eq!(byte_range("bytes=-2", 5), Range::Bytes { first: 3, last: 4 });
        assert_eq!(byte_range("bytes=-9", 5), Range::Bytes { first: 0, last: 4 });
    }

    #[test]
    fn a_range_outside_the_file_cannot_be_satisfied() {
        assert_eq!(byte_range("bytes=5-", 5), Range::Unsatisfiable);
        assert_eq!(byte_range("bytes=0-0", 0), Range::Unsatisfiable);
        assert_eq!(byte_range("bytes=-0", 5), Range::Unsatisfiable);
    }

    #[test]
    fn what_is_no_single_byte_range_is_ignored() {
        for header in ["lines=1-2", "bytes=3-1", "bytes=", "bytes=a-b", "bytes=0-1,3-4"] {
            assert_eq!(byte_range(header, 5), Range::Ignored, "{header}");
        }
    }

    #[test]
    fn whoever_comes_at_once_is_answered_though_others_would_stay() {
        let folders = vec![("/".into(), PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src"))];
        let server = start(Routes { folders, ..Routes::default() }, 0).unwrap();
        let address = format!("{}/main.rs", server.address());
        // As a browser does, an agent keeps the connections that may be kept.
        let config = || ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(20))).build();
        let agents: Vec<ureq::Agent> = (0..30).map(|_| config().into()).collect();
        for agent in &agents {
            thread::scope(|scope| {
                for _ in 0..6 {
                    scope.spawn(|| {
                        let mut response = agent.get(&address).call().unwrap();
                        assert!(response.body_mut().read_to_string().unwrap().contains("fn main"));
                    });
                }
            });
        }
    }

    #[test]
    fn an_address_never_leads_out_of_the_served_folder() {
        let routes = Routes {
            folders: vec![("/".into(), PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src"))],
            ..Routes::default()
        };
        assert!(locate("/main.rs", &routes).is_some());
        for path in ["/../Cargo.toml", "/./../Cargo.toml", "//etc/passwd", "/build/../../Cargo.toml"] {
            assert_eq!(locate(path, &routes), None, "{path}");
        }
        assert_eq!(percent_decode("/%2e%2e/a%20b%"), "/../a b%");
    }
}
