//! What goes on when a GPU goes away: texts behind their last token, pictures behind their last step, on another GPU or on the CPU.

use pollster::block_on;
use vitrine::{
    Cancel, ErrorCode,
    backend::Device,
    image::{ImageRequest, Picture},
    text::{Constraint, GenerateOptions, LoadOptions, Mirostat, TextModel},
    weights::{Storage, WeightFile},
};

use crate::{
    common::{devices::gpu_alone, on_cpu, opened, shipped},
    diffusion::pipeline,
};

fn storyteller(device: &Device) -> TextModel {
    let file = opened(&[shipped("storyteller/storyteller-q8_0.gguf")]);
    block_on(TextModel::load(&file, device, LoadOptions::default(), &mut |_, _| (), &Cancel::new())).unwrap()
}

fn whole(model: &TextModel, options: &GenerateOptions) -> Vec<u32> {
    let mut generation = model.generate("Once upon a time", options.clone(), Cancel::new()).unwrap();
    let mut tokens = vec![];
    while let Some(event) = block_on(generation.next()).unwrap() {
        tokens.extend(event.token);
    }
    tokens
}

/// The same text, whose device is taken away behind so many tokens each.
fn interrupted(options: &GenerateOptions, losses: &[usize], last: &Device) -> (Vec<u32>, usize) {
    let lonely = || {
        let device = gpu_alone();
        (storyteller(&Device::Gpu(device.clone())), device)
    };
    let (mut model, mut device) = lonely();
    let mut generation = model.generate("Once upon a time", options.clone(), Cancel::new()).unwrap();
    let (mut tokens, mut lost) = (vec![], 0);
    loop {
        if losses.get(lost).is_some_and(|after| tokens.len() >= *after) {
            device.destroy();
            // Steps that were on their way may still be read.
            let error = loop {
                match block_on(generation.next()) {
                    Ok(Some(event)) => tokens.extend(event.token),
                    Ok(None) => return (tokens, lost),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.code(), ErrorCode::DeviceLost);
            lost += 1;
            model.close();
            match lost < losses.len() {
                true => (model, device) = lonely(),
                false => model = storyteller(last),
            }
            generation.move_to(model.clone());
        }
        match block_on(generation.next()).unwrap() {
            Some(event) => tokens.extend(event.token),
            None => return (tokens, lost),
        }
    }
}

#[test]
fn a_text_goes_on_where_it_was_on_another_gpu_and_on_the_cpu() {
    let drawn =
        GenerateOptions { max_tokens: 24, seed: Some(7), repetition_penalty: 1.2, ..GenerateOptions::default() };
    let last = Device::Gpu(gpu_alone());
    let expected = whole(&storyteller(&last), &drawn);
    let (tokens, lost) = interrupted(&drawn, &[3, 9], &last);
    assert_eq!((tokens, lost), (expected, 2));
    // The CPU's numbers differ by rounding alone; the likeliest tokens are the same.
    let greedy = GenerateOptions::greedy(16);
    let (tokens, lost) = interrupted(&greedy, &[5], &on_cpu());
    assert_eq!((tokens, lost), (whole(&storyteller(&on_cpu()), &greedy), 1));
}

/// The bound of mirostat follows the text, and so does the matcher of a grammar.
#[test]
fn what_follows_the_text_is_not_lost_with_the_device() {
    let last = Device::Gpu(gpu_alone());
    let mirostat = Some(Mirostat { tau: 3.0, eta: 0.2 });
    let drawn = GenerateOptions { max_tokens: 16, seed: Some(3), mirostat, ..GenerateOptions::default() };
    let grammar = Some("root ::= \"{\\\"legs\\\": \" [0-9]{6} \", \\\"name\\\": \\\"\" [a-z]{4} \"\\\"}\"".into());
    let constraint = Some(Constraint { grammar, ..Constraint::default() });
    let held = GenerateOptions { constraint, ..GenerateOptions::greedy(40) };
    for options in [drawn, held] {
        let expected = whole(&storyteller(&last), &options);
        let (tokens, lost) = interrupted(&options, &[6], &last);
        assert_eq!((tokens, lost), (expected, 1));
    }
}

/// The same picture, whose device is taken away behind its first step; the steps that were told, and the picture.
fn repainted(file: &WeightFile, wish: &ImageRequest, last: &Device) -> (Vec<usize>, Vec<Picture>) {
    let on = |device: &Device| pipeline::load(file, device, Storage::default()).unwrap();
    let device = gpu_alone();
    let model = on(&Device::Gpu(device.clone()));
    let mut painting = model.paint(wish.clone().check(model.info(), None, None).unwrap(), Cancel::new()).unwrap();
    let mut steps = vec![block_on(painting.next()).unwrap().unwrap().step];
    device.destroy();
    assert_eq!(block_on(painting.next()).unwrap_err().code(), ErrorCode::DeviceLost);
    painting.move_to(on(last));
    let mut pictures = vec![];
    while let Some(step) = block_on(painting.next()).unwrap() {
        steps.push(step.step);
        pictures = step.pictures;
    }
    (steps, pictures)
}

/// Noise that is drawn on the way is the same noise, and what a scheduler of several steps remembers is remembered.
#[test]
fn a_picture_goes_on_behind_its_last_step() {
    let last = Device::Gpu(gpu_alone());
    for scheduler in ["euler-ancestral", "dpm++-2m-karras"] {
        let wish = ImageRequest {
            prompt: "a red fox".into(),
            steps: Some(4.0),
            seed: Some(5.0),
            width: Some(48.0),
            height: Some(32.0),
            scheduler: Some(scheduler.into()),
            ..ImageRequest::default()
        };
        let file = pipeline::tiny_sd();
        let expected =
            pipeline::paint(&pipeline::load(&file, &last, Storage::default()).unwrap(), wish.clone(), None, None);
        let (steps, pictures) = repainted(&file, &wish, &last);
        assert_eq!(steps, [1, 2, 3, 4]);
        assert_eq!(pictures, pipeline::last(&expected), "{scheduler}");
    }
}
