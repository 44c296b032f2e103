//! The vocabulary over wasm's SIMD128. The promises of each word stand in `portable.rs`.

use core::arch::wasm32::*;

pub const NAME: &str = "wasm SIMD128";

#[derive(Clone, Copy)]
pub struct F32x4(v128);
#[derive(Clone, Copy)]
pub struct I32x4(v128);
#[derive(Clone, Copy)]
pub struct I16x8(v128);

#[inline(always)]
fn load<T>(v: &T) -> v128 {
    const { assert!(size_of::<T>() == 16) };
    // SAFETY: a reference to sixteen readable bytes; `v128_load` asks for no alignment.
    unsafe { v128_load((v as *const T).cast()) }
}

#[inline(always)]
fn store<T>(v: v128, to: &mut T) {
    const { assert!(size_of::<T>() == 16) };
    // SAFETY: a reference to sixteen writable bytes of plain numbers; `v128_store` asks for no alignment.
    unsafe { v128_store((to as *mut T).cast(), v) }
}

#[inline(always)]
fn eight_bytes<T>(v: &T) -> *const T {
    const { assert!(size_of::<T>() == 8) };
    v
}

impl F32x4 {
    #[inline(always)]
    pub fn splat(v: f32) -> Self {
        Self(f32x4_splat(v))
    }
    #[inline(always)]
    pub fn load(v: &[f32; 4]) -> Self {
        Self(load(v))
    }
    #[inline(always)]
    pub fn store(self, to: &mut [f32; 4]) {
        store(self.0, to);
    }
    #[inline(always)]
    pub fn to_array(self) -> [f32; 4] {
        let mut out = [0.0; 4];
        self.store(&mut out);
        out
    }
    #[inline(always)]
    pub fn from_f16(v: &[u16; 4]) -> Self {
        // SAFETY: a reference to eight readable bytes.
        let wide = unsafe { i32x4_load_extend_i16x4(eight_bytes(v).cast()) };
        let bits = v128_and(i32x4_shl(wide, 13), u32x4_splat(0x8fff_e000));
        Self(f32x4_mul(bits, f32x4_splat(f32::from_bits(0x7780_0000))))
    }
    #[inline(always)]
    pub fn from_bf16(v: &[u16; 4]) -> Self {
        // SAFETY: a reference to eight readable bytes.
        Self(i32x4_shl(unsafe { u32x4_load_extend_u16x4(eight_bytes(v).cast()) }, 16))
    }
    #[inline(always)]
    pub fn add(self, o: Self) -> Self {
        Self(f32x4_add(self.0, o.0))
    }
    #[inline(always)]
    pub fn sub(self, o: Self) -> Self {
        Self(f32x4_sub(self.0, o.0))
    }
    #[inline(always)]
    pub fn mul(self, o: Self) -> Self {
        Self(f32x4_mul(self.0, o.0))
    }
    #[inline(always)]
    pub fn div(self, o: Self) -> Self {
        Self(f32x4_div(self.0, o.0))
    }
    #[inline(always)]
    pub fn at_least(self, floor: Self) -> Self {
        Self(f32x4_pmax(self.0, floor.0))
    }
    #[inline(always)]
    pub fn at_most(self, ceiling: Self) -> Self {
        Self(f32x4_pmin(self.0, ceiling.0))
    }
    #[inline(always)]
    pub fn power_of_two(self) -> Self {
        Self(i32x4_add(i32x4_shl(self.0, 23), i32x4_splat(0x3f80_0000)))
    }
}

impl I32x4 {
    #[inline(always)]
    pub fn splat(v: i32) -> Self {
        Self(i32x4_splat(v))
    }
    #[inline(always)]
    pub fn add(self, o: Self) -> Self {
        Self(i32x4_add(self.0, o.0))
    }
    #[inline(always)]
    pub fn to_f32(self) -> F32x4 {
        F32x4(f32x4_convert_i32x4(self.0))
    }
}

impl I16x8 {
    #[inline(always)]
    pub fn load(v: &[i16; 8]) -> Self {
        Self(load(v))
    }
    #[inline(always)]
    pub fn store(self, to: &mut [i16; 8]) {
        store(self.0, to);
    }
    #[inline(always)]
    pub fn widen(v: &[i8; 8]) -> Self {
        // SAFETY: a reference to eight readable bytes.
        Self(unsafe { i16x8_load_extend_i8x8(eight_bytes(v).cast()) })
    }
    #[inline(always)]
    pub fn splat_pair(pair: [i16; 2]) -> Self {
        Self(i32x4_splat(i32::from_le_bytes(bytemuck::cast(pair))))
    }
    #[inline(always)]
    pub fn load_words(v: &[u16; 8]) -> Self {
        Self(load(v))
    }
    #[inline(always)]
    pub fn bits<const AT: i32>(self, mask: i16) -> Self {
        Self(v128_and(u16x8_shr(self.0, AT as u32), i16x8_splat(mask)))
    }
    #[inline(always)]
    pub fn or(self, o: Self) -> Self {
        Self(v128_or(self.0, o.0))
    }
    #[inline(always)]
    pub fn look_up(self, table: &[u8; 16]) -> Self {
        Self(u8x16_swizzle(load(table), self.0))
    }
    #[inline(always)]
    pub fn sub(self, o: Self) -> Self {
        Self(i16x8_sub(self.0, o.0))
    }
    #[inline(always)]
    pub fn dot(self, o: Self) -> I32x4 {
        I32x4(i32x4_dot_i16x8(self.0, o.0))
    }
}
