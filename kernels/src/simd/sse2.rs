//! The vocabulary over SSE2, which every x86-64 has. The promises of each word stand in `portable.rs`.

use core::arch::x86_64::*;

pub const NAME: &str = "SSE2";

#[derive(Clone, Copy)]
pub struct F32x4(__m128);
#[derive(Clone, Copy)]
pub struct I32x4(__m128i);
#[derive(Clone, Copy)]
pub struct I16x8(__m128i);

#[inline(always)]
fn load<T>(v: &T) -> __m128i {
    const { assert!(size_of::<T>() == 16) };
    // SAFETY: a reference to sixteen readable bytes; an unaligned load.
    unsafe { _mm_loadu_si128((v as *const T).cast()) }
}

#[inline(always)]
fn load_half<T>(v: &T) -> __m128i {
    const { assert!(size_of::<T>() == 8) };
    // SAFETY: a reference to eight readable bytes; an unaligned load.
    unsafe { _mm_loadl_epi64((v as *const T).cast()) }
}

// SAFETY of every block below: SSE2 is part of x86-64 itself.
impl F32x4 {
    #[inline(always)]
    pub fn splat(v: f32) -> Self {
        Self(unsafe { _mm_set1_ps(v) })
    }
    #[inline(always)]
    pub fn load(v: &[f32; 4]) -> Self {
        Self(unsafe { _mm_loadu_ps(v.as_ptr()) })
    }
    #[inline(always)]
    pub fn store(self, to: &mut [f32; 4]) {
        unsafe { _mm_storeu_ps(to.as_mut_ptr(), self.0) }
    }
    #[inline(always)]
    pub fn to_array(self) -> [f32; 4] {
        let mut out = [0.0; 4];
        self.store(&mut out);
        out
    }
    #[inline(always)]
    pub fn from_f16(v: &[u16; 4]) -> Self {
        unsafe {
            // Into the upper half of each lane, then down with the sign.
            let wide = _mm_srai_epi32(_mm_unpacklo_epi16(_mm_setzero_si128(), load_half(v)), 3);
            let bits = _mm_and_si128(wide, _mm_set1_epi32(0x8fff_e000_u32 as i32));
            Self(_mm_mul_ps(_mm_castsi128_ps(bits), _mm_set1_ps(f32::from_bits(0x7780_0000))))
        }
    }
    #[inline(always)]
    pub fn from_bf16(v: &[u16; 4]) -> Self {
        Self(unsafe { _mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), load_half(v))) })
    }
    #[inline(always)]
    pub fn add(self, o: Self) -> Self {
        Self(unsafe { _mm_add_ps(self.0, o.0) })
    }
    #[inline(always)]
    pub fn sub(self, o: Self) -> Self {
        Self(unsafe { _mm_sub_ps(self.0, o.0) })
    }
    #[inline(always)]
    pub fn mul(self, o: Self) -> Self {
        Self(unsafe { _mm_mul_ps(self.0, o.0) })
    }
    #[inline(always)]
    pub fn div(self, o: Self) -> Self {
        Self(unsafe { _mm_div_ps(self.0, o.0) })
    }
    #[inline(always)]
    pub fn at_least(self, floor: Self) -> Self {
        // The second operand comes through where one is NaN.
        Self(unsafe { _mm_max_ps(floor.0, self.0) })
    }
    #[inline(always)]
    pub fn at_most(self, ceiling: Self) -> Self {
        Self(unsafe { _mm_min_ps(ceiling.0, self.0) })
    }
    #[inline(always)]
    pub fn power_of_two(self) -> Self {
        unsafe {
            let n = _mm_slli_epi32(_mm_castps_si128(self.0), 23);
            Self(_mm_castsi128_ps(_mm_add_epi32(n, _mm_set1_epi32(0x3f80_0000))))
        }
    }
}

impl I32x4 {
    #[inline(always)]
    pub fn splat(v: i32) -> Self {
        Self(unsafe { _mm_set1_epi32(v) })
    }
    #[inline(always)]
    pub fn add(self, o: Self) -> Self {
        Self(unsafe { _mm_add_epi32(self.0, o.0) })
    }
    #[inline(always)]
    pub fn to_f32(self) -> F32x4 {
        F32x4(unsafe { _mm_cvtepi32_ps(self.0) })
    }
}

impl I16x8 {
    #[inline(always)]
    pub fn load(v: &[i16; 8]) -> Self {
        Self(load(v))
    }
    #[inline(always)]
    pub fn store(self, to: &mut [i16; 8]) {
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), self.0) }
    }
    #[inline(always)]
    pub fn widen(v: &[i8; 8]) -> Self {
        let v = load_half(v);
        Self(unsafe { _mm_srai_epi16(_mm_unpacklo_epi8(v, v), 8) })
    }
    #[inline(always)]
    pub fn splat_pair(pair: [i16; 2]) -> Self {
        Self(unsafe { _mm_set1_epi32(i32::from_le_bytes(bytemuck::cast(pair))) })
    }
    #[inline(always)]
    pub fn load_words(v: &[u16; 8]) -> Self {
        Self(load(v))
    }
    #[inline(always)]
    pub fn bits<const AT: i32>(self, mask: i16) -> Self {
        Self(unsafe { _mm_and_si128(_mm_srli_epi16::<AT>(self.0), _mm_set1_epi16(mask)) })
    }
    #[inline(always)]
    pub fn or(self, o: Self) -> Self {
        Self(unsafe { _mm_or_si128(self.0, o.0) })
    }
    /// SSE2 has no vector that looks up in another.
    #[inline(always)]
    pub fn look_up(self, table: &[u8; 16]) -> Self {
        let mut words = [0; 8];
        self.store(&mut words);
        Self::load(&words.map(|w: i16| i16::from_le_bytes(w.to_le_bytes().map(|b| table[usize::from(b & 15)]))))
    }
    #[inline(always)]
    pub fn sub(self, o: Self) -> Self {
        Self(unsafe { _mm_sub_epi16(self.0, o.0) })
    }
    #[inline(always)]
    pub fn dot(self, o: Self) -> I32x4 {
        I32x4(unsafe { _mm_madd_epi16(self.0, o.0) })
    }
}
