//! Calls: macros, loops, methods and globals, and how arguments meet parameters.

use std::rc::Rc;

use crate::{
    collections,
    error::{Result, fail},
    globals,
    run::{Args, Run},
    strings,
    syntax::{Expr, ExprKind, Macro},
    value::{BoundMacro, Dict, Object, Scope, Value},
};

impl Run {
    pub fn call(&self, callee: &Value, args: Args) -> Result<Value> {
        let object = match callee {
            Value::Undefined(message) => return fail(&**message),
            Value::Object(object) => object,
            _ => return fail(format!("'{}' object is not callable", callee.type_name())),
        };
        match &**object {
            Object::Macro(bound) => self.call_macro(bound, args),
            Object::Method(receiver, name) => self.method(receiver, name, args),
            Object::Function(name) => globals::call(self, name, args),
            Object::Loop(state) => {
                let items = args.bind("loop", &["iterable"], 1)?.value(0);
                let Some((definition, scope)) = &state.recurse else {
                    return fail("The loop must have the 'recursive' marker to be called recursively.");
                };
                let mut text = String::new();
                self.run_loop(definition, &items, scope, state.depth0 + 1, &mut text)?;
                Ok(Value::Str(text.into(), self.autoescape.get()))
            }
            Object::Joiner { separator, used } => {
                Ok(if used.replace(true) { separator.clone() } else { Value::text("") })
            }
            Object::Namespace(_) | Object::Cycler { .. } | Object::Iterator { .. } => {
                fail(format!("'{}' object is not callable", callee.type_name()))
            }
        }
    }

    fn method(&self, receiver: &Value, name: &str, args: Args) -> Result<Value> {
        match receiver {
            Value::Str(text, safe) => strings::call(self, text, *safe, name, args),
            _ => collections::call(self, receiver, name, args),
        }
    }

    #[inline(never)]
    pub(super) fn call_block(
        &self,
        call: &Expr,
        caller: &Rc<Macro>,
        scope: &Rc<Scope>,
        out: &mut String,
    ) -> Result<()> {
        let ExprKind::Call(callee, args) = &*call.kind else { return fail("{% call %} wants a call of a macro") };
        let callee = self.eval(callee, scope)?;
        let mut args = self.arguments(args, scope)?;
        args.keyword.push(("caller".into(), self.bind(caller, scope)?));
        let text = self.call(&callee, args)?;
        self.print(&text, out)
    }

    #[inline(never)]
    fn call_macro(&self, bound: &BoundMacro, args: Args) -> Result<Value> {
        let definition = &bound.definition;
        let shown = definition.name.as_deref().map_or_else(|| "None".into(), |name| format!("'{name}'"));
        let Args { mut positional, mut keyword } = args;
        let scope = Scope::within(&bound.scope);
        let extra = positional.split_off(positional.len().min(definition.parameters.len()));
        let mut take = |name: &str| {
            let at = keyword.iter().position(|(given, _)| **given == *name)?;
            Some(keyword.remove(at).1)
        };
        let given = positional.len();
        let mut values = positional.into_iter();
        let mut missing = vec![];
        let mut found_caller = false;
        for (index, (name, default)) in definition.parameters.iter().enumerate() {
            let value = values.next().or_else(|| take(name));
            found_caller |= &**name == "caller" && (index >= given || given == definition.parameters.len());
            match value {
                Some(value) => scope.set(name, value),
                None => {
                    scope.set(name, Value::Undefined(format!("parameter '{name}' was not provided").into()));
                    missing.push((name, default));
                }
            }
        }
        if definition.takes_caller && !found_caller {
            let caller = take("caller").unwrap_or_else(|| Value::Undefined("No caller defined".into()));
            scope.set(&"caller".into(), caller);
        }
        if definition.takes_kwargs {
            let entries = keyword.into_iter().map(|(name, value)| (Value::Str(name, false), value)).collect();
            scope.set(&"kwargs".into(), Value::Dict(Dict::new(entries, &self.budget)?));
        } else if let Some((name, _)) = keyword.first() {
            return fail(format!("macro {shown} takes no keyword argument '{name}'"));
        }
        if definition.takes_varargs {
            scope.set(&"varargs".into(), Value::tuple(extra, &self.budget)?);
        } else if !extra.is_empty() {
            return fail(format!("macro {shown} takes not more than {} argument(s)", definition.parameters.len()));
        }
        for (name, default) in missing {
            if let Some(default) = default {
                scope.set(name, self.eval(default, &scope)?);
            }
        }
        let mut text = String::new();
        self.block(&definition.body, &scope, &mut text)?;
        Ok(Value::Str(text.into(), self.autoescape.get()))
    }
}
