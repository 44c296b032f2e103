//! Autoencoders and a GAN on both backends against what PyTorch computes from the same files.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
};

use pollster::block_on;
use vitrine::{
    ErrorCode, Result,
    backend::{Device, Plan},
    cancel::Cancel,
    graph::{Graph, Grid, StepParams},
    image::{Autoencoder, Picture, Tiles},
    models::{AutoencoderKl, AutoencoderTiny, Dcgan},
    weights::{MemorySource, PathSource, Recipes, SharedSource, Storage, WeightFile},
};

use super::{psnr, wrapped};
use crate::PUBLISHED;
use crate::common::{
    cosine, fixture, floats, on_cpu, on_gpu, opened, proofs::RANDOM, proved, reference, shipped, streamed,
};

pub fn in_pictures(name: &str) -> PathBuf {
    fixture("pictures").join(name)
}

/// The file of one of the house's models.
pub fn model(name: &str) -> PathBuf {
    shipped(name).join(name).with_extension("safetensors")
}

pub fn open_folder(name: &str) -> WeightFile {
    let files = ["diffusion_pytorch_model.safetensors", "config.json"];
    opened(&files.map(|file| in_pictures(name).join(file)))
}

/// A tensor `[batch, channels, height, width]` as rows, and its grid.
pub fn rows(file: &WeightFile, name: &str) -> (Grid, Vec<f32>) {
    let &[batch, channels, height, width] = file.tensor(name).expect("a tensor").shape.as_slice() else {
        panic!("{name} is no batch of pictures")
    };
    let x = block_on(file.read_f32(name)).expect("numbers");
    let pixels = height * width;
    let at = |i: usize| {
        let (c, pixel, n) = (i % channels, i / channels % pixels, i / channels / pixels);
        x[(n * channels + c) * pixels + pixel]
    };
    (Grid::new(batch, height, width), (0..x.len()).map(at).collect())
}

fn plan(device: &Device, file: &WeightFile, graph: &Graph, recipes: &Recipes) -> Result<Plan> {
    block_on(async { streamed(device, file, graph, recipes).await?.compile(graph).await })
}

/// What the graph makes of its one input.
pub fn run(device: &Device, file: &WeightFile, graph: &Graph, recipes: &Recipes, input: &[f32]) -> Vec<f32> {
    let (name, _) = graph.inputs().next().expect("an input");
    let output = graph.outputs[0].0.clone();
    let mut plan = plan(device, file, graph, recipes).expect("the weights go in");
    plan.write_input(name, bytemuck::cast_slice(input)).expect("an input of this size");
    let out = block_on(plan.step(&StepParams::default(), &[&output]).expect("a step")).expect("its output");
    floats(&out[0])
}

#[track_caller]
fn same(got: &[f32], wanted: &[f32]) {
    let largest = wanted.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let off = got.iter().zip(wanted).fold(0.0f32, |m, (g, w)| m.max((g - w).abs()));
    assert!(cosine(got, wanted) >= 0.9999 && off <= 1e-3 * largest, "cosine {}, off by {off}", cosine(got, wanted));
}

/// Asserts that the graph makes of its input what is wanted, on either backend.
#[track_caller]
fn makes(family: &str, file: &WeightFile, graph: &Graph, recipes: &Recipes, input: &[f32], wanted: &[f32]) {
    for device in [on_cpu(), on_gpu()] {
        same(&run(&device, file, graph, recipes, input), wanted);
        proved(family, "safetensors", &device, RANDOM);
    }
}

#[test]
fn autoencoder_kl_decodes_and_encodes_as_diffusers_does() {
    let file = open_folder("autoencoder_kl");
    let expected = opened(&[in_pictures("autoencoder_kl/expected.safetensors")]);
    let vae = AutoencoderKl::from_file(&file, Storage::F32).expect("an autoencoder");
    assert_eq!((vae.factor(), vae.config().latent_channels, vae.config().groups), (2, 4, 8));
    let (grid, latent) = rows(&expected, "latent");
    makes("autoencoder_kl", &file, &vae.decoder(grid).unwrap(), vae.recipes(), &latent, &rows(&expected, "decoded").1);
    let (grid, picture) = rows(&expected, "picture");
    makes("autoencoder_kl", &file, &vae.encoder(grid).unwrap(), vae.recipes(), &picture, &rows(&expected, "moments").1);
}

/// A safetensors file with its tensors called otherwise.
fn renamed(path: &Path, rename: impl Fn(&str) -> String) -> SharedSource {
    let bytes = std::fs::read(path).expect("a file");
    Rc::new(MemorySource::new("model.safetensors", wrapped::renamed(&bytes, &|name| Some(rename(name)))))
}

/// The names of latent diffusion's own code for an autoencoder of two levels.
fn as_in_a_checkpoint(name: &str) -> String {
    let pairs = [
        ("decoder.up_blocks.0", "decoder.up.1"),
        ("decoder.up_blocks.1", "decoder.up.0"),
        ("down_blocks", "down"),
        ("mid_block.resnets.0", "mid.block_1"),
        ("mid_block.resnets.1", "mid.block_2"),
        ("mid_block.attentions.0.group_norm", "mid.attn_1.norm"),
        ("mid_block.attentions.0.to_q", "mid.attn_1.q"),
        ("mid_block.attentions.0.to_k", "mid.attn_1.k"),
        ("mid_block.attentions.0.to_v", "mid.attn_1.v"),
        ("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out"),
        ("resnets", "block"),
        ("conv_shortcut", "nin_shortcut"),
        ("upsamplers.0.conv", "upsample.conv"),
        ("downsamplers.0.conv", "downsample.conv"),
        ("conv_norm_out", "norm_out"),
    ];
    format!("first_stage_model.{}", pairs.iter().fold(name.to_string(), |n, (from, to)| n.replace(from, to)))
}

/// As diffusers named them before version 0.18.
fn as_before(name: &str) -> String {
    let pairs = [(".to_q.", ".query."), (".to_k.", ".key."), (".to_v.", ".value."), (".to_out.0.", ".proj_attn.")];
    pairs.iter().fold(name.to_string(), |n, (from, to)| n.replace(from, to))
}

#[test]
fn an_autoencoder_goes_by_the_names_of_checkpoints_and_of_old_diffusers_too() {
    let weights = in_pictures("autoencoder_kl/diffusion_pytorch_model.safetensors");
    let expected = opened(&[in_pictures("autoencoder_kl/expected.safetensors")]);
    let (grid, latent) = rows(&expected, "latent");
    for rename in [as_in_a_checkpoint, as_before] {
        let config = Rc::new(PathSource::open(in_pictures("autoencoder_kl/config.json")).unwrap());
        let file = block_on(WeightFile::open_parts(vec![renamed(&weights, rename), config])).unwrap();
        let vae = AutoencoderKl::from_file(&file, Storage::F32).expect("an autoencoder by other names");
        makes(
            "autoencoder_kl",
            &file,
            &vae.decoder(grid).unwrap(),
            vae.recipes(),
            &latent,
            &rows(&expected, "decoded").1,
        );
    }
}

#[test]
fn a_checkpoints_shapes_tell_the_autoencoders_configuration() {
    let weights = in_pictures("autoencoder_kl/diffusion_pytorch_model.safetensors");
    for rename in [as_in_a_checkpoint, str::to_string] {
        let file = block_on(WeightFile::open(renamed(&weights, rename))).unwrap();
        // Shapes do not tell the groups of the norms: the 32 of all published models are assumed, which 16 channels do not fit.
        let error = AutoencoderKl::from_file(&file, Storage::Keep).unwrap_err().to_string();
        for part in ["latent_channels: 4", "channels: [16, 32]", "layers: 1", "groups: 32"] {
            assert!(error.contains(part), "{error}");
        }
    }
}

#[test]
fn autoencoder_tiny_decodes_and_encodes_as_diffusers_does() {
    for (name, factor, channels) in [("autoencoder_tiny", 2, 4), ("autoencoder_tiny_levels", 4, 5)] {
        let file = open_folder(name);
        let expected = opened(&[in_pictures(name).join("expected.safetensors")]);
        let vae = AutoencoderTiny::from_file(&file, Storage::Keep).expect("an autoencoder");
        assert_eq!((vae.factor(), vae.latent_channels(), vae.scale), (factor, channels, 1.0));
        let (grid, latent) = rows(&expected, "latent");
        makes(
            "autoencoder_tiny",
            &file,
            &vae.decoder(grid).unwrap(),
            vae.recipes(),
            &latent,
            &rows(&expected, "decoded").1,
        );
        let (grid, picture) = rows(&expected, "picture");
        makes(
            "autoencoder_tiny",
            &file,
            &vae.encoder(grid).unwrap(),
            vae.recipes(),
            &picture,
            &rows(&expected, "encoded").1,
        );
    }
}

#[test]
fn taef2_decodes_and_encodes_real_pictures_in_f32_and_in_eight_bits() {
    let Some(folder) = reference("vae/taef2") else { return };
    let expected = opened(&[folder.join("reference.safetensors")]);
    // One of the three pictures: they are alike in what could go wrong.
    let first = |name| {
        let (grid, mut x) = rows(&expected, name);
        x.truncate(x.len() / grid.batch);
        (Grid { batch: 1, ..grid }, x)
    };
    let ((picture_grid, picture), (latent_grid, latent)) = (first("image"), first("latent"));
    let decoded = first("decoded").1;
    // Latents lie within about four of zero.
    let span = 8.0;
    for (storage, least) in [(Storage::F32, 40.0), (Storage::Q8_0, 30.0)] {
        let file = opened(&[folder.join("taef2_decoder.safetensors")]);
        let vae = AutoencoderTiny::from_file(&file, storage).expect("a decoder");
        assert_eq!((vae.has_encoder(), vae.factor(), vae.latent_channels()), (false, 8, 32));
        // The kernels of eight bits are held to the CPU's elsewhere.
        let devices = if storage == Storage::F32 { vec![on_cpu(), on_gpu()] } else { vec![on_cpu()] };
        for device in devices {
            let graph = vae.decoder(latent_grid).unwrap();
            let got = psnr(&run(&device, &file, &graph, vae.recipes(), &latent), &decoded, 1.0);
            let kind = device.info().kind;
            println!("taef2 decodes with {storage:?} weights to {got:.1} dB on {kind}");
            assert!(got >= least, "{storage:?} on {kind}: {got} dB");
            proved("taef2", "safetensors", &device, PUBLISHED);
        }

        let file = opened(&[folder.join("taef2_encoder.safetensors")]);
        let vae = AutoencoderTiny::from_file(&file, storage).expect("an encoder");
        assert_eq!((vae.has_decoder(), vae.factor(), vae.latent_channels()), (false, 8, 32));
        let made = run(&on_cpu(), &file, &vae.encoder(picture_grid).unwrap(), vae.recipes(), &picture);
        let got = psnr(&made, &latent, span);
        println!("taef2 encodes with {storage:?} weights to {got:.1} dB");
        assert!(got >= least, "{storage:?}: {got} dB");
    }
}

#[test]
fn a_tiled_decode_is_the_whole_one() {
    let file = open_folder("autoencoder_tiny");
    let vae = AutoencoderTiny::from_file(&file, Storage::F32).expect("an autoencoder");
    let (height, width) = (40, 28);
    let latent: Vec<f32> = (0..height * width * 4).map(|i| ((i * i) as f32 * 0.01).sin() * 2.0).collect();
    let whole = run(&on_cpu(), &file, &vae.decoder(Grid::new(1, height, width)).unwrap(), vae.recipes(), &latent);
    let mut worst = vec![];
    for overlap in [4, 12] {
        let tiles = Tiles::new(height, width, 26, overlap).unwrap();
        let mut plan = plan(&on_cpu(), &file, &vae.decoder(tiles.tile()).unwrap(), vae.recipes()).unwrap();
        let mut told = vec![];
        let mut progress = |done, all| told.push((done, all));
        let tiled = block_on(tiles.decode(&mut plan, &latent, 4, &mut progress, &Cancel::new())).unwrap();
        let all = tiles.corners().len();
        assert_eq!(told, (0..=all).map(|done| (done, all)).collect::<Vec<_>>());
        assert!(psnr(&tiled, &whole, 1.0) > 40.0, "{} dB", psnr(&tiled, &whole, 1.0));
        worst.push(tiled.iter().zip(&whole).fold(0.0f32, |m, (a, b)| m.max((a - b).abs())));
    }
    // Twelve convolutions see ten pixels of the latent far, most of them faintly.
    println!("a tiled decode differs by {worst:?}");
    assert!(worst[0] < 0.1 && worst[1] < 0.01, "{worst:?}");
}

#[test]
fn a_dcgan_generates_as_pytorch_does() {
    let file = opened(&[in_pictures("dcgan/generator.safetensors")]);
    let expected = opened(&[in_pictures("dcgan/expected.safetensors")]);
    let gan = Dcgan::from_file(&file, Storage::F32).expect("a generator");
    assert_eq!((gan.latent(), gan.side(), gan.channels()), (12, 16, 3));
    let latent = block_on(expected.read_f32("latent")).unwrap();
    makes("dcgan", &file, &gan.graph(3).unwrap(), gan.recipes(), &latent, &rows(&expected, "picture").1);
}

#[test]
fn what_is_no_autoencoder_and_no_generator_is_refused() {
    let gan = opened(&[in_pictures("dcgan/generator.safetensors")]);
    let vae = open_folder("autoencoder_kl");
    assert!(Dcgan::is_one(&gan) && !Dcgan::is_one(&vae));
    assert!(AutoencoderKl::is_one(&vae) && !AutoencoderKl::is_one(&gan) && !AutoencoderTiny::is_one(&vae));
    assert!(AutoencoderTiny::is_one(&open_folder("autoencoder_tiny")) && !AutoencoderTiny::is_one(&gan));
    assert!(AutoencoderKl::from_file(&gan, Storage::Keep).is_err() && Dcgan::from_file(&vae, Storage::Keep).is_err());
}

pub async fn loaded(file: &WeightFile, storage: Storage) -> Autoencoder {
    Autoencoder::load(file, &on_cpu(), storage, &mut |_, _| (), &Cancel::new()).await.expect("an autoencoder")
}

/// The colours of a picture, 0 … 1, channel by channel.
pub fn planes(picture: &Picture) -> Vec<f32> {
    let pixels = picture.rgba.as_chunks::<4>().0;
    (0..3).flat_map(|c| pixels.iter().map(move |pixel| f32::from(pixel[c]) / 255.0)).collect()
}

#[test]
fn a_trained_autoencoder_is_loaded_by_its_halves_and_goes_both_ways() {
    let Some(folder) = reference("vae/taef2") else { return };
    block_on(async {
        let [decoder, encoder, file] = ["taef2_decoder", "taef2_encoder", "reference"]
            .map(|name| opened(&[folder.join(name).with_extension("safetensors")]));
        let read = async |name: &str, numbers: usize| {
            let all = file.read_f32(name).await.expect("numbers");
            all[..numbers].to_vec()
        };
        let (latent, shape) = (read("latent", 32 * 16 * 16).await, [1, 32, 16, 16]);
        let clip = |v: f32| v.clamp(0.0, 1.0);
        let decoded: Vec<f32> = read("decoded", 3 * 128 * 128).await.into_iter().map(clip).collect();
        let image = read("image", 3 * 128 * 128).await;
        for (storage, least) in [(Storage::Keep, 40.0), (Storage::Q8_0, 30.0)] {
            let model = loaded(&decoder, storage).await;
            let info = model.info();
            assert_eq!((info.kind, info.encodes, info.decodes, info.factor), ("autoencoder", false, true, 8));
            let picture = model.decode(&latent, &shape, &Cancel::new()).await.expect("a picture");
            let likeness = psnr(&planes(&picture), &decoded, 1.0);
            println!("decoded with {storage:?}: {likeness:.1} dB");
            assert!(likeness >= least, "{storage:?}: {likeness} dB");
        }
        let pixels = 128 * 128;
        let byte = |i: usize| if i % 4 == 3 { 255 } else { (255.0 * image[i % 4 * pixels + i / 4]).round() as u8 };
        let picture = Picture::new(128, 128, (0..4 * pixels).map(byte).collect()).expect("a picture");
        let model = loaded(&encoder, Storage::Keep).await;
        let (encoded, sides) = model.encode(&picture, &Cancel::new()).await.expect("a latent");
        assert_eq!(sides, shape);
        let likeness = psnr(&encoded, &latent, 1.0);
        println!("encoded: {likeness:.1} dB");
        assert!(likeness >= 40.0, "{likeness} dB");
    });
}

#[test]
fn latents_and_pictures_that_cannot_be_are_refused_and_an_abort_leaves_it_usable() {
    block_on(async {
        let file = open_folder("autoencoder_kl");
        assert!(Autoencoder::is_one(&file));
        let model = loaded(&file, Storage::Keep).await;
        let (channels, factor) = (model.info().latent_channels, model.info().factor);
        let (latent, shape, cancel) = (vec![0.1; 4 * channels], [1, channels, 2, 2], Cancel::new());
        let bad = |error: Option<vitrine::Error>, what: &str| {
            assert_eq!(error.map(|e| e.code()), Some(ErrorCode::BadArgument), "{what}");
        };
        for shape in [
            vec![],
            vec![1, channels, 2],
            vec![1, channels + 1, 2, 2],
            vec![1, channels, 3, 2],
            vec![1, channels, 0, 4],
        ] {
            bad(model.decode(&latent, &shape, &cancel).await.err(), &format!("{shape:?}"));
        }
        bad(model.decode(&latent, &[1, channels, 1 << 40, 1 << 40], &cancel).await.err(), "a vast latent");
        bad(model.decode(&vec![f32::NAN; 4 * channels], &shape, &cancel).await.err(), "NaN");
        let odd = Picture::new(factor + 1, factor, vec![0; 4 * factor * (factor + 1)]).expect("a picture");
        bad(model.encode(&odd, &cancel).await.err(), "an odd side");
        let before = model.decode(&latent, &shape, &cancel).await.expect("a picture");
        let aborted = Cancel::new();
        aborted.cancel();
        let error = model.decode(&latent, &shape, &aborted).await.err().map(|e| e.code());
        assert_eq!(error, Some(ErrorCode::Aborted));
        assert_eq!(model.decode(&latent, &shape, &cancel).await.expect("a picture"), before);
        model.close();
        let error = model.decode(&latent, &shape, &cancel).await.err().map(|e| e.code());
        assert_eq!(error, Some(ErrorCode::Closed));
    });
}
