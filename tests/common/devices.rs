//! The devices that tests run on.

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use pollster::block_on;
use vitrine::backend::{
    Device, cpu,
    gpu::{self, features::Features},
};

/// The CPU, by which the GPU is measured.
pub fn on_cpu() -> Device {
    Device::Cpu(cpu::Device::new("a test"))
}

/// A GPU that nobody else uses.
pub fn gpu_alone() -> gpu::Device {
    block_on(gpu::Device::open(gpu::Preference::Any))
        .expect("these tests need a Vulkan driver: install mesa-vulkan-drivers")
}

/// A GPU for tests that do no harm to it. There are some, handed out in turn: two tests on one would wait for each other's kernels to be compiled.
pub fn on_gpu() -> Device {
    static DEVICES: [OnceLock<gpu::Device>; 4] = [const { OnceLock::new() }; 4];
    static TESTS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static TEST: usize = TESTS.fetch_add(1, Ordering::Relaxed);
    }
    let device = TEST.with(|test| &DEVICES[test % DEVICES.len()]);
    Device::Gpu(device.get_or_init(gpu_alone).clone())
}

/// The same, taking the paths of hardware through the kernels, with subgroups or without.
pub fn as_hardware(subgroups: bool) -> Device {
    let Device::Gpu(device) = on_gpu() else { unreachable!() };
    let features = Features { software: false, ..device.context().features() };
    assert!(features.subgroups, "these tests need a Vulkan driver with subgroups");
    Device::Gpu(device.used_as(if subgroups { features } else { features.without_subgroups() }))
}
