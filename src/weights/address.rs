//! Addresses of model files, as people write them.

use crate::{Error, Result};

/// The address to fetch: `hf://owner/repo[@revision]/path` becomes the hub's own address; every other address stays
/// as it is. An `hf://` address without a file is an error with the code `bad-argument`.
pub fn resolve_address(address: &str) -> Result<String> {
    let Some(rest) = address.strip_prefix("hf://") else {
        return Ok(address.into());
    };
    let mut parts = rest.splitn(3, '/');
    let (Some(owner), Some(repo), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(not_a_file(address));
    };
    let (repo, revision) = repo.split_once('@').unwrap_or((repo, "main"));
    if [owner, repo, revision, path].contains(&"") || path.ends_with('/') {
        return Err(not_a_file(address));
    }
    Ok(format!("https://huggingface.co/{owner}/{repo}/resolve/{revision}/{path}"))
}

fn not_a_file(address: &str) -> Error {
    Error::bad_argument(format!("{address} names no file; write hf://owner/repo/file.gguf"))
}

/// The last part of an address's path, without query or fragment.
pub fn file_name(address: &str) -> &str {
    let path = address.split(['?', '#']).next().unwrap_or(address);
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_address_becomes_the_hubs_own() {
        let resolved = |a| resolve_address(a).unwrap();
        assert_eq!(resolved("hf://o/r/m.gguf"), "https://huggingface.co/o/r/resolve/main/m.gguf");
        assert_eq!(resolved("hf://o/r@v2/a/m.gguf"), "https://huggingface.co/o/r/resolve/v2/a/m.gguf");
        assert_eq!(resolved("https://x.org/m.gguf?a=b"), "https://x.org/m.gguf?a=b");
    }

    #[test]
    fn a_hub_address_without_a_file_is_refused() {
        for address in ["hf://", "hf://owner", "hf://owner/repo", "hf://owner/repo/", "hf://owner//x", "hf://o/r@/x"] {
            assert!(resolve_address(address).unwrap_err().to_string().contains("hf://owner/repo/file.gguf"));
        }
    }

    #[test]
    fn a_files_name_is_the_last_part_of_its_path() {
        assert_eq!(file_name("https://x.org/a/m.gguf?download=true#y"), "m.gguf");
        assert_eq!(file_name("m.gguf"), "m.gguf");
        assert_eq!(file_name(""), "");
    }
}
