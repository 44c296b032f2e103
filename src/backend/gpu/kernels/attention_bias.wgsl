// What is added to the score of a key for a head's query, by how far they are apart. Rows past a cache's capacity stand further on than
// their keys can be. Numbers: HEADS, ZERO (the row of a key at the query's own place).
fn bias_of(head: u32, query: u32, key: u32) -> f32 {
    return bias[(max(key + ZERO, query) - query) * HEADS + head];
}
