//! An image model and its paintings, as the worker holds them.

use std::cell::RefCell;

use futures_util::lock::Mutex;
use js_sys::{Array, Object, Reflect, Uint8ClampedArray};
use serde::Serialize;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use super::super::js::{options_from_js, thrown, to_js};
use crate::{
    Cancel, Error, Result,
    image::{self, ImageModelStats, ImageRequest, PaintSummary, Picture},
};

loaded_model!(
    "A loaded image model.",
    ImageModel(image::ImageModel), "ImageModelInfo", Stats as "ImageModelStats"
);

/// What a model took; what no painting has measured yet is left out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stats {
    load_ms: f64,
    device_bytes: u64,
    dispatches_per_step: u32,
    submits_per_step: u32,
    ms_per_step: Option<f64>,
    decode_ms: Option<f64>,
}

impl From<ImageModelStats> for Stats {
    fn from(stats: ImageModelStats) -> Self {
        let measured = |figure: f64| (figure > 0.0).then_some(figure);
        Self {
            load_ms: stats.load_ms,
            device_bytes: stats.device_bytes,
            dispatches_per_step: stats.denoise.dispatches,
            submits_per_step: stats.denoise.submits,
            ms_per_step: measured(stats.step_ms),
            decode_ms: measured(stats.decode_ms),
        }
    }
}

#[wasm_bindgen]
impl ImageModel {
    /// Begins a painting.
    pub fn paint(
        &self,
        #[wasm_bindgen(unchecked_param_type = "PaintOptions")] options: JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "Pixels")] init: JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "Pixels")] mask: JsValue,
    ) -> Result<Painting, JsValue> {
        let cancel = Cancel::new();
        let begin = || {
            let request: ImageRequest = options_from_js(options)?;
            let options = request.check(self.model.info(), picture_of(&init, "init")?, picture_of(&mask, "mask")?)?;
            self.model.paint(options, cancel.clone())
        };
        let painting = begin().map_err(thrown)?;
        let summary = RefCell::new(painting.summary().clone());
        Ok(Painting { painting: Mutex::new(painting), cancel, summary })
    }
}

/// A painting that is pulled step by step. Freeing it ends it.
#[wasm_bindgen]
pub struct Painting {
    painting: Mutex<image::Painting>,
    cancel: Cancel,
    summary: RefCell<PaintSummary>,
}

/// A step without its pictures.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    /// From 1 to `steps`.
    step: usize,
    steps: usize,
    /// Whether these are the finished pictures.
    #[serde(rename = "final")]
    is_final: bool,
    /// The seed that was given or drawn.
    seed: u32,
    /// Milliseconds that the step took, and that its picture took.
    step_ms: f64,
    decode_ms: f64,
}

#[wasm_bindgen]
impl Painting {
    /// `undefined` at the end.
    #[wasm_bindgen(unchecked_return_type = "PaintedStep | undefined")]
    pub async fn next(&self) -> Result<JsValue, JsValue> {
        let mut painting = self.painting.lock().await;
        let step = painting.next().await;
        *self.summary.borrow_mut() = painting.summary().clone();
        let Some(step) = step.map_err(thrown)? else { return Ok(JsValue::UNDEFINED) };
        let pictures: Array = step.pictures.iter().map(pixels).collect::<Result<_, _>>()?;
        let seed = self.summary.borrow().seed;
        let image::PaintStep { step, steps, is_final, step_ms, decode_ms, .. } = step;
        let made = to_js(&Step { step, steps, is_final, seed, step_ms, decode_ms })?;
        Reflect::set(&made, &"pictures".into(), &pictures)?;
        Ok(made)
    }

    /// The `next` under way ends at once, with the code "aborted".
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Goes on with the same model on another device, after `next` said "device-lost".
    #[wasm_bindgen(js_name = moveTo)]
    pub async fn move_to(&self, model: &ImageModel) {
        self.painting.lock().await.move_to(model.model.clone());
    }

    /// As far as it has come.
    #[wasm_bindgen(unchecked_return_type = "PaintSummary")]
    pub fn summary(&self) -> Result<JsValue, JsValue> {
        to_js(&*self.summary.borrow())
    }
}

/// A picture that came from the page, if one did.
pub(super) fn picture_of(value: &JsValue, name: &str) -> Result<Option<Picture>> {
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    let unfit = || Error::bad_argument(format!("{name} is no picture; give ImageData, an ImageBitmap or a Blob"));
    let get = |key: &str| Reflect::get(value, &key.into()).map_err(|_| unfit());
    let side = |key: &str| get(key)?.as_f64().filter(|n| n.fract() == 0.0 && *n >= 0.0).ok_or_else(unfit);
    let (width, height) = (side("width")? as usize, side("height")? as usize);
    Picture::new(width, height, Uint8ClampedArray::new(&get("data")?).to_vec()).map(Some)
}

pub(super) fn pixels(picture: &Picture) -> Result<Object, JsValue> {
    let object = Object::new();
    Reflect::set(&object, &"width".into(), &(picture.width as u32).into())?;
    Reflect::set(&object, &"height".into(), &(picture.height as u32).into())?;
    Reflect::set(&object, &"data".into(), &Uint8ClampedArray::from(picture.rgba.as_slice()))?;
    Ok(object)
}
