//! What lies outside the small worlds of the house models: words that they never met, pairs that they do not join, languages that they do not know.

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    Test, Visit, ensure_that, nothing, painter,
    reader::{set, settled, token_count, write_some},
    script,
};

pub const TESTS: &[Test] = &[
    Test::new("words_that_the_storyteller_never_met_are_named_and_it_writes_all_the_same", strangers),
    Test::new("a_language_that_a_model_does_not_know_is_named", languages),
    Test::new("a_green_cat_is_said_to_come_out_otherwise", joined),
    Test::new("a_strange_word_is_named_once", once),
    Test::new("texts_are_told_by_their_language", told_apart),
    Test::new("nothing_is_said_of_a_model_that_reads_anything", reads_anything),
];

fn strangers(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#length", "20")?;
    for (words, named) in [
        ("A story about a telephone and a photosynthesis", &["telephone", "photosynthesis"][..]),
        ("Tell me a story about a girl named Xanthippe who finds a lantern in the lighthouse.", &[]),
        ("One winter day, a fox was out in the snow.", &[]),
        ("The foxes were running happily; the kitten's friends stopped, bravest of all.", &[]),
        ("Once upon a time, there was a little mouse who didn't like cheese", &[]),
        ("", &[]),
    ] {
        write_some(page, words)?;
        let said = page.text("#unread")?;
        ensure_that!(said.is_empty() == named.is_empty(), "of {words:?} it says {said:?}");
        for word in named {
            ensure_that!(said.contains(&format!("“{word}”")), "{word} is not named: {said:?}");
        }
        if !named.is_empty() {
            ensure_that!(!said.contains("story") && token_count(page)? > 0, "it says {said:?}");
            page.click("#unread button")?;
            page.wait_for("document.querySelector('#vocabulary').open && document.querySelector('.vocabulary').textContent.includes('lantern')", 5)?;
            let all = page.text("#vocabulary .vocabulary")?;
            ensure_that!(all.contains("All words that it met:") && all.contains(", upon,"), "the list is {all:.200}");
        }
        page.click("#clear")?;
    }
    Ok(())
}

fn languages(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#length", "20")?;
    for (words, language) in [
        ("Erzähl mir eine Geschichte über einen Fuchs im Schnee.", "German"),
        ("讲一个关于狐狸的故事", "Chinese"),
        ("Raconte-moi une histoire de renard dans la neige", "French"),
    ] {
        write_some(page, words)?;
        let said = page.text("#unread")?;
        ensure_that!(said.contains(language) && said.contains("English"), "of {words:?} it says {said:?}");
        ensure_that!(!said.contains("never met"), "each word of a language is named: {said:?}");
        page.click("#clear")?;
    }
    visit.open("paint.html")?;
    set(page, "#steps", "2")?;
    painter::paint(page, "ein roter Fuchs im Schnee bei der Hütte", "1")?;
    ensure_that!(page.text("#unread")?.contains("German"), "it says {:?}", page.text("#unread")?);
    Ok(())
}

fn joined(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("")?;
    set(page, "#length", "20")?;
    write_some(page, "Tell me a story about a green cat who finds a small lantern.")?;
    let said = page.text("#unread")?;
    ensure_that!(
        said.contains("no green cat") && !said.contains("no small lantern"),
        "of a green cat it says {said:?}"
    );
    page.click("#clear")?;
    visit.open("paint.html")?;
    set(page, "#steps", "2")?;
    for (words, part) in [
        ("a green cat on the beach", "no green cat"),
        ("a happy fox in the snow", "“happy” it reads"),
        ("a big cat on the beach", ""),
        ("a green scene with a cat", ""),
        ("two small mice in the meadow", ""),
    ] {
        painter::paint(page, words, "1")?;
        let said = page.text("#unread")?;
        ensure_that!(said.contains(part) && said.is_empty() == part.is_empty(), "of {words:?} it says {said:?}");
    }
    Ok(())
}

fn told_apart(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let all: Vec<Value> = texts().as_array().into_iter().flatten().map(|pair| pair[0].clone()).collect();
    let told = visit.call(script!("world.js", languages), json!(all))?;
    let expected: Vec<Value> = texts().as_array().into_iter().flatten().map(|pair| pair[1].clone()).collect();
    ensure_that!(told == Value::Array(expected), "of {} it takes {told}", texts());
    Ok(())
}

fn texts() -> Value {
    json!([
        ["Once upon a time there was a fox", "en"],
        ["a fox in the snow at night", "en"],
        ["Tell me a story about Klaus and Müller", "en"],
        ["the German word die is in the den", "en"],
        ["fox snow lantern", ""],
        ["", ""],
        ["🦊 12345", ""],
        ["Es war einmal ein Fuchs", "de"],
        ["Había una vez un zorro en la nieve", "es"],
        ["C'era una volta una volpe nella neve", "it"],
        ["Era uma vez uma raposa na neve", "pt"],
        ["Er was eens een vos in de sneeuw", "nl"],
        ["Det var en gång en räv", "sv"],
        ["Dawno temu był sobie lis i nie wiedział, że jest w lesie", "pl"],
        ["Жила-была лиса", "ru"],
        ["むかしむかし、狐がいました", "ja"],
        ["옛날 옛적에 여우가 살았습니다", "ko"],
        ["كان يا ما كان", "ar"],
        ["Μια φορά κι έναν καιρό", "el"],
    ])
}

fn reads_anything(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    visit.open("?model=/fixtures/tiny_llama.gguf")?;
    set(page, "#length", "10")?;
    page.type_into("#prompt", "Ein Fuchs im Schnee ist nicht der photosynthesis")?;
    page.click("#write")?;
    settled(page)?;
    ensure_that!(
        page.run("return document.querySelector('#unread').hidden", &[])? == true,
        "it says {:?}",
        page.text("#unread")?
    );
    Ok(())
}

fn once(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let said = visit.call(script!("world.js", once), nothing())?;
    ensure_that!(said == json!(["It never met “zeppelin”."]), "{said}");
    Ok(())
}
