// The numbers of one step, written before each submit. Mirrors `kernels/step.rs`.
struct Step {
    // Tokens that the caches already hold; row 0 of the step stands here.
    position: u32,
    // The row that is selected.
    row: u32,
    top_k: u32,
    // The draw in [0, 1).
    draw: f32,
    // 0 is greedy.
    temperature: f32,
    top_p: f32,
    min_p: f32,
    repetition_penalty: f32,
    // Rows of stored keys and values that are seen.
    memory: u32,
}
