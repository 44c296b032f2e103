//! What stands where a file's bytes should: a web page, or a pointer of Git LFS.

use super::address::file_behind_page;
use crate::Error;

/// What came in a file's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StandIn {
    WebPage,
    /// What Git keeps of a large file (<https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>).
    Pointer,
}

impl StandIn {
    /// Told by the first bytes of a file.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let text = bytes.trim_ascii_start();
        let starts = |word: &str| text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()));
        if ["<!doctype", "<html", "<?xml"].into_iter().any(starts) {
            return Some(Self::WebPage);
        }
        let pointers = ["version https://git-lfs.github.com/spec/", "version https://hawser.github.com/spec/"];
        pointers.iter().any(|word| text.starts_with(word.as_bytes())).then_some(Self::Pointer)
    }

    /// The file at `place`, a name or an address: a web page is an absent file, so at an address it is a `network` error; the others
    /// are `corrupt-file`.
    pub fn error(self, place: &str) -> Error {
        let address = place.contains("://");
        let file = file_behind_page(place);
        match self {
            Self::WebPage if address => Error::network(format!(
                "{place}: the address answers with a web page, not with a model; use the address of the file itself ({})",
                file.as_deref().unwrap_or("on the hub: hf://owner/repo/file.gguf")
            )),
            Self::WebPage => Error::corrupt_file(format!(
                "{place}: this is a web page, not a model; give a GGUF, or a safetensors file with its config.json and tokenizer.json"
            )),
            Self::Pointer => Error::corrupt_file(format!(
                "{place}: this is a Git LFS pointer, which stands for the file and holds nothing of it; run `git lfs pull` where the \
                 repository was cloned, or take the file from {}",
                file.as_deref().unwrap_or(
                    "the hub's resolve address (https://huggingface.co/owner/repo/resolve/main/file, or hf://owner/repo/file)"
                )
            )),
        }
    }
}

/// The error for a web page at an address where a file should be.
pub fn web_page(address: &str) -> Error {
    StandIn::WebPage.error(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_and_a_pointer_are_told_by_their_beginnings() {
        for page in ["<!DOCTYPE html><title>Log in</title>", "\n <HTML lang=en>", "<?xml version=\"1.0\"?><Error>"] {
            assert_eq!(StandIn::of(page.as_bytes()), Some(StandIn::WebPage), "{page}");
        }
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 287200\n";
        assert_eq!(StandIn::of(pointer.as_bytes()), Some(StandIn::Pointer));
        for other in ["", "GGUF", "{\"version\": \"https://git-lfs.github.com/spec/v1\"}", "version 2"] {
            assert_eq!(StandIn::of(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn each_says_what_it_is_and_where_the_file_is_to_be_had() {
        let page = StandIn::WebPage.error("https://huggingface.co/o/r/blob/main/m.gguf").to_string();
        assert!(page.contains("web page") && page.contains("o/r/resolve/main/m.gguf"), "{page}");
        for place in ["model.gguf", "https://x.org/m.gguf"] {
            let pointer = StandIn::Pointer.error(place).to_string();
            for words in [place, "Git LFS pointer", "git lfs pull", "resolve/main"] {
                assert!(pointer.contains(words), "{pointer} does not say {words:?}");
            }
        }
    }
}
