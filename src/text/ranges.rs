//! Checks of numbers that a caller gives.
//!
//! Errors, of all of them: `bad-argument` that names the option, the value and what is allowed.

use crate::{Error, Result};

pub fn wrong(name: &str, value: impl std::fmt::Display, allowed: &str) -> Error {
    Error::bad_argument(format!("{name} is {value}, but must be {allowed}"))
}

/// NaN is within nothing.
pub fn within(name: &str, value: f64, least: f64, most: f64) -> Result<()> {
    if value >= least && value <= most {
        return Ok(());
    }
    Err(wrong(name, value, &format!("from {least} to {most}")))
}

pub fn above(name: &str, value: f64, least: f64, most: f64) -> Result<()> {
    if value > least && value <= most {
        return Ok(());
    }
    Err(wrong(name, value, &format!("above {least}, to {most}")))
}

/// `default` where there is none.
pub fn whole(name: &str, value: Option<f64>, default: u64, least: u64, most: u64) -> Result<u64> {
    let Some(value) = value else { return Ok(default) };
    if value.fract() != 0.0 || !(least as f64..=most as f64).contains(&value) {
        return Err(wrong(name, value, &format!("a whole number from {least} to {most}")));
    }
    Ok(value as u64)
}
