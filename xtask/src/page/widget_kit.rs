//! What all widgets share: a module each that comes when it is wanted, links, paces, captions, pictures that stand in, themes and what a page may style.

use anyhow::Result;
use serde_json::json;

use super::{Test, Visit, ensure_that, nothing, script};

pub const TESTS: &[Test] = &[
    Test::new("a_page_with_one_widget_loads_40_kb_of_script_before_the_engine", weighed),
    Test::new("widgets_are_found_where_they_stand_and_defined_by_name", discovered),
    Test::new("a_widget_that_is_linked_has_the_words_the_seed_and_the_end_of_its_leader", linked),
    Test::new("a_widget_that_is_linked_to_nothing_or_in_a_circle_says_so", mislinked),
    Test::new("a_widget_keeps_its_pace_and_shows_what_each_token_was_drawn_from", paced),
    Test::new("a_widget_that_is_scrolled_away_waits", scrolled_away),
    Test::new("a_widget_has_a_caption_a_stand_in_a_theme_and_parts", framed),
    Test::new("a_widget_paints_from_a_picture_of_the_page", begun).expecting(&["404"]),
];

/// Kilobytes of script, compressed, that a page with one widget may load before the engine is wanted.
const MOST: u64 = 40_000;

fn weighed(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_kit.js", weighed), nothing())?;
    let [plain, compressed] = ["plain", "compressed"].map(|name| seen[name].as_u64().unwrap_or(u64::MAX));
    println!("one widget: {plain} bytes of script before the engine, {compressed} after gzip");
    ensure_that!(compressed > 5_000 && compressed <= MOST, "{seen}");
    ensure_that!(seen["others"] == json!([]) && seen["engine"] == json!([]) && seen["words"] == "A fox", "{seen}");
    Ok(())
}

fn discovered(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_kit.js", discovered), nothing())?;
    ensure_that!(seen == json!({ "before": [], "strange": "bad-argument" }), "{seen}");
    Ok(())
}

fn linked(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_kit.js", linked), nothing())?;
    let expected = json!({
        "atFirst": ["A fox", true, false, "true"], "typed": "An owl", "same": true, "other": true, "stopped": true, "gone": "An owl",
    });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn mislinked(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_kit.js", mislinked), nothing())?;
    let said = |id: &str, sentence: &str| {
        format!("This part of the page is not set up right: linked-to is “{id}”, but {sentence}.")
    };
    let (nobody, circle) = ("no widget here has that id", "that one follows this one");
    let expected = json!([said("nobody", nobody), said("prose", nobody), said("self", circle), said("b", circle)]);
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn paced(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_kit.js", paced), nothing())?;
    let expected = json!({
        "same": true, "slowly": true, "shownFast": 0, "steps": [[true, true], [true, true], [true, true]], "part": true, "after": [true, "Write"],
    });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn scrolled_away(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_kit.js", scrolledAway), nothing())?;
    ensure_that!(seen == json!({ "rested": true }), "{seen}");
    Ok(())
}

fn framed(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_kit.js", framed), nothing())?;
    let expected = json!({
        "waiting": [true, "A fox.", true, true, false], "ready": [false, true], "painted": [false, false], "scheme": ["dark", "light"],
        "styled": ["rgb(1, 2, 3)", "rgb(4, 5, 6)"], "locked": [false, "true", true], "unlocked": [true, false],
        "words": ["a fox", "a fox", "a  deer at night"],
    });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn begun(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_kit.js", begun), nothing())?;
    let expected = json!({
        "alone": "This part of the page is not set up right: strength says how much of a start-image may change, and there is none.",
        "missing": "The picture to begin from could not be fetched.", "redder": true,
    });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}
