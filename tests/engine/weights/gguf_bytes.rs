//! Writes small GGUFs byte by byte, right ones and wrong ones.

/// A metadata value as its type number and its bytes.
#[derive(Clone)]
pub struct Value(pub u32, pub Vec<u8>);

pub fn number(v: u32) -> Value {
    Value(4, v.to_le_bytes().into())
}

pub fn text(v: &str) -> Value {
    Value(8, string(v))
}

pub fn list(kind: u32, count: u64, bytes: &[u8]) -> Value {
    Value(9, [kind.to_le_bytes().as_slice(), &count.to_le_bytes(), bytes].concat())
}

pub fn string(v: &str) -> Vec<u8> {
    [(v.len() as u64).to_le_bytes().as_slice(), v.as_bytes()].concat()
}

#[derive(Clone)]
pub struct Tensor {
    pub name: String,
    /// In the file's order, innermost first.
    pub sides: Vec<u64>,
    pub kind: u32,
    pub offset: u64,
}

/// A GGUF in pieces.
#[derive(Clone)]
pub struct Gguf {
    pub magic: [u8; 4],
    pub version: u32,
    /// The counts in the header, where they differ from the truth.
    pub tensor_count: Option<u64>,
    pub pair_count: Option<u64>,
    pub pairs: Vec<(String, Value)>,
    pub tensors: Vec<Tensor>,
    pub alignment: usize,
    pub data: Vec<u8>,
}

impl Gguf {
    /// Two tensors: `a` [2, 4] F32, the numbers 0 to 7, and `b` [3, 32] Q8_0 at 32, of scale 1 and quants 1.
    pub fn small() -> Self {
        let mut data: Vec<u8> = (0..8).flat_map(|i| (i as f32).to_le_bytes()).collect();
        for _ in 0..3 {
            data.extend_from_slice(&[0x00, 0x3c]);
            data.extend_from_slice(&[1; 32]);
        }
        Self {
            magic: *b"GGUF",
            version: 3,
            tensor_count: None,
            pair_count: None,
            pairs: vec![
                ("general.architecture".into(), text("llama")),
                ("llama.block_count".into(), number(1)),
                ("tokenizer.ggml.tokens".into(), list(8, 2, &[string("a"), string("bc")].concat())),
                ("tokenizer.ggml.scores".into(), list(6, 2, &[0; 8])),
                ("nested".into(), list(9, 1, &list(5, 1, &[1, 0, 0, 0]).1)),
                ("flag".into(), Value(7, vec![1])),
            ],
            tensors: vec![
                Tensor { name: "a".into(), sides: vec![4, 2], kind: 0, offset: 0 },
                Tensor { name: "b".into(), sides: vec![32, 3], kind: 8, offset: 32 },
            ],
            alignment: 32,
            data,
        }
    }

    pub fn header(&self) -> Vec<u8> {
        let mut out = self.magic.to_vec();
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&self.tensor_count.unwrap_or(self.tensors.len() as u64).to_le_bytes());
        out.extend_from_slice(&self.pair_count.unwrap_or(self.pairs.len() as u64).to_le_bytes());
        for (key, Value(kind, bytes)) in &self.pairs {
            out.extend_from_slice(&string(key));
            out.extend_from_slice(&kind.to_le_bytes());
            out.extend_from_slice(bytes);
        }
        for tensor in &self.tensors {
            out.extend_from_slice(&string(&tensor.name));
            out.extend_from_slice(&(tensor.sides.len() as u32).to_le_bytes());
            out.extend(tensor.sides.iter().flat_map(|side| side.to_le_bytes()));
            out.extend_from_slice(&tensor.kind.to_le_bytes());
            out.extend_from_slice(&tensor.offset.to_le_bytes());
        }
        out
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = self.header();
        out.resize(out.len().next_multiple_of(self.alignment), 0);
        out.extend_from_slice(&self.data);
        out
    }

    /// The bytes after a change.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Vec<u8> {
        change(&mut self);
        self.bytes()
    }
}
