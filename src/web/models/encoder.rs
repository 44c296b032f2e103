//! An encoder, as the worker holds it.

use js_sys::{Array, Float32Array, Uint32Array};
use serde::Deserialize;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use super::{
    super::{
        cancel::Cancel,
        js::{options_from_js, thrown, to_js},
        tokenizer::{decode, encode},
    },
    text::told,
};
use crate::{
    Error, Result,
    text::{self, EmbedOptions, EncoderStats, Input, PoolingName},
};

loaded_model!(
    "A loaded encoder.",
    Encoder(text::Encoder), "EncoderInfo", EncoderStats as "EncoderStats"
);

/// Options as JavaScript gives them. Their names stand in `www/options.js` too.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct EmbedRequest {
    pooling: Option<String>,
    normalize: Option<bool>,
    dimensions: Option<f64>,
    truncate: Option<bool>,
}

impl EmbedRequest {
    fn check(self) -> Result<EmbedOptions> {
        let whole = |value: f64| {
            let fits = value.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(&value);
            fits.then_some(value as usize).ok_or_else(|| {
                Error::bad_argument(format!(
                    "dimensions is {value}, but must be a whole number from 1 to the model's width"
                ))
            })
        };
        Ok(EmbedOptions {
            pooling: self.pooling.as_deref().map(PoolingName::parse).transpose()?,
            normalize: self.normalize,
            dimensions: self.dimensions.map(whole).transpose()?,
            truncate: self.truncate.unwrap_or(false),
        })
    }
}

/// A text, or its ids.
fn input(value: JsValue) -> Input {
    match value.as_string() {
        Some(text) => Input::Text(text),
        None => Input::Ids(Uint32Array::new(&value).to_vec()),
    }
}

#[wasm_bindgen]
impl Encoder {
    pub fn tokenize(&self, text: &str, add_special: bool, parse_special: bool) -> Result<Vec<u32>, JsValue> {
        encode(self.model.tokenizer(), text, add_special, parse_special)
    }

    pub fn detokenize(&self, tokens: &[u32], skip_special: bool) -> Result<String, JsValue> {
        decode(self.model.tokenizer(), tokens, skip_special)
    }

    /// An embedding of each text.
    #[wasm_bindgen(unchecked_return_type = "Float32Array[]")]
    pub async fn embed(
        &self,
        #[wasm_bindgen(unchecked_param_type = "(string | Uint32Array)[]")] texts: Array,
        #[wasm_bindgen(unchecked_param_type = "EmbedRequest")] options: JsValue,
        cancel: &Cancel,
    ) -> Result<Array, JsValue> {
        let cancel = cancel.flag().clone();
        let options = options_from_js::<EmbedRequest>(options).and_then(EmbedRequest::check).map_err(thrown)?;
        let texts: Vec<Input> = texts.iter().map(input).collect();
        let embeddings = self.model.embed(&texts, options, &cancel).await.map_err(thrown)?;
        Ok(embeddings.iter().map(|embedding| Float32Array::from(embedding.as_slice())).collect())
    }

    /// For each mask the likeliest tokens.
    #[wasm_bindgen(unchecked_return_type = "Next[][]")]
    pub async fn fill(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string | Uint32Array")] text: JsValue,
        k: f64,
        cancel: &Cancel,
    ) -> Result<JsValue, JsValue> {
        let cancel = cancel.flag().clone();
        let filled = self.model.fill(&input(text), k as usize, &cancel).await.map_err(thrown)?;
        to_js(&filled.into_iter().map(|mask| mask.into_iter().map(told).collect()).collect::<Vec<Vec<_>>>())
    }

    /// Labels of a text, of two together, or of tokens.
    #[wasm_bindgen(unchecked_return_type = "Labelling[]")]
    pub async fn classify(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string | Uint32Array")] text: JsValue,
        pair: Option<String>,
        truncate: bool,
        cancel: &Cancel,
    ) -> Result<JsValue, JsValue> {
        let cancel = cancel.flag().clone();
        to_js(&self.model.classify(&input(text), pair.as_deref(), truncate, &cancel).await.map_err(thrown)?)
    }
}
