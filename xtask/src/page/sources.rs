//! Models from everywhere: files chosen and dropped, addresses good and bad, downloads cut off, loads aborted.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Test, Visit, ensure_that, nothing, reader::write_some, script, strings};
use crate::browser::{Gpu, Script};

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
    Test::new("a_catalogues_model_of_several_files_loads_and_is_forgotten_whole", several_files),
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
    Test::new("a_file_is_absent_only_where_its_server_says_so", stumbles),
    Test::new("one_file_of_weights_brings_what_lies_beside_it", beside).expecting(&["404"]),
    Test::new("dropped_files_bring_a_read_me_along", dropped),
    Test::new("a_folder_of_a_repository_opens", repository),
];

/// Calls it in an empty document of the site.
fn on_blank(visit: &Visit, script: Script, argument: Value) -> Result<Value> {
    visit.blank()?;
    visit.call(script, argument)
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
    let codes = on_blank(visit, script!("sources.js", badAddresses), json!(TINY))?;
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
    let texts = on_blank(visit, script!("sources.js", oddServers), json!(TINY))?;
    ensure_that!(texts[0] == texts[1] && texts[0] == texts[2], "one file, several texts: {texts}");
    Ok(())
}

fn stalled(visit: &Visit) -> Result<()> {
    let seen = on_blank(visit, script!("sources.js", stalled), json!(TINY))?;
    ensure_that!(seen["stalled"] == "aborted", "the code is {}", seen["stalled"]);
    ensure_that!(seen["after"] != "", "afterwards nothing is written");
    Ok(())
}

fn abort_a_load(visit: &Visit, device: &str) -> Result<()> {
    let seen = on_blank(visit, script!("sources.js", abortLoad), json!({ "device": device, "file": TINY }))?;
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
    let seen = on_blank(visit, script!("sources.js", twoLoads), json!(TINY))?;
    ensure_that!(seen["texts"][1] == seen["texts"][2], "one file, two texts: {seen}");
    ensure_that!(seen["still"] == seen["texts"][2], "unloading one took the other along: {seen}");
    ensure_that!(seen["texts"][0] != "", "the first model writes nothing");
    Ok(())
}

/// Files that are wrong in one way each.
fn damage(visit: &Visit, device: &str) -> Result<()> {
    let codes = on_blank(visit, script!("sources.js", damage), json!({ "device": device, "file": TINY }))?;
    for name in ["empty", "short", "half", "magic", "version", "tensors", "metadata", "noise", "textual"] {
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
    let texts = on_blank(visit, script!("sources.js", bytesAndBlobs), json!(TINY))?;
    let texts = texts.as_array().context("no texts came")?;
    ensure_that!(texts.len() == 7 && texts.iter().all(|text| *text == texts[0]), "one file, several texts: {texts:?}");
    Ok(())
}

fn cache(visit: &Visit) -> Result<()> {
    let seen = on_blank(visit, script!("sources.js", cache), json!(TINY))?;
    ensure_that!(seen["first"].to_string().contains("network"), "the first load: {seen}");
    ensure_that!(seen["second"] == json!(["cache"]), "the second load: {seen}");
    ensure_that!(seen["kept"].to_string().contains("tiny_llama"), "the list: {seen}");
    ensure_that!(seen["left"] == 0 && seen["third"].to_string().contains("network"), "after deleting: {seen}");
    Ok(())
}

fn forgotten(visit: &Visit) -> Result<()> {
    let seen = on_blank(visit, script!("sources.js", forgotten), json!(TINY))?;
    ensure_that!(seen["refused"] == json!(["bad-argument"]), "{seen}");
    ensure_that!(seen["counts"] == json!([1, 0, 1, 1, 1, 1]), "{seen}");
    ensure_that!(seen["folder"] == true && seen["left"] == 1 && seen["everything"] == 1, "{seen}");
    let brought = visit.call(script!("sources.js", brought), nothing())?;
    ensure_that!(brought == json!(["0,1", "2", "0", "3,4,6", "3,4,5,6"]), "{brought}");
    Ok(())
}

fn chosen(visit: &Visit) -> Result<()> {
    let seen = on_blank(visit, script!("sources.js", chosen), json!(TINY))?;
    ensure_that!(seen["texts"] == json!(["qwen3", "qwen3", "qwen3", "qwen3", "llama", "llama"]), "{seen}");
    for (at, words) in ["none was chosen", "called \"my.gguf\"", "Number 2 of the files is a Blob"].iter().enumerate() {
        let said = seen["refused"][at].as_str().unwrap_or_default();
        ensure_that!(said.starts_with("bad-argument: ") && said.contains(words), "{said:?} does not say {words}");
    }
    Ok(())
}

fn no_catalogue(visit: &Visit) -> Result<()> {
    let seen = on_blank(
        visit,
        script!("sources.js", noCatalogue),
        json!([
            "/fault/html/catalog.json",
            "data:application/json,",
            "data:application/json,[1]",
            "data:application/json,{\"models\":[{}]}",
            "data:,%7B",
            "/fault/status/404/catalog.json",
        ]),
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

/// An entry's own checksums hold for each of its files.
fn several_files(visit: &Visit) -> Result<()> {
    let seen = on_blank(visit, script!("sources.js", severalFiles), json!("/fixtures/tiny_qwen3"))?;
    let expected = json!({
        "architecture": "qwen3", "kind": "image", "same": true, "kept": 3, "gone": 3, "left": 0,
        "wrong": "corrupt-file", "terms": "/terms.html", "nowhere": "bad-argument",
    });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn owner_and_repository(visit: &Visit) -> Result<()> {
    let seen = on_blank(
        visit,
        script!("sources.js", ownerAndRepository),
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
    let seen = on_blank(visit, script!("sources.js", checksum), json!(TINY))?;
    ensure_that!(seen["wrong"] == "corrupt-file", "a wrong checksum: {seen}");
    ensure_that!(seen["right"] == "none", "the right checksum: {seen}");
    Ok(())
}

fn listings(visit: &Visit) -> Result<()> {
    let seen = on_blank(visit, script!("sources.js", listings), nothing())?;
    ensure_that!(seen["wrong"] == json!([]), "wrongly chosen: {:#}", seen["wrong"]);
    ensure_that!(seen["count"].as_u64() > Some(30), "only {} listings", seen["count"]);
    Ok(())
}

/// The hub is played here: no network is needed to see what would be asked of it.
fn hub(visit: &Visit) -> Result<()> {
    let seen = on_blank(
        visit,
        script!("sources.js", hub),
        json!([
            "hf://o/r",
            "hf://o/r/",
            "hf://o/r@refs/pr/1",
            "hf://o/r@feature%2Fnew",
            "hf://o/r@50% #2",
            "hf://o/r/model.safetensors.index.json"
        ]),
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
    let seen = on_blank(
        visit,
        script!("sources.js", addresses),
        json!([
            "https://x.org/a/m-00001-of-00003.gguf",
            "https://x.org/a/m-00002-of-00003.gguf?token=1#x",
            "hf://o/r@v1/q/m-00003-of-00003.gguf",
            "https://x.org/m-00001-of-00001.gguf",
            "https://x.org/part-of-me.gguf",
            "https://x.org/tale-1-of-99999999.gguf",
        ]),
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
    let seen = on_blank(visit, script!("sources.js", folders), nothing())?;
    let kinds = json!({ "spa": "image", "head/405": "image", "head/hang": "image", "no-range": "image" });
    ensure_that!(seen["kinds"] == kinds, "the kinds are {}", seen["kinds"]);
    ensure_that!(seen["absent"] == "network" && seen["page"] == "network", "{seen}");
    Ok(())
}

fn no_head(visit: &Visit) -> Result<()> {
    let seen = on_blank(visit, script!("sources.js", noHead), json!(TINY))?;
    for way in ["405", "403", "501", "gzip", "hang"] {
        ensure_that!(seen[way][0]["from"] == "network" && seen[way][1]["from"] == "cache", "{way}: {seen}");
        ensure_that!(seen[way][1]["late"] == false, "{way}: a kept model was waited for: {seen}");
    }
    Ok(())
}

/// One that stumbles once is asked again; one that goes on to stumble leaves no model without a file that it may have had.
fn stumbles(visit: &Visit) -> Result<()> {
    let seen = on_blank(visit, script!("sources.js", stumbles), nothing())?;
    ensure_that!(seen["again"] == seen["plain"] && seen["plain"][0] == "ddim", "{seen}");
    ensure_that!(seen["vague"] == seen["plain"], "{seen}");
    for pointer in strings(&seen["pointers"]) {
        ensure_that!(pointer.contains("LFS"), "a pointer is {pointer}");
    }
    let said = seen["busy"].as_str().unwrap_or_default();
    let words = ["network: ", "scheduler_config.json answers 503", "Try again"];
    ensure_that!(words.iter().all(|words| said.contains(words)), "{said}");
    Ok(())
}

fn beside(visit: &Visit) -> Result<()> {
    let seen = on_blank(visit, script!("sources.js", beside), nothing())?;
    ensure_that!(seen["alone"] == json!(["model.safetensors"]), "{seen}");
    let names = strings(&seen["whole"]);
    let wanted = ["model.safetensors", "config.json", "tokenizer.json"];
    ensure_that!(wanted.iter().all(|name| names.iter().any(|each| each == name)), "{seen}");
    for (pasted, meant) in seen["pasted"].as_object().into_iter().flatten() {
        ensure_that!(*meant == "hf://o/r@v2/q/x.gguf", "{pasted} means {meant}");
    }
    Ok(())
}

fn edited(visit: &Visit) -> Result<()> {
    let seen = on_blank(visit, script!("sources.js", edited), nothing())?;
    let wanted = json!(["llama network", "llama cache", "qwen3 network", "qwen3 cache"]);
    ensure_that!(seen["seen"] == wanted && seen["kept"] == 1, "{seen}");
    Ok(())
}

fn dropped(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    let model =
        ["config.json", "model.safetensors", "tokenizer.json"].map(|name| format!("/fixtures/tiny_qwen3/{name}"));
    let texts = ["LICENSE", "README.md", ".gitattributes", "training_args.bin"];
    visit.call(script!("sources.js", dropFolder), json!({ "model": model, "texts": texts }))?;
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
    visit.call(script!("sources.js", anyFolder), nothing())?;
    page.type_into("#any-folder", &fs::canonicalize(&root)?.to_string_lossy())?;
    // A browser looks through a folder beside its other work.
    page.wait_for("document.querySelector('#any-folder').files.length === 8", 30)?;
    visit.call(script!("sources.js", dropChosen), nothing())?;
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
        .call(script!("sources.js", dropBytes), json!({ "address": address, "name": name }))
        .map(drop)
        .with_context(|| format!("could not drop {name}"))
}
