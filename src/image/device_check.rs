//! Whether a GPU computes what pictures need as the CPU does, before a model is sent there: see [`self_check`].
//!
//! One small step stands for the kernels that denoisers and decoders are made of: a convolution with what follows it, a norm of groups,
//! attention, an enlarged picture, a gated layer with weights in eight bits.

use crate::{
    Result,
    backend::{
        Device,
        self_check::{self, Probe},
    },
    graph::{Binary, DType, Graph, GraphBuilder, Grid, Mask, StepParams, Unary, ValueId, Window},
};

const CHANNELS: usize = 32;
/// Sides that no tile of a kernel divides.
const PICTURE: Grid = Grid { batch: 1, height: 5, width: 7 };

/// Puts the CPU in the place of a GPU that computes wrong numbers, with the reason; one that was found sound is not asked again.
///
/// Errors: `device-lost`, `out-of-memory` and the like from the device; `device-faulty` where the caller `insists` on it.
pub async fn check_device(device: &mut Device, insists: bool) -> Result<()> {
    self_check::load_or_fall_back(device, insists, async |device: &Device| {
        let Device::Gpu(gpu) = device else { return Ok(()) };
        if !gpu.context().health().passed_picture_check() {
            check(device).await?;
            gpu.context().health().found_to_paint_well();
        }
        Ok(())
    })
    .await
}

async fn check(device: &Device) -> Result<()> {
    let graph = probe()?;
    let numbers = PICTURE.rows() * CHANNELS;
    let x: Vec<u32> = (0..numbers).map(|i| ((i * i) as f32 * 0.37).sin().to_bits()).collect();
    let inputs = [("x", x)];
    let params = StepParams::default();
    self_check::check(
        device,
        &graph,
        &[Probe { graph: &graph, inputs: &inputs, states: &[], params, output: "y", sampled: None }],
    )
    .await
}

fn probe() -> Result<Graph> {
    let mut g = GraphBuilder::new("a small picture");
    let x = g.input("x", &[PICTURE.rows(), CHANNELS], DType::F32);
    let h = conv(&mut g, "first", DType::F16, PICTURE, x)?;
    let h = g.binary(Binary::Add, h, x)?;
    let (weight, bias) =
        (g.weight("norm.weight", &[CHANNELS], DType::F32)?, g.weight("norm.bias", &[CHANNELS], DType::F32)?);
    let h = g.group_norm(weight, bias, 8, 1e-5, 1, h)?;
    let h = g.unary(Unary::Silu, h);
    let seen = g.attention_between(1, 2, 2, CHANNELS / 2, 0.25, Mask::FULL, h, h, h)?;
    let h = g.binary(Binary::Add, seen, h)?;
    let h = g.layer_norm(None, None, 1e-5, h)?;
    let weight = g.weight("gated.weight", &[2 * CHANNELS, CHANNELS], DType::Q8_0)?;
    let both = g.linear(weight, None, h)?;
    let (h, gate) = (g.slice_columns(0, CHANNELS, both)?, g.slice_columns(CHANNELS, CHANNELS, both)?);
    let gate = g.unary(Unary::Gelu, gate);
    let h = g.binary(Binary::Mul, h, gate)?;
    let (h, large) = g.upsample(PICTURE, 2, h)?;
    let y = conv(&mut g, "last", DType::F32, large, h)?;
    g.output("y", y);
    Ok(g.finish())
}

/// 3 · 3 pixels, as many channels as there were.
fn conv(g: &mut GraphBuilder, name: &str, dtype: DType, grid: Grid, x: ValueId) -> Result<ValueId> {
    let weight = g.weight(&format!("{name}.weight"), &[CHANNELS, 9 * CHANNELS], dtype)?;
    let bias = g.weight(&format!("{name}.bias"), &[CHANNELS], DType::F32)?;
    Ok(g.conv2d(weight, Some(bias), grid, Window::square(3, 1, 1), x)?.0)
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::{rc::Rc, time::Instant};

    use pollster::block_on;

    use super::*;
    use crate::{
        Cancel, ErrorCode,
        backend::gpu::{self, features::Features, pipelines::Fault},
        image::ImageModel,
        weights::{PathSource, Storage, WeightFile},
    };

    /// A device of its own, for it stays broken; used as software is or as hardware is.
    fn device(fault: Option<Fault>, software: bool) -> Device {
        let device = block_on(gpu::Device::open(gpu::Preference::Any));
        let device = device.expect("these tests need a Vulkan driver: install mesa-vulkan-drivers");
        fault.into_iter().for_each(|fault| device.context().pipelines().break_kernel(fault));
        let features = device.context().features();
        Device::Gpu(device.used_as(Features { software, subgroups: software && features.subgroups, ..features }))
    }

    /// A fault for each family of kernels that the probe runs, and whether they run on software.
    const FAULTS: [(Fault, bool); 5] = [
        (("linear_software", "let steps = (numbers.COLS + 31u) / 32u;", "let steps = numbers.COLS / 64u;"), true),
        (("norm", "squares += v * v;", "squares += v;"), true),
        (("attention_rows", "sum[i] / total", "sum[i]"), true),
        (("attention_tiled", "weight = exp(scores[slot] - top);", "weight = 1.0;"), false),
        (("matmul", "sums[3] += w * a.w;", "sums[3] += w * a.z;"), false),
    ];

    /// Loads the illustrator on the device that is left in the end.
    fn load_somewhere(device: &mut Device) -> ImageModel {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/models/illustrator/illustrator-q8_0.gguf");
        let source = Rc::new(PathSource::open(std::path::Path::new(path)).unwrap());
        let file = block_on(WeightFile::open(source)).unwrap();
        block_on(check_device(device, false)).unwrap();
        let load = async |device: &Device| {
            ImageModel::load(&file, device, Storage::Keep, &mut |_, _| (), &Cancel::new()).await
        };
        block_on(self_check::load_or_fall_back(device, false, load)).unwrap()
    }

    #[test]
    fn a_gpu_that_refuses_a_kernel_of_pictures_gives_its_place_to_the_cpu_and_says_why() {
        // One that the small picture needs, and one that only the model does.
        for fault in [("norm", "let mean =", "let mean_ ="), ("timestep", "@compute", "@compute @compute")] {
            let mut device = device(Some(fault), false);
            let model = load_somewhere(&mut device);
            let (info, reason) = (&model.info().device, device.info().reason);
            assert!(info.kind == "cpu" && reason.contains("refuses a kernel"), "{fault:?}: {info:?}, {reason}");
        }
    }

    #[test]
    fn a_gpu_that_refuses_subgroups_paints_without_them() {
        let Device::Gpu(gpu) = device(Some(("norm", "subgroupAdd(value)", "subgroupAdd(nothing)")), true) else {
            panic!("another device")
        };
        let features = gpu.context().features();
        let mut device = Device::Gpu(gpu.used_as(Features { software: false, ..features }));
        let model = load_somewhere(&mut device);
        let info = &model.info().device;
        assert!(info.kind == "webgpu" && !info.subgroups && info.reason.contains("without subgroups"), "{info:?}");
        let Device::Gpu(gpu) = device else { panic!("another device") };
        assert_eq!(gpu::kernels::unlisted(&gpu), [""; 0], "kernels that nobody tries for every adapter");
    }

    #[test]
    fn a_sound_gpu_is_checked_once_and_kept() {
        for software in [false, true] {
            let mut device = device(None, software);
            let begun = Instant::now();
            block_on(check_device(&mut device, false)).unwrap();
            println!("checked in {:?}", begun.elapsed());
            assert_eq!(device.info().kind, "webgpu");
            let Device::Gpu(gpu) = &device else { panic!("another device") };
            assert!(gpu.context().health().passed_picture_check());
        }
    }

    #[test]
    fn a_gpu_with_any_kernel_of_pictures_wrong_gives_its_place_to_the_cpu_and_says_why() {
        for (fault, software) in FAULTS {
            let mut device = device(Some(fault), software);
            let name = device.info().name;
            let insisted = block_on(check_device(&mut device, true)).map_err(|error| error.code());
            assert_eq!(insisted, Err(ErrorCode::DeviceFaulty), "{fault:?}");
            block_on(check_device(&mut device, false)).unwrap();
            let (kind, reason) = (device.info().kind, device.info().reason);
            assert!(kind == "cpu" && reason.contains(&name) && reason.contains("wrong numbers"), "{fault:?}: {reason}");
        }
    }
}
