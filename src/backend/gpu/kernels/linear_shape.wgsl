// What one dispatch of a linear layer or an embedding works on.


struct Shape {
    // Rows of the weight in this part of it, and columns.
    rows: u32,
    cols: u32,
    // Tokens.
    t: u32,
    // Where this part's rows start among all of them, and how many there are in all.
    first_row: u32,
    all_rows: u32,
    // Numbers a token has in y.
    y_cols: u32,
    eps: f32,
    padding: u32,
}

@group(0) @binding(2) var<uniform> shape: Shape;
