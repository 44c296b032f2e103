//! Which of the files that were given belong to the model.
//!
//! What people clone, drop and publish holds more than one model's weights: copies in other formats and precisions, adapters, projectors
//! of pictures, what a training left behind. Names tell them apart, as `transformers` and `diffusers` write them; where weights lie in
//! parts a `*.index.json` beside them has the last word. A file given alone is never passed over.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::{Error, Result};

/// Endings of files that hold weights.
const FORMATS: [&str; 7] = ["safetensors", "gguf", "bin", "pt", "pth", "ckpt", "npz"];
/// Beginnings of what is no part of a model, or of another format's: adapters, what a training goes on from, OpenVINO's numbers.
const STRAYS: [&str; 14] = [
    "adapter_model",
    "pytorch_lora_weights",
    "ggml-adapter",
    "training_args",
    "optimizer",
    "scheduler",
    "scaler",
    "rng_state",
    "random_states",
    "zero_pp_rank",
    "imatrix",
    "openvino",
    "mm_projector",
    "consolidated",
];

/// What a name says of a file of weights: `FOLDER/STEM[.VARIANT][-PART-of-PARTS][.VARIANT].FORMAT`.
struct Weights<'a> {
    name: &'a str,
    folder: &'a str,
    /// What copies of one model share: `model` and `pytorch_model` are the two spellings of `transformers`.
    family: &'a str,
    variant: &'a str,
    part: Option<Part<'a>>,
    format: &'static str,
}

/// Which part of how many, by its digits.
struct Part<'a> {
    digits: &'a str,
    number: usize,
    of: usize,
}

impl<'a> Weights<'a> {
    fn of(name: &'a str) -> Option<Self> {
        let (folder, file) = in_folder(name);
        let (rest, format) = file.rsplit_once('.')?;
        let format = FORMATS.into_iter().find(|known| format.eq_ignore_ascii_case(known))?;
        if format == "gguf" {
            let (family, part) = without_part(rest);
            return Some(Self { name, folder, family, variant: "", part, format });
        }
        // Older names have the variant behind the part.
        let (rest, late) = without_variant(rest);
        let (rest, part) = without_part(rest);
        let (stem, early) = without_variant(rest);
        let variant = if early.is_empty() { late } else { early };
        let family = if stem == "pytorch_model" { "model" } else { stem };
        Some(Self { name, folder, family, variant, part, format })
    }

    fn is_stray(&self) -> bool {
        let stem = self.family.to_ascii_lowercase();
        STRAYS.iter().any(|start| stem.starts_with(start)) || stem.contains("mmproj") || stem.contains("non_ema")
    }

    /// Whose copies it is among: files of one folder, format aside, but for GGUF.
    fn model(&self) -> (&'a str, &'a str, bool) {
        (self.folder, self.family, self.format == "gguf")
    }

    /// Format and precision; of copies of the same weights the least is taken.
    fn rank(&self) -> (&'static str, usize) {
        let rank = if self.format == "safetensors" { "" } else { self.format };
        (rank, preference(self.variant))
    }
}

fn in_folder(name: &str) -> (&str, &str) {
    name.rfind('/').map_or(("", name), |slash| name.split_at(slash + 1))
}

/// Half precision is enough, and half of the bytes.
fn preference(variant: &str) -> usize {
    ["fp16", "", "bf16", "fp32"].iter().position(|known| *known == variant).unwrap_or(4)
}

fn without_variant(stem: &str) -> (&str, &str) {
    let known = |(_, end): &(&str, &str)| !end.is_empty() && preference(end) < 4;
    stem.rsplit_once('.').filter(known).unwrap_or((stem, ""))
}

fn without_part(stem: &str) -> (&str, Option<Part<'_>>) {
    let split = || {
        let (rest, of) = stem.rsplit_once("-of-")?;
        let (stem, digits) = rest.rsplit_once('-')?;
        Some((stem, Part { digits, number: digits.parse().ok()?, of: of.parse().ok()? }))
    };
    split().map_or((stem, None), |(stem, part)| (stem, Some(part)))
}

/// Whether a file must be what its name says. Others that are nothing a model is made of are passed over.
pub(super) fn is_expected(name: &str) -> bool {
    Weights::of(name).is_some() || name.to_ascii_lowercase().ends_with(".json")
}

/// A `*.index.json`: the files that hold a model's weights.
pub(super) struct Index {
    name: String,
    /// Whose weights it speaks of: `model.fp16.safetensors` of `model.safetensors.index.fp16.json`.
    whole: String,
    /// Each with its folder.
    files: BTreeSet<String>,
}

impl Index {
    /// Whether a name is that of an index.
    pub fn is_one(name: &str) -> bool {
        name.contains(".index.") && name.ends_with(".json")
    }

    /// Errors: `corrupt-file` where it is none.
    pub fn read(name: &str, text: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Json {
            weight_map: BTreeMap<String, String>,
        }
        let Json { weight_map } = serde_json::from_slice(text).map_err(|e| {
            Error::corrupt_file(format!(
                "{name}: this does not say in which file each weight lies ({e}); fetch it again, or leave it out"
            ))
            .caused_by(e)
        })?;
        let (folder, _) = in_folder(name);
        let files = weight_map.into_values().map(|file| format!("{folder}{file}")).collect();
        let (whole, end) = name.rsplit_once(".index.").unwrap_or((name, ""));
        let variant = end.strip_suffix(".json").map(|variant| format!(".{variant}."));
        let whole = match (whole.rsplit_once('.'), variant) {
            (Some((stem, format)), Some(variant)) => format!("{stem}{variant}{format}"),
            _ => whole.into(),
        };
        Ok(Self { name: name.into(), whole, files })
    }
}

/// One way to have a model's weights: a file, or several.
struct Way<'a> {
    files: Vec<&'a str>,
    missing: Option<String>,
    /// The index that names the files.
    index: Option<&'a str>,
}

/// Whether each of `names` belongs to the model.
///
/// Errors: `bad-argument` that names a part which is not there.
pub(super) fn members(names: &[String], indexes: &[Index]) -> Result<Vec<bool>> {
    let weights: Vec<Weights> = names.iter().filter_map(|name| Weights::of(name)).collect();
    let mut left: BTreeSet<&str> = weights.iter().filter(|file| file.is_stray()).map(|file| file.name).collect();
    if weights.iter().all(Weights::is_stray) {
        left.clear();
    }
    let mut sets: BTreeMap<_, Vec<&Weights>> = BTreeMap::new();
    for file in weights.iter().filter(|file| !left.contains(file.name)) {
        let of = file.part.as_ref().map_or(0, |part| part.of);
        // Between 0, for what an index names, and whatever more parts there are.
        sets.entry((file.model(), file.rank(), 1 + of)).or_default().push(file);
    }
    // The ways of each folder and family, the best first.
    let mut families: BTreeMap<_, BTreeMap<_, Way>> = BTreeMap::new();
    for ((model, rank, layout), set) in &sets {
        let way = Way { files: set.iter().map(|file| file.name).collect(), missing: gap(set), index: None };
        families.entry(*model).or_default().insert((*rank, *layout), way);
    }
    for index in indexes {
        let Some(whole) = Weights::of(&index.whole) else { continue };
        let ways = families.entry(whole.model()).or_default();
        let (here, missing): (Vec<_>, Vec<_>) = index.files.iter().partition(|file| names.contains(file));
        // One that speaks of nothing that is there was left behind by another layout of the same weights.
        if !here.is_empty() || ways.is_empty() {
            let files = here.into_iter().map(String::as_str).collect();
            ways.insert(
                (whole.rank(), 0),
                Way { files, missing: missing.first().map(|name| (*name).clone()), index: Some(&index.name) },
            );
        }
    }
    for ways in families.values() {
        let taken = ways.values().find(|way| way.index.is_some() || way.missing.is_none());
        let Some(taken) = taken.or(ways.values().next()) else { continue };
        if let Some(missing) = &taken.missing {
            let witness = taken.index.or(taken.files.first().copied()).unwrap_or_default();
            return Err(Error::bad_argument(format!(
                "{missing} is missing: {witness} speaks of it; give all parts of the model"
            )));
        }
        left.extend(ways.values().flat_map(|way| &way.files));
        left.retain(|name| !taken.files.contains(name));
    }
    Ok(names.iter().map(|name| !left.contains(name.as_str())).collect())
}

/// The first part that a set lacks.
fn gap(set: &[&Weights]) -> Option<String> {
    let first = set.first()?;
    let Part { digits, of, .. } = first.part.as_ref()?;
    let has = |number| set.iter().any(|file| file.part.as_ref().is_some_and(|part| part.number == number));
    let missing = (1..=*of).find(|number| !has(*number))?;
    let width = digits.len();
    Some(first.name.replacen(&format!("-{digits}-of-"), &format!("-{missing:0width$}-of-"), 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    #[derive(Deserialize)]
    struct Listing {
        of: String,
        paths: Vec<String>,
        #[serde(default)]
        index: BTreeMap<String, Vec<String>>,
        files: Option<Vec<String>>,
        refused: Option<Vec<String>>,
    }

    fn read(index: (&String, &Vec<String>)) -> Index {
        let (folder, _) = in_folder(index.0);
        let map =
            index.1.iter().enumerate().map(|(i, file)| format!("\"w{i}\": {:?}", file.strip_prefix(folder).unwrap()));
        let text = format!("{{\"weight_map\": {{{}}}}}", map.collect::<Vec<_>>().join(","));
        Index::read(index.0, text.as_bytes()).unwrap()
    }

    /// The folders are the chooser's matter, which sees the whole listing (`www/pipeline.js`); here it is what lies beside the weights.
    #[test]
    fn of_what_lies_in_one_folder_the_models_weights_are_taken() {
        let listings: Vec<Listing> = serde_json::from_str(include_str!("../../tests/fixtures/listings.json")).unwrap();
        let mut compared = 0;
        for Listing { of, paths, index, files, refused } in &listings {
            let parts = ["unet/", "text_encoder/", "text_encoder_2/", "vae/"];
            let folders = if paths.iter().any(|path| path == "model_index.json") { &parts[..] } else { &[""] };
            let is_gguf = |path: &&String| path.ends_with(".gguf");
            let here = |path: &&String| folders.contains(&in_folder(path).0) && Weights::of(path).is_some();
            let gguf = paths.iter().any(|path| is_gguf(&path));
            let names: Vec<String> =
                paths.iter().filter(|path| if gguf { is_gguf(path) } else { here(path) }).cloned().collect();
            // Formats that are not chosen from a listing.
            let names: Vec<String> =
                names.into_iter().filter(|name| !name.ends_with(".pth") && !name.ends_with(".ckpt")).collect();
            let indexes: Vec<Index> = index.iter().map(read).collect();
            let found = members(&names, &indexes);
            let Some(files) = files else {
                let words = &refused.as_ref().unwrap()[0];
                if words.contains("missing") {
                    let error = found.unwrap_err();
                    assert_eq!(error.code(), ErrorCode::BadArgument, "{of}");
                    assert!(error.to_string().contains(words.as_str()), "{of}: {error}");
                    compared += 1;
                }
                continue;
            };
            let found = found.unwrap_or_else(|error| panic!("{of}: {error}"));
            let taken: BTreeSet<&String> =
                names.iter().zip(found).filter_map(|(name, is)| is.then_some(name)).collect();
            let wanted: BTreeSet<&String> = files.iter().filter(|file| Weights::of(file).is_some()).collect();
            // Weights of other names are other models, of which a listing gives one.
            let of_the_model = |name: &&&String| !name.starts_with("taesd_");
            assert_eq!(
                taken.iter().filter(of_the_model).collect::<Vec<_>>(),
                wanted.iter().collect::<Vec<_>>(),
                "{of}"
            );
            compared += 1;
        }
        assert!(compared > 20, "{compared} listings were compared");
    }

    #[test]
    fn a_stray_alone_is_taken_for_what_it_is() {
        let names = ["optimizer.bin".to_string(), "README.md".into()];
        assert_eq!(members(&names, &[]).unwrap(), [true, true]);
    }

    #[test]
    fn parts_are_counted_by_any_number_of_digits() {
        for (given, missing) in [
            ("m-1-of-3.gguf m-3-of-3.gguf", "m-2-of-3.gguf"),
            ("a/m-00001-of-00002.fp16.safetensors", "a/m-00002-of-00002.fp16.safetensors"),
            ("m-00002-of-00002.gguf", "m-00001-of-00002.gguf"),
        ] {
            let names: Vec<String> = given.split(' ').map(str::to_owned).collect();
            let error = members(&names, &[]).unwrap_err().to_string();
            assert!(error.contains(&format!("{missing} is missing")), "{error}");
        }
        for whole in ["tale-of-1.gguf", "part-of-me.gguf", "m-00001-of-00001.gguf", "m--of-.bin"] {
            assert_eq!(members(&[whole.to_string()], &[]).unwrap(), [true], "{whole}");
        }
    }

    #[test]
    fn what_is_no_index_says_so() {
        for text in ["", "{}", "{\"weight_map\": 7}", "version https://git-lfs.github.com/spec/v1"] {
            let error = Index::read("model.safetensors.index.json", text.as_bytes()).err().unwrap();
            assert_eq!(error.code(), ErrorCode::CorruptFile);
            assert!(error.to_string().contains("model.safetensors.index.json"), "{error}");
        }
    }
}
