//! Jinja 2 as Python runs it, for the chat templates that come with models.
//!
//! Templates of the hub are written for transformers' `apply_chat_template`: Jinja 2 in an immutable sandbox, with Python's values
//! behind it. This reads the same language (`trim_blocks`, `lstrip_blocks`, `break` and `continue`, `{% generation %}`) and gives the
//! same text: Python's methods, `%` and `str.format`, its numbers, its way to print lists, dictionaries and `None`, all of Jinja's
//! filters, tests and globals, and transformers' `tojson`, `strftime_now` and `raise_exception`.
//!
//! ```text
//! source ──▶ lexer ──▶ parser ──▶ Template ──▶ interpreter (values, operators, methods, filters, tests, globals) ──▶ text
//! ```
//!
//! A template comes from a stranger's file. Promises: it reaches nothing but the values that it was given; it ends, for each run has a
//! [`Budget`] of steps, bytes and depth; nothing in it can panic. Knows nothing of models, pages or devices.

mod attributes;
mod budget;
mod collections;
mod data;
mod error;
mod escape;
mod filters;
mod format;
mod globals;
mod interpreter;
mod json;
mod lexer;
mod names;
mod numbers;
mod operators;
mod parser;
mod percent;
mod pprint;
mod print;
mod run;
mod sequences;
mod sort;
mod strftime;
mod strings;
mod syntax;
mod tests;
mod urlize;
mod value;
mod wrap;

pub use budget::Budget;
pub use data::Json;
pub use error::{Error, ErrorKind, Result};
pub use interpreter::Template;
pub use strftime::LocalTime;
pub use value::Value;
