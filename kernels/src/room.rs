//! Memory that may be refused.

use std::collections::TryReserveError;

/// Memory that the machine does not give.
#[derive(Debug)]
pub struct NoRoom {
    pub bytes: usize,
    pub cause: TryReserveError,
}

/// A vector of `n` zeros.
pub fn zeros<T: bytemuck::Zeroable + Clone>(n: usize) -> Result<Vec<T>, NoRoom> {
    let mut v = Vec::new();
    v.try_reserve_exact(n).map_err(|cause| NoRoom { bytes: n.saturating_mul(size_of::<T>()), cause })?;
    v.resize(n, T::zeroed());
    Ok(v)
}
