//! Linear layers and embeddings on the GPU against plain sums over what candle reads in the same bytes.

use std::sync::mpsc;

use half::{bf16, f16};
use proptest::prelude::*;
use vitrine::{
    ErrorCode,
    backend::{
        Device,
        gpu::{
            buffer::View,
            context::{Context, Dispatch},
            linear::{Epilogue, LinearSpec, Lookup, PackedWeight, embedding, linear},
        },
    },
    graph::DType,
};

use super::{ALL, every_gpu, read_by_candle, scale_block};

/// Of the terms that a value is summed from: where they cancel each other, little is left of a sum, but all of its error.
/// Scales of K-quants are rounded to f16 on hardware, by up to 2.4e-4.
const TOLERANCE: f64 = 3e-4;

/// The device as it is, and as hardware would be used, with and without subgroups.
fn contexts() -> [(&'static str, Context); 3] {
    let mut names = ["as it is", "as hardware", "as hardware without subgroups"].into_iter();
    every_gpu().map(|device| {
        let Device::Gpu(device) = device else { unreachable!() };
        (names.next().expect("a name"), device.context().clone())
    })
}

/// Numbers that look random and are the same every time.
struct Noise(u64);

impl Noise {
    fn word(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as u32
    }

    /// In −1 .. 1.
    fn unit(&mut self) -> f32 {
        self.word() as f32 / 2f32.powi(30) - 1.0
    }

    fn vector(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.unit()).collect()
    }

    /// Rows as a file encodes them.
    fn rows(&mut self, dtype: DType, rows: usize, cols: usize) -> Vec<u8> {
        let len = rows * dtype.row_bytes(cols).expect("whole blocks");
        let mut bytes: Vec<u8> = (0..len).map(|_| self.word() as u8).collect();
        for block in bytes.chunks_exact_mut(dtype.block_bytes()) {
            match dtype {
                DType::F32 => block.copy_from_slice(&self.unit().to_le_bytes()),
                DType::F16 => block.copy_from_slice(&f16::from_f32(self.unit()).to_le_bytes()),
                DType::BF16 => block.copy_from_slice(&bf16::from_f32(self.unit()).to_le_bytes()),
                _ => scale_block(dtype, block, 0.02, || self.unit()),
            }
        }
        bytes
    }
}

fn upload(ctx: &Context, words: &[u32]) -> View {
    let buffer = ctx.storage("test", words.len() as u64 * 4).expect("a buffer");
    ctx.queue().write_buffer(buffer.raw(), 0, bytemuck::cast_slice(words));
    buffer.view()
}

fn upload_f32(ctx: &Context, values: &[f32]) -> View {
    upload(ctx, bytemuck::cast_slice(values))
}

fn run(ctx: &Context, dispatches: &[Dispatch], y: &View, n: usize) -> Vec<f32> {
    let staging = ctx
        .buffer("staging", y.bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)
        .expect("a staging buffer");
    let mut encoder = ctx.device().create_command_encoder(&Default::default());
    {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for d in dispatches {
            pass.set_pipeline(&d.pipeline);
            pass.set_bind_group(0, &d.bind_group, &[]);
            pass.dispatch_workgroups(d.grid[0], d.grid[1], d.grid[2]);
        }
    }
    encoder.copy_buffer_to_buffer(y.buffer.raw(), y.offset, staging.raw(), 0, y.bytes);
    ctx.queue().submit([encoder.finish()]);
    let (sender, receiver) = mpsc::channel();
    staging.raw().slice(..).map_async(wgpu::MapMode::Read, move |mapped| sender.send(mapped).expect("a listener"));
    ctx.device().poll(wgpu::PollType::wait_indefinitely()).expect("the device runs");
    receiver.recv().expect("an answer").expect("mapped");
    let view = staging.raw().slice(..).get_mapped_range().expect("mapped");
    bytemuck::cast_slice::<u8, f32>(&view)[..n].to_vec()
}

#[derive(Debug, Clone, Copy)]
struct Case {
    dtype: DType,
    rows: usize,
    cols: usize,
    t: usize,
    norm: bool,
    bias: bool,
    /// 0 none, 1 a residual, 2 a residual in place, 3 silu(gate)·up
    epilogue: usize,
    /// The largest buffer in rows of F32, or all.
    part_rows: Option<usize>,
}

impl Case {
    fn of(dtype: DType, rows: usize, cols: usize, t: usize) -> Self {
        Self { dtype, rows, cols, t, norm: false, bias: false, epilogue: 0, part_rows: None }
    }

    fn check(self) -> Result<(), String> {
        // Subgroups make a difference to products with one vector alone.
        let contexts = contexts().into_iter().take(if self.t == 1 { 3 } else { 2 });
        for (name, ctx) in contexts {
            self.check_on(&ctx).map_err(|why| format!("{name}: {self:?}: {why}"))?;
        }
        Ok(())
    }

    fn check_on(self, ctx: &Context) -> Result<(), String> {
        let Self { dtype, rows, cols, t, .. } = self;
        let mut noise = Noise(7);
        let bytes = noise.rows(dtype, rows, cols);
        let (x, g, b) = (noise.vector(t * cols), noise.vector(cols), noise.vector(rows));
        let y_cols = if self.epilogue == 3 { rows / 2 } else { rows };
        let r = noise.vector(t * y_cols);
        let eps = 1e-5;

        let w = read_by_candle(dtype, &bytes, rows * cols);
        let mut expected = vec![];
        for token in 0..t {
            let mut x: Vec<f64> = x[token * cols..(token + 1) * cols].iter().map(|v| f64::from(*v)).collect();
            if self.norm {
                let mean = x.iter().map(|v| v * v).sum::<f64>() / cols as f64;
                x.iter_mut().zip(&g).for_each(|(v, g)| *v *= f64::from(*g) / (mean + eps).sqrt());
            }
            let product = |row: usize| {
                let terms = w[row * cols..(row + 1) * cols].iter().zip(&x).map(|(w, x)| f64::from(*w) * x);
                terms.chain(self.bias.then(|| f64::from(b[row]))).fold(Expected::default(), Expected::plus)
            };
            expected.extend((0..y_cols).map(|row| match self.epilogue {
                0 => product(row),
                3 => {
                    let (gate, up) = (product(row), product(row + y_cols));
                    let silu = gate.value / (1.0 + (-gate.value).exp());
                    // The slope of silu stays below 1.1.
                    let terms = 1.1 * gate.terms * up.value.abs() + silu.abs() * up.terms;
                    Expected { value: silu * up.value, terms }
                }
                _ => product(row).plus(f64::from(r[token * y_cols + row])),
            }));
        }

        let packed = match self.part_rows {
            None => PackedWeight::new(ctx, "w", dtype, rows, cols),
            Some(n) => PackedWeight::in_parts_of(ctx, "w", dtype, rows, cols, n as u64 * cols as u64 * 4),
        };
        let packed = packed.map_err(|e| e.to_string())?;
        // In two pieces, as a stream brings them.
        let middle = rows / 3;
        let row_bytes = dtype.row_bytes(cols).unwrap_or(0);
        packed.put(ctx, 0, &bytes[..middle * row_bytes]).map_err(|e| e.to_string())?;
        packed.put(ctx, middle, &bytes[middle * row_bytes..]).map_err(|e| e.to_string())?;
        let (x, g, b, residual) = (upload_f32(ctx, &x), upload_f32(ctx, &g), upload_f32(ctx, &b), upload_f32(ctx, &r));
        // A row of NaN after the last token must not be read, and none must be written there.
        let guard = vec![f32::NAN; t * y_cols];
        let y = if self.epilogue == 2 { residual.clone() } else { upload_f32(ctx, &guard) };
        let spec = LinearSpec {
            norm: self.norm.then_some((&g, eps as f32)),
            bias: self.bias.then_some(&b),
            epilogue: match self.epilogue {
                0 => Epilogue::default(),
                3 => Epilogue::gated(),
                _ => Epilogue::add(&residual, y_cols),
            },
            ..LinearSpec::rows(t, "test")
        };
        let dispatches = linear(ctx, &packed, &x, &y, spec).map_err(|e| e.to_string())?;
        let found = run(ctx, &dispatches, &y, t * y_cols);
        ctx.alive().map_err(|e| e.to_string())?;
        compare(&found, &expected)
    }
}

/// A sum, and that of its terms without their signs.
#[derive(Debug, Clone, Copy, Default)]
struct Expected {
    value: f64,
    terms: f64,
}

impl Expected {
    fn plus(self, term: f64) -> Self {
        Self { value: self.value + term, terms: self.terms + term.abs() }
    }
}

fn compare(found: &[f32], expected: &[Expected]) -> Result<(), String> {
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let off = (f64::from(*a) - b.value).abs() / b.terms.max(1e-9);
        if off > TOLERANCE || off.is_nan() {
            return Err(format!("number {i} is {a}, expected {}: {off:.2e} of its terms", b.value));
        }
    }
    Ok(())
}

#[test]
fn every_type_times_a_vector_and_times_a_matrix_is_what_candle_would_get() {
    for dtype in ALL {
        let cols = if dtype.block_size() == 256 { 512 } else { 288 };
        for t in [1, 5, 33] {
            Case::of(dtype, 70, cols, t).check().unwrap();
        }
    }
}

#[test]
fn a_norm_a_bias_a_residual_and_a_gate_are_fused_without_a_difference() {
    // Shaders take long to compile on a software device: each thing fused stands in some case, not in all.
    let cases = [
        (1, true, false, 0),
        (1, true, true, 3),
        (1, false, true, 1),
        (1, true, false, 2),
        (6, false, true, 3),
        (6, false, true, 1),
        (6, false, false, 2),
    ];
    for dtype in [DType::F32, DType::F16, DType::Q4_0, DType::Q6_K] {
        for (t, norm, bias, epilogue) in cases {
            Case { norm, bias, epilogue, ..Case::of(dtype, 50, 256, t) }.check().unwrap();
        }
    }
}

#[test]
fn a_weight_in_parts_is_the_same_weight() {
    for dtype in [DType::F32, DType::BF16, DType::Q4_1, DType::Q5_K] {
        for (epilogue, t) in [(1, 1), (3, 4)] {
            Case { part_rows: Some(3), epilogue, ..Case::of(dtype, 90, 256, t) }.check().unwrap();
        }
    }
}

#[test]
fn rows_of_a_table_are_read_by_their_ids_and_an_id_past_it_reads_row_0() {
    for (_, ctx) in contexts() {
        for dtype in ALL {
            let (rows, cols) = (37, if dtype.is_quantised() { 256 } else { 171 });
            let bytes = Noise(3).rows(dtype, rows, cols);
            let w = read_by_candle(dtype, &bytes, rows * cols);
            let ids = [0u32, 36, 5, 37, u32::MAX, 17];
            let largest = w.iter().fold(0f32, |most, value| most.max(value.abs()));
            let expected: Vec<Expected> = ids
                .iter()
                .map(|id| if *id < rows as u32 { *id as usize } else { 0 })
                .flat_map(|row| &w[row * cols..(row + 1) * cols])
                .map(|v| Expected { value: f64::from(*v), terms: f64::from(largest) })
                .collect();
            for part_rows in [1, 5, 1000] {
                let most = part_rows * cols.next_multiple_of(16) as u64 * 4;
                let table = PackedWeight::in_parts_of(&ctx, "table", dtype, rows, cols, most).unwrap();
                table.put(&ctx, 0, &bytes).unwrap();
                let y = upload_f32(&ctx, &vec![f32::NAN; ids.len() * cols]);
                let dispatches =
                    embedding(&ctx, &table, Lookup::Ids(&upload(&ctx, &ids)), &y, ids.len(), "test").unwrap();
                let found = run(&ctx, &dispatches, &y, ids.len() * cols);
                compare(&found, &expected).unwrap_or_else(|why| panic!("{dtype} in parts of {part_rows}: {why}"));
            }
        }
    }
}

#[test]
fn a_scale_that_is_no_number_is_a_corrupt_file_and_names_the_weight_and_the_row() {
    for (_, ctx) in contexts() {
        for (dtype, at) in [(DType::Q4_0, 0), (DType::Q8_0, 0), (DType::Q4_K, 2), (DType::Q6_K, 208)] {
            for bad in [f16::NAN, f16::INFINITY] {
                let mut bytes = Noise(1).rows(dtype, 4, 256);
                let start = dtype.row_bytes(256).unwrap() * 3 + at;
                bytes[start..start + 2].copy_from_slice(&bad.to_le_bytes());
                let w = PackedWeight::new(&ctx, "blk.0.attn_q.weight", dtype, 10, 256).unwrap();
                let error = w.put(&ctx, 5, &bytes).unwrap_err();
                assert_eq!(error.code(), ErrorCode::CorruptFile);
                let text = error.to_string();
                assert!(text.contains("blk.0.attn_q.weight") && text.contains("row 8"), "{text}");
            }
        }
    }
}

#[test]
fn rows_that_do_not_fit_the_weight_are_refused() {
    let [(_, ctx), ..] = &contexts();
    assert!(PackedWeight::new(ctx, "w", DType::Q4_0, 4, 40).is_err());
    assert!(PackedWeight::new(ctx, "w", DType::U32, 4, 32).is_err());
    assert!(PackedWeight::new(ctx, "w", DType::F32, 1 << 60, 32).is_err());
    let w = PackedWeight::new(ctx, "w", DType::Q4_0, 4, 64).unwrap();
    let row = Noise(1).rows(DType::Q4_0, 1, 64);
    assert!(w.put(ctx, 4, &row).is_err());
    assert!(w.put(ctx, usize::MAX, &row).is_err());
    assert!(w.put(ctx, 0, &row[1..]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 8, failure_persistence: None, ..Default::default() })]

    #[test]
    fn odd_shapes_are_right_too(
        kind in 0usize..ALL.len(), rows in 1usize..150, wide in 1usize..400, t in prop_oneof![Just(1usize), 1usize..70],
        bias: bool, norm: bool, epilogue in 0usize..4, split: bool,
    ) {
        let dtype = ALL[kind];
        let cols = if dtype.is_quantised() { wide.div_ceil(dtype.block_size()).max(1) * dtype.block_size() } else { wide };
        let rows = if epilogue == 3 { rows * 2 } else { rows };
        let part_rows = split.then_some(rows.div_ceil(2) + 16);
        let case = Case { norm: norm && t == 1, bias, epilogue, part_rows, ..Case::of(dtype, rows, cols, t) };
        case.check().map_err(TestCaseError::fail)?;
    }
}
