//! How JSON is written: its spaces, and the order of its keys.

use serde::Deserialize;

/// How JSON is written under a schema.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SchemaFormat {
    pub whitespace: Whitespace,
    pub key_order: KeyOrder,
}

/// The spaces between values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Whitespace {
    /// One after each comma and colon, as Python writes JSON, and what most models have read: `{"a": 1, "b": 2}`.
    #[default]
    Spaced,
    /// None: `{"a":1,"b":2}`.
    Compact,
    /// What the model likes, lines too.
    Flexible,
}

/// The order of an object's keys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(untagged)]
pub enum KeyOrder {
    /// As the schema names its properties, or by the alphabet.
    Named(NamedOrder),
    /// These first, wherever an object has them; the others follow as the schema has them.
    First(Vec<String>),
    #[default]
    #[serde(skip)]
    AsWritten,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamedOrder {
    Schema,
    Sorted,
}
