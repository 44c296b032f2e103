//! Widgets in documents and slides that MkDocs Material, Sphinx with MyST and reveal.js make: each tool from its registry at a fixed version, with the package's files among the
//! site's own, the result in the browser. What each is told stands in `docs/embedding.md`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use serde_json::Value;

use super::{Test, Visit, bundlers, ensure_that, nothing, script};
use crate::{
    build::copy_folder,
    npm,
    package::python::{self, Environment},
    server::{self, Routes, Running},
    workspace,
};

pub const TESTS: &[Test] = &[
    Test::new("a_widget_writes_in_mkdocs_material_and_on_the_page_that_comes_in_its_place", mkdocs),
    Test::new("a_widget_writes_in_a_document_of_sphinx_and_myst", sphinx),
    Test::new("a_widget_writes_on_a_slide_of_reveal_and_keeps_its_keys", reveal),
];

const DOCUMENTS: Environment =
    Environment { name: "documents", packages: &["mkdocs-material==9.8.2", "sphinx==9.0.4", "myst-parser==5.2.0"] };

/// A site's source with the package's files below `place`.
fn source(visit: &Visit, name: &str, place: &str) -> Result<PathBuf> {
    let folder = visit.scratch()?;
    copy_folder(&visit.root.join("xtask/src/page/sites").join(name), &folder)?;
    copy_folder(&bundlers::installed(visit)?, &folder.join(place))?;
    Ok(folder)
}

/// A server of a folder that may not be there yet.
fn serve(folder: &Path) -> Result<Running> {
    server::start(Routes { folders: vec![("/".into(), folder.to_path_buf())], ..Routes::default() }, 0)
}

/// Holds what the page's widget writes to what is written where no tool was.
fn writes(visit: &Visit, text: &str) -> Result<()> {
    let written = visit.call(script!("sites.js", written), nothing())?;
    ensure_that!(written == text, "{text:?} is right: {written}");
    Ok(())
}

fn mkdocs(visit: &Visit) -> Result<()> {
    let text = bundlers::text_without_bundler(visit)?;
    let folder = source(visit, "mkdocs", "docs/vitrine")?;
    let server = serve(&folder.join("site"))?;
    let python = python::environment(visit.workspace, &DOCUMENTS)?;
    let mut build = Command::new(python);
    build.args(["-m", "mkdocs", "build", "--quiet"]).current_dir(&folder).env("NO_MKDOCS_2_WARNING", "1");
    workspace::run(build.env("SITE_URL", format!("{}/", server.address())))?;
    let page = &visit.session;
    page.goto(&format!("{}/", server.address()))?;
    writes(visit, &text)?;
    page.run("window.isTheFirst = true; document.querySelector('a[href*=second]').click()", &[])?;
    page.wait_for("document.querySelector('h1').textContent.includes('Second')", 30)?;
    ensure_that!(page.run("return window.isTheFirst", &[])? == true, "the second page was loaded, not put in place");
    writes(visit, &text)
}

fn sphinx(visit: &Visit) -> Result<()> {
    let text = bundlers::text_without_bundler(visit)?;
    let folder = source(visit, "sphinx", "_static/vitrine")?;
    let python = python::environment(visit.workspace, &DOCUMENTS)?;
    let mut build = Command::new(python);
    build.args(["-m", "sphinx", "--quiet", "--fail-on-warning", "--builder", "html", ".", "site"]);
    workspace::run(build.current_dir(&folder))?;
    let server = serve(&folder.join("site"))?;
    visit.session.goto(&format!("{}/", server.address()))?;
    writes(visit, &text)
}

fn reveal(visit: &Visit) -> Result<()> {
    let text = bundlers::text_without_bundler(visit)?;
    let folder = source(visit, "reveal", "vitrine")?;
    copy_folder(&npm::install(visit.workspace, &npm::REVEAL)?.join("dist"), &folder.join("reveal"))?;
    let server = serve(&folder)?;
    let page = &visit.session;
    page.goto(&format!("{}/#/1", server.address()))?;
    page.wait_for("globalThis.deck?.isReady()", 30)?;
    writes(visit, &text)?;
    // Letters that mean the next slide and an overview to reveal are words here.
    page.call(script!("sites.js", focusWords), nothing())?;
    page.press("n o")?;
    let slide =
        page.run("return [deck.getIndices().h, deck.isOverview(), document.querySelector('vitrine-text').words]", &[])?;
    let words = slide[2].as_str().unwrap_or_default();
    ensure_that!(slide[0] == 1 && slide[1] == false && words.contains("n o"), "typing left {slide}");
    page.run("document.querySelector('vitrine-text').shadowRoot.activeElement.blur(); deck.next()", &[])?;
    let slide: Value = page.run("return deck.getIndices().h", &[])?;
    ensure_that!(slide == 2, "the slide is {slide}");
    Ok(())
}
