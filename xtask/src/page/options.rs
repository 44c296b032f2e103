//! What a call may be asked: unknown options, wrong types, options of another kind of model, and the names that the page and the engine share.

use anyhow::{Context, Result};

use super::{Test, Visit, ensure_that, nothing, script, strings};
use crate::browser::Script;

pub const TESTS: &[Test] = &[
    Test::new("an_unknown_option_is_refused_with_the_right_name_in_every_call", unknown),
    Test::new("an_option_of_the_wrong_type_is_told_in_the_readers_words", wrong_types),
    Test::new("an_option_that_is_null_is_left_out", null),
    Test::new("an_option_of_another_kind_of_model_is_refused", other_kinds),
    Test::new("a_source_with_something_beside_its_files_is_refused", sources),
    Test::new("the_page_and_the_engine_know_the_same_options", same_names),
];

/// Each call of the script is refused as a bad argument, in a sentence that holds its words in their order.
fn refused_with(visit: &Visit, calls: Script) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(calls, nothing())?;
    let cases = seen.as_array().context("nothing came back")?;
    ensure_that!(cases.len() > 5, "few calls are refused: {seen}");
    for case in cases {
        let (call, said) = (&case["call"], case["said"].as_str().unwrap_or_default());
        ensure_that!(said.starts_with("bad-argument: "), "{call} says {said}");
        let mut rest = said;
        for words in strings(&case["words"]) {
            let at = rest.find(&words).with_context(|| format!("{call} does not say {words}: {said}"))?;
            rest = &rest[at + words.len()..];
        }
    }
    Ok(())
}

fn unknown(visit: &Visit) -> Result<()> {
    refused_with(visit, script!("options.js", unknown))
}

fn wrong_types(visit: &Visit) -> Result<()> {
    refused_with(visit, script!("options.js", wrongTypes))
}

fn null(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("options.js", nulls), nothing())?;
    ensure_that!(seen["text"] == true && seen["picture"] == true, "null changes what comes: {seen}");
    ensure_that!(seen["calls"][1] == 10 && seen["calls"][2] == true, "null changes other calls: {seen}");
    Ok(())
}

fn other_kinds(visit: &Visit) -> Result<()> {
    refused_with(visit, script!("options.js", otherKinds))
}

fn sources(visit: &Visit) -> Result<()> {
    refused_with(visit, script!("options.js", sources))
}

/// `www/options.js` names the options of every call, the Rust structs those that cross. An option that one of them forgot is told here.
fn same_names(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("options.js", sameNames), nothing())?;
    for pair in seen.as_array().context("nothing came back")? {
        let (page, engine) = (strings(&pair[0]), strings(&pair[1]));
        ensure_that!(page == engine, "the page knows {page:?}, the engine {engine:?}");
        ensure_that!(page.len() > 3, "few options are compared: {page:?}");
    }
    Ok(())
}
