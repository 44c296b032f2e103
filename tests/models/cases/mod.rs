//! The small inputs of `../shared/cases` that once failed, one module for each kind, with the right values of each case's `expected.txt`.

mod folder;

mod ends;
mod files;
mod pictures;
mod templates;
