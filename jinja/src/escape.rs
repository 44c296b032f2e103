//! HTML: what `escape` writes, and what `striptags` and `urlencode` make of it.

/// Markupsafe's five characters.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Without comments and tags, entities read, and white space in single spaces.
pub fn strip_tags(text: &str) -> String {
    let bare = without(&without(text, "<!--", "-->"), "<", ">");
    let words: Vec<&str> = bare.split(crate::lexer::is_space).filter(|word| !word.is_empty()).collect();
    unescape(&words.join(" "))
}

fn without(text: &str, begin: &str, end: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, marked)) = rest.split_once(begin) {
        let Some((_, after)) = marked.split_once(end) else { break };
        bare.push_str(before);
        rest = after;
    }
    bare + rest
}

/// The entities in common use, by name and by number.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let known = after.split_once(';').and_then(|(name, behind)| {
            let c = match name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                "nbsp" => '\u{a0}',
                "copy" => '©',
                "hellip" => '…',
                "mdash" => '—',
                "ndash" => '–',
                _ => {
                    let number = name.strip_prefix('#')?;
                    let code = match number.strip_prefix(['x', 'X']) {
                        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                        None => number.parse().ok()?,
                    };
                    char::from_u32(code)?
                }
            };
            Some((c, behind))
        });
        match known {
            Some((c, behind)) => {
                out.push(c);
                rest = behind;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Percent encoding; in a query a space is `+` and a slash is encoded.
pub fn percent(bytes: &[u8], query: bool) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        match *byte {
            byte if byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) => out.push(char::from(byte)),
            b'/' if !query => out.push('/'),
            b' ' if query => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
