//! Python's values, as far as a template meets them; what a template calls, counts with or keeps state in; and names, with what they stand for. Values hold objects, objects scopes,
//! and scopes values.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use crate::{
    budget::{Budget, NESTING},
    data::Json,
    error::{Error, ErrorKind, Result, fail},
    syntax::{self, For, Literal},
};

/// A value of a template. Clones share what they hold; nothing but a namespace ever changes.
#[derive(Clone)]
pub enum Value {
    /// Absent, with the sentence that using it raises.
    Undefined(Rc<str>),
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    /// A text, and whether it is `Markup`: safe to stand in HTML as it is.
    Str(Rc<str>, bool),
    Bytes(Rc<[u8]>),
    List(Rc<Items>),
    Tuple(Rc<Items>),
    Dict(Rc<Dict>),
    View(View, Rc<Dict>),
    Range(Range),
    Object(Rc<Object>),
}

/// What a list or a tuple holds.
#[derive(Default)]
pub struct Items {
    pub(crate) values: Vec<Value>,
    depth: u16,
    /// Whether it is what `groupby` makes, whose parts have names.
    pub(crate) grouped: bool,
}

/// A dictionary in the order in which it was written.
#[derive(Default)]
pub struct Dict {
    pub(crate) entries: Vec<(Value, Value)>,
    depth: u16,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum View {
    Keys,
    Values,
    Items,
}

#[derive(Clone, Copy)]
pub struct Range {
    pub(crate) start: i128,
    pub(crate) stop: i128,
    pub(crate) step: i128,
}

impl Range {
    pub(crate) fn len(&self) -> usize {
        let (start, stop, step) = if self.step > 0 {
            (self.start, self.stop, self.step)
        } else {
            (self.stop, self.start, self.step.saturating_neg())
        };
        let count = if start < stop { (stop.saturating_sub(start) - 1) / step + 1 } else { 0 };
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    pub(crate) fn get(&self, index: usize) -> Value {
        Value::Int(self.start.saturating_add(self.step.saturating_mul(index as i128)))
    }
}

impl View {
    pub(crate) fn of(self, (key, value): &(Value, Value)) -> Value {
        match self {
            Self::Keys => key.clone(),
            Self::Values => value.clone(),
            Self::Items => pair(key.clone(), value.clone()),
        }
    }
}

/// A tuple of two; never deeper than what bounds a dictionary's depth, plus one.
pub(crate) fn pair(first: Value, second: Value) -> Value {
    let values = vec![first, second];
    let depth = depth(&values).saturating_add(1);
    Value::Tuple(Rc::new(Items { values, depth, grouped: false }))
}

fn depth<'a>(values: impl IntoIterator<Item = &'a Value>) -> u16 {
    values.into_iter().map(Value::depth).max().unwrap_or(0)
}

/// Dropping and printing go down through what is nested, and the stack bears only so much.
fn checked(depth: u16) -> Result<u16> {
    if depth < NESTING {
        return Ok(depth + 1);
    }
    Err(Error::new(ErrorKind::Exhausted, "it nests lists more than a hundred deep"))
}

impl Items {
    pub(crate) fn new(values: Vec<Value>, budget: &Budget) -> Result<Rc<Self>> {
        budget.bytes(values.len() * size_of::<Value>() + 64)?;
        let depth = checked(depth(&values))?;
        Ok(Rc::new(Self { values, depth, grouped: false }))
    }

    /// What `groupby` makes of one group.
    pub(crate) fn group(key: Value, list: Value) -> Self {
        let values = vec![key, list];
        Self { depth: depth(&values).saturating_add(1), values, grouped: true }
    }
}

impl Dict {
    /// Of entries whose keys are known to differ.
    pub(crate) fn new(entries: Vec<(Value, Value)>, budget: &Budget) -> Result<Rc<Self>> {
        budget.bytes(entries.len() * 2 * size_of::<Value>() + 64)?;
        let depth = checked(depth(entries.iter().flat_map(|(key, value)| [key, value])))?;
        Ok(Rc::new(Self { entries, depth }))
    }

    pub(crate) fn get_str(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|(k, _)| matches!(k, Value::Str(k, _) if **k == *key)).map(|(_, value)| value)
    }
}

impl Value {
    pub(crate) fn of(literal: &Literal) -> Self {
        match literal {
            Literal::None => Self::None,
            Literal::Bool(b) => Self::Bool(*b),
            Literal::Int(n) => Self::Int(*n),
            Literal::Float(x) => Self::Float(*x),
            Literal::Str(text) => Self::Str(text.clone(), false),
        }
    }

    /// What is done with an undefined value fails with its own sentence.
    pub(crate) fn defined(&self) -> Result<()> {
        match self {
            Self::Undefined(message) => fail(&**message),
            _ => Ok(()),
        }
    }

    pub fn text(text: &str) -> Self {
        Self::Str(text.into(), false)
    }

    /// A value of JSON. Deeper than a hundred lists is an error.
    pub fn from_json(json: &Json, budget: &Budget) -> Result<Self> {
        Ok(match json {
            Json::Null => Self::None,
            Json::Bool(b) => Self::Bool(*b),
            Json::Int(n) => Self::Int(*n),
            Json::Float(x) => Self::Float(*x),
            Json::String(text) => Self::text(text),
            Json::Array(items) => {
                let values = items.iter().map(|item| Self::from_json(item, budget)).collect::<Result<_>>()?;
                Self::List(Items::new(values, budget)?)
            }
            Json::Object(entries) => {
                let entries = entries.iter().map(|(key, value)| Ok((Self::text(key), Self::from_json(value, budget)?)));
                Self::Dict(Dict::new(entries.collect::<Result<_>>()?, budget)?)
            }
        })
    }

    pub(crate) fn undefined(name: &str) -> Self {
        Self::Undefined(format!("'{name}' is undefined").into())
    }

    pub(crate) fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined(_))
    }

    pub(crate) fn list(values: Vec<Value>, budget: &Budget) -> Result<Self> {
        Ok(Self::List(Items::new(values, budget)?))
    }

    pub(crate) fn tuple(values: Vec<Value>, budget: &Budget) -> Result<Self> {
        Ok(Self::Tuple(Items::new(values, budget)?))
    }

    /// A text that a function made of others about as long.
    pub(crate) fn string(text: impl Into<Rc<str>>, budget: &Budget) -> Result<Self> {
        let text = text.into();
        budget.bytes(text.len())?;
        Ok(Self::Str(text, false))
    }

    pub(crate) fn depth(&self) -> u16 {
        match self {
            Self::List(items) | Self::Tuple(items) => items.depth,
            Self::Dict(dict) | Self::View(_, dict) => dict.depth,
            Self::Object(object) => object.depth(),
            _ => 0,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text, _) => Some(text),
            _ => None,
        }
    }

    /// Whole numbers, `True` and `False` among them.
    pub(crate) fn as_int(&self) -> Option<i128> {
        match self {
            Self::Int(n) => Some(*n),
            Self::Bool(b) => Some((*b).into()),
            _ => None,
        }
    }

    /// Python's name of its type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "Undefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_, false) => "str",
            Self::Str(_, true) => "Markup",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::View(View::Keys, _) => "dict_keys",
            Self::View(View::Values, _) => "dict_values",
            Self::View(View::Items, _) => "dict_items",
            Self::Range(_) => "range",
            Self::Object(object) => object.type_name(),
        }
    }

    /// Python's `bool(value)`.
    pub(crate) fn truth(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(b) => *b,
            Self::Int(n) => *n != 0,
            Self::Float(x) => *x != 0.0,
            Self::Str(text, _) => !text.is_empty(),
            Self::Bytes(bytes) => !bytes.is_empty(),
            Self::List(items) | Self::Tuple(items) => !items.values.is_empty(),
            Self::Dict(dict) | Self::View(_, dict) => !dict.entries.is_empty(),
            Self::Range(range) => range.len() > 0,
            Self::Object(_) => true,
        }
    }

    /// Python's `len(value)`; nothing where it has none.
    pub(crate) fn len(&self) -> Option<usize> {
        Some(match self {
            Self::Undefined(_) => 0,
            Self::Str(text, _) if text.is_ascii() => text.len(),
            Self::Str(text, _) => text.chars().count(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(items) | Self::Tuple(items) => items.values.len(),
            Self::Dict(dict) | Self::View(_, dict) => dict.entries.len(),
            Self::Range(range) => range.len(),
            Self::Object(object) => return object.len(),
            _ => return None,
        })
    }

    /// What `for` goes through. An iterator is used up by it.
    pub(crate) fn iterate(&self, budget: &Budget) -> Result<Vec<Value>> {
        budget.step(self.len().unwrap_or(0))?;
        Ok(match self {
            Self::Undefined(_) => vec![],
            Self::Str(text, safe) => {
                budget.bytes(text.len().saturating_mul(size_of::<Value>()))?;
                let mut buffer = [0; 4];
                text.chars().map(|c| Self::Str((&*c.encode_utf8(&mut buffer)).into(), *safe)).collect()
            }
            Self::Bytes(bytes) => bytes.iter().map(|byte| Self::Int((*byte).into())).collect(),
            Self::List(items) | Self::Tuple(items) => items.values.clone(),
            Self::Dict(dict) => dict.entries.iter().map(|(key, _)| key.clone()).collect(),
            Self::View(view, dict) => dict.entries.iter().map(|entry| view.of(entry)).collect(),
            Self::Range(range) => (0..range.len()).map(|index| range.get(index)).collect(),
            Self::Object(object) => return object.iterate(self.type_name()),
            _ => return fail(format!("'{}' object is not iterable", self.type_name())),
        })
    }
}

/// What a template calls, counts with or keeps state in.
pub enum Object {
    /// The one thing that a template changes. The run holds all of them and empties them at its end, for they may hold themselves.
    Namespace(RefCell<Vec<(Rc<str>, Value)>>),
    Loop(LoopState),
    Cycler {
        items: Vec<Value>,
        at: Cell<usize>,
    },
    Joiner {
        separator: Value,
        used: Cell<bool>,
    },
    /// What a filter like `map` gives: gone through once.
    Iterator {
        name: &'static str,
        items: RefCell<Vec<Value>>,
        depth: u16,
    },
    Macro(BoundMacro),
    /// A method with the value that it belongs to.
    Method(Value, Rc<str>),
    /// A global, by its name.
    Function(&'static str),
}

/// The `loop` of a `for`.
pub struct LoopState {
    pub items: Vec<Value>,
    pub index0: Cell<usize>,
    pub depth0: usize,
    /// What `loop(…)` runs again, and where.
    pub recurse: Option<(Rc<For>, Rc<Scope>)>,
    /// The latest arguments of `loop.changed`; emptied when the loop ends.
    pub changed: RefCell<Option<Vec<Value>>>,
}

/// A macro and what it sees.
pub struct BoundMacro {
    pub definition: Rc<syntax::Macro>,
    pub scope: Rc<Scope>,
}

impl Object {
    /// An iterator over what was made beforehand.
    pub fn iterator(name: &'static str, items: Vec<Value>) -> Value {
        let depth = items.iter().map(Value::depth).max().unwrap_or(0).saturating_add(1);
        Value::Object(Rc::new(Self::Iterator { name, items: RefCell::new(items), depth }))
    }

    pub fn function(name: &'static str) -> Value {
        Value::Object(Rc::new(Self::Function(name)))
    }

    pub fn depth(&self) -> u16 {
        match self {
            Self::Loop(state) => state.items.iter().map(Value::depth).max().unwrap_or(0).saturating_add(1),
            Self::Cycler { items, .. } => items.iter().map(Value::depth).max().unwrap_or(0).saturating_add(1),
            Self::Joiner { separator: value, .. } | Self::Method(value, _) => value.depth().saturating_add(1),
            Self::Iterator { depth, .. } => *depth,
            // Macros hold scopes, which the run empties at its end.
            Self::Namespace(_) | Self::Macro(_) | Self::Function(_) => 0,
        }
    }

    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Namespace(_) => "Namespace",
            Self::Loop(_) => "LoopContext",
            Self::Cycler { .. } => "Cycler",
            Self::Joiner { .. } => "Joiner",
            Self::Iterator { name, .. } => name,
            Self::Macro(_) => "Macro",
            Self::Method(..) => "builtin_function_or_method",
            Self::Function(_) => "function",
        }
    }

    pub fn len(&self) -> Option<usize> {
        match self {
            Self::Loop(state) => Some(state.items.len()),
            _ => None,
        }
    }

    pub fn iterate(&self, type_name: &str) -> Result<Vec<Value>> {
        match self {
            Self::Iterator { items, .. } => Ok(items.take()),
            _ => fail(format!("'{type_name}' object is not iterable")),
        }
    }

    pub fn is_callable(&self) -> bool {
        !matches!(self, Self::Namespace(_) | Self::Cycler { .. } | Self::Iterator { .. })
    }
}

/// Names and what they stand for: a frame in a chain, the innermost first. `if` opens none; loops, macros, `with`, `call`, `filter`, `set` blocks and `generation` do.
#[derive(Default)]
pub struct Scope {
    names: RefCell<Vec<(Rc<str>, Value)>>,
    parent: Option<Rc<Scope>>,
    /// Whether a macro holds this frame, and the run therefore too.
    pub held: Cell<bool>,
}

impl Scope {
    pub fn within(parent: &Rc<Scope>) -> Rc<Self> {
        Rc::new(Self { parent: Some(parent.clone()), ..Self::default() })
    }

    pub fn set(&self, name: &Rc<str>, value: Value) {
        let mut names = self.names.borrow_mut();
        match names.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => names.push((name.clone(), value)),
        }
    }

    pub fn get(&self, name: &str) -> Option<Value> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some((_, value)) = here.names.borrow().iter().find(|(known, _)| **known == *name) {
                return Some(value.clone());
            }
            scope = here.parent.as_deref();
        }
        None
    }

    /// Forgets everything, so that frames and what they hold do not keep each other.
    pub fn clear(&self) {
        drop(self.names.take());
    }
}
