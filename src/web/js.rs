//! Values on their way to and from JavaScript.

use js_sys::{Array, Object};
use serde::{
    Serialize,
    de::{DeserializeOwned, value::MapDeserializer},
};
use serde_wasm_bindgen::Deserializer;
use wasm_bindgen::{JsCast, JsValue};

use crate::{Error, Result};

/// What JavaScript gets of an error: `{ code, message }`.
#[derive(Serialize)]
struct Thrown<'a> {
    code: &'a str,
    message: String,
}

/// What a JavaScript exception says.
pub fn said(exception: &JsValue) -> String {
    exception.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{exception:?}"), |e| String::from(e.message()))
}

/// An error as JavaScript sees it. Causes are told in the console, where a developer looks.
pub fn thrown(error: Error) -> JsValue {
    let mut cause = std::error::Error::source(&error);
    while let Some(beneath) = cause {
        web_sys::console::warn_1(&format!("vitrine: {error} (because: {beneath})").into());
        cause = beneath.source();
    }
    let thrown = Thrown { code: error.code().as_str(), message: error.to_string() };
    to_js(&thrown).unwrap_or_else(|_| JsValue::from_str(&thrown.message))
}

/// A plain object: structs and maps as objects, `None` as `undefined`, numbers as numbers.
pub fn to_js<T: Serialize + ?Sized>(value: &T) -> Result<JsValue, JsValue> {
    let serializer = serde_wasm_bindgen::Serializer::new().serialize_maps_as_objects(true);
    value.serialize(&serializer).map_err(|error| thrown(Error::internal(format!("a value cannot be shown: {error}"))))
}

/// What the caller passed as `name`; of another shape it is an error with the code `bad-argument`.
pub fn from_js<T: DeserializeOwned>(value: JsValue, name: &str) -> Result<T> {
    serde_wasm_bindgen::from_value(value)
        .map_err(|error| Error::bad_argument(format!("{name} cannot be taken as they are: {error}; see vitrine.d.ts")))
}

/// The options of a call, each by its name. Of a plain object `serde_wasm_bindgen` shows a struct those names alone that it asks for; here it
/// sees all of them, so that `deny_unknown_fields` holds.
pub fn options_from_js<T: DeserializeOwned>(options: JsValue) -> Result<T> {
    let object = options.dyn_into::<Object>().map_err(|_| Error::bad_argument("the options are no object"))?;
    let named = Object::entries(&object).into_iter().filter_map(|entry| {
        let (name, value) = (Array::from(&entry).get(0), Array::from(&entry).get(1));
        (!value.is_undefined()).then(|| (name.as_string().unwrap_or_default(), Deserializer::from(value)))
    });
    T::deserialize(MapDeserializer::new(named)).map_err(|error: serde_wasm_bindgen::Error| {
        Error::bad_argument(format!("the options cannot be taken as they are: {error}; see vitrine.d.ts"))
    })
}
