//! Which files belong to a model, from servers as they are.

use super::super::Test;

pub const TESTS: &[Test] = &[];
