//! Widgets that show what a form forbids and what quantisation costs, each held to what the engine itself says.

use anyhow::Result;
use serde_json::json;

use super::{Test, Visit, axe::stands_everywhere, ensure_that, nothing, script};

pub const TESTS: &[Test] = &[
    Test::new("a_held_widget_shows_what_its_form_forbade_at_each_token", held),
    Test::new("a_held_widget_takes_every_kind_of_form_and_a_changed_one", kinds),
    Test::new("a_held_widget_says_what_is_wrong_with_a_form", misformed),
    Test::new("a_quant_widget_measures_files_of_one_model", files),
    Test::new("a_quant_widget_makes_forms_while_it_loads", made),
    Test::new("a_quant_widget_says_what_cannot_be_compared", incomparable),
    Test::new("widgets_of_forms_that_are_gone_hold_nothing", gone),
    Test::new("axe_finds_no_fault_with_widgets_of_forms", faultless),
];

fn held(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_forms.js", held), nothing())?;
    for name in ["matches", "same", "forced", "bent", "rows", "struck", "taken", "left", "counted", "keys", "again"] {
        ensure_that!(seen[name] == true, "{name}: {seen}");
    }
    Ok(())
}

fn kinds(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_forms.js", kinds), nothing())?;
    let expected = json!({
        "schema": true, "lines": true, "list": true, "grammar": true, "standin": true, "typed": "xxx", "cleared": [0, true, 0],
        "shown": "Held to a grammar: root ::= \"ha\" (\"ha\" | \"ho\"){2}", "property": [{ "type": "boolean" }, "{\"type\":\"boolean\"}"],
        "locked": [false, "true"], "cut": true, "stopped": [true, true],
    });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn misformed(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_forms.js", misformed), nothing())?;
    let unset = "This part of the page is not set up right:";
    let expected = json!({
        "two": format!("{unset} schema and regex both say what the text is; leave one of them out."),
        "json": format!("{unset} schema is “{{type: 1}}”, but must be a JSON Schema, such as {{\"type\": \"integer\"}}."),
        "none": format!("{unset} choice is “”, but must be texts, each on a line of its own, or a list in JSON, such as [\"yes\", \"no\"]."),
        "slip": ["bad-argument", "The form cannot be followed as a regular expression: look for a bracket that is not closed, or a sign such as * ? + with nothing before it.", true],
        "never": ["bad-argument", "No text can be of this form: it contradicts itself, or never ends.", true],
        "much": ["bad-argument", "This form takes too much computing. Ask for something simpler, with shorter repetitions.", true],
        "rule": ["bad-argument", "The form cannot be followed as a grammar: look for a rule that is named and not there, or a quote that is not closed.", true],
        "emptied": ["bad-argument", "The form cannot be read: it must be a grammar in GBNF or Lark's notation.", false],
        "mended": "ha",
    });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn files(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_forms.js", files), nothing())?;
    for name in ["bytes", "bits", "near", "texts", "best", "smaller", "differs", "underlined", "alone", "cleared"] {
        ensure_that!(seen[name] == true, "{name}: {seen}");
    }
    ensure_that!(seen["names"] == json!(["storyteller Q8_0", "storyteller-q4_0 Q4_0"]) && seen["most"] == 1, "{seen}");
    Ok(())
}

fn made(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_forms.js", made), nothing())?;
    for name in ["same", "shrinks", "same_text", "f16", "other_text"] {
        ensure_that!(seen[name] == true, "{name}: {seen}");
    }
    ensure_that!(seen["bits"] == json!([32, 16, 8.5, 4.5]), "{seen}");
    ensure_that!(seen["f16_of_quantised"] == json!([true, true]), "{seen}");
    Ok(())
}

fn incomparable(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_forms.js", incomparable), nothing())?;
    let unset = "This part of the page is not set up right:";
    let expected = json!({
        "quantised": ["bad-argument", "The weights of “storyteller” are Q8_0 in their file already and cannot be made q4_0. This part of the page needs a model whose weights are F16 or F32, or no forms."],
        "unknown": ["bad-argument", "The model “nobody” that this page asks for is not there."],
        "wrong": ["bad-argument", "“Illustrator” is a model that paints pictures; here one is needed that writes."],
        "many": ["bad-argument", format!("{unset} 3 models in 4 forms are more than 8 to compare; name fewer.")],
        "form": ["bad-argument", format!("{unset} forms is “q5_1”, but must be some of keep, f16, q8_0, q4_0, with spaces between them.")],
        "kept": 1, "held": 0,
    });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn gone(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("widget_forms.js", gone), nothing())?;
    let expected =
        json!({ "loading": [true, 0], "measuring": [true, 0], "writing": [true, 0], "rejected": [], "back": true });
    ensure_that!(seen == expected, "{seen}");
    Ok(())
}

fn faultless(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    page.goto(&format!("{}/widgets.html", visit.address))?;
    page.call(script!("widget_forms.js", answered), nothing())?;
    stands_everywhere(page, "forms that were followed and compared")
}
