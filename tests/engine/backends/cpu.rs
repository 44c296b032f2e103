//! The CPU backend's operations against plain sums over what candle reads in the same bytes, and its sampling against
//! what the parameters say.

use half::{bf16, f16};
use pollster::block_on;
use proptest::prelude::*;
use vitrine::{
    Error, ErrorCode, Result,
    backend::{Plan, Resident},
    graph::{Binary, DType, Graph, GraphBuilder, Rope, RopeLayout, SampleParams, Sampled, StepParams, Unary, WeightId},
};

use super::{ALL, half_scales, numbers, random, read_by_candle, scale_block};
use crate::common::{bits, floats, on_cpu};

/// A file's bytes of `n` weights: any bits where the type has blocks, with scales of a sane size.
fn file_bytes(dtype: DType, n: usize, seed: u64) -> Vec<u8> {
    let mut next = random(seed);
    match dtype {
        DType::F32 | DType::U32 => (0..n).flat_map(|_| next().to_le_bytes()).collect(),
        DType::F16 => (0..n).flat_map(|_| f16::from_f32(next()).to_le_bytes()).collect(),
        DType::BF16 => (0..n).flat_map(|_| bf16::from_f32(next()).to_le_bytes()).collect(),
        _ => {
            let len = dtype.row_bytes(n).expect("whole blocks");
            let mut bytes: Vec<u8> = (0..len).map(|_| (next() * 127.9) as i8 as u8).collect();
            for block in bytes.chunks_mut(dtype.block_bytes()) {
                scale_block(dtype, block, 0.01, &mut next);
            }
            bytes
        }
    }
}

fn load(graph: &Graph, weights: &[Vec<u8>]) -> Result<Resident> {
    block_on(async {
        let mut loader = on_cpu().begin(graph).await?;
        for (i, (spec, bytes)) in graph.weights.iter().zip(weights).enumerate() {
            // A piece of some rows, then the rest.
            let rows = if spec.shape.len() == 2 { spec.shape[0] } else { 1 };
            let first = (rows / 3).max(1);
            let split = bytes.len() / rows * first;
            loader.put(WeightId(i as u32), 0, &bytes[..split])?;
            if rows > first {
                loader.put(WeightId(i as u32), first, &bytes[split..])?;
            }
        }
        loader.finish().await
    })
}

fn plan(graph: &Graph, weights: &[Vec<u8>]) -> Plan {
    let resident = load(graph, weights).expect("weights");
    block_on(resident.compile(graph)).expect("a plan")
}

fn step(plan: &mut Plan, params: StepParams, output: &str) -> Vec<u32> {
    block_on(plan.step(&params, &[output]).expect("a step")).expect("outputs").remove(0)
}

/// Asserts that every number is within `tolerance` of the largest wanted one.
#[track_caller]
fn close(got: &[f32], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(1e-6f64, |m, v| m.max(v.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((f64::from(*g) - w).abs() <= tolerance * largest, "number {i} is {g}, not {w} (largest {largest})");
    }
}

fn linear_matches(dtype: DType, t: usize, out: usize, columns: usize, with_bias: bool, seed: u64) {
    let mut g = GraphBuilder::new("linear");
    let w = g.weight("w", &[out, columns], dtype).unwrap();
    let bias = with_bias.then(|| g.weight("b", &[out], DType::F32).unwrap());
    let x = g.input("x", &[t, columns], DType::F32);
    let y = g.linear(w, bias, x).unwrap();
    g.output("y", y);
    let bytes = file_bytes(dtype, out * columns, seed);
    let biases = numbers(seed + 2, out);
    let mut weights = vec![bytes.clone()];
    if with_bias {
        weights.push(biases.iter().flat_map(|v| v.to_le_bytes()).collect());
    }
    let mut plan = plan(&g.finish(), &weights);
    let x = numbers(seed + 1, t * columns);
    plan.write_input("x", &bits(&x)).unwrap();
    let got = floats(&step(&mut plan, StepParams::default(), "y"));
    let w = read_by_candle(dtype, &bytes, out * columns);
    let want: Vec<f64> = x
        .chunks(columns)
        .flat_map(|x| {
            w.chunks(columns).zip(&biases).map(move |(w, b)| {
                let sum: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                sum + if with_bias { f64::from(*b) } else { 0.0 }
            })
        })
        .collect();
    close(&got, &want, 1e-4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_linear_layer_of_any_type_and_shape_matches_plain_sums(
        kind in 0usize..11, t in 1usize..11, out in 1usize..40, blocks in 1usize..6, odd in 0usize..31, with_bias: bool, seed in 0u64..1_000_000,
    ) {
        let dtype = ALL[kind];
        let columns = if dtype.is_quantised() { dtype.block_size() * blocks } else { blocks * 16 + odd };
        linear_matches(dtype, t, out, columns, with_bias, seed);
    }

    #[test]
    fn attention_matches_plain_sums_at_any_position(
        t in 1usize..14, position in 0usize..23, kv_heads in 1usize..4, shared in 1usize..4, head_dim in 1usize..21, seed in 0u64..1_000_000,
        window in prop::sample::select(vec![None, Some(1), Some(3), Some(8), Some(13), Some(50)]),
    ) {
        let (heads, keys) = (kv_heads * shared, position + t);
        let (width, kv_width) = (heads * head_dim, kv_heads * head_dim);
        let mut g = GraphBuilder::new("attention");
        let caches = ["k", "v"].map(|name| g.state(name, &[40, kv_width], DType::F32).unwrap());
        let [q, k, v] = [("q", width), ("k", kv_width), ("v", kv_width)].map(|(name, n)| g.input(name, &[t, n], DType::F32));
        let k = g.cache_write(caches[0], k).unwrap();
        let v = g.cache_write(caches[1], v).unwrap();
        let y = g.attention(heads, kv_heads, head_dim, 0.7, window, q, k, v).unwrap();
        g.output("y", y);
        let graph = g.finish();
        let resident = load(&graph, &[]).unwrap();
        let [q, k, v] = [(1, t * width), (2, keys * kv_width), (3, keys * kv_width)].map(|(s, n)| numbers(seed + s, n));
        let mut plan = block_on(resident.compile(&graph)).unwrap();
        let old = position * kv_width;
        resident.write_state("k", &bits(&k[..old])).unwrap();
        resident.write_state("v", &bits(&v[..old])).unwrap();
        for (name, x) in [("q", &q[..]), ("k", &k[old..]), ("v", &v[old..])] {
            plan.write_input(name, &bits(x)).unwrap();
        }
        let got = floats(&step(&mut plan, StepParams { position: position as u32, ..StepParams::default() }, "y"));
        let mut want = vec![0f64; t * width];
        for r in 0..t {
            let end = position + r + 1;
            let first = window.map_or(0, |window| end.saturating_sub(window));
            for h in 0..heads {
                let at = |cache: &[f32], key: usize, d: usize| f64::from(cache[key * kv_width + h / shared * head_dim + d]);
                let query = |d: usize| f64::from(q[r * width + h * head_dim + d]);
                let scores: Vec<f64> =
                    (first..end).map(|key| ((0..head_dim).map(|d| query(d) * at(&k, key, d)).sum::<f64>() * 0.7).exp()).collect();
                let total: f64 = scores.iter().sum();
                for d in 0..head_dim {
                    want[r * width + h * head_dim + d] = scores.iter().enumerate().map(|(i, s)| s / total * at(&v, first + i, d)).sum();
                }
            }
        }
        close(&got, &want, 1e-5);
    }
}

#[test]
fn every_type_is_read_as_candle_reads_it() {
    for dtype in ALL {
        let columns = if dtype.is_quantised() { 512 } else { 37 };
        let mut g = GraphBuilder::new("embedding");
        let table = g.weight("table", &[11, columns], dtype).unwrap();
        let ids = g.input("ids", &[3], DType::U32);
        let x = g.embedding(table, ids).unwrap();
        g.output("x", x);
        let bytes = file_bytes(dtype, 11 * columns, 5);
        let mut plan = plan(&g.finish(), std::slice::from_ref(&bytes));
        plan.write_input("ids", &[10, 11, 3]).unwrap();
        let got = floats(&step(&mut plan, StepParams::default(), "x"));
        let all = read_by_candle(dtype, &bytes, 11 * columns);
        // An id past the table reads row 0.
        let want: Vec<f64> =
            [10, 0, 3].iter().flat_map(|r| &all[r * columns..][..columns]).map(|v| f64::from(*v)).collect();
        close(&got, &want, 1e-6);
    }
}

#[test]
fn positions_are_added_from_the_steps_on_and_past_the_table_row_0_is() {
    let mut g = GraphBuilder::new("positions");
    let table = g.weight("table", &[7, 5], DType::F32).unwrap();
    let x = g.input("x", &[4, 5], DType::F32);
    let y = g.add_positions(table, x).unwrap();
    g.output("y", y);
    let (rows, x) = (numbers(1, 35), numbers(2, 20));
    let mut plan = plan(&g.finish(), &[bytemuck::cast_slice(&rows).to_vec()]);
    plan.write_input("x", &bits(&x)).unwrap();
    let got = floats(&step(&mut plan, StepParams { position: 4, ..StepParams::default() }, "y"));
    let met = [4, 5, 6, 0].iter().flat_map(|r| &rows[r * 5..][..5]);
    let want: Vec<f64> = x.iter().zip(met).map(|(x, p)| f64::from(x + p)).collect();
    close(&got, &want, 1e-6);
}

#[test]
fn a_block_with_a_scale_that_is_no_number_is_a_corrupt_file_by_name() {
    for dtype in ALL {
        let Some(at) = half_scales(dtype).first().copied() else { continue };
        for bad in [f16::NAN, f16::INFINITY] {
            for shape in [&[5usize, 512][..], &[2560][..]] {
                let mut g = GraphBuilder::new("embedding");
                g.weight("blk.7.ffn_up.weight", shape, dtype).unwrap();
                let mut bytes = file_bytes(dtype, 2560, 1);
                let last = bytes.len() - dtype.block_bytes();
                bytes[last + at..][..2].copy_from_slice(&bad.to_le_bytes());
                let error = load(&g.finish(), &[bytes]).err().expect("refused");
                assert_eq!(error.code(), ErrorCode::CorruptFile);
                assert!(error.to_string().contains("blk.7.ffn_up.weight"), "{error}");
            }
        }
    }
}

#[test]
fn a_weight_that_never_came_whole_is_refused_by_name() {
    let mut g = GraphBuilder::new("linear");
    g.weight("w", &[4, 8], DType::F32).unwrap();
    let graph = g.finish();
    let missing = |bytes: usize| -> Error {
        block_on(async {
            let mut loader = on_cpu().begin(&graph).await?;
            loader.put(WeightId(0), 0, &vec![0; bytes])?;
            loader.finish().await.map(|_| ())
        })
        .expect_err("refused")
    };
    let error = missing(3 * 32);
    assert!(error.code() == ErrorCode::CorruptFile && error.to_string().contains("weight w came with 3"), "{error}");
    assert!(missing(5 * 32).to_string().contains("of 4"));
    assert!(missing(33).to_string().contains("33 bytes"));
}

#[test]
fn a_state_or_a_weight_too_large_for_any_machine_is_out_of_memory() {
    for shape in [[1usize << 40, 1 << 40], [1 << 31, 1 << 29]] {
        let mut g = GraphBuilder::new("large");
        g.weight("w", &shape, DType::F32).unwrap();
        assert_eq!(load(&g.finish(), &[]).err().expect("refused").code(), ErrorCode::OutOfMemory);
    }
    let mut g = GraphBuilder::new("large");
    g.state("cache", &[1 << 40, 1 << 40], DType::F32).unwrap();
    assert_eq!(load(&g.finish(), &[]).err().expect("refused").code(), ErrorCode::OutOfMemory);
}

#[test]
fn norms_activations_and_rotary_positions_match_plain_arithmetic() {
    for layout in [RopeLayout::Interleaved, RopeLayout::HalfSplit] {
        let (t, heads, dim, rotary) = (3usize, 2usize, 10usize, 6usize);
        let mut g = GraphBuilder::new("elementwise");
        let norm = g.weight("norm", &[dim], DType::F32).unwrap();
        let factors = g.weight("factors", &[rotary / 2], DType::F32).unwrap();
        let x = g.input("x", &[t, heads * dim], DType::F32);
        let n = g.rms_norm(norm, 1e-3, x).unwrap();
        let r = {
            let plain = Rope::plain(heads, dim, 100.0, layout);
            let of = Rope { rotary_dim: rotary, frequency_scale: 0.5, magnitude: 1.5, factors: Some(factors), ..plain };
            g.rope(of, x).unwrap()
        };
        let s = g.unary(Unary::Silu, x);
        let e = g.unary(Unary::GeluTanh, x);
        let m = g.binary(Binary::Mul, s, x).unwrap();
        let d = g.binary(Binary::Add, x, x).unwrap();
        for (name, v) in [("norm", n), ("rope", r), ("gelu", e), ("mul", m), ("twice", d)] {
            g.output(name, v);
        }
        let w = numbers(3, dim);
        let f = [1.0f32, 2.0, 8.0];
        let le = |v: &[f32]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let mut plan = plan(&g.finish(), &[le(&w), le(&f)]);
        let x: Vec<f32> = numbers(4, t * heads * dim).iter().map(|v| v * 5.0).collect();
        plan.write_input("x", &bits(&x)).unwrap();
        let params = StepParams { position: 17, ..StepParams::default() };
        let mut get = |name: &str| floats(&step(&mut plan, params, name));
        let wide: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
        let silu = |v: f64| v / (1.0 + (-v).exp());
        let gelu =
            |v: f64| 0.5 * v * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (v + 0.044_715 * v * v * v)).tanh());
        close(&get("mul"), &wide.iter().map(|v| silu(*v) * v).collect::<Vec<_>>(), 1e-5);
        close(&get("gelu"), &wide.iter().map(|v| gelu(*v)).collect::<Vec<_>>(), 1e-5);
        close(&get("twice"), &wide.iter().map(|v| v + v).collect::<Vec<_>>(), 1e-6);
        let mut want = vec![];
        for group in wide.chunks(dim) {
            let mean = group.iter().map(|v| v * v).sum::<f64>() / dim as f64;
            want.extend(group.iter().zip(&w).map(|(v, w)| v / (mean + 1e-3).sqrt() * f64::from(*w)));
        }
        close(&get("norm"), &want, 1e-5);
        let mut want = wide.clone();
        for (row, values) in want.chunks_mut(heads * dim).enumerate() {
            for head in values.chunks_mut(dim) {
                for i in 0..rotary / 2 {
                    let (a, b) = match layout {
                        RopeLayout::Interleaved => (2 * i, 2 * i + 1),
                        RopeLayout::HalfSplit => (i, i + rotary / 2),
                    };
                    let frequency = 100f64.powf(-2.0 * i as f64 / rotary as f64) * 0.5 / f64::from(f[i]);
                    let [sin, cos] = <[f64; 2]>::from(((17 + row) as f64 * frequency).sin_cos()).map(|v| 1.5 * v);
                    (head[a], head[b]) = (head[a] * cos - head[b] * sin, head[a] * sin + head[b] * cos);
                }
            }
        }
        close(&get("rope"), &want, 1e-5);
    }
}

/// A plan that samples from logits that the test writes.
struct Sampler(Plan, Resident);

impl Sampler {
    fn new(vocabulary: usize, alternatives: usize) -> Self {
        let mut g = GraphBuilder::new("sample");
        let states = g.sample_states(vocabulary).unwrap();
        let logits = g.input("logits", &[1, vocabulary], DType::F32);
        let sampled = g.sample(states, alternatives, logits).unwrap();
        g.output("sampled", sampled);
        let graph = g.finish();
        let resident = load(&graph, &[]).unwrap();
        Self(block_on(resident.compile(&graph)).unwrap(), resident)
    }

    fn forget(&self, vocabulary: usize) {
        self.1.write_state("seen", &vec![0; vocabulary]).unwrap();
    }

    fn draw(&mut self, logits: &[f32], sample: SampleParams) -> Sampled {
        self.0.write_input("logits", &bits(logits)).unwrap();
        let record = step(&mut self.0, StepParams { sample, ..StepParams::default() }, "sampled");
        Sampled::from_words(&record).unwrap()
    }

    /// How often each token comes in `n` draws with other steps.
    fn counts(&mut self, logits: &[f32], sample: SampleParams, n: u32) -> Vec<f64> {
        let mut counts = vec![0.0; logits.len()];
        for step in 0..n {
            self.forget(logits.len());
            counts[self.draw(logits, SampleParams { step, ..sample }).token as usize] += 1.0 / f64::from(n);
        }
        counts
    }
}

const LOGITS: [f32; 6] = [1.0, 3.0, 2.0, 3.0, -1.0, 0.0];

fn probabilities(logits: &[f32], temperature: f64) -> Vec<f64> {
    let weights: Vec<f64> = logits.iter().map(|l| (f64::from(*l) / temperature).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| w / total).collect()
}

#[test]
fn greedy_takes_the_lowest_id_among_the_likeliest_and_reports_the_models_own_probabilities() {
    let mut s = Sampler::new(6, 3);
    let got = s.draw(&LOGITS, SampleParams::default());
    assert_eq!(got.token, 1);
    assert_eq!(got.alternatives.iter().map(|a| a.0).collect::<Vec<_>>(), [1, 3, 2]);
    let p = probabilities(&LOGITS, 1.0);
    assert!((f64::from(got.logprob) - p[1].ln()).abs() < 1e-5);
    for (id, logprob) in got.alternatives {
        assert!((f64::from(logprob) - p[id as usize].ln()).abs() < 1e-5);
    }
}

#[test]
fn draws_follow_the_tempered_distribution() {
    let mut s = Sampler::new(6, 0);
    for temperature in [0.5f32, 1.0, 2.0] {
        let counts = s.counts(&LOGITS, SampleParams { temperature, seed: 11, ..SampleParams::default() }, 8000);
        for (got, want) in counts.iter().zip(probabilities(&LOGITS, f64::from(temperature))) {
            assert!((got - want).abs() < 0.02, "temperature {temperature}: {got} is not {want}");
        }
    }
}

#[test]
fn filters_keep_what_their_threshold_keeps() {
    let mut s = Sampler::new(6, 0);
    let warm = SampleParams { temperature: 1.0, seed: 5, ..SampleParams::default() };
    let kept = |s: &mut Sampler, params: SampleParams| -> Vec<usize> {
        let counts = s.counts(&LOGITS, params, 3000);
        (0..6).filter(|i| counts[*i] > 0.0).collect()
    };
    // Tokens 1 and 3 are equally likely: one of them is never kept without the other.
    assert_eq!(kept(&mut s, SampleParams { top_k: 1, ..warm }), [1, 3]);
    assert_eq!(kept(&mut s, SampleParams { top_k: 3, ..warm }), [1, 2, 3]);
    assert_eq!(kept(&mut s, SampleParams { top_p: 0.1, ..warm }), [1, 3]);
    // 0.399 each for 1 and 3, 0.147 for 2, 0.054 for 0.
    assert_eq!(kept(&mut s, SampleParams { top_p: 0.85, ..warm }), [1, 2, 3]);
    // Over what top-k kept, 1 and 3 have half of the probability each.
    assert_eq!(kept(&mut s, SampleParams { top_k: 2, top_p: 0.99, ..warm }), [1, 3]);
    // Token 2 has e⁻¹ = 0.368 of the likeliest's probability, token 0 e⁻² = 0.135.
    assert_eq!(kept(&mut s, SampleParams { min_p: 0.3, ..warm }), [1, 2, 3]);
    assert_eq!(kept(&mut s, SampleParams { min_p: 0.1, ..warm }), [0, 1, 2, 3]);
    assert_eq!(kept(&mut s, SampleParams { min_p: 1.0, ..warm }), [1, 3]);
}

#[test]
fn what_stands_in_the_text_is_penalised_whatever_its_sign() {
    let mut s = Sampler::new(3, 0);
    let params = SampleParams { repetition_penalty: 2.0, ..SampleParams::default() };
    // 4 / 2 < 3, then 3 / 2 < 2 …
    assert_eq!(s.draw(&[4.0, 3.0, 1.0], params).token, 0);
    assert_eq!(s.draw(&[4.0, 3.0, 1.0], params).token, 1);
    assert_eq!(s.draw(&[4.0, 3.0, 1.0], params).token, 0);
    s.forget(3);
    assert_eq!(s.draw(&[-1.0, -1.5, -9.0], params).token, 0);
    assert_eq!(s.draw(&[-1.0, -1.5, -9.0], params).token, 1);
}

#[test]
fn the_same_seed_and_step_give_the_same_token_and_others_give_others() {
    let logits = numbers(1, 500);
    let mut s = Sampler::new(500, 0);
    let warm = SampleParams { temperature: 1.5, seed: 7, ..SampleParams::default() };
    let mut run = |seed: u32| -> Vec<u32> {
        (0..50).map(|step| s.draw(&logits, SampleParams { seed, step, ..warm }).token).collect()
    };
    let first = run(7);
    assert_eq!(run(7), first);
    assert_ne!(run(8), first);
}

#[test]
fn logits_that_are_no_numbers_are_never_chosen() {
    let mut s = Sampler::new(4, 2);
    let warm = SampleParams { temperature: 1.0, top_k: 3, top_p: 0.9, ..SampleParams::default() };
    for params in [SampleParams::default(), warm] {
        for step in 0..50 {
            let params = SampleParams { step, ..params };
            let got = s.draw(&[f32::NAN, -2.0, f32::INFINITY, f32::NEG_INFINITY], params);
            assert_eq!((got.token, got.logprob), (1, 0.0));
        }
        let got = s.draw(&[f32::NAN; 4], params);
        assert!(got.token == 0 && got.logprob.is_nan());
    }
}

#[test]
fn steps_and_inputs_that_do_not_fit_are_refused() {
    let mut s = Sampler::new(4, 0);
    assert_eq!(s.0.write_input("logits", &[0; 3]).unwrap_err().code(), ErrorCode::BadArgument);
    assert_eq!(s.0.write_input("ids", &[0; 4]).unwrap_err().code(), ErrorCode::InvalidGraph);
    assert!(s.0.step(&StepParams::default(), &["nothing"]).is_err());
    assert_eq!(s.1.write_state("seen", &[0; 5]).unwrap_err().code(), ErrorCode::BadArgument);
    assert!(s.1.write_state("nothing", &[]).is_err());
    let before = s.1.bytes();
    let Sampler(plan, resident) = s;
    drop(plan);
    assert!(resident.bytes() < before);
}
