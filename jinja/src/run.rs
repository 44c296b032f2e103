//! One run of a template: what it may take, what it holds, and how arguments meet parameters.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use crate::{
    budget::Budget,
    error::{Error, ErrorKind, Result, fail},
    strftime::LocalTime,
    value::{Object, Scope, Value},
};

/// One run of a template.
pub struct Run {
    pub budget: Budget,
    pub now: LocalTime,
    /// Of what the template draws: `random`, `lipsum`.
    pub seed: Cell<u64>,
    pub autoescape: Cell<bool>,
    /// Where blocks that are not scoped begin.
    pub top: Rc<Scope>,
    held: RefCell<Vec<Rc<Scope>>>,
    namespaces: RefCell<Vec<Rc<Object>>>,
}

impl Drop for Run {
    fn drop(&mut self) {
        // All are held here, so that no chain of them is dropped link by link, deeper than the stack.
        self.held.borrow().iter().for_each(|scope| scope.clear());
        for namespace in self.namespaces.borrow().iter() {
            if let Object::Namespace(entries) = &**namespace {
                drop(entries.take());
            }
        }
    }
}

/// Arguments of a call.
#[derive(Default)]
pub struct Args {
    pub positional: Vec<Value>,
    pub keyword: Vec<(Rc<str>, Value)>,
}

impl Run {
    /// Over the names of `top`.
    pub fn new(budget: Budget, now: LocalTime, top: Rc<Scope>) -> Self {
        Self {
            budget,
            now,
            seed: Cell::new(now.seed()),
            autoescape: Cell::new(false),
            top,
            held: RefCell::default(),
            namespaces: RefCell::default(),
        }
    }

    /// Keeps a frame that a macro sees until the run ends.
    pub fn hold(&self, scope: &Rc<Scope>) {
        if !scope.held.replace(true) {
            self.held.borrow_mut().push(scope.clone());
        }
    }

    /// A new namespace, which the run holds.
    pub fn namespace(&self, entries: Vec<(Rc<str>, Value)>) -> Result<Value> {
        self.budget.bytes(64 + entries.len() * 64)?;
        let object = Rc::new(Object::Namespace(RefCell::new(entries)));
        self.namespaces.borrow_mut().push(object.clone());
        Ok(Value::Object(object))
    }

    /// A number below `below` of the template's own luck.
    pub fn draw(&self, below: usize) -> usize {
        let mut seed = self.seed.get() | 1;
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        self.seed.set(seed);
        if below == 0 { 0 } else { (seed >> 11) as usize % below }
    }

    /// The template's own words.
    pub fn raise(&self, message: String) -> Error {
        Error::new(ErrorKind::Raised, message)
    }
}

impl Args {
    /// The same once more, for a call an item.
    pub fn copy(&self) -> Self {
        Self { positional: self.positional.clone(), keyword: self.keyword.clone() }
    }

    /// The arguments in the order of their parameters, of which the first `required` must be there. A parameter whose name begins
    /// with `_` takes no keyword.
    pub fn bind(self, function: &str, parameters: &[&str], required: usize) -> Result<Bound> {
        if self.positional.len() > parameters.len() {
            return fail(format!(
                "{function} takes at most {} arguments ({} given)",
                parameters.len(),
                self.positional.len()
            ));
        }
        let mut values: Vec<Option<Value>> = self.positional.into_iter().map(Some).collect();
        values.resize(parameters.len(), None);
        for (name, value) in self.keyword {
            let place = parameters.iter().position(|parameter| **parameter == *name && !parameter.starts_with('_'));
            match place.and_then(|place| values.get_mut(place)) {
                Some(Some(_)) => return fail(format!("{function} got multiple values for argument '{name}'")),
                Some(empty) => *empty = Some(value),
                None => return fail(format!("{function} got an unexpected keyword argument '{name}'")),
            }
        }
        if let Some(missing) = values.iter().take(required).position(Option::is_none) {
            return fail(format!(
                "{function} missing required argument '{}'",
                parameters[missing].trim_start_matches('_')
            ));
        }
        Ok(Bound(values))
    }

    pub fn none(self, function: &str) -> Result<()> {
        self.bind(function, &[], 0).map(drop)
    }
}

/// Arguments by the places of their parameters.
pub struct Bound(Vec<Option<Value>>);

impl Bound {
    pub fn get(&self, place: usize) -> Option<&Value> {
        self.0.get(place).and_then(Option::as_ref)
    }

    /// What was given, or `None`.
    pub fn value(&self, place: usize) -> Value {
        self.get(place).cloned().unwrap_or(Value::None)
    }

    /// Whether something other than `None` was given.
    pub fn given(&self, place: usize) -> Option<&Value> {
        self.get(place).filter(|value| !matches!(value, Value::None))
    }

    pub fn truth(&self, place: usize) -> bool {
        self.get(place).is_some_and(Value::truth)
    }

    pub fn int(&self, place: usize, default: i128) -> Result<i128> {
        match self.get(place) {
            None => Ok(default),
            Some(Value::Undefined(message)) => fail(&**message),
            Some(value) => match value.as_int() {
                Some(n) => Ok(n),
                None => fail(format!("'{}' object cannot be interpreted as an integer", value.type_name())),
            },
        }
    }

    pub fn text(&self, place: usize) -> Result<Rc<str>> {
        match self.get(place) {
            Some(Value::Str(text, _)) => Ok(text.clone()),
            Some(Value::Undefined(message)) => fail(&**message),
            other => {
                let kind = other.map_or("NoneType", Value::type_name);
                fail(format!("argument {} must be str, not {kind}", place + 1))
            }
        }
    }

    /// What was given as it prints, or `default`.
    pub fn printed(&self, place: usize, default: &str, budget: &Budget) -> Result<String> {
        self.get(place).map_or_else(|| Ok(default.into()), |value| value.print(budget))
    }
}
