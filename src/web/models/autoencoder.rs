//! An autoencoder or a generator, as the worker holds it.

use js_sys::{Float32Array, Object, Reflect};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use super::{
    super::{
        cancel::Cancel,
        js::{from_js, thrown, to_js},
    },
    image::{Stats, picture_of, pixels},
};
use crate::{Error, image};

loaded_model!(
    "A loaded autoencoder or generator.",
    Autoencoder(image::Autoencoder), "AutoencoderInfo", Stats as "ImageModelStats"
);

#[wasm_bindgen]
impl Autoencoder {
    /// The picture of a latent of `shape`, of the class `label` where the model was trained with labels.
    #[wasm_bindgen(js_name = decodeLatent, unchecked_return_type = "Pixels")]
    pub async fn decode_latent(
        &self,
        latent: Float32Array,
        #[wasm_bindgen(unchecked_param_type = "number[]")] shape: JsValue,
        label: Option<u32>,
        cancel: &Cancel,
    ) -> Result<Object, JsValue> {
        let cancel = cancel.flag().clone();
        let shape: Vec<u32> = from_js(shape, "the latent's shape").map_err(thrown)?;
        let shape: Vec<usize> = shape.into_iter().map(|side| side as usize).collect();
        let decoded = self.model.decode_labelled(&latent.to_vec(), &shape, label, &cancel).await.map_err(thrown)?;
        pixels(&decoded)
    }

    /// The latent of a picture.
    #[wasm_bindgen(js_name = encodePicture, unchecked_return_type = "Latent")]
    pub async fn encode_picture(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Pixels")] picture: JsValue,
        cancel: &Cancel,
    ) -> Result<Object, JsValue> {
        let cancel = cancel.flag().clone();
        let given = picture_of(&picture, "the picture").and_then(|given| {
            given.ok_or_else(|| Error::bad_argument("there is no picture; give ImageData, an ImageBitmap or a Blob"))
        });
        let (latent, shape) = self.model.encode(&given.map_err(thrown)?, &cancel).await.map_err(thrown)?;
        let object = Object::new();
        Reflect::set(&object, &"latent".into(), &Float32Array::from(latent.as_slice()))?;
        Reflect::set(&object, &"shape".into(), &to_js(&shape)?)?;
        Ok(object)
    }
}
