//! What a reader takes along of a widget, its HTML and a link, and the page that sets widgets up.

use anyhow::{Context, Result};
use serde_json::json;

use super::{Test, Visit, axe, ensure_that, nothing, script, strings};

pub const TESTS: &[Test] = &[
    Test::new("the_html_of_a_widget_makes_an_equal_one", equal),
    Test::new("a_widget_with_a_megabyte_of_words_gives_no_link_but_a_sentence", too_long),
    Test::new("a_widget_that_is_asked_to_copies_its_html_and_its_link", buttons),
    Test::new("the_page_that_sets_widgets_up_opens_every_widget_as_a_link_says", opened),
    Test::new("the_page_that_sets_widgets_up_turns_its_form_into_html", set_up),
    Test::new("axe_finds_no_fault_with_the_page_that_sets_widgets_up", faultless),
];

fn equal(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_share.js", equal), nothing())?;
    let expected = json!({
        "plain": "<vitrine-text></vitrine-text>",
        "escaped": ["\"<b>&amp;</b>\"\n  it’s", true],
        "sameText": true, "moved": ["1.5", "7"], "follower": ["A fox", "11", null],
        "latent": "<vitrine-latent up=\"3\"></vitrine-latent>", "picture": [true, false, false],
    });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn too_long(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_share.js", tooLong), nothing())?;
    let expected = json!({ "link": null, "long": true, "said": "This is too long for a link. Copy the HTML instead.", "short": true });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn buttons(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_share.js", buttons), nothing())?;
    let expected = json!({
        "hidden": [true, false], "copied": [true, true], "said": ["HTML copied.", "Link copied."],
        "refused": ["The browser gives this page no clipboard. Copy it from here:", true, true],
    });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

/// Opens the page anew: the same address with another hash would not.
fn open(visit: &Visit, hash: &str) -> Result<()> {
    visit.blank()?;
    visit.session.goto(&format!("{}/embed.html{hash}", visit.address))?;
    visit.session.wait_for("document.body.dataset.state === 'ready'", 30)
}

fn opened(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let links = visit.call(script!("widget_share.js", links), nothing())?;
    let links = strings(&links);
    ensure_that!(links.len() >= 10, "{links:?}");
    for link in &links {
        let (_, hash) = link.split_once('#').context("a link without a state")?;
        open(visit, &format!("#{hash}"))?;
        let seen = visit.call(script!("widget_share.js", standing), nothing())?;
        ensure_that!(seen["link"] == link.as_str() && seen["note"] == "", "{link} opens {seen}");
        ensure_that!(seen["strangers"] == json!([]), "{link}: nothing is said of {seen}");
    }
    open(visit, "#vitrine-text?onclick=alert(1)&temperature=0.5&linked-to=a")?;
    let seen = visit.call(script!("widget_share.js", standing), nothing())?;
    let note = "The link names what <vitrine-text> does not have here, and that is left out: onclick, linked-to.";
    ensure_that!(seen["note"] == note && seen["temperature"] == "0.5" && seen["onclick"] == false, "{seen}");
    open(visit, "?alone#vitrine-image?seed=3")?;
    let seen = visit.session.run("return document.body.innerText + document.body.className", &[])?;
    let seen = seen.to_string();
    ensure_that!(seen.contains("alone") && !seen.contains("Which") && !seen.contains("Its attributes"), "{seen}");
    open(visit, "#vitrine-nothing?a=b")?;
    let seen = visit.call(script!("widget_share.js", standing), nothing())?;
    ensure_that!(seen["note"] == "There is no widget “vitrine-nothing”: the list has all that there are.", "{seen}");
    Ok(())
}

fn set_up(visit: &Visit) -> Result<()> {
    open(visit, "")?;
    let seen = visit.call(script!("widget_share.js", setUp), nothing())?;
    let expected = json!({
        "typed": "<vitrine-text share prompt=\"An &quot;owl&quot;\" locked temperature=\"0.2\"></vitrine-text>",
        "hash": "#vitrine-text?share=&prompt=An+%22owl%22&locked=&temperature=0.2",
        "wrong": "This part of the page is not set up right: temperature is “99”, but must be a number from 0 to 10.",
        "other": ["vitrine-latent", true], "recipes": 8, "python": "from vitrine_widgets import Latent\nLatent(share=True)",
    });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn faultless(visit: &Visit) -> Result<()> {
    open(visit, "")?;
    axe::stands_everywhere(visit.session, "as it opens")?;
    open(visit, "#vitrine-next?share=")?;
    axe::stands_everywhere(visit.session, "with sliders")
}
