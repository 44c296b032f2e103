//! What a reader's own graphics processor gets, run on Chromium's software adapter, which is taken for hardware: kernels with subgroups and
//! without, a browser that refuses them, and the words in an address that bring all this about.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Test, Visit, ensure_that, nothing};
use crate::browser::Gpu;

pub const TESTS: &[Test] = &[
    Test::new("the_kernels_of_hardware_tell_the_cpus_story", story).on(Gpu::SwiftShader),
    Test::new("the_kernels_of_hardware_paint_the_cpus_picture", picture).on(Gpu::SwiftShader),
    Test::new("a_browser_that_refuses_subgroups_gets_kernels_without_them", without_subgroups).on(Gpu::SwiftShader),
    Test::new("a_browser_that_refuses_every_kernel_leaves_the_work_to_the_cpu", refused).on(Gpu::SwiftShader),
    Test::new("what_an_adapter_is_taken_for_is_asked_for_in_known_words", words).on(Gpu::SwiftShader),
];

/// In a page that was opened with `?device=webgpu&as=hardware`: the same engine, for a second look with the API.
const ENGINES: &str = "
    const gpu = await Engine.create({ device: 'webgpu', as: 'hardware' }), cpu = await Engine.create({ device: 'cpu' });
    const said = gpu.device;
    if (said.kind !== 'webgpu' || !said.subgroups || !said.reason.includes('taken for hardware')) throw new Error(JSON.stringify(said));";

fn opened_as_hardware(visit: &Visit, page: &str) -> Result<()> {
    visit.open(&format!("{page}?device=webgpu&as=hardware"))?;
    let reason = visit.session.text("#device-reason")?;
    ensure_that!(reason.contains("taken for hardware"), "the page says {reason:?}");
    Ok(())
}

fn story(visit: &Visit) -> Result<()> {
    opened_as_hardware(visit, "")?;
    let told = visit.call(
        &format!(
            "{ENGINES} const told = [];
             for (const engine of [cpu, gpu]) {{
                 const model = await engine.load('storyteller');
                 const tokens = [];
                 for await (const {{ token }} of model.generate('One winter day, a fox', {{ maxTokens: 40, temperature: 0 }})) if (token !== undefined) tokens.push(token);
                 told.push({{ tokens, device: model.info.device }});
             }}
             return told;"
        ),
        nothing(),
    )?;
    let (by_cpu, by_gpu) = (&told[0], &told[1]);
    ensure_that!(by_gpu["device"]["kind"] == "webgpu" && by_gpu["device"]["subgroups"] == true, "{}", by_gpu["device"]);
    ensure_that!(by_cpu["tokens"].as_array().is_some_and(|tokens| tokens.len() >= 40), "the CPU told {by_cpu}");
    ensure_that!(by_cpu["tokens"] == by_gpu["tokens"], "the CPU told {by_cpu}, and WebGPU {by_gpu}");
    Ok(())
}

fn picture(visit: &Visit) -> Result<()> {
    opened_as_hardware(visit, "paint.html")?;
    let painted = visit.call(
        &format!(
            "{ENGINES} const pictures = [];
             for (const engine of [cpu, gpu]) {{
                 const model = await engine.load('illustrator');
                 let last;
                 for await (const step of model.generate({{ prompt: 'a fox in the snow', steps: 4, seed: 7, preview: false }})) last = step;
                 pictures.push(last.image.data);
             }}
             let sum = 0;
             for (const [at, value] of pictures[0].entries()) sum += (value - pictures[1][at]) ** 2;
             const spread = Math.max(...pictures[0].filter((_, at) => at % 4 === 0)) - Math.min(...pictures[0].filter((_, at) => at % 4 === 0));
             return {{ psnr: Math.min(99, 10 * Math.log10(255 ** 2 * pictures[0].length / sum)), spread }};"
        ),
        nothing(),
    )?;
    println!("    {painted}");
    ensure_that!(painted["spread"].as_f64().is_some_and(|spread| spread > 40.0), "the picture is flat: {painted}");
    ensure_that!(painted["psnr"].as_f64().is_some_and(|psnr| psnr >= 60.0), "not the CPU's picture: {painted}");
    Ok(())
}

/// Has the worker's compiler refuse what `refuses`, an expression of `code`, says; a pipeline where `pipelines`, else a shader. Begins with
/// a module that the worker runs before its own.
fn refusing(refuses: &str, pipelines: bool) -> String {
    let of_shaders = format!(
        "const make = GPUDevice.prototype.createShaderModule;
         GPUDevice.prototype.createShaderModule = function (descriptor) {{
             const code = descriptor.code;
             return make.call(this, {refuses} ? {{ ...descriptor, code: 'no shader' }} : descriptor);
         }};"
    );
    let of_pipelines = format!(
        "const make = GPUDevice.prototype.createComputePipeline;
         GPUDevice.prototype.createComputePipeline = function (descriptor) {{
             const code = descriptor.label;
             return make.call(this, {refuses} ? {{ ...descriptor, compute: {{ module: descriptor.compute.module, entryPoint: 'nowhere' }} }} : descriptor);
         }};"
    );
    let patch = json!(if pipelines { of_pipelines } else { of_shaders });
    format!(
        "const Before = globalThis.Worker;
         globalThis.Worker = class extends Before {{
             constructor(url, options) {{
                 const first = 'data:text/javascript,' + encodeURIComponent({patch});
                 const both = `import ${{JSON.stringify(first)}}; import ${{JSON.stringify(String(url))}};`;
                 super(URL.createObjectURL(new Blob([both], {{ type: 'text/javascript' }})), options);
             }}
         }};"
    )
}

/// A small Llama's tokens by the CPU and by an engine that is opened with `options`, and the device that the engine had in the end.
fn told(visit: &Visit, refusal: &str, options: &Value) -> Result<Value> {
    visit.blank()?;
    visit.call(
        &format!(
            "{refusal}
             const told = [];
             const engine = await Engine.create(args[0]);
             const before = engine.device;
             for (const each of [await Engine.create({{ device: 'cpu' }}), engine]) {{
                 const model = await each.load('/fixtures/tiny_llama.gguf');
                 const tokens = [];
                 for await (const {{ token }} of model.generate('a', {{ maxTokens: 12, temperature: 0 }})) if (token !== undefined) tokens.push(token);
                 told.push({{ tokens, device: model.info.device }});
             }}
             return {{ cpu: told[0], engine: told[1], before, after: engine.device }};"
        ),
        options.clone(),
    )
}

fn without_subgroups(visit: &Visit) -> Result<()> {
    for (refuses, pipelines) in [("/enable subgroups/.test(code)", false), ("/ SUBGROUPS/.test(code)", true)] {
        let told = told(visit, &refusing(refuses, pipelines), &json!({ "device": "webgpu", "as": "hardware" }))?;
        ensure_that!(told["before"]["subgroups"] == true, "the device has no subgroups to begin with: {told}");
        let device = &told["after"];
        ensure_that!(device["kind"] == "webgpu" && device["subgroups"] == false, "{refuses}: {told}");
        ensure_that!(device == &told["engine"]["device"], "the model and the engine disagree: {told}");
        let reason = device["reason"].as_str().unwrap_or_default();
        ensure_that!(reason.contains("without subgroups") && reason.contains("refuses a kernel"), "it says {reason:?}");
        ensure_that!(told["cpu"]["tokens"] == told["engine"]["tokens"], "{refuses}: {told}");
    }
    Ok(())
}

fn refused(visit: &Visit) -> Result<()> {
    for (refuses, pipelines) in [("true", false), ("/sample/.test(code)", true)] {
        let refusal = refusing(refuses, pipelines);
        let told = told(visit, &refusal, &json!({ "device": "auto", "as": "hardware" }))?;
        ensure_that!(told["before"]["kind"] == "webgpu", "it did not begin with WebGPU: {told}");
        ensure_that!(told["after"]["kind"] == "cpu" && told["engine"]["device"]["kind"] == "cpu", "{refuses}: {told}");
        let reason = told["after"]["reason"].as_str().unwrap_or_default();
        ensure_that!(reason.contains("refuses a kernel"), "the reason is {reason:?}");
        ensure_that!(told["cpu"]["tokens"] == told["engine"]["tokens"], "{refuses}: {told}");
    }
    // Who insists is told.
    visit.blank()?;
    let code = visit.call(
        &format!(
            "{} const engine = await Engine.create({{ device: 'webgpu' }});
             return await engine.load('/fixtures/tiny_llama.gguf').then(() => 'loaded', (error) => `${{error.code}}: ${{error.message}}`);",
            refusing("true", false)
        ),
        nothing(),
    )?;
    let said = code.as_str().unwrap_or_default();
    ensure_that!(said.starts_with("device-faulty: ") && said.contains("use the CPU"), "it says {said:?}");
    Ok(())
}

fn words(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let codes = visit.call(
        "const tries = [{ as: 'metal' }, { as: 1 }, { subgroups: 'off' }, { device: 'cpu', as: 'hardware' }, { device: 'cpu', subgroups: false }];
         const refusal = async (options) => { try { await Engine.create(options); return 'opened'; } catch (error) { return `${error.code}: ${error.message}`; } };
         return Promise.all(tries.map(refusal));",
        nothing(),
    )?;
    for said in super::strings(&codes) {
        ensure_that!(said.starts_with("bad-argument: ") && said.len() > 40, "it says {said:?}");
    }
    let devices = visit.call(
        "const open = async (options) => { const engine = await Engine.create(options); const { kind, subgroups, software, reason } = engine.device; return { kind, subgroups, software, reason }; };
         return [await open({ device: 'webgpu' }), await open({ device: 'webgpu', as: 'hardware', subgroups: false }), await open({ as: 'software' }), await open({ as: 'hardware' })];",
        nothing(),
    )?;
    let kinds = |at: usize| (devices[at]["kind"].clone(), devices[at]["subgroups"].clone());
    ensure_that!(kinds(0) == (json!("webgpu"), json!(true)), "{devices}");
    ensure_that!(kinds(1) == (json!("webgpu"), json!(false)), "{devices}");
    ensure_that!(devices[2]["kind"] == "cpu" && devices[3]["kind"] == "webgpu", "{devices}");
    ensure_that!(devices[1]["reason"].as_str().is_some_and(|why| why.contains("without subgroups")), "{devices}");
    ensure_that!(devices[1]["software"] == true, "an adapter is made of what it is made of: {devices}");

    visit.open("?device=cpu&subgroups=maybe")?;
    let reason = visit.session.text("#device-reason")?;
    ensure_that!(reason.contains("?subgroups=maybe means nothing"), "the page says {reason:?}");
    Ok(())
}
