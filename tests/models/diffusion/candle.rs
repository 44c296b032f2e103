//! The same models and schedulers in candle's hands (`candle_transformers::models::stable_diffusion`): a second oracle beside PyTorch.
//! Its CLIP takes no sizes but the published ones, its cosine betas divide integers and its ancestral Euler draws its own noise, so
//! these are not asked.

use std::collections::HashMap;

use candle_core::{DType as CandleType, Device as Candle, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::stable_diffusion::{
    ddim::DDIMSchedulerConfig,
    schedulers::{PredictionType, SchedulerConfig as _},
    unet_2d::{BlockConfig, UNet2DConditionModel, UNet2DConditionModelConfig},
    vae::{AutoEncoderKL, AutoEncoderKLConfig},
};
use pollster::block_on;
use vitrine::{
    graph::Grid,
    image::schedulers::{SchedulerConfig, SchedulerName},
    models::{AutoencoderKl, Denoiser, Origin, UNet, unet::UNetConfig},
    weights::Storage,
};

use super::{EXACT, agrees, files::tensors_of, hashed, in_f32, run, unet_of};
use crate::{
    autoencoders::{in_pictures, open_folder},
    common::{bits, cosine, on_cpu, streamed},
};

/// Rows of pixels, channels last, as candle has pictures.
fn channels_first(rows: &[f32], height: usize, width: usize) -> Tensor {
    let channels = rows.len() / (height * width);
    let picture = Tensor::from_slice(rows, (1, height, width, channels), &Candle::Cpu).expect("a picture");
    picture.permute((0, 3, 1, 2)).and_then(|x| x.contiguous()).expect("channels first")
}

/// A picture of candle's as rows.
fn rows(picture: &Tensor) -> Vec<f32> {
    let flat = picture.permute((0, 2, 3, 1)).and_then(|x| x.flatten_all());
    flat.and_then(|x| x.to_vec1()).expect("rows")
}

#[test]
fn a_unet_of_stable_diffusion_1_is_candles() {
    let (height, width, tokens, timestep) = (8, 16, 7, 437.0);
    // Its residual blocks have 32 groups whatever they are told.
    let config = UNetConfig { norm_groups: 32, ..unet_of("unet_sd15").config().clone() };
    let unet = UNet::new(config, in_f32());
    let graph = unet.graph(1, height, width, tokens).expect("a graph");
    let latent = hashed::rows("candle.latent", height * width * unet.latent_channels());
    let context = hashed::rows("candle.context", tokens * unet.context_width());
    let mut inputs = unet.constants(1, height, width);
    inputs.extend([("latent", bits(&latent)), ("context", bits(&context)), ("timestep", bits(&[timestep]))]);
    let resident = block_on(hashed::resident(&on_cpu(), &graph)).expect("the weights go in");
    let ours = run(&resident, &graph, &inputs, "prediction");

    // What is a linear layer here is a convolution of one pixel there.
    let pixelwise = [".proj_in.weight", ".proj_out.weight", ".conv_shortcut.weight"];
    let tensors = tensors_of(&graph, Origin::same).into_iter().map(|(name, (mut shape, numbers))| {
        if pixelwise.iter().any(|end| name.ends_with(end)) {
            shape.extend([1, 1]);
        }
        (name, Tensor::from_vec(numbers, shape, &Candle::Cpu).expect("a tensor"))
    });
    let tensors: HashMap<String, Tensor> = tensors.collect();
    let blocks = [(32, Some(1)), (64, Some(1)), (64, Some(1)), (96, None)];
    let config = UNet2DConditionModelConfig {
        blocks: blocks
            .map(|(out_channels, use_cross_attn)| BlockConfig { out_channels, use_cross_attn, attention_head_dim: 4 })
            .to_vec(),
        norm_num_groups: 32,
        cross_attention_dim: 32,
        ..UNet2DConditionModelConfig::default()
    };
    let weights = VarBuilder::from_tensors(tensors, CandleType::F32, &Candle::Cpu);
    let candle = UNet2DConditionModel::new(weights, 4, 4, false, config).expect("candle's U-Net");
    let context = Tensor::from_vec(context, (1, tokens, unet.context_width()), &Candle::Cpu).expect("a context");
    let latent = channels_first(&latent, height, width);
    let theirs = rows(&candle.forward(&latent, f64::from(timestep), &context).expect("a prediction"));
    // Candle's GELU is the tanh approximation, which a direction forgives and a number might not.
    let likeness = cosine(&ours, &theirs);
    println!("the U-Net and candle's: cosine {likeness:.8}");
    assert!(likeness >= EXACT, "cosine {likeness}");
}

#[test]
fn an_autoencoders_decoder_is_candles() {
    let file = open_folder("autoencoder_kl");
    let vae = AutoencoderKl::from_file(&file, Storage::F32).expect("an autoencoder");
    let (height, width) = (6, 10);
    let graph = vae.decoder(Grid::new(1, height, width)).expect("a graph");
    let latent = hashed::rows("candle.latent", height * width * 4);
    let resident = block_on(streamed(&on_cpu(), &file, &graph, vae.recipes()));
    let ours = run(&resident.expect("the weights go in"), &graph, &[("latent", bits(&latent))], "picture");

    let weights = in_pictures("autoencoder_kl/diffusion_pytorch_model.safetensors");
    let tensors = candle_core::safetensors::load(weights, &Candle::Cpu).expect("tensors");
    let config =
        AutoEncoderKLConfig { block_out_channels: vec![16, 32], norm_num_groups: 8, ..AutoEncoderKLConfig::default() };
    let tensors = VarBuilder::from_tensors(tensors, CandleType::F32, &Candle::Cpu);
    let candle = AutoEncoderKL::new(tensors, 3, 3, config).expect("candle's autoencoder");
    let theirs = rows(&candle.decode(&channels_first(&latent, height, width)).expect("a picture"));
    agrees("the decoder beside candle's", &ours, &theirs, EXACT);
}

#[test]
fn ddim_steps_are_candles() {
    let steps = 10;
    for (prediction, named) in [
        (PredictionType::Epsilon, "epsilon"),
        (PredictionType::VPrediction, "v_prediction"),
        (PredictionType::Sample, "sample"),
    ] {
        let config = format!(
            r#"{{"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1,
                "set_alpha_to_one": false, "clip_sample": false, "prediction_type": "{named}"}}"#
        );
        let ours = SchedulerConfig::from_json(config.as_bytes()).expect("a configuration");
        let mut ours = ours.scheduler(SchedulerName::Ddim, steps).expect("a scheduler");
        let config = DDIMSchedulerConfig { prediction_type: prediction, ..DDIMSchedulerConfig::default() };
        let mut theirs = config.build(steps).expect("candle's scheduler");
        let mut latent = ours.initial(&hashed::rows("candle.noise", 32));
        let mut other = Tensor::from_slice(&latent, 32, &Candle::Cpu).expect("a latent");
        for (i, timestep) in theirs.timesteps().to_vec().into_iter().enumerate() {
            assert_eq!(ours.timestep(i), timestep as f32, "{named}, step {i}");
            let predicted = hashed::rows(&format!("candle.prediction{i}"), 32);
            latent = ours.step(i, &predicted, &latent, &mut || panic!("DDIM draws nothing")).latent;
            let predicted = Tensor::from_vec(predicted, 32, &Candle::Cpu).expect("a prediction");
            other = theirs.step(&predicted, timestep, &other).expect("a step");
        }
        agrees(&format!("DDIM, {named}"), &latent, &other.to_vec1::<f32>().expect("numbers"), EXACT);
    }
}
