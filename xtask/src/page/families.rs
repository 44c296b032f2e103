//! Small models of each family of language models, as a developer loads them, against PyTorch's words.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Test, Visit, ensure_that};
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
            "const engine = await Engine.create({ device: args[0].device });
             if (engine.device.kind !== args[0].device) throw new Error('computed by ' + JSON.stringify(engine.device));
             const folder = `/fixtures/tiny_${args[0].family}`;
             const names = ['model.safetensors', 'config.json', 'tokenizer.json', 'tokenizer_config.json'];
             const files = Object.fromEntries(names.map((name) => [name, `${folder}/${name}`]));
             const written = [];
             for (const source of [`${folder}.gguf`, { files }]) {
               const model = await engine.load(source);
               const tokens = [];
               for await (const { token } of model.generate(args[0].prompt, { maxTokens: 64, temperature: 0 })) if (token !== undefined) tokens.push(token);
               written.push({ tokens, architecture: model.info.architecture, device: model.info.device.kind });
               await model.unload();
             }
             return written;",
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
    let seen = visit.call(
        "const engine = await Engine.create({ device: 'cpu' });
         const names = ['model.safetensors', 'config.json', 'tokenizer.json', 'tokenizer_config.json'];
         const files = Object.fromEntries(names.map((name) => [name, `/fixtures/tiny_qwen3/${name}`]));
         const seen = {};
         for (const quantization of ['keep', 'q8_0', 'q4_0']) {
           const model = await engine.load({ files }, { quantization });
           const { logprob } = await model.score('the license of this software');
           seen[quantization] = { logprob, bytes: model.stats.deviceBytes };
           await model.unload();
         }
         return seen;",
        json!(null),
    )?;
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
    let seen = visit.call(
        "const engine = await Engine.create({ device: 'cpu' });
         const model = await engine.load('/fixtures/tiny_qwen3.gguf');
         const messages = [{ role: 'user', content: 'license' }];
         const opened = async (options) => (await model.detokenize(await model.tokenize(messages, options))).split('assistant\\n').at(-1);
         const first = await model.chat(messages, { maxTokens: 4, temperature: 0, thinking: false }).text();
         const same = await model.generate(await model.tokenize(messages, { thinking: false }), { maxTokens: 4, temperature: 0 }).text();
         let code = 'none';
         try { await model.chat(messages, { thinking: 'deeply' }).text(); } catch (error) { code = error.code; }
         return [await opened({}), await opened({ thinking: true }), await opened({ thinking: false }), first === same, code];",
        Value::Null,
    )?;
    ensure_that!(seen == json!(["", "", "<think>\n\n</think>\n\n", true, "bad-argument"]), "{seen}");
    Ok(())
}

/// A template that shows all that it is given, beside the tiny Qwen.
fn given(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(
        "const engine = await Engine.create({ device: 'cpu' });
         const names = ['model.safetensors', 'config.json', 'tokenizer.json', 'tokenizer_config.json'];
         const files = Object.fromEntries(names.map((name) => [name, `/fixtures/tiny_qwen3/${name}`]));
         const model = await engine.load({ files: { ...files, 'chat_template.jinja': new Blob([args[0]]) } });
         const told = async (messages, options) => model.detokenize(await model.tokenize(messages, options));
         const code = async (messages, options) => { try { await told(messages, options); return 'none'; } catch (error) { return error.code; } };
         const user = { role: 'user', content: 'a' };
         const circle = { role: 'user', content: 'a' };
         circle.again = circle;
         return [
           await told([{ name: 'n', role: 'user', content: [{ type: 'text', text: 'x' }], extra: { z: 1.5, a: [true, null, undefined], gone: undefined } }]),
           await told([{ role: 'assistant', content: null, tool_calls: [] }], { tools: [{ name: 'f' }], documents: [{ text: 'd' }], templateOptions: { date: 3 } }),
           [await code([{ ...user, content: 5 }]), await code([{ ...user, at: new Date() }]), await code([{ ...user, n: NaN }]), await code([circle]), await code([{ content: 'a' }]), await code(['a'])],
           [await code([user], { tools: {} }), await code([user], { tools: ['f'] }), await code([user], { templateOptions: { messages: [] } }), await code([user], { templateOptions: 'x' })],
         ];",
        Value::from("{{ messages }}|{{ tools }}|{{ documents }}|{{ date }}"),
    )?;
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
    let seen = visit.call(
        "const engine = await Engine.create({ device: 'cpu' });
         const names = ['model.safetensors', 'config.json', 'tokenizer.json', 'tokenizer_config.json'];
         const files = Object.fromEntries(names.map((name) => [name, `/fixtures/tiny_qwen3/${name}`]));
         const codes = [];
         for (const template of args[0]) {
           const model = await engine.load({ files: { ...files, 'chat_template.jinja': new Blob([template]) } });
           try { await model.tokenize([{ role: 'user', content: 'a' }]); codes.push('none'); } catch (error) { codes.push(error.code); }
           await model.generate('license', { maxTokens: 2 }).text();
           await model.unload();
         }
         return codes;",
        json!(templates),
    )?;
    ensure_that!(seen == json!(vec!["bad-argument"; templates.len()]), "{seen}");
    Ok(())
}
