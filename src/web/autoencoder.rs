//! An autoencoder or a generator, as the worker holds it.

use js_sys::{Float32Array, Object, Reflect};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use super::{
    cancel::Cancel,
    image::{Stats, picture, pixels},
    js::{from_js, thrown, to_js},
};
use crate::{Error, image};

/// A loaded autoencoder. Freeing it closes it.
#[wasm_bindgen]
pub struct Autoencoder {
    model: image::Autoencoder,
}

impl Autoencoder {
    pub(super) fn new(model: image::Autoencoder) -> Self {
        Self { model }
    }
}

impl Drop for Autoencoder {
    fn drop(&mut self) {
        self.model.close();
    }
}

#[wasm_bindgen]
impl Autoencoder {
    /// An `AutoencoderInfo`.
    pub fn info(&self) -> Result<JsValue, JsValue> {
        to_js(self.model.info())
    }

    /// An `ImageModelStats`.
    pub fn stats(&self) -> Result<JsValue, JsValue> {
        to_js(&Stats::from(self.model.stats()))
    }

    /// `{ width, height, data }` of a latent of `shape`.
    #[wasm_bindgen(js_name = decodeLatent)]
    pub async fn decode_latent(
        &self,
        latent: Float32Array,
        shape: JsValue,
        cancel: &Cancel,
    ) -> Result<Object, JsValue> {
        let cancel = cancel.flag().clone();
        let shape: Vec<u32> = from_js(shape, "the latent's shape").map_err(thrown)?;
        let shape: Vec<usize> = shape.into_iter().map(|side| side as usize).collect();
        let decoded = self.model.decode(&latent.to_vec(), &shape, &cancel).await.map_err(thrown)?;
        pixels(&decoded)
    }

    /// `{ latent, shape }` of a picture `{ width, height, data }`.
    #[wasm_bindgen(js_name = encodePicture)]
    pub async fn encode_picture(&self, given: JsValue, cancel: &Cancel) -> Result<Object, JsValue> {
        let cancel = cancel.flag().clone();
        let given = picture(&given, "the picture").and_then(|given| {
            given.ok_or_else(|| Error::bad_argument("there is no picture; give ImageData, an ImageBitmap or a Blob"))
        });
        let (latent, shape) = self.model.encode(&given.map_err(thrown)?, &cancel).await.map_err(thrown)?;
        let object = Object::new();
        Reflect::set(&object, &"latent".into(), &Float32Array::from(latent.as_slice()))?;
        Reflect::set(&object, &"shape".into(), &to_js(&shape)?)?;
        Ok(object)
    }
}
