//! What the reader's clock shows, for templates that tell the date.

use vitrine_jinja::LocalTime;

/// The machine's own local time.
#[cfg(not(target_arch = "wasm32"))]
pub fn now() -> LocalTime {
    let now = chrono::Local::now();
    let ahead = now.offset().local_minus_utc();
    LocalTime { micros: now.timestamp_micros() + i64::from(ahead) * 1_000_000, ahead: ahead / 60 }
}

/// UTC: a page's time zone is JavaScript's to know, and `web` tells it.
#[cfg(target_arch = "wasm32")]
pub fn now() -> LocalTime {
    let since = web_time::SystemTime::now().duration_since(web_time::UNIX_EPOCH);
    LocalTime { micros: since.map_or(0, |since| since.as_micros() as i64), ahead: 0 }
}
