// Attention of query rows one by one, second half: puts the splits of a head together. A workgroup a head.
// Constant: THREADS. Flag and numbers: TILE (keys of a tile: a split takes whole ones), SPLITS, HEADS, HEAD_DIM, CAPACITY, SLIDING and WINDOW as in the
// first half.

#include stand
#include keys_seen
@group(0) @binding(1) var<storage, read> partial: array<f32>;             // [rows, HEADS, SPLITS, HEAD_DIM + 2]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;             // [rows, HEADS, HEAD_DIM]

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let keys = keys_seen(position_of(group.y));
    let tiles = (keys.y - keys.x + TILE - 1u) / TILE;
    let run = (tiles + SPLITS - 1u) / SPLITS;
    let splits = (tiles + run - 1u) / run;
    let at_head = group.y * HEADS + group.x;
    let start = at_head * SPLITS * (HEAD_DIM + 2u);
    var top = -3.0e38;
    for (var s = 0u; s < splits; s++) { top = max(top, partial[start + s * (HEAD_DIM + 2u) + HEAD_DIM]); }
    for (var column = lid; column < HEAD_DIM; column += THREADS) {
        var sum = 0.0;
        var weight = 0.0;
        for (var s = 0u; s < splits; s++) {
            let at = start + s * (HEAD_DIM + 2u);
            let share = exp(partial[at + HEAD_DIM] - top);
            sum += share * partial[at + column];
            weight += share * partial[at + HEAD_DIM + 1u];
        }
        y[at_head * HEAD_DIM + column] = sum / weight;
    }
}
