//! Linear layers, convolutions and embeddings: weights in their GPU form, and the dispatches that use them.
//!
//! A [`PackedWeight`] takes rows as a file encodes them and holds them repacked (`repack.rs`), in several buffers where one
//! binding could not show it whole. [`linear`] and [`embedding`] return dispatches that may be replayed; whatever does
//! not change from step to step (shapes, where a part's rows go) are numbers of each dispatch. A convolution is a linear
//! layer whose rows of x are gathered from a picture; a large one becomes several dispatches, none of which runs for long.

use super::{
    buffer::{Buffer, View},
    context::{Context, Dispatch},
    kernels::linear::{self as kernels, Shape},
    program::{Gather, STAND},
    repack::{self, Form},
    wgsl::{Kernel, Variant},
};
use crate::{
    Error, Result,
    backend::fusion::Gate,
    graph::{DType, Unary},
};

/// A matrix `[rows, cols]` on the GPU.
#[derive(Debug, Clone)]
pub struct PackedWeight {
    pub dtype: DType,
    pub rows: usize,
    pub cols: usize,
    label: String,
    form: Form,
    parts: Vec<Part>,
}

/// Some rows of a weight.
#[derive(Debug, Clone)]
struct Part {
    first_row: usize,
    rows: usize,
    quants: Buffer,
    scales: Option<Buffer>,
}

impl PackedWeight {
    /// Makes room for a weight. `label` is its name in the file.
    pub fn new(ctx: &Context, label: &str, dtype: DType, rows: usize, cols: usize) -> Result<Self> {
        Self::in_parts_of(ctx, label, dtype, rows, cols, ctx.max_binding())
    }

    /// The same, with no buffer larger than `most` bytes.
    pub fn in_parts_of(ctx: &Context, label: &str, dtype: DType, rows: usize, cols: usize, most: u64) -> Result<Self> {
        let unfit = |why: &str| Error::invalid_graph(format!("weight {label}: [{rows}, {cols}] {dtype}: {why}"));
        let form = Form::of(dtype, ctx.features().software)
            .ok_or_else(|| unfit("token ids are not a linear layer's weight"))?;
        if rows == 0 || cols == 0 || dtype.row_bytes(cols).is_none() {
            return Err(unfit("rows must be whole blocks, and at least one"));
        }
        if u32::try_from(rows).is_err() || u32::try_from(cols).is_err() {
            return Err(unfit("more than a GPU kernel can count"));
        }
        let row_bytes = form.quant_words(cols).and_then(|n| n.checked_mul(4)).ok_or_else(|| unfit("too wide"))? as u64;
        let scale_bytes = form.scale_words(cols) as u64 * 4;
        let part_rows = usize::try_from(most / row_bytes).unwrap_or(usize::MAX);
        if part_rows == 0 {
            return Err(unfit("one row is more than the device can bind; use the CPU"));
        }
        let mut parts = vec![];
        for first_row in (0..rows).step_by(part_rows) {
            let rows = part_rows.min(rows - first_row);
            let quants = ctx.storage(label, rows as u64 * row_bytes)?;
            let scales = match scale_bytes {
                0 => None,
                n => Some(ctx.storage(&format!("{label} scales"), rows as u64 * n)?),
            };
            parts.push(Part { first_row, rows, quants, scales });
        }
        Ok(Self { dtype, rows, cols, label: label.into(), form, parts })
    }

    /// Writes whole rows in the file's encoding from `first_row` on. A NaN or infinite scale is a corrupt file.
    pub fn put(&self, ctx: &Context, first_row: usize, bytes: &[u8]) -> Result<()> {
        let unfit = |why: String| Error::internal(format!("weight {}: {why}", self.label));
        let row_bytes = self.dtype.row_bytes(self.cols).filter(|n| *n > 0).ok_or_else(|| unfit("no rows".into()))?;
        let rows = bytes.len() / row_bytes;
        if !bytes.len().is_multiple_of(row_bytes) || first_row.checked_add(rows).is_none_or(|end| end > self.rows) {
            return Err(unfit(format!(
                "{} bytes from row {first_row} are no rows of {row_bytes} bytes, of which there are {}",
                bytes.len(),
                self.rows
            )));
        }
        for part in &self.parts {
            let from = first_row.max(part.first_row);
            let to = (first_row + rows).min(part.first_row + part.rows);
            if from >= to {
                continue;
            }
            let piece = &bytes[(from - first_row) * row_bytes..(to - first_row) * row_bytes];
            let packed = repack::pack(self.dtype, self.form, self.cols, piece).map_err(|bad| {
                Error::corrupt_file(format!(
                    "weight {}: row {} has a scale that is no usable number; the file is damaged, fetch it again",
                    self.label,
                    from + bad.row
                ))
            })?;
            let at = |words: &[u32]| ((from - part.first_row) * (words.len() / (to - from)) * 4) as u64;
            ctx.queue().write_buffer(part.quants.raw(), at(&packed.quants), bytemuck::cast_slice(&packed.quants));
            if let Some(scales) = &part.scales {
                ctx.queue().write_buffer(scales.raw(), at(&packed.scales), bytemuck::cast_slice(&packed.scales));
            }
        }
        Ok(())
    }

    /// Bytes on the GPU.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|p| p.quants.bytes() + p.scales.as_ref().map_or(0, Buffer::bytes)).sum()
    }
}

/// A value that meets a product, number by number.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    pub view: &'a View,
    /// Where a row of it begins: `first + row · stride` floats.
    pub first: usize,
    pub stride: usize,
    /// Rows of the product that meet one row of it.
    pub rows: usize,
}

/// What happens to a product on its way out: `y = f((W·x + b) · gain + residual)`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// The weight's rows are n of a gate and n of what it gates: `y[t, n] = f(gate) · other`. Not with an activation.
    pub gate: Option<Gate>,
    pub gain: Option<Side<'a>>,
    /// It may be y itself (the same view); else the two must not overlap.
    pub residual: Option<Side<'a>>,
    pub activation: Option<Unary>,
}

impl<'a> Epilogue<'a> {
    /// `y = W·x + r`, r of y's shape `[t, cols]`.
    pub fn add(view: &'a View, cols: usize) -> Self {
        Self { residual: Some(Side { view, first: 0, stride: cols, rows: 1 }), ..Self::default() }
    }

    /// `y = silu(gate) · up`
    pub fn gated() -> Self {
        Self { gate: Some(Gate::SILU), ..Self::default() }
    }
}

/// A linear layer's surroundings.
#[derive(Debug, Clone, Copy)]
pub struct LinearSpec<'a> {
    /// Rows of y; those of x too where nothing is gathered.
    pub t: usize,
    /// Where a row of x begins: `first + row · stride` floats; a stride of 0 stands for the weight's columns.
    pub x_first: usize,
    pub x_stride: usize,
    pub gather: Option<Gather>,
    /// An RMSNorm over x before the product: its weight `[cols]` and its epsilon. Only with `t == 1`.
    pub norm: Option<(&'a View, f32)>,
    /// `[rows]`
    pub bias: Option<&'a View>,
    pub epilogue: Epilogue<'a>,
    /// Where in the model, for labels.
    pub place: &'a str,
}

impl<'a> LinearSpec<'a> {
    /// A bare product of `t` rows.
    pub fn rows(t: usize, place: &'a str) -> Self {
        let epilogue = Epilogue::default();
        Self { t, x_first: 0, x_stride: 0, gather: None, norm: None, bias: None, epilogue, place }
    }
}

/// What the kernels bind, by the numbers in their sources.
mod at {
    pub const QUANTS: u32 = 0;
    pub const SCALES: u32 = 1;
    pub const X: u32 = 3;
    pub const IDS: u32 = 3;
    pub const Y: u32 = 4;
    pub const NORM: u32 = 5;
    pub const BIAS: u32 = 6;
    pub const RESIDUAL: u32 = 7;
    pub const GAIN: u32 = 8;
}

impl Part {
    fn bindings(&self) -> Vec<(u32, View)> {
        let mut bindings = vec![(at::QUANTS, self.quants.view())];
        bindings.extend(self.scales.as_ref().map(|scales| (at::SCALES, scales.view())));
        bindings
    }
}

fn dispatch(
    ctx: &Context,
    kernel: &Kernel,
    variant: &Variant,
    shape: &Shape,
    bindings: &[(u32, View)],
    grid: [u32; 3],
    place: &str,
) -> Result<Dispatch> {
    let views: Vec<(u32, &View)> = bindings.iter().map(|(at, view)| (*at, view)).collect();
    let variant = Variant { numbers: shape.numbers()?, ..variant.clone() };
    ctx.dispatch(kernel, &variant, &views, grid, place)
}

fn must_hold(view: &View, words: Option<usize>, what: &str, place: &str) -> Result<()> {
    match words.and_then(|n| n.checked_mul(4)) {
        Some(bytes) if bytes as u64 <= view.bytes => Ok(()),
        _ => Err(Error::internal(format!("linear at {place}: {what} is {} bytes, too few for its shape", view.bytes))),
    }
}

/// `y[t, rows] = x[t, cols] · Wᵀ` and what the spec adds to it: a matrix times a vector where `t` is 1, else a matrix; a convolution where
/// the spec gathers.
pub fn linear(ctx: &Context, w: &PackedWeight, x: &View, y: &View, spec: LinearSpec) -> Result<Vec<Dispatch>> {
    let LinearSpec { t, norm, bias, epilogue, place, .. } = spec;
    let gated = epilogue.gate.is_some();
    let ungatable = !w.rows.is_multiple_of(2) || epilogue.activation.is_some();
    if t == 0 || (norm.is_some() && t != 1) || (gated && ungatable) {
        return Err(Error::internal(format!("linear at {place}: {} rows, {t} tokens: no kernel does this", w.rows)));
    }
    let conv = match &spec.gather {
        Some(gather) => Some(conv(gather, w, t, place)?),
        None => None,
    };
    let x_cols = conv.map_or(w.cols, |conv| conv.channels);
    let x_stride = if spec.x_stride == 0 { x_cols } else { spec.x_stride };
    let y_cols = if gated { w.rows / 2 } else { w.rows };
    let x_rows = spec.gather.map_or(t, |gather| gather.input.rows());
    must_hold(x, reach(spec.x_first, x_stride, x_rows, x_cols), "x", place)?;
    must_hold(y, t.checked_mul(y_cols), "y", place)?;
    if let (Some(gate), true) = (epilogue.gate, w.parts.len() > 1) {
        return gated_in_parts(ctx, w, x, y, &gate, spec);
    }
    let mut common = vec![(at::X, x.clone()), (at::Y, y.clone())];
    let mut extras = kernels::Extras { gate: epilogue.gate, activation: epilogue.activation, ..Default::default() };
    let mut shape = Shape { cols: w.cols, t, all_rows: w.rows, y_cols, ..Default::default() };
    if let Some((weight, eps)) = norm {
        must_hold(weight, Some(w.cols), "the norm's weight", place)?;
        common.push((at::NORM, weight.clone()));
        extras.norm = true;
        shape.eps = eps;
    }
    if let Some(bias) = bias {
        must_hold(bias, Some(w.rows), "the bias", place)?;
        common.push((at::BIAS, bias.clone()));
        extras.bias = true;
    }
    if let Some(gain) = epilogue.gain {
        must_hold(gain.view, reach(gain.first, gain.stride, t.div_ceil(gain.rows.max(1)), y_cols), "the gain", place)?;
        common.push((at::GAIN, gain.view.clone()));
        extras.gain = true;
        shape.gain = [gain.first, gain.stride, gain.rows.max(1)];
    }
    if let Some(side) = epilogue.residual {
        let rows = t.div_ceil(side.rows.max(1));
        must_hold(side.view, reach(side.first, side.stride, rows, y_cols), "the residual", place)?;
        if side.view.buffer.raw() == y.buffer.raw() && side.view.offset == y.offset {
            extras.in_place = true;
        } else {
            common.push((at::RESIDUAL, side.view.clone()));
            extras.residual = true;
            extras.shared = side.rows > 1;
            shape.residual = [side.first, side.stride, side.rows.max(1)];
        }
    }
    let mut dispatches = vec![];
    for part in &w.parts {
        let outputs = if gated { part.rows / 2 } else { part.rows };
        let fours = spec.x_first.is_multiple_of(4) && x_stride.is_multiple_of(4);
        let product = kernels::Product { form: w.form, cols: w.cols, t, outputs, extras, conv, fours };
        let choice = kernels::choose(ctx.features(), &product);
        shape.rows = part.rows;
        shape.first_row = part.first_row;
        shape.row_shift = choice.row_shift;
        shape.x = [spec.x_first / choice.load, x_stride / choice.load];
        if let (Some(gather), Some(conv)) = (&spec.gather, &conv) {
            shape.picture = picture(gather, conv.channels / choice.load, place)?;
        }
        for (first_token, grid) in grids(ctx, &choice, part.rows as u64 * w.cols as u64, t) {
            let shape = Shape { first_token, ..shape };
            let mut bindings = part.bindings();
            bindings.extend(common.iter().cloned());
            dispatches.push(dispatch(ctx, choice.kernel, &choice.variant, &shape, &bindings, grid, place)?);
        }
    }
    Ok(dispatches)
}

/// Words that `rows` rows of `cols` reach to.
fn reach(first: usize, stride: usize, rows: usize, cols: usize) -> Option<usize> {
    stride.checked_mul(rows.checked_sub(1)?)?.checked_add(first)?.checked_add(cols)
}

/// First token and grid of each dispatch of a product of `each` multiplications a token.
fn grids(ctx: &Context, choice: &kernels::Choice, each: u64, t: usize) -> Vec<(usize, [u32; 3])> {
    let (x, tokens) = match choice.grid {
        kernels::Grid::Line(groups) => return vec![(0, ctx.line(groups))],
        kernels::Grid::Tokens { x, tokens } => (x, tokens),
    };
    let most = ctx.limits().max_compute_workgroups_per_dimension as u64;
    let groups = (choice.most / (each * tokens as u64).max(1)).clamp(1, most) as usize;
    (0..t)
        .step_by(groups * tokens)
        .map(|first| {
            let groups = (t - first).div_ceil(tokens).min(groups);
            (first, [x as u32, groups as u32, 1])
        })
        .collect()
}

/// What a convolution's kernel is made for, where the weight and the number of rows fit it.
fn conv(gather: &Gather, w: &PackedWeight, t: usize, place: &str) -> Result<kernels::Conv> {
    let Gather { window, up, transposed, .. } = *gather;
    let unfit = || Error::internal(format!("conv2d at {place}: {t} rows and {} columns do not fit {gather:?}", w.cols));
    let small = |n: usize| n > 0 && n <= 1 << 15;
    let output = gather.output().ok_or_else(unfit)?;
    let fits = output.rows() == t && w.cols.is_multiple_of(window.area()) && (!transposed || up == 1);
    if !fits || ![window.height, window.width, window.stride, window.dilation, up].into_iter().all(small) {
        return Err(unfit());
    }
    let channels = w.cols / window.area();
    Ok(kernels::Conv { channels, kernel_width: window.width, stride: window.stride, transposed, up })
}

/// The last numbers of a [`Shape`].
fn picture(gather: &Gather, channels: usize, place: &str) -> Result<[usize; 8]> {
    let [top, _, left, _] = gather.window.padding;
    let input = gather.input;
    let output = gather.output().ok_or_else(|| Error::internal(format!("conv2d at {place}: no output")))?;
    let dilation = gather.window.dilation;
    Ok([channels, input.height, input.width, output.height * output.width, output.width, top, left, dilation])
}

/// A gated layer whose rows lie in different buffers: the product first, then the gate.
fn gated_in_parts(
    ctx: &Context,
    w: &PackedWeight,
    x: &View,
    y: &View,
    gate: &Gate,
    spec: LinearSpec,
) -> Result<Vec<Dispatch>> {
    let n = w.rows / 2;
    let both = ctx.storage("gate and up", (spec.t * w.rows * 4) as u64)?.view();
    let mut dispatches = linear(ctx, w, x, &both, LinearSpec { epilogue: Epilogue::default(), ..spec })?;
    let shape = Shape { rows: w.rows, cols: w.cols, t: spec.t, all_rows: w.rows, y_cols: n, ..Default::default() };
    let bindings = vec![(at::X, both), (at::Y, y.clone())];
    let grid = [n.div_ceil(64) as u32, spec.t as u32, 1];
    dispatches.push(dispatch(ctx, &kernels::GATE, &kernels::gate_variant(gate), &shape, &bindings, grid, spec.place)?);
    Ok(dispatches)
}

/// Which rows of a table are read.
#[derive(Debug, Clone, Copy)]
pub enum Lookup<'a> {
    /// Those that the ids `[t]` U32 name.
    Ids(&'a View),
    /// Those of the positions where rows stand (from the step's on, or where they were placed), each added to a row of x `[t, cols]`.
    Positions { x: &'a View, stand: &'a View, placed: bool },
}

/// Rows of a table → y `[t, cols]`. A row past the table is row 0.
pub fn embedding(
    ctx: &Context,
    table: &PackedWeight,
    lookup: Lookup,
    y: &View,
    t: usize,
    place: &str,
) -> Result<Vec<Dispatch>> {
    let (bound, by_position) = match lookup {
        Lookup::Ids(ids) => {
            must_hold(ids, Some(t), "ids", place)?;
            (vec![(at::IDS, ids)], None)
        }
        Lookup::Positions { x, stand, placed } => {
            must_hold(x, t.checked_mul(table.cols), "x", place)?;
            (vec![(at::X, x), (STAND, stand)], Some(placed))
        }
    };
    must_hold(y, t.checked_mul(table.cols), "y", place)?;
    let mut dispatches = vec![];
    for part in &table.parts {
        let shape = Shape {
            rows: part.rows,
            cols: table.cols,
            t,
            first_row: part.first_row,
            all_rows: table.rows,
            y_cols: table.cols,
            ..Default::default()
        };
        let mut bindings = part.bindings();
        bindings.extend(bound.iter().map(|(at, view)| (*at, (*view).clone())));
        bindings.push((at::Y, y.clone()));
        let grid = [table.cols.div_ceil(256) as u32, t as u32, 1];
        let mut variant = kernels::weight_flags(table.form).flag("POSITIONS", by_position.is_some());
        if by_position == Some(true) {
            variant = kernels::placed(variant, t as u32);
        }
        dispatches.push(dispatch(ctx, &kernels::EMBEDDING, &variant, &shape, &bindings, grid, place)?);
    }
    Ok(dispatches)
}
