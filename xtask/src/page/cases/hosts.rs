//! Bundlers, policies, frames and other origins.

use std::fs;

use anyhow::{Context, Result};
use serde_json::json;

use super::super::{
    Test, Visit,
    bundlers::{App, Bundler, text_without_bundler, title_of},
    embedded::{in_frame, site_with},
    ensure_that, nothing,
    reader::write_some,
    script,
};

pub const TESTS: &[Test] = &[
    Test::new("the_application_is_built_by_every_bundler", bundlers)
        .with_case("07-bundlers")
        .expecting(&["favicon.ico"]),
    Test::new("openais_shape_is_served_over_plain_http", plain_http).with_case("12-plain-http"),
    Test::new("a_policy_that_keeps_the_worker_out_is_named", policy)
        .with_case("24-content-security-policy")
        .expecting(&["Content Security Policy", "Content-Security-Policy"]),
    Test::new("the_sandboxed_frame_writes", frame).with_case("25-sandboxed-frame").expecting(&["icon.svg"]),
];

fn bundlers(visit: &Visit) -> Result<()> {
    let expected = format!("OK {}", text_without_bundler(visit)?);
    for bundler in Bundler::ALL {
        let app = App::new(visit, &visit.root.join("../shared/cases/07-bundlers"))?;
        let title = title_of(visit, &bundler.build(&app)?)?;
        ensure_that!(title == expected, "{expected:?} is right: {title:?}");
    }
    Ok(())
}

fn plain_http(visit: &Visit) -> Result<()> {
    visit.session.goto(&format!("{}/fault/blank", visit.address.replace("127.0.0.1", "lan.test")))?;
    let said = visit.call(script!("hosts.js", plainHttp), nothing())?;
    ensure_that!(said["secure"] == false && said["randomUUID"] == "undefined", "the context is secure: {said}");
    let ids: Vec<&str> = said["ids"].as_array().into_iter().flatten().filter_map(|id| id.as_str()).collect();
    let unique: std::collections::HashSet<&str> =
        ids.iter().filter_map(|id| id.strip_prefix("chatcmpl-")).filter(|rest| !rest.is_empty()).collect();
    ensure_that!(unique.len() == 3, "{ids:?}");
    Ok(())
}

fn policy(visit: &Visit) -> Result<()> {
    let library = site_with(visit, &[("Access-Control-Allow-Origin", "*")])?;
    let l = library.address();
    let rest = format!("default-src 'self'; script-src 'self' {l} 'wasm-unsafe-eval'; connect-src {l}; img-src data:");
    for (workers, right) in [
        (format!("blob: {l}"), "OK"),
        (l.clone(), "blob:"),
        // Chromium asks for no leave for what a classic worker imports, where another browser does.
        ("blob:".into(), "OK"),
    ] {
        let server = site_with(visit, &[("Content-Security-Policy", &format!("{rest}; worker-src {workers}"))])?;
        visit.session.goto(&format!("{}/fault/blank", server.address()))?;
        let said = visit.call(script!("hosts.js", writes), json!(format!("{l}/vitrine.js")))?;
        let said = said.as_str().context("nothing was said")?;
        ensure_that!(said.contains(right), "worker-src {workers}: {said}");
    }
    Ok(())
}

fn frame(visit: &Visit) -> Result<()> {
    let server = site_with(visit, &[("Access-Control-Allow-Origin", "*")])?;
    let html = fs::read_to_string(visit.root.join("../shared/cases/25-sandboxed-frame/frame.html"))?;
    ensure_that!(html.contains(":PORT/"), "the frame names no port");
    let said = in_frame(visit, "srcdoc", &html.replace(":PORT/", &format!(":{}/", server.port)))?;
    ensure_that!(said.as_str().is_some_and(|said| said.starts_with("OK ")), "{said}");
    // A page of the site as the `src` of such a frame.
    visit.blank()?;
    visit.call(script!("hosts.js", sandbox), json!(format!("{}/", server.address())))?;
    visit.session.enter("iframe")?;
    visit.session.wait_for("document.body?.dataset.state === 'ready'", 60)?;
    write_some(visit.session, "Once")?;
    let origins = visit.session.run("return [self.origin, location.origin]", &[])?;
    ensure_that!(origins == json!(["null", server.address()]), "the frame has an origin: {origins}");
    Ok(())
}
