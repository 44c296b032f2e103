//! Headless Chromium under our hands: [`webdriver`] speaks the protocol, [`Session`] is one window with what the tests and
//! the measurements need of it.

mod session;
mod webdriver;

pub use session::{Gpu, Session, is_silence};
pub use webdriver::{Driver, Element};
