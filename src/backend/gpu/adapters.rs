//! The adapters that readers have, as far as kernels can tell them apart: to try here what runs there.
//!
//! Sizes of subgroups are those that browsers report: one number where every kernel gets it, a span where the driver chooses, and 4 to 128 from
//! a browser that would rather not say.

use super::features::Features;

/// A kind of adapter.
#[derive(Debug, Clone, Copy)]
pub struct Adapter {
    pub name: &'static str,
    pub features: Features,
}

const fn hardware(name: &'static str, sizes: Option<(u32, u32)>, f16: bool) -> Adapter {
    adapter(name, sizes, f16, false)
}

const fn adapter(name: &'static str, sizes: Option<(u32, u32)>, f16: bool, software: bool) -> Adapter {
    let (subgroups, subgroup_sizes) = match sizes {
        Some(sizes) => (true, sizes),
        None => (false, (0, 0)),
    };
    Adapter { name, features: Features { subgroups, subgroup_sizes, f16, timestamps: false, software } }
}

/// Every one that a kernel is chosen for.
pub const ADAPTERS: [Adapter; 14] = [
    hardware("a phone of years ago", None, false),
    hardware("a phone whose browser has no subgroups", None, true),
    hardware("a phone with a Mali", Some((16, 16)), true),
    hardware("a phone with an Adreno", Some((64, 128)), true),
    hardware("a browser that keeps the sizes to itself", Some((4, 128)), false),
    hardware("a laptop with integrated graphics", Some((8, 32)), true),
    hardware("a laptop with narrow subgroups", Some((8, 8)), false),
    hardware("a laptop of Apple's", Some((4, 64)), true),
    hardware("a desktop with subgroups of 32", Some((32, 32)), true),
    hardware("a desktop with subgroups of 32 or 64", Some((32, 64)), true),
    hardware("an older desktop with subgroups of 64", Some((64, 64)), false),
    adapter("software without subgroups", None, false, true),
    adapter("software with subgroups of four (SwiftShader)", Some((4, 4)), false, true),
    adapter("software with subgroups of eight (lavapipe)", Some((8, 8)), true, true),
];

/// What the smallest of them allow, which are WebGPU's own limits: browsers give no less.
pub const FEWEST_LIMITS: wgpu::Limits = wgpu::Limits::defaults();
