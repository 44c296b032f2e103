//! Scales and offsets of a panel's groups of columns, as small as a file has them.

use crate::{
    blocks::Factor,
    dtype::DType,
    room::{NoRoom, zeros},
    simd::{F32x4, I16x8},
    units::{FloatColumn, HalfColumn},
};

/// Of one kind: the scales, or the offsets.
pub enum Factors {
    None,
    /// A half float a group, or the upper half of a float, which powers of two are.
    Half(Vec<HalfColumn>),
    Brain(Vec<HalfColumn>),
    /// A float for a block, and a whole number for each of its groups: `[row % 4 · 2 + row / 4]`.
    Nested {
        of_blocks: Vec<FloatColumn>,
        of_groups: Vec<[i8; 8]>,
        groups: usize,
    },
}

impl Factors {
    /// Zeros for `cells` columns of panels.
    pub fn new(dtype: DType, cells: usize) -> Result<Self, NoRoom> {
        let group = dtype.group();
        Ok(match dtype.block_size() {
            32 if dtype == DType::MXFP4 => Self::Brain(zeros(cells / group)?),
            32 => Self::Half(zeros(cells / group)?),
            block => Self::Nested {
                of_blocks: zeros(cells / block)?,
                of_groups: zeros(cells / group)?,
                groups: block / group,
            },
        })
    }

    /// Bits that so many columns of a row take.
    pub fn bits(dtype: DType, columns: u64) -> u64 {
        let groups = columns / dtype.group() as u64;
        match dtype.block_size() {
            32 => 16 * groups,
            block => 8 * groups + 32 * columns / block as u64,
        }
    }

    pub fn bytes(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Half(v) | Self::Brain(v) => size_of_val(v.as_slice()),
            Self::Nested { of_blocks, of_groups, .. } => {
                size_of_val(of_blocks.as_slice()) + size_of_val(of_groups.as_slice())
            }
        }
    }

    /// Takes what a block says of half `part` of 32 weights for group `g` and row `half · 4 + at` of its panel.
    pub fn put(&mut self, g: usize, half: usize, at: usize, factor: Factor, part: usize) {
        match self {
            Self::None => {}
            // Exactly: it came from a half float.
            Self::Half(v) => v[g][half][at] = half::f16::from_f32(factor.of_block).to_bits(),
            Self::Brain(v) => v[g][half][at] = half::bf16::from_f32(factor.of_block).to_bits(),
            Self::Nested { of_blocks, of_groups, groups } => {
                of_blocks[g / *groups][half][at] = factor.of_block;
                of_groups[g][at * 2 + half] = factor.of_halves[part];
            }
        }
    }

    /// Of group `g` and row `half · 4 + at` of its panel; none are 0.
    pub fn at(&self, g: usize, half: usize, at: usize) -> f32 {
        match self {
            Self::None => 0.0,
            Self::Half(v) => half::f16::from_bits(v[g][half][at]).to_f32(),
            Self::Brain(v) => half::bf16::from_bits(v[g][half][at]).to_f32(),
            Self::Nested { of_blocks, of_groups, groups } => {
                of_blocks[g / groups][half][at] * f32::from(of_groups[g][at * 2 + half])
            }
        }
    }

    /// Those of `count` groups from `first`, a panel's, in floats.
    pub fn widen(&self, first: usize, count: usize, out: &mut Vec<FloatColumn>) {
        out.clear();
        match self {
            Self::None => {}
            Self::Half(v) => {
                out.extend(v[first..][..count].iter().map(|g| wide([0, 1].map(|h| F32x4::from_f16(&g[h])))))
            }
            Self::Brain(v) => {
                out.extend(v[first..][..count].iter().map(|g| wide([0, 1].map(|h| F32x4::from_bf16(&g[h])))));
            }
            Self::Nested { of_blocks, of_groups, groups } => {
                let of_groups = of_groups[first..][..count].chunks_exact(*groups);
                for (of_block, of_groups) in of_blocks[first / groups..].iter().zip(of_groups) {
                    let of_block = of_block.map(|four| F32x4::load(&four));
                    out.extend(of_groups.iter().map(|of_group| {
                        let v = I16x8::widen(of_group);
                        let halves = [[1, 0], [0, 1]].map(|half| v.dot(I16x8::splat_pair(half)).to_f32());
                        wide([0, 1].map(|h| halves[h].mul(of_block[h])))
                    }));
                }
            }
        }
    }
}

#[inline(always)]
fn wide(v: [F32x4; 2]) -> FloatColumn {
    v.map(F32x4::to_array)
}
