//! Looking for models: the hub is played by the test server (`server/hub.rs`); what it has, what of it runs, how it fails, and what was opened before.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    Test, Visit, axe, ensure_that, layout::nothing_sticks_out, offline::Cable, open_page, reader::write_some, script,
    strings,
};
use crate::browser::Script;

pub const TESTS: &[Test] = &[
    Test::new("the_hub_says_what_runs_here_and_why_others_do_not", results).expecting(&["401"]),
    Test::new("kind_size_and_repository_narrow_what_is_found", wishes).expecting(&["401"]),
    Test::new("the_hub_fails_in_plain_words", failures).expecting(&["401", "429", "404", "ERR_"]).patient(),
    Test::new("what_is_found_opens_and_is_listed_until_it_is_forgotten", opening),
    Test::new("a_reader_finds_opens_and_finds_again_without_a_network", reader).expecting(&[
        "401",
        "ERR_CONNECTION_REFUSED",
        "ERR_FAILED",
    ]),
    Test::new("how_a_gguf_is_stored_its_own_list_says_and_else_its_name", weighed),
    Test::new("the_page_for_walks_finds_opens_and_lists_autoencoders", walker),
    Test::new("the_page_tells_how_a_search_failed", told).expecting(&["429", "401", "ERR_"]),
    Test::new("axe_finds_no_fault_with_what_the_hub_has", looks).expecting(&["401"]),
];

fn on_hub(visit: &Visit, script: Script) -> Result<Value> {
    visit.blank()?;
    visit.call(script, json!(hub(&visit.address)))
}

fn hub(site: &str) -> String {
    format!("{site}/fault/hub/")
}

fn results(visit: &Visit) -> Result<()> {
    let seen = on_hub(visit, script!("find.js", results))?;
    let told = seen["told"].as_array().context("nothing was found")?;
    let one = |name: &str| {
        let found = told.iter().find(|each| each["repository"] == format!("house/{name}"));
        found.with_context(|| format!("{name} was not found: {seen:#}"))
    };
    let large = one("large-GGUF")?;
    let expected = json!({
        "repository": "house/large-GGUF", "runs": true, "kind": "text", "architecture": "llama", "quantization": "Q4_K_M", "bytes": 800_000_000_u64,
        "source": "hf://house/large-GGUF/large-Q4_K_M-00001-of-00002.gguf", "license": "apache-2.0", "gated": false, "fits": true,
    });
    ensure_that!(*large == expected, "{large:#}");
    let rest = &seen["large"];
    ensure_that!(
        rest["others"]
            == json!(["Q8_0 hf://house/large-GGUF/large-Q8_0.gguf", "F16 hf://house/large-GGUF/large-F16.gguf"]),
        "{rest:#}"
    );
    ensure_that!(
        rest["parameters"] == 1_300_000_000_u64
            && rest["contextLength"] == 256
            && rest["files"][1] == "large-Q4_K_M-00002-of-00002.gguf",
        "{rest:#}"
    );
    ensure_that!(seen["memory"] == json!([true, true, true]) && seen["speed"] == true, "{seen:#}");
    let qwen = one("qwen")?;
    ensure_that!(
        qwen["architecture"] == "qwen3" && qwen["source"] == "hf://house/qwen" && qwen["license"] == "house-1.0",
        "{qwen:#}"
    );
    ensure_that!(one("bert")?["kind"] == "encoder" && one("bert")?["runs"] == true, "{:#}", one("bert")?);
    for (name, words) in
        [("jamba-GGUF", "jamba"), ("gated-GGUF", "log in at"), ("gone-GGUF", "answers 401"), ("adapter", "adapter")]
    {
        let why = seen["whys"][format!("house/{name}")].as_str().unwrap_or_default();
        ensure_that!(one(name)?["runs"] == false && why.contains(words), "{name} says {why:?}");
    }
    ensure_that!(one("gated-GGUF")?["gated"] == true, "{:#}", one("gated-GGUF")?);
    let runs: Vec<_> = told.iter().map(|each| each["runs"] == true).collect();
    ensure_that!(runs.is_sorted_by(|a, b| a >= b), "what does not run stands before what does: {seen:#}");
    Ok(())
}

/// Of the large model no more is to be had than what stands before its vocabulary's end; the small one calls itself what it is not.
fn weighed(visit: &Visit) -> Result<()> {
    let seen = on_hub(visit, script!("find.js", weighed))?;
    ensure_that!(seen["house/large-GGUF"] == json!(["Q4_K_M", "name", 1_300_000_000_u64, true]), "{seen:#}");
    let liar = &seen["house/liar-GGUF"];
    ensure_that!(
        liar[0] == "F32" && liar[1] == "file" && liar[2].as_u64().is_some_and(|n| n > 10_000) && liar[3] == true,
        "{seen:#}"
    );
    ensure_that!(seen["house/qwen"][0] == "F16" && seen["house/qwen"][1] == "file", "{seen:#}");
    Ok(())
}

fn walker(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open(&format!("walk.html?hub={}", hub(&visit.address)))?;
    let said = search(visit, "house")?;
    ensure_that!(said.contains("1 of these runs"), "it says {said:?}");
    // An autoencoder of Stable Diffusion's runs, but nobody walks in its latent.
    let unfit = page.text("[data-repository='house/small-pictures']")?;
    let offered = page
        .run("return document.querySelectorAll('[data-repository=\\'house/small-pictures\\'] button').length", &[])?;
    ensure_that!(unfit.contains("itself a small picture") && offered == 0, "{unfit:?} with {offered} buttons");
    page.click("[data-repository='house/digits-vae'] button")?;
    page.wait_for(
        "document.body.dataset.state === 'ready' && document.querySelector('#model-name').innerText === 'digits-vae'",
        60,
    )?;
    page.wait_for("document.querySelectorAll('#opened-list > li').length === 1", 30)?;
    let opened = list(visit, "#opened-list")?;
    ensure_that!(opened[0].contains("digits-vae, model.safetensors"), "{opened:#?}");
    page.wait_for("document.querySelector('#plane').dataset.tiles === '81'", 60)?;
    axe::stands_everywhere(page, "autoencoders that the hub has")?;
    for (width, height, phone) in [(1280, 1000, false), (320, 640, true)] {
        page.look_like(width, height, phone, false)?;
        page.run("document.querySelector('#find-form').scrollIntoView()", &[])?;
        nothing_sticks_out(page)?;
        if let Some(folder) = visit.screenshots {
            page.screenshot(&visit.root.join(folder).join(format!("find-walk-{width}.png")))?;
        }
    }
    Ok(())
}

fn wishes(visit: &Visit) -> Result<()> {
    let seen = on_hub(visit, script!("find.js", wishes))?;
    let expected = json!({
        "few": ["large-GGUF Q4_K_M", "qwen F16"], "small": [], "none": [], "encoders": ["bert F16"], "painters": ["painter null"],
        "address": ["qwen F16"],
    });
    for (wish, names) in expected.as_object().into_iter().flatten() {
        let found = strings(&seen[wish]);
        let (wanted, all) = (strings(names), wish == "encoders");
        // Beside what runs stands what could not be looked into.
        let found: Vec<_> = found.into_iter().filter(|name| !all || wanted.contains(name)).collect();
        ensure_that!(found == wanted, "{wish}: {:#}", seen[wish]);
    }
    Ok(())
}

fn failures(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let asked = json!({ "hub": hub(&visit.address), "site": visit.address });
    let seen = visit.call(script!("find.js", failures), asked)?;
    for (name, begins, words) in [
        ("missing", "network: The hub answers 401 for house/nothing", "nothing of this name"),
        ("busy", "network: The hub answers 429", "in 55 seconds"),
        ("silent", "network: The hub does not answer", "opened before"),
        ("page", "network: What answers at", "is no hub"),
        ("empty", "bad-argument: ", "owner/repo"),
        ("limit", "bad-argument: limit is 99", "at most 50"),
        ("gated", "network: ", "log in"),
        ("repository", "network: The hub answers 401 for house/nothing", "spelled right"),
    ] {
        let said = seen[name].as_str().unwrap_or_default();
        ensure_that!(said.starts_with(begins) && said.contains(words), "{name} says {said:?}");
    }
    ensure_that!(seen["aborted"] == "aborted" && seen["again"] == 1, "{seen:#}");
    Ok(())
}

fn opening(visit: &Visit) -> Result<()> {
    let seen = on_hub(visit, script!("find.js", opening))?;
    ensure_that!(seen["texts"] == json!(["llama true", "qwen3 true"]), "{seen:#}");
    let list = &seen["list"];
    ensure_that!(list.as_array().is_some_and(|list| list.len() == 2), "{seen:#}");
    let size = |path: &str| Ok::<_, anyhow::Error>(visit.root.join("tests/fixtures").join(path).metadata()?.len());
    let (names, qwen) = (["config.json", "model.safetensors", "tokenizer.json"], size("tiny_qwen3/config.json")?);
    let qwen = qwen + size("tiny_qwen3/model.safetensors")? + size("tiny_qwen3/tokenizer.json")?;
    ensure_that!(list[0] == json!([names, "qwen3", qwen, 3]), "{list:#}");
    let source = "hf://house/tiny-GGUF/tiny-F32.gguf";
    ensure_that!(list[1] == json!([source, "llama", size("tiny_llama.gguf")?, 1]), "{list:#}");
    ensure_that!(seen["from"] == "qwen3" && seen["gone"] == 1 && seen["left"] == json!(["qwen3"]), "{seen:#}");
    ensure_that!(seen["end"] == 0, "{seen:#}");
    Ok(())
}

/// Types the words, and waits until the hub has answered.
fn search(visit: &Visit, words: &str) -> Result<String> {
    let page = &visit.session;
    page.run("document.querySelector('#chooser').open = true", &[])?;
    page.clear("#find")?;
    page.type_into("#find", words)?;
    page.click("#find-go")?;
    page.wait_for(
        "document.querySelector('#find-go').textContent === 'Search the hub' && document.querySelector('#find-status').textContent !== ''",
        60,
    )?;
    page.text("#find-status")
}

fn list(visit: &Visit, which: &str) -> Result<Vec<String>> {
    Ok(strings(&visit.call(script!("find.js", listed), json!(which))?))
}

fn reader(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    let server = visit.address.strip_prefix("http://").context("another scheme")?.parse()?;
    let cable = Cable::lay(server)?;
    let at = |query: &str| format!("{}/?hub={}{query}", cable.address(), hub(&cable.address()));
    open_page(page, &at(""))?;
    page.wait_for("document.querySelector('#offline').innerText.length > 0", 120)?;
    let hidden = page.run("return document.querySelector('#opened').hidden", &[])?;
    ensure_that!(hidden == true, "nothing was opened, and a list of it is shown");
    let said = search(visit, "house")?;
    ensure_that!(said.contains("run here"), "it says {said:?}");
    let found = list(visit, "#find-results")?;
    ensure_that!(
        found.iter().any(|each| {
            each.contains("house/large-GGUF") && each.contains("tokens a second") && each.contains("Q4_K_M by its name")
        }),
        "{found:#?}"
    );
    ensure_that!(found.iter().any(|each| each.contains("house/gated-GGUF") && each.contains("log in")), "{found:#?}");
    page.click("[data-repository='house/tiny-GGUF'] button")?;
    page.wait_for(
        "document.body.dataset.state === 'ready' && document.querySelector('#model-name').innerText === 'tiny-GGUF'",
        60,
    )?;
    write_some(page, "a")?;
    open_page(page, &at("&model=storyteller"))?;
    let expect = |when: &str| -> Result<()> {
        page.wait_for("document.querySelectorAll('#opened-list > li').length === 1", 30)?;
        let opened = list(visit, "#opened-list")?;
        ensure_that!(
            opened[0].contains("tiny-GGUF, tiny-F32.gguf") && opened[0].contains("288 kB"),
            "{when}: {opened:#?}"
        );
        Ok(())
    };
    expect("after it was opened")?;
    cable.cut();
    open_page(page, &at("&model=storyteller"))?;
    expect("without a network")?;
    // The service worker knows the other answers, for this hub lies beside the page.
    let said = search(visit, "large")?;
    ensure_that!(said.contains("does not answer") || said.contains("not connected"), "it says {said:?}");
    page.click("#opened-list button")?;
    page.wait_for("document.body.dataset.state === 'ready' && document.querySelector('#model-name').innerText.includes('tiny-F32')", 60)?;
    // The story from before stands there.
    page.click("#clear")?;
    write_some(page, "a")?;
    page.run("document.querySelector('#chooser').open = true", &[])?;
    page.click("#opened-list button.plain")?;
    page.wait_for("document.querySelector('#opened').hidden", 30)
}

fn told(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open(&format!("?hub={}", hub(&visit.address)))?;
    for (words, part) in
        [("busy", "in 55 seconds"), ("house/nothing", "spelled right"), ("xyzzy", "has nothing for “xyzzy”")]
    {
        let said = search(visit, words)?;
        ensure_that!(said.contains(part), "{words} is told as {said:?}");
    }
    page.clear("#find")?;
    page.type_into("#find", "slow")?;
    page.click("#find-go")?;
    page.wait_for("document.querySelector('#find-go').textContent === 'Stop'", 5)?;
    page.click("#find-go")?;
    page.wait_for("document.querySelector('#find-status').textContent === 'Stopped.'", 5)?;
    write_some(page, "Once")
}

fn looks(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open(&format!("?hub={}", hub(&visit.address)))?;
    search(visit, "house")?;
    page.click("[data-repository='house/tiny-GGUF'] button")?;
    page.wait_for("document.querySelectorAll('#opened-list > li').length === 1", 60)?;
    axe::stands_everywhere(page, "what the hub has, and what was opened")?;
    for (width, height, phone, dark) in [(1280, 900, false, false), (390, 844, true, true), (320, 640, true, false)] {
        page.look_like(width, height, phone, dark)?;
        page.run("document.querySelector('#find-form').scrollIntoView()", &[])?;
        nothing_sticks_out(page)?;
        if let Some(folder) = visit.screenshots {
            page.screenshot(&visit.root.join(folder).join(format!("find-{width}.png")))?;
        }
    }
    visit.open(&format!("paint.html?hub={}", hub(&visit.address)))?;
    let said = search(visit, "house")?;
    ensure_that!(said.contains("1 of these runs"), "it says {said:?}");
    axe::stands_everywhere(page, "painters that the hub has")
}
