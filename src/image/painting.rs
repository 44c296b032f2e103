//! A picture on its way out of the noise, pulled step by step.

use futures_util::lock::OwnedMutexGuard;
use serde::Serialize;
use web_time::Instant;

use super::{
    ImageModel, ImageOptions, Noise, Picture, Scheduler, SchedulerName,
    caption::Caption,
    pipeline::Work,
    session::{Session, words},
};
use crate::{Cancel, Error, ErrorCode, Result, graph::Grid};

/// A denoising step, and the pictures as far as they have come.
#[derive(Debug, Clone, PartialEq)]
pub struct PaintStep {
    /// From 1 to `steps`.
    pub step: usize,
    pub steps: usize,
    /// One for each picture of the batch; none where no preview is wanted and the step is not the last.
    pub pictures: Vec<Picture>,
    pub is_final: bool,
    /// Milliseconds of the step, and of its pictures.
    pub step_ms: f64,
    pub decode_ms: f64,
}

/// What a painting took.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaintSummary {
    pub seed: u32,
    pub steps: usize,
    pub total_ms: f64,
    /// Words at the end of the prompt that the model cannot read at once, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<String>,
    /// Words of the prompt that the model never met; they are passed over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// Marks of the prompts that stand for more than their words elsewhere, and were read as words: `(word:1.2)` where it cannot be weighted, `[a|b]`, `BREAK` …
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub literal: Vec<String>,
}

/// A running painting: pull it with [`Painting::next`]. Dropping it ends it.
pub struct Painting {
    model: ImageModel,
    guard: Option<OwnedMutexGuard<Session>>,
    cancel: Cancel,
    options: ImageOptions,
    scheduler: Box<dyn Scheduler>,
    noises: Vec<Noise>,
    /// `[count · latent rows, channels]`
    latent: Vec<f32>,
    /// The text encoder's rows, and where guidance is wanted those of what to leave out behind them.
    context: Vec<u32>,
    /// What a denoiser takes beside these rows: a row for each whole text, and the picture's sizes.
    added: Vec<(&'static str, Vec<u32>)>,
    /// The latent of the picture to begin from, and the noise that stands for it; with a mask.
    kept: Option<Kept>,
    /// What a denoiser that was trained to fill in sees beside the latent: `[count · latent rows, channels + 1]`, the mask and what stays.
    beside: Option<Vec<f32>>,
    /// The rung of the scheduler's ladder that the run begins with, and the one that is next.
    begin: usize,
    at: usize,
    /// Whether the words were read and the latent made.
    prepared: bool,
    /// The latent of a step that was taken and whose pictures were not decoded yet, as the denoiser takes it to be.
    clean: Option<Vec<f32>>,
    begun: Option<Instant>,
    summary: PaintSummary,
    over: bool,
}

/// What stays of a picture that is changed in a part.
struct Kept {
    clean: Vec<f32>,
    noise: Vec<f32>,
    /// For each number of the latent: 1 where it may change.
    mask: Vec<f32>,
}

/// Whether both halves of guidance are computed: the scale is no input of the denoiser, and more than 1.
fn guided(model: &ImageModel, options: &ImageOptions) -> bool {
    options.guidance > 1.0 && !model.pipeline.denoiser.takes_guidance()
}

/// The scheduler of a painting, and the rung that it begins with.
fn scheduled(model: &ImageModel, options: &ImageOptions) -> Result<(Box<dyn Scheduler>, usize)> {
    let ImageOptions { steps, strength, .. } = *options;
    let schedule = &model.pipeline.schedule;
    if options.init.is_none() {
        return Ok((schedule.scheduler(options.scheduler, steps)?, 0));
    }
    // Pipelines made for latent consistency take all their steps, within a part of the way.
    if model.pipeline.consistent() && options.scheduler == SchedulerName::Lcm {
        return Ok((schedule.scheduler_within(options.scheduler, steps, strength)?, 0));
    }
    let scheduler = schedule.scheduler(options.scheduler, steps)?;
    let begin = scheduler.ladder().begin(strength).ok_or_else(|| {
        Error::bad_argument(format!(
            "a strength of {strength} leaves none of {steps} steps; give more steps, or a strength of at least 1/{steps}"
        ))
    })?;
    Ok((scheduler, begin))
}

impl Painting {
    pub(super) fn new(model: ImageModel, options: ImageOptions, seed: u32, cancel: Cancel) -> Result<Self> {
        if !options.negative_prompt.is_empty() && !guided(&model, &options) {
            return Err(Error::bad_argument(match model.pipeline.denoiser.takes_guidance() {
                true => {
                    "negativePrompt is nothing that this model listens to: it was trained to be guided by its prompt alone; leave it out"
                }
                false => {
                    "negativePrompt takes guidance, and one of no more than 1 is none; raise guidance, or leave negativePrompt out"
                }
            }));
        }
        let (scheduler, begin) = scheduled(&model, &options)?;
        let Caption { cut, unknown, literal, .. } = model.caption(&options.prompt);
        let mut summary = PaintSummary { seed, cut, unknown, literal, ..PaintSummary::default() };
        summary.literal.extend(model.caption(&options.negative_prompt).literal);
        Ok(Self {
            model,
            guard: None,
            cancel,
            options,
            scheduler,
            noises: vec![],
            latent: vec![],
            context: vec![],
            added: vec![],
            kept: None,
            beside: None,
            begin,
            at: begin,
            prepared: false,
            clean: None,
            begun: None,
            summary,
            over: false,
        })
    }

    /// What it took so far.
    pub fn summary(&self) -> &PaintSummary {
        &self.summary
    }

    /// The next step, or `None` when the picture is finished.
    ///
    /// Errors: `aborted`, `closed` where the model was closed meanwhile, and whatever the device says. After an error the painting is over, and the
    /// model goes on; after `device-lost` it is the other way round, and [`Self::move_to`] takes the painting on.
    pub async fn next(&mut self) -> Result<Option<PaintStep>> {
        if self.over {
            return Ok(None);
        }
        match self.advance().await {
            Ok(step) => {
                if step.is_final {
                    self.end();
                }
                Ok(Some(step))
            }
            Err(error) if error.code() == ErrorCode::DeviceLost => {
                self.guard = None;
                Err(error)
            }
            Err(error) => {
                self.end();
                self.model.check_open()?;
                Err(error)
            }
        }
    }

    /// Goes on with the same model on another device, from the last step that was taken.
    pub fn move_to(&mut self, model: ImageModel) {
        self.guard = None;
        self.model = model;
    }

    fn end(&mut self) {
        self.over = true;
        self.guard = None;
    }

    async fn advance(&mut self) -> Result<PaintStep> {
        self.model.check_open()?;
        let begun = *self.begun.get_or_insert_with(Instant::now);
        let mut session = match self.guard.take() {
            Some(session) => session,
            None => {
                let mut session = self.model.turn(&self.cancel).await?;
                if !self.prepared {
                    self.prepare(&mut session).await?;
                    self.prepared = true;
                }
                session
            }
        };
        let step = self.step(&mut session).await?;
        self.guard = Some(session);
        self.summary.steps += 1;
        self.summary.total_ms = begun.elapsed().as_secs_f64() * 1e3;
        Ok(step)
    }

    /// Of the latents of all pictures.
    fn latents(&self) -> Grid {
        self.model.latents(self.options.count, self.options.width, self.options.height)
    }

    /// Reads the words: what the denoiser looks at beside the latent.
    async fn read(&mut self, session: &mut Session) -> Result<()> {
        let ImageOptions { count, width, height, .. } = self.options;
        let wanted = self.model.caption(&self.options.prompt);
        let mut captions = vec![&wanted; count];
        let unwanted: Caption = self.model.caption(&self.options.negative_prompt);
        if guided(&self.model, &self.options) {
            captions.extend(std::iter::repeat_n(&unwanted, count));
        }
        let pipeline = self.model.pipeline.clone();
        let (batch, text) = (captions.len(), &pipeline.text);
        let lengths = captions.iter().flat_map(|caption| caption.readings.last()).map(|reading| reading.length as u32);
        let mut inputs: Vec<(&str, Vec<u32>)> = vec![];
        let mut outputs = vec!["context"];
        for (i, name) in text.id_inputs().iter().enumerate() {
            let ids = captions.iter().flat_map(|caption| caption.readings.get(i)).flat_map(|reading| &reading.ids);
            inputs.push((name, ids.copied().collect()));
        }
        if text.pooled_width().is_some() {
            inputs.push(("lengths", lengths.collect()));
            outputs.push("pooled");
        }
        let inputs: Vec<(&str, &[u32])> = inputs.iter().map(|(name, words)| (*name, words.as_slice())).collect();
        let grid = Grid::new(batch, 1, 1);
        let mut read = session.run_for(Work::Text, grid, &inputs, &outputs, &self.cancel).await?;
        if let Some(context) = read.first_mut() {
            let rows = context.len() / batch;
            for (caption, rows) in captions.iter().zip(context.chunks_exact_mut(rows)) {
                caption.weigh(rows, &text.widths());
            }
        }
        if pipeline.zeros_for_nothing && self.options.negative_prompt.is_empty() {
            for rows in &mut read {
                let each = rows.len() / batch;
                rows[count * each..].fill(0.0);
            }
        }
        let mut read = read.iter().map(|rows| words(rows));
        self.context = read.next().unwrap_or_default();
        if let Some(pooled) = read.next() {
            let (height, width) = (height as f32, width as f32);
            let sizes = [height, width, 0.0, 0.0, height, width].repeat(batch);
            self.added = vec![("pooled", pooled), ("sizes", words(&sizes))];
        }
        Ok(())
    }

    /// Reads the words, and makes the latent that the first step begins with.
    async fn prepare(&mut self, session: &mut Session) -> Result<()> {
        self.read(session).await?;
        let count = self.options.count;
        let seed = self.summary.seed;
        self.noises = (0..count as u32).map(|i| Noise::new(seed.wrapping_add(i), 0)).collect();
        let grid = self.latents();
        let size = grid.height * grid.width * self.model.pipeline.channels();
        let noise: Vec<f32> = self.noises.iter_mut().flat_map(|noise| noise.numbers(size)).collect();
        if self.model.pipeline.fills_in() {
            self.beside = Some(self.look_beside(session, grid).await?);
        }
        let Some(init) = &self.options.init else {
            self.latent = self.scheduler.initial(&noise);
            return Ok(());
        };
        let one = self.model.encode(session, &init.rows(-1.0, 1.0), grid, &self.cancel).await?;
        let clean = one.repeat(count);
        // Where all of a masked part may change nothing of it is kept; a whole picture leaves a trace in the noise, as in diffusers' pipelines.
        let masked = self.options.mask.is_some() || self.beside.is_some();
        self.latent = match self.options.strength >= 1.0 && masked {
            true => self.scheduler.initial(&noise),
            false => self.scheduler.noised(self.begin, &clean, &noise),
        };
        if let (Some(mask), None) = (&self.options.mask, &self.beside) {
            let channels = self.model.pipeline.channels();
            let one = self.model.latent_mask(mask).into_iter().flat_map(|v| std::iter::repeat_n(v, channels));
            self.kept = Some(Kept { clean, noise, mask: one.collect::<Vec<_>>().repeat(count) });
        }
        Ok(())
    }

    /// The mask, and the latent of the picture without what the mask covers; all of it is covered where there is none.
    async fn look_beside(&self, session: &mut Session, grid: Grid) -> Result<Vec<f32>> {
        let ImageOptions { init, mask, width, height, count, .. } = &self.options;
        let mut rows = init.as_ref().map_or_else(|| vec![0.0; 3 * width * height], |init| init.rows(-1.0, 1.0));
        let covered = mask.as_ref().map_or_else(|| vec![1.0; width * height], Picture::mask);
        for (pixel, covered) in rows.as_chunks_mut::<3>().0.iter_mut().zip(covered) {
            *pixel = if covered >= 0.5 { [0.0; 3] } else { *pixel };
        }
        let stays = self.model.encode(session, &rows, grid, &self.cancel).await?;
        let covered = mask.as_ref().map_or_else(|| vec![1.0; grid.height * grid.width], |m| self.model.latent_mask(m));
        let stays = stays.chunks_exact(self.model.pipeline.channels());
        let one: Vec<f32> = covered.iter().zip(stays).flat_map(|(m, z)| [&[*m], z].concat()).collect();
        Ok(one.repeat(*count))
    }

    /// What the denoiser predicts for the latent, guided.
    async fn predict(&self, session: &mut Session, grid: Grid) -> Result<Vec<f32>> {
        let (batch, scale) = (grid.batch, self.scheduler.input_scale(self.at));
        let mut one: Vec<f32> = self.latent.iter().map(|v| v * scale).collect();
        if let Some(beside) = &self.beside {
            let channels = self.model.pipeline.channels();
            let rows = one.chunks_exact(channels).zip(beside.chunks_exact(channels + 1));
            one = rows.flat_map(|(latent, beside)| [latent, beside].concat()).collect();
        }
        let latent = words(&one.repeat(batch / self.options.count));
        let timestep = words(&vec![self.scheduler.timestep(self.at); batch]);
        let guidance = words(&vec![self.options.guidance; batch]);
        let mut inputs = vec![
            ("latent", latent.as_slice()),
            ("timestep", timestep.as_slice()),
            ("context", self.context.as_slice()),
        ];
        if self.model.pipeline.denoiser.takes_guidance() {
            inputs.push(("guidance", &guidance));
        }
        inputs.extend(self.added.iter().map(|(name, words)| (*name, words.as_slice())));
        let mut prediction = session.run(Work::Denoise, grid, &inputs, "prediction", &self.cancel).await?;
        if guided(&self.model, &self.options) {
            let unwanted = prediction.split_off(prediction.len() / 2);
            for (wanted, unwanted) in prediction.iter_mut().zip(unwanted) {
                *wanted = unwanted + self.options.guidance * (*wanted - unwanted);
            }
        }
        Ok(prediction)
    }

    /// Takes a rung; gives the picture's latent as the denoiser now takes it to be.
    fn take(&mut self, prediction: &[f32]) -> Vec<f32> {
        let (noises, size) = (&mut self.noises, self.latent.len() / self.options.count);
        let mut draw = || noises.iter_mut().flat_map(|noise| noise.numbers(size)).collect();
        let mut stepped = self.scheduler.step(self.at, prediction, &self.latent, &mut draw);
        self.at += 1;
        if let Some(kept) = &self.kept {
            let known = match self.at == self.scheduler.steps() {
                true => kept.clean.clone(),
                false => self.scheduler.noised(self.at, &kept.clean, &kept.noise),
            };
            for (latent, known) in [(&mut stepped.latent, &known), (&mut stepped.clean, &kept.clean)] {
                for ((v, known), mask) in latent.iter_mut().zip(known).zip(&kept.mask) {
                    *v = known + mask * (*v - known);
                }
            }
        }
        self.latent = stepped.latent;
        stepped.clean
    }

    /// A step as the caller counts them, however often it asks the denoiser.
    async fn step(&mut self, session: &mut Session) -> Result<PaintStep> {
        let (latents, begun) = (self.latents(), Instant::now());
        let grid = Grid { batch: if guided(&self.model, &self.options) { 2 } else { 1 } * latents.batch, ..latents };
        while self.clean.is_none() {
            let prediction = self.predict(session, grid).await?;
            let clean = self.take(&prediction);
            self.clean = self.scheduler.ladder().ends_step(self.begin, self.at - 1).then_some(clean);
        }
        let is_final = self.at == self.scheduler.steps();
        let step_ms = begun.elapsed().as_secs_f64() * 1e3;

        let begun = Instant::now();
        let mut pictures = vec![];
        if is_final || self.options.preview {
            pictures = match is_final {
                true => self.model.decode(session, &self.latent, latents, &self.cancel).await?,
                false => {
                    let clean = self.clean.as_deref().unwrap_or_default();
                    self.model.preview(session, clean, latents, &self.cancel).await?
                }
            };
            if let (Some(init), Some(mask)) = (&self.options.init, &self.options.mask) {
                pictures.iter_mut().for_each(|picture| keep_outside(picture, init, mask));
            }
        }
        let decode_ms = begun.elapsed().as_secs_f64() * 1e3;
        let denoise = session.cost(Work::Denoise, grid).await?;
        self.clean = None;
        self.model.record(|stats| {
            (stats.step_ms, stats.decode_ms, stats.denoise) = (step_ms, decode_ms, denoise);
        });
        let (step, steps) = (self.summary.steps + 1, self.scheduler.ladder().steps_from(self.begin));
        Ok(PaintStep { step, steps, pictures, is_final, step_ms, decode_ms })
    }
}

/// Puts the pixels of `init` back where the mask is not white.
fn keep_outside(picture: &mut Picture, init: &Picture, mask: &Picture) {
    let pixels = picture.rgba.as_chunks_mut::<4>().0.iter_mut().zip(init.rgba.as_chunks::<4>().0);
    for ((to, from), mask) in pixels.zip(mask.mask()) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = (f32::from(*from) + mask * (f32::from(*to) - f32::from(*from))).round() as u8;
        }
    }
}
