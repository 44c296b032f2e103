//! Functions of up to three values, element by element, and copies of rows.

use super::unary;
use crate::{
    Result,
    backend::gpu::{
        program::{Bound, Call, Tensor},
        wgsl::{Const, Kernel, Variant},
    },
    graph::{Binary, Unary},
};

pub const KERNEL: Kernel = Kernel { name: "elementwise", source: include_str!("elementwise.wgsl") };

const THREADS: u32 = 64;
/// Enough to fill any GPU; beyond it a thread takes several elements.
const MOST_GROUPS: usize = 4096;

/// An element-by-element function of up to three operands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    Copy,
    Unary(Unary),
    Binary(Binary),
    /// `silu(a) · b`
    SiluMul,
    /// `a · (1 + c) + b`
    Modulate,
    /// `f(a · b + c)`
    ScaleShift(Option<Unary>),
}

/// Which row of the first operand a row of the result is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Same,
    /// The row that the step's parameters name.
    Selected,
    /// Pixels become squares of `factor²`; `width` is that of the result's pictures.
    Upsampled {
        width: usize,
        factor: usize,
    },
    /// The top left of pictures of these sides, height first.
    Cropped {
        from: [usize; 2],
        to: [usize; 2],
    },
}

/// What is done, and where the operands and the result lie.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    function: Function,
    operands: [Option<Tensor>; 3],
    source: Source,
    out: Tensor,
}

impl Shape {
    pub fn of(function: Function, operands: [Option<Tensor>; 3], source: Source, out: Tensor) -> Self {
        Self { function, operands, source, out }
    }

    /// Numbers that an invocation takes together: four where all windows allow it.
    fn lanes(&self) -> usize {
        let mut all = self.operands.iter().flatten().chain([&self.out]);
        let fits = |t: &Tensor| [t.first, t.cols].iter().chain((t.rows > 1).then_some(&t.stride)).all(|n| n % 4 == 0);
        // A row that the step chooses lies anywhere.
        let chosen = self.source == Source::Selected && self.operands[0].is_some_and(|a| a.stride % 4 != 0);
        if all.all(fits) && !chosen { 4 } else { 1 }
    }
}

pub fn variant(shape: &Shape) -> Result<Variant> {
    let Shape { function, operands: [a, b, c], source, out } = shape;
    let lanes = shape.lanes();
    let mut variant = Variant::new(&[("THREADS", Const::U32(THREADS))]).flag("VEC4", lanes == 4);
    variant.numbers.extend([("ROWS", Const::size(out.rows)?), ("COLS", Const::size(out.cols / lanes)?)]);
    let names = [("A_FIRST", "A_STRIDE"), ("B_FIRST", "B_STRIDE"), ("C_FIRST", "C_STRIDE"), ("Y_FIRST", "Y_STRIDE")];
    for ((first, stride), tensor) in names.into_iter().zip([a, b, c, &Some(*out)]) {
        if let Some(tensor) = tensor {
            variant.numbers.push((first, Const::size(tensor.first / lanes)?));
            variant.numbers.push((stride, Const::size(tensor.stride / lanes)?));
        }
    }
    if let Some(b) = b {
        variant.numbers.push(("SHARE", Const::size(out.rows / b.rows)?));
    }
    variant = match source {
        Source::Same => variant,
        Source::Selected => variant.flag("SELECT", true),
        Source::Upsampled { width, factor } => {
            variant.numbers.extend([("WIDTH", Const::size(*width)?), ("FACTOR", Const::size(*factor)?)]);
            variant.flag("UPSAMPLE", true)
        }
        Source::Cropped { from: [high, wide], to: [height, width] } => {
            let sides = [("WIDTH", width), ("HEIGHT", height), ("FROM_WIDTH", wide), ("FROM_HEIGHT", high)];
            for (name, side) in sides {
                variant.numbers.push((name, Const::size(*side)?));
            }
            variant.flag("CROP", true)
        }
    };
    let variant = match function {
        Function::Copy => variant,
        Function::Unary(f) => unary::with(variant, *f),
        Function::Binary(Binary::Add) => variant.flag("ADD", true),
        Function::Binary(Binary::Sub) => variant.flag("SUB", true),
        Function::Binary(Binary::Mul) => variant.flag("MUL", true),
        Function::Binary(Binary::Div) => variant.flag("DIV", true),
        Function::SiluMul => variant.flag("SILU_MUL", true),
        Function::Modulate => variant.flag("MODULATE", true),
        Function::ScaleShift(None) => variant.flag("SCALE_SHIFT", true),
        Function::ScaleShift(Some(f)) => unary::with(variant.flag("SCALE_SHIFT", true), *f),
    };
    Ok(variant.flag("BINARY", b.is_some()).flag("TERNARY", c.is_some()))
}

/// `f(a)`, `f(a, b)` or `f(a, b, c)` → `y`.
pub fn elementwise(shape: &Shape) -> Result<Call> {
    let [a, b, c] = shape.operands.map(|operand| operand.map(|tensor| Bound::Read(tensor.store)));
    let step = (shape.source == Source::Selected).then_some(Bound::Step);
    let bound = [(0, step), (1, a), (2, b), (3, Some(Bound::Write(shape.out.store))), (4, c)];
    let bound = bound.into_iter().filter_map(|(at, bound)| Some((at, bound?))).collect();
    let elements = shape.out.rows * shape.out.cols / shape.lanes();
    let groups = elements.div_ceil(THREADS as usize).min(MOST_GROUPS);
    Ok(Call::new(KERNEL, variant(shape)?, bound, [groups, 1, 1]))
}
