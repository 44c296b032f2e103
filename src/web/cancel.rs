//! How the page ends a call.

use wasm_bindgen::prelude::wasm_bindgen;

/// Ends a call from outside.
#[wasm_bindgen]
#[derive(Default)]
pub struct Cancel(crate::Cancel);

#[wasm_bindgen]
impl Cancel {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    pub fn cancel(&self) {
        self.0.cancel();
    }
}

impl Cancel {
    pub(super) fn flag(&self) -> &crate::Cancel {
        &self.0
    }
}
