//! 128-bit vectors in the three shapes that the kernels need: one small vocabulary over wasm's SIMD128, x86's SSE2 and
//! plain arrays. All three give the same bits, so what a native test shows holds in the browser.

#[cfg(any(test, not(any(all(target_arch = "wasm32", target_feature = "simd128"), target_arch = "x86_64"))))]
mod portable;
#[cfg(target_arch = "x86_64")]
mod sse2;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;

#[cfg(not(any(all(target_arch = "wasm32", target_feature = "simd128"), target_arch = "x86_64")))]
pub use portable::{F32x4, I16x8, I32x4, NAME};
#[cfg(target_arch = "x86_64")]
pub use sse2::{F32x4, I16x8, I32x4, NAME};
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use wasm::{F32x4, I16x8, I32x4, NAME};

/// `1.5 · 2²³`: added to a small float it leaves the float's nearest integer in the low bits.
pub const ROUNDER: f32 = 12_582_912.0;

impl F32x4 {
    /// `eˣ` for each lane, within 2 · 10⁻⁷ of the true value, relatively; lanes below −87 give about 10⁻³⁸, lanes above 88
    /// about 10³⁸. NaN stays NaN.
    #[inline(always)]
    pub fn exp(self) -> Self {
        // eˣ = 2ⁿ · eʳ with |r| ≤ ln 2 / 2; ln 2 in two parts, the first with few bits, keeps n · ln 2 exact.
        let x = self.at_least(Self::splat(-87.0)).at_most(Self::splat(88.0));
        let n = x.mul(Self::splat(std::f32::consts::LOG2_E)).add(Self::splat(ROUNDER));
        let whole = n.sub(Self::splat(ROUNDER));
        let r = x.sub(whole.mul(Self::splat(0.693_359_4))).sub(whole.mul(Self::splat(-2.121_944_4e-4)));
        // Taylor's series is good to 2⁻²⁵ on so short an interval.
        let mut p = Self::splat(1.0 / 5040.0);
        for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
            p = p.mul(r).add(Self::splat(c));
        }
        p.mul(n.power_of_two())
    }

    /// The sum of the lanes.
    #[inline(always)]
    pub fn sum(self) -> f32 {
        let [a, b, c, d] = self.to_array();
        (a + b) + (c + d)
    }

    /// The largest lane.
    #[inline(always)]
    pub fn largest(self) -> f32 {
        let [a, b, c, d] = self.to_array();
        a.max(b).max(c.max(d))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_true_to_a_few_ulps_and_keeps_nan() {
        for i in -8600..8750 {
            let x = i as f32 * 0.01;
            let got = F32x4::splat(x).exp().to_array()[0];
            let want = f64::from(x).exp();
            assert!(((f64::from(got) - want) / want).abs() < 2e-7, "exp({x}) = {got}, not {want}");
        }
        assert!(F32x4::splat(f32::NAN).exp().to_array()[0].is_nan());
        assert!(F32x4::splat(f32::NEG_INFINITY).exp().to_array()[0] < 1e-37);
    }

    #[test]
    fn native_and_portable_vectors_give_the_same_bits() {
        let halves = [0x0000u16, 0x8000, 0x0001, 0x83ff, 0x3c00, 0xbc01, 0x7bff, 0x0400];
        let (lo, hi): ([u16; 4], [u16; 4]) =
            (halves[..4].try_into().expect("four"), halves[4..].try_into().expect("four"));
        for four in [&lo, &hi] {
            let got = F32x4::from_f16(four).to_array();
            assert_eq!(got.map(f32::to_bits), portable::F32x4::from_f16(four).to_array().map(f32::to_bits));
            assert_eq!(got, four.map(|h| half::f16::from_bits(h).to_f32()));
            let got = F32x4::from_bf16(four).to_array();
            assert_eq!(got.map(f32::to_bits), portable::F32x4::from_bf16(four).to_array().map(f32::to_bits));
        }
        let a: [i16; 8] = [32767, -32767, 1, -128, 127, 0, 5, -6];
        let w: [i8; 8] = [-128, 127, -1, 3, 100, -100, 0, 7];
        let dot = I16x8::load(&a).dot(I16x8::widen(&w)).to_f32().to_array();
        assert_eq!(dot, portable::I16x8::load(&a).dot(portable::I16x8::widen(&w)).to_f32().to_array());
        assert_eq!(dot[0], (32767 * -128 - 32767 * 127) as f32);
        let packed: [u16; 8] = [0x1234, 0xfedc, 0x8001, 0, 0xffff, 0x0f0f, 0x7777, 0xabcd];
        let table: [u8; 16] = std::array::from_fn(|i| (i * 37 + 5) as u8);
        macro_rules! unpacked {
            ($vector:ty) => {{
                let (v, pair) = (<$vector>::load_words(&packed), <$vector>::splat_pair([1, 16]));
                let looked_up = v.bits::<4>(0x0f0f).look_up(&table);
                [v.bits::<0>(15), v.bits::<9>(63), v.bits::<12>(1).or(v.bits::<1>(0x7000)), looked_up]
                    .map(|v| v.dot(pair).to_f32().to_array())
            }};
        }
        let n = unpacked!(I16x8);
        assert_eq!(n, unpacked!(portable::I16x8));
        assert_eq!(n[0][0], (0x4 + 16 * 0xc) as f32);
        assert_eq!(n[1][0], (0x09 + 16 * 0x3f) as f32);
        for x in [0.3f32, -7.7, 80.0, -86.9] {
            let native = F32x4::splat(x).exp().to_array()[0];
            let n = portable::F32x4::splat(x)
                .mul(portable::F32x4::splat(std::f32::consts::LOG2_E))
                .add(portable::F32x4::splat(ROUNDER));
            assert!(native / n.power_of_two().to_array()[0] < 1.5, "2ⁿ of {x}");
        }
    }
}
