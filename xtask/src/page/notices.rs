//! What a reader is told when the network fails, and what is kept behind a button for whoever helps.

use anyhow::Result;
use serde_json::json;

use super::{Test, Visit, axe, ensure_that, script};

pub const TESTS: &[Test] = &[
    Test::new("a_failed_address_is_told_plainly_with_the_exact_words_behind_a_button", plainly)
        .expecting(&["404", "403", "503", "ERR_"])
        .in_a_whole_browser(),
    Test::new("without_a_connection_the_notice_says_so", without).expecting(&["ERR_"]),
];

fn ask(visit: &Visit, address: &str) -> Result<String> {
    let page = &visit.session;
    page.run("document.querySelector('#chooser').open = true", &[])?;
    page.clear("#address")?;
    page.type_into("#address", address)?;
    page.click("#fetch")?;
    page.wait_for("!document.querySelector('#error').hidden", 60)?;
    page.text("#error .error-text")
}

fn plainly(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    page.devtools(
        "Browser.grantPermissions",
        json!({ "origin": visit.address, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] }),
    )?;
    visit.open("")?;
    for (address, part) in [
        ("/fault/status/404/model.gguf", "nothing at that address"),
        ("/fault/status/403/model.gguf", "not open to everybody"),
        ("/fault/html/model.gguf", "web page"),
        ("http://127.0.0.1:1/model.gguf", "Nothing answered"),
    ] {
        let said = ask(visit, address)?;
        ensure_that!(said.contains(part), "{address} is told as {said:?}");
        for technical in ["HTTP", "http:", "gguf:", "fetch"] {
            ensure_that!(!said.contains(technical), "a reader is told {technical}: {said:?}");
        }
        let hidden = page.run("return !document.querySelector('.error-technical').checkVisibility()", &[])?;
        ensure_that!(hidden == true, "the exact words are not behind a button");
        page.click("#error-details summary")?;
        let technical = page.text(".error-technical")?;
        ensure_that!(
            technical.contains("network") && technical.contains("model.gguf"),
            "the details are {technical:?}"
        );
        page.click("#error-copy")?;
        page.wait_for("document.querySelector('#error-copy').textContent === 'Copied'", 5)?;
        let copied = page.run_async("return await navigator.clipboard.readText()", &[])?;
        ensure_that!(copied == technical, "copied was {copied}, and the details are {technical:?}");
        page.click("#error-close")?;
    }
    // A name that nobody knows is one for the details as well: there stand those that are known.
    let said = ask(visit, "no-such-model")?;
    ensure_that!(said.contains("“no-such-model”") && !said.contains("storyteller"), "it says {said:?}");
    page.click("#error-details summary")?;
    ensure_that!(page.text(".error-technical")?.contains("\"storyteller\""), "nobody says what is known");
    page.click("#error-close")?;
    // What is no error of the network keeps its own sentence, and a name its own letters.
    let said = ask(visit, "ftp://x.org/desktop.gguf")?;
    ensure_that!(said.starts_with("\"ftp://x.org/desktop.gguf\" is no address"), "it says {said:?}");
    ensure_that!(
        page.run("return document.querySelector('#error-details').hidden", &[])? == true,
        "a typing mistake has details"
    );
    page.click("#error-close")?;
    page.call(script!("notices.js", dropNoModel), json!("desktop.gguf"))?;
    page.wait_for("!document.querySelector('#error').hidden", 30)?;
    let said = page.text("#error .error-text")?;
    ensure_that!(said.starts_with("desktop.gguf"), "it says {said:?}");
    page.click("#error-close")?;
    ask(visit, "/fault/status/404/model.gguf")?;
    page.click("#error-details summary")?;
    axe::stands_everywhere(page, "a notice with its details")
}

fn without(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    page.devtools("Network.enable", json!({}))?;
    page.devtools(
        "Network.emulateNetworkConditions",
        json!({ "offline": true, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 }),
    )?;
    page.wait_for("!navigator.onLine", 10)?;
    let said = ask(visit, "http://127.0.0.1:1/model.gguf")?;
    ensure_that!(said.contains("not connected"), "it says {said:?}");
    Ok(())
}
