//! Conversations as a page holds them: in turns on one model, changed, left in the middle, outgrown, saved and restored in another page; and prompt templates.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Test, Visit, ensure_that, nothing, script, strings};
use crate::browser::Gpu;

pub const TESTS: &[Test] = &[
    Test::new("two_conversations_in_turns_each_go_on_where_they_ended", in_turns),
    Test::new("a_conversation_is_forked_edited_and_answered_anew_and_survives_an_answer_that_is_left", changes),
    Test::new("where_a_conversation_outgrows_the_context_whole_turns_leave", outgrown),
    Test::new("a_saved_conversation_goes_on_in_another_page_as_if_nothing_had_been", |visit| saved(visit, "cpu")),
    Test::new("a_saved_conversation_goes_on_on_webgpu", |visit| saved(visit, "webgpu")).on(Gpu::SwiftShader),
    Test::new("a_kept_conversation_is_one_tabs_alone_and_survives_a_full_disk", kept),
    Test::new("prompt_templates_are_kept_filled_and_refused_by_the_names_of_slots", templates),
];

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn in_turns(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("conversation.js", inTurns), nothing())?;
    let turns = seen["turns"].as_array().map(Vec::as_slice).unwrap_or_default();
    ensure_that!(turns.len() == 6, "{seen}");
    for (at, turn) in turns.iter().enumerate() {
        let answer = &turn["answer"];
        ensure_that!(answer["text"] == turn["anew"] && answer["text"] != "", "turn {at}: {turn}");
        if at < 2 {
            continue;
        }
        // All of the turn before, but what a template or a tokenizer may see otherwise at its end.
        let known = number(&turns[at - 2]["answer"]["promptTokens"]);
        let reused = number(&answer["reusedTokens"]);
        ensure_that!(
            reused + 1 >= known,
            "turn {at} goes on from {reused} tokens, and {known} were computed: {answer}"
        );
    }
    for messages in seen["messages"].as_array().into_iter().flatten() {
        let roles: Vec<_> = messages.as_array().into_iter().flatten().map(|message| &message["role"]).collect();
        ensure_that!(roles == ["system", "user", "assistant", "user", "assistant", "user", "assistant"], "{roles:?}");
    }
    Ok(())
}

fn changes(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("conversation.js", changes), nothing())?;
    let text = |name: &str| seen[name]["text"].as_str().unwrap_or_default().to_owned();
    ensure_that!(text("first") == text("same") && !text("first").is_empty(), "one seed, two texts: {seen}");
    ensure_that!(text("again") != text("first"), "an answer given anew is the same: {seen}");
    ensure_that!(
        number(&seen["again"]["reusedTokens"]) + 1 >= number(&seen["again"]["promptTokens"]),
        "{}",
        seen["again"]
    );
    ensure_that!(seen["joined"] == json!(text("again") + &text("longer")), "{}", seen["joined"]);
    ensure_that!(seen["forked"][1]["content"] == json!(text("first")), "the fork has {}", seen["forked"]);
    ensure_that!(seen["left"].as_array().map(Vec::len) == Some(3), "{} left", seen["left"]);
    ensure_that!(seen["edited"] == json!([{ "role": "user", "content": "A bird in a tree." }]), "{}", seen["edited"]);
    ensure_that!(!text("answered").is_empty(), "the edited turn is not answered: {seen}");
    for end in seen["ended"].as_array().into_iter().flatten() {
        let busy = strings(&end["busy"]);
        ensure_that!(busy.iter().take(2).all(|said| said.contains("stop()")) && end["busy"][2] == true, "{end}");
        let wanted = if end["way"] == "aborted" { "aborted" } else { "ended" };
        ensure_that!(end["end"] == wanted, "{end}");
        ensure_that!(end["messages"][1]["content"] == end["read"] && end["read"] != "", "what was read is lost: {end}");
        ensure_that!(end["answering"] == false && number(&end["after"]["generatedTokens"]) > 0, "{end}");
        ensure_that!(number(&end["turns"]) >= 3, "{end}");
    }
    ensure_that!(seen["ended"].as_array().map(Vec::len) == Some(3), "{seen}");
    let odd = &seen["odd"];
    for (name, words) in [
        ("nothing", "Call send first"),
        ("unanswered", "not an answer"),
        ("wrong", "not 5"),
        ("option", "temperature"),
        ("at", "no message 7"),
        ("two", "system"),
        ("signal", "give it to send"),
    ] {
        let said = odd[name].as_str().unwrap_or_default();
        ensure_that!(said.starts_with("bad-argument: ") && said.contains(words), "{name}: {said}");
    }
    ensure_that!(odd["sent"] == json!(["user undefined", "tool f", "user undefined"]), "{}", odd["sent"]);
    ensure_that!(odd["kept"].as_array().map(Vec::len) == Some(1) && odd["range"] == "bad-argument", "{odd}");
    Ok(())
}

fn outgrown(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("conversation.js", outgrown), nothing())?;
    let steps = seen["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut dropped = 0;
    for step in steps {
        let left = step["answer"]["dropped"].as_array().map(Vec::as_slice).unwrap_or_default();
        // Whole turns: a question and its answer.
        ensure_that!(left.is_empty() || left[0]["role"] == "user" && left.len() % 2 == 0, "{left:?} left");
        dropped += left.len() as u64;
        ensure_that!(number(&step["dropped"]) == dropped, "{step}");
        ensure_that!(left.is_empty() || number(&step["prompt"]) <= 80, "more than half of the context is left: {step}");
        ensure_that!(number(&step["prompt"]) <= 144 && step["answer"]["text"] != "", "{step}");
    }
    ensure_that!(steps.len() == 8 && dropped >= 4, "{seen}");
    ensure_that!(seen["messages"].as_array().map(Vec::len) == Some(17), "a turn is lost: {}", seen["messages"]);
    let refused = seen["refused"].as_str().unwrap_or_default();
    ensure_that!(refused.starts_with("context-overflow: ") && seen["kept"] == 18, "{refused}");
    ensure_that!(seen["slid"]["text"] != "", "{}", seen["slid"]);
    Ok(())
}

fn saved(visit: &Visit, device: &str) -> Result<()> {
    visit.blank()?;
    let before = visit.call(script!("conversation.js", saves), json!(device))?;
    visit.session.reload()?;
    let seen = visit.call(script!("conversation.js", restores), json!(device))?;
    for what in ["text", "numbers", "reused", "prompt", "seed"] {
        ensure_that!(seen[what] == before[what], "{what}: {} was {}", seen[what], before[what]);
    }
    ensure_that!(
        before["text"] != "" && number(&before["reused"]) > 10 && number(&before["bytes"]) > 10_000,
        "{before}"
    );
    ensure_that!(seen["first"].as_array().map(Vec::len) == Some(3) && seen["words"] == seen["first"], "{seen}");
    for (name, words) in [
        ("other", "bad-argument: the conversation was held with"),
        ("damaged", "corrupt-file: "),
        ("cut", "corrupt-file: "),
        ("none", "bad-argument: this is no saved conversation"),
        ("noBlob", "bad-argument: restore takes the Blob"),
        ("unknown", "bad-argument: \"force\""),
    ] {
        let said = seen["refused"][name].as_str().unwrap_or_default();
        ensure_that!(said.to_lowercase().starts_with(&words.to_lowercase()), "{name}: {said}");
    }
    ensure_that!(seen["after"] == 3, "{seen}");
    Ok(())
}

fn kept(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("conversation.js", keeps), nothing())?;
    let says = |said: &Value, words: &str| said.as_str().is_some_and(|said| said.contains(words));
    ensure_that!(seen["nothing"] == true && says(&seen["twice"], "storage: "), "{seen}");
    for what in ["open", "delete"] {
        ensure_that!(says(&seen["other"][what], "storage: ") && says(&seen["other"][what], "another tab"), "{seen}");
        ensure_that!(seen["after"][what] == "nothing", "{what}: {}", seen["after"]);
    }
    ensure_that!(seen["listed"][0]["name"] == "the sky / a fox" && seen["other"]["list"] == 1, "{}", seen["listed"]);
    ensure_that!(number(&seen["listed"][0]["bytes"]) > 10_000, "{}", seen["listed"]);
    ensure_that!(says(&seen["closed"], "closed: ") && says(&seen["unnamed"], "bad-argument: "), "{seen}");

    visit.session.reload()?;
    let quota = |size: Value| visit.session.devtools("Storage.overrideQuotaForOrigin", size);
    quota(json!({ "origin": visit.address, "quotaSize": 1 }))?;
    let vain = visit.call(script!("conversation.js", keepsInVain), nothing())?;
    quota(json!({ "origin": visit.address }))?;
    ensure_that!(says(&vain["full"], "storage: ") && says(&vain["full"], "full"), "a full disk says {}", vain["full"]);
    ensure_that!(vain["length"] == 4, "{vain}");

    visit.session.reload()?;
    let still = visit.call(script!("conversation.js", keptStill), nothing())?;
    ensure_that!(still["messages"] == seen["messages"], "what was kept is {}", still["messages"]);
    ensure_that!(still["deleted"] == json!([true, false]) && still["left"] == 0, "{still}");
    Ok(())
}

fn templates(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("conversation.js", templates), nothing())?;
    ensure_that!(seen["listed"] == json!(["a 1", "qa 1", "qa 3"]), "{}", seen["listed"]);
    let filled = |reasoning: &str, topic: &str| {
        json!([
            { "role": "system", "content": format!("You know all about {topic}.") },
            { "role": "user", "content": format!("Q: what is {topic}?") },
            { "role": "assistant", "content": format!("A: {reasoning} A thing.") },
            { "role": "user", "content": "Q: Why? (short)" },
        ])
    };
    // What fills a slot is not filled itself.
    ensure_that!(seen["filled"] == filled("Let me think.", "{{tone}} foxes"), "{}", seen["filled"]);
    ensure_that!(seen["plain"] == filled("", "foxes"), "{}", seen["plain"]);
    ensure_that!(seen["deleted"] == json!([1, 1, 0]) && seen["imported"] == 2, "{seen}");
    for (name, words) in [
        ("missing", "needs the slot question"),
        ("unknown", "no slot \"qestion\". Did you mean question?"),
        ("unused", "{{voice}}"),
        ("silent", "{{reasoning}}"),
        ("field", "Did you mean prompt?"),
        ("again", "version 4"),
        ("version", "it has 1, 3"),
        ("name", "no prompt template \"qb\""),
        ("json", "no JSON"),
        ("half", "version"),
        ("format", "format 2"),
    ] {
        let said = seen["refused"][name].as_str().unwrap_or_default();
        ensure_that!(said.starts_with("bad-argument: ") && said.contains(words), "{name}: {said}");
    }
    ensure_that!(seen["full"].as_str().is_some_and(|said| said.starts_with("storage: ")), "{}", seen["full"]);
    ensure_that!(seen["kept"] == json!(["a 1", "qa 1", "qa 3"]), "{}", seen["kept"]);
    let asked = |at: usize| &seen["messages"][at]["content"];
    ensure_that!(*asked(3) == "foxes short: Why?" && *asked(5) == "foxes long: When?", "{}", seen["messages"]);
    ensure_that!(seen["wrong"].as_str().is_some_and(|said| said.contains("question")), "{}", seen["wrong"]);
    visit.session.reload()?;
    let there = visit.call(script!("conversation.js", otherPage), nothing())?;
    ensure_that!(there == json!(["a 1", "qa 1", "qa 3"]), "another page sees {there}");
    Ok(())
}
