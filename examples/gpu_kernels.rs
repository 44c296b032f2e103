//! Prints every kernel variant of the GPU backend as JSON `[[name, wgsl], …]`, as a browser would get it: to compile or
//! read them elsewhere.

fn main() -> vitrine::Result<()> {
    for (name, text) in vitrine::backend::gpu::kernels::sources()? {
        // What this machine's compiler does not want and a browser demands.
        let header =
            if text.contains("subgroupAdd") || text.contains("subgroup_size") { "enable subgroups;\n" } else { "" };
        println!("{}", serde_json::json!([name, format!("{header}{text}")]));
    }
    Ok(())
}
