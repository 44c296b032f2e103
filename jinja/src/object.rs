//! What a template calls, counts with or keeps state in.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use crate::{
    error::{Result, fail},
    scope::Scope,
    syntax::{self, For},
    value::Value,
};

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
