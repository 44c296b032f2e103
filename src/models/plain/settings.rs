//! What a `config.json` says of a plain network: what its tensors do not show.

use serde_json::Value;

use super::Meeting;
use crate::{Error, Result, graph::Unary, weights::WeightFile};

/// Of LeakyReLU, as DCGAN has it.
const SLOPE: f32 = 0.2;

/// The settings; every one may be missing. Lists have a member for each layer that they speak of, a single value stands for all.
#[derive(Debug, Clone, Default)]
pub struct Settings(Value);

impl Settings {
    /// Those of a `config.json` that names the class `Generator`, or none.
    pub fn of(file: &WeightFile) -> Result<Self> {
        Ok(Self(file.config_of_class("Generator")?.map(|(json, _)| json).unwrap_or_default()))
    }

    #[cold]
    fn bad(key: &str, wanted: &str) -> Error {
        Error::corrupt_file(format!("config.json: {key} must be {wanted}; mend it, or leave it out"))
    }

    /// Whole numbers, `count` of them.
    fn numbers(&self, key: &str, count: usize) -> Result<Option<Vec<usize>>> {
        let number = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= 1024);
        let found = match &self.0[key] {
            Value::Null => return Ok(None),
            Value::Array(values) if values.len() == count => values.iter().map(number).collect::<Option<Vec<_>>>(),
            value => number(value).map(|n| vec![n; count]),
        };
        found
            .map(Some)
            .ok_or_else(|| Self::bad(key, &format!("a whole number, or {count} of them, one for each layer")))
    }

    /// Stride, padding and output padding of so many transposed convolutions, where any of them is said.
    pub fn designs(&self, count: usize) -> Result<Option<Vec<[usize; 3]>>> {
        self.designs_by(["stride", "padding", "output_padding"], count)
    }

    /// The same of so many convolutions of an encoder, which have no output padding.
    pub fn inward_designs(&self, count: usize) -> Result<Option<Vec<[usize; 3]>>> {
        self.designs_by(["encoder_stride", "encoder_padding", ""], count)
    }

    fn designs_by(&self, keys: [&str; 3], count: usize) -> Result<Option<Vec<[usize; 3]>>> {
        let [stride, padding, more] = keys.map(|key| self.numbers(key, count));
        let (stride, padding, more) = (stride?, padding?, more?);
        if stride.is_none() && padding.is_none() && more.is_none() {
            return Ok(None);
        }
        let or = |list: Option<Vec<usize>>, usual| list.unwrap_or_else(|| vec![usual; count]);
        let (stride, padding, more) = (or(stride, 1), or(padding, 0), or(more, 0));
        Ok(Some((0..count).map(|i| [stride[i], padding[i], more[i]]).collect()))
    }

    /// How much larger a picture becomes before each of so many convolutions.
    pub fn upsampling(&self, count: usize) -> Result<Option<Vec<usize>>> {
        let found = self.numbers("upsample", count)?;
        match &found {
            Some(factors) if factors.iter().any(|factor| !(1..=8).contains(factor)) => {
                Err(Self::bad("upsample", "factors from 1 to 8"))
            }
            _ => Ok(found),
        }
    }

    /// Whether what becomes larger is drawn smoothly, and not in squares.
    pub fn is_bilinear(&self) -> Result<bool> {
        match self.0["upsample_mode"].as_str() {
            None | Some("nearest") => Ok(false),
            Some("bilinear") => Ok(true),
            Some(_) => Err(Self::bad("upsample_mode", "\"nearest\" or \"bilinear\"")),
        }
    }

    /// The side of a picture.
    pub fn side(&self) -> Result<Option<usize>> {
        Ok(self.numbers("image_size", 1)?.map(|sides| sides[0]))
    }

    /// The channels of a picture.
    pub fn channels(&self) -> Result<Option<usize>> {
        match self.numbers("channels", 1)?.as_deref() {
            None => Ok(None),
            Some([channels @ (1 | 3)]) => Ok(Some(*channels)),
            Some(_) => Err(Self::bad("channels", "1 or 3")),
        }
    }

    /// The epsilon of all norms.
    pub fn eps(&self) -> Result<Option<f32>> {
        let value = &self.0["norm_eps"];
        match value.as_f64() {
            Some(eps) if (0.0..=1.0).contains(&eps) => Ok(Some(eps as f32)),
            None if value.is_null() => Ok(None),
            _ => Err(Self::bad("norm_eps", "a number from 0 to 1")),
        }
    }

    /// The slope of LeakyReLU.
    pub fn slope(&self) -> Result<f32> {
        let value = &self.0["negative_slope"];
        match value.as_f64() {
            Some(slope) if slope.is_finite() => Ok(slope as f32),
            None if value.is_null() => Ok(SLOPE),
            _ => Err(Self::bad("negative_slope", "a number")),
        }
    }

    fn function(&self, key: &str, value: &Value) -> Result<Option<Unary>> {
        Ok(Some(match value.as_str() {
            Some("none") => return Ok(None),
            Some("relu") => super::RELU,
            Some("leaky_relu") => Unary::LeakyRelu { slope: self.slope()? },
            Some("tanh") => Unary::Tanh,
            Some("sigmoid") => Unary::Sigmoid,
            Some("silu") => Unary::Silu,
            Some("gelu") => Unary::Gelu,
            _ => {
                let known = r#""relu", "leaky_relu", "silu", "gelu", "tanh", "sigmoid" or "none""#;
                return Err(Self::bad(key, &format!("{known}, or a list of these with one for each layer")));
            }
        }))
    }

    /// Whether anything is said of the functions behind the layers.
    pub fn says_functions(&self) -> bool {
        !self.0["activation"].is_null()
    }

    /// The functions behind so many layers of an encoder, where they are said.
    pub fn inward_functions(&self, count: usize) -> Result<Option<Vec<Option<Unary>>>> {
        const KEY: &str = "encoder_activation";
        match &self.0[KEY] {
            Value::Null => Ok(None),
            Value::Array(values) if values.len() == count => {
                values.iter().map(|value| self.function(KEY, value)).collect::<Result<_>>().map(Some)
            }
            value => Ok(Some(vec![self.function(KEY, value)?; count])),
        }
    }

    /// Puts what is said of the functions behind the layers over what is usual.
    pub fn functions(&self, usual: &mut [Option<Unary>]) -> Result<()> {
        let count = usual.len();
        let (each, last) = (&self.0["activation"], &self.0["output_activation"]);
        match each {
            Value::Null => {}
            Value::Array(values) if values.len() == count => {
                for (function, value) in usual.iter_mut().zip(values) {
                    *function = self.function("activation", value)?;
                }
            }
            value => {
                let function = self.function("activation", value)?;
                usual[..count.saturating_sub(1)].fill(function);
            }
        }
        match usual.last_mut() {
            Some(function) if !last.is_null() => *function = self.function("output_activation", last)?,
            _ => {}
        }
        Ok(())
    }

    /// How a label meets a latent.
    pub(super) fn meeting(&self) -> Result<Option<Meeting>> {
        match self.0["label"].as_str() {
            None if self.0["label"].is_null() => Ok(None),
            Some("multiply") => Ok(Some(Meeting::Multiplied)),
            Some("first") => Ok(Some(Meeting::First)),
            Some("last") => Ok(Some(Meeting::Last)),
            _ => Err(Self::bad("label", "\"multiply\", \"first\" or \"last\"")),
        }
    }
}
