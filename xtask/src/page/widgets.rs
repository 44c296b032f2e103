//! The widgets in a page of prose: every way in which they come into it, move in it and leave it, what they say when something is wrong, and how
//! they look and are used in pages of others.

use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{Test, Visit, embedded::site_with, ensure_that, nothing, offline::Cable, script, strings};
use crate::{
    browser::Session,
    server::{self, Routes},
};

pub const TESTS: &[Test] = &[
    Test::new("a_widget_mounts_once_whichever_way_it_comes", ways),
    Test::new("a_widget_takes_over_what_stood_there_before_its_script", taken_over),
    Test::new("a_widget_that_is_moved_goes_on_as_if_nothing_were", moved),
    Test::new("a_widget_that_is_gone_holds_nothing_and_comes_back_with_its_words", gone),
    Test::new("a_widget_loads_another_model_once_and_keeps_typed_words_until_the_prompt_is_another", changed),
    Test::new("what_a_widget_cannot_show_is_said_for_a_reader", said).expecting(&["ERR_NAME_NOT_RESOLVED", "404"]),
    Test::new("a_widget_says_what_keeps_its_model_out_and_offers_no_other_try", kept_out).expecting(&[
        "CORS policy",
        "ERR_FAILED",
        "Content Security Policy",
        "Content-Security-Policy",
        "WebAssembly",
    ]),
    Test::new("a_widget_names_what_its_model_never_met", strange_words),
    Test::new("a_widget_says_which_attribute_makes_no_sense_and_names_a_strange_one_once", attributes),
    Test::new("a_widget_says_that_there_is_no_network_and_tries_again", without_network)
        .expecting(&["ERR_CONNECTION_REFUSED", "ERR_FAILED"]),
    Test::new("a_widget_says_that_there_is_no_webassembly", without_webassembly),
    Test::new("widgets_are_harmless_where_there_is_no_page", no_page),
    Test::new("a_widget_stands_in_the_light_of_its_page", light),
    Test::new("a_strict_policy_leaves_the_widgets_their_looks", policy),
    Test::new("the_widget_of_the_case_has_its_looks_under_its_policy", case)
        .with_case("24-content-security-policy")
        .expecting(&["favicon.ico"]),
    Test::new("in_a_widget_enter_begins_and_shift_enter_makes_a_line", keys),
    Test::new("a_seed_tells_the_same_story_in_a_widget", seed),
    Test::new("a_walking_widget_refuses_numbers_that_are_not_its_models", walks),
];

/// An empty document that counts, in a page of its own.
fn counting(visit: &Visit) -> Result<()> {
    visit.blank()?;
    visit.call(script!("widgets.js", startCounting), nothing()).map(drop)
}

fn ways(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    let ways = strings(&page.call(script!("widgets.js", ways), nothing())?);
    ensure_that!(ways.len() == 13, "the ways are {ways:?}");
    for way in ways {
        let expected = json!({ "loads": 1, "ready": 1, "held": 1, "buttons": 1, "words": "A fox", "display": "block", "watched": 0 });
        let seen = page.call(script!("widgets.js", comes), json!(way)).with_context(|| way.clone())?;
        ensure_that!(seen == expected, "{way}: {seen}");
    }
    // The parser itself, with the class known beforehand: it makes the element before its attributes' values and its words are there.
    let seen = page.call(script!("widgets.js", written), nothing())?;
    ensure_that!(seen == json!({ "loads": 2, "ready": [1, 1], "words": "A fox" }), "written by the parser: {seen}");
    Ok(())
}

fn taken_over(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    // Tall enough for all of them to be near.
    page.look_like(1280, 4000, false, false)?;
    let seen = page.call(script!("widgets.js", takenOver), nothing())?;
    let expected = json!({
        "loads": 6, "ready": [1, 1, 1, 1, 1, 1], "held": 6,
        "early": { "prompt": "An owl", "maxTokens": 7, "seed": 3, "temperature": 0, "words": "An owl" },
        "cloned": "prompt=An owl max-tokens=7 temperature=0 seed=3", "left": "prompt max-tokens", "standard": [0.8, "none"],
    });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn moved(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    let seen = page.call(script!("widgets.js", moved), nothing())?;
    let expected = json!({
        "steps": [true, true, true, true, true, true], "whole": true, "long": true, "words": "A fox sat by the sea", "framed": "block", "display": "block",
        "loads": 1, "ready": 1, "held": 1,
    });
    ensure_that!(seen == expected, "{seen}");
    let pictures = page.call(script!("widgets.js", movedPicture), nothing())?;
    let label = "The picture of 1.0, 0.0, -1.0, 0.0, 1.0, 0.0, -1.0, 0.0";
    ensure_that!(pictures == json!({ "same": true, "label": label, "ready": 1 }), "{pictures}");
    Ok(())
}

fn gone(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    let seen = page.call(script!("widgets.js", gone), nothing())?;
    let expected = json!({
        "whileLoading": [0, 0, ""], "whenReady": [0, 0, ""], "whileWriting": [0, 0, ""],
        "back": { "words": "A fox", "kept": true, "button": "Write", "held": 1, "loads": 4 },
        "whenFar": [4, 0, 0, ""], "alone": "bad-argument",
    });
    ensure_that!(seen == expected, "{seen}");
    // What a stream held goes with a second look.
    let mut kept = Value::Null;
    for _ in 0..10 {
        page.devtools("HeapProfiler.collectGarbage", json!({}))?;
        kept = page.call(script!("widgets.js", remembered), nothing())?;
        if kept == "" {
            return Ok(());
        }
    }
    bail!("still in memory: {kept}")
}

fn changed(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    let seen = page.call(script!("widgets.js", changed), nothing())?;
    let expected = json!({
        "untouched": ["typed", 1], "reloaded": ["typed", true, 2, 1, 0], "prompted": ["Far away", "", false, "Write", 2],
    });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn said(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    let cases = [
        (
            "<vitrine-text model='illustrator'>",
            "“Illustrator” is a model that paints pictures; here one is needed that writes.",
            "model=\"storyteller\"",
            true,
        ),
        (
            "<vitrine-image model='storyteller'>",
            "“Storyteller” is a model that writes; here one is needed that paints pictures.",
            "model=\"illustrator\"",
            true,
        ),
        (
            "<vitrine-latent model='storyteller'>",
            "“Storyteller” is a model that writes; here one is needed that makes pictures of a few numbers.",
            "model=\"faces-vae\"",
            true,
        ),
        // A file says itself what it is.
        (
            "<vitrine-text model='/models/faces-vae/faces-vae.safetensors'>",
            "is a model that makes pictures of a few numbers; here one is needed that writes.",
            "https://",
            true,
        ),
        (
            "<vitrine-text model='storyteler'>",
            "The model “storyteler” that this page asks for is not there.",
            "model=\"storyteller\"",
            true,
        ),
        (
            "<vitrine-text model='https://nowhere.invalid/a.gguf'>",
            "The model could not be fetched. Try again in a moment.",
            "nowhere.invalid",
            false,
        ),
        (
            "<vitrine-text model='/fault/status/404/a.gguf'>",
            "The model is not where this page looks for it.",
            "HTTP 404",
            true,
        ),
        ("<vitrine-text model='/fault/html/a.gguf'>", "a web page answers instead", "a.gguf", true),
    ];
    for (html, sentence, details, lasting) in cases {
        let seen = page.call(script!("widgets.js", said), json!(html))?;
        let text = |name: &str| seen[name].as_str().unwrap_or_default().to_owned();
        ensure_that!(text("said").contains(sentence) && text("details").contains(details), "{html} says {seen}");
        ensure_that!(seen["errors"] == json!([text("said")]) && seen["held"] == 0, "{html} does {seen}");
        ensure_that!(seen["told"] == json!([text("said"), text("details")]), "{html} throws {seen}");
        let ids = ["storyteller-q4_0", "smollm2"].iter().any(|id| text("said").contains(id));
        ensure_that!(seen["closed"] == true && !ids && !text("code").is_empty(), "{html} says {seen}");
        let button = if lasting {
            json!([page.run("return document.body.firstChild.constructor.verb", &[])?, true])
        } else {
            json!(["Try again", false])
        };
        ensure_that!(seen["button"] == button, "{html} offers {seen}");
    }
    let mended = page.call(script!("widgets.js", mendedName), nothing())?;
    ensure_that!(mended == json!(["", true, false]), "a name that was mended leaves {mended}");
    Ok(())
}

fn kept_out(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    let other = site_with(visit, &[])?;
    let theirs = format!("{}/models/storyteller/storyteller-q8_0.gguf", other.address());
    let rules = "The rules of this page (its Content-Security-Policy) do not let it compute a model.";
    for (policy, model, sentence, details) in [
        ("script-src 'self' 'wasm-unsafe-eval'; worker-src 'none'", "storyteller", rules, "worker-src"),
        ("script-src 'self'", "storyteller", rules, "'wasm-unsafe-eval'"),
        (
            "script-src 'self' 'wasm-unsafe-eval'",
            theirs.as_str(),
            "The model lies on a server that does not let this page read it.",
            "Access-Control-Allow-Origin",
        ),
    ] {
        let server = site_with(visit, &[("Content-Security-Policy", policy)])?;
        page.goto(&format!("{}/fault/blank", server.address()))?;
        let seen = page.call(script!("widgets.js", keptOut), json!(model))?;
        ensure_that!(seen[0] == sentence && seen[1] == true, "{policy}: {seen}");
        ensure_that!(seen[2].as_str().is_some_and(|told| told.contains(details)), "{policy}: {seen}");
    }
    Ok(())
}

fn strange_words(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    let seen = page.call(script!("widgets.js", strangeWords), nothing())?;
    ensure_that!(seen[0] == "It never met “telephone”.", "{seen}");
    ensure_that!(seen[1].as_str().is_some_and(|said| said.starts_with("This looks like German.")), "{seen}");
    ensure_that!(seen[3].as_str().is_some_and(|said| said.matches("“zeppelin”").count() == 1), "{seen}");
    ensure_that!(seen[2] == "" && seen[4] == "", "{seen}");
    Ok(())
}

fn attributes(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    let cases = [
        ("text", "temperature", "warm", "a number from 0 to 10"),
        ("text", "temperature", "0,8", "a number from 0 to 10"),
        ("text", "max-tokens", "80px", "a whole number from 1 to 1000000"),
        ("text", "max-tokens", "1.5", "a whole number from 1 to 1000000"),
        ("text", "seed", "-1", "a whole number from 0 to 4294967295"),
        ("text", "seed", "", "a whole number from 0 to 4294967295"),
        ("text", "device", "gpu", "\"auto\" or \"cpu\" or \"webgpu\""),
        ("text", "model", " ", "the name or the address of a model"),
        ("image", "steps", "0", "a whole number from 1 to 1000"),
        ("image", "guidance", "Infinity", "a number from 0 to 50"),
        ("latent", "up", "x", "a whole number from 0 to 65535"),
    ];
    for (widget, name, value, allowed) in cases {
        let seen = page.call(script!("widgets.js", attribute), json!([widget, name, value]))?;
        let sentence =
            format!("This part of the page is not set up right: {name} is “{value}”, but must be {allowed}.");
        ensure_that!(seen == json!([sentence, 1, 0]), "{widget} {name}={value:?} says {seen}");
    }
    let mended = page.call(script!("widgets.js", mendedAttribute), nothing())?;
    ensure_that!(mended == json!(["", true, true, true, 1]), "what is mended leaves {mended}");
    let warned = page.call(script!("widgets.js", strangeAttributes), nothing())?;
    let expected = json!([
        "<vitrine-text> has no attribute max_tokens. max-tokens is meant?",
        "<vitrine-text> has no attribute maxtokens. max-tokens is meant?",
        "<vitrine-text> has no attribute promt. prompt is meant?",
        "<vitrine-text> has no attribute steps. It has model, device, caption, theme, share, prompt, locked, linked-to, max-tokens, temperature, seed, pace.",
    ]);
    ensure_that!(warned == expected, "the console heard {warned}");
    Ok(())
}

fn without_network(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    let server = visit.address.strip_prefix("http://").context("another scheme")?.parse()?;
    let cable = Cable::lay(server)?;
    page.goto(&format!("{}/fault/blank", cable.address()))?;
    page.call(script!("widgets.js", startCounting), nothing())?;
    page.call(script!("widgets.js", define), nothing())?;
    cable.cut();
    let seen = page.call(script!("widgets.js", withoutNetwork), nothing())?;
    let expected = json!([
        "The model could not be fetched. Try again in a moment.",
        "Try again",
        false,
        "There is no network, and the model is not on this device yet. Try again when there is.",
        true,
    ]);
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn without_webassembly(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    let seen = page.call(script!("widgets.js", withoutWebAssembly), nothing())?;
    let sentence = "This browser has no WebAssembly, or it is switched off (in a lockdown mode, for instance). Switch it on, or open the page in another browser.";
    ensure_that!(seen == json!([sentence, "bad-argument"]), "{seen}");
    Ok(())
}

fn no_page(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.blank()?;
    let imported = page.call(script!("widgets.js", inAWorker), nothing())?;
    ensure_that!(imported == "TAGS Widget define", "a worker imports {imported}");
    counting(visit)?;
    let quiet = page.call(script!("widgets.js", imitated), nothing())?;
    ensure_that!(quiet == json!(["A fox", "", 0]), "without a window it says {quiet}");
    Ok(())
}

fn light(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    for dark in [false, true] {
        page.look_like(1280, 900, false, dark)?;
        let seen = page.call(script!("widgets.js", light), nothing())?;
        let system = if dark { "dark" } else { "light" };
        ensure_that!(seen == json!(["light", "light", "dark", system, "dark"]), "on a {system} system: {seen}");
    }
    Ok(())
}

/// What most strict pages allow that run WebAssembly at all.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'";

fn policy(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    let folders = vec![("/".into(), visit.site.to_path_buf())];
    let headers = vec![("Content-Security-Policy".into(), POLICY.into())];
    let server = server::start(Routes { folders, headers, ..Routes::default() }, 0)?;
    let mut looks = vec![];
    for address in [&visit.address, &server.address()] {
        page.look_like(1280, 2400, false, false)?;
        page.goto(&format!("{address}/widgets.html"))?;
        page.wait_for(
            "['first', 'second', 'third', 'fourth'].every((id) => document.getElementById(id).button?.disabled === false)",
            120,
        )?;
        looks.push(page.call(script!("widgets.js", looks), nothing())?);
    }
    ensure_that!(looks[0] == looks[1], "without a policy {}, with one {}", looks[0], looks[1]);
    ensure_that!(looks[0]["written"] == true && looks[0]["inline"] == 0, "{}", looks[0]);
    Ok(())
}

fn case(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    let folder = visit.root.join("../shared/cases/24-content-security-policy");
    let headers = fs::read_to_string(folder.join("headers.txt"))?;
    let headers = headers
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    let folders = vec![("/lib/".into(), visit.site.to_path_buf()), ("/".into(), folder.clone())];
    let server = server::start(Routes { folders, headers: headers.collect(), ..Routes::default() }, 0)?;
    page.goto(&format!("{}/page.html", server.address()))?;
    page.wait_for("document.querySelector('vitrine-text').button?.disabled === false", 120)?;
    let seen = page.call(script!("widgets.js", ofTheCase), nothing())?;
    let expected = json!({ "display": "block", "padding": "17.6px 21.12px", "words": "One day", "written": true });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn keys(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    page.call(script!("widgets.js", startTyping), nothing())?;
    // End, Shift+Enter, words; the backspaces show that the line is one character to go back over.
    page.press("\u{E010}")?;
    shift_enter(page)?;
    page.press("a\u{E003}")?;
    let lines = page.call(script!("widgets.js", typed), nothing())?;
    ensure_that!(lines[0] == "A fox\n", "after Shift+Enter it reads {lines}");
    page.press("sat")?;
    let begun = page.call(script!("widgets.js", typed), nothing())?;
    ensure_that!(begun == json!(["A fox\nsat", false, 0]), "{begun}");
    page.press("\u{E007}")?;
    page.call(script!("widgets.js", writes), nothing())?;
    // Enter while it writes begins nothing else; Escape stops, and the focus stays.
    page.press("\u{E007}")?;
    page.press("\u{E00C}")?;
    let stopped = page.call(script!("widgets.js", stopped), nothing())?;
    ensure_that!(stopped == json!([1, true, "A fox\nsat", true, "own"]), "{stopped}");
    let pressed = page.call(script!("widgets.js", pressed), nothing())?;
    ensure_that!(pressed == json!(["Stop", true, "Write", true]), "{pressed}");
    page.press("\u{E007}")?;
    let painted = page.call(script!("widgets.js", painted), nothing())?;
    ensure_that!(painted == json!(["a fox", 64, false, "own"]), "{painted}");
    Ok(())
}

fn shift_enter(page: &Session) -> Result<()> {
    for (kind, key, text) in [("keyDown", "Enter", "\r"), ("keyUp", "Enter", "")] {
        let stroke = json!({ "type": kind, "key": key, "code": "Enter", "windowsVirtualKeyCode": 13, "modifiers": 8, "text": text });
        page.devtools("Input.dispatchKeyEvent", stroke)?;
    }
    Ok(())
}

fn seed(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    let seen = page.call(script!("widgets.js", seed), nothing())?;
    ensure_that!(seen == json!({ "same": true, "other": true, "fresh": true, "long": true }), "{seen}");
    Ok(())
}

fn walks(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    let seen = page.call(script!("widgets.js", walks), nothing())?;
    let expected = json!({
        "refused": "This part of the page is not set up right: across is “8”, but this model's numbers are 0 to 7.", "held": 0,
        "wrong": "A picture of this model is made of 8 numbers, not of 2.", "strange": "bad-argument",
        "latent": [1, 1, 1, 1, 1, 1, 1, 1], "sides": [64, 64], "loads": 2,
    });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}
