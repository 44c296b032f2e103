// The first of the keys of a member of a batch that its query `row` sees, and the one after the last.
// Flags: FULL (those after it, too), SLIDING (none that is WINDOW places away), LENGTHS (as many count as `lengths` says). Numbers: CAPACITY,
// WINDOW.
fn keys_between(member: u32, row: u32) -> vec2<u32> {
#if LENGTHS
    let count = clamp(lengths[member], 1u, CAPACITY);
#else
    let count = CAPACITY;
#endif
#if FULL
#if SLIDING
    // Whoever stands further from all than the window reaches sees the last.
    let end = min(row + WINDOW, count);
    return vec2(min(row + 1u - min(row + 1u, WINDOW), end - 1u), end);
#else
    return vec2(0u, count);
#endif
#else
    let end = min(row + 1u, count);
#if SLIDING
    return vec2(end - min(end, WINDOW), end);
#else
    return vec2(0u, end);
#endif
#endif
}
