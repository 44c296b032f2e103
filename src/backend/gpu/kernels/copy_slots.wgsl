// Slots of a cache become copies of one another, all at once: an invocation takes one number of every slot, and reads all before it writes.
// Constant: SLOTS. Numbers: CAPACITY (rows of a slot), COLS.

@group(0) @binding(0) var<storage, read_write> cache: array<f32>;       // [SLOTS, CAPACITY, COLS]
@group(0) @binding(1) var<storage, read> copies: array<vec2<u32>>;      // [SLOTS] (source, rows)

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lid: u32,
) {
    let i = (group.y * groups.x + group.x) * 64u + lid;
    let all = CAPACITY * COLS;
    if (i >= all) { return; }
    var was: array<f32, SLOTS>;
    for (var slot = 0u; slot < SLOTS; slot++) { was[slot] = cache[min(copies[slot].x, SLOTS - 1u) * all + i]; }
    for (var slot = 0u; slot < SLOTS; slot++) {
        if (i < copies[slot].y * COLS) { cache[slot * all + i] = was[slot]; }
    }
}
