//! Numbers and words from a JSON configuration, each checked where it is read.

use serde_json::{Map, Value};

use crate::{Error, Result, graph::Unary};

/// A `config.json`, or a part of one.
pub(super) struct Json<'a> {
    what: &'a str,
    values: &'a Map<String, Value>,
}

/// No width, length or count of a model that runs here is larger.
const LARGEST: u64 = 1 << 20;

impl<'a> Json<'a> {
    /// `what` names the text in messages.
    pub fn new(what: &'a str, value: &'a Value) -> Result<Self> {
        match value {
            Value::Object(values) => Ok(Self { what, values }),
            _ => {
                Err(Error::corrupt_file(format!("{what}: expected a JSON object; give the model's own configuration")))
            }
        }
    }

    pub fn parse(what: &str, text: &str) -> Result<Value> {
        serde_json::from_str(text)
            .map_err(|e| Error::corrupt_file(format!("{what}: this is not JSON ({e}); fetch it again")).caused_by(e))
    }

    /// The value, unless it is missing or `null`.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.values.get(key).filter(|value| !value.is_null())
    }

    fn wrong(&self, key: &str, expected: &str) -> Error {
        let found =
            self.values.get(key).map_or("nothing".into(), |v| v.to_string().chars().take(60).collect::<String>());
        Error::corrupt_file(format!(
            "{}: {key} should be {expected}, and is {found}; give the model's own configuration",
            self.what
        ))
    }

    /// A count of at least 1.
    pub fn count(&self, key: &str) -> Result<usize> {
        self.get(key).and_then(count).ok_or_else(|| self.wrong(key, "a count from 1 up"))
    }

    pub fn count_or(&self, key: &str, default: usize) -> Result<usize> {
        if self.get(key).is_none() { Ok(default) } else { self.count(key) }
    }

    /// A count for each of `n` places: one for all, or a list of so many.
    pub fn counts(&self, key: &str, n: usize) -> Result<Vec<usize>> {
        let value = self.get(key).ok_or_else(|| self.wrong(key, "a count, or a list of counts"))?;
        if let Some(one) = count(value) {
            return Ok(vec![one; n]);
        }
        let list: Option<Vec<usize>> = value.as_array().and_then(|list| list.iter().map(count).collect());
        list.filter(|list| list.len() == n).ok_or_else(|| self.wrong(key, &format!("a count, or a list of {n} counts")))
    }

    /// The same, where the key may be missing.
    pub fn counts_or(&self, key: &str, n: usize, default: usize) -> Result<Vec<usize>> {
        if self.get(key).is_none() { Ok(vec![default; n]) } else { self.counts(key, n) }
    }

    /// Whether the key is there, and `null`.
    pub fn is_null(&self, key: &str) -> bool {
        self.values.get(key) == Some(&Value::Null)
    }

    /// A list of counts, of any length but none.
    pub fn list(&self, key: &str) -> Result<Vec<usize>> {
        let list: Option<Vec<usize>> =
            self.get(key).and_then(Value::as_array).and_then(|list| list.iter().map(count).collect());
        list.filter(|list| !list.is_empty() && list.len() <= 64).ok_or_else(|| self.wrong(key, "a list of counts"))
    }

    pub fn words(&self, key: &str) -> Result<Vec<&'a str>> {
        let list: Option<Vec<&str>> =
            self.get(key).and_then(Value::as_array).and_then(|list| list.iter().map(Value::as_str).collect());
        list.ok_or_else(|| self.wrong(key, "a list of words"))
    }

    pub fn word_or(&self, key: &str, default: &'a str) -> Result<&'a str> {
        self.get(key).map_or(Ok(default), |value| value.as_str().ok_or_else(|| self.wrong(key, "a word")))
    }

    /// An activation by the name that `transformers` has for it.
    pub fn activation_or(&self, key: &str, default: &'a str) -> Result<Unary> {
        Ok(match self.word_or(key, default)? {
            "gelu" => Unary::Gelu,
            "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Unary::GeluTanh,
            "relu" => Unary::LeakyRelu { slope: 0.0 },
            "silu" | "swish" => Unary::Silu,
            other => {
                return Err(Error::unsupported_model(format!(
                    "{}: the activation is {other}; gelu, gelu_new, relu and silu run here",
                    self.what
                )));
            }
        })
    }

    pub fn number_or(&self, key: &str, default: f64) -> Result<f64> {
        let number = self.get(key).map_or(Some(default), Value::as_f64);
        number.filter(|n| n.is_finite()).ok_or_else(|| self.wrong(key, "a number"))
    }

    pub fn flag_or(&self, key: &str, default: bool) -> Result<bool> {
        self.get(key).map_or(Some(default), Value::as_bool).ok_or_else(|| self.wrong(key, "true or false"))
    }
}

fn count(value: &Value) -> Option<usize> {
    value.as_u64().filter(|n| (1..=LARGEST).contains(n)).map(|n| n as usize)
}
