//! Operations and whole plans on the GPU against the CPU backend, and what a plan promises: its counts, steps in flight,
//! a lost device, memory that comes back.

use pollster::block_on;
use proptest::prelude::*;
use vitrine::{
    ErrorCode,
    backend::{Device, Plan, Resident, gpu},
    graph::{
        Binary, DType, Graph, GraphBuilder, Rope, RopeLayout, SampleParams, SampleStates, Sampled, StepParams, Unary,
        ValueId, WeightId,
    },
};

use super::{every_gpu, numbers};
use crate::common::{as_hardware, bits, devices::gpu_alone, floats, on_cpu, on_gpu};

/// Largest difference over largest value.
const TOLERANCE: f64 = 1e-3;

/// Loads `graph` with F32 weights that follow from their names. Norm weights and factors stand near 1.
fn load(device: &Device, graph: &Graph) -> Resident {
    block_on(async {
        let mut loader = device.begin(graph).await.unwrap();
        for (i, spec) in graph.weights.iter().enumerate() {
            let seed = spec.name.bytes().fold(7u64, |h, b| h.wrapping_mul(131).wrapping_add(b.into()));
            let mut values = numbers(seed, spec.shape.iter().product());
            let (offset, scale) = if spec.shape.len() == 1 { (1.0, 0.3) } else { (0.0, 0.25) };
            values.iter_mut().for_each(|v| *v = offset + scale * *v);
            loader.put(WeightId(i as u32), 0, bytemuck::cast_slice(&values)).unwrap();
        }
        loader.finish().await.unwrap()
    })
}

fn compile(resident: &Resident, graph: &Graph) -> Plan {
    block_on(resident.compile(graph)).unwrap()
}

/// Runs one step on `device` and returns all outputs.
fn run(device: &Device, graph: &Graph, inputs: &[(&str, Vec<u32>)], params: &StepParams) -> Vec<Vec<u32>> {
    let resident = load(device, graph);
    for state in &graph.states {
        if state.dtype == DType::F32 {
            let words = bits(&numbers(state.name.len() as u64, state.shape.iter().product()));
            resident.write_state(&state.name, &words).unwrap();
        }
    }
    let mut plan = compile(&resident, graph);
    for (name, words) in inputs {
        plan.write_input(name, words).unwrap();
    }
    let names: Vec<&str> = graph.outputs.iter().map(|(name, _)| name.as_str()).collect();
    block_on(plan.step(params, &names).unwrap()).unwrap()
}

/// Both backends give the same numbers for every output.
fn agree(graph: &Graph, inputs: &[(&str, Vec<u32>)], params: &StepParams) {
    let expected = run(&on_cpu(), graph, inputs, params);
    for device in every_gpu() {
        let got = run(&device, graph, inputs, params);
        for (((name, _), a), b) in graph.outputs.iter().zip(&expected).zip(&got) {
            close(name, &floats(a), &floats(b));
        }
    }
}

fn close(name: &str, expected: &[f32], got: &[f32]) {
    assert_eq!(expected.len(), got.len(), "{name}");
    let largest = expected.iter().fold(1e-3f64, |m, v| m.max(v.abs().into()));
    for (i, (a, b)) in expected.iter().zip(got).enumerate() {
        let error = (f64::from(*a) - f64::from(*b)).abs() / largest;
        assert!(error <= TOLERANCE, "{name}[{i}]: {b}, expected {a}: {error:.1e} of the largest");
    }
}

fn at(position: u32) -> StepParams {
    StepParams { position, ..Default::default() }
}

/// A graph of one operation on `x` `[rows, cols]`.
fn one(rows: usize, cols: usize, op: impl FnOnce(&mut GraphBuilder, ValueId) -> ValueId) -> (Graph, Vec<u32>) {
    let mut g = GraphBuilder::new("one");
    let x = g.input("x", &[rows, cols], DType::F32);
    let y = op(&mut g, x);
    g.output("y", y);
    (g.finish(), bits(&numbers(rows as u64 * 1000 + cols as u64, rows * cols)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..Default::default() })]

    #[test]
    fn norms_agree_over_rows_and_over_heads(rows in 1usize..5, groups in 1usize..4, width in 1usize..1300) {
        let (graph, x) = one(rows, groups * width, |g, x| {
            let w = g.weight("norm", &[width], DType::F32).unwrap();
            g.rms_norm(w, 1e-5, x).unwrap()
        });
        agree(&graph, &[("x", x)], &at(0));
    }

    #[test]
    fn element_by_element_functions_agree(rows in 1usize..4, cols in 1usize..300) {
        let mut g = GraphBuilder::new("elementwise");
        let a = g.input("a", &[rows, cols], DType::F32);
        let b = g.input("b", &[rows, cols], DType::F32);
        let silu = g.unary(Unary::Silu, a);
        let gelu = g.unary(Unary::GeluTanh, a);
        let sum = g.binary(Binary::Add, a, b).unwrap();
        let product = g.binary(Binary::Mul, a, b).unwrap();
        let gate = g.unary(Unary::Silu, b);
        let gated = g.binary(Binary::Mul, a, gate).unwrap();
        for (name, value) in [("silu", silu), ("gelu", gelu), ("sum", sum), ("product", product), ("gated", gated)] {
            g.output(name, value);
        }
        let [a, b] = [1, 2].map(|seed| bits(&numbers(seed, rows * cols).iter().map(|v| v * 20.0).collect::<Vec<_>>()));
        agree(&g.finish(), &[("a", a), ("b", b)], &at(0));
    }

    #[test]
    fn rotary_positions_agree(
        rows in 1usize..4, heads in 1usize..4, pairs in 1usize..20, left in 0usize..5, position in 0u32..9000,
        halves: bool, with_factors: bool, scale in prop::sample::select(vec![1.0f32, 0.25]), magnitude in 1.0f32..2.0,
    ) {
        let layout = if halves { RopeLayout::HalfSplit } else { RopeLayout::Interleaved };
        let head_dim = 2 * pairs + left;
        let (graph, x) = one(rows, heads * head_dim, |g, x| {
            let factors = with_factors.then(|| g.weight("factors", &[pairs], DType::F32).unwrap());
            let plain = Rope::plain(heads, head_dim, 10_000.0, layout);
            g.rope(Rope { rotary_dim: 2 * pairs, frequency_scale: scale, magnitude, factors, ..plain }, x).unwrap()
        });
        agree(&graph, &[("x", x)], &at(position));
    }

    #[test]
    fn attention_agrees_for_one_row_and_for_many(
        rows in prop::sample::select(vec![1usize, 1, 2, 7, 16, 33]), kv_heads in 1usize..4, share in 1usize..5,
        head_dim in prop::sample::select(vec![1usize, 6, 8, 63, 64, 80, 128, 256]), capacity in 40usize..200, at_end: bool,
        position in 0u32..150, window in prop::sample::select(vec![None, None, Some(1), Some(5), Some(64), Some(100), Some(500)]),
    ) {
        let graph = attention(rows, kv_heads * share, kv_heads, head_dim, capacity, &Extras { window, ..Extras::default() });
        // At the end some of the rows are past the capacity.
        let position = if at_end { capacity as u32 - 1 } else { position.min(capacity as u32 - 1) };
        let width = (kv_heads * share + 2 * kv_heads) * head_dim;
        let x = bits(&numbers(5, rows * width.max(1)));
        let q = kv_heads * share * head_dim;
        let kv = kv_heads * head_dim;
        let inputs = [
            ("q", x[..rows * q].to_vec()),
            ("k", x[rows * q..rows * (q + kv)].to_vec()),
            ("v", x[rows * (q + kv)..rows * (q + 2 * kv)].to_vec()),
        ];
        // Rows past the capacity write nothing and see what there is; what they see is the same on both sides.
        agree(&graph, &inputs, &at(position));
    }
}

/// What happens to q and k before an attention, and how far it sees.
#[derive(Default)]
struct Extras {
    rotary: Option<(usize, RopeLayout)>,
    /// An RMSNorm of each head.
    norm: bool,
    window: Option<usize>,
}

/// q, k and v from the caller, normed and turned where `extras` say how, written and attended to.
fn attention(rows: usize, heads: usize, kv_heads: usize, head_dim: usize, capacity: usize, extras: &Extras) -> Graph {
    let mut g = GraphBuilder::new("attention");
    let q = g.input("q", &[rows, heads * head_dim], DType::F32);
    let k = g.input("k", &[rows, kv_heads * head_dim], DType::F32);
    let v = g.input("v", &[rows, kv_heads * head_dim], DType::F32);
    let keys = g.state("keys", &[capacity, kv_heads * head_dim], DType::F32).unwrap();
    let values = g.state("the values", &[capacity, kv_heads * head_dim], DType::F32).unwrap();
    let turn = |g: &mut GraphBuilder, name: &str, heads: usize, mut x: ValueId| {
        if extras.norm {
            let weight = g.weight(&format!("{name} norm"), &[head_dim], DType::F32).unwrap();
            x = g.rms_norm(weight, 1e-6, x).unwrap();
        }
        match extras.rotary {
            Some((n, layout)) => {
                let plain = Rope::plain(heads, head_dim, 10_000.0, layout);
                g.rope(Rope { rotary_dim: n, ..plain }, x).unwrap()
            }
            None => x,
        }
    };
    let q = turn(&mut g, "q", heads, q);
    let k = turn(&mut g, "k", kv_heads, k);
    let k = g.cache_write(keys, k).unwrap();
    let v = g.cache_write(values, v).unwrap();
    let scale = 1.0 / (head_dim as f32).sqrt();
    let y = g.attention(heads, kv_heads, head_dim, scale, extras.window, q, k, v).unwrap();
    g.output("y", y);
    g.finish()
}

#[test]
fn attention_over_a_long_cache_agrees() {
    // More tiles than splits: each split takes several.
    for (position, window) in
        [(63, None), (64, None), (4500, None), (4999, None), (4999, Some(4500)), (4999, Some(512))]
    {
        let graph = attention(1, 6, 2, 16, 5000, &Extras { window, ..Extras::default() });
        let inputs = [("q", bits(&numbers(1, 96))), ("k", bits(&numbers(2, 32))), ("v", bits(&numbers(3, 32)))];
        agree(&graph, &inputs, &at(position));
    }
}

#[test]
fn norms_of_heads_turning_and_both_cache_writes_are_one_kernel_and_agree() {
    let (interleaved, halves) = (RopeLayout::Interleaved, RopeLayout::HalfSplit);
    let kinds = [
        (1, Some((16, interleaved)), false),
        (5, Some((16, halves)), false),
        (1, Some((24, halves)), true),
        (5, Some((16, interleaved)), true),
        (1, None, false),
        (5, None, false),
    ];
    for (rows, rotary, norm) in kinds {
        let graph = attention(rows, 4, 2, 24, 50, &Extras { rotary, norm, window: None });
        let inputs = [
            ("q", bits(&numbers(1, rows * 96))),
            ("k", bits(&numbers(2, rows * 48))),
            ("v", bits(&numbers(3, rows * 48))),
        ];
        agree(&graph, &inputs, &at(17));
        let Plan::Gpu(plan) = compile(&load(&on_gpu(), &graph), &graph) else { unreachable!() };
        let kernels: Vec<&str> = plan.kernels().collect();
        assert_eq!(kernels.iter().filter(|k| k.starts_with("rope_cache")).count(), 1, "{kernels:?}");
        assert_eq!(kernels.len(), if rows == 1 { 3 } else { 2 }, "{kernels:?}");
    }
}

#[test]
fn norms_of_heads_that_do_not_turn_are_kernels_of_their_own_and_agree() {
    let graph = attention(2, 4, 2, 24, 50, &Extras { norm: true, ..Extras::default() });
    let inputs = [("q", bits(&numbers(1, 192))), ("k", bits(&numbers(2, 96))), ("v", bits(&numbers(3, 96)))];
    agree(&graph, &inputs, &at(17));
}

#[test]
fn positions_are_added_to_the_rows_of_a_step_and_agree() {
    for (rows, position) in [(1, 0), (1, 6), (5, 3), (5, 2_000_000_000)] {
        let (graph, x) = one(rows, 70, |g, x| {
            let table = g.weight("table", &[7, 70], DType::F32).unwrap();
            g.add_positions(table, x).unwrap()
        });
        agree(&graph, &[("x", x)], &at(position));
    }
}

/// `x + norm(W·x)`, as Gemma's layers end: the sum is the norm's to do.
#[test]
fn a_sum_with_a_norm_is_one_kernel_and_agrees() {
    for (rows, swap) in [(1, false), (3, true)] {
        let (graph, x) = one(rows, 48, |g, x| {
            let weight = g.weight("w", &[48, 48], DType::F32).unwrap();
            let norm = g.weight("norm", &[48], DType::F32).unwrap();
            let h = g.linear(weight, None, x).unwrap();
            let h = g.rms_norm(norm, 1e-6, h).unwrap();
            let (a, b) = if swap { (h, x) } else { (x, h) };
            g.binary(Binary::Add, a, b).unwrap()
        });
        agree(&graph, &[("x", x)], &at(0));
        let Plan::Gpu(plan) = compile(&load(&on_gpu(), &graph), &graph) else { unreachable!() };
        assert_eq!(plan.kernels().count(), 2, "{:?}", plan.kernels().collect::<Vec<_>>());
    }
}

/// `f(gate) · up` of two layers of one input is the end of their product, whatever the function.
#[test]
fn a_gate_of_any_function_is_one_kernel_and_agrees() {
    for (rows, f) in [(1, Unary::GeluTanh), (5, Unary::GeluTanh), (1, Unary::Silu)] {
        let (graph, x) = one(rows, 48, |g, x| {
            let [gate, up] = ["gate", "up"].map(|name| g.weight(name, &[20, 48], DType::F32).unwrap());
            let [gate, up] = [gate, up].map(|w| g.linear(w, None, x).unwrap());
            let gate = g.unary(f, gate);
            g.binary(Binary::Mul, gate, up).unwrap()
        });
        agree(&graph, &[("x", x)], &at(0));
        let Plan::Gpu(plan) = compile(&load(&on_gpu(), &graph), &graph) else { unreachable!() };
        assert_eq!(plan.kernels().count(), 1, "{:?}", plan.kernels().collect::<Vec<_>>());
    }
    // Without a matrix of their own the function is a kernel, and the product another.
    let mut g = GraphBuilder::new("apart");
    let [a, b] = ["a", "b"].map(|name| g.input(name, &[2, 33], DType::F32));
    let f = g.unary(Unary::GeluTanh, a);
    let y = g.binary(Binary::Mul, f, b).unwrap();
    g.output("y", y);
    agree(&g.finish(), &[("a", bits(&numbers(1, 66))), ("b", bits(&numbers(2, 66)))], &at(0));
}

#[test]
fn the_row_that_the_step_names_is_selected() {
    let (graph, x) = one(9, 33, |g, x| g.select_row(x).unwrap());
    for row in [0, 4, 8] {
        agree(&graph, &[("x", x.clone())], &StepParams { row, ..Default::default() });
    }
}

/// A transformer of `layers` layers as models write it, over `rows` tokens (0: the token sampled before).
fn transformer(rows: usize, layers: usize, alternatives: usize) -> Graph {
    let (dim, heads, kv_heads, head_dim, ffn, vocabulary, capacity) = (48, 6, 2, 8, 80, 101, 64);
    let mut g = GraphBuilder::new(format!("transformer {rows}"));
    let table = g.weight("table", &[vocabulary, dim], DType::F32).unwrap();
    let states = g.sample_states(vocabulary).unwrap();
    let ids = if rows == 0 { g.last_token(states.token) } else { g.input("ids", &[rows], DType::U32) };
    let mut x = g.embedding(table, ids).unwrap();
    for i in 0..layers {
        g.at(format!("layer {i}"));
        let layer = |g: &mut GraphBuilder, part: &str, out: usize, inner: usize, x: ValueId| {
            let w = g.weight(&format!("{i}.{part}"), &[out, inner], DType::F32).unwrap();
            let bias = (part == "q" || part == "k" || part == "v")
                .then(|| g.weight(&format!("{i}.{part}.bias"), &[out], DType::F32).unwrap());
            g.linear(w, bias, x).unwrap()
        };
        let norm = |g: &mut GraphBuilder, part: &str, x: ValueId| {
            let w = g.weight(&format!("{i}.{part}"), &[dim], DType::F32).unwrap();
            g.rms_norm(w, 1e-5, x).unwrap()
        };
        let h = norm(&mut g, "norm1", x);
        let q = layer(&mut g, "q", heads * head_dim, dim, h);
        let k = layer(&mut g, "k", kv_heads * head_dim, dim, h);
        let v = layer(&mut g, "v", kv_heads * head_dim, dim, h);
        let q = g.rope(Rope::plain(heads, head_dim, 10_000.0, RopeLayout::Interleaved), q).unwrap();
        let k = g.rope(Rope::plain(kv_heads, head_dim, 10_000.0, RopeLayout::Interleaved), k).unwrap();
        let keys = g.state(&format!("keys {i}"), &[capacity, kv_heads * head_dim], DType::F32).unwrap();
        let values = g.state(&format!("values {i}"), &[capacity, kv_heads * head_dim], DType::F32).unwrap();
        let k = g.cache_write(keys, k).unwrap();
        let v = g.cache_write(values, v).unwrap();
        let a = g.attention(heads, kv_heads, head_dim, 0.35, None, q, k, v).unwrap();
        let o = layer(&mut g, "o", dim, heads * head_dim, a);
        x = g.binary(Binary::Add, x, o).unwrap();
        let h = norm(&mut g, "norm2", x);
        let gate = layer(&mut g, "gate", ffn, dim, h);
        let up = layer(&mut g, "up", ffn, dim, h);
        let gate = g.unary(Unary::Silu, gate);
        let h = g.binary(Binary::Mul, gate, up).unwrap();
        let down = layer(&mut g, "down", dim, ffn, h);
        x = g.binary(Binary::Add, x, down).unwrap();
    }
    g.at("output");
    if rows > 1 {
        x = g.select_row(x).unwrap();
    }
    let norm = g.weight("norm", &[dim], DType::F32).unwrap();
    let x = g.rms_norm(norm, 1e-5, x).unwrap();
    let logits = g.linear(table, None, x).unwrap();
    let sampled = g.sample(states, alternatives, logits).unwrap();
    g.output("sampled", sampled);
    g.output("logits", logits);
    g.finish()
}

#[test]
fn a_decode_step_is_one_pass_one_submit_and_few_dispatches() {
    let layers = 3;
    let graph = transformer(0, layers, 4);
    let Plan::Gpu(plan) = compile(&load(&on_gpu(), &graph), &graph) else { unreachable!() };
    let cost = plan.cost();
    let kernels: Vec<&str> = plan.kernels().collect();
    assert_eq!((cost.passes, cost.submits), (1, 1));
    assert_eq!(cost.dispatches as usize, kernels.len());
    assert!(cost.dispatches as usize <= 7 * layers + 6, "{kernels:#?}");
}

/// Prefills five tokens and decodes `count` more, each step started before the last is read where `in_flight` holds.
fn generate(device: &Device, count: usize, in_flight: usize, sample: SampleParams) -> (Vec<Vec<f32>>, Vec<Sampled>) {
    let (prefill, decode) = (transformer(5, 2, 3), transformer(0, 2, 3));
    let resident = load(device, &prefill);
    let mut first = compile(&resident, &prefill);
    let mut next = compile(&resident, &decode);
    first.write_input("ids", &[3, 1, 4, 1, 5]).unwrap();
    let params = |i: usize| {
        let sample = SampleParams { step: i as u32, ..sample };
        if i == 0 {
            StepParams { row: 4, sample, ..StepParams::default() }
        } else {
            StepParams { position: 4 + i as u32, sample, ..StepParams::default() }
        }
    };
    let names = ["sampled", "logits"];
    let mut pending = std::collections::VecDeque::new();
    let mut done = vec![];
    pending.push_back(first.step(&params(0), &names).unwrap());
    for i in 1..count {
        if pending.len() >= in_flight {
            done.push(block_on(pending.pop_front().unwrap()).unwrap());
        }
        pending.push_back(next.step(&params(i), &names).unwrap());
    }
    done.extend(pending.into_iter().map(|p| block_on(p).unwrap()));
    done.iter().map(|outputs| (floats(&outputs[1]), Sampled::from_words(&outputs[0]).unwrap())).unzip()
}

#[test]
fn a_whole_model_agrees_from_prefill_to_decode() {
    let (logits, tokens) = generate(&on_gpu(), 12, 1, SampleParams::default());
    let (expected, chosen) = generate(&on_cpu(), 12, 1, SampleParams::default());
    for (i, (a, b)) in expected.iter().zip(&logits).enumerate() {
        close(&format!("logits of step {i}"), a, b);
    }
    for (a, b) in chosen.iter().zip(&tokens) {
        assert_eq!(a.token, b.token);
        assert_eq!(
            a.alternatives.iter().map(|x| x.0).collect::<Vec<_>>(),
            b.alternatives.iter().map(|x| x.0).collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_prefill_gives_what_its_tokens_give_one_by_one() {
    for device in [on_cpu(), on_gpu()] {
        let (prefill, single) = (transformer(5, 2, 3), transformer(1, 2, 3));
        let ids = [3, 1, 4, 1, 5];
        let resident = load(&device, &prefill);
        let mut whole = compile(&resident, &prefill);
        whole.write_input("ids", &ids).unwrap();
        let params = StepParams { row: 4, ..Default::default() };
        let got = floats(&block_on(whole.step(&params, &["logits"]).unwrap()).unwrap()[0]);
        let resident = load(&device, &prefill);
        let mut one = compile(&resident, &single);
        let mut expected = vec![];
        for (position, id) in ids.iter().enumerate() {
            one.write_input("ids", &[*id]).unwrap();
            expected = floats(&block_on(one.step(&at(position as u32), &["logits"]).unwrap()).unwrap()[0]);
        }
        close(device.info().kind, &expected, &got);
    }
}

#[test]
fn steps_in_flight_give_what_steps_one_by_one_give() {
    let sample = SampleParams { temperature: 1.3, top_k: 40, seed: 11, repetition_penalty: 1.2, ..Default::default() };
    let (logits, tokens) = generate(&on_gpu(), 20, 1, sample);
    let (logits_in_flight, tokens_in_flight) = generate(&on_gpu(), 20, 6, sample);
    assert_eq!(tokens, tokens_in_flight);
    assert_eq!(logits, logits_in_flight);
    let distinct: std::collections::HashSet<u32> = tokens.iter().map(|s| s.token).collect();
    assert!(distinct.len() > 3, "a hot sampler chooses more than {distinct:?}");
}

fn sampler(vocabulary: usize, alternatives: usize) -> Graph {
    let mut g = GraphBuilder::new("sampler");
    let states = g.sample_states(vocabulary).unwrap();
    let logits = g.input("logits", &[1, vocabulary], DType::F32);
    let sampled = g.sample(states, alternatives, logits).unwrap();
    g.output("sampled", sampled);
    g.finish()
}

fn choices(graph: &Graph, logits: &[f32], steps: &[SampleParams]) -> [Vec<Sampled>; 2] {
    biased_choices(graph, logits, &vec![0.0; logits.len()], steps)
}

/// What both backends choose from `logits`, step after step over one `seen`. The kernel of hardware chooses as that of software.
fn biased_choices(graph: &Graph, logits: &[f32], bias: &[f32], steps: &[SampleParams]) -> [Vec<Sampled>; 2] {
    let [expected, got, on_hardware] = [on_cpu(), on_gpu(), as_hardware(true)].map(|device| {
        let resident = load(&device, graph);
        let mut plan = compile(&resident, graph);
        plan.write_input("logits", &bits(logits)).unwrap();
        resident.write_state("bias", &bits(bias)).unwrap();
        let mut one = |sample: &SampleParams| {
            let params = StepParams { sample: *sample, ..Default::default() };
            let outputs = block_on(plan.step(&params, &["sampled"]).unwrap()).unwrap();
            Sampled::from_words(&outputs[0]).unwrap()
        };
        steps.iter().map(&mut one).collect::<Vec<_>>()
    });
    for (a, b) in got.iter().zip(&on_hardware) {
        same_choice(a, b, "as hardware");
    }
    [expected, got]
}

fn same_choice(expected: &Sampled, got: &Sampled, what: &str) {
    assert_eq!(expected.token, got.token, "{what}");
    let ids = |s: &Sampled| s.alternatives.iter().map(|a| a.0).collect::<Vec<_>>();
    assert_eq!(ids(expected), ids(got), "{what}");
    let pairs = expected.alternatives.iter().zip(&got.alternatives).map(|(a, b)| (a.1, b.1));
    let own = [(expected.logprob, got.logprob), (expected.drawn_logprob, got.drawn_logprob)];
    for (a, b) in pairs.chain(own) {
        assert!(
            a == b || (a - b).abs() < 1e-3 || (a.is_nan() && b.is_nan()),
            "{what}: log-probability {b}, expected {a}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_same_seed_draws_the_same_tokens_on_both_backends(
        vocabulary in prop::sample::select(vec![1usize, 37, 2999]), spread in 0.5f32..12.0, seed: u32,
        temperature in prop::sample::select(vec![0.0f32, 0.3, 0.8, 1.5]),
        top_k in prop::sample::select(vec![0u32, 1, 5, 40]),
        top_p in prop::sample::select(vec![1.0f32, 0.95, 0.5, 0.0]),
        min_p in prop::sample::select(vec![0.0f32, 0.05, 0.3]),
        repetition_penalty in prop::sample::select(vec![1.0f32, 1.1, 2.0]),
        alternatives in prop::sample::select(vec![0usize, 9]),
    ) {
        let logits: Vec<f32> = numbers(seed.into(), vocabulary).iter().map(|v| v * spread).collect();
        let graph = sampler(vocabulary, alternatives.min(vocabulary));
        let sample = SampleParams { temperature, top_k, top_p, min_p, repetition_penalty, seed, ..Default::default() };
        let steps: Vec<_> = (0..6).map(|step| SampleParams { step, ..sample }).collect();
        let [expected, got] = choices(&graph, &logits, &steps);
        for (a, b) in expected.iter().zip(&got) {
            same_choice(a, b, &format!("{sample:?}"));
        }
    }

    #[test]
    fn every_filter_drops_the_same_tokens_on_both_backends(
        vocabulary in prop::sample::select(vec![1usize, 37, 2999]), spread in 0.5f32..8.0, seed: u32,
        top_k in prop::sample::select(vec![0u32, 0, 30]),
        typical_p in prop::sample::select(vec![1.0f32, 0.9, 0.4, 0.1]),
        top_p in prop::sample::select(vec![1.0f32, 1.0, 0.9]),
        top_n_sigma in prop::sample::select(vec![0.0f32, 0.0, 0.5, 1.5]),
        (xtc_probability, xtc_threshold) in prop::sample::select(vec![(0.0f32, 0.1f32), (0.5, 0.02), (1.0, 0.005), (1.0, 0.6)]),
        (dynamic_range, dynamic_exponent) in prop::sample::select(vec![(0.0f32, 1.0f32), (0.5, 1.0), (2.0, 0.7)]),
        mirostat_mu in prop::sample::select(vec![0.0f32, 0.0, 3.5, 8.0]),
        (presence_penalty, frequency_penalty) in prop::sample::select(vec![(0.0f32, 0.0f32), (0.7, 0.0), (-0.5, 0.9)]),
        biased in 0usize..40,
    ) {
        let logits: Vec<f32> = numbers(seed.into(), vocabulary).iter().map(|v| v * spread).collect();
        let sample = SampleParams {
            temperature: 0.9, top_k, typical_p, top_p, top_n_sigma, xtc_probability, xtc_threshold, dynamic_range, dynamic_exponent,
            mirostat_mu, presence_penalty, frequency_penalty, seed, ..Default::default()
        };
        let steps: Vec<_> = (0..6).map(|step| SampleParams { step, ..sample }).collect();
        let mut bias = vec![0.0; vocabulary];
        for (token, bias) in bias.iter_mut().enumerate().filter(|(token, _)| token % 40 == biased) {
            *bias = if token % 3 == 0 { f32::NEG_INFINITY } else { 2.5 };
        }
        let [expected, got] = biased_choices(&sampler(vocabulary, 5.min(vocabulary)), &logits, &bias, &steps);
        for (a, b) in expected.iter().zip(&got) {
            same_choice(a, b, &format!("{sample:?}"));
        }
    }
}

/// A token that leaves the window of the penalties is counted once less.
#[test]
fn what_left_the_window_is_penalised_no_longer() {
    let logits = [4.0f32, 3.0, 2.0];
    let sample = SampleParams { presence_penalty: 10.0, ..Default::default() };
    let mut steps = vec![sample; 5];
    steps[2].leaving = 0;
    steps[3].leaving = 1;
    steps[4].leaving = 7;
    for choices in choices(&sampler(3, 0), &logits, &steps) {
        // 0 and 1 are taken; 0 leaves and comes again; 1 does too; then each stands there once.
        assert_eq!(choices.iter().map(|s| s.token).collect::<Vec<_>>(), [0, 1, 0, 1, 2]);
    }
}

/// Several sequences in one step draw what each would alone.
#[test]
fn rows_are_sampled_by_seeds_and_counts_of_their_own() {
    let (rows, vocabulary, alternatives) = (4, 500, 6);
    let mut g = GraphBuilder::new("samplers");
    let states = SampleStates {
        seen: g.state("seen", &[rows, vocabulary], DType::U32).unwrap(),
        bias: g.state("bias", &[vocabulary], DType::F32).unwrap(),
        token: g.state("token", &[rows], DType::U32).unwrap(),
    };
    let logits = g.input("logits", &[rows, vocabulary], DType::F32);
    let seeds = g.input("seeds", &[rows], DType::U32);
    let sampled = g.sample_rows(states, alternatives, logits, seeds).unwrap();
    g.output("sampled", sampled);
    let graph = g.finish();
    let logits: Vec<Vec<f32>> =
        (0..rows).map(|r| numbers(r as u64 + 7, vocabulary).iter().map(|v| v * 4.0).collect()).collect();
    let sample = SampleParams { temperature: 1.2, top_k: 60, repetition_penalty: 1.5, ..Default::default() };
    let seeds: Vec<u32> = vec![11, 12, 12, 99];
    let steps = |seed: u32| (0..6).map(move |step| SampleParams { seed, step, ..sample });
    let alone: Vec<Vec<Sampled>> = (0..rows)
        .map(|r| {
            let [expected, _] =
                choices(&sampler(vocabulary, alternatives), &logits[r], &steps(seeds[r]).collect::<Vec<_>>());
            expected
        })
        .collect();
    for device in [on_cpu(), on_gpu(), as_hardware(true)] {
        let resident = load(&device, &graph);
        let mut plan = compile(&resident, &graph);
        plan.write_input("logits", &bits(&logits.concat())).unwrap();
        plan.write_input("seeds", &seeds).unwrap();
        for (i, sample) in steps(0).enumerate() {
            let params = StepParams { sample, ..Default::default() };
            let outputs = block_on(plan.step(&params, &["sampled"]).unwrap()).unwrap();
            let records =
                outputs[0].chunks_exact(Sampled::words(alternatives)).map(|row| Sampled::from_words(row).unwrap());
            for (r, record) in records.enumerate() {
                same_choice(&alone[r][i], &record, &format!("row {r} of step {i}"));
            }
        }
    }
}

#[test]
fn equal_logits_are_told_lowest_id_first_and_all_kept() {
    let logits = vec![0.5; 600];
    let sample = SampleParams { temperature: 1.0, top_k: 3, seed: 5, ..Default::default() };
    let steps: Vec<_> = (0..8).map(|step| SampleParams { step, ..sample }).collect();
    let [expected, got] = choices(&sampler(600, 7), &logits, &steps);
    for (a, b) in expected.iter().zip(&got) {
        same_choice(a, b, "equals");
    }
    assert_eq!(got[0].alternatives.iter().map(|a| a.0).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
    assert!(got.iter().any(|s| s.token > 100), "ties with the last one kept are kept");
}

#[test]
fn logits_that_are_no_numbers_neither_hang_nor_leave_the_vocabulary() {
    let mut some = numbers(3, 300);
    some[7] = f32::NAN;
    some[20] = f32::INFINITY;
    some[21] = f32::NEG_INFINITY;
    for logits in [vec![f32::NAN; 300], vec![f32::NEG_INFINITY; 300], some] {
        for temperature in [0.0, 0.9] {
            let sample = SampleParams { temperature, top_k: 20, top_p: 0.9, seed: 1, ..Default::default() };
            let [expected, got] = choices(&sampler(300, 5), &logits, &[sample]);
            assert!(got[0].token < 300);
            same_choice(&expected[0], &got[0], &format!("{:?} …", &logits[..3]));
        }
    }
}

#[test]
fn a_large_vocabulary_is_sampled_as_on_the_cpu() {
    let sample = SampleParams { temperature: 0.8, top_k: 50, top_p: 0.95, min_p: 0.02, seed: 3, ..Default::default() };
    // SmolLM2's, and Gemma 3's.
    for vocabulary in [49_152, 262_144] {
        let logits: Vec<f32> = numbers(9, vocabulary).iter().map(|v| v * 8.0).collect();
        let steps: Vec<_> = (0..4).map(|step| SampleParams { step, ..sample }).collect();
        let [expected, got] = choices(&sampler(vocabulary, 20), &logits, &steps);
        for (a, b) in expected.iter().zip(&got) {
            same_choice(a, b, "a large vocabulary");
        }
    }
}

#[test]
fn a_destroyed_device_is_an_error_of_its_own_from_then_on() {
    let device = gpu_alone();
    let graph = transformer(5, 1, 0);
    let resident = load(&Device::Gpu(device.clone()), &graph);
    let mut plan = compile(&resident, &graph);
    device.destroy();
    let lost = |error: Option<vitrine::Error>| {
        let error = error.expect("nothing works on a destroyed device");
        assert_eq!(error.code(), ErrorCode::DeviceLost, "{error}");
    };
    lost(plan.step(&at(0), &["logits"]).and_then(block_on).err());
    lost(plan.step(&at(0), &["logits"]).and_then(block_on).err());
    lost(plan.write_input("ids", &[0; 5]).err());
    lost(block_on(resident.compile(&graph)).err());
    lost(resident.write_state("seen", &[0]).err());
    lost(block_on(Device::Gpu(device).begin(&graph)).err());
}

#[test]
fn memory_comes_back_when_plans_and_model_are_dropped() {
    let device = gpu_alone();
    let graph = transformer(5, 2, 0);
    assert_eq!(device.bytes(), 0);
    for _ in 0..2 {
        let resident = load(&Device::Gpu(device.clone()), &graph);
        let loaded = resident.bytes();
        let mut plan = compile(&resident, &graph);
        assert!(loaded > 0 && resident.bytes() > loaded);
        block_on(plan.step(&at(0), &["logits"]).unwrap()).unwrap();
        let once = resident.bytes();
        for _ in 0..5 {
            block_on(plan.step(&at(0), &["logits"]).unwrap()).unwrap();
        }
        assert_eq!(resident.bytes(), once, "a step makes nothing after the first");
        assert_eq!(device.bytes(), once);
        drop((plan, resident));
        assert_eq!(device.bytes(), 0);
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let graph = transformer(5, 1, 0);
    let resident = load(&on_gpu(), &graph);
    let mut plan = compile(&resident, &graph);
    let code = |result: vitrine::Result<()>| result.unwrap_err().code();
    assert_eq!(code(plan.write_input("idz", &[0; 5])), ErrorCode::BadArgument);
    assert_eq!(code(plan.write_input("ids", &[0; 4])), ErrorCode::BadArgument);
    assert_eq!(code(plan.step(&at(0), &["logitz"]).map(|_| ())), ErrorCode::BadArgument);
    assert_eq!(code(resident.write_state("seem", &[0])), ErrorCode::BadArgument);
    assert_eq!(code(resident.write_state("seen", &[0; 1000])), ErrorCode::BadArgument);

    let mut g = GraphBuilder::new("a cache of 2^60 rows");
    let cache = g.state("keys", &[1 << 60, 64], DType::F32).unwrap();
    let x = g.input("x", &[1, 64], DType::F32);
    g.cache_write(cache, x).unwrap();
    let error = block_on(on_gpu().begin(&g.finish())).err().unwrap();
    assert_eq!(error.code(), ErrorCode::OutOfMemory);
}

#[test]
fn a_weight_that_never_came_whole_is_named() {
    let graph = transformer(5, 1, 0);
    let mut loader = block_on(on_gpu().begin(&graph)).unwrap();
    let gate = graph.weights.iter().position(|w| w.name == "0.gate").unwrap();
    let row = bits(&numbers(1, 48));
    loader.put(WeightId(gate as u32), 0, bytemuck::cast_slice(&row)).unwrap();
    assert!(loader.put(WeightId(gate as u32), 5, bytemuck::cast_slice(&row)).is_err(), "rows come in order");
    let error = block_on(loader.finish()).err().unwrap();
    assert_eq!(error.code(), ErrorCode::CorruptFile);
    assert!(error.to_string().contains("table"), "{error}");
}

#[test]
fn every_kernel_variant_compiles() {
    let Device::Gpu(device) = on_gpu() else { unreachable!() };
    let names = block_on(gpu::kernels::compile_all(&device)).unwrap();
    assert!(names.len() > 30, "{names:#?}");
}
