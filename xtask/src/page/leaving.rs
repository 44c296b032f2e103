//! A generation or a painting that is left before its end: what it came to is told all the same.

use anyhow::Result;
use serde_json::json;

use super::{Test, Visit, ensure_that, nothing, script};

pub const TESTS: &[Test] = &[
    Test::new("a_generation_that_is_left_has_a_summary_and_stats", words),
    Test::new("a_painting_that_is_left_has_a_summary_and_stats", steps),
];

fn words(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("leaving.js", words), nothing())?;
    ensure_that!(
        seen["left"]["seed"] == 5 && seen["left"]["finishReason"] == "aborted",
        "a story that was left: {seen}"
    );
    let tokens = seen["left"]["generatedTokens"].as_u64().unwrap_or(0);
    ensure_that!(
        (1..400).contains(&tokens) && seen["left"]["promptTokens"].as_u64().is_some_and(|n| n > 1),
        "its tokens: {seen}"
    );
    ensure_that!(seen["stats"]["timeToFirstTokenMs"].as_f64().is_some_and(|ms| ms > 0.0), "the model's stats: {seen}");
    ensure_that!(seen["aborted"]["seed"] == 6 && seen["code"] == "aborted", "one that was aborted: {seen}");
    ensure_that!(seen["never"] == json!(null), "one that never began: {seen}");
    ensure_that!(seen["whole"]["finishReason"] == "length", "one that came to its end: {seen}");
    Ok(())
}

fn steps(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("leaving.js", steps), nothing())?;
    let left = &seen["left"];
    ensure_that!(left["seed"] == 5 && left["unknown"][0] == "quixotically", "a painting that was left: {seen}");
    let steps = left["steps"].as_u64().unwrap_or(0);
    ensure_that!((3..50).contains(&steps) && left["totalMs"].as_f64().is_some_and(|ms| ms > 0.0), "its steps: {seen}");
    ensure_that!(seen["stats"]["msPerStep"].as_f64().is_some_and(|ms| ms > 0.0), "the model's stats: {seen}");
    Ok(())
}
