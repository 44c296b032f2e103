//! How quants lie in words of 16 bits. A vector has a word for each column of a pair and each of four rows, so shifts and masks make of it pairs
//! of columns as the products want them, without a lane out of its place; bits that no whole quant fills make up one more.
//!
//! Quants are never negative here: what they are too large by ([`Packing::lift`]) is taken from a sum of products.

use bytemuck::{Pod, Zeroable};

use crate::{blocks, dtype::DType, simd::I16x8};

/// Rows in a panel.
pub const PANEL: usize = 8;

/// One column of a panel in floats.
pub type FloatColumn = [[f32; 4]; 2];
/// One column of a panel in half floats of either kind.
pub type HalfColumn = [[u16; 4]; 2];

/// A word for each of a panel's rows and each column of a pair: `[row / 4][row % 4 · 2 + column % 2]`.
pub type Words = [[u16; 8]; 2];

/// `PAIRS` pairs of columns of a panel, which share words.
pub trait Unit<const PAIRS: usize>: Pod {
    /// Calls `f` with each pair of columns, rows 0 to 3 and rows 4 to 7. `levels` are what nibbles stand for, where they stand for others.
    fn each(&self, levels: &[u8; 16], f: impl FnMut(usize, [I16x8; 2]));
}

#[inline(always)]
fn load(words: &Words) -> [I16x8; 2] {
    [I16x8::load_words(&words[0]), I16x8::load_words(&words[1])]
}

macro_rules! unit {
    ($(#[$about:meta])* $name:ident, $words:literal) => {
        $(#[$about])*
        #[derive(Clone, Copy, Pod, Zeroable)]
        #[repr(transparent)]
        pub struct $name([Words; $words]);
    };
}

unit!(
    /// Quants of four bits.
    Nibbles, 1
);
unit!(
    /// Nibbles that are places in a table of sixteen levels.
    Levels, 1
);
unit!(
    /// Three quants of five bits a word, and the highest bits of five words make one more.
    Fives, 5
);
unit!(
    /// Two quants of six bits a word, and the highest nibbles of three words make two more.
    Sixes, 3
);
unit!(
    /// Two bytes a word.
    Bytes, 1
);

impl Unit<4> for Nibbles {
    #[inline(always)]
    fn each(&self, _: &[u8; 16], mut f: impl FnMut(usize, [I16x8; 2])) {
        let v = load(&self.0[0]);
        f(0, v.map(|v| v.bits::<0>(15)));
        f(1, v.map(|v| v.bits::<4>(15)));
        f(2, v.map(|v| v.bits::<8>(15)));
        f(3, v.map(|v| v.bits::<12>(15)));
    }
}

impl Unit<4> for Levels {
    #[inline(always)]
    fn each(&self, levels: &[u8; 16], mut f: impl FnMut(usize, [I16x8; 2])) {
        let v = load(&self.0[0]);
        let even = v.map(|v| v.bits::<0>(0x0f0f).look_up(levels));
        let odd = v.map(|v| v.bits::<4>(0x0f0f).look_up(levels));
        f(0, even.map(|v| v.bits::<0>(255)));
        f(1, odd.map(|v| v.bits::<0>(255)));
        f(2, even.map(|v| v.bits::<8>(255)));
        f(3, odd.map(|v| v.bits::<8>(255)));
    }
}

impl Unit<16> for Fives {
    #[inline(always)]
    fn each(&self, _: &[u8; 16], mut f: impl FnMut(usize, [I16x8; 2])) {
        for (i, words) in self.0.iter().enumerate() {
            let v = load(words);
            f(3 * i, v.map(|v| v.bits::<0>(31)));
            f(3 * i + 1, v.map(|v| v.bits::<5>(31)));
            f(3 * i + 2, v.map(|v| v.bits::<10>(31)));
        }
        let [a, b, c, d, e] = self.0.map(|words| load(&words));
        let last = |h: usize| {
            let low = a[h].bits::<15>(1).or(b[h].bits::<14>(2)).or(c[h].bits::<13>(4));
            low.or(d[h].bits::<12>(8).or(e[h].bits::<11>(16)))
        };
        f(15, [last(0), last(1)]);
    }
}

impl Unit<8> for Sixes {
    #[inline(always)]
    fn each(&self, _: &[u8; 16], mut f: impl FnMut(usize, [I16x8; 2])) {
        let a = load(&self.0[0]);
        f(0, a.map(|v| v.bits::<0>(63)));
        f(1, a.map(|v| v.bits::<6>(63)));
        let b = load(&self.0[1]);
        f(6, [0, 1].map(|h| a[h].bits::<12>(15).or(b[h].bits::<8>(0x30))));
        f(2, b.map(|v| v.bits::<0>(63)));
        f(3, b.map(|v| v.bits::<6>(63)));
        let c = load(&self.0[2]);
        f(7, [0, 1].map(|h| b[h].bits::<14>(3).or(c[h].bits::<10>(0x3c))));
        f(4, c.map(|v| v.bits::<0>(63)));
        f(5, c.map(|v| v.bits::<6>(63)));
    }
}

impl Unit<2> for Bytes {
    #[inline(always)]
    fn each(&self, _: &[u8; 16], mut f: impl FnMut(usize, [I16x8; 2])) {
        let v = load(&self.0[0]);
        f(0, v.map(|v| v.bits::<0>(255)));
        f(1, v.map(|v| v.bits::<8>(255)));
    }
}

/// Sixteen levels as bytes that are never negative, and the place of each level.
struct Table {
    levels: [u8; 16],
    places: [u8; 256],
}

const fn table(of: &[i8; 16], lift: u8) -> Table {
    let mut table = Table { levels: [0; 16], places: [0; 256] };
    let mut i = 16;
    // Of equal levels the first counts.
    while i > 0 {
        i -= 1;
        table.levels[i] = (of[i] as u8).wrapping_add(lift);
        table.places[of[i] as u8 as usize] = i as u8;
    }
    table
}

static IQ4: Table = table(&blocks::IQ4, 128);
static E2M1: Table = table(&blocks::E2M1, 12);

/// Words of a type's quants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Nibbles,
    Levels,
    Fives,
    Sixes,
    Bytes,
}

/// Some bits of a quant: which word of its unit holds them, from which bit on, from which bit of the quant, and how many.
type Piece = [u8; 4];

/// Quants of so many bits that lie whole in words, so many in each.
const fn whole<const N: usize>(bits: u8, a_word: u8) -> [[Piece; 1]; N] {
    let mut pieces = [[[0; 4]]; N];
    let mut i = 0;
    while i < N {
        pieces[i] = [[i as u8 / a_word, i as u8 % a_word * bits, 0, bits]];
        i += 1;
    }
    pieces
}

static NIBBLES: [[Piece; 1]; 4] = whole(4, 4);
static BYTES: [[Piece; 1]; 2] = whole(8, 2);
static FIVES: [[Piece; 1]; 15] = whole(5, 3);
static LAST_FIVE: [Piece; 5] = [[0, 15, 0, 1], [1, 15, 1, 1], [2, 15, 2, 1], [3, 15, 3, 1], [4, 15, 4, 1]];
static SIXES: [[Piece; 1]; 6] = whole(6, 2);
static LAST_SIXES: [[Piece; 2]; 2] = [[[0, 12, 0, 4], [1, 12, 4, 2]], [[1, 14, 0, 2], [2, 12, 2, 4]]];

impl Kind {
    /// Of a unit: how often its pairs of columns can be halved, and its words.
    fn sizes(self) -> (u32, usize) {
        match self {
            Self::Nibbles | Self::Levels => (2, 1),
            Self::Fives => (4, 5),
            Self::Sixes => (3, 3),
            Self::Bytes => (1, 1),
        }
    }

    /// Where the quants of a pair of columns lie.
    fn pieces(self, pair: usize) -> &'static [Piece] {
        match (self, pair) {
            (Self::Nibbles | Self::Levels, _) => &NIBBLES[pair],
            (Self::Bytes, _) => &BYTES[pair],
            (Self::Fives, 15) => &LAST_FIVE,
            (Self::Fives, _) => &FIVES[pair],
            (Self::Sixes, 6..) => &LAST_SIXES[pair - 6],
            (Self::Sixes, _) => &SIXES[pair],
        }
    }

    /// Puts a quant where zeros are: in the words of the pair of columns `pair` of them all.
    #[inline]
    pub fn put(self, words: &mut [Words], pair: usize, half: usize, lane: usize, quant: u16) {
        let (halvings, size) = self.sizes();
        let unit = &mut words[(pair >> halvings) * size..][..size];
        for [word, at, from, bits] in self.pieces(pair & ((1 << halvings) - 1)) {
            unit[usize::from(*word)][half][lane] |= (quant >> from & ((1 << bits) - 1)) << at;
        }
    }

    pub fn get(self, words: &[Words], pair: usize, half: usize, lane: usize) -> u16 {
        let (halvings, size) = self.sizes();
        let unit = &words[(pair >> halvings) * size..][..size];
        let pieces = self.pieces(pair & ((1 << halvings) - 1)).iter();
        pieces
            .map(|[word, at, from, bits]| (unit[usize::from(*word)][half][lane] >> at & ((1 << bits) - 1)) << from)
            .sum()
    }
}

/// How the quants of a type lie here.
#[derive(Clone, Copy)]
pub struct Packing {
    pub kind: Kind,
    /// What a block's quants are raised by.
    lift: i8,
    /// What products see is too large by this.
    pub zero: i16,
    table: Option<&'static Table>,
}

impl Packing {
    /// `None` for plain types.
    pub fn of(dtype: DType) -> Option<Self> {
        let quants = dtype.quants()?;
        let (kind, lift, table) = match dtype {
            DType::Q5_0 => (Kind::Fives, 16, None),
            DType::Q5_1 | DType::Q5_K => (Kind::Fives, 0, None),
            DType::Q6_K => (Kind::Sixes, 32, None),
            DType::IQ4_NL | DType::IQ4_XS => (Kind::Levels, 128, Some(&IQ4)),
            DType::MXFP4 => (Kind::Levels, 12, Some(&E2M1)),
            DType::Q3_K => (Kind::Nibbles, 4, None),
            DType::Q2_K => (Kind::Nibbles, 0, None),
            _ if quants.nibbles => (Kind::Nibbles, 0, None),
            _ => (Kind::Bytes, 128, None),
        };
        Some(Self { kind, lift: lift as u8 as i8, zero: lift + i16::from(quants.zero()), table })
    }

    /// A block's quant as words hold it.
    pub fn pack(&self, quant: i8) -> u16 {
        match self.table {
            Some(table) => u16::from(table.places[usize::from(quant as u8)]),
            None => u16::from(quant.wrapping_add(self.lift) as u8),
        }
    }

    /// What words hold as products see it, less [`zero`](Self::zero).
    pub fn unpack(&self, word: u16) -> i16 {
        let raised = self.table.map_or(word, |table| u16::from(table.levels[usize::from(word & 15)]));
        raised as i16 - self.zero
    }

    /// Bits of a quant.
    pub fn bits(&self) -> u64 {
        match self.kind {
            Kind::Nibbles | Kind::Levels => 4,
            Kind::Fives => 5,
            Kind::Sixes => 6,
            Kind::Bytes => 8,
        }
    }

    pub fn levels(&self) -> &'static [u8; 16] {
        self.table.map_or(&[0; 16], |table| &table.levels)
    }
}
