//! What a reader does: writes a beginning, watches, stops, goes on, turns the story, changes the settings.

use std::{thread, time::Duration};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Test, Visit, ensure_that, nothing, script, strings};
use crate::browser::{Element, Gpu, Session};

/// WebDriver's names for keys (section 17.4.2).
const ENTER: char = '\u{e007}';
const ESCAPE: char = '\u{e00c}';
const CONTROL: char = '\u{e009}';
const RIGHT: char = '\u{e014}';
const DOWN: char = '\u{e015}';
const TAB: char = '\u{e004}';

pub const TESTS: &[Test] = &[
    Test::new("a_beginning_is_written_on_token_by_token", tokens_stream),
    Test::new("without_an_adapter_the_cpu_computes_and_the_page_says_why", cpu_and_why),
    Test::new("a_software_adapter_is_passed_over_and_the_page_says_why", software_adapter).on(Gpu::SwiftShader),
    Test::new("webgpu_writes_when_the_address_asks_for_it", webgpu_on_request).on(Gpu::SwiftShader),
    Test::new("webgpu_without_an_adapter_is_refused_with_a_way_out", webgpu_refused),
    Test::new("a_story_stops_and_goes_on_from_there", stop_and_go_on).everywhere(),
    Test::new("the_same_seed_writes_the_same_story", same_seed).everywhere(),
    Test::new("at_temperature_zero_the_seed_does_not_matter", temperature_zero).everywhere(),
    Test::new("the_length_is_kept", length_is_kept),
    Test::new("resting_on_a_word_shows_what_else_it_might_have_been", alternatives_by_mouse),
    Test::new("probabilities_are_rounded_to_what_is_true", rounding),
    Test::new("a_story_that_grows_under_a_resting_mouse_is_not_covered", resting_mouse).everywhere(),
    Test::new("the_story_turns_by_keyboard_alone", alternatives_by_keyboard),
    Test::new("the_keyboard_alone_writes_and_stops", keyboard_alone).everywhere(),
    Test::new("undo_gives_the_story_back", undo),
    Test::new("an_empty_sheet_is_written_on_from_the_beginning_of_text", empty_prompt),
    Test::new("a_text_longer_than_the_context_is_answered_kindly", outgrown_context),
    Test::new("nothing_is_fetched_from_another_host", own_host_only),
    Test::new("a_wish_is_answered_by_a_model_that_can", answers),
    Test::new("a_wish_is_heard_where_a_beginning_was_awaited", wish),
    Test::new("what_the_storyteller_knows_is_one_click_away", vocabulary),
    Test::new("the_widgets_of_a_page_share_one_model_and_write", widgets).everywhere(),
];

fn tokens_stream(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    page.call(script!("reader.js", noteLengths), nothing())?;
    set(page, "#length", "300")?;
    page.type_into("#prompt", "Once upon a time")?;
    page.click("#write")?;
    settled(page)?;
    let story = page.text("#story")?;
    ensure_that!(story.starts_with("Once upon a time"), "the beginning is gone: {story:?}");
    let tokens = token_count(page)?;
    ensure_that!(tokens >= 10, "only {tokens} tokens were written: {story:?}");
    let lengths = page.run("return window.lengths", &[])?;
    let lengths: Vec<u64> = lengths.as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    let growths = lengths.windows(2).filter(|pair| pair[1] > pair[0]).count();
    // Tokens are shown once a frame, and a fast machine makes dozens in one.
    ensure_that!(growths >= 3, "the text did not grow step by step: {lengths:?}");
    for instrument in ["#speed", "#ttft", "#count"] {
        let said = page.text(instrument)?;
        ensure_that!(said.chars().any(|c| c.is_ascii_digit()), "{instrument} says {said:?} after a story");
    }
    Ok(())
}

fn cpu_and_why(visit: &Visit) -> Result<()> {
    visit.open("")?;
    let device = visit.session.text("#device")?;
    ensure_that!(device.starts_with("CPU"), "computed by {device:?}");
    let reason = visit.session.text("#device-reason")?;
    ensure_that!(reason.contains("WebGPU"), "the reason does not speak of WebGPU: {reason:?}");
    write_some(visit.session, "The little dog")
}

fn software_adapter(visit: &Visit) -> Result<()> {
    visit.open("")?;
    let device = visit.session.text("#device")?;
    ensure_that!(device.starts_with("CPU"), "computed by {device:?}");
    let reason = visit.session.text("#device-reason")?.to_lowercase();
    ensure_that!(reason.contains("software"), "the reason does not say that the adapter is software: {reason:?}");
    Ok(())
}

fn webgpu_on_request(visit: &Visit) -> Result<()> {
    visit.open("?device=webgpu")?;
    let device = visit.session.text("#device")?;
    ensure_that!(device.starts_with("WebGPU"), "computed by {device:?}");
    write_some(visit.session, "The little dog")
}

fn webgpu_refused(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    page.goto(&format!("{}/?device=webgpu", visit.address))?;
    page.wait_for("!document.querySelector('#error').hidden", 60)?;
    let said = page.text("#error")?;
    ensure_that!(said.len() > 40, "the notice is short: {said:?}");
    page.click("#error-action")?;
    page.wait_for("location.search.includes('device=cpu') && document.body.dataset.state === 'ready'", 60)?;
    write_some(page, "The little dog")
}

fn stop_and_go_on(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#length", "500")?;
    let whole = write_with_seed(page, "One day a girl", "3")?;
    slow_down(page)?;
    // The page itself presses the button, as soon as there is something to stop: a small model is faster than any driver. On a busy machine it may be
    // faster than the page that shows its words, too, and is done before it can be stopped; then it is asked once more.
    let mut stopped = whole.clone();
    for _ in 0..6 {
        page.click("#clear")?;
        page.call(script!("reader.js", stopAt), json!(3))?;
        stopped = write_with_seed(page, "One day a girl", "3")?;
        ensure_that!(whole.starts_with(stopped.trim_end()), "stopped, it is {stopped:?} of {whole:?}");
        if stopped.len() < whole.len() {
            break;
        }
    }
    ensure_that!(stopped.len() < whole.len(), "not stopped: {stopped:?}");
    let tokens = token_count(page)?;
    thread::sleep(Duration::from_millis(600));
    ensure_that!(page.text("#story")? == stopped, "the story went on after it was stopped");
    page.click("#continue")?;
    page.wait_for_with("document.querySelectorAll('#story .token').length > arguments[0]", &json!(tokens), 60)?;
    settled(page)?;
    let more = page.text("#story")?;
    ensure_that!(more.starts_with(stopped.trim_end()), "going on changed what stood there:\n{stopped:?}\n{more:?}");
    Ok(())
}

fn same_seed(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#length", "40")?;
    let story = |seed: &str| write_with_seed(page, "A cat and a bird", seed);
    let (first, again, other) = (story("7")?, story("7")?, story("8")?);
    ensure_that!(first == again, "one seed, two stories:\n{first:?}\n{again:?}");
    ensure_that!(first != other, "two seeds, one story: {first:?}");
    Ok(())
}

fn temperature_zero(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#length", "40")?;
    set(page, "#temperature", "0")?;
    let (first, other) = (write_with_seed(page, "A cat", "1")?, write_with_seed(page, "A cat", "2")?);
    ensure_that!(first == other, "the likeliest words differ:\n{first:?}\n{other:?}");
    Ok(())
}

fn length_is_kept(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#length", "20")?;
    page.type_into("#prompt", "Tom had a")?;
    page.click("#write")?;
    settled(page)?;
    let tokens = token_count(page)?;
    ensure_that!((1..=20).contains(&tokens), "{tokens} tokens where 20 were asked for");
    page.run("location.reload()", &[])?;
    thread::sleep(Duration::from_millis(300));
    page.wait_for("document.querySelector('#length')?.value === '20'", 30).context("the settings were forgotten")
}

fn alternatives_by_mouse(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#length", "30")?;
    write_some(page, "Once there was")?;
    page.hover(&visible_token(page)?)?;
    page.wait_for("!document.querySelector('#alternatives').hidden", 10)?;
    let list = page.run(
        "return [...document.querySelectorAll('#alternatives [data-alternative]')].map((each) => each.innerText.trim())",
        &[],
    )?;
    let list = strings(&list);
    ensure_that!(list.len() >= 5, "only {list:?} are shown");
    let shares: Vec<f64> = list.iter().filter_map(|each| share_in(each)).collect();
    ensure_that!(
        shares.windows(2).take(list.len().saturating_sub(2)).all(|pair| pair[0] >= pair[1]),
        "not likeliest first: {list:?}"
    );
    Ok(())
}

fn rounding(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let probabilities = [1.0, 0.99999, 0.9994, 0.999, 0.996, 0.994, 0.5, 0.0996, 0.0994, 0.0312, 0.001, 0.0009, 0.0];
    let told = visit.call(script!("reader.js", percentages), json!(probabilities))?;
    let expected = [
        "> 99.9 %", "> 99.9 %", "> 99.9 %", "99.9 %", "99.6 %", "99 %", "50 %", "10 %", "9.9 %", "3.1 %", "0.1 %",
        "< 0.1 %", "< 0.1 %",
    ];
    ensure_that!(told == json!(expected), "they are told as {told}");
    Ok(())
}

fn resting_mouse(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    page.type_into("#prompt", "Once there was")?;
    page.hover(&page.find("#prompt")?)?;
    page.run("document.querySelector('#write').click()", &[])?;
    settled(page)?;
    thread::sleep(Duration::from_millis(500));
    let covered = page.run("return document.querySelector('#story').matches(':hover')", &[])?;
    ensure_that!(covered == true, "the story did not grow under the mouse");
    let free = || page.run("return document.querySelector('#alternatives').hidden", &[]);
    ensure_that!(free()? == true, "a list covers the story");
    for down in [30, -30] {
        page.run("scrollBy(0, arguments[0])", &[json!(down)])?;
        thread::sleep(Duration::from_millis(400));
        ensure_that!(free()? == true, "a list covers the story that was scrolled by {down}");
    }
    Ok(())
}

fn alternatives_by_keyboard(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#length", "30")?;
    set(page, "#temperature", "0")?;
    write_some(page, "Once there was")?;
    let before = strings(&tokens_of(page)?);
    page.run("document.querySelector('#story .token').focus()", &[])?;
    page.press(&RIGHT.to_string())?;
    page.wait_for(
        "document.activeElement?.dataset?.index === '1' && !document.querySelector('#alternatives').hidden",
        10,
    )?;
    page.press(&ENTER.to_string())?;
    page.wait_for("document.activeElement?.matches('[data-alternative]')", 10)?;
    page.press(&DOWN.to_string())?;
    let chosen = page.run("return document.activeElement.dataset.alternative", &[])?;
    page.press(&ENTER.to_string())?;
    page.wait_for_with("document.querySelectorAll('#story .token')[1]?.dataset.token === arguments[0]", &chosen, 30)?;
    settled(page)?;
    let after = strings(&tokens_of(page)?);
    ensure_that!(after[0] == before[0], "what stood before the turn changed");
    ensure_that!(after.get(1) != before.get(1), "the story did not turn");
    ensure_that!(after.len() > 2, "nothing was written after the turn");
    Ok(())
}

fn keyboard_alone(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#length", "500")?;
    slow_down(page)?;
    for _ in 0..20 {
        page.press(&TAB.to_string())?;
        if page.run("return document.activeElement?.id", &[])? == "prompt" {
            break;
        }
    }
    ensure_that!(
        page.run("return document.activeElement?.id", &[])? == "prompt",
        "the Tab key does not lead to the prompt"
    );
    page.press("Sue ran")?;
    // The chord: Control stays down while Enter is pressed.
    page.type_into("#prompt", &format!("{CONTROL}{ENTER}"))?;
    page.wait_for("document.querySelectorAll('#story .token').length >= 3", 60)?;
    page.press(&ESCAPE.to_string())?;
    settled(page)?;
    ensure_that!(page.text("#story")?.starts_with("Sue ran"), "what was typed is gone");
    Ok(())
}

fn undo(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#length", "20")?;
    write_some(page, "Ben saw a")?;
    let story = page.text("#story")?;
    page.click("#clear")?;
    ensure_that!(page.run("return document.querySelector('#prompt').value", &[])? == "", "clearing left something");
    page.click("#undo")?;
    ensure_that!(page.text("#story")? == story, "undo gave back something else");
    Ok(())
}

fn empty_prompt(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#length", "20")?;
    page.click("#write")?;
    settled(page)?;
    let tokens = token_count(page)?;
    ensure_that!(tokens > 0, "nothing was written; the notice says {:?}", page.text("#error")?);
    Ok(())
}

fn outgrown_context(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#prompt", &"The dog ran home. ".repeat(20000))?;
    page.click("#write")?;
    page.wait_for("!document.querySelector('#error').hidden", 120)?;
    let code = page.run("return document.querySelector('#error').dataset.code", &[])?;
    ensure_that!(code == "context-overflow", "the code is {code}");
    page.click("#error-close")?;
    page.click("#clear")?;
    write_some(page, "The dog")
}

fn own_host_only(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#length", "20")?;
    write_some(page, "The sun")?;
    let hosts = page.run(
        "return [...new Set(performance.getEntriesByType('resource').map((each) => new URL(each.name).origin))]",
        &[],
    )?;
    ensure_that!(strings(&hosts).iter().all(|host| *host == visit.address), "the page fetched from {hosts}");
    Ok(())
}

fn answers(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#length", "30")?;
    page.click("#mode [data-mode='answer']")?;
    write_some(page, "Tell me a story about a fox.")
}

fn wish(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    let answering = || -> Result<bool> {
        let pressed = page.run("return document.querySelector(`#mode [data-mode='answer']`).ariaPressed", &[])?;
        Ok(pressed == "true")
    };
    visit.open("")?;
    set(page, "#length", "60")?;
    write_some(page, "A story about a fox who finds a lantern in the snow")?;
    ensure_that!(answering()?, "the request was taken for a beginning");
    let told = page.text("#story")?;
    ensure_that!(told.matches("fox").count() >= 2, "it told {told:?}");
    page.click("#undo")?;
    ensure_that!(!answering()?, "what was undone did not take the answer with it");

    page.click("#mode [data-mode='continue']")?;
    page.click("#write")?;
    settled(page)?;
    ensure_that!(!answering()?, "the reader's own choice was not kept");

    page.click("#clear")?;
    visit.open("")?;
    write_some(page, "A storyteller sat by the fire")?;
    ensure_that!(!answering()?, "a beginning was taken for a request");
    Ok(())
}

fn widgets(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    page.goto(&format!("{}/widgets.html", visit.address))?;
    page.wait_for("['first', 'second'].every((id) => document.getElementById(id).button?.disabled === false)", 60)?;
    let texts = page
        .run_async("return Promise.all(['first', 'second'].map((id) => document.getElementById(id).write()))", &[])?;
    let texts = strings(&texts);
    ensure_that!(texts.len() >= 2 && texts.iter().all(|text| text.len() > 20), "the widgets wrote {texts:?}");
    let again = page.run_async("return document.querySelector('#second').write()", &[])?;
    ensure_that!(
        texts.get(1).map(String::as_str) == again.as_str(),
        "at temperature 0 a widget told two stories: {texts:?}, {again}"
    );
    Ok(())
}

/// Writes on from a beginning, to the end, and checks that something came. With a seed of its own where the test set none: of some
/// whole sentences the storyteller says once in a hundred draws that nothing comes after them.
pub fn write_some(page: &Session, beginning: &str) -> Result<()> {
    if page.run("return document.querySelector('#seed').value", &[])? == "" {
        set(page, "#seed", "7")?;
    }
    page.type_into("#prompt", beginning)?;
    page.click("#write")?;
    settled(page)?;
    let tokens = token_count(page)?;
    ensure_that!(tokens > 0, "nothing was written; the notice says {:?}", page.text("#error")?);
    Ok(())
}

/// A prompt without sense is answered all the same, and the model's small world stands beside it.
fn vocabulary(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    write_some(page, "qwrtz 🦊 xkcd 12345")?;
    page.click("#vocabulary summary")?;
    let words = page.text("#vocabulary .vocabulary")?;
    for part in ["Characters:", "fox", "Things:", "lantern", "Places:", "in the snow"] {
        ensure_that!(words.contains(part), "{part} is not among {words:?}");
    }
    Ok(())
}

/// A fresh story from a seed.
fn write_with_seed(page: &Session, beginning: &str, seed: &str) -> Result<String> {
    if page.run("return document.querySelector('#prompt').hidden", &[])? == true {
        page.click("#clear")?;
    }
    set(page, "#seed", seed)?;
    page.clear("#prompt")?;
    write_some(page, beginning)?;
    page.text("#story")
}

/// Sets a control as the reader's hand would: the value, then the events.
pub fn set(page: &Session, selector: &str, value: &str) -> Result<()> {
    page.find(selector)?;
    page.call(script!("reader.js", set), json!({ "selector": selector, "value": value })).map(drop)
}

/// Waits until the model has written what it was asked for.
pub fn settled(page: &Session) -> Result<()> {
    page.wait_for(
        "document.body.dataset.state === 'ready' && !document.querySelector('#story').classList.contains('writing')",
        180,
    )
}

/// Makes every new token cost the page a few milliseconds, so that a small model on a fast machine can be caught in the act.
pub fn slow_down(page: &Session) -> Result<()> {
    page.call(script!("reader.js", slowDown), nothing()).map(drop)
}

pub fn token_count(page: &Session) -> Result<u64> {
    let count = page.run("return document.querySelectorAll('#story .token').length", &[])?;
    Ok(count.as_u64().unwrap_or(0))
}

fn tokens_of(page: &Session) -> Result<Value> {
    page.run("return [...document.querySelectorAll('#story .token')].map((each) => each.dataset.token)", &[])
}

/// A token that shows letters, somewhere in the middle.
fn visible_token(page: &Session) -> Result<Element> {
    let token = page.run(
        "return [...document.querySelectorAll('#story .token')].filter((each) => /[a-z]/i.test(each.textContent))[2]",
        &[],
    )?;
    Element::from_value(&token).context("there is no word to rest on")
}

/// The number before a percent sign.
fn share_in(text: &str) -> Option<f64> {
    let before = text.rsplit_once('%')?.0.trim_end();
    let digits = before.rsplit(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    digits.parse().ok()
}
