//! The vocabulary over arrays, for machines without a vector unit that we know, and as the measure of the others.

#![cfg_attr(test, allow(dead_code, reason = "elsewhere a test needs only what it compares"))]

pub const NAME: &str = "portable";

#[derive(Clone, Copy)]
pub struct F32x4([f32; 4]);
#[derive(Clone, Copy)]
pub struct I32x4([i32; 4]);
#[derive(Clone, Copy)]
pub struct I16x8([i16; 8]);

use std::array::from_fn;

impl F32x4 {
    pub fn splat(v: f32) -> Self {
        Self([v; 4])
    }
    pub fn load(v: &[f32; 4]) -> Self {
        Self(*v)
    }
    pub fn store(self, to: &mut [f32; 4]) {
        *to = self.0;
    }
    pub fn to_array(self) -> [f32; 4] {
        self.0
    }
    /// Four half floats (finite ones), exactly.
    pub fn from_f16(v: &[u16; 4]) -> Self {
        let wide = v.map(|h| f32::from_bits((((h as i16 as i32) << 13) & 0x8fff_e000_u32 as i32) as u32));
        Self(wide).mul(Self::splat(f32::from_bits(0x7780_0000)))
    }
    /// Four bfloats, exactly.
    pub fn from_bf16(v: &[u16; 4]) -> Self {
        Self(v.map(|h| f32::from_bits(u32::from(h) << 16)))
    }
    pub fn add(self, o: Self) -> Self {
        Self(from_fn(|i| self.0[i] + o.0[i]))
    }
    pub fn sub(self, o: Self) -> Self {
        Self(from_fn(|i| self.0[i] - o.0[i]))
    }
    pub fn mul(self, o: Self) -> Self {
        Self(from_fn(|i| self.0[i] * o.0[i]))
    }
    pub fn div(self, o: Self) -> Self {
        Self(from_fn(|i| self.0[i] / o.0[i]))
    }
    /// `floor` where a lane is less; NaN lanes stay.
    pub fn at_least(self, floor: Self) -> Self {
        Self(from_fn(|i| if self.0[i] < floor.0[i] { floor.0[i] } else { self.0[i] }))
    }
    /// `ceiling` where a lane is more; NaN lanes stay.
    pub fn at_most(self, ceiling: Self) -> Self {
        Self(from_fn(|i| if ceiling.0[i] < self.0[i] { ceiling.0[i] } else { self.0[i] }))
    }
    /// `2ⁿ` of lanes that hold `n + ROUNDER`.
    pub fn power_of_two(self) -> Self {
        Self(self.0.map(|v| f32::from_bits((v.to_bits() << 23).wrapping_add(0x3f80_0000))))
    }
}

impl I32x4 {
    pub fn splat(v: i32) -> Self {
        Self([v; 4])
    }
    pub fn add(self, o: Self) -> Self {
        Self(from_fn(|i| self.0[i].wrapping_add(o.0[i])))
    }
    pub fn to_f32(self) -> F32x4 {
        F32x4(self.0.map(|v| v as f32))
    }
}

impl I16x8 {
    pub fn load(v: &[i16; 8]) -> Self {
        Self(*v)
    }
    pub fn store(self, to: &mut [i16; 8]) {
        *to = self.0;
    }
    /// Eight bytes, each made wider with its sign.
    pub fn widen(v: &[i8; 8]) -> Self {
        Self(v.map(i16::from))
    }
    /// A pair, four times.
    pub fn splat_pair([a, b]: [i16; 2]) -> Self {
        Self([a, b, a, b, a, b, a, b])
    }
    pub fn load_words(v: &[u16; 8]) -> Self {
        Self(v.map(|w| w as i16))
    }
    /// Of each lane the bits from `AT` that `mask` keeps.
    pub fn bits<const AT: i32>(self, mask: i16) -> Self {
        Self(self.0.map(|w| (w as u16 >> AT) as i16 & mask))
    }
    pub fn or(self, o: Self) -> Self {
        Self(from_fn(|i| self.0[i] | o.0[i]))
    }
    /// Each byte, which is less than 16, by its entry in a table.
    pub fn look_up(self, table: &[u8; 16]) -> Self {
        Self(self.0.map(|w| i16::from_le_bytes(w.to_le_bytes().map(|b| table[usize::from(b & 15)]))))
    }
    pub fn sub(self, o: Self) -> Self {
        Self(from_fn(|i| self.0[i].wrapping_sub(o.0[i])))
    }
    /// Sums of the products of neighbours: lane `i` is `a₂ᵢ · b₂ᵢ + a₂ᵢ₊₁ · b₂ᵢ₊₁`.
    pub fn dot(self, o: Self) -> I32x4 {
        let product = |i: usize| i32::from(self.0[i]) * i32::from(o.0[i]);
        I32x4(from_fn(|i| product(2 * i).wrapping_add(product(2 * i + 1))))
    }
}
