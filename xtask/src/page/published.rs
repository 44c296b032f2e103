//! Models of others that `cargo xtask models` fetched, in a site as `cargo xtask build --with` makes it: what transformers says of them, and a page
//! that chats without its server.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Test, Visit, chat, ensure_that, offline::Cable, open_page, reader, script};
use crate::{
    browser::Gpu,
    published::{self, Model},
    workspace::megabytes,
};

pub const TESTS: &[Test] = &[
    Test::new("smollm2_answers_in_the_page_without_its_server", without_a_server)
        .with_published("smollm2")
        .expecting(&["ERR_CONNECTION_REFUSED", "ERR_FAILED"]),
    Test::new("smollm2_converses_as_transformers_does", converses).with_published("smollm2"),
    Test::new("smollm2_calls_a_function_that_it_must_call", calls).with_published("smollm2"),
    Test::new("smollm2_writes_as_transformers_does_on_the_cpu", smollm2_on_cpu).with_published("smollm2"),
    Test::new("gemma3_writes_as_transformers_does_on_the_cpu", gemma3_on_cpu).with_published("gemma3"),
    Test::new("smollm2_writes_as_transformers_does_on_webgpu", smollm2_on_gpu)
        .with_published("smollm2")
        .on(Gpu::SwiftShader),
];

/// The models that these tests need.
pub fn models() -> Vec<&'static Model> {
    published::MODELS.iter().filter(|model| TESTS.iter().any(|test| test.published == Some(model.name))).collect()
}

/// Greedy tokens that the software adapter is given time for.
const ON_SOFTWARE: usize = 8;

/// What `training/make_published_references.py` wrote of a model.
fn reference(visit: &Visit, name: &str) -> Result<Value> {
    let told = fs::read_to_string(visit.root.join(format!("tests/fixtures/published/{name}.json")))?;
    Ok(serde_json::from_str(&told)?)
}

/// Ids of texts and conversations, log-probabilities within 0.005 a token, the greedy tokens; on a GPU made of software the first of these alone.
fn writes_as_transformers_does(visit: &Visit, name: &str, device: &str, steps: Option<usize>) -> Result<()> {
    visit.blank()?;
    let mut told = reference(visit, name)?;
    let tokens = told["greedy"]["tokens"].as_array_mut().context("no greedy tokens")?;
    tokens.truncate(steps.unwrap_or(tokens.len()));
    let seen = visit.call(
        script!("published.js", written),
        json!({ "device": device, "name": name, "steps": tokens.len(), "score": steps.is_none(), "told": told }),
    )?;
    ensure_that!(seen["device"] == device, "{name} was computed by {}", seen["device"]);
    for (asked, key) in [("texts", "text"), ("chats", "messages")] {
        let cases = told[asked].as_array().context("no cases")?;
        for (case, ids) in cases.iter().zip(seen[asked].as_array().context("no ids")?) {
            ensure_that!(case["ids"] == *ids, "{name}: {} became {ids}, not {}", case[key], case["ids"]);
        }
        ensure_that!(seen[asked].as_array().map(Vec::len) == Some(cases.len()), "{name}: {asked}");
    }
    ensure_that!(
        seen["tokens"] == told["greedy"]["tokens"],
        "{name} on {device} wrote {}, transformers {}",
        seen["tokens"],
        told["greedy"]["tokens"]
    );
    let (family, title) = match name {
        "smollm2" => ("Llama", "SmolLM2-135M-Instruct, Q4_1"),
        _ => ("Gemma 3", "Gemma 3 270M, Q4_K_M"),
    };
    visit.proved("Language models", family, "GGUF", device, "published weights");
    let file = visit.site.join("models").join(name).join(told["source"].as_str().context("no file")?);
    let speed = seen["speed"].as_f64().context("no speed")?;
    visit.measured(title, device, &megabytes(fs::metadata(file)?.len()), &format!("{speed:.0} tokens/s"));
    if steps.is_some() {
        return Ok(());
    }
    let numbers = |value: &Value| value.as_array().map(|all| all.iter().filter_map(Value::as_f64).collect::<Vec<_>>());
    let (got, wanted) = (numbers(&seen["logprobs"]).context("no score")?, numbers(&told["scored"]["logprobs"]));
    let wanted = wanted.context("no log-probabilities")?;
    ensure_that!(got.len() == wanted.len(), "{name}: {} log-probabilities, not {}", got.len(), wanted.len());
    let worst = got.iter().zip(&wanted).map(|(got, wanted)| (got - wanted).abs()).fold(0.0, f64::max);
    ensure_that!(worst < 0.005, "{name}: a log-probability is {worst} from PyTorch's: {got:?}");
    Ok(())
}

fn smollm2_on_cpu(visit: &Visit) -> Result<()> {
    writes_as_transformers_does(visit, "smollm2", "cpu", None)
}

fn gemma3_on_cpu(visit: &Visit) -> Result<()> {
    writes_as_transformers_does(visit, "gemma3", "cpu", None)
}

fn smollm2_on_gpu(visit: &Visit) -> Result<()> {
    writes_as_transformers_does(visit, "smollm2", "webgpu", Some(ON_SOFTWARE))
}

/// Its template knows of no functions, so that it is told of them in words; what it calls is held to the schema, and what it makes of the result its own.
fn calls(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("published.js", calls), json!("smollm2"))?;
    ensure_that!(seen["asked"] == json!([{ "city": "Paris" }]) && seen["rounds"] == 2, "{seen}");
    Ok(())
}

/// On the page for conversations: its first answer is transformers' own, and a second question is answered behind it, most of it read before.
fn converses(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("chat.html")?;
    ensure_that!(page.text("#welcome")?.contains("Use SmolLM2"), "it is not offered: {}", page.text("#welcome")?);
    page.click("#welcome [data-use]")?;
    page.wait_for("document.querySelector('#welcome').innerText.includes('to SmolLM2')", 120)?;
    let greedy = &reference(visit, "smollm2")?["greedy"];
    let [asked, expected] = ["prompt", "text"].map(|key| greedy[key].as_str().unwrap_or_default());
    let seen = chat::ask_greedily(visit, asked)?;
    let answer = seen[1]["text"].as_str().unwrap_or_default();
    ensure_that!(
        !expected.is_empty() && answer.replace("\n\n", "\n").starts_with(&expected.replace("\n\n", "\n")),
        "to {asked:?} the page says {answer:?}, transformers {expected:?}"
    );
    let seen = chat::ask_greedily(visit, "Say that in fewer words.")?;
    ensure_that!(seen[3]["text"].as_str().is_some_and(|text| text.len() > 10), "the second answer: {seen}");
    if let Some(folder) = visit.screenshots {
        page.screenshot(&visit.root.join(folder).join("chat-smollm2.png"))?;
    }
    Ok(())
}

/// Chosen from the list with its licence beside it, and kept: it opens and answers when the server is gone.
fn without_a_server(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    let cable = Cable::lay(visit.address.strip_prefix("http://").context("another scheme")?.parse()?)?;
    open_page(page, &cable.address())?;
    page.wait_for("document.querySelector('#offline').innerText.length > 0", 120)?;
    page.click("#chooser summary")?;
    let card = page.text("[data-model='smollm2']")?;
    for part in ["SmolLM2 135M Instruct", "134.5 million parameters", "98.4 MB", "Apache-2.0"] {
        ensure_that!(card.contains(part), "{part} is not on the card: {card:?}");
    }
    page.click("[data-model='smollm2']")?;
    page.wait_for(
        "document.body.dataset.state === 'ready' && document.querySelector('#model-name').innerText.startsWith('SmolLM2')",
        120,
    )?;
    let licence = page.text("#model-licence")?;
    ensure_that!(licence == "Licence: Apache-2.0 · its text", "{licence:?}");
    let text = page.run_async("return (await fetch(document.querySelector('#model-licence a').href)).text()", &[])?;
    ensure_that!(text.as_str().is_some_and(|text| text.contains("Apache License")), "no licence lies there");
    cable.cut();
    open_page(page, &format!("{}/?model=smollm2", cable.address()))?;
    ensure_that!(page.text("#model-name")?.starts_with("SmolLM2"), "{:?} opened", page.text("#model-name")?);
    let greedy = &reference(visit, "smollm2")?["greedy"];
    let [asked, expected] = ["prompt", "text"].map(|key| greedy[key].as_str().unwrap_or_default());
    reader::set(page, "#temperature", "0")?;
    reader::set(page, "#length", "50")?;
    reader::write_some(page, asked)?;
    let told = page.text("#story")?;
    let answer = told.strip_prefix(asked).map(str::trim_start);
    ensure_that!(
        answer.is_some_and(|answer| !expected.is_empty() && answer.starts_with(expected)),
        "to {asked:?} the page says {told:?}, transformers {expected:?}"
    );
    Ok(())
}
