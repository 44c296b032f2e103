//! Functions of one or two values, element by element, and copies of rows.

use crate::{
    Result,
    backend::gpu::{
        buffer::View,
        context::{Context, Dispatch},
        fuse::Function,
        wgsl::{Const, Kernel, Variant},
    },
};

pub const KERNEL: Kernel = Kernel { name: "elementwise", source: include_str!("elementwise.wgsl") };

const THREADS: u32 = 64;
/// Enough to fill any GPU; beyond it a thread takes several elements.
const MOST_GROUPS: usize = 4096;

/// `[rows, cols]` out of wider rows: row `r` begins at `first + r · stride`.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub first: usize,
    pub stride: usize,
}

pub fn variant(
    function: Function,
    rows: usize,
    cols: usize,
    a: Window,
    b: Option<Window>,
    select: bool,
) -> Result<Variant> {
    let name = match function {
        Function::Copy => "COPY",
        Function::Silu => "SILU",
        Function::GeluTanh => "GELU_TANH",
        Function::Add => "ADD",
        Function::Mul => "MUL",
        Function::SiluMul => "SILU_MUL",
    };
    let mut constants = vec![
        ("THREADS", Const::U32(THREADS)),
        ("ROWS", Const::size(rows)?),
        ("COLS", Const::size(cols)?),
        ("A_FIRST", Const::size(a.first)?),
        ("A_STRIDE", Const::size(a.stride)?),
    ];
    if let Some(b) = b {
        constants.extend([("B_FIRST", Const::size(b.first)?), ("B_STRIDE", Const::size(b.stride)?)]);
    }
    Ok(Variant::new(&constants).flag(name, true).flag("BINARY", b.is_some()).flag("SELECT", select))
}

/// `f(a)` or `f(a, b)` → `y` `[rows, cols]`. With `step`, row `step.row` of `a` alone.
#[allow(clippy::too_many_arguments)]
pub fn elementwise(
    ctx: &Context,
    function: Function,
    (rows, cols): (usize, usize),
    a: (&View, Window),
    b: Option<(&View, Window)>,
    step: Option<&View>,
    y: &View,
    place: &str,
) -> Result<Dispatch> {
    let variant = variant(function, rows, cols, a.1, b.map(|b| b.1), step.is_some())?;
    let mut views = vec![];
    views.extend(step.map(|step| (0, step)));
    views.push((1, a.0));
    views.extend(b.map(|b| (2, b.0)));
    views.push((3, y));
    let groups = (rows * cols).div_ceil(THREADS as usize).min(MOST_GROUPS);
    ctx.dispatch(&KERNEL, &variant, &views, [groups as u32, 1, 1], place)
}
