//! Where bytes come from: memory, a file on disk; the browser's sources are in `web`.

use std::{collections::BTreeMap, ops::Range, rc::Rc};

use async_trait::async_trait;

use crate::{Error, Result};

/// Random access to a file, wherever it lies.
///
/// Readers go forward as far as they can (a header, then tensors in file order), so a source behind a network may
/// keep one long answer open. A read that is dropped half way leaves the source usable.
#[allow(clippy::len_without_is_empty)] // An empty file is refused where it is opened, like any other that is no model.
#[async_trait(?Send)]
pub trait ByteSource {
    /// The file's name for people and for telling `config.json` from weights: the last part of a path or an address, behind the
    /// folders that tell a pipeline's components apart (`unet/config.json`).
    fn name(&self) -> String;

    /// The size in bytes.
    async fn len(&self) -> Result<u64>;

    /// Exactly the bytes of `range`; a range past the end is an error with the code `corrupt-file`.
    async fn read(&self, range: Range<u64>) -> Result<Vec<u8>>;

    /// How many bytes are read first, to see what the file is; most headers fit.
    fn first_read(&self) -> u64 {
        1 << 20
    }

    /// Lets go of what is held open between reads (a connection). Reading may go on afterwards.
    fn release(&self) {}

    /// Called when everything needed was read: takes in what remains, and checks it where there is something to check
    /// it against.
    async fn finish(&self) -> Result<()> {
        Ok(())
    }
}

/// A source that several readers share.
pub type SharedSource = Rc<dyn ByteSource>;

/// The sources of each folder, by the folder's own name (`vae` of `models/sd/vae/config.json`; empty for those that stand in none):
/// a pipeline's components, each to be opened alone.
pub fn by_folder(sources: Vec<SharedSource>) -> BTreeMap<String, Vec<SharedSource>> {
    let mut folders: BTreeMap<String, Vec<SharedSource>> = BTreeMap::new();
    for source in sources {
        let name = source.name();
        let folder = name.rsplit('/').nth(1).unwrap_or_default();
        folders.entry(folder.into()).or_default().push(source);
    }
    folders
}

/// The error for a read past the end.
pub fn past_the_end(name: &str, range: &Range<u64>, len: u64) -> Error {
    Error::corrupt_file(format!(
        "{name}: bytes {} to {} were asked for, but the file ends at {len}; it was cut short, so fetch it again",
        range.start, range.end
    ))
}

/// Bytes that are in memory already.
#[derive(Debug, Clone)]
pub struct MemorySource {
    name: String,
    bytes: Rc<[u8]>,
}

impl MemorySource {
    pub fn new(name: impl Into<String>, bytes: impl Into<Rc<[u8]>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

#[async_trait(?Send)]
impl ByteSource for MemorySource {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn len(&self) -> Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    async fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let part = match (usize::try_from(range.start), usize::try_from(range.end)) {
            (Ok(start), Ok(end)) => self.bytes.get(start..end),
            _ => None,
        };
        part.map(<[u8]>::to_vec).ok_or_else(|| past_the_end(&self.name, &range, self.bytes.len() as u64))
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub use path::PathSource;

#[cfg(not(target_arch = "wasm32"))]
mod path {
    use std::{
        cell::RefCell,
        fs::File,
        io::{Read, Seek, SeekFrom},
        path::Path,
    };

    use super::*;

    /// A file on disk.
    #[derive(Debug)]
    pub struct PathSource {
        name: String,
        file: RefCell<File>,
        len: u64,
    }

    impl PathSource {
        /// Opens a file; one that cannot be opened is an error with the code `bad-argument`.
        pub fn open(path: impl AsRef<Path>) -> Result<Self> {
            let path = path.as_ref();
            let open = || {
                let file = File::open(path)?;
                let len = file.metadata()?.len();
                Ok::<_, std::io::Error>((file, len))
            };
            let (file, len) = open().map_err(|e| {
                Error::bad_argument(format!("{} cannot be opened ({e}); check the path", path.display())).caused_by(e)
            })?;
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            Ok(Self { name, file: RefCell::new(file), len })
        }

        /// The same file under another name, such as `vae/config.json`.
        pub fn named(mut self, name: impl Into<String>) -> Self {
            self.name = name.into();
            self
        }
    }

    #[async_trait(?Send)]
    impl ByteSource for PathSource {
        fn name(&self) -> String {
            self.name.clone()
        }

        async fn len(&self) -> Result<u64> {
            Ok(self.len)
        }

        async fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
            if range.start > range.end || range.end > self.len {
                return Err(past_the_end(&self.name, &range, self.len));
            }
            let len = usize::try_from(range.end - range.start)
                .map_err(|_| Error::out_of_memory(format!("{}: a piece larger than memory", self.name)))?;
            let mut bytes = vec![0; len];
            let mut file = self.file.borrow_mut();
            file.seek(SeekFrom::Start(range.start)).and_then(|_| file.read_exact(&mut bytes)).map_err(|e| {
                Error::corrupt_file(format!("{}: reading at {} failed ({e})", self.name, range.start)).caused_by(e)
            })?;
            Ok(bytes)
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::ErrorCode;

    #[test]
    fn a_read_past_the_end_is_refused_with_both_ends() {
        let source = MemorySource::new("a.bin", vec![1, 2, 3]);
        assert_eq!(pollster::block_on(source.read(1..3)).unwrap(), [2, 3]);
        let error = pollster::block_on(source.read(2..9)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::CorruptFile);
        assert!(error.to_string().contains("2 to 9") && error.to_string().contains("ends at 3"), "{error}");
        #[allow(clippy::reversed_empty_ranges)]
        let backwards = pollster::block_on(source.read(2..1));
        assert!(backwards.is_err());
    }
}
