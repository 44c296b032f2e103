//! What a caller may ask of a painting, and the check that it can be.

use serde::Deserialize;

use super::{ImageModelInfo, Picture, SchedulerName};
use crate::{Error, Result};

const MOST_STEPS: f64 = 1000.0;
const MOST_GUIDANCE: f64 = 100.0;
/// Pictures at once.
const MOST_PICTURES: f64 = 16.0;

/// How to paint.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageOptions {
    pub prompt: String,
    pub negative_prompt: String,
    /// 0 to 100; 1 and less are none (arXiv 2207.12598).
    pub guidance: f32,
    pub steps: usize,
    pub scheduler: SchedulerName,
    /// Chosen at random, and reported, where there is none.
    pub seed: Option<u32>,
    pub width: usize,
    pub height: usize,
    pub count: usize,
    /// A picture to begin from.
    pub init: Option<Picture>,
    /// How much of `init` may change, above 0 to 1: this share of the steps, rounded down.
    pub strength: f64,
    /// Where `init` may change: white. Of the picture's size.
    pub mask: Option<Picture>,
    pub preview: bool,
}

/// The same as it comes from JavaScript, where every number is a float and most are left out. Pictures come beside it.
/// The names stand in `www/options.js` too.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageRequest {
    pub prompt: String,
    pub negative_prompt: Option<String>,
    pub guidance: Option<f64>,
    pub steps: Option<f64>,
    pub scheduler: Option<String>,
    pub seed: Option<f64>,
    pub width: Option<f64>,
    pub height: Option<f64>,
    pub count: Option<f64>,
    pub strength: Option<f64>,
    pub preview: Option<bool>,
}

fn wrong(name: &str, value: impl std::fmt::Display, allowed: &str) -> Error {
    Error::bad_argument(format!("{name} is {value}, but must be {allowed}"))
}

impl ImageRequest {
    /// Errors: `bad-argument` that names the option, the value and what is allowed for this model.
    pub fn check(self, info: &ImageModelInfo, init: Option<Picture>, mask: Option<Picture>) -> Result<ImageOptions> {
        let whole = |name: &str, value: Option<f64>, default: usize, most: f64| -> Result<usize> {
            let Some(value) = value else { return Ok(default) };
            if value.fract() != 0.0 || !(1.0..=most).contains(&value) {
                return Err(wrong(name, value, &format!("a whole number from 1 to {most}")));
            }
            Ok(value as usize)
        };
        let seed = match self.seed {
            Some(seed) if seed.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&seed) => {
                return Err(wrong("seed", seed, &format!("a whole number from 0 to {}", u32::MAX)));
            }
            seed => seed.map(|seed| seed as u32),
        };
        let guidance = self.guidance.unwrap_or(info.guidance.into());
        if !(0.0..=MOST_GUIDANCE).contains(&guidance) {
            return Err(wrong("guidance", guidance, &format!("a number from 0 to {MOST_GUIDANCE}")));
        }
        let strength = self.strength.unwrap_or(0.75);
        if !(strength > 0.0 && strength <= 1.0) {
            return Err(wrong("strength", strength, "above 0 and at most 1"));
        }
        let side = |name: &str, value: Option<f64>, default: usize| -> Result<usize> {
            let Some(value) = value else { return Ok(default) };
            let (multiple, largest) = (info.size_multiple as f64, info.largest as f64);
            if value.fract() != 0.0 || !(multiple..=largest).contains(&value) || value % multiple != 0.0 {
                return Err(wrong(name, value, &format!("a multiple of {multiple} from {multiple} to {largest}")));
            }
            Ok(value as usize)
        };
        let (width, height) = (side("width", self.width, info.width)?, side("height", self.height, info.height)?);
        if info.fixed_size && (width, height) != (info.width, info.height) {
            let sides = format!("{}×{}, the one size that this model paints", info.width, info.height);
            return Err(wrong("the size", format!("{width}×{height}"), &sides));
        }
        if (init.is_some() || mask.is_some()) && !info.takes_pictures {
            return Err(Error::bad_argument(
                "this model has no encoder, so it cannot begin from a picture; leave init and mask out",
            ));
        }
        if self.strength.is_some() && init.is_none() {
            return Err(Error::bad_argument(
                "strength says how much of a given picture may change; give init too, or leave strength out",
            ));
        }
        if let Some(mask) = &mask {
            if init.is_none() {
                return Err(Error::bad_argument("a mask needs a picture to change; give init too"));
            }
            if (mask.width, mask.height) != (width, height) {
                let sides = format!("{}×{}", mask.width, mask.height);
                return Err(wrong("the mask's size", sides, &format!("{width}×{height}, the picture's")));
            }
        }
        Ok(ImageOptions {
            prompt: self.prompt,
            negative_prompt: self.negative_prompt.unwrap_or_default(),
            guidance: guidance as f32,
            steps: whole("steps", self.steps, info.steps, MOST_STEPS)?,
            scheduler: match self.scheduler {
                Some(name) => SchedulerName::parse(&name, &info.schedulers)?,
                None => info.scheduler,
            },
            seed,
            width,
            height,
            count: whole("count", self.count, 1, MOST_PICTURES)?,
            init: init.map(|picture| picture.fitted(width, height)),
            strength,
            mask,
            preview: self.preview.unwrap_or(true),
        })
    }
}
