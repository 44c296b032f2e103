//! Which files belong to a model, from servers as they are.

use anyhow::Result;
use serde_json::{Value, json};

use super::super::{Test, Visit, ensure_that};

pub const TESTS: &[Test] = &[
    Test::new("the_first_part_of_a_gguf_brings_the_others_along", parts).with_case("08-gguf-in-parts"),
    Test::new("a_folder_with_stray_weights_is_the_model_that_its_index_names", strays)
        .with_case("09-stray-weights")
        .expecting(&["404"]),
    Test::new("a_pointer_of_git_lfs_is_told_and_not_kept", pointer).with_case("28-lfs-pointer"),
];

fn call(visit: &Visit, body: &str) -> Result<Value> {
    visit.blank()?;
    visit.call(
        &format!(
            "const engine = await Engine.create({{ device: 'cpu' }});
             const refusal = async (source) => {{ try {{ await engine.load(source); return 'none'; }} catch (error) {{ return error.code + ': ' + error.message; }} }};
             const greedy = async (source, prompt) => (await engine.load(source)).generate(prompt, {{ temperature: 0 }}).text();
             const blob = async (address) => (await fetch(address)).blob();
             {body}"
        ),
        json!(null),
    )
}

fn parts(visit: &Visit) -> Result<()> {
    let seen = call(
        visit,
        "const { modelFiles } = await import('/pipeline.js');
         const folder = '/cases/08-gguf-in-parts/', names = ['m-00001-of-00002.gguf', 'm-00002-of-00002.gguf'];
         const files = Object.fromEntries(await Promise.all([...names, 'expected.txt'].map(async (name) => [name, await blob(folder + name)])));
         const texts = [];
         for (const source of [folder + names[0], folder + names[1] + '?download=1', { files }, { parts: [files[names[1]], files[names[0]]] }]) texts.push(await greedy(source, '\\n'));
         return { texts, chosen: modelFiles([...names, 'README.md'], 'hf://o/r'), alone: await refusal(new File([files[names[0]]], names[0])) };",
    )?;
    ensure_that!(seen["texts"] == json!(["helo", "helo", "helo", "helo"]), "the texts are {}", seen["texts"]);
    ensure_that!(seen["chosen"] == json!(["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]), "{}", seen["chosen"]);
    ensure_that!(seen["alone"].to_string().contains("m-00002-of-00002.gguf is missing"), "{}", seen["alone"]);
    Ok(())
}

fn strays(visit: &Visit) -> Result<()> {
    let seen = call(
        visit,
        "const { modelFiles } = await import('/pipeline.js');
         const folder = '/cases/09-stray-weights/';
         const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
         const paths = ['README.md', 'adapter_model.safetensors', 'config.json', ...shards, 'model.safetensors', 'model.safetensors.index.json', 'tokenizer.json', 'tokenizer_config.json'];
         const take = async (names) => Object.fromEntries(await Promise.all(names.filter((name) => name !== 'README.md').map(async (name) => [name, await blob(folder + name)])));
         const chosen = modelFiles(paths, 'hf://o/r');
         const all = await take(paths);
         const texts = [];
         for (const source of [await take(chosen), { ...all, 'README.md': new Blob(['# A model']) }, folder + 'model.safetensors.index.json', folder + shards[0]]) texts.push(await greedy(source, 'h'));
         const { [shards[1]]: gone, ...rest } = all;
         let listed;
         try { modelFiles(paths.filter((path) => path !== shards[1]), 'hf://o/r'); } catch (error) { listed = error.message; }
         return { texts, chosen, missing: [await refusal(rest), listed], adapter: await refusal({ 'adapter_model.safetensors': all['adapter_model.safetensors'], 'config.json': all['config.json'] }) };",
    )?;
    let texts = seen["texts"].as_array().cloned().unwrap_or_default();
    ensure_that!(texts.len() == 4 && texts.iter().all(|text| *text == texts[0]), "the texts are {texts:?}");
    let chosen = json!([
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json"
    ]);
    ensure_that!(seen["chosen"] == chosen, "the files are {}", seen["chosen"]);
    for said in [&seen["missing"][0], &seen["missing"][1]] {
        ensure_that!(said.to_string().contains("model-00002-of-00002.safetensors is missing"), "{said}");
    }
    let adapter = seen["adapter"].to_string();
    ensure_that!(adapter.contains("unsupported-model") && adapter.contains("adapter_model.safetensors"), "{adapter}");
    Ok(())
}

fn pointer(visit: &Visit) -> Result<()> {
    let seen = call(
        visit,
        "const address = '/cases/28-lfs-pointer/model.gguf';
         const said = [await refusal(address), await refusal(new File([await blob(address)], 'model.gguf'))];
         return { said, kept: await engine.cache.list() };",
    )?;
    for said in [&seen["said"][0], &seen["said"][1]] {
        let said = said.to_string();
        for words in ["corrupt-file", "Git LFS pointer", "git lfs pull", "resolve/main"] {
            ensure_that!(said.contains(words), "{said} does not say {words}");
        }
    }
    ensure_that!(seen["kept"] == json!([]), "it is kept: {}", seen["kept"]);
    Ok(())
}
