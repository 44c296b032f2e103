//! Options and requests of OpenAI's shape.

use anyhow::Result;
use serde_json::{Value, json};

use super::super::{Test, Visit, ensure_that, nothing, strings};

pub const TESTS: &[Test] = &[
    Test::new("openais_contents_are_read_as_the_case_says", contents).with_case("13-openai-content"),
    Test::new("openais_neutral_fields_change_nothing", neutral).with_case("14-openai-neutral-fields"),
    Test::new("the_cases_unknown_options_are_refused", unknown).with_case("32-unknown-options"),
];

fn contents(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(
        "const requests = await (await fetch('/cases/13-openai-content/requests.json')).json();
         const engine = await Engine.create({ device: 'cpu' });
         const model = await engine.load('storyteller');
         const heard = [];
         const listening = { info: model.info, chat: (messages, options) => (heard.push(messages), model.chat(messages, options)) };
         const out = [];
         for (const { messages } of requests) {
             try {
                 const { usage } = await engine.chat.completions.create({ model: listening, messages, max_tokens: 1, temperature: 0 });
                 out.push({ messages: heard.at(-1), whole: usage.prompt_tokens === (await model.tokenize(heard.at(-1))).length });
             } catch ({ code, message }) { out.push({ code, message }); }
         }
         const story = (await model.tokenize([{ role: 'user', content: 'Tell a story.' }])).join();
         return { out, story: story === (await model.tokenize(out[0].messages)).join() };",
        nothing(),
    )?;
    let out = seen["out"].as_array().map(Vec::as_slice).unwrap_or_default();
    ensure_that!(seen["story"] == true && out.len() == 5, "parts are not one text: {seen}");
    for at in [0, 1, 2, 4] {
        ensure_that!(out[at]["whole"] == true, "number {at} answers {}", out[at]);
    }
    ensure_that!(
        out[1]["messages"][1]["content"] == "" && out[2]["messages"][0]["content"] == "",
        "no content is {seen}"
    );
    ensure_that!(out[4]["messages"][1]["reasoning_content"] == "zzz", "the thoughts are gone: {}", out[4]);
    let refused = out[3]["message"].as_str().unwrap_or_default();
    ensure_that!(out[3]["code"] == "bad-argument" && refused.contains("image_url"), "a picture answers {}", out[3]);
    Ok(())
}

fn neutral(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(
        "const requests = await (await fetch('/cases/14-openai-neutral-fields/requests.json')).json();
         const engine = await Engine.create({ device: 'cpu' });
         const model = await engine.load('storyteller');
         const asked = { model, messages: [{ role: 'user', content: 'Tell a story about a fox.' }], max_tokens: 4, temperature: 0 };
         const { choices: [{ message: { content: plain } }] } = await engine.chat.completions.create(asked);
         const out = [];
         for (const more of [...requests, { tools: undefined }, { user: undefined }, { noSuchField: undefined }, { n: 1, stop: null, metadata: { a: 'b' } }]) {
             const answer = await engine.chat.completions.create({ ...asked, ...more });
             if (!more.stream) { out.push(answer.choices[0].message.content); continue; }
             let text = ''; const chunks = [];
             for await (const chunk of answer) { chunks.push(chunk); text += chunk.choices[0]?.delta.content ?? ''; }
             const last = chunks.pop();
             out.push(last.choices.length === 0 && last.usage.total_tokens > 4 && chunks.every(({ usage }) => usage === null) ? text : JSON.stringify(chunks));
         }
         const refused = [];
         for (const more of [{ frequency_penalty: 0.5 }, { n: 2 }]) try { await engine.chat.completions.create({ ...asked, ...more }); } catch ({ code, message }) { refused.push(`${code} ${message}`); }
         return { plain, out, refused };",
        nothing(),
    )?;
    let out = strings(&seen["out"]);
    ensure_that!(
        out.len() == 16 && out.iter().all(|text| seen["plain"] == *text),
        "not all say {}: {out:?}",
        seen["plain"]
    );
    let refused = strings(&seen["refused"]);
    ensure_that!(
        refused.len() == 2
            && refused[0].starts_with("bad-argument frequency_penalty")
            && refused[1].starts_with("bad-argument n "),
        "refused are {refused:?}"
    );
    Ok(())
}

/// Every call of the file, as it stands there.
fn unknown(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(
        "const lines = (await (await fetch('/cases/32-unknown-options/calls.js')).text()).split('\\n').filter((line) => line.startsWith('await '));
         const engine = await Engine.create({ device: 'cpu' });
         const model = await engine.load('/fixtures/tiny_llama.gguf');
         const Async = (async () => {}).constructor;
         const out = [];
         for (const line of lines) {
             try { await new Async('Engine', 'engine', 'model', line)(Engine, engine, model); out.push([line, 'nothing']); } catch ({ code, message }) { out.push([line, code, message]); }
         }
         return out;",
        nothing(),
    )?;
    let out = seen.as_array().map(Vec::as_slice).unwrap_or_default();
    let names = ["maxTokens", "quantization", "quantization", "device", "addSpecialTokens"];
    ensure_that!(out.len() == names.len(), "{} calls stand there", out.len());
    for (told, name) in out.iter().zip(names) {
        ensure_that!(
            told[1] == "bad-argument" && told[2].as_str().is_some_and(|said| said.contains(name)),
            "{} is answered by {}",
            told[0],
            json!([Value::Null, &told[1], &told[2]])
        );
    }
    Ok(())
}
