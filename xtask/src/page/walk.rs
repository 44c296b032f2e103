//! What a reader does on the page for walking: walks by keys, pointer and sliders, goes a way, shows a picture to the encoder, changes the model; and both
//! models of faces through `vitrine.js`, against what PyTorch makes of the same files.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Test, Visit, ensure_that, layout::nothing_sticks_out, nothing, reader::set, script};
use crate::browser::{Gpu, Session};

pub const TESTS: &[Test] = &[
    Test::new("a_walk_by_keys_pointer_and_sliders_changes_the_face", walks).everywhere(),
    Test::new("a_walk_goes_on_webgpu", on_webgpu).on(Gpu::SwiftShader),
    Test::new("a_way_between_two_faces_is_shown_and_walked", way),
    Test::new("whoever_wants_no_motion_steps_along_the_way", stepped),
    Test::new("a_picture_is_encoded_and_its_face_shown_beside_it", encodes),
    Test::new("the_generator_walks_and_has_no_way_back", generator),
    Test::new("walking_fits_a_desk_a_phone_and_the_dark", looks),
    Test::new("the_widget_walks", widget).everywhere(),
    Test::new("faces_decode_and_encode_as_pytorch_does_in_the_browser", agree).everywhere(),
];

fn open(visit: &Visit, query: &str) -> Result<()> {
    let page = &visit.session;
    page.goto(&format!("{}/walk.html{query}", visit.address))?;
    page.wait_for(
        "document.querySelector('#plane').dataset.tiles === '81' || document.querySelector('#error')?.hidden === false",
        120,
    )?;
    quiet(page)?;
    let state = page.run("return document.body.dataset.state", &[])?;
    ensure_that!(state == "ready", "the page is {state}");
    Ok(())
}

fn quiet(page: &Session) -> Result<()> {
    let said = page.run("return document.querySelector('#error:not([hidden])')?.innerText ?? ''", &[])?;
    ensure_that!(said == "", "a notice says {said}");
    Ok(())
}

fn pixels(page: &Session, canvas: &str) -> Result<String> {
    let url = page.run("return document.querySelector(arguments[0]).toDataURL()", &[json!(canvas)])?;
    Ok(url.as_str().context("there is no picture")?.to_owned())
}

/// Waits until the picture is another than `before`, and gives it.
fn another(page: &Session, before: &str) -> Result<String> {
    page.run("window.before = arguments[0]", &[json!(before)])?;
    page.wait_for("document.querySelector('#picture').toDataURL() !== window.before", 30)?;
    pixels(page, "#picture")
}

fn value(page: &Session, slider: usize) -> Result<f64> {
    let value =
        page.run("return Number(document.querySelector(arguments[0]).value)", &[json!(format!("#axis-{slider}"))])?;
    value.as_f64().context("no number")
}

fn walks(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    open(visit, "")?;
    let (mut seen, start) = (vec![pixels(page, "#picture")?], value(page, 0)?);
    page.run("document.querySelector('#plane').focus()", &[])?;
    page.press("\u{E014}\u{E014}\u{E014}")?;
    seen.push(another(page, &seen[0])?);
    let across = value(page, 0)?;
    ensure_that!((across - start - 0.3).abs() < 1e-6, "three steps to the right lead from {start} to {across}");
    let place = json!(format!("+{across:.1}"));
    page.wait_for_with("document.querySelector('#announcer').textContent.includes(arguments[0])", &place, 10)?;
    page.click("#plane")?;
    let back = another(page, &seen[1])?;
    ensure_that!(value(page, 0)?.abs() < 0.03, "a click in the middle leads to {}", value(page, 0)?);
    let ground = pixels(page, "#plane")?;
    set(page, "#axis-2", "2")?;
    another(page, &back)?;
    page.wait_for("document.querySelector('#plane').dataset.tiles === '81'", 60)?;
    ensure_that!(pixels(page, "#plane")? != ground, "the plane does not follow the third number");
    page.click("#chance")?;
    page.wait_for("Math.abs(Number(document.querySelector('#axis-2').value) - 2) > 0.001", 10)?;
    quiet(page)
}

/// A few pictures: a software adapter is slow.
fn on_webgpu(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    page.goto(&format!("{}/walk.html?device=webgpu", visit.address))?;
    page.wait_for("Number(document.querySelector('#plane').dataset.tiles) > 3", 120)?;
    let before = pixels(page, "#picture")?;
    set(page, "#axis-0", "-2")?;
    another(page, &before)?;
    let device = page.text("#device")?;
    ensure_that!(device.contains("WebGPU"), "it is computed by {device}");
    quiet(page)
}

fn way(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    open(visit, "")?;
    page.wait_for("document.querySelectorAll('#way canvas').length === 9", 30)?;
    page.click("#way [data-step='0']")?;
    page.wait_for("Number(document.querySelector('#axis-0').value) === -2", 10)?;
    page.click("#from")?;
    page.click("#middle")?;
    page.wait_for("Number(document.querySelector('#axis-0').value) === 0", 10)?;
    page.click("#to")?;
    page.click("#way [data-step='4']")?;
    page.wait_for("Number(document.querySelector('#axis-0').value) === -1", 10)?;
    page.click("#go")?;
    page.wait_for("Number(document.querySelector('#axis-0').value) === 0", 30)?;
    quiet(page)
}

fn stepped(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    let calm = |wish: &str| {
        let media = json!({ "features": [{ "name": "prefers-reduced-motion", "value": wish }] });
        page.devtools("Emulation.setEmulatedMedia", media)
    };
    calm("reduce")?;
    open(visit, "")?;
    page.wait_for("document.querySelectorAll('#way canvas').length === 9", 30)?;
    ensure_that!(page.text("#go")? == "Step along the way", "the button reads {:?}", page.text("#go")?);
    for (step, place) in [-2.0, -1.5, -1.0, -0.5].into_iter().enumerate() {
        page.click("#go")?;
        let (at, shown) =
            (value(page, 0)?, page.run("return document.querySelector('#way [aria-current]')?.dataset.step", &[])?);
        ensure_that!((at - place).abs() < 1e-6, "step {step} leads to {at}, not to {place}");
        ensure_that!(shown == json!(step.to_string()), "of the way {shown} is marked at step {step}");
    }
    // Nothing moves on by itself.
    std::thread::sleep(std::time::Duration::from_millis(400));
    ensure_that!((value(page, 0)? + 0.5).abs() < 1e-6, "it went on to {}", value(page, 0)?);
    for _ in 0..6 {
        page.click("#go")?;
    }
    ensure_that!((value(page, 0)? + 2.0).abs() < 1e-6, "after the last picture comes {}", value(page, 0)?);
    calm("no-preference")?;
    page.wait_for("document.querySelector('#go').textContent === 'Walk the way'", 5)?;
    quiet(page)
}

fn encodes(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    open(visit, "")?;
    // A face that the model made itself, from a far place: it must come back to that place.
    set(page, "#axis-0", "1.5")?;
    set(page, "#axis-5", "-1.5")?;
    page.wait_for("document.querySelector('#announcer').textContent.includes('+1.5')", 10)?;
    page.call(script!("walk.js", dropPicture), nothing())?;
    page.wait_for("document.querySelector('#likeness').value.includes('dB')", 30)?;
    let (mood, colour) = (value(page, 0)?, value(page, 5)?);
    ensure_that!((mood - 1.5).abs() < 0.4 && (colour + 1.5).abs() < 0.4, "it is led to {mood} and {colour}");
    let shown = page.run("return !document.querySelector('#given-figure').hidden", &[])?;
    ensure_that!(shown == true, "what it was shown is not there");
    let likeness: f64 = page.text("#likeness")?.trim_end_matches(" dB").parse()?;
    ensure_that!(likeness > 22.0, "its own face comes back with {likeness} dB");
    page.click("[data-glyph]")?;
    page.wait_for("document.querySelector('#likeness').value.includes('dB')", 30)?;
    ensure_that!(page.text("#encode")?.contains("decibels (dB)"), "decibels are not explained");
    quiet(page)
}

fn generator(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    open(visit, "?model=faces-gan")?;
    let hidden = page.run("return document.querySelector('#encode').hidden", &[])?;
    ensure_that!(hidden == true, "a generator is shown pictures");
    let before = pixels(page, "#picture")?;
    set(page, "#axis-0", "-2")?;
    another(page, &before)?;
    page.click("[data-model='faces-vae']")?;
    page.wait_for(
        "!document.querySelector('#encode').hidden && document.querySelector('#plane').dataset.tiles === '81'",
        60,
    )?;
    quiet(page)
}

fn looks(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    for (width, height, phone, dark, name) in [
        (1280, 1000, false, false, "walk-desktop"),
        (390, 844, true, false, "walk-phone"),
        (1280, 1000, false, true, "walk-dark"),
    ] {
        page.look_like(width, height, phone, dark)?;
        open(visit, "")?;
        nothing_sticks_out(page)?;
        if let Some(folder) = visit.screenshots {
            page.screenshot(&visit.root.join(folder).join(format!("{name}.png")))?;
        }
    }
    let nameless = page.call(script!("walk.js", nameless), nothing())?;
    ensure_that!(nameless == json!([]), "controls without a name: {nameless}");
    Ok(())
}

fn widget(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    page.goto(&format!("{}/widgets.html", visit.address))?;
    page.run("document.querySelector('#fourth').scrollIntoView()", &[])?;
    let drawn = "document.querySelector('#fourth').shadowRoot?.querySelector('canvas').getAttribute('aria-label').includes(arguments[0])";
    page.wait_for_with(drawn, &json!("0.0"), 120)?;
    page.run("document.querySelector('#fourth').shadowRoot.querySelector('canvas').focus()", &[])?;
    page.press("\u{E014}\u{E014}\u{E013}")?;
    page.wait_for_with(drawn, &json!("0.5, 0.0, 0.0, 0.0, 0.0, 0.3"), 10)?;
    Ok(())
}

fn agree(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("walk.js", agree), nothing())?;
    let all = seen.as_object().context("no figures")?;
    ensure_that!(all.len() == 6, "these were compared: {seen}");
    for (what, decibels) in all {
        let least = if what.ends_with("keep") { 40.0 } else { 30.0 };
        ensure_that!(decibels.as_f64().unwrap_or(f64::NAN) >= least, "{what}: {decibels} dB");
    }
    println!("    {}", Value::from(seen.to_string()));
    Ok(())
}
