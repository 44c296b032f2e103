//! Linear layers and embeddings: weights in their GPU form, and the dispatches that use them.
//!
//! A [`PackedWeight`] takes rows as a file encodes them and holds them repacked (`repack.rs`), in several buffers where one
//! binding could not show it whole. [`linear`] and [`embedding`] return dispatches that may be replayed; whatever does
//! not change from step to step (shapes, where a part's rows go) lies in a small uniform buffer of each.

use super::{
    buffer::{Buffer, View},
    context::{Context, Dispatch, Features},
    kernels::linear as kernels,
    repack::{self, Form},
    wgsl::{Kernel, Variant},
};
use crate::{Error, Result, graph::DType};

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

/// What happens to a product on its way out.
#[derive(Debug, Clone, Copy, Default)]
pub enum Epilogue<'a> {
    #[default]
    None,
    /// `y = W·x + r`, r of y's shape. It may be y itself (the same view); else the two must not overlap.
    AddResidual(&'a View),
    /// The weight's rows are n of a gate, then n of what it gates: `y[t, n] = silu(gate) · up`.
    SiluMul,
}

/// A linear layer's surroundings.
#[derive(Debug, Clone, Copy)]
pub struct LinearSpec<'a> {
    /// Rows of x.
    pub t: usize,
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
        Self { t, norm: None, bias: None, epilogue: Epilogue::None, place }
    }
}

/// Numbers in the uniform buffer, in the order of `linear_shape.wgsl`.
fn shape(ctx: &Context, numbers: [usize; 6], eps: f32) -> Result<Buffer> {
    let mut words = [0u32; 8];
    for (word, number) in words.iter_mut().zip(numbers) {
        *word =
            u32::try_from(number).map_err(|_| Error::invalid_graph("a size is more than a GPU kernel can count"))?;
    }
    words[6] = eps.to_bits();
    let buffer = ctx.buffer("linear shape", 32, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST)?;
    ctx.queue().write_buffer(buffer.raw(), 0, bytemuck::cast_slice(&words));
    Ok(buffer)
}

/// What the kernels bind, by the numbers in their sources.
mod at {
    pub const QUANTS: u32 = 0;
    pub const SCALES: u32 = 1;
    pub const SHAPE: u32 = 2;
    pub const X: u32 = 3;
    pub const IDS: u32 = 3;
    pub const Y: u32 = 4;
    pub const NORM: u32 = 5;
    pub const BIAS: u32 = 6;
    pub const RESIDUAL: u32 = 7;
}

impl Part {
    fn bindings(&self, shape: &Buffer) -> Vec<(u32, View)> {
        let mut bindings = vec![(at::QUANTS, self.quants.view()), (at::SHAPE, shape.view())];
        bindings.extend(self.scales.as_ref().map(|scales| (at::SCALES, scales.view())));
        bindings
    }
}

fn dispatch(
    ctx: &Context,
    kernel: &Kernel,
    variant: &Variant,
    bindings: &[(u32, View)],
    grid: [u32; 3],
    place: &str,
) -> Result<Dispatch> {
    let views: Vec<(u32, &View)> = bindings.iter().map(|(at, view)| (*at, view)).collect();
    ctx.dispatch(kernel, variant, &views, grid, place)
}

/// `groups` workgroups as a grid within the device's limit; kernels count along x, then y.
fn grid(ctx: &Context, groups: usize) -> [u32; 3] {
    let most = ctx.limits().max_compute_workgroups_per_dimension as usize;
    let y = groups.div_ceil(most).max(1);
    [groups.div_ceil(y) as u32, y as u32, 1]
}

fn must_hold(view: &View, words: Option<usize>, what: &str, place: &str) -> Result<()> {
    match words.and_then(|n| n.checked_mul(4)) {
        Some(bytes) if bytes as u64 <= view.bytes => Ok(()),
        _ => Err(Error::internal(format!("linear at {place}: {what} is {} bytes, too few for its shape", view.bytes))),
    }
}

/// `y[t, rows] = x[t, cols] · Wᵀ` and what the spec adds to it: a matrix times a vector where `t` is 1, else a matrix.
pub fn linear(ctx: &Context, w: &PackedWeight, x: &View, y: &View, spec: LinearSpec) -> Result<Vec<Dispatch>> {
    let LinearSpec { t, norm, bias, epilogue, place } = spec;
    let gated = matches!(epilogue, Epilogue::SiluMul);
    if t == 0 || (norm.is_some() && t != 1) || (gated && !w.rows.is_multiple_of(2)) {
        return Err(Error::internal(format!("linear at {place}: {} rows, {t} tokens: no kernel does this", w.rows)));
    }
    let y_cols = if gated { w.rows / 2 } else { w.rows };
    must_hold(x, t.checked_mul(w.cols), "x", place)?;
    must_hold(y, t.checked_mul(y_cols), "y", place)?;
    if gated && w.parts.len() > 1 {
        return gated_in_parts(ctx, w, x, y, spec);
    }
    let mut dispatches = vec![];
    for part in &w.parts {
        let shape =
            shape(ctx, [part.rows, w.cols, t, part.first_row, w.rows, y_cols], norm.map_or(0.0, |(_, eps)| eps))?;
        let mut bindings = part.bindings(&shape);
        bindings.push((at::X, x.clone()));
        bindings.push((at::Y, y.clone()));
        let mut extras = kernels::Extras { silu: gated, ..Default::default() };
        if let Some((weight, _)) = norm {
            must_hold(weight, Some(w.cols), "the norm's weight", place)?;
            bindings.push((at::NORM, weight.clone()));
            extras.norm = true;
        }
        if let Some(bias) = bias {
            must_hold(bias, Some(w.rows), "the bias", place)?;
            bindings.push((at::BIAS, bias.clone()));
            extras.bias = true;
        }
        if let Epilogue::AddResidual(residual) = epilogue {
            must_hold(residual, t.checked_mul(y_cols), "the residual", place)?;
            if residual.buffer.raw() == y.buffer.raw() && residual.offset == y.offset {
                extras.in_place = true;
            } else {
                bindings.push((at::RESIDUAL, residual.clone()));
                extras.residual = true;
            }
        }
        let outputs = if gated { part.rows / 2 } else { part.rows };
        let plan = kernels::choose(ctx.features(), w.form, w.cols, t, outputs, extras);
        let grid = match plan.grid {
            kernels::Grid::Line(groups) => grid(ctx, groups),
            kernels::Grid::Plane(x, y) => [x as u32, y as u32, 1],
        };
        dispatches.push(dispatch(ctx, plan.kernel, &plan.variant, &bindings, grid, place)?);
    }
    Ok(dispatches)
}

/// A gated layer whose gate and up rows lie in different buffers: the product first, then the gate.
fn gated_in_parts(ctx: &Context, w: &PackedWeight, x: &View, y: &View, spec: LinearSpec) -> Result<Vec<Dispatch>> {
    let n = w.rows / 2;
    let both = ctx.storage("gate and up", (spec.t * w.rows * 4) as u64)?.view();
    let mut dispatches = linear(ctx, w, x, &both, LinearSpec { epilogue: Epilogue::None, ..spec })?;
    let shape = shape(ctx, [w.rows, w.cols, spec.t, 0, w.rows, n], 0.0)?;
    let bindings = vec![(at::SHAPE, shape.view()), (at::X, both), (at::Y, y.clone())];
    let grid = [n.div_ceil(64) as u32, spec.t as u32, 1];
    dispatches.push(dispatch(ctx, &kernels::GATE, &Variant::default(), &bindings, grid, spec.place)?);
    Ok(dispatches)
}

/// Rows of a table: ids `[t]` U32 → y `[t, cols]`. An id past the table reads row 0.
pub fn embedding(
    ctx: &Context,
    table: &PackedWeight,
    ids: &View,
    y: &View,
    t: usize,
    place: &str,
) -> Result<Vec<Dispatch>> {
    must_hold(ids, Some(t), "ids", place)?;
    must_hold(y, t.checked_mul(table.cols), "y", place)?;
    let mut dispatches = vec![];
    for part in &table.parts {
        let shape = shape(ctx, [part.rows, table.cols, t, part.first_row, table.rows, table.cols], 0.0)?;
        let mut bindings = part.bindings(&shape);
        bindings.push((at::IDS, ids.clone()));
        bindings.push((at::Y, y.clone()));
        let grid = [table.cols.div_ceil(256) as u32, t as u32, 1];
        dispatches.push(dispatch(
            ctx,
            &kernels::EMBEDDING,
            &kernels::weight_flags(table.form),
            &bindings,
            grid,
            place,
        )?);
    }
    Ok(dispatches)
}

/// Every variant of the kernels of this module that [`linear`] and [`embedding`] may choose on a device.
pub fn variants(features: Features) -> Vec<(&'static Kernel, Variant)> {
    kernels::variants(features)
}
