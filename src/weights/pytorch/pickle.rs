//! The pickle of a state dict (protocol 2, as `torch.save` writes it), read as data: nothing is imported and nothing is called.
//!
//! The machine knows the opcodes of PyTorch's own `weights_only` reader. It makes what a state dict is made of (numbers, words, tuples,
//! dictionaries, storages, tensors); everything else stays a name without a meaning, so that what a training left beside the
//! weights does no harm. Objects are numbers of places in one list: a memo costs nothing, and a cycle is never walked.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Error, Result, weights::contents::shown};

/// What the largest pickle of weights seen holds, thirty times over.
const MOST_OBJECTS: usize = 1 << 20;
/// A state dict stands no deeper in a checkpoint.
const DEEPEST: usize = 4;
/// Checkpoints of Stable Diffusion hold two thousand at the most.
const MOST_TENSORS: usize = 1 << 14;

/// A storage: a record of numbers of one type.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage<'a> {
    /// PyTorch's class: `HalfStorage`.
    pub class: &'a str,
    /// The record's name below `data/`.
    pub key: &'a str,
    /// How many numbers it holds.
    pub numel: u64,
}

impl Storage<'_> {
    /// Bytes of a number; `None` where the class is unknown.
    pub fn element(&self) -> Option<u64> {
        Some(match self.class {
            "ComplexDoubleStorage" => 16,
            "DoubleStorage" | "LongStorage" | "ComplexFloatStorage" => 8,
            "FloatStorage" | "IntStorage" => 4,
            "HalfStorage" | "BFloat16Storage" | "ShortStorage" => 2,
            "CharStorage" | "ByteStorage" | "BoolStorage" => 1,
            _ => return None,
        })
    }
}

/// A view of a storage. `offset` and `strides` count numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor<'a> {
    pub storage: Storage<'a>,
    pub offset: u64,
    pub shape: Vec<u64>,
    pub strides: Vec<u64>,
}

type Id = u32;

#[derive(Debug, Clone)]
enum Object<'a> {
    /// Of no use here: `None`, a truth, a fraction.
    Other,
    False,
    Int(i64),
    Text(&'a str),
    /// A class or a function by its module and name.
    Global(&'a str, &'a str),
    /// What a class or a function that is unknown here would have made.
    Made(&'a str, &'a str),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Storage(Box<Storage<'a>>),
    Tensor(Box<Tensor<'a>>),
}

/// The tensors of the state dict that `pickle` is or holds. `file` is for messages.
///
/// Errors: `corrupt-file` with the byte at which the pickle stops making sense, `unsupported-model` for pickles of anything else.
pub fn state_dict<'a>(file: &str, pickle: &'a [u8]) -> Result<Vec<(&'a str, Tensor<'a>)>> {
    let mut machine = Machine::new(file, pickle);
    let root = machine.run()?;
    machine.tensors(root)
}

/// A file as `torch.save` wrote it before 1.6: five pickles, then the storages. The first is a number, the second the protocol 1001.
pub struct Legacy<'a> {
    pub tensors: Vec<(&'a str, Tensor<'a>)>,
    /// In the order in which they lie in the file, from `end` on.
    pub storages: Vec<Storage<'a>>,
    /// Where the last pickle ends.
    pub end: u64,
}

/// The first pickle of a [`Legacy`] file, PyTorch's magic number.
pub const LEGACY: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// Reads the five pickles, all of which must be in `bytes`, the beginning of the file.
///
/// Errors: as [`state_dict`]; `unsupported-model` for files of big-endian machines and of another protocol.
pub fn legacy<'a>(file: &str, bytes: &'a [u8]) -> Result<Legacy<'a>> {
    let mut machine = Machine::new(file, bytes);
    machine.at = LEGACY.len();
    let protocol = machine.run()?;
    if !matches!(machine.object(protocol), Object::Int(1001)) {
        return Err(machine.unsupported("it is of another protocol than 1001"));
    }
    let system = machine.again()?;
    if let Object::Dict(entries) = machine.object(system)
        && entries.iter().any(|(key, value)| {
            matches!((machine.object(*key), machine.object(*value)), (Object::Text("little_endian"), Object::False))
        })
    {
        return Err(machine.unsupported("it was saved on a big-endian machine"));
    }
    let root = machine.again()?;
    // What it holds is told before what follows: a whole model may be all that can be read.
    let tensors = machine.tensors(root)?;
    let keys = machine.again()?;
    let Object::List(keys) = machine.object(keys) else { return Err(machine.bad("here should be a list of storages")) };
    let mut storages = vec![];
    for key in keys {
        let Object::Text(key) = machine.object(*key) else { return Err(machine.bad("this is no storage's name")) };
        let storage = machine.storages.get(key).cloned();
        storages.push(storage.ok_or_else(|| machine.bad(&format!("the storage {} is nobody's", shown(key))))?);
    }
    Ok(Legacy { tensors, storages, end: machine.at as u64 })
}

struct Machine<'a, 'f> {
    file: &'f str,
    pickle: &'a [u8],
    /// Where the next opcode or its argument stands.
    at: usize,
    /// The first is `Other`, and serves for all of these.
    objects: Vec<Object<'a>>,
    stack: Vec<Id>,
    /// How high the stack was at each mark.
    marks: Vec<usize>,
    /// By place; each is filled when those before it are.
    memo: Vec<Id>,
    /// All that were met, by their names.
    storages: BTreeMap<&'a str, Storage<'a>>,
}

const OTHER: Id = 0;

impl<'a, 'f> Machine<'a, 'f> {
    fn new(file: &'f str, pickle: &'a [u8]) -> Self {
        let (stack, marks, memo, storages) = (vec![], vec![], vec![], BTreeMap::new());
        Self { file, pickle, at: 0, objects: vec![Object::Other], stack, marks, memo, storages }
    }

    /// Runs the next pickle, which knows nothing of the one before.
    fn again(&mut self) -> Result<Id> {
        self.stack.clear();
        self.marks.clear();
        self.memo.clear();
        self.run()
    }

    #[cold]
    fn bad(&self, what: &str) -> Error {
        Error::corrupt_file(format!(
            "{}: data.pkl at byte {}: {what}; the file is damaged, so fetch it again",
            self.file, self.at
        ))
    }

    #[cold]
    fn unsupported(&self, what: &str) -> Error {
        Error::unsupported_model(format!(
            "{}: {what}; load it with PyTorch and save its state_dict() again, best as safetensors",
            self.file
        ))
    }

    // Once a load, and called from everywhere: small is better than fast, for a visitor downloads it.
    #[inline(never)]
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.pickle.len());
        let bytes = end.and_then(|end| self.pickle.get(self.at..end));
        let bytes = bytes.ok_or_else(|| self.bad(&format!("{len} bytes more should follow")))?;
        self.at += len;
        Ok(bytes)
    }

    #[inline(never)]
    fn number(&mut self, len: usize) -> Result<u64> {
        let bytes = self.take(len)?;
        Ok(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    fn text(&mut self, len: usize) -> Result<&'a str> {
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes).map_err(|e| self.bad("these words are not UTF-8").caused_by(e))
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = self.pickle.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|b| *b == b'\n').ok_or_else(|| self.bad("a name has no end"))?;
        let line = self.text(len)?;
        self.at += 1;
        Ok(line)
    }

    fn push(&mut self, object: Object<'a>) -> Result<()> {
        if self.objects.len() >= MOST_OBJECTS {
            return Err(self
                .unsupported(&format!("its pickle makes more than {MOST_OBJECTS} objects, which no state dict does")));
        }
        self.stack.push(self.objects.len() as Id);
        self.objects.push(object);
        Ok(())
    }

    /// Takes the object on top.
    #[inline(never)]
    fn pop(&mut self) -> Result<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// All above the last mark.
    fn pop_marked(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().ok_or_else(|| self.bad("a mark is missing"))?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn object(&self, id: Id) -> &Object<'a> {
        self.objects.get(id as usize).unwrap_or(&Object::Other)
    }

    fn tuple(&self, id: Id) -> &[Id] {
        match self.object(id) {
            Object::Tuple(members) => members,
            _ => &[],
        }
    }

    fn run(&mut self) -> Result<Id> {
        loop {
            let opcode = self.number(1)? as u8;
            let made = match opcode {
                // NEWFALSE
                0x89 => Object::False,
                // BININT, BININT1, BININT2, LONG1
                b'J' => Object::Int((self.number(4)? as u32 as i32).into()),
                b'K' | b'M' => Object::Int(self.number(if opcode == b'K' { 1 } else { 2 })? as i64),
                0x8a => self.long()?,
                // BINUNICODE, GLOBAL
                b'X' => {
                    let len = self.number(4)?;
                    Object::Text(self.text(len as usize)?)
                }
                b'c' => Object::Global(self.line()?, self.line()?),
                // EMPTY_TUPLE, TUPLE, TUPLE1, TUPLE2, TUPLE3
                b')' => Object::Tuple(vec![]),
                b't' => Object::Tuple(self.pop_marked()?),
                0x85..=0x87 => {
                    let mut members = vec![OTHER; usize::from(opcode - 0x84)];
                    for member in members.iter_mut().rev() {
                        *member = self.pop()?;
                    }
                    Object::Tuple(members)
                }
                // BINSTRING, SHORT_BINSTRING: words of Python 2, or bytes
                b'T' | b'U' => {
                    let len = self.number(if opcode == b'U' { 1 } else { 4 })?;
                    std::str::from_utf8(self.take(len as usize)?).map_or(Object::Other, Object::Text)
                }
                // EMPTY_DICT, EMPTY_LIST
                b'}' => Object::Dict(vec![]),
                b']' => Object::List(vec![]),
                // BINPERSID
                b'Q' => {
                    let id = self.pop()?;
                    self.persistent(id)?
                }
                b'.' => return self.pop(),
                _ => {
                    self.act(opcode)?;
                    continue;
                }
            };
            self.push(made)?;
        }
    }

    /// The opcodes that make nothing new.
    fn act(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            // PROTO
            0x80 => {
                let protocol = self.number(1)?;
                if protocol != 2 {
                    let what = format!("its pickle is of protocol {protocol}, and torch.save writes 2");
                    return Err(self.unsupported(&what));
                }
            }
            // MARK
            b'(' => self.marks.push(self.stack.len()),
            // NONE, NEWTRUE, EMPTY_SET; BINFLOAT
            b'N' | 0x88 | 0x8f | b'G' => {
                self.take(if opcode == b'G' { 8 } else { 0 })?;
                self.stack.push(OTHER);
            }
            // SETITEM, SETITEMS
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_marked()?;
                self.set(&items)?;
            }
            // APPEND, APPENDS
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_marked()?;
                self.append(items)?;
            }
            // BUILD, which gives an object its attributes: nothing here has any
            b'b' => {
                self.pop()?;
                self.top()?;
            }
            // REDUCE, NEWOBJ
            b'R' | 0x81 => {
                let (args, callable) = (self.pop()?, self.pop()?);
                self.call(callable, args)?;
            }
            // BINPUT, LONG_BINPUT, BINGET, LONG_BINGET
            b'q' | b'r' | b'h' | b'j' => {
                let place = self.number(if opcode == b'q' || opcode == b'h' { 1 } else { 4 })? as usize;
                match opcode {
                    b'q' | b'r' => self.remember(place)?,
                    _ => self.recall(place)?,
                }
            }
            _ => {
                let at = self.at - 1;
                let what = format!("opcode {opcode:#04x} at byte {at} of data.pkl is none of a state dict's");
                return Err(self.unsupported(&what));
            }
        }
        Ok(())
    }

    /// The object on top; what lies below the last mark is out of reach.
    fn top(&self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack.get(floor..).and_then(|above| above.last()).copied().ok_or_else(|| self.bad("an object is missing"))
    }

    /// Pickles count the places of their memo.
    fn remember(&mut self, place: usize) -> Result<()> {
        let top = self.top()?;
        if place > self.memo.len() {
            return Err(self.bad(&format!("place {place} is filled before those below it")));
        }
        match self.memo.get_mut(place) {
            Some(kept) => *kept = top,
            None => self.memo.push(top),
        }
        Ok(())
    }

    fn recall(&mut self, place: usize) -> Result<()> {
        let id = self.memo.get(place).copied();
        let id = id.ok_or_else(|| self.bad(&format!("nothing was kept at place {place}")))?;
        self.stack.push(id);
        Ok(())
    }

    /// A whole number of any length; one of more than 64 bits is of no use.
    fn long(&mut self) -> Result<Object<'a>> {
        let len = self.number(1)? as usize;
        let bytes = self.take(len)?;
        if len > 8 {
            return Ok(Object::Other);
        }
        let fill = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
        let mut word = [fill; 8];
        word[..len].copy_from_slice(bytes);
        Ok(Object::Int(i64::from_le_bytes(word)))
    }

    /// Puts keys and values by turns into the dictionary on top.
    fn set(&mut self, items: &[Id]) -> Result<()> {
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err(self.bad("a key has no value"));
        };
        let dict = self.top()?;
        if let Some(Object::Dict(entries)) = self.objects.get_mut(dict as usize) {
            entries.extend(pairs.iter().map(|[key, value]| (*key, *value)));
        }
        Ok(())
    }

    /// Puts members into the list on top.
    fn append(&mut self, items: Vec<Id>) -> Result<()> {
        let list = self.top()?;
        if let Some(Object::List(members)) = self.objects.get_mut(list as usize) {
            members.extend(items);
        }
        Ok(())
    }

    /// What stands outside the pickle: a storage; or a module's class with its source, as PyTorch before 1.6 saved whole models.
    fn persistent(&mut self, id: Id) -> Result<Object<'a>> {
        if let &[tag, class, ..] = self.tuple(id)
            && let (Object::Text("module"), global @ Object::Global(..)) = (self.object(tag), self.object(class))
        {
            return Ok(global.clone());
        }
        let storage = self.storage(id).ok_or_else(|| self.bad("this is no storage of PyTorch's"))?;
        self.storages.insert(storage.key, storage.clone());
        Ok(Object::Storage(Box::new(storage)))
    }

    /// What `callable` would make of `args`, where it is one of the few that a state dict is made with.
    fn call(&mut self, mut callable: Id, mut args: Id) -> Result<()> {
        loop {
            let made = match *self.object(callable) {
                Object::Global("collections", "OrderedDict") => Object::Dict(vec![]),
                Object::Global("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => {
                    let tensor = self.tensor(args).ok_or_else(|| self.bad("this makes no tensor"))?;
                    Object::Tensor(Box::new(tensor))
                }
                // A parameter is its tensor; a tensor of a class of its own is made like any other.
                Object::Global("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                    let tensor =
                        self.tuple(args).first().copied().ok_or_else(|| self.bad("a parameter has no tensor"))?;
                    self.stack.push(tensor);
                    return Ok(());
                }
                Object::Global("torch._tensor", "_rebuild_from_type_v2") => {
                    let &[make, _, of, ..] = self.tuple(args) else {
                        return Err(self.bad("this makes no tensor"));
                    };
                    // Tuples are made of what was there before, so that this ends.
                    (callable, args) = (make, of);
                    continue;
                }
                Object::Global(module, name) => Object::Made(module, name),
                _ => Object::Other,
            };
            return self.push(made);
        }
    }

    /// `("storage", class, key, device, how many numbers)`
    fn storage(&self, id: Id) -> Option<Storage<'a>> {
        let &[tag, class, key, _, numel, ..] = self.tuple(id) else { return None };
        match (self.object(tag), self.object(class), self.object(key), self.object(numel)) {
            (Object::Text("storage"), Object::Global(_, class), Object::Text(key), Object::Int(numel)) => {
                Some(Storage { class, key, numel: u64::try_from(*numel).ok()? })
            }
            _ => None,
        }
    }

    /// `(storage, offset, shape, strides, …)`
    fn tensor(&self, id: Id) -> Option<Tensor<'a>> {
        let &[storage, offset, shape, strides, ..] = self.tuple(id) else { return None };
        let count = |id: &Id| match self.object(*id) {
            Object::Int(n) => u64::try_from(*n).ok(),
            _ => None,
        };
        let counts = |id: Id| match self.object(id) {
            Object::Tuple(members) => members.iter().map(count).collect::<Option<Vec<u64>>>(),
            _ => None,
        };
        let Object::Storage(storage) = self.object(storage) else { return None };
        let (shape, strides) = (counts(shape)?, counts(strides)?);
        let tensor = Tensor { storage: (**storage).clone(), offset: count(&offset)?, shape, strides };
        (tensor.shape.len() == tensor.strides.len()).then_some(tensor)
    }

    /// Of a checkpoint's entries those of the model: what is called `state_dict`, the tensors that stand there, the only dictionary of tensors, or the one
    /// that is called like a generator or a model.
    fn inner<'s>(&'s self, entries: &'s [(Id, Id)], depth: usize) -> Result<&'s [(Id, Id)]> {
        let dicts: Vec<(&str, &[(Id, Id)])> = entries
            .iter()
            .filter_map(|(key, value)| match (self.object(*key), self.object(*value)) {
                (Object::Text(key), Object::Dict(entries)) => Some((*key, &entries[..])),
                _ => None,
            })
            .collect();
        if let Some((_, entries)) = dicts.iter().find(|(key, _)| *key == "state_dict") {
            return if depth > 0 { self.inner(entries, depth - 1) } else { Ok(entries) };
        }
        let has_tensors =
            |entries: &[(Id, Id)]| entries.iter().any(|(_, v)| matches!(self.object(*v), Object::Tensor(_)));
        let models: Vec<_> = dicts.into_iter().filter(|(_, entries)| has_tensors(entries)).collect();
        if has_tensors(entries) || models.is_empty() {
            return Ok(entries);
        }
        if let &[(_, entries)] = &models[..] {
            return Ok(entries);
        }
        let called = |is: &dyn Fn(&str) -> bool| models.iter().find(|(key, _)| is(&key.to_ascii_lowercase()));
        let generates = |key: &str| key == "g" || key.starts_with("g_") || key.contains("gen") || key.contains("netg");
        let found = called(&|key| generates(key) && key.contains("ema"))
            .or_else(|| called(&generates))
            .or_else(|| called(&|key| key == "model" || key == "params" || key == "model_state_dict" || key == "vae"));
        found.map(|(_, entries)| *entries).ok_or_else(|| {
            let keys: Vec<String> = models.iter().map(|(key, _)| shown(key)).collect();
            self.unsupported(&format!(
                "it holds several models ({}), so save the one that is meant alone",
                keys.join(", ")
            ))
        })
    }

    fn tensors(&self, root: Id) -> Result<Vec<(&'a str, Tensor<'a>)>> {
        let entries = match self.object(root) {
            Object::Dict(entries) => entries,
            Object::Made(module, name) | Object::Global(module, name) => {
                return Err(self.unsupported(&format!(
                    "it holds a whole {}.{}, not a state dict",
                    shown(module),
                    shown(name)
                )));
            }
            _ => return Err(self.unsupported("it holds no state dict")),
        };
        let entries = self.inner(entries, DEEPEST)?;
        if entries.len() > MOST_TENSORS {
            return Err(self.unsupported(&format!("it holds {} entries, more than {MOST_TENSORS}", entries.len())));
        }
        let (mut tensors, mut names): (Vec<(&str, Tensor)>, _) = (vec![], BTreeSet::new());
        for (key, value) in entries {
            let Object::Text(name) = self.object(*key) else { continue };
            match self.object(*value) {
                Object::Tensor(_) if !names.insert(*name) => {
                    return Err(self.bad(&format!("the tensor {} stands there twice", shown(name))));
                }
                Object::Tensor(tensor) => tensors.push((name, (**tensor).clone())),
                Object::Made(module, made) if made.starts_with("_rebuild") => {
                    let what = format!("tensor {} is made by {}.{}", shown(name), shown(module), shown(made));
                    return Err(self.unsupported(&what));
                }
                // A checkpoint has numbers, dates and settings beside its tensors.
                _ => {}
            }
        }
        if tensors.is_empty() {
            return Err(self.unsupported("its state dict holds no tensor"));
        }
        Ok(tensors)
    }
}
