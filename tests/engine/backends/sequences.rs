//! Recurrent cells, states, pooling and softmax against candle, state spaces against plain sums, on both backends.

use candle_core::{D, DType as CandleType, Device as CandleDevice, Tensor};
use candle_nn::{
    VarBuilder,
    rnn::{GRUConfig, LSTMConfig, RNN, gru, lstm},
};
use pollster::block_on;
use proptest::prelude::*;
use vitrine::{
    ErrorCode,
    backend::{Device, Resident},
    graph::{Binary, Cell, DType, Graph, GraphBuilder, Grid, Pooling, StepParams, Unary, ValueId, WeightId, Window},
};

use super::{every_device, numbers};
use crate::common::{bits, floats};

/// Weight `i` of `graph` holds `numbers(i, …)`, scaled down.
fn weight(i: usize, count: usize) -> Vec<f32> {
    numbers(i as u64 + 1, count).iter().map(|v| v * 0.5).collect()
}

fn load(device: &Device, graph: &Graph) -> Resident {
    block_on(async {
        let mut loader = device.begin(graph).await.unwrap();
        for (i, spec) in graph.weights.iter().enumerate() {
            let values = weight(i, spec.shape.iter().product());
            loader.put(WeightId(i as u32), 0, bytemuck::cast_slice(&values)).unwrap();
        }
        loader.finish().await.unwrap()
    })
}

/// The output `y` of a step.
fn run(device: &Device, graph: &Graph, inputs: &[(&str, Vec<u32>)]) -> Vec<f32> {
    let mut plan = block_on(load(device, graph).compile(graph)).unwrap();
    for (name, words) in inputs {
        plan.write_input(name, words).unwrap();
    }
    floats(&block_on(plan.step(&StepParams::default(), &["y"]).unwrap()).unwrap()[0])
}

#[track_caller]
fn close(device: &Device, got: &[f32], wanted: &[f32]) {
    assert_eq!(got.len(), wanted.len());
    let largest = wanted.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    for (i, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        assert!((got - wanted).abs() <= 1e-4 * largest, "{}: number {i} is {got}, not {wanted}", device.info().name);
    }
}

fn tensor(values: &[f32], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &CandleDevice::Cpu).unwrap()
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// A layer of `cell` over `batch` sequences of `t` rows, `[batch · t, inputs]`: projections, the cell, its states after each row.
fn layer(cell: Cell, [batch, t]: [usize; 2], inputs: usize, width: usize, biased: bool) -> Graph {
    let wide = cell.gates() * width;
    let mut g = GraphBuilder::new("layer");
    let w_ih = g.weight("weight_ih_l0", &[wide, inputs], DType::F32).unwrap();
    let w_hh = g.weight("weight_hh_l0", &[wide, width], DType::F32).unwrap();
    let b_ih = biased.then(|| g.weight("bias_ih_l0", &[wide], DType::F32).unwrap());
    let b_hh = biased.then(|| g.weight("bias_hh_l0", &[wide], DType::F32).unwrap());
    let hidden = g.state("hidden", &[batch, width], DType::F32).unwrap();
    let memory = (cell == Cell::Lstm).then(|| g.state("memory", &[batch, width], DType::F32).unwrap());
    let x = g.input("x", &[batch * t, inputs], DType::F32);
    let x = g.linear(w_ih, b_ih, x).unwrap();
    let y = g.recurrent(cell, (w_hh, b_hh), (hidden, memory), x).unwrap();
    g.output("y", y);
    g.finish()
}

/// What candle makes of the rows `x` with the weights of [`layer`].
fn by_candle(cell: Cell, x: &[f32], batch: usize, inputs: usize, width: usize, biased: bool) -> Vec<f32> {
    let wide = cell.gates() * width;
    let shapes = [("weight_ih_l0", vec![wide, inputs]), ("weight_hh_l0", vec![wide, width])];
    let biases = [("bias_ih_l0", vec![wide]), ("bias_hh_l0", vec![wide])];
    let all = shapes.into_iter().chain(biases.into_iter().filter(|_| biased)).enumerate();
    let named: std::collections::HashMap<String, Tensor> =
        all.map(|(i, (name, shape))| (name.to_string(), tensor(&weight(i, shape.iter().product()), &shape))).collect();
    let weights = VarBuilder::from_tensors(named.clone(), CandleType::F32, &CandleDevice::Cpu);
    let x = tensor(x, &[batch, x.len() / inputs / batch, inputs]);
    match cell {
        Cell::Lstm => {
            let config = if biased { LSTMConfig::default() } else { LSTMConfig::default_no_bias() };
            let net = lstm(inputs, width, config, weights).unwrap();
            flat(&net.states_to_tensor(&net.seq(&x).unwrap()).unwrap())
        }
        Cell::Gru => {
            let config = if biased { GRUConfig::default() } else { GRUConfig::default_no_bias() };
            let net = gru(inputs, width, config, weights).unwrap();
            flat(&net.states_to_tensor(&net.seq(&x).unwrap()).unwrap())
        }
        Cell::Tanh => {
            let get = |name: &str| named.get(name);
            let linear = |x: &Tensor, w: &str, b: &str| {
                let y = x.matmul(&get(w).unwrap().t().unwrap()).unwrap();
                get(b).map_or(y.clone(), |b| y.broadcast_add(b).unwrap())
            };
            let mut h = Tensor::zeros((batch, width), CandleType::F32, &CandleDevice::Cpu).unwrap();
            let mut all = vec![];
            for r in 0..x.dim(1).unwrap() {
                let row = x.narrow(1, r, 1).unwrap().squeeze(1).unwrap();
                let sum = linear(&row, "weight_ih_l0", "bias_ih_l0") + linear(&h, "weight_hh_l0", "bias_hh_l0");
                h = sum.unwrap().tanh().unwrap();
                all.push(h.clone());
            }
            flat(&Tensor::stack(&all, 1).unwrap())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, failure_persistence: None, ..Default::default() })]

    #[test]
    fn recurrent_layers_match_candle_over_a_sequence(
        cell in prop::sample::select(vec![Cell::Lstm, Cell::Gru, Cell::Tanh]),
        batch in 1usize..4, t in 1usize..6, inputs in 1usize..20, width in 1usize..70, biased: bool,
    ) {
        let x = numbers(9, batch * t * inputs);
        let wanted = by_candle(cell, &x, batch, inputs, width, biased);
        let graph = layer(cell, [batch, t], inputs, width, biased);
        for device in every_device() {
            close(&device, &run(&device, &graph, &[("x", bits(&x))]), &wanted);
        }
    }

    #[test]
    fn convolutions_of_sequences_match_candle(
        batch in 1usize..3, t in 1usize..12, channels in 1usize..9, out in 1usize..9, kernel in 1usize..5, stride in 1usize..3,
        dilation in 1usize..4, padding in 0usize..3, causal: bool, transposed: bool,
    ) {
        let window = match causal && !transposed {
            true => Window::causal(kernel, dilation),
            false => Window::line(kernel, stride, dilation, [padding; 2]),
        };
        let grid = Grid::new(batch, 1, t);
        let output = if transposed { window.transposed_output(grid) } else { window.output(grid) };
        prop_assume!(output.is_some());
        let mut g = GraphBuilder::new("a convolution of sequences");
        let w = g.weight("w", &[out, kernel * channels], DType::F32).unwrap();
        let x = g.input("x", &[batch * t, channels], DType::F32);
        let made = if transposed { g.conv_transpose2d(w, None, grid, window, x) } else { g.conv2d(w, None, grid, window, x) };
        let (y, output) = made.unwrap();
        g.output("y", y);
        let graph = g.finish();
        // candle has channels before time, and a transposed convolution's weight begins with those of its input.
        let values = numbers(3, batch * t * channels);
        let x = tensor(&values, &[batch, t, channels]).transpose(1, 2).unwrap();
        let [_, _, before, after] = window.padding;
        let kernels = tensor(&weight(0, out * kernel * channels), &[out, kernel, channels]);
        let wanted = if transposed {
            let kernels = kernels.permute((2, 0, 1)).unwrap().contiguous().unwrap();
            // One after another and cut afterwards: of a batch, and with padding, candle 0.11 gives others.
            let each = |m| x.narrow(0, m, 1)?.contiguous()?.conv_transpose1d(&kernels, 0, 0, stride, dilation, 1);
            let all = Tensor::cat(&(0..batch).map(each).collect::<Result<Vec<_>, _>>().unwrap(), 0).unwrap();
            all.narrow(2, padding, output.width)
        } else {
            let x = x.pad_with_zeros(2, before, after).unwrap().contiguous().unwrap();
            x.conv1d(&kernels.transpose(1, 2).unwrap().contiguous().unwrap(), 0, window.stride, dilation, 1)
        };
        let wanted = wanted.unwrap().transpose(1, 2).unwrap();
        prop_assert_eq!(wanted.dims(), &[batch, output.width, out]);
        prop_assert!(!causal || transposed || output.width == t);
        for device in every_device() {
            close(&device, &run(&device, &graph, &[("x", bits(&values))]), &flat(&wanted));
        }
    }

    #[test]
    fn causal_convolutions_of_a_cache_match_candle(
        first in 1usize..6, then in 1usize..6, columns in 1usize..70, width in 1usize..6, biased: bool,
    ) {
        let graph = |t: usize| {
            let mut g = GraphBuilder::new("a causal convolution");
            let w = g.weight("w", &[columns * width], DType::F32).unwrap();
            let bias = biased.then(|| g.weight("bias", &[columns], DType::F32).unwrap());
            let cache = g.state("cache", &[12, columns], DType::F32).unwrap();
            let x = g.input("x", &[t, columns], DType::F32);
            let cached = g.cache_write(cache, x).unwrap();
            let y = g.causal_conv(w, bias, width, cached).unwrap();
            g.output("y", y);
            g.finish()
        };
        let t = first + then;
        let values = numbers(6, t * columns);
        let x = tensor(&values, &[1, t, columns]).transpose(1, 2).unwrap();
        let x = x.pad_with_zeros(2, width - 1, 0).unwrap().contiguous().unwrap();
        let wanted = x.conv1d(&tensor(&weight(0, columns * width), &[columns, 1, width]), 0, 1, 1, columns).unwrap();
        let mut wanted = flat(&wanted.transpose(1, 2).unwrap());
        if biased {
            wanted.iter_mut().zip(weight(1, columns).iter().cycle()).for_each(|(v, bias)| *v += bias);
        }
        for device in every_device() {
            let graphs = [graph(first), graph(then)];
            let resident = load(&device, &graphs[0]);
            let mut got = vec![];
            for (graph, rows) in graphs.iter().zip([0..first, first..t]) {
                let mut plan = block_on(resident.compile(graph)).unwrap();
                plan.write_input("x", &bits(&values[rows.start * columns..rows.end * columns])).unwrap();
                let params = StepParams { position: rows.start as u32, ..StepParams::default() };
                got.extend(floats(&block_on(plan.step(&params, &["y"]).unwrap()).unwrap()[0]));
            }
            close(&device, &got, &wanted);
        }
    }

    #[test]
    fn a_convolution_of_a_value_begins_with_the_rows_before_the_step(
        t in 1usize..9, columns in 1usize..70, width in 1usize..6, biased: bool,
    ) {
        let mut g = GraphBuilder::new("a causal convolution");
        let w = g.weight("w", &[columns * width], DType::F32).unwrap();
        let bias = biased.then(|| g.weight("bias", &[columns], DType::F32).unwrap());
        let x = g.input("x", &[width - 1 + t, columns], DType::F32);
        let y = g.causal_conv(w, bias, width, x).unwrap();
        g.output("y", y);
        let graph = g.finish();
        let (w, bias, x) = (weight(0, columns * width), weight(1, columns), numbers(6, (width - 1 + t) * columns));
        let wanted: Vec<f32> = (0..t * columns)
            .map(|i| {
                let (row, column) = (i / columns, i % columns);
                let sum: f32 = (0..width).map(|k| w[column * width + k] * x[(row + k) * columns + column]).sum();
                sum + if biased { bias[column] } else { 0.0 }
            })
            .collect();
        for device in every_device() {
            close(&device, &run(&device, &graph, &[("x", bits(&x))]), &wanted);
        }
    }

    #[test]
    fn selective_state_spaces_match_plain_sums_from_step_to_step(
        first in 1usize..7, then in 1usize..7, columns in 1usize..140, states in 1usize..18,
    ) {
        // What feeds and reads the states lies beside what nobody reads.
        let wide = 2 * states + 3;
        let graph = |t: usize| {
            let mut g = GraphBuilder::new("a state space");
            let a = g.weight("a", &[columns * states], DType::F32).unwrap();
            let skip = g.weight("skip", &[columns], DType::F32).unwrap();
            let state = g.state("state", &[columns, states], DType::F32).unwrap();
            let [x, steps] = ["x", "steps"].map(|name| g.input(name, &[t, columns], DType::F32));
            let ends = g.input("ends", &[t, wide], DType::F32);
            let ends = g.slice_columns(3, 2 * states, ends).unwrap();
            let y = g.selective_scan([a, skip], state, [x, steps, ends]).unwrap();
            g.output("y", y);
            g.finish()
        };
        let t = first + then;
        let (a, skip) = (weight(0, columns * states), weight(1, columns));
        let (x, ends) = (numbers(6, t * columns), numbers(7, t * wide));
        let steps: Vec<f32> = numbers(8, t * columns).iter().map(|v| 9.0 * v - 6.0).collect();
        let mut h = vec![0.0f64; columns * states];
        let mut wanted = vec![];
        for row in 0..t {
            for column in 0..columns {
                let (value, step) = (f64::from(x[row * columns + column]), f64::from(steps[row * columns + column]));
                let step = step.exp().ln_1p();
                let mut sum = f64::from(skip[column]) * value;
                for s in 0..states {
                    let [b, c] = [s, states + s].map(|at| f64::from(ends[row * wide + 3 + at]));
                    let h = &mut h[column * states + s];
                    *h = (step * f64::from(a[column * states + s])).exp() * *h + step * b * value;
                    sum += c * *h;
                }
                wanted.push(sum as f32);
            }
        }
        for device in every_device() {
            let graphs = [graph(first), graph(then)];
            let resident = load(&device, &graphs[0]);
            let mut got = vec![];
            for (graph, rows) in graphs.iter().zip([0..first, first..t]) {
                let mut plan = block_on(resident.compile(graph)).unwrap();
                for (name, values, n) in [("x", &x, columns), ("steps", &steps, columns), ("ends", &ends, wide)] {
                    plan.write_input(name, &bits(&values[rows.start * n..rows.end * n])).unwrap();
                }
                got.extend(floats(&block_on(plan.step(&StepParams::default(), &["y"]).unwrap()).unwrap()[0]));
            }
            close(&device, &got, &wanted);
        }
    }

    #[test]
    fn delta_rules_match_plain_sums_from_step_to_step(
        first in 1usize..6, then in 1usize..6, heads in 1usize..4, head in prop_oneof![4 => 1usize..40, 1 => Just(64), 1 => Just(128)],
    ) {
        const NAMES: [&str; 6] = ["r", "w", "k", "v", "a", "b"];
        let columns = heads * head;
        let graph = |t: usize| {
            let mut g = GraphBuilder::new("a delta rule");
            let state = g.state("state", &[columns, head], DType::F32).unwrap();
            let inputs = NAMES.map(|name| g.input(name, &[t, columns], DType::F32));
            let y = g.delta_rule(state, inputs).unwrap();
            g.output("y", y);
            g.finish()
        };
        let t = first + then;
        let all: Vec<Vec<f32>> = (0..6).map(|i| numbers(20 + i, t * columns).iter().map(|v| v * 0.4).collect()).collect();
        let mut state = vec![0.0f64; columns * head];
        let mut wanted = vec![];
        for row in 0..t {
            for (i, state) in state.chunks_exact_mut(head).enumerate() {
                let at = |which: usize, j: usize| f64::from(all[which][row * columns + i / head * head + j]);
                let replaced: f64 = (0..head).map(|j| state[j] * at(4, j)).sum();
                let value = at(3, i % head);
                for j in 0..head {
                    state[j] = state[j] * at(1, j) - replaced * at(5, j) + value * at(2, j);
                }
                wanted.push((0..head).map(|j| state[j] * at(0, j)).sum::<f64>() as f32);
            }
        }
        for device in every_device() {
            let graphs = [graph(first), graph(then)];
            let resident = load(&device, &graphs[0]);
            let mut got = vec![];
            for (graph, rows) in graphs.iter().zip([0..first, first..t]) {
                let mut plan = block_on(resident.compile(graph)).unwrap();
                for (name, values) in NAMES.iter().zip(&all) {
                    plan.write_input(name, &bits(&values[rows.start * columns..rows.end * columns])).unwrap();
                }
                got.extend(floats(&block_on(plan.step(&StepParams::default(), &["y"]).unwrap()).unwrap()[0]));
            }
            close(&device, &got, &wanted);
        }
    }

    #[test]
    fn softmax_of_rows_matches_candle(rows in 1usize..5, cols in 1usize..1500, scale in 0.1f32..40.0) {
        let x: Vec<f32> = numbers(3, rows * cols).iter().map(|v| v * scale).collect();
        let wanted = flat(&candle_nn::ops::softmax(&tensor(&x, &[rows, cols]), D::Minus1).unwrap());
        let mut g = GraphBuilder::new("softmax");
        let input = g.input("x", &[rows, cols], DType::F32);
        let y = g.softmax(input).unwrap();
        g.output("y", y);
        let graph = g.finish();
        for device in every_device() {
            close(&device, &run(&device, &graph, &[("x", bits(&x))]), &wanted);
        }
    }

    #[test]
    fn the_rows_that_count_are_pooled_as_candle_pools_them(
        batch in 1usize..5, t in 1usize..8, n in 1usize..90, seed in 0u32..1000,
        how in prop::sample::select(vec![Pooling::Mean, Pooling::Max, Pooling::First, Pooling::Last]),
    ) {
        let x = numbers(seed.into(), batch * t * n);
        let lengths: Vec<u32> = (0..batch as u32).map(|member| 1 + (seed + 7 * member) % t as u32).collect();
        let whole = tensor(&x, &[batch, t, n]);
        let wanted: Vec<f32> = lengths
            .iter()
            .enumerate()
            .flat_map(|(member, length)| {
                let rows = whole.get(member).unwrap().narrow(0, 0, *length as usize).unwrap();
                let row = match how {
                    Pooling::Mean => rows.mean(0),
                    Pooling::Max => rows.max(0),
                    Pooling::First => rows.get(0),
                    Pooling::Last => rows.get(*length as usize - 1),
                };
                flat(&row.unwrap())
            })
            .collect();
        let mut g = GraphBuilder::new("pool");
        let input = g.input("x", &[batch * t, n], DType::F32);
        let counts = g.input("lengths", &[batch], DType::U32);
        let y = g.pool(how, input, counts).unwrap();
        g.output("y", y);
        let graph = g.finish();
        for device in every_device() {
            close(&device, &run(&device, &graph, &[("x", bits(&x)), ("lengths", lengths.clone())]), &wanted);
        }
    }

    #[test]
    fn functions_and_cuts_match_candle(rows in 2usize..7, cols in 1usize..80, first in 0usize..2) {
        let (a, b) = (numbers(1, rows * cols), numbers(2, rows * cols));
        let b: Vec<f32> = b.iter().map(|v| v.abs() + 0.2).collect();
        let (ta, tb) = (tensor(&a, &[rows, cols]), tensor(&b, &[rows, cols]));
        let one = tb.narrow(0, 0, 1).unwrap();
        let unary = |f: Unary| move |g: &mut GraphBuilder, _: ValueId, b: ValueId| g.unary(f, b);
        type Build<'a> = Box<dyn Fn(&mut GraphBuilder, ValueId, ValueId) -> ValueId + 'a>;
        let kept = rows - first;
        let cases: Vec<(Build, Tensor)> = vec![
            (Box::new(unary(Unary::Exp)), tb.exp().unwrap()),
            (Box::new(unary(Unary::Log)), tb.log().unwrap()),
            (Box::new(unary(Unary::Sqrt)), tb.sqrt().unwrap()),
            (Box::new(unary(Unary::Sin)), tb.sin().unwrap()),
            (Box::new(|g, a, b| g.binary(Binary::Sub, a, b).unwrap()), (&ta - &tb).unwrap()),
            (Box::new(|g, a, b| g.binary(Binary::Div, a, b).unwrap()), (&ta / &tb).unwrap()),
            // In place of the second where nothing else needs it.
            (
                Box::new(|g, a, b| {
                    let b = g.unary(Unary::Sqrt, b);
                    g.binary(Binary::Sub, a, b).unwrap()
                }),
                (&ta - tb.sqrt().unwrap()).unwrap(),
            ),
            (Box::new(|g, a, _| g.binary(Binary::Sub, a, a).unwrap()), ta.zeros_like().unwrap()),
            (
                Box::new(|g, a, b| {
                    let row = g.slice_rows(0, 1, b).unwrap();
                    g.broadcast(Binary::Sub, 1, a, row).unwrap()
                }),
                ta.broadcast_sub(&one).unwrap(),
            ),
            (
                Box::new(|g, a, b| {
                    let row = g.slice_rows(0, 1, b).unwrap();
                    g.broadcast(Binary::Div, 1, a, row).unwrap()
                }),
                ta.broadcast_div(&one).unwrap(),
            ),
            (Box::new(move |g, a, _| g.slice_rows(first, kept, a).unwrap()), ta.narrow(0, first, kept).unwrap()),
            (
                Box::new(move |g, a, b| {
                    let some = g.slice_rows(first, kept, a).unwrap();
                    g.stack(b, some).unwrap()
                }),
                Tensor::cat(&[&tb, &ta.narrow(0, first, kept).unwrap()], 0).unwrap(),
            ),
        ];
        for (build, wanted) in cases {
            let mut g = GraphBuilder::new("one");
            let [x, z] = ["a", "b"].map(|name| g.input(name, &[rows, cols], DType::F32));
            let y = build(&mut g, x, z);
            g.output("y", y);
            let graph = g.finish();
            for device in every_device() {
                close(&device, &run(&device, &graph, &[("a", bits(&a)), ("b", bits(&b))]), &flat(&wanted));
            }
        }
    }
}

#[test]
fn a_sequence_in_steps_ends_where_it_ends_in_one() {
    for cell in [Cell::Lstm, Cell::Gru, Cell::Tanh] {
        let x = numbers(4, 7 * 5);
        for device in every_device() {
            let whole = run(&device, &layer(cell, [1, 7], 5, 12, true), &[("x", bits(&x))]);
            let (three, one) = (layer(cell, [1, 3], 5, 12, true), layer(cell, [1, 1], 5, 12, true));
            let resident = load(&device, &three);
            let mut got = vec![];
            for (graph, rows) in [(&three, 0..3), (&one, 3..4), (&three, 4..7)] {
                let mut plan = block_on(resident.compile(graph)).unwrap();
                plan.write_input("x", &bits(&x[rows.start * 5..rows.end * 5])).unwrap();
                got.extend(floats(&block_on(plan.step(&StepParams::default(), &["y"]).unwrap()).unwrap()[0]));
            }
            close(&device, &got, &whole);
        }
    }
}

/// A short convolution's tail: what a step read last is what the next begins with.
#[test]
fn a_state_is_read_as_it_was_before_the_step_wrote_it() {
    let mut g = GraphBuilder::new("tail");
    let tail = g.state("tail", &[2, 3], DType::F32).unwrap();
    let x = g.input("x", &[4, 3], DType::F32);
    let before = g.read_state(tail).unwrap();
    let all = g.stack(before, x).unwrap();
    let last = g.slice_rows(4, 2, all).unwrap();
    let after = g.write_state(tail, last).unwrap();
    // Read after the write, and still what was there before it.
    let twice = g.unary(Unary::Affine { scale: 2.0, shift: 0.0 }, before);
    let y = g.stack(all, twice).unwrap();
    g.output("y", y);
    g.output("tail", after);
    let graph = g.finish();
    let x: Vec<Vec<f32>> = (0..3).map(|step| numbers(step, 12)).collect();
    for device in every_device() {
        let mut plan = block_on(load(&device, &graph).compile(&graph)).unwrap();
        let mut tail = vec![0.0; 6];
        for x in &x {
            plan.write_input("x", &bits(x)).unwrap();
            let out = block_on(plan.step(&StepParams::default(), &["y", "tail"]).unwrap()).unwrap();
            let twice: Vec<f32> = tail.iter().map(|v| 2.0 * v).collect();
            close(&device, &floats(&out[0]), &[tail.as_slice(), x, &twice].concat());
            tail = x[6..].to_vec();
            assert_eq!(floats(&out[1]), tail);
        }
    }
}

#[test]
fn lengths_that_lie_are_refused_by_the_member() {
    let mut g = GraphBuilder::new("pool");
    let x = g.input("x", &[6, 2], DType::F32);
    let lengths = g.input("lengths", &[2], DType::U32);
    let y = g.pool(Pooling::Mean, x, lengths).unwrap();
    g.output("y", y);
    let graph = g.finish();
    for device in every_device() {
        let mut plan = block_on(load(&device, &graph).compile(&graph)).unwrap();
        for (lie, part) in [([1, 4], "member 1 counts 4 rows"), ([0, 3], "member 0 counts 0 rows")] {
            let error = plan.write_input("lengths", &lie).unwrap_err();
            assert!(error.code() == ErrorCode::BadArgument && error.to_string().contains(part), "{error}");
        }
        // Lengths that nobody wrote count one row each.
        plan.write_input("x", &bits(&numbers(1, 12))).unwrap();
        let got = floats(&block_on(plan.step(&StepParams::default(), &["y"]).unwrap()).unwrap()[0]);
        let x = numbers(1, 12);
        close(&device, &got, &[x[0], x[1], x[6], x[7]]);
    }
}
