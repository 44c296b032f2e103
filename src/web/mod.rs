//! The wasm-bindgen face, used by `www/worker.js` alone: the only room that knows JavaScript.
//!
//! `Engine` opens a device and loads, `Model` writes, `Generation` gives chunks one by one, `ImageModel` paints, `Painting` gives steps one by
//! one, `Autoencoder` decodes and encodes, `Tokenizer` stands alone, `Cancel` stops a load. The shapes of all values are written down in `www/wasm-face.d.ts` and `www/vitrine.d.ts`.
//!
//! Uses `text`, `image` and `weights`. Promises: every failure is thrown as `{ code, message }`; a panic leaves its message in
//! `globalThis.vitrinePanic` before the module traps.

mod autoencoder;
mod cache;
mod cancel;
mod device;
mod engine;
mod files;
mod image;
mod js;
mod model;
pub mod opfs;
pub mod sources;
mod tokenizer;

use wasm_bindgen::prelude::wasm_bindgen;

/// Runs once, when the module is loaded.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|panic| {
        console_error_panic_hook::hook(panic);
        // The worker tells the page in these words why everything ended. Where even this fails, it says less.
        let _ = js_sys::Reflect::set(&js_sys::global(), &"vitrinePanic".into(), &panic.to_string().into());
    }));
}
