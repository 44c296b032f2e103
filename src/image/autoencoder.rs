//! An autoencoder, one of its halves, or a generator, ready to use: a latent becomes a picture, a picture a latent.

use std::collections::HashMap;

use serde::Serialize;
use web_time::Instant;

use super::{
    ImageModelStats, Picture, Tiles,
    codec::Codec,
    session::words,
    tiles::{OVERLAP, SIDES, may_fit_smaller},
};
use crate::{
    Error, Result,
    backend::{Device, DeviceInfo, Plan, Resident},
    cancel::Cancel,
    graph::{Graph, Grid, StepParams},
    loaded::{Kind, Loaded, stream_weights},
    weights::{Storage, Summary, WeightFile},
    yielding::Turns,
};

/// The longest side of a picture.
const MOST_PIXELS: usize = 4096;
/// Compiled sizes that are kept.
const MOST_PLANS: usize = 4;

/// What an autoencoder is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoencoderInfo {
    /// `"autoencoder"` or `"generator"`.
    pub kind: &'static str,
    #[serde(flatten)]
    pub file: Summary,
    pub architecture: &'static str,
    pub latent_channels: usize,
    /// Pixels of a side for each pixel of the latent's; 0 where a latent is a vector.
    pub factor: usize,
    pub encodes: bool,
    pub decodes: bool,
    /// How many labels a picture may be asked for by, from 0 on; missing where it is made of the latent alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    pub device: DeviceInfo,
}

/// What a page goes by before an autoencoder is fetched; the fields are those of [`AutoencoderInfo`].
pub(crate) struct Design {
    pub kind: &'static str,
    pub architecture: &'static str,
    pub factor: usize,
    pub decodes: bool,
}

impl Design {
    fn of(codec: &Codec) -> Self {
        let factor = if codec.is_vector() { 0 } else { codec.factor() };
        Self { kind: codec.kind(), architecture: codec.architecture(), factor, decodes: codec.decodes() }
    }
}

/// A half on the device, and the plans for the sizes it met.
struct Half {
    resident: Resident,
    plans: HashMap<Grid, Plan>,
}

pub struct Halves {
    decoder: Option<Half>,
    encoder: Option<Half>,
    turns: Turns,
}

/// What the calls on an autoencoder share.
pub struct Coder {
    codec: Codec,
}

impl Kind for Coder {
    type Info = AutoencoderInfo;
    type Stats = ImageModelStats;
    type Session = Halves;

    fn refresh(stats: &mut ImageModelStats, halves: &Halves) {
        stats.device_bytes = halves.bytes();
        let plans = [&halves.decoder, &halves.encoder].into_iter().flatten().flat_map(|half| half.plans.values());
        if let Some(cost) = plans.map(Plan::cost).max_by_key(|cost| cost.dispatches) {
            stats.denoise = cost;
        }
    }
}

/// An autoencoder on a device.
pub type Autoencoder = Loaded<Coder>;

impl Loaded<Coder> {
    /// Whether a file holds an autoencoder or a generator, alone or beside other parts.
    pub fn is_one(file: &WeightFile) -> bool {
        Codec::is_one(file)
    }

    /// What a file's header says that it holds.
    ///
    /// Errors: as [`Self::load`], of the index alone.
    pub(crate) fn design(file: &WeightFile) -> Result<Design> {
        Codec::from_file(file, Storage::Keep).map(|codec| Design::of(&codec))
    }

    /// Finds what the file holds and streams it to the device, stored as `storage` says. `progress` is told the bytes given to the device and
    /// the bytes in all.
    ///
    /// Errors: `unsupported-model`, `corrupt-file`, `out-of-memory`, `aborted`, and the source's own.
    pub async fn load(
        file: &WeightFile,
        device: &Device,
        storage: Storage,
        progress: &mut dyn FnMut(u64, u64),
        cancel: &Cancel,
    ) -> Result<Self> {
        let begun = Instant::now();
        let codec = Codec::from_file(file, storage)?;
        let side = codec.factor();
        let decoder = codec.decodes().then(|| codec.decoder(Grid::new(1, 1, 1))).transpose()?;
        let encoder = codec.encodes().then(|| codec.encoder(Grid::new(1, side, side))).transpose()?;
        let parts: Vec<_> = decoder.iter().chain(&encoder).map(|graph| (graph, codec.recipes())).collect();
        let (residents, _) = stream_weights(file, device, &parts, progress, cancel).await?;
        let mut residents = residents.into_iter().map(|resident| Half { resident, plans: HashMap::new() });
        let mut half = |graph: Option<&Graph>| graph.and_then(|_| residents.next());
        let halves =
            Halves { decoder: half(decoder.as_ref()), encoder: half(encoder.as_ref()), turns: Turns::default() };
        let Design { kind, architecture, factor, decodes } = Design::of(&codec);
        let info = AutoencoderInfo {
            kind,
            file: file.summary(),
            architecture,
            latent_channels: codec.latent_channels(),
            factor,
            encodes: codec.encodes(),
            decodes,
            classes: codec.classes(),
            device: device.info(),
        };
        let load_ms = begun.elapsed().as_secs_f64() * 1e3;
        let stats = ImageModelStats { load_ms, device_bytes: halves.bytes(), ..ImageModelStats::default() };
        Ok(Self::new(Coder { codec }, info, stats, halves))
    }

    /// The picture of a latent: row-major numbers of `shape` `[1, channels, height, width]`, as the file's own decoder takes them; `[1, size]` for one
    /// that is a vector.
    ///
    /// Errors: `bad-argument` where there is no decoder, the latent is none of its or it wants a label, `aborted`, `closed`, and the device's own.
    pub async fn decode(&self, latent: &[f32], shape: &[usize], cancel: &Cancel) -> Result<Picture> {
        self.decode_labelled(latent, shape, None, cancel).await
    }

    /// The same, of the class that `label` names, for a model that was trained with labels.
    ///
    /// Errors: besides, `bad-argument` for a label out of range, one that is missing, and one for a model without labels.
    pub async fn decode_labelled(
        &self,
        latent: &[f32],
        shape: &[usize],
        label: Option<u32>,
        cancel: &Cancel,
    ) -> Result<Picture> {
        self.check_open()?;
        let codec = &self.codec;
        let (height, width) = self.sides(latent, shape)?;
        check_label(codec.classes(), label)?;
        let latent = turned(latent, codec.latent_channels(), height * width);
        let mut halves = self.turn(cancel).await?;
        let begun = Instant::now();
        let Halves { decoder, turns, .. } = &mut *halves;
        let Some(half) = decoder else {
            return Err(Error::bad_argument("this file holds no decoder; load the decoder's own file"));
        };
        let asked = (&latent[..], label);
        let rows = match half.decode(codec, asked, [height, width], SIDES[0], cancel).await {
            Err(error) if may_fit_smaller(&error, height, width) => {
                half.decode(codec, asked, [height, width], SIDES[1], cancel).await?
            }
            decoded => decoded?,
        };
        turns.give_way().await;
        cancel.check()?;
        let (low, high) = codec.range();
        let rows = if codec.picture_channels() == 1 { rows.iter().flat_map(|v| [*v; 3]).collect() } else { rows };
        let picture = Picture::from_rows(width * codec.factor(), height * codec.factor(), &rows, low, high);
        self.record(|stats| stats.decode_ms = begun.elapsed().as_secs_f64() * 1e3);
        Ok(picture)
    }

    /// The latent of a picture, row-major, and its shape `[1, channels, height, width]`; the distribution's mean where the encoder gives one.
    ///
    /// Errors: `bad-argument` where there is no encoder or the sides do not fit, `aborted`, `closed`, and the device's own.
    pub async fn encode(&self, picture: &Picture, cancel: &Cancel) -> Result<(Vec<f32>, [usize; 4])> {
        self.check_open()?;
        let (codec, factor) = (&self.codec, self.codec.factor());
        let (width, height) = (picture.width, picture.height);
        let most = if codec.is_vector() { factor } else { MOST_PIXELS / factor * factor };
        let fits = |side: usize| side.is_multiple_of(factor) && side <= most;
        if codec.encodes() && !(fits(width) && fits(height)) {
            let near = |side: usize| (side / factor * factor).clamp(factor, most);
            return Err(Error::bad_argument(format!(
                "the picture is {width}×{height}, but sides must be multiples of {factor} up to {most}; bring it to {}×{}",
                near(width),
                near(height)
            )));
        }
        let mut halves = self.turn(cancel).await?;
        let begun = Instant::now();
        let Halves { encoder, turns, .. } = &mut *halves;
        let Some(half) = encoder else {
            return Err(Error::bad_argument("this file holds no encoder; load the encoder's own file"));
        };
        let (low, high) = codec.range();
        let plan = half.plan(Grid::new(1, height, width), |grid| codec.encoder(grid), cancel).await?;
        let rows = picture.rows(low, high);
        let rows = if codec.picture_channels() == 1 { grey(&rows) } else { rows };
        let encoded = run(plan, ("picture", &rows), codec.encoded(), cancel).await?;
        turns.give_way().await;
        cancel.check()?;
        let shape = [1, codec.latent_channels(), height / factor, width / factor];
        let pixels = shape[2] * shape[3];
        let columns = encoded.len() / pixels;
        let latent = (0..shape[1]).flat_map(|c| (0..pixels).map(move |at| (at, c)));
        let latent = latent.map(|(at, c)| encoded[at * columns + c]).collect();
        self.record(|stats| stats.decode_ms = begun.elapsed().as_secs_f64() * 1e3);
        Ok((latent, shape))
    }

    /// Height and width of a latent.
    fn sides(&self, latent: &[f32], shape: &[usize]) -> Result<(usize, usize)> {
        let (codec, channels) = (&self.codec, self.codec.latent_channels());
        let vector = codec.is_vector();
        let most = MOST_PIXELS / codec.factor();
        let sides = match *shape {
            [1, c, h, w] if c == channels && (!vector || (h, w) == (1, 1)) => Some((h, w)),
            [1, c] if c == channels && vector => Some((1, 1)),
            _ => None,
        };
        let sides = sides.filter(|(h, w)| (1..=most).contains(h) && (1..=most).contains(w));
        let Some((height, width)) = sides else {
            let wanted = match vector {
                true => format!("[1, {channels}]"),
                false => format!("[1, {channels}, height, width] with sides from 1 to {most}"),
            };
            return Err(Error::bad_argument(format!("the latent's shape is {shape:?}, but must be {wanted}")));
        };
        if latent.len() != channels * height * width {
            return Err(Error::bad_argument(format!(
                "the latent has {} numbers, but its shape {shape:?} wants {}",
                latent.len(),
                channels * height * width
            )));
        }
        if let Some(at) = latent.iter().position(|v| !v.is_finite()) {
            return Err(Error::bad_argument(format!(
                "the latent's number {at} is {}; give finite numbers",
                latent[at]
            )));
        }
        Ok((height, width))
    }
}

impl Halves {
    fn bytes(&self) -> u64 {
        [&self.decoder, &self.encoder].into_iter().flatten().map(|half| half.resident.bytes()).sum()
    }
}

impl Half {
    /// The plan for a size, compiled when it is first asked for. Few are kept: their memory is that of their pictures.
    async fn plan(&mut self, grid: Grid, graph: impl Fn(Grid) -> Result<Graph>, cancel: &Cancel) -> Result<&mut Plan> {
        if !self.plans.contains_key(&grid) {
            if self.plans.len() >= MOST_PLANS {
                self.plans.clear();
            }
            let plan = cancel.race(self.resident.compile(&graph(grid)?)).await?;
            self.plans.insert(grid, plan);
        }
        self.plans.get_mut(&grid).ok_or_else(|| Error::internal("a plan that was just made is gone"))
    }
}

impl Half {
    /// The picture of a latent; in tiles of `side` where it is larger than one.
    async fn decode(
        &mut self,
        codec: &Codec,
        (latent, label): (&[f32], Option<u32>),
        [height, width]: [usize; 2],
        side: usize,
        cancel: &Cancel,
    ) -> Result<Vec<f32>> {
        if height.max(width) <= side {
            let plan = self.plan(Grid::new(1, height, width), |grid| codec.decoder(grid), cancel).await?;
            if let Some(label) = label {
                plan.write_input("label", &[label])?;
            }
            return run(plan, ("latent", latent), "picture", cancel).await;
        }
        let tiles = Tiles::new(height, width, side, OVERLAP)?;
        let plan = self.plan(tiles.tile(), |grid| codec.decoder(grid), cancel).await?;
        tiles.decode(plan, latent, codec.latent_channels(), &mut |_, _| (), cancel).await
    }
}

/// One input in, one output out.
async fn run(plan: &mut Plan, input: (&str, &[f32]), output: &str, cancel: &Cancel) -> Result<Vec<f32>> {
    cancel.check()?;
    plan.write_input(input.0, &words(input.1))?;
    let pending = plan.step(&StepParams::default(), &[output])?;
    let outputs = cancel.race(pending).await?;
    let words = outputs.into_iter().next().ok_or_else(|| Error::internal(format!("{output} did not come")))?;
    Ok(words.into_iter().map(f32::from_bits).collect())
}

/// Refuses a label that a model of so many classes has no use for, or none where it wants one.
fn check_label(classes: Option<usize>, label: Option<u32>) -> Result<()> {
    match (classes, label) {
        (None, None) => Ok(()),
        (Some(classes), Some(label)) if (label as usize) < classes => Ok(()),
        (Some(classes), label) => {
            let given = label.map_or_else(|| "there is no label".into(), |label| format!("the label is {label}"));
            Err(Error::bad_argument(format!(
                "{given}; this model was trained with labels, so give one from 0 to {}",
                classes - 1
            )))
        }
        (None, Some(_)) => Err(Error::bad_argument("this model knows no labels; leave the label out")),
    }
}

/// How bright each pixel of rows `[pixels, 3]` is (ITU-R BT.601, as Pillow's grey).
fn grey(rows: &[f32]) -> Vec<f32> {
    rows.as_chunks::<3>().0.iter().map(|[r, g, b]| 0.299 * r + 0.587 * g + 0.114 * b).collect()
}

/// `[channels, pixels]` → `[pixels, channels]`.
fn turned(latent: &[f32], channels: usize, pixels: usize) -> Vec<f32> {
    (0..pixels).flat_map(|at| (0..channels).map(move |c| latent[c * pixels + at])).collect()
}
