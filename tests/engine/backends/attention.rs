//! Attention with a bias, with members of several lengths, over what an earlier step stored, and its weights, against plain sums, on both
//! backends.

use std::ops::Range;

use pollster::block_on;
use proptest::prelude::*;
use vitrine::{
    ErrorCode,
    backend::{Device, Resident},
    graph::{Attention, DType, Graph, GraphBuilder, Mask, StepParams},
};

use super::{every_device, numbers};
use crate::common::{bits, floats};

fn resident(device: &Device, graph: &Graph) -> Resident {
    block_on(async { device.begin(graph).await.unwrap().finish().await.unwrap() })
}

/// The outputs of a step.
fn run(resident: &Resident, graph: &Graph, inputs: &[(&str, Vec<u32>)], params: &StepParams) -> Vec<Vec<f32>> {
    let mut plan = block_on(resident.compile(graph)).unwrap();
    for (name, words) in inputs {
        plan.write_input(name, words).unwrap();
    }
    let names: Vec<&str> = graph.outputs.iter().map(|(name, _)| name.as_str()).collect();
    block_on(plan.step(params, &names).unwrap()).unwrap().iter().map(|words| floats(words)).collect()
}

#[track_caller]
fn close(device: &Device, name: &str, got: &[f32], wanted: &[f64]) {
    assert_eq!(got.len(), wanted.len(), "{name}");
    let largest = wanted.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
    for (i, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        let error = (f64::from(*got) - wanted).abs();
        assert!(error <= 1e-4 * largest, "{}: {name}[{i}] is {got}, not {wanted}", device.info().name);
    }
}

/// Sizes of an attention, and which keys row `r` of member `m` sees.
struct Case<'a> {
    of: Attention,
    rows: usize,
    keys: usize,
    /// Where row 0 stands among the keys.
    position: usize,
    bias: Option<&'a [f32]>,
    seen: &'a dyn Fn(usize, usize) -> Range<usize>,
}

impl Case<'_> {
    /// What each row makes of the values, and how much it takes from each key.
    fn plainly(&self, q: &[f32], k: &[f32], v: &[f32]) -> (Vec<f64>, Vec<f64>) {
        let Attention { heads, kv_heads, head_dim: dim, scale, softcap, batch, bias: zero, .. } = self.of;
        let (width, kv_width) = (heads * dim, kv_heads * dim);
        let mut out = vec![0.0; batch * self.rows * width];
        let mut weights = vec![0.0; batch * heads * self.rows * self.keys];
        for (m, h, r) in (0..batch).flat_map(|m| (0..heads).flat_map(move |h| (0..self.rows).map(move |r| (m, h, r)))) {
            let column = h / (heads / kv_heads) * dim;
            let at = |x: &[f32], key: usize, d: usize| f64::from(x[(m * self.keys + key) * kv_width + column + d]);
            let score = |key: usize| {
                let query = |d: usize| f64::from(q[(m * self.rows + r) * width + h * dim + d]);
                let sum: f64 = (0..dim).map(|d| query(d) * at(k, key, d)).sum();
                let lean = zero
                    .zip(self.bias)
                    .map_or(0.0, |(zero, bias)| f64::from(bias[(key + zero - (self.position + r)) * heads + h]));
                let score = sum * f64::from(scale);
                (softcap.map(f64::from).map_or(score, |cap| cap * (score / cap).tanh()) + lean).exp()
            };
            let total: f64 = (self.seen)(m, r).map(score).sum();
            for key in (self.seen)(m, r) {
                let share = score(key) / total;
                weights[((m * heads + h) * self.rows + r) * self.keys + key] = share;
                for d in 0..dim {
                    out[(m * self.rows + r) * width + h * dim + d] += share * at(v, key, d);
                }
            }
        }
        (out, weights)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5, failure_persistence: None, ..Default::default() })]

    #[test]
    fn between_values_bias_and_lengths_count(
        batch in 1usize..4, rows in prop::sample::select(vec![1usize, 3, 17, 40]), keys in prop::sample::select(vec![1usize, 7, 33]),
        kv_heads in 1usize..3, share in 1usize..3, dim in prop::sample::select(vec![3usize, 8, 16]),
        causal: bool, biased: bool, uneven: bool, capped: bool, window in prop::sample::select(vec![None, Some(1usize), Some(6)]),
    ) {
        let keys = if causal { rows } else { keys };
        let heads = kv_heads * share;
        let mask = if causal { Mask::CAUSAL } else { Mask::FULL }.within(window);
        let zero = rows + 1;
        let plain = Attention::plain(heads, kv_heads, dim, 0.3, mask, batch);
        let of = Attention { softcap: capped.then_some(0.4), bias: biased.then_some(zero), ..plain };
        let lengths: Vec<u32> = (0..batch).map(|m| if uneven { 1 + ((m * 5 + 2) % keys) as u32 } else { keys as u32 }).collect();
        let [q, k, v] = [(1, rows * heads), (2, keys * kv_heads), (3, keys * kv_heads)]
            .map(|(seed, n)| numbers(seed, batch * n * dim));
        let bias = numbers(4, (zero + keys + 1) * heads);
        let seen = |m: usize, r: usize| {
            let (count, reach) = (lengths[m] as usize, window.unwrap_or(1000));
            if causal {
                let end = count.min(r + 1);
                return end.saturating_sub(reach)..end;
            }
            let end = count.min(r + reach);
            (r + 1).saturating_sub(reach).min(end - 1)..end
        };
        let (wanted, weights) =
            Case { of, rows, keys, position: 0, bias: Some(&bias), seen: &seen }.plainly(&q, &k, &v);
        let mut g = GraphBuilder::new("between");
        let query = g.input("q", &[batch * rows, heads * dim], DType::F32);
        let [key, value] = ["k", "v"].map(|name| g.input(name, &[batch * keys, kv_heads * dim], DType::F32));
        let lean = biased.then(|| (g.constant(zero + keys + 1, &bias).unwrap(), zero));
        let counts = uneven.then(|| g.input("lengths", &[batch], DType::U32));
        let y = g.attend(of, [query, key, value], lean, counts).unwrap();
        let w = g.attention_weights(of, [query, key], lean, counts).unwrap();
        g.output("y", y);
        g.output("weights", w);
        let graph = g.finish();
        let mut inputs = vec![("q", bits(&q)), ("k", bits(&k)), ("v", bits(&v))];
        if uneven {
            inputs.push(("lengths", lengths.clone()));
        }
        for device in every_device() {
            let got = run(&resident(&device, &graph), &graph, &inputs, &StepParams::default());
            close(&device, "y", &got[0], &wanted);
            close(&device, "weights", &got[1], &weights);
        }
    }

    #[test]
    fn over_a_cache_a_bias_counts_from_the_step(
        rows in prop::sample::select(vec![1usize, 1, 2, 20]), kv_heads in 1usize..3, share in 1usize..3,
        dim in prop::sample::select(vec![3usize, 8, 16]), position in 0usize..100, capped: bool, window in prop::sample::select(vec![None, Some(5), Some(90)]),
    ) {
        let (heads, capacity) = (kv_heads * share, 130);
        let mask = Mask::CACHED.within(window);
        let zero = capacity - 1;
        let plain = Attention::plain(heads, kv_heads, dim, 0.3, mask, 1);
        let of = Attention { softcap: capped.then_some(0.4), bias: Some(zero), ..plain };
        let [mut k, mut v] = [2, 3].map(|seed| numbers(seed, capacity * kv_heads * dim));
        let q = numbers(1, rows * heads * dim);
        let bias = numbers(4, capacity * heads);
        let mut g = GraphBuilder::new("cached");
        let query = g.input("q", &[rows, heads * dim], DType::F32);
        let [key, value] = ["k", "v"].map(|name| {
            let state = g.state(name, &[capacity, kv_heads * dim], DType::F32).unwrap();
            let x = g.input(&format!("new {name}"), &[rows, kv_heads * dim], DType::F32);
            g.cache_write(state, x).unwrap()
        });
        let lean = Some((g.constant(capacity, &bias).unwrap(), zero));
        let y = g.attend(of, [query, key, value], lean, None).unwrap();
        let w = g.attention_weights(of, [query, key], lean, None).unwrap();
        g.output("y", y);
        g.output("weights", w);
        let graph = g.finish();
        let new = numbers(5, rows * kv_heads * dim);
        let seen = |_: usize, r: usize| {
            let end = position + r + 1;
            end.saturating_sub(window.unwrap_or(end))..end
        };
        let (old_k, old_v) = (k.clone(), v.clone());
        for x in [&mut k, &mut v] {
            x[position * kv_heads * dim..][..new.len()].copy_from_slice(&new);
        }
        let case = Case { of, rows, keys: capacity, position, bias: Some(&bias), seen: &seen };
        let (wanted, weights) = case.plainly(&q, &k, &v);
        let inputs = [("q", bits(&q)), ("new k", bits(&new)), ("new v", bits(&new))];
        for device in every_device() {
            let resident = resident(&device, &graph);
            resident.write_state("k", &bits(&old_k)).unwrap();
            resident.write_state("v", &bits(&old_v)).unwrap();
            let got = run(&resident, &graph, &inputs, &StepParams { position: position as u32, ..StepParams::default() });
            close(&device, "y", &got[0], &wanted);
            close(&device, "weights", &got[1], &weights);
        }
    }
}

/// Keys and values that one graph stores are what another's rows see, as many as the step says, wherever the rows stand.
#[test]
fn what_an_encoder_stored_is_seen_by_every_step_after_it() {
    let (heads, dim, capacity, keys) = (2, 8, 80, 70);
    let of = Attention::plain(heads, heads, dim, 0.3, Mask::MEMORY, 1);
    let states =
        |g: &mut GraphBuilder| ["k", "v"].map(|name| g.state(name, &[capacity, heads * dim], DType::F32).unwrap());
    let mut g = GraphBuilder::new("encoder");
    let to = states(&mut g);
    for (name, state) in ["k", "v"].into_iter().zip(to) {
        let x = g.input(name, &[keys, heads * dim], DType::F32);
        let stored = g.cache_write(state, x).unwrap();
        g.output(name, stored);
    }
    let encoder = g.finish();
    let decoder = |rows: usize| {
        let mut g = GraphBuilder::new("decoder");
        let from = states(&mut g);
        let q = g.input("q", &[rows, heads * dim], DType::F32);
        let [k, v] = from.map(|state| g.stored(state).unwrap());
        let y = g.attend(of, [q, k, v], None, None).unwrap();
        let w = g.attention_weights(of, [q, k], None, None).unwrap();
        g.output("y", y);
        g.output("weights", w);
        g.finish()
    };
    let [mut k, mut v] = [2, 3].map(|seed| numbers(seed, keys * heads * dim));
    for device in every_device() {
        let resident = resident(&device, &encoder);
        run(&resident, &encoder, &[("k", bits(&k)), ("v", bits(&v))], &StepParams::default());
        for (rows, position, memory) in [(1, 0, 70), (1, 500, 3), (5, 9, 65), (20, 0, 70)] {
            let graph = decoder(rows);
            let q = numbers(1, rows * heads * dim);
            let params = StepParams { position, memory, ..StepParams::default() };
            let got = run(&resident, &graph, &[("q", bits(&q))], &params);
            k.resize(capacity * heads * dim, 0.0);
            v.resize(capacity * heads * dim, 0.0);
            let seen = |_: usize, _: usize| 0..memory as usize;
            let case = Case { of, rows, keys: capacity, position: 0, bias: None, seen: &seen };
            let (wanted, weights) = case.plainly(&q, &k, &v);
            close(&device, "y", &got[0], &wanted);
            close(&device, "weights", &got[1], &weights);
            k.truncate(keys * heads * dim);
            v.truncate(keys * heads * dim);
        }
        let mut plan = block_on(resident.compile(&decoder(1))).unwrap();
        // None of them, and one more than were stored.
        for memory in [0, 71] {
            let error = plan.step(&StepParams { memory, ..StepParams::default() }, &["y"]).err().expect("refused");
            let said = error.to_string();
            assert!(
                error.code() == ErrorCode::BadArgument && said.contains("k holds 70; run what stores them first"),
                "{said}"
            );
        }
        // A model of which nobody has run the encoder.
        let fresh = self::resident(&device, &encoder);
        let mut plan = block_on(fresh.compile(&decoder(1))).unwrap();
        let error = plan.step(&StepParams { memory: 1, ..StepParams::default() }, &["y"]).err().expect("refused");
        assert!(error.to_string().contains("k holds 0"), "{error}");
    }
}

/// Ids and numbers that the graph brings along: T5's bias is rows of a table by the bucket of each distance.
#[test]
fn constants_are_values_like_others() {
    let mut g = GraphBuilder::new("constants");
    let ids = g.ids(&[2, 0, 2]);
    let table = g.constant(3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    let weight = g.weight("table", &[3, 2], DType::F32).unwrap();
    let rows = g.embedding(weight, ids).unwrap();
    let sum = g.binary(vitrine::graph::Binary::Add, rows, table).unwrap();
    g.output("sum", sum);
    let graph = g.finish();
    for device in every_device() {
        let resident = block_on(async {
            let mut loader = device.begin(&graph).await.unwrap();
            let weight: [f32; 6] = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0];
            loader.put(vitrine::graph::WeightId(0), 0, bytemuck::cast_slice(&weight)).unwrap();
            loader.finish().await.unwrap()
        });
        for _ in 0..2 {
            let got = run(&resident, &graph, &[], &StepParams::default());
            assert_eq!(got[0], [51.0, 62.0, 13.0, 24.0, 55.0, 66.0]);
        }
    }
}
