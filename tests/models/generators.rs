//! Generators and autoencoders as people publish them, told by their tensors, on both backends against what PyTorch makes with them
//! (training/make_generator_fixtures.py).

use std::{path::PathBuf, rc::Rc};

use pollster::block_on;
use vitrine::{
    ErrorCode, Result,
    backend::Device,
    cancel::Cancel,
    graph::{Graph, StepParams},
    image::{Autoencoder, Picture},
    models::{Dcgan, Dense},
    weights::{MemorySource, PathSource, Recipes, SharedSource, Storage, WeightFile},
};

use super::autoencoders::{loaded, rows};
use crate::PUBLISHED;
use crate::common::{cosine, fixture, floats, on_cpu, on_gpu, opened, proofs::RANDOM, proved, reference, streamed};

fn in_generators(name: &str) -> PathBuf {
    fixture("generators").join(name)
}

/// The weights of a fixture, and its configuration where it has one.
fn open(name: &str, file: &str) -> WeightFile {
    let files = [in_generators(name).join(file), in_generators(name).join("config.json")];
    opened(&files.iter().filter(|path| path.exists()).collect::<Vec<_>>())
}

fn expected(name: &str) -> WeightFile {
    opened(&[in_generators(name).join("expected.safetensors")])
}

fn numbers(file: &WeightFile, name: &str) -> Vec<f32> {
    block_on(file.read_f32(name)).expect("numbers")
}

/// What the graph makes of its inputs, by their names.
fn run(device: &Device, file: &WeightFile, graph: &Graph, recipes: &Recipes, inputs: &[(&str, Vec<u32>)]) -> Vec<f32> {
    let made = async {
        let mut plan = streamed(device, file, graph, recipes).await?.compile(graph).await?;
        for (name, words) in inputs {
            plan.write_input(name, words)?;
        }
        let out = plan.step(&StepParams::default(), &[&graph.outputs[0].0])?.await?;
        Result::<_>::Ok(floats(&out[0]))
    };
    block_on(made).expect("a picture")
}

#[track_caller]
fn same(got: &[f32], wanted: &[f32], what: &str) {
    assert_eq!(got.len(), wanted.len(), "{what}");
    let off = got.iter().zip(wanted).fold(0.0f32, |m, (g, w)| m.max((g - w).abs()));
    println!("{what}: off by {off:.1e}");
    assert!(cosine(got, wanted) >= 0.9999 && off <= 2e-3, "{what}: cosine {}, off by {off}", cosine(got, wanted));
}

/// Asserts that a graph from latents (and labels) to two pictures makes what PyTorch made, on either backend.
#[track_caller]
fn generates(family: &str, name: &str, (to, path): (&str, &str), file: &WeightFile, graph: &Graph, recipes: &Recipes) {
    let expected = expected(name);
    let bits = |name: &str| numbers(&expected, name).into_iter().map(f32::to_bits).collect::<Vec<_>>();
    let mut inputs = vec![("latent", bits("latent"))];
    if expected.tensors.contains_key("label") {
        inputs.push(("label", numbers(&expected, "label").into_iter().map(|label| label as u32).collect()));
    }
    let wanted = rows(&expected, "picture").1;
    for device in [on_cpu(), on_gpu()] {
        let kind = device.info().kind;
        same(&run(&device, file, graph, recipes, &inputs), &wanted, &format!("{name} on {kind}"));
        proved(family, if path.ends_with("safetensors") { "safetensors" } else { "PyTorch's" }, &device, to);
    }
}

#[test]
fn convolutional_generators_of_any_names_and_sizes_make_what_pytorch_makes() {
    for (name, path, (latent, side, channels), classes) in [
        ("unpadded", "generator.pth", (10, 28, 1), None),
        ("unpadded_legacy", "generator.pt", (10, 28, 1), None),
        ("named_blocks", "ckpt.pth", (6, 28, 1), None),
        ("behind_linear", "model.safetensors", (9, 28, 3), None),
        ("configured", "model.safetensors", (5, 16, 3), None),
        ("upsampled", "generator.safetensors", (12, 32, 3), Some(5)),
        ("smooth", "model.safetensors", (7, 16, 1), None),
        ("spectral", "generator.pth", (5, 16, 3), None),
    ] {
        let file = open(name, path);
        assert!(Dcgan::is_one(&file) && !Dense::is_one(&file), "{name}");
        let gan = Dcgan::from_file(&file, Storage::F32).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((gan.latent(), gan.side(), gan.channels()), (latent, side, channels), "{name}");
        assert_eq!((gan.classes(), gan.has_encoder()), (classes, false), "{name}");
        generates("dcgan", name, (RANDOM, path), &file, &gan.graph(2).unwrap(), gan.recipes());
    }
}

#[test]
fn convolutional_vaes_decode_and_encode_as_in_pytorch() {
    for (name, path, (latent, side, channels), classes) in [
        ("pytorch_vae", "vae.safetensors", (6, 32, 3), None),
        ("convolutional_vae", "vae.pt", (4, 28, 1), None),
        ("attributed_vae", "vae.safetensors", (5, 32, 3), None),
        ("labelled_convolutional_vae", "cvae.safetensors", (4, 28, 1), Some(3)),
    ] {
        let file = open(name, path);
        assert!(Dcgan::is_one(&file) && !Dense::is_one(&file), "{name}");
        let vae = Dcgan::from_file(&file, Storage::F32).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((vae.latent(), vae.side(), vae.channels()), (latent, side, channels), "{name}");
        assert_eq!((vae.classes(), vae.has_encoder(), vae.is_vae()), (classes, true, true), "{name}");
        generates("conv-vae", name, (RANDOM, path), &file, &vae.graph(2).unwrap(), vae.recipes());
        encodes(name, &file, &vae.encoder(2).unwrap(), vae.recipes());
    }
}

#[test]
fn a_fully_connected_vae_that_takes_labels_decodes_by_them() {
    let file = open("labelled_vae", "cvae.safetensors");
    let vae = Dense::from_file(&file, Storage::F32).expect("a VAE");
    assert_eq!((vae.latent(), vae.side(), vae.classes(), vae.has_encoder()), (4, 28, Some(10), false));
    assert_eq!(vae.range(), (0.0, 1.0));
    generates("dense", "labelled_vae", (RANDOM, "cvae.safetensors"), &file, &vae.decoder(2).unwrap(), vae.recipes());
}

#[test]
fn a_vae_that_may_be_read_in_two_ways_asks_for_a_configuration() {
    let heads: [(&str, &[usize]); 2] = [("fc_mu.weight", &[4, 512]), ("fc_logvar.weight", &[4, 512])];
    let decoder: [(&str, &[usize]); 3] =
        [("decoder_input.weight", &[512, 4]), ("decoder.0.weight", &[8, 6, 4, 4]), ("decoder.2.weight", &[6, 3, 4, 4])];
    let vae = |more: &[(&str, &[usize])], config| {
        let all = [&heads[..], &decoder, more].concat();
        Dcgan::from_file(&with_config(&all, config), Storage::Keep)
    };
    // A function and perhaps a pooling between two convolutions.
    let pooled: [(&str, &[usize]); 2] = [("encoder.0.weight", &[6, 3, 3, 3]), ("encoder.3.weight", &[8, 6, 3, 3])];
    let halving: [(&str, &[usize]); 2] = [("encoder.0.weight", &[6, 3, 3, 3]), ("encoder.2.weight", &[8, 6, 3, 3])];
    let error = vae(&pooled, None).expect_err("two readings").to_string();
    assert!(error.contains("encoder_stride") && error.contains("pooling"), "{error}");
    let told = Some(r#"{"encoder_stride": 2, "encoder_padding": 1}"#);
    assert!(vae(&pooled, told).unwrap().has_encoder() && vae(&halving, None).unwrap().has_encoder());
    let error =
        vae(&halving, Some(r#"{"encoder_stride": [1, 2], "encoder_padding": 1}"#)).expect_err("too large a picture");
    assert!(error.to_string().contains("16×16"), "{error}");
    // A hidden layer of its own, and a linear layer before the view that is one.
    let hidden: [(&str, &[usize]); 3] = [halving[0], halving[1], ("enc_hidden.weight", &[512, 512])];
    let error = vae(&hidden, None).expect_err("perhaps a function").to_string();
    assert!(error.contains("encoder_activation") && error.contains("enc_hidden"), "{error}");
    let attributed = [&heads[..], &halving, &decoder[1..], &[("fc.weight", &[512, 4][..])]].concat();
    let error = Dcgan::from_file(&with_config(&attributed, None), Storage::Keep).expect_err("perhaps a function");
    assert!(error.to_string().contains("\"activation\"") && error.to_string().contains("fc"), "{error}");
    // An encoder that looks at labels as channels of the picture wants one, so it is left out; one number more is no label.
    let labelled = |width: usize, channels: usize| {
        let (wide, seen) = ([512, width], [6, channels, 4, 4]);
        let more: [(&str, &[usize]); 3] =
            [("encoder.0.weight", &seen), ("encoder.2.weight", &[8, 6, 4, 4]), ("decoder_input.weight", &wide)];
        let all = [&heads[..], &decoder[1..], &more].concat();
        Dcgan::from_file(&with_config(&all, None), Storage::Keep)
    };
    let seen = labelled(4 + 10, 3 + 10).unwrap();
    assert_eq!((seen.classes(), seen.has_encoder(), seen.latent()), (Some(10), false, 4));
    assert!(labelled(4 + 10, 3).unwrap().has_encoder());
    assert!(labelled(5, 3).expect_err("no label").to_string().contains("fc_mu"));
}

#[test]
fn a_published_generator_of_digits_makes_what_pytorch_makes() {
    let Some(folder) = reference("published/digit-dcgan") else { return };
    let file = opened(&[folder.join("generator.pth")]);
    let gan = Dcgan::from_file(&file, Storage::Keep).expect("a generator");
    assert_eq!((gan.latent(), gan.side(), gan.channels()), (64, 28, 1));
    generates("dcgan", "digit_dcgan", (PUBLISHED, "generator.pth"), &file, &gan.graph(2).unwrap(), gan.recipes());
}

#[test]
fn fully_connected_networks_make_what_pytorch_makes_and_encode_what_they_can() {
    for (name, path, (latent, side, channels), classes) in [
        ("conditional", "generator.pth", (6, 28, 1), Some(10)),
        ("vae", "vae.safetensors", (4, 28, 1), None),
        ("coloured_vae", "vae.pt", (3, 16, 3), None),
    ] {
        let file = open(name, path);
        assert!(Dense::is_one(&file) && !Dcgan::is_one(&file), "{name}");
        let net = Dense::from_file(&file, Storage::F32).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            (net.latent(), net.side(), net.channels(), net.classes()),
            (latent, side, channels, classes),
            "{name}"
        );
        generates("dense", name, (RANDOM, path), &file, &net.decoder(2).unwrap(), net.recipes());
        assert_eq!(net.has_encoder(), classes.is_none(), "{name}");
        if !net.has_encoder() {
            assert_eq!(net.encoder(1).map_err(|error| error.code()).err(), Some(ErrorCode::BadArgument));
            continue;
        }
        encodes(name, &file, &net.encoder(2).unwrap(), net.recipes());
    }
}

/// Asserts that a graph from two pictures to their means makes what PyTorch made, on either backend.
#[track_caller]
fn encodes(name: &str, file: &WeightFile, graph: &Graph, recipes: &Recipes) {
    let expected = expected(name);
    let given: Vec<u32> = rows(&expected, "given").1.into_iter().map(f32::to_bits).collect();
    for device in [on_cpu(), on_gpu()] {
        let made = run(&device, file, graph, recipes, &[("picture", given.clone())]);
        same(&made, &numbers(&expected, "mean"), &format!("{name} encodes on {}", device.info().kind));
    }
}

#[test]
fn pictures_are_decoded_by_label_and_grey_ones_encoded() {
    block_on(async {
        let none = Cancel::new();
        let wants = loaded(&open("conditional", "generator.pth"), Storage::Keep).await;
        assert_eq!((wants.info().kind, wants.info().classes, wants.info().factor), ("generator", Some(10), 0));
        let latent = [0.5; 6];
        let of = async |model: &Autoencoder, latent: &[f32], label| {
            model.decode_labelled(latent, &[1, latent.len()], label, &none).await
        };
        let (nine, zero) = (of(&wants, &latent, Some(9)).await.unwrap(), of(&wants, &latent, Some(0)).await.unwrap());
        assert_eq!((nine.width, nine.height), (28, 28));
        assert!(
            nine.rgba != zero.rgba
                && nine.rgba.as_chunks::<4>().0.iter().all(|[r, g, b, a]| r == g && g == b && *a == 255)
        );
        for (label, words) in [(Some(10), "from 0 to 9"), (None, "there is no label"), (Some(u32::MAX), "from 0 to 9")]
        {
            let error = of(&wants, &latent, label).await.unwrap_err();
            assert!(error.code() == ErrorCode::BadArgument && error.to_string().contains(words), "{error}");
        }
        let error = of(&wants, &[0.5; 7], Some(1)).await.unwrap_err();
        assert!(error.code() == ErrorCode::BadArgument && error.to_string().contains("[1, 6]"), "{error}");

        let vae = loaded(&open("vae", "vae.safetensors"), Storage::Keep).await;
        assert_eq!((vae.info().kind, vae.info().architecture, vae.info().encodes), ("autoencoder", "VAE", true));
        let error = of(&vae, &[0.1; 4], Some(0)).await.unwrap_err();
        assert!(error.code() == ErrorCode::BadArgument && error.to_string().contains("no labels"), "{error}");
        // A grey picture's mean is PyTorch's, rounded to eight bits on its way.
        let given = numbers(&expected("vae"), "given");
        let grey = given[..784].iter().flat_map(|v| [[(v * 255.0).round() as u8; 3].as_slice(), &[255]].concat());
        let picture = Picture::new(28, 28, grey.collect()).unwrap();
        let (mean, shape) = vae.encode(&picture, &none).await.unwrap();
        assert_eq!(shape, [1, 4, 1, 1]);
        let wanted = numbers(&expected("vae"), "mean");
        let off = mean.iter().zip(&wanted).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(off < 0.02, "{mean:?} and {wanted:?}");
        let small = Picture::new(14, 28, vec![0; 4 * 14 * 28]).unwrap();
        assert!(vae.encode(&small, &none).await.unwrap_err().to_string().contains("28×28"));
    });
}

/// A safetensors file of zeros.
fn zeros(tensors: &[(&str, &[usize])]) -> Vec<u8> {
    let (mut header, mut at) = (serde_json::Map::new(), 0);
    for (name, shape) in tensors {
        let end = at + 4 * shape.iter().product::<usize>();
        header.insert((*name).into(), serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [at, end]}));
        at = end;
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &vec![0; at]].concat()
}

fn with_config(tensors: &[(&str, &[usize])], config: Option<&str>) -> WeightFile {
    let mut sources: Vec<SharedSource> = vec![Rc::new(MemorySource::new("model.safetensors", zeros(tensors)))];
    sources
        .extend(config.map(|json| Rc::new(MemorySource::new("config.json", json.as_bytes().to_vec())) as SharedSource));
    block_on(WeightFile::open_parts(sources)).unwrap()
}

#[test]
fn what_is_no_chain_or_cannot_be_told_is_refused_with_what_to_do() {
    let first: (&str, &[usize]) = ("main.0.weight", &[5, 8, 4, 4]);
    let dcgan = |tensors: &[(&str, &[usize])], config| Dcgan::from_file(&with_config(tensors, config), Storage::Keep);
    for (tensors, words) in [
        (vec![first, ("main.2.weight", &[9, 3, 4, 4])], ["no chain", "main.2.weight [9, 3, 4, 4]"]),
        (vec![first, ("main.2.weight", &[8, 7, 4, 4])], ["no chain", "state_dict"]),
        (vec![first, ("main.2.weight", &[8, 3, 9, 9])], ["no picture of a usual side", "\"stride\""]),
        (vec![("0.weight", &[8, 3, 4, 4][..]), ("2.weight", &[1, 8, 4, 4])], ["discriminator", "generator's own"]),
        (vec![first, ("main.1.weight_orig", &[8, 3, 4, 4])], ["main.1.weight_orig", "spectral"]),
        (vec![first, ("main.1.weight", &[8]), ("main.2.weight", &[8, 3, 4, 4])], ["main.1.weight", "no part"]),
        (
            vec![
                ("label_emb.weight", &[10, 6][..]),
                first,
                ("main.2.weight", &[8, 8, 4, 4]),
                ("main.4.weight", &[8, 3, 4, 4]),
            ],
            ["label_emb.weight [10, 6]", "5 numbers"],
        ),
    ] {
        let error = dcgan(&tensors, None).expect_err(words[0]);
        assert_eq!(error.code(), ErrorCode::UnsupportedModel, "{error}");
        assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
    }
    let odd = [first, ("main.2.weight", &[8, 3, 9, 9])];
    assert_eq!(dcgan(&odd, Some(r#"{"stride": 2, "padding": [0, 3]}"#)).unwrap().side(), 9);
    assert_eq!(dcgan(&odd, Some(r#"{"_class_name": "Generator", "stride": [1, 3]}"#)).unwrap().side(), 18);
    for config in [
        r#"{"stride": [1, 2, 3]}"#,
        r#"{"stride": "two"}"#,
        r#"{"stride": 2, "activation": "swish"}"#,
        r#"{"stride": 2, "output_activation": ["tanh"]}"#,
        r#"{"stride": 2, "norm_eps": -1}"#,
        r#"{"stride": 2, "upsample": 99}"#,
        r#"{"stride": 2, "upsample_mode": "bicubic"}"#,
    ] {
        let error = dcgan(&odd, Some(config)).expect_err(config);
        assert!(error.code() == ErrorCode::CorruptFile && error.to_string().contains("config.json"), "{error}");
    }
    let error = dcgan(&odd, Some(r#"{"stride": [1, 0]}"#)).expect_err("a stride of nothing");
    assert_eq!(error.code(), ErrorCode::UnsupportedModel, "{error}");

    let dense = |tensors: &[(&str, &[usize])]| Dense::from_file(&with_config(tensors, None), Storage::Keep);
    for tensors in [
        vec![("fc1.weight", &[9, 4][..]), ("fc2.weight", &[784, 8])],
        vec![
            ("fc1.weight", &[9, 784][..]),
            ("fc21.weight", &[3, 9]),
            ("fc22.weight", &[3, 9]),
            ("fc3.weight", &[9, 4]),
            ("fc4.weight", &[784, 9]),
        ],
    ] {
        let file = with_config(&tensors, None);
        assert!(Dense::is_one(&file), "{tensors:?}");
        let error = dense(&tensors).expect_err("no chain");
        assert!(error.code() == ErrorCode::UnsupportedModel && error.to_string().contains("no chain"), "{error}");
    }
    // A cut file is refused as any other, and a language model is none of these.
    let whole = std::fs::read(in_generators("unpadded").join("generator.pth")).unwrap();
    let cut: SharedSource = Rc::new(MemorySource::new("generator.pth", whole[..whole.len() / 2].to_vec()));
    assert_eq!(block_on(WeightFile::open(cut)).err().map(|error| error.code()), Some(ErrorCode::CorruptFile));
    for family in ["tiny_llama", "tiny_gpt2"] {
        let source: SharedSource = Rc::new(PathSource::open(fixture(family).join("model.safetensors")).unwrap());
        let file = block_on(WeightFile::open(source)).unwrap();
        assert!(!Autoencoder::is_one(&file), "{family}");
    }
}
