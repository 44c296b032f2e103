//! Raw little-endian F32, one file a tensor, listed by a `manifest.json`: what `deeplearn.js` wrote of TensorFlow's checkpoints, and ml5 publishes still.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    address::file_name,
    contents::{Contents, MOST_DIMENSIONS, Prefix, TensorInfo, shown},
    metadata::Metadata,
};
use crate::{Error, Result, graph::DType};

/// The tensors of a manifest, by their files.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    name: String,
    files: BTreeMap<String, (String, Vec<usize>)>,
}

impl Manifest {
    /// Whether a file may be one, by its name.
    pub fn may_be(name: &str) -> bool {
        file_name(name) == "manifest.json"
    }

    /// `None` where the text is JSON of another kind.
    ///
    /// Errors: `corrupt-file` for a shape that cannot be.
    pub fn read(name: &str, text: &[u8]) -> Result<Option<Self>> {
        #[derive(Deserialize)]
        struct Entry {
            filename: String,
            shape: Vec<usize>,
        }
        let Ok(entries) = serde_json::from_slice::<BTreeMap<String, Entry>>(text) else { return Ok(None) };
        let folder = name.strip_suffix(file_name(name)).unwrap_or_default();
        let mut files = BTreeMap::new();
        for (tensor, Entry { filename, shape }) in entries {
            if shape.len() > MOST_DIMENSIONS || bytes(&shape).is_none() {
                return Err(Error::corrupt_file(format!(
                    "{name}: tensor {} {shape:?} is larger than any file; fetch the manifest again",
                    shown(&tensor)
                )));
            }
            if files.insert(format!("{folder}{filename}"), (tensor, shape)).is_some() {
                return Err(Error::corrupt_file(format!(
                    "{name}: the file {} stands there twice; fetch the manifest again",
                    shown(&filename)
                )));
            }
        }
        Ok((!files.is_empty()).then(|| Self { name: name.into(), files }))
    }

    /// Refuses a listing of which a file was not given.
    pub fn check_whole(&self, given: &[String]) -> Result<()> {
        match self.files.keys().find(|file| !given.contains(file)) {
            None => Ok(()),
            Some(missing) => Err(Error::bad_argument(format!(
                "{} is missing: {} speaks of it; give all files of the model",
                shown(missing),
                self.name
            ))),
        }
    }

    /// The tensor that a file holds, where it is one of these.
    pub fn contents(&self, prefix: &Prefix) -> Result<Option<Contents>> {
        let Some((tensor, shape)) = self.files.get(&prefix.name) else { return Ok(None) };
        let bytes = bytes(shape).unwrap_or(u64::MAX);
        if bytes != prefix.len {
            return Err(Error::corrupt_file(format!(
                "{}: {shape:?} numbers of F32 are {bytes} bytes, and the file has {}; fetch it again",
                shown(&prefix.name),
                prefix.len
            )));
        }
        let tensor =
            TensorInfo { name: tensor.clone(), dtype: DType::F32, shape: shape.clone(), part: 0, offset: 0, bytes };
        Ok(Some(Contents { metadata: Metadata::default(), tensors: vec![tensor], data_start: 0 }))
    }
}

fn bytes(shape: &[usize]) -> Option<u64> {
    shape.iter().try_fold(4u64, |bytes, side| bytes.checked_mul(*side as u64))
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::rc::Rc;

    use pollster::block_on;

    use crate::{
        ErrorCode,
        weights::{Format, MemorySource, SharedSource, WeightFile},
    };

    fn open(manifest: &str, files: &[(&str, usize)]) -> crate::Result<WeightFile> {
        let mut sources =
            vec![Rc::new(MemorySource::new("m/manifest.json", manifest.as_bytes().to_vec())) as SharedSource];
        for (name, bytes) in files {
            sources.push(Rc::new(MemorySource::new(*name, vec![0; *bytes])));
        }
        block_on(WeightFile::open_parts(sources))
    }

    const MANIFEST: &str =
        r#"{"a/b": {"filename": "a_b", "shape": [2, 3]}, "step": {"filename": "step", "shape": []}}"#;

    #[test]
    fn raw_files_are_the_tensors_of_their_manifest() {
        let file = open(MANIFEST, &[("m/step", 4), ("m/a_b", 24), ("m/README", 3)]).unwrap();
        assert_eq!(file.format, Format::StateDict);
        assert_eq!(file.tensors["a/b"].shape, [2, 3]);
        assert_eq!(block_on(file.read_f32("a/b")).unwrap(), [0.0; 6]);
    }

    #[test]
    fn what_does_not_fit_a_manifest_is_named() {
        let refused =
            |manifest: &str, files: &[(&str, usize)]| open(manifest, files).err().map(|e| (e.code(), e.to_string()));
        let (code, said) = refused(MANIFEST, &[("m/a_b", 24)]).unwrap();
        assert!(code == ErrorCode::BadArgument && said.contains("m/step is missing"), "{said}");
        let (code, said) = refused(MANIFEST, &[("m/a_b", 20), ("m/step", 4)]).unwrap();
        assert!(code == ErrorCode::CorruptFile && said.contains("24 bytes"), "{said}");
        let (code, _) = refused(r#"{"a": {"filename": "a", "shape": [4294967296, 4294967296]}}"#, &[]).unwrap();
        assert_eq!(code, ErrorCode::CorruptFile);
        // A web app's manifest is no list of weights.
        assert!(open(r#"{"name": "an app", "icons": []}"#, &[]).is_ok_and(|file| file.format == Format::Json));
    }
}
