// Which numbers of x a token reads: `under(spot(token), tap(k))` is where column k of the token lies in x. All is counted in what x is
// loaded by: fours of floats, or floats.
// Flags: CONV (tokens are pixels of pictures, columns are (row of the window, column of the window, channel)); with it
// TRANSPOSED (the convolution's transpose), UP (every pixel of x stands for UP_BY · UP_BY).
// Constants with CONV: KERNEL_WIDTH, STRIDE_BY, UP_BY. The numbers are those of `Shape` in `linear.rs`.

#if CONV
// The first pixel of the token's picture in x, and the corner of its window.
struct Spot {
    start: u32,
    y: i32,
    x: i32,
}

// A pixel of the window, and a channel.
struct Tap {
    y: i32,
    x: i32,
    channel: u32,
}

const OUTSIDE = 0xffffffffu;

fn spot(token: u32) -> Spot {
    let picture = token / OUT_PIXELS;
    let pixel = token - picture * OUT_PIXELS;
    let y = pixel / OUT_WIDTH;
    let x = pixel - y * OUT_WIDTH;
    let start = picture * IN_HEIGHT * IN_WIDTH;
#if TRANSPOSED
    return Spot(start, i32(y + TOP), i32(x + LEFT));
#else
    return Spot(start, i32(y * STRIDE_BY) - i32(TOP), i32(x * STRIDE_BY) - i32(LEFT));
#endif
}

fn tap(k: u32) -> Tap {
    let pixel = k / CHANNELS;
    let y = pixel / KERNEL_WIDTH;
    return Tap(i32(y * DILATION), i32((pixel - y * KERNEL_WIDTH) * DILATION), k - pixel * CHANNELS);
}

fn under(s: Spot, t: Tap) -> u32 {
#if TRANSPOSED
    // Negative ones are past the end as unsigned.
    let far_y = u32(s.y - t.y);
    let far_x = u32(s.x - t.x);
    let y = far_y / STRIDE_BY;
    let x = far_x / STRIDE_BY;
    let outside = (y * STRIDE_BY != far_y) | (x * STRIDE_BY != far_x) | (y >= IN_HEIGHT) | (x >= IN_WIDTH);
#else
#if UP
    let y = u32(s.y + t.y) / UP_BY;
    let x = u32(s.x + t.x) / UP_BY;
#else
    let y = u32(s.y + t.y);
    let x = u32(s.x + t.x);
#endif
    let outside = (y >= IN_HEIGHT) | (x >= IN_WIDTH);
#endif
    // Without a branch: this stands in a kernel many times over, and SwiftShader's compiler does not come to an end over so many.
    return select(X_FIRST + (s.start + y * IN_WIDTH + x) * X_STRIDE + t.channel, OUTSIDE, outside);
}
#else
alias Spot = u32;
alias Tap = u32;

fn spot(token: u32) -> Spot {
    return X_FIRST + token * X_STRIDE;
}

fn tap(k: u32) -> Tap {
    return k;
}

fn under(s: Spot, t: Tap) -> u32 {
    return s + t;
}
#endif
