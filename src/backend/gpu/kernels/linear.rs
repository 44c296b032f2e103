//! Which kernel, in which variant and on what grid, makes a product.

use super::super::{
    features::Features,
    repack::{Form, Kind},
    wgsl::{Const, Kernel, Variant},
};
use super::unary;
use crate::{Result, backend::fusion::Gate, graph::Unary};

pub const MATVEC: Kernel = Kernel { name: "matvec", source: include_str!("matvec.wgsl") };
pub const MATMUL: Kernel = Kernel { name: "matmul", source: include_str!("matmul.wgsl") };
pub const SOFTWARE: Kernel = Kernel { name: "linear_software", source: include_str!("linear_software.wgsl") };
pub const EMBEDDING: Kernel = Kernel { name: "embedding", source: include_str!("embedding.wgsl") };
pub const GATE: Kernel = Kernel { name: "linear_gate", source: include_str!("linear_gate.wgsl") };

/// The numbers of one dispatch of any of these kernels.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shape {
    /// Rows of the weight in this part of it, and columns.
    pub rows: usize,
    pub cols: usize,
    /// Tokens (rows of y), of which this dispatch begins with `first_token`.
    pub t: usize,
    pub first_token: usize,
    /// Where this part's rows start among all of them, and how many there are in all.
    pub first_row: usize,
    pub all_rows: usize,
    /// Numbers a token has in y.
    pub y_cols: usize,
    pub eps: f32,
    /// Where row r of x begins, first + r · stride, counted in what x is loaded by.
    pub x: [usize; 2],
    /// First and stride; token t meets row t / the third.
    pub residual: [usize; 3],
    pub gain: [usize; 3],
    /// Of a convolution: channels of a pixel (counted in what x is loaded by), the sides of a picture in x, pixels of a picture in y and its
    /// width, the zeros above and on the left of a picture, and the window's dilation.
    pub picture: [usize; 8],
    /// Of [`Choice`].
    pub row_shift: u32,
}

impl Shape {
    const NAMES: [&str; 24] = [
        "ROWS",
        "COLS",
        "T",
        "FIRST_TOKEN",
        "FIRST_ROW",
        "ALL_ROWS",
        "Y_COLS",
        "X_FIRST",
        "X_STRIDE",
        "RESIDUAL_FIRST",
        "RESIDUAL_STRIDE",
        "RESIDUAL_ROWS",
        "GAIN_FIRST",
        "GAIN_STRIDE",
        "GAIN_ROWS",
        "CHANNELS",
        "IN_HEIGHT",
        "IN_WIDTH",
        "OUT_PIXELS",
        "OUT_WIDTH",
        "TOP",
        "LEFT",
        "DILATION",
        "ROW_SHIFT",
    ];

    /// The numbers under the names that the sources have for them.
    pub fn numbers(&self) -> Result<Vec<(&'static str, Const)>> {
        let head = [self.rows, self.cols, self.t, self.first_token, self.first_row, self.all_rows, self.y_cols];
        let sizes = head.into_iter().chain(self.x).chain(self.residual).chain(self.gain).chain(self.picture);
        let sizes = sizes.chain([self.row_shift as usize]);
        let named = Self::NAMES.into_iter().zip(sizes).map(|(name, size)| Ok((name, Const::size(size)?)));
        named.chain([Ok(("EPS", Const::F32(self.eps)))]).collect()
    }
}

/// A variant that takes such numbers, whatever they are.
fn shaped(variant: Variant) -> Variant {
    let names = Shape::NAMES.into_iter().map(|name| (name, Const::U32(0)));
    Variant { numbers: names.chain([("EPS", Const::F32(0.0))]).collect(), ..variant }
}

/// What the gate of a weight in several parts is made with.
pub fn gate_variant(gate: &Gate) -> Variant {
    gated(shaped(Variant::default()), gate)
}

fn gated(variant: Variant, gate: &Gate) -> Variant {
    unary::with(variant.flag("GATE_LAST", gate.last), gate.f)
}

/// What is fused with a product.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Extras {
    pub norm: bool,
    pub bias: bool,
    pub gain: bool,
    pub residual: bool,
    /// Several tokens meet one row of the residual.
    pub shared: bool,
    pub in_place: bool,
    pub gate: Option<Gate>,
    pub activation: Option<Unary>,
}

/// What the text of a convolution depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    pub channels: usize,
    pub kernel_width: usize,
    pub stride: usize,
    pub transposed: bool,
    /// How many times the picture is enlarged beforehand, each pixel a square.
    pub up: usize,
}

/// A product of `t` rows of x with a weight of `cols` columns that makes `outputs` numbers for each.
#[derive(Debug, Clone, Copy)]
pub struct Product {
    pub form: Form,
    pub cols: usize,
    pub t: usize,
    pub outputs: usize,
    pub extras: Extras,
    pub conv: Option<Conv>,
    /// Rows of x begin at fours of floats.
    pub fours: bool,
}

/// How many workgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grid {
    /// Counted along x, then y: as many as that makes, or a few more.
    Line(usize),
    /// So many along x; along y one for every `tokens` of them.
    Tokens { x: usize, tokens: usize },
}

/// A kernel, made ready but for the numbers of its bindings.
#[derive(Debug, Clone)]
pub struct Choice {
    pub kernel: &'static Kernel,
    pub variant: Variant,
    pub grid: Grid,
    /// Floats that one load of x brings: what places in x are counted in.
    pub load: usize,
    /// Products that one dispatch may make without holding up the device.
    pub most: u64,
    /// In software, with many tokens: the binary logarithm of how many invocations of a workgroup take different rows; the others take other
    /// tokens.
    pub row_shift: u32,
}

/// A dispatch ends well within what a driver's watchdog or a page's patience allows: a tenth of a second on a small GPU, under a
/// second on a processor.
const MOST_PRODUCTS: u64 = 1 << 34;
const MOST_PRODUCTS_IN_SOFTWARE: u64 = 1 << 28;

/// Invocations of `matvec.wgsl`: so many, or as many as one subgroup has for certain if these are not too few.
const MOST_THREADS: u32 = 64;
const FEWEST_ALONE: u32 = 32;

/// The flags and constants that tell `linear_weight.wgsl` how a weight lies.
pub fn weight_flags(form: Form) -> Variant {
    let mut variant = shaped(Variant::default());
    variant.flags.extend_from_slice(match form.kind {
        Kind::F32 => &["F32"],
        Kind::F16 => &["F16W", "HALF"],
        Kind::BF16 => &["BF16", "HALF"],
        Kind::Q4 => &["Q4", "QUANT"],
        Kind::Q8 => &["Q8", "QUANT"],
    });
    if form.is_quantised() {
        variant.constants.push(("BLOCK", Const::U32(form.block as u32)));
    }
    variant.flag("MIN", form.min).flag("WIDE", form.is_quantised() && form.wide)
}

/// The variant for `rows` rows that were placed.
pub fn placed(mut variant: Variant, rows: u32) -> Variant {
    variant.constants.push(("PLACED", Const::U32(rows)));
    variant.flag("PLACES", true)
}

/// For a kernel that goes along a row in steps of `step` columns.
fn flags(p: &Product, step: usize) -> Variant {
    let mut variant = weight_flags(p.form)
        .flag("ALIGNED", aligned(p))
        .flag("TAIL", !p.cols.is_multiple_of(step))
        .flag("NORM", p.extras.norm)
        .flag("BIAS", p.extras.bias)
        .flag("GAIN", p.extras.gain)
        .flag("RESIDUAL", p.extras.residual)
        .flag("SHARED", p.extras.shared)
        .flag("IN_PLACE", p.extras.in_place)
        .flag("GATED", p.extras.gate.is_some())
        .flag("ACTIVATION", p.extras.activation.is_some());
    if let Some(f) = p.extras.activation {
        variant = unary::with(variant, f);
    }
    if let Some(gate) = p.extras.gate {
        variant = gated(variant, &gate);
    }
    if let Some(conv) = p.conv {
        // Windows and strides are small; whoever makes the product has checked them.
        variant.constants.push(("KERNEL_WIDTH", Const::U32(conv.kernel_width as u32)));
        variant.constants.push(("STRIDE_BY", Const::U32(conv.stride as u32)));
        if conv.up > 1 {
            variant.constants.push(("UP_BY", Const::U32(conv.up as u32)));
        }
        variant = variant.flag("CONV", true).flag("TRANSPOSED", conv.transposed).flag("UP", conv.up > 1);
    }
    variant
}

/// Whether x is loaded in fours.
fn aligned(p: &Product) -> bool {
    p.fours && p.cols.is_multiple_of(4) && p.conv.is_none_or(|conv| conv.channels.is_multiple_of(4))
}

/// The kernel for a product.
pub fn choose(features: Features, p: &Product) -> Choice {
    let quad = if p.extras.gate.is_some() { 2 } else { 4 };
    if features.software {
        return software(features, p, quad);
    }
    let mut variant = flags(p, 16);
    let load = if aligned(p) { 4 } else { 1 };
    let (most, row_shift) = (MOST_PRODUCTS, 0);
    if p.t == 1 && p.conv.is_none() {
        // A workgroup that lies in one subgroup needs no barrier. Where smaller ones are possible, or none is known of, they meet at one.
        let smallest = if features.subgroups { features.subgroup_sizes.0 } else { 0 };
        let alone = smallest >= FEWEST_ALONE;
        variant.constants.push(("THREADS", Const::U32(if alone { smallest.min(MOST_THREADS) } else { MOST_THREADS })));
        let variant = variant.flag("SUBGROUPS", features.subgroups).flag("ALONE", alone);
        return Choice { kernel: &MATVEC, variant, grid: Grid::Line(p.outputs.div_ceil(quad)), load, most, row_shift };
    }
    let tokens = if p.t <= 16 { 16 } else { 64 };
    // A picture has few channels at its ends.
    let row_quads = if p.outputs <= 4 * quad && tokens == 64 { 4 } else { 16 };
    variant.constants.push(("TOKENS", Const::U32(tokens)));
    variant.constants.push(("ROW_QUADS", Const::U32(row_quads)));
    let grid = Grid::Tokens { x: p.outputs.div_ceil(row_quads as usize * quad), tokens: tokens as usize };
    Choice { kernel: &MATMUL, variant, grid, load, most, row_shift }
}

/// Invocations a workgroup of `linear_software.wgsl`: few, so that a small layer has enough of them for every core.
const LANES_A_GROUP: usize = 8;

/// A device made of software: no barriers, whole rows an invocation.
fn software(features: Features, p: &Product, quad: usize) -> Choice {
    let (cols, outputs) = (p.cols, p.outputs);
    let many = p.t > 1 || p.conv.is_some();
    // Rows share the loading of x; but there must be enough invocations.
    let eight_rows = outputs >= 128 * quad || (p.t >= 64 && outputs >= 16 * quad);
    let rows_each = quad * if eight_rows { 2 } else { 1 };
    // Where there are few rows, invocations of a workgroup take different tokens.
    let row_lanes =
        if many { outputs.div_ceil(rows_each).next_power_of_two().min(LANES_A_GROUP) } else { LANES_A_GROUP };
    let whole = p.conv.map_or(cols, |conv| conv.channels).is_multiple_of(32);
    let quartets = features.subgroups && features.subgroup_sizes == (4, 4) && whole && row_lanes.is_multiple_of(4);
    let mut variant = flags(p, 32)
        .flag("HALVES", p.form.block == 16)
        .flag("WHOLE", whole && (aligned(p) || quartets))
        .flag("QUARTETS", quartets)
        .flag("SUBGROUPS", quartets)
        .flag("QUADS2", eight_rows)
        .flag("TOKENS4", many);
    variant.constants.push(("LANES", Const::U32(LANES_A_GROUP as u32)));
    let grid = if many {
        Grid::Tokens { x: outputs.div_ceil(row_lanes * rows_each), tokens: LANES_A_GROUP / row_lanes * 4 }
    } else {
        Grid::Line(outputs.div_ceil(LANES_A_GROUP * rows_each))
    };
    let load = if aligned(p) && !quartets { 4 } else { 1 };
    Choice { kernel: &SOFTWARE, variant, grid, load, most: MOST_PRODUCTS_IN_SOFTWARE, row_shift: row_lanes.ilog2() }
}

/// Every variant that [`choose`] and embeddings may ask for on a device, at sizes that stand for all.
pub fn variants(features: Features) -> Vec<(&'static Kernel, Variant)> {
    use crate::graph::DType as D;
    let mut out = vec![];
    for dtype in [D::F32, D::F16, D::BF16, D::Q4_0, D::Q4_1, D::Q8_0, D::Q5_1, D::Q6_K, D::Q2_K] {
        let Some(form) = Form::of(dtype, features.software) else { continue };
        out.push((&EMBEDDING, weight_flags(form)));
        out.push((&EMBEDDING, weight_flags(form).flag("POSITIONS", true)));
        out.push((&EMBEDDING, placed(weight_flags(form).flag("POSITIONS", true), 5)));
        let widths: &[usize] = if form.is_quantised() { &[256] } else { &[256, 172, 48, 17] };
        let none = Extras::default();
        let fused = [
            none,
            Extras { norm: true, ..none },
            Extras { norm: true, bias: true, ..none },
            Extras { norm: true, gate: Some(Gate::SILU), ..none },
            Extras { bias: true, ..none },
            Extras { bias: true, gate: Some(Gate::SILU), ..none },
            Extras { bias: true, gate: Some(Gate { f: Unary::Gelu, last: true }), ..none },
            Extras { bias: true, residual: true, ..none },
            Extras { residual: true, ..none },
            Extras { in_place: true, ..none },
            Extras { gate: Some(Gate::SILU), ..none },
        ];
        let mut add = |p: Product| {
            let choice = choose(features, &p);
            out.push((choice.kernel, choice.variant));
        };
        for (&cols, extras) in widths.iter().flat_map(|cols| fused.map(|extras| (cols, extras))) {
            for (t, outputs) in [(1, 256), (16, 256), (128, 256), (1, 1024), (16, 1024)] {
                if t == 1 || !extras.norm {
                    add(Product { form, cols, t, outputs, extras, conv: None, fours: true });
                }
            }
        }
        // A window of 3 · 3 (or 4 · 4) pixels of so many channels; the ends of what a product does depend on no form.
        let plain = Conv { channels: 64, kernel_width: 3, stride: 1, transposed: false, up: 1 };
        let product = |conv: Conv, outputs, extras| Product {
            form,
            cols: conv.kernel_width * conv.kernel_width * conv.channels,
            t: 4096,
            outputs,
            extras,
            conv: Some(conv),
            fours: true,
        };
        add(product(plain, 64, Extras { bias: true, ..none }));
        if form.is_quantised() && form.kind == Kind::Q4 {
            continue;
        }
        add(product(Conv { up: 2, ..plain }, 3, Extras { bias: true, ..none }));
        add(product(Conv { channels: 4, kernel_width: 4, stride: 2, transposed: true, ..plain }, 64, none));
        if form.kind == Kind::F32 {
            add(product(Conv { channels: 3, ..plain }, 64, none));
            let gelu = Gate { f: Unary::GeluTanh, last: false };
            let ends = [
                Extras { gate: Some(gelu), ..none },
                Extras { gate: Some(Gate { f: Unary::Gelu, last: true }), ..none },
                Extras { bias: true, activation: Some(Unary::GeluTanh), ..none },
                Extras { bias: true, activation: Some(Unary::Silu), ..none },
                Extras { bias: true, gain: true, residual: true, ..none },
            ];
            for (t, extras) in [1, 16, 128].into_iter().flat_map(|t| ends.map(|extras| (t, extras))) {
                add(Product { form, cols: 256, t, outputs: 256, extras, conv: None, fours: true });
            }
            for f in unary::EVERY {
                let extras =
                    Extras { bias: true, residual: true, shared: true, gain: true, activation: Some(f), ..none };
                add(product(plain, 64, extras));
            }
        }
    }
    out.extend([Gate::SILU, Gate { f: Unary::Gelu, last: true }].map(|gate| (&GATE, gate_variant(&gate))));
    let mut known = std::collections::HashSet::new();
    out.retain(|(kernel, variant)| known.insert(variant.key(kernel)));
    out
}
