//! How the weights of a GGUF are stored, by the file's name, and which of several is to be taken.

use serde::{Deserialize, Serialize};

use super::{Layout, held_bytes};
use crate::graph::DType;

/// A way to store weights, as names of files have it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub label: &'static str,
    /// What most of the weights then are; none of what is not computed here.
    pub dtype: Option<DType>,
    /// llama.cpp's number for it (`general.file_type`).
    file_type: Option<u32>,
}

const fn mark(label: &'static str, dtype: DType, file_type: Option<u32>) -> Mark {
    Mark { label, dtype: Some(dtype), file_type }
}

const fn foreign(label: &'static str) -> Mark {
    Mark { label, dtype: None, file_type: None }
}

/// In the order in which one would take them of a large model: four bits lose little and are read fastest, five and six take the room of eight on a GPU,
/// three and two lose much, and floats are large.
const MARKS: [Mark; 51] = [
    mark("Q4_K_M", DType::Q4_K, Some(15)),
    mark("Q4_K_L", DType::Q4_K, None),
    mark("Q4_K_XL", DType::Q4_K, None),
    mark("Q4_K_S", DType::Q4_K, Some(14)),
    mark("Q4_K", DType::Q4_K, None),
    mark("Q4_1", DType::Q4_1, Some(3)),
    mark("Q4_0", DType::Q4_0, Some(2)),
    mark("Q8_0", DType::Q8_0, Some(7)),
    mark("Q6_K", DType::Q6_K, Some(18)),
    mark("Q6_K_L", DType::Q6_K, None),
    mark("Q6_K_XL", DType::Q6_K, None),
    mark("Q5_K_M", DType::Q5_K, Some(17)),
    mark("Q5_K_L", DType::Q5_K, None),
    mark("Q5_K_XL", DType::Q5_K, None),
    mark("Q5_K_S", DType::Q5_K, Some(16)),
    mark("Q5_K", DType::Q5_K, None),
    mark("Q5_1", DType::Q5_1, Some(9)),
    mark("Q5_0", DType::Q5_0, Some(8)),
    mark("IQ4_NL", DType::IQ4_NL, Some(25)),
    mark("IQ4_XS", DType::IQ4_XS, Some(30)),
    mark("MXFP4_MOE", DType::MXFP4, Some(38)),
    mark("MXFP4", DType::MXFP4, None),
    mark("Q8_K_XL", DType::Q8_0, None),
    mark("F16", DType::F16, Some(1)),
    mark("FP16", DType::F16, None),
    mark("BF16", DType::BF16, Some(32)),
    mark("Q3_K_XL", DType::Q3_K, None),
    mark("Q3_K_L", DType::Q3_K, Some(13)),
    mark("Q3_K_M", DType::Q3_K, Some(12)),
    mark("Q3_K_S", DType::Q3_K, Some(11)),
    mark("Q3_K", DType::Q3_K, None),
    mark("F32", DType::F32, Some(0)),
    mark("Q2_K_L", DType::Q2_K, None),
    mark("Q2_K", DType::Q2_K, Some(10)),
    mark("Q2_K_S", DType::Q2_K, Some(21)),
    foreign("IQ1_S"),
    foreign("IQ1_M"),
    foreign("IQ2_XXS"),
    foreign("IQ2_XS"),
    foreign("IQ2_S"),
    foreign("IQ2_M"),
    foreign("IQ3_XXS"),
    foreign("IQ3_XS"),
    foreign("IQ3_S"),
    foreign("IQ3_M"),
    foreign("TQ1_0"),
    foreign("TQ2_0"),
    foreign("Q4_0_4_4"),
    foreign("Q4_0_4_8"),
    foreign("Q4_0_8_8"),
    foreign("NVFP4"),
];
/// Up to this size of a file its eight bits are worth their bytes: small models lose more by four, and read them fast enough.
const SMALL: u64 = 400 << 20;

/// How the weights of a file of this name are stored: by the longest mark in it that stands apart from letters and digits.
pub(super) fn of_name(path: &str) -> Option<&'static Mark> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_uppercase();
    let apart = |end: Option<char>| end.is_none_or(|c| !c.is_ascii_alphanumeric());
    let stands = |mark: &&Mark| {
        name.match_indices(mark.label)
            .any(|(at, label)| apart(name[..at].chars().next_back()) && apart(name[at + label.len()..].chars().next()))
    };
    MARKS.iter().filter(stands).max_by_key(|mark| mark.label.len())
}

/// The same by what stands in the file.
pub(super) fn of_file_type(number: u32) -> Option<&'static Mark> {
    MARKS.iter().find(|mark| mark.file_type == Some(number))
}

/// A file of a listing, or several that are one model's parts, by the name of the first.
#[derive(Debug, Clone, Deserialize)]
pub struct Listed {
    pub name: String,
    /// Of all parts.
    pub bytes: u64,
}

/// What is to be said of one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ranked {
    /// Which of those that were given.
    pub index: usize,
    pub quantization: Option<&'static str>,
    /// Whether weights stored so are computed here.
    pub runs: bool,
    /// Bytes of its weights on a device.
    pub weights: u64,
}

/// GGUFs of one model, the one to be taken first: of those that a device with so much `room` has room for the one that loses least for its size; then
/// those that it has no room for, the smallest first; at last what is not computed here.
pub fn rank(listed: &[Listed], layout: Layout, room: Option<u64>) -> Vec<Ranked> {
    let mut ranked: Vec<_> = listed
        .iter()
        .enumerate()
        .map(|(index, Listed { name, bytes })| {
            let mark = of_name(name);
            let dtype = mark.and_then(|mark| mark.dtype);
            let weights = dtype.map_or(*bytes, |dtype| held_bytes(dtype, *bytes, layout));
            let runs = mark.is_none_or(|mark| mark.dtype.is_some());
            let place = match mark {
                Some(mark) if mark.label == "Q8_0" && *bytes <= SMALL => 0,
                Some(mark) => 1 + MARKS.iter().position(|known| known == mark).unwrap_or(MARKS.len()) as u64,
                None => MARKS.len() as u64,
            };
            let group = if !runs { 2 } else { u8::from(room.is_some_and(|room| weights > room)) };
            let order = (group, if group == 0 { place } else { 0 }, *bytes);
            (order, Ranked { index, quantization: mark.map(|mark| mark.label), runs, weights })
        })
        .collect();
    ranked.sort_by_key(|(order, _)| *order);
    ranked.into_iter().map(|(_, ranked)| ranked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_how_weights_are_stored() {
        for (name, label) in [
            ("SmolLM2-135M-Instruct-Q4_K_M.gguf", Some("Q4_K_M")),
            ("smollm2-135m-instruct-q8_0.gguf", Some("Q8_0")),
            ("tinyllama.Q4_0.gguf", Some("Q4_0")),
            ("m-Q4_0_4_4.gguf", Some("Q4_0_4_4")),
            ("m-Q4_K_S-00001-of-00003.gguf", Some("Q4_K_S")),
            ("Q6_K/model.gguf", None),
            ("m-IQ4_XS.gguf", Some("IQ4_XS")),
            ("m.i1-IQ2_XXS.gguf", Some("IQ2_XXS")),
            ("m-BF16.gguf", Some("BF16")),
            ("m-f16-q6_k_l.gguf", Some("Q6_K_L")),
            ("model.gguf", None),
            ("mQ8_0x.gguf", None),
        ] {
            assert_eq!(of_name(name).map(|mark| mark.label), label, "{name}");
        }
    }

    #[test]
    fn no_label_and_no_number_stands_there_twice() {
        for (at, mark) in MARKS.iter().enumerate() {
            let others = &MARKS[at + 1..];
            assert!(others.iter().all(|other| other.label != mark.label), "{}", mark.label);
            assert!(mark.file_type.is_none() || others.iter().all(|other| other.file_type != mark.file_type));
            assert_eq!(of_name(mark.label), Some(mark), "{}", mark.label);
        }
        assert_eq!(of_file_type(15).unwrap().label, "Q4_K_M");
        assert_eq!(of_file_type(999), None);
    }

    fn best(listed: &[(&str, u64)], room: Option<u64>) -> Vec<usize> {
        let listed: Vec<_> =
            listed.iter().map(|(name, bytes)| Listed { name: (*name).into(), bytes: *bytes }).collect();
        rank(&listed, Layout::Gpu { scale_bits: 32 }, room).into_iter().map(|ranked| ranked.index).collect()
    }

    #[test]
    fn the_best_file_loses_little_and_fits() {
        const MB: u64 = 1 << 20;
        let large = [
            ("m-Q2_K.gguf", 500 * MB),
            ("m-F16.gguf", 2500 * MB),
            ("m-Q8_0.gguf", 1300 * MB),
            ("m-Q4_K_M.gguf", 800 * MB),
            ("m-IQ3_M.gguf", 600 * MB),
        ];
        assert_eq!(best(&large, None), [3, 2, 1, 0, 4]);
        // There Q2_K takes twelve bits and Q4_K six.
        assert_eq!(best(&large, Some(1000 * MB))[..2], [0, 3]);
        assert_eq!(best(&large, Some(1100 * MB))[0], 3);
        let small = [("m-Q4_K_M.gguf", 105 * MB), ("m-Q8_0.gguf", 145 * MB), ("m-F16.gguf", 270 * MB)];
        assert_eq!(best(&small, None), [1, 0, 2]);
    }

    #[test]
    fn a_file_whose_name_says_nothing_comes_before_what_does_not_run() {
        assert_eq!(best(&[("m-TQ1_0.gguf", 1), ("model.gguf", 5)], None), [1, 0]);
    }
}
