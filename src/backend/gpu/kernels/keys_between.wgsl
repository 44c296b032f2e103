// The first of the keys of a member of a batch that its query `row` sees, and the one after the last.
// Flags: FULL (all of them; else those up to its own), LENGTHS (as many count as `lengths` says). Number: CAPACITY.
fn keys_between(member: u32, row: u32) -> vec2<u32> {
#if LENGTHS
    let count = clamp(lengths[member], 1u, CAPACITY);
#else
    let count = CAPACITY;
#endif
#if FULL
    return vec2(0u, count);
#else
    return vec2(0u, min(row + 1u, count));
#endif
}
