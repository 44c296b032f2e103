// The first of the keys in the caches that a query at `position` sees, and the one after the last.
// Flags: SLIDING (of these the last WINDOW alone), MEMORY (all that were stored). Numbers: CAPACITY, WINDOW.
fn keys_seen(position: u32) -> vec2<u32> {
#if MEMORY
    return vec2(0u, clamp(step.memory, 1u, CAPACITY));
#else
    let end = min(position, CAPACITY - 1u) + 1u;
#if SLIDING
    return vec2(end - min(end, WINDOW), end);
#else
    return vec2(0u, end);
#endif
#endif
}
