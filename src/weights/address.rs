//! Addresses of model files, as people write them, as they are fetched and as they are kept.

use std::fmt::Write;

use crate::{Error, Result};

/// The hub, where `hf://` addresses lead.
const HUB: &str = "https://huggingface.co/";
/// The hub's own revisions whose names hold a slash, each with one more word behind it: `refs/pr/7`.
const REFS: [&str; 2] = ["refs/pr/", "refs/convert/"];

/// The address to fetch: `hf://owner/repo[@revision]/path` becomes the hub's own address; every other address stays
/// as it is.
///
/// A revision ends at the next slash, unless it is one of the hub's own (`refs/pr/7`, `refs/convert/name`): the slashes of another are
/// written `%2F`, as in `huggingface_hub`. In revision and path `%20` and the like stand for one byte; every other character stands for
/// itself, `#` and `?` too.
///
/// Errors: `bad-argument` for an `hf://` address without a file.
pub fn resolve_address(address: &str) -> Result<String> {
    let Some(rest) = address.strip_prefix("hf://") else {
        return Ok(address.into());
    };
    let (owner, repo, revision, path) = hub_parts(rest).ok_or_else(|| not_a_file(address))?;
    // The hub's pages put this behind their links; it changes nothing.
    let path = path.strip_suffix("?download=true").unwrap_or(path);
    if [owner, repo, revision, path].contains(&"") || path.ends_with('/') {
        return Err(not_a_file(address));
    }
    let path: Vec<String> = path.split('/').map(encoded).collect();
    Ok(format!("{HUB}{owner}/{repo}/resolve/{}/{}", encoded(revision), path.join("/")))
}

/// Owner, repository, revision and path of what follows `hf://`.
fn hub_parts(rest: &str) -> Option<(&str, &str, &str, &str)> {
    let (owner, rest) = rest.split_once('/')?;
    let (repo, path) = rest.split_once('/')?;
    let Some((repo, _)) = repo.split_once('@') else {
        return Some((owner, repo, "main", path));
    };
    let behind = rest.get(repo.len() + 1..)?;
    let known = REFS.iter().find(|start| behind.starts_with(**start)).map_or(0, |start| start.len());
    let end = known + behind.get(known..)?.find('/')?;
    Some((owner, repo, behind.get(..end)?, behind.get(end + 1..)?))
}

/// One part of an address's path: `%20` and the like as they are, what else a path cannot hold percent-encoded (RFC 3986, 2.1).
fn encoded(part: &str) -> String {
    let mut left = part.as_bytes();
    let mut encoded = String::new();
    while let [byte, rest @ ..] = left {
        let escape = match left {
            [b'%', high, low, ..] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
            _ => false,
        };
        if escape || byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            encoded.push(char::from(*byte));
        } else {
            // Text takes whatever is written.
            let _ = write!(encoded, "%{byte:02X}");
        }
        left = rest;
    }
    encoded
}

fn not_a_file(address: &str) -> Error {
    Error::bad_argument(format!("{address} names no file; write hf://owner/repo/file.gguf"))
}

/// Where the file itself is, for an address of one of the hub's pages about it (`…/blob/main/file`, and `…/raw/…`, which gives pointers).
pub(super) fn file_behind_page(address: &str) -> Option<String> {
    let path = address.strip_prefix(HUB)?.split(['?', '#']).next()?;
    let mut parts = path.splitn(5, '/');
    let (owner, repo, page, revision) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let file = parts.next().filter(|_| ["blob", "raw"].contains(&page))?;
    Some(format!("{HUB}{owner}/{repo}/resolve/{revision}/{file}"))
}

/// The last part of an address's path, without query or fragment.
pub fn file_name(address: &str) -> &str {
    let path = address.split(['?', '#']).next().unwrap_or(address);
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// Parameters of a query that sign it, in lower case: of Amazon's, Google's and Alibaba's stores and of CloudFront (names that end in `-`
/// begin many), and Azure's `sig`.
const SIGNATURES: [&str; 8] =
    ["x-amz-", "x-goog-", "x-oss-", "signature", "sig", "awsaccesskeyid", "googleaccessid", "ossaccesskeyid"];
/// What stands beside a signature and is signed with it: how the answer is to be labelled, until when and for whom it is meant.
const SIGNED: [&str; 20] = [
    "response-",
    "expires",
    "policy",
    "key-pair-id",
    "sv",
    "se",
    "sp",
    "sr",
    "st",
    "spr",
    "sip",
    "sdd",
    "ss",
    "srt",
    "skoid",
    "sktid",
    "skt",
    "ske",
    "sks",
    "skv",
];
/// Who asks. Where the path names no file, such a word may be all that tells one file from another.
const TOKENS: [&str; 5] = ["token", "access_token", "auth_token", "jwt", "expires"];

/// What an address is kept by: the address without its fragment, and without those parameters of its query that only say who may fetch it
/// until when, and so differ from one visit to the next. Every other parameter may name the file and stays: `?file=a` and `?file=b` are two.
pub fn cache_key(address: &str) -> String {
    let address = address.split('#').next().unwrap_or(address);
    let Some((path, query)) = address.split_once('?') else { return address.into() };
    let is_one_of = |pair: &str, names: &[&str]| {
        let name = pair.split('=').next().unwrap_or(pair).to_ascii_lowercase();
        names.iter().any(|known| if known.ends_with('-') { name.starts_with(known) } else { name == *known })
    };
    let signed = query.split('&').any(|pair| is_one_of(pair, &SIGNATURES));
    let named = file_name(path).contains('.');
    let passes = |pair: &&str| {
        is_one_of(pair, &SIGNATURES) || (signed && is_one_of(pair, &SIGNED)) || (named && is_one_of(pair, &TOKENS))
    };
    let kept: Vec<&str> = query.split('&').filter(|pair| !passes(pair)).collect();
    if kept.is_empty() { path.into() } else { format!("{path}?{}", kept.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(address: &str) -> String {
        resolve_address(address).unwrap()
    }

    #[test]
    fn a_hub_address_becomes_the_hubs_own() {
        assert_eq!(resolved("hf://o/r/m.gguf"), "https://huggingface.co/o/r/resolve/main/m.gguf");
        assert_eq!(resolved("hf://o/r@v2/a/m.gguf"), "https://huggingface.co/o/r/resolve/v2/a/m.gguf");
        assert_eq!(resolved("hf://o/r/m.gguf?download=true"), "https://huggingface.co/o/r/resolve/main/m.gguf");
        assert_eq!(resolved("https://x.org/m.gguf?a=b"), "https://x.org/m.gguf?a=b");
    }

    /// What `huggingface_hub.hf_hub_url` gives for these revisions and files, and what its `HfFileSystem` reads of such addresses.
    #[test]
    fn revisions_and_names_are_encoded_as_the_hub_reads_them() {
        for (address, path) in [
            ("hf://o/r@refs/pr/1/a/m.gguf", "refs%2Fpr%2F1/a/m.gguf"),
            ("hf://o/r@refs/convert/parquet/m.bin", "refs%2Fconvert%2Fparquet/m.bin"),
            ("hf://o/r@refs%2Fpr%2F12/m.gguf", "refs%2Fpr%2F12/m.gguf"),
            ("hf://o/r@feature%2Fnew/m.gguf", "feature%2Fnew/m.gguf"),
            ("hf://o/r@50% #2/m.gguf", "50%25%20%232/m.gguf"),
            ("hf://o/r@a b/my model #1.gguf", "a%20b/my%20model%20%231.gguf"),
            ("hf://o/r/100%.gguf", "main/100%25.gguf"),
            ("hf://o/r/a%20b.gguf", "main/a%20b.gguf"),
            ("hf://o/r/größe@2.gguf", "main/gr%C3%B6%C3%9Fe%402.gguf"),
            ("hf://o/r@refs/heads/m.gguf", "refs/heads/m.gguf"),
        ] {
            assert_eq!(resolved(address), format!("https://huggingface.co/o/r/resolve/{path}"), "{address}");
        }
    }

    #[test]
    fn a_hub_address_without_a_file_is_refused() {
        for address in [
            "hf://",
            "hf://owner",
            "hf://owner/repo",
            "hf://owner/repo/",
            "hf://owner//x",
            "hf://o/r@/x",
            "hf://o/r@refs/pr/1",
            "hf://o/r@refs/pr/1/",
            "hf://o/r@refs/pr/",
            "hf://o/r@v1",
        ] {
            assert!(
                resolve_address(address).unwrap_err().to_string().contains("hf://owner/repo/file.gguf"),
                "{address}"
            );
        }
    }

    #[test]
    fn a_page_of_the_hub_tells_where_its_file_is() {
        let behind = |path: &str| file_behind_page(&format!("https://huggingface.co/{path}"));
        let file = Some("https://huggingface.co/o/r/resolve/main/a/m.gguf".into());
        assert_eq!(behind("o/r/blob/main/a/m.gguf"), file);
        assert_eq!(behind("o/r/raw/main/a/m.gguf?x#y"), file);
        assert_eq!(behind("o/r/tree/main"), None);
        assert_eq!(behind("o/r"), None);
        assert_eq!(file_behind_page("https://x.org/o/r/blob/main/m.gguf"), None);
    }

    #[test]
    fn a_files_name_is_the_last_part_of_its_path() {
        assert_eq!(file_name("https://x.org/a/m.gguf?download=true#y"), "m.gguf");
        assert_eq!(file_name("m.gguf"), "m.gguf");
        assert_eq!(file_name(""), "");
    }

    #[test]
    fn one_file_signed_anew_is_kept_by_one_key() {
        for address in [
            "https://b.s3.amazonaws.com/m.gguf",
            "https://b.s3.amazonaws.com/m.gguf#part",
            "https://b.s3.amazonaws.com/m.gguf?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2Fb&X-Amz-Date=1&X-Amz-Expires=60&X-Amz-Signature=ff",
            "https://b.s3.amazonaws.com/m.gguf?AWSAccessKeyId=a&Signature=b&Expires=1",
            "https://b.s3.amazonaws.com/m.gguf?response-content-disposition=attachment&Expires=1&Policy=p&Signature=s&Key-Pair-Id=k",
            "https://b.s3.amazonaws.com/m.gguf?sv=2024-01-01&se=2026&sr=b&sp=r&sig=abc",
            "https://b.s3.amazonaws.com/m.gguf?GoogleAccessId=x&X-Goog-Signature=y",
            "https://b.s3.amazonaws.com/m.gguf?token=one",
        ] {
            assert_eq!(cache_key(address), "https://b.s3.amazonaws.com/m.gguf", "{address}");
        }
    }

    #[test]
    fn files_that_only_their_query_tells_apart_are_kept_apart() {
        for address in [
            "https://x.org/get?file=a",
            "https://x.org/get?file=b",
            "https://x.org/m.gguf?download=1",
            "https://x.org/m.gguf?v=2",
            "https://x.org/get?token=a",
            "https://x.org/get?token=b",
            "https://x.org/get?st=1&se=2",
            "https://x.org/get?expires=never",
            "https://x.org/get?",
            "https://x.org/m.gguf?policy=a",
        ] {
            assert_eq!(cache_key(address), address);
        }
        assert_eq!(cache_key("https://x.org/get?file=a&sig=1&se=2&part=3"), "https://x.org/get?file=a&part=3");
    }
}
