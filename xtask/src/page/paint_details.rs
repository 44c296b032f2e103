//! Finer points of the page for pictures: a part that nobody brushed, the strip of steps, small pictures, what a kept picture brings back, and a strict policy.

use anyhow::Result;
use serde_json::json;

use super::{
    Test, Visit, ensure_that, nothing, open_page,
    painter::{finished, paint, pixels},
    reader::{self, set},
    script,
};
use crate::browser::Session;

const ESCAPE: char = '\u{e00c}';

pub const TESTS: &[Test] = &[
    Test::new("a_part_that_nobody_brushed_is_asked_for_and_escape_leaves_it", no_brush),
    Test::new("the_strip_shows_its_first_step_and_the_one_that_is_chosen", strip),
    Test::new("a_small_picture_is_enlarged_by_a_whole_number_at_every_width", crisp),
    Test::new("the_settings_of_a_picture_bring_back_what_it_began_from_and_its_mask", brought_back),
    Test::new("settings_that_are_not_to_be_had_are_named", not_to_be_had),
    Test::new("the_seed_of_a_picture_is_lent_for_one", lent),
    Test::new("what_is_no_seed_is_said_beside_its_field_and_nothing_starts", no_seed),
    Test::new("words_for_where_things_are_fit_the_width", above_or_below),
    Test::new("the_pages_work_under_a_strict_policy", strict),
    Test::new("a_picture_that_no_disk_keeps_says_so", full_disk),
];

fn open(visit: &Visit) -> Result<()> {
    visit.open("paint.html")?;
    set(visit.session, "#steps", "4")
}

fn shown(page: &Session, selector: &str) -> Result<bool> {
    Ok(page.run("return document.querySelector(arguments[0]).checkVisibility()", &[json!(selector)])? == true)
}

/// Brushes the middle of the picture.
fn brush(page: &Session) -> Result<()> {
    page.click("#repaint")?;
    page.press("  ")
}

fn no_brush(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    open(visit)?;
    let first = paint(page, "a fox in the snow", "7")?;
    page.click("#repaint")?;
    page.click("#paint")?;
    page.wait_for("document.querySelector('#mask-help').textContent.includes('Nothing is brushed')", 5)?;
    ensure_that!(pixels(page)? == first && shown(page, "#mask")?, "it painted all the same");
    let at = page.run("return document.activeElement.id", &[])?;
    ensure_that!(at == "mask", "the brush is asked for and the focus is on {at}");
    page.press(&ESCAPE.to_string())?;
    page.wait_for("document.querySelector('#mask').hidden", 5)?;
    ensure_that!(pixels(page)? == first, "leaving the mask changed the picture");
    ensure_that!(
        page.run("return document.querySelector('#repaint').ariaPressed", &[])? == "false",
        "it is still pressed"
    );
    brush(page)?;
    ensure_that!(!page.text("#mask-help")?.contains("Nothing"), "a brushed mask is called empty");
    page.click("#paint")?;
    finished(page)?;
    ensure_that!(pixels(page)? != first, "the brushed part did not change");
    Ok(())
}

fn strip(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    for width in [1280, 320] {
        page.look_like(width, 800, width < 400, false)?;
        open(visit)?;
        set(page, "#steps", "24")?;
        paint(page, "a fox in the snow", "7")?;
        let seen = |frame: &str| -> Result<bool> {
            let seen = page.call(script!("paint_details.js", inSight), json!(frame))?;
            Ok(seen == true)
        };
        ensure_that!(seen("#film button")?, "at {width} pixels the first step is out of sight");
        ensure_that!(
            seen("#film button[aria-pressed=true]")?,
            "at {width} pixels the step that is shown is out of sight"
        );
        let label = page.run("return document.querySelector('#film button').ariaLabel", &[])?;
        ensure_that!(label == "Step 1 of 24", "the first of the strip is {label}");
        let apart = page.call(script!("paint_details.js", apart), nothing())?;
        ensure_that!(apart.as_f64().is_some_and(|mean| mean > 8.0), "the first step is {apart} from the picture");
    }
    Ok(())
}

fn crisp(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    open(visit)?;
    paint(page, "a fox in the snow", "7")?;
    page.wait_for("document.querySelector('#gallery canvas')", 10)?;
    for width in [1280, 390, 320] {
        page.look_like(width, 800, width < 400, false)?;
        let scales = page.call(script!("paint_details.js", scales), json!(["#picture", "#gallery canvas"]))?;
        for (at, least) in [(0, 3.0), (1, 1.0)] {
            let scale = scales[at]["scale"].as_f64().unwrap_or(0.0);
            ensure_that!(
                (scale - scale.round()).abs() < 0.01 && (least..=6.0).contains(&scale),
                "at {width} pixels: {scales}"
            );
            ensure_that!(scales[at]["drawn"] == "pixelated", "it is blurred: {scales}");
        }
    }
    visit.open("walk.html")?;
    for width in [1280, 390, 320] {
        page.look_like(width, 800, width < 400, false)?;
        let scale = page.call(script!("paint_details.js", walkScale), nothing())?;
        let scale = scale.as_f64().unwrap_or(0.0);
        ensure_that!((scale - scale.round()).abs() < 0.01 && scale >= 1.0, "walking at {width} pixels: {scale}");
    }
    Ok(())
}

fn brought_back(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    open(visit)?;
    paint(page, "a fox in the snow", "7")?;
    page.wait_for("document.querySelectorAll('#gallery figure').length === 1", 10)?;
    page.click("#gallery [data-act=from]")?;
    set(page, "#strength", "0.6")?;
    let second = paint(page, "an owl in the snow", "8")?;
    page.wait_for("document.querySelectorAll('#gallery figure').length === 2", 10)?;
    page.click("#forget")?;
    brush(page)?;
    set(page, "#strength", "0.9")?;
    let third = paint(page, "a cat in the snow", "9")?;
    page.wait_for("document.querySelectorAll('#gallery figure').length === 3", 10)?;
    // On another day.
    open(visit)?;
    set(page, "#strength", "0.1")?;
    for (figure, strength, expected, masked) in [(1, "0.9", third, true), (2, "0.6", second, false)] {
        page.wait_for("document.querySelectorAll('#gallery figure').length >= 3", 10)?;
        page.click(&format!("#gallery figure:nth-last-child({}) [data-act=again]", 4 - figure))?;
        page.wait_for_with("document.querySelector('#strength').value === arguments[0]", &json!(strength), 5)?;
        let which = if masked { "mask" } else { "beginning" };
        page.wait_for_with("document.querySelector(arguments[0]).checkVisibility()", &json!(format!("#{which}")), 5)?;
        ensure_that!(
            shown(page, "#mask")? == masked && shown(page, "#beginning")? != masked,
            "it brings back the other"
        );
        page.click("#paint")?;
        finished(page)?;
        ensure_that!(pixels(page)? == expected, "with all that it was made with, the picture is another ({which})");
    }
    Ok(())
}

fn not_to_be_had(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    open(visit)?;
    // A picture of a visit that kept less, by another model.
    page.call(script!("paint_details.js", keepLess), nothing())?;
    open(visit)?;
    page.wait_for("document.querySelectorAll('#gallery figure').length === 1", 10)?;
    page.click("#gallery [data-act=again]")?;
    page.wait_for("!document.querySelector('#error').hidden", 5)?;
    let said = page.text("#error")?;
    for part in ["640×640", "began from", "sd-turbo", "scheduler"] {
        ensure_that!(said.contains(part), "{part} is not among what is missing: {said:?}");
    }
    ensure_that!(
        page.run("return document.querySelector('#steps').value", &[])? == "3",
        "what can be had did not come"
    );
    Ok(())
}

fn lent(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    open(visit)?;
    let first = paint(page, "a whale in the sea", "11")?;
    page.wait_for("document.querySelectorAll('#gallery figure').length === 1", 10)?;
    set(page, "#seed", "")?;
    page.click("#gallery [data-act=again]")?;
    let seed = || page.run("return document.querySelector('#seed').value", &[]);
    ensure_that!(seed()? == "11", "the seed is {}", seed()?);
    ensure_that!(page.text("#keep-seed")?.contains("11"), "it cannot be kept");
    page.click("#paint")?;
    finished(page)?;
    ensure_that!(pixels(page)? == first, "its settings paint another picture");
    ensure_that!(seed()? == "", "the seed is pinned at {}", seed()?);
    page.click("#paint")?;
    finished(page)?;
    ensure_that!(pixels(page)? != first, "every picture is the same now");
    // Lent, it is not kept for later visits; kept, it is.
    page.click("#gallery figure:last-child [data-act=again]")?;
    open(visit)?;
    ensure_that!(seed()? == "", "a lent seed came back: {}", seed()?);
    page.wait_for("document.querySelectorAll('#gallery figure').length === 3", 10)?;
    page.click("#gallery figure:last-child [data-act=again]")?;
    page.click("#keep-seed")?;
    open(visit)?;
    ensure_that!(seed()? == "11", "a kept seed is gone: {}", seed()?);
    Ok(())
}

fn above_or_below(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    for (width, word) in [(1280, "below"), (700, "below"), (390, "above"), (320, "above")] {
        page.look_like(width, 800, width < 400, false)?;
        open(visit)?;
        let said = page.text("#no-picture")?;
        let is_above = page.run(
            "return document.querySelector('#prompt').getBoundingClientRect().top < document.querySelector('#no-picture').getBoundingClientRect().top",
            &[],
        )?;
        ensure_that!(said.contains(word) && is_above == (word == "above"), "at {width} pixels it says {said:?}");
    }
    Ok(())
}

fn strict(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    let at = |name: &str| format!("{}/fault/strict/{name}", visit.address);
    // From the first moment: what a policy forbids is told by an event.
    page.devtools(
        "Page.addScriptToEvaluateOnNewDocument",
        json!({ "source": script!("paint_details.js", noteForbidden).call(&nothing()) }),
    )?;
    let quiet = |what: &str| -> Result<()> {
        let forbidden = page.run("return forbidden", &[])?;
        ensure_that!(forbidden == json!([]), "{what}: the policy forbids {forbidden}");
        Ok(())
    };
    open_page(page, &at("index.html"))?;
    reader::write_some(page, "Once upon a time")?;
    page.run("document.querySelector('#story .token').focus()", &[])?;
    quiet("writing")?;
    open_page(page, &at("paint.html"))?;
    set(page, "#steps", "2")?;
    paint(page, "a fox in the snow", "7")?;
    page.wait_for("document.querySelectorAll('#gallery figure').length === 1", 10)?;
    let drawn = page.call(script!("paint_details.js", values), nothing())?;
    ensure_that!(drawn.as_u64().is_some_and(|colours| colours > 20), "the picture in the gallery has {drawn} values");
    page.click("#gallery [data-act=from]")?;
    page.wait_for("document.querySelector('#beginning canvas')?.width > 64", 5)?;
    brush(page)?;
    page.click("#paint")?;
    finished(page)?;
    quiet("painting")?;
    open_page(page, &at("walk.html"))?;
    page.wait_for("document.querySelector('#plane').dataset.tiles === '81'", 60)?;
    page.click("[data-glyph]")?;
    page.wait_for("document.querySelector('#likeness').value.includes('dB')", 30)?;
    quiet("walking")
}

fn full_disk(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    open(visit)?;
    page.devtools("Storage.overrideQuotaForOrigin", json!({ "origin": visit.address, "quotaSize": 1 }))?;
    paint(page, "a fox in the snow", "7")?;
    page.wait_for("document.querySelectorAll('#gallery figure').length === 1", 10)?;
    page.wait_for("document.querySelector('#gallery-unkept').checkVisibility()", 10)?;
    page.devtools("Storage.overrideQuotaForOrigin", json!({ "origin": visit.address }))?;
    paint(page, "a fox in the snow", "8")?;
    page.wait_for("!document.querySelector('#gallery-unkept').checkVisibility()", 10)?;
    Ok(())
}

fn no_seed(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    for (address, words, button, state) in
        [("", "#prompt", "#write", "writing"), ("paint.html", "#prompt", "#paint", "painting")]
    {
        visit.open(address)?;
        page.call(script!("paint_details.js", noteStates), nothing())?;
        set(page, words, "a fox")?;
        for seed in ["-1", "4294967296", "1.5", "1e"] {
            page.clear("#seed")?;
            page.type_into("#seed", seed)?;
            page.click(button)?;
            let seen = page.call(script!("paint_details.js", saidOfSeed), nothing())?;
            let told = "A seed is a whole number from 0 to 4294967295. Leave it empty for a new one each time.";
            ensure_that!(seen == json!(["true", true, told]), "{address:?}, {seed}: {seen}");
        }
        super::axe::faultless(page)?;
        let states = page.run("return (window.states ?? []).filter((state) => state !== 'ready')", &[])?;
        ensure_that!(states == json!([]), "{address:?} began with no seed: {states}");
        page.clear("#seed")?;
        page.type_into("#seed", "4294967295")?;
        let seen = page.run("return [document.querySelector('#seed').ariaInvalid, document.querySelector('#seed-fault').checkVisibility()]", &[])?;
        ensure_that!(seen == json!([null, false]), "{address:?}: {seen}");
        page.click(button)?;
        page.wait_for_with("window.states?.includes(arguments[0])", &json!(state), 20)?;
    }
    Ok(())
}
