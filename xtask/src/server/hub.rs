//! A hub of a few repositories, as `tests/fixtures/hub.json` lists them: its search, what it says of one of them, their files.
//!
//! A file is one of the fixtures, or says that it is larger than its fixture: then its first bytes alone are there, as many as it says. The search for `busy` is
//! refused for 55 seconds, that for `slow` takes half a minute.

use std::{collections::BTreeMap, fs, io, thread, time::Duration};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tiny_http::{Request, Response};

use super::{Range, Routes, byte_range, header, locate, open_file, percent_decode, respond, send_file, text};

#[derive(Deserialize)]
struct Repository {
    id: String,
    #[serde(default)]
    tags: Vec<String>,
    pipeline_tag: Option<String>,
    /// Whether it is in the search's index alone.
    #[serde(default)]
    gone: bool,
    #[serde(default)]
    gated: Value,
    files: BTreeMap<String, Listed>,
    /// What the hub says beside.
    #[serde(flatten)]
    about: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Listed {
    Fixture(String),
    Larger {
        of: String,
        size: u64,
        /// Of as many letters as `llama`, in whose place it stands.
        architecture: Option<String>,
        /// How many bytes are there, where not all of the fixture's.
        bytes: Option<usize>,
    },
}

impl Repository {
    fn said(&self, size: impl Fn(&Listed) -> Option<u64>) -> Value {
        let siblings = self.files.iter().map(|(name, file)| match size(file) {
            Some(size) => json!({ "rfilename": name, "size": size }),
            None => json!({ "rfilename": name }),
        });
        let mut said = self.about.clone();
        said.insert("id".into(), json!(self.id));
        said.insert("tags".into(), json!(self.tags));
        said.insert("gated".into(), json!(self.gated.as_str().map_or(json!(false), |how| json!(how))));
        said.insert("siblings".into(), siblings.collect());
        Value::Object(said)
    }
}

/// Answers what is asked of `path` below the hub's address.
pub(super) fn answer(request: Request, path: &str, routes: &Routes) -> io::Result<()> {
    let listing = locate("/fixtures/hub.json", routes).and_then(|file| fs::read(file).ok());
    let Some(repositories) = listing.and_then(|text| serde_json::from_slice::<Vec<Repository>>(&text).ok()) else {
        return respond(request, routes, text(500, "the hub has no listing"));
    };
    if path == "api/models" {
        return search(request, &repositories, routes);
    }
    let find = |id: &str| repositories.iter().find(|repository| repository.id == id && !repository.gone);
    if let Some(asked) = path.strip_prefix("api/models/") {
        let id = asked.split("/revision/").next().unwrap_or(asked);
        return match find(id) {
            Some(repository) => send_json(request, routes, &repository.said(|file| size_of(file, routes))),
            None => respond(request, routes, text(401, "Repository not found")),
        };
    }
    let parts = path.split_once("/resolve/main/").and_then(|(id, file)| Some((find(id)?, file)));
    match parts.and_then(|(repository, file)| Some((repository, repository.files.get(file)?))) {
        Some((repository, _)) if repository.gated.is_string() => {
            respond(request, routes, text(401, "gated").with_header(header("X-Error-Code", "GatedRepo")))
        }
        Some((_, file)) => send(request, file, routes),
        None => respond(request, routes, text(404, "Entry not found")),
    }
}

fn search(request: Request, repositories: &[Repository], routes: &Routes) -> io::Result<()> {
    let query = request.url().split_once('?').map_or("", |(_, query)| query).to_owned();
    let asked = |name: &str| {
        let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        value.map(|value| percent_decode(&value.replace('+', " ")))
    };
    let words = asked("search").unwrap_or_default().to_lowercase();
    match words.as_str() {
        "busy" => {
            return respond(request, routes, text(429, "Too many requests").with_header(header("Retry-After", "55")));
        }
        "slow" => thread::sleep(Duration::from_secs(30)),
        _ => {}
    }
    let fits = |repository: &&Repository| {
        words.split(' ').all(|word| repository.id.to_lowercase().contains(word))
            && asked("filter").is_none_or(|tag| repository.tags.contains(&tag))
            && asked("pipeline_tag").is_none_or(|tag| repository.pipeline_tag.as_ref() == Some(&tag))
    };
    let limit = asked("limit").and_then(|limit| limit.parse().ok()).unwrap_or(30);
    let found: Vec<_> = repositories.iter().filter(fits).take(limit).map(|each| each.said(|_| None)).collect();
    send_json(request, routes, &Value::Array(found))
}

fn send_json(request: Request, routes: &Routes, value: &Value) -> io::Result<()> {
    let answer = text(200, &value.to_string()).with_header(header("Content-Type", "application/json; charset=utf-8"));
    respond(request, routes, answer)
}

fn size_of(file: &Listed, routes: &Routes) -> Option<u64> {
    match file {
        Listed::Fixture(path) => Some(open_file(&format!("fixtures/{path}"), routes)?.0.metadata().ok()?.len()),
        Listed::Larger { size, .. } => Some(*size),
    }
}

fn send(request: Request, file: &Listed, routes: &Routes) -> io::Result<()> {
    let (of, size, architecture, there) = match file {
        Listed::Fixture(path) => {
            return match open_file(&format!("fixtures/{path}"), routes) {
                Some((open, file)) => send_file(request, routes, open, &file),
                None => respond(request, routes, text(500, "the fixture is not there")),
            };
        }
        Listed::Larger { of, size, architecture, bytes } => (of, *size, architecture, bytes),
    };
    let Some(mut bytes) = locate(&format!("/fixtures/{of}"), routes).and_then(|file| fs::read(file).ok()) else {
        return respond(request, routes, text(500, "the fixture is not there"));
    };
    if let Some(architecture) = architecture {
        let usual = b"llama";
        for at in 0..bytes.len() - usual.len() {
            if bytes[at..].starts_with(usual) && architecture.len() == usual.len() {
                bytes[at..at + usual.len()].copy_from_slice(architecture.as_bytes());
            }
        }
    }
    bytes.truncate(there.unwrap_or(bytes.len()));
    let range = request.headers().iter().find(|header| header.field.equiv("Range")).map(|header| header.value.as_str());
    match range.map(|range| byte_range(range, size)) {
        Some(Range::Bytes { first, last }) if (first as usize) < bytes.len() => {
            let part = bytes[first as usize..bytes.len().min(last as usize + 1)].to_vec();
            let shown = format!("bytes {first}-{}/{size}", first as usize + part.len() - 1);
            let answer = Response::from_data(part).with_status_code(206).with_header(header("Content-Range", &shown));
            respond(request, routes, answer.boxed())
        }
        _ => respond(request, routes, text(500, "of this file there are the first bytes alone")),
    }
}
