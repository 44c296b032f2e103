//! What goes on when a GPU goes away: texts behind their last token, pictures behind their last step, on another GPU or on the CPU.

use pollster::block_on;
use vitrine::{
    Cancel, ErrorCode,
    backend::Device,
    image::{ImageRequest, Picture},
    text::{
        BeamOptions, Beginning, Constraint, Contrastive, GenerateOptions, GenerationStats, LoadOptions, Mirostat,
        SampleEvent, Samples, TextModel,
    },
    weights::{Storage, WeightFile},
};

use crate::{
    common::{devices::gpu_alone, on_cpu, opened, shipped},
    diffusion::pipeline,
};

fn of(device: &Device, quantised: &str) -> TextModel {
    let file = opened(&[shipped(&format!("storyteller/storyteller-{quantised}.gguf"))]);
    block_on(TextModel::load(&file, device, LoadOptions::default(), &mut |_, _| (), &Cancel::new())).unwrap()
}

fn storyteller(device: &Device) -> TextModel {
    of(device, "q8_0")
}

fn begun(model: &TextModel, options: &GenerateOptions) -> Samples {
    model.samples(Beginning::Text("Once upon a time"), options.clone(), Cancel::new()).unwrap()
}

/// The tokens of each text.
fn whole(model: &TextModel, options: &GenerateOptions) -> Vec<Vec<u32>> {
    let mut samples = begun(model, options);
    let mut tokens = vec![vec![]; options.n];
    while let Some(SampleEvent { index, event }) = block_on(samples.next()).unwrap() {
        tokens[index.unwrap_or(0)].extend(event.token);
    }
    tokens
}

/// What became of texts whose device went away.
struct Outlived {
    tokens: Vec<Vec<u32>>,
    lost: usize,
    stats: GenerationStats,
}

/// The same texts, whose device is taken away behind so many tokens each of all; with a draft model, where one is asked for, that is lost too.
fn outlived(options: &GenerateOptions, losses: &[usize], last: &Device, drafts: bool) -> Outlived {
    let lonely = || {
        let device = gpu_alone();
        (storyteller(&Device::Gpu(device.clone())), device)
    };
    let (mut model, mut device) = lonely();
    let draft = drafts.then(|| of(&Device::Gpu(device.clone()), "q4_0"));
    let mut samples = begun(&model, options);
    if let Some(draft) = &draft {
        samples = samples.drafted_by(draft).unwrap();
    }
    let (mut tokens, mut told, mut lost) = (vec![vec![]; options.n], 0, 0);
    let mut take = |SampleEvent { index, event }: SampleEvent| {
        tokens[index.unwrap_or(0)].extend(event.token);
        usize::from(event.token.is_some())
    };
    loop {
        if losses.get(lost).is_some_and(|after| told >= *after) {
            device.destroy();
            // Steps that were on their way may still be read.
            let error = loop {
                match block_on(samples.next()) {
                    Ok(Some(event)) => told += take(event),
                    Ok(None) => return Outlived { tokens, lost, stats: samples.stats() },
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
            samples.move_to(model.clone());
        }
        match block_on(samples.next()).unwrap() {
            Some(event) => told += take(event),
            None => return Outlived { tokens, lost, stats: samples.stats() },
        }
    }
}

fn interrupted(options: &GenerateOptions, losses: &[usize], last: &Device) -> (Vec<Vec<u32>>, usize) {
    let Outlived { tokens, lost, .. } = outlived(options, losses, last, false);
    (tokens, lost)
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

/// Each text goes on behind its own last token, those that had ended stay as they are, and one whose turn had not come is begun on the other device.
#[test]
fn several_texts_go_on_each_where_it_was() {
    let last = Device::Gpu(gpu_alone());
    let drawn = GenerateOptions {
        n: 8,
        max_tokens: 12,
        temperature: 0.9,
        seed: Some(5),
        presence_penalty: 0.3,
        stop: vec![".".into()],
        ..GenerateOptions::default()
    };
    let model = storyteller(&last);
    let expected = whole(&model, &drawn);
    assert!(expected.iter().any(|text| text.len() < 12), "no text ends early: {expected:?}");
    let (tokens, lost) = interrupted(&drawn, &[20, 61], &last);
    assert_eq!((tokens, lost), (expected, 2));
    // Texts so long that the context holds one at a time: the second is begun on the other device.
    let context = model.info().context_length.unwrap();
    let long = GenerateOptions { n: 2, max_tokens: context * 2 / 3, ..drawn };
    let expected = whole(&model, &long);
    assert!(expected.iter().all(|text| text.len() > 4), "a text is over before the loss: {expected:?}");
    assert_eq!(interrupted(&long, &[4], &last), (expected, 1));
}

/// What the head read of each token of the text is read anew.
#[test]
fn a_contrastive_search_goes_on_where_it_was() {
    let last = Device::Gpu(gpu_alone());
    let contrastive = Some(Contrastive { alpha: 0.6, k: 4 });
    let options = GenerateOptions { contrastive, max_tokens: 16, ..GenerateOptions::default() };
    let expected = whole(&storyteller(&last), &options);
    assert_ne!(expected, whole(&storyteller(&last), &GenerateOptions::greedy(16)), "the search weighs nothing");
    let (tokens, lost) = interrupted(&options, &[1, 7], &last);
    assert_eq!((tokens, lost), (expected, 2));
}

/// The tokens that were guessed and confirmed are told, and nothing is guessed behind the loss.
#[test]
fn a_text_outlives_its_draft_model_and_its_own_guesses() {
    let last = Device::Gpu(gpu_alone());
    let drawn = GenerateOptions { max_tokens: 32, temperature: 0.8, seed: Some(7), ..GenerateOptions::default() };
    for options in [GenerateOptions::greedy(32), drawn] {
        let expected = whole(&storyteller(&last), &options);
        let drafted = outlived(&options, &[9], &last, true);
        assert_eq!((drafted.tokens, drafted.lost), (expected.clone(), 1));
        assert!(drafted.stats.drafted_tokens > 0, "{:?}", drafted.stats);
        assert_eq!(drafted.stats.generated_tokens, 32);
        let looked_up = GenerateOptions { prompt_lookup: 6, ..options };
        assert_eq!(interrupted(&looked_up, &[9], &last), (expected, 1));
    }
}

/// A search for beams tells nothing before its end: it ends with the error, and finds the same on another device.
#[test]
fn beams_end_with_their_device_and_are_found_on_another() {
    let device = gpu_alone();
    let model = storyteller(&Device::Gpu(device.clone()));
    let options = || BeamOptions { beams: 3, max_tokens: Some(8), ..BeamOptions::default() };
    let search = |model: &TextModel| block_on(model.beams("Once upon a time", options(), &Cancel::new()));
    let expected = search(&model).unwrap();
    device.destroy();
    assert_eq!(search(&model).unwrap_err().code(), ErrorCode::DeviceLost);
    model.close();
    assert_eq!(search(&storyteller(&Device::Gpu(gpu_alone()))).unwrap(), expected);
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
