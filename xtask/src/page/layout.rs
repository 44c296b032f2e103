//! How the page looks and reads: on a desk, on a phone, in the dark; and what a screen reader is told.

use anyhow::Result;

use super::{
    Test, Visit, ensure_that, nothing,
    reader::{set, write_some},
    script, strings,
};
use crate::browser::Session;

pub const TESTS: &[Test] = &[
    Test::new("the_page_fits_a_desk_in_the_light", desktop),
    Test::new("the_page_fits_a_phone", phone),
    Test::new("the_page_is_dark_in_the_dark", dark),
    Test::new("everything_that_can_be_used_has_a_name", names),
];

fn desktop(visit: &Visit) -> Result<()> {
    show(visit, 1280, 900, false, false, "desktop")
}

fn phone(visit: &Visit) -> Result<()> {
    show(visit, 390, 844, true, false, "phone")?;
    let small = visit.session.call(script!("layout.js", small), nothing())?;
    ensure_that!(strings(&small).is_empty(), "too small for a finger: {small}");
    Ok(())
}

fn dark(visit: &Visit) -> Result<()> {
    show(visit, 1280, 900, false, true, "dark")?;
    let page = visit.session.call(script!("layout.js", light), nothing())?;
    let level = |name: &str| page[name].as_f64().unwrap_or(128.0);
    ensure_that!(level("ground") < 80.0 && level("ink") > 150.0, "ground and ink in the dark: {page}");
    Ok(())
}

/// Writes a story at that size, checks that nothing sticks out, and takes the picture where one is wanted.
fn show(visit: &Visit, width: u32, height: u32, phone: bool, dark: bool, name: &str) -> Result<()> {
    let page = &visit.session;
    page.look_like(width, height, phone, dark)?;
    visit.open("")?;
    set(page, "#length", "120")?;
    set(page, "#seed", "11")?;
    write_some(page, "One winter day, a fox was out in the snow.")?;
    nothing_sticks_out(page)?;
    match visit.screenshots {
        Some(folder) => page.screenshot(&visit.root.join(folder).join(format!("{name}.png"))),
        None => Ok(()),
    }
}

/// Refuses a page that is wider than its window.
pub fn nothing_sticks_out(page: &Session) -> Result<()> {
    let cut = page.call(script!("layout.js", cut), nothing())?;
    ensure_that!(strings(&cut).is_empty(), "these stick out: {cut}");
    let wide = page.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth", &[])?;
    ensure_that!(wide == 0, "the page is {wide} pixels wider than its window");
    Ok(())
}

fn names(visit: &Visit) -> Result<()> {
    visit.open("")?;
    let tree = visit.session.devtools("Accessibility.getFullAXTree", serde_json::json!({}))?;
    let used = ["button", "textbox", "slider", "spinbutton", "checkbox", "switch", "link", "combobox"];
    let nameless: Vec<_> = tree["nodes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|node| node["ignored"] == false && used.iter().any(|role| node["role"]["value"] == *role))
        .filter(|node| node["name"]["value"].as_str().unwrap_or_default().trim().is_empty())
        .map(|node| node["role"]["value"].clone())
        .collect();
    ensure_that!(nameless.is_empty(), "controls without a name: {nameless:?}");
    let language = visit.session.run("return document.documentElement.lang", &[])?;
    ensure_that!(language != "", "the page does not say its language");
    Ok(())
}
