//! What axe-core (npm) finds fault with: nothing, on any page, in any state, at any width, in the light and in the dark.

use std::{fs, sync::OnceLock};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    Test, Visit, ensure_that,
    layout::nothing_sticks_out,
    nothing, painter,
    reader::{self, set},
    script,
};
use crate::{browser::Session, npm, workspace::Workspace};

pub const TESTS: &[Test] = &[
    Test::new("axe_finds_no_fault_with_the_page_that_writes", writing),
    Test::new("axe_finds_no_fault_with_the_page_that_paints", painting),
    Test::new("axe_finds_no_fault_with_the_page_that_walks", walking),
    Test::new("axe_finds_no_fault_with_widgets", widgets),
];

/// Width, height, whether it is a phone.
const WINDOWS: [(u32, u32, bool); 3] = [(1280, 900, false), (390, 844, true), (320, 640, true)];

/// Looks at the page as it stands in every window, in the light and in the dark: axe finds no fault, and nothing is wider than the window.
pub fn stands_everywhere(page: &Session, state: &str) -> Result<()> {
    for (width, height, phone) in WINDOWS {
        for dark in [false, true] {
            page.look_like(width, height, phone, dark)?;
            let scheme = if dark { "in the dark" } else { "in the light" };
            let whole = || -> Result<()> {
                faultless(page)?;
                nothing_sticks_out(page)
            };
            whole().with_context(|| format!("{state}, {width} pixels wide, {scheme}"))?;
        }
    }
    Ok(())
}

/// Runs axe over the document as it is now, open shadow roots included.
pub fn faultless(page: &Session) -> Result<()> {
    if page.run("return typeof axe", &[])? == "undefined" {
        page.run(source()?, &[])?;
    }
    let found = page.call(script!("axe.js", faults), nothing())?;
    ensure_that!(found["passes"].as_u64().is_some_and(|rules| rules > 10), "axe looked at nothing: {found}");
    ensure_that!(found["violations"] == Value::Array(vec![]), "axe finds {:#}", found["violations"]);
    Ok(())
}

/// axe-core's own file, once it is installed.
fn source() -> Result<&'static str> {
    static SOURCE: OnceLock<String> = OnceLock::new();
    if let Some(source) = SOURCE.get() {
        return Ok(source);
    }
    let file = npm::install(&Workspace::find()?, &npm::AXE)?.join("axe.min.js");
    let source = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(SOURCE.get_or_init(|| source))
}

fn writing(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    stands_everywhere(page, "an empty sheet")?;
    page.call(script!("axe.js", unfold), json!(true))?;
    stands_everywhere(page, "all that opens is open")?;
    page.call(script!("axe.js", unfold), json!(false))?;
    page.run("document.querySelector('#tint').click()", &[])?;
    set(page, "#length", "500")?;
    set(page, "#seed", "11")?;
    reader::write_some(page, "One winter day, a fox was out in the snow with a supercalifragilisticexpialidocious.")?;
    stands_everywhere(page, "a story")?;
    page.run("document.querySelector('#story .token').focus()", &[])?;
    page.wait_for("!document.querySelector('#alternatives').hidden", 5)?;
    stands_everywhere(page, "what else it might have been")
}

fn painting(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("paint.html")?;
    stands_everywhere(page, "an empty easel")?;
    page.call(script!("axe.js", unfold), json!(true))?;
    stands_everywhere(page, "all that opens is open")?;
    page.call(script!("axe.js", unfold), json!(false))?;
    set(page, "#steps", "24")?;
    painter::paint(page, "a happy fox, quixotically blue, in the snow", "7")?;
    page.wait_for("document.querySelectorAll('#gallery figure').length === 1", 10)?;
    page.click("#gallery [data-act=from]")?;
    stands_everywhere(page, "a picture, a gallery, and another picture to begin from")?;
    page.click("#repaint")?;
    page.click("#paint")?;
    stands_everywhere(page, "a mask that nobody brushed")
}

fn walking(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("walk.html")?;
    page.wait_for("document.querySelector('#plane').dataset.tiles === '81'", 60)?;
    stands_everywhere(page, "a walk")?;
    page.call(script!("axe.js", unfold), json!(true))?;
    page.click("[data-glyph]")?;
    page.wait_for("document.querySelector('#likeness').value.includes('dB')", 30)?;
    page.click("#way [data-step='4']")?;
    stands_everywhere(page, "a picture that was encoded, and a way")
}

fn widgets(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    page.goto(&format!("{}/widgets.html", visit.address))?;
    page.wait_for(
        "['first', 'second', 'third', 'fourth'].every((id) => document.getElementById(id).shadowRoot?.querySelector('.act')?.disabled === false)",
        120,
    )?;
    stands_everywhere(page, "widgets that wait")?;
    page.call(script!("axe.js", answered), nothing())?;
    stands_everywhere(page, "widgets that have answered")
}
