//! The shipped illustrator against PyTorch, graph by graph and as a whole painting (`training/export_illustrator.py`).

use pollster::block_on;
use vitrine::{
    Cancel,
    backend::{Device, Resident},
    graph::{Graph, Grid},
    image::{ImageModel, ImageRequest, PaintStep},
    models::Illustrator,
    weights::{Recipes, Storage, WeightFile},
};

use super::{
    diffusion::{self, pipeline},
    psnr,
};
use crate::TRAINED;
use crate::common::{as_hardware, bits, cosine, fixture, on_cpu, on_gpu, opened, proved, shipped, streamed};

/// Of its pictures, −1 … 1.
const RANGE: f64 = 2.0;

fn file() -> WeightFile {
    opened(&[shipped("illustrator/illustrator-q8_0.gguf")])
}

/// What PyTorch computes from it.
fn original() -> WeightFile {
    opened(&[fixture("illustrator.safetensors")])
}

fn load(device: &Device, file: &WeightFile, illustrator: &Illustrator) -> Resident {
    block_on(streamed(device, file, &illustrator.whole().unwrap(), &Recipes::default())).unwrap()
}

fn run(resident: &Resident, graph: &Graph, inputs: &[(&str, Vec<u32>)]) -> Vec<f32> {
    diffusion::run(resident, graph, inputs, &graph.outputs[0].0)
}

#[test]
fn every_part_of_the_illustrator_agrees_with_pytorch() {
    let (file, original) = (file(), original());
    let wanted = |name: &str| block_on(original.read_f32(name)).unwrap();
    let ids: Vec<u32> = wanted("ids").iter().map(|id| *id as u32).collect();
    let illustrator = Illustrator::from_gguf(&file).unwrap();
    let (text, vae) = (&illustrator.config().text, &illustrator.config().vae);
    for device in [on_cpu(), on_gpu()] {
        let resident = load(&device, &file, &illustrator);
        let positions: Vec<u32> = (0..2).flat_map(|_| 0..text.length as u32).collect();
        let inputs = [("ids", ids.clone()), ("positions", positions)];
        let context = run(&resident, &illustrator.text(2).unwrap(), &inputs);
        assert!(cosine(&context, &wanted("context")) > 0.9999, "{}", cosine(&context, &wanted("context")));

        let noise = wanted("noise");
        let half = &wanted("context")[..context.len() / 2];
        let patches = illustrator.config().denoiser.latent_size.pow(2) / illustrator.config().denoiser.patch.pow(2);
        let inputs = [
            ("latent", bits(&noise)),
            ("timestep", bits(&[750.0])),
            ("context", bits(half)),
            ("places", (0..patches as u32).collect()),
        ];
        let prediction = run(&resident, &illustrator.denoiser(1).unwrap(), &inputs);
        assert!(cosine(&prediction, &wanted("prediction")) > 0.9999, "{}", cosine(&prediction, &wanted("prediction")));

        let side = illustrator.config().denoiser.latent_size;
        let latents = Grid::new(1, side, side);
        let z: Vec<f32> = wanted("latent").iter().map(|v| v / vae.scale + vae.shift).collect();
        let picture = run(&resident, &illustrator.decoder(latents).unwrap(), &[("latent", bits(&z))]);
        assert!(psnr(&picture, &wanted("picture"), RANGE) > 40.0, "{}", psnr(&picture, &wanted("picture"), RANGE));
        let given: Vec<f32> = wanted("picture").iter().map(|v| v.clamp(-1.0, 1.0)).collect();
        let encoded =
            run(&resident, &illustrator.encoder(latents.times(vae.factor())).unwrap(), &[("picture", bits(&given))]);
        assert!(cosine(&encoded, &wanted("encoded")) > 0.9999, "{}", cosine(&encoded, &wanted("encoded")));
    }
}

/// What a reader's graphics card computes, on the adapter there is.
#[test]
fn the_kernels_of_hardware_paint_the_cpus_picture_in_four_steps() {
    let wish = || ImageRequest {
        prompt: "a fox in the snow".into(),
        seed: Some(7.0),
        steps: Some(4.0),
        preview: Some(false),
        ..ImageRequest::default()
    };
    let painted = |device: &Device| -> Vec<f32> {
        let last = paint(&model_on(device), wish()).pop().expect("a step");
        last.pictures[0].rgba.iter().map(|v| f32::from(*v) / 127.5 - 1.0).collect()
    };
    let expected = painted(&on_cpu());
    for subgroups in [true, false] {
        let likeness = psnr(&painted(&as_hardware(subgroups)), &expected, RANGE);
        assert!(likeness >= 60.0, "with subgroups: {subgroups}: {likeness} dB");
    }
}

fn paint(model: &ImageModel, request: ImageRequest) -> Vec<PaintStep> {
    pipeline::paint(model, request, None, None)
}

fn model_on(device: &Device) -> ImageModel {
    pipeline::load(&file(), device, Storage::Keep).unwrap()
}

fn model() -> ImageModel {
    model_on(&on_cpu())
}

#[test]
fn a_whole_painting_is_pytorchs_from_the_same_noise() {
    let wanted = block_on(original().read_f32("painted")).unwrap();
    let wanted: Vec<f32> = wanted.iter().map(|v| v.clamp(-1.0, 1.0)).collect();
    for device in [on_cpu(), on_gpu()] {
        let wish = ImageRequest {
            prompt: "a fox in the snow at night".into(),
            negative_prompt: Some("rain".into()),
            seed: Some(7.0),
            preview: Some(false),
            ..ImageRequest::default()
        };
        let last = paint(&model_on(&device), wish).pop().expect("a step");
        let pixels = last.pictures[0].rgba.chunks_exact(4);
        let painted: Vec<f32> = pixels.flat_map(|rgba| &rgba[..3]).map(|v| f32::from(*v) / 127.5 - 1.0).collect();
        assert!(psnr(&painted, &wanted, RANGE) > 40.0, "{} dB", psnr(&painted, &wanted, RANGE));
        proved("illustrator", "safetensors", &device, TRAINED);
    }
}

fn request(prompt: &str) -> ImageRequest {
    ImageRequest { prompt: prompt.into(), seed: Some(5.0), steps: Some(3.0), ..ImageRequest::default() }
}

#[test]
fn a_painting_brings_a_picture_each_step_and_ends() {
    let model = model();
    let steps = paint(&model, request("a fox in the snow"));
    assert_eq!(
        steps.iter().map(|s| (s.step, s.steps, s.is_final)).collect::<Vec<_>>(),
        [(1, 3, false), (2, 3, false), (3, 3, true)]
    );
    assert!(steps.iter().all(|s| s.pictures.len() == 1 && s.pictures[0].rgba.len() == 4 * 64 * 64));
    assert_ne!(steps[0].pictures, steps[2].pictures);
    let again = paint(&model, request("a fox in the snow"));
    assert_eq!(again[2].pictures, steps[2].pictures);
    let quiet = paint(&model, ImageRequest { preview: Some(false), ..request("a fox in the snow") });
    assert!(quiet[0].pictures.is_empty() && quiet[2].pictures == steps[2].pictures);
}

#[test]
fn words_that_the_model_never_met_and_those_past_its_reach_are_named() {
    let model = model();
    let long = format!("a zxqv fox {}", "in the snow ".repeat(20));
    let options = request(&long).check(model.info(), None, None).unwrap();
    let painting = model.paint(options, Cancel::new()).unwrap();
    assert_eq!(painting.summary().unknown, ["zxqv"]);
    assert!(painting.summary().cut.as_deref().is_some_and(|cut| cut.ends_with("in the snow")));
    for prompt in ["", "zxqv", "🦊🦊🦊"] {
        assert!(paint(&model, request(prompt)).last().is_some_and(|step| step.is_final));
    }
}

#[test]
fn a_painting_that_is_cancelled_or_whose_model_is_closed_ends_with_that_code() {
    let model = model();
    let options = || request("a fox").check(model.info(), None, None).unwrap();
    let cancel = Cancel::new();
    let mut painting = model.paint(options(), cancel.clone()).unwrap();
    assert!(block_on(painting.next()).unwrap().is_some());
    cancel.cancel();
    assert_eq!(block_on(painting.next()).unwrap_err().code().as_str(), "aborted");
    assert!(block_on(painting.next()).unwrap().is_none());
    assert_eq!(paint(&model, request("a fox")).len(), 3);
    let mut painting = model.paint(options(), Cancel::new()).unwrap();
    model.close();
    assert_eq!(block_on(painting.next()).unwrap_err().code().as_str(), "closed");
}

#[test]
fn a_wish_that_cannot_be_is_refused_by_name() {
    let model = model();
    let refused = |request: ImageRequest, name: &str| {
        let error = request.check(model.info(), None, None).unwrap_err();
        assert_eq!(error.code().as_str(), "bad-argument");
        assert!(error.to_string().contains(name), "{error}");
    };
    let base = || request("a fox");
    for steps in [0.0, 2.5, f64::NAN, 1e9] {
        refused(ImageRequest { steps: Some(steps), ..base() }, "steps");
    }
    for guidance in [f64::NAN, -1.0, f64::INFINITY] {
        refused(ImageRequest { guidance: Some(guidance), ..base() }, "guidance");
    }
    refused(ImageRequest { width: Some(65.0), ..base() }, "multiple of 64");
    refused(ImageRequest { strength: Some(0.0), ..base() }, "strength is 0");
    refused(ImageRequest { strength: Some(0.5), ..base() }, "give init too");
    refused(ImageRequest { scheduler: Some("heun".into()), ..base() }, "flow-euler");
    refused(ImageRequest { count: Some(0.0), ..base() }, "count");
    let picture = |side: usize| vitrine::image::Picture::new(side, side, vec![255; 4 * side * side]).unwrap();
    let error = base().check(model.info(), Some(picture(64)), Some(picture(32))).unwrap_err();
    assert!(error.to_string().contains("32×32"), "{error}");
    assert!(base().check(model.info(), None, Some(picture(64))).is_err());
}
