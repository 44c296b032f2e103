//! Whole pipelines as they are published, from their folders: the picture that diffusers paints from the same noise
//! (training/make_pipeline_fixture.py, training/make_tiny_sd_fixture.py), and what is said where a part is missing.

use std::{collections::BTreeMap, rc::Rc};

use pollster::block_on;
use vitrine::{
    Cancel, ErrorCode,
    backend::Device,
    image::{ImageModel, ImageRequest, PaintStep, Picture},
    models::{
        clip,
        unet::{self, UNetConfig},
    },
    weights::{MemorySource, SharedSource, Storage, WeightFile},
};

use super::{
    devices,
    files::{Tensor, source_of},
};
use crate::{
    common::{fixture, on_cpu, proofs::RANDOM, proved, safetensors},
    psnr,
};

const FOLDER: &str = "pipeline";
const PARTS: [&str; 10] = parts(
    "text_encoder/model.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
);
/// A pipeline pruned as segmind/tiny-sd is, in PyTorch's own files.
const TINY_SD: &str = "tiny_sd";
pub const TINY_SD_PARTS: [&str; 10] =
    parts("text_encoder/pytorch_model.bin", "unet/diffusion_pytorch_model.bin", "vae/diffusion_pytorch_model.bin");
const WIDTH: usize = 48;
const HEIGHT: usize = 32;

/// The files of a folder of diffusers; its weights are given.
const fn parts<'a>(text_encoder: &'a str, unet: &'a str, vae: &'a str) -> [&'a str; 10] {
    [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        text_encoder,
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "unet/config.json",
        unet,
        "vae/config.json",
        vae,
    ]
}

/// The file `name` of a folder among the fixtures.
pub fn source_in(folder: &str, name: &str) -> SharedSource {
    Rc::new(MemorySource::new(name, std::fs::read(fixture(folder).join(name)).expect("a file of the fixture")))
}

fn source(name: &str) -> SharedSource {
    source_in(FOLDER, name)
}

pub fn open_in(folder: &str, names: &[&str]) -> WeightFile {
    block_on(WeightFile::open_parts(names.iter().map(|name| source_in(folder, name)).collect())).expect("files")
}

fn open(names: &[&str]) -> WeightFile {
    open_in(FOLDER, names)
}

/// A file of the pruned pipeline.
pub fn source_of_tiny_sd(name: &str) -> SharedSource {
    source_in(TINY_SD, name)
}

pub fn tiny_sd() -> WeightFile {
    open_in(TINY_SD, &TINY_SD_PARTS)
}

pub fn load(file: &WeightFile, device: &Device, storage: Storage) -> vitrine::Result<ImageModel> {
    block_on(ImageModel::load(file, device, storage, &mut |_, _| (), &Cancel::new()))
}

fn wish() -> ImageRequest {
    ImageRequest {
        prompt: "A fox, in the SNOW".into(),
        negative_prompt: Some("night".into()),
        seed: Some(7.0),
        steps: Some(5.0),
        guidance: Some(5.0),
        width: Some(WIDTH as f64),
        height: Some(HEIGHT as f64),
        ..ImageRequest::default()
    }
}

pub fn paint(model: &ImageModel, wish: ImageRequest, init: Option<Picture>, mask: Option<Picture>) -> Vec<PaintStep> {
    let options = wish.check(model.info(), init, mask).expect("a wish that can be met");
    let mut painting = model.paint(options, Cancel::new()).expect("a painting");
    std::iter::from_fn(|| block_on(painting.next()).expect("a step")).collect()
}

pub fn last(steps: &[PaintStep]) -> &[Picture] {
    &steps.last().expect("a step").pictures
}

fn wanted(name: &str) -> Vec<f32> {
    block_on(open(&["reference.safetensors"]).read_f32(name)).expect("a reference")
}

/// Of a picture against rows of 0 … 1.
pub fn likeness(picture: &Picture, rows: &[f32]) -> f64 {
    psnr(&picture.rows(0.0, 1.0), rows, 1.0)
}

#[test]
fn a_folder_of_diffusers_paints_what_diffusers_paints() {
    let file = open(&PARTS);
    for (name, device) in devices() {
        let model = load(&file, &device, Storage::Keep).expect("a model");
        assert_eq!((model.info().size_multiple, model.info().width, model.info().largest), (2, 32, 1024));
        assert_eq!(model.info().schedulers.len(), 18);
        let steps = paint(&model, wish(), None, None);
        assert_eq!(steps.len(), 5);
        let psnr_of = likeness(&last(&steps)[0], &wanted("picture"));
        println!("{name}: {psnr_of:.1} dB");
        assert!(psnr_of >= 40.0, "{name}: {psnr_of}");
        // A glance at the way has the picture's size, and its colours in large.
        let glance = &steps[3].pictures[0];
        assert_eq!((glance.width, glance.height), (WIDTH, HEIGHT));
        assert!(likeness(glance, &wanted("picture")) > 10.0);
        let small = load(&file, &device, Storage::Q8_0).expect("a model in eight bits");
        let psnr_of = likeness(&last(&paint(&small, wish(), None, None))[0], &wanted("picture"));
        println!("{name}, eight bits: {psnr_of:.1} dB");
        assert!(psnr_of >= 25.0, "{name}, eight bits: {psnr_of}");
        proved("stable-diffusion", "safetensors", &device, RANDOM);
    }
}

#[test]
fn a_folder_of_pytorchs_own_files_of_a_pruned_model_paints_what_diffusers_paints() {
    let file = tiny_sd();
    let picture = block_on(open_in(TINY_SD, &["reference.safetensors"]).read_f32("picture")).expect("a picture");
    let asked = || ImageRequest {
        prompt: "the fox in a night".into(),
        negative_prompt: Some("snow".into()),
        seed: Some(3.0),
        steps: Some(6.0),
        guidance: Some(7.5),
        ..wish()
    };
    for (name, device) in devices() {
        for (storage, least) in [(Storage::Keep, 40.0), (Storage::Q8_0, 25.0)] {
            let model = load(&file, &device, storage).expect("a model");
            let psnr = likeness(&last(&paint(&model, asked(), None, None))[0], &picture);
            println!("{name}, {storage:?}: {psnr:.1} dB");
            assert!(psnr >= least, "{name}, {storage:?}: {psnr}");
        }
        proved("pruned", "PyTorch's", &device, RANDOM);
    }
}

#[test]
fn a_folder_of_half_precision_variants_in_parts_or_whole_paints_the_same() {
    let unet = open(&[PARTS[7]]);
    let all: Vec<(String, Tensor)> = unet
        .tensors
        .values()
        .map(|t| (t.name.clone(), (t.shape.clone(), block_on(unet.read_f32(&t.name)).expect("numbers"))))
        .collect();
    let part = |i: usize| format!("diffusion_pytorch_model.fp16-0000{}-of-00002.safetensors", i + 1);
    let halves = [&all[..all.len() / 2], &all[all.len() / 2..]];
    let map: BTreeMap<&str, String> =
        (0..2).flat_map(|i| halves[i].iter().map(move |(name, _)| (name.as_str(), part(i)))).collect();
    let index = serde_json::to_vec(&serde_json::json!({ "weight_map": map })).expect("JSON");
    let mut sources: Vec<SharedSource> = vec![
        Rc::new(MemorySource::new("unet/diffusion_pytorch_model.safetensors.index.fp16.json", index)),
        // A copy in full precision, which is not looked at.
        Rc::new(MemorySource::new("vae/diffusion_pytorch_model.safetensors", vec![])),
    ];
    for (i, half) in halves.iter().enumerate() {
        let tensors: Vec<(&str, &[usize], &[f32])> =
            half.iter().map(|(name, (shape, numbers))| (name.as_str(), &shape[..], &numbers[..])).collect();
        sources.push(Rc::new(MemorySource::new(format!("unet/{}", part(i)), safetensors(&tensors))));
    }
    for name in PARTS.into_iter().filter(|name| *name != PARTS[7]) {
        let bytes = std::fs::read(fixture(FOLDER).join(name)).expect("a file of the fixture");
        sources.push(Rc::new(MemorySource::new(name.replace(".safetensors", ".fp16.safetensors"), bytes)));
    }
    let file = block_on(WeightFile::open_parts(sources)).expect("files");
    let model = load(&file, &on_cpu(), Storage::Keep).expect("a model");
    let psnr = likeness(&last(&paint(&model, wish(), None, None))[0], &wanted("picture"));
    assert!(psnr >= 40.0, "{psnr}");
}

#[test]
fn models_whose_denoiser_is_a_transformer_are_refused_by_name() {
    for (tensor, model) in [
        ("model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", "Stable Diffusion 3"),
        ("transformer_blocks.0.attn.add_q_proj.weight", "Stable Diffusion 3"),
        ("double_blocks.0.img_attn.qkv.weight", "FLUX"),
        ("single_transformer_blocks.0.attn.to_q.weight", "FLUX"),
    ] {
        let bytes = safetensors(&[(tensor, &[2, 2], &[0.0; 4])]);
        let source: SharedSource = Rc::new(MemorySource::new("model.safetensors", bytes));
        let file = block_on(WeightFile::open(source)).expect("a file");
        assert!(ImageModel::is_one(&file), "{tensor}");
        let error = load(&file, &on_cpu(), Storage::Keep).err().expect("a refusal");
        assert!(error.code() == ErrorCode::UnsupportedModel && error.to_string().contains(model), "{error}");
    }
}

#[test]
fn a_checkpoint_in_one_file_paints_the_same() {
    let folder = open(&PARTS);
    let json = std::fs::read_to_string(fixture(FOLDER).join("unet/config.json")).expect("a configuration");
    let config = UNetConfig::from_diffusers(&json).expect("a configuration");
    let tensors: BTreeMap<String, Tensor> = folder
        .tensors
        .values()
        .map(|tensor| {
            let begins = |parts: &[&str]| parts.iter().any(|part| tensor.name.starts_with(part));
            let name = if begins(&["embeddings.", "encoder.layers.", "final_layer_norm."]) {
                clip::Names::SingleFile.origin(clip::Place::Only, &tensor.name).name
            } else if begins(&["encoder.", "decoder.", "quant_conv.", "post_quant_conv."]) {
                format!("first_stage_model.{}", tensor.name)
            } else {
                unet::Names::SingleFile.origin(&config, &tensor.name).name
            };
            (name, (tensor.shape.clone(), block_on(folder.read_f32(&tensor.name)).expect("numbers")))
        })
        .collect();
    // A checkpoint says neither how many groups its norms have nor how its text is split.
    let beside = PARTS.into_iter().filter(|name| !name.ends_with(".safetensors") && *name != "model_index.json");
    let mut sources: Vec<SharedSource> = beside.map(source).collect();
    sources.push(Rc::new(source_of(&tensors)));
    let file = block_on(WeightFile::open_parts(sources)).expect("files");
    assert!(ImageModel::is_one(&file));
    let model = load(&file, &on_cpu(), Storage::F16).expect("a model");
    let psnr = likeness(&last(&paint(&model, wish(), None, None))[0], &wanted("picture"));
    assert!(psnr >= 40.0, "{psnr}");
}

#[test]
fn a_model_made_for_filling_in_fills_in_as_in_diffusers() {
    let parts = PARTS.map(|name| name.replace("unet/", "inpainting/"));
    let file = open(&parts.each_ref().map(String::as_str));
    let pixel = |i: usize| {
        let (x, y) = (i % WIDTH, i / WIDTH);
        [(x * 5) as u8, (y * 7) as u8, (255 - 2 * x - 3 * y) as u8, 255]
    };
    let given = Picture::new(WIDTH, HEIGHT, (0..WIDTH * HEIGHT).flat_map(pixel).collect()).expect("a picture");
    let white = |i: usize| (16..36).contains(&(i % WIDTH)) && i / WIDTH > 7;
    let mask = (0..WIDTH * HEIGHT).flat_map(|i| if white(i) { [255; 4] } else { [0, 0, 0, 255] }).collect();
    let mask = Picture::new(WIDTH, HEIGHT, mask).expect("a mask");
    let demanded = wanted("filled");
    for (name, device) in devices() {
        let model = load(&file, &device, Storage::Keep).expect("a model");
        let wish = ImageRequest { strength: Some(1.0), ..wish() };
        let steps = paint(&model, wish, Some(given.clone()), Some(mask.clone()));
        let found = &last(&steps)[0];
        // diffusers gives the decoder's picture; here what the mask leaves alone is the given picture's own.
        for i in 0..WIDTH * HEIGHT {
            let pixel = &found.rgba[4 * i..][..3];
            if !white(i) {
                assert_eq!(pixel, &given.rgba[4 * i..][..3], "{name}: pixel {i}");
                continue;
            }
            for (a, b) in pixel.iter().zip(&demanded[3 * i..]) {
                assert!((f32::from(*a) / 255.0 - b).abs() < 0.02, "{name}: pixel {i}: {pixel:?}");
            }
        }
        proved("inpainting", "safetensors", &device, RANDOM);
    }
}

#[test]
fn pictures_of_a_batch_are_those_of_their_seeds() {
    let model = load(&open(&PARTS), &on_cpu(), Storage::Keep).expect("a model");
    let schedulers = ["euler-ancestral", "dpm++-2m-karras", "lcm"];
    for scheduler in schedulers {
        let asked = |seed: f64, count: f64| ImageRequest {
            scheduler: Some(scheduler.into()),
            seed: Some(seed),
            count: Some(count),
            ..wish()
        };
        let both = paint(&model, asked(7.0, 2.0), None, None);
        let one = paint(&model, asked(8.0, 1.0), None, None);
        let second = &last(&both)[1];
        assert!(likeness(second, &last(&one)[0].rows(0.0, 1.0)) > 45.0, "{scheduler}");
        assert_ne!(&last(&both)[0], second, "{scheduler}");
    }
}

#[test]
fn what_the_encoder_cannot_read_at_once_is_told() {
    let model = load(&open(&PARTS), &on_cpu(), Storage::Keep).expect("a model");
    let prompt = "a fox in the snow a fox in the snow a fox in the night".to_string();
    let wish = ImageRequest { prompt, steps: Some(1.0), ..wish() };
    let options = wish.check(model.info(), None, None).expect("a wish");
    let painting = model.paint(options, Cancel::new()).expect("a painting");
    // Fourteen tokens fit between the marks, and each word is one.
    assert_eq!(painting.summary().cut.as_deref(), Some("night"));
}

#[test]
fn a_missing_part_is_named_and_another_models_is_refused() {
    for (without, said) in [
        ("vae/diffusion_pytorch_model.safetensors", "autoencoder"),
        ("unet/diffusion_pytorch_model.safetensors", "U-Net"),
        ("text_encoder/model.safetensors", "text encoder"),
        ("tokenizer/merges.txt", "tokenizer.json"),
    ] {
        let left: Vec<&str> = PARTS.into_iter().filter(|name| *name != without).collect();
        let error = load(&open(&left), &on_cpu(), Storage::Keep).err().expect("a part is missing");
        assert!(error.to_string().contains(said), "without {without}: {error}");
    }
    let index = MemorySource::new("model_index.json", br#"{"_class_name": "FluxPipeline"}"#.to_vec());
    let file = block_on(WeightFile::open_parts(vec![Rc::new(index), source(PARTS[9])])).expect("files");
    assert!(ImageModel::is_one(&file));
    let error = load(&file, &on_cpu(), Storage::Keep).err().expect("no pipeline that runs");
    assert_eq!(error.code(), ErrorCode::UnsupportedModel);
    assert!(error.to_string().contains("FluxPipeline"), "{error}");
}

#[test]
fn sizes_and_steps_that_cannot_be_are_refused_with_what_can() {
    let model = load(&open(&PARTS), &on_cpu(), Storage::Keep).expect("a model");
    let refused = |wish: ImageRequest| wish.check(model.info(), None, None).expect_err("a wish that cannot be met");
    assert!(refused(ImageRequest { width: Some(51.0), ..wish() }).to_string().contains("a multiple of 2"));
    assert!(refused(ImageRequest { height: Some(4096.0), ..wish() }).to_string().contains("1024"));
    assert!(refused(ImageRequest { steps: Some(0.0), ..wish() }).to_string().contains("steps is 0"));
    assert!(refused(ImageRequest { guidance: Some(f64::NAN), ..wish() }).to_string().contains("guidance is NaN"));
    let many = ImageRequest { scheduler: Some("lcm".into()), steps: Some(51.0), ..wish() };
    let options = many.check(model.info(), None, None).expect("a whole number");
    assert_eq!(model.paint(options, Cancel::new()).err().map(|error| error.code()), Some(ErrorCode::BadArgument));
}
