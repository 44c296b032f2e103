//! A model's files taken together: formats told apart, headers read, tensors found by name.

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    address::file_name,
    contents::{Contents, Part, Prefix, TensorInfo, shown},
    encode, gguf,
    manifest::Manifest,
    members::{Index, is_expected, members},
    metadata::Metadata,
    npz, pytorch, safetensors,
    source::SharedSource,
    stand_in::StandIn,
    wrappers,
};
use crate::{Error, Result, graph::DType};

/// How a model's weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Gguf,
    /// Tensors by the names of the model's code, its configuration in JSON beside them: safetensors, PyTorch's own files, or NumPy's.
    StateDict,
    /// Named JSON files alone (a `tokenizer.json`), no weights.
    Json,
}

/// Says what a file knows of the tensor with this name: its type and its shape, outermost dimension first.
pub trait Tensors {
    fn tensor(&self, name: &str) -> Option<(DType, &[usize])>;

    /// The names that end so; none where they are not listed.
    fn names_ending(&self, _end: &str) -> Vec<&str> {
        vec![]
    }
}

impl Tensors for WeightFile {
    fn tensor(&self, name: &str) -> Option<(DType, &[usize])> {
        self.tensors.get(name).map(|t| (t.dtype, t.shape.as_slice()))
    }

    fn names_ending(&self, end: &str) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).filter(|name| name.ends_with(end)).collect()
    }
}

/// A model's files, opened: what they say, and where each tensor lies.
pub struct WeightFile {
    pub format: Format,
    /// Of the (first) GGUF; empty for a state dict, whose `config.json` is an [extra](Self::extra).
    pub metadata: Metadata,
    pub tensors: BTreeMap<String, TensorInfo>,
    /// By the names that they were given with, folders included.
    extras: BTreeMap<String, Vec<u8>>,
    parts: Vec<Part>,
}

/// Files beside weights that are no JSON but lists, line by line: a tokenizer's merges, its words, RWKV's tokens.
const LISTS: [&str; 3] = ["merges.txt", "vocab.txt", "rwkv_vocab_v20230424.txt"];

/// The folder of a pipeline's second text encoder, whose tensors go by the same names as the first's.
const SECOND_ENCODER: &str = "text_encoder_2";

/// What a file's first bytes say it is.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Gguf,
    Safetensors,
    PyTorch,
    Numpy,
    /// JSON, a list of lines (`merges.txt`), a chat template (`.jinja`) or a vocabulary of SentencePiece's: what is read as a whole.
    Whole,
}

fn kind(prefix: &Prefix) -> Result<Kind> {
    let bytes = prefix.bytes.as_slice();
    let name = &prefix.name;
    let advice = "give a GGUF, or a safetensors file with its config.json and tokenizer.json";
    let text_starts = |word: &str| {
        let text = bytes.trim_ascii_start();
        text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))
    };
    if let Some(other) = StandIn::of(bytes) {
        return Err(other.error(name));
    }
    if name.ends_with(".jinja") {
        // A chat template, which may begin with anything.
        return Ok(Kind::Whole);
    }
    if is_sentence_piece(name, bytes) {
        return Ok(Kind::Whole);
    }
    if bytes.starts_with(b"GGUF") {
        return Ok(Kind::Gguf);
    }
    if npz::is_one(bytes) {
        return Ok(Kind::Numpy);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(pytorch::LEGACY) {
        return Ok(Kind::PyTorch);
    }
    // The length of its header may begin as a text does; no text has zeros.
    let has_length = bytes.get(4..8) == Some(&[0; 4]);
    if bytes.get(8) == Some(&b'{') && (has_length || !text_starts("{")) {
        return Ok(Kind::Safetensors);
    }
    if text_starts("{") || text_starts("[") || LISTS.contains(&file_name(name)) {
        return match std::str::from_utf8(bytes) {
            // What was read may end amid a character.
            Err(error) if error.error_len().is_some() => Err(Error::corrupt_file(format!(
                "{name}: at byte {}: a text was to come, and these bytes are none; fetch the file again",
                error.valid_up_to()
            ))),
            _ => Ok(Kind::Whole),
        };
    }
    if let Some(other) = foreign(bytes) {
        return Err(Error::unsupported_model(format!(
            "{name}: this is {other}, and no format that Vitrine reads; {advice}"
        )));
    }
    Err(match bytes {
        [] => Error::corrupt_file(format!("{name}: the file is empty; fetch it again")),
        [0x80, 2..=5, ..] => Error::unsupported_model(format!(
            "{name}: this is a pickle, but none of torch.save's, neither of today nor from before 1.6; load it with what wrote it and save the model's state_dict() with torch.save, or {advice}"
        )),
        [b'l' | b't', b'm' | b'j', b'g', b'g', ..] => Error::unsupported_model(format!(
            "{name}: this is a GGML file from before GGUF; convert it with llama.cpp's scripts, or {advice}"
        )),
        _ if is_text(bytes) => Error::corrupt_file(format!("{name}: this is a text, and no model; {advice}")),
        _ => Error::corrupt_file(format!(
            "{name}: at byte 0: {} is the magic of no format that Vitrine reads; {advice}",
            bytes.iter().take(4).map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ")
        )),
    })
}

/// Whether a file is one of SentencePiece's, by its name and the byte that its first piece begins with. A `tokenizer.model` may be tiktoken's, too.
fn is_sentence_piece(name: &str, bytes: &[u8]) -> bool {
    (name.ends_with(".model") || name.ends_with(".spm")) && bytes.first() == Some(&0x0A)
}

/// What a file of another format is, by its first bytes.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    let known: [(usize, &[u8], &str); 13] = [
        (0, b"\x89PNG", "a picture (PNG)"),
        (0, b"\xff\xd8\xff", "a picture (JPEG)"),
        (0, b"GIF8", "a picture (GIF)"),
        (8, b"WEBP", "a picture (WebP)"),
        (0, b"%PDF", "a document (PDF)"),
        (0, b"\x1f\x8b", "compressed (gzip): unpack it first"),
        (0, b"\x28\xb5\x2f\xfd", "compressed (zstd): unpack it first"),
        (0, b"7z\xbc\xaf", "compressed (7z): unpack it first"),
        (0, b"BZh", "compressed (bzip2): unpack it first"),
        (257, b"ustar", "an archive (tar): unpack it first"),
        (0, b"\x89HDF", "a model of Keras (HDF5)"),
        (4, b"TFL3", "a model of TensorFlow Lite"),
        (0, b"\0asm", "a WebAssembly module"),
    ];
    let found = known.iter().find(|(at, magic, _)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    // A protobuf whose first field is ONNX's version, and whose second tells who wrote it.
    let onnx = matches!(bytes, [0x08, 1..=0x20, 0x12, ..]);
    found.map(|(.., what)| *what).or(onnx.then_some("an ONNX model"))
}

/// Whether a GGUF is one part of a pipeline, as ComfyUI's are, so that the others come in other formats.
fn is_part_of_pipeline((_, contents): &(Prefix, Contents)) -> bool {
    const DENOISERS: [&str; 4] = ["sd1", "sdxl", "sd3", "flux"];
    let architecture = contents.metadata.get("general.architecture");
    matches!(architecture, Ok(Some(name)) if DENOISERS.contains(&name))
}

impl WeightFile {
    /// Opens a single file.
    pub async fn open(source: SharedSource) -> Result<Self> {
        Self::open_parts(vec![source]).await
    }

    /// Opens the files of one model: a GGUF (or all its `-00001-of-0000N` parts, in any order), or files of safetensors, of PyTorch
    /// (`torch.save` of a state dict) or of NumPy (`savez`), or the raw ones that a `manifest.json` lists, with the JSON files that belong to them.
    ///
    /// What lies beside a model in its folder may be given too and is passed over: copies of its weights (a `*.index.json` says which are
    /// the model; else safetensors before PyTorch's, half precision before others), adapters, projectors, what a training left, texts.
    /// Names of tensors lose what a wrapper put before them (`_orig_mod.`, `module.`); those of a file in a folder `text_encoder_2`, which repeat the
    /// names of `text_encoder`, get the folder's before them (`text_encoder_2.`).
    ///
    /// Errors: `corrupt-file` with the place in the file where it stops making sense, `unsupported-model` for
    /// formats and quantisations that Vitrine does not read (pickles of whole modules, and compressed archives among
    /// them) and for adapters, `bad-argument` for parts that do not belong together or lack another, which is named, and whatever the
    /// sources say.
    pub async fn open_parts(sources: Vec<SharedSource>) -> Result<Self> {
        let several = sources.len() > 1;
        let mut gguf = vec![];
        let mut named = vec![];
        let mut extras = BTreeMap::new();
        let sources = Self::members(sources).await?;
        let manifest = Self::manifest(&sources).await?;
        for source in sources {
            let mut prefix = Prefix::open(source).await?;
            if let Some(contents) = manifest.contents(&prefix)? {
                named.push((prefix, contents));
                continue;
            }
            let kind = match kind(&prefix) {
                Err(_) if several && !is_expected(&prefix.name) => continue,
                kind => kind?,
            };
            match kind {
                Kind::Gguf => {
                    let contents = gguf::read(&mut prefix).await?;
                    gguf.push((prefix, contents));
                }
                Kind::Safetensors => {
                    let contents = safetensors::read(&mut prefix).await?;
                    named.push((prefix, contents));
                }
                Kind::PyTorch => {
                    // In a box of its own, so that the others' futures need no room for it.
                    let contents = Box::pin(pytorch::read(&mut prefix)).await?;
                    named.push((prefix, contents));
                }
                Kind::Numpy => {
                    let contents = Box::pin(npz::read(&mut prefix)).await?;
                    named.push((prefix, contents));
                }
                Kind::Whole => {
                    let name = prefix.name.clone();
                    if extras.insert(name.clone(), prefix.whole_text().await?).is_some() {
                        return Err(Error::bad_argument(format!("{name} was given twice; give each file once")));
                    }
                    continue;
                }
            }
            if let (true, Some((prefix, _))) = (several, gguf.last().or(named.last())) {
                prefix.source.release();
            }
        }
        let (format, opened) = match (gguf.is_empty(), named.is_empty()) {
            (false, true) => (Format::Gguf, gguf::in_order(gguf)?),
            (true, false) => (Format::StateDict, named),
            (false, false) if gguf.iter().all(is_part_of_pipeline) => {
                (Format::StateDict, named.into_iter().chain(gguf).collect())
            }
            (true, true) if !extras.is_empty() => (Format::Json, vec![]),
            (true, true) => {
                return Err(Error::bad_argument("no file was given; give a GGUF, safetensors or PyTorch file"));
            }
            (false, false) => {
                return Err(Error::bad_argument(
                    "GGUF and other weights were given together; give the files of one model",
                ));
            }
        };
        let mut file = Self { format, metadata: Metadata::default(), tensors: BTreeMap::new(), extras, parts: vec![] };
        for (index, (prefix, contents)) in opened.into_iter().enumerate() {
            file.add(index, prefix, contents)?;
        }
        Ok(file)
    }

    /// The sources of what belongs to the model. An index is read here, and is of no use afterwards.
    async fn members(sources: Vec<SharedSource>) -> Result<Vec<SharedSource>> {
        let (indexes, sources): (Vec<_>, Vec<_>) =
            sources.into_iter().partition(|source| Index::is_one(&source.name()));
        let mut read = vec![];
        for source in indexes {
            let prefix = Prefix::open(source).await?;
            kind(&prefix)?;
            let name = prefix.name.clone();
            read.push(Index::read(&name, &prefix.whole_text().await?)?);
        }
        let names: Vec<String> = sources.iter().map(|source| source.name()).collect();
        let belongs = members(&names, &read)?;
        Ok(sources.into_iter().zip(belongs).filter_map(|(source, belongs)| belongs.then_some(source)).collect())
    }

    /// What a `manifest.json` lists; nothing where there is none.
    async fn manifest(sources: &[SharedSource]) -> Result<Manifest> {
        let Some(source) = sources.iter().find(|source| Manifest::may_be(&source.name())) else {
            return Ok(Manifest::default());
        };
        let prefix = Prefix::open(source.clone()).await?;
        let name = prefix.name.clone();
        let manifest = Manifest::read(&name, &prefix.whole_text().await?)?.unwrap_or_default();
        let names: Vec<String> = sources.iter().map(|source| source.name()).collect();
        manifest.check_whole(&names)?;
        Ok(manifest)
    }

    fn add(&mut self, index: usize, prefix: Prefix, mut contents: Contents) -> Result<()> {
        if index == 0 {
            self.metadata = contents.metadata;
        }
        if self.format == Format::StateDict {
            wrappers::take_off(&prefix.name, &mut contents.tensors)?;
            if prefix.name.rsplit('/').nth(1) == Some(SECOND_ENCODER) {
                contents.tensors.iter_mut().for_each(|tensor| tensor.name.insert_str(0, &format!("{SECOND_ENCODER}.")));
            }
        }
        for mut tensor in contents.tensors {
            tensor.part = index;
            if let Some(first) = self.tensors.get(&tensor.name) {
                return Err(Error::corrupt_file(format!(
                    "{}: tensor {} is in {} too; give each part of the model once",
                    prefix.name,
                    shown(&tensor.name),
                    self.parts.get(first.part).map_or_else(String::new, |p| p.source.name())
                )));
            }
            self.tensors.insert(tensor.name.clone(), tensor);
        }
        self.parts.push(Part::new(prefix.source, prefix.bytes, contents.data_start));
        Ok(())
    }

    /// A text or a vocabulary that was given beside the weights, by its name without folders; where several folders hold one of that name, by the
    /// folder and the name.
    pub fn extra(&self, name: &str) -> Option<&[u8]> {
        let fits = |key: &str| key == name || key.strip_suffix(name).is_some_and(|folder| folder.ends_with('/'));
        let mut fitting = self.extras.iter().filter(|(key, _)| fits(key));
        match (fitting.next(), fitting.next()) {
            (Some((_, bytes)), None) => Some(bytes),
            _ => self.extras.get(name).map(Vec::as_slice),
        }
    }

    /// The same, parsed; one that is no JSON is an error with the code `corrupt-file`.
    pub fn extra_json(&self, name: &str) -> Result<Option<serde_json::Value>> {
        self.extra(name).map(|bytes| json(name, bytes)).transpose()
    }

    /// The `config.json` of a part of a pipeline, by its class in diffusers (`_class_name`) or transformers (`architectures`), and its text; or
    /// the only one there is, where it names no class.
    pub fn config_of_class(&self, class: &str) -> Result<Option<(serde_json::Value, Cow<'_, str>)>> {
        let configs = self.extras.iter().filter(|(name, _)| file_name(name) == "config.json");
        let configs: Vec<_> = configs
            .map(|(name, bytes)| Ok((json(name, bytes)?, String::from_utf8_lossy(bytes))))
            .collect::<Result<_>>()?;
        let alone = configs.len() == 1;
        Ok(configs.into_iter().find(|(config, _)| {
            let named = [&config["_class_name"], &config["architectures"][0]];
            named.iter().any(|name| **name == class) || (alone && named.iter().all(|name| name.is_null()))
        }))
    }

    /// The names of the texts and vocabularies beside the weights.
    pub fn extras(&self) -> impl Iterator<Item = &str> {
        self.extras.keys().map(String::as_str)
    }

    /// A tensor by name; a missing one is an error with the code `corrupt-file`.
    pub fn tensor(&self, name: &str) -> Result<&TensorInfo> {
        self.tensors.get(name).ok_or_else(|| {
            Error::corrupt_file(format!(
                "the file holds no tensor {name}, which its architecture needs; some part of the model is missing"
            ))
        })
    }

    /// The names of the files that hold weights.
    pub fn part_names(&self) -> impl Iterator<Item = String> {
        self.parts.iter().map(|p| p.source.name())
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The bytes of a tensor as the file stores them.
    pub async fn read_tensor(&self, name: &str) -> Result<Vec<u8>> {
        let tensor = self.tensor(name)?;
        let end = tensor.offset.saturating_add(tensor.bytes);
        match self.parts.get(tensor.part) {
            Some(part) => part.read(tensor.offset..end).await,
            None => Err(Error::internal(format!("tensor {name} lies in a part that is not there"))),
        }
    }

    /// The values of a tensor, row-major, whatever it is stored as.
    pub async fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        encode::decode(name, self.tensor(name)?.dtype, &self.read_tensor(name).await?)
    }
}

/// Whether all of the first bytes are a text's.
fn is_text(bytes: &[u8]) -> bool {
    let beginning = bytes.get(..64).unwrap_or(bytes);
    beginning.len() > 3 && beginning.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~'))
}

fn json(name: &str, bytes: &[u8]) -> Result<serde_json::Value> {
    // Editors of Windows begin a text with a mark of their own.
    serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
        .map_err(|e| Error::corrupt_file(format!("{name}: this is not JSON ({e}); fetch it again")).caused_by(e))
}
