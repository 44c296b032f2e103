//! Small models of each family of language models, as a developer loads them, against PyTorch's words.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Test, Visit, ensure_that, nothing, script};
use crate::browser::Gpu;

pub const TESTS: &[Test] = &[
    Test::new("every_family_goes_on_as_pytorch_does_on_the_cpu", families_on_cpu),
    Test::new("every_family_goes_on_as_pytorch_does_on_webgpu", families_on_gpu).on(Gpu::SwiftShader),
    Test::new("more_families_go_on_as_pytorch_does_on_the_cpu", |visit| numbered(visit, "cpu", &NUMBERED)),
    // Halves, so that two windows share them.
    Test::new("more_families_go_on_as_pytorch_does_on_webgpu", |visit| numbered(visit, "webgpu", &NUMBERED[..8]))
        .on(Gpu::SwiftShader)
        .patient(),
    Test::new("even_more_families_go_on_as_pytorch_does_on_webgpu", |visit| numbered(visit, "webgpu", &NUMBERED[8..]))
        .on(Gpu::SwiftShader)
        .patient(),
    Test::new("encoders_embed_fill_and_label_as_transformers_does_on_the_cpu", encoders_on_cpu),
    Test::new("encoders_embed_fill_and_label_as_transformers_does_on_webgpu", encoders_on_gpu).on(Gpu::SwiftShader),
    Test::new("what_reads_one_text_and_writes_another_agrees_with_transformers_on_the_cpu", texts_on_cpu),
    Test::new("what_reads_one_text_and_writes_another_agrees_with_transformers_on_webgpu", texts_on_gpu)
        .on(Gpu::SwiftShader),
    Test::new("a_file_of_more_than_four_gibibytes_is_read_at_its_offsets", huge),
    Test::new("what_an_encoder_cannot_do_is_refused_in_the_page", encoder_refusals),
    Test::new("a_language_model_is_quantised_while_it_loads", quantised),
    Test::new("a_model_that_thinks_is_told_not_to", thinking),
    Test::new("whatever_a_message_holds_reaches_the_template", given),
    Test::new("a_hostile_template_is_stopped_in_the_page", hostile),
];

/// What small models of random numbers are held to.
const RANDOM: &str = "random weights";

const FAMILIES: [&str; 3] = ["qwen3", "gpt2", "gemma3"];

/// 64 greedy tokens after a text, from a GGUF and from safetensors with their files.
fn families(visit: &Visit, device: &str) -> Result<()> {
    for family in FAMILIES {
        visit.blank()?;
        let answers = fs::read_to_string(visit.root.join(format!("tests/fixtures/tiny_{family}.json")))?;
        let answers: Value = serde_json::from_str(&answers)?;
        let seen = visit.call(
            script!("families.js", families),
            json!({ "device": device, "family": family, "prompt": answers["prompt"] }),
        )?;
        for written in seen.as_array().context("nothing was written")? {
            ensure_that!(written["architecture"] == family && written["device"] == device, "{family} is {written}");
            ensure_that!(
                written["tokens"] == answers["greedy"],
                "{family} on {device} wrote {}, PyTorch {}",
                written["tokens"],
                answers["greedy"]
            );
        }
        let name = match family {
            "qwen3" => "Qwen 3",
            "gpt2" => "GPT-2",
            _ => "Gemma 3",
        };
        for format in ["GGUF", "safetensors"] {
            visit.proved("Language models", name, format, device, RANDOM);
        }
    }
    Ok(())
}

/// Families whose fixtures hold no tokenizer, as docs/models.md calls them.
const NUMBERED: [(&str, &str); 16] = [
    ("qwen2", "Qwen 2"),
    ("mistral", "Mistral"),
    ("granite", "Granite"),
    ("smollm3", "SmolLM3"),
    ("phi3", "Phi-3"),
    ("olmo2", "OLMo 2"),
    ("gemma2", "Gemma 2"),
    ("stablelm", "StableLM"),
    ("gpt_neox", "GPT-NeoX"),
    ("opt", "OPT"),
    ("lfm2", "LFM2"),
    ("stablelm_apart", "StableLM 2 12B's layout"),
    ("opt_behind", "OPT 350M's layout"),
    ("mamba", "Mamba"),
    ("falcon_mamba", "Falcon Mamba"),
    ("rwkv7", "RWKV-7"),
];

/// PyTorch's 64 greedy tokens, after ids.
fn numbered(visit: &Visit, device: &str, families: &[(&str, &str)]) -> Result<()> {
    visit.blank()?;
    let (mut asked, mut wanted) = (vec![], vec![]);
    for (family, _) in families {
        let answers = answers(visit, &format!("families/{family}/answers.json"))?;
        wanted.push(answers["greedy"].clone());
        asked.push(json!({ "family": family, "prompt": answers["prompt_ids"], "steps": 64 }));
    }
    let seen = visit.call(script!("families.js", numbered), json!({ "device": device, "asked": asked }))?;
    for (((family, name), wanted), seen) in families.iter().zip(&wanted).zip(seen.as_array().context("no families")?) {
        ensure_that!(seen["device"] == device, "{family} was computed by {seen}");
        ensure_that!(seen["tokens"] == *wanted, "{family} on {device} wrote {seen}, PyTorch {wanted}");
        visit.proved("Language models", name, "safetensors", device, RANDOM);
    }
    Ok(())
}

fn families_on_cpu(visit: &Visit) -> Result<()> {
    families(visit, "cpu")
}

fn families_on_gpu(visit: &Visit) -> Result<()> {
    families(visit, "webgpu")
}

fn answers(visit: &Visit, path: &str) -> Result<Value> {
    let text = fs::read_to_string(visit.root.join("tests/fixtures").join(path))?;
    Ok(serde_json::from_str(&text)?)
}

const ENCODERS: [(&str, &str); 5] = [
    ("bert", "BERT"),
    ("modernbert", "ModernBERT"),
    ("distilbert", "DistilBERT"),
    ("roberta", "RoBERTa"),
    ("nomic_bert", "Nomic BERT"),
];

/// Whether numbers are near those that are wanted.
fn near(got: &Value, wanted: &Value) -> bool {
    let numbers = |value: &Value| -> Option<Vec<f64>> { value.as_array()?.iter().map(Value::as_f64).collect() };
    let (Some(got), Some(wanted)) = (numbers(got), numbers(wanted)) else { return false };
    got.len() == wanted.len() && got.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-3)
}

fn encoders(visit: &Visit, device: &str) -> Result<()> {
    let answers = answers(visit, "encoders/answers.json")?;
    let (texts, masked) = (&answers["texts"], &answers["masked"]);
    for (family, name) in ENCODERS {
        visit.blank()?;
        let seen = visit.call(
            script!("families.js", encoders),
            json!({ "device": device, "family": family, "texts": texts, "masked": masked }),
        )?;
        let wanted = &answers[family];
        ensure_that!(seen["kind"] == "encoder" && seen["device"] == device, "{family} is {seen}");
        let all = [("embed", 3), ("max", 3), ("classify", 3)];
        for (what, i) in all.into_iter().flat_map(|(what, count)| (0..count).map(move |i| (what, i))) {
            let (got, wanted) = (&seen[what][i], &wanted[what][i]);
            ensure_that!(near(got, wanted), "{family} on {device}: {what} {i} is {got}, transformers has {wanted}");
        }
        for i in 0..2 {
            let (got, wanted) = (&seen["fill"][i], &wanted["fill"][i]);
            ensure_that!(
                got["tokens"] == wanted["tokens"] && near(&got["logprobs"], &wanted["logprobs"]),
                "{family} on {device} fills {got}, transformers {wanted}"
            );
        }
        ensure_that!(seen["tokens"] == wanted["tokens"]["labels"], "{family} labels {}", seen["tokens"]);
        visit.proved("Encoders", name, "safetensors", device, RANDOM);
    }
    Ok(())
}

fn encoders_on_cpu(visit: &Visit) -> Result<()> {
    encoders(visit, "cpu")
}

fn encoders_on_gpu(visit: &Visit) -> Result<()> {
    encoders(visit, "webgpu")
}

fn huge(visit: &Visit) -> Result<()> {
    let answers = answers(visit, "encoders/answers.json")?;
    visit.blank()?;
    let seen = visit.call(script!("families.js", huge), json!({ "texts": answers["texts"] }))?;
    ensure_that!(seen["bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 32), "the file has {} bytes", seen["bytes"]);
    for i in 0..3 {
        let (got, wanted) = (&seen["embed"][i], &answers["bert"]["embed"][i]);
        ensure_that!(near(got, wanted), "text {i} is {got}, transformers has {wanted}");
    }
    Ok(())
}

fn encoder_refusals(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("families.js", refusals), nothing())?;
    for (said, part) in seen.as_array().context("nothing was refused")?.iter().zip([
        "fills no masks",
        "no labels",
        "truncate",
        "pooling must be",
        "\"dim\"",
        "contextLength",
        "texts[1] is a string",
        "decoderPrompt",
    ]) {
        ensure_that!(said.as_str().is_some_and(|said| said.contains(part)), "{said} does not say {part}");
    }
    Ok(())
}

fn texts(visit: &Visit, device: &str) -> Result<()> {
    for name in TEXTS {
        let files = match name {
            "gru" => "model.safetensors config.json",
            "lstm-one-hot" => "checkpoint.pth config.json",
            _ => "model.safetensors config.json generation_config.json tokenizer.json",
        };
        visit.blank()?;
        let answers = answers(visit, &format!("texts/{name}/answers.json"))?;
        let names: Vec<&str> = files.split(' ').collect();
        let asked = json!({ "device": device, "name": name, "files": names, "prompt": answers["text"] });
        let seen = visit.call(script!("families.js", texts), asked)?;
        ensure_that!(
            seen["tokens"] == answers["tokens"] && seen["device"] == device,
            "{name} on {device} wrote {seen}, PyTorch {}",
            answers["tokens"]
        );
        let (name, format) = match name {
            "t5" => ("T5", "safetensors"),
            "mt5" => ("mT5", "safetensors"),
            "umt5" => ("umT5", "safetensors"),
            "bart" => ("BART", "safetensors"),
            "marian" => ("Marian", "safetensors"),
            "marian-apart" => ("Marian, a vocabulary a side", "safetensors"),
            "pegasus" => ("Pegasus", "safetensors"),
            "gru" => ("GRU of characters", "safetensors"),
            _ => ("LSTM of characters", "PyTorch's"),
        };
        visit.proved("Encoder-decoders and recurrent models", name, format, device, RANDOM);
    }
    Ok(())
}

fn texts_on_cpu(visit: &Visit) -> Result<()> {
    texts(visit, "cpu")
}

fn texts_on_gpu(visit: &Visit) -> Result<()> {
    texts(visit, "webgpu")
}

const TEXTS: [&str; 9] = ["t5", "mt5", "umt5", "bart", "marian", "marian-apart", "pegasus", "gru", "lstm-one-hot"];

/// Fewer bytes on the device say nearly the same of a text.
fn quantised(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("families.js", quantised), nothing())?;
    let number =
        |how: &str, what: &str| seen[how][what].as_f64().with_context(|| format!("{how} has no {what}: {seen}"));
    let (kept, bytes) = (number("keep", "logprob")?, number("keep", "bytes")?);
    for (how, within) in [("q8_0", 0.01), ("q4_0", 0.2)] {
        let off = (number(how, "logprob")? / kept - 1.0).abs();
        ensure_that!(off > 0.0 && off < within, "in {how} the text is {off} likelier or not: {seen}");
        ensure_that!(number(how, "bytes")? < bytes, "{how} saves nothing: {seen}");
    }
    Ok(())
}

/// The template of the tiny Qwen opens an answer with empty thoughts where it is asked to.
fn thinking(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("families.js", thinking), nothing())?;
    ensure_that!(seen == json!(["", "", "<think>\n\n</think>\n\n", true, "bad-argument"]), "{seen}");
    Ok(())
}

/// A template that shows all that it is given, beside the tiny Qwen.
fn given(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen =
        visit.call(script!("families.js", given), json!("{{ messages }}|{{ tools }}|{{ documents }}|{{ date }}"))?;
    let bad = "bad-argument";
    let expected = json!([
        "[{'name': 'n', 'role': 'user', 'content': [{'type': 'text', 'text': 'x'}], 'extra': {'z': 1.5, 'a': [True, None, None]}}]|None|None|",
        "[{'role': 'assistant', 'content': None, 'tool_calls': []}]|[{'name': 'f'}]|[{'text': 'd'}]|3",
        [bad, bad, bad, bad, bad, bad],
        [bad, bad, bad, bad],
    ]);
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

/// Templates that would take all of the worker's stack or memory end in the page as they do elsewhere, and the model goes on.
fn hostile(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let templates = [
        "{% macro f() %}{% if true %}{% for i in [1] %}{{ f() }}{% endfor %}{% endif %}{% endmacro %}{{ f() }}",
        "{% macro f(x) %}{{ [[[f(x)]]] | length + (1 + (2 + (3 + f(x) | length))) }}{% endmacro %}{{ f(1) }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{{ 'a' * 10 ** 9 }}",
        "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    ];
    let seen = visit.call(script!("families.js", hostile), json!(templates))?;
    ensure_that!(seen == json!(vec!["bad-argument"; templates.len()]), "{seen}");
    Ok(())
}
