//! The widgets in a page of prose: every way in which they come into it, move in it and leave it, what they say when something is wrong, and how
//! they look and are used in pages of others.

use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{Test, Visit, embedded::site_with, ensure_that, offline::Cable};
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

/// Counts what widgets do: loads and `ready` of each, the models that the worker holds for them, the observers that watch.
const COUNT: &str = r"
    const [loaded, unloaded] = [new Set(), new Set()];
    const count = window.count = { loads: 0, get held() { return loaded.difference(unloaded); }, ready: new Map(), errors: [], watched: new Set() };
    const [heard, asked] = [new WeakSet(), new Set()];
    const { postMessage } = Worker.prototype;
    Worker.prototype.postMessage = function (message, ...rest) {
        if (!heard.has(this)) {
            heard.add(this);
            this.addEventListener('message', ({ data }) => { if ('value' in data && asked.delete(data.id)) loaded.add(data.value.model); });
        }
        if (message.op === 'load') { count.loads += 1; asked.add(message.id); }
        if (message.op === 'unload') unloaded.add(message.args.model);
        return postMessage.call(this, message, ...rest);
    };
    const { dispatchEvent } = EventTarget.prototype;
    EventTarget.prototype.dispatchEvent = function (event) {
        if (event.type === 'ready') count.ready.set(this, (count.ready.get(this) ?? 0) + 1);
        if (event.type === 'error') count.errors.push(event.message);
        return dispatchEvent.call(this, event);
    };
    const { observe, disconnect } = IntersectionObserver.prototype;
    IntersectionObserver.prototype.observe = function (target) { count.watched.add(this); return observe.call(this, target); };
    IntersectionObserver.prototype.disconnect = function () { count.watched.delete(this); return disconnect.call(this); };
    window.pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    window.until = async (what, of = () => '') => { for (let i = 0; i < 1200; i++) { if (what()) return; await pause(50); } throw new Error(`never so: ${what} ${of()}`); };
    window.part = (widget, name) => widget.shadowRoot.querySelector(`.${name}`);
    window.isReady = (widget) => count.ready.get(widget) > 0;
";

/// Runs an `async` body in the page, with what [`COUNT`] brings.
fn body(page: &Session, body: &str) -> Result<Value> {
    page.run_async(body, &[])
}

/// An empty document that counts, in a page of its own.
fn counting(visit: &Visit) -> Result<()> {
    visit.blank()?;
    visit.session.run(COUNT, &[])?;
    Ok(())
}

/// Ways for one widget to come into the page once its class is there; each gives the element.
const WAYS: [(&str, &str); 13] = [
    (
        "innerHTML, prompt first",
        "document.body.innerHTML = '<vitrine-text prompt=\"A fox\" model=\"storyteller\"></vitrine-text>'; return document.body.firstChild;",
    ),
    (
        "innerHTML, model first",
        "document.body.innerHTML = '<vitrine-text model=\"storyteller\" prompt=\"A fox\"></vitrine-text>'; return document.body.firstChild;",
    ),
    (
        "innerHTML, one attribute alone",
        "document.body.innerHTML = '<vitrine-text prompt=\"A fox\"></vitrine-text>'; return document.body.firstChild;",
    ),
    (
        "innerHTML, words between the tags",
        "document.body.innerHTML = '<vitrine-text>A fox</vitrine-text>'; return document.body.firstChild;",
    ),
    (
        "createElement, attributes, append",
        "const made = document.createElement('vitrine-text'); made.setAttribute('prompt', 'A fox'); made.setAttribute('model', 'storyteller'); document.body.append(made); return made;",
    ),
    (
        "createElement, append, attributes",
        "const made = document.createElement('vitrine-text'); document.body.append(made); made.setAttribute('model', 'storyteller'); made.setAttribute('prompt', 'A fox'); return made;",
    ),
    (
        "a constructor and properties",
        "const made = new (customElements.get('vitrine-text'))(); made.prompt = 'A fox'; made.model = 'storyteller'; document.body.append(made); return made;",
    ),
    (
        "cloneNode",
        "const first = document.createElement('vitrine-text'); first.setAttribute('model', 'storyteller'); first.setAttribute('prompt', 'A fox'); const made = first.cloneNode(true); document.body.append(made); return made;",
    ),
    (
        "a template",
        "const template = document.createElement('template'); template.innerHTML = '<p><vitrine-text prompt=\"A fox\" model=\"storyteller\"></vitrine-text></p>'; document.body.append(template.content.cloneNode(true)); return document.querySelector('p > *');",
    ),
    (
        "importNode",
        "const other = new DOMParser().parseFromString('<vitrine-text model=\"storyteller\" prompt=\"A fox\"></vitrine-text>', 'text/html'); const made = document.importNode(other.body.firstChild, true); document.body.append(made); return made;",
    ),
    (
        "adoptNode",
        "const other = new DOMParser().parseFromString('<vitrine-text prompt=\"A fox\" model=\"storyteller\"></vitrine-text>', 'text/html'); const made = document.adoptNode(other.body.firstChild); document.body.append(made); return made;",
    ),
    (
        "another shadow root",
        "const host = document.createElement('div'); host.attachShadow({ mode: 'open' }).innerHTML = '<vitrine-text prompt=\"A fox\" model=\"storyteller\"></vitrine-text>'; document.body.append(host); return host.shadowRoot.firstChild;",
    ),
    (
        "the document of a frame",
        "const frame = document.createElement('iframe'); document.body.append(frame); const made = document.createElement('vitrine-text'); made.setAttribute('prompt', 'A fox'); frame.contentDocument.body.append(made); return made;",
    ),
];

fn ways(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    body(page, "await import('/widgets.js');")?;
    for (way, make) in WAYS {
        let seen = page.run_async(
            "const made = await new Function(args[0])(); const before = count.loads;
             await until(() => isReady(made), () => part(made, 'said').textContent);
             await pause(20);
             const style = made.ownerDocument.defaultView.getComputedStyle(made);
             const seen = { loads: count.loads - before, ready: count.ready.get(made), held: count.held.size, buttons: made.shadowRoot.querySelectorAll('button').length,
                 words: part(made, 'own').textContent, display: style.display };
             const root = made.getRootNode(); made.remove(); if (root instanceof ShadowRoot) root.host.remove(); document.body.replaceChildren();
             await until(() => count.held.size === 0);
             return { ...seen, watched: count.watched.size };",
            &[json!(make)],
        );
        let expected = json!({ "loads": 1, "ready": 1, "held": 1, "buttons": 1, "words": "A fox", "display": "block", "watched": 0 });
        let seen = seen.context(way)?;
        ensure_that!(seen == expected, "{way}: {seen}");
    }
    // The parser itself, with the class known beforehand: it makes the element before its attributes' values and its words are there.
    let seen = body(
        page,
        "const before = count.loads; document.open(); document.write('<!doctype html><title>Written</title><vitrine-latent up=5 across=0 model=faces-vae></vitrine-latent><vitrine-text>A ');
         await pause(50); document.write('fox</vitrine-text>'); document.close();
         const all = [...document.body.children]; await until(() => all.length === 2 && all.every(isReady));
         return { loads: count.loads - before, ready: all.map((each) => count.ready.get(each)), words: all[1].words };",
    )?;
    ensure_that!(seen == json!({ "loads": 2, "ready": [1, 1], "words": "A fox" }), "written by the parser: {seen}");
    Ok(())
}

fn taken_over(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    // Tall enough for all of them to be near.
    page.look_like(1280, 4000, false, false)?;
    let seen = body(
        page,
        "document.body.innerHTML = '<vitrine-text prompt=\"A fox\" model=\"storyteller\"></vitrine-text><vitrine-text model=\"storyteller\" prompt=\"A fox\"></vitrine-text><vitrine-text></vitrine-text><vitrine-latent up=\"5\"></vitrine-latent><vitrine-image steps=\"3\" prompt=\"a fox\"></vitrine-image>';
         const early = document.createElement('vitrine-text'); Object.assign(early, { prompt: 'An owl', maxTokens: 7, seed: 3, temperature: 0 }); document.body.append(early);
         await import('/widgets.js');
         const all = [...document.body.children];
         await until(() => all.every(isReady));
         const { prompt, maxTokens, seed, temperature, words } = early;
         const again = early.cloneNode(); early.temperature = null; early.seed = undefined;
         const seen = { loads: count.loads, ready: all.map((each) => count.ready.get(each)), held: count.held.size, early: { prompt, maxTokens, seed, temperature, words },
             cloned: [...again.attributes].map(({ name, value }) => `${name}=${value}`).join(' '), left: early.getAttributeNames().join(' '), standard: [early.temperature, early.seed ?? 'none'] };
         document.body.replaceChildren(); await until(() => count.held.size === 0);
         return seen;",
    )?;
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
    let seen = body(
        page,
        "await import('/widgets.js');
         document.body.innerHTML = '<div id=there><i></i></div><iframe></iframe><vitrine-text prompt=\"Once\" max-tokens=\"400\" seed=\"5\"></vitrine-text>';
         const [there, frame, widget] = document.body.children; const stories = [];
         await until(() => isReady(widget));
         part(widget, 'own').textContent = 'A fox sat by the sea';
         widget.addEventListener('done', ({ detail }) => stories.push(detail));
         const written = widget.write();
         const grown = async () => { const { length } = widget.text; await until(() => widget.text.length > length || !widget.isWorking); return widget.isWorking; };
         const steps = [];
         steps.push(await grown()); there.append(widget);
         steps.push(await grown()); there.insertBefore(widget, there.firstChild);
         steps.push(await grown()); document.body.moveBefore(widget, there);
         steps.push(await grown()); widget.remove(); await Promise.resolve(); document.body.append(widget);
         steps.push(await grown()); frame.contentDocument.body.append(widget); const framed = frame.contentWindow.getComputedStyle(widget).display;
         steps.push(await grown()); document.body.append(widget);
         const text = await written;
         const whole = widget.text === text && stories.length === 1 && stories[0].text === text && !stories[0].stopped;
         return { steps, whole, long: text.length > 100, words: widget.words, framed, display: getComputedStyle(widget).display, loads: count.loads, ready: count.ready.get(widget), held: count.held.size };",
    )?;
    let expected = json!({
        "steps": [true, true, true, true, true, true], "whole": true, "long": true, "words": "A fox sat by the sea", "framed": "block", "display": "block",
        "loads": 1, "ready": 1, "held": 1,
    });
    ensure_that!(seen == expected, "{seen}");
    let pictures = body(
        page,
        "document.body.innerHTML = '<div></div><vitrine-latent></vitrine-latent>'; const [there, widget] = document.body.children;
         await until(() => widget.picture); await widget.show([1, 0, -1, 0, 1, 0, -1, 0]);
         const drawn = () => part(widget, 'picture').getContext('2d').getImageData(0, 0, 64, 64).data.join();
         const before = drawn(); there.append(widget); await pause(100);
         return { same: drawn() === before, label: part(widget, 'picture').getAttribute('aria-label'), ready: count.ready.get(widget) };",
    )?;
    let label = "The picture of 1.0, 0.0, -1.0, 0.0, 1.0, 0.0, -1.0, 0.0";
    ensure_that!(pictures == json!({ "same": true, "label": label, "ready": 1 }), "{pictures}");
    Ok(())
}

fn gone(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    let seen = body(
        page,
        "await import('/widgets.js');
         const make = () => { document.body.innerHTML = '<vitrine-text prompt=\"Once\" max-tokens=\"400\"></vitrine-text>'; return document.body.firstChild; };
         const away = async (widget) => { widget.remove(); await until(() => count.held.size === 0); await pause(300); return [count.held.size, count.watched.size, part(widget, 'said').textContent]; };
         const loading = make(); await until(() => count.loads === 1); const whileLoading = await away(loading);
         const ready = make(); await until(() => isReady(ready)); const whenReady = await away(ready);
         const writing = make(); await until(() => isReady(writing)); part(writing, 'own').textContent = 'A fox'; const written = writing.write(); await until(() => writing.text.length > 20);
         const whileWriting = await away(writing); const text = await written;
         document.body.append(writing); await until(() => count.ready.get(writing) === 2);
         const back = { words: writing.words, kept: writing.text === text && text.length > 20, button: writing.button.textContent, held: count.held.size, loads: count.loads };
         const far = make(); far.style.marginTop = '9000px'; await pause(300); const whenFar = [count.loads, ...(await away(far))];
         const alone = await writing.write.call(far).catch(({ code }) => code);
         window.gone = [loading, ready, writing, far].map((each) => new WeakRef(each));
         document.body.replaceChildren(); count.ready.clear(); await until(() => count.held.size === 0); await pause(100);
         return { whileLoading, whenReady, whileWriting, back, whenFar, alone };",
    )?;
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
        kept = body(
            page,
            "await pause(100); return gone.map((each, at) => each.deref() ? ['loading', 'ready', 'writing', 'far'][at] : '').join('')",
        )?;
        if kept == "" {
            return Ok(());
        }
    }
    bail!("still in memory: {kept}")
}

fn changed(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    let seen = body(
        page,
        "await import('/widgets.js');
         document.body.innerHTML = '<vitrine-text model=\"storyteller\" prompt=\"Once\" max-tokens=\"400\"></vitrine-text>'; const widget = document.body.firstChild;
         await until(() => isReady(widget));
         const own = part(widget, 'own'); own.textContent = 'typed';
         widget.setAttribute('prompt', 'Once'); widget.setAttribute('max-tokens', '300'); widget.setAttribute('model', 'storyteller'); widget.removeAttribute('model'); await pause(50);
         const untouched = [own.textContent, count.loads];
         const written = widget.write(); await until(() => widget.text.length > 20);
         widget.model = 'no-such-model'; widget.model = 'storyteller-q4_0'; widget.device = 'cpu';
         const text = await written; await until(() => count.ready.get(widget) === 2); await pause(50);
         const reloaded = [own.textContent, widget.text === text, count.loads, count.held.size, count.errors.length];
         const more = widget.write(); await until(() => widget.text !== text && widget.text.length > 20); widget.prompt = 'Far away'; await more; await pause(50);
         return { untouched, reloaded, prompted: [own.textContent, widget.text, widget.isWorking, widget.button.textContent, count.loads] };",
    )?;
    let expected = json!({
        "untouched": ["typed", 1], "reloaded": ["typed", true, 2, 1, 0], "prompted": ["Far away", "", false, "Write", 2],
    });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn said(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    body(page, "await import('/widgets.js');")?;
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
        let seen = page.run_async(
            "count.errors.length = 0; document.body.innerHTML = args[0]; const widget = document.body.firstChild; const { promise, resolve } = Promise.withResolvers();
             widget.addEventListener('error', resolve); const { error } = await promise;
             const more = part(widget, 'more'); const closed = more.hidden || !more.open;
             return { said: part(widget, 'said').textContent, details: more.hidden ? '' : part(widget, 'details').textContent, closed, errors: count.errors, told: [error.message, error.details ?? ''], code: error.code, held: count.held.size,
                 button: [widget.button.textContent, widget.button.disabled] };",
            &[json!(html)],
        )?;
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
    let mended = body(
        page,
        "document.body.innerHTML = '<vitrine-text model=\"storyteler\"></vitrine-text>'; const widget = document.body.firstChild; await until(() => count.errors.length > 0 && part(widget, 'said').textContent.includes('storyteler'));
         widget.model = 'storyteller'; await until(() => isReady(widget)); return [part(widget, 'said').textContent, part(widget, 'more').hidden, widget.button.disabled];",
    )?;
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
        page.run(COUNT, &[])?;
        let seen = page.run_async(
            "await import('/widgets.js'); const widget = document.createElement('vitrine-text'); widget.model = args[0]; document.body.append(widget); await until(() => count.errors.length > 0);
             return [part(widget, 'said').textContent, widget.button.disabled, part(widget, 'details').textContent];",
            &[json!(model)],
        )?;
        ensure_that!(seen[0] == sentence && seen[1] == true, "{policy}: {seen}");
        ensure_that!(seen[2].as_str().is_some_and(|told| told.contains(details)), "{policy}: {seen}");
    }
    Ok(())
}

fn strange_words(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    let seen = body(
        page,
        "await import('/widgets.js'); document.body.innerHTML = '<main><h1>Widgets</h1><vitrine-text max-tokens=5></vitrine-text><vitrine-image steps=2></vitrine-image></main>';
         const [, text, image] = document.querySelector('main').children;
         const line = (widget) => (part(widget, 'unread').hidden ? '' : part(widget, 'unread').textContent);
         const seen = [];
         for (const prompt of ['One winter day, a fox met a telephone', 'Der Fuchs ist in dem Wald und der Bär', 'One winter day, a green fox']) {
             text.prompt = prompt; await pause(10); const before = line(text); await text.write(); seen.push(before + line(text));
         }
         for (const prompt of ['a zeppelin and a zeppelin', 'a fox in the snow']) { image.prompt = prompt; await pause(10); const before = line(image); await image.paint(); seen.push(before + line(image)); }
         image.prompt = 'a zeppelin'; await image.paint(); text.prompt = 'a telephone'; await text.write(); return seen;",
    )?;
    ensure_that!(seen[0] == "It never met “telephone”.", "{seen}");
    ensure_that!(seen[1].as_str().is_some_and(|said| said.starts_with("This looks like German.")), "{seen}");
    ensure_that!(seen[3].as_str().is_some_and(|said| said.matches("“zeppelin”").count() == 1), "{seen}");
    ensure_that!(seen[2] == "" && seen[4] == "", "{seen}");
    Ok(())
}

fn attributes(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    body(page, "window.warned = []; console.warn = (text) => warned.push(text); await import('/widgets.js');")?;
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
        let seen = page.run_async(
            "const [kind, name, value] = args[0]; count.errors.length = 0; const widget = document.createElement(`vitrine-${kind}`); widget.setAttribute(name, value); document.body.append(widget); await pause(150);
             const seen = [part(widget, 'said').textContent, count.errors.length, count.loads]; widget.remove(); await pause(10); return seen;",
            &[json!([widget, name, value])],
        )?;
        let sentence =
            format!("This part of the page is not set up right: {name} is “{value}”, but must be {allowed}.");
        ensure_that!(seen == json!([sentence, 1, 0]), "{widget} {name}={value:?} says {seen}");
    }
    let mended = body(
        page,
        "document.body.innerHTML = '<vitrine-text temperature=\"warm\" max-tokens=\"5\"></vitrine-text>'; const widget = document.body.firstChild; await pause(150); widget.temperature = 1; await until(() => isReady(widget));
         const clean = part(widget, 'said').textContent; widget.setAttribute('max-tokens', 'many'); await pause(20);
         const refused = await widget.write().catch(({ message }) => message); const same = refused === part(widget, 'said').textContent; widget.maxTokens = 4;
         return [clean, same, refused.includes('many'), (await widget.write()).length > 0, count.loads];",
    )?;
    ensure_that!(mended == json!(["", true, true, true, 1]), "what is mended leaves {mended}");
    let warned = body(
        page,
        "warned.length = 0; for (let i = 0; i < 2; i++) { document.body.innerHTML = '<vitrine-text id=a class=b style=\"\" title=c lang=en dir=ltr hidden slot=d part=e tabindex=0 role=group aria-label=f data-g=h onclick=\"\" contenteditable=false v-cloak _ngcontent-x=\"\" max_tokens=5 maxtokens=5 promt=x steps=3></vitrine-text>'; await pause(20); }
         return warned;",
    )?;
    let expected = json!([
        "<vitrine-text> has no attribute max_tokens. max-tokens is meant?",
        "<vitrine-text> has no attribute maxtokens. max-tokens is meant?",
        "<vitrine-text> has no attribute promt. prompt is meant?",
        "<vitrine-text> has no attribute steps. It has model, device, prompt, max-tokens, temperature, seed.",
    ]);
    ensure_that!(warned == expected, "the console heard {warned}");
    Ok(())
}

fn without_network(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    let server = visit.address.strip_prefix("http://").context("another scheme")?.parse()?;
    let cable = Cable::lay(server)?;
    page.goto(&format!("{}/fault/blank", cable.address()))?;
    page.run(COUNT, &[])?;
    body(page, "await import('/widgets.js');")?;
    cable.cut();
    let seen = body(
        page,
        "document.body.innerHTML = '<vitrine-text></vitrine-text>'; const widget = document.body.firstChild; await until(() => count.errors.length > 0);
         const first = [part(widget, 'said').textContent, widget.button.textContent, part(widget, 'more').hidden];
         Object.defineProperty(navigator, 'onLine', { value: false, configurable: true }); widget.button.focus(); widget.button.click(); await until(() => count.errors.length > 1);
         return [...first, part(widget, 'said').textContent, document.activeElement === widget];",
    )?;
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
    let seen = body(
        page,
        "delete window.WebAssembly; await import('/widgets.js'); document.body.innerHTML = '<vitrine-text></vitrine-text>'; const widget = document.body.firstChild;
         await until(() => count.errors.length > 0); return [part(widget, 'said').textContent, await widget.write().catch(({ code }) => code)];",
    )?;
    let sentence = "This browser has no WebAssembly, or it is switched off (in a lockdown mode, for instance). Switch it on, or open the page in another browser.";
    ensure_that!(seen == json!([sentence, "bad-argument"]), "{seen}");
    Ok(())
}

fn no_page(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    // A worker knows no elements, as a server that renders pages does not.
    visit.blank()?;
    let imported = body(
        page,
        "const script = `import('${location.origin}/widgets.js').then((all) => postMessage(Object.keys(all).sort().join(' ')), (error) => postMessage(String(error)))`;
         const worker = new Worker(URL.createObjectURL(new Blob([script])));
         return new Promise((resolve) => { worker.onmessage = ({ data }) => resolve(data); });",
    )?;
    ensure_that!(imported == "VitrineImage VitrineLatent VitrineText Widget", "a worker imports {imported}");
    // A server's imitation of a document: no workers, nothing that says what is seen, no style sheets of one's own.
    counting(visit)?;
    let quiet = body(
        page,
        "delete window.IntersectionObserver; const { Worker } = window; delete window.Worker; delete ShadowRoot.prototype.adoptedStyleSheets; await import('/widgets.js');
         document.body.innerHTML = '<vitrine-text prompt=\"A fox\"></vitrine-text>'; const [widget] = document.body.children; await pause(100);
         const quiet = [part(widget, 'own').textContent, part(widget, 'said').textContent, count.errors.length]; widget.remove(); await pause(10);
         // An old browser: it has workers.
         window.Worker = Worker; document.body.append(widget); await until(() => isReady(widget)); widget.remove(); await until(() => count.held.size === 0);
         return quiet;",
    )?;
    ensure_that!(quiet == json!(["A fox", "", 0]), "without a window it says {quiet}");
    Ok(())
}

fn light(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    body(page, "await import('/widgets.js'); document.body.innerHTML = '<vitrine-text></vitrine-text>';")?;
    for dark in [false, true] {
        page.look_like(1280, 900, false, dark)?;
        let seen = body(
            page,
            "const [widget] = document.body.children; const isLight = () => getComputedStyle(widget).backgroundColor === 'rgb(248, 250, 247)' && getComputedStyle(widget.button).color === 'rgb(251, 253, 251)';
             const isDark = () => getComputedStyle(widget).backgroundColor === 'rgb(20, 28, 25)' && getComputedStyle(widget.button).color === 'rgb(12, 21, 18)';
             const look = () => isLight() ? 'light' : isDark() ? 'dark' : getComputedStyle(widget).backgroundColor;
             const seen = [look()]; const root = document.documentElement.style;
             for (const scheme of ['light', 'dark', 'light dark']) { root.colorScheme = scheme; seen.push(look()); }
             root.colorScheme = 'light'; widget.style.colorScheme = 'dark'; seen.push(look()); widget.style.colorScheme = ''; root.colorScheme = ''; return seen;",
        )?;
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
            "['first', 'second', 'third', 'fourth'].every((id) => !document.getElementById(id).button.disabled)",
            120,
        )?;
        looks.push(body(
            page,
            "const written = (await document.querySelector('#first').write()).length > 20; const names = ['display', 'padding', 'border', 'backgroundColor', 'color', 'font', 'marginTop', 'minHeight', 'width', 'height'];
             const all = [...document.querySelectorAll('vitrine-text, vitrine-image, vitrine-latent')].slice(1).flatMap((each) => [each, ...each.shadowRoot.querySelectorAll('*')]);
             const inline = all.filter((each) => each.hasAttribute('style') || each.localName === 'style').length;
             return { written, inline, looks: all.map((each) => names.map((name) => getComputedStyle(each)[name]).join(' ')) };",
        )?);
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
    let seen = body(
        page,
        "const widget = document.querySelector('vitrine-text'); const { display, padding } = getComputedStyle(widget); widget.maxTokens = 20;
         return { display, padding, words: widget.words, written: (await widget.write()).length > 10 };",
    )?;
    let expected = json!({ "display": "block", "padding": "17.6px 21.12px", "words": "One day", "written": true });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn keys(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    body(
        page,
        "await import('/widgets.js'); document.body.innerHTML = '<vitrine-text prompt=\"A fox\" max-tokens=\"300\" seed=\"1\"></vitrine-text><vitrine-image prompt=\"a fox\" steps=\"2\"></vitrine-image>';
         window.widgets = [...document.body.children]; window.dones = []; await until(() => widgets.every(isReady)); for (const each of widgets) each.addEventListener('done', ({ detail }) => dones.push(detail));
         widgets[0].focus();",
    )?;
    // End, Shift+Enter, words; the backspaces show that the line is one character to go back over.
    page.press("\u{E010}")?;
    shift_enter(page)?;
    page.press("a\u{E003}")?;
    let lines = page.run("return widgets[0].words", &[])?;
    ensure_that!(lines == "A fox\n", "after Shift+Enter it reads {lines}");
    page.press("sat")?;
    let begun = body(page, "return [widgets[0].words, widgets[0].isWorking, dones.length]")?;
    ensure_that!(begun == json!(["A fox\nsat", false, 0]), "{begun}");
    page.press("\u{E007}")?;
    body(page, "await until(() => widgets[0].text.length > 10)")?;
    // Enter while it writes begins nothing else; Escape stops, and the focus stays.
    page.press("\u{E007}")?;
    page.press("\u{E00C}")?;
    let stopped = body(
        page,
        "await until(() => dones.length > 0); await pause(100); return [dones.length, dones[0].stopped, dones[0].prompt, dones[0].text === widgets[0].text, widgets[0].shadowRoot.activeElement.className];",
    )?;
    ensure_that!(stopped == json!([1, true, "A fox\nsat", true, "own"]), "{stopped}");
    let pressed = body(
        page,
        "const [widget] = widgets; widget.button.focus(); widget.button.click(); await until(() => widget.text.length > 10); const during = [widget.button.textContent, widget.shadowRoot.activeElement === widget.button];
         widget.button.click(); await until(() => dones.length > 1); const after = [widget.button.textContent, widget.shadowRoot.activeElement === widget.button];
         widgets[1].focus(); return [...during, ...after];",
    )?;
    ensure_that!(pressed == json!(["Stop", true, "Write", true]), "{pressed}");
    page.press("\u{E007}")?;
    let painted = body(
        page,
        "await until(() => dones.length > 2); return [dones[2].prompt, dones[2].picture?.width, dones[2].stopped, widgets[1].shadowRoot.activeElement.className]",
    )?;
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
    let seen = body(
        page,
        "await import('/widgets.js'); document.body.innerHTML = '<vitrine-text prompt=\"Once upon a time\" max-tokens=\"40\" temperature=\"1.5\" seed=\"7\"></vitrine-text>'; const [widget] = document.body.children;
         const [first, second] = [await widget.write(), await widget.write()]; widget.seed = 8; const third = await widget.write(); widget.removeAttribute('seed'); const [fourth, fifth] = [await widget.write(), await widget.write()];
         return { same: first === second, other: first !== third, fresh: fourth !== fifth, long: [first, third, fourth].every(({ length }) => length > 20) };",
    )?;
    ensure_that!(seen == json!({ "same": true, "other": true, "fresh": true, "long": true }), "{seen}");
    Ok(())
}

fn walks(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    counting(visit)?;
    let seen = body(
        page,
        "await import('/widgets.js'); document.body.innerHTML = '<vitrine-latent across=\"8\"></vitrine-latent>'; const [widget] = document.body.children;
         await until(() => count.errors.length > 0); const [refused] = count.errors; const held = count.held.size;
         widget.across = 7; await until(() => widget.picture); const wrong = await widget.show([1, 2]).catch(({ message }) => message); const strange = await widget.show(Array(8).fill(NaN)).catch(({ code }) => code);
         const picture = await widget.show(Array(8).fill(1)); return { refused, held, wrong, strange, latent: [...widget.latent], sides: [picture.width, picture.height], loads: count.loads };",
    )?;
    let expected = json!({
        "refused": "This part of the page is not set up right: across is “8”, but this model's numbers are 0 to 7.", "held": 0,
        "wrong": "A picture of this model is made of 8 numbers, not of 2.", "strange": "bad-argument",
        "latent": [1, 1, 1, 1, 1, 1, 1, 1], "sides": [64, 64], "loads": 2,
    });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}
