//! An image model, ready to use: its words, its weights on a device, and the calls that readers make of it.

use std::{cell::RefCell, rc::Rc};

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
    loaded::{Kind, Loaded, stream_weights},
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
    /// Sides must be multiples of this, up to `largest`; with [`Self::fixed_size`] there is but one size.
    pub size_multiple: usize,
    pub largest: usize,
    /// Whether it paints no other size than its own.
    pub fixed_size: bool,
    pub steps: usize,
    pub guidance: f32,
    pub scheduler: SchedulerName,
    pub schedulers: Vec<SchedulerName>,
    /// Whether the autoencoder can encode: pictures to begin from, masks.
    pub takes_pictures: bool,
    /// The words that the model knows, where they are few; empty where it reads any.
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

/// What the calls on an image model share.
pub struct Image {
    pub(super) pipeline: Rc<Pipeline>,
    /// Fitted when it is first asked for.
    preview: RefCell<Option<Preview>>,
}

impl Kind for Image {
    type Info = ImageModelInfo;
    type Stats = ImageModelStats;
    type Session = Session;

    fn refresh(stats: &mut ImageModelStats, session: &Session) {
        stats.device_bytes = session.device_bytes();
    }
}

/// A text-to-image model on a device.
pub type ImageModel = Loaded<Image>;

impl Loaded<Image> {
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
        let parts: Vec<_> = loads.iter().map(|load| (&load.graph, &load.recipes)).collect();
        let (residents, _) = stream_weights(file, device, &parts, progress, cancel).await?;
        let residents = loads.iter().map(|load| load.works).zip(residents).collect();
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
        Ok(Self::new(Image { pipeline, preview: RefCell::new(None) }, info, stats, session))
    }

    /// Begins a painting. Nothing is computed before the first [`Painting::next`].
    ///
    /// Errors: `closed`; `bad-argument` where the scheduler cannot take so many steps.
    pub fn paint(&self, options: ImageOptions, cancel: Cancel) -> Result<Painting> {
        self.check_open()?;
        let seed = match options.seed {
            Some(seed) => seed,
            None => getrandom::u32()
                .map_err(|cause| Error::internal(format!("there is no randomness to be had: {cause}; pass a seed")))?,
        };
        Painting::new(self.clone(), options, seed, cancel)
    }
}

impl Image {
    /// The latent's sides for a picture's.
    pub(super) fn latents(&self, batch: usize, width: usize, height: usize) -> Grid {
        let factor = self.pipeline.codec.factor();
        Grid::new(batch, height / factor, width / factor)
    }

    pub(super) fn caption(&self, prompt: &str) -> Caption {
        self.pipeline.reader.read(prompt)
    }

    /// A picture as the denoiser sees it, from rows that are −1 … 1.
    pub(super) async fn encode(
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
    pub(super) async fn decode(
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
    pub(super) async fn preview(
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
    pub(super) fn latent_mask(&self, mask: &Picture) -> Vec<f32> {
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
