//! OpenAI's own client, from npm, over the engine's `fetch`; and the same shape without it.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Test, Visit, ensure_that, nothing, script};
use crate::npm;

pub const TESTS: &[Test] = &[
    Test::new("openais_client_is_answered_whole_and_in_a_stream", answered).with_package(&npm::OPENAI),
    Test::new("openais_client_ends_a_generation_by_its_signal", ended).with_package(&npm::OPENAI),
    Test::new("openais_client_throws_its_own_errors", errors).with_package(&npm::OPENAI),
    Test::new("openais_client_finds_the_models_and_completes_texts", models).with_package(&npm::OPENAI),
    Test::new("openais_client_gets_several_answers_each_of_a_seed_of_its_own", several).with_package(&npm::OPENAI),
    Test::new("openais_client_gets_the_likeliest_of_some_texts_and_its_prompt_back", likeliest)
        .with_package(&npm::OPENAI),
    Test::new("openais_penalties_and_biases_are_the_models_own", penalties).with_package(&npm::OPENAI),
    Test::new("openais_client_embeds_texts", embedded).with_package(&npm::OPENAI),
    Test::new("a_page_serves_plain_requests_of_its_site_through_the_service_worker", served)
        .everywhere()
        .expecting(&["404", "503"]),
    Test::new("a_page_that_served_and_is_closed_ends_its_streams_and_leaves_the_rest_to_others", closed)
        .everywhere()
        .expecting(&["503"]),
    Test::new("openais_log_probabilities_are_the_models_own", logprobs),
    Test::new("messages_of_openais_shape_reach_the_template", messages),
    Test::new("a_request_of_openais_shape_takes_a_signal_beside_it_and_is_refused_in_its_own_words", own_words),
    Test::new("a_loaded_file_is_called_by_its_name_and_hides_no_model_of_the_catalogue", file_names),
];

fn answered(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("openai.js", answered), nothing())?;
    let text = &seen["text"];
    ensure_that!(text.as_str().is_some_and(|text| !text.is_empty()), "the model says nothing: {seen}");
    let whole = &seen["whole"];
    ensure_that!(
        whole["object"] == "chat.completion" && whole["choices"][0]["message"]["content"] == *text,
        "not the model's words: {whole}"
    );
    ensure_that!(whole["choices"][0]["finish_reason"] == "length", "six tokens end with {whole}");
    ensure_that!(
        whole["usage"]["completion_tokens"] == 6 && whole["usage"]["prompt_tokens"] == seen["prompt"],
        "usage: {}",
        whole["usage"]
    );
    let chunks = seen["chunks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let words: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    ensure_that!(text == &json!(words), "the stream says {words:?}");
    let (last, others) = chunks.split_last().unwrap_or((&Value::Null, &[]));
    ensure_that!(last["choices"] == json!([]) && last["usage"]["completion_tokens"] == 6, "the last chunk is {last}");
    ensure_that!(
        others.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)),
        "a chunk before the last has usage"
    );
    ensure_that!(others.last().is_some_and(|chunk| chunk["choices"][0]["finish_reason"] == "length"), "{others:?}");
    let plain = seen["plain"].as_array().map(Vec::as_slice).unwrap_or_default();
    ensure_that!(
        plain.len() + 1 == chunks.len() && plain.iter().all(|chunk| chunk.get("usage").is_none()),
        "usage comes where nobody asked for it"
    );
    ensure_that!(
        seen["heard"] == *text && seen["final"]["message"]["content"] == *text,
        "the helper heard {} and {}",
        seen["heard"],
        seen["final"]
    );
    ensure_that!(seen["free"] == "stop" || seen["free"] == "length", "without a limit it ends with {}", seen["free"]);
    Ok(())
}

fn ended(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("openai.js", ended), nothing())?;
    ensure_that!(seen["chunks"] == 3 && seen["whole"] == true && seen["left"] == 3, "{seen}");
    ensure_that!(seen["text"] != "", "afterwards the model writes nothing");
    ensure_that!(seen["waited"].as_f64().is_some_and(|ms| ms < 4000.0), "the model was busy for {} ms", seen["waited"]);
    Ok(())
}

fn errors(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("openai.js", errors), json!([
            { "n": 0 },
            { "frequency_penalty": 50 },
            { "temprature": 1 },
            { "temperature": 11 },
            { "temperature": 11, "stream": true },
            { "max_tokens": 0 },
            { "top_logprobs": 3 },
            { "response_format": { "type": "xml" } },
            { "response_format": { "type": "json_schema", "json_schema": { "name": "a", "schema": { "type": "integer", "minimum": 5, "maximum": 3 } } } },
            { "response_format": { "type": "json_object" }, "tools": [{ "type": "function", "function": { "name": "f" } }] },
            { "tools": [{ "type": "custom", "custom": { "name": "f" } }] },
            { "tool_choice": "required" },
            { "tools": [{ "type": "function", "function": { "name": "f" } }, { "type": "function", "function": { "name": "f" } }] },
            { "tools": [{ "type": "function", "function": { "name": "f" } }], "tool_choice": { "type": "allowed_tools", "allowed_tools": { "mode": "auto", "tools": [{ "type": "function", "function": { "name": "g" } }] } } },
            { "tools": [{ "type": "function", "function": { "name": "f", "parameters": { "type": "object", "properties": { "a": { "enum": [] } }, "required": ["a"] } } }], "tool_choice": "required" },
            { "seed": 1.5 },
            { "messages": [] },
            { "messages": [{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "data:," } }] }] },
            { "messages": [{ "role": "user", "content": "a fox in the snow ".repeat(400) }] },
            { "model": "no-such-model" },
            { "model": "illustrator" },
        ]))?;
    let expected = [
        ("bad request", 400, "invalid_value", json!("n")),
        ("bad request", 400, "invalid_value", json!("frequency_penalty")),
        ("bad request", 400, "unknown_parameter", json!("temprature")),
        ("bad request", 400, "invalid_value", json!("temperature")),
        ("bad request", 400, "invalid_value", json!("temperature")),
        ("bad request", 400, "invalid_value", json!("max_tokens")),
        ("bad request", 400, "invalid_value", json!("top_logprobs")),
        ("bad request", 400, "invalid_value", json!("response_format")),
        ("bad request", 400, "invalid_value", json!("response_format")),
        ("bad request", 400, "unsupported_value", json!("response_format")),
        ("bad request", 400, "invalid_value", json!("tools")),
        ("bad request", 400, "invalid_value", json!("tool_choice")),
        ("bad request", 400, "invalid_value", json!("tools")),
        ("bad request", 400, "invalid_value", json!("tool_choice")),
        ("bad request", 400, "invalid_value", json!("tools")),
        ("bad request", 400, "invalid_type", json!("seed")),
        ("bad request", 400, "invalid_type", json!("messages")),
        ("bad request", 400, "invalid_value", json!("messages[0].content[0]")),
        ("bad request", 400, "context_length_exceeded", Value::Null),
        ("not found", 404, "model_not_found", json!("model")),
        ("bad request", 400, "model_not_supported", json!("model")),
        ("bad request", 400, "model_not_supported", json!("model")),
        ("bad request", 400, "invalid_value", json!("dimensions")),
        ("bad request", 400, "context_length_exceeded", Value::Null),
        ("bad request", 400, "invalid_value", json!("input")),
        ("bad request", 400, "invalid_value", json!("best_of")),
        ("bad request", 400, "invalid_value", json!("best_of")),
        ("bad request", 400, "unsupported_value", json!("suffix")),
        ("bad request", 400, "invalid_value", json!("prompt")),
        ("bad request", 400, "invalid_value", json!("prompt")),
        ("bad request", 400, "invalid_value", json!("prompt")),
        ("not found", 404, "unknown_url", Value::Null),
        ("not found", 404, "model_not_found", json!("model")),
        ("api", 405, "method_not_supported", Value::Null),
        ("raw", 400, "invalid_json", Value::Null),
    ];
    for (at, (kind, status, code, param)) in expected.iter().enumerate() {
        let told = &seen[at];
        ensure_that!(
            told[0] == *kind && told[1] == *status && told[2] == *code && told[3] == *param,
            "number {at} is {told}, not {kind} {status} {code} {param}"
        );
        ensure_that!(*kind == "raw" || told[4] == "invalid_request_error", "number {at} is of the type {}", told[4]);
    }
    ensure_that!(
        seen[2][5].as_str().is_some_and(|said| said.contains("temperature?")),
        "a slip is told so: {}",
        seen[2]
    );
    Ok(())
}

fn models(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("openai.js", models), nothing())?;
    let listed = super::strings(&seen["listed"]);
    let name = seen["name"].as_str().unwrap_or_default();
    for id in ["storyteller", "/fixtures/tiny_llama.gguf", name] {
        ensure_that!(listed.iter().any(|each| each == id), "{id:?} is not in {listed:?}");
    }
    ensure_that!(!listed.iter().any(|id| id == "illustrator"), "a model of pictures is listed: {listed:?}");
    ensure_that!(
        super::strings(&seen["after"]).len() + 1 == listed.len(),
        "an unloaded model is still listed: {}",
        seen["after"]
    );
    ensure_that!(
        seen["one"]["object"] == "model" && seen["one"]["id"] == "/fixtures/tiny_llama.gguf",
        "{}",
        seen["one"]
    );
    let completed = &seen["completed"];
    ensure_that!(
        completed["object"] == "text_completion" && completed["choices"][0]["text"] == seen["own"],
        "completed with {completed}, not {}",
        seen["own"]
    );
    let logprobs = &completed["choices"][0]["logprobs"];
    ensure_that!(
        logprobs["tokens"].as_array().is_some_and(|tokens| tokens.len() == 4)
            && logprobs["token_logprobs"][0].as_f64().is_some_and(|value| value <= 0.0),
        "log-probabilities: {logprobs}"
    );
    ensure_that!(
        seen["streamed"] == seen["named"],
        "a loaded file says {} here, {} there",
        seen["streamed"],
        seen["named"]
    );
    Ok(())
}

/// A chosen token's is the one that `score` gives it; those beside it come likeliest first.
fn logprobs(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("openai.js", logprobs), nothing())?;
    ensure_that!(seen["none"].is_null(), "log-probabilities come unasked: {}", seen["none"]);
    let content = seen["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    ensure_that!(content.len() == 5, "{} tokens have one", content.len());
    for (told, own) in content.iter().zip(seen["own"].as_array().into_iter().flatten()) {
        let near =
            |a: &Value, b: &Value| matches!((a.as_f64(), b.as_f64()), (Some(a), Some(b)) if (a - b).abs() < 1e-3);
        ensure_that!(told["token"] == own[0] && near(&told["logprob"], &own[1]), "{told} is not {own}");
        let token = told["token"].as_str().unwrap_or_default();
        ensure_that!(told["bytes"] == json!(token.as_bytes()), "the bytes of {token:?} are {}", told["bytes"]);
        let top = told["top_logprobs"].as_array().map(Vec::as_slice).unwrap_or_default();
        ensure_that!(
            top.len() == 3 && top.windows(2).all(|two| two[0]["logprob"].as_f64() >= two[1]["logprob"].as_f64()),
            "not the three likeliest: {top:?}"
        );
        ensure_that!(near(&top[0]["logprob"], &told["logprob"]), "greedy took another than the likeliest: {told}");
    }
    // Under a form: every token has one, none passed over because it had to come.
    let held = &seen["held"];
    let text = held["text"].as_str().unwrap_or_default();
    ensure_that!(text == "yes, it is so" && held["tokens"] == text, "of {text:?} these have one: {}", held["tokens"]);
    ensure_that!(held["count"] == held["spent"] && held["others"] == 0, "{held}");
    ensure_that!(seen["seeds"] == true, "seeds that differ by 2^32 say different things");
    Ok(())
}

/// What the template sees is compared with the ids that the same text has.
fn messages(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("openai.js", messages), json!([
            [{ "role": "developer", "content": [{ "type": "text", "text": "Be " }, { "type": "text", "text": "brief." }] }, { "role": "user", "content": "Hi", "name": "Ann" }],
            [
                { "role": "user", "content": "a" },
                { "role": "assistant", "content": null, "refusal": null, "tool_calls": [{ "id": "1", "type": "function", "function": { "name": "f", "arguments": "{\"b\": 1, \"a\": [2]}" } }] },
                { "role": "tool", "tool_call_id": "1", "content": "3" },
            ],
            [{ "role": "assistant", "tool_calls": [] }, { "role": "assistant", "content": [{ "type": "refusal", "refusal": "no" }] }, { "role": "user", "content": "b" }],
            [{ "role": "user", "content": "a" }, { "role": "assistant", "content": "x", "reasoning_content": "zzz" }, { "role": "user", "content": "b" }],
        ]))?;
    // On its way from here to the page the keys of an object were sorted; those inside the arguments' text were not.
    let expected = [
        "<system|Be brief.||||><user|Hi||Ann||>",
        "<user|a||||><assistant|||||[{\"function\": {\"arguments\": {\"b\": 1, \"a\": [2]}, \"name\": \"f\"}, \"id\": \"1\", \"type\": \"function\"}]><tool|3|||1|>",
        "<assistant|||||><assistant|no||||><user|b||||>",
        "<user|a||||><assistant|x|zzz|||><user|b||||>",
    ];
    for (at, text) in expected.iter().enumerate() {
        ensure_that!(seen[at] == json!([text, true]), "the template saw {}, not {text:?}", seen[at]);
    }
    Ok(())
}

fn own_words(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(
        script!("openai.js", ownWords),
        json!([
            { "messages": [{ "role": "user", "content": "a fox in the snow ".repeat(400) }] },
            { "chat_template_kwargs": { "enable_thinking": true } },
            { "chat_template_kwargs": { "enable_thinking": "yes" } },
            { "chat_template_kwargs": { "date": "now" } },
            { "chat_template_kwargs": { "messages": [] } },
        ]),
    )?;
    ensure_that!(seen["none"].is_null(), "{seen}");
    let expected: [&[&str]; 16] = [
        &["aborted "],
        &["bad-argument signal: signal must be an AbortSignal"],
        &["bad-argument timeout: ", "network"],
        &["bad-argument headers: ", "network"],
        &["bad-argument max_tokens: ", "signal alone"],
        &["bad-argument : ", "{ signal }"],
        &["bad-argument : The body of the request must be an object", "\"x\""],
        &["must be an object", "the array []"],
        &["must be an object", "null"],
        &["must be an object", "\"x\""],
        &["context-overflow : ", "shorten it by"],
        &["bad-argument chat_template_kwargs.enable_thinking: ", "does not read chat_template_kwargs.enable_thinking,"],
        &[
            "bad-argument chat_template_kwargs.enable_thinking: chat_template_kwargs.enable_thinking must be true or false",
        ],
        &["bad-argument chat_template_kwargs.date: ", "does not read chat_template_kwargs.date,"],
        &["bad-argument chat_template_kwargs: chat_template_kwargs cannot hold messages"],
        &["bad-argument chat_template_kwargs.when: ", "a Map"],
    ];
    let refused = super::strings(&seen["refused"]);
    ensure_that!(refused.len() == expected.len(), "{refused:#?}");
    for (said, parts) in refused.iter().zip(expected) {
        ensure_that!(parts.iter().all(|part| said.contains(part)), "{said:?} does not say {parts:?}");
        ensure_that!(["slide", "templateOptions"].iter().all(|ours| !said.contains(ours)), "words of ours: {said}");
    }
    Ok(())
}

fn file_names(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("openai.js", fileNames), nothing())?;
    ensure_that!(seen["found"] == json!([seen["own"], seen["own"]]) && seen["own"] != "", "{seen}");
    let listed = super::strings(&seen["listed"]);
    ensure_that!(listed.iter().filter(|id| *id == "my.gguf").count() == 1, "{listed:?}");
    ensure_that!(listed.iter().filter(|id| *id == "storyteller").count() == 1, "{listed:?}");
    ensure_that!(seen["hidden"] == false && seen["ambiguous"] == "nothing", "{seen}");
    Ok(())
}

fn several(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("openai.js", several), nothing())?;
    let numbered = |texts: &Value| -> Value {
        texts.as_array().into_iter().flatten().enumerate().map(|(at, text)| json!([at, text])).collect()
    };
    ensure_that!(seen["whole"] == numbered(&seen["alone"]), "{} are not {}", seen["whole"], seen["alone"]);
    ensure_that!(seen["streamed"] == seen["alone"], "the stream says {}", seen["streamed"]);
    ensure_that!(seen["both"] == numbered(&seen["each"]), "{} are not {}", seen["both"], seen["each"]);
    ensure_that!(seen["reasons"] == json!([[0, "length"], [1, "length"], [2, "length"]]), "{}", seen["reasons"]);
    let [whole, streamed] = [&seen["usage"][0], &seen["usage"][1]];
    ensure_that!(
        whole["completion_tokens"] == 18 && whole["prompt_tokens"] == streamed["prompt_tokens"],
        "{whole} and {streamed}"
    );
    let mut texts = super::strings(&seen["unseeded"]);
    texts.sort();
    texts.dedup();
    ensure_that!(texts.len() > 1, "four answers without a seed say the same: {texts:?}");
    Ok(())
}

fn likeliest(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("openai.js", likeliest), nothing())?;
    let means = super::strings(&seen["means"]);
    ensure_that!(seen["best"] == json!(means[..2]), "{} are not the best of {means:?}", seen["best"]);
    ensure_that!(seen["spent"] == 24, "four texts took {} tokens", seen["spent"]);
    let plain = seen["plain"].as_str().unwrap_or_default();
    ensure_that!(seen["echoed"]["text"] == format!("One day{plain}"), "{}", seen["echoed"]);
    let own = seen["own"].as_array().map(Vec::as_slice).unwrap_or_default();
    for told in [&seen["echoed"], &seen["scored"]] {
        let (tokens, logprobs) = (&told["logprobs"]["tokens"], &told["logprobs"]["token_logprobs"]);
        for (at, each) in own.iter().enumerate() {
            ensure_that!(
                tokens[at] == each[0] && logprobs[at] == each[1],
                "token {at} of the prompt is told as {} with {}, not {each}",
                tokens[at],
                logprobs[at]
            );
        }
    }
    ensure_that!(
        seen["scored"]["text"] == "One day" && seen["scored"]["finish_reason"] == "length",
        "{}",
        seen["scored"]
    );
    ensure_that!(
        seen["usage"]["completion_tokens"] == 0 && seen["usage"]["prompt_tokens"] == own.len(),
        "{}",
        seen["usage"]
    );
    Ok(())
}

fn penalties(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("openai.js", penalties), nothing())?;
    ensure_that!(seen["served"] == seen["own"], "{seen}");
    ensure_that!(
        seen["own"].as_array().is_some_and(|texts| texts.iter().all(|text| *text != seen["plain"])),
        "one of them changes nothing: {seen}"
    );
    Ok(())
}

fn embedded(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("openai.js", embedded), nothing())?;
    ensure_that!(seen["near"] == json!([true, true, true, true, true]), "{seen}");
    ensure_that!(
        seen["shape"] == json!(["list", [["embedding", 0], ["embedding", 1]], "/fixtures/encoders/bert.gguf"]),
        "{seen}"
    );
    ensure_that!(seen["usage"] == json!({ "prompt_tokens": 3, "total_tokens": 3 }), "{}", seen["usage"]);
    ensure_that!(seen["listed"] == true && seen["left"] == true, "{seen}");
    Ok(())
}

fn served(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("openai.js", served), nothing())?;
    ensure_that!(seen["own"] != "" && seen["whole"] == seen["own"] && seen["text"] == seen["own"], "{seen}");
    ensure_that!(seen["type"] == "text/event-stream; charset=utf-8" && seen["done"] == "[DONE]", "{seen}");
    ensure_that!(seen["listed"] == true && seen["theirs"] == "list" && seen["base"] == true, "{seen}");
    ensure_that!(seen["wrong"] == json!([404, "model_not_found"]), "{}", seen["wrong"]);
    ensure_that!(seen["given"] == "AbortError", "whoever gives up gets {}", seen["given"]);
    let waited = seen["waited"].as_array().map(Vec::as_slice).unwrap_or_default();
    ensure_that!(
        waited.len() == 2 && waited.iter().all(|ms| ms.as_f64().is_some_and(|ms| ms < 3000.0)),
        "behind a stream and a request that were given up the model was busy for {waited:?} ms"
    );
    let nobody = &seen["nobody"];
    ensure_that!(
        nobody[0] == 503 && nobody[1]["type"] == "server_error" && nobody[1]["code"] == "closed",
        "where nobody serves the answer is {nobody}"
    );
    Ok(())
}

fn closed(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("openai.js", closed), nothing())?;
    ensure_that!(seen["serves"] == json!(["serves", "serves", "serves"]), "{seen}");
    let last = seen["last"].as_str().unwrap_or_default();
    ensure_that!(last.starts_with("data: {\"error\":") && last.contains("was closed"), "the stream ends with {last:?}");
    ensure_that!(seen["other"] == "list" && seen["status"] == 503, "{seen}");
    Ok(())
}
