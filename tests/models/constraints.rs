//! Texts that are held to a form, on a real trained model (stories260K), on the CPU and on the GPU.

use pollster::block_on;
use serde_json::{Value, json};
use vitrine::{
    ErrorCode,
    backend::Device,
    cancel::Cancel,
    text::{Constraint, EndReason, GenerateOptions, GenerationStats, TextModel, TokenEvent},
};

use crate::generate::{on_each_device, stories};

on_each_device!(
    a_text_is_what_it_is_held_to_greedy_and_drawn,
    tokens_that_must_come_are_not_computed_one_by_one,
    a_text_that_is_whole_ends_and_one_that_is_cut_off_says_so,
    what_is_held_leaves_the_next_text_free,
    what_cannot_be_held_to_is_refused_before_anything_runs,
    a_way_that_is_wholly_banned_ends_with_words,
    an_abort_within_a_forced_run_leaves_the_model_usable,
    a_stop_within_a_forced_run_ends_the_text_there,
    an_expression_that_explodes_ends_with_words,
);

struct Held {
    events: Vec<TokenEvent>,
    end: EndReason,
    stats: GenerationStats,
}

impl Held {
    fn text(&self) -> String {
        self.events.iter().map(|event| event.text.as_str()).collect()
    }
}

fn held(model: &TextModel, options: GenerateOptions) -> Held {
    let mut generation = model.generate("Once upon a time", options, Cancel::new()).unwrap();
    let mut events = vec![];
    while let Some(event) = block_on(generation.next()).unwrap() {
        events.push(event);
    }
    Held { events, end: generation.end_reason().unwrap(), stats: generation.stats() }
}

fn constraint(json: Value) -> Option<Constraint> {
    Some(serde_json::from_value(json).unwrap())
}

fn to(constraint_json: Value) -> GenerateOptions {
    GenerateOptions { constraint: constraint(constraint_json), ..GenerateOptions::greedy(120) }
}

fn person() -> Value {
    json!({ "schema": {
        "type": "object",
        "properties": { "name": { "enum": ["Lily", "Tom"] }, "age": { "type": "integer", "minimum": 3, "maximum": 12 }, "happy": { "type": "boolean" } },
        "required": ["name", "age", "happy"],
        "additionalProperties": false,
    } })
}

fn a_text_is_what_it_is_held_to_greedy_and_drawn(device: &Device) {
    let Some(model) = stories(device) else { return };
    let is_person = |text: &str| {
        let told: Value = serde_json::from_str(text).unwrap();
        let age = told["age"].as_i64().unwrap();
        let named = ["Lily", "Tom"].contains(&told["name"].as_str().unwrap());
        named && (3..=12).contains(&age) && told["happy"].is_boolean() && told.as_object().unwrap().len() == 3
    };
    let is_date = |text: &str| text.len() == 10 && text.as_bytes()[4] == b'-' && text[..4].parse::<u32>().is_ok();
    let is_nest = |text: &str| {
        let half = text.len() / 2;
        text[..half].bytes().all(|b| b == b'(') && text[half..].bytes().all(|b| b == b')') && half > 0
    };
    let is_word = |text: &str| ["yes", "no", " perhaps"].contains(&text);
    let cases: [(Value, &dyn Fn(&str) -> bool); 5] = [
        (person(), &is_person),
        (json!({ "regex": r"\d{4}-\d\d-\d\d" }), &is_date),
        (json!({ "grammar": "start: \"(\" start? \")\"" }), &is_nest),
        (json!({ "grammar": "root ::= \"(\" root? \")\"" }), &is_nest),
        (json!({ "choice": ["yes", "no", " perhaps"] }), &is_word),
    ];
    for (form, fits) in cases {
        for seed in 0..3 {
            let drawn = GenerateOptions {
                temperature: if seed == 0 { 0.0 } else { 1.5 },
                seed: Some(seed),
                ..to(form.clone())
            };
            let held = held(&model, drawn);
            if held.end == EndReason::Length {
                // Parentheses may open for ever.
                assert!(held.text().bytes().all(|b| b == b'('), "{form}: {}", held.text());
                continue;
            }
            assert!(fits(&held.text()), "{form}: {:?}", held.text());
        }
    }
}

fn tokens_that_must_come_are_not_computed_one_by_one(device: &Device) {
    let Some(model) = stories(device) else { return };
    let quick = held(&model, to(person()));
    assert!(quick.stats.forced_tokens >= 8, "{:?}", quick.stats);
    let forced: Vec<bool> =
        quick.events.iter().filter(|event| event.token.is_some()).map(|event| event.forced).collect();
    assert_eq!(forced.iter().filter(|forced| **forced).count(), quick.stats.forced_tokens);
    assert!(
        quick.events.iter().all(|event| !event.forced || event.logprob.is_none() && event.drawn_logprob == Some(0.0))
    );
    // Whoever asks for alternatives is told of all tokens.
    let told = held(&model, GenerateOptions { alternatives: 3, ..to(person()) });
    assert_eq!(told.stats.forced_tokens, 0);
    assert!(told.events.iter().all(|event| event.token.is_none() || event.logprob.is_some()));
    assert!(serde_json::from_str::<Value>(&told.text()).is_ok());
    // What follows a forced run is computed from all of it: the same prompt with it already there goes on alike.
    let first = quick.events.iter().position(|event| !event.forced).unwrap();
    let begun: String = quick.events[..first].iter().map(|event| event.text.as_str()).collect();
    let ids: Vec<u32> = quick.events[..first].iter().filter_map(|event| event.token).collect();
    let prompt = model
        .tokenizer()
        .encode("Once upon a time", vitrine::text::EncodeOptions { add_special: true, parse_special: false })
        .unwrap();
    let whole: Vec<u32> = prompt.into_iter().chain(ids).collect();
    let mut after = model
        .generate_ids(&whole, GenerateOptions { alternatives: 20, ..GenerateOptions::greedy(1) }, Cancel::new())
        .unwrap();
    let after = block_on(after.next()).unwrap().unwrap();
    let chosen = &quick.events[first];
    let known = after.alternatives.iter().find(|known| Some(known.token) == chosen.token);
    if let Some(known) = known {
        assert!((known.logprob - chosen.logprob.unwrap()).abs() < 1e-3, "behind {begun:?}: {known:?}, {chosen:?}");
    }
}

fn a_text_that_is_whole_ends_and_one_that_is_cut_off_says_so(device: &Device) {
    let Some(model) = stories(device) else { return };
    assert_eq!(held(&model, to(person())).end, EndReason::Stop);
    let cut = held(&model, GenerateOptions { max_tokens: 5, ..to(person()) });
    assert_eq!((cut.end, cut.stats.generated_tokens), (EndReason::Length, 5));
    assert!(serde_json::from_str::<Value>(&cut.text()).is_err());
    // What may end and may go on ends where the model ends it, or where it has to.
    let open = held(&model, to(json!({ "regex": "[a-z]{1,3}" })));
    assert!((1..=3).contains(&open.text().len()), "{:?}", open.text());
}

fn what_is_held_leaves_the_next_text_free(device: &Device) {
    let Some(model) = stories(device) else { return };
    let free = held(&model, GenerateOptions::greedy(20)).text();
    held(&model, to(person()));
    assert_eq!(held(&model, GenerateOptions::greedy(20)).text(), free);
}

fn what_cannot_be_held_to_is_refused_before_anything_runs(device: &Device) {
    let Some(model) = stories(device) else { return };
    for (form, expected) in [
        (json!({ "schema": { "allOf": [{ "type": "null" }, { "type": "string" }] } }), "schema can be met by no text"),
        (json!({ "schema": { "$ref": "#" } }), "schema describes no JSON that ends"),
        (json!({ "regex": "(" }), "regex cannot be taken"),
        (json!({ "regex": "a", "choice": ["a"] }), "regex and choice both say"),
        (json!({ "grammar": "start: start \"a\"" }), "grammar describes no text that ends"),
        (json!({ "schemaFormat": {} }), "schemaFormat says how JSON"),
    ] {
        let error = model.generate("a", to(form.clone()), Cancel::new()).err().unwrap();
        assert_eq!(error.code(), ErrorCode::BadArgument);
        assert!(error.to_string().starts_with(expected), "{form}: {error}");
    }
    let both = GenerateOptions { prompt_lookup: 3, ..to(json!({ "regex": "a" })) };
    let error = model.generate("a", both, Cancel::new()).err().unwrap();
    assert!(error.to_string().contains("promptLookup computes several tokens at once, and regex"), "{error}");
}

fn a_way_that_is_wholly_banned_ends_with_words(device: &Device) {
    let Some(model) = stories(device) else { return };
    let banned = GenerateOptions { ban: vec!["yes".into(), "no".into()], ..to(json!({ "choice": ["yes", "no"] })) };
    let mut generation = model.generate("a", banned, Cancel::new()).unwrap();
    let error = loop {
        match block_on(generation.next()) {
            Ok(event) => assert!(event.is_some(), "it ended without a word"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), ErrorCode::BadArgument);
    assert!(error.to_string().contains("banned"), "{error}");
    assert_eq!(held(&model, to(json!({ "choice": ["yes"] }))).text(), "yes");
}

fn an_abort_within_a_forced_run_leaves_the_model_usable(device: &Device) {
    let Some(model) = stories(device) else { return };
    let expected = held(&model, to(person())).text();
    let cancel = Cancel::new();
    let mut generation = model.generate("Once upon a time", to(person()), cancel.clone()).unwrap();
    let first = block_on(generation.next()).unwrap().unwrap();
    assert!(first.forced);
    cancel.cancel();
    while block_on(generation.next()).unwrap().is_some() {}
    assert_eq!(generation.end_reason(), Some(EndReason::Aborted));
    drop(generation);
    assert_eq!(held(&model, to(person())).text(), expected);
}

fn a_stop_within_a_forced_run_ends_the_text_there(device: &Device) {
    let Some(model) = stories(device) else { return };
    let free = held(&model, GenerateOptions::greedy(20)).text();
    for (stop, expected) in [("name", "{\""), ("me\": \"", "{\"na"), ("happy", "")] {
        let stopped = held(&model, GenerateOptions { stop: vec![stop.into()], ..to(person()) });
        let text = stopped.text();
        assert_eq!(stopped.end, EndReason::Stop, "{text}");
        assert!(expected.is_empty() && text.ends_with("\"") || text == expected, "{stop}: {text}");
        // What was forced behind the stop is of no text.
        assert_eq!(held(&model, GenerateOptions::greedy(20)).text(), free);
    }
}

fn an_expression_that_explodes_ends_with_words(device: &Device) {
    let Some(model) = stories(device) else { return };
    for form in [json!({ "regex": "(.{1,900}){1,900}" }), json!({ "grammar": "root ::= (\"a\"{2000}){2000}" })] {
        let error = model.generate("a", to(form.clone()), Cancel::new()).and_then(|mut generation| {
            while block_on(generation.next())?.is_some() {}
            Ok(())
        });
        let error = error.unwrap_err();
        assert_eq!(error.code(), ErrorCode::BadArgument);
        assert!(error.to_string().contains("takes more computing than a token may"), "{form}: {error}");
    }
    assert_eq!(held(&model, to(json!({ "choice": ["yes"] }))).text(), "yes");
}
