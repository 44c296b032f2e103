//! Which kernel, in which variant and on what grid, makes a product.

use super::super::{
    context::Features,
    repack::{Form, Kind},
    wgsl::{Const, Kernel, Variant},
};

pub const MATVEC: Kernel = Kernel { name: "matvec", source: include_str!("matvec.wgsl") };
pub const MATMUL: Kernel = Kernel { name: "matmul", source: include_str!("matmul.wgsl") };
pub const LANES: Kernel = Kernel { name: "lanes", source: include_str!("lanes.wgsl") };
pub const EMBEDDING: Kernel = Kernel { name: "embedding", source: include_str!("embedding.wgsl") };
pub const GATE: Kernel = Kernel { name: "linear_gate", source: include_str!("linear_gate.wgsl") };

/// The pieces that the kernels above include.
pub fn snippet(name: &str) -> Option<&'static str> {
    Some(match name {
        "linear_shape" => include_str!("linear_shape.wgsl"),
        "linear_weight" => include_str!("linear_weight.wgsl"),
        "linear_input" => include_str!("linear_input.wgsl"),
        "lanes_input" => include_str!("lanes_input.wgsl"),
        "linear_output" => include_str!("linear_output.wgsl"),
        _ => return None,
    })
}

/// What is fused with a product.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extras {
    pub norm: bool,
    pub bias: bool,
    pub residual: bool,
    pub in_place: bool,
    pub silu: bool,
}

/// How many workgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grid {
    /// Counted along x, then y: as many as that makes, or a few more.
    Line(usize),
    Plane(usize, usize),
}

/// A kernel, made ready but for the numbers of its bindings.
#[derive(Debug, Clone)]
pub struct Choice {
    pub kernel: &'static Kernel,
    pub variant: Variant,
    pub grid: Grid,
}

/// The flags and constants that tell `linear_weight.wgsl` how a weight lies.
pub fn weight_flags(form: Form) -> Variant {
    let mut variant = Variant::default();
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

fn flags(form: Form, cols: usize, extras: Extras) -> Variant {
    weight_flags(form)
        .flag("ALIGNED", cols.is_multiple_of(4))
        .flag("TAIL", !cols.is_multiple_of(16))
        .flag("NORM", extras.norm)
        .flag("BIAS", extras.bias)
        .flag("RESIDUAL", extras.residual)
        .flag("IN_PLACE", extras.in_place)
        .flag("SILU", extras.silu)
}

/// The kernel for `t` rows of x times a weight of `cols` columns that makes `outputs` numbers for each.
pub fn choose(features: Features, form: Form, cols: usize, t: usize, outputs: usize, extras: Extras) -> Choice {
    let mut variant = flags(form, cols, extras);
    let quad = if extras.silu { 2 } else { 4 };
    if features.software {
        return lanes(features, form, cols, t, outputs, quad, variant);
    }
    if t == 1 {
        // One subgroup a workgroup needs no barrier, where no subgroup is smaller.
        let subgroups = features.subgroups && features.subgroup_sizes.0 >= 32;
        variant.constants.push(("THREADS", Const::U32(if subgroups { 32 } else { 64 })));
        let variant = variant.flag("SUBGROUPS", subgroups);
        return Choice { kernel: &MATVEC, variant, grid: Grid::Line(outputs.div_ceil(quad)) };
    }
    let tokens = if t <= 16 { 16 } else { 64 };
    variant.constants.push(("TOKENS", Const::U32(tokens)));
    let grid = Grid::Plane(outputs.div_ceil(16 * quad), t.div_ceil(tokens as usize));
    Choice { kernel: &MATMUL, variant, grid }
}

/// Invocations a workgroup of `lanes.wgsl`: few, so that a small layer has enough of them for every core.
const LANES_A_GROUP: usize = 8;

/// A device made of software: no barriers, whole rows an invocation.
fn lanes(
    features: Features,
    form: Form,
    cols: usize,
    t: usize,
    outputs: usize,
    quad: usize,
    mut variant: Variant,
) -> Choice {
    let quartets = features.subgroups && features.subgroup_sizes == (4, 4) && cols.is_multiple_of(32);
    // Rows share the loading of x; but there must be enough invocations.
    let eight_rows = outputs >= 128 * quad;
    variant.constants.push(("LANES", Const::U32(LANES_A_GROUP as u32)));
    let variant = variant
        .flag("HALVES", form.block == 16)
        .flag("WHOLE", cols.is_multiple_of(32))
        // A step is 32 columns here, so a row of an odd number of sixteens ends inside one.
        .flag("TAIL", cols.is_multiple_of(16) && !cols.is_multiple_of(32))
        .flag("QUARTETS", quartets)
        .flag("SUBGROUPS", quartets)
        .flag("QUADS2", eight_rows)
        .flag("TOKENS4", t > 1);
    let groups = outputs.div_ceil(LANES_A_GROUP * quad * if eight_rows { 2 } else { 1 });
    let grid = if t > 1 { Grid::Plane(groups, t.div_ceil(4)) } else { Grid::Line(groups) };
    Choice { kernel: &LANES, variant, grid }
}

/// Every variant that [`choose`] and embeddings may ask for on a device.
pub fn variants(features: Features) -> Vec<(&'static Kernel, Variant)> {
    use crate::graph::DType as D;
    let mut out = vec![];
    for dtype in [D::F32, D::F16, D::BF16, D::Q4_0, D::Q4_1, D::Q8_0, D::Q5_1, D::Q6_K] {
        let Some(form) = Form::of(dtype, features.software) else { continue };
        out.push((&EMBEDDING, weight_flags(form)));
        let widths: &[usize] = if form.is_quantised() { &[256] } else { &[256, 172, 48, 17] };
        let none = Extras::default();
        let fused = [
            none,
            Extras { norm: true, ..none },
            Extras { norm: true, bias: true, ..none },
            Extras { norm: true, silu: true, ..none },
            Extras { bias: true, ..none },
            Extras { bias: true, silu: true, ..none },
            Extras { bias: true, residual: true, ..none },
            Extras { residual: true, ..none },
            Extras { in_place: true, ..none },
            Extras { silu: true, ..none },
        ];
        for (&cols, extras) in widths.iter().flat_map(|cols| fused.map(|extras| (cols, extras))) {
            for (t, outputs) in [(1, 256), (16, 256), (128, 256), (1, 1024), (16, 1024)] {
                if t > 1 && extras.norm {
                    continue;
                }
                let choice = choose(features, form, cols, t, outputs, extras);
                out.push((choice.kernel, choice.variant));
            }
        }
    }
    out.push((&GATE, Variant::default()));
    let mut known = std::collections::HashSet::new();
    out.retain(|(kernel, variant)| known.insert(variant.key(kernel)));
    out
}
