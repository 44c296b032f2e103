//! Models on both backends against what others compute from the same files: llama2.c's text, PyTorch's tokens and pictures, diffusers'
//! latents, candle-transformers' logits.

#![cfg(not(target_arch = "wasm32"))]

mod autoencoders;
mod beams;
mod cases;
#[path = "../common/mod.rs"]
mod common;
mod constraints;
mod contrastive;
mod conversations;
mod damaged;
mod diffusion;
mod drafts;
mod encoders;
mod faces;
mod families;
mod generate;
mod generators;
mod illustrator;
mod lost_devices;
mod published;
mod rwkv_tokenizer;
mod samples;
mod sampling;
mod sentencepiece;
mod smollm2;
mod spine;
mod text;
mod texts;

mod trained;
mod wrapped;

use std::path::Path;

use candle_core::{Device as CandleDevice, Tensor, quantized::gguf_file};
use candle_transformers::models::quantized_llama::ModelWeights;
use pollster::block_on;
use vitrine::{
    backend::{Plan, Resident},
    graph::{Graph, StepParams},
    models::{LanguageModel, language::LanguageConfig},
    weights::{Format, Storage, WeightFile},
};

use common::{cosine, floats, on_cpu, opened, sampled, streamed};

/// Peak signal to noise in decibels.
fn psnr(got: &[f32], wanted: &[f32], range: f64) -> f64 {
    assert_eq!(got.len(), wanted.len());
    let square = |(g, w): (&f32, &f32)| f64::from(g - w).powi(2);
    let error = got.iter().zip(wanted).map(square).sum::<f64>() / got.len() as f64;
    10.0 * (range.powi(2) / error).log10()
}

/// What a proof held a model to: the weights are as somebody published them.
const PUBLISHED: &str = "published weights";
/// This project trained the model.
const TRAINED: &str = "trained weights";

/// A model on the CPU, with caches of its own.
struct Running {
    file: WeightFile,
    model: LanguageModel,
    resident: Resident,
    decode: Plan,
    /// Tokens in the caches.
    position: u32,
}

impl Running {
    fn open(paths: &[&Path]) -> Self {
        Self::stored(paths, Storage::Keep)
    }

    fn stored(paths: &[&Path], storage: Storage) -> Self {
        let file = opened(paths);
        let model = match file.format {
            Format::Gguf => LanguageModel::from_gguf(&file.metadata, &file, storage),
            _ => {
                let config = file.extra("config.json").expect("a config.json beside the weights");
                LanguageModel::from_hugging_face(&String::from_utf8_lossy(config), &file, storage)
            }
        };
        Self::load(file, model.expect("a model"))
    }

    /// The same weights as another configuration uses them.
    fn with_config(self, config: LanguageConfig) -> Self {
        // Where there is a bound, the texts of these tests are past it.
        let model = LanguageModel::new(config, &self.file, Storage::Keep).expect("a model");
        Self::load(self.file, model.with_texts_past_bound(true))
    }

    /// The same for texts past the model's bound, or for those within it.
    fn past_bound(self, past: bool) -> Self {
        Self::load(self.file, self.model.with_texts_past_bound(past))
    }

    fn load(file: WeightFile, model: LanguageModel) -> Self {
        let graph = model.decode().expect("a graph");
        let load = async {
            let resident = streamed(&on_cpu(), &file, &graph, model.recipes()).await?;
            let decode = resident.compile(&graph).await?;
            vitrine::Result::<_>::Ok((resident, decode))
        };
        let (resident, decode) = block_on(load).expect("the weights go in");
        Self { file, model, resident, decode, position: 0 }
    }

    fn step(plan: &mut Plan, params: StepParams, outputs: &[&str]) -> Vec<Vec<u32>> {
        block_on(plan.step(&params, outputs).expect("a step")).expect("its outputs")
    }

    /// Puts `ids` into the caches; gives the greedy next token and the logits after the last.
    fn prefill(&mut self, ids: &[u32]) -> (u32, Vec<f32>) {
        let graph = self.model.prefill(ids.len()).expect("a graph");
        let mut plan = block_on(self.resident.compile(&graph)).expect("a plan");
        plan.write_input("ids", ids).expect("ids");
        let params = StepParams { position: self.position, row: ids.len() as u32 - 1, ..StepParams::default() };
        let out = Self::step(&mut plan, params, &["sampled", "logits"]);
        self.position += ids.len() as u32;
        (sampled(&out[0]), floats(&out[1]))
    }

    /// The token chosen last goes into the caches; gives the greedy next and its logits.
    fn decode(&mut self) -> (u32, Vec<f32>) {
        let params = StepParams { position: self.position, ..StepParams::default() };
        let out = Self::step(&mut self.decode, params, &["sampled", "logits"]);
        self.position += 1;
        (sampled(&out[0]), floats(&out[1]))
    }

    /// The logits of all of `ids`, from an empty cache.
    fn score(&mut self, ids: &[u32]) -> Vec<Vec<f32>> {
        let graph: Graph = self.model.score(ids.len()).expect("a graph");
        let mut plan = block_on(self.resident.compile(&graph)).expect("a plan");
        plan.write_input("ids", ids).expect("ids");
        let out = Self::step(&mut plan, StepParams::default(), &["logits"]);
        floats(&out[0]).chunks_exact(self.model.config().vocabulary).map(<[f32]>::to_vec).collect()
    }

    /// `n` tokens after `prompt`, each the likeliest.
    fn greedy(&mut self, prompt: &[u32], n: usize) -> Vec<u32> {
        let mut tokens = vec![self.prefill(prompt).0];
        while tokens.len() < n {
            tokens.push(self.decode().0);
        }
        tokens
    }
}

/// Another implementation of the same model, with exact products.
struct Candle(ModelWeights);

impl Candle {
    fn open(path: &Path) -> Self {
        let exact = std::env::var("CANDLE_DEQUANTIZE_ALL").is_ok_and(|v| v == "1");
        assert!(
            exact,
            "set CANDLE_DEQUANTIZE_ALL=1, as .cargo/config.toml does: else candle rounds activations to 8 bits"
        );
        let mut file = std::io::BufReader::new(std::fs::File::open(path).expect("a file"));
        let content = gguf_file::Content::read(&mut file).expect("a GGUF");
        Self(ModelWeights::from_gguf(content, &mut file, &CandleDevice::Cpu).expect("a model"))
    }

    /// The logits after the last of `ids`, which stand from `position` on.
    fn logits(&mut self, ids: &[u32], position: usize) -> Vec<f32> {
        let ids = Tensor::new(ids, &CandleDevice::Cpu).and_then(|t| t.unsqueeze(0)).expect("ids");
        let logits = self.0.forward(&ids, position).expect("a forward pass");
        logits.squeeze(0).and_then(|t| t.to_vec1()).expect("logits")
    }
}

/// Asserts that our logits point where candle's do: after a prompt, and after each of a few steps beyond it.
fn agrees_with_candle(path: &Path, prompt: &[u32], least: f64) {
    let mut candle = Candle::open(path);
    let mut ours = Running::open(&[path]);
    let (mut token, mut logits) = ours.prefill(prompt);
    let mut theirs = candle.logits(prompt, 0);
    for step in 0..4 {
        let got = cosine(&logits, &theirs);
        println!("{}: step {step}: cosine {got:.6}", path.display());
        assert!(got >= least, "{}: step {step}: cosine {got} < {least}", path.display());
        theirs = candle.logits(&[token], prompt.len() + step);
        (token, logits) = ours.decode();
    }
}
