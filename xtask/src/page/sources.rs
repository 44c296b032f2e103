//! Models from everywhere: files chosen and dropped, addresses good and bad, downloads cut off, loads aborted.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Test, Visit, ensure_that, reader::write_some, strings};
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
    Test::new("every_bad_address_has_its_code", bad_addresses).expecting(&[REFUSED]).patient(),
    Test::new("redirects_and_servers_without_ranges_are_followed", odd_servers),
    Test::new("a_stalled_download_can_be_aborted", stalled),
    Test::new("an_aborted_load_leaves_nothing_behind", abort_load).patient(),
    Test::new("an_aborted_load_on_webgpu_leaves_nothing_behind", abort_load_on_gpu).on(Gpu::SwiftShader),
    Test::new("two_loads_at_once_both_arrive", two_loads),
    Test::new("damaged_files_are_refused_with_their_code", damaged_files),
    Test::new("damaged_files_are_refused_on_webgpu", damaged_files_on_gpu).on(Gpu::SwiftShader),
    Test::new("bytes_files_and_parts_load_alike", bytes_and_blobs),
    Test::new("a_download_is_kept_and_read_from_the_cache", cache),
    Test::new("what_is_kept_is_forgotten_by_what_was_loaded_and_by_nothing_else", forgotten),
    Test::new("files_load_as_they_were_chosen", chosen),
    Test::new("a_catalogue_that_is_none_is_told_with_what_lies_there", no_catalogue).expecting(&[REFUSED]),
    Test::new("an_owner_and_a_repository_are_told_how_the_hubs_are_written", owner_and_repository)
        .expecting(&[REFUSED]),
    Test::new("a_wrong_checksum_is_refused", checksum),
    Test::new("of_a_listing_the_model_is_chosen_and_nothing_else", listings),
    Test::new("the_hub_is_asked_for_the_revision_and_the_index_that_an_address_names", hub),
    Test::new("parts_are_found_from_any_of_their_addresses", addresses),
    Test::new("a_folder_of_diffusers_opens_from_servers_of_applications_and_from_those_that_refuse_head", folders)
        .expecting(&["404", "405"]),
    Test::new("a_kept_model_opens_at_once_though_its_server_answers_no_head", no_head)
        .expecting(&["405", "403", "501"]),
    Test::new("a_file_that_changed_is_fetched_anew", edited),
    Test::new("dropped_files_bring_a_read_me_along", dropped),
    Test::new("a_folder_of_a_repository_opens", repository),
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

fn forgotten(visit: &Visit) -> Result<()> {
    let seen = script(
        visit,
        "const engine = await Engine.create({ device: 'cpu' });
         const load = async (source) => (await engine.load(source)).unload();
         const count = async () => (await engine.cache.list()).length;
         await load(args[0]);
         const refused = new Set();
         for (const which of [5, true, null, undefined, ['x'], {}, { address: 5 }, Symbol.iterator, () => 1, 'no-such-model', 'ftp://x.org/a.gguf']) refused.add(await code(engine.cache.delete(which)));
         const counts = [await count(), await engine.cache.delete('/no/such.gguf')];
         for (const which of [() => args[0], () => new URL(args[0] + '#x', location.href), async () => (await engine.cache.list())[0]]) {
             await load(args[0]);
             counts.push(await engine.cache.delete(await which()));
         }
         await load('faces-gan');
         counts.push(await engine.cache.delete('faces-gan'));
         const folder = '/fixtures/tiny_sd/model_index.json';
         await load(args[0]);
         const before = await count();
         await load(folder);
         const all = await count();
         const gone = await engine.cache.delete(folder);
         const { broughtBy } = await import('/sources.js');
         const hub = 'https://huggingface.co/o/r/resolve/';
         const kept = [hub + 'main/a.gguf', hub + 'main/unet/b.bin', hub + 'refs%2Fpr%2F1/a.gguf', 'https://x.org/m-00001-of-00002.safetensors', 'https://x.org/m-00002-of-00002.safetensors', 'https://x.org/m.safetensors.index.json',
             'https://x.org/config.json', 'https://x.org/n-00001-of-00002.safetensors', 'https://x.org/d/m-00001-of-00002.safetensors'];
         const brought = ['hf://o/r', 'hf://o/r@refs/pr/1', 'hf://o/r/a.gguf', 'https://x.org/m-00002-of-00002.safetensors', 'https://x.org/m.safetensors.index.json'].map((address) => broughtBy(address, kept).map((each) => kept.indexOf(each)).sort().join());
         return { refused: [...refused], counts, folder: all - before === gone && gone > 5, left: await count(), everything: await engine.cache.delete(), brought };",
        json!(TINY),
    )?;
    ensure_that!(seen["refused"] == json!(["bad-argument"]), "{seen}");
    ensure_that!(seen["counts"] == json!([1, 0, 1, 1, 1, 1]), "{seen}");
    ensure_that!(seen["folder"] == true && seen["left"] == 1 && seen["everything"] == 1, "{seen}");
    ensure_that!(seen["brought"] == json!(["0,1", "2", "0", "3,4,6", "3,4,5,6"]), "{seen}");
    Ok(())
}

fn chosen(visit: &Visit) -> Result<()> {
    let seen = script(
        visit,
        "const engine = await Engine.create({ device: 'cpu' });
         const named = async (name, path = '') => { const file = new File([await bytes('/fixtures/tiny_qwen3/' + name)], name); Object.defineProperty(file, 'webkitRelativePath', { value: path && path + name }); return file; };
         const folder = async (path) => Promise.all(['config.json', 'model.safetensors', 'tokenizer.json'].map((name) => named(name, path)));
         const list = (files) => { const transfer = new DataTransfer(); for (const file of files) transfer.items.add(file); return transfer.files; };
         const gguf = new File([await bytes(args[0])], 'my.gguf');
         const texts = [];
         for (const source of [list(await folder()), await folder(), await folder('a/b/'), { files: list(await folder()) }, list([gguf]), [gguf]]) {
             const model = await engine.load(source);
             texts.push(model.info.architecture);
             await model.unload();
         }
         const said = async (source) => engine.load(source).catch(({ code, message }) => `${code}: ${message}`);
         return { texts, refused: [await said(list([])), await said([gguf, gguf]), await said([gguf, new Blob([])])] };",
        json!(TINY),
    )?;
    ensure_that!(seen["texts"] == json!(["qwen3", "qwen3", "qwen3", "qwen3", "llama", "llama"]), "{seen}");
    for (at, words) in ["none was chosen", "called \"my.gguf\"", "Number 2 of the files is a Blob"].iter().enumerate() {
        let said = seen["refused"][at].as_str().unwrap_or_default();
        ensure_that!(said.starts_with("bad-argument: ") && said.contains(words), "{said:?} does not say {words}");
    }
    Ok(())
}

fn no_catalogue(visit: &Visit) -> Result<()> {
    let seen = script(
        visit,
        "const seen = [];
         for (const catalog of args[0]) {
             const engine = await Engine.create({ device: 'cpu', catalog });
             const said = (work) => work.then(() => 'nothing', ({ code, message }) => `${code}: ${message}`);
             const { error } = await (await engine.openai.fetch('http://vitrine/v1/models')).json();
             seen.push([await said(engine.catalog()), await said(engine.load('storyteller')), `${error?.code}: ${error?.message}`]);
             await engine.close();
         }
         const engine = await Engine.create({ device: 'cpu', catalog: 'data:application/json,{\"models\":[{\"id\":\"mine\",\"file\":\"a.gguf\"}]}' });
         return { seen, nowhere: await engine.load('mine').catch(({ code, message }) => `${code}: ${message}`) };",
        json!(["/fault/html/catalog.json", "data:application/json,", "data:application/json,[1]", "data:application/json,{\"models\":[{}]}", "data:,%7B", "/fault/status/404/catalog.json"]),
    )?;
    let expected = ["web page", "empty", "holds no", "number 1", "holds no", "answers 404"];
    let nowhere = seen["nowhere"].as_str().unwrap_or_default();
    ensure_that!(
        nowhere.starts_with("bad-argument: ") && nowhere.contains("\"mine\" lies at \"a.gguf\""),
        "{nowhere:?}"
    );
    for (said, words) in seen["seen"].as_array().into_iter().flatten().zip(expected) {
        for said in strings(said) {
            ensure_that!(
                said.starts_with("bad-argument: There is no list of models at") && said.contains(words),
                "{said:?} does not say {words}"
            );
        }
    }
    ensure_that!(seen["seen"].as_array().is_some_and(|seen| seen.len() == expected.len()), "{seen}");
    Ok(())
}

fn owner_and_repository(visit: &Visit) -> Result<()> {
    let seen = script(
        visit,
        "const engine = await Engine.create({ device: 'cpu' });
         const seen = [];
         for (const address of args[0]) seen.push(await engine.load(address).catch(({ message }) => message));
         seen.push(await engine.tokenizer(args[0][0]).catch(({ message }) => message));
         return seen;",
        json!(["owner/repo", "HuggingFaceTB/SmolLM2-135M-Instruct", "owner/repo/model.gguf", "models/absent.gguf"]),
    )?;
    let meant = [
        "hf://owner/repo.",
        "hf://HuggingFaceTB/SmolLM2-135M-Instruct.",
        "hf://owner/repo/model.gguf",
        "",
        "hf://owner/repo.",
    ];
    for (said, address) in strings(&seen).iter().zip(meant) {
        ensure_that!(said.contains("404"), "{said:?} is another error");
        ensure_that!(
            if address.is_empty() { !said.contains("hub's") } else { said.contains(address) },
            "{said:?} and {address:?}"
        );
    }
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

fn listings(visit: &Visit) -> Result<()> {
    let seen = script(
        visit,
        "const { modelFiles } = await import('/pipeline.js');
         const choose = (paths, index) => { try { return { files: modelFiles(paths, 'hf://o/r', index) }; } catch ({ code, message }) { return { code, message }; } };
         const listings = await (await fetch('/fixtures/listings.json')).json();
         const wrong = [];
         for (const { of, paths, index = {}, files, refused } of listings) {
             const indexes = [new Map(Object.entries(index))];
             // Where parts are numbered as usual, their names alone tell what the index says.
             if (Object.values(index).flat().every((path) => !files || paths.includes(path))) if (Object.values(index).flat().every((path) => /-of-/.test(path))) indexes.push(new Map());
             for (const each of indexes) {
                 const chosen = choose(paths, each);
                 const right = files ? JSON.stringify(chosen.files) === JSON.stringify(files) : chosen.code && refused.every((words) => chosen.message.includes(words));
                 if (!right) wrong.push([of, chosen]);
             }
         }
         return { count: listings.length, wrong };",
        Value::Null,
    )?;
    ensure_that!(seen["wrong"] == json!([]), "wrongly chosen: {:#}", seen["wrong"]);
    ensure_that!(seen["count"].as_u64() > Some(30), "only {} listings", seen["count"]);
    Ok(())
}

/// The hub is played here: no network is needed to see what would be asked of it.
fn hub(visit: &Visit) -> Result<()> {
    let seen = script(
        visit,
        "const { resolveSource } = await import('/catalog.js');
         const network = fetch;
         const paths = ['README.md', 'config.json', 'model.safetensors', 'model.safetensors.index.json', 'my shard #1.safetensors', 'tokenizer.json', '100%.safetensors'];
         const map = { a: 'my shard #1.safetensors', b: '100%.safetensors', c: 'my shard #1.safetensors' };
         const seen = [];
         for (const address of ['hf://o/r', 'hf://o/r/', 'hf://o/r@refs/pr/1', 'hf://o/r@feature%2Fnew', 'hf://o/r@50% #2', 'hf://o/r/model.safetensors.index.json']) {
             const asked = [];
             globalThis.fetch = (address, options) => {
                 if (!String(address).startsWith('https://huggingface.co/')) return network(address, options);
                 asked.push((options?.headers?.Range ?? '') + address);
                 if (address.endsWith('.index.json')) return Promise.resolve(new Response(JSON.stringify({ weight_map: map })));
                 if (address.includes('/resolve/')) return Promise.resolve(new Response('', { status: /tokenizer_config|template|generation/.test(address) ? 404 : 206 }));
                 return Promise.resolve(new Response(JSON.stringify({ siblings: paths.map((rfilename) => ({ rfilename })) })));
             };
             const { files } = await resolveSource({ address });
             seen.push({ asked: asked.slice(0, 2), files: files.map(({ name, address }) => name + ' ' + address) });
         }
         globalThis.fetch = network;
         return seen;",
        Value::Null,
    )?;
    let names = ["my shard #1.safetensors", "100%.safetensors", "config.json", "tokenizer.json"];
    let paths = ["my%20shard%20%231.safetensors", "100%25.safetensors", "config.json", "tokenizer.json"];
    for (at, revision) in ["main", "main", "refs%2Fpr%2F1", "feature%2Fnew", "50%25%20%232"].iter().enumerate() {
        let seen = &seen[at];
        let index = format!("https://huggingface.co/o/r/resolve/{revision}/model.safetensors.index.json");
        let asked = json!([format!("https://huggingface.co/api/models/o/r/revision/{revision}"), index]);
        ensure_that!(seen["asked"] == asked, "{revision}: the hub was asked for {}", seen["asked"]);
        let files: Vec<String> =
            names.iter().zip(paths).map(|(name, path)| format!("{name} hf://o/r@{revision}/{path}")).collect();
        let mut got = seen["files"].as_array().cloned().unwrap_or_default();
        let mut wanted: Vec<Value> = files.into_iter().map(Value::from).collect();
        got.sort_by_key(Value::to_string);
        wanted.sort_by_key(Value::to_string);
        ensure_that!(got == wanted, "{revision}: the files are {got:?}");
    }
    let index = &seen[5];
    ensure_that!(
        index["asked"][0] == "https://huggingface.co/o/r/resolve/main/model.safetensors.index.json",
        "{index}"
    );
    ensure_that!(
        index["files"].to_string().contains("my shard #1.safetensors hf://o/r/my%20shard%20%231.safetensors"),
        "{index}"
    );
    Ok(())
}

fn addresses(visit: &Visit) -> Result<()> {
    let seen = script(
        visit,
        "const { resolveSource } = await import('/catalog.js');
         const seen = {};
         for (const address of ['https://x.org/a/m-00001-of-00003.gguf', 'https://x.org/a/m-00002-of-00003.gguf?token=1#x', 'hf://o/r@v1/q/m-00003-of-00003.gguf', 'https://x.org/m-00001-of-00001.gguf',
             'https://x.org/part-of-me.gguf', 'https://x.org/tale-1-of-99999999.gguf'])
             seen[address] = (await resolveSource({ address })).files.map((file) => file.name + ' ' + file.address);
         return seen;",
        Value::Null,
    )?;
    let three = |start: &str, end: &str| {
        json!(
            (1..=3).map(|i| format!("m-0000{i}-of-00003.gguf {start}m-0000{i}-of-00003.gguf{end}")).collect::<Vec<_>>()
        )
    };
    ensure_that!(seen["https://x.org/a/m-00001-of-00003.gguf"] == three("https://x.org/a/", ""), "{seen:#}");
    ensure_that!(
        seen["https://x.org/a/m-00002-of-00003.gguf?token=1#x"] == three("https://x.org/a/", "?token=1"),
        "{seen:#}"
    );
    ensure_that!(seen["hf://o/r@v1/q/m-00003-of-00003.gguf"] == three("hf://o/r@v1/q/", ""), "{seen:#}");
    for whole in ["m-00001-of-00001.gguf", "part-of-me.gguf", "tale-1-of-99999999.gguf"] {
        let address = format!("https://x.org/{whole}");
        ensure_that!(seen[&address] == json!([format!("{whole} {address}")]), "{seen:#}");
    }
    Ok(())
}

fn folders(visit: &Visit) -> Result<()> {
    let seen = script(
        visit,
        "const engine = await Engine.create({ device: 'cpu' });
         const kinds = {};
         for (const way of ['spa', 'head/405', 'head/hang', 'no-range']) {
             const begun = performance.now();
             const model = await engine.load(`/fault/${way}/fixtures/tiny_sd/model_index.json`, { cache: false });
             kinds[way] = model.info.kind + (performance.now() - begun > 20000 ? ', late' : '');
             await model.unload();
         }
         return { kinds, absent: await code(engine.load('/fault/spa/fixtures/nothing/model_index.json')), page: await code(engine.load('/fault/spa/nothing.gguf')) };",
        Value::Null,
    )?;
    let kinds = json!({ "spa": "image", "head/405": "image", "head/hang": "image", "no-range": "image" });
    ensure_that!(seen["kinds"] == kinds, "the kinds are {}", seen["kinds"]);
    ensure_that!(seen["absent"] == "network" && seen["page"] == "network", "{seen}");
    Ok(())
}

fn no_head(visit: &Visit) -> Result<()> {
    let seen = script(
        visit,
        "const engine = await Engine.create({ device: 'cpu' });
         const seen = {};
         for (const way of ['405', '403', '501', 'gzip', 'hang']) {
             const load = async () => {
                 const from = new Set(), begun = performance.now();
                 const model = await engine.load(`/fault/head/${way}${args[0]}`, { onProgress: (step) => from.add(step.from) });
                 await model.unload();
                 return { from: [...from].join(), late: performance.now() - begun > 3000 };
             };
             seen[way] = [await load(), await load()];
         }
         return seen;",
        json!(TINY),
    )?;
    for way in ["405", "403", "501", "gzip", "hang"] {
        ensure_that!(seen[way][0]["from"] == "network" && seen[way][1]["from"] == "cache", "{way}: {seen}");
        ensure_that!(seen[way][1]["late"] == false, "{way}: a kept model was waited for: {seen}");
    }
    Ok(())
}

fn edited(visit: &Visit) -> Result<()> {
    let seen = script(
        visit,
        "const engine = await Engine.create({ device: 'cpu' });
         const address = '/fault/edited/fixtures/tiny_llama.gguf?then=fixtures/tiny_qwen3.gguf';
         const load = async () => { const from = new Set(); const model = await engine.load(address, { onProgress: (step) => from.add(step.from) }); const { architecture } = model.info; await model.unload(); return [architecture, ...from].join(' '); };
         const seen = [await load(), await load()];
         document.cookie = 'edited=1; path=/';
         seen.push(await load(), await load());
         return { seen, kept: (await engine.cache.list()).length };",
        Value::Null,
    )?;
    let wanted = json!(["llama network", "llama cache", "qwen3 network", "qwen3 cache"]);
    ensure_that!(seen["seen"] == wanted && seen["kept"] == 1, "{seen}");
    Ok(())
}

fn dropped(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    page.run_async(
        "const transfer = new DataTransfer();
         for (const name of ['config.json', 'model.safetensors', 'tokenizer.json']) transfer.items.add(new File([await (await fetch('/fixtures/tiny_qwen3/' + name)).blob()], name));
         for (const name of ['LICENSE', 'README.md', '.gitattributes', 'training_args.bin']) transfer.items.add(new File(['# A text'], name));
         for (const type of ['dragenter', 'dragover', 'drop'])
             document.querySelector('main').dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));",
        &[],
    )?;
    page.wait_for(
        "document.body.dataset.state === 'ready' && /qwen3/i.test(document.querySelector('#model-facts').innerText)",
        60,
    )?;
    ensure_that!(
        page.text("#model-name")?.contains("model.safetensors"),
        "it is called {:?}",
        page.text("#model-name")?
    );
    write_some(page, "a")
}

/// What `git clone` leaves, in a folder of the disk.
fn repository(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    let root = visit.root.join("target/page-tests/my-model");
    fs::create_dir_all(root.join("onnx"))?;
    fs::create_dir_all(root.join(".git"))?;
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        fs::copy(visit.root.join("tests/fixtures/tiny_qwen3").join(name), root.join(name))?;
    }
    for name in ["README.md", "pytorch_model.bin", "onnx/model.onnx", "onnx/model.safetensors", ".git/config"] {
        fs::write(root.join(name), "version https://git-lfs.github.com/spec/v1\n")?;
    }
    page.run(
        "const input = document.createElement('input');
         Object.assign(input, { type: 'file', id: 'any-folder', webkitdirectory: true });
         document.querySelector('main').prepend(input);",
        &[],
    )?;
    page.type_into("#any-folder", &fs::canonicalize(&root)?.to_string_lossy())?;
    page.run(
        "const input = document.querySelector('#any-folder'), transfer = new DataTransfer();
         for (const file of input.files) transfer.items.add(file);
         for (const type of ['dragenter', 'dragover', 'drop'])
             document.querySelector('main').dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
         input.remove();",
        &[],
    )?;
    page.wait_for(
        "document.body.dataset.state === 'ready' && /qwen3/i.test(document.querySelector('#model-facts').innerText)",
        60,
    )?;
    ensure_that!(page.text("#model-name")? == "my-model", "it is called {:?}", page.text("#model-name")?);
    write_some(page, "a")
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
