//! What holds a text to a form: an object of the module `constraints`, which the worker loads when a text is first held to something.

use js_sys::{Uint8Array, Uint32Array};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use super::js::said;
use crate::{
    Error, Result,
    text::{Form, Matcher},
};

#[wasm_bindgen]
extern "C" {
    /// As `www/constraints.js` gives it: makes a matcher for each text.
    #[wasm_bindgen(typescript_type = "Form")]
    pub type JsForm;

    #[wasm_bindgen(method, catch)]
    fn follow(this: &JsForm) -> Result<JsMatcher, JsValue>;

    /// As `www/constraints.js` gives it; its methods are those of [`Matcher`].
    #[wasm_bindgen(typescript_type = "Matcher")]
    pub type JsMatcher;

    #[wasm_bindgen(method, catch)]
    fn mask(this: &JsMatcher) -> Result<Uint32Array, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn take(this: &JsMatcher, token: u32) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn forced(this: &JsMatcher) -> Result<Uint8Array, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn accepts(this: &JsMatcher, tokens: &[u32]) -> Result<u32, JsValue>;
    #[wasm_bindgen(method, getter, js_name = isComplete)]
    fn complete(this: &JsMatcher) -> bool;
}

/// What it cannot do lies in what was asked of it.
fn refused(exception: JsValue) -> Error {
    Error::bad_argument(said(&exception))
}

impl JsForm {
    pub fn form(self) -> Form {
        Box::new(move || Ok(Box::new(self.follow().map_err(refused)?)))
    }
}

impl Matcher for JsMatcher {
    fn mask(&mut self) -> Result<Vec<u32>> {
        JsMatcher::mask(self).map(|mask| mask.to_vec()).map_err(refused)
    }

    fn take(&mut self, token: u32) -> Result<()> {
        JsMatcher::take(self, token).map_err(refused)
    }

    fn forced(&mut self) -> Result<Vec<u8>> {
        JsMatcher::forced(self).map(|bytes| bytes.to_vec()).map_err(refused)
    }

    fn accepts(&mut self, tokens: &[u32]) -> Result<usize> {
        JsMatcher::accepts(self, tokens).map(|count| count as usize).map_err(refused)
    }

    fn is_complete(&self) -> bool {
        self.complete()
    }
}
