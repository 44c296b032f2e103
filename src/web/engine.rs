//! The engine as the worker holds it: a device, and the loading of models and tokenizers.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use js_sys::Function;
use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use super::{
    cancel::Cancel,
    device,
    files::{Files, From},
    js::{options_from_js, thrown, to_js},
    models::{self, Asked},
    tokenizer::Tokenizer,
};
use crate::{
    Error, Result,
    backend::{Device, self_check::load_or_fall_back},
    image,
    weights::{Storage, WeightFile},
};

/// A device to load models on.
#[wasm_bindgen]
pub struct Engine {
    /// The CPU takes the place of a GPU that was found to be faulty, unless the page insisted on it.
    device: Rc<RefCell<Device>>,
    insists: bool,
}

/// Their names stand in `www/options.js` too.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LoadOptions {
    cache: bool,
    context_length: Option<f64>,
    kind: Option<String>,
    quantization: Option<String>,
}

/// How far a load has come.
#[derive(Serialize)]
struct Step {
    /// `"download"` or `"compile"`.
    phase: &'static str,
    /// Bytes so far, and of the whole; `total` is 0 where the server does not say.
    loaded: u64,
    total: u64,
    /// Where the bytes come from.
    from: From,
}

#[wasm_bindgen]
impl Engine {
    /// `device` is `"auto"`, `"webgpu"` or `"cpu"`; WebGPU is taken for `"hardware"` or `"software"`, with or without subgroups.
    pub async fn open(device: String, taken_for: Option<String>, subgroups: Option<bool>) -> Result<Engine, JsValue> {
        let wish = device::Wish { device, taken_for, subgroups };
        let device = device::open(&wish).await.map_err(thrown)?;
        Ok(Self { device: Rc::new(RefCell::new(device)), insists: wish.device != "auto" })
    }

    #[wasm_bindgen(unchecked_return_type = "DeviceInfo")]
    pub fn device(&self) -> Result<JsValue, JsValue> {
        to_js(&self.device.borrow().info())
    }

    /// Loads a model from `files`, telling `progress` of every step.
    #[wasm_bindgen(unchecked_return_type = "Loaded")]
    pub async fn load(
        &self,
        #[wasm_bindgen(unchecked_param_type = "SourceFile[]")] files: JsValue,
        #[wasm_bindgen(unchecked_param_type = "LoadOptions")] options: JsValue,
        cancel: &Cancel,
        #[wasm_bindgen(unchecked_param_type = "(step: Step) => void")] progress: Function,
    ) -> Result<JsValue, JsValue> {
        let cancel = cancel.flag().clone();
        let mut device = self.device.borrow().clone();
        let model = load(&mut device, self.insists, files, options, cancel, progress).await;
        if matches!(device, Device::Cpu(_)) {
            *self.device.borrow_mut() = device;
        }
        model.map_err(thrown)
    }

    /// A tokenizer alone, from a GGUF, a `tokenizer.json`, SentencePiece's file, `vocab.json` with `merges.txt`, a `vocab.txt`, or RWKV's `rwkv_vocab_v20230424.txt`.
    pub async fn tokenizer(
        &self,
        #[wasm_bindgen(unchecked_param_type = "SourceFile[]")] files: JsValue,
        #[wasm_bindgen(unchecked_param_type = "LoadOptions")] options: JsValue,
        cancel: &Cancel,
    ) -> Result<Tokenizer, JsValue> {
        let cancel = cancel.flag().clone();
        let tokenizer = async {
            let options: LoadOptions = options_from_js(options)?;
            let files = cancel.race(Files::open(&files, options.cache)).await?;
            let file = cancel.race(WeightFile::open_parts(files.sources.clone())).await?;
            Tokenizer::of(&file)
        };
        tokenizer.await.map_err(thrown)
    }
}

impl Engine {
    /// What computes by now.
    pub(super) fn now(&self) -> Device {
        self.device.borrow().clone()
    }
}

async fn load(
    device: &mut Device,
    insists: bool,
    files: JsValue,
    options: JsValue,
    cancel: crate::Cancel,
    progress: Function,
) -> Result<JsValue> {
    let options: LoadOptions = options_from_js(options)?;
    let context_length = match options.context_length {
        Some(length) if length < 1.0 => {
            return Err(Error::bad_argument(format!("contextLength is {length}, but must be a whole number from 1")));
        }
        // Whole numbers alone come from the page.
        length => length.map(|length| length as usize),
    };
    let files = cancel.race(Files::open(&files, options.cache)).await?;
    let from = files.from;
    let compiling = Rc::new(Cell::new(false));
    let told = compiling.clone();
    let tell: Rc<dyn Fn(u64, u64)> = Rc::new(move |loaded, total| {
        let phase = if told.get() { "compile" } else { "download" };
        if let Ok(step) = to_js(&Step { phase, loaded, total, from }) {
            // A listener that throws is no reason to end the load.
            let _ = progress.call1(&JsValue::UNDEFINED, &step);
        }
    });
    if from == From::Network {
        files.listen(tell.clone());
    }
    let file = cancel.race(WeightFile::open_parts(files.sources.clone())).await?;
    let mut uploaded = |loaded, total| {
        compiling.set(loaded == total);
        // The network has told of its bytes when they came.
        if from != From::Network || loaded == total {
            tell(loaded, total);
        }
    };
    let asked = Asked { kind: options.kind, storage: storage(options.quantization.as_deref())?, context_length };
    let kind = models::kind(&file, &asked)?;
    if kind != models::Kind::Text {
        cancel.race(image::check_device(device, insists)).await?;
    }
    let model = load_or_fall_back(device, insists, async |device: &Device| {
        models::load(kind, &file, device, &asked, &mut uploaded, &cancel).await
    })
    .await;
    files.warn().await;
    model
}

/// How weights are stored on the device; as the file has them where nothing is asked for.
fn storage(quantization: Option<&str>) -> Result<Storage> {
    match quantization {
        None | Some("keep") => Ok(Storage::Keep),
        Some("f16") => Ok(Storage::F16),
        Some("q8_0") => Ok(Storage::Q8_0),
        Some("q4_0") => Ok(Storage::Q4_0),
        Some(other) => Err(Error::bad_argument(format!(
            "quantization is {other:?}, but must be \"keep\", \"f16\", \"q8_0\" or \"q4_0\""
        ))),
    }
}
