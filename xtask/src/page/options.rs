//! What a call may be asked: unknown options, wrong types, options of another kind of model, and the names that the page and the engine share.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Test, Visit, ensure_that, nothing, strings};

pub const TESTS: &[Test] = &[
    Test::new("an_unknown_option_is_refused_with_the_right_name_in_every_call", unknown),
    Test::new("an_option_of_the_wrong_type_is_told_in_the_readers_words", wrong_types),
    Test::new("an_option_that_is_null_is_left_out", null),
    Test::new("an_option_of_another_kind_of_model_is_refused", other_kinds),
    Test::new("a_source_with_something_beside_its_files_is_refused", sources),
    Test::new("the_page_and_the_engine_know_the_same_options", same_names),
];

/// One model of each kind, small; `said(work)` gives what a call is refused with.
const PRELUDE: &str = "
    const said = async (work) => { try { await work(); return 'nothing'; } catch (error) { return `${error.code}: ${error.message}`; } };
    const engine = await Engine.create({ device: 'cpu' });
    const text = await engine.load('/fixtures/tiny_llama.gguf');
    const image = await engine.load('/fixtures/pipeline/model_index.json');
    const vae = await engine.load('faces-vae');
    const tokenizer = await engine.tokenizer('/fixtures/tiny_llama.gguf');
    const user = [{ role: 'user', content: 'a' }];
    const latent = new Float32Array(vae.info.latentChannels);
    const picture = new ImageData(64, 64);";

/// What each call of `calls`, JavaScript expressions with `o` for the options, is refused with.
fn refusals(visit: &Visit, calls: &[(&str, Value)]) -> Result<Vec<String>> {
    visit.blank()?;
    let calls: Vec<Value> = calls.iter().map(|(call, options)| json!([call, options])).collect();
    let body = format!(
        "{PRELUDE}
         const all = [];
         for (const [call, options] of args[0]) {{
             const o = typeof options === 'string' ? new Function('return ' + options)() : options;
             const run = new Function('Engine', 'engine', 'text', 'image', 'vae', 'tokenizer', 'user', 'latent', 'picture', 'o', `return ${{call}}`);
             all.push(await said(() => run(Engine, engine, text, image, vae, tokenizer, user, latent, picture, o)));
         }}
         return all;"
    );
    Ok(strings(&visit.call(&body, json!(calls))?))
}

/// Each is refused as a bad argument, in a sentence that holds `names` in this order.
fn refused_with(visit: &Visit, cases: &[(&str, Value, &[&str])]) -> Result<()> {
    let calls: Vec<(&str, Value)> = cases.iter().map(|(call, options, _)| (*call, options.clone())).collect();
    let said = refusals(visit, &calls)?;
    ensure_that!(said.len() == cases.len(), "{} of {} calls answered", said.len(), cases.len());
    for ((call, options, names), said) in cases.iter().zip(&said) {
        ensure_that!(said.starts_with("bad-argument: "), "{call} with {options} says {said}");
        let mut rest = said.as_str();
        for name in *names {
            let at = rest.find(name).with_context(|| format!("{call} with {options} does not say {name}: {said}"))?;
            rest = &rest[at + name.len()..];
        }
    }
    Ok(())
}

const GENERATE: &str = "text.generate('a', o).text()";
const PAINT: &str = "image.generate({ prompt: 'a', ...o }).picture()";
const LOAD: &str = "engine.load('/fixtures/tiny_llama.gguf', o)";

fn unknown(visit: &Visit) -> Result<()> {
    let typo = json!({ "signall": 1 });
    let signal: &[&str] = &["\"signall\"", "signal?"];
    refused_with(
        visit,
        &[
            (GENERATE, json!({ "max_tokens": 3 }), &["\"max_tokens\"", "maxTokens"]),
            (GENERATE, json!({ "max_new_tokens": 3 }), &["\"max_new_tokens\"", "maxTokens"]),
            (GENERATE, json!({ "top_k": 3 }), &["\"top_k\"", "topK"]),
            (GENERATE, json!({ "repeat_penalty": 1.1 }), &["\"repeat_penalty\"", "repetitionPenalty"]),
            (GENERATE, json!({ "min_tokens": 3 }), &["\"min_tokens\"", "no least length"]),
            (GENERATE, json!({ "use_cache": true }), &["\"use_cache\"", "always kept"]),
            (GENERATE, json!("Object.create({ max_tokens: 3 })"), &["\"max_tokens\"", "maxTokens"]),
            (PAINT, json!({ "callback": 1 }), &["\"callback\"", "a stream already"]),
            (GENERATE, json!({ "do_sample": true }), &["\"do_sample\"", "temperature"]),
            (GENERATE, json!({ "temprature": 1 }), &["\"temprature\"", "Did you mean temperature"]),
            (GENERATE, json!({ "n_ctx": 64 }), &["\"n_ctx\"", "contextLength", "engine.load"]),
            (GENERATE, json!({ "constructor": 1 }), &["\"constructor\"", "It takes", "maxTokens"]),
            (GENERATE, json!({ "xyz": null }), &["\"xyz\"", "It takes"]),
            ("text.chat(user, o).text()", json!({ "enable_thinking": true }), &["\"enable_thinking\"", "thinking"]),
            (PAINT, json!({ "num_inference_steps": 3 }), &["\"num_inference_steps\"", "steps"]),
            (PAINT, json!({ "negative_prompt": "b" }), &["\"negative_prompt\"", "negativePrompt"]),
            (PAINT, json!({ "guidance_scale": 3 }), &["\"guidance_scale\"", "guidance"]),
            (PAINT, json!({ "cfg_scale": 3 }), &["\"cfg_scale\"", "guidance"]),
            (PAINT, json!({ "sampler_name": "euler" }), &["\"sampler_name\"", "scheduler"]),
            (LOAD, json!({ "dtype": "q4" }), &["\"dtype\"", "quantization"]),
            (LOAD, json!({ "n_ctx": 64 }), &["\"n_ctx\"", "contextLength"]),
            (LOAD, json!({ "progress_callback": 1 }), &["\"progress_callback\"", "onProgress"]),
            (LOAD, json!({ "revision": "main" }), &["\"revision\"", "hf://owner/repo@revision/file"]),
            ("Engine.create(o)", json!({ "devise": "cpu" }), &["\"devise\"", "device"]),
            ("text.tokenize('a', o)", json!({ "addSpecial": true }), &["\"addSpecial\"", "addSpecialTokens"]),
            ("text.tokenize(user, o)", json!({ "addSpecialTokens": true }), &["\"addSpecialTokens\"", "a text"]),
            ("text.next('a', o)", json!({ "top_k": 3 }), &["\"top_k\"", "called k"]),
            ("tokenizer.encode('a', o)", json!({ "add_special_tokens": true }), &["addSpecialTokens"]),
            ("tokenizer.decode([1], o)", json!({ "skip_special_tokens": true }), &["skipSpecialTokens"]),
            ("text.detokenize([1], o)", typo.clone(), signal),
            ("text.score('a', o)", typo.clone(), signal),
            ("text.profile(o)", typo.clone(), signal),
            ("engine.tokenizer('/fixtures/tiny_llama.gguf', o)", typo.clone(), signal),
            ("vae.decode(latent, [1, latent.length], o)", typo.clone(), signal),
            ("vae.encode(picture, o)", typo, signal),
        ],
    )
}

fn wrong_types(visit: &Visit) -> Result<()> {
    refused_with(
        visit,
        &[
            (GENERATE, json!({ "temperature": "0.8" }), &["temperature must be a number, not the string \"0.8\""]),
            (GENERATE, json!("{ temperature: NaN }"), &["temperature must be a number, not NaN"]),
            (GENERATE, json!("{ maxTokens: Infinity }"), &["maxTokens must be a whole number, not Infinity"]),
            (GENERATE, json!({ "maxTokens": 2.5 }), &["maxTokens must be a whole number, not 2.5"]),
            (GENERATE, json!("{ seed: 7n }"), &["seed must be a whole number, not the bigint 7"]),
            (GENERATE, json!({ "stop": ["a", 1] }), &["stop must be a string or an array of strings", "1"]),
            (GENERATE, json!({ "overflow": "wrap" }), &["overflow must be \"error\" or \"slide\"", "wrap"]),
            (GENERATE, json!({ "signal": {} }), &["signal must be an AbortSignal"]),
            (GENERATE, json!("(() => 1)"), &["options", "maxTokens", "a function"]),
            (GENERATE, json!(5), &["options", "not 5"]),
            (GENERATE, json!("new Map([['maxTokens', 3]])"), &["options", "maxTokens", "a Map"]),
            ("text.score('a', o)", json!("AbortSignal.timeout(9)"), &["{ signal", "an AbortSignal"]),
            (PAINT, json!({ "steps": "four" }), &["steps must be a whole number, not the string \"four\""]),
            (PAINT, json!({ "preview": 0 }), &["preview must be true or false, not 0"]),
            (PAINT, json!({ "scheduler": ["ddim"] }), &["scheduler must be a string"]),
            (PAINT, json!({ "prompt": 5 }), &["prompt must be a string, not 5"]),
            ("image.generate('a fox').picture()", nothing(), &["{ prompt: \"a fox\" }"]),
            ("image.generate().picture()", nothing(), &["prompt must be a string"]),
            (LOAD, json!({ "quantization": "q17" }), &["quantization must be \"keep\"", "\"q4_0\"", "q17"]),
            (LOAD, json!({ "kind": "sculpture" }), &["kind must be \"text\"", "sculpture"]),
            (LOAD, json!({ "contextLength": 1.5 }), &["contextLength must be a whole number, not 1.5"]),
            (LOAD, json!({ "contextLength": -1 }), &["contextLength"]),
            (LOAD, json!({ "onProgress": true }), &["onProgress must be a function, not true"]),
            (LOAD, json!({ "cache": "no" }), &["cache must be true or false"]),
            ("Engine.create(o)", json!({ "device": "tpu" }), &["device must be \"auto\", \"webgpu\" or \"cpu\""]),
            ("text.next('a', o)", json!({ "k": "ten" }), &["k must be a whole number"]),
            ("text.profile(o)", json!({ "steps": 0.5 }), &["steps must be a whole number"]),
            ("text.tokenize('a', o)", json!({ "addSpecialTokens": 1 }), &["addSpecialTokens must be true or false"]),
            ("text.detokenize([1, 2.5])", nothing(), &["number 2 of them is 2.5"]),
            ("text.detokenize('abc')", nothing(), &["Tokens are an array of their ids", "\"abc\""]),
            ("tokenizer.decode('abc')", nothing(), &["Tokens are an array of their ids", "\"abc\""]),
            ("text.generate(user).text()", nothing(), &["A prompt is", "model.chat(messages)"]),
            ("text.chat([, user[0]]).text()", nothing(), &["messages[0]", "undefined"]),
            (
                "text.chat(user, o).text()",
                json!({ "continueFinalMessage": true }),
                &["continueFinalMessage", "\"user\""],
            ),
            ("text.tokenize(user, o)", json!({ "continueFinalMessage": true }), &["continueFinalMessage", "\"user\""]),
        ],
    )
}

fn null(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(
        &format!(
            "{PRELUDE}
             const plain = await text.generate('a', {{ maxTokens: 5, temperature: 0 }}).text();
             const nulls = Object.fromEntries(['topK', 'topP', 'minP', 'repetitionPenalty', 'seed', 'stop', 'alternatives', 'overflow', 'signal'].map((name) => [name, null]));
             const inherited = await text.generate('a', Object.create({{ maxTokens: 5, temperature: 0 }})).text();
             const same = await text.generate('a', {{ ...nulls, maxTokens: 5, temperature: 0, undefinedHere: undefined }}).text();
             const wish = {{ prompt: 'the fox', seed: 3, steps: 2 }};
             const pixels = async (more) => [...(await image.generate({{ ...wish, ...more }}).picture()).data].join();
             const painted = await pixels({{}});
             const again = await pixels({{ negativePrompt: null, guidance: null, scheduler: null, width: null, height: null, count: null, init: null, mask: null, strength: null, preview: null, signal: null }});
             await (await engine.load('/fixtures/tiny_llama.gguf', {{ onProgress: null, kind: null, quantization: null, contextLength: null, sha256: null, cache: null, signal: null }})).unload();
             await (await Engine.create({{ device: null, cache: null, wasm: null }})).close();
             return {{ text: plain === same && plain === inherited && plain.length > 0, picture: painted === again,
                 calls: [(await text.tokenize('a', null)).length, (await text.next('a', {{ k: null }})).length, await text.detokenize([5], null) !== undefined, (await text.tokenize(user, {{ thinking: null }}).catch(() => [0])).length > 0] }};"
        ),
        nothing(),
    )?;
    ensure_that!(seen["text"] == true && seen["picture"] == true, "null changes what comes: {seen}");
    ensure_that!(seen["calls"][1] == 10 && seen["calls"][2] == true, "null changes other calls: {seen}");
    Ok(())
}

fn other_kinds(visit: &Visit) -> Result<()> {
    let image = "engine.load('/fixtures/pipeline/model_index.json', o)";
    refused_with(
        visit,
        &[
            (GENERATE, json!({ "guidance": 3 }), &["\"guidance\"", "an image model's generate"]),
            (GENERATE, json!({ "thinking": false }), &["\"thinking\"", "chat"]),
            (PAINT, json!({ "temperature": 1 }), &["\"temperature\"", "a language model's generate"]),
            (PAINT, json!({ "strength": 0.5 }), &["strength", "init"]),
            ("text.tokenize('a', o)", json!({ "thinking": false }), &["\"thinking\"", "chat"]),
            (image, json!({ "contextLength": 64 }), &["contextLength", "language models"]),
            ("engine.load('faces-vae', o)", json!({ "contextLength": 64 }), &["contextLength", "language models"]),
        ],
    )
}

fn sources(visit: &Visit) -> Result<()> {
    let parts = "engine.load({ parts: ['/fixtures/tiny_llama.gguf'], ...o })";
    let files = "engine.load({ files: { 'model.gguf': '/fixtures/tiny_llama.gguf' }, ...o })";
    refused_with(
        visit,
        &[
            (parts, json!({ "kind": "text" }), &["parts", "\"kind\"", "second argument"]),
            (files, json!({ "quantization": "q8_0" }), &["files", "\"quantization\"", "second argument"]),
            ("engine.load({ parts: [] })", nothing(), &["parts is empty"]),
            ("engine.load({ parts: [17] })", nothing(), &["Part 1", "17"]),
            ("engine.load({ files: {} })", nothing(), &["no files"]),
            ("engine.load({ files: { 'a.gguf': 17 } })", nothing(), &["\"a.gguf\"", "17"]),
            ("engine.load({ 'a.gguf': null })", nothing(), &["\"a.gguf\"", "null"]),
            ("engine.load({ parts: 'x' })", nothing(), &["parts is an array", "\"x\""]),
            ("engine.load({ files: 5 })", nothing(), &["files is an object", "5"]),
            ("engine.load({ files: 'a.gguf' })", nothing(), &["files is an object", "\"a.gguf\""]),
            ("engine.load({ model: 'x' })", nothing(), &["\"model\" is no such name", "engine.load(source, options)"]),
            ("engine.load({ source: 'x', device: 'cpu' })", nothing(), &["\"source\" is no such name"]),
            ("engine.load({ path: '/a.gguf' })", nothing(), &["\"path\" is no such name"]),
            ("engine.load(Promise.resolve('x'))", nothing(), &["a Promise", "Await it"]),
            ("engine.load(new Response('x'))", nothing(), &["a Response", "await response.blob()"]),
            ("engine.load(new Response('x').body)", nothing(), &["a ReadableStream", "new Response(stream).blob()"]),
            ("engine.load(new Map([['a.gguf', 'x']]))", nothing(), &["a Map", "Object.fromEntries(map)"]),
            ("engine.load(['a.gguf'])", nothing(), &["the array", "{ parts: […] }"]),
        ],
    )
}

/// `www/options.js` names the options of every call, the Rust structs those that cross. An option that one of them forgot is told here.
fn same_names(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(
        "const { OPTIONS } = await import('/options.js');
         const wasm = await import('/pkg/vitrine.js');
         await wasm.default({ module_or_path: '/pkg/vitrine_bg.wasm' });
         const engine = await wasm.Engine.open('cpu');
         const load = async (...addresses) => {
             const files = await Promise.all(addresses.map(async (address) => ({ name: address.split('/pipeline/').at(-1).split('/fixtures/').at(-1), blob: await (await fetch(address)).blob() })));
             return engine.load(files, { cache: false }, new wasm.Cancel(), () => {});
         };
         const text = await load('/fixtures/tiny_llama.gguf');
         const folder = ['model_index.json', 'scheduler/scheduler_config.json', 'tokenizer/vocab.json', 'tokenizer/merges.txt', 'text_encoder/config.json', 'text_encoder/model.safetensors',
             ...['unet', 'vae'].flatMap((part) => [part + '/config.json', part + '/diffusion_pytorch_model.safetensors'])];
         const image = await load(...folder.map((name) => '/fixtures/pipeline/' + name));
         // An option that nobody has brings the names that there are.
         const names = async (call) => {
             try { await call({ '?': 1 }); } catch ({ message }) { return [...message.matchAll(/`(\\w+)`/g)].map(([, name]) => name).sort(); }
             return ['nothing was refused'];
         };
         const page = (call, ...here) => Object.keys(OPTIONS[call]).filter((name) => !['signal', ...here].includes(name)).sort();
         return [
             [page('chat'), await names((o) => text.generate('a', o))],
             [page('paint', 'init', 'mask'), await names((o) => image.paint({ prompt: 'a', ...o }))],
             [page('tokenizeChat'), await names((o) => text.tokenizeChat([{ role: 'user', content: 'a' }], o))],
             [page('load', 'onProgress', 'sha256'), await names((o) => engine.load([], { cache: false, ...o }, new wasm.Cancel(), () => {}))],
             [page('generate').concat(page('tokenizeChat')).sort(), page('chat')],
         ];",
        nothing(),
    )?;
    for pair in seen.as_array().context("nothing came back")? {
        let (page, engine) = (strings(&pair[0]), strings(&pair[1]));
        ensure_that!(page == engine, "the page knows {page:?}, the engine {engine:?}");
        ensure_that!(page.len() > 3, "few options are compared: {page:?}");
    }
    Ok(())
}
