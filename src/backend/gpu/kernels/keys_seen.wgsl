// The first of the keys in the caches that a query at `position` sees, and the one after the last.
// Flag: SLIDING (of these the last WINDOW alone). Constants: CAPACITY, WINDOW.
fn keys_seen(position: u32) -> vec2<u32> {
    let end = min(position, CAPACITY - 1u) + 1u;
#if SLIDING
    return vec2(end - min(end, WINDOW), end);
#else
    return vec2(0u, end);
#endif
}
