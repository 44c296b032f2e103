//! The small inputs of `../shared/cases` that once failed in a browser, one module for each kind.

mod hosts;
mod options;
mod sources;
mod templates;

use super::Test;

pub fn tests() -> Vec<Test> {
    [hosts::TESTS, options::TESTS, sources::TESTS, templates::TESTS].concat()
}
