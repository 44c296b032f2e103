//! What a reader does on the page for conversations: asks, stops, goes on, answers anew, edits and comes back; keeps, finds, takes out and brings back; in two
//! tabs, with a full disk, without a network.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    Test, Visit, axe, ensure_that, layout::nothing_sticks_out, nothing, offline::Cable, open_page, script, strings,
};
use crate::browser::Session;

pub const TESTS: &[Test] = &[
    Test::new("a_question_is_answered_stopped_gone_on_with_and_kept", walks).everywhere(),
    Test::new("answers_stand_beside_each_other_and_edits_are_branches", branches),
    Test::new("a_question_without_an_answer_can_be_answered", unanswered),
    Test::new("conversations_are_found_renamed_deleted_and_brought_back", library),
    Test::new("conversations_are_taken_out_and_brought_back", transfer),
    Test::new("settings_and_personas_stay_with_their_conversation", settings),
    Test::new("a_file_goes_along_and_one_too_large_is_told_by_numbers", files),
    Test::new("a_conversation_that_outgrows_its_context_goes_on_without_its_beginning", overflow),
    Test::new("an_answer_that_fills_the_context_goes_on_once_there_is_room", filled),
    Test::new("thoughts_are_folded_away", thoughts),
    Test::new("the_page_says_what_a_model_can", abilities),
    Test::new("calls_of_the_pages_functions_are_cards_and_stay_with_their_answer", calls),
    Test::new("a_model_that_calls_nothing_by_itself_can_be_made_to", must_call),
    Test::new("the_pages_functions_compute_and_refuse", functions),
    Test::new("two_tabs_of_one_conversation_lose_nothing", tabs),
    Test::new("a_full_disk_loses_nothing", full),
    Test::new("a_conversation_opens_and_goes_on_without_its_server", without_a_server)
        .expecting(&["ERR_CONNECTION_REFUSED", "ERR_FAILED"]),
    Test::new("the_page_for_conversations_fits_everywhere_and_axe_finds_no_fault", looks),
    Test::new("conversations_are_held_by_keyboard_alone", keyboard),
];

const ENTER: char = '\u{e007}';
const ESCAPE: char = '\u{e00c}';
const SHIFT: char = '\u{e008}';
const UP: char = '\u{e013}';

/// Whether the page that stands there answers.
pub fn answered(visit: &Visit) -> Result<()> {
    let seen = visit.call(script!("chat.js", tell), json!("A story about a whale."))?;
    ensure_that!(texts(&seen).len() == 2 && texts(&seen)[1].len() > 20, "the answer is {seen}");
    Ok(())
}

/// The conversation after another question, answered greedily in few tokens.
pub fn ask_greedily(visit: &Visit, text: &str) -> Result<Value> {
    visit.call(script!("chat.js", askGreedily), json!(text))
}

fn texts(messages: &Value) -> Vec<String> {
    messages.as_array().into_iter().flatten().map(|each| each["text"].as_str().unwrap_or_default().to_owned()).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn walks(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("chat.html")?;
    let seen = visit.call(script!("chat.js", walk), nothing())?;
    ensure_that!(text(&seen["stopped"]["cut"]).starts_with("Stopped."), "it was stopped: {}", seen["stopped"]);
    let (stopped, whole) = (text(&seen["stopped"]["text"]), text(&seen["whole"][1]["text"]));
    ensure_that!(whole.starts_with(stopped) && whole.len() > stopped.len() + 50, "{stopped:?} became {whole:?}");
    ensure_that!(seen["whole"].as_array().map(Vec::len) == Some(2), "{}", seen["whole"]);
    for at in ["stopped", "whole"] {
        let figures = text(if at == "stopped" { &seen[at]["figures"] } else { &seen[at][1]["figures"] });
        ensure_that!(figures.contains("tokens/s") && figures.contains("first after"), "{at}: {figures:?}");
    }
    // A screen reader is told an answer when it is finished, not token by token.
    ensure_that!(seen["aloud"] == "", "while it was written was said {}", seen["aloud"]);
    ensure_that!(text(&seen["said"]).contains(stopped), "said was {}", seen["said"]);
    ensure_that!(text(&seen["count"]).contains("of 512 tokens") && seen["draft"] == "", "{seen}");
    page.wait_for("location.hash.length > 10", 10)?;
    page.reload()?;
    page.wait_for(
        "document.querySelectorAll('.message').length === 2 && document.body.dataset.state === 'ready'",
        120,
    )?;
    let kept = visit.call(script!("chat.js", standing), nothing())?;
    ensure_that!(texts(&kept["messages"]) == texts(&seen["whole"]), "after a reload: {kept}");
    ensure_that!(kept["title"] == seen["title"] && kept["list"] == json!([seen["title"]]), "{kept}");
    Ok(())
}

fn branches(visit: &Visit) -> Result<()> {
    visit.open("chat.html")?;
    let seen = visit.call(script!("chat.js", branches), nothing())?;
    let answer = |at: &str| text(&seen[at][1]["text"]).to_owned();
    ensure_that!(answer("first") != answer("second") && answer("first") == answer("back"), "{seen}");
    ensure_that!(seen["second"][1]["place"] == "2 of 2" && seen["back"][1]["place"] == "1 of 2", "{seen}");
    ensure_that!(seen["offered"] == seen["first"][0]["text"], "to be edited was {}", seen["offered"]);
    ensure_that!(seen["edited"][0]["place"] == "2 of 2" && answer("edited").contains("robot"), "{}", seen["edited"]);
    ensure_that!(
        seen["before"][0]["text"] == seen["first"][0]["text"] && seen["before"][0]["place"] == "1 of 2",
        "{seen}"
    );
    ensure_that!(seen["focused"] == "1", "the focus is on the arrow {}", seen["focused"]);
    ensure_that!(seen["compared"] == json!([answer("first"), answer("second")]), "side by side: {}", seen["compared"]);
    ensure_that!(seen["taken"] == json!({ "text": answer("first"), "open": false }), "taken: {}", seen["taken"]);
    Ok(())
}

fn unanswered(visit: &Visit) -> Result<()> {
    visit.open("chat.html")?;
    let seen = visit.call(script!("chat.js", unanswered), nothing())?;
    ensure_that!(seen["before"]["cut"] == "Not answered yet. Answer it", "{}", seen["before"]);
    ensure_that!(seen["after"][0]["cut"] == "" && text(&seen["after"][1]["text"]).len() > 10, "{}", seen["after"]);
    Ok(())
}

fn library(visit: &Visit) -> Result<()> {
    visit.open("chat.html")?;
    let seen = visit.call(script!("chat.js", library), nothing())?;
    let (owl, whale) = ("A story about an owl and a teapot.", "A story about a whale by the sea.");
    ensure_that!(seen["both"] == json!([whale, owl]), "the latest is not first: {seen}");
    ensure_that!(seen["byText"] == json!([owl]) && seen["none"] == "Nothing like that.", "found: {seen}");
    ensure_that!(seen["renamed"][0] == "The great whale" && seen["title"] == "The great whale", "renamed: {seen}");
    ensure_that!(seen["left"] == "The great whale", "Escape renamed it: {seen}");
    ensure_that!(seen["deleted"] == json!([owl]) && seen["gone"] == 1, "deleted: {seen}");
    ensure_that!(seen["undone"] == json!({ "list": ["The great whale", owl], "messages": 2, "kept": 2 }), "{seen}");
    ensure_that!(seen["other"] == owl, "opened: {seen}");
    Ok(())
}

fn transfer(visit: &Visit) -> Result<()> {
    visit.open("chat.html")?;
    let seen = visit.call(script!("chat.js", transfer), nothing())?;
    let told = text(&seen["markdown"]);
    for part in ["# Tell me a story", "> You tell stories.", "## You\n\nTell me", "## Storyteller\n\n"] {
        ensure_that!(told.contains(part), "{part:?} is not in {told}");
    }
    ensure_that!(texts(&seen["before"]) == texts(&seen["after"]) && seen["after"][1]["place"] == "2 of 2", "{seen}");
    ensure_that!(seen["personas"] == json!([{ "name": "My own", "system": "You tell stories." }]), "{seen}");
    let settings = json!({ "temperature": "0.5", "system": "You tell stories.", "persona": "My own" });
    ensure_that!(seen["settings"] == settings, "brought back: {}", seen["settings"]);
    let refused = text(&seen["refused"]["text"]);
    ensure_that!(refused.contains("number 1 of its conversations is not whole"), "{refused}");
    ensure_that!(seen["refused"]["list"] == 0, "a file that is not whole brought something: {seen}");
    Ok(())
}

fn settings(visit: &Visit) -> Result<()> {
    visit.open("chat.html")?;
    let seen = visit.call(script!("chat.js", settings), nothing())?;
    ensure_that!(seen["first"]["temperature"] == "0" && seen["first"]["length"] == "32", "{seen}");
    ensure_that!(seen["first"] == seen["back"] && seen["fresh"] == seen["defaults"], "{seen}");
    ensure_that!(text(&seen["first"]["system"]).contains("twelve-year-old"), "{seen}");
    ensure_that!(seen["own"]["temperature"] == seen["defaults"]["temperature"], "{seen}");
    ensure_that!(text(&seen["cut"]).contains("paused at the length"), "cut off: {}", seen["cut"]);
    ensure_that!(text(&seen["same"]).contains("same answer"), "at temperature 0: {}", seen["same"]);
    Ok(())
}

fn files(visit: &Visit) -> Result<()> {
    visit.open("chat.html")?;
    let seen = visit.call(script!("chat.js", files), nothing())?;
    ensure_that!(text(&seen["chip"]).starts_with("notes.txt, 7 tokens"), "the chip reads {}", seen["chip"]);
    ensure_that!(seen["given"][0] == json!({ "name": "notes.txt", "text": "The owl found a teapot.\n" }), "{seen}");
    ensure_that!(text(&seen["file"]).starts_with("notes.txt"), "{seen}");
    ensure_that!(text(&seen["odd"]).contains("“picture.bin” is no text"), "{}", seen["odd"]);
    ensure_that!(text(&seen["count"]).contains("of 512 tokens") && text(&seen["count"]).contains("too many"), "{seen}");
    let long = &seen["long"];
    ensure_that!(long["code"] == "context-overflow" && long["messages"] == 2, "nothing may be sent: {long}");
    ensure_that!(text(&long["text"]).contains("looks back on 512") && long["draft"] == "And this?", "{long}");
    Ok(())
}

fn overflow(visit: &Visit) -> Result<()> {
    visit.open("chat.html")?;
    let seen = visit.call(script!("chat.js", overflow), nothing())?;
    ensure_that!(seen["code"] == "context-overflow" && seen["rounds"].as_u64().is_some_and(|n| n < 8), "{seen}");
    ensure_that!(text(&seen["told"]).contains("512"), "told was {}", seen["told"]);
    let grown = seen["after"].as_u64().unwrap_or(0) >= seen["before"].as_u64().unwrap_or(9);
    ensure_that!(grown && text(&seen["last"]).len() > 10, "gone on with: {seen}");
    Ok(())
}

fn filled(visit: &Visit) -> Result<()> {
    visit.open("chat.html")?;
    let seen = visit.call(script!("chat.js", filled), nothing())?;
    ensure_that!(text(&seen["cut"]["cut"]).starts_with("The model's context is full"), "{}", seen["cut"]);
    let (cut, whole) = (text(&seen["cut"]["text"]), text(&seen["whole"]["text"]));
    ensure_that!(whole.starts_with(cut) && whole.len() > cut.len(), "{cut:?} became {whole:?}");
    Ok(())
}

fn thoughts(visit: &Visit) -> Result<()> {
    visit.open("chat.html")?;
    let seen = visit.call(script!("chat.js", thoughts), nothing())?;
    ensure_that!(seen["words"] == json!(["How many?", "Two of them.", "Sure?", "Quite sure."]), "{}", seen["words"]);
    let fold = |text: &str| json!({ "open": false, "hidden": false, "text": text });
    let folds =
        [fold("What it thought before\nI count: **one**, two."), fold("What it thought before\nIt was begun before.")];
    ensure_that!(seen["folds"] == json!(folds), "{}", seen["folds"]);
    let told = |words: &str, thoughts: &str, thinking: bool| json!({ "words": words, "thoughts": thoughts, "thinking": thinking });
    let growing = [
        told("<thi", "", false),
        told("", "", true),
        told("", "so", true),
        told("", "so", false),
        told("Yes", "so", false),
    ];
    ensure_that!(seen["growing"] == json!(growing), "{}", seen["growing"]);
    Ok(())
}

fn abilities(visit: &Visit) -> Result<()> {
    visit.open("chat.html")?;
    let seen = visit.call(script!("chat.js", abilities), nothing())?;
    ensure_that!(seen["before"] == false && seen["thinks"] == true, "the switch for thoughts: {seen}");
    ensure_that!(seen["spared"].as_i64().is_some_and(|tokens| tokens > 0), "the prompt is the same: {seen}");
    ensure_that!(seen["thought"] == json!({ "messages": 2, "thinks": true }), "{seen}");
    ensure_that!(text(&seen["lead"]).contains("goes on with a text"), "{}", seen["lead"]);
    let (first, more) = (text(&seen["first"][1]["text"]), text(&seen["more"][1]["text"]));
    ensure_that!(more.starts_with(first) && more.len() > first.len(), "{first:?} became {more:?}");
    ensure_that!(seen["told"] == false && seen["system"] == true, "the system prompt: {seen}");
    ensure_that!(text(&seen["note"]).contains("takes no such words"), "{}", seen["note"]);
    Ok(())
}

fn calls(visit: &Visit) -> Result<()> {
    visit.open("chat.html")?;
    let seen = visit.call(script!("chat.js", calls), nothing())?;
    ensure_that!(seen["idle"] == true, "a call is asked for where nothing can be called");
    let (sum, days) = ("12 * (3 + 4)", "Sunday, 1 March 2026 is 1 day after Saturday, 28 February 2026.");
    let first = json!([
        { "state": "done", "name": "calculate", "rows": [["expression", sum], ["Result", "84"]] },
        { "state": "done", "name": "calendar", "rows": [["date", "2026-02-28"], ["until", "2026-03-01"], ["Result", days]] },
    ]);
    ensure_that!(seen["first"]["cards"] == first, "{}", seen["first"]);
    ensure_that!(seen["first"]["words"] == json!(["Let me see.", "It is 84, a day later."]), "{}", seen["first"]);
    ensure_that!(seen["first"]["bold"] == "84", "{}", seen["first"]);
    for word in ["Let me see.", "calculate", "84", "a day later"] {
        ensure_that!(text(&seen["aloud"]).contains(word), "{word} is not told aloud: {}", seen["aloud"]);
    }
    // A function that fails, and one that is not there.
    let second = &seen["second"];
    let fault = |at: usize| text(&second["cards"][at]["rows"][1][1]).to_owned();
    ensure_that!(second["cards"][0]["state"] == "fault" && fault(0).contains("divided by zero"), "{second}");
    ensure_that!(second["cards"][1]["name"] == "calculat" && fault(1).contains("did you mean calculate"), "{second}");
    ensure_that!(second["text"] == "That cannot be." && seen["third"] == "Quite sure.", "{seen}");
    let told = text(&seen["markdown"]);
    ensure_that!(told.contains("> `calculate({\"expression\":\"12 * (3 + 4)\"})` → 84\n\n"), "{told}");
    let kept = json!({ "tools": ["calculate", "calendar"], "mustCall": false, "messages": 6 });
    ensure_that!(seen["kept"] == kept && seen["found"] == 1, "{seen}");
    ensure_that!(seen["fresh"] == json!([false, false, false, false]), "{}", seen["fresh"]);
    visit.session.reload()?;
    visit.session.wait_for("document.querySelector('#conversations li button')", 60)?;
    visit.session.click("#conversations li button")?;
    let standing = visit.call(script!("chat.js", cardsStanding), nothing())?;
    ensure_that!(standing[0] == first[0] && standing[2] == second["cards"][0], "after a reload: {standing}");
    Ok(())
}

fn must_call(visit: &Visit) -> Result<()> {
    visit.open("chat.html")?;
    let seen = visit.call(script!("chat.js", mustCall), nothing())?;
    ensure_that!(seen["cards"][0]["name"] == "clock", "{seen}");
    Ok(())
}

fn functions(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let values = [
        ("2 + 3 * 4", json!(14)),
        ("-2^2", json!(-4)),
        ("2^3^2", json!(512)),
        ("2 ** -1", json!(0.5)),
        ("(1 + 2)(3 - 1)", json!(6)),
        ("0.1 + 0.2", json!(0.3)),
        ("7 % 4 + 50%", json!(3.5)),
        ("8 ÷ 2 × 3 − 1", json!(11)),
        ("10 - 3 - 2", json!(5)),
        ("sqrt(2) * sqrt(2)", json!(2)),
        ("max(1, 2.5e0, -3) + round(pi)", json!(5.5)),
        ("3 π", json!(9.424_777_960_769_38)),
        ("123456789 * 987654321", json!(121_932_631_112_635_000_i64)),
        ("", json!("Error: There is nothing to calculate.")),
        ("1 / 0", json!("Error: Nothing can be divided by zero.")),
        ("1 +", json!("Error: The expression ends where a number should follow.")),
        ("(1", json!("Error: A bracket is not closed.")),
        ("1 2", json!("Error: Behind a whole expression stands “2”.")),
        ("alert(1)", json!("Error: There is no “alert”.")),
        ("fetch`x`", json!("Error: “`x`” is no arithmetic.")),
        ("sqrt(-1)", json!("Error: It has no value among the real numbers.")),
        ("9^9^9", json!("Error: It is larger than any number here.")),
        ("constructor", json!("Error: There is no “constructor”.")),
    ];
    let mut asked: Vec<String> = values.iter().map(|(expression, _)| (*expression).to_owned()).collect();
    asked.extend(["(".repeat(5000), "-".repeat(5000)]);
    let seen = visit.call(script!("chat.js", arithmetic), json!(asked))?;
    for (at, (expression, value)) in values.iter().enumerate() {
        let same = match value {
            Value::Number(number) => seen[at].as_f64() == number.as_f64(),
            _ => text(&seen[at]).starts_with(text(value)),
        };
        ensure_that!(same, "{expression} is {}, not {value}", seen[at]);
    }
    for deep in [&seen[values.len()], &seen[values.len() + 1]] {
        ensure_that!(text(deep).starts_with("Error: The expression has too many"), "{deep}");
    }
    let seen = visit.call(script!("chat.js", functions), nothing())?;
    let (tokyo, day) = (text(&seen["tokyo"]), text(&seen["day"]));
    let so = [&day[..4], &format!(", {} ", day[8..10].trim_start_matches('0')), ", Asia/Tokyo"];
    ensure_that!(so.iter().all(|part| tokyo.contains(part)), "{tokyo}, and it is {day}");
    ensure_that!(text(&seen["nowhere"]).contains("no time zone “Mars/Olympus”"), "{seen}");
    ensure_that!(seen["leap"] == "Wednesday, 1 March 2028 is 2 days after Monday, 28 February 2028.", "{seen}");
    ensure_that!(text(&seen["before"]).contains("1 day before Sunday, 17 May 2026"), "{seen}");
    ensure_that!(seen["moon"] == "Sunday, 20 July 1969.", "{seen}");
    ensure_that!(text(&seen["none"]).contains("no day “2026-02-30”"), "{seen}");
    Ok(())
}

fn tabs(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("chat.html")?;
    visit.call(script!("chat.js", tell), json!("A story about an owl."))?;
    page.wait_for("location.hash.length > 10", 10)?;
    let address = page.run("return location.href", &[])?;
    let tabs = page.tabs()?;
    let first = tabs.get(0).context("no tab")?;
    visit.call(script!("chat.js", beginSlowly), json!("Tell me a long story about a bear."))?;
    let second = page.open_tab()?;
    open_page(page, text(&address))?;
    let seen = visit.call(script!("chat.js", tryHere), json!("And mine?"))?;
    ensure_that!(text(&seen["elsewhere"]).contains("Another tab"), "{seen}");
    ensure_that!(seen["draft"] == "And mine?" && seen["edit"] == "Something else.", "what was written is gone: {seen}");
    ensure_that!(seen["messages"] == 4, "it was sent all the same: {seen}");
    page.go_to_tab(first)?;
    page.wait_for("document.body.dataset.state === 'ready'", 120)?;
    let here = visit.call(script!("chat.js", standing), nothing())?;
    page.go_to_tab(&second)?;
    page.wait_for_with(
        "document.querySelector('#messages').innerText.includes(arguments[0])",
        &json!(texts(&here["messages"]).last()),
        20,
    )?;
    // What this one writes comes to the first.
    visit.call(script!("chat.js", tell), json!("And mine?"))?;
    let there = visit.call(script!("chat.js", standing), nothing())?;
    page.go_to_tab(first)?;
    page.wait_for("document.querySelectorAll('.message').length === 6", 20)?;
    let both = visit.call(script!("chat.js", standing), nothing())?;
    ensure_that!(texts(&both["messages"]) == texts(&there["messages"]), "{both} and {there}");
    ensure_that!(texts(&both["messages"])[..4] == texts(&here["messages"])[..], "{both} and {here}");
    // One deletes it: the other says so, and can keep it.
    page.run("document.querySelector('#delete').click()", &[])?;
    page.go_to_tab(&second)?;
    page.wait_for("document.querySelector('#error').innerText.includes('Another tab has deleted')", 20)?;
    page.click("#error-action")?;
    page.go_to_tab(first)?;
    page.wait_for("document.querySelectorAll('#conversations li').length === 1", 20)
}

fn full(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    let quota = |bytes: Option<u64>| {
        let mut asked = json!({ "origin": visit.address });
        if let Some(bytes) = bytes {
            asked["quotaSize"] = json!(bytes);
        }
        page.devtools("Storage.overrideQuotaForOrigin", asked)
    };
    // Before the page is opened: for half a minute Chromium believes what it knew of the room.
    quota(Some(1))?;
    visit.open("chat.html")?;
    let seen = visit.call(script!("chat.js", full), nothing())?;
    ensure_that!(text(&seen["told"]).contains("no room left"), "{seen}");
    ensure_that!(text(&seen["notice"]).contains("Delete conversations"), "{}", seen["notice"]);
    ensure_that!(seen["exported"] == 2 && texts(&seen["messages"]).len() == 2, "{seen}");
    quota(None)?;
    let seen = visit.call(script!("chat.js", room), nothing())?;
    ensure_that!(seen == json!({ "kept": [4], "messages": 4 }), "with room again: {seen}");
    Ok(())
}

fn without_a_server(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    let cable = Cable::lay(visit.address.strip_prefix("http://").context("another scheme")?.parse()?)?;
    let address = format!("{}/chat.html", cable.address());
    open_page(page, &address)?;
    page.wait_for("document.querySelector('#offline').textContent.length > 0", 120)?;
    visit.call(script!("chat.js", tell), json!("A story about a whale."))?;
    page.wait_for("location.hash.length > 10", 10)?;
    let here = page.run("return location.href", &[])?;
    cable.cut();
    open_page(page, &format!("{address}?again"))?;
    page.click("#conversations li button")?;
    let seen = visit.call(script!("chat.js", tell), json!("And about a bear."))?;
    ensure_that!(texts(&seen).len() == 4, "without its server, {here}: {seen}");
    let formula = page.run_async(
        "return (await import(args[0])).default.version",
        &[json!(format!("{}/vendor/temml.js", cable.address()))],
    )?;
    ensure_that!(formula.is_string(), "formulas are not kept: {formula}");
    Ok(())
}

fn looks(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("chat.html")?;
    axe::stands_everywhere(page, "an empty conversation")?;
    page.look_like(1280, 900, false, false)?;
    visit.call(script!("chat.js", sampler), nothing())?;
    axe::stands_everywhere(page, "a conversation")?;
    page.click("[data-act='compare']")?;
    axe::stands_everywhere(page, "answers side by side")?;
    page.click("#comparison-close")?;
    for (width, height, phone, dark, name) in [
        (1400, 1000, false, false, "chat-desktop"),
        (390, 844, true, false, "chat-phone"),
        (1400, 1000, false, true, "chat-dark"),
    ] {
        page.look_like(width, height, phone, dark)?;
        nothing_sticks_out(page)?;
        if let Some(folder) = visit.screenshots {
            page.screenshot(&visit.root.join(folder).join(format!("{name}.png")))?;
        }
    }
    for room in ["library", "panel"] {
        for dark in [false, true] {
            page.look_like(320, 640, true, dark)?;
            page.run(&format!("document.querySelector('#show-{room}').click()"), &[])?;
            axe::faultless(page).with_context(|| format!("the {room} over the thread"))?;
            nothing_sticks_out(page)?;
            page.press(&ESCAPE.to_string())?;
            page.wait_for(&format!("document.activeElement.id === 'show-{room}'"), 5)?;
        }
    }
    let small = page.call(script!("layout.js", small), nothing())?;
    ensure_that!(strings(&small).is_empty(), "too small for a finger: {small}");
    Ok(())
}

fn focused(page: &Session) -> Result<String> {
    let at = page.run("const at = document.activeElement; return at.id || at.className || at.tagName", &[])?;
    Ok(text(&at).to_owned())
}

fn keyboard(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("chat.html")?;
    page.run("document.querySelector('#prompt').focus()", &[])?;
    page.type_into("#prompt", "A story about")?;
    page.type_into("#prompt", &format!("{SHIFT}{ENTER}"))?;
    page.press(&format!("a bear.{ENTER}"))?;
    page.wait_for("document.querySelectorAll('.message').length === 2 && document.body.dataset.state === 'ready'", 60)?;
    let asked = page.text(".message .words")?;
    ensure_that!(asked == "A story about\na bear." && focused(page)? == "prompt", "{asked:?}, {}", focused(page)?);
    page.press(&UP.to_string())?;
    ensure_that!(focused(page)? == "edit-field", "the arrow leads to {}", focused(page)?);
    page.press(&ESCAPE.to_string())?;
    ensure_that!(page.text(".message .words")? == asked, "Escape changed the message");
    page.run("document.querySelector('.message[data-role=assistant] [data-act=again]').focus()", &[])?;
    page.press(" ")?;
    page.wait_for(
        "document.querySelector('.place')?.innerText === '2 of 2' && document.body.dataset.state === 'ready'",
        60,
    )?;
    page.run("document.querySelector('#conversation-acts summary').focus()", &[])?;
    page.press(&ENTER.to_string())?;
    page.run("document.querySelector('#delete').focus()", &[])?;
    page.press(&ENTER.to_string())?;
    page.wait_for("!document.querySelector('#undo-line').hidden", 10)?;
    ensure_that!(focused(page)? == "prompt", "after deleting the focus is on {}", focused(page)?);
    page.type_into("#prompt", "\u{e009}k")?;
    ensure_that!(focused(page)? == "search", "Ctrl K leads to {}", focused(page)?);
    Ok(())
}
