//! The adapters that readers have: every kernel that one of them may get is sound text, and asks for no more than the smallest allows.

use std::collections::HashSet;

use vitrine::backend::gpu::{
    adapters::{ADAPTERS, FEWEST_LIMITS},
    kernels::{all_variants, every_variant, sources},
};
use wgpu::naga::{
    AddressSpace, Module,
    front::wgsl,
    proc::Layouter,
    valid::{Capabilities, ModuleInfo, ValidationFlags, Validator},
};

fn validated(name: &str, text: &str) -> (Module, ModuleInfo) {
    let module = wgsl::parse_str(text).unwrap_or_else(|error| panic!("{name}: {}", error.emit_to_string(text)));
    let able = Capabilities::SUBGROUP | Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    let info = Validator::new(ValidationFlags::all(), able)
        .subgroup_stages(wgpu::naga::valid::ShaderStages::COMPUTE)
        .subgroup_operations(wgpu::naga::valid::SubgroupOperationSet::all())
        .validate(&module);
    let info = info.unwrap_or_else(|error| panic!("{name}: {}", error.emit_to_string(text)));
    (module, info)
}

#[test]
fn every_kernel_of_every_adapter_fits_the_smallest() {
    let most = FEWEST_LIMITS;
    let (mut bindings, mut memory, mut invocations) = (0, 0, 0);
    for (name, text) in sources().expect("texts") {
        let (module, info) = validated(&name, &text);
        let [main] = module.entry_points.as_slice() else { panic!("{name}: one entry point is expected") };
        let of_main = info.get_entry_point(0);
        let mut layouter = Layouter::default();
        layouter.update(module.to_ctx()).expect("a layout");
        let used = || module.global_variables.iter().filter(|(handle, _)| !of_main[*handle].is_empty());
        let in_workgroup = used().filter(|(_, variable)| variable.space == AddressSpace::WorkGroup);
        let bytes: u32 = in_workgroup.map(|(_, variable)| layouter[variable.ty].size.next_multiple_of(16)).sum();
        let storage = used().filter(|(_, variable)| matches!(variable.space, AddressSpace::Storage { .. })).count();
        let size = main.workgroup_size;
        assert!(size.iter().product::<u32>() <= most.max_compute_invocations_per_workgroup, "{name}: {size:?}");
        assert!(bytes <= most.max_compute_workgroup_storage_size, "{name}: {bytes} bytes in a workgroup");
        assert!(storage <= most.max_storage_buffers_per_shader_stage as usize, "{name}: {storage} buffers");
        bindings = bindings.max(storage);
        memory = memory.max(bytes);
        invocations = invocations.max(size.iter().product());
    }
    println!("at most {bindings} buffers, {memory} bytes and {invocations} invocations a workgroup");
}

#[test]
fn adapters_differ_in_what_they_get_by_subgroups_and_by_being_software_alone() {
    let names = |features| -> HashSet<String> {
        all_variants(features).expect("variants").iter().map(|(kernel, variant)| variant.key(kernel)).collect()
    };
    for adapter in ADAPTERS {
        let got = names(adapter.features);
        // No kernel computes in f16, so a device without it gets no other kernels.
        let mut other = adapter.features;
        other.f16 = !other.f16;
        assert_eq!(names(other), got, "{}", adapter.name);
        let with_subgroups = got.iter().any(|name| name.contains(" SUBGROUPS"));
        assert_eq!(with_subgroups, adapter.features.subgroups, "{}", adapter.name);
        // A workgroup is taken for one subgroup only where no subgroup can be smaller.
        let alone = got.iter().any(|name| name.contains(" ALONE"));
        let certain = !adapter.features.software && adapter.features.subgroup_sizes.0 >= 32;
        assert_eq!(alone, certain, "{}", adapter.name);
    }
    println!("{} variants", every_variant().expect("variants").len());
}
