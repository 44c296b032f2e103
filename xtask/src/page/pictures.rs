//! Autoencoders through `vitrine.js`, on both devices, against what PyTorch makes of the same trained weights.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Test, Visit, ensure_that, nothing, strings};
use crate::browser::Gpu;

pub const TESTS: &[Test] = &[
    Test::new("a_trained_decoder_and_encoder_match_their_reference_on_the_cpu", taef2_on_cpu).with_reference(),
    Test::new("a_trained_decoder_matches_its_reference_on_webgpu", taef2_on_gpu).on(Gpu::SwiftShader).with_reference(),
    Test::new("eight_bit_weights_decode_nearly_the_same_picture", quantised).with_reference(),
    Test::new("an_aborted_decoding_leaves_the_autoencoder_usable", abort).with_reference(),
    Test::new("a_folder_of_diffusers_paints_on_the_cpu", |visit| pipeline(visit, "cpu", SAFETENSORS)),
    Test::new("a_folder_of_diffusers_paints_on_webgpu", |visit| pipeline(visit, "webgpu", SAFETENSORS))
        .on(Gpu::SwiftShader),
    Test::new("a_pruned_model_in_pytorchs_files_paints_on_the_cpu", |visit| pipeline(visit, "cpu", PYTORCH)),
    Test::new("a_pruned_model_in_pytorchs_files_paints_on_webgpu", |visit| pipeline(visit, "webgpu", PYTORCH))
        .on(Gpu::SwiftShader),
    Test::new("the_illustrator_paints_pytorchs_picture_on_the_cpu", |visit| illustrator(visit, "cpu")).everywhere(),
    Test::new("the_illustrator_paints_pytorchs_picture_on_webgpu", |visit| illustrator(visit, "webgpu"))
        .on(Gpu::SwiftShader),
    Test::new("the_one_model_of_a_repository_is_found", repositories),
    Test::new("a_model_of_the_catalogue_is_the_files_of_its_repository", catalogued),
    Test::new("latents_and_pictures_that_cannot_be_are_refused", refused).with_reference(),
];

/// `tensor(name)` of the reference, and the ratio of the range 0 … 1 to the mean error, in dB, of pixels against one of its pictures.
const REFERENCE: &str = "
    const buffer = await (await fetch('/reference/vae/taef2/reference.safetensors')).arrayBuffer();
    const length = Number(new DataView(buffer).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
    const tensor = (name) => new Float32Array(buffer.slice(8 + length + header[name].data_offsets[0], 8 + length + header[name].data_offsets[1]));
    const psnr = (a, b, range) => { let sum = 0; for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2; return 10 * Math.log10(range ** 2 * a.length / sum); };
    const planes = ({ data, width, height }) => Float32Array.from({ length: 3 * width * height }, (_, i) => data[4 * (i % (width * height)) + Math.floor(i / (width * height))] / 255);
    const clipped = (values) => values.map((v) => Math.min(1, Math.max(0, v)));
    const folder = '/reference/vae/taef2/';
    const shape = [1, 32, 16, 16];
    const latent = tensor('latent').slice(0, 32 * 16 * 16);
    const decoded = clipped(tensor('decoded').slice(0, 3 * 128 * 128));
    const code = async (promise) => { try { await promise; return 'none'; } catch (error) { return error.code; } };
";

fn with_reference(device: &str, body: &str) -> String {
    format!("{REFERENCE} const engine = await Engine.create({{ device: '{device}' }}); {body}")
}

/// A small pipeline of diffusers (training/make_pipeline_fixture.py, training/make_tiny_sd_fixture.py): its folder below the fixtures, what
/// its files of weights are called, and what diffusers was asked for.
struct Folder {
    name: &'static str,
    weights: &'static str,
    text_weights: &'static str,
    wish: fn() -> Value,
}

const SAFETENSORS: Folder = Folder {
    name: "pipeline",
    weights: "diffusion_pytorch_model.safetensors",
    text_weights: "model.safetensors",
    wish: || json!({ "prompt": "A fox, in the SNOW", "negativePrompt": "night", "seed": 7, "steps": 5, "guidance": 5, "width": 48, "height": 32 }),
};
const PYTORCH: Folder = Folder {
    name: "tiny_sd",
    weights: "diffusion_pytorch_model.bin",
    text_weights: "pytorch_model.bin",
    wish: || json!({ "prompt": "the fox in a night", "negativePrompt": "snow", "seed": 3, "steps": 6, "guidance": 7.5, "width": 48, "height": 32 }),
};

/// By the address of its index, then by its files; against what diffusers paints from the same noise.
fn pipeline(visit: &Visit, device: &str, folder: Folder) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(
        "const { folder, wish, weights, textWeights } = args[0];
         const buffer = await (await fetch(folder + 'reference.safetensors')).arrayBuffer();
         const length = Number(new DataView(buffer).getBigUint64(0, true));
         const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
         const wanted = new Float32Array(buffer.slice(8 + length + header.picture.data_offsets[0], 8 + length + header.picture.data_offsets[1]));
         const engine = await Engine.create({ device: args[0].device });
         const distance = ({ data }) => { let sum = 0; for (let i = 0; i < wanted.length; i++) sum += (data[4 * Math.floor(i / 3) + (i % 3)] / 255 - wanted[i]) ** 2; return 10 * Math.log10(wanted.length / sum); };
         const model = await engine.load(folder + 'model_index.json');
         const kinds = []; let glances = 0, last;
         for await (const step of model.generate(wish)) { glances += step.image ? 1 : 0; last = step; kinds.push(step.final); }
         const names = ['model_index.json', 'scheduler/scheduler_config.json', 'tokenizer/vocab.json', 'tokenizer/merges.txt',
             ...['unet', 'vae'].flatMap((part) => [part + '/config.json', part + '/' + weights]), 'text_encoder/config.json', 'text_encoder/' + textWeights];
         const files = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await (await fetch(folder + name)).blob()])));
         const again = await engine.load({ files }, { kind: 'image', quantization: 'q8_0' });
         const eight = await again.generate({ ...wish, preview: false }).picture();
         const code = async (promise) => { try { await promise; return 'none'; } catch (error) { return error.code; } };
         const { 'tokenizer/vocab.json': _, ...less } = files;
         const lacking = await code(engine.load({ files: less }));
         const odd = await code(model.generate({ ...wish, width: 51 }).picture());
         return { info: model.info, stats: model.stats, glances, steps: kinds.length, whole: distance(last.image), eight: distance(eight), lacking, odd };",
        json!({
            "device": device,
            "folder": format!("/fixtures/{}/", folder.name),
            "weights": folder.weights,
            "textWeights": folder.text_weights,
            "wish": (folder.wish)(),
        }),
    )?;
    let steps = &(folder.wish)()["steps"];
    ensure_that!(number(&seen["whole"]) >= 40.0, "the picture: {} dB", seen["whole"]);
    ensure_that!(number(&seen["eight"]) >= 25.0, "in eight bits: {} dB", seen["eight"]);
    ensure_that!(
        seen["glances"] == *steps && seen["steps"] == *steps,
        "{} glances in {} steps",
        seen["glances"],
        seen["steps"]
    );
    ensure_that!(seen["info"]["architecture"] == "StableDiffusionPipeline", "it says {}", seen["info"]);
    ensure_that!(seen["stats"]["submitsPerStep"].as_u64().is_some_and(|n| n <= 2), "it took {}", seen["stats"]);
    for what in ["lacking", "odd"] {
        ensure_that!(seen[what] == "bad-argument", "{what}: {}", seen[what]);
    }
    Ok(())
}

/// All its steps, as the catalogue says, from the noise of one seed.
fn illustrator(visit: &Visit, device: &str) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(
        "const buffer = await (await fetch('/fixtures/illustrator.safetensors')).arrayBuffer();
         const length = Number(new DataView(buffer).getBigUint64(0, true));
         const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
         const wanted = new Float32Array(buffer.slice(8 + length + header.painted.data_offsets[0], 8 + length + header.painted.data_offsets[1]));
         const engine = await Engine.create({ device: args[0].device });
         const model = await engine.load((await engine.catalog()).find(({ kind }) => kind === 'image').id);
         const { data } = await model.generate({ prompt: 'a fox in the snow at night', negativePrompt: 'rain', seed: 7, preview: false }).picture();
         let sum = 0;
         for (let i = 0; i < wanted.length; i++) sum += (data[4 * Math.floor(i / 3) + (i % 3)] / 127.5 - 1 - Math.min(1, Math.max(-1, wanted[i]))) ** 2;
         return { device: model.info.device.kind, numbers: wanted.length, psnr: 10 * Math.log10(4 * wanted.length / sum) };",
        json!({ "device": device }),
    )?;
    ensure_that!(seen["device"] == device && seen["numbers"] == 64 * 64 * 3, "it was painted otherwise: {seen}");
    ensure_that!(number(&seen["psnr"]) >= 40.0, "the picture: {} dB", seen["psnr"]);
    Ok(())
}

fn repositories(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(
        "const { modelFiles } = await import('/pipeline.js');
         const refused = (paths) => { try { modelFiles(paths, 'hf://o/r'); return ''; } catch (error) { return error.message; } };
         return { pipeline: modelFiles(['README.md', 'model_index.json', 'unet/config.json', 'unet/diffusion_pytorch_model.safetensors', 'unet/diffusion_pytorch_model.fp16.safetensors',
                 'unet/diffusion_pytorch_model.bin', 'safety_checker/model.safetensors', 'vae/config.json', 'vae/diffusion_pytorch_model.safetensors', 'tokenizer/vocab.json'], ''),
             pytorch: modelFiles(['model_index.json', 'unet/diffusion_pytorch_model.bin', 'unet/diffusion_pytorch_model.non_ema.bin', 'unet/optimizer.bin', 'vae/diffusion_pytorch_model.bin',
                 'vae/diffusion_pytorch_model.fp16.bin', 'text_encoder/pytorch_model.bin', 'text_encoder/model.safetensors', 'safety_checker/pytorch_model.bin'], ''),
             text: modelFiles(['config.json', 'model.safetensors', 'pytorch_model.bin', 'tokenizer.json', 'onnx/model.onnx'], ''), one: modelFiles(['a.gguf', 'README.md', 'pytorch_model.bin'], ''),
             older: modelFiles(['config.json', 'pytorch_model.bin', 'training_args.bin', 'tokenizer.json'], ''),
             two: refused(['a.gguf', 'b.gguf']), none: refused(['model.bin']) };",
        nothing(),
    )?;
    let wanted = json!([
        "model_index.json",
        "tokenizer/vocab.json",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/config.json",
        "vae/diffusion_pytorch_model.safetensors",
        "vae/config.json"
    ]);
    ensure_that!(seen["pipeline"] == wanted, "the pipeline is {}", seen["pipeline"]);
    let pytorch = json!([
        "model_index.json",
        "unet/diffusion_pytorch_model.bin",
        "text_encoder/model.safetensors",
        "vae/diffusion_pytorch_model.fp16.bin"
    ]);
    ensure_that!(seen["pytorch"] == pytorch, "the pipeline in PyTorch's files is {}", seen["pytorch"]);
    let older = json!(["pytorch_model.bin", "config.json", "tokenizer.json"]);
    ensure_that!(seen["older"] == older, "{}", seen["older"]);
    ensure_that!(seen["text"] == json!(["model.safetensors", "config.json", "tokenizer.json"]), "{}", seen["text"]);
    ensure_that!(seen["one"] == json!(["a.gguf"]), "{}", seen["one"]);
    ensure_that!(seen["two"].as_str().is_some_and(|m| m.contains("hf://o/r/b.gguf")), "{}", seen["two"]);
    ensure_that!(seen["none"].as_str().is_some_and(|m| m.contains("no GGUF")), "{}", seen["none"]);
    Ok(())
}

/// The hub is played here: no network is needed to see what would be asked of it.
fn catalogued(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(
        "const { placeCatalog, resolveSource } = await import('/catalog.js');
         placeCatalog({ catalog: new URL('/models/catalog.json', location).href, models: {} });
         const [network, asked] = [fetch, []];
         const paths = ['.gitattributes', 'README.md', 'model_index.json', 'feature_extractor/preprocessor_config.json', 'safety_checker/config.json', 'safety_checker/pytorch_model.bin',
             'scheduler/scheduler_config.json', 'text_encoder/config.json', 'text_encoder/pytorch_model.bin', 'tokenizer/merges.txt', 'tokenizer/vocab.json', 'unet/config.json',
             'unet/diffusion_pytorch_model.bin', 'vae/config.json', 'vae/diffusion_pytorch_model.bin'];
         globalThis.fetch = (address, options) => {
             if (!String(address).startsWith('https://huggingface.co/')) return network(address, options);
             asked.push(address);
             return Promise.resolve(new Response(JSON.stringify({ siblings: paths.map((rfilename) => ({ rfilename })) })));
         };
         const { files, quantization } = await resolveSource({ address: 'tiny-sd' });
         return { asked, quantization, files: files.map(({ name, address }) => name + ' ' + address) };",
        nothing(),
    )?;
    let files = [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "unet/diffusion_pytorch_model.bin",
        "unet/config.json",
        "text_encoder/pytorch_model.bin",
        "text_encoder/config.json",
        "vae/diffusion_pytorch_model.bin",
        "vae/config.json",
    ];
    let files = files.map(|file| format!("{file} hf://segmind/tiny-sd@main/{file}"));
    ensure_that!(seen["files"] == json!(files), "the files are {}", seen["files"]);
    ensure_that!(seen["quantization"] == "q8_0", "it is stored as {}", seen["quantization"]);
    let asked = "https://huggingface.co/api/models/segmind/tiny-sd/revision/main";
    ensure_that!(seen["asked"] == json!([asked]), "the hub was asked for {}", seen["asked"]);
    Ok(())
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn taef2_on_cpu(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(
        &with_reference(
            "cpu",
            "const decoder = await engine.load(folder + 'taef2_decoder.safetensors');
             const encoder = await engine.load(folder + 'taef2_encoder.safetensors');
             const picture = await decoder.decode(latent, shape);
             const image = tensor('image').slice(0, 3 * 128 * 128);
             const given = new ImageData(128, 128);
             for (let i = 0; i < 128 * 128; i++) for (let c = 0; c < 4; c++) given.data[4 * i + c] = c === 3 ? 255 : Math.round(255 * image[c * 128 * 128 + i]);
             const encoded = await encoder.encode(given);
             const blob = await (async () => { const canvas = new OffscreenCanvas(128, 128); canvas.getContext('2d').putImageData(given, 0, 0); return canvas.convertToBlob(); })();
             const again = await encoder.encode(blob);
             return { info: [decoder.info, encoder.info], stats: decoder.stats, shape: encoded.shape,
                 decode: psnr(planes(picture), decoded, 1), encode: psnr(encoded.latent, latent, 6), blob: psnr(again.latent, encoded.latent, 6) };",
        ),
        nothing(),
    )?;
    for (info, halves) in [(&seen["info"][0], [false, true]), (&seen["info"][1], [true, false])] {
        ensure_that!(info["kind"] == "autoencoder", "the kind is {}", info["kind"]);
        ensure_that!([&info["encodes"], &info["decodes"]] == halves, "the wrong half: {info}");
        ensure_that!(info["latentChannels"] == 32 && info["factor"] == 8, "channels and factor: {info}");
    }
    ensure_that!(seen["shape"] == json!([1, 32, 16, 16]), "the latent's shape is {}", seen["shape"]);
    // Eight bits a channel leave 59 dB on the way out, and a little noise on the way in.
    ensure_that!(number(&seen["decode"]) >= 40.0, "decoding: {} dB", seen["decode"]);
    ensure_that!(number(&seen["encode"]) >= 40.0, "encoding: {} dB", seen["encode"]);
    ensure_that!(seen["blob"].is_null() || number(&seen["blob"]) >= 60.0, "a PNG encodes otherwise: {}", seen["blob"]);
    for name in ["loadMs", "decodeMs", "deviceBytes"] {
        ensure_that!(number(&seen["stats"][name]) > 0.0, "{name} is {}", seen["stats"][name]);
    }
    Ok(())
}

/// A quarter of the latent: a software adapter is slow.
fn taef2_on_gpu(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(
        "const decode = async (device) => {
             const engine = await Engine.create({ device });
             const model = await engine.load('/reference/vae/taef2/taef2_decoder.safetensors');
             const latent = Float32Array.from({ length: 32 * 64 }, (_, i) => 1.2 * Math.sin(i * 12.9898));
             return { data: (await model.decode(latent, [1, 32, 8, 8])).data, stats: model.stats, device: model.info.device.kind };
         };
         const cpu = await decode('cpu'), gpu = await decode('webgpu');
         let most = 0;
         for (let i = 0; i < cpu.data.length; i++) most = Math.max(most, Math.abs(cpu.data[i] - gpu.data[i]));
         return { most, device: gpu.device, stats: gpu.stats };",
        nothing(),
    )?;
    ensure_that!(seen["device"] == "webgpu", "it ran on {}", seen["device"]);
    ensure_that!(number(&seen["most"]) <= 2.0, "the devices differ by {} of 255", seen["most"]);
    ensure_that!(number(&seen["stats"]["submitsPerStep"]) <= 1.0, "{} submits", seen["stats"]["submitsPerStep"]);
    Ok(())
}

fn quantised(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(
        &with_reference(
            "cpu",
            "const model = await engine.load(folder + 'taef2_decoder.safetensors', { quantization: 'q8_0' });
             return psnr(planes(await model.decode(latent, shape)), decoded, 1);",
        ),
        nothing(),
    )?;
    ensure_that!(number(&seen) >= 30.0, "in eight bits: {seen} dB");
    Ok(())
}

fn abort(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(
        &with_reference(
            "cpu",
            "const model = await engine.load(folder + 'taef2_decoder.safetensors');
             const large = new Float32Array(32 * 64 * 64);
             const abort = new AbortController();
             const work = code(model.decode(large, [1, 32, 64, 64], { signal: abort.signal }));
             await new Promise((resolve) => setTimeout(resolve, 100));
             abort.abort();
             const outcome = await work;
             const begun = performance.now();
             const after = psnr(planes(await model.decode(latent, shape)), decoded, 1);
             const waited = performance.now() - begun;
             await model.unload();
             return { outcome, after, waited, unloaded: await code(model.decode(latent, shape)) };",
        ),
        nothing(),
    )?;
    ensure_that!(seen["outcome"] == "aborted", "the code is {}", seen["outcome"]);
    ensure_that!(number(&seen["after"]) >= 40.0, "after an abort it decodes otherwise: {seen}");
    ensure_that!(number(&seen["waited"]) < 5000.0, "the abort was not heard for {} ms", seen["waited"]);
    ensure_that!(seen["unloaded"] == "closed", "an unloaded model answers {}", seen["unloaded"]);
    Ok(())
}

fn refused(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let codes = visit.call(
        &with_reference(
            "cpu",
            "const decoder = await engine.load(folder + 'taef2_decoder.safetensors');
             const encoder = await engine.load(folder + 'taef2_encoder.safetensors');
             return [
                 await code(decoder.decode(latent, [1, 16, 16, 32])), await code(decoder.decode(latent, [1, 32, 16])), await code(decoder.decode(latent, [1, 32, 16, 17])),
                 await code(decoder.decode(latent, [1, 32, 0, 0])), await code(decoder.decode(latent, [1, 32, 1e6, 1e6])), await code(decoder.decode(latent.map(() => NaN), shape)),
                 await code(decoder.decode([...latent], shape)), await code(encoder.decode(latent, shape)), await code(decoder.encode(new ImageData(16, 16))),
                 await code(encoder.encode(new ImageData(16, 17))), await code(encoder.encode()), await code(encoder.encode(new Blob(['no picture']))),
                 await code(engine.load(folder + 'taef2_decoder.safetensors', { kind: 'sculpture' })), await code(engine.load(folder + 'taef2_decoder.safetensors', { quantization: 'q1' }))];",
        ),
        nothing(),
    )?;
    let codes = strings(&codes);
    ensure_that!(codes.len() == 14 && codes.iter().all(|code| code == "bad-argument"), "the codes are {codes:?}");
    Ok(())
}
