//! Options and requests of OpenAI's shape.

use super::super::Test;

pub const TESTS: &[Test] = &[];
