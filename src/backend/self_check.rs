//! Whether a device computes what the CPU computes: a driver can compile a kernel without complaint and compute garbage.
//!
//! A small graph that takes the model's own paths through the kernels runs with made-up weights on the device and on the CPU,
//! before the model's weights are sent. What differs by more than rounding is an error with the code `device-faulty`.
//! Uses `graph` and the face of the backends; a device that is the CPU itself is not asked.

use super::{Device, Plan, Resident, cpu};
use crate::{
    Error, ErrorCode, Result,
    graph::{DType, Graph, Sampled, StepParams, WeightId},
};

/// Largest difference between two values over the largest value: rounding stays a tenth below it, garbage far above.
const TOLERANCE: f32 = 1e-2;

/// A step of a graph of the model, what it reads and what is compared.
#[derive(Clone, Copy)]
pub struct Probe<'a> {
    pub graph: &'a Graph,
    pub inputs: &'a [(&'a str, Vec<u32>)],
    pub states: &'a [(&'a str, Vec<u32>)],
    pub params: StepParams,
    /// An f32 output.
    pub output: &'a str,
    /// The record of a greedy choice from `output`, where the graph makes one.
    pub sampled: Option<&'a str>,
}

/// Runs `probes` one after the other on `device` and on the CPU; `whole` names all weights and states of theirs. A GPU that computes wrongly with its
/// best kernels is asked again with plainer ones, and keeps to those.
///
/// Errors: `device-faulty` where the results of the plainest differ; whatever the device says otherwise.
pub async fn check(device: &Device, whole: &Graph, probes: &[Probe<'_>]) -> Result<()> {
    let Device::Gpu(gpu) = device else { return Ok(()) };
    loop {
        let tried = gpu.context().features();
        let Some(why) = fault(device, whole, probes).await? else { return Ok(()) };
        if !gpu.context().make_do(tried, &why) {
            let name = device.info().name;
            let what_to_do = "update its driver, or use the CPU";
            return Err(Error::device_faulty(format!("{name} is faulty: {why}; {what_to_do}")));
        }
    }
}

/// Which probe gives other numbers on the device than on the CPU, and by how much they differ.
async fn fault(device: &Device, whole: &Graph, probes: &[Probe<'_>]) -> Result<Option<String>> {
    let oracle = Device::Cpu(cpu::Device::new("The measure of the other device."));
    let tried = load(device, whole).await?;
    let measure = load(&oracle, whole).await?;
    for probe in probes {
        let (found, sampled) = run(&tried, probe).await?;
        let (expected, _) = run(&measure, probe).await?;
        let mut error = difference(&expected, &found);
        if let Some(words) = sampled {
            error = larger(error, choice_difference(&expected, &words));
        }
        // A NaN is no small difference.
        if error.is_nan() || error > TOLERANCE {
            let name = &probe.graph.name;
            return Ok(Some(format!("it computes wrong numbers ({name}: off by {error:.1e} of the largest value)")));
        }
    }
    Ok(None)
}

/// Loads on `device`. Where that is a faulty GPU, and the caller does not insist on it, the CPU takes its place with the reason.
pub async fn load_or_fall_back<T>(
    device: &mut Device,
    insists: bool,
    mut load: impl AsyncFnMut(&Device) -> Result<T>,
) -> Result<T> {
    if insists {
        return load(device).await;
    }
    let instead = |why: String| Device::Cpu(cpu::Device::new(format!("The CPU computes instead of the GPU: {why}.")));
    // A model that was loaded earlier may have found out.
    if let Device::Gpu(gpu) = &*device
        && let Some(why) = gpu.context().health().refused()
    {
        *device = instead(format!("{} is faulty: {why}", gpu.info().name));
    }
    match load(device).await {
        Err(faulty) if faulty.code() == ErrorCode::DeviceFaulty => {
            *device = instead(faulty.to_string());
            load(device).await
        }
        loaded => loaded,
    }
}

async fn load(device: &Device, graph: &Graph) -> Result<Resident> {
    let mut loader = device.begin(graph).await?;
    let mut noise = Noise(0x2545_f491_4f6c_dd1d);
    for (i, spec) in graph.weights.iter().enumerate() {
        let bytes = match *spec.shape.as_slice() {
            [rows, cols] => noise.matrix(spec.dtype, rows, cols),
            ref vector => noise.vector(spec.dtype, vector.iter().product()),
        };
        loader.put(WeightId(i as u32), 0, &bytes)?;
    }
    loader.finish().await
}

async fn run(resident: &Resident, probe: &Probe<'_>) -> Result<(Vec<f32>, Option<Vec<u32>>)> {
    for (name, words) in probe.states {
        resident.write_state(name, words)?;
    }
    let mut plan: Plan = resident.compile(probe.graph).await?;
    for (name, words) in probe.inputs {
        plan.write_input(name, words)?;
    }
    let wanted: Vec<&str> = [Some(probe.output), probe.sampled].into_iter().flatten().collect();
    let mut outputs = plan.step(&probe.params, &wanted)?.await?.into_iter();
    let values = outputs.next().unwrap_or_default().into_iter().map(f32::from_bits).collect();
    Ok((values, outputs.next()))
}

/// The largest difference over the largest expected value; NaN where anything is.
fn difference(expected: &[f32], found: &[f32]) -> f32 {
    if expected.len() != found.len() {
        return f32::INFINITY;
    }
    let largest = expected.iter().fold(1e-6f32, |most, value| most.max(value.abs()));
    expected.iter().zip(found).fold(0.0, |most, (a, b)| larger(most, (a - b).abs() / largest))
}

fn larger(a: f32, b: f32) -> f32 {
    if a.is_nan() || a > b { a } else { b }
}

/// How far a greedy choice and its likeliest tokens are from what `logits` say. Which of two equals comes first does not matter.
fn choice_difference(logits: &[f32], words: &[u32]) -> f32 {
    let Some(sampled) = Sampled::from_words(words) else { return f32::INFINITY };
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let log_sum = greatest + logits.iter().map(|logit| (logit - greatest).exp()).sum::<f32>().ln();
    let mut ranked = logits.to_vec();
    ranked.sort_unstable_by(|a, b| b.total_cmp(a));
    let chosen = (&(sampled.token, sampled.logprob), ranked.first());
    let places = sampled.alternatives.iter().zip(ranked.iter().map(Some));
    let error = |((token, logprob), due): (&(u32, f32), Option<&f32>)| {
        let (Some(logit), Some(due)) = (logits.get(*token as usize), due) else { return f32::INFINITY };
        larger((logit - due).abs(), (logit - log_sum - logprob).abs())
    };
    places.chain([chosen]).map(error).fold(0.0, larger) / greatest.abs().max(1.0)
}

/// Numbers that look random and are the same every time.
struct Noise(u64);

impl Noise {
    fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// In −1 … 1.
    fn unit(&mut self) -> f32 {
        (self.word() >> 40) as f32 / 8_388_608.0 - 1.0
    }

    /// Rows in a file's encoding whose products with rows of norm √cols stay near 1.
    fn matrix(&mut self, dtype: DType, rows: usize, cols: usize) -> Vec<u8> {
        let size = 1.7 / (cols.max(1) as f32).sqrt();
        // Where a block holds its scales, and the magnitude of what they multiply when its bits are random.
        let (scales, magnitude): (&[(usize, f32)], f32) = match dtype {
            DType::Q4_0 => (&[(0, 1.0)], 5.0),
            DType::Q4_1 => (&[(0, 1.0), (2, -7.5)], 5.0),
            DType::Q5_0 => (&[(0, 1.0)], 9.0),
            DType::Q5_1 => (&[(0, 1.0), (2, -15.5)], 9.0),
            DType::Q8_0 => (&[(0, 1.0)], 74.0),
            DType::Q4_K => (&[(0, 1.0), (2, 7.5)], 200.0),
            DType::Q5_K => (&[(0, 1.0), (2, 15.5)], 400.0),
            DType::Q6_K => (&[(208, 1.0)], 1300.0),
            DType::Q2_K => (&[(80, 1.0), (82, 1.5)], 12.0),
            DType::Q3_K => (&[(108, 1.0)], 45.0),
            DType::IQ4_NL => (&[(0, 1.0)], 70.0),
            DType::IQ4_XS => (&[(0, 1.0)], 1300.0),
            DType::Q8_K | DType::MXFP4 => (&[], 1.0),
            DType::F32 | DType::F16 | DType::BF16 | DType::U32 => return self.plain(dtype, rows * cols, 0.0, size),
        };
        let blocks = rows * cols / dtype.block_size();
        let mut bytes = Vec::with_capacity(blocks * dtype.block_bytes() + 8);
        while bytes.len() < blocks * dtype.block_bytes() {
            bytes.extend(self.word().to_le_bytes());
        }
        bytes.truncate(blocks * dtype.block_bytes());
        for block in bytes.chunks_exact_mut(dtype.block_bytes()) {
            for (at, factor) in scales {
                let scale = half::f16::from_f32(factor * size / magnitude);
                block[*at..at + 2].copy_from_slice(&scale.to_le_bytes());
            }
            match dtype {
                DType::Q8_K => block[..4].copy_from_slice(&(size / 74.0).to_le_bytes()),
                // A power of two near the size, of doubled numbers near 6.
                DType::MXFP4 => block[0] = (128.0 + (size / 6.0).log2().round()) as u8,
                _ => {}
            }
        }
        bytes
    }

    /// Norm weights, biases and factors: near 1.
    fn vector(&mut self, dtype: DType, len: usize) -> Vec<u8> {
        self.plain(dtype, len, 1.0, 0.3)
    }

    fn plain(&mut self, dtype: DType, count: usize, middle: f32, size: f32) -> Vec<u8> {
        let values = (0..count).map(|_| middle + size * self.unit());
        match dtype {
            DType::F16 => values.flat_map(|v| half::f16::from_f32(v).to_le_bytes()).collect(),
            DType::BF16 => values.flat_map(|v| half::bf16::from_f32(v).to_le_bytes()).collect(),
            _ => values.flat_map(f32::to_le_bytes).collect(),
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::{
        backend::gpu::{self, features::Features},
        graph::GraphBuilder,
    };

    /// One product of a weight of `dtype` and its outputs.
    fn product(dtype: DType, rows: usize) -> Graph {
        let mut g = GraphBuilder::new(format!("a product of {dtype}"));
        let weight = g.weight("weight", &[64, 512], dtype).unwrap();
        let x = g.input("x", &[rows, 512], DType::F32);
        let y = g.linear(weight, None, x).unwrap();
        g.output("y", y);
        g.finish()
    }

    #[test]
    fn sound_kernels_pass_with_weights_of_every_type() {
        let device = pollster::block_on(gpu::Device::open(gpu::Preference::Any));
        let device = device.expect("these tests need a Vulkan driver: install mesa-vulkan-drivers");
        let features = device.context().features();
        let hardware = Features { software: false, ..features };
        let (plain, hardware) = (device.used_as(hardware.without_subgroups()), device.used_as(hardware));
        for dtype in DType::WEIGHTS {
            for rows in [1, 16] {
                let graph = product(dtype, rows);
                let x: Vec<u32> = (0..rows * 512).map(|i| ((i % 7) as f32 - 3.0).to_bits()).collect();
                let (inputs, params) = ([("x", x)], StepParams::default());
                let probe = Probe { graph: &graph, inputs: &inputs, states: &[], params, output: "y", sampled: None };
                for device in [&device, &hardware, &plain] {
                    pollster::block_on(check(&Device::Gpu(device.clone()), probe.graph, &[probe])).unwrap();
                    assert_eq!(device.context().health().plainer(), None, "{dtype}");
                }
                let measure = Device::Cpu(cpu::Device::new("the measure"));
                let resident = pollster::block_on(load(&measure, &graph)).unwrap();
                let (values, _) = pollster::block_on(run(&resident, &probe)).unwrap();
                let largest = values.iter().fold(0.0f32, |most, v| most.max(v.abs()));
                assert!((1.0..50.0).contains(&largest), "{dtype}: values up to {largest} say little");
            }
        }
    }

    #[test]
    fn what_is_no_number_is_never_close() {
        assert!(difference(&[1.0, 2.0], &[1.0, f32::NAN]).is_nan());
        assert!(difference(&[1.0, 2.0], &[f32::NAN, 2.0]).is_nan());
        assert_eq!(difference(&[1.0, 2.0], &[1.0, 3.0]), 0.5);
        assert_eq!(difference(&[1.0], &[]), f32::INFINITY);
    }

    #[test]
    fn a_choice_is_right_where_the_logits_say_so_and_wrong_elsewhere() {
        let logits = [0.0f32, 3.0, 1.0, 3.0];
        let log_sum = logits.iter().map(|l| l.exp()).sum::<f32>().ln();
        let record = |token: u32, second: u32| {
            let of = |id: u32| (id, logits[id as usize] - log_sum);
            Sampled { token, logprob: of(token).1, drawn_logprob: 0.0, alternatives: vec![of(token), of(second)] }
                .to_words()
        };
        assert!(choice_difference(&logits, &record(1, 3)) < 1e-6);
        assert!(choice_difference(&logits, &record(3, 1)) < 1e-6);
        assert!(choice_difference(&logits, &record(1, 2)) > 0.1);
        assert!(choice_difference(&logits, &record(0, 1)) > 0.1);
        assert_eq!(choice_difference(&logits, &[9, 0]), f32::INFINITY);
    }
}
