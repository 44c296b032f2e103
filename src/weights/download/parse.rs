//! What servers and catalogues write: a SHA-256, a `Content-Range`.

use crate::{Error, Result};

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A SHA-256 from its 64 hexadecimal digits; anything else is an error with the code `bad-argument`.
pub fn parse_sha256(text: &str) -> Result<[u8; 32]> {
    let digit = |c: u8| (c as char).to_digit(16).map(|d| d as u8);
    let mut sha = [0; 32];
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    let bytes: Option<Vec<u8>> = pairs.collect();
    match bytes.filter(|b| b.len() == sha.len()) {
        Some(bytes) => sha.copy_from_slice(&bytes),
        None => return Err(Error::bad_argument(format!("{text:?} is no SHA-256; give 64 hexadecimal digits"))),
    }
    Ok(sha)
}

/// The first byte and the whole size from a `Content-Range` header, e.g. `bytes 5-9/10` or `bytes */10`.
pub fn parse_content_range(header: &str) -> (Option<u64>, Option<u64>) {
    let Some((range, total)) = header.trim().strip_prefix("bytes").and_then(|rest| rest.trim().split_once('/')) else {
        return (None, None);
    };
    let start = range.split_once('-').and_then(|(start, _)| start.trim().parse().ok());
    (start, total.trim().parse().ok())
}
