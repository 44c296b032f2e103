//! A story from its end on: that it has ended and what comes next, and that it stays: through a reload, a closed tab and a full disk, in the clipboard
//! and as a file.

use std::{thread, time::Duration};

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    Test, Visit, ensure_that, nothing,
    reader::{set, settled, token_count, write_some},
    script,
};
use crate::browser::Session;

pub const TESTS: &[Test] = &[
    Test::new("going_on_after_the_end_says_that_the_story_has_ended", ended),
    Test::new("a_story_is_told_again_and_another_after_it", again_and_another),
    Test::new("at_temperature_zero_trying_again_says_that_it_would_be_the_same", no_use),
    Test::new("a_story_survives_a_reload_and_a_way_to_another_page_and_back", survives),
    Test::new("each_tab_keeps_its_own_story_and_a_new_one_takes_up_the_last", two_tabs),
    Test::new("a_full_disk_keeps_the_story_in_its_tab_and_says_so", full_disk),
    Test::new("a_browser_that_keeps_nothing_is_named", keeps_nothing),
    Test::new("a_kept_story_that_makes_no_sense_is_passed_over", nonsense),
    Test::new("a_story_is_copied_and_saved", taken_out),
];

/// Writes to the model's own end of the story.
fn write_to_the_end(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#length", "500")?;
    set(page, "#seed", "11")?;
    write_some(page, "One winter day, a fox was out in the snow.")?;
    ensure_that!(shown(page, "#ending")?, "after 500 tokens the story has not ended: {:?}", page.text("#story")?);
    Ok(())
}

fn shown(page: &Session, selector: &str) -> Result<bool> {
    Ok(page.run("return document.querySelector(arguments[0]).checkVisibility()", &[json!(selector)])? == true)
}

fn focused(page: &Session) -> Result<Value> {
    page.run("return document.activeElement?.id || document.activeElement?.tagName", &[])
}

fn ended(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    write_to_the_end(visit)?;
    let (story, tokens) = (page.text("#story")?, token_count(page)?);
    ensure_that!(page.text("#announcer")?.contains("The story has ended."), "who cannot see is not told");
    page.click("#continue")?;
    thread::sleep(Duration::from_millis(200));
    ensure_that!(page.text("#ending-words")?.contains("nothing comes after"), "it says {:?}", page.text("#ending")?);
    ensure_that!(focused(page)? == "another", "the focus is on {}", focused(page)?);
    ensure_that!(page.text("#story")? == story && token_count(page)? == tokens, "the ended story went on");
    reload(page)?;
    ensure_that!(shown(page, "#ending")?, "after a reload the story has not ended any more");
    page.click("#edit")?;
    ensure_that!(!shown(page, "#ending")?, "a beginning that is changed has ended");
    Ok(())
}

fn again_and_another(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    write_to_the_end(visit)?;
    let first = page.text("#story")?;
    page.click("#again")?;
    settled(page)?;
    let second = page.text("#story")?;
    ensure_that!(second.starts_with("One winter day, a fox was out in the snow."), "the beginning is gone: {second:?}");
    ensure_that!(second != first, "the seed that was set tells the same story once more");
    page.wait_for("document.querySelector('#ending').checkVisibility()", 5)?;
    page.click("#another")?;
    settled(page)?;
    let third = page.text("#story")?;
    ensure_that!(!third.starts_with("One winter day, a fox"), "another story begins {third:?}");
    ensure_that!(token_count(page)? > 10, "another story is {third:?}");
    for _ in 0..2 {
        page.click("#undo")?;
    }
    ensure_that!(page.text("#story")? == first, "undoing both leads to {:?}", page.text("#story")?);
    ensure_that!(shown(page, "#ending")?, "undo forgot that the story had ended");
    Ok(())
}

fn no_use(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#length", "500")?;
    set(page, "#temperature", "0")?;
    write_some(page, "One winter day, a fox was out in the snow.")?;
    let story = page.text("#story")?;
    page.click("#again")?;
    ensure_that!(page.text("#ending")?.contains("temperature"), "it says {:?}", page.text("#ending")?);
    ensure_that!(page.text("#story")? == story, "it was told again");
    Ok(())
}

fn survives(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#length", "30")?;
    set(page, "#prompt", "The brave mouse\nfound a “key”.")?;
    write_some(page, "")?;
    let kept = |when: &str| -> Result<()> {
        page.wait_for("document.body.dataset.state === 'ready'", 60)?;
        let [story, tokens] = [page.text("#story")?, tokens(page)?];
        let before = page.run("return JSON.parse(sessionStorage.before)", &[])?;
        ensure_that!(before == json!([story, tokens]), "{when} the story is {story:?} and was {before}");
        Ok(())
    };
    page.run(
        "sessionStorage.before = JSON.stringify([arguments[0], arguments[1]])",
        &[json!(page.text("#story")?), json!(tokens(page)?)],
    )?;
    page.reload()?;
    kept("after a reload")?;
    // What else a word might have been is there too, and the story goes on from its tokens.
    page.run("document.querySelector('#story .token').focus()", &[])?;
    page.wait_for("document.querySelectorAll('#alternatives [data-alternative]').length >= 5", 10)?;
    visit.open("paint.html")?;
    page.back()?;
    page.wait_for("document.querySelector('#story')", 30)?;
    kept("on the way back from another page")?;
    let count = token_count(page)?;
    page.click("#continue")?;
    settled(page)?;
    ensure_that!(token_count(page)? > count, "it does not go on");
    page.click("#clear")?;
    visit.open("?model=storyteller")?;
    ensure_that!(shown(page, "#prompt")?, "a story that was cleared came back");
    Ok(())
}

fn tokens(page: &Session) -> Result<String> {
    let tokens = page.run(
        "return [...document.querySelectorAll('#story .token')].map((each) => each.dataset.token).join(' ')",
        &[],
    )?;
    Ok(tokens.as_str().unwrap_or_default().to_owned())
}

fn two_tabs(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    let story = || page.text("#story");
    visit.open("")?;
    set(page, "#length", "20")?;
    write_some(page, "The first tab")?;
    let (first, one) = (page.tabs()?[0].clone(), story()?);
    let second = page.open_tab()?;
    visit.open("")?;
    ensure_that!(story()? == one, "a new tab begins with {:?}", story()?);
    page.click("#clear")?;
    write_some(page, "The second tab")?;
    let two = story()?;
    reload(page)?;
    ensure_that!(story()? == two, "the second tab has now {:?}", story()?);
    page.go_to_tab(&first)?;
    reload(page)?;
    ensure_that!(story()? == one, "the first tab lost its story to the second: {:?}", story()?);
    page.open_tab().and_then(|third| {
        for tab in [&first, &second] {
            page.go_to_tab(tab)?;
            page.close_tab()?;
        }
        page.go_to_tab(&third)
    })?;
    visit.open("")?;
    ensure_that!(story()? == two, "the second tab was closed last, and a new one has {:?}", story()?);
    Ok(())
}

fn reload(page: &Session) -> Result<()> {
    page.reload()?;
    page.wait_for("document.body.dataset.state === 'ready'", 60)
}

fn full_disk(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#length", "20")?;
    page.call(script!("ending.js", fill), nothing())?;
    write_some(page, "A whale in the sea")?;
    page.wait_for("document.querySelector('#unkept').checkVisibility()", 10)?;
    let said = page.text("#unkept")?;
    ensure_that!(said.contains("until this tab is closed") && said.contains("file"), "it says {said:?}");
    let story = page.text("#story")?;
    reload(page)?;
    ensure_that!(page.text("#story")? == story, "after a reload the story is {:?}", page.text("#story")?);
    page.call(script!("ending.js", empty), nothing())?;
    page.click("#edit")?;
    page.type_into("#prompt", " by day")?;
    page.wait_for("!document.querySelector('#unkept').checkVisibility()", 10)
}

fn keeps_nothing(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    page.devtools(
        "Page.addScriptToEvaluateOnNewDocument",
        json!({ "source": script!("ending.js", refuseStores).call(&nothing()) }),
    )?;
    visit.open("")?;
    set(page, "#length", "20")?;
    write_some(page, "A whale in the sea")?;
    page.wait_for("document.querySelector('#unkept').checkVisibility()", 10)?;
    ensure_that!(page.text("#unkept")?.contains("keeps nothing"), "it says {:?}", page.text("#unkept")?);
    Ok(())
}

fn nonsense(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    for kept in [
        "{",
        "null",
        "[1]",
        r#"{"own":1}"#,
        r#"{"own":"a","author":"b","tokens":[[1,"x"]]}"#,
        r#"{"own":"a","author":"b","tokens":[[1,"x",0,[["y"]]]]}"#,
    ] {
        page.goto(&format!("{}/fault/blank", visit.address))?;
        page.call(script!("ending.js", keep), json!(kept))?;
        visit.open("")?;
        ensure_that!(shown(page, "#prompt")?, "a sheet with {kept} is not empty");
    }
    write_some(page, "Once")
}

fn taken_out(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    page.devtools(
        "Browser.grantPermissions",
        json!({ "origin": visit.address, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] }),
    )?;
    visit.open("")?;
    ensure_that!(
        page.run("return document.querySelector('#copy').disabled", &[])? == true,
        "an empty sheet can be copied"
    );
    set(page, "#length", "20")?;
    write_some(page, "Élan, the “fox”,")?;
    let story = page.run("return document.querySelector('#story').textContent", &[])?;
    page.click("#copy")?;
    page.wait_for("document.querySelector('#copy').textContent === 'Copied'", 5)?;
    let copied = page.run_async("return await navigator.clipboard.readText()", &[])?;
    ensure_that!(copied == story, "the clipboard holds {copied}, and the story is {story}");
    page.wait_for("document.querySelector('#copy').textContent === 'Copy'", 10)?;
    // The old way, of a page that came over plain http.
    page.run("Object.defineProperty(navigator, 'clipboard', { value: undefined })", &[])?;
    page.click("#copy")?;
    page.wait_for("document.querySelector('#copy').textContent === 'Copied'", 5)?;
    ensure_that!(focused(page)? == "copy", "copying leaves the focus on {}", focused(page)?);
    page.call(script!("ending.js", catchSaved), nothing())?;
    page.click("#save")?;
    let saved = page.call(script!("ending.js", saved), nothing())?;
    ensure_that!(saved["name"] == "élan-the-fox.txt", "the file is called {}", saved["name"]);
    let text = saved["text"].as_str().unwrap_or_default();
    ensure_that!(story == text.trim_end_matches('\n') || story == text[..text.len() - 1], "the file holds {text:?}");
    Ok(())
}
