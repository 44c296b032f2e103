//! Stable Diffusion XL: the pictures that diffusers paints from the same noise with its folder (training/make_tiny_sdxl_fixture.py), and with the same
//! weights in one file under the names of the original code.

use std::{collections::BTreeMap, rc::Rc};

use pollster::block_on;
use vitrine::{
    Cancel,
    graph::{DType, Graph},
    image::{ImageModel, ImageRequest},
    models::{
        Clip, ClipPair, Denoiser, Form, Origin, Tensors, TextEncoder, UNet,
        clip::{self, ClipConfig},
        unet::{self, UNetConfig},
    },
    weights::{SharedSource, Storage, WeightFile},
};

use super::{
    devices,
    files::{Tensor, source_of, tensors_of},
    in_f32, original,
    pipeline::{last, likeness, load, open_in, paint, source_in},
};
use crate::common::{fixture, on_cpu, proofs::RANDOM, proved};

pub const FOLDER: &str = "tiny_sdxl";
pub const TEXTS: [&str; 12] = [
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder_2/config.json",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "tokenizer/tokenizer_config.json",
    "tokenizer_2/vocab.json",
    "tokenizer_2/merges.txt",
    "tokenizer_2/tokenizer_config.json",
    "unet/config.json",
    "vae/config.json",
];
pub const WEIGHTS: [&str; 4] = [
    "text_encoder/model.safetensors",
    "text_encoder_2/model.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
];
/// Eight bits a channel leave 58.9 dB.
pub const SAME: f64 = 55.0;

/// The whole folder, with the schedule of one of its folders.
pub fn folder(schedule: &str) -> WeightFile {
    let texts = TEXTS.map(|name| name.replace("scheduler/", &format!("{schedule}/")));
    let names: Vec<&str> = texts.iter().map(String::as_str).chain(WEIGHTS).collect();
    open_in(FOLDER, &names)
}

fn wanted(name: &str) -> Vec<f32> {
    block_on(open_in(FOLDER, &["reference.safetensors"]).read_f32(name)).expect("a reference")
}

fn wish() -> ImageRequest {
    ImageRequest {
        prompt: "the fox, in a SNOW".into(),
        negative_prompt: Some("night".into()),
        seed: Some(5.0),
        steps: Some(5.0),
        guidance: Some(5.0),
        width: Some(48.0),
        height: Some(32.0),
        ..ImageRequest::default()
    }
}

/// How like a picture of diffusers is what a model paints.
fn distance(model: &ImageModel, wish: ImageRequest, reference: &str) -> f64 {
    likeness(&last(&paint(model, wish, None, None))[0], &wanted(reference))
}

#[test]
fn a_folder_of_xl_paints_what_diffusers_paints() {
    let file = folder("scheduler");
    for (name, device) in devices() {
        for (storage, least) in [(Storage::Keep, SAME), (Storage::Q8_0, 30.0)] {
            let model = load(&file, &device, storage).expect("a model");
            let info = model.info();
            assert_eq!(
                (info.architecture.as_str(), info.guidance, info.largest),
                ("StableDiffusionXLPipeline", 5.0, 1536)
            );
            for (wish, reference) in
                [(wish(), "picture"), (ImageRequest { negative_prompt: None, ..wish() }, "nothing_left_out")]
            {
                let psnr = distance(&model, wish, reference);
                println!("{name}, {storage:?}, {reference}: {psnr:.1} dB");
                assert!(psnr >= least, "{name}, {storage:?}, {reference}: {psnr}");
            }
        }
        proved("sdxl", "safetensors", &device, RANDOM);
    }
}

#[test]
fn the_turbo_of_xl_paints_in_one_step_without_guidance() {
    let file = folder("turbo");
    for (name, device) in devices() {
        let model = load(&file, &device, Storage::Keep).expect("a model");
        assert_eq!((model.info().steps, model.info().guidance), (2, 1.0));
        // As diffusers counts it 0 is no guidance, and as arXiv 2207.12598 does 1 is.
        for guidance in [0.0, 1.0] {
            let asked = ImageRequest { negative_prompt: None, steps: Some(1.0), guidance: Some(guidance), ..wish() };
            let psnr = distance(&model, asked, "turbo");
            println!("{name}, guidance {guidance}: {psnr:.1} dB");
            assert!(psnr >= SAME, "{name}, guidance {guidance}: {psnr}");
        }
        proved("sdxl-turbo", "safetensors", &device, RANDOM);
        let refused = ImageRequest { guidance: Some(0.0), ..wish() }.check(model.info(), None, None).expect("a wish");
        let error = model.paint(refused, Cancel::new()).err().expect("nothing listens to a negative prompt");
        assert!(error.to_string().contains("guidance"), "{error}");
    }
}

/// The numbers of a file's tensors, by other names.
pub fn renamed(file: &WeightFile, name: impl Fn(&str) -> Option<Origin>) -> BTreeMap<String, Tensor> {
    let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
    for info in file.tensors.values() {
        let Some(Origin { name, form }) = name(&info.name) else { continue };
        let (shape, numbers) = (&info.shape, block_on(file.read_f32(&info.name)).expect("numbers"));
        match form {
            Form::Whole => {
                tensors.insert(name, (shape.clone(), numbers));
            }
            Form::Part { which } => {
                let whole = [&[3 * shape[0]], &shape[1..]].concat();
                let (_, all) = tensors.entry(name).or_insert_with(|| (whole, vec![0.0; 3 * numbers.len()]));
                all[which * numbers.len()..][..numbers.len()].copy_from_slice(&numbers);
            }
            _ => {
                let turned = (0..numbers.len()).map(|i| numbers[i % shape[0] * shape[1] + i / shape[0]]);
                tensors.insert(name, (vec![shape[1], shape[0]], turned.collect()));
            }
        }
    }
    tensors
}

#[test]
fn a_checkpoint_of_xl_in_one_file_paints_the_same() {
    let json = std::fs::read_to_string(fixture(FOLDER).join("unet/config.json")).expect("a configuration");
    let config = UNetConfig::from_diffusers(&json).expect("a configuration");
    let part = |i: usize| open_in(FOLDER, &[WEIGHTS[i]]);
    let first = |name: &str| Some(clip::Names::SingleFile.origin(clip::Place::First, name));
    let second = |name: &str| {
        let name = name.strip_prefix("text_encoder_2.").expect("the folder's name");
        Some(clip::Names::OpenClip.origin(clip::Place::Second, name))
    };
    let mut tensors = renamed(&part(0), first);
    tensors.extend(renamed(&part(1), second));
    tensors.extend(renamed(&part(2), |name| Some(unet::Names::SingleFile.origin(&config, name))));
    tensors.extend(renamed(&part(3), |name| Some(Origin::whole(format!("first_stage_model.{name}")))));
    // A checkpoint says neither how many groups its norms have nor how its text is split. One vocabulary does for both encoders.
    let beside = TEXTS.into_iter().filter(|name| *name != "model_index.json" && !name.starts_with("tokenizer_2/"));
    let mut sources: Vec<SharedSource> = beside.map(|name| source_in(FOLDER, name)).collect();
    sources.push(Rc::new(source_of(&tensors)));
    let file = block_on(WeightFile::open_parts(sources)).expect("files");
    let model = load(&file, &on_cpu(), Storage::Keep).expect("a model");
    assert_eq!(model.info().architecture, "StableDiffusionXLPipeline");
    for (wish, reference) in
        [(wish(), "picture"), (ImageRequest { negative_prompt: None, ..wish() }, "nothing_left_out")]
    {
        let psnr = distance(&model, wish, reference);
        assert!(psnr >= SAME, "{reference}: {psnr}");
    }
}

/// Shapes without numbers.
struct Shapes(BTreeMap<String, Vec<usize>>);

impl Tensors for Shapes {
    fn tensor(&self, name: &str) -> Option<(DType, &[usize])> {
        self.0.get(name).map(|shape| (DType::F16, shape.as_slice()))
    }
}

/// Of the encoders of XL and their kin, in small but for what tells them apart: the widths.
fn encoder(width: usize, layers: usize) -> ClipConfig {
    let json = serde_json::json!({
        "vocab_size": 50, "max_position_embeddings": 77, "hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": layers,
        "num_attention_heads": width / 64, "hidden_act": if width < 1024 { "quick_gelu" } else { "gelu" }, "projection_dim": width
    });
    ClipConfig::from_hugging_face(&json.to_string()).expect("a configuration")
}

#[test]
fn a_checkpoint_says_what_its_two_encoders_are_made_of() {
    let configs = [encoder(128, 2), encoder(1280, 25)];
    let plain = ClipPair::new(configs, in_f32()).expect("a pair").graph(1).expect("a graph");
    // A file has the first one's last layer too, though nobody reads it.
    let first = Clip::new(encoder(128, 2), in_f32()).graph(1).expect("a graph");
    let mut shapes = Shapes(BTreeMap::new());
    for spec in first.weights.iter().chain(&plain.weights) {
        let second = spec.name.strip_prefix("text_encoder_2.");
        let Origin { name, form } = match second {
            Some(name) => clip::Names::OpenClip.origin(clip::Place::Second, name),
            None if spec.name.starts_with("text_model.") => {
                clip::Names::SingleFile.origin(clip::Place::First, &spec.name)
            }
            None => continue,
        };
        let part = matches!(form, Form::Part { .. });
        let rows = if part { 3 * spec.shape[0] } else { spec.shape[0] };
        shapes.0.insert(name, [&[rows], &spec.shape[1..]].concat());
    }
    let found = ClipPair::find([None, None], &shapes, Storage::Keep).expect("all weights");
    let graph = found.graph(1).expect("a graph");
    let named = |graph: &Graph| -> BTreeMap<String, Vec<usize>> {
        graph.weights.iter().map(|spec| (spec.name.clone(), spec.shape.clone())).collect()
    };
    assert_eq!(named(&graph), named(&plain));
    assert_eq!((found.widths(), found.pooled_width()), (vec![128, 1280], Some(1280)));
    // All 25 layers but the last are read for the rows, and the last for the whole text.
    assert!(graph.weights.iter().any(|spec| spec.name.contains("text_encoder_2.text_model.encoder.layers.24.")));
    shapes.0.retain(|name, _| !name.starts_with("conditioner.embedders.1."));
    let error = ClipPair::find([None, None], &shapes, Storage::Keep).expect_err("an encoder is missing");
    assert!(error.to_string().contains("text_encoder_2"), "{error}");
    // The second's place is its own: Stable Diffusion 2's encoder is read as before.
    assert!(Clip::find(None, &shapes, Storage::Keep).is_err());
}

#[test]
fn a_checkpoint_says_what_the_unet_of_xl_is_made_of() {
    let mut json = original("unet_sdxl")["config"].clone();
    for (key, value) in [
        ("block_out_channels", serde_json::json!([64, 128, 192])),
        ("attention_head_dim", serde_json::json!([1, 2, 3])),
        ("norm_num_groups", 32.into()),
        ("cross_attention_dim", 2048.into()),
        ("addition_time_embed_dim", 256.into()),
        ("projection_class_embeddings_input_dim", 2816.into()),
    ] {
        json[key] = value;
    }
    let config = UNetConfig::from_diffusers(&json.to_string()).expect("a configuration");
    let draft = UNet::new(config.clone(), in_f32()).graph(1, 8, 8, 1).expect("a graph");
    let tensors = tensors_of(&draft, |weight| unet::Names::SingleFile.origin(&config, weight));
    let shapes = Shapes(tensors.into_iter().map(|(name, (shape, _))| (name, shape)).collect());
    assert_eq!(UNetConfig::from_single_file(&shapes).expect("a configuration"), config);
}
