//! `x · Wᵀ`: a few rows of `x` against packed weights (decode, and what confirms guesses), or four rows at a time against a panel made wide once (prefill).
//!
//! Against quantised weights the rows of `x` become 16-bit whole numbers with a scale for every 32 of them, so that a
//! product is whole-number arithmetic with one multiplication by the scales for 32 columns. The rounding of `x` is at most
//! 2⁻¹⁶ of the largest of its 32 neighbours (the products add less than 10⁻⁴ to the relative error of a result). Against
//! plain weights everything is f32.

use crate::{
    dtype::DType,
    matrix::{ByteQuad, Data, FloatColumn, HalfColumn, Matrix, NibbleQuad, PANEL, WordPair, group, zero},
    simd::{F32x4, I16x8, I32x4, ROUNDER},
};

/// Rows of `x` that go through a wide panel together.
pub const TILE: usize = 4;

/// So many rows meet a panel as it is stored. More would unpack its quants more than twice, and then they are made wide once.
const FEW: usize = 2 * TILE;

/// Rows of whole numbers, [`TILE`] of them side by side (of at most [`FEW`] as many as make tiles of one size): `quants` `[row / tile][pair of columns][row % tile][2]`,
/// `scales` `[row / tile][column / 32][row % tile]`, `sums` (of the quants) `[row / tile][column / 16][row % tile]`. Rows are padded with zeros to
/// whole tiles.
#[derive(Default)]
pub struct QuantisedRows {
    tile: usize,
    quants: Vec<[i16; 2]>,
    scales: Vec<f32>,
    sums: Vec<i32>,
}

impl QuantisedRows {
    pub fn bytes(&self) -> usize {
        4 * (self.quants.capacity() + self.scales.capacity() + self.sums.capacity())
    }

    fn is_few(&self, columns: usize) -> bool {
        2 * self.quants.len() <= FEW * columns
    }

    /// Rounds `x` `[rows, columns]`; `columns` is a multiple of 32.
    pub fn fill(&mut self, x: &[f32], columns: usize) {
        let rows = x.len() / columns;
        self.tile = if rows <= FEW { rows.div_ceil(rows.div_ceil(TILE)) } else { TILE };
        let (tile, padded) = (self.tile, rows.next_multiple_of(self.tile));
        self.quants.clear();
        self.quants.resize(padded * columns / 2, [0; 2]);
        self.scales.clear();
        self.scales.resize(padded * columns / 32, 0.0);
        self.sums.clear();
        self.sums.resize(padded * columns / 16, 0);
        for (r, row) in x.chunks_exact(columns).enumerate() {
            let (first, lane) = (r / tile, r % tile);
            for (b, block) in row.as_chunks::<32>().0.iter().enumerate() {
                let at = (first * (columns / 32) + b) * tile + lane;
                let (quants, scale) = quantise(block);
                self.scales[at] = scale;
                for (half, quants) in quants.as_chunks::<16>().0.iter().enumerate() {
                    let at = (first * (columns / 16) + b * 2 + half) * tile + lane;
                    self.sums[at] = quants.iter().map(|q| i32::from(*q)).sum();
                }
                let to = &mut self.quants[(first * columns / 2 + b * 16) * tile..][..16 * tile];
                for (pair, to) in quants.as_chunks().0.iter().zip(to.chunks_exact_mut(tile)) {
                    to[lane] = *pair;
                }
            }
        }
    }
}

/// 32 floats as whole numbers within ±32767 and their scale; one that is not finite makes the scale NaN.
fn quantise(block: &[f32; 32]) -> ([i16; 32], f32) {
    // Bits of magnitudes compare as the magnitudes do, and those of infinity and NaN are larger than any.
    let top = block.iter().fold(0u32, |top, v| top.max(v.to_bits() & 0x7fff_ffff));
    let largest = f32::from_bits(top);
    if !largest.is_finite() {
        return ([0; 32], f32::NAN);
    }
    if largest < 1e-30 {
        return ([0; 32], 0.0);
    }
    let inverse = 32767.0 / largest;
    (block.map(|v| (v * inverse + ROUNDER).to_bits() as i16), largest / 32767.0)
}

/// Eight columns of a panel, in whatever form, as four pairs of vectors.
trait Quad: Copy {
    fn pairs(&self) -> [[I16x8; 2]; 4];
}

impl Quad for NibbleQuad {
    #[inline(always)]
    fn pairs(&self) -> [[I16x8; 2]; 4] {
        let [a, b] = [I16x8::nibbles(&self[0]), I16x8::nibbles(&self[1])];
        std::array::from_fn(|i| [a[i], b[i]])
    }
}

impl Quad for ByteQuad {
    #[inline(always)]
    fn pairs(&self) -> [[I16x8; 2]; 4] {
        std::array::from_fn(|i| [I16x8::widen(&self[i][0]), I16x8::widen(&self[i][1])])
    }
}

/// A panel's weights in some form, and the scales and offsets of its groups.
struct Panel<'a, W> {
    weights: &'a [W],
    scales: &'a [[[f32; 4]; 2]],
    offsets: &'a [[[f32; 4]; 2]],
}

impl<W> Panel<'_, W> {
    /// Adds to `total` what group `g` gives for a row of `x`: `sum` of its products, and its scale and sum in that block.
    #[inline(always)]
    fn add_group(&self, total: &mut [F32x4; 2], g: usize, sum: [I32x4; 2], x_scale: f32, x_sum: i32) {
        let by = F32x4::splat(x_scale);
        for half in 0..2 {
            let scale = F32x4::load(&self.scales[g][half]).mul(by);
            total[half] = total[half].add(sum[half].to_f32().mul(scale));
        }
        if let Some(offset) = self.offsets.get(g) {
            let by = F32x4::splat(x_scale * x_sum as f32);
            for half in 0..2 {
                total[half] = total[half].add(F32x4::load(&offset[half]).mul(by));
            }
        }
    }
}

/// The sum of group `g` of `halves` times 16 columns.
#[inline(always)]
fn sum_of<const L: usize>(sums: &[[i32; L]], g: usize, halves: usize, l: usize) -> i32 {
    if halves == 1 { sums[g][l] } else { sums[2 * g][l] + sums[2 * g + 1][l] }
}

/// `L` rows against a panel as it is stored: its quants are unpacked once for all of them. `QUADS`: how many quads share a scale. `ZERO`: what each
/// quant is too large by.
#[inline(always)]
fn few_rows<Q: Quad, const QUADS: usize, const ZERO: i32, const L: usize>(
    panel: &Panel<Q>,
    x: &[[[i16; 2]; L]],
    x_scales: &[[f32; L]],
    x_sums: &[[i32; L]],
) -> [[F32x4; 2]; L] {
    let mut total = [[F32x4::splat(0.0); 2]; L];
    let x = x.as_chunks::<4>().0.as_chunks::<QUADS>().0;
    let quads = panel.weights.as_chunks::<QUADS>().0;
    for (g, (quads, x)) in quads.iter().zip(x).enumerate() {
        let block = g * QUADS / 4;
        let x_sum: [i32; L] = std::array::from_fn(|l| sum_of(x_sums, g, QUADS / 2, l));
        let mut sum = x_sum.map(|x_sum| [I32x4::splat(-ZERO * x_sum); 2]);
        for (quad, x) in quads.iter().zip(x) {
            for (w, x) in quad.pairs().iter().zip(x) {
                for l in 0..L {
                    let x = I16x8::splat_pair(x[l]);
                    sum[l] = [sum[l][0].add(w[0].dot(x)), sum[l][1].add(w[1].dot(x))];
                }
            }
        }
        for l in 0..L {
            panel.add_group(&mut total[l], g, sum[l], x_scales[block][l], x_sum[l]);
        }
    }
    total
}

/// [`TILE`] rows against a widened panel, of which `group` pairs of columns share a scale: the heart of a prefill.
///
/// The inner loop's length is no constant on purpose: unrolled, its sums are taken in an order that needs more
/// registers than there are.
#[inline(never)]
fn wide_tile(
    panel: &Panel<WordPair>,
    group: usize,
    x: &[[[i16; 2]; TILE]],
    x_scales: &[[f32; TILE]],
    x_sums: &[[i32; TILE]],
) -> [[F32x4; 2]; TILE] {
    let mut total = [[F32x4::splat(0.0); 2]; TILE];
    for (g, (w, x)) in panel.weights.chunks_exact(group).zip(x.chunks_exact(group)).enumerate() {
        let mut sum = [[I32x4::splat(0); 2]; TILE];
        for (w, x) in w.iter().zip(x) {
            let w = [I16x8::load(&w[0]), I16x8::load(&w[1])];
            for l in 0..TILE {
                let x = I16x8::splat_pair(x[l]);
                sum[l] = [sum[l][0].add(w[0].dot(x)), sum[l][1].add(w[1].dot(x))];
            }
        }
        let block = g * group / 16;
        for l in 0..TILE {
            panel.add_group(&mut total[l], g, sum[l], x_scales[block][l], sum_of(x_sums, g, group / 8, l));
        }
    }
    total
}

/// One column of a panel as floats.
trait Column: Copy {
    fn floats(&self) -> [F32x4; 2];
}

impl Column for FloatColumn {
    #[inline(always)]
    fn floats(&self) -> [F32x4; 2] {
        [F32x4::load(&self[0]), F32x4::load(&self[1])]
    }
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct F16Column(HalfColumn);

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Bf16Column(HalfColumn);

impl Column for F16Column {
    #[inline(always)]
    fn floats(&self) -> [F32x4; 2] {
        [F32x4::from_f16(&self.0[0]), F32x4::from_f16(&self.0[1])]
    }
}

impl Column for Bf16Column {
    #[inline(always)]
    fn floats(&self) -> [F32x4; 2] {
        [F32x4::from_bf16(&self.0[0]), F32x4::from_bf16(&self.0[1])]
    }
}

/// `L` rows of floats against a panel of floats.
#[inline(always)]
fn float_tile<C: Column, const L: usize>(columns: &[C], x: &[&[f32]; L]) -> [[F32x4; 2]; L] {
    // Sums that do not wait for each other: a row alone takes every fourth column in a sum of its own.
    let step = if L == 1 { 4 } else { 1 };
    let mut sums = [[[F32x4::splat(0.0); 2]; 4]; L];
    let whole = columns.len() / step * step;
    for first in (0..whole).step_by(step) {
        for i in 0..step {
            let w = columns[first + i].floats();
            for l in 0..L {
                let x = F32x4::splat(x[l][first + i]);
                sums[l][i] = [sums[l][i][0].add(w[0].mul(x)), sums[l][i][1].add(w[1].mul(x))];
            }
        }
    }
    for k in whole..columns.len() {
        let w = columns[k].floats();
        for l in 0..L {
            let x = F32x4::splat(x[l][k]);
            sums[l][0] = [sums[l][0][0].add(w[0].mul(x)), sums[l][0][1].add(w[1].mul(x))];
        }
    }
    sums.map(|[a, b, c, d]| [0, 1].map(|h| a[h].add(b[h]).add(c[h].add(d[h]))))
}

/// [`TILE`] rows of floats against a panel of floats: `x[l]` is as long as there are columns.
#[inline(never)]
pub fn float_panel(columns: &[FloatColumn], x: &[&[f32]; TILE]) -> [[f32; PANEL]; TILE] {
    let columns_count = columns.len();
    let x = x.map(|x| &x[..columns_count]);
    float_tile(columns, &x).map(eight)
}

/// Any number of rows of floats against a panel of floats: `x` gives a row as long as there are columns, `put` takes its results.
///
/// [`TILE`] rows at a time: with six, the sums would just fit into sixteen registers, but browsers keep one to themselves and spill
/// (17 G products/s in V8 instead of 25).
#[inline(always)]
pub fn float_rows<'a>(
    columns: &[FloatColumn],
    rows: usize,
    x: impl Fn(usize) -> &'a [f32],
    mut put: impl FnMut(usize, [f32; PANEL]),
) {
    for first in (0..rows).step_by(TILE) {
        // A last tile that is not full repeats its last row.
        let tile: [&[f32]; TILE] = std::array::from_fn(|l| x((first + l).min(rows - 1)));
        for (l, out) in float_panel(columns, &tile).into_iter().enumerate().take(rows - first) {
            put(first + l, out);
        }
    }
}

/// Panel `p` of a matrix of any type in floats, column by column.
pub fn widen_panel(w: &Matrix, p: usize, wide: &mut Vec<FloatColumn>) {
    let n = w.columns;
    wide.clear();
    match &w.data {
        Data::Float(columns) => wide.extend_from_slice(&columns[p * n..][..n]),
        Data::Half(columns) if w.dtype == DType::BF16 => {
            widen_halves(cast::<_, Bf16Column>(&columns[p * n..][..n]), wide)
        }
        Data::Half(columns) => widen_halves(cast::<_, F16Column>(&columns[p * n..][..n]), wide),
        Data::Nibbles(quads) => widen_quads(w, p, &quads[p * n / 8..][..n / 8], wide),
        Data::Bytes(quads) => widen_quads(w, p, &quads[p * n / 8..][..n / 8], wide),
    }
}

fn widen_halves<C: Column>(columns: &[C], wide: &mut Vec<FloatColumn>) {
    wide.extend(columns.iter().map(|c| c.floats().map(F32x4::to_array)));
}

fn widen_quads<Q: Quad>(w: &Matrix, p: usize, quads: &[Q], wide: &mut Vec<FloatColumn>) {
    let (size, zero) = (group(w.dtype), i16::from(zero(w.dtype)));
    let groups = w.columns / size;
    for (i, quad) in quads.iter().enumerate() {
        let g = p * groups + i * 8 / size;
        let (scale, offset) = (&w.scales[g], w.offsets.get(g));
        for pair in quad.pairs() {
            let quants = pair.map(|v| {
                let mut out = [0; 8];
                v.store(&mut out);
                out
            });
            for column in 0..2 {
                let value = |half: usize, row: usize| {
                    let quant = f32::from(quants[half][row * 2 + column] - zero);
                    quant * scale[half][row] + offset.map_or(0.0, |o| o[half][row])
                };
                wide.push([0, 1].map(|half| std::array::from_fn(|row| value(half, row))));
            }
        }
    }
}

#[inline(always)]
fn eight(v: [F32x4; 2]) -> [f32; PANEL] {
    let mut out = [0.0; PANEL];
    let (quarters, _) = out.as_chunks_mut::<4>();
    v[0].store(&mut quarters[0]);
    v[1].store(&mut quarters[1]);
    out
}

/// Room that products need and keep.
#[derive(Default)]
pub struct Scratch {
    pub rows: QuantisedRows,
    words: Vec<WordPair>,
    floats: Vec<FloatColumn>,
}

impl Scratch {
    pub fn bytes(&self) -> usize {
        self.rows.bytes()
            + size_of::<WordPair>() * self.words.capacity()
            + size_of::<FloatColumn>() * self.floats.capacity()
    }
}

/// Where results go: `[rows, out]`, with an optional bias.
struct Sink<'a> {
    out: &'a mut [f32],
    width: usize,
    bias: Option<&'a [f32]>,
}

impl Sink<'_> {
    /// Results of panel `panel` for row `row`; those past the matrix's or the activations' last are padding.
    #[inline(always)]
    fn put(&mut self, row: usize, panel: usize, values: [f32; PANEL]) {
        let first = panel * PANEL;
        let n = PANEL.min(self.width - first);
        let Some(to) = self.out.get_mut(row * self.width + first..row * self.width + first + n) else { return };
        to.copy_from_slice(&values[..n]);
        if let Some(bias) = self.bias {
            for (to, b) in to.iter_mut().zip(&bias[first..]) {
                *to += b;
            }
        }
    }
}

/// `out = x · Wᵀ + bias`. For a quantised matrix `scratch.rows` already holds `x`.
pub fn linear(w: &Matrix, bias: Option<&[f32]>, x: &[f32], out: &mut [f32], scratch: &mut Scratch) {
    let mut sink = Sink { out, width: w.rows, bias };
    match &w.data {
        Data::Float(columns) => floats(w, columns, x, &mut sink, &mut scratch.floats),
        Data::Half(columns) if w.dtype == DType::BF16 => {
            floats(w, cast::<_, Bf16Column>(columns), x, &mut sink, &mut scratch.floats);
        }
        Data::Half(columns) => floats(w, cast::<_, F16Column>(columns), x, &mut sink, &mut scratch.floats),
        Data::Nibbles(quads) if w.offsets.is_empty() => quantised::<_, 4, 8>(w, quads, scratch, &mut sink),
        Data::Nibbles(quads) => quantised::<_, 4, 0>(w, quads, scratch, &mut sink),
        Data::Bytes(quads) if group(w.dtype) == 16 => quantised::<_, 2, 0>(w, quads, scratch, &mut sink),
        Data::Bytes(quads) => quantised::<_, 4, 0>(w, quads, scratch, &mut sink),
    }
}

/// Half-float columns under the type that says which kind they are.
fn cast<A: Copy, B: Column>(v: &[A]) -> &[B] {
    const { assert!(size_of::<A>() == size_of::<B>() && align_of::<A>() == align_of::<B>()) };
    // SAFETY: B is a transparent wrapper of A: same size and alignment (checked above), and any bits are valid.
    unsafe { std::slice::from_raw_parts(v.as_ptr().cast(), v.len()) }
}

fn quantised<Q: Quad, const QUADS: usize, const ZERO: i32>(
    w: &Matrix,
    quads: &[Q],
    scratch: &mut Scratch,
    sink: &mut Sink,
) {
    let Scratch { rows, words, .. } = scratch;
    match (rows.tile, rows.is_few(w.columns)) {
        (1, _) => few::<Q, QUADS, ZERO, 1>(w, quads, rows, sink),
        (2, _) => few::<Q, QUADS, ZERO, 2>(w, quads, rows, sink),
        (3, _) => few::<Q, QUADS, ZERO, 3>(w, quads, rows, sink),
        (_, true) => few::<Q, QUADS, ZERO, TILE>(w, quads, rows, sink),
        _ => many::<Q, QUADS, ZERO>(w, quads, rows, words, sink),
    }
}

/// Quants, scales and sums of a tile of `L` rows.
type Tile<'a, const L: usize> = (&'a [[[i16; 2]; L]], &'a [[f32; L]], &'a [[i32; L]]);

fn tiles<const L: usize>(rows: &QuantisedRows, columns: usize) -> impl Iterator<Item = Tile<'_, L>> {
    let quants = rows.quants.as_chunks().0.chunks_exact(columns / 2);
    let scales = rows.scales.as_chunks().0.chunks_exact(columns / 32);
    let sums = rows.sums.as_chunks().0.chunks_exact(columns / 16);
    quants.zip(scales).zip(sums).map(|((quants, scales), sums)| (quants, scales, sums))
}

/// Panel `p` as `weights` hold it.
fn panel<'a, W>(w: &'a Matrix, p: usize, weights: &'a [W]) -> Panel<'a, W> {
    let groups = w.columns / group(w.dtype);
    let offsets = w.offsets.get(p * groups..(p + 1) * groups).unwrap_or_default();
    Panel { weights, scales: &w.scales[p * groups..][..groups], offsets }
}

/// Never inlined, so that the registers of one tile's loop are its own.
#[inline(never)]
fn few<Q: Quad, const QUADS: usize, const ZERO: i32, const L: usize>(
    w: &Matrix,
    quads: &[Q],
    rows: &QuantisedRows,
    sink: &mut Sink,
) {
    for (p, quads) in quads.chunks_exact(w.columns / 8).enumerate() {
        let panel = panel(w, p, quads);
        for (r, (quants, scales, sums)) in tiles::<L>(rows, w.columns).enumerate() {
            let out = few_rows::<Q, QUADS, ZERO, L>(&panel, quants, scales, sums);
            for (l, out) in out.into_iter().enumerate() {
                sink.put(r * L + l, p, eight(out));
            }
        }
    }
}

fn many<Q: Quad, const QUADS: usize, const ZERO: i32>(
    w: &Matrix,
    quads: &[Q],
    rows: &QuantisedRows,
    words: &mut Vec<WordPair>,
    sink: &mut Sink,
) {
    for (p, quads) in quads.chunks_exact(w.columns / 8).enumerate() {
        words.clear();
        words.extend(quads.iter().flat_map(widen::<Q, ZERO>));
        let panel = panel(w, p, words);
        for (r, (quants, scales, sums)) in tiles(rows, w.columns).enumerate() {
            let out = wide_tile(&panel, QUADS * 4, quants, scales, sums);
            for (l, out) in out.into_iter().enumerate() {
                sink.put(r * TILE + l, p, eight(out));
            }
        }
    }
}

#[inline(always)]
fn widen<Q: Quad, const ZERO: i32>(quad: &Q) -> [WordPair; 4] {
    let zero = I16x8::splat_pair([ZERO as i16; 2]);
    quad.pairs().map(|pair| {
        pair.map(|v| {
            let mut out = [0; 8];
            v.sub(zero).store(&mut out);
            out
        })
    })
}

fn floats<C: Column>(w: &Matrix, columns: &[C], x: &[f32], sink: &mut Sink, wide: &mut Vec<FloatColumn>) {
    let n = w.columns;
    let rows = x.len() / n;
    for (p, panel) in columns.chunks_exact(n).enumerate() {
        if rows == 1 {
            let [out] = float_tile(panel, &[&x[..n]]);
            sink.put(0, p, eight(out));
            continue;
        }
        wide.clear();
        wide.extend(panel.iter().map(|c| {
            let [a, b] = c.floats();
            [a.to_array(), b.to_array()]
        }));
        float_rows(wide, rows, |r| &x[r * n..][..n], |r, out| sink.put(r, p, out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However many rows go together, each comes out as it does alone, to the bit: guesses are confirmed by rows that came another way than the text did.
    #[test]
    fn rows_of_quantised_products_come_out_as_each_does_alone() {
        const COLUMNS: usize = 512;
        for dtype in [DType::Q4_0, DType::Q4_1, DType::Q8_0, DType::Q5_1, DType::Q6_K, DType::Q2_K] {
            let mut w = Matrix::new(19, COLUMNS, dtype).expect("whole blocks");
            for row in 0..w.rows {
                let bytes = dtype.row_bytes(COLUMNS).expect("whole blocks");
                // Scales read out of these are finite: no half float has all bits of its exponent.
                let row_of: Vec<u8> = (0..bytes).map(|i| ((i * 37 + row * 101) % 251) as u8 & 0xbb).collect();
                w.put_row(row, &row_of).expect("finite scales");
            }
            let x: Vec<f32> = (0..18 * COLUMNS).map(|i| (i as f32 * 0.37).sin() * (1.0 + (i / 32) as f32)).collect();
            let product = |x: &[f32]| {
                let (mut scratch, mut out) = (Scratch::default(), vec![0.0; x.len() / COLUMNS * w.rows]);
                scratch.rows.fill(x, COLUMNS);
                linear(&w, None, x, &mut out, &mut scratch);
                out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let alone: Vec<u32> = x.chunks_exact(COLUMNS).flat_map(product).collect();
            assert!(alone.iter().any(|bits| *bits != alone[0]));
            for rows in 2..=18 {
                assert_eq!(product(&x[..rows * COLUMNS]), alone[..rows * w.rows], "{rows} rows of {dtype}");
            }
        }
    }
}
