//! How numbers are stored: plain floats, token ids, and GGUF's quantised blocks.

use std::fmt;

/// A storage type. Block layouts follow the GGUF format (ggml's `ggml-common.h` as documented in the GGUF specification).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types)]
pub enum DType {
    F32,
    F16,
    BF16,
    U32,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    Q8_K,
    IQ4_NL,
    IQ4_XS,
    MXFP4,
}

/// What a quantised weight is made of: `scale · (quant − zero) + offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quants {
    /// Quants are 0 … 15 and kept as nibbles; else they are signed bytes.
    pub nibbles: bool,
    /// Neighbours in a row that share a scale: 16 or 32.
    pub group: usize,
    /// Whether each group has an offset beside its scale.
    pub offset: bool,
}

impl Quants {
    /// What is taken from every quant before it is scaled: nibbles without an offset lie about 8.
    pub fn zero(self) -> i8 {
        if self.nibbles && !self.offset { 8 } else { 0 }
    }
}

/// What is to be known of a type.
struct Facts {
    name: &'static str,
    /// ggml's number for it; token ids have none.
    ggml: Option<u32>,
    /// Weights and bytes in a block of a file.
    block: usize,
    bytes: usize,
    quants: Option<Quants>,
}

const fn plain(name: &'static str, ggml: Option<u32>, bytes: usize) -> Facts {
    Facts { name, ggml, block: 1, bytes, quants: None }
}

const fn nibbles(name: &'static str, ggml: u32, block: usize, bytes: usize, offset: bool) -> Facts {
    Facts { name, ggml: Some(ggml), block, bytes, quants: Some(Quants { nibbles: true, group: 32, offset }) }
}

const fn bytes(name: &'static str, ggml: u32, block: usize, bytes: usize, group: usize, offset: bool) -> Facts {
    Facts { name, ggml: Some(ggml), block, bytes, quants: Some(Quants { nibbles: false, group, offset }) }
}

impl DType {
    /// Every type that a weight may have.
    pub const WEIGHTS: [Self; 17] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2_K,
        Self::Q3_K,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
        Self::Q8_K,
        Self::IQ4_NL,
        Self::IQ4_XS,
        Self::MXFP4,
    ];

    const fn facts(self) -> Facts {
        match self {
            Self::F32 => plain("F32", Some(0), 4),
            Self::F16 => plain("F16", Some(1), 2),
            Self::BF16 => plain("BF16", Some(30), 2),
            Self::U32 => plain("U32", None, 4),
            Self::Q4_0 => nibbles("Q4_0", 2, 32, 18, false),
            Self::Q4_1 => nibbles("Q4_1", 3, 32, 20, true),
            Self::Q5_0 => bytes("Q5_0", 6, 32, 22, 32, false),
            Self::Q5_1 => bytes("Q5_1", 7, 32, 24, 32, true),
            Self::Q8_0 => bytes("Q8_0", 8, 32, 34, 32, false),
            Self::Q2_K => bytes("Q2_K", 10, 256, 84, 16, true),
            Self::Q3_K => bytes("Q3_K", 11, 256, 110, 16, false),
            Self::Q4_K => nibbles("Q4_K", 12, 256, 144, true),
            Self::Q5_K => bytes("Q5_K", 13, 256, 176, 32, true),
            Self::Q6_K => bytes("Q6_K", 14, 256, 210, 16, false),
            Self::Q8_K => bytes("Q8_K", 15, 256, 292, 32, false),
            Self::IQ4_NL => bytes("IQ4_NL", 20, 32, 18, 32, false),
            Self::IQ4_XS => bytes("IQ4_XS", 23, 256, 136, 32, false),
            Self::MXFP4 => bytes("MXFP4", 39, 32, 17, 32, false),
        }
    }

    /// The type that ggml gives this number.
    pub fn of_ggml(number: u32) -> Option<Self> {
        Self::WEIGHTS.into_iter().find(|dtype| dtype.facts().ggml == Some(number))
    }

    /// ggml's number for it; `None` for token ids.
    pub fn ggml(self) -> Option<u32> {
        self.facts().ggml
    }

    /// Weights per block; 1 for plain types.
    pub fn block_size(self) -> usize {
        self.facts().block
    }

    /// Bytes per block in a file.
    pub fn block_bytes(self) -> usize {
        self.facts().bytes
    }

    /// What its weights are made of; `None` for plain types.
    pub fn quants(self) -> Option<Quants> {
        self.facts().quants
    }

    /// Columns that share a scale.
    pub fn group(self) -> usize {
        self.quants().map_or(1, |quants| quants.group)
    }

    pub fn is_quantised(self) -> bool {
        self.quants().is_some()
    }

    /// Bytes in a file of a row of `len` weights; `None` where `len` is no whole number of blocks, or overflows.
    pub fn row_bytes(self, len: usize) -> Option<usize> {
        if !len.is_multiple_of(self.block_size()) {
            return None;
        }
        (len / self.block_size()).checked_mul(self.block_bytes())
    }

    pub fn name(self) -> &'static str {
        self.facts().name
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
