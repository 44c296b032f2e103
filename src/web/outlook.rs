//! What a page is told of models before it fetches them; the worker's `find.js` does the asking.

use js_sys::{Array, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};

use super::{
    cancel::Cancel,
    engine::Engine,
    js::{from_js, thrown, to_js},
};
use crate::{
    Error, Result,
    backend::speed,
    graph::DType,
    outlook::{self, Beginning, Layout, Listed, Outlook},
};

#[wasm_bindgen]
impl Engine {
    /// GGUFs of one model, the best first for a device with so many bytes of room.
    #[wasm_bindgen(js_name = rankFiles, unchecked_return_type = "Ranked[]")]
    pub fn rank_files(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Listed[]")] files: JsValue,
        room: Option<f64>,
    ) -> Result<JsValue, JsValue> {
        let files: Vec<Listed> = from_js(files, "the files").map_err(thrown)?;
        let layout = Layout::of(&self.now().info());
        to_js(&outlook::rank(&files, layout, room.map(|room| room as u64)))
    }

    /// What files are, by their first bytes; nothing where more of the first one is needed.
    #[wasm_bindgen(unchecked_return_type = "Outlook | undefined")]
    pub async fn outlook(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Beginning[]")] files: JsValue,
    ) -> Result<JsValue, JsValue> {
        let layout = Layout::of(&self.now().info());
        let files = Array::from(&files).iter().map(|file| beginning(&file)).collect::<Result<_>>().map_err(thrown)?;
        to_js(&Outlook::of(files, layout).await.map_err(thrown)?)
    }

    /// Bytes a second of a file's weights, most of which have the type of this name ([`Outlook::stored_as`]).
    pub async fn speed(&self, dtype: String, cancel: &Cancel) -> Result<f64, JsValue> {
        let cancel = cancel.flag().clone();
        let device = self.now();
        let speed = async {
            let known = DType::WEIGHTS.into_iter().find(|known| known.name() == dtype);
            let dtype = known.ok_or_else(|| Error::bad_argument(format!("no weights are stored as {dtype}")))?;
            speed::bytes_per_second(&device, dtype, &cancel).await
        };
        speed.await.map_err(thrown)
    }
}

fn beginning(file: &JsValue) -> Result<Beginning> {
    let field = |name: &str| Reflect::get(file, &name.into()).unwrap_or_default();
    let bytes = field("bytes").dyn_into::<Uint8Array>();
    match (field("name").as_string(), field("size").as_f64(), bytes) {
        (Some(name), Some(size), Ok(bytes)) => Ok(Beginning { name, len: size as u64, bytes: bytes.to_vec() }),
        _ => Err(Error::internal("a file's beginning has no name, size or bytes")),
    }
}
