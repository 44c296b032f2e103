//! The pickle of a state dict (protocol 2, as `torch.save` writes it), read as data: nothing is imported and nothing is called.
//!
//! The machine knows the opcodes of PyTorch's own `weights_only` reader. It makes what a state dict is made of (numbers, words, tuples,
//! dictionaries, storages, tensors); everything else stays a name without a meaning, so that what a training left beside the
//! weights does no harm. Objects are numbers of places in one list: a memo costs nothing, and a cycle is never walked.

use std::collections::BTreeSet;

use crate::{Error, Result, weights::contents::shown};

/// What the largest pickle of weights seen holds, thirty times over.
const MOST_OBJECTS: usize = 1 << 20;
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
    /// Of no use here: `None`, a truth value, a fraction, a list.
    Other,
    Int(i64),
    Text(&'a str),
    /// A class or a function by its module and name.
    Global(&'a str, &'a str),
    /// What a class or a function that is unknown here would have made.
    Made(&'a str, &'a str),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Storage(Box<Storage<'a>>),
    Tensor(Box<Tensor<'a>>),
}

/// The tensors of the state dict that `pickle` is, or that it holds under the name `state_dict`. `file` is for messages.
///
/// Errors: `corrupt-file` with the byte at which the pickle stops making sense, `unsupported-model` for pickles of anything else.
pub fn state_dict<'a>(file: &str, pickle: &'a [u8]) -> Result<Vec<(&'a str, Tensor<'a>)>> {
    let mut machine =
        Machine { file, pickle, at: 0, objects: vec![Object::Other], stack: vec![], marks: vec![], memo: vec![] };
    let root = machine.run()?;
    machine.tensors(root)
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
}

const OTHER: Id = 0;

impl<'a> Machine<'a, '_> {
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
                // EMPTY_DICT
                b'}' => Object::Dict(vec![]),
                // BINPERSID
                b'Q' => {
                    let id = self.pop()?;
                    let storage = self.storage(id).ok_or_else(|| self.bad("this is no storage of PyTorch's"))?;
                    Object::Storage(Box::new(storage))
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
            // NONE, NEWTRUE, NEWFALSE, EMPTY_LIST, EMPTY_SET; BINFLOAT, SHORT_BINSTRING
            b'N' | 0x88 | 0x89 | b']' | 0x8f | b'G' | b'U' => {
                let len = match opcode {
                    b'G' => 8,
                    b'U' => self.number(1)?,
                    _ => 0,
                };
                self.take(len as usize)?;
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
            // APPEND, APPENDS, and BUILD, which gives an object its attributes: nothing here has any
            b'a' | b'b' => {
                self.pop()?;
                self.top()?;
            }
            b'e' => {
                self.pop_marked()?;
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

    /// What `callable` would make of `args`, where it is one of the few that a state dict is made with.
    fn call(&mut self, mut callable: Id, mut args: Id) -> Result<()> {
        loop {
            let made = match *self.object(callable) {
                Object::Global("collections", "OrderedDict") => Object::Dict(vec![]),
                Object::Global("torch._utils", "_rebuild_tensor_v2") => {
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
        let inner = entries.iter().find_map(|(key, value)| match (self.object(*key), self.object(*value)) {
            (Object::Text("state_dict"), Object::Dict(entries)) => Some(entries),
            _ => None,
        });
        let entries = inner.unwrap_or(entries);
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
