//! Models from everywhere: files chosen and dropped, addresses good and bad, downloads cut off, loads aborted.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Test, Visit, ensure_that, reader::write_some};
use crate::browser::Gpu;

/// A Llama of 0.2 MB that lies in the repository.
const TINY: &str = "/fixtures/tiny_llama.gguf";
/// What the console says of an address that answers with an error.
const REFUSED: &str = "Failed to load resource";

pub const TESTS: &[Test] = &[
    Test::new("a_file_is_opened_through_the_chooser", choose_file).everywhere(),
    Test::new("a_dropped_file_is_opened", drop_file),
    Test::new("a_file_that_is_no_model_leaves_the_old_one_in_use", no_model),
    Test::new("a_model_is_fetched_by_its_address", fetch_address),
    Test::new("a_bad_address_is_told_and_the_page_goes_on", bad_address).expecting(&[REFUSED]),
    Test::new("a_load_shows_its_progress_and_can_be_cancelled", cancel_load).expecting(&[REFUSED]),
    Test::new("every_bad_address_has_its_code", bad_addresses).expecting(&[REFUSED]),
    Test::new("redirects_and_servers_without_ranges_are_followed", odd_servers),
    Test::new("a_stalled_download_can_be_aborted", stalled),
    Test::new("an_aborted_load_leaves_nothing_behind", abort_load),
    Test::new("an_aborted_load_on_webgpu_leaves_nothing_behind", abort_load_on_gpu).on(Gpu::SwiftShader),
    Test::new("two_loads_at_once_both_arrive", two_loads),
    Test::new("damaged_files_are_refused_with_their_code", damaged_files),
    Test::new("damaged_files_are_refused_on_webgpu", damaged_files_on_gpu).on(Gpu::SwiftShader),
    Test::new("bytes_files_and_parts_load_alike", bytes_and_blobs),
    Test::new("a_download_is_kept_and_read_from_the_cache", cache),
    Test::new("a_wrong_checksum_is_refused", checksum),
];

/// Helpers that the scripts below share.
const PRELUDE: &str = "
    const code = async (promise) => { try { await promise; return 'none'; } catch (error) { return error.code ?? String(error); } };
    const bytes = async (address) => (await fetch(address)).arrayBuffer();
    const writes = async (model) => (await model.generate('', { maxTokens: 6, temperature: 0 }).text());";

fn script(visit: &Visit, body: &str, arguments: Value) -> Result<Value> {
    visit.blank()?;
    visit.call(&format!("{PRELUDE} {body}"), arguments)
}

fn choose_file(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    open_chooser(visit)?;
    let file = fs::canonicalize(visit.root.join("tests/fixtures/tiny_llama.gguf"))?;
    page.type_into("#file-input", file.to_str().context("the path is not UTF-8")?)?;
    page.wait_for("document.body.dataset.state === 'ready' && /tiny/i.test(document.querySelector('#model-name').innerText + document.querySelector('#model-facts').innerText)", 60)?;
    write_some(page, "a")
}

fn drop_file(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    drop_bytes(visit, TINY, "tiny_llama.gguf")?;
    page.wait_for("document.body.dataset.state === 'ready' && /tiny/i.test(document.querySelector('#model-name').innerText + document.querySelector('#model-facts').innerText)", 60)?;
    write_some(page, "a")
}

fn no_model(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    let before = page.text("#model-name")?;
    drop_bytes(visit, "/style.css", "model.gguf")?;
    page.wait_for("!document.querySelector('#error').hidden", 30)?;
    let code = page.run("return document.querySelector('#error').dataset.code", &[])?;
    ensure_that!(code == "corrupt-file" || code == "unsupported-model", "the code is {code}");
    page.click("#error-close")?;
    ensure_that!(page.text("#model-name")? == before, "the model in use changed");
    write_some(page, "Once")
}

fn fetch_address(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    open_chooser(visit)?;
    page.type_into("#address", &format!("{}{TINY}", visit.address))?;
    page.click("#fetch")?;
    page.wait_for("document.body.dataset.state === 'ready' && /tiny/i.test(document.querySelector('#model-name').innerText + document.querySelector('#model-facts').innerText)", 60)?;
    write_some(page, "a")
}

fn bad_address(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    open_chooser(visit)?;
    for (address, code) in [("/fault/status/404", "network"), ("not an address", "bad-argument")] {
        page.clear("#address")?;
        page.type_into("#address", address)?;
        page.click("#fetch")?;
        page.wait_for("!document.querySelector('#error').hidden", 30)?;
        let told = page.run("return document.querySelector('#error').dataset.code", &[])?;
        ensure_that!(told == code, "{address:?} is told as {told}");
        let said = page.text("#error")?;
        ensure_that!(said.split_whitespace().count() >= 8, "no next step in {said:?}");
        page.click("#error-close")?;
    }
    write_some(page, "Once")
}

fn cancel_load(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    let before = page.text("#model-name")?;
    open_chooser(visit)?;
    page.type_into("#address", &format!("{}/fault/slow{TINY}", visit.address))?;
    page.click("#fetch")?;
    page.wait_for("Number(document.querySelector('#progress').getAttribute('aria-valuenow')) > 0", 30)?;
    ensure_that!(page.text("#progress-text")?.chars().any(|c| c.is_ascii_digit()), "the progress has no words");
    page.click("#cancel-load")?;
    page.wait_for("document.body.dataset.state === 'ready'", 30)?;
    ensure_that!(page.text("#model-name")? == before, "the model in use changed");
    write_some(page, "Once")
}

fn bad_addresses(visit: &Visit) -> Result<()> {
    let codes = script(
        visit,
        "const engine = await Engine.create({ device: 'cpu' });
         const codes = {};
         for (const path of ['status/404/model.gguf', 'status/500/model.gguf', 'html/model.gguf', 'cut' + args[0]])
             codes[path.split('/')[0] + path.split('/')[1]] = await code(engine.load('/fault/' + path));
         codes.nobody = await code(engine.load('http://127.0.0.1:9/model.gguf'));
         codes.scheme = await code(engine.load('ftp://example.org/model.gguf'));
         codes.after = await code(engine.load(args[0]));
         return codes;",
        json!(TINY),
    )?;
    for (path, code) in [
        ("status404", "network"),
        ("status500", "network"),
        ("nobody", "network"),
        ("cutfixtures", "network"),
        ("scheme", "bad-argument"),
        ("after", "none"),
    ] {
        ensure_that!(codes[path] == code, "{path}: {} where {code} is right; all: {codes}", codes[path]);
    }
    ensure_that!(
        codes["htmlmodel.gguf"] == "network" || codes["htmlmodel.gguf"] == "corrupt-file",
        "a page instead of a model: {codes}"
    );
    Ok(())
}

fn odd_servers(visit: &Visit) -> Result<()> {
    let texts = script(
        visit,
        "const engine = await Engine.create({ device: 'cpu' });
         const texts = [];
         for (const way of ['', '/fault/redirect', '/fault/no-range']) texts.push(await writes(await engine.load(way + args[0])));
         return texts;",
        json!(TINY),
    )?;
    ensure_that!(texts[0] == texts[1] && texts[0] == texts[2], "one file, several texts: {texts}");
    Ok(())
}

fn stalled(visit: &Visit) -> Result<()> {
    let seen = script(
        visit,
        "const engine = await Engine.create({ device: 'cpu' });
         const abort = new AbortController();
         setTimeout(() => abort.abort(), 1500);
         const stalled = await code(engine.load('/fault/stall' + args[0], { signal: abort.signal }));
         return { stalled, after: await writes(await engine.load(args[0])) };",
        json!(TINY),
    )?;
    ensure_that!(seen["stalled"] == "aborted", "the code is {}", seen["stalled"]);
    ensure_that!(seen["after"] != "", "afterwards nothing is written");
    Ok(())
}

fn abort_a_load(visit: &Visit, device: &str) -> Result<()> {
    let seen = script(
        visit,
        "const engine = await Engine.create({ device: args[0].device });
         const codes = [];
         for (let round = 0; round < 3; round++) {
             const abort = new AbortController();
             codes.push(await code(engine.load('/fault/slow' + args[0].file, { signal: abort.signal, cache: false, onProgress: ({ loaded, total }) => { if (loaded > total / 3) abort.abort(); } })));
         }
         const model = await engine.load(args[0].file);
         const alone = model.stats.deviceBytes;
         return { codes, text: await writes(model), alone };",
        json!({ "device": device, "file": TINY }),
    )?;
    ensure_that!(seen["codes"] == json!(["aborted", "aborted", "aborted"]), "the codes are {}", seen["codes"]);
    ensure_that!(seen["text"] != "", "afterwards nothing is written");
    Ok(())
}

fn abort_load(visit: &Visit) -> Result<()> {
    abort_a_load(visit, "cpu")
}

fn abort_load_on_gpu(visit: &Visit) -> Result<()> {
    abort_a_load(visit, "webgpu")
}

fn two_loads(visit: &Visit) -> Result<()> {
    let seen = script(
        visit,
        "const engine = await Engine.create({ device: 'cpu' });
         const [entry] = await engine.catalog();
         const [one, other, same] = await Promise.all([engine.load(entry.id), engine.load(args[0]), engine.load(args[0])]);
         const texts = await Promise.all([writes(one), writes(other), writes(same)]);
         await other.unload();
         return { texts, still: await writes(same) };",
        json!(TINY),
    )?;
    ensure_that!(seen["texts"][1] == seen["texts"][2], "one file, two texts: {seen}");
    ensure_that!(seen["still"] == seen["texts"][2], "unloading one took the other along: {seen}");
    ensure_that!(seen["texts"][0] != "", "the first model writes nothing");
    Ok(())
}

/// Files that are wrong in one way each.
fn damage(visit: &Visit, device: &str) -> Result<()> {
    let codes = script(
        visit,
        "const engine = await Engine.create({ device: args[0].device });
         const whole = new Uint8Array(await bytes(args[0].file));
         const changed = (change) => { const copy = whole.slice(); change(new DataView(copy.buffer), copy); return copy; };
         const architecture = new TextDecoder('latin1').decode(whole).indexOf('llama');
         const bad = {
             empty: new Uint8Array(0),
             short: whole.slice(0, 20),
             half: whole.slice(0, whole.length >> 1),
             magic: changed((view) => view.setUint32(0, 0x12345678)),
             version: changed((view) => view.setUint32(4, 99, true)),
             tensors: changed((view) => view.setBigUint64(8, 1n << 60n, true)),
             metadata: changed((view) => view.setBigUint64(16, 1n << 60n, true)),
             architecture: changed((_, copy) => copy.set(new TextEncoder().encode('zzzzz'), architecture)),
             noise: crypto.getRandomValues(new Uint8Array(5000)),
         };
         const codes = {};
         for (const [name, file] of Object.entries(bad)) codes[name] = await code(engine.load(file));
         codes.after = await code(engine.load(whole));
         return codes;",
        json!({ "device": device, "file": TINY }),
    )?;
    for name in ["empty", "short", "half", "magic", "version", "tensors", "metadata", "noise"] {
        ensure_that!(
            codes[name] == "corrupt-file" || (name == "version" && codes[name] == "unsupported-model"),
            "{name}: {} in {codes}",
            codes[name]
        );
    }
    ensure_that!(codes["architecture"] == "unsupported-model", "an unknown architecture: {codes}");
    ensure_that!(codes["after"] == "none", "afterwards a good file is refused: {codes}");
    Ok(())
}

fn damaged_files(visit: &Visit) -> Result<()> {
    damage(visit, "cpu")
}

fn damaged_files_on_gpu(visit: &Visit) -> Result<()> {
    damage(visit, "webgpu")
}

fn bytes_and_blobs(visit: &Visit) -> Result<()> {
    let texts = script(
        visit,
        "const engine = await Engine.create({ device: 'cpu' });
         const buffer = await bytes(args[0]);
         const texts = [];
         for (const source of [args[0], new URL(args[0], location.href), buffer, new Uint8Array(buffer), new Blob([buffer]), new File([buffer], 'some.gguf'), { 'model.gguf': new Blob([buffer]) }])
             texts.push(await writes(await engine.load(source)));
         return texts;",
        json!(TINY),
    )?;
    let texts = texts.as_array().context("no texts came")?;
    ensure_that!(texts.len() == 7 && texts.iter().all(|text| *text == texts[0]), "one file, several texts: {texts:?}");
    Ok(())
}

fn cache(visit: &Visit) -> Result<()> {
    let seen = script(
        visit,
        "const engine = await Engine.create({ device: 'cpu' });
         const from = async () => { const seen = new Set(); const model = await engine.load(args[0], { onProgress: ({ from }) => seen.add(from) }); await model.unload(); return [...seen]; };
         const first = await from(), second = await from();
         const list = await engine.cache.list();
         await engine.cache.delete();
         return { first, second, kept: list.map(({ address }) => address), left: (await engine.cache.list()).length, third: await from() };",
        json!(TINY),
    )?;
    ensure_that!(seen["first"].to_string().contains("network"), "the first load: {seen}");
    ensure_that!(seen["second"] == json!(["cache"]), "the second load: {seen}");
    ensure_that!(seen["kept"].to_string().contains("tiny_llama"), "the list: {seen}");
    ensure_that!(seen["left"] == 0 && seen["third"].to_string().contains("network"), "after deleting: {seen}");
    Ok(())
}

fn checksum(visit: &Visit) -> Result<()> {
    let seen = script(
        visit,
        "const engine = await Engine.create({ device: 'cpu' });
         const digest = async (buffer) => [...new Uint8Array(await crypto.subtle.digest('SHA-256', buffer))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
         const right = await digest(await bytes(args[0]));
         return { wrong: await code(engine.load(args[0], { sha256: 'ab'.repeat(32) })), right: await code(engine.load(args[0], { sha256: right })) };",
        json!(TINY),
    )?;
    ensure_that!(seen["wrong"] == "corrupt-file", "a wrong checksum: {seen}");
    ensure_that!(seen["right"] == "none", "the right checksum: {seen}");
    Ok(())
}

/// The part of the page that chooses models may be folded up.
fn open_chooser(visit: &Visit) -> Result<()> {
    visit.session.run("document.querySelector('#chooser').open = true", &[]).map(drop)
}

/// Drops a file on the page, as the hand would: enter, over, drop.
fn drop_bytes(visit: &Visit, address: &str, name: &str) -> Result<()> {
    visit
        .session
        .run_async(
            "const [address, name] = args;
             const transfer = new DataTransfer();
             transfer.items.add(new File([await (await fetch(address)).arrayBuffer()], name));
             for (const type of ['dragenter', 'dragover', 'drop'])
                 document.querySelector('main').dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));",
            &[json!(address), json!(name)],
        )
        .map(drop)
        .with_context(|| format!("could not drop {name}"))
}
