//! A file with other bytes in some places and a hole of any length in it, which nobody has to store: `PATH?set=AT:HEX,…&hole=AT:LENGTH`.

use std::{
    fs,
    io::{self, Read},
};

use tiny_http::{Request, Response, StatusCode};

use super::{Range, Routes, byte_range, header, locate, respond, text};

/// Answers a request for a file; ranges are honoured.
pub fn answer(request: Request, path: &str, routes: &Routes) -> io::Result<()> {
    let query = request.url().split_once('?').map_or("", |(_, query)| query).to_owned();
    let Some(patched) = locate(&format!("/{path}"), routes).and_then(|file| Patched::new(fs::read(file).ok()?, &query))
    else {
        return respond(request, routes, text(404, "there is no such file, or no such place in it"));
    };
    let length = patched.len();
    let range = request.headers().iter().find(|header| header.field.equiv("Range")).map(|header| header.value.as_str());
    let mut headers = vec![header("Content-Type", "application/octet-stream"), header("Accept-Ranges", "bytes")];
    let (status, first, count) = match range.map(|range| byte_range(range, length)) {
        None | Some(Range::Ignored) => (200, 0, length),
        Some(Range::Bytes { first, last }) => {
            headers.push(header("Content-Range", &format!("bytes {first}-{last}/{length}")));
            (206, first, last - first + 1)
        }
        Some(Range::Unsatisfiable) => return respond(request, routes, text(416, "the range lies outside the file")),
    };
    let body = patched.from(first).take(count);
    respond(request, routes, Response::new(StatusCode(status), headers, body, usize::try_from(count).ok(), None))
}

struct Patched {
    before: Vec<u8>,
    hole: u64,
    after: Vec<u8>,
}

impl Patched {
    fn new(mut bytes: Vec<u8>, query: &str) -> Option<Self> {
        let mut hole = (bytes.len(), 0);
        for part in query.split('&') {
            match part.split_once('=')? {
                ("set", places) => {
                    for place in places.split(',') {
                        let (at, hex) = place.split_once(':')?;
                        let at: usize = at.parse().ok()?;
                        for (i, digits) in hex.as_bytes().chunks(2).enumerate() {
                            *bytes.get_mut(at + i)? = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
                        }
                    }
                }
                ("hole", place) => {
                    let (at, length) = place.split_once(':')?;
                    hole = (at.parse().ok()?, length.parse().ok()?);
                }
                _ => return None,
            }
        }
        let after = bytes.get(hole.0..)?.to_vec();
        bytes.truncate(hole.0);
        Some(Self { before: bytes, hole: hole.1, after })
    }

    fn len(&self) -> u64 {
        self.before.len() as u64 + self.hole + self.after.len() as u64
    }

    /// What follows the first `skipped` bytes.
    fn from(mut self, skipped: u64) -> impl Read {
        let in_before = skipped.min(self.before.len() as u64);
        let in_hole = (skipped - in_before).min(self.hole);
        let in_after = skipped - in_before - in_hole;
        self.before.drain(..in_before as usize);
        self.after.drain(..(in_after as usize).min(self.after.len()));
        io::Cursor::new(self.before).chain(io::repeat(0).take(self.hole - in_hole)).chain(io::Cursor::new(self.after))
    }
}
