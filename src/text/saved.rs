//! A conversation in a file: whose it is, what the page kept of it, and what the model's states held, to the bit.
//!
//! ```text
//! "VITRTALK"  magic, 8 bytes
//! u32         version, 1
//! u32         bytes of the header
//! header      JSON: { model, pastBound, page, parts: [[name, words], …] }
//! words       32-bit words, little-endian: of each part in turn; "read", "begun" and "tokens" are the text, all others states of the model
//! 32 bytes    SHA-256 of all before
//! ```

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{TextModelInfo, kept::Held};
use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"VITRTALK";
const VERSION: u32 = 1;
/// Magic, version, length of the header.
const FRONT: usize = 16;
const DIGEST: usize = 32;
/// The parts that are no states.
const OF_TEXT: [&str; 3] = ["read", "begun", "tokens"];

/// What tells a model from others that would go on otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    name: String,
    architecture: String,
    quantization: String,
    parameters: u64,
    vocabulary: usize,
    layers: usize,
    width: usize,
    /// Of the beginnings of all weights as they went to a device, in hexadecimal.
    weights: String,
}

impl Identity {
    pub fn of(info: &TextModelInfo, weights: &[u8]) -> Self {
        Self {
            name: info.name.clone(),
            architecture: info.architecture.clone(),
            quantization: info.quantization.clone(),
            parameters: info.parameters,
            vocabulary: info.vocabulary,
            layers: info.layers,
            width: info.width,
            weights: weights.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    fn told(&self) -> String {
        format!("{} ({}, {}, {} parameters)", self.name, self.architecture, self.quantization, self.parameters)
    }

    /// Errors: `bad-argument` that names both models.
    pub fn check(&self, own: &Self) -> Result<()> {
        if self == own {
            return Ok(());
        }
        let with = match (self.told(), own.told()) {
            (a, b) if a == b => format!("other weights of {a}"),
            (a, b) => format!("{a}, and this is {b}"),
        };
        Err(Error::bad_argument(format!(
            "the conversation was held with {with}; load the model that it was held with, or pass otherModel: true to take its words alone"
        )))
    }
}

/// A text, and the words of each state that hold it.
pub type Computed = (Held, Vec<(String, Vec<u32>)>);

/// A saved conversation.
#[derive(Debug, PartialEq)]
pub struct Saved {
    pub model: Identity,
    /// What the page keeps of it, as JSON.
    pub page: String,
    /// Nothing where the model has computed nothing of it.
    pub computed: Option<Computed>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    model: Identity,
    past_bound: bool,
    page: String,
    parts: Vec<(String, usize)>,
}

impl Saved {
    /// Errors: `out-of-memory`.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let parts: Vec<(&str, &[u32])> = self.computed.iter().flat_map(parts).collect();
        let header = Header {
            model: self.model.clone(),
            past_bound: self.computed.as_ref().is_some_and(|(held, _)| held.past_bound),
            page: self.page.clone(),
            parts: parts.iter().map(|(name, words)| ((*name).to_owned(), words.len())).collect(),
        };
        let header = serde_json::to_vec(&header)
            .map_err(|cause| Error::internal("a conversation could not be written down").caused_by(cause))?;
        let words: usize = parts.iter().map(|(_, words)| words.len()).sum();
        let mut bytes = vec![];
        let room = FRONT + header.len() + 4 * words + DIGEST;
        bytes.try_reserve_exact(room).map_err(|cause| {
            Error::out_of_memory(format!("no room for the {room} bytes of the saved conversation; close other models"))
                .caused_by(cause)
        })?;
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&header);
        for (_, words) in parts {
            words.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        }
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        Ok(bytes)
    }

    /// Errors: `bad-argument` for what is no saved conversation or one of a later version, `corrupt-file` for one that is cut off or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let damaged = |why: String| {
            Error::corrupt_file(format!("the saved conversation is damaged: {why}; take another copy of it"))
        };
        let [version, header] = front(bytes)?;
        if version != VERSION {
            return Err(Error::bad_argument(format!(
                "the conversation was saved in version {version} of its format, and this Vitrine reads version {VERSION}; open it with the one that saved it"
            )));
        }
        let end = FRONT.saturating_add(header as usize);
        let cut = |needed: usize| damaged(format!("it has {} bytes, and {needed} are needed", bytes.len()));
        let header: Header = match bytes.get(FRONT..end) {
            Some(header) => serde_json::from_slice(header)
                .map_err(|cause| damaged(format!("its header cannot be read ({cause})")))?,
            None => return Err(cut(end)),
        };
        let words = header.parts.iter().try_fold(0usize, |sum, (_, words)| sum.checked_add(*words));
        let whole = words.and_then(|words| words.checked_mul(4)?.checked_add(end)?.checked_add(DIGEST));
        let whole = whole.ok_or_else(|| damaged("its parts have an impossible size".into()))?;
        if bytes.len() != whole {
            return Err(cut(whole));
        }
        let (body, digest) = bytes.split_at(whole - DIGEST);
        if *Sha256::digest(body) != *digest {
            return Err(damaged("its checksum is another".into()));
        }
        let mut rest = &body[end..];
        let mut take = |words: usize| {
            let (own, after) = rest.split_at(4 * words);
            rest = after;
            own.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect::<Vec<u32>>()
        };
        let mut parts: Vec<(String, Vec<u32>)> =
            header.parts.into_iter().map(|(name, words)| (name, take(words))).collect();
        let computed = match parts.is_empty() {
            true => None,
            false => {
                let names = parts.iter().take(OF_TEXT.len()).map(|(name, _)| name.as_str());
                if !names.eq(OF_TEXT) {
                    return Err(damaged("its parts are not those of a text".into()));
                }
                let states = parts.split_off(OF_TEXT.len());
                let mut text = parts.into_iter().map(|(_, words)| words);
                let mut next = || text.next().unwrap_or_default();
                let (read, begun, tokens) = (next(), next(), next());
                Some((Held { read, begun, tokens, past_bound: header.past_bound }, states))
            }
        };
        Ok(Self { model: header.model, page: header.page, computed })
    }
}

fn parts((held, states): &Computed) -> impl Iterator<Item = (&str, &[u32])> {
    let text = OF_TEXT.into_iter().zip([&held.read, &held.begun, &held.tokens].map(Vec::as_slice));
    text.chain(states.iter().map(|(name, words)| (name.as_str(), words.as_slice())))
}

/// Version and length of the header, where the file is one of ours.
fn front(bytes: &[u8]) -> Result<[u32; 2]> {
    if bytes.len() < MAGIC.len() && MAGIC.starts_with(bytes) || bytes.starts_with(MAGIC) && bytes.len() < FRONT {
        return Err(Error::corrupt_file("the saved conversation is cut off at its beginning; take another copy of it"));
    }
    match bytes.strip_prefix(MAGIC) {
        Some(rest) => Ok([0, 4].map(|at| u32::from_le_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]))),
        None => {
            Err(Error::bad_argument("this is no saved conversation; give a file that a conversation's save() made"))
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::ErrorCode;

    fn saved() -> Saved {
        let model = Identity {
            name: "a".into(),
            architecture: "llama".into(),
            quantization: "Q8_0".into(),
            parameters: 7,
            vocabulary: 80,
            layers: 2,
            width: 16,
            weights: "00ff".into(),
        };
        let held = Held { read: vec![9], begun: vec![], tokens: vec![1, 2, 3], past_bound: true };
        let states = vec![("cache.k.0".into(), vec![4, 5]), ("cache.v.0".into(), vec![f32::NAN.to_bits()])];
        Saved { model, page: r#"{"messages":[]}"#.into(), computed: Some((held, states)) }
    }

    #[test]
    fn what_is_written_is_read_to_the_bit_with_states_and_without() {
        for saved in [saved(), Saved { computed: None, ..saved() }] {
            assert_eq!(Saved::from_bytes(&saved.to_bytes().unwrap()).unwrap(), saved);
        }
    }

    #[test]
    fn a_file_that_is_cut_off_damaged_or_none_is_refused_wherever_it_is() {
        let whole = saved().to_bytes().unwrap();
        for length in 0..whole.len() {
            let error = Saved::from_bytes(&whole[..length]).unwrap_err();
            assert_eq!(error.code(), ErrorCode::CorruptFile, "{length} bytes: {error}");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            let error = Saved::from_bytes(&damaged).unwrap_err();
            let expected = if at < 12 { ErrorCode::BadArgument } else { ErrorCode::CorruptFile };
            assert_eq!(error.code(), expected, "byte {at}: {error}");
        }
        let longer: Vec<u8> = whole.iter().copied().chain([0]).collect();
        assert_eq!(Saved::from_bytes(&longer).unwrap_err().code(), ErrorCode::CorruptFile);
        assert_eq!(Saved::from_bytes(b"GGUF and more of that").unwrap_err().code(), ErrorCode::BadArgument);
    }

    #[test]
    fn another_model_is_told_from_this_one_by_any_of_its_marks() {
        let own = saved().model;
        assert!(own.check(&own).is_ok());
        for other in [
            Identity { quantization: "Q4_0".into(), ..own.clone() },
            Identity { weights: "00fe".into(), ..own.clone() },
            Identity { vocabulary: 81, ..own.clone() },
        ] {
            let error = other.check(&own).unwrap_err();
            assert!(error.code() == ErrorCode::BadArgument && error.to_string().contains("otherModel"), "{error}");
        }
    }
}
