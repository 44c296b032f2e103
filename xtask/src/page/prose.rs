//! Answers in Markdown on the page for conversations: shown as they come, whole or in pieces, and harmless whatever stands in them.

use anyhow::Result;
use serde_json::json;

use super::{Test, Visit, ensure_that, nothing, script, strings};

pub const TESTS: &[Test] = &[
    Test::new("an_answer_that_comes_in_pieces_looks_like_one_that_comes_whole", streamed).everywhere(),
    Test::new("an_answer_that_means_harm_does_none", harmed).everywhere(),
    Test::new("what_an_answer_has_begun_is_shown_as_if_it_were_closed", unfinished),
    Test::new("a_long_answer_is_read_few_times", effort).patient(),
];

fn streamed(visit: &Visit) -> Result<()> {
    visit.open("chat.html")?;
    let seen = visit.call(script!("prose.js", streamed), nothing())?;
    for each in seen["seen"].as_array().into_iter().flatten() {
        ensure_that!(each["same"] == true, "in pieces of {}: {}", each["size"], each["html"]);
        ensure_that!(each["stayed"] == true, "in pieces of {} the title was made anew", each["size"]);
    }
    ensure_that!(seen["seen"].as_array().map(Vec::len) == Some(4), "{seen}");
    let tags = strings(&seen["tags"]);
    for tag in [
        "a",
        "blockquote",
        "code",
        "del",
        "em",
        "figure",
        "h3",
        "hr",
        "li",
        "math",
        "ol",
        "pre",
        "strong",
        "sub",
        "sup",
        "table",
        "th",
        "ul",
    ] {
        ensure_that!(tags.iter().any(|each| each == tag), "there is no {tag} among {tags:?}");
    }
    ensure_that!(seen["formulas"] == 5, "{} formulas", seen["formulas"]);
    let text = seen["text"].as_str().unwrap_or_default();
    ensure_that!(text.contains("Costs $5 and $10, but") && text.contains("& an entity"), "{text}");
    ensure_that!(
        seen["code"].as_str().map(str::trim_end) == Some("fn main() {\n    println!(\"<b>{}</b>\", \"|\");\n}"),
        "{}",
        seen["code"]
    );
    Ok(())
}

fn harmed(visit: &Visit) -> Result<()> {
    visit.open("chat.html")?;
    let seen = visit.call(script!("prose.js", harmed), nothing())?;
    ensure_that!(seen["hit"] == false, "a script ran: {seen}");
    for list in ["tags", "handlers", "fetched"] {
        ensure_that!(seen[list] == json!([]), "{list}: {}", seen[list]);
    }
    let links = strings(&seen["links"]);
    let safe = links.iter().all(|link| link.starts_with("https://example.org/"));
    ensure_that!(safe && links.len() == 2, "it links to {links:?}");
    ensure_that!(seen["rels"] == true && seen["shown"] == true, "{seen}");
    Ok(())
}

fn unfinished(visit: &Visit) -> Result<()> {
    visit.open("chat.html")?;
    let seen = visit.call(script!("prose.js", unfinished), nothing())?;
    for (name, parts) in [
        ("fence", vec!["<figure", "let a = 1;\nlet b"]),
        ("head", vec!["<table", "<th>a</th><th>b</th>"]),
        ("line", vec!["<table", "<th>a</th><th>b</th>"]),
        ("row", vec!["<td>1</td><td>2</td>"]),
        ("bold", vec!["<strong>very bo</strong>"]),
        ("code", vec!["<code>f(x</code>"]),
        ("link", vec!["see the page"]),
    ] {
        let shown = seen[name].as_str().unwrap_or_default();
        ensure_that!(parts.iter().all(|part| shown.contains(part)), "{name} is shown as {shown}");
    }
    Ok(())
}

fn effort(visit: &Visit) -> Result<()> {
    visit.open("chat.html")?;
    let seen = visit.call(script!("prose.js", effort), nothing())?;
    let read = seen["read"].as_f64().unwrap_or(f64::INFINITY);
    println!("    each character is read {read:.1} times");
    ensure_that!(read < 6.0 && seen["blocks"] == 121, "{seen}");
    Ok(())
}
