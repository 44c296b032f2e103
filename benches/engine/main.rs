//! What `cargo xtask bench` measures of the crate on this machine, and two closer looks at kernels: each prints what it took.
//!
//! ```text
//! cargo bench --profile page --bench engine -- text | decode | unet_step | convolutions | matvec  ARGUMENTS…
//! ```

#![cfg(not(target_arch = "wasm32"))]

mod convolutions;
mod decode;
mod matvec;
mod process;
mod text;
mod unet_step;

use std::error::Error;

use pollster::block_on;

fn main() -> Result<(), Box<dyn Error>> {
    // cargo adds a word of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match arguments.split_first() {
        Some((what, rest)) if what == "text" => block_on(text::measure(rest)),
        Some((what, rest)) if what == "decode" => block_on(decode::measure(rest)),
        Some((what, rest)) if what == "unet_step" => block_on(unet_step::measure(rest)),
        Some((what, rest)) if what == "convolutions" => Ok(block_on(convolutions::measure(rest))?),
        Some((what, rest)) if what == "matvec" => Ok(block_on(matvec::measure(rest))?),
        _ => Err("say what to measure: text, decode, unet_step, convolutions or matvec".into()),
    }
}
