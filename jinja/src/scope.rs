//! Names and what they stand for: a chain of frames, the innermost first.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use crate::value::Value;

/// A frame. `if` opens none; loops, macros, `with`, `call`, `filter`, `set` blocks and `generation` do.
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
