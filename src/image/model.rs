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
    caption::Caption,
    families,
    pipeline::{Pipeline, Work},
    preview::{self, Preview},
    session::{Session, words},
};
use crate::{
    Error, Result,
    backend::{Device, DeviceInfo, StepCost},
    cancel::Cancel,
    graph::Grid,
    weights::{Storage, Summary, WeightFile},
};

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

pub(super) struct Inner {
    pub session: Arc<Mutex<Session>>,
    pub pipeline: Rc<Pipeline>,
    info: ImageModelInfo,
    stats: RefCell<ImageModelStats>,
    /// Fitted when it is first asked for.
    preview: RefCell<Option<Preview>>,
    closed: Cell<bool>,
}

/// A text-to-image model on a device. Clones are the same model. Calls take turns: while one runs, the next waits.
#[derive(Clone)]
pub struct ImageModel(Rc<Inner>);

impl ImageModel {
    /// Whether files are meant to paint from words: the house's own, or a pipeline of Stable Diffusion.
    pub fn is_one(file: &WeightFile) -> bool {
        families::is_one(file)
    }

    /// Reads the configurations and the words, streams the weights to the device, stored as `storage` says, and compiles what every painting needs
    /// where there is but one size. `progress` is told the bytes given to the device and the bytes in all.
    ///
    /// Errors: `unsupported-model`, `bad-argument` where a part is missing, `corrupt-file`, `out-of-memory`, `aborted`, and the source's own.
    pub async fn load(
        file: &WeightFile,
        device: &Device,
        storage: Storage,
        progress: &mut dyn FnMut(u64, u64),
        cancel: &Cancel,
    ) -> Result<Self> {
        let begun = Instant::now();
        let (pipeline, loads) = families::from_file(file, storage)?;
        let pipeline = Rc::new(pipeline);
        let bytes = loads.iter().map(|load| file.bytes_of(&load.graph, &load.recipes)).collect::<Result<Vec<_>>>()?;
        let total = bytes.iter().sum();
        let (mut residents, mut before) = (vec![], 0);
        for (load, bytes) in loads.iter().zip(bytes) {
            let mut loader = cancel.race(device.begin(&load.graph)).await?;
            let mut tell = |loaded, _| progress(before + loaded, total);
            file.stream_some(&load.graph, &load.recipes, &mut loader, &mut tell, cancel).await?;
            residents.push((load.works, cancel.race(loader.finish()).await?));
            before += bytes;
        }
        file.finish(cancel).await?;
        let mut session = Session::new(pipeline.clone(), residents);
        let mut denoise = StepCost::default();
        if let Some((height, width)) = pipeline.denoiser.only_size() {
            for (work, batch) in [(Work::Text, 2), (Work::Denoise, 2), (Work::Decode, 1)] {
                let grid = if work == Work::Text { Grid::new(batch, 1, 1) } else { Grid::new(batch, height, width) };
                let cost = cancel.race(session.cost(work, grid)).await?;
                denoise = if work == Work::Denoise { cost } else { denoise };
            }
        }
        let defaults = &pipeline.defaults;
        let info = ImageModelInfo {
            kind: "image",
            file: file.summary(),
            architecture: pipeline.architecture.clone(),
            width: defaults.width,
            height: defaults.height,
            size_multiple: pipeline.multiple(),
            largest: pipeline.largest,
            fixed_size: pipeline.denoiser.only_size().is_some(),
            steps: defaults.steps,
            guidance: defaults.guidance,
            scheduler: defaults.scheduler,
            schedulers: pipeline.schedulers.clone(),
            takes_pictures: pipeline.codec.encodes(),
            words: pipeline.reader.vocabulary(),
            device: device.info(),
        };
        let stats = ImageModelStats {
            load_ms: begun.elapsed().as_secs_f64() * 1e3,
            device_bytes: session.device_bytes(),
            denoise,
            ..ImageModelStats::default()
        };
        Ok(Self(Rc::new(Inner {
            pipeline,
            info,
            // The lock is for turns, not for threads: a model stays on one.
            #[allow(clippy::arc_with_non_send_sync)]
            session: Arc::new(Mutex::new(session)),
            stats: RefCell::new(stats),
            preview: RefCell::new(None),
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
    /// Errors: `closed`; `bad-argument` where the scheduler cannot take so many steps.
    pub fn paint(&self, options: ImageOptions, cancel: Cancel) -> Result<Painting> {
        self.0.check_open()?;
        let seed = match options.seed {
            Some(seed) => seed,
            None => getrandom::u32()
                .map_err(|cause| Error::internal(format!("there is no randomness to be had: {cause}; pass a seed")))?,
        };
        Painting::new(self.0.clone(), options, seed, cancel)
    }
}

impl Inner {
    pub fn check_open(&self) -> Result<()> {
        if self.closed.get() {
            return Err(Error::closed("the model was unloaded; load it again"));
        }
        Ok(())
    }

    /// What a step took, and its cost.
    pub fn record(&self, step_ms: f64, decode_ms: f64, denoise: StepCost) {
        let mut stats = self.stats.borrow_mut();
        (stats.step_ms, stats.decode_ms, stats.denoise) = (step_ms, decode_ms, denoise);
    }

    /// The latent's sides for a picture's.
    pub fn latents(&self, batch: usize, width: usize, height: usize) -> Grid {
        let factor = self.pipeline.codec.factor();
        Grid::new(batch, height / factor, width / factor)
    }

    pub fn caption(&self, prompt: &str) -> Caption {
        self.pipeline.reader.read(prompt)
    }

    /// A picture as the denoiser sees it, from rows that are −1 … 1.
    pub async fn encode(
        &self,
        session: &mut Session,
        rows: &[f32],
        latents: Grid,
        cancel: &Cancel,
    ) -> Result<Vec<f32>> {
        let codec = &self.pipeline.codec;
        let (low, high) = codec.range();
        let rows: Vec<f32> = rows.iter().map(|v| (v + 1.0) / 2.0 * (high - low) + low).collect();
        let pixels = Grid { batch: 1, ..latents }.times(codec.factor());
        let encoded = session.run(Work::Encode, pixels, &[("picture", &words(&rows))], codec.encoded(), cancel).await?;
        let (scale, shift) = codec.scale_and_shift();
        let (channels, columns) = (codec.latent_channels(), encoded.len() / (latents.height * latents.width));
        let first = encoded.chunks_exact(columns).flat_map(|row| &row[..channels]);
        Ok(first.map(|v| (v - shift) * scale).collect())
    }

    /// Pictures of a batch of latents.
    pub async fn decode(
        &self,
        session: &mut Session,
        latent: &[f32],
        latents: Grid,
        cancel: &Cancel,
    ) -> Result<Vec<Picture>> {
        let codec = &self.pipeline.codec;
        let ((scale, shift), (low, high)) = (codec.scale_and_shift(), codec.range());
        let z: Vec<f32> = latent.iter().map(|v| v / scale + shift).collect();
        let mut pictures = vec![];
        for one in z.chunks_exact(z.len() / latents.batch) {
            let rows = session.decode(one, Grid { batch: 1, ..latents }, cancel).await?;
            let factor = codec.factor();
            pictures.push(Picture::from_rows(latents.width * factor, latents.height * factor, &rows, low, high));
        }
        Ok(pictures)
    }

    /// Pictures of a batch of latents on their way: decoded, or drawn where that is much cheaper.
    pub async fn preview(
        &self,
        session: &mut Session,
        latent: &[f32],
        latents: Grid,
        cancel: &Cancel,
    ) -> Result<Vec<Picture>> {
        if !self.pipeline.cheap_previews {
            return self.decode(session, latent, latents, cancel).await;
        }
        let codec = &self.pipeline.codec;
        let (low, high) = codec.range();
        let (channels, factor) = (codec.latent_channels(), codec.factor());
        if self.preview.borrow().is_none() {
            let mut noise = super::Noise::new(1, 0);
            let sample = preview::sample(channels, &mut || noise.next_number());
            let (scale, shift) = codec.scale_and_shift();
            let z: Vec<f32> = sample.iter().map(|v| v / scale + shift).collect();
            let grid = Grid::new(1, preview::SAMPLE_SIDE, preview::SAMPLE_SIDE);
            let rows = session.decode(&z, grid, cancel).await?;
            let colours = preview::means(&rows, preview::SAMPLE_SIDE, factor);
            *self.preview.borrow_mut() = Some(Preview::fit(&sample, channels, &colours));
        }
        let preview = self.preview.borrow();
        let Some(preview) = preview.as_ref() else { return Ok(vec![]) };
        let (width, height) = (latents.width, latents.height);
        let small = latent.chunks_exact(latent.len() / latents.batch).map(|one| preview.colours(one));
        let small = small.map(|rows| Picture::from_rows(width, height, &rows, low, high));
        Ok(small.map(|picture| picture.fitted(width * factor, height * factor)).collect())
    }

    /// A mask of pixels as one of the latent's pixels: whatever touches white may change.
    pub fn latent_mask(&self, mask: &Picture) -> Vec<f32> {
        let factor = self.pipeline.codec.factor();
        let (width, pixels) = (mask.width / factor, mask.mask());
        (0..width * (mask.height / factor))
            .map(|at| {
                let (y, x) = (at / width * factor, at % width * factor);
                let square = (y..y + factor).flat_map(|y| (x..x + factor).map(move |x| y * mask.width + x));
                let white = square.map(|i| pixels[i]).fold(0.0f32, f32::max);
                if white >= 0.5 { 1.0 } else { 0.0 }
            })
            .collect()
    }
}
