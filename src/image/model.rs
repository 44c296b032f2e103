//! An image model, ready to use: its words, its weights on a device, and the calls that readers make of it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use futures_util::lock::Mutex;
use serde::Serialize;
use web_time::Instant;

use super::{
    ImageOptions, Painting, Picture, SchedulerName,
    session::{Session, Work, words},
};
use crate::{
    Error, Result,
    backend::{Device, DeviceInfo, StepCost},
    cancel::Cancel,
    models::{Illustrator, illustrator},
    text::{EncodeOptions, Tokenizer},
    weights::{Summary, WeightFile},
};

/// A character that no caption holds: it becomes the token of unknown words.
const NO_WORD: &str = "\u{e000}";

/// What the denoisers of Stable Diffusion's checkpoints and of diffusers' folders are called.
const DENOISERS: [&str; 2] = ["model.diffusion_model.", "time_embedding.linear_1."];

/// Whether a file is the house illustrator's.
fn is_house(file: &WeightFile) -> bool {
    file.metadata.get("general.architecture").ok().flatten() == Some(illustrator::ARCHITECTURE)
}

/// What a model is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageModelInfo {
    /// `"image"`.
    pub kind: &'static str,
    #[serde(flatten)]
    pub file: Summary,
    pub architecture: String,
    /// What it paints where nothing is asked for.
    pub width: usize,
    pub height: usize,
    /// Sides must be multiples of this, up to `largest`.
    pub size_multiple: usize,
    pub largest: usize,
    /// Whether it paints no other size than its own.
    pub fixed_size: bool,
    pub steps: usize,
    pub guidance: f32,
    pub scheduler: SchedulerName,
    pub schedulers: Vec<SchedulerName>,
    pub takes_pictures: bool,
    /// The words that it knows, where these are few; sorted.
    pub words: Vec<String>,
    pub device: DeviceInfo,
}

/// What a model took.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ImageModelStats {
    pub load_ms: f64,
    /// Bytes on the device: weights and plans.
    pub device_bytes: u64,
    /// What a denoising step costs.
    pub denoise: StepCost,
    /// Milliseconds of the latest step and of the latest decoding; 0 before the first.
    pub step_ms: f64,
    pub decode_ms: f64,
}

/// A prompt as the text encoder takes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Caption {
    /// As many as the encoder reads, padded.
    pub ids: Vec<u32>,
    pub cut: Option<String>,
    pub unknown: Vec<String>,
}

pub(super) struct Inner {
    pub session: Arc<Mutex<Session>>,
    tokenizer: Tokenizer,
    unknown: Option<u32>,
    info: ImageModelInfo,
    config: illustrator::IllustratorConfig,
    stats: RefCell<ImageModelStats>,
    closed: Cell<bool>,
}

/// A text-to-image model on a device. Clones are the same model. Calls take turns: while one runs, the next waits.
#[derive(Clone)]
pub struct ImageModel(Rc<Inner>);

impl ImageModel {
    /// Whether a file is meant to paint from words: the house's own, or a pipeline that [`Self::load`] refuses in words.
    pub fn is_one(file: &WeightFile) -> bool {
        is_house(file) || file.tensors.keys().any(|name| DENOISERS.iter().any(|part| name.starts_with(part)))
    }

    /// Reads the configuration and the words, streams the weights to the device and compiles what every painting needs. `progress` is told
    /// the bytes given to the device and the bytes in all.
    ///
    /// Errors: `unsupported-model`, `corrupt-file`, `out-of-memory`, `aborted`, and the source's own.
    pub async fn load(
        file: &WeightFile,
        device: &Device,
        progress: &mut dyn FnMut(u64, u64),
        cancel: &Cancel,
    ) -> Result<Self> {
        let begun = Instant::now();
        if !is_house(file) {
            return Err(Error::unsupported_model(
                "this is no text-to-image model that paints here: of those only the illustrator's own kind runs yet. \
                 With { kind: \"autoencoder\" } a checkpoint's autoencoder decodes and encodes",
            ));
        }
        let illustrator = Illustrator::from_gguf(file)?;
        let json: &str = file.metadata.require("tokenizer.huggingface.json")?;
        let tokenizer = Tokenizer::from_json(json.as_bytes())?;
        let config = illustrator.config().clone();
        tokenizer.check_rows(config.text.vocabulary)?;
        let graph = illustrator.whole()?;
        let mut loader = cancel.race(device.begin(&graph)).await?;
        file.stream(&graph, &mut loader, progress, cancel).await?;
        let resident = cancel.race(loader.finish()).await?;
        let mut session = Session::new(illustrator, resident);
        for (work, batch) in [(Work::Text, 2), (Work::Denoise, 2), (Work::Decode, 1)] {
            cancel.race(async { session.plan(work, batch).await.map(|_| ()) }).await?;
        }
        let side = config.denoiser.latent_size * config.vae.factor();
        let known = [SchedulerName::FlowEuler];
        let info = ImageModelInfo {
            kind: "image",
            file: file.summary(),
            architecture: illustrator::ARCHITECTURE.into(),
            width: side,
            height: side,
            size_multiple: side,
            largest: side,
            fixed_size: true,
            steps: config.sampler.steps,
            guidance: config.sampler.guidance,
            scheduler: SchedulerName::parse(&config.sampler.scheduler, &known)
                .map_err(|e| Error::unsupported_model(format!("vitrine.config: {e}")))?,
            schedulers: known.to_vec(),
            takes_pictures: true,
            words: vocabulary(&tokenizer),
            device: device.info(),
        };
        let stats = ImageModelStats {
            load_ms: begun.elapsed().as_secs_f64() * 1e3,
            device_bytes: session.device_bytes(),
            denoise: session.cost(Work::Denoise, 2).await?,
            ..ImageModelStats::default()
        };
        let encoded = tokenizer.encode(NO_WORD, EncodeOptions::default())?;
        Ok(Self(Rc::new(Inner {
            unknown: encoded.first().copied(),
            tokenizer,
            info,
            config,
            // The lock is for turns, not for threads: a model stays on one.
            #[allow(clippy::arc_with_non_send_sync)]
            session: Arc::new(Mutex::new(session)),
            stats: RefCell::new(stats),
            closed: Cell::new(false),
        })))
    }

    pub fn info(&self) -> &ImageModelInfo {
        &self.0.info
    }

    pub fn stats(&self) -> ImageModelStats {
        let mut stats = self.0.stats.borrow_mut();
        if let Some(session) = self.0.session.try_lock() {
            stats.device_bytes = session.device_bytes();
        }
        *stats
    }

    /// Refuses all further calls; a painting that runs ends with the error `closed` at its next step. The device's memory is free when the last
    /// clone and the last painting are dropped.
    pub fn close(&self) {
        self.0.closed.set(true);
    }

    /// Begins a painting. Nothing is computed before the first [`Painting::next`].
    ///
    /// Errors: `closed`.
    pub fn paint(&self, options: ImageOptions, cancel: Cancel) -> Result<Painting> {
        self.0.check_open()?;
        let seed = match options.seed {
            Some(seed) => seed,
            None => getrandom::u32()
                .map_err(|cause| Error::internal(format!("there is no randomness to be had: {cause}; pass a seed")))?,
        };
        Ok(Painting::new(self.0.clone(), options, seed, cancel))
    }
}

impl Inner {
    pub fn check_open(&self) -> Result<()> {
        if self.closed.get() {
            return Err(Error::closed("the model was unloaded; load it again"));
        }
        Ok(())
    }

    pub fn record(&self, step_ms: f64, decode_ms: f64) {
        let mut stats = self.stats.borrow_mut();
        (stats.step_ms, stats.decode_ms) = (step_ms, decode_ms);
    }

    /// Numbers of one picture's latent.
    pub fn latent_numbers(&self) -> usize {
        let c = &self.config.denoiser;
        c.latent_size * c.latent_size * c.latent_channels
    }

    /// Rows that the denoiser has for one picture.
    pub fn patches(&self) -> usize {
        let c = &self.config.denoiser;
        (c.latent_size / c.patch).pow(2)
    }

    /// The prompt's known words, as many as the encoder reads at once.
    pub fn caption(&self, prompt: &str) -> Caption {
        let text = &self.config.text;
        let (mut ids, mut unknown, mut cut): (Vec<u32>, Vec<String>, Vec<&str>) = (vec![], vec![], vec![]);
        for word in prompt.split_whitespace() {
            let encoded = self.tokenizer.encode(word, EncodeOptions::default()).unwrap_or_default();
            let known: Vec<u32> = encoded.iter().copied().filter(|id| Some(*id) != self.unknown).collect();
            if known.is_empty() {
                unknown.push(word.into());
            } else if cut.is_empty() && ids.len() + known.len() <= text.length {
                ids.extend(known);
            } else {
                cut.push(word);
            }
        }
        ids.resize(text.length, text.pad);
        Caption { ids, cut: (!cut.is_empty()).then(|| cut.join(" ")), unknown }
    }

    /// A picture as the denoiser sees it.
    pub async fn encode(&self, session: &mut Session, picture: &Picture, cancel: &Cancel) -> Result<Vec<f32>> {
        let rows = words(&picture.rows(-1.0, 1.0));
        let z = session.run(Work::Encode, 1, &[("picture", &rows)], "latent", cancel).await?;
        let vae = &self.config.vae;
        Ok(z.into_iter().map(|v| (v - vae.shift) * vae.scale).collect())
    }

    /// Pictures of `count` latents.
    pub async fn decode(
        &self,
        session: &mut Session,
        latent: &[f32],
        count: usize,
        cancel: &Cancel,
    ) -> Result<Vec<Picture>> {
        let vae = &self.config.vae;
        let z: Vec<f32> = latent.iter().map(|v| v / vae.scale + vae.shift).collect();
        let mut pictures = vec![];
        for one in z.chunks_exact(z.len() / count) {
            let rows = session.run(Work::Decode, 1, &[("latent", &words(one))], "picture", cancel).await?;
            pictures.push(Picture::from_rows(self.info.width, self.info.height, &rows, -1.0, 1.0));
        }
        Ok(pictures)
    }

    /// A mask of pixels as one of the latent's numbers: whatever touches white may change.
    pub fn latent_mask(&self, mask: &Picture) -> Vec<f32> {
        let (side, channels) = (self.config.denoiser.latent_size, self.config.denoiser.latent_channels);
        let factor = self.config.vae.factor();
        let pixels = mask.mask();
        (0..side * side)
            .flat_map(|at| {
                let (y, x) = (at / side * factor, at % side * factor);
                let square = (y..y + factor).flat_map(|y| (x..x + factor).map(move |x| y * mask.width + x));
                let white = square.map(|i| pixels[i]).fold(0.0f32, f32::max);
                std::iter::repeat_n(if white >= 0.5 { 1.0 } else { 0.0 }, channels)
            })
            .collect()
    }
}

/// The words of a vocabulary that is a list of words.
fn vocabulary(tokenizer: &Tokenizer) -> Vec<String> {
    let all = (0..tokenizer.vocabulary_size() as u32).filter_map(|id| tokenizer.token_text(id));
    let mut words: Vec<String> =
        all.filter(|word| word.chars().all(char::is_alphanumeric) && !word.is_empty()).collect();
    words.sort_unstable();
    words
}
