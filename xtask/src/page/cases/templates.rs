//! Chat templates and conversations in the browser.

use anyhow::Result;
use serde_json::json;

use super::super::{Test, Visit, ensure_that, nothing, script};

pub const TESTS: &[Test] = &[
    Test::new("a_template_tells_the_date_and_hour_of_the_pages_time_zone", local_time).with_case("17-strftime"),
    Test::new("a_template_in_a_file_of_its_own_answers_in_the_page", |visit| answers(visit, "02-template-file"))
        .with_case("02-template-file"),
    Test::new("of_named_templates_the_default_answers_in_the_page", |visit| answers(visit, "03-template-list"))
        .with_case("03-template-list"),
];

fn local_time(visit: &Visit) -> Result<()> {
    visit.blank()?;
    // Fourteen hours ahead of UTC: never the same date and hour.
    visit.session.devtools("Emulation.setTimezoneOverride", json!({ "timezoneId": "Pacific/Kiritimati" }))?;
    let seen = visit.call(script!("templates.js", localTime), nothing())?;
    ensure_that!(seen[0] == seen[1] || seen[0] == seen[2], "the template tells {}, the clock {}", seen[0], seen[1]);
    Ok(())
}

fn answers(visit: &Visit, folder: &str) -> Result<()> {
    visit.blank()?;
    let more: &[&str] = if folder.starts_with("02") { &["chat_template.jinja"] } else { &[] };
    let seen = visit.call(script!("templates.js", answers), json!({ "folder": folder, "more": more }))?;
    let ids = [1, 30, 28, 14, 27, 4, 10, 11, 12, 2, 4, 1, 10, 28, 28, 18, 28, 29, 10, 23, 29, 4];
    ensure_that!(seen == json!([true, ids, "helo"]), "{seen}");
    Ok(())
}
