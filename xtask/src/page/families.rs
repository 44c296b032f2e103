//! Small models of each family of language models, as a developer loads them, against PyTorch's words.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Test, Visit, ensure_that, nothing, script};
use crate::browser::Gpu;

pub const TESTS: &[Test] = &[
    Test::new("every_family_goes_on_as_pytorch_does_on_the_cpu", families_on_cpu),
    Test::new("every_family_goes_on_as_pytorch_does_on_webgpu", families_on_gpu).on(Gpu::SwiftShader),
    Test::new("a_language_model_is_quantised_while_it_loads", quantised),
    Test::new("a_model_that_thinks_is_told_not_to", thinking),
    Test::new("whatever_a_message_holds_reaches_the_template", given),
    Test::new("a_hostile_template_is_stopped_in_the_page", hostile),
];

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
    }
    Ok(())
}

fn families_on_cpu(visit: &Visit) -> Result<()> {
    families(visit, "cpu")
}

fn families_on_gpu(visit: &Visit) -> Result<()> {
    families(visit, "webgpu")
}

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
