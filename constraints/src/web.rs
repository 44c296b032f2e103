//! The face in WebAssembly, used by the page's worker alone.

use js_sys::Uint8Array;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::{Fault, Matcher, Request, Vocabulary};

fn thrown(fault: Fault) -> js_sys::Error {
    js_sys::Error::new(&fault.to_string())
}

/// A model's tokens.
#[wasm_bindgen(js_name = Vocabulary)]
pub struct WebVocabulary(Vocabulary);

#[wasm_bindgen(js_class = Vocabulary)]
impl WebVocabulary {
    /// `bytes` of all tokens one behind another, where each ends (`ends`), and which are marks (`marks`, a byte each).
    #[wasm_bindgen(constructor)]
    pub fn new(bytes: &[u8], ends: &[u32], marks: &[u8], end: u32) -> Result<Self, js_sys::Error> {
        let mut from = 0;
        let tokens = ends.iter().zip(marks).map(|(to, mark)| {
            let word = bytes.get(from..*to as usize).unwrap_or_default().to_vec();
            from = *to as usize;
            (word, *mark != 0)
        });
        Vocabulary::new(tokens, end).map(Self).map_err(thrown)
    }

    /// `request`: JSON with one of `schema`, `regex`, `grammar` and `choice`, and `schemaFormat`.
    pub fn matcher(&self, request: &str) -> Result<WebMatcher, js_sys::Error> {
        let request = Request::from_json(request).map_err(thrown)?;
        self.0.matcher(&request).map(WebMatcher).map_err(thrown)
    }
}

/// How far a text has come.
#[wasm_bindgen(js_name = Matcher)]
pub struct WebMatcher(Matcher);

#[wasm_bindgen(js_class = Matcher)]
impl WebMatcher {
    pub fn mask(&mut self) -> Result<Vec<u32>, js_sys::Error> {
        self.0.mask().map_err(thrown)
    }

    pub fn take(&mut self, token: u32) -> Result<(), js_sys::Error> {
        self.0.take(token).map_err(thrown)
    }

    pub fn forced(&mut self) -> Uint8Array {
        Uint8Array::from(self.0.forced().as_slice())
    }

    pub fn accepts(&mut self, tokens: &[u32]) -> Result<usize, js_sys::Error> {
        self.0.accepts(tokens).map_err(thrown)
    }

    #[wasm_bindgen(getter, js_name = isComplete)]
    pub fn is_complete(&self) -> bool {
        self.0.is_complete()
    }
}
