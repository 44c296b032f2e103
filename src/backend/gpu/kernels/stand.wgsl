// Where a row of the step stands: one after another from the step's position on, or each in a slot of the caches and at a position there.
// Flag: PLACES. Constant: PLACED (rows) with it.
#if PLACES
// Uniform, for a device may bind but eight storage buffers. (slot, position), two a vector.
@group(0) @binding(14) var<uniform> places: array<vec4<u32>, (PLACED + 1u) / 2u>;

fn place_of(row: u32) -> vec2<u32> {
    let two = places[row / 2u];
    return select(two.xy, two.zw, row % 2u == 1u);
}

fn position_of(row: u32) -> u32 { return place_of(row).y; }

fn slot_of(row: u32) -> u32 { return place_of(row).x; }
#else
#include step
@group(0) @binding(14) var<uniform> step: Step;

fn position_of(row: u32) -> u32 { return step.position + row; }

fn slot_of(row: u32) -> u32 { return 0u; }
#endif
