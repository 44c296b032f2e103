//! Vitrine where others put it: in frames without an origin, on pages of another origin, under a Content-Security-Policy, over plain http. Beside the
//! site's own server stands another, which is another origin to a browser.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    Test, Visit, axe, bundlers::text_without_bundler, chat, ensure_that, nothing, open_page, painter, reader, script,
};
use crate::server::{self, Routes, Running};

pub const TESTS: &[Test] = &[
    Test::new("a_frame_without_an_origin_writes_and_keeps_nothing", |visit| sandboxed(visit, "srcdoc")),
    Test::new("a_page_in_a_frame_without_an_origin_writes_and_keeps_nothing", |visit| sandboxed(visit, "src")),
    // Its icon is a drawing, which Chromium keeps from a page without an origin.
    Test::new("all_pages_work_without_an_origin", pages_without_origin).expecting(&["icon.svg"]),
    Test::new("a_page_of_another_origin_writes_and_keeps_its_model", other_origin),
    Test::new("what_another_origin_keeps_to_itself_is_named", closed_origin)
        .expecting(&["has been blocked by CORS policy", "net::ERR_FAILED"]),
    Test::new("what_a_policy_forbids_is_named_with_what_to_allow", policies).expecting(&[
        "Content Security Policy",
        "Content-Security-Policy",
        "WebAssembly",
    ]),
    Test::new("a_policy_that_allows_what_it_must_is_enough", enough_allowed),
    Test::new("a_page_that_wants_trusted_types_is_told_that_it_starts_no_worker", trusted_types)
        .expecting(&["TrustedScriptURL"]),
    Test::new("a_page_isolated_from_other_origins_writes", isolated),
    Test::new("all_pages_work_over_plain_http", pages_over_plain_http),
    Test::new("another_script_than_the_worker_is_named", other_worker).expecting(&["ERR_UNSAFE_PORT"]),
    Test::new("a_page_whose_scripts_do_not_come_says_so_and_others_do_not", scriptless).expecting(&[
        "404",
        "CORS policy",
        "ERR_FAILED",
        "MIME type",
        "Unsafe attempt to load URL file:",
    ]),
    Test::new("a_worker_that_is_not_there_is_named", absent_worker).expecting(&["404", "Strict MIME type"]),
];

/// A server of the site that adds headers to every answer.
pub fn site_with(visit: &Visit, headers: &[(&str, &str)]) -> Result<Running> {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    // `/fault/blank` is an empty page with those headers.
    server::start(Routes { folders: vec![("/".into(), visit.site.to_path_buf())], faults: true, headers }, 0)
}

const FOR_ALL: (&str, &str) = ("Access-Control-Allow-Origin", "*");

/// What the page that is open says when it tries to write with the `vitrine.js` of `origin` and these options: the text, or code and message.
fn tried(visit: &Visit, origin: &str, options: Value) -> Result<Value> {
    visit.call(script!("embedded.js", tries), json!({ "origin": origin, "options": options }))
}

fn sandboxed(visit: &Visit, attribute: &str) -> Result<()> {
    let text = text_without_bundler(visit)?;
    let other = site_with(visit, &[FOR_ALL])?;
    let telling = script!("embedded.js", tellsItsPage).call(&json!({ "origin": other.address(), "options": {} }));
    let html = format!("<!doctype html><script type=\"module\">{telling}</script>");
    // The document of a `src` comes from a server, as a page of the site would.
    let folder = visit.scratch()?;
    std::fs::write(folder.join("index.html"), &html)?;
    let server = server::start(Routes { folders: vec![("/".into(), folder)], ..Routes::default() }, 0)?;
    let value = if attribute == "src" { format!("{}/", server.address()) } else { html };
    let said = in_frame(visit, attribute, &value)?;
    ensure_that!(said["origin"] == "null" && said["text"] == text.as_str(), "{text:?} is right: {said}");
    ensure_that!(said["from"] == json!(["network"]) && said["kept"] == "storage", "something was kept: {said}");
    Ok(())
}

/// What the document of a sandboxed frame says to its page.
pub fn in_frame(visit: &Visit, attribute: &str, value: &str) -> Result<Value> {
    visit.blank()?;
    visit.call(script!("embedded.js", inFrame), json!({ "attribute": attribute, "value": value }))
}

/// The sandbox of a header is that of a frame, for a whole page.
fn pages_without_origin(visit: &Visit) -> Result<()> {
    let server = site_with(visit, &[FOR_ALL, ("Content-Security-Policy", "sandbox allow-scripts allow-downloads")])?;
    all_pages(visit, &server.address())?;
    let origin = visit.session.run("return self.origin", &[])?;
    ensure_that!(origin == "null", "the origin is {origin}");
    Ok(())
}

/// Each page does what it is for.
fn all_pages(visit: &Visit, address: &str) -> Result<()> {
    let page = &visit.session;
    open_page(page, &format!("{address}/"))?;
    reader::write_some(page, "Once")?;
    open_page(page, &format!("{address}/chat.html"))?;
    chat::answered(visit)?;
    open_page(page, &format!("{address}/paint.html"))?;
    let picture = painter::paint(page, "a fox in the snow", "3")?;
    ensure_that!(picture.len() > 1000, "there is no picture");
    open_page(page, &format!("{address}/walk.html"))?;
    page.wait_for("document.querySelector('#plane').dataset.tiles === '81'", 120)?;
    page.goto(&format!("{address}/widgets.html"))?;
    page.wait_for("document.querySelector('vitrine-text').shadowRoot?.querySelector('button:enabled')", 60)
}

fn other_origin(visit: &Visit) -> Result<()> {
    let text = text_without_bundler(visit)?;
    let other = site_with(visit, &[FOR_ALL])?;
    let said = tried(visit, &other.address(), json!({}))?;
    ensure_that!(said["text"] == text.as_str(), "{text:?} is right: {said}");
    // Beside what the comparison kept.
    ensure_that!(said["from"] == json!(["network", "cache"]) && said["kept"] == 2, "nothing was kept: {said}");
    // A worker of another origin for the `vitrine.js` of this one, and the rest of that copy with it.
    let said = tried(visit, "", json!({ "worker": format!("{}/worker.js", other.address()) }))?;
    ensure_that!(said["text"] == text.as_str(), "{text:?} is right: {said}");
    Ok(())
}

fn closed_origin(visit: &Visit) -> Result<()> {
    let other = site_with(visit, &[])?;
    let theirs = other.address();
    visit.blank()?;
    for (option, address, named) in [
        ("worker", format!("{theirs}/worker.js"), "/worker.js"),
        ("wasm", format!("{theirs}/pkg/vitrine_bg.wasm"), "/pkg/vitrine_bg.wasm"),
        ("catalog", format!("{theirs}/models/catalog.json"), "/models/catalog.json"),
        (
            "catalog",
            listing(&format!("{theirs}/models/storyteller/storyteller-q8_0.gguf")),
            "/models/storyteller/storyteller-q8_0.gguf",
        ),
    ] {
        let said = tried(visit, "", json!({ option: address }))?;
        let message = said["message"].as_str().with_context(|| format!("{option} {address}: {said}"))?;
        ensure_that!(
            said["code"] == "network" && message.contains(&format!("{theirs}{named}")),
            "{option} {address}: {said}"
        );
        let named =
            format!("keeps it from pages of {}: it must answer with Access-Control-Allow-Origin", visit.address);
        ensure_that!(message.contains(&named), "{option} {address}: {said}");
    }
    Ok(())
}

/// A catalogue of one storyteller, as an address.
fn listing(file: &str) -> String {
    let model = json!({ "models": [{ "id": "storyteller", "kind": "text", "name": "Storyteller", "file": file }] });
    format!("data:application/json,{}", model.to_string().replace('"', "%22"))
}

/// A page under a policy that tries `vitrine.js` of `theirs`, or its own.
fn under_policy(visit: &Visit, policy: &str, theirs: Option<&str>) -> Result<Value> {
    let server = site_with(visit, &[("Content-Security-Policy", policy)])?;
    visit.session.goto(&format!("{}/fault/blank", server.address()))?;
    tried(visit, theirs.unwrap_or_default(), json!({}))
}

fn policies(visit: &Visit) -> Result<()> {
    let other = site_with(visit, &[FOR_ALL])?;
    let l = other.address();
    for (policy, theirs, allow) in [
        // Of its own origin.
        ("script-src 'self' 'wasm-unsafe-eval'; worker-src 'none'".into(), None, "'self' in worker-src".into()),
        ("script-src 'self' 'wasm-unsafe-eval'; connect-src 'none'".into(), None, "'self' in connect-src".into()),
        ("script-src 'self'".into(), None, "'wasm-unsafe-eval' in script-src".into()),
        // Of another.
        (
            format!("script-src 'self' {l} 'wasm-unsafe-eval'; connect-src {l}; worker-src {l}"),
            Some(l.as_str()),
            format!("blob: and {l} in worker-src"),
        ),
        (
            format!("script-src 'self' {l} 'wasm-unsafe-eval'; worker-src blob: {l}; connect-src 'self'"),
            Some(&l),
            format!("{l} in connect-src"),
        ),
    ] {
        let said = under_policy(visit, &policy, theirs)?;
        let message = said["message"].as_str().with_context(|| format!("{policy}: {said}"))?;
        let named = format!("The Content-Security-Policy of this page forbids it: allow {allow}.");
        ensure_that!(said["code"] == "network" && message.contains(&named), "{policy}: {said}");
    }
    Ok(())
}

fn enough_allowed(visit: &Visit) -> Result<()> {
    let other = site_with(visit, &[FOR_ALL])?;
    let l = other.address();
    for (policy, theirs) in [
        ("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; worker-src 'self'; img-src data:".into(), None),
        (
            format!("default-src 'none'; script-src {l} 'wasm-unsafe-eval'; connect-src {l}; worker-src blob: {l}; img-src data:"),
            Some(l.as_str()),
        ),
    ] {
        let said = under_policy(visit, &policy, theirs)?;
        ensure_that!(said["text"].is_string(), "{policy}: {said}");
    }
    Ok(())
}

fn trusted_types(visit: &Visit) -> Result<()> {
    let said = under_policy(visit, "require-trusted-types-for 'script'", None)?;
    let message = said["message"].as_str().with_context(|| said.to_string())?;
    ensure_that!(said["code"] == "network" && message.contains("This page may start no worker"), "{said}");
    Ok(())
}

fn isolated(visit: &Visit) -> Result<()> {
    let alone = [("Cross-Origin-Embedder-Policy", "require-corp"), ("Cross-Origin-Opener-Policy", "same-origin")];
    let server = site_with(visit, &alone)?;
    let other = site_with(visit, &[FOR_ALL])?;
    visit.session.goto(&format!("{}/fault/blank", server.address()))?;
    for origin in [String::new(), other.address()] {
        let said = tried(visit, &origin, json!({}))?;
        ensure_that!(said["text"].is_string(), "{origin:?}: {said}");
    }
    ensure_that!(visit.session.run("return crossOriginIsolated", &[])? == true, "the page is not isolated");
    Ok(())
}

fn pages_over_plain_http(visit: &Visit) -> Result<()> {
    let address = visit.address.replace("127.0.0.1", "lan.test");
    all_pages(visit, &address)?;
    ensure_that!(visit.session.run("return isSecureContext", &[])? == false, "the context is secure");
    let said = tried(visit, "", json!({}))?;
    ensure_that!(said["text"].is_string() && said["kept"] == "storage", "{said}");
    Ok(())
}

fn other_worker(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let said = tried(visit, "", json!({ "worker": "/vitrine.js" }))?;
    let message = said["message"].as_str().with_context(|| said.to_string())?;
    ensure_that!(
        said["code"] == "bad-argument" && message.contains("/vitrine.js, and what lies there is another"),
        "{said}"
    );
    let greets = visit
        .call(script!("embedded.js", greets), json!(["/worker.js", "/vitrine.js", "http://127.0.0.1:1/worker.js"]))?;
    ensure_that!(greets == json!([true, false, true]), "{greets}");
    Ok(())
}

const PAGES: [&str; 6] = ["index.html", "chat.html", "paint.html", "walk.html", "widgets.html", "embed.html"];

const STYLES: [&str; 8] =
    ["style.css", "models.css", "story.css", "chat.css", "messages.css", "paint.css", "walk.css", "embed.css"];

fn scriptless(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    let seen = || page.call(script!("embedded.js", isUnstarted), nothing());
    let folder = visit.scratch()?;
    for name in PAGES.into_iter().chain(STYLES.into_iter().chain(["icon.svg", "site.webmanifest"])) {
        std::fs::copy(visit.site.join(name), folder.join(name))?;
    }
    let server = server::start(Routes { folders: vec![("/".into(), folder)], ..Routes::default() }, 0)?;
    let disk = format!("file://{}", visit.site.canonicalize()?.display());
    for name in PAGES {
        for site in [&disk, &server.address()] {
            page.goto(&format!("{site}/{name}"))?;
            ensure_that!(seen()? == false, "{site}/{name} says at once that it does not start");
            page.call(script!("embedded.js", finishAnimations), nothing())?;
            ensure_that!(seen()? == true, "{site}/{name} does not say that it does not start");
            let without = page.run("return document.querySelector('noscript').textContent", &[])?;
            ensure_that!(without.to_string().contains("JavaScript"), "{name} without scripts says {without}");
        }
        axe::faultless(page).with_context(|| name.to_owned())?;
        page.goto(&format!("{}/{name}", visit.address))?;
        page.wait_for("!document.querySelector('.unstarted')?.checkVisibility()", 10)?;
    }
    Ok(())
}

fn absent_worker(visit: &Visit) -> Result<()> {
    visit.blank()?;
    for (worker, named) in [
        ("/fault/status/404/worker.js", "It answers 404."),
        ("/fault/html/worker.js", "A web page answers in its place."),
    ] {
        let said = tried(visit, "", json!({ "worker": worker }))?;
        let message = said["message"].as_str().with_context(|| said.to_string())?;
        ensure_that!(said["code"] == "network" && message.contains(named) && message.contains(worker), "{said}");
    }
    Ok(())
}
