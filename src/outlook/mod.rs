//! What can be said of a model before it is fetched: whether it runs, what it would take on a device.
//!
//! ```text
//! names and sizes ── rank ──▶ the best file ── its first bytes, its config.json ──▶ Outlook
//! ```
//!
//! Pure arithmetic over what a listing and a few first bytes say; who fetches those is not known here. Where a header is complete, every weight is
//! looked at as a load would. A GGUF's tensors stand behind its vocabulary, megabytes away: as long as they were not read, the configuration in front of
//! it says what it is, and the file's name how its weights are stored. Uses `models`, `text`, `image` and `weights`.

mod marks;

use std::{ops::Range, rc::Rc};

use async_trait::async_trait;
use serde::Serialize;

pub use marks::{Listed, Ranked, rank};

use crate::{
    Error, ErrorCode, Result,
    backend::DeviceInfo,
    graph::{DType, Graph},
    image::{Autoencoder, Design, ImageModel, check_class},
    models::{EncoderConfig, EncoderDecoder, illustrator, language::LanguageConfig},
    text::{Encoder, find_encoder, find_model, usual_context},
    weights::{ByteSource, Glance, Metadata, SharedSource, Storage, Tensors, WeightFile},
};

/// The first bytes of a file, or all of them.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// From the repository's folder on.
    pub name: String,
    /// Of the whole file.
    pub len: u64,
    pub bytes: Vec<u8>,
}

#[async_trait(?Send)]
impl ByteSource for Beginning {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn len(&self) -> Result<u64> {
        Ok(self.len)
    }

    async fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let part = match (usize::try_from(range.start), usize::try_from(range.end)) {
            (Ok(start), Ok(end)) => self.bytes.get(start..end),
            _ => None,
        };
        part.map(<[u8]>::to_vec).ok_or_else(|| {
            Error::corrupt_file(format!(
                "{}: its header does not end within the {} bytes that were looked at; take another file",
                self.name,
                self.bytes.len()
            ))
        })
    }

    fn first_read(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// What a model is, and what it would take.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outlook {
    /// `"text"`, `"encoder"`, `"image"`, `"autoencoder"` or `"generator"`.
    pub kind: &'static str,
    pub architecture: String,
    /// Numbers of all weights, where every one was looked at.
    pub parameters: Option<u64>,
    /// As names of files have it where such a name told it, or says the same as the weights; else the type that most of the weights have.
    pub quantization: Option<String>,
    /// Whether the list of its weights was read; else its name says how they are stored, if anything does.
    pub weighed: bool,
    /// The type that most of the weights have, where it is known.
    pub stored_as: Option<String>,
    /// Tokens that the model was made for.
    pub context_length: Option<usize>,
    /// Bytes of the weights in their files.
    pub stored: u64,
    /// Bytes on the device.
    pub weights: u64,
    /// Those of the caches, with room for as many tokens as where a caller does not say.
    pub caches: u64,
    /// Of an autoencoder or a generator: pixels of a side for each of the latent's, 0 where that is a vector, and whether it decodes.
    pub factor: Option<usize>,
    pub decodes: Option<bool>,
}

/// How a device lays quantised weights out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// About as small as in a file.
    Cpu,
    /// Nibbles or bytes, with scales of so many bits apart.
    Gpu { scale_bits: u64 },
}

impl Layout {
    /// Hardware that runs WebGPU keeps half of a scale's bits.
    pub fn of(device: &DeviceInfo) -> Self {
        match device.kind {
            "webgpu" => Self::Gpu { scale_bits: if device.software { 32 } else { 16 } },
            _ => Self::Cpu,
        }
    }
}

/// The bytes that `bytes` of a file take on a device.
pub fn held_bytes(dtype: DType, bytes: u64, layout: Layout) -> u64 {
    let Some(quants) = dtype.quants() else { return bytes };
    let Layout::Gpu { scale_bits } = layout else { return vitrine_kernels::matrix::held_bytes(dtype, bytes) };
    let group = quants.group as u64;
    let scales = scale_bits * (1 + u64::from(quants.offset));
    let held = group * if quants.nibbles { 4 } else { 8 } + scales;
    let stored = 8 * dtype.block_bytes() as u64 * group / dtype.block_size() as u64;
    (bytes as f64 * held as f64 / stored.max(1) as f64) as u64
}

impl Outlook {
    /// From the beginnings of all files of a model; of a pipeline's weights, and of those that lie behind the first of a GGUF as long as their headers are
    /// not asked after, the sizes are enough. `None` where the bytes end before they say what is needed.
    ///
    /// Errors: `unsupported-model` and `corrupt-file`, as a load would end.
    pub async fn of(files: Vec<Beginning>, layout: Layout) -> Result<Option<Self>> {
        let is_weights = |file: &&Beginning| !file.name.ends_with(".json");
        let stored = files.iter().filter(is_weights).map(|file| file.len).sum();
        if let Some(index) = files.iter().find(|file| file.name == "model_index.json") {
            return Self::of_pipeline(&index.bytes, stored).map(Some);
        }
        match files.iter().find(is_weights) {
            Some(first) if first.name.to_ascii_lowercase().ends_with(".gguf") => {
                let parts = files.into_iter().filter(|file| file.name.to_ascii_lowercase().ends_with(".gguf"));
                Self::of_gguf(parts.collect(), stored, layout).await
            }
            // PyTorch's own have their directory at the end.
            Some(first) if !first.name.ends_with(".safetensors") => Self::of_config(&files, stored).map(Some),
            _ => Self::of_state_dict(files, stored, layout).await.map(Some),
        }
    }

    /// By what a `config.json` says alone: no caches of what reads one text and writes another.
    fn of_config(files: &[Beginning], stored: u64) -> Result<Self> {
        let config = files.iter().find(|file| file.name == "config.json").ok_or_else(|| {
            Error::unsupported_model("there is no config.json beside its weights; take a repository that has one")
        })?;
        let text = String::from_utf8_lossy(&config.bytes);
        let json: serde_json::Value = serde_json::from_str(&text)
            .map_err(|e| Error::corrupt_file("config.json is not JSON; take another repository").caused_by(e))?;
        if EncoderConfig::is_known(&json) {
            let config = EncoderConfig::from_hugging_face(&text)?;
            let context_length = Some(config.context_length);
            return Ok(Self { context_length, ..Self::plain("encoder", config.family.name().into(), stored) });
        }
        if EncoderDecoder::is_one(&json) {
            let architecture = json["model_type"].as_str().unwrap_or_default();
            return Ok(Self::plain("text", architecture.into(), stored));
        }
        let config = LanguageConfig::from_hugging_face(&text)?;
        let context_length = config.trained_context();
        let caches = config.cache_bytes(usual_context(context_length));
        Ok(Self { context_length, caches, ..Self::plain("text", config.architecture.into(), stored) })
    }

    fn of_pipeline(index: &[u8], stored: u64) -> Result<Self> {
        let index: serde_json::Value = serde_json::from_slice(index)
            .map_err(|e| Error::corrupt_file("model_index.json is not JSON; take another repository").caused_by(e))?;
        let class = index["_class_name"].as_str().unwrap_or_default();
        check_class(class)?;
        Ok(Self::plain("image", class.into(), stored))
    }

    async fn of_gguf(parts: Vec<Beginning>, stored: u64, layout: Layout) -> Result<Option<Self>> {
        let glance = |part: &Beginning| Glance::of(&part.name, &part.bytes, part.len);
        let Some(first) = parts.first() else { return Ok(None) };
        let Glance { metadata, tokens, is_all, is_whole } = glance(first)?;
        let written = metadata.get::<u32>("general.file_type")?.and_then(marks::of_file_type);
        let named = marks::of_name(&first.name);
        // Each of several parts has a list of its own.
        if is_whole && parts[1..].iter().all(|part| glance(part).is_ok_and(|glance| glance.is_whole)) {
            let known = Self::of_state_dict(parts, stored, layout).await?;
            // A mix is called by its mark, as far as that is true of most of its weights.
            let is_true = |mark: &&marks::Mark| mark.dtype.map(|dtype| dtype.to_string()) == known.stored_as;
            let mark = written.into_iter().chain(named).find(is_true);
            let quantization = mark.map(|mark| mark.label.to_owned()).or(known.quantization);
            return Ok(Some(Self { quantization, ..known }));
        }
        let Some(architecture) = metadata.get::<&str>("general.architecture")? else { return Ok(None) };
        let mark = named.or(written);
        if let Some(mark) = mark.filter(|mark| mark.dtype.is_none()) {
            return Err(Error::unsupported_model(format!(
                "its weights are stored as {}, which Vitrine does not compute; take the model in Q4_0, Q8_0, Q4_K_M, Q5_K_M, Q6_K or F16",
                mark.label
            )));
        }
        let dtype = mark.and_then(|mark| mark.dtype);
        let known = |kind| Self {
            quantization: mark.map(|mark| mark.label.to_owned()),
            stored_as: dtype.map(|dtype| dtype.to_string()),
            weights: dtype.map_or(stored, |dtype| held_bytes(dtype, stored, layout)),
            ..Self::plain(kind, architecture.into(), stored)
        };
        if architecture == illustrator::ARCHITECTURE || EncoderConfig::is_known_gguf(architecture) {
            let kind = if architecture == illustrator::ARCHITECTURE { "image" } else { "encoder" };
            return Ok(Some(known(kind)));
        }
        if tokens.is_none() && !is_all {
            return Ok(None);
        }
        match LanguageConfig::from_gguf(&metadata, &Vocabulary::of(&metadata, architecture, tokens)?) {
            Ok(config) => Ok(Some(Self {
                context_length: config.trained_context(),
                caches: config.cache_bytes(usual_context(config.trained_context())),
                ..known("text")
            })),
            // What is missing may stand behind the vocabulary.
            Err(error) if !is_all && error.code() == ErrorCode::CorruptFile => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn of_state_dict(files: Vec<Beginning>, stored: u64, layout: Layout) -> Result<Self> {
        let sources = files.into_iter().map(|file| Rc::new(file) as SharedSource).collect();
        let file = WeightFile::open_parts(sources).await?;
        let summary = file.summary();
        let known = Self {
            parameters: Some(summary.parameters),
            quantization: Some(summary.quantization.clone()),
            stored_as: Some(summary.quantization),
            weighed: true,
            ..Self::plain("text", String::new(), stored)
        };
        if file.metadata.get("general.architecture")? == Some(illustrator::ARCHITECTURE) {
            return Ok(Self { kind: "image", architecture: illustrator::ARCHITECTURE.into(), ..known });
        }
        if ImageModel::is_one(&file) {
            return Err(Error::unsupported_model(
                "this checkpoint of a text-to-image model brings no vocabulary; take a folder of diffusers",
            ));
        }
        if Encoder::is_one(&file) {
            let model = find_encoder(&file, Storage::Keep)?;
            let (weights, _) = taken(&model.whole()?, layout);
            let (architecture, context_length) =
                (model.config().family.name().into(), Some(model.config().context_length));
            return Ok(Self { kind: "encoder", architecture, context_length, weights, ..known });
        }
        if Autoencoder::is_one(&file) {
            let Design { kind, architecture, factor, decodes } = Autoencoder::design(&file)?;
            let (factor, decodes) = (Some(factor), Some(decodes));
            return Ok(Self { kind, architecture: architecture.into(), factor, decodes, ..known });
        }
        let model = find_model(&file, Storage::Keep)?;
        let (weights, caches) = taken(&model.whole()?, layout);
        let (architecture, context_length) = (model.architecture().into(), model.context_length());
        Ok(Self { architecture, context_length, weights, caches, ..known })
    }

    /// Of weights that take on a device what they do in their files.
    fn plain(kind: &'static str, architecture: String, stored: u64) -> Self {
        Self {
            kind,
            architecture,
            parameters: None,
            quantization: None,
            weighed: false,
            stored_as: None,
            context_length: None,
            stored,
            weights: stored,
            caches: 0,
            factor: None,
            decodes: None,
        }
    }
}

/// Bytes that the weights and the states of a graph take.
fn taken(graph: &Graph, layout: Layout) -> (u64, u64) {
    let product = |shape: &[usize]| shape.iter().map(|side| *side as u64).product::<u64>();
    let weights = graph.weights.iter().map(|weight| {
        let stored =
            product(&weight.shape) as f64 * weight.dtype.block_bytes() as f64 / weight.dtype.block_size() as f64;
        held_bytes(weight.dtype, stored as u64, layout)
    });
    (weights.sum(), graph.states.iter().map(|state| 4 * product(&state.shape)).sum())
}

/// The one tensor by whose rows a configuration counts its tokens, where the index was not read.
struct Vocabulary([usize; 2]);

impl Vocabulary {
    fn of(metadata: &Metadata, architecture: &str, tokens: Option<usize>) -> Result<Option<Self>> {
        let tokens = match tokens {
            None => metadata.get(&format!("{architecture}.vocab_size"))?,
            some => some,
        };
        let width = metadata.get(&format!("{architecture}.embedding_length"))?;
        Ok(tokens.zip(width).map(|(tokens, width)| Self([tokens, width])))
    }
}

impl Tensors for Option<Vocabulary> {
    fn tensor(&self, name: &str) -> Option<(DType, &[usize])> {
        self.as_ref().filter(|_| name == "token_embd.weight").map(|Vocabulary(shape)| (DType::F32, shape.as_slice()))
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::{fs, path::Path};

    use pollster::block_on;

    use super::*;
    use crate::{
        backend::{Device, cpu},
        models::LanguageModel,
        weights::MemorySource,
    };

    fn fixture(path: &str) -> Vec<u8> {
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)).unwrap()
    }

    fn beginning(name: &str, bytes: &[u8], of: usize) -> Beginning {
        Beginning { name: name.into(), len: bytes.len() as u64, bytes: bytes[..of.min(bytes.len())].to_vec() }
    }

    fn outlook(files: Vec<Beginning>) -> Result<Option<Outlook>> {
        block_on(Outlook::of(files, Layout::Cpu))
    }

    fn opened(name: &str, bytes: Vec<u8>) -> WeightFile {
        block_on(WeightFile::open(Rc::new(MemorySource::new(name, bytes)))).unwrap()
    }

    /// The caches of a configuration are the states of the graph that it makes.
    #[test]
    fn the_beginning_of_a_gguf_says_what_its_graph_will_take() {
        for family in ["llama", "qwen3", "gpt2", "gemma3"] {
            let name = format!("tiny_{family}.gguf");
            let bytes = fixture(&name);
            let file = opened(&name, bytes.clone());
            let model = LanguageModel::from_gguf(&file.metadata, &file, Storage::Keep).unwrap();
            let trained = model.config().context_length;
            let graph = model.with_capacity(usual_context(Some(trained))).decode().unwrap();
            let states = graph.states.iter().filter(|state| state.name.starts_with("cache"));
            let caches: u64 = states.map(|state| 4 * state.shape.iter().product::<usize>() as u64).sum();
            // Far less than the header, in which the vocabulary stands.
            let known = (1..)
                .map(|n| n * 256)
                .find_map(|n| outlook(vec![beginning(&name, &bytes, n)]).unwrap().map(|o| (n, o)));
            let (read, known) = known.unwrap();
            assert!(read < 4096 && read < bytes.len() / 4, "{name}: {read} bytes were read");
            assert_eq!((known.kind, known.architecture.as_str()), ("text", family));
            assert_eq!((known.caches, known.context_length), (caches, Some(trained)), "{name}");
            assert!(!known.weighed && known.parameters.is_none(), "{name}: {known:?}");
        }
    }

    #[test]
    fn a_ggufs_own_list_says_how_its_weights_are_stored_whatever_its_name_does() {
        for family in ["llama", "qwen3", "gpt2", "gemma3"] {
            let bytes = fixture(&format!("tiny_{family}.gguf"));
            let file = opened("tiny.gguf", bytes.clone());
            let known = outlook(vec![beginning("tiny-Q4_K_M.gguf", &bytes, usize::MAX)]).unwrap().unwrap();
            let summary = file.summary();
            assert!(known.weighed && known.parameters == Some(summary.parameters), "{family}: {known:?}");
            assert_eq!(known.quantization.as_ref(), Some(&summary.quantization), "{family}");
            let (_, caches) = taken(&find_model(&file, Storage::Keep).unwrap().whole().unwrap(), Layout::Cpu);
            assert!(known.weights > 0 && known.caches == caches, "{family}: {known:?}");
            // With the list cut short the name is all there is to go by.
            let whole = (bytes.len() as u64 - summary.weight_bytes) as usize;
            let less = outlook(vec![beginning("tiny-Q4_K_M.gguf", &bytes, whole / 2)]).unwrap();
            let less = less.expect("a configuration");
            assert_eq!((less.weighed, less.quantization.as_deref()), (false, Some("Q4_K_M")), "{family}");
        }
    }

    #[test]
    fn a_mix_keeps_its_name_where_most_of_its_weights_are_so() {
        let bytes =
            fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/storyteller/storyteller-q8_0.gguf")).unwrap();
        for (name, wanted) in [("m-Q8_0.gguf", "Q8_0"), ("m-Q8_K_XL.gguf", "Q8_0"), ("m-IQ2_XXS.gguf", "Q8_0")] {
            let known = outlook(vec![beginning(name, &bytes, usize::MAX)]).unwrap().unwrap();
            assert_eq!((known.quantization.as_deref(), known.weighed), (Some(wanted), true), "{name}");
        }
    }

    #[test]
    fn safetensors_are_found_whole_by_their_header_and_configuration() {
        for (folder, kind, architecture) in [
            ("tiny_llama", "text", "llama"),
            ("families/lfm2", "text", "lfm2"),
            ("encoders/bert/embed", "encoder", "bert"),
        ] {
            let bytes = fixture(&format!("{folder}/model.safetensors"));
            let header = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
            let config = fixture(&format!("{folder}/config.json"));
            let files = |head| {
                vec![beginning("config.json", &config, usize::MAX), beginning("model.safetensors", &bytes, head)]
            };
            let known = outlook(files(header)).unwrap().unwrap();
            assert_eq!((known.kind, known.architecture.as_str()), (kind, architecture));
            let file = opened("model.safetensors", bytes.clone());
            assert_eq!(known.parameters, Some(file.summary().parameters));
            let near = (known.weights as f64 / file.summary().weight_bytes as f64 - 1.0).abs() < 0.1;
            assert!(near, "{folder}: {} and {}", known.weights, file.summary().weight_bytes);
            assert_eq!(known.caches > 0, kind == "text");
            assert_eq!(outlook(files(header - 1)).unwrap_err().code(), ErrorCode::CorruptFile);
        }
    }

    /// A page that walks in a latent goes by its factor.
    #[test]
    fn an_autoencoder_is_told_by_its_design_and_by_what_its_latent_is() {
        for (path, kind, architecture, factor) in [
            ("generators/vae/vae.safetensors", "autoencoder", "VAE", 0),
            ("pictures/dcgan/generator.safetensors", "generator", "DCGAN", 0),
            ("tiny_sdxl/vae/diffusion_pytorch_model.safetensors", "autoencoder", "AutoencoderKL", 2),
        ] {
            let folder = Path::new(path).parent().unwrap();
            let mut files = vec![beginning("model.safetensors", &fixture(path), usize::MAX)];
            if architecture == "AutoencoderKL" {
                let config = fixture(folder.join("config.json").to_str().unwrap());
                files.push(beginning("config.json", &config, usize::MAX));
            }
            let known = outlook(files).unwrap().unwrap();
            assert_eq!((known.kind, known.architecture.as_str(), known.weighed), (kind, architecture, true), "{path}");
            assert_eq!((known.factor, known.decodes), (Some(factor), Some(true)), "{path}");
        }
    }

    #[test]
    fn of_pytorchs_own_files_the_configuration_speaks() {
        let config = fixture("tiny_llama/config.json");
        let weights = Beginning { name: "pytorch_model.bin".into(), len: 5000, bytes: vec![0; 64] };
        let known = outlook(vec![beginning("config.json", &config, usize::MAX), weights.clone()]).unwrap().unwrap();
        assert_eq!((known.kind, known.architecture.as_str(), known.weights), ("text", "llama", 5000));
        assert!(known.caches > 0 && known.parameters.is_none());
        assert_eq!(outlook(vec![weights]).unwrap_err().code(), ErrorCode::UnsupportedModel);
    }

    #[test]
    fn what_does_not_run_says_why_as_a_load_would() {
        let why = |files| {
            let error = outlook(files).unwrap_err();
            assert_eq!(error.code(), ErrorCode::UnsupportedModel, "{error}");
            error.to_string()
        };
        let bytes = fixture("tiny_llama.gguf");
        assert!(why(vec![beginning("m-IQ2_XS.gguf", &bytes, 4096)]).contains("IQ2_XS"));
        let position = bytes.windows(5).position(|five| five == b"llama").unwrap();
        let mut other = bytes;
        other[position..position + 5].copy_from_slice(b"jamba");
        assert!(why(vec![beginning("m.gguf", &other, 4096)]).contains("jamba"));
        let config = String::from_utf8(fixture("tiny_llama/config.json")).unwrap();
        let config = config.replacen('{', r#"{"quantization_config": {"quant_method": "gptq"},"#, 1);
        let weights = Beginning { name: "pytorch_model.bin".into(), len: 5000, bytes: vec![] };
        assert!(why(vec![beginning("config.json", config.as_bytes(), usize::MAX), weights]).contains("gptq"));
        let pipeline = br#"{"_class_name": "FluxPipeline"}"#;
        assert!(why(vec![beginning("model_index.json", pipeline, 99)]).contains("FluxPipeline"));
        assert_eq!(outlook(vec![beginning("m.gguf", b"<html>", 6)]).unwrap_err().code(), ErrorCode::CorruptFile);
    }

    #[test]
    fn a_pipeline_that_runs_takes_what_its_weights_do() {
        let pipeline = br#"{"_class_name": "StableDiffusionPipeline"}"#;
        let part = |name: &str, len| Beginning { name: name.into(), len, bytes: vec![] };
        let files = vec![
            beginning("model_index.json", pipeline, 99),
            part("unet/diffusion_pytorch_model.safetensors", 1000),
            part("vae/diffusion_pytorch_model.safetensors", 234),
        ];
        let known = outlook(files).unwrap().unwrap();
        assert_eq!((known.kind, known.weights, known.caches), ("image", 1234, 0));
    }

    /// As the CPU lays them out, and as docs/decisions.md has it of WebGPU.
    #[test]
    fn quantised_weights_take_what_a_device_makes_of_them() {
        let device = Device::Cpu(cpu::Device::new("a test"));
        for dtype in DType::WEIGHTS {
            let mut b = crate::graph::GraphBuilder::new("one");
            let weight = b.weight("w", &[256, 512], dtype).unwrap();
            let x = b.input("x", &[1, 512], DType::F32);
            let y = b.linear(weight, None, x).unwrap();
            b.output("y", y);
            let graph = b.finish();
            let stored = dtype.row_bytes(512).unwrap() * 256;
            let mut loader = block_on(device.begin(&graph)).unwrap();
            loader.put(weight, 0, &vec![0; stored]).unwrap();
            let held = block_on(loader.finish()).unwrap().bytes();
            assert_eq!(held_bytes(dtype, stored as u64, Layout::Cpu), held, "{dtype}");
        }
        for (dtype, bits) in [(DType::Q4_0, 4.5), (DType::Q4_K, 5.0), (DType::Q8_0, 8.5), (DType::Q6_K, 9.0)] {
            let stored = dtype.row_bytes(4096).unwrap() as u64;
            assert_eq!(
                held_bytes(dtype, stored, Layout::Gpu { scale_bits: 16 }) as f64 * 8.0 / 4096.0,
                bits,
                "{dtype}"
            );
        }
    }
}
