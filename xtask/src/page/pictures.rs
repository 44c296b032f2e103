//! Autoencoders through `vitrine.js`, on both devices, against what PyTorch makes of the same trained weights.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Test, Visit, ensure_that, nothing, script, strings};
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
    Test::new("a_folder_of_xl_paints_on_the_cpu", |visit| pipeline(visit, "cpu", XL)),
    Test::new("a_folder_of_xl_paints_on_webgpu", |visit| pipeline(visit, "webgpu", XL)).on(Gpu::SwiftShader),
    Test::new("the_illustrator_paints_pytorchs_picture_on_the_cpu", |visit| illustrator(visit, "cpu")).everywhere(),
    Test::new("the_illustrator_paints_pytorchs_picture_on_webgpu", |visit| illustrator(visit, "webgpu"))
        .on(Gpu::SwiftShader),
    Test::new("the_one_model_of_a_repository_is_found", repositories),
    Test::new("a_model_of_the_catalogue_is_the_files_of_its_repository", catalogued),
    Test::new("latents_and_pictures_that_cannot_be_are_refused", refused).with_reference(),
];

/// A small pipeline of diffusers (training/make_pipeline_fixture.py, training/make_tiny_sd_fixture.py, training/make_tiny_sdxl_fixture.py): its folder
/// below the fixtures, what its files of weights are called, and what diffusers was asked for.
struct Folder {
    name: &'static str,
    /// What docs/models.md calls such a model, and its files.
    title: &'static str,
    format: &'static str,
    architecture: &'static str,
    /// The endings of its folders of text encoders and tokenizers.
    encoders: &'static [&'static str],
    weights: &'static str,
    text_weights: &'static str,
    wish: fn() -> Value,
}

const SAFETENSORS: Folder = Folder {
    name: "pipeline",
    title: "Stable Diffusion",
    format: "safetensors",
    architecture: "StableDiffusionPipeline",
    encoders: &[""],
    weights: "diffusion_pytorch_model.safetensors",
    text_weights: "model.safetensors",
    wish: || json!({ "prompt": "A fox, in the SNOW", "negativePrompt": "night", "seed": 7, "steps": 5, "guidance": 5, "width": 48, "height": 32 }),
};
const PYTORCH: Folder = Folder {
    name: "tiny_sd",
    title: "Stable Diffusion, pruned (BK-SDM, tiny-sd)",
    format: "PyTorch's",
    architecture: "StableDiffusionPipeline",
    encoders: &[""],
    weights: "diffusion_pytorch_model.bin",
    text_weights: "pytorch_model.bin",
    wish: || json!({ "prompt": "the fox in a night", "negativePrompt": "snow", "seed": 3, "steps": 6, "guidance": 7.5, "width": 48, "height": 32 }),
};

const XL: Folder = Folder {
    name: "tiny_sdxl",
    title: "Stable Diffusion XL",
    format: "safetensors",
    architecture: "StableDiffusionXLPipeline",
    encoders: &["", "_2"],
    weights: "diffusion_pytorch_model.safetensors",
    text_weights: "model.safetensors",
    wish: || json!({ "prompt": "the fox, in a SNOW", "negativePrompt": "night", "seed": 5, "steps": 5, "guidance": 5, "width": 48, "height": 32 }),
};

/// By the address of its index, then by its files; against what diffusers paints from the same noise.
fn pipeline(visit: &Visit, device: &str, folder: Folder) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(
        script!("pictures.js", pipeline),
        json!({
            "device": device,
            "folder": format!("/fixtures/{}/", folder.name),
            "weights": folder.weights,
            "textWeights": folder.text_weights,
            "encoders": folder.encoders,
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
    ensure_that!(seen["info"]["architecture"] == folder.architecture, "it says {}", seen["info"]);
    ensure_that!(seen["stats"]["submitsPerStep"].as_u64().is_some_and(|n| n <= 2), "it took {}", seen["stats"]);
    for what in ["lacking", "odd"] {
        ensure_that!(seen[what] == "bad-argument", "{what}: {}", seen[what]);
    }
    visit.proved("Pictures", folder.title, folder.format, device, "random weights");
    Ok(())
}

/// All its steps, as the catalogue says, from the noise of one seed.
fn illustrator(visit: &Visit, device: &str) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("pictures.js", illustrator), json!(device))?;
    ensure_that!(seen["device"] == device && seen["numbers"] == 64 * 64 * 3, "it was painted otherwise: {seen}");
    ensure_that!(number(&seen["psnr"]) >= 40.0, "the picture: {} dB", seen["psnr"]);
    visit.proved("Pictures", "the illustrator", "safetensors", device, "trained weights");
    Ok(())
}

fn repositories(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("pictures.js", repositories), nothing())?;
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
    let seen = visit.call(script!("pictures.js", catalogued), nothing())?;
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
    let seen = visit.call(script!("pictures.js", taef2), nothing())?;
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
    visit.proved("Pictures", "TAEF2", "safetensors", "cpu", "published weights");
    Ok(())
}

/// A quarter of the latent: a software adapter is slow.
fn taef2_on_gpu(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("pictures.js", bothDevices), nothing())?;
    ensure_that!(seen["device"] == "webgpu", "it ran on {}", seen["device"]);
    ensure_that!(number(&seen["most"]) <= 2.0, "the devices differ by {} of 255", seen["most"]);
    ensure_that!(number(&seen["stats"]["submitsPerStep"]) <= 1.0, "{} submits", seen["stats"]["submitsPerStep"]);
    visit.proved("Pictures", "TAEF2", "safetensors", "webgpu", "published weights");
    Ok(())
}

fn quantised(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("pictures.js", quantised), nothing())?;
    ensure_that!(number(&seen) >= 30.0, "in eight bits: {seen} dB");
    Ok(())
}

fn abort(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let seen = visit.call(script!("pictures.js", abort), nothing())?;
    ensure_that!(seen["outcome"] == "aborted", "the code is {}", seen["outcome"]);
    ensure_that!(number(&seen["after"]) >= 40.0, "after an abort it decodes otherwise: {seen}");
    ensure_that!(number(&seen["waited"]) < 5000.0, "the abort was not heard for {} ms", seen["waited"]);
    ensure_that!(seen["unloaded"] == "closed", "an unloaded model answers {}", seen["unloaded"]);
    Ok(())
}

fn refused(visit: &Visit) -> Result<()> {
    visit.blank()?;
    let codes = visit.call(script!("pictures.js", refused), nothing())?;
    let codes = strings(&codes);
    ensure_that!(codes.len() == 14 && codes.iter().all(|code| code == "bad-argument"), "the codes are {codes:?}");
    Ok(())
}
