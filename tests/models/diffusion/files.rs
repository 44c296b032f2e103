//! The same weights in files of PyTorch's layout, under every name they go by, found and turned on their way to a device.

use std::{collections::BTreeMap, rc::Rc};

use pollster::block_on;
use vitrine::{
    ErrorCode,
    graph::{DType, Graph, Op, WeightId},
    models::{
        Clip, Denoiser, Form, Origin, TextEncoder, UNet, clip,
        clip::ClipConfig,
        unet::{self, UNetConfig},
    },
    weights::{MemorySource, Storage, WeightFile},
};

use super::{denoising, denoising_within, hashed, in_f32, original, reading, reading_within, unet_of};
use crate::common::{safetensors, streamed};

/// A tensor of a file: its shape and its numbers.
pub type Tensor = (Vec<usize>, Vec<f32>);

/// A safetensors file of these tensors.
pub fn source_of(tensors: &BTreeMap<String, Tensor>) -> MemorySource {
    let tensors: Vec<(&str, &[usize], &[f32])> =
        tensors.iter().map(|(name, (shape, numbers))| (name.as_str(), shape.as_slice(), numbers.as_slice())).collect();
    MemorySource::new("model.safetensors", safetensors(&tensors))
}

/// `[out, area · in]` → `[out, in, height, width]`
fn channels_outside(weight: &[f32], out: usize, inner: usize, [height, width]: [usize; 2]) -> Tensor {
    let (area, channels) = (height * width, inner / (height * width));
    let numbers = (0..out * inner).map(|i| {
        let (pixel, channel, row) = (i % area, i / area % channels, i / inner);
        weight[row * inner + pixel * channels + channel]
    });
    (vec![out, channels, height, width], numbers.collect())
}

/// The weights of `graph` as PyTorch lays them, where `origin` says; parts of a tensor come on top of each other.
pub fn tensors_of(graph: &Graph, origin: impl Fn(&str) -> Origin) -> BTreeMap<String, Tensor> {
    let window = |id: WeightId| {
        graph.nodes.iter().find_map(|node| match &node.op {
            Op::Conv2d { weight, window, .. } if *weight == id => Some([window.height, window.width]),
            _ => None,
        })
    };
    let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
    for (i, spec) in graph.weights.iter().enumerate() {
        let (shape, numbers) = match (window(WeightId(i as u32)), &spec.shape[..]) {
            (Some(window), &[out, inner]) => channels_outside(&hashed::weight(spec), out, inner, window),
            _ => (spec.shape.clone(), hashed::weight(spec)),
        };
        let Origin { name, form } = origin(&spec.name);
        match form {
            Form::Whole => drop(tensors.insert(name, (shape, numbers))),
            // Query, key and value in one.
            Form::Part { which } => {
                let (rows, len) = (shape[0], numbers.len());
                let whole = [&[rows * 3], &shape[1..]].concat();
                let (_, all) = tensors.entry(name).or_insert_with(|| (whole, vec![0.0; len * 3]));
                all[which * len..][..len].copy_from_slice(&numbers);
            }
            Form::Transposed => {
                let (rows, columns) = (shape[0], shape[1]);
                let turned = (0..numbers.len()).map(|i| numbers[i % rows * columns + i / rows]).collect();
                tensors.insert(name, (vec![columns, rows], turned));
            }
            other => panic!("{name} is {other:?}"),
        }
    }
    tensors
}

/// A file that holds the weights of `graph`.
fn file_of(graph: &Graph, origin: impl Fn(&str) -> Origin) -> WeightFile {
    block_on(WeightFile::open(Rc::new(source_of(&tensors_of(graph, origin))))).expect("a file")
}

#[test]
fn a_unet_is_read_from_diffusers_files_and_from_single_ones() {
    for name in ["unet_sd15", "unet_tiny", "unet_sdxl"] {
        let plain = unet_of(name);
        let config = plain.config();
        let draft = plain.graph(1, 8, 8, 1).expect("a graph");
        for names in [unet::Names::Diffusers, unet::Names::SingleFile, unet::Names::Alone] {
            let file = file_of(&draft, |weight| names.origin(config, weight));
            let unet = UNet::find(Some(config.clone()), &file, Storage::Keep).expect("all weights");
            denoising(name, &unet, |device, graph| block_on(streamed(device, &file, graph, unet.recipes())));
        }
    }
}

#[test]
fn a_single_file_says_what_its_unet_is_made_of() {
    for name in ["unet_tiny", "unet_lcm"] {
        let plain = unet_of(name);
        let config = plain.config();
        let file = file_of(&plain.graph(1, 8, 8, 1).expect("a graph"), |w| unet::Names::SingleFile.origin(config, w));
        let told = UNetConfig::from_single_file(&file).expect("a configuration");
        // What no shape tells is as Stable Diffusion has it.
        let known = UNetConfig { norm_groups: 32, down_padding: 1, frequency_shift: 0.0, ..config.clone() };
        assert_eq!(told, known, "{name}");
    }
}

#[test]
fn clip_is_read_under_every_name_it_goes_by() {
    let name = "clip_gelu";
    let config = ClipConfig::from_hugging_face(&original(name)["config"].to_string()).expect("a configuration");
    let draft = Clip::new(config.clone(), in_f32()).graph(1).expect("a graph");
    for names in [clip::Names::HuggingFace, clip::Names::Bare, clip::Names::SingleFile, clip::Names::OpenClip] {
        let file = file_of(&draft, |weight| names.origin(clip::Place::Only, weight));
        let found = Clip::find(Some(config.clone()), &file, Storage::Keep).expect("all weights");
        reading(name, &found, |device, graph| block_on(streamed(device, &file, graph, found.recipes())));
    }
}

#[test]
fn weights_of_another_configuration_are_refused_by_name() {
    let plain = unet_of("unet_tiny");
    let file = file_of(&plain.graph(1, 8, 8, 1).expect("a graph"), Origin::same);
    let other = unet_of("unet_sd15").config().clone();
    let error = UNet::find(Some(other), &file, Storage::Q8_0).expect_err("another model's numbers");
    assert_eq!(error.code(), ErrorCode::CorruptFile);
    assert!(error.to_string().contains("down_blocks.0.resnets.1.norm1.weight"), "{error}");
    let missing = UNet::find(None, &file, Storage::Keep).expect_err("no configuration");
    assert!(missing.to_string().contains("config.json"), "{missing}");
}

#[test]
fn a_unet_in_eight_bits_still_points_where_it_did() {
    let name = "unet_sd15";
    let plain = unet_of(name);
    let file = file_of(&plain.graph(1, 8, 8, 1).expect("a graph"), Origin::same);
    let unet = UNet::find(Some(plain.config().clone()), &file, Storage::Q8_0).expect("all weights");
    let graph = unet.graph(1, 8, 8, 1).expect("a graph");
    let blocks = graph.weights.iter().filter(|w| w.dtype == DType::Q8_0).count();
    assert!(blocks > graph.weights.len() / 4, "{blocks} of {} weights are blocks", graph.weights.len());
    denoising_within(name, &unet, 0.999, |device, graph| block_on(streamed(device, &file, graph, unet.recipes())));
}

#[test]
fn clip_in_eight_bits_still_reads_what_it_did() {
    let name = "clip_quick_gelu";
    let config = ClipConfig::from_hugging_face(&original(name)["config"].to_string()).expect("a configuration");
    let draft = Clip::new(config.clone(), in_f32()).graph(1).expect("a graph");
    let file = file_of(&draft, Origin::same);
    let found = Clip::find(Some(config), &file, Storage::Q8_0).expect("all weights");
    let graph = found.graph(1).expect("a graph");
    assert!(graph.weights.iter().any(|w| w.dtype == DType::Q8_0), "no weight is blocks");
    reading_within(name, &found, 0.999, |device, graph| block_on(streamed(device, &file, graph, found.recipes())));
}
