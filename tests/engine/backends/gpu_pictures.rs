//! The GPU's operations on pictures and batches against the CPU backend.

use pollster::block_on;
use proptest::prelude::*;
use vitrine::{
    Result,
    backend::{Device, Loader, Plan, Resident, gpu},
    graph::{Binary, DType, Graph, GraphBuilder, Grid, Mask, StepParams, Unary, ValueId, WeightId, Window},
};

use super::{every_gpu, numbers};
use crate::common::{as_hardware, floats, on_cpu};

/// The weights of `graph` follow from their number.
async fn load(mut loader: Loader, graph: &Graph) -> Result<Resident> {
    for (i, spec) in graph.weights.iter().enumerate() {
        let values = numbers(i as u64 + 50, spec.shape.iter().product());
        loader.put(WeightId(i as u32), 0, &encoded(spec.dtype, &values))?;
    }
    loader.finish().await
}

/// All outputs of a step; weights are F32 or Q8_0 and follow from their number.
fn run(device: &Device, graph: &Graph, inputs: &[(&str, Vec<f32>)]) -> Result<Vec<Vec<f32>>> {
    block_on(async {
        let mut plan = load(device.begin(graph).await?, graph).await?.compile(graph).await?;
        for (name, values) in inputs {
            plan.write_input(name, bytemuck::cast_slice(values))?;
        }
        let names: Vec<&str> = graph.outputs.iter().map(|(name, _)| name.as_str()).collect();
        let outputs = plan.step(&StepParams::default(), &names)?.await?;
        Ok(outputs.iter().map(|words| floats(words)).collect())
    })
}

fn encoded(dtype: DType, values: &[f32]) -> Vec<u8> {
    match dtype {
        DType::F32 => bytemuck::cast_slice(values).to_vec(),
        DType::F16 => values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect(),
        DType::Q8_0 => values
            .chunks(32)
            .flat_map(|block| {
                let scale = half::f16::from_f32(1.0 / 127.0);
                let quants = block.iter().map(|v| (v * 127.0) as i8 as u8);
                scale.to_le_bytes().into_iter().chain(quants).collect::<Vec<_>>()
            })
            .collect(),
        other => panic!("no test has weights in {other}"),
    }
}

/// Both backends give the same numbers for every output, to `tolerance` of the largest.
fn agree_to(tolerance: f32, graph: &Graph, inputs: &[(&str, Vec<f32>)]) {
    let wanted = run(&on_cpu(), graph, inputs).unwrap();
    for device in every_gpu() {
        let got = run(&device, graph, inputs).unwrap();
        for (((name, _), wanted), got) in graph.outputs.iter().zip(&wanted).zip(&got) {
            assert_eq!(wanted.len(), got.len(), "{name}");
            let largest = wanted.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
            for (i, (w, g)) in wanted.iter().zip(got).enumerate() {
                assert!((w - g).abs() <= tolerance * largest, "{name}[{i}]: {g} for {w}");
            }
        }
    }
}

/// The same for a graph made of inputs of these shapes.
fn agree(shapes: &[(&str, [usize; 2])], make: impl FnOnce(&mut GraphBuilder, &[ValueId]) -> Result<Vec<ValueId>>) {
    let mut g = GraphBuilder::new("t");
    let values: Vec<_> = shapes.iter().map(|(name, shape)| g.input(name, shape, DType::F32)).collect();
    for (i, value) in make(&mut g, &values).unwrap().into_iter().enumerate() {
        g.output(&format!("y{i}"), value);
    }
    let inputs: Vec<_> =
        shapes.iter().enumerate().map(|(i, (name, [t, n]))| (*name, numbers(i as u64 + 1, t * n))).collect();
    agree_to(1e-3, &g.finish(), &inputs);
}

#[test]
fn functions_of_one_value_agree() {
    for cols in [120, 37] {
        let mut g = GraphBuilder::new("t");
        let x = g.input("x", &[3, cols], DType::F32);
        for f in gpu::kernels::unary::EVERY {
            // What is below zero has neither.
            let of = if matches!(f, Unary::Log | Unary::Sqrt) { g.binary(Binary::Mul, x, x).unwrap() } else { x };
            let y = g.unary(f, of);
            g.output(&format!("{f:?}"), y);
        }
        let x = numbers(1, 3 * cols).iter().map(|v| v * 20.0).collect();
        agree_to(1e-3, &g.finish(), &[("x", x)]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn members_of_a_batch_meet_their_rows(batch in 1usize..4, t in 1usize..6, n in 1usize..40) {
        agree(&[("x", [batch * t, n]), ("y", [batch, n]), ("z", [batch, n])], |g, v| {
            Ok(vec![
                g.broadcast(Binary::Add, batch, v[0], v[1])?,
                g.broadcast(Binary::Mul, batch, v[0], v[1])?,
                g.modulate(batch, v[0], v[1], v[2])?,
            ])
        });
    }

    #[test]
    fn windows_on_columns_are_read_by_everything(rows in 1usize..6, first in 0usize..9, n in 1usize..20) {
        agree(&[("x", [rows, 2 * n + 9]), ("m", [1, 3 * n])], |g, v| {
            let left = g.slice_columns(first, n, v[0])?;
            let right = g.slice_columns(n + first, n, v[0])?;
            let inner = g.slice_columns(n / 2, n - n / 2, right)?;
            let w = g.weight("w", &[5, n], DType::F32)?;
            let (shift, scale) = (g.slice_columns(n, n, v[1])?, g.slice_columns(2 * n, n, v[1])?);
            let normed = g.layer_norm(None, None, 1e-5, left)?;
            Ok(vec![
                left,
                inner,
                g.concat(left, v[0])?,
                g.concat(inner, right)?,
                g.binary(Binary::Add, left, right)?,
                g.linear(w, None, right)?,
                g.modulate(1, left, shift, scale)?,
                normed,
            ])
        });
    }

    #[test]
    fn numbers_stand_in_rows_of_another_length(rows in 1usize..6, parts in 1usize..5, n in 1usize..20) {
        agree(&[("x", [rows, parts * n + 3])], |g, v| {
            // Of a value with gaps between its rows too, and on the way into a layer.
            let cut = g.slice_columns(2, parts * n, v[0])?;
            let longer = g.reshape(rows * parts, cut)?;
            let w = g.weight("w", &[5, n], DType::F32)?;
            Ok(vec![longer, g.reshape(1, v[0])?, g.linear(w, None, longer)?, g.reshape(rows, longer)?])
        });
    }

    #[test]
    fn norms_agree_with_functions_after_them(
        batch in 1usize..3, pixels in 1usize..50, groups in 1usize..5, width in 1usize..30,
    ) {
        let n = groups * width;
        agree(&[("x", [batch * pixels, n])], |g, v| {
            let w = g.weight("w", &[n], DType::F32)?;
            let b = g.weight("b", &[n], DType::F32)?;
            let plain = g.group_norm(w, b, groups, 1e-5, batch, v[0])?;
            let group = g.group_norm(w, b, groups, 1e-6, batch, v[0])?;
            let layer = g.layer_norm(Some(w), Some(b), 1e-5, v[0])?;
            let weighted = g.layer_norm(Some(w), None, 1e-5, v[0])?;
            let gate = g.group_norm(w, b, groups, 1e-5, batch, v[0])?;
            let gate = g.unary(Unary::Silu, gate);
            Ok(vec![
                plain,
                g.unary(Unary::Silu, group),
                g.unary(Unary::QuickGelu, layer),
                g.unary(Unary::LeakyRelu { slope: 0.2 }, weighted),
                g.binary(Binary::Mul, gate, v[0])?,
            ])
        });
    }

    #[test]
    fn attention_between_values_agrees(
        batch in 1usize..3, rows in prop::sample::select(vec![1usize, 3, 16, 37]), keys in prop::sample::select(vec![1usize, 7, 77]),
        (kv_heads, share) in (1usize..3, 1usize..3), head_dim in prop::sample::select(vec![6usize, 8, 40, 64]), causal: bool,
    ) {
        let heads = kv_heads * share;
        let (mask, keys) = if causal { (Mask::CAUSAL, rows) } else { (Mask::FULL, keys) };
        let (q, kv) = (heads * head_dim, kv_heads * head_dim);
        // Keys and values are windows on one value, as where one matrix makes both.
        agree(&[("q", [batch * rows, q]), ("kv", [batch * keys, 2 * kv])], |g, v| {
            let (k, v2) = (g.slice_columns(0, kv, v[1])?, g.slice_columns(kv, kv, v[1])?);
            let y = g.attention_between(batch, heads, kv_heads, head_dim, 0.5, mask, v[0], k, v2)?;
            Ok(vec![y])
        });
    }

    #[test]
    fn pixels_become_squares(batch in 1usize..3, height in 1usize..5, width in 1usize..5, n in 1usize..9, factor in 1usize..4) {
        let grid = Grid::new(batch, height, width);
        agree(&[("x", [grid.rows(), n])], |g, v| Ok(vec![g.upsample(grid, factor, v[0])?.0]));
    }

    #[test]
    fn pictures_are_cut(batch in 1usize..3, height in 1usize..5, width in 1usize..5, n in 1usize..9, less in 0usize..3) {
        let grid = Grid::new(batch, height + less, width + 1);
        agree(&[("x", [grid.rows(), n])], |g, v| Ok(vec![g.crop(grid, height, width, v[0])?.0]));
    }
}

#[test]
fn a_large_pictures_groups_are_normed_in_parts() {
    // Far from zero, where sums of squares would lose what matters; and a number of rows that no part's divides.
    for (batch, pixels, groups, width) in [(2, 300, 3, 20), (1, 9001, 2, 1)] {
        let n = groups * width;
        let mut g = GraphBuilder::new("t");
        let x = g.input("x", &[batch * pixels, n + 2], DType::F32);
        let x = g.slice_columns(2, n, x).unwrap();
        let w = g.weight("w", &[n], DType::F32).unwrap();
        let b = g.weight("b", &[n], DType::F32).unwrap();
        let normed = g.group_norm(w, b, groups, 1e-5, batch, x).unwrap();
        let other = g.group_norm(w, b, groups, 1e-6, batch, x).unwrap();
        let other = g.unary(Unary::Silu, other);
        g.output("norm", normed);
        g.output("silu", other);
        let x = numbers(1, batch * pixels * (n + 2)).iter().map(|v| 100.0 + v).collect();
        agree_to(1e-3, &g.finish(), &[("x", x)]);
    }
}

#[test]
fn timesteps_become_the_same_waves() {
    let mut g = GraphBuilder::new("t");
    let t = g.input("t", &[3, 1], DType::F32);
    for (columns, shift, cosine_first) in [(320, 0.0, true), (6, 1.0, false)] {
        let y = g.timestep_embedding(columns, 10_000.0, shift, cosine_first, t).unwrap();
        g.output(&format!("{columns}"), y);
    }
    agree_to(1e-3, &g.finish(), &[("t", vec![0.0, 1.0, 981.0])]);
}

/// A convolution of `x`, transposed or not, with a weight and a bias named after `name`.
#[allow(clippy::too_many_arguments)]
fn conv(
    g: &mut GraphBuilder,
    name: &str,
    dtype: DType,
    out: usize,
    input: Grid,
    window: Window,
    transposed: bool,
    x: ValueId,
) -> Result<(ValueId, Grid)> {
    let channels = g.shape(x)[1];
    let w = g.weight(name, &[out, window.area() * channels], dtype)?;
    let b = Some(g.weight(&format!("{name}.bias"), &[out], DType::F32)?);
    if transposed { g.conv_transpose2d(w, b, input, window, x) } else { g.conv2d(w, b, input, window, x) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn convolutions_agree_for_any_window_stride_and_padding(
        batch in 1usize..3, height in 1usize..9, width in 1usize..9, channels in prop::sample::select(vec![1usize, 3, 4, 20, 32, 64]),
        out in 1usize..40, kernel in (1usize..5, 1usize..5), stride in 1usize..4, padding in prop::array::uniform4(0usize..3),
        transposed: bool, dilation in 1usize..3,
    ) {
        let grid = Grid::new(batch, height, width);
        let window = Window { height: kernel.0, width: kernel.1, stride, dilation, padding };
        let fits = if transposed { window.transposed_output(grid) } else { window.output(grid) };
        prop_assume!(fits.is_some());
        agree(&[("x", [grid.rows(), channels])], |g, v| {
            Ok(vec![conv(g, "w", DType::F32, out, grid, window, transposed, v[0])?.0])
        });
    }
}

#[test]
fn convolutions_with_packed_weights_agree() {
    let grid = Grid::new(2, 5, 7);
    for (dtype, channels, side) in [(DType::F16, 12, 3), (DType::F16, 32, 3), (DType::Q8_0, 64, 3), (DType::Q8_0, 4, 4)]
    {
        let mut g = GraphBuilder::new("t");
        let x = g.input("x", &[grid.rows(), channels], DType::F32);
        let y = conv(&mut g, "w", dtype, 70, grid, Window::square(side, 1, 1), false, x).unwrap().0;
        g.output("y", y);
        agree_to(1e-2, &g.finish(), &[("x", numbers(1, grid.rows() * channels))]);
    }
}

/// How many kernels of the graph's plan have names that begin with each of `names`.
fn kernels(graph: &Graph, names: &[&str]) -> Vec<usize> {
    block_on(async {
        let resident = as_hardware(true).begin(graph).await.unwrap();
        let Plan::Gpu(plan) = load(resident, graph).await.unwrap().compile(graph).await.unwrap() else {
            unreachable!()
        };
        names.iter().map(|name| plan.kernels().filter(|kernel| kernel.starts_with(name)).count()).collect()
    })
}

#[test]
fn what_follows_a_convolution_is_done_by_it() {
    let grid = Grid::new(2, 4, 6);
    let (small, same) = (Grid::new(2, 2, 3), Window::square(3, 1, 1));
    let mut g = GraphBuilder::new("t");
    let x = g.input("x", &[small.rows(), 8], DType::F32);
    let time = g.input("time", &[2, 8], DType::F32);
    let gain = g.input("gain", &[2, 8], DType::F32);
    let (up, _) = g.upsample(small, 2, x).unwrap();
    let (a, _) = conv(&mut g, "a", DType::F32, 8, grid, same, false, up).unwrap();
    let h = g.broadcast(Binary::Add, 2, a, time).unwrap();
    let h = g.unary(Unary::Silu, h);
    let (b, _) = conv(&mut g, "b", DType::F32, 8, grid, same, false, h).unwrap();
    let b = g.binary(Binary::Add, b, h).unwrap();
    let b = g.unary(Unary::LeakyRelu { slope: 0.0 }, b);
    let (c, _) = conv(&mut g, "c", DType::F32, 8, grid, Window::square(1, 1, 0), false, b).unwrap();
    let c = g.broadcast(Binary::Mul, 2, c, gain).unwrap();
    let c = g.binary(Binary::Add, b, c).unwrap();
    // Two layers meet: the later adds.
    let (d, _) = conv(&mut g, "d", DType::F32, 5, grid, same, false, c).unwrap();
    let (e, _) = conv(&mut g, "e", DType::F32, 5, grid, same, false, b).unwrap();
    let y = g.binary(Binary::Add, d, e).unwrap();
    let y = g.unary(Unary::Affine { scale: 0.5, shift: 0.5 }, y);
    g.output("y", y);
    let graph = g.finish();
    let inputs = [("x", numbers(1, small.rows() * 8)), ("time", numbers(2, 16)), ("gain", numbers(3, 16))];
    agree_to(1e-3, &graph, &inputs);
    assert_eq!(kernels(&graph, &["matmul", "elementwise"]), [5, 0]);
}

/// A linear layer whose halves meet: `f` of the one, the right where `right` holds, times the other.
fn halves_that_meet(g: &mut GraphBuilder, f: Unary, right: bool, n: usize, x: ValueId) -> Result<ValueId> {
    let weight = g.weight("both.weight", &[2 * n, g.shape(x)[1]], DType::F32)?;
    let bias = g.weight("both.bias", &[2 * n], DType::F32)?;
    let both = g.linear(weight, Some(bias), x)?;
    let (a, b) = (g.slice_columns(0, n, both)?, g.slice_columns(n, n, both)?);
    let (gate, other) = if right { (b, a) } else { (a, b) };
    let gate = g.unary(f, gate);
    if right { g.binary(Binary::Mul, other, gate) } else { g.binary(Binary::Mul, gate, other) }
}

#[test]
fn a_layer_does_the_product_of_its_halves() {
    for (t, n, f, right) in [
        (1, 12, Unary::Gelu, true),
        (5, 9, Unary::Gelu, true),
        (70, 40, Unary::Gelu, true),
        (3, 7, Unary::QuickGelu, false),
    ] {
        let mut g = GraphBuilder::new("t");
        let x = g.input("x", &[t, 20], DType::F32);
        let y = halves_that_meet(&mut g, f, right, n, x).unwrap();
        g.output("y", y);
        let graph = g.finish();
        agree_to(1e-4, &graph, &[("x", numbers(1, t * 20))]);
        assert_eq!(kernels(&graph, &["mat", "elementwise"]), [1, 0], "{t} rows of {n}");
    }
}

#[test]
fn halves_that_others_read_too_are_cut() {
    agree(&[("x", [6, 20])], |g, v| {
        let weight = g.weight("both.weight", &[16, 20], DType::F32)?;
        let both = g.linear(weight, None, v[0])?;
        let (a, b) = (g.slice_columns(0, 8, both)?, g.slice_columns(8, 8, both)?);
        let gate = g.unary(Unary::Gelu, b);
        let product = g.binary(Binary::Mul, a, gate)?;
        Ok(vec![product, gate, both])
    });
}

#[test]
fn a_value_that_others_read_too_is_kept_as_it_is() {
    let grid = Grid::new(1, 3, 4);
    agree(&[("x", [grid.rows(), 8])], |g, v| {
        let same = Window::square(3, 1, 1);
        let (a, _) = conv(g, "a", DType::F32, 8, grid, same, false, v[0])?;
        let relu = g.unary(Unary::LeakyRelu { slope: 0.0 }, a);
        let (twice, both) = g.upsample(grid, 2, relu)?;
        let (b, _) = conv(g, "b", DType::F32, 3, both, same, false, twice)?;
        let sum = g.binary(Binary::Add, a, relu)?;
        Ok(vec![relu, sum, twice, b])
    });
}
