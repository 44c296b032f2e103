//! How quants lie in words of 16 bits. A vector has a word for each column of a pair and each of four rows, so shifts and masks make of it pairs
//! of columns as the products want them, without a lane out of its place; bits that no whole quant fills make up one more.
//!
//! Quants are never negative here: what they are too large by ([`Packing::lift`]) is taken from a sum of products.

use bytemuck::Zeroable;

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
pub trait Unit<const PAIRS: usize>: Copy + Zeroable {
    /// Calls `f` with each pair of columns, rows 0 to 3 and rows 4 to 7. `levels` are what nibbles stand for, where they stand for others.
    fn each(&self, levels: &[u8; 16], f: impl FnMut(usize, [I16x8; 2]));

    /// Where the bits of a pair's quants lie: `[word, first bit there, first bit of the quant, how many]`.
    fn pieces(pair: usize) -> impl Iterator<Item = [usize; 4]>;

    fn words(&self) -> &[Words];
    fn words_mut(&mut self) -> &mut [Words];

    /// Puts a quant where zeros are.
    fn put(&mut self, pair: usize, half: usize, lane: usize, quant: u16) {
        for [word, at, from, bits] in Self::pieces(pair) {
            self.words_mut()[word][half][lane] |= (quant >> from & ((1 << bits) - 1)) << at;
        }
    }

    fn get(&self, pair: usize, half: usize, lane: usize) -> u16 {
        let piece =
            |[word, at, from, bits]: [usize; 4]| (self.words()[word][half][lane] >> at & ((1 << bits) - 1)) << from;
        Self::pieces(pair).map(piece).sum()
    }
}

#[inline(always)]
fn load(words: &Words) -> [I16x8; 2] {
    [I16x8::load_words(&words[0]), I16x8::load_words(&words[1])]
}

macro_rules! unit {
    ($(#[$about:meta])* $name:ident, $words:literal) => {
        $(#[$about])*
        #[derive(Clone, Copy, Zeroable)]
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

macro_rules! words {
    () => {
        fn words(&self) -> &[Words] {
            &self.0
        }

        fn words_mut(&mut self) -> &mut [Words] {
            &mut self.0
        }
    };
}

impl Unit<4> for Nibbles {
    words!();

    #[inline(always)]
    fn each(&self, _: &[u8; 16], mut f: impl FnMut(usize, [I16x8; 2])) {
        let v = load(&self.0[0]);
        f(0, v.map(|v| v.bits::<0>(15)));
        f(1, v.map(|v| v.bits::<4>(15)));
        f(2, v.map(|v| v.bits::<8>(15)));
        f(3, v.map(|v| v.bits::<12>(15)));
    }

    fn pieces(pair: usize) -> impl Iterator<Item = [usize; 4]> {
        [[0, 4 * pair, 0, 4]].into_iter()
    }
}

impl Unit<4> for Levels {
    words!();

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

    fn pieces(pair: usize) -> impl Iterator<Item = [usize; 4]> {
        Nibbles::pieces(pair)
    }
}

impl Unit<16> for Fives {
    words!();

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

    fn pieces(pair: usize) -> impl Iterator<Item = [usize; 4]> {
        let whole = (pair < 15).then_some([pair / 3, pair % 3 * 5, 0, 5]);
        whole.into_iter().chain((0..5).filter(move |_| pair == 15).map(|bit| [bit, 15, bit, 1]))
    }
}

impl Unit<8> for Sixes {
    words!();

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

    fn pieces(pair: usize) -> impl Iterator<Item = [usize; 4]> {
        let [first, second] = match pair {
            6 => [[0, 12, 0, 4], [1, 12, 4, 2]],
            7 => [[1, 14, 0, 2], [2, 12, 2, 4]],
            _ => [[pair / 2, pair % 2 * 6, 0, 6], [0; 4]],
        };
        [first, second].into_iter()
    }
}

impl Unit<2> for Bytes {
    words!();

    #[inline(always)]
    fn each(&self, _: &[u8; 16], mut f: impl FnMut(usize, [I16x8; 2])) {
        let v = load(&self.0[0]);
        f(0, v.map(|v| v.bits::<0>(255)));
        f(1, v.map(|v| v.bits::<8>(255)));
    }

    fn pieces(pair: usize) -> impl Iterator<Item = [usize; 4]> {
        [[0, 8 * pair, 0, 8]].into_iter()
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
