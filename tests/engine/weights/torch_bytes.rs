//! Archives of PyTorch byte by byte, so that each can be wrong in one place.

/// One record, and what its entry in the directory says of it.
#[derive(Clone)]
pub struct Record {
    pub name: String,
    pub bytes: Vec<u8>,
    /// As the directory has them, where that is not the truth.
    pub claimed: Option<u64>,
    pub method: u16,
    pub flags: u16,
}

/// An archive, and how its directory is written.
#[derive(Clone)]
pub struct Archive {
    pub records: Vec<Record>,
    /// Every size, place and count in 64 bits, as archives of more than four gigabytes have them.
    pub wide: bool,
    pub count: Option<u64>,
    pub comment: Vec<u8>,
}

/// One thing of a pickle.
pub enum Word<'a> {
    Global(&'a str, &'a str),
    Text(&'a str),
    Int(i32),
    Tuple(&'a [Word<'a>]),
    /// A storage's class, key and how many numbers it holds.
    Storage(&'a str, &'a str, i32),
    /// A storage, an offset, sides, strides.
    Tensor(&'a Word<'a>, i32, &'a [i32], &'a [i32]),
}

impl Word<'_> {
    pub fn write(&self, out: &mut Vec<u8>) {
        let numbers = |numbers: &[i32], out: &mut Vec<u8>| {
            out.push(b'(');
            numbers.iter().for_each(|n| Word::Int(*n).write(out));
            out.push(b't');
        };
        match self {
            Self::Global(module, name) => out.extend(format!("c{module}\n{name}\n").bytes()),
            Self::Text(text) => {
                out.push(b'X');
                out.extend((text.len() as u32).to_le_bytes());
                out.extend(text.bytes());
            }
            Self::Int(number) => {
                out.push(b'J');
                out.extend(number.to_le_bytes());
            }
            Self::Tuple(words) => {
                out.push(b'(');
                words.iter().for_each(|word| word.write(out));
                out.push(b't');
            }
            Self::Storage(class, key, numel) => {
                let words = [
                    Self::Text("storage"),
                    Self::Global("torch", class),
                    Self::Text(key),
                    Self::Text("cpu"),
                    Self::Int(*numel),
                ];
                Word::Tuple(&words).write(out);
                out.push(b'Q');
            }
            Self::Tensor(storage, offset, sides, strides) => {
                Self::Global("torch._utils", "_rebuild_tensor_v2").write(out);
                out.push(b'(');
                storage.write(out);
                Self::Int(*offset).write(out);
                numbers(sides, out);
                numbers(strides, out);
                out.extend([0x89, b'N', b't', b'R']);
            }
        }
    }
}

impl Word<'_> {
    /// A dictionary that holds this under a name, in the midst of a pickle.
    pub fn named(&self, name: &str) -> Vec<u8> {
        let mut out = b"}".to_vec();
        Word::Text(name).write(&mut out);
        self.write(&mut out);
        out.push(b's');
        out
    }
}

/// A pickle of a dictionary.
pub fn dict(items: &[(&str, Word)]) -> Vec<u8> {
    let mut out = b"\x80\x02}(".to_vec();
    for (name, value) in items {
        Word::Text(name).write(&mut out);
        value.write(&mut out);
    }
    out.extend(b"u.");
    out
}

impl Archive {
    pub fn new(pickle: Vec<u8>, storages: &[(&str, &[u8])]) -> Self {
        let record =
            |name: String, bytes: &[u8]| Record { name, bytes: bytes.into(), claimed: None, method: 0, flags: 8 };
        let mut records =
            vec![record("archive/data.pkl".into(), &pickle), record("archive/byteorder".into(), b"little")];
        records.extend(storages.iter().map(|(key, bytes)| record(format!("archive/data/{key}"), bytes)));
        Self { records, wide: false, count: None, comment: vec![] }
    }

    /// `a` [2, 3] in F32, `t` the transpose of a [3, 2] in F16, both with counted bytes.
    pub fn small() -> Self {
        let pickle = dict(&[
            ("a", Word::Tensor(&Word::Storage("FloatStorage", "0", 6), 0, &[2, 3], &[3, 1])),
            ("t", Word::Tensor(&Word::Storage("HalfStorage", "1", 6), 0, &[2, 3], &[1, 2])),
        ]);
        let bytes: Vec<u8> = (0..36).collect();
        Self::new(pickle, &[("0", &bytes[..24]), ("1", &bytes[24..])])
    }

    pub fn bytes(&self) -> Vec<u8> {
        let (mut out, mut directory) = (vec![], vec![]);
        for record in &self.records {
            let (header, bytes) = (out.len() as u64, record.claimed.unwrap_or(record.bytes.len() as u64));
            let padding = (64 - (out.len() + 30 + record.name.len() + 4) % 64) % 64;
            out.extend(b"PK\x03\x04\0\0\x08\x08");
            out.extend(record.method.to_le_bytes());
            out.extend([0; 16]);
            out.extend((record.name.len() as u16).to_le_bytes());
            out.extend((padding as u16 + 4).to_le_bytes());
            out.extend(record.name.bytes());
            out.extend(b"FB");
            out.extend((padding as u16).to_le_bytes());
            out.resize(out.len() + padding, b'Z');
            out.extend(&record.bytes);

            let narrow = |n: u64| if self.wide { u32::MAX } else { n as u32 };
            directory.extend(b"PK\x01\x02\0\0\0\0");
            directory.extend(record.flags.to_le_bytes());
            directory.extend(record.method.to_le_bytes());
            directory.extend([0; 8]);
            directory.extend(narrow(bytes).to_le_bytes());
            directory.extend(narrow(bytes).to_le_bytes());
            directory.extend((record.name.len() as u16).to_le_bytes());
            directory.extend((if self.wide { 28_u16 } else { 0 }).to_le_bytes());
            directory.extend([0; 10]);
            directory.extend(narrow(header).to_le_bytes());
            directory.extend(record.name.bytes());
            if self.wide {
                directory.extend([1, 0, 24, 0]);
                [bytes, bytes, header].iter().for_each(|n| directory.extend(n.to_le_bytes()));
            }
        }
        let (first, count) = (out.len() as u64, self.count.unwrap_or(self.records.len() as u64));
        out.extend(&directory);
        if self.wide {
            let end = out.len() as u64;
            out.extend(b"PK\x06\x06");
            out.extend(44_u64.to_le_bytes());
            out.extend([0; 12]);
            [count, count, directory.len() as u64, first].iter().for_each(|n| out.extend(n.to_le_bytes()));
            out.extend(b"PK\x06\x07\0\0\0\0");
            out.extend(end.to_le_bytes());
            out.extend(1_u32.to_le_bytes());
        }
        let narrow = |n: u64| if self.wide { u32::MAX } else { n as u32 };
        out.extend(b"PK\x05\x06\0\0\0\0");
        out.extend((narrow(count) as u16).to_le_bytes());
        out.extend((narrow(count) as u16).to_le_bytes());
        out.extend(narrow(directory.len() as u64).to_le_bytes());
        out.extend(narrow(first).to_le_bytes());
        out.extend((self.comment.len() as u16).to_le_bytes());
        out.extend(&self.comment);
        out
    }
}
