//! Functions that a model calls: how each family writes its calls, and chats that run them. The models know their answers by heart
//! (`scripted` in `common.js`), so that all of the way from tokens to results is the engine's own.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Test, Visit, ensure_that, nothing, script};

pub const TESTS: &[Test] = &[
    Test::new("calls_of_every_format_are_told_as_soon_as_they_are_whole", divided),
    Test::new("arguments_are_held_to_the_schema_of_their_function", misfits),
    Test::new("a_model_calls_functions_and_answers_from_what_they_say", answered).everywhere(),
    Test::new("what_is_wrong_with_a_call_is_told_to_the_model_and_the_page", faults),
    Test::new("a_chat_ends_while_a_function_runs_and_refuses_what_does_not_go_with_its_tools", ended),
    Test::new("a_call_may_be_forced_or_forbidden_and_hidden_marks_are_read", forced),
    Test::new("a_template_without_tools_is_told_of_them_in_words", spelled),
    Test::new("a_conversation_runs_functions_and_keeps_what_they_come_to", conversed),
];

/// An answer and what it is divided into: the text, the calls, and how many of them are told before the end.
struct Divided(&'static str, &'static str, &'static str, Value, usize);

#[rustfmt::skip]
fn answers() -> Vec<Divided> {
    vec![
        Divided("hermes", "Plain <b>words</b>, 3 < 4.", "Plain <b>words</b>, 3 < 4.", json!([]), 0),
        Divided("hermes", "So:\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"}</tool_call>\"}}\n</tool_call>", "So:", json!([["f", { "a": "}</tool_call>" }]]), 1),
        Divided("hermes", "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n<tool_call>{\"arguments\":{\"b\":[1]},\"name\":\"add\"}</tool_call>\nDone.", "Done.", json!([["f", {}], ["add", { "b": [1] }]]), 2),
        Divided("hermes", "<tool_call>[{\"name\": \"f\", \"arguments\": {\"a\": 1}}, {\"name\": \"add\", \"arguments\": \"{\\\"b\\\": 2}\"}]</tool_call>", "", json!([["f", { "a": 1 }], ["add", { "b": 2 }]]), 2),
        Divided("hermes", "<tool_call>{'name': 'f', 'arguments': {'a': True, 'b': None}}", "", json!([["f", { "a": true, "b": null }]]), 1),
        Divided("hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}</tool_call> Oh.", "Oh.", json!([["f", "broken"]]), 1),
        Divided("hermes", "<tool_call>f please</tool_call>!", "!", json!([[null, "broken"]]), 1),
        Divided("hermes", "<tool_call>{\"name\": \"f\", \"argu", "", json!([["f", "broken"]]), 0),
        Divided("hermes", "<think>\nI <tool_call> f?\n</think>\n\n<tool_call>{\"name\": \"f\"}</tool_call>", "<think>\nI <tool_call> f?\n</think>", json!([["f", {}]]), 1),
        Divided("hermes", "ends with <tool_", "ends with <tool_", json!([]), 0),
        Divided("llama", "{\"name\": \"f\", \"parameters\": {\"a\": \"x\"}}", "", json!([["f", { "a": "x" }]]), 1),
        Divided("llama", " {\"name\": \"f\", \"parameters\": {}}; {\"type\": \"function\", \"name\": \"add\", \"parameters\": {\"b\": 1}}", "", json!([["f", {}], ["add", { "b": 1 }]]), 2),
        Divided("llama", "<|python_tag|>{\"name\": \"f\", \"parameters\": {\"a\": 1}}", "", json!([["f", { "a": 1 }]]), 1),
        Divided("llama", "<|python_tag|>weather.call(city=\"Bern, (CH)\")", "", json!([["weather", { "city": "Bern, (CH)" }]]), 1),
        Divided("llama", "[f(a=1, b='it\\'s', c=[True, -2.5e1]), add(3, b={\"k\": None})]", "", json!([["f", { "a": 1, "b": "it's", "c": [true, -25] }], ["add", { "b": { "k": null } }, 3]]), 2),
        Divided("llama", "<|python_start|>[f()]<|python_end|>", "", json!([["f", {}]]), 1),
        Divided("llama", "{\"answer\": 42}", "{\"answer\": 42}", json!([]), 0),
        Divided("llama", "[1, 2] are numbers, [f(1)] is none.", "[1, 2] are numbers, [f(1)] is none.", json!([]), 0),
        Divided("llama", "{\"name\": \"f\", \"parameters\": {oops}}", "", json!([["f", "broken"]]), 1),
        Divided("llama", "Sure: {\"name\": \"f\"}", "Sure: {\"name\": \"f\"}", json!([]), 0),
        Divided("mistral", "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"a\": 1}}, {\"name\": \"add\", \"arguments\": {}, \"id\": \"abcdefghi\"}]", "", json!([["f", { "a": 1 }], ["add", {}]]), 2),
        Divided("mistral", "Hm.[TOOL_CALLS]weather[ARGS]{\"city\": \"Bern\"}[TOOL_CALLS]f[CALL_ID]abcdefghi[ARGS]{}", "Hm.", json!([["weather", { "city": "Bern" }], ["f", {}]]), 2),
        Divided("mistral", "[TOOL_CALLS]weather{\"city\": \"Bern\"}", "", json!([["weather", { "city": "Bern" }]]), 1),
        Divided("granite", "<|tool_call|>[{\"name\": \"f\", \"arguments\": {\"a\": 1}}]<|/tool_call|>", "", json!([["f", { "a": 1 }]]), 1),
        Divided("lfm2", "<|tool_call_start|>[weather(city=\"Bern\"), f()]<|tool_call_end|>I look.", "I look.", json!([["weather", { "city": "Bern" }], ["f", {}]]), 2),
    ]
}

fn divided(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let answers = answers();
    let asked: Vec<Value> = answers.iter().map(|each| json!({ "format": each.0, "answer": each.1 })).collect();
    let seen = visit.call(script!("tools.js", divided), json!(asked))?;
    for (at, Divided(format, answer, text, calls, early)) in answers.iter().enumerate() {
        let told = &seen[at];
        ensure_that!(
            told["text"] == *text && told["calls"] == *calls && told["same"] == true && told["early"] == *early,
            "{format} {answer:?} is {told}"
        );
    }
    let inside = visit.call(
        script!("tools.js", divided),
        json!([{ "format": "hermes", "thinking": true, "answer": "<tool_call>no</think><tool_call>{\"name\": \"f\"}" }]),
    )?;
    ensure_that!(inside[0]["text"] == "<tool_call>no</think>" && inside[0]["calls"] == json!([["f", {}]]), "{inside}");
    Ok(())
}

fn misfits(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let object = json!({
        "type": "object",
        "properties": {
            "city": { "type": "string", "minLength": 2, "pattern": "^[A-Z]" },
            "days": { "type": ["integer", "null"], "minimum": 1, "maximum": 7 },
            "unit": { "enum": ["C", "F"] },
            "places": { "type": "array", "items": { "$ref": "#/$defs/place" }, "maxItems": 2 },
            "either": { "anyOf": [{ "type": "string" }, { "type": "boolean" }] },
        },
        "required": ["city"],
        "additionalProperties": false,
        "$defs": { "place": { "type": "object", "properties": { "at": { "type": "number" } }, "required": ["at"] } },
    });
    let values = [
        (json!({ "city": "Bern", "days": null, "unit": "C", "places": [{ "at": 1.5 }], "either": false }), ""),
        (json!({ "days": 1 }), "it must have city"),
        (json!({ "city": 5 }), "it.city must be of the type string, not 5"),
        (json!({ "city": "B" }), "it.city must have a length of at least 2"),
        (json!({ "city": "bern" }), "it.city must match"),
        (json!({ "city": "Bern", "days": 1.5 }), "it.days must be of the type integer or null"),
        (json!({ "city": "Bern", "days": 8 }), "it.days must be at most 7"),
        (json!({ "city": "Bern", "unit": "K" }), "it.unit must be one of \"C\", \"F\""),
        (json!({ "city": "Bern", "places": [{}] }), "it.places[0] must have at"),
        (json!({ "city": "Bern", "places": [{ "at": 1 }, { "at": 2 }, { "at": 3 }] }), "at most so many items: 2"),
        (json!({ "city": "Bern", "either": 5 }), "it.either must be of the type string"),
        (json!({ "city": "Bern", "town": 1 }), "it must not have town"),
    ];
    let mut pairs: Vec<Value> = values.iter().map(|(value, _)| json!([object, value])).collect();
    pairs.push(json!([{ "$ref": "#" }, 1]));
    let seen = visit.call(script!("tools.js", misfits), json!(pairs))?;
    for (at, (value, expected)) in values.iter().enumerate() {
        let said = seen[at].as_str().unwrap_or_default();
        ensure_that!(
            said.contains(expected) && said.is_empty() == expected.is_empty(),
            "{value} is answered by {said:?}"
        );
    }
    ensure_that!(seen[values.len()].as_str().is_some_and(|said| said.contains("too deep")), "{seen}");
    Ok(())
}

fn answered(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("tools.js", answered), nothing())?;
    let ran = &seen["ran"];
    ensure_that!(ran["text"] == "I look.Bern is sunny, and so is Basel.", "{ran}");
    ensure_that!(seen["most"] == 2, "calls of one answer ran {} at once", seen["most"]);
    ensure_that!(
        seen["asked"] == json!([[{ "city": "Bern" }, true], [{ "city": "Basel", "days": 2 }, true]]),
        "{}",
        seen["asked"]
    );
    let steps = ran["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    ensure_that!(steps.len() == 3 && steps[0]["calls"][0]["name"] == "weather", "{steps:?}");
    ensure_that!(
        steps[2]["results"][0]["content"] == "sunny" && steps[2]["results"][1]["content"] == "{\"sky\":\"sunny\"}",
        "{}",
        steps[2]
    );
    let summary = &ran["summary"];
    let roles: Vec<_> = summary["messages"].as_array().into_iter().flatten().map(|turn| turn["role"].clone()).collect();
    ensure_that!(
        summary["rounds"] == 2 && json!(roles) == json!(["assistant", "tool", "tool", "assistant"]),
        "{summary}"
    );
    ensure_that!(summary["calls"].as_array().is_some_and(|calls| calls.len() == 2), "{summary}");
    let told = &seen["told"];
    ensure_that!(told["text"] == "I look." && told["summary"]["rounds"] == 1, "{told}");
    ensure_that!(seen["byHand"] == "Bern is sunny, and so is Basel.", "{}", seen["byHand"]);
    let prompt = seen["prompt"].as_str().unwrap_or_default();
    ensure_that!(
        prompt.contains("\"type\": \"function\"")
            && prompt.contains("weather {\"city\": \"Bern\"}")
            && prompt.ends_with("<tool>sunny<tool>sunny"),
        "the template shows {prompt}"
    );
    ensure_that!(seen["format"] == true, "the model tells another template than its own");
    Ok(())
}

fn faults(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("tools.js", faults), nothing())?;
    let all = &seen["all"];
    ensure_that!(all["text"] == "I give up." && all["summary"]["rounds"] == 6, "{all}");
    let expected = [
        ("unreadable", "Write it again"),
        ("unknown-tool", "did you mean weather?"),
        ("bad-arguments", "arguments must have city"),
        ("tool-failed", "no such station"),
        ("tool-timeout", "within 50 ms"),
    ];
    let faults = all["summary"]["faults"].as_array().map(Vec::as_slice).unwrap_or_default();
    ensure_that!(faults.len() == expected.len(), "{faults:?}");
    let messages = all["summary"]["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let told: Vec<&str> =
        messages.iter().filter(|turn| turn["role"] == "tool").filter_map(|turn| turn["content"].as_str()).collect();
    for ((fault, (code, words)), content) in faults.iter().zip(expected).zip(told) {
        ensure_that!(
            fault["code"] == code && fault["message"].as_str().is_some_and(|said| said.contains(words)),
            "{fault}"
        );
        ensure_that!(content.starts_with("Error: ") && content.contains(words), "the model is told {content:?}");
    }
    ensure_that!(seen["late"] == true, "a function that is late is not told");
    let few = &seen["few"]["summary"];
    ensure_that!(
        few["rounds"] == 2
            && few["faults"]
                .as_array()
                .and_then(|all| all.last())
                .is_some_and(|last| last["code"] == "too-many-rounds"),
        "{few}"
    );
    Ok(())
}

fn ended(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("tools.js", ended), nothing())?;
    ensure_that!(seen["aborted"].as_str().is_some_and(|said| said.starts_with("aborted: ")), "{}", seen["aborted"]);
    ensure_that!(seen["stopped"] == 2 && seen["pending"] == "done" && seen["free"] != "", "{seen}");
    let expected = [
        "tools[0] has no name",
        "Two tools are called weather",
        "has no run",
        "tools[0].run is no function",
        "maxRounds is for tools that are run here",
        "maxRounds is 0",
        "toolChoice names forecast",
        "toolChoice is about the calls of tools",
        "toolTimeout is about the calls of tools",
        "toolChoice must be",
        "toolFormat must be",
    ];
    let refused = super::strings(&seen["refused"]);
    ensure_that!(refused.len() == expected.len(), "{refused:#?}");
    for (said, part) in refused.iter().zip(expected) {
        ensure_that!(said.starts_with("bad-argument: ") && said.contains(part), "{said:?} does not say {part:?}");
    }
    Ok(())
}

fn forced(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("tools.js", forced), nothing())?;
    let named = seen["named"].as_array().map(Vec::as_slice).unwrap_or_default();
    let whole = json!(["", [["weather", true, true]], []]);
    ensure_that!(named.len() == 5 && named.iter().all(|each| *each == whole), "calls that must come are {named:?}");
    ensure_that!(seen["required"] == 1, "of two functions one must be called, and {} are", seen["required"]);
    ensure_that!(seen["referred"] == json!([["add", { "a": 17 }]]), "{}", seen["referred"]);
    let never = seen["never"].as_str().unwrap_or_default();
    ensure_that!(
        never.starts_with("bad-argument: A call of add cannot be held") && never.contains("no JSON that ends"),
        "{never}"
    );
    let at = &seen["spelled"][0][1];
    ensure_that!(
        seen["spelled"] == json!([[true, at, true, {}]])
            && at.as_array().is_some_and(|at| at.len() == 2 && at.iter().all(|each| *each == 1 || *each == 2)),
        "in Python's spelling: {}",
        seen["spelled"]
    );
    ensure_that!(
        seen["unspelled"]
            .as_str()
            .is_some_and(|said| said.starts_with("bad-argument: A call of add cannot be held")
                && said.contains("a-b is required")),
        "{}",
        seen["unspelled"]
    );
    ensure_that!(seen["behind"] == json!([[1, 0], [1, 0]]), "behind a name and a mark: {}", seen["behind"]);
    ensure_that!(seen["choices"] == json!([["No call.", [], []], ["No call.", null, null]]), "{}", seen["choices"]);
    ensure_that!(seen["alone"] == json!([["Ulm"], "stop"]), "{}", seen["alone"]);
    ensure_that!(
        seen["held"].as_str().is_some_and(|said| said.starts_with("bad-argument: choice goes with no tools")),
        "{seen}"
    );
    ensure_that!(seen["mistral"] == json!(["So:", [["weather", { "city": "Genf" }]]]), "{}", seen["mistral"]);
    ensure_that!(seen["hidden"] == json!(["[TOOL_CALLS]", "[ARGS]"]), "{}", seen["hidden"]);
    ensure_that!(seen["raw"] == "So:\nweather{\"city\": \"Genf\"}", "without tools the text is {}", seen["raw"]);
    Ok(())
}

fn spelled(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("tools.js", spelled), nothing())?;
    ensure_that!(seen["text"] == "It is sunny." && seen["rounds"] == 2, "{seen}");
    let turns = seen["turns"].as_str().unwrap_or_default();
    for part in [
        "<system>Be brief.\n\nYou can call functions.",
        "{\"name\":\"weather\",",
        "<assistant><tool_call>\n{\"name\":\"weather\",\"arguments\":{\"city\":\"Bern\"}}\n</tool_call><user><tool_response>\nsunny\n</tool_response><assistant>It is sunny.",
    ] {
        ensure_that!(turns.contains(part), "{turns:?} does not hold {part:?}");
    }
    Ok(())
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn roles(messages: &Value) -> Vec<&str> {
    let all = messages.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().map(|message| message["role"].as_str().unwrap_or_default()).collect()
}

fn conversed(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("tools.js", conversed), nothing())?;
    ensure_that!(seen["text"] == "I look.It is sunny." && seen["summary"]["rounds"] == 2, "{}", seen["summary"]);
    let whole = ["system", "user", "assistant", "tool", "assistant"];
    let messages = &seen["messages"];
    ensure_that!(roles(messages) == whole && messages[4]["content"] == "It is sunny.", "{messages}");
    let call = &messages[2]["tool_calls"][0];
    ensure_that!(messages[2]["content"] == "I look." && call["function"]["name"] == "weather", "{messages}");
    let result =
        json!({ "role": "tool", "tool_call_id": call["id"], "name": "weather", "content": "{\"sky\":\"sunny\"}" });
    ensure_that!(messages[3] == result, "{messages}");
    // What was read stands there at once: the words with the call, and the result as soon as it is told.
    let grown = json!([{ "messages": 3, "results": null }, { "results": ["{\"sky\":\"sunny\"}"], "messages": 4 }]);
    ensure_that!(seen["grown"] == grown, "{}", seen["grown"]);
    for turn in ["second", "forked"] {
        ensure_that!(seen[turn]["text"] == "It is sunny.", "{turn}: {}", seen[turn]);
        let (reused, prompt) = (number(&seen[turn]["reusedTokens"]), number(&seen[turn]["promptTokens"]));
        ensure_that!(prompt < reused + 80 && reused > 200, "{turn}: {reused} of {prompt} tokens were there");
    }
    ensure_that!(seen["anew"] == json!([&whole[..], &["user", "assistant"][..]].concat()), "{}", seen["anew"]);

    for name in ["left", "once"] {
        let messages = &seen[name];
        ensure_that!(roles(messages) == ["system", "user", "assistant"], "{name}: {messages}");
        ensure_that!(messages[2] == json!({ "role": "assistant", "content": "I look." }), "{name}: {messages}");
    }
    ensure_that!(seen["few"]["faults"][0]["code"] == "too-many-rounds", "{}", seen["few"]);
    ensure_that!(seen["failed"]["faults"][0]["code"] == "tool-failed", "{}", seen["failed"]);
    let told = seen["failing"][3]["content"].as_str().unwrap_or_default();
    ensure_that!(told.contains("no such station") && seen["failing"][4]["content"] == "It is sunny.", "{seen}");
    ensure_that!(seen["handed"]["text"] == "It is sunny." && roles(&seen["byHand"]) == whole, "{}", seen["byHand"]);

    let without = seen["without"].as_str().unwrap_or_default();
    ensure_that!(without.starts_with("bad-argument: ") && without.contains("weather"), "{without}");
    let restored = &seen["restored"];
    ensure_that!(roles(&restored["messages"])[..5] == whole, "{restored}");
    for what in ["text", "reusedTokens", "promptTokens"] {
        let (answer, unsaved) = (&restored["answer"][what], &restored["unsaved"][what]);
        ensure_that!(answer == unsaved && !answer.is_null(), "{what}: {answer} was {unsaved}");
        let (back, unsaved) = (&seen["back"][what], &seen["unsaved"][what]);
        ensure_that!(back == unsaved && !back.is_null(), "told in words, {what}: {back} was {unsaved}");
    }
    ensure_that!(number(&seen["back"]["reusedTokens"]) > 100, "{}", seen["back"]);
    let (fewer, all) = (&seen["toolless"]["promptTokens"], &restored["answer"]["promptTokens"]);
    ensure_that!(number(fewer) + 40 < number(all), "the model still hears of tools: {fewer} and {all} tokens");
    Ok(())
}
