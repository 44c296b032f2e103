//! The CPU backend's operations on pictures and batches against plain loops, and convolutions against candle's.

use candle_core::Tensor;
use pollster::block_on;
use proptest::prelude::*;
use vitrine::{
    Result,
    graph::{Binary, DType, Graph, GraphBuilder, Grid, Mask, StepParams, Unary, ValueId, WeightId, Window},
};

use super::numbers;
use crate::common::{floats, on_cpu};

fn run(graph: &Graph, weights: &[Vec<f32>], inputs: &[(&str, &[f32])]) -> Result<Vec<f32>> {
    block_on(async {
        let mut loader = on_cpu().begin(graph).await?;
        for (i, values) in weights.iter().enumerate() {
            loader.put(WeightId(i as u32), 0, bytemuck::cast_slice(values))?;
        }
        let mut plan = loader.finish().await?.compile(graph).await?;
        for (name, values) in inputs {
            plan.write_input(name, bytemuck::cast_slice(values))?;
        }
        let out = plan.step(&StepParams::default(), &["y"])?.await?;
        Ok(floats(&out[0]))
    })
}

fn close(got: &[f32], wanted: &[f32]) {
    assert_eq!(got.len(), wanted.len());
    let scale = wanted.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    for (i, (g, w)) in got.iter().zip(wanted).enumerate() {
        assert!((g - w).abs() <= 1e-4 * scale, "number {i}: {g} for {w}");
    }
}

/// `[n, h, w, c]` → `[n, c, h, w]`
fn channels_first(x: &[f32], grid: Grid, channels: usize) -> Vec<f32> {
    let pixels = grid.height * grid.width;
    (0..x.len())
        .map(|i| {
            let (pixel, c, n) = (i % pixels, i / pixels % channels, i / pixels / channels);
            x[(n * pixels + pixel) * channels + c]
        })
        .collect()
}

/// `[out, in, h, w]` of `[out, h · w · in]`
fn window_last(weight: &[f32], out: usize, channels: usize, area: usize) -> Vec<f32> {
    (0..out * channels * area)
        .map(|i| {
            let (k, c, o) = (i % area, i / area % channels, i / area / channels);
            weight[(o * area + k) * channels + c]
        })
        .collect()
}

fn convolve_as_candle(
    x: &[f32],
    grid: Grid,
    channels: usize,
    weight: &[f32],
    out: usize,
    window: Window,
    bias: &[f32],
) -> Vec<f32> {
    let cpu = candle_core::Device::Cpu;
    let [top, bottom, left, right] = window.padding;
    let area = window.area();
    let tensor =
        Tensor::from_vec(channels_first(x, grid, channels), (grid.batch, channels, grid.height, grid.width), &cpu);
    let weight = window_last(weight, out, channels, area);
    let kernel = Tensor::from_vec(weight, (out, channels, window.height, window.width), &cpu).unwrap();
    let padded = tensor.unwrap().pad_with_zeros(2, top, bottom).unwrap().pad_with_zeros(3, left, right).unwrap();
    let y = padded.conv2d(&kernel, 0, window.stride, window.dilation, 1).unwrap();
    let bias = Tensor::from_vec(bias.to_vec(), (1, out, 1, 1), &cpu).unwrap();
    let y = y.broadcast_add(&bias).unwrap().permute((0, 2, 3, 1)).unwrap();
    y.flatten_all().unwrap().to_vec1().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_convolution_is_candles(
        (batch, height, width, channels, out) in (1usize..3, 3usize..15, 3usize..15, 1usize..7, 1usize..11),
        (side, stride, padding) in (prop::sample::select(vec![1usize, 2, 3]), 1usize..3, prop::array::uniform4(0usize..3)),
        dilation in 1usize..3,
    ) {
        let grid = Grid::new(batch, height, width);
        let window = Window { height: side, width: side, stride, dilation, padding };
        prop_assume!(window.output(grid).is_some());
        let mut g = GraphBuilder::new("t");
        let x = g.input("x", &[grid.rows(), channels], DType::F32);
        let w = g.weight("w", &[out, side * side * channels], DType::F32).unwrap();
        let b = g.weight("b", &[out], DType::F32).unwrap();
        let (y, _) = g.conv2d(w, Some(b), grid, window, x).unwrap();
        g.output("y", y);
        let (values, weight) = (numbers(1, grid.rows() * channels), numbers(2, out * side * side * channels));
        let bias = numbers(3, out);
        let got = run(&g.finish(), &[weight.clone(), bias.clone()], &[("x", &values)]).unwrap();
        close(&got, &convolve_as_candle(&values, grid, channels, &weight, out, window, &bias));
    }

    #[test]
    fn a_transposed_convolution_scatters_what_a_convolution_gathers(
        (batch, height, width, channels, out) in (1usize..3, 1usize..6, 1usize..6, 1usize..5, 1usize..6),
        (side, stride, dilation, padding) in (2usize..5, 1usize..3, 1usize..3, 0usize..2),
    ) {
        let grid = Grid::new(batch, height, width);
        let window = Window { dilation, ..Window::square(side, stride, padding) };
        let Some(output) = window.transposed_output(grid) else { return Ok(()) };
        let mut g = GraphBuilder::new("t");
        let x = g.input("x", &[grid.rows(), channels], DType::F32);
        let w = g.weight("w", &[out, side * side * channels], DType::F32).unwrap();
        let (y, _) = g.conv_transpose2d(w, None, grid, window, x).unwrap();
        g.output("y", y);
        let (values, weight) = (numbers(4, grid.rows() * channels), numbers(5, out * side * side * channels));
        let mut wanted = vec![0.0; output.rows() * out];
        for n in 0..batch {
            for (iy, ix, ky, kx) in (0..height).flat_map(|iy| (0..width).flat_map(move |ix| {
                (0..side).flat_map(move |ky| (0..side).map(move |kx| (iy, ix, ky, kx)))
            })) {
                let (Some(oy), Some(ox)) = ((iy * stride + ky * dilation).checked_sub(padding), (ix * stride + kx * dilation).checked_sub(padding)) else { continue };
                if oy >= output.height || ox >= output.width { continue; }
                for o in 0..out {
                    for c in 0..channels {
                        wanted[((n * output.height + oy) * output.width + ox) * out + o] +=
                            values[((n * height + iy) * width + ix) * channels + c] * weight[(o * side * side + ky * side + kx) * channels + c];
                    }
                }
            }
        }
        close(&run(&g.finish(), &[weight], &[("x", &values)]).unwrap(), &wanted);
    }

    #[test]
    fn attention_between_values_keeps_the_members_of_a_batch_apart(
        (batch, rows, keys, heads, shared, dim) in (1usize..3, 1usize..10, 1usize..20, 1usize..4, 1usize..3, 1usize..9),
        causal in any::<bool>(),
    ) {
        let keys = if causal { rows } else { keys };
        let (kv, heads) = (heads, heads * shared);
        let mut g = GraphBuilder::new("t");
        let q = g.input("q", &[batch * rows, heads * dim], DType::F32);
        let k = g.input("k", &[batch * keys, kv * dim], DType::F32);
        let v = g.input("v", &[batch * keys, kv * dim], DType::F32);
        let mask = if causal { Mask::CAUSAL } else { Mask::FULL };
        let y = g.attention_between(batch, heads, kv, dim, 0.7, mask, q, k, v).unwrap();
        g.output("y", y);
        let [qs, ks, vs] = [(6, batch * rows * heads * dim), (7, batch * keys * kv * dim), (8, batch * keys * kv * dim)].map(|(s, n)| numbers(s, n));
        let mut wanted = vec![0.0; qs.len()];
        for (n, r, h) in (0..batch).flat_map(|n| (0..rows).flat_map(move |r| (0..heads).map(move |h| (n, r, h)))) {
            let seen = if causal { r + 1 } else { keys };
            let at = |j: usize| ((n * keys + j) * kv + h / shared) * dim;
            let row = ((n * rows + r) * heads + h) * dim;
            let scores: Vec<f32> = (0..seen).map(|j| (0..dim).map(|d| qs[row + d] * ks[at(j) + d]).sum::<f32>() * 0.7).map(f32::exp).collect();
            let total: f32 = scores.iter().sum();
            for d in 0..dim {
                wanted[row + d] = (0..seen).map(|j| scores[j] / total * vs[at(j) + d]).sum();
            }
        }
        close(&run(&g.finish(), &[], &[("q", &qs), ("k", &ks), ("v", &vs)]).unwrap(), &wanted);
    }
}

/// A graph of one operation on `x` `[rows, n]` and more inputs.
fn one(
    shapes: &[(&str, [usize; 2])],
    make: impl FnOnce(&mut GraphBuilder, &[ValueId]) -> Result<ValueId>,
    weights: &[Vec<f32>],
    inputs: &[&[f32]],
) -> Vec<f32> {
    let mut g = GraphBuilder::new("t");
    let values: Vec<_> = shapes.iter().map(|(name, shape)| g.input(name, shape, DType::F32)).collect();
    let y = make(&mut g, &values).unwrap();
    g.output("y", y);
    let named: Vec<_> = shapes.iter().zip(inputs).map(|((name, _), values)| (*name, *values)).collect();
    run(&g.finish(), weights, &named).unwrap()
}

#[test]
fn a_group_norm_takes_the_pixels_of_one_picture_and_the_channels_of_one_group() {
    let (batch, pixels, channels, groups, eps) = (2, 15, 12, 3, 1e-5f32);
    let (x, w, b) = (numbers(1, batch * pixels * channels), numbers(2, channels), numbers(3, channels));
    let got = one(
        &[("x", [batch * pixels, channels])],
        |g, v| {
            let weight = g.weight("w", &[channels], DType::F32)?;
            let bias = g.weight("b", &[channels], DType::F32)?;
            g.group_norm(weight, bias, groups, eps, batch, v[0])
        },
        &[w.clone(), b.clone()],
        &[&x],
    );
    let width = channels / groups;
    let mut wanted = x.clone();
    for n in 0..batch {
        for group in 0..groups {
            let places: Vec<usize> = (0..pixels)
                .flat_map(|p| (0..width).map(move |c| (n * pixels + p) * channels + group * width + c))
                .collect();
            let mean = places.iter().map(|i| x[*i]).sum::<f32>() / places.len() as f32;
            let variance = places.iter().map(|i| (x[*i] - mean).powi(2)).sum::<f32>() / places.len() as f32;
            for i in places {
                wanted[i] = (x[i] - mean) / (variance + eps).sqrt() * w[i % channels] + b[i % channels];
            }
        }
    }
    close(&got, &wanted);
}

#[test]
fn a_layer_norm_takes_each_row_with_and_without_weights() {
    let (rows, n, eps) = (5, 13, 1e-6f32);
    let (x, w, b) = (numbers(4, rows * n), numbers(5, n), numbers(6, n));
    let normed: Vec<f32> = x
        .chunks(n)
        .flat_map(|row| {
            let mean = row.iter().sum::<f32>() / n as f32;
            let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n as f32;
            row.iter().map(move |v| (v - mean) / (variance + eps).sqrt()).collect::<Vec<_>>()
        })
        .collect();
    close(&one(&[("x", [rows, n])], |g, v| g.layer_norm(None, None, eps, v[0]), &[], &[&x]), &normed);
    let weighted = one(
        &[("x", [rows, n])],
        |g, v| {
            let weight = g.weight("w", &[n], DType::F32)?;
            let bias = g.weight("b", &[n], DType::F32)?;
            g.layer_norm(Some(weight), Some(bias), eps, v[0])
        },
        &[w.clone(), b.clone()],
        &[&x],
    );
    let wanted: Vec<f32> = normed.iter().enumerate().map(|(i, v)| v * w[i % n] + b[i % n]).collect();
    close(&weighted, &wanted);
}

#[test]
fn each_member_of_a_batch_meets_its_own_row() {
    let (batch, t, n) = (3, 4, 5);
    let (x, y, z) = (numbers(7, batch * t * n), numbers(8, batch * n), numbers(9, batch * n));
    let shapes = [("x", [batch * t, n]), ("y", [batch, n]), ("z", [batch, n])];
    let own = |values: &[f32], i: usize| values[i / (t * n) * n + i % n];
    let inputs: [&[f32]; 3] = [&x, &y, &z];
    let added = one(&shapes[..2], |g, v| g.broadcast(Binary::Add, batch, v[0], v[1]), &[], &inputs[..2]);
    close(&added, &(0..x.len()).map(|i| x[i] + own(&y, i)).collect::<Vec<_>>());
    let product = one(&shapes[..2], |g, v| g.broadcast(Binary::Mul, batch, v[0], v[1]), &[], &inputs[..2]);
    close(&product, &(0..x.len()).map(|i| x[i] * own(&y, i)).collect::<Vec<_>>());
    let modulated = one(&shapes, |g, v| g.modulate(batch, v[0], v[1], v[2]), &[], &inputs);
    close(&modulated, &(0..x.len()).map(|i| x[i] * (1.0 + own(&z, i)) + own(&y, i)).collect::<Vec<_>>());
}

#[test]
fn rows_of_another_length_hold_the_same_numbers() {
    let x = numbers(1, 12);
    let turned = |rows| move |g: &mut GraphBuilder, v: &[ValueId]| g.reshape(rows, v[0]);
    for rows in [1, 2, 6, 12] {
        close(&one(&[("x", [3, 4])], turned(rows), &[], &[&x]), &x);
    }
    let mut g = GraphBuilder::new("t");
    let v = g.input("x", &[3, 4], DType::F32);
    for rows in [0, 5, 24] {
        assert!(g.reshape(rows, v).unwrap_err().to_string().contains("reshape"));
    }
}

#[test]
fn columns_are_cut_out_and_put_side_by_side() {
    let (rows, a, b) = (4, 7, 3);
    let (x, y) = (numbers(1, rows * a), numbers(2, rows * b));
    let cut = one(&[("x", [rows, a])], |g, v| g.slice_columns(2, 4, v[0]), &[], &[&x]);
    close(&cut, &x.chunks(a).flat_map(|row| row[2..6].to_vec()).collect::<Vec<_>>());
    let both = one(&[("x", [rows, a]), ("y", [rows, b])], |g, v| g.concat(v[0], v[1]), &[], &[&x, &y]);
    close(&both, &x.chunks(a).zip(y.chunks(b)).flat_map(|(x, y)| [x, y].concat()).collect::<Vec<_>>());
}

#[test]
fn a_half_gates_the_other() {
    let x = [1.0, -2.0, 0.5, 3.0, 0.0, 4.0, -1.0, 2.0];
    let relu = |v: f32| v.max(0.0);
    for right in [false, true] {
        let mut g = GraphBuilder::new("t");
        let both = g.input("x", &[2, 4], DType::F32);
        let (a, b) = (g.slice_columns(0, 2, both).unwrap(), g.slice_columns(2, 2, both).unwrap());
        let (gate, other) = if right { (b, a) } else { (a, b) };
        let gate = g.unary(Unary::LeakyRelu { slope: 0.0 }, gate);
        let y = g.binary(Binary::Mul, other, gate).unwrap();
        g.output("y", y);
        let wanted: Vec<f32> = x
            .chunks(4)
            .flat_map(|row| [0, 1].map(|i| (row[i], row[i + 2])))
            .map(|(a, b)| if right { a * relu(b) } else { relu(a) * b })
            .collect();
        close(&run(&g.finish(), &[], &[("x", &x)]).unwrap(), &wanted);
    }
}

#[test]
fn the_top_left_of_every_picture_is_cut_out() {
    let (grid, channels) = (Grid::new(2, 4, 3), 2);
    let x = numbers(5, grid.rows() * channels);
    let got = one(&[("x", [grid.rows(), channels])], |g, v| Ok(g.crop(grid, 3, 2, v[0])?.0), &[], &[&x]);
    let rows = (0..2).flat_map(|n| (0..3).flat_map(move |y| (0..2).map(move |x| (n * 4 + y) * 3 + x)));
    close(&got, &rows.flat_map(|row| x[row * channels..][..channels].to_vec()).collect::<Vec<_>>());
}

#[test]
fn every_pixel_becomes_a_square() {
    let (grid, channels) = (Grid::new(2, 2, 3), 2);
    let x = numbers(3, grid.rows() * channels);
    let got = one(&[("x", [grid.rows(), channels])], |g, v| Ok(g.upsample(grid, 2, v[0])?.0), &[], &[&x]);
    let output = grid.times(2);
    let pixel = |i: usize| {
        let (column, line) = (i / channels % output.width, i / channels / output.width);
        let (y, n) = (line % output.height, line / output.height);
        x[((n * grid.height + y / 2) * grid.width + column / 2) * channels + i % channels]
    };
    close(&got, &(0..output.rows() * channels).map(pixel).collect::<Vec<_>>());
}

#[test]
fn timesteps_become_sines_and_cosines() {
    let t = [0.0f32, 7.0, 999.0];
    for (shift, cosine_first) in [(0.0, true), (1.0, false)] {
        let got =
            one(&[("t", [3, 1])], |g, v| g.timestep_embedding(8, 10_000.0, shift, cosine_first, v[0]), &[], &[&t]);
        let wanted: Vec<f32> = t
            .iter()
            .flat_map(|t| {
                let angle = |i: usize| f64::from(*t) * 10_000f64.powf(-(i as f64) / (4.0 - f64::from(shift)));
                let sines: Vec<f32> = (0..4).map(|i| angle(i).sin() as f32).collect();
                let cosines: Vec<f32> = (0..4).map(|i| angle(i).cos() as f32).collect();
                if cosine_first { [cosines, sines].concat() } else { [sines, cosines].concat() }
            })
            .collect();
        close(&got, &wanted);
    }
}

#[test]
fn functions_of_one_value_are_candles_and_the_papers() {
    let x: Vec<f32> = (-60..60).map(|i| i as f32 * 0.11).collect();
    let tensor = Tensor::from_vec(x.clone(), x.len(), &candle_core::Device::Cpu).unwrap();
    let plain = |f: &dyn Fn(f32) -> f32| x.iter().map(|v| f(*v)).collect::<Vec<_>>();
    let sigmoid = |v: f32| 1.0 / (1.0 + (-v).exp());
    let cases: [(Unary, Vec<f32>); 7] = [
        (Unary::Gelu, tensor.gelu_erf().unwrap().to_vec1().unwrap()),
        (Unary::QuickGelu, plain(&|v| v * sigmoid(1.702 * v))),
        (Unary::LeakyRelu { slope: 0.0 }, plain(&|v| v.max(0.0))),
        (Unary::LeakyRelu { slope: 0.2 }, plain(&|v| if v > 0.0 { v } else { 0.2 * v })),
        (Unary::Tanh, plain(&f32::tanh)),
        (Unary::Sigmoid, plain(&sigmoid)),
        (Unary::Affine { scale: -2.0, shift: 0.5 }, plain(&|v| 0.5 - 2.0 * v)),
    ];
    for (f, wanted) in cases {
        close(&one(&[("x", [1, x.len()])], |g, v| Ok(g.unary(f, v[0])), &[], &[&x]), &wanted);
    }
}

/// A chain of `depth` convolutions of 32 channels over `side²` pixels, with what it needs to run.
fn long_work(side: usize, depth: usize) -> (vitrine::backend::Resident, vitrine::backend::Plan) {
    let grid = Grid::new(1, side, side);
    let mut g = GraphBuilder::new("t");
    let mut x = g.input("x", &[grid.rows(), 32], DType::F32);
    let w = g.weight("w", &[32, 9 * 32], DType::F32).unwrap();
    for _ in 0..depth {
        x = g.conv2d(w, None, grid, Window::square(3, 1, 1), x).unwrap().0;
    }
    g.output("y", x);
    let graph = g.finish();
    block_on(async {
        let mut loader = on_cpu().begin(&graph).await.unwrap();
        let weight: Vec<f32> = numbers(1, 32 * 9 * 32).iter().map(|v| v * 0.1).collect();
        loader.put(WeightId(0), 0, bytemuck::cast_slice(&weight)).unwrap();
        let resident = loader.finish().await.unwrap();
        let plan = resident.compile(&graph).await.unwrap();
        (resident, plan)
    })
}

fn poll_once(pending: &mut vitrine::backend::Pending) -> bool {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    pending.as_mut().poll(&mut context).is_ready()
}

#[test]
fn a_long_step_gives_way_and_ends_where_it_is_dropped() {
    let (resident, mut plan) = long_work(64, 30);
    let idle = resident.bytes();
    plan.write_input("x", &vec![0x3f80_0000; 64 * 64 * 32]).unwrap();
    let mut pending = plan.step(&StepParams::default(), &["y"]).unwrap();
    assert!(!poll_once(&mut pending), "a step of a billion products was done within a turn");
    drop(pending);
    assert_eq!(resident.bytes(), idle, "a dropped step leaves nothing behind");
    let whole = block_on(plan.step(&StepParams::default(), &["y"]).unwrap()).unwrap();
    let again = block_on(plan.step(&StepParams::default(), &["y"]).unwrap()).unwrap();
    assert!(whole == again && resident.bytes() == idle);
}

#[test]
fn steps_of_one_plan_that_are_started_together_each_read_their_own_inputs() {
    let (_, mut plan) = long_work(16, 2);
    let mut start = |value: f32| {
        plan.write_input("x", &vec![value.to_bits(); 16 * 16 * 32]).unwrap();
        plan.step(&StepParams::default(), &["y"]).unwrap()
    };
    let (one, two, one_again) = (start(1.0), start(2.0), start(1.0));
    let (two, one, one_again) = block_on(async { (two.await.unwrap(), one.await.unwrap(), one_again.await.unwrap()) });
    assert!(one == one_again && one != two);
}

#[test]
fn a_chain_of_operations_holds_two_values_at_a_time() {
    let (resident, mut plan) = long_work(64, 30);
    let idle = resident.bytes();
    let mut pending = plan.step(&StepParams::default(), &["y"]).unwrap();
    let mut most = 0;
    while !poll_once(&mut pending) {
        most = most.max(resident.bytes() - idle);
    }
    let value = 64 * 64 * 32 * 4;
    assert!(most >= 2 * value && most < 4 * value, "{most} bytes for values of {value}");
}

#[test]
fn what_follows_and_precedes_a_convolution_may_be_computed_with_it() {
    let (grid, channels) = (Grid::new(2, 6, 5), 5);
    let large = grid.times(2);
    let weight: Vec<f32> = numbers(1, channels * 9 * channels);
    let window = Window::square(3, 1, 1);
    let x = numbers(2, grid.rows() * channels);
    let shortcut = numbers(3, large.rows() * channels);
    let graph = |apart: bool| {
        let mut g = GraphBuilder::new("t");
        let v = g.input("x", &[grid.rows(), channels], DType::F32);
        let shortcut = g.input("shortcut", &[large.rows(), channels], DType::F32);
        let w = g.weight("w", &[channels, 9 * channels], DType::F32).unwrap();
        let (v, large) = g.upsample(grid, 2, v).unwrap();
        let (h, _) = g.conv2d(w, None, large, window, v).unwrap();
        let sum = g.binary(Binary::Add, shortcut, h).unwrap();
        let y = g.unary(Unary::LeakyRelu { slope: 0.1 }, sum);
        if apart {
            // What the caller reads is a value by itself.
            g.output("v", v);
            g.output("h", h);
            g.output("sum", sum);
        }
        g.output("y", y);
        g.finish()
    };
    let inputs: [(&str, &[f32]); 2] = [("x", &x), ("shortcut", &shortcut)];
    let [joined, apart] =
        [false, true].map(|apart| run(&graph(apart), std::slice::from_ref(&weight), &inputs).unwrap());
    assert_eq!(joined, apart);
    let at = |i: usize| {
        let (column, line) = (i / channels % large.width, i / channels / large.width);
        let (y, n) = (line % large.height, line / large.height);
        x[((n * grid.height + y / 2) * grid.width + column / 2) * channels + i % channels]
    };
    let upsampled: Vec<f32> = (0..large.rows() * channels).map(at).collect();
    let h = convolve_as_candle(&upsampled, large, channels, &weight, channels, window, &[0.0; 5]);
    let wanted: Vec<f32> =
        h.iter().zip(&shortcut).map(|(a, b)| a + b).map(|v| if v > 0.0 { v } else { 0.1 * v }).collect();
    close(&joined, &wanted);
}

#[test]
fn an_activation_after_a_group_norm_may_be_computed_with_it() {
    let (pixels, channels) = (9, 8);
    let (x, w, b) = (numbers(1, pixels * channels), numbers(2, channels), numbers(3, channels));
    let norm = |silu: bool| {
        one(
            &[("x", [pixels, channels])],
            |g, v| {
                let weight = g.weight("w", &[channels], DType::F32)?;
                let bias = g.weight("b", &[channels], DType::F32)?;
                let y = g.group_norm(weight, bias, 2, 1e-5, 1, v[0])?;
                Ok(if silu { g.unary(Unary::Silu, y) } else { y })
            },
            &[w.clone(), b.clone()],
            &[&x],
        )
    };
    close(&norm(true), &norm(false).iter().map(|v| v / (1.0 + (-v).exp())).collect::<Vec<_>>());
}

#[test]
fn convolutions_read_weights_of_every_kind() {
    let (grid, channels, out) = (Grid::new(1, 9, 11), 32, 10);
    let x = numbers(1, grid.rows() * channels);
    for (dtype, stride) in
        [DType::F16, DType::BF16, DType::Q8_0, DType::Q4_1].into_iter().flat_map(|d| [(d, 1), (d, 2)])
    {
        let numbers = numbers(2, out * 9 * channels);
        // The file's bytes, and the weights that they stand for.
        let mut bytes = vec![];
        let mut weight = vec![];
        for block in numbers.chunks(32) {
            let quant = |v: &f32, largest: f32| (v * largest).round();
            match dtype {
                DType::F16 => block.iter().for_each(|v| {
                    let half = half::f16::from_f32(*v);
                    bytes.extend(half.to_le_bytes());
                    weight.push(half.to_f32());
                }),
                DType::BF16 => block.iter().for_each(|v| {
                    let half = half::bf16::from_f32(*v);
                    bytes.extend(half.to_le_bytes());
                    weight.push(half.to_f32());
                }),
                DType::Q8_0 => {
                    bytes.extend(half::f16::from_f32(1.0 / 128.0).to_le_bytes());
                    bytes.extend(block.iter().map(|v| quant(v, 127.0) as i8 as u8));
                    weight.extend(block.iter().map(|v| quant(v, 127.0) / 128.0));
                }
                _ => {
                    let nibble = |v: &f32| quant(&(v + 1.0), 7.0) as u8;
                    for v in [0.125f32, -1.0] {
                        bytes.extend(half::f16::from_f32(v).to_le_bytes());
                    }
                    bytes.extend((0..16).map(|i| nibble(&block[i]) | nibble(&block[i + 16]) << 4));
                    weight.extend(block.iter().map(|v| f32::from(nibble(v)) * 0.125 - 1.0));
                }
            }
        }
        let window = Window::square(3, stride, 1);
        let mut g = GraphBuilder::new("t");
        let v = g.input("x", &[grid.rows(), channels], DType::F32);
        let w = g.weight("w", &[out, 9 * channels], dtype).unwrap();
        let (y, _) = g.conv2d(w, None, grid, window, v).unwrap();
        g.output("y", y);
        let graph = g.finish();
        let got = block_on(async {
            let mut loader = on_cpu().begin(&graph).await?;
            loader.put(WeightId(0), 0, &bytes)?;
            let mut plan = loader.finish().await?.compile(&graph).await?;
            plan.write_input("x", bytemuck::cast_slice(&x))?;
            plan.step(&StepParams::default(), &["y"])?.await
        });
        let got = floats(&got.unwrap()[0]);
        close(&got, &convolve_as_candle(&x, grid, channels, &weight, out, window, &vec![0.0; out]));
    }
}
