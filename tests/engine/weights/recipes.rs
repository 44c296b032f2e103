//! How weights are made of a file's tensors on their way to a device.

use std::collections::BTreeMap;

use async_trait::async_trait;
use vitrine::{
    Cancel, ErrorCode, Result,
    graph::{DType, GraphBuilder, WeightId, WeightSpec},
    weights::{BatchNorm, Recipe, RowSink, Storage, WeightFile, WeightFinder, by_folder},
};

use super::{memory, open, says};
use crate::common::safetensors;

fn counting(n: usize) -> Vec<f32> {
    (0..n).map(|i| i as f32).collect()
}

/// Puts bytes in their places, as a device would.
#[derive(Default)]
struct Device {
    specs: Vec<WeightSpec>,
    bytes: BTreeMap<u32, Vec<u8>>,
}

#[async_trait(?Send)]
impl RowSink for Device {
    fn put(&mut self, weight: WeightId, first_row: usize, bytes: &[u8]) -> Result<()> {
        let spec = &self.specs[weight.0 as usize];
        let row = spec.dtype.row_bytes(*spec.shape.last().unwrap()).unwrap();
        let all = self.bytes.entry(weight.0).or_default();
        assert_eq!(all.len(), first_row * row, "rows of {} come in order", spec.name);
        all.extend(bytes);
        Ok(())
    }

    async fn settle(&mut self) -> Result<()> {
        Ok(())
    }
}

type Wish<'a> = (&'a str, &'a [usize], Recipe);

/// The weights that come of these recipes, as bytes.
fn made(file: &WeightFile, storage: Storage, wishes: Vec<Wish<'_>>) -> Result<Vec<(DType, Vec<u8>)>> {
    let mut finder = WeightFinder::new(file, storage);
    let mut graph = GraphBuilder::new("t");
    for (name, shape, recipe) in wishes {
        let spec = finder.find(name, shape, recipe)?;
        graph.declare(&spec)?;
    }
    let (graph, recipes) = (graph.finish(), finder.finish());
    let mut device = Device { specs: graph.weights.clone(), ..Device::default() };
    let mut last = (0, 1);
    let mut progress = |done, total| last = (done, total);
    pollster::block_on(file.stream_with(&graph, &recipes, &mut device, &mut progress, &Cancel::new()))?;
    assert_eq!(last.0, last.1, "the whole is told as read");
    Ok(graph.weights.iter().zip(device.bytes.into_values()).map(|(spec, bytes)| (spec.dtype, bytes)).collect())
}

fn numbers(file: &WeightFile, shape: &[usize], recipe: Recipe) -> Vec<f32> {
    let made = made(file, Storage::F32, vec![("w", shape, recipe)]).unwrap();
    made[0].1.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

#[test]
fn a_convolution_is_turned_so_that_channels_lie_innermost() {
    let file = open(safetensors(&[("c", &[2, 2, 1, 3], counting(12))])).unwrap();
    let got = numbers(&file, &[2, 6], Recipe::conv("c", [1, 3]));
    assert_eq!(got, [0., 3., 1., 4., 2., 5., 6., 9., 7., 10., 8., 11.]);
}

#[test]
fn a_transposed_convolution_is_turned_to_the_layout_of_a_convolution() {
    // [in 2, out 3, 1, 2]: number = in · 6 + out · 2 + x
    let file = open(safetensors(&[("t", &[2, 3, 1, 2], counting(12)), ("m", &[2, 3], counting(6))])).unwrap();
    let got = numbers(&file, &[3, 4], Recipe::conv_transpose("t", [1, 2]));
    assert_eq!(got, [0., 6., 1., 7., 2., 8., 3., 9., 4., 10., 5., 11.]);
    assert_eq!(numbers(&file, &[3, 2], Recipe::conv_transpose("m", [1, 1])), [0., 3., 1., 4., 2., 5.]);
}

#[test]
fn sides_of_one_pixel_fall_away() {
    let file = open(safetensors(&[("c", &[2, 3, 1, 1], counting(6)), ("n", &[4, 1, 1], counting(4))])).unwrap();
    assert_eq!(numbers(&file, &[2, 3], Recipe::tensor("c")), counting(6));
    assert_eq!(numbers(&file, &[2, 3], Recipe::conv("c", [1, 1])), counting(6));
    assert_eq!(numbers(&file, &[4], Recipe::tensor("n")), counting(4));
}

#[test]
fn rows_of_one_tensor_serve_three_weights_and_join_again() {
    let file = open(safetensors(&[("qkv", &[6, 2], counting(12)), ("b", &[6], counting(6))])).unwrap();
    assert_eq!(numbers(&file, &[2, 2], Recipe::rows("qkv", 2)), [4., 5., 6., 7.]);
    assert_eq!(numbers(&file, &[2], Recipe::rows("b", 4)), [4., 5.]);
    let join = Recipe::Join(vec!["qkv".into(), "qkv".into()]);
    assert_eq!(numbers(&file, &[12, 2], join), [counting(12), counting(12)].concat());
    let join = Recipe::Join(vec!["b".into(), "b".into()]);
    assert_eq!(numbers(&file, &[12], join), [counting(6), counting(6)].concat());
}

#[test]
fn a_batch_norm_goes_into_the_convolution_before_it() {
    let file = open(safetensors(&[
        ("c", &[2, 1, 1, 2], vec![1., 2., 3., 4.]),
        ("c.bias", &[2], vec![10., 20.]),
        ("n.weight", &[2], vec![2., 3.]),
        ("n.bias", &[2], vec![0.5, -0.5]),
        ("n.running_mean", &[2], vec![1., 2.]),
        ("n.running_var", &[2], vec![4., 0.25]),
    ]))
    .unwrap();
    let norm = BatchNorm { eps: 0.0, ..BatchNorm::named("n") };
    // Factors 2 / √4 = 1 and 3 / √0.25 = 6.
    let weight = Recipe::conv("c", [1, 2]).folded(norm.clone());
    assert_eq!(numbers(&file, &[2, 2], weight), [1., 2., 18., 24.]);
    let bias = |bias| Recipe::FoldedBias { bias, norm: norm.clone() };
    assert_eq!(numbers(&file, &[2], bias(Some("c.bias".into()))), [9.5, 107.5]);
    assert_eq!(numbers(&file, &[2], bias(None)), [-0.5, -12.5]);
}

#[test]
fn layers_that_are_viewed_as_pixels_are_turned_to_channels_innermost() {
    // Two channels of three pixels, of one number each; norms of each row.
    let tensors = ["w", "b"].map(|name| (name, if name == "w" { vec![6, 1] } else { vec![6] }));
    let mut all: Vec<(&str, &[usize], Vec<f32>)> =
        tensors.iter().map(|(name, shape)| (*name, &shape[..], counting(6))).collect();
    all.extend([("n.weight", &[6][..], vec![2.0; 6]), ("n.bias", &[6], counting(6))]);
    all.extend([("n.running_mean", &[6][..], vec![1.0; 6]), ("n.running_var", &[6], vec![1.0; 6])]);
    all.push(("flat", &[2, 6], counting(12)));
    let file = open(safetensors(&all)).unwrap();
    let norm = BatchNorm { eps: 0.0, ..BatchNorm::named("n") };
    let pixels = |of| Recipe::Pixels { of: Box::new(of), area: 3 };
    assert_eq!(numbers(&file, &[6, 1], pixels(Recipe::tensor("w"))), [0., 3., 1., 4., 2., 5.]);
    assert_eq!(numbers(&file, &[6], pixels(Recipe::tensor("b"))), [0., 3., 1., 4., 2., 5.]);
    assert_eq!(numbers(&file, &[6, 1], pixels(Recipe::tensor("w").folded(norm.clone()))), [0., 6., 2., 8., 4., 10.]);
    let bias = Recipe::FoldedBias { bias: Some("b".into()), norm: norm.clone() };
    assert_eq!(numbers(&file, &[6], pixels(bias)), [-2., 7., 1., 10., 4., 13.]);
    // A norm by itself: factors and shifts in a row.
    assert_eq!(numbers(&file, &[1, 6], Recipe::NormScale(norm.clone())), [2.0; 6]);
    let shift = Recipe::FoldedBias { bias: None, norm };
    assert_eq!(numbers(&file, &[1, 6], shift), [-2., -1., 0., 1., 2., 3.]);
    // A matrix over a flattened picture is a convolution over all of it.
    let whole = numbers(&file, &[2, 6], Recipe::conv("flat", [1, 3]));
    assert_eq!(whole, [0., 3., 1., 4., 2., 5., 6., 9., 7., 10., 8., 11.]);
    let error = made(&file, Storage::Keep, vec![("w", &[5, 1], pixels(Recipe::tensor("w")))]).unwrap_err();
    says(&error, ErrorCode::Internal, &["Pixels"]);
}

#[test]
fn weights_are_quantised_while_they_load_where_rows_are_whole_blocks() {
    let tensors = [("a", &[3, 64][..], counting(192)), ("b", &[2, 33], counting(66)), ("v", &[64], counting(64))];
    let file = open(safetensors(&tensors)).unwrap();
    let wishes = || {
        let wish = |name, shape| (name, shape, Recipe::tensor(name));
        vec![wish("a", &[3, 64][..]), wish("b", &[2, 33]), wish("v", &[64])]
    };
    for (storage, dtype) in [(Storage::Q8_0, DType::Q8_0), (Storage::Q4_0, DType::Q4_0)] {
        let made = made(&file, storage, wishes()).unwrap();
        assert_eq!(made.iter().map(|(dtype, _)| *dtype).collect::<Vec<_>>(), [dtype, DType::F32, DType::F32]);
        assert_eq!(made[0].1.len(), 3 * dtype.row_bytes(64).unwrap());
    }
    let half = made(&file, Storage::F16, wishes()).unwrap();
    assert_eq!(half.iter().map(|(dtype, _)| *dtype).collect::<Vec<_>>(), [DType::F16, DType::F16, DType::F32]);
    let whole: Vec<u8> = counting(192).iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
    assert_eq!(half[0].1, whole);
}

#[test]
fn a_long_weight_is_turned_in_pieces() {
    let rows = 3 << 17;
    let file = open(safetensors(&[("c", &[rows, 2, 1, 2], counting(rows * 4))])).unwrap();
    let got = numbers(&file, &[rows, 4], Recipe::conv("c", [1, 2]));
    for (row, got) in got.chunks(4).enumerate() {
        let first = (row * 4) as f32;
        assert_eq!(got, [first, first + 2.0, first + 1.0, first + 3.0]);
    }
}

#[test]
fn what_is_missing_or_misshapen_is_named_with_both_shapes() {
    let file = open(safetensors(&[("c", &[2, 2, 3, 3], counting(36)), ("b", &[3], counting(3))])).unwrap();
    let cases: [(&[usize], Recipe, &[&str]); 5] = [
        (&[2, 18], Recipe::conv("d", [3, 3]), &["no weight d"]),
        (&[2, 27], Recipe::conv("c", [3, 3]), &["tensor c", "[2, 2, 3, 3]", "[2, 3, 3, 3]"]),
        (&[4], Recipe::tensor("b"), &["tensor b", "[3]", "[4]"]),
        (&[2], Recipe::rows("b", 2), &["tensor b", "[3]", "[4]"]),
        (&[4], Recipe::Join(vec!["b".into(), "b".into()]), &["b, b", "6 rows", "4"]),
    ];
    for (shape, recipe, words) in cases {
        let error = made(&file, Storage::Keep, vec![("w", shape, recipe)]).unwrap_err();
        says(&error, ErrorCode::CorruptFile, words);
    }
}

#[test]
fn a_number_that_is_none_is_refused_where_it_would_be_quantised() {
    let mut values = counting(64);
    values[40] = f32::NAN;
    let file = open(safetensors(&[("unet.w", &[2, 32], values)])).unwrap();
    let error = made(&file, Storage::Q8_0, vec![("w", &[2, 32], Recipe::tensor("unet.w"))]).unwrap_err();
    assert_eq!(error.code(), ErrorCode::CorruptFile);
    assert!(error.to_string().contains("NaN"), "{error}");
}

#[test]
fn a_pipelines_folders_are_opened_one_by_one() {
    let weights = safetensors(&[("w", &[1], counting(1))]);
    let files = vec![
        memory("sd/model_index.json", *b"{}"),
        memory("sd/vae/config.json", *br#"{"latent_channels": 4}"#),
        memory("sd/unet/config.json", *br#"{"in_channels": 4}"#),
        memory("sd/vae/diffusion_pytorch_model.safetensors", weights.clone()),
        memory("sd/unet/diffusion_pytorch_model.safetensors", weights),
    ];
    let mut folders = by_folder(files);
    assert_eq!(folders.keys().collect::<Vec<_>>(), ["sd", "unet", "vae"]);
    let vae = pollster::block_on(WeightFile::open_parts(folders.remove("vae").unwrap())).unwrap();
    assert_eq!(vae.extra_json("config.json").unwrap().unwrap()["latent_channels"], 4);
    assert!(vae.tensor("w").is_ok());
}
