//! A generation or a painting that is left before its end: what it came to is told all the same.

use anyhow::Result;
use serde_json::json;

use super::{Test, Visit, ensure_that, nothing, script};

pub const TESTS: &[Test] = &[
    Test::new("a_generation_that_is_left_has_a_summary_and_stats", words),
    Test::new("a_painting_that_is_left_has_a_summary_and_stats", steps),
    Test::new("a_hundred_aborts_at_any_moment_lose_no_text", aborts),
    Test::new("a_hundred_texts_that_are_left_leave_memory_as_it_was", memory),
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

fn aborts(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("leaving.js", aborts), nothing())?;
    ensure_that!(seen["broken"] == 0 && seen["again"] == true, "{seen}");
    let size = |name: &str| seen[name].as_u64().unwrap_or(0);
    ensure_that!(seen["codes"].to_string().contains("aborted"), "nothing was aborted: {seen}");
    ensure_that!(size("least") < size("length") / 2 && size("most") > size("length") / 2, "not at any moment: {seen}");
    Ok(())
}

fn memory(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("leaving.js", memory), nothing())?;
    ensure_that!(seen["early"].as_u64() > Some(4_000_000) && seen["early"] == seen["late"], "{seen}");
    Ok(())
}
