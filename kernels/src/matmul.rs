//! `x · Wᵀ`: a few rows of `x` against packed weights (decode, and what confirms guesses), or four rows at a time against a panel made wide once (prefill).
//!
//! Against quantised weights the rows of `x` become 16-bit whole numbers with a scale for every 32 of them, so that a
//! product is whole-number arithmetic with one multiplication by the scales for 32 columns. The rounding of `x` is at most
//! 2⁻¹⁶ of the largest of its 32 neighbours (the products add less than 10⁻⁴ to the relative error of a result). Against
//! plain weights everything is f32.

use crate::{
    dtype::DType,
    matrix::{Data, Matrix},
    rows::{QuantisedRows, TILE, tiles},
    simd::{F32x4, I16x8, I32x4},
    units::{FloatColumn, HalfColumn, PANEL, Packing, Unit},
};

/// A pair of columns of a panel, wide: `[row / 4][row % 4 · 2 + column % 2]`
type WordPair = [[i16; 8]; 2];

/// A panel's weights in some form, and the scales and offsets of its groups.
struct Panel<'a, W> {
    weights: &'a [W],
    scales: &'a [FloatColumn],
    offsets: &'a [FloatColumn],
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

/// `L` rows against a panel as it is stored: its quants are unpacked once for all of them. `UNITS`: how many of `PAIRS` pairs of columns share a scale.
#[inline(always)]
fn few_rows<U: Unit<PAIRS>, const PAIRS: usize, const UNITS: usize, const L: usize>(
    panel: &Panel<U>,
    packing: Packing,
    x: &[[[i16; 2]; L]],
    x_scales: &[[f32; L]],
    x_sums: &[[i32; L]],
) -> [[F32x4; 2]; L] {
    let mut total = [[F32x4::splat(0.0); 2]; L];
    let (levels, zero) = (packing.levels(), i32::from(packing.zero));
    let x = x.as_chunks::<PAIRS>().0.as_chunks::<UNITS>().0;
    let groups = panel.weights.as_chunks::<UNITS>().0.iter().zip(x);
    for (g, (units, x)) in groups.enumerate() {
        let block = g * UNITS * PAIRS / 16;
        let x_sum: [i32; L] = std::array::from_fn(|l| sum_of(x_sums, g, UNITS * PAIRS / 8, l));
        let mut sum = x_sum.map(|x_sum| [I32x4::splat(-zero * x_sum); 2]);
        for (unit, x) in units.iter().zip(x) {
            unit.each(levels, |pair, w| {
                for l in 0..L {
                    let x = I16x8::splat_pair(x[pair][l]);
                    sum[l] = [sum[l][0].add(w[0].dot(x)), sum[l][1].add(w[1].dot(x))];
                }
            });
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
        Data::Nibbles(units) => widen_units(w, p, units, wide),
        Data::Levels(units) => widen_units(w, p, units, wide),
        Data::Fives(units) => widen_units(w, p, units, wide),
        Data::Sixes(units) => widen_units(w, p, units, wide),
        Data::Bytes(units) => widen_units(w, p, units, wide),
    }
}

fn widen_halves<C: Column>(columns: &[C], wide: &mut Vec<FloatColumn>) {
    wide.extend(columns.iter().map(|c| c.floats().map(F32x4::to_array)));
}

fn widen_units<U: Unit<PAIRS>, const PAIRS: usize>(w: &Matrix, p: usize, units: &[U], wide: &mut Vec<FloatColumn>) {
    let Some(packing) = Packing::of(w.dtype) else { return };
    let (mut scales, mut offsets, mut words) = (vec![], vec![], vec![]);
    widen_factors(w, p, &mut scales, &mut offsets);
    let count = w.columns / 2 / PAIRS;
    widen(packing, &units[p * count..][..count], &mut words);
    let pairs = w.dtype.group() / 2;
    for (g, words) in words.chunks_exact(pairs).enumerate() {
        let (scale, offset) = (&scales[g], offsets.get(g));
        for quants in words {
            for column in 0..2 {
                let value = |half: usize, row: usize| {
                    let quant = f32::from(quants[half][row * 2 + column]);
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
    /// Of one panel.
    words: Vec<WordPair>,
    floats: Vec<FloatColumn>,
    scales: Vec<FloatColumn>,
    offsets: Vec<FloatColumn>,
}

impl Scratch {
    pub fn bytes(&self) -> usize {
        self.rows.bytes()
            + size_of::<WordPair>() * self.words.capacity()
            + size_of::<FloatColumn>() * (self.floats.capacity() + self.scales.capacity() + self.offsets.capacity())
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
        Data::Nibbles(units) if w.dtype.group() == 16 => quantised::<_, 4, 2>(w, units, scratch, &mut sink),
        Data::Nibbles(units) => quantised::<_, 4, 4>(w, units, scratch, &mut sink),
        Data::Levels(units) => quantised::<_, 4, 4>(w, units, scratch, &mut sink),
        Data::Fives(units) => quantised::<_, 16, 1>(w, units, scratch, &mut sink),
        Data::Sixes(units) => quantised::<_, 8, 1>(w, units, scratch, &mut sink),
        Data::Bytes(units) => quantised::<_, 2, 8>(w, units, scratch, &mut sink),
    }
}

/// Half-float columns under the type that says which kind they are.
fn cast<A: Copy, B: Column>(v: &[A]) -> &[B] {
    const { assert!(size_of::<A>() == size_of::<B>() && align_of::<A>() == align_of::<B>()) };
    // SAFETY: B is a transparent wrapper of A: same size and alignment (checked above), and any bits are valid.
    unsafe { std::slice::from_raw_parts(v.as_ptr().cast(), v.len()) }
}

fn quantised<U: Unit<PAIRS>, const PAIRS: usize, const UNITS: usize>(
    w: &Matrix,
    units: &[U],
    scratch: &mut Scratch,
    sink: &mut Sink,
) {
    let Some(packing) = Packing::of(w.dtype) else { return };
    match (scratch.rows.tile, scratch.rows.is_few(w.columns)) {
        (1, _) => few::<U, PAIRS, UNITS, 1>(w, packing, units, scratch, sink),
        (2, _) => few::<U, PAIRS, UNITS, 2>(w, packing, units, scratch, sink),
        (3, _) => few::<U, PAIRS, UNITS, 3>(w, packing, units, scratch, sink),
        (_, true) => few::<U, PAIRS, UNITS, TILE>(w, packing, units, scratch, sink),
        _ => many(w, packing, units, scratch, sink),
    }
}

/// Scales and offsets of panel `p` in floats.
fn widen_factors(w: &Matrix, p: usize, scales: &mut Vec<FloatColumn>, offsets: &mut Vec<FloatColumn>) {
    let groups = w.columns / w.dtype.group();
    w.scales.widen(p * groups, groups, scales);
    w.offsets.widen(p * groups, groups, offsets);
}

/// Never inlined, so that the registers of one tile's loop are its own.
#[inline(never)]
fn few<U: Unit<PAIRS>, const PAIRS: usize, const UNITS: usize, const L: usize>(
    w: &Matrix,
    packing: Packing,
    units: &[U],
    scratch: &mut Scratch,
    sink: &mut Sink,
) {
    let Scratch { rows, scales, offsets, .. } = scratch;
    for (p, units) in units.chunks_exact(w.columns / 2 / PAIRS).enumerate() {
        widen_factors(w, p, scales, offsets);
        let panel = Panel { weights: units, scales, offsets };
        for (r, (quants, x_scales, sums)) in tiles::<L>(rows, w.columns).enumerate() {
            let out = few_rows::<U, PAIRS, UNITS, L>(&panel, packing, quants, x_scales, sums);
            for (l, out) in out.into_iter().enumerate() {
                sink.put(r * L + l, p, eight(out));
            }
        }
    }
}

fn many<U: Unit<PAIRS>, const PAIRS: usize>(
    w: &Matrix,
    packing: Packing,
    units: &[U],
    scratch: &mut Scratch,
    sink: &mut Sink,
) {
    let Scratch { rows, words, scales, offsets, .. } = scratch;
    for (p, units) in units.chunks_exact(w.columns / 2 / PAIRS).enumerate() {
        widen_factors(w, p, scales, offsets);
        widen(packing, units, words);
        let panel = Panel { weights: words, scales, offsets };
        for (r, (quants, x_scales, sums)) in tiles(rows, w.columns).enumerate() {
            let out = wide_tile(&panel, w.dtype.group() / 2, quants, x_scales, sums);
            for (l, out) in out.into_iter().enumerate() {
                sink.put(r * TILE + l, p, eight(out));
            }
        }
    }
}

/// Makes a panel's quants wide.
fn widen<U: Unit<PAIRS>, const PAIRS: usize>(packing: Packing, units: &[U], words: &mut Vec<WordPair>) {
    let (levels, zero) = (packing.levels(), I16x8::splat_pair([packing.zero; 2]));
    words.clear();
    words.resize(units.len() * PAIRS, Default::default());
    for (unit, words) in units.iter().zip(words.as_chunks_mut::<PAIRS>().0) {
        unit.each(levels, |pair, w| {
            for half in 0..2 {
                w[half].sub(zero).store(&mut words[pair][half]);
            }
        });
    }
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
    use crate::{blocks, rows::quantise};

    const COLUMNS: usize = 512;

    /// A matrix of 19 rows, and what its file says of them.
    fn weights(dtype: DType) -> (Matrix, Vec<Vec<u8>>) {
        let mut w = Matrix::new(19, COLUMNS, dtype).expect("whole blocks");
        let bytes = dtype.row_bytes(COLUMNS).expect("whole blocks");
        // Scales read out of these are finite: no float has all bits of its exponent.
        let row_of = |row: usize| (0..bytes).map(|i| ((i * 37 + row * 101) % 251) as u8 & 0xbb).collect();
        let rows: Vec<Vec<u8>> = (0..w.rows).map(row_of).collect();
        rows.iter().enumerate().for_each(|(row, bytes)| w.put_row(row, bytes).expect("finite scales"));
        (w, rows)
    }

    fn activations() -> Vec<f32> {
        (0..18 * COLUMNS).map(|i| (i as f32 * 0.37).sin() * (1.0 + (i / 32) as f32)).collect()
    }

    fn quantised_types() -> impl Iterator<Item = DType> {
        DType::WEIGHTS.into_iter().filter(|dtype| dtype.is_quantised())
    }

    /// Words may hold quants in any way: whole numbers leave nothing to round before the scales come.
    #[test]
    fn quantised_products_are_those_of_the_whole_numbers_in_the_blocks_to_the_bit() {
        let x = activations();
        for dtype in quantised_types() {
            let (w, rows) = weights(dtype);
            let quants = dtype.quants().expect("quantised");
            let (mut scratch, mut out) = (Scratch::default(), vec![0.0; w.rows]);
            scratch.rows.fill(&x[..COLUMNS], COLUMNS);
            linear(&w, None, &x[..COLUMNS], &mut out, &mut scratch);
            for (bytes, out) in rows.iter().zip(&out) {
                let mut total = 0f32;
                let add = |g: usize, group: &blocks::Group| {
                    let (x, x_scale) = quantise(x[g * 32..][..32].as_array().expect("32"));
                    for part in 0..32 / quants.group {
                        let range = part * quants.group..(part + 1) * quants.group;
                        let of = |i: usize| i32::from(group.quants[i] - quants.zero()) * i32::from(x[i]);
                        let sum: i32 = range.clone().map(of).sum();
                        total += sum as f32 * (group.scale.of(part) * x_scale);
                        if quants.offset {
                            let x_sum: i32 = x[range].iter().map(|q| i32::from(*q)).sum();
                            total += group.offset.of(part) * (x_scale * x_sum as f32);
                        }
                    }
                };
                blocks::read_row(dtype, bytes, add).expect("finite scales");
                assert_eq!(out.to_bits(), total.to_bits(), "{dtype}: {out}, not {total}");
            }
        }
    }

    /// However many rows go together, each comes out as it does alone, to the bit: guesses are confirmed by rows that came another way than the text did.
    #[test]
    fn rows_of_quantised_products_come_out_as_each_does_alone() {
        let x = activations();
        for dtype in quantised_types() {
            let (w, _) = weights(dtype);
            let product = |x: &[f32]| {
                let (mut scratch, mut out) = (Scratch::default(), vec![0.0; x.len() / COLUMNS * w.rows]);
                scratch.rows.fill(x, COLUMNS);
                linear(&w, None, x, &mut out, &mut scratch);
                out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let alone: Vec<u32> = x.chunks_exact(COLUMNS).flat_map(product).collect();
            assert!(alone.iter().any(|bits| *bits != alone[0]), "{dtype}");
            for rows in 2..=18 {
                assert_eq!(product(&x[..rows * COLUMNS]), alone[..rows * w.rows], "{rows} rows of {dtype}");
            }
        }
    }
}
