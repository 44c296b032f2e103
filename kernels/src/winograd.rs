//! 3×3 convolutions of stride 1 by Winograd's minimal filtering F(4×4, 3×3) (arXiv 1509.09308): a tile of 4×4 output pixels costs
//! 36 products a pair of channels instead of 144.
//!
//! The picture is cut into strips of whole rows of tiles, so that what a strip makes is contiguous. In a strip, some tiles at a time:
//! their 6×6 pixels are transformed ([`Scratch::inputs`]), one matrix product for each of the 36 places of a tile follows, and its
//! results are transformed back to 4×4 pixels. Weights of any type are made wide and transformed when a convolution begins, for as many
//! output channels at a time as fit into some megabytes; that costs about as much as four tiles' products. All arithmetic is f32; the
//! transforms add about 10⁻⁶ to the relative error.

use std::collections::TryReserveError;

use crate::{
    matmul::{self, float_rows},
    matrix::Matrix,
    pictures::Reach,
    simd::F32x4,
    units::{FloatColumn, PANEL},
};

/// Output pixels on a side of a tile, and places (6×6) of the input that it reads.
const SIDE: usize = 4;
const PLACES: usize = 36;
/// Tiles that go through the products together.
const TILES: usize = 24;
/// Transformed weights held at once: 16 MB.
const WEIGHTS: usize = 4 << 20;
/// Where a picture has fewer pixels, transforming the weights is not worth it.
const FEWEST_PIXELS: usize = 48;

/// Room that convolutions need and keep.
#[derive(Default)]
pub struct Scratch {
    /// `[place][panel][input channel]`
    weights: Vec<FloatColumn>,
    /// `[place][tile][input channel / 4]`
    inputs: Vec<[f32; 4]>,
    /// `[place][tile][output channel / 4]`
    outputs: Vec<[f32; 4]>,
    wide: Vec<FloatColumn>,
}

impl Scratch {
    pub fn bytes(&self) -> usize {
        size_of::<FloatColumn>() * (self.weights.capacity() + self.wide.capacity())
            + size_of::<[f32; 4]>() * (self.inputs.capacity() + self.outputs.capacity())
    }
}

/// A convolution and the order of its parts.
pub struct Winograd {
    reach: Reach,
    channels: usize,
    /// Tiles across a picture, and rows of tiles of all pictures.
    across: usize,
    lines: usize,
    /// Rows of tiles in a strip.
    strip: usize,
    /// Panels of output channels, all and at once.
    panels: usize,
    together: usize,
}

/// The output rows that a part makes, and whether they are complete then.
pub struct Made {
    pub rows: std::ops::Range<usize>,
    pub complete: bool,
}

impl Winograd {
    /// `None` where another way is better.
    pub fn new(reach: &Reach, channels: usize, out: usize) -> Option<Self> {
        let window = &reach.window;
        let fits = !reach.transposed && (window.height, window.width, window.stride, window.dilation) == (3, 3, 1, 1);
        if !fits || reach.output.height * reach.output.width < FEWEST_PIXELS {
            return None;
        }
        let across = reach.output.width.div_ceil(SIDE);
        let panels = out.div_ceil(PANEL);
        Some(Self {
            reach: *reach,
            channels,
            across,
            lines: reach.output.batch * reach.output.height.div_ceil(SIDE),
            strip: (TILES / across).max(1),
            panels,
            together: (WEIGHTS / (PLACES * channels * PANEL)).clamp(1, panels),
        })
    }

    fn strips(&self) -> usize {
        self.lines.div_ceil(self.strip)
    }

    /// Parts go in order: all strips for the first output channels, then for the next.
    pub fn parts(&self) -> usize {
        self.panels.div_ceil(self.together) * self.strips()
    }

    /// Makes all the room that a convolution takes, before its first part.
    pub fn reserve(&self, scratch: &mut Scratch) -> Result<(), TryReserveError> {
        let Scratch { weights, inputs, outputs, wide } = scratch;
        let fours = PLACES * TILES;
        fn grow<T>(v: &mut Vec<T>, len: usize) -> Result<(), TryReserveError> {
            v.try_reserve(len.saturating_sub(v.len()))
        }
        let n = self.channels;
        grow(weights, PLACES * self.together * n)
            .and_then(|()| grow(inputs, fours * n.div_ceil(4)))
            .and_then(|()| grow(outputs, fours * self.together * 2))
            .and_then(|()| grow(wide, 9 * n))
    }

    /// First output row of a row of tiles.
    fn first_row(&self, line: usize) -> usize {
        let output = self.reach.output;
        let lines = output.height.div_ceil(SIDE);
        ((line / lines) * output.height + (line % lines) * SIDE) * output.width
    }

    pub fn run(
        &self,
        part: usize,
        w: &Matrix,
        bias: Option<&[f32]>,
        x: &[f32],
        out: &mut [f32],
        scratch: &mut Scratch,
    ) -> Made {
        let strips = self.strips();
        let (first_panel, strip) = (part / strips * self.together, part % strips);
        let panels = self.together.min(self.panels - first_panel);
        if strip == 0 {
            self.transform_weights(w, first_panel, panels, scratch);
        }
        let (first, end) = (strip * self.strip, ((strip + 1) * self.strip).min(self.lines));
        let tiles = (end - first) * self.across;
        for begin in (0..tiles).step_by(TILES) {
            let count = TILES.min(tiles - begin);
            let place = |tile: usize| (first + (begin + tile) / self.across, (begin + tile) % self.across);
            self.transform_inputs(x, count, place, &mut scratch.inputs);
            self.multiply(count, panels, scratch);
            let sink = Sink { out, width: w.rows, first: first_panel * PANEL, bias };
            self.transform_outputs(count, panels, place, &scratch.outputs, sink);
        }
        let rows =
            self.first_row(first)..if end == self.lines { self.reach.output.rows() } else { self.first_row(end) };
        Made { rows, complete: first_panel + panels == self.panels }
    }

    fn transform_weights(&self, w: &Matrix, first: usize, panels: usize, scratch: &mut Scratch) {
        let Scratch { weights, wide, .. } = scratch;
        let n = self.channels;
        weights.resize(PLACES * panels * n, [[0.0; 4]; 2]);
        for p in 0..panels {
            matmul::widen_panel(w, first + p, wide);
            for c in 0..n {
                for half in 0..2 {
                    let column = |ky: usize, kx: usize| F32x4::load(&wide[(ky * 3 + kx) * n + c][half]);
                    let mut down = [[F32x4::splat(0.0); 3]; 6];
                    for kx in 0..3 {
                        let six = filter([column(0, kx), column(1, kx), column(2, kx)]);
                        for i in 0..6 {
                            down[i][kx] = six[i];
                        }
                    }
                    for (i, three) in down.into_iter().enumerate() {
                        for (j, v) in filter(three).into_iter().enumerate() {
                            v.store(&mut weights[((i * 6 + j) * panels + p) * n + c][half]);
                        }
                    }
                }
            }
        }
    }

    fn transform_inputs(
        &self,
        x: &[f32],
        count: usize,
        place: impl Fn(usize) -> (usize, usize),
        inputs: &mut Vec<[f32; 4]>,
    ) {
        let (n, fours) = (self.channels, self.channels.div_ceil(4));
        let lines = self.reach.output.height.div_ceil(SIDE);
        inputs.resize(PLACES * TILES * fours, [0.0; 4]);
        for tile in 0..count {
            let (line, across) = place(tile);
            let (picture, top, left) = (line / lines, line % lines * SIDE, across * SIDE);
            // The rows of channels that the tile reads; none where zeros lie.
            let mut sources: [&[f32]; PLACES] = [&[]; PLACES];
            for (i, source) in sources.iter_mut().enumerate() {
                if let Some(row) = self.reach.pixel(picture, top, left, i / 6, i % 6) {
                    *source = &x[row * n..][..n];
                }
            }
            for c in 0..fours {
                let load = |i: usize| match sources[i].as_chunks::<4>() {
                    (full, _) if c < full.len() => F32x4::load(&full[c]),
                    (_, rest) => {
                        let mut last = [0.0; 4];
                        last[..rest.len()].copy_from_slice(rest);
                        F32x4::load(&last)
                    }
                };
                let mut down = [[F32x4::splat(0.0); 6]; 6];
                for j in 0..6 {
                    let six = data(std::array::from_fn(|i| load(i * 6 + j)));
                    for i in 0..6 {
                        down[i][j] = six[i];
                    }
                }
                for (i, six) in down.into_iter().enumerate() {
                    for (j, v) in data(six).into_iter().enumerate() {
                        v.store(&mut inputs[((i * 6 + j) * TILES + tile) * fours + c]);
                    }
                }
            }
        }
    }

    fn multiply(&self, count: usize, panels: usize, scratch: &mut Scratch) {
        let (n, padded) = (self.channels, self.channels.next_multiple_of(4));
        let Scratch { weights, inputs, outputs, .. } = scratch;
        outputs.resize(PLACES * TILES * panels * 2, [0.0; 4]);
        let inputs: &[f32] = bytemuck::cast_slice(inputs);
        for place in 0..PLACES {
            let x = &inputs[place * TILES * padded..][..TILES * padded];
            let out = &mut outputs[place * TILES * panels * 2..][..TILES * panels * 2];
            for p in 0..panels {
                let columns = &weights[(place * panels + p) * n..][..n];
                float_rows(
                    columns,
                    count,
                    |t| &x[t * padded..][..n],
                    |t, eight| {
                        out[(t * panels + p) * 2..][..2].as_flattened_mut().copy_from_slice(&eight);
                    },
                );
            }
        }
    }

    fn transform_outputs(
        &self,
        count: usize,
        panels: usize,
        place: impl Fn(usize) -> (usize, usize),
        outputs: &[[f32; 4]],
        sink: Sink,
    ) {
        let Sink { out, width, first, bias } = sink;
        let output = self.reach.output;
        for tile in 0..count {
            let (line, across) = place(tile);
            let row = self.first_row(line) + across * SIDE;
            let high = SIDE.min(output.height - line % output.height.div_ceil(SIDE) * SIDE);
            let wide = SIDE.min(output.width - across * SIDE);
            for four in 0..panels * 2 {
                let channel = first + four * 4;
                let Some(n) = width.checked_sub(channel).filter(|n| *n > 0) else { break };
                let n = n.min(4);
                let load = |i: usize| F32x4::load(&outputs[(i * TILES + tile) * panels * 2 + four]);
                let mut down = [[F32x4::splat(0.0); 6]; SIDE];
                for j in 0..6 {
                    let values = result(std::array::from_fn(|i| load(i * 6 + j)));
                    for i in 0..SIDE {
                        down[i][j] = values[i];
                    }
                }
                let mut more = [0.0; 4];
                if let Some(bias) = bias {
                    more[..n].copy_from_slice(&bias[channel..channel + n]);
                }
                let more = F32x4::load(&more);
                for (i, six) in down.into_iter().enumerate().take(high) {
                    for (j, v) in result(six).into_iter().enumerate().take(wide) {
                        let to = &mut out[(row + i * output.width + j) * width + channel..][..n];
                        match to.as_chunks_mut::<4>().0 {
                            [to] => v.add(more).store(to),
                            _ => to.copy_from_slice(&v.add(more).to_array()[..n]),
                        }
                    }
                }
            }
        }
    }
}

/// Where results go: `[rows, width]`, from channel `first` on.
struct Sink<'a> {
    out: &'a mut [f32],
    width: usize,
    first: usize,
    bias: Option<&'a [f32]>,
}

/// `G g`: three weights to six.
#[inline(always)]
fn filter([a, b, c]: [F32x4; 3]) -> [F32x4; 6] {
    let by = F32x4::splat;
    let sum = a.add(c).mul(by(-1.0 / 6.0));
    let middle = b.mul(by(1.0 / 6.0));
    let wide = a.mul(by(1.0 / 24.0)).add(c.mul(by(1.0 / 6.0)));
    let half = b.mul(by(1.0 / 12.0));
    [a.mul(by(0.25)), sum.sub(middle), sum.add(middle), wide.add(half), wide.sub(half), c]
}

/// `Bᵀ d`: six pixels to six.
#[inline(always)]
fn data([a, b, c, d, e, f]: [F32x4; 6]) -> [F32x4; 6] {
    let (four, five) = (F32x4::splat(4.0), F32x4::splat(5.0));
    let (even, odd) = (e.sub(c.mul(four)), d.sub(b.mul(four)));
    let (near, far) = (e.sub(c), d.sub(b));
    let far = far.add(far);
    [
        a.mul(four).sub(c.mul(five)).add(e),
        even.add(odd),
        even.sub(odd),
        near.add(far),
        near.sub(far),
        b.mul(four).sub(d.mul(five)).add(f),
    ]
}

/// `Aᵀ m`: six sums to four pixels.
#[inline(always)]
fn result([a, b, c, d, e, f]: [F32x4; 6]) -> [F32x4; 4] {
    let (two, four, eight) = (F32x4::splat(2.0), F32x4::splat(4.0), F32x4::splat(8.0));
    let (sum, difference) = (b.add(c), b.sub(c));
    let (far, apart) = (d.add(e), d.sub(e));
    [
        a.add(sum).add(far),
        difference.add(apart.mul(two)),
        sum.add(far.mul(four)),
        difference.add(apart.mul(eight)).add(f),
    ]
}
