//! Several sequences in one step, each in a slot of the caches of its own, against each of them alone; and copies of slots.

use pollster::block_on;
use vitrine::{
    ErrorCode,
    backend::{Device, Plan, Resident},
    graph::{Attention, Binary, DType, Graph, GraphBuilder, Mask, Rope, RopeLayout, StepParams, WeightId},
};

use super::{every_device, numbers};
use crate::common::{bits, floats};

const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const DIM: usize = 8;
const WIDTH: usize = HEADS * DIM;
const KV: usize = KV_HEADS * DIM;
const CAPACITY: usize = 24;
const SLOTS: usize = 8;

/// Two layers of attention over rows `[rows, WIDTH]`: one with learned positions and a rotary, one through a window with a bias; then a causal
/// convolution.
fn model(rows: usize, slots: Option<usize>) -> Graph {
    let mut g = GraphBuilder::new("two layers");
    let mut x = g.input("x", &[rows, WIDTH], DType::F32);
    if let Some(slots) = slots {
        g.place_rows(rows, slots).unwrap();
    }
    let table = g.weight("positions", &[CAPACITY, WIDTH], DType::F32).unwrap();
    x = g.add_positions(table, x).unwrap();
    for layer in 0..2 {
        let [q, k, v] = [("q", WIDTH), ("k", KV), ("v", KV)].map(|(name, out)| {
            let weight = g.weight(&format!("{layer}.{name}"), &[out, WIDTH], DType::F32).unwrap();
            g.linear(weight, None, x).unwrap()
        });
        let mut turn = |heads: usize, x| g.rope(Rope::plain(heads, DIM, 1e4, RopeLayout::HalfSplit), x).unwrap();
        let (q, k) = if layer == 0 { (turn(HEADS, q), turn(KV_HEADS, k)) } else { (q, k) };
        let [k, v] = [("k", k), ("v", v)].map(|(name, value)| {
            let shape = [slots.unwrap_or(1) * CAPACITY, KV];
            let cache = g.state(&format!("{layer}.{name} cache"), &shape, DType::F32).unwrap();
            g.cache_write(cache, value).unwrap()
        });
        let mask = Mask::CACHED.within((layer == 1).then_some(5));
        let of = Attention::plain(HEADS, KV_HEADS, DIM, 0.35, mask, 1);
        let bias = (layer == 1).then(|| (g.constant(5, &numbers(77, 5 * HEADS)).unwrap(), 4));
        let seen = g.attend(of, [q, k, v], bias, None).unwrap();
        let shares = g.attention_weights(of, [q, k], bias, None).unwrap();
        g.output(&format!("weights {layer}"), shares);
        let weight = g.weight(&format!("{layer}.out"), &[WIDTH, WIDTH], DType::F32).unwrap();
        let out = g.linear(weight, None, seen).unwrap();
        x = g.binary(Binary::Add, x, out).unwrap();
    }
    let cache = g.state("conv cache", &[slots.unwrap_or(1) * CAPACITY, WIDTH], DType::F32).unwrap();
    let weight = g.weight("conv", &[WIDTH * 3], DType::F32).unwrap();
    let bias = g.weight("conv bias", &[WIDTH], DType::F32).unwrap();
    let cached = g.cache_write(cache, x).unwrap();
    let y = g.causal_conv(weight, Some(bias), 3, cached).unwrap();
    g.output("y", y);
    g.finish()
}

/// Copies of slots in all caches of [`model`].
fn copies() -> Graph {
    let mut g = GraphBuilder::new("copies");
    let copies = g.input("copies", &[SLOTS, 2], DType::U32);
    let caches = [("0.k cache", KV), ("0.v cache", KV), ("1.k cache", KV), ("1.v cache", KV), ("conv cache", WIDTH)];
    for (cache, columns) in caches {
        let state = g.state(cache, &[SLOTS * CAPACITY, columns], DType::F32).unwrap();
        g.copy_slots(state, copies).unwrap();
    }
    g.finish()
}

fn load(device: &Device, graph: &Graph) -> Resident {
    block_on(async {
        let mut loader = device.begin(graph).await.unwrap();
        for (i, spec) in graph.weights.iter().enumerate() {
            let values: Vec<f32> = numbers(i as u64 + 1, spec.shape.iter().product()).iter().map(|v| v * 0.4).collect();
            loader.put(WeightId(i as u32), 0, bytemuck::cast_slice(&values)).unwrap();
        }
        loader.finish().await.unwrap()
    })
}

/// Token `t` of sequence `s`.
fn token(s: usize, t: usize) -> Vec<f32> {
    numbers((100 * s + t + 1) as u64, WIDTH)
}

/// Rows as a step makes them: `y`, and both layers' weights as `[rows, heads, capacity]`.
struct Made {
    y: Vec<f32>,
    weights: [Vec<f32>; 2],
}

fn step(plan: &mut Plan, x: &[f32], places: Option<&[u32]>, position: u32) -> Made {
    plan.write_input("x", &bits(x)).unwrap();
    places.into_iter().for_each(|places| plan.write_input("places", places).unwrap());
    let params = StepParams { position, ..StepParams::default() };
    let out = block_on(plan.step(&params, &["y", "weights 0", "weights 1"]).unwrap()).unwrap();
    let rows = x.len() / WIDTH;
    let by_row = |words: &[u32]| {
        let all = floats(words);
        let of = |r: usize, h: usize| all[(h * rows + r) * CAPACITY..][..CAPACITY].to_vec();
        (0..rows).flat_map(|r| (0..HEADS).flat_map(move |h| of(r, h))).collect::<Vec<_>>()
    };
    Made { y: floats(&out[0]), weights: [by_row(&out[1]), by_row(&out[2])] }
}

#[track_caller]
fn close(device: &Device, what: &str, got: &[f32], wanted: &[f32]) {
    assert_eq!(got.len(), wanted.len(), "{what}");
    for (i, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        assert!((got - wanted).abs() <= 1e-4, "{}: {what}: number {i} is {got}, not {wanted}", device.info().name);
    }
}

#[test]
fn eight_sequences_in_one_step_are_eight_alone() {
    // Of so many tokens before the steps that all of them share.
    let lengths = [1, 4, 9, 2, 17, 3, 12, 6];
    for device in every_device() {
        let (one, eight) = (model(1, None), model(8, Some(SLOTS)));
        let together = load(&device, &eight);
        let mut alone: Vec<Plan> =
            lengths.iter().map(|_| block_on(load(&device, &one).compile(&one)).unwrap()).collect();
        for (s, length) in lengths.into_iter().enumerate() {
            // A beginning is rows of one slot, which see those before them; their slots need not be in order.
            let slot = 7 - s as u32;
            let graph = model(length, Some(SLOTS));
            let mut plan = block_on(together.compile(&graph)).unwrap();
            let x: Vec<f32> = (0..length).flat_map(|t| token(s, t)).collect();
            let places: Vec<u32> = (0..length as u32).flat_map(|t| [slot, t]).collect();
            let made = step(&mut plan, &x, Some(&places), 0);
            for t in 0..length {
                let wanted = step(&mut alone[s], &token(s, t), None, t as u32);
                close(&device, "a beginning", &made.y[t * WIDTH..][..WIDTH], &wanted.y);
            }
        }
        let mut plan = block_on(together.compile(&eight)).unwrap();
        for t in 0..3 {
            let x: Vec<f32> = lengths.iter().enumerate().flat_map(|(s, length)| token(s, length + t)).collect();
            let places: Vec<u32> =
                lengths.iter().enumerate().flat_map(|(s, length)| [7 - s as u32, (length + t) as u32]).collect();
            let made = step(&mut plan, &x, Some(&places), 0);
            for (s, length) in lengths.into_iter().enumerate() {
                let wanted = step(&mut alone[s], &token(s, length + t), None, (length + t) as u32);
                close(&device, "a step", &made.y[s * WIDTH..][..WIDTH], &wanted.y);
                for layer in 0..2 {
                    let own = &made.weights[layer][s * HEADS * CAPACITY..][..HEADS * CAPACITY];
                    close(&device, "weights", own, &wanted.weights[layer]);
                }
            }
        }
    }
}

#[test]
fn slots_become_one_another_all_at_once() {
    for device in every_device() {
        let two = model(2, Some(SLOTS));
        let resident = load(&device, &two);
        let mut plan = block_on(resident.compile(&two)).unwrap();
        // Slots 0 and 1 hold sequences of four tokens.
        for t in 0..4 {
            let x = [token(0, t), token(1, t)].concat();
            step(&mut plan, &x, Some(&[0, t as u32, 1, t as u32]), 0);
        }
        // They change places; slots 2 and 5 begin as slot 0 does.
        let graph = copies();
        let mut copying = block_on(resident.compile(&graph)).unwrap();
        copying.write_input("copies", &[1, 4, 0, 4, 0, 3, 3, 0, 4, 0, 0, 4, 6, 0, 7, 0]).unwrap();
        block_on(copying.step(&StepParams::default(), &[]).unwrap()).unwrap();
        let alone = |s: usize, tokens: &[usize]| {
            let one = model(1, None);
            let mut plan = block_on(load(&device, &one).compile(&one)).unwrap();
            let made = tokens.iter().enumerate().map(|(at, t)| step(&mut plan, &token(s, *t), None, at as u32));
            made.last().unwrap().y
        };
        let x = [token(1, 9), token(0, 9)].concat();
        let made = step(&mut plan, &x, Some(&[0, 4, 1, 4]), 0);
        close(&device, "what was in slot 1", &made.y[..WIDTH], &alone(1, &[0, 1, 2, 3, 9]));
        close(&device, "what was in slot 0", &made.y[WIDTH..], &alone(0, &[0, 1, 2, 3, 9]));
        let x = [token(0, 9), token(0, 8)].concat();
        let made = step(&mut plan, &x, Some(&[2, 3, 5, 4]), 0);
        close(&device, "three rows of slot 0", &made.y[..WIDTH], &alone(0, &[0, 1, 2, 9]));
        close(&device, "all rows of slot 0", &made.y[WIDTH..], &alone(0, &[0, 1, 2, 3, 8]));

        // What nobody wrote is not gone on from, and what is not there is named.
        let refused = |plan: &mut Plan, places: [u32; 4], part: &str| {
            let error = match plan.write_input("places", &places) {
                Err(error) => error,
                Ok(()) => plan.step(&StepParams::default(), &["y"]).err().expect("refused"),
            };
            assert!(error.code() == ErrorCode::BadArgument && error.to_string().contains(part), "{error}");
        };
        refused(&mut plan, [2, 4, 3, 1], "row 1 goes on at 1 in slot 3");
        // Of a step that was refused nothing counts as written: slot 2 still holds four rows.
        refused(&mut plan, [2, 5, 3, 0], "row 0 goes on at 5 in slot 2");
        refused(&mut plan, [8, 0, 3, 0], "row 0 stands in slot 8");
        refused(&mut plan, [2, 4, 3, 24], "there are 8 slots of 24 rows");
        let error = copying.write_input("copies", &[9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap_err();
        assert!(error.to_string().contains("slot 0 becomes 0 rows of slot 9"), "{error}");
    }
}
