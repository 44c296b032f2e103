//! What a reader does on the page for pictures: paints, watches the steps, stops, begins from a picture, changes a part, keeps what came out.

use std::ops::Range;

use anyhow::{Context, Result};
use serde_json::json;

use super::{Test, Visit, ensure_that, layout::nothing_sticks_out, nothing, reader::set, script};
use crate::browser::{Gpu, Session};

pub const TESTS: &[Test] = &[
    Test::new("a_picture_comes_out_of_the_noise_step_by_step", step_by_step).everywhere(),
    Test::new("a_picture_comes_out_of_the_noise_on_webgpu", on_webgpu).on(Gpu::SwiftShader),
    Test::new("the_same_seed_paints_the_same_picture_and_another_another", seeds),
    Test::new("what_is_left_out_and_how_closely_to_follow_change_the_picture", guidance),
    Test::new("a_painting_stops_and_the_next_one_begins", stop),
    Test::new("a_picture_keeps_its_settings_in_its_file_and_over_visits", gallery),
    Test::new("words_it_never_met_are_named_beside_those_it_knows", unknown_words),
    Test::new("several_pictures_are_painted_at_once", several),
    Test::new("a_picture_begins_from_another", image_to_image),
    Test::new("a_part_of_a_picture_changes_and_the_rest_stays", inpainting).everywhere(),
    Test::new("a_folder_of_diffusers_is_opened_and_paints", |visit| folder(visit, "pipeline")),
    Test::new("a_folder_of_pytorchs_files_is_opened_and_paints", |visit| folder(visit, "tiny_sd")),
    Test::new("a_folder_of_xl_is_opened_and_paints", |visit| folder(visit, "tiny_sdxl")),
    Test::new("painting_fits_a_desk_a_phone_and_the_dark", looks),
    Test::new("the_widget_paints", widget).everywhere(),
];

fn open(visit: &Visit, query: &str) -> Result<()> {
    visit.open(&format!("paint.html{query}"))
}

/// Paints these words and gives the picture's pixels as one string.
pub fn paint(page: &Session, words: &str, seed: &str) -> Result<String> {
    page.clear("#prompt")?;
    page.type_into("#prompt", words)?;
    set(page, "#seed", seed)?;
    page.click("#paint")?;
    finished(page)?;
    pixels(page)
}

pub fn finished(page: &Session) -> Result<()> {
    page.wait_for("document.body.dataset.state === 'ready'", 120)?;
    let said = page.run("return document.querySelector('#error:not([hidden])')?.innerText ?? ''", &[])?;
    ensure_that!(said == "", "a notice says {said}");
    Ok(())
}

pub fn pixels(page: &Session) -> Result<String> {
    let url = page.run("return document.querySelector('#picture').toDataURL()", &[])?;
    Ok(url.as_str().context("there is no picture")?.to_owned())
}

/// The spread of a picture's brightness: a flat one has none.
fn spread(page: &Session) -> Result<f64> {
    let spread = page.call(script!("painter.js", spread), nothing())?;
    spread.as_f64().context("no spread")
}

fn painted(visit: &Visit, query: &str, steps: &str) -> Result<()> {
    let page = &visit.session;
    open(visit, query)?;
    set(page, "#steps", steps)?;
    paint(page, "a fox in the snow", "7")?;
    let frames = page.run("return document.querySelectorAll('#film button').length", &[])?;
    ensure_that!(frames == steps.parse::<u64>()?, "{frames} steps are shown, and {steps} were asked for");
    ensure_that!(spread(page)? > 8.0, "the picture is flat");
    page.click("#film button")?;
    let first = pixels(page)?;
    page.click("#film button:last-child")?;
    ensure_that!(first != pixels(page)?, "the first step looks like the last");
    for instrument in ["#speed", "#decode", "#count"] {
        let said = page.text(instrument)?;
        ensure_that!(said.chars().any(|c| c.is_ascii_digit()), "{instrument} says {said:?} after a picture");
    }
    Ok(())
}

fn step_by_step(visit: &Visit) -> Result<()> {
    painted(visit, "", "8")
}

fn on_webgpu(visit: &Visit) -> Result<()> {
    painted(visit, "?device=webgpu", "3")
}

fn seeds(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    open(visit, "")?;
    set(page, "#steps", "4")?;
    let first = paint(page, "an owl in the forest", "3")?;
    let other = paint(page, "an owl in the forest", "4")?;
    let again = paint(page, "an owl in the forest", "3")?;
    ensure_that!(first == again, "one seed painted two pictures");
    ensure_that!(first != other, "two seeds painted one picture");
    Ok(())
}

fn guidance(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    open(visit, "")?;
    set(page, "#steps", "4")?;
    let plain = paint(page, "a cat on the beach", "5")?;
    set(page, "#guidance", "1")?;
    let free = paint(page, "a cat on the beach", "5")?;
    ensure_that!(plain != free, "guidance changes nothing");
    set(page, "#guidance", "4")?;
    page.type_into("#negative", "night")?;
    let without = paint(page, "a cat on the beach", "5")?;
    ensure_that!(plain != without, "what is left out changes nothing");
    Ok(())
}

fn stop(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    open(visit, "")?;
    set(page, "#steps", "50")?;
    page.type_into("#prompt", "a boat on the sea")?;
    page.click("#paint")?;
    page.wait_for("document.querySelectorAll('#film button').length >= 2", 60)?;
    page.click("#stop")?;
    page.wait_for("document.body.dataset.state === 'ready'", 10)?;
    let frames = page.run("return document.querySelectorAll('#film button').length", &[])?;
    ensure_that!(frames.as_u64().is_some_and(|n| n < 50), "{frames} steps were painted in spite of the stop");
    set(page, "#steps", "2")?;
    paint(page, "a boat on the sea", "1")?;
    Ok(())
}

fn gallery(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    open(visit, "")?;
    set(page, "#steps", "3")?;
    paint(page, "a whale in the sea, “calm”", "11")?;
    page.wait_for("document.querySelectorAll('#gallery figure').length === 1", 10)?;
    let settings = page.call(script!("painter.js", settings), nothing())?;
    ensure_that!(
        settings["prompt"] == "a whale in the sea, “calm”" && settings["seed"] == 11 && settings["steps"] == 3,
        "the file says {settings}"
    );
    open(visit, "")?;
    page.wait_for("document.querySelectorAll('#gallery figure').length === 1", 10)?;
    page.click("#gallery [data-act=again]")?;
    let words = page.run("return document.querySelector('#prompt').value", &[])?;
    ensure_that!(words == "a whale in the sea, “calm”", "its settings bring the words {words}");
    page.click("#gallery [data-act=remove]")?;
    page.wait_for("document.querySelector('#gallery-section').hidden", 10)?;
    Ok(())
}

fn unknown_words(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    open(visit, "")?;
    set(page, "#steps", "2")?;
    paint(page, "a fox, quixotically blue, in the snow", "1")?;
    let said = page.text("#unread")?;
    ensure_that!(said.contains("“quixotically”") && !said.contains("fox"), "it says {said:?}");
    page.click("#unread button")?;
    let words = page.text("#vocabulary .vocabulary")?;
    ensure_that!(words.split(", ").any(|word| word == "lantern"), "it knows {words:?}");
    paint(page, "a fox in the snow", "1")?;
    let hidden = page.run("return document.querySelector('#unread').hidden", &[])?;
    ensure_that!(hidden == true, "known words are called unknown");
    Ok(())
}

fn several(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    open(visit, "")?;
    set(page, "#steps", "2")?;
    let alone = paint(page, "a cat on the beach", "6")?;
    page.run("document.querySelector('#settings details').open = true", &[])?;
    set(page, "#pictures", "2")?;
    paint(page, "a cat on the beach", "5")?;
    page.wait_for("document.querySelectorAll('#gallery figure').length === 3", 10)?;
    let frames = page.run("return document.querySelectorAll('#film button').length", &[])?;
    ensure_that!(frames == 3, "two steps and a second picture are {frames} frames");
    page.click("#film button:last-child")?;
    let apart = difference(page, &alone, 0.0..1.0)?;
    ensure_that!(apart < 2.0, "the second picture of seed 5 is {apart} from that of seed 6");
    Ok(())
}

/// The mean difference from a picture before, from 0 to 255, in a part of the width.
fn difference(page: &Session, before: &str, part: Range<f64>) -> Result<f64> {
    let place = json!({ "before": before, "from": part.start, "to": part.end });
    page.call(script!("painter.js", difference), place)?.as_f64().context("no difference")
}

fn image_to_image(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    open(visit, "")?;
    set(page, "#steps", "6")?;
    let first = paint(page, "a fox in the snow", "7")?;
    page.wait_for("document.querySelectorAll('#gallery figure').length === 1", 10)?;
    page.click("#gallery [data-act=from]")?;
    page.wait_for("!document.querySelector('#beginning').hidden", 10)?;
    set(page, "#strength", "0.2")?;
    paint(page, "a fox in the snow", "8")?;
    let near = difference(page, &first, 0.0..1.0)?;
    set(page, "#strength", "1")?;
    paint(page, "a fox in the snow", "8")?;
    let far = difference(page, &first, 0.0..1.0)?;
    ensure_that!(near < far, "a little strength changes {near}, all of it {far}");
    page.click("#forget")?;
    page.wait_for("document.querySelector('#beginning').hidden", 10)?;
    Ok(())
}

fn inpainting(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    open(visit, "")?;
    set(page, "#steps", "6")?;
    let first = paint(page, "a fox in the snow", "7")?;
    page.click("#repaint")?;
    page.wait_for("!document.querySelector('#mask').hidden", 10)?;
    page.call(script!("painter.js", brushLeft), nothing())?;
    set(page, "#strength", "1")?;
    paint(page, "a red house in the forest", "9")?;
    let (left, right) = (difference(page, &first, 0.0..0.2)?, difference(page, &first, 0.85..1.0)?);
    ensure_that!(left > 2.0 * right, "under the brush {left} changed, elsewhere {right}");
    Ok(())
}

fn folder(visit: &Visit, name: &str) -> Result<()> {
    let page = &visit.session;
    open(visit, "")?;
    let folder = std::fs::canonicalize(visit.root.join("tests/fixtures").join(name))?;
    page.run("document.querySelector('#chooser').open = true", &[])?;
    page.type_into("#folder-input", &folder.to_string_lossy())?;
    page.wait_for("document.querySelector('#model-facts').textContent.includes('StableDiffusion')", 60)?;
    page.wait_for("document.body.dataset.state === 'ready'", 60)?;
    let schedulers = page.run("return document.querySelectorAll('#scheduler option').length", &[])?;
    ensure_that!(schedulers == 18, "{schedulers} schedulers are offered");
    page.run("document.querySelector('#settings details').open = true", &[])?;
    set(page, "#scheduler", "euler-ancestral")?;
    set(page, "#size", "64×64")?;
    set(page, "#steps", "3")?;
    paint(page, "a fox in the snow", "3")?;
    let side = page.run("return document.querySelector('#picture').width", &[])?;
    ensure_that!(side == 64, "the picture is {side} wide");
    Ok(())
}

fn looks(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    for (width, height, phone, dark, name) in [
        (1280, 1000, false, false, "paint-desktop"),
        (390, 844, true, false, "paint-phone"),
        (1280, 1000, false, true, "paint-dark"),
    ] {
        page.look_like(width, height, phone, dark)?;
        open(visit, "")?;
        set(page, "#steps", "12")?;
        paint(page, "a fox in the snow at night", "7")?;
        nothing_sticks_out(page)?;
        if let Some(folder) = visit.screenshots {
            page.screenshot(&visit.root.join(folder).join(format!("{name}.png")))?;
        }
    }
    Ok(())
}

fn widget(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    page.goto(&format!("{}/widgets.html", visit.address))?;
    page.run("document.querySelector('#third').scrollIntoView()", &[])?;
    page.wait_for("document.querySelector('#third').button?.disabled === false", 120)?;
    let sides = page.call(script!("painter.js", painted), nothing())?;
    ensure_that!(sides[0].as_u64().is_some_and(|n| n >= 64) && sides[0] == sides[1], "the picture's sides are {sides}");
    Ok(())
}
