// What one dispatch of a linear layer, a convolution or an embedding works on. Mirrors `Shape` in `kernels/linear.rs`.

struct Shape {
    // Rows of the weight in this part of it, and columns.
    rows: u32,
    cols: u32,
    // Tokens (rows of y), of which this dispatch begins with `first_token`.
    t: u32,
    first_token: u32,
    // Where this part's rows start among all of them, and how many there are in all.
    first_row: u32,
    all_rows: u32,
    // Numbers a token has in y.
    y_cols: u32,
    eps: f32,
    // Where row r of x begins: x_first + r · x_stride. Counted in what x is loaded by.
    x_first: u32,
    x_stride: u32,
    // Token t meets row t / residual_rows of the residual.
    residual_first: u32,
    residual_stride: u32,
    residual_rows: u32,
    gain_first: u32,
    gain_stride: u32,
    gain_rows: u32,
    // A convolution: channels of a pixel (counted in what x is loaded by), the sides of a picture in x, pixels of a picture in y
    // and its width, and the zeros above and left of a picture.
    channels: u32,
    height: u32,
    width: u32,
    out_pixels: u32,
    out_width: u32,
    top: u32,
    left: u32,
    padding: u32,
}

@group(0) @binding(2) var<uniform> shape: Shape;
