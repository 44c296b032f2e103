//! Functions of one value, as the kernels that end with one name them.

use crate::{
    backend::gpu::wgsl::{Const, Variant},
    graph::Unary,
};

/// One of each, with numbers that stand for all.
pub const EVERY: [Unary; 13] = [
    Unary::Silu,
    Unary::GeluTanh,
    Unary::Gelu,
    Unary::QuickGelu,
    Unary::LeakyRelu { slope: 0.0 },
    Unary::LeakyRelu { slope: 0.2 },
    Unary::Tanh,
    Unary::Sigmoid,
    Unary::Exp,
    Unary::Log,
    Unary::Sqrt,
    Unary::Sin,
    Unary::Affine { scale: 0.5, shift: 0.5 },
];

/// `variant` with what `unary.wgsl` takes for `f`.
pub fn with(mut variant: Variant, f: Unary) -> Variant {
    let name = match f {
        Unary::Silu => "SILU",
        Unary::GeluTanh => "GELU_TANH",
        Unary::Gelu => "GELU",
        Unary::QuickGelu => "QUICK_GELU",
        Unary::LeakyRelu { slope: 0.0 } => "RELU",
        Unary::LeakyRelu { slope } => {
            variant.constants.push(("SLOPE", Const::F32(slope)));
            "LEAKY_RELU"
        }
        Unary::Tanh => "TANH",
        Unary::Sigmoid => "SIGMOID",
        Unary::Exp => "EXP",
        Unary::Log => "LOG",
        Unary::Sqrt => "SQRT",
        Unary::Sin => "SIN",
        Unary::Affine { scale, shift } => {
            variant.constants.extend([("SCALE", Const::F32(scale)), ("SHIFT", Const::F32(shift))]);
            "AFFINE"
        }
    };
    variant.flag("UNARY", true).flag(name, true)
}
