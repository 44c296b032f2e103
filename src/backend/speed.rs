//! How fast a device reads weights: what a language model's speed is made of, for each of its tokens needs all of them.

use web_time::Instant;

use super::{Device, Plan};
use crate::{
    Error, Result,
    cancel::Cancel,
    graph::{DType, Graph, GraphBuilder, StepParams, WeightId},
};

/// Width of the layers: that of a small model.
const WIDTH: usize = 1024;
/// Bytes that the layers have in a file: more than what is kept near a core, and as many layers as a small model has.
const BYTES: usize = 16 << 20;
/// How long is measured, after a step that is not.
const MS: f64 = 80.0;
const STEPS: usize = 4;

/// Bytes of weights stored as `dtype`, counted as in a file, that steps of one row get through in a second: the mean over a chain of square layers.
///
/// Errors: those of the device; `aborted`.
pub async fn bytes_per_second(device: &Device, dtype: DType, cancel: &Cancel) -> Result<f64> {
    let row = dtype.row_bytes(WIDTH).ok_or_else(|| Error::bad_argument(format!("no weights are stored as {dtype}")))?;
    let layers = (BYTES / (row * WIDTH)).max(1);
    let graph = chain(layers, dtype)?;
    let mut loader = cancel.race(device.begin(&graph)).await?;
    let zeros = vec![0; row * WIDTH];
    for layer in 0..layers {
        loader.put(WeightId(layer as u32), 0, &zeros)?;
    }
    let resident = cancel.race(loader.finish()).await?;
    let mut plan = cancel.race(resident.compile(&graph)).await?;
    plan.write_input("x", &[0; WIDTH])?;
    steps(&mut plan, 1, cancel).await?;
    let (begun, mut run) = (Instant::now(), 0);
    loop {
        steps(&mut plan, STEPS, cancel).await?;
        run += STEPS;
        let ms = begun.elapsed().as_secs_f64() * 1e3;
        if ms >= MS {
            return Ok((layers * row * WIDTH * run) as f64 * 1e3 / ms);
        }
    }
}

/// `x` `[1, WIDTH]` through so many layers.
fn chain(layers: usize, dtype: DType) -> Result<Graph> {
    let mut b = GraphBuilder::new("speed");
    let weights = (0..layers).map(|layer| b.weight(&format!("layer {layer}"), &[WIDTH, WIDTH], dtype));
    let weights = weights.collect::<Result<Vec<_>>>()?;
    let x = b.input("x", &[1, WIDTH], DType::F32);
    let y = weights.into_iter().try_fold(x, |x, weight| b.linear(weight, None, x))?;
    b.output("y", y);
    Ok(b.finish())
}

async fn steps(plan: &mut Plan, count: usize, cancel: &Cancel) -> Result<()> {
    let pending = (0..count).map(|_| plan.step(&StepParams::default(), &["y"])).collect::<Result<Vec<_>>>()?;
    for step in pending {
        cancel.race(step).await?;
    }
    Ok(())
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use pollster::block_on;

    use super::*;
    use crate::{ErrorCode, backend::cpu};

    #[test]
    fn a_device_reads_weights_of_every_type_at_some_speed() {
        let device = Device::Cpu(cpu::Device::new("a test"));
        for dtype in [DType::Q4_0, DType::Q8_0, DType::F16] {
            let speed = block_on(bytes_per_second(&device, dtype, &Cancel::default())).unwrap();
            assert!(speed.is_finite() && speed > 1e6, "{dtype}: {speed}");
        }
    }

    #[test]
    fn a_measurement_can_be_stopped() {
        let device = Device::Cpu(cpu::Device::new("a test"));
        let cancel = Cancel::default();
        cancel.cancel();
        let error = block_on(bytes_per_second(&device, DType::Q8_0, &cancel)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Aborted);
    }
}
