//! (room under construction)

pub mod opfs;
pub mod sources;
