//! Widgets that show how a model comes by a text or a picture: its tokens, what may come next, how surprising a text is, ways of decoding, conversations, steps and scales. Each
//! is held to what the engine itself says.

use anyhow::Result;
use serde_json::json;

use super::{Test, Visit, ensure_that, nothing, script};

pub const TESTS: &[Test] = &[
    Test::new("a_tokens_widget_shows_the_models_own_tokens_beside_anothers", tokens),
    Test::new("a_next_widget_says_which_filter_removes_what_and_goes_back_and_on", next),
    Test::new("a_next_widget_says_where_the_text_ends", ended),
    Test::new("a_score_widget_finds_the_likelier_of_two_texts", score),
    Test::new("a_decoding_widget_writes_in_four_ways_and_shows_the_beams", decoding),
    Test::new("a_chat_widget_holds_a_conversation", talk),
    Test::new("painting_widgets_show_every_step_and_scale", painted),
];

fn tokens(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_next.js", tokens), nothing())?;
    for name in ["same", "whole", "shown", "sum"] {
        ensure_that!(seen[name] == true, "{name}: {seen}");
    }
    ensure_that!(seen["beside"][0] == true && seen["beside"][1].as_u64().is_some_and(|tokens| tokens > 15), "{seen}");
    ensure_that!(seen["none"] == json!([true, true]), "{seen}");
    Ok(())
}

fn next(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_next.js", next), nothing())?;
    let filters = json!({
        "topK": ["", "", "removed: top-k", "removed: top-k", "removed: top-k", "removed: top-k"],
        "off": seen["filters"]["off"],
        "topP": ["", "removed: top-p", "removed: top-p"], "minP": ["removed: min-p"], "greedy": ["", "removed: temperature 0"],
        "said": seen["filters"]["said"], "attribute": null,
    });
    ensure_that!(seen["filters"] == filters, "{seen}");
    let off = seen["filters"]["off"].as_array().is_some_and(|left| left.iter().all(|each| each != "removed: top-k"));
    ensure_that!(off, "{seen}");
    for name in ["same", "picked", "branched", "returned", "grown"] {
        ensure_that!(seen[name] == true, "{name}: {seen}");
    }
    ensure_that!(seen["back"] == "One winter day, a fox was" && seen["kept"] == 1, "{seen}");
    Ok(())
}

fn ended(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_next.js", ended), nothing())?;
    let expected = json!({ "rows": 8, "same": true, "said": "The model drew the end: the text is over. Pick another token to go on." });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn score(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_next.js", score), nothing())?;
    let expected = json!({
        "near": true, "verdict": true, "deepest": seen["deepest"], "rows": true, "marks": false, "cleared": [0, true, 0], "even": true, "one": [1, true, true],
    });
    ensure_that!(seen == expected, "{seen}");
    let deepest = seen["deepest"].as_str().unwrap_or_default();
    ensure_that!(deepest.contains("snow") || deepest.contains("fox"), "the most surprising token is {deepest}");
    Ok(())
}

fn decoding(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_next.js", decoding), nothing())?;
    let expected = json!({
        "same": { "greedy": true, "nucleus": true, "contrastive": true, "beams": true }, "rows": 12, "columns": 5, "some": [1, 0, 0], "alone": ["beams"],
        "refused": "This part of the page is not set up right: ways is “beams guess”, but must be some of greedy, beams, nucleus, contrastive, with spaces between them.",
    });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn talk(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_next.js", talk), nothing())?;
    let expected = json!({
        "first": [["user", "Tell me a story about a bear."], ["assistant", true]], "empty": "", "unsaid": [2, "Write something first."],
        "turns": [4, 4], "stopped": true, "cleared": [0, 0],
    });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn painted(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_next.js", painted), nothing())?;
    let expected = json!({
        "off": true, "count": 5, "at": ["5", "5", "5 of 5"], "second": true, "label": "a fox in the snow, after step 2 of 5", "same": true,
        "labels": ["a fox in the snow, at guidance 1", "a fox in the snow, at guidance 6"],
        "refused": "This part of the page is not set up right: scales is “1,2”, but must be up to eight numbers from 0 to 50, with spaces between them.",
    });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}
