//! Bundlers, policies, frames and other origins.

use super::super::Test;

pub const TESTS: &[Test] = &[];
