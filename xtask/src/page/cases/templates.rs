//! Chat templates and conversations in the browser.

use super::super::Test;

pub const TESTS: &[Test] = &[];
