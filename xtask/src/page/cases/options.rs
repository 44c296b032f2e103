//! Options and requests of OpenAI's shape.

use anyhow::Result;

use super::super::{Test, Visit, ensure_that, nothing, script, strings};

pub const TESTS: &[Test] = &[
    Test::new("openais_contents_are_read_as_the_case_says", contents).with_case("13-openai-content"),
    Test::new("openais_neutral_fields_change_nothing", neutral).with_case("14-openai-neutral-fields"),
    Test::new("the_cases_unknown_options_are_refused", unknown).with_case("32-unknown-options"),
];

fn contents(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("options.js", contents), nothing())?;
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
    let seen = visit.call(script!("options.js", neutral), nothing())?;
    let out = strings(&seen["out"]);
    ensure_that!(
        out.len() == 16 && out.iter().all(|text| seen["plain"] == *text),
        "not all say {}: {out:?}",
        seen["plain"]
    );
    ensure_that!(seen["served"] == 2, "two answers are {}", seen["served"]);
    Ok(())
}

/// Every call of the file, as it stands there.
fn unknown(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("options.js", unknown), nothing())?;
    let out = seen.as_array().map(Vec::as_slice).unwrap_or_default();
    let names = ["maxTokens", "quantization", "quantization", "device", "addSpecialTokens"];
    ensure_that!(out.len() == names.len(), "{} calls stand there", out.len());
    for (told, name) in out.iter().zip(names) {
        let said = told[1].as_str().unwrap_or_default();
        ensure_that!(said.starts_with("bad-argument: ") && said.contains(name), "{} is answered by {said:?}", told[0]);
    }
    Ok(())
}
