//! Models of every kind as the worker holds them: how a file of each is told, loaded, and what all their faces have in common.

/// A model as the worker holds it: what it is, what it took, and that freeing it closes it.
macro_rules! loaded_model {
    ($doc:literal, $name:ident($model:ty), $info:literal, $stats:ty as $stats_type:literal) => {
        #[doc = $doc]
        #[wasm_bindgen::prelude::wasm_bindgen]
        pub struct $name {
            model: $model,
        }

        impl From<$model> for $name {
            fn from(model: $model) -> Self {
                Self { model }
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                self.model.close();
            }
        }

        #[wasm_bindgen::prelude::wasm_bindgen]
        impl $name {
            #[wasm_bindgen(unchecked_return_type = $info)]
            pub fn info(&self) -> Result<JsValue, JsValue> {
                to_js(self.model.info())
            }

            #[wasm_bindgen(unchecked_return_type = $stats_type)]
            pub fn stats(&self) -> Result<JsValue, JsValue> {
                to_js(&<$stats>::from(self.model.stats()))
            }
        }
    };
}

mod autoencoder;
mod encoder;
mod image;
mod text;

use wasm_bindgen::JsValue;

use crate::{
    Cancel, Error, Result,
    backend::Device,
    image::{Autoencoder, ImageModel},
    models::Recurrent,
    text::{Encoder, LoadOptions, TextModel},
    weights::{Storage, WeightFile},
};

/// What a page can ask of a load.
pub struct Asked {
    pub kind: Option<String>,
    pub storage: Storage,
    pub context_length: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Encoder,
    Image,
    Autoencoder,
}

/// The kind that is asked for, or that of the file.
///
/// Errors: `bad-argument` for a kind that is none, and for an option that a model of this kind has no use for.
pub fn kind(file: &WeightFile, asked: &Asked) -> Result<Kind> {
    let kind = match asked.kind.as_deref() {
        None if ImageModel::is_one(file) => Kind::Image,
        None if Encoder::is_one(file) => Kind::Encoder,
        None if Recurrent::is_one(file) => Kind::Text,
        None if Autoencoder::is_one(file) => Kind::Autoencoder,
        None | Some("text") => Kind::Text,
        Some("encoder") => Kind::Encoder,
        Some("image") => Kind::Image,
        Some("autoencoder" | "generator") => Kind::Autoencoder,
        Some(other) => {
            return Err(Error::bad_argument(format!(
                "kind is {other:?}, but must be \"text\", \"encoder\", \"image\", \"autoencoder\" or \"generator\""
            )));
        }
    };
    if kind != Kind::Text && asked.context_length.is_some() {
        return Err(Error::bad_argument("contextLength is for language models; leave it out for this one"));
    }
    Ok(kind)
}

/// The model's face. `progress` is told the bytes given to the device and the bytes in all.
pub async fn load(
    kind: Kind,
    file: &WeightFile,
    device: &Device,
    asked: &Asked,
    progress: &mut dyn FnMut(u64, u64),
    cancel: &Cancel,
) -> Result<JsValue> {
    let Asked { storage, context_length, .. } = *asked;
    Ok(match kind {
        Kind::Text => {
            let options = LoadOptions { context_length, storage };
            text::Model::from(TextModel::load(file, device, options, progress, cancel).await?).into()
        }
        Kind::Encoder => encoder::Encoder::from(Encoder::load(file, device, storage, progress, cancel).await?).into(),
        Kind::Image => image::ImageModel::from(ImageModel::load(file, device, storage, progress, cancel).await?).into(),
        Kind::Autoencoder => {
            autoencoder::Autoencoder::from(Autoencoder::load(file, device, storage, progress, cancel).await?).into()
        }
    })
}
