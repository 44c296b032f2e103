//! Clients that people have for OpenAI's servers, from npm at fixed versions and bundled for the browser: each talks to models in the page, streams,
//! calls functions, obeys a schema, embeds, is refused and is aborted. The model knows its answers by heart (`scripted` in `common.js`).

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use serde_json::{Value, json};

use super::{Test, Visit, ensure_that, script};
use crate::{
    browser::Script,
    npm::{self, Package},
    server::{self, Routes},
    workspace,
};

pub const TESTS: &[Test] = &[
    Test::new("openais_client_calls_functions_and_hears_thoughts", |visit| {
        let seen = spoken(visit, &OPENAI, script!("clients.js", openai))?;
        let own = json!(["tool_calls", null, "tool_calls", 1, 0, true]);
        ensure_that!(seen["own"] == own, "{}", seen["own"]);
        thinks(&seen)
    }),
    Test::new("langchains_client_chats_streams_calls_functions_and_embeds", |visit| {
        let seen = spoken(visit, &LANGCHAIN, script!("clients.js", langchain))?;
        ensure_that!(seen["own"] == json!([["weather", { "city": "Bern" }]]), "streamed calls are {}", seen["own"]);
        Ok(())
    }),
    Test::new("vercels_client_chats_streams_calls_functions_and_embeds", |visit| {
        let seen = spoken(visit, &VERCEL, script!("clients.js", vercel))?;
        ensure_that!(seen["own"] == seen["answer"], "streamed it answers {}", seen["own"]);
        thinks(&seen)
    }),
];

/// What is bundled of a client, and the packages that it comes in.
struct Client {
    name: &'static str,
    entry: &'static str,
    packages: &'static [&'static Package],
}

const OPENAI: Client =
    Client { name: "openai", entry: "export { default, BadRequestError } from \"openai\";", packages: &[&npm::OPENAI] };
const LANGCHAIN: Client = Client {
    name: "langchain",
    entry: "export { ChatOpenAI, OpenAIEmbeddings } from \"@langchain/openai\";\n\
            export { HumanMessage, ToolMessage } from \"@langchain/core/messages\";",
    packages: &[&npm::LANGCHAIN_OPENAI],
};
const VERCEL: Client = Client {
    name: "vercel",
    entry: "export { embedMany, generateText, Output, jsonSchema, stepCountIs, streamText, tool } from \"ai\";\n\
            export { createOpenAICompatible } from \"@ai-sdk/openai-compatible\";",
    packages: &[&npm::AI, &npm::AI_OPENAI_COMPATIBLE],
};

/// Bundles a client beside the site, lets it speak with the page's models, and looks at what all of them say alike.
fn spoken(visit: &Visit, client: &Client, script: Script) -> Result<Value> {
    let folder = bundled(visit, client)?;
    let routes = Routes {
        folders: vec![
            ("/clients/".into(), folder),
            ("/fixtures/".into(), visit.root.join("tests/fixtures")),
            ("/".into(), visit.site.to_path_buf()),
        ],
        faults: true,
        ..Routes::default()
    };
    let server = server::start(routes, 0)?;
    visit.session.goto(&format!("{}/fault/blank", server.address()))?;
    let seen = visit.call(script, json!("/clients"))?;
    let plain = "Plain words, one by one.";
    ensure_that!(seen["plain"] == plain && seen["streamed"] == plain, "{seen}");
    ensure_that!(seen["calls"] == json!([["weather", { "city": "Bern" }]]), "it calls {}", seen["calls"]);
    ensure_that!(
        seen["ran"] == json!([{ "city": "Bern" }]) && seen["answer"] == "It is sunny in Bern.",
        "it runs {} and answers {}",
        seen["ran"],
        seen["answer"]
    );
    let beast = &seen["beast"];
    ensure_that!(
        (beast["animal"] == "fox" || beast["animal"] == "bear") && matches!(beast["legs"].as_u64(), Some(2..=4)),
        "held to a schema it says {beast}"
    );
    ensure_that!(seen["embedded"] == true, "it embeds something else");
    ensure_that!(seen["wrong"] == json!([true, 400, "temperature"]), "what is wrong is told as {}", seen["wrong"]);
    ensure_that!(seen["aborted"] == "aborted", "aborted it says {}", seen["aborted"]);
    Ok(seen)
}

fn thinks(seen: &Value) -> Result<()> {
    ensure_that!(seen["thought"] == json!(["Hm, well.", "Yes."]), "it thinks {}", seen["thought"]);
    Ok(())
}

/// The folder with the client in one file.
fn bundled(visit: &Visit, client: &Client) -> Result<PathBuf> {
    let folder = visit.scratch()?;
    let entry = format!("{}.js", client.name);
    fs::write(folder.join(&entry), client.entry)?;
    let installed: Vec<_> =
        client.packages.iter().map(|package| npm::install(visit.workspace, package)).collect::<Result<_>>()?;
    let modules = installed.iter().filter_map(|folder| folder.ancestors().find(|each| each.ends_with("node_modules")));
    let esbuild = npm::program(visit.workspace, &npm::ESBUILD, "esbuild")?;
    let out = folder.join("out");
    let mut command = Command::new(esbuild);
    command.args([&entry, "--bundle", "--format=esm", "--platform=browser", "--outdir=out", "--log-level=warning"]);
    command.env("NODE_PATH", env::join_paths(modules.map(Path::to_path_buf))?).current_dir(&folder);
    workspace::run(&mut command)?;
    Ok(out)
}
