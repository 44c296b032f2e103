//! What a GGUF says about itself: values by key, read as the type that the caller needs.

use std::collections::HashMap;

pub use candle_core::quantized::gguf_file::Value;

use crate::{Error, Result};

/// The key-value pairs of a GGUF file; empty for other formats.
#[derive(Debug, Clone, Default)]
pub struct Metadata(HashMap<String, Value>);

/// A type that a metadata value can be read as. Integers convert where no digit is lost.
pub trait FromValue<'a>: Sized {
    /// What the value should have been, for the error.
    const EXPECTED: &'static str;
    fn from_value(value: &'a Value) -> Option<Self>;
}

fn integer(value: &Value) -> Option<i128> {
    Some(match *value {
        Value::U8(v) => v.into(),
        Value::I8(v) => v.into(),
        Value::U16(v) => v.into(),
        Value::I16(v) => v.into(),
        Value::U32(v) => v.into(),
        Value::I32(v) => v.into(),
        Value::U64(v) => v.into(),
        Value::I64(v) => v.into(),
        _ => return None,
    })
}

macro_rules! integers {
    ($($t:ty => $name:literal),*) => {$(
        impl FromValue<'_> for $t {
            const EXPECTED: &'static str = $name;
            fn from_value(value: &Value) -> Option<Self> {
                integer(value)?.try_into().ok()
            }
        }
    )*};
}

integers!(u32 => "an unsigned 32-bit number", u64 => "an unsigned 64-bit number", i32 => "a signed 32-bit number", usize => "a count");

impl FromValue<'_> for f32 {
    const EXPECTED: &'static str = "a number";
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::F32(v) => Some(*v),
            Value::F64(v) => Some(*v as f32),
            _ => integer(value).map(|v| v as f32),
        }
    }
}

impl FromValue<'_> for bool {
    const EXPECTED: &'static str = "true or false";
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(v) => Some(*v),
            _ => None,
        }
    }
}

impl<'a> FromValue<'a> for &'a str {
    const EXPECTED: &'static str = "a text";
    fn from_value(value: &'a Value) -> Option<Self> {
        match value {
            Value::String(v) => Some(v),
            _ => None,
        }
    }
}

impl<'a, T: FromValue<'a>> FromValue<'a> for Vec<T> {
    const EXPECTED: &'static str = "a list";
    fn from_value(value: &'a Value) -> Option<Self> {
        match value {
            Value::Array(values) => values.iter().map(T::from_value).collect(),
            _ => None,
        }
    }
}

impl Metadata {
    pub fn new(values: HashMap<String, Value>) -> Self {
        Self(values)
    }

    /// The value of `key` as a `u32`, `u64`, `usize`, `i32`, `f32`, `bool`, `&str` or a `Vec` of these; `None` where
    /// there is none. A value of another type, or too large for this one, is an error with the code `corrupt-file`.
    pub fn get<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<Option<T>> {
        self.0
            .get(key)
            .map(|value| {
                T::from_value(value).ok_or_else(|| {
                    Error::corrupt_file(format!(
                        "the file's metadata gives {} for {key}, where {} is expected; convert the model again",
                        describe(value),
                        T::EXPECTED
                    ))
                })
            })
            .transpose()
    }

    /// The same, and an error with the code `corrupt-file` where the key is missing.
    pub fn require<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<T> {
        self.get(key)?.ok_or_else(|| {
            Error::corrupt_file(format!(
                "the file's metadata lacks {key}, which a model of its kind needs; convert the model again"
            ))
        })
    }

    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// All pairs, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A value in few words, however long it is.
fn describe(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().count() > 40 => {
            format!("the text {:?}…", text.chars().take(40).collect::<String>())
        }
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(values) => format!("a list of {}", values.len()),
        Value::Bool(v) => v.to_string(),
        Value::F32(v) => v.to_string(),
        Value::F64(v) => v.to_string(),
        other => integer(other).map_or_else(String::new, |v| v.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    fn metadata() -> Metadata {
        Metadata::new(HashMap::from([
            ("layers".into(), Value::U64(5)),
            ("negative".into(), Value::I32(-1)),
            ("eps".into(), Value::F64(0.5)),
            ("names".into(), Value::Array(vec![Value::String("a".into()), Value::String("b".into())])),
            ("mixed".into(), Value::Array(vec![Value::String("a".into()), Value::U8(1)])),
        ]))
    }

    #[test]
    fn integers_convert_where_no_digit_is_lost() {
        let m = metadata();
        assert_eq!(m.require::<u32>("layers").unwrap(), 5);
        assert_eq!(m.require::<i32>("negative").unwrap(), -1);
        assert_eq!(m.require::<u32>("negative").unwrap_err().code(), ErrorCode::CorruptFile);
        assert_eq!(m.require::<f32>("eps").unwrap(), 0.5);
        assert_eq!(m.require::<Vec<&str>>("names").unwrap(), ["a", "b"]);
    }

    #[test]
    fn a_missing_or_mistyped_key_is_named() {
        let m = metadata();
        assert_eq!(m.get::<u32>("heads").unwrap(), None);
        assert!(m.require::<u32>("heads").unwrap_err().to_string().contains("heads"));
        assert!(m.get::<Vec<&str>>("mixed").unwrap_err().to_string().contains("mixed"));
        assert!(m.get::<u32>("names").unwrap_err().to_string().contains("a list of 2"));
    }
}
