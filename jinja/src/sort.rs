//! One sort for all that is sorted here: stable, and by an order that can fail.

use crate::error::Result;

/// The places of items in their order, by whether one of two belongs behind the other.
pub fn places(count: usize, behind: &mut dyn FnMut(usize, usize) -> Result<bool>) -> Result<Vec<usize>> {
    let mut places: Vec<usize> = (0..count).collect();
    let mut width = 1;
    while width < count {
        let mut merged = Vec::with_capacity(count);
        for pair in places.chunks(2 * width) {
            let (left, right) = pair.split_at(width.min(pair.len()));
            let (mut l, mut r) = (0, 0);
            while let (Some(a), Some(b)) = (left.get(l), right.get(r)) {
                if behind(*a, *b)? {
                    merged.push(*b);
                    r += 1;
                } else {
                    merged.push(*a);
                    l += 1;
                }
            }
            merged.extend_from_slice(&left[l..]);
            merged.extend_from_slice(&right[r..]);
        }
        places = merged;
        width *= 2;
    }
    Ok(places)
}
