//! The house's models of faces on both backends, against what PyTorch computes from the same files.

use pollster::block_on;
use vitrine::{
    ErrorCode,
    cancel::Cancel,
    image::Picture,
    models::Dcgan,
    weights::{MemorySource, Storage, WeightFile},
};

use super::{
    autoencoders::{in_pictures, loaded, model, planes, rows, run},
    psnr,
};
use crate::TRAINED;
use crate::common::{on_cpu, on_gpu, opened, proved};

/// At least so many decibels for a range of 1, where the weights are kept as the file has them, and in eight bits.
const LEAST: [(Storage, f64); 2] = [(Storage::Keep, 40.0), (Storage::Q8_0, 30.0)];

#[test]
fn both_models_of_faces_decode_as_pytorch_does() {
    for (name, encodes) in [("faces-vae", true), ("faces-gan", false)] {
        let file = opened(&[model(name)]);
        let expected = opened(&[in_pictures(&format!("{}/expected.safetensors", name.replace('-', "_")))]);
        let (latents, wanted) = (rows(&expected, "latent").1, rows(&expected, "decoded").1);
        for (storage, least) in LEAST {
            let faces = Dcgan::from_file(&file, storage).expect("a decoder");
            assert_eq!((faces.latent(), faces.side(), faces.channels(), faces.has_encoder()), (8, 64, 3, encodes));
            for device in [on_cpu(), on_gpu()] {
                let made = run(&device, &file, &faces.graph(2).unwrap(), faces.recipes(), &latents);
                let got = psnr(&made, &wanted, 2.0);
                let kind = device.info().kind;
                println!("{name} decodes with {storage:?} weights to {got:.1} dB on {kind}");
                assert!(got >= least, "{name}, {storage:?} on {kind}: {got} dB");
                proved("faces", "safetensors", &device, TRAINED);
            }
        }
    }
}

#[test]
fn faces_vae_encodes_as_pytorch_does() {
    let file = opened(&[model("faces-vae")]);
    let expected = opened(&[in_pictures("faces_vae/expected.safetensors")]);
    let (pictures, means) = (rows(&expected, "picture").1, rows(&expected, "mean").1);
    // Means lie within three of zero; the logarithms of the variances stand behind them.
    let span = 6.0;
    for (storage, least) in LEAST {
        let faces = Dcgan::from_file(&file, storage).expect("an autoencoder");
        for device in [on_cpu(), on_gpu()] {
            let moments = run(&device, &file, &faces.encoder(2).unwrap(), faces.recipes(), &pictures);
            let made: Vec<f32> = moments.chunks(16).flat_map(|row| row[..8].to_vec()).collect();
            let got = psnr(&made, &means, span);
            let kind = device.info().kind;
            println!("faces-vae encodes with {storage:?} weights to {got:.1} dB on {kind}");
            assert!(got >= least, "{storage:?} on {kind}: {got} dB");
        }
    }
}

#[test]
fn a_face_goes_through_eight_numbers_and_back() {
    block_on(async {
        let expected = opened(&[in_pictures("faces_vae/expected.safetensors")]);
        let vae = loaded(&opened(&[model("faces-vae")]), Storage::Keep).await;
        let info = vae.info();
        assert_eq!(
            (info.kind, info.encodes, info.decodes, info.factor, info.latent_channels),
            ("autoencoder", true, true, 0, 8)
        );
        let picture = expected.read_f32("picture").await.expect("numbers");
        let (plane, none) = (64 * 64, Cancel::new());
        let byte =
            |i: usize| if i % 4 == 3 { 255 } else { (picture[i % 4 * plane + i / 4] * 127.5 + 127.5).round() as u8 };
        let given = Picture::new(64, 64, (0..4 * plane).map(byte).collect()).expect("a picture");
        let (latent, shape) = vae.encode(&given, &none).await.expect("a latent");
        assert_eq!(shape, [1, 8, 1, 1]);
        let again = vae.decode(&latent, &shape, &none).await.expect("a picture");
        assert_eq!(vae.decode(&latent, &[1, 8], &none).await.expect("a picture"), again);
        let likeness = psnr(&planes(&again), &planes(&given), 1.0);
        assert!(likeness >= 20.0, "the face comes back with {likeness} dB");
        for side in [32, 65, 128] {
            let other = Picture::new(side, side, vec![0; 4 * side * side]).expect("a picture");
            let error = vae.encode(&other, &none).await.expect_err("a picture of another size");
            assert!(error.code() == ErrorCode::BadArgument && error.to_string().contains("64×64"), "{error}");
        }
        let gan = loaded(&opened(&[model("faces-gan")]), Storage::Keep).await;
        assert_eq!((gan.info().kind, gan.info().encodes), ("generator", false));
        assert_eq!(gan.encode(&given, &none).await.map_err(|e| e.code()), Err(ErrorCode::BadArgument));
    });
}

#[test]
fn an_encoder_that_does_not_fit_its_decoder_is_refused() {
    let bytes = std::fs::read(model("faces-vae")).expect("a file");
    let mut damaged = bytes.clone();
    // The encoder's last layer under another name: one layer less than the decoder has.
    let at = bytes.windows(22).position(|part| part == b"encoder.main.12.weight").expect("a last layer");
    damaged[at + 13..at + 15].copy_from_slice(b"99");
    let file =
        block_on(WeightFile::open(std::rc::Rc::new(MemorySource::new("faces.safetensors", damaged)))).expect("a file");
    let error = Dcgan::from_file(&file, Storage::Keep).expect_err("half a model");
    assert!(error.code() == ErrorCode::UnsupportedModel && error.to_string().contains("encoder.main."), "{error}");
}
