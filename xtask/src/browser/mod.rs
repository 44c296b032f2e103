//! Browsers under our hands: [`Browser`] is one that is installed, [`Driver`] starts it and speaks WebDriver, [`Session`] is one window with what
//! the tests and the measurements need of it.

mod find;
mod script;
mod session;
mod webdriver;

pub use find::{Browser, Engine, build_geckodriver_beside};
pub use script::Script;
pub use session::{Gpu, Session};
pub use webdriver::{Driver, Element};
