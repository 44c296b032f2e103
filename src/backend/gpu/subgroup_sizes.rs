//! Kernels add up right over subgroups of every size. An adapter has one size, so the others are made up: workgroup memory stands for what a
//! subgroup shares, and the kernels' text is otherwise the one that runs on such hardware.

use pollster::block_on;

use super::{Device, Preference, features::Features};
use crate::{
    Result,
    backend::{
        self,
        self_check::{self, Probe},
    },
    graph::{DType, Graph, GraphBuilder, StepParams},
};

/// The kernels that use subgroups on hardware, and what they call the numbers that they add.
const KERNELS: [(&str, &str); 4] =
    [("matvec", "vec4<f32>"), ("rms_norm", "f32"), ("norm", "f32"), ("norm_fold", "f32")];

/// Every sum over subgroups that a model may have: products with a vector, with a norm and without, and norms of rows and of pictures.
fn sums() -> Result<Graph> {
    let mut g = GraphBuilder::new("sums");
    let x = g.input("x", &[1, 2048], DType::F32);
    let scale = g.weight("scale", &[2048], DType::F32)?;
    let normed = g.rms_norm(scale, 1e-5, x)?;
    let (one, other) = (g.weight("one", &[70, 2048], DType::Q8_0)?, g.weight("other", &[70, 2048], DType::F32)?);
    let product = g.linear(one, None, x)?;
    let ahead = g.rms_norm(scale, 1e-5, x)?;
    let fused = g.linear(other, None, ahead)?;
    let layer = g.layer_norm(None, None, 1e-5, product)?;
    let picture = g.input("picture", &[40 * 40, 32], DType::F32);
    let (weight, bias) = (g.weight("weight", &[32], DType::F32)?, g.weight("bias", &[32], DType::F32)?);
    let groups = g.group_norm(weight, bias, 4, 1e-5, 1, picture)?;
    for (name, value) in [("normed", normed), ("fused", fused), ("layer", layer), ("groups", groups)] {
        g.output(name, value);
    }
    Ok(g.finish())
}

/// A device of its own, taken for hardware with subgroups of `size`.
fn taken_for_hardware(size: u32) -> Device {
    let device = block_on(Device::open(Preference::Any));
    let device = device.expect("these tests need a Vulkan driver: install mesa-vulkan-drivers");
    let features = device.context().features();
    assert!(features.subgroups, "these tests need a Vulkan driver with subgroups");
    device.used_as(Features { software: false, subgroup_sizes: (size, size), ..features })
}

/// Whether the device computes what the CPU does, with the kernels that it began with.
fn adds_up(device: &Device) -> bool {
    let graph = sums().unwrap();
    let numbers = |n: u32| (0..n).map(|i| ((i * i) as f32 * 0.37).sin().to_bits()).collect();
    let inputs = [("x", numbers(2048)), ("picture", numbers(40 * 40 * 32))];
    let device = backend::Device::Gpu(device.clone());
    let probes = ["normed", "fused", "layer", "groups"].map(|output| Probe {
        graph: &graph,
        inputs: &inputs,
        states: &[],
        params: StepParams::default(),
        output,
        sampled: None,
    });
    block_on(self_check::check(&device, &graph, &probes)).is_ok() && device.info().subgroups
}

fn leak(text: String) -> &'static str {
    text.leak()
}

/// Has every subgroup made of `size` invocations, whatever the adapter's are made of.
fn make_up(device: &Device, size: u32) {
    for (kernel, number) in KERNELS {
        let sizes = leak(format!("    let lane = lid % {size}u;\n    let size = {size}u;\n"));
        let adding = leak(format!(
            "var<workgroup> made_up: array<{number}, THREADS>;
             fn made_up_add(lid: u32, value: {number}) -> {number} {{
                 workgroupBarrier();
                 made_up[lid] = value;
                 workgroupBarrier();
                 let first = lid / {size}u * {size}u;
                 var sum = {number}();
                 for (var i = first; i < min(first + {size}u, THREADS); i++) {{ sum += made_up[i]; }}
                 return sum;
             }}
             @compute @workgroup_size"
        ));
        let context = device.context();
        context.pipelines().break_kernel((kernel, "    @builtin(subgroup_invocation_id) lane: u32,\n", ""));
        context.pipelines().break_kernel((
            kernel,
            "    @builtin(subgroup_size) size: u32,\n) {\n",
            leak(format!(") {{\n{sizes}")),
        ));
        context.pipelines().break_kernel((kernel, "subgroupAdd(value)", "made_up_add(lid, value)"));
        context.pipelines().break_kernel((kernel, "@compute @workgroup_size", adding));
    }
}

#[test]
fn sums_are_right_over_the_adapters_own_subgroups() {
    let device = block_on(Device::open(Preference::Any)).unwrap();
    let size = device.context().features().subgroup_sizes.0;
    assert!(adds_up(&taken_for_hardware(size)), "subgroups of {size}");
    // A workgroup that lies in one subgroup, as large as the adapter's subgroups are.
    let alone = taken_for_hardware(32);
    let threads = leak(format!("const THREADS: u32 = {size}u;"));
    alone.context().pipelines().break_kernel(("matvec", "const THREADS: u32 = 32u;", threads));
    assert!(adds_up(&alone), "workgroups of {size}");
}

#[test]
fn sums_are_right_over_subgroups_of_every_size() {
    for size in [4, 8, 16, 32, 64, 128] {
        let device = taken_for_hardware(size);
        make_up(&device, size);
        assert!(adds_up(&device), "subgroups of {size}");
    }
}

#[test]
fn lanes_that_are_left_out_of_a_sum_are_noticed() {
    for size in [8, 32] {
        for (kernel, _) in KERNELS {
            let device = taken_for_hardware(size);
            make_up(&device, size);
            device.context().pipelines().break_kernel((
                kernel,
                "i++) { sum += made_up[i]; }",
                "i += 2u) { sum += made_up[i]; }",
            ));
            assert!(!adds_up(&device), "{kernel} with subgroups of {size}");
        }
    }
}
