//! Runs a template: statements write text, expressions give values.

mod calls;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use crate::{
    budget::Budget,
    error::{Result, fail},
    escape, filters, globals, numbers, operators, parser,
    run::{Args, Run},
    strftime::LocalTime,
    syntax::{Expr, ExprKind, FilterCall, For, Macro, Source, Statement, StatementKind, Target},
    tests,
    value::{BoundMacro, Dict, LoopState, Object, Scope, Value},
};

/// A template, read.
pub struct Template {
    source: Source,
}

impl Template {
    /// Errors: [`ErrorKind::Syntax`] with the line where it stops to be Jinja.
    pub fn new(source: &str) -> Result<Self> {
        Ok(Self { source: parser::parse(source)? })
    }

    /// The text for these variables; `now` is what `strftime_now` tells.
    ///
    /// Errors: what Python would raise, [`ErrorKind::Raised`] with the template's own words, and [`ErrorKind::Exhausted`] where the
    /// budget ends.
    pub fn render(&self, variables: Vec<(String, Value)>, budget: Budget, now: LocalTime) -> Result<String> {
        let context = Rc::new(Scope::default());
        for (name, value) in variables {
            context.set(&name.into(), value);
        }
        let top = Scope::within(&context);
        let run = Run::new(budget, now, top.clone());
        let blocks = self.source.blocks.iter().filter_map(|block| Some((block.name.clone()?, block)));
        let blocks = blocks.map(|(name, block)| Ok((name, run.bind(block, &top)?))).collect::<Result<_>>()?;
        top.set(&"self".into(), run.namespace(blocks)?);
        let mut out = String::new();
        run.block(&self.source.body, &top, &mut out)?;
        Ok(out)
    }
}

/// How a block ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

impl Run {
    fn block(&self, block: &[Statement], scope: &Rc<Scope>, out: &mut String) -> Result<Flow> {
        self.budget.enter()?;
        for statement in block {
            self.budget.step(1)?;
            let flow = self.statement(&statement.kind, scope, out).map_err(|error| error.at(statement.line))?;
            if flow != Flow::Next {
                self.budget.leave();
                return Ok(flow);
            }
        }
        self.budget.leave();
        Ok(Flow::Next)
    }

    fn statement(&self, statement: &StatementKind, scope: &Rc<Scope>, out: &mut String) -> Result<Flow> {
        match statement {
            StatementKind::Data(text) => {
                self.budget.bytes(text.len())?;
                out.push_str(text);
            }
            StatementKind::Print(value) => self.print(&self.eval(value, scope)?, out)?,
            StatementKind::For(definition) => {
                let items = self.eval(&definition.items, scope)?;
                self.run_loop(definition, &items, scope, 0, out)?;
            }
            StatementKind::If { branches, otherwise } => {
                for (test, body) in branches {
                    if self.eval(test, scope)?.truth() {
                        return self.block(body, scope, out);
                    }
                }
                return self.block(otherwise, scope, out);
            }
            StatementKind::Set { target, value } => self.assign(target, self.eval(value, scope)?, scope)?,
            StatementKind::SetBlock { target, filters, body } => {
                let (text, flow) = self.captured(filters, body, scope)?;
                if flow != Flow::Next {
                    return Ok(flow);
                }
                let text = match text {
                    Value::Str(text, safe) => Value::Str(text, safe || self.autoescape.get()),
                    other => other,
                };
                self.assign(target, text, scope)?;
            }
            StatementKind::Macro(definition) => {
                let bound = self.bind(definition, scope)?;
                definition.name.iter().for_each(|name| scope.set(name, bound.clone()));
            }
            StatementKind::Call { call, caller } => self.call_block(call, caller, scope, out)?,
            StatementKind::Filter { filters, body } => {
                let (text, flow) = self.captured(filters, body, scope)?;
                if flow != Flow::Next {
                    return Ok(flow);
                }
                self.print(&text, out)?;
            }
            StatementKind::With { targets, body } => {
                let inner = Scope::within(scope);
                for (target, value) in targets {
                    self.assign(target, self.eval(value, scope)?, &inner)?;
                }
                return self.block(body, &inner, out);
            }
            StatementKind::Autoescape { on, body } => {
                let before = self.autoescape.replace(self.eval(on, scope)?.truth());
                let flow = self.block(body, &Scope::within(scope), out);
                self.autoescape.set(before);
                return flow;
            }
            StatementKind::Generation(body) => {
                self.block(body, &Scope::within(scope), out)?;
            }
            StatementKind::Block { required: true, definition, .. } => {
                return fail(format!("Required block '{}' not found", definition.name.as_deref().unwrap_or_default()));
            }
            StatementKind::Block { definition, scoped, .. } => {
                let inner = Scope::within(if *scoped { scope } else { &self.top });
                self.block(&definition.body, &inner, out)?;
            }
            StatementKind::Break => return Ok(Flow::Break),
            StatementKind::Continue => return Ok(Flow::Continue),
            StatementKind::Load => return fail("no loader for this environment specified"),
        }
        Ok(Flow::Next)
    }

    fn print(&self, value: &Value, out: &mut String) -> Result<()> {
        if !self.autoescape.get() || matches!(value, Value::Str(_, true)) {
            return value.print_into(out, &self.budget);
        }
        out.push_str(&escape::html(&value.print(&self.budget)?));
        Ok(())
    }

    /// What a block writes, through its filters. One that a loop's end or next round is called from writes nothing.
    fn captured(&self, filters: &[FilterCall], body: &[Statement], scope: &Rc<Scope>) -> Result<(Value, Flow)> {
        let mut text = String::new();
        let flow = self.block(body, &Scope::within(scope), &mut text)?;
        if flow != Flow::Next {
            return Ok((Value::None, flow));
        }
        let mut value = Value::Str(text.into(), self.autoescape.get());
        for filter in filters {
            let args = self.arguments(&filter.args, scope)?;
            value = filters::apply(self, &filter.name, value, args)?;
        }
        Ok((value, flow))
    }

    fn run_loop(
        &self,
        definition: &Rc<For>,
        items: &Value,
        scope: &Rc<Scope>,
        depth0: usize,
        out: &mut String,
    ) -> Result<()> {
        let mut items = items.iterate(&self.budget)?;
        if let Some(test) = &definition.test {
            let mut kept = vec![];
            for item in items {
                let inner = Scope::within(scope);
                self.assign(&definition.target, item.clone(), &inner)?;
                if self.eval(test, &inner)?.truth() {
                    kept.push(item);
                }
            }
            items = kept;
        }
        if items.is_empty() {
            self.block(&definition.otherwise, &Scope::within(scope), out)?;
            return Ok(());
        }
        let object = Rc::new(Object::Loop(LoopState {
            items,
            index0: Cell::new(0),
            depth0,
            recurse: definition.recursive.then(|| (definition.clone(), scope.clone())),
            changed: RefCell::new(None),
        }));
        let Object::Loop(state) = &*object else { return Ok(()) };
        let name: Rc<str> = "loop".into();
        for (index, item) in state.items.iter().enumerate() {
            self.budget.step(1)?;
            state.index0.set(index);
            let inner = Scope::within(scope);
            inner.set(&name, Value::Object(object.clone()));
            self.assign(&definition.target, item.clone(), &inner)?;
            if self.block(&definition.body, &inner, out)? == Flow::Break {
                break;
            }
        }
        drop(state.changed.take());
        Ok(())
    }

    fn assign(&self, target: &Target, value: Value, scope: &Scope) -> Result<()> {
        match target {
            Target::Name(name) => scope.set(name, value),
            Target::Attribute(namespace, name) => match scope.get(namespace) {
                Some(Value::Object(object)) => match &*object {
                    Object::Namespace(entries) => {
                        globals::check_attribute(name)?;
                        let mut entries = entries.borrow_mut();
                        match entries.iter_mut().find(|(known, _)| known == name) {
                            Some((_, old)) => *old = value,
                            None => entries.push((name.clone(), value)),
                        }
                    }
                    _ => return fail("cannot assign attribute on non-namespace object"),
                },
                Some(_) => return fail("cannot assign attribute on non-namespace object"),
                None => return fail(format!("'{namespace}' is undefined")),
            },
            Target::Tuple(targets) => {
                let values = value.iterate(&self.budget)?;
                if values.len() > targets.len() {
                    return fail(format!("too many values to unpack (expected {})", targets.len()));
                }
                if values.len() < targets.len() {
                    return fail(format!(
                        "not enough values to unpack (expected {}, got {})",
                        targets.len(),
                        values.len()
                    ));
                }
                for (target, value) in targets.iter().zip(values) {
                    self.assign(target, value, scope)?;
                }
            }
        }
        Ok(())
    }

    fn name(&self, name: &str, scope: &Scope) -> Value {
        let known = scope.get(name).or_else(|| globals::lookup(name));
        known.unwrap_or_else(|| Value::undefined(name))
    }

    fn eval(&self, expr: &Expr, scope: &Rc<Scope>) -> Result<Value> {
        self.budget.enter()?;
        self.budget.step(1)?;
        let value = match &*expr.kind {
            ExprKind::Const(literal) => Value::of(literal),
            ExprKind::Name(name) => self.name(name, scope),
            ExprKind::List(items) => Value::list(self.all(items, scope)?, &self.budget)?,
            ExprKind::Tuple(items) => Value::tuple(self.all(items, scope)?, &self.budget)?,
            ExprKind::Dict(entries) => self.dict(entries, scope)?,
            ExprKind::Conditional { test, then, otherwise } => {
                if self.eval(test, scope)?.truth() {
                    self.eval(then, scope)?
                } else if let Some(otherwise) = otherwise {
                    self.eval(otherwise, scope)?
                } else {
                    Value::Undefined(
                        "the inline if-expression evaluated to false and no else section was defined.".into(),
                    )
                }
            }
            ExprKind::And(left, right) => {
                let left = self.eval(left, scope)?;
                if left.truth() { self.eval(right, scope)? } else { left }
            }
            ExprKind::Or(left, right) => {
                let left = self.eval(left, scope)?;
                if left.truth() { left } else { self.eval(right, scope)? }
            }
            ExprKind::Not(value) => Value::Bool(!self.eval(value, scope)?.truth()),
            ExprKind::Negative(value) => numbers::negative(&self.eval(value, scope)?)?,
            ExprKind::Positive(value) => numbers::positive(&self.eval(value, scope)?)?,
            ExprKind::Binary(operator, left, right) => {
                let left = self.eval(left, scope)?;
                operators::binary(*operator, &left, &self.eval(right, scope)?, &self.budget)?
            }
            ExprKind::Concat(parts) => self.concat(parts, scope)?,
            ExprKind::Compare(first, others) => self.compare(first, others, scope)?,
            ExprKind::Attribute(value, name) => {
                let value = self.eval(value, scope)?;
                self.attribute(&value, name)?
            }
            ExprKind::Item(value, index) => {
                let value = self.eval(value, scope)?;
                self.item(&value, &self.eval(index, scope)?)?
            }
            ExprKind::Slice(value, bounds) => self.slice(value, bounds, scope)?,
            ExprKind::Call(callee, args) => {
                let callee = self.eval(callee, scope)?;
                let args = self.arguments(args, scope)?;
                self.call(&callee, args)?
            }
            ExprKind::Filter(value, filter) => {
                let value = self.eval(value, scope)?;
                filters::apply(self, &filter.name, value, self.arguments(&filter.args, scope)?)?
            }
            ExprKind::Test(value, test) => {
                let value = self.eval(value, scope)?;
                let args = self.arguments(&test.args, scope)?;
                Value::Bool(tests::apply(self, &test.name, &value, args)?)
            }
        };
        self.budget.leave();
        Ok(value)
    }

    fn all(&self, exprs: &[Expr], scope: &Rc<Scope>) -> Result<Vec<Value>> {
        exprs.iter().map(|expr| self.eval(expr, scope)).collect()
    }

    #[inline(never)]
    fn dict(&self, entries: &[(Expr, Expr)], scope: &Rc<Scope>) -> Result<Value> {
        let entries = entries.iter().map(|(key, value)| Ok((self.eval(key, scope)?, self.eval(value, scope)?)));
        Dict::of(entries.collect::<Result<_>>()?, &self.budget)
    }

    #[inline(never)]
    fn concat(&self, parts: &[Expr], scope: &Rc<Scope>) -> Result<Value> {
        let parts = self.all(parts, scope)?;
        let safe = self.autoescape.get() && parts.iter().any(|part| matches!(part, Value::Str(_, true)));
        let mut text = String::new();
        for part in &parts {
            match part {
                Value::Str(_, true) => part.print_into(&mut text, &self.budget)?,
                _ if safe => text.push_str(&escape::html(&part.print(&self.budget)?)),
                _ => part.print_into(&mut text, &self.budget)?,
            }
        }
        Ok(Value::Str(text.into(), safe))
    }

    #[inline(never)]
    fn compare(&self, first: &Expr, others: &[(crate::syntax::Comparison, Expr)], scope: &Rc<Scope>) -> Result<Value> {
        let mut left = self.eval(first, scope)?;
        for (comparison, right) in others {
            let right = self.eval(right, scope)?;
            if !operators::compare(*comparison, &left, &right, &self.budget)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    #[inline(never)]
    fn slice(&self, value: &Expr, bounds: &[Option<Expr>; 3], scope: &Rc<Scope>) -> Result<Value> {
        let value = self.eval(value, scope)?;
        let mut ends = [Value::None, Value::None, Value::None];
        for (end, bound) in ends.iter_mut().zip(bounds) {
            if let Some(bound) = bound {
                *end = self.eval(bound, scope)?;
            }
        }
        operators::slice(&value, [&ends[0], &ends[1], &ends[2]], &self.budget)
    }

    fn arguments(&self, args: &crate::syntax::Arguments, scope: &Rc<Scope>) -> Result<Args> {
        let mut positional = self.all(&args.positional, scope)?;
        if let Some(starred) = &args.starred {
            positional.extend(self.eval(starred, scope)?.iterate(&self.budget)?);
        }
        let mut keyword = vec![];
        for (name, value) in &args.keyword {
            keyword.push((name.clone(), self.eval(value, scope)?));
        }
        if let Some(starred) = &args.double_starred {
            let Value::Dict(dict) = self.eval(starred, scope)? else {
                return fail("the argument after ** must be a mapping");
            };
            for (key, value) in &dict.entries {
                let Value::Str(key, _) = key else { return fail("keywords must be strings") };
                keyword.push((key.clone(), value.clone()));
            }
        }
        for (index, (name, _)) in keyword.iter().enumerate() {
            self.budget.step(index / 16)?;
            if keyword[..index].iter().any(|(earlier, _)| earlier == name) {
                return fail(format!("got multiple values for keyword argument '{name}'"));
            }
        }
        Ok(Args { positional, keyword })
    }

    fn bind(&self, definition: &Rc<Macro>, scope: &Rc<Scope>) -> Result<Value> {
        self.budget.bytes(64)?;
        self.hold(scope);
        Ok(Value::Object(Rc::new(Object::Macro(BoundMacro { definition: definition.clone(), scope: scope.clone() }))))
    }
}
