//! Prints every kernel variant of the GPU backend as JSON `[[name, wgsl], …]`, as a browser would get it: to compile or
//! read them elsewhere.

fn main() -> vitrine::Result<()> {
    let features =
        vitrine::backend::gpu::context::Features { subgroups: true, subgroup_sizes: (4, 64), ..Default::default() };
    for software in [false, true] {
        for (name, text) in
            vitrine::backend::gpu::kernels::sources(vitrine::backend::gpu::context::Features { software, ..features })?
        {
            let header =
                if text.contains("subgroupAdd") || text.contains("subgroup_size") { "enable subgroups;\n" } else { "" };
            println!("{}", serde_json::json!([name, format!("{header}{text}")]));
        }
    }
    Ok(())
}
