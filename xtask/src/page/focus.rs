//! Where the keyboard is after each thing that a reader does: on something, always; and that Enter begins everywhere.

use anyhow::{Context, Result};
use serde_json::json;

use super::{
    Test, Visit, ensure_that, nothing,
    reader::{self, set, settled, token_count},
    script,
};
use crate::browser::Session;

const ENTER: char = '\u{e007}';
const ESCAPE: char = '\u{e00c}';
const SHIFT: char = '\u{e008}';
const TAB: char = '\u{e004}';
const SPACE: char = ' ';

pub const TESTS: &[Test] = &[
    Test::new("the_focus_stays_on_the_page_that_writes", writing),
    Test::new("the_focus_stays_on_the_page_that_paints", painting),
    Test::new("the_focus_stays_on_the_page_that_walks", walking),
    Test::new("enter_begins_and_shift_enter_makes_a_new_line", enter),
    Test::new("whoever_presses_enter_before_the_model_is_there_is_heard_later", early),
    Test::new("the_words_that_a_model_knows_are_scrolled_by_keyboard", scrolled),
];

/// Does something by the page's own handlers and looks where the focus is then; gives what has it.
fn after(page: &Session, what: &str, act: impl FnOnce() -> Result<()>) -> Result<String> {
    act().with_context(|| what.to_owned())?;
    let at = page.call(script!("focus.js", focused), nothing())?;
    let at = at.as_str().unwrap_or_default().to_owned();
    ensure_that!(!at.is_empty(), "after {what} the focus is nowhere");
    Ok(at)
}

/// Presses a button by the keyboard.
fn press(page: &Session, selector: &str) -> Result<()> {
    page.run("document.querySelector(arguments[0]).focus()", &[json!(selector)])?;
    page.press(&SPACE.to_string())
}

fn writing(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#length", "500")?;
    set(page, "#seed", "11")?;
    page.run("document.querySelector('#prompt').focus()", &[])?;
    reader::slow_down(page)?;
    let at = after(page, "beginning with Enter", || {
        page.press("One winter day, a fox was out in the snow.")?;
        page.press(&ENTER.to_string())
    })?;
    ensure_that!(at == "story", "the story is written and the focus is on {at}");
    after(page, "stopping with Escape", || {
        page.wait_for("document.querySelectorAll('#story .token').length > 3", 30)?;
        page.press(&ESCAPE.to_string())?;
        settled(page)
    })?;
    // The page itself presses the button, as soon as there is something to stop: a small model is faster than any driver.
    page.call(script!("focus.js", pressStop), nothing())?;
    let at = after(page, "going on, and stopping with the button", || {
        press(page, "#continue")?;
        page.wait_for("document.activeElement.id !== 'story'", 10)?;
        settled(page)
    })?;
    ensure_that!(at == "continue", "stopped, and the focus is on {at}");
    after(page, "a turn at another word", || {
        page.run("document.querySelector('#story .token').focus()", &[])?;
        page.press(&ENTER.to_string())?;
        page.wait_for("document.activeElement.matches('[data-alternative]')", 5)?;
        page.run("document.querySelector('[data-alternative]:not(.chosen)').focus()", &[])?;
        page.press(&ENTER.to_string())
    })?;
    after(page, "the end", || settled(page))?;
    page.wait_for("document.querySelector('#ending').checkVisibility()", 5)?;
    after(page, "trying again", || press(page, "#again"))?;
    after(page, "its end", || settled(page))?;
    let at = after(page, "editing", || press(page, "#edit"))?;
    ensure_that!(at == "prompt", "edited, and the focus is on {at}");
    for _ in 0..8 {
        if page.run("return document.querySelector('#undo').disabled", &[])? == true {
            break;
        }
        after(page, "undoing", || press(page, "#undo"))?;
    }
    after(page, "clearing", || press(page, "#clear"))?;
    after(page, "an example", || press(page, "#examples button"))?;
    after(page, "keeping the seed", || {
        set(page, "#seed", "")?;
        press(page, "#write")?;
        settled(page)?;
        press(page, "#keep-seed")
    })?;
    after(page, "a notice that is closed", || {
        page.call(script!("focus.js", fillIn), json!("/fault/status/404"))?;
        page.press(&ENTER.to_string())?;
        page.wait_for("!document.querySelector('#error').hidden", 30)?;
        press(page, "#error-close")
    })?;
    after(page, "a load that is cancelled", || {
        page.call(script!("focus.js", fillIn), json!("/fault/stall/models/storyteller/storyteller-q4_0.gguf"))?;
        page.press(&ENTER.to_string())?;
        page.wait_for("document.querySelector('#cancel-load').checkVisibility()", 30)?;
        press(page, "#cancel-load")
    })?;
    Ok(())
}

fn painting(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("paint.html")?;
    set(page, "#steps", "4")?;
    // The film of the picture before hangs there until the next one is begun.
    let finished = || -> Result<()> {
        page.wait_for("document.body.dataset.state === 'ready' && document.querySelectorAll('#film button:not([data-old])').length > 1", 60)?;
        page.call(script!("focus.js", ageFilm), nothing()).map(drop)
    };
    after(page, "painting with Enter", || {
        page.run("document.querySelector('#prompt').focus()", &[])?;
        page.press("a fox in the snow")?;
        page.press(&ENTER.to_string())
    })?;
    after(page, "the finished picture", finished)?;
    after(page, "painting with the button", || press(page, "#paint"))?;
    after(page, "its picture", finished)?;
    set(page, "#steps", "50")?;
    after(page, "painting long", || press(page, "#paint"))?;
    let at = after(page, "stopping", || {
        page.wait_for("document.querySelectorAll('#film button:not([data-old])').length > 1", 30)?;
        press(page, "#stop")?;
        finished()
    })?;
    ensure_that!(at == "paint", "stopped, and the focus is on {at}");
    set(page, "#steps", "4")?;
    let at = after(page, "opening the mask", || press(page, "#repaint"))?;
    ensure_that!(at == "mask", "the mask is open and the focus is on {at}");
    after(page, "clearing the brush", || press(page, "#clear-mask"))?;
    let at = after(page, "leaving the mask", || page.press(&ESCAPE.to_string()))?;
    ensure_that!(at == "repaint", "the mask is left and the focus is on {at}");
    after(page, "a part that changes", || {
        press(page, "#repaint")?;
        page.press(&SPACE.to_string())?;
        press(page, "#paint")?;
        finished()
    })?;
    after(page, "a step of the film, and painting anew from there", || {
        page.run("document.querySelector('#film button').focus()", &[])?;
        page.press(&SPACE.to_string())?;
        page.type_into("#film button", &format!("\u{e009}{ENTER}"))?;
        finished()
    })?;
    after(page, "a picture to begin from", || press(page, "#gallery [data-act=from]"))?;
    after(page, "beginning from noise again", || press(page, "#forget"))?;
    after(page, "the settings of a picture", || press(page, "#gallery [data-act=again]"))?;
    let count = page.run("return document.querySelectorAll('#gallery figure').length", &[])?.as_u64().unwrap_or(0);
    ensure_that!(count > 2, "only {count} pictures hang there");
    for left in (0..count).rev() {
        let at =
            after(page, &format!("removing a picture, {left} left"), || press(page, "#gallery [data-act=remove]"))?;
        ensure_that!(left == 0 || at == "remove", "a picture was removed and the focus is on {at}");
    }
    Ok(())
}

fn walking(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("walk.html")?;
    page.wait_for("document.querySelectorAll('#way button').length === 9", 30)?;
    for button in ["#chance", "#from", "#middle", "#to", "#way [data-step='4']", "#go", "#glyphs button"] {
        after(page, button, || press(page, button))?;
    }
    after(page, "another model", || {
        press(page, "[data-model='faces-gan']")?;
        page.wait_for("document.body.dataset.state === 'ready' && document.querySelector('#encode').hidden", 60)
    })?;
    Ok(())
}

fn enter(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#length", "20")?;
    page.run("document.querySelector('#prompt').focus()", &[])?;
    page.press("One line")?;
    page.type_into("#prompt", &format!("{SHIFT}{ENTER}"))?;
    page.press("and another")?;
    let words = page.run("return document.querySelector('#prompt').value", &[])?;
    ensure_that!(words == "One line\nand another", "Shift and Enter make {words}");
    page.press(&ENTER.to_string())?;
    page.wait_for("document.querySelectorAll('#story .token').length > 0", 60)?;
    settled(page)?;
    ensure_that!(page.text("#story")?.starts_with("One line\nand another"), "it reads {:?}", page.text("#story")?);
    // While a word is put together out of several keys, Enter belongs to it.
    page.click("#clear")?;
    page.run(
        "document.querySelector('#prompt').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true }))",
        &[],
    )?;
    ensure_that!(
        token_count(page)? == 0 && page.run("return document.body.dataset.state", &[])? == "ready",
        "a word was cut short"
    );
    visit.open("paint.html")?;
    set(page, "#steps", "2")?;
    page.run("document.querySelector('#prompt').focus()", &[])?;
    page.press("a fox")?;
    page.type_into("#prompt", &format!("{SHIFT}{ENTER}"))?;
    let words = page.run("return document.querySelector('#prompt').value", &[])?;
    ensure_that!(words == "a fox\n", "Shift and Enter make {words}");
    page.press(&ENTER.to_string())?;
    page.wait_for(
        "document.body.dataset.state === 'ready' && document.querySelectorAll('#film button').length === 2",
        60,
    )
}

fn early(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    page.goto(&format!("{}/?model=/fault/slow/fixtures/tiny_llama.gguf", visit.address))?;
    page.wait_for("document.body.dataset.state === 'loading'", 30)?;
    page.run("document.querySelector('#prompt').focus()", &[])?;
    page.press("Once upon a time")?;
    page.press(&ENTER.to_string())?;
    page.wait_for("document.querySelectorAll('#story .token').length > 3", 120)?;
    ensure_that!(page.text("#story")?.starts_with("Once upon a time"), "it reads {:?}", page.text("#story")?);
    Ok(())
}

fn scrolled(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    for address in ["", "paint.html"] {
        visit.open(address)?;
        press(page, "#vocabulary summary")?;
        page.press(&TAB.to_string())?;
        page.wait_for("document.activeElement.matches('.vocabulary')", 5)?;
        page.press("\u{e010}")?;
        page.wait_for("document.querySelector('.vocabulary').scrollTop > 50", 5)?;
    }
    Ok(())
}
