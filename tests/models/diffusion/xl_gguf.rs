//! Stable Diffusion XL in GGUFs: whole checkpoints, under the names that they had and under those of stable-diffusion.cpp, and U-Nets alone as ComfyUI
//! keeps them, whose blocks run on from one row into the next.

use std::{
    collections::{BTreeMap, HashMap},
    io::Cursor,
    rc::Rc,
};

use candle_core::{
    Device, Tensor as CandleTensor,
    quantized::{GgmlDType, QTensor, gguf_file},
};
use gguf_file::Value;
use pollster::block_on;
use vitrine::{
    ErrorCode,
    image::ImageModel,
    models::{
        clip::{self, Place},
        unet,
    },
    weights::{MemorySource, SharedSource, Storage, WeightFile},
};

use super::{
    devices,
    files::Tensor,
    pipeline::{load, open_in},
    xl::{FOLDER, WEIGHTS, renamed},
    xl_paintings::{self as paintings, ENCODERS},
};
use crate::common::{on_cpu, proofs::RANDOM, proved};

/// A GGUF with these tensors, each stored as `stored_as` says of its shape.
fn gguf(
    metadata: &HashMap<String, Value>,
    tensors: &BTreeMap<String, Tensor>,
    stored_as: impl Fn(&[usize]) -> GgmlDType,
) -> SharedSource {
    let stored = |(shape, numbers): &Tensor| {
        let tensor = CandleTensor::from_vec(numbers.clone(), shape.as_slice(), &Device::Cpu).expect("a tensor");
        QTensor::quantize(&tensor, stored_as(shape)).expect("whole blocks")
    };
    let tensors: Vec<(&str, QTensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), stored(tensor))).collect();
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let mut bytes = Cursor::new(vec![]);
    gguf_file::write(&mut bytes, &metadata, &tensors).expect("a GGUF");
    Rc::new(MemorySource::new("sdxl.gguf", bytes.into_inner()))
}

/// As stable-diffusion.cpp stores a checkpoint in eight bits: vectors and convolutions are left as they were.
fn eight_bits(shape: &[usize]) -> GgmlDType {
    match *shape {
        [_, columns] if columns.is_multiple_of(32) => GgmlDType::Q8_0,
        [_] => GgmlDType::F32,
        _ => GgmlDType::F16,
    }
}

/// The wide model in one file, under the names that `names` have for its encoders' weights.
fn checkpoint(names: [clip::Names; 2]) -> BTreeMap<String, Tensor> {
    let config = paintings::unet_config("wide");
    let mut tensors = paintings::unet("wide", |name| unet::Names::SingleFile.origin(&config, name));
    for (which, place) in [Place::First, Place::Second].into_iter().enumerate() {
        tensors.extend(paintings::encoder(which, |name| names[which].origin(place, name)));
    }
    tensors.extend(renamed(&open_in(FOLDER, &[WEIGHTS[3]]), |name| {
        Some(vitrine::models::Origin::whole(format!("first_stage_model.{name}")))
    }));
    tensors
}

/// With the texts that no checkpoint holds; an index of diffusers is none of them.
fn with_texts(weights: impl IntoIterator<Item = SharedSource>) -> WeightFile {
    let mut sources = paintings::beside("wide");
    sources.retain(|source| source.name() != "model_index.json");
    sources.extend(weights);
    block_on(WeightFile::open_parts(sources)).expect("files")
}

#[test]
fn a_gguf_of_a_checkpoint_of_xl_paints_the_same_under_both_spellings_of_its_encoders() {
    let original = [clip::Names::SingleFile, clip::Names::OpenClip];
    let wanted = paintings::painting_of("wide");
    for names in [original, [clip::Names::Converted; 2]] {
        let tensors = checkpoint(names);
        let file = with_texts([gguf(&HashMap::new(), &tensors, eight_bits)]);
        for (name, device) in devices() {
            let model = load(&file, &device, Storage::Keep).expect("a model");
            assert_eq!(model.info().architecture, "StableDiffusionXLPipeline");
            let psnr = paintings::likeness(&model, &wanted);
            println!("{name}, {names:?}: {psnr:.1} dB");
            assert!(psnr >= 40.0, "{name}, {names:?}: {psnr:.1} dB");
            proved("sdxl", "GGUF", &device, RANDOM);
        }
    }
}

#[test]
fn a_gguf_of_xl_without_its_second_encoder_says_which_is_missing() {
    let mut tensors = checkpoint([clip::Names::Converted; 2]);
    tensors.retain(|name, _| !name.starts_with("cond_stage_model.1."));
    let file = with_texts([gguf(&HashMap::new(), &tensors, eight_bits)]);
    let error = load(&file, &on_cpu(), Storage::Keep).err().expect("an encoder is missing");
    assert!(error.to_string().contains(ENCODERS[1]), "{error}");
}

/// The U-Net alone, as ComfyUI's converter stores it: what is no whole number of 256 in a row is laid out in rows of 256, and its shape noted.
fn comfy(dtype: GgmlDType) -> (HashMap<String, Value>, BTreeMap<String, Tensor>, impl Fn(&[usize]) -> GgmlDType) {
    let config = paintings::unet_config("wide");
    let mut tensors = paintings::unet("wide", |name| unet::Names::Alone.origin(&config, name));
    let mut metadata = HashMap::from([("general.architecture".to_string(), Value::String("sdxl".into()))]);
    for (name, (shape, numbers)) in &mut tensors {
        let apart = shape.last().is_some_and(|columns| !columns.is_multiple_of(256));
        if shape.len() > 1 && apart && numbers.len() >= 512 && numbers.len().is_multiple_of(256) {
            let original = shape.iter().map(|side| Value::I32(*side as i32)).collect();
            metadata.insert(format!("comfy.gguf.orig_shape.{name}"), Value::Array(original));
            *shape = vec![numbers.len() / 256, 256];
        }
    }
    let stored = move |shape: &[usize]| match *shape {
        [_, columns] if columns.is_multiple_of(256) => dtype,
        _ => GgmlDType::F32,
    };
    (metadata, tensors, stored)
}

#[test]
fn a_unet_of_comfyui_paints_with_the_other_parts_of_its_folder() {
    let wanted = paintings::painting_of("wide");
    for (dtype, least) in [(GgmlDType::F16, 58.0), (GgmlDType::Q8_0, 45.0), (GgmlDType::Q6K, 35.0)] {
        let (metadata, tensors, stored) = comfy(dtype);
        let reshaped = metadata.len() - 1;
        assert!(reshaped > 100, "{reshaped} tensors were laid out anew");
        let mut parts: Vec<SharedSource> = vec![gguf(&metadata, &tensors, stored), paintings::autoencoder()];
        parts.extend(paintings::encoders());
        let file = with_texts(parts);
        for (name, device) in devices() {
            let model = load(&file, &device, Storage::Keep).expect("a model");
            let psnr = paintings::likeness(&model, &wanted);
            println!("{name}, {dtype:?}: {psnr:.1} dB");
            assert!(psnr >= least, "{name}, {dtype:?}: {psnr:.1} dB");
            proved("sdxl", "GGUF, safetensors", &device, RANDOM);
        }
    }
}

#[test]
fn a_unet_of_comfyui_alone_is_refused_and_says_what_goes_with_it() {
    let (metadata, tensors, stored) = comfy(GgmlDType::Q8_0);
    let source = gguf(&metadata, &tensors, stored);
    let file = block_on(WeightFile::open(source)).expect("a file");
    assert!(ImageModel::is_one(&file));
    // Without a configuration the shapes are taken for the real model's.
    let with_config = with_texts([gguf(&metadata, &tensors, comfy(GgmlDType::Q8_0).2)]);
    let error = load(&with_config, &on_cpu(), Storage::Keep).err().expect("the other parts are missing");
    assert_eq!(error.code(), ErrorCode::BadArgument);
    for part in ["Stable Diffusion XL", "text_encoder_2", "vae", "tokenizer"] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}

#[test]
fn a_shape_that_a_gguf_says_a_tensor_had_must_hold_as_many_numbers() {
    let (mut metadata, tensors, stored) = comfy(GgmlDType::Q8_0);
    let key = metadata.keys().find(|key| key.starts_with("comfy.gguf.orig_shape.")).expect("a shape").clone();
    metadata.insert(key, Value::Array(vec![Value::I32(3), Value::I32(7)]));
    let error = block_on(WeightFile::open(gguf(&metadata, &tensors, stored))).err().expect("a refusal");
    assert!(error.code() == ErrorCode::CorruptFile && error.to_string().contains("[3, 7]"), "{error}");
}
