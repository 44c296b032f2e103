//! Expressions, from `a if b else c` down to names and numbers.

use std::rc::Rc;

use super::{DEPTH, Parser};
use crate::{
    error::Result,
    lexer::Token,
    names,
    syntax::{Arguments, Comparison, Expr, ExprKind, FilterCall, Literal, Operator},
    tests,
};

impl FilterCall {
    fn depth(&self) -> u16 {
        self.args.depth()
    }
}

impl Arguments {
    fn depth(&self) -> u16 {
        let keyword = self.keyword.iter().map(|(_, value)| value);
        let all = self.positional.iter().chain(keyword).chain(&self.starred).chain(&self.double_starred);
        all.map(|expr| expr.depth).max().unwrap_or(0)
    }
}

impl Parser {
    /// An expression over parts that are `depth` deep.
    fn node(&self, depth: u16, kind: ExprKind) -> Result<Expr> {
        if depth >= DEPTH {
            return self.fail(format!("an expression is more than {DEPTH} deep"));
        }
        Ok(Expr { depth: depth + 1, kind: Box::new(kind) })
    }

    fn list_node(&self, parts: Vec<Expr>, kind: fn(Vec<Expr>) -> ExprKind) -> Result<Expr> {
        let depth = parts.iter().map(|part| part.depth).max().unwrap_or(0);
        self.node(depth, kind(parts))
    }

    pub(super) fn expression(&mut self) -> Result<Expr> {
        self.deeper(Self::conditional_expression)
    }

    fn conditional_expression(&mut self) -> Result<Expr> {
        let soft = self.soft;
        let unknown = self.unknown.len();
        let mut then = self.or()?;
        while self.skip_name("if") {
            self.unknown.truncate(unknown);
            self.soft = true;
            let test = self.or()?;
            let otherwise = if self.skip_name("else") { Some(self.expression()?) } else { None };
            let depth = then.depth.max(test.depth).max(otherwise.as_ref().map_or(0, |expr| expr.depth));
            then = self.node(depth, ExprKind::Conditional { test, then, otherwise })?;
        }
        self.soft = soft;
        Ok(then)
    }

    fn or(&mut self) -> Result<Expr> {
        let mut left = self.and()?;
        while self.skip_name("or") {
            let right = self.and()?;
            left = self.node(left.depth.max(right.depth), ExprKind::Or(left, right))?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr> {
        let mut left = self.not()?;
        while self.skip_name("and") {
            let right = self.not()?;
            left = self.node(left.depth.max(right.depth), ExprKind::And(left, right))?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr> {
        if !self.skip_name("not") {
            return self.compare();
        }
        let inner = self.deeper(Self::not)?;
        self.node(inner.depth, ExprKind::Not(inner))
    }

    fn compare(&mut self) -> Result<Expr> {
        let first = self.sum()?;
        let mut others = vec![];
        loop {
            let comparison = match self.token() {
                Token::Op("==") => Comparison::Eq,
                Token::Op("!=") => Comparison::Ne,
                Token::Op("<") => Comparison::Lt,
                Token::Op("<=") => Comparison::Le,
                Token::Op(">") => Comparison::Gt,
                Token::Op(">=") => Comparison::Ge,
                Token::Name(name) if &**name == "in" => Comparison::In,
                Token::Name(name) if &**name == "not" => match self.after() {
                    Token::Name(name) if &**name == "in" => {
                        self.at += 1;
                        Comparison::NotIn
                    }
                    _ => break,
                },
                _ => break,
            };
            self.at += 1;
            others.push((comparison, self.sum()?));
        }
        if others.is_empty() {
            return Ok(first);
        }
        let depth = others.iter().map(|(_, other)| other.depth).max().unwrap_or(0).max(first.depth);
        self.node(depth, ExprKind::Compare(first, others))
    }

    /// Operators of one rank, from the left.
    fn binary(&mut self, table: &[(&str, Operator)], operand: fn(&mut Self) -> Result<Expr>) -> Result<Expr> {
        let mut left = operand(self)?;
        while let Some((_, operator)) = table.iter().find(|(text, _)| self.is_op(text)) {
            self.at += 1;
            let right = operand(self)?;
            left = self.node(left.depth.max(right.depth), ExprKind::Binary(*operator, left, right))?;
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Expr> {
        self.binary(&[("+", Operator::Add), ("-", Operator::Sub)], Self::concat)
    }

    fn concat(&mut self) -> Result<Expr> {
        let first = self.product()?;
        let mut parts = vec![first];
        while self.skip_op("~") {
            parts.push(self.product()?);
        }
        self.joined(parts)
    }

    /// One expression, or the text of several.
    pub(super) fn joined(&mut self, mut parts: Vec<Expr>) -> Result<Expr> {
        match parts.pop() {
            Some(only) if parts.is_empty() => Ok(only),
            last => {
                parts.extend(last);
                self.list_node(parts, ExprKind::Concat)
            }
        }
    }

    fn product(&mut self) -> Result<Expr> {
        let table = [("*", Operator::Mul), ("/", Operator::Div), ("//", Operator::FloorDiv), ("%", Operator::Mod)];
        self.binary(&table, Self::power)
    }

    fn power(&mut self) -> Result<Expr> {
        self.binary(&[("**", Operator::Pow)], Self::unary)
    }

    fn unary(&mut self) -> Result<Expr> {
        self.signed(true)
    }

    fn signed(&mut self, with_filters: bool) -> Result<Expr> {
        let kind = match self.token() {
            Token::Op("-") => Some(ExprKind::Negative as fn(Expr) -> ExprKind),
            Token::Op("+") => Some(ExprKind::Positive as fn(Expr) -> ExprKind),
            _ => None,
        };
        let expr = match kind {
            Some(kind) => {
                self.at += 1;
                let inner = self.deeper(|parser| parser.signed(false))?;
                self.node(inner.depth, kind(inner))?
            }
            None => self.primary()?,
        };
        let expr = self.postfix(expr)?;
        if with_filters { self.filtered(expr) } else { Ok(expr) }
    }

    fn primary(&mut self) -> Result<Expr> {
        let kind = match self.token().clone() {
            Token::Name(name) => {
                self.at += 1;
                ExprKind::Const(match &*name {
                    "true" | "True" => Literal::Bool(true),
                    "false" | "False" => Literal::Bool(false),
                    "none" | "None" => Literal::None,
                    _ => {
                        self.read(&name);
                        return self.node(0, ExprKind::Name(name));
                    }
                })
            }
            Token::Str(first) => {
                self.at += 1;
                let mut text = first;
                while let Token::Str(more) = self.token() {
                    text = format!("{text}{more}").into();
                    self.at += 1;
                }
                ExprKind::Const(Literal::Str(text))
            }
            Token::Int(n) => {
                self.at += 1;
                ExprKind::Const(Literal::Int(n))
            }
            Token::Float(x) => {
                self.at += 1;
                ExprKind::Const(Literal::Float(x))
            }
            Token::Op("(") => {
                self.at += 1;
                let inner = self.deeper(Self::parenthesized)?;
                self.expect_op(")")?;
                return Ok(inner);
            }
            Token::Op("[") => {
                self.at += 1;
                let mut items = vec![];
                while !self.skip_op("]") {
                    if !items.is_empty() {
                        self.expect_op(",")?;
                        if self.skip_op("]") {
                            break;
                        }
                    }
                    items.push(self.expression()?);
                }
                return self.list_node(items, ExprKind::List);
            }
            Token::Op("{") => {
                self.at += 1;
                let mut entries = vec![];
                while !self.skip_op("}") {
                    if !entries.is_empty() {
                        self.expect_op(",")?;
                        if self.skip_op("}") {
                            break;
                        }
                    }
                    let key = self.expression()?;
                    self.expect_op(":")?;
                    entries.push((key, self.expression()?));
                }
                let depth = entries.iter().map(|(key, value)| key.depth.max(value.depth)).max().unwrap_or(0);
                return self.node(depth, ExprKind::Dict(entries));
            }
            _ => return self.unexpected("an expression"),
        };
        self.node(0, kind)
    }

    fn tuple_end(&self, ends: &[&str]) -> bool {
        matches!(self.token(), Token::VariableEnd | Token::BlockEnd | Token::Op(")"))
            || ends.iter().any(|end| self.is_name(end))
    }

    fn parenthesized(&mut self) -> Result<Expr> {
        if self.is_op(")") {
            return self.node(0, ExprKind::Tuple(vec![]));
        }
        self.tuple()
    }

    /// An expression, or several with commas between them.
    pub(super) fn tuple(&mut self) -> Result<Expr> {
        self.tuple_of(true, &[])
    }

    pub(super) fn tuple_of(&mut self, conditional: bool, ends: &[&str]) -> Result<Expr> {
        let mut parts = vec![];
        let mut tuple = false;
        while !self.tuple_end(ends) {
            parts.push(if conditional { self.expression()? } else { self.deeper(Self::or)? });
            if !self.skip_op(",") {
                break;
            }
            tuple = true;
        }
        match parts.pop() {
            Some(only) if !tuple => Ok(only),
            None => self.unexpected("an expression"),
            last => {
                parts.extend(last);
                self.list_node(parts, ExprKind::Tuple)
            }
        }
    }

    fn postfix(&mut self, mut expr: Expr) -> Result<Expr> {
        loop {
            expr = match self.token() {
                Token::Op(".") => {
                    self.at += 1;
                    match self.next() {
                        Token::Name(name) => self.node(expr.depth, ExprKind::Attribute(expr, name))?,
                        Token::Int(n) => {
                            let index = self.node(0, ExprKind::Const(Literal::Int(n)))?;
                            self.node(expr.depth.max(1), ExprKind::Item(expr, index))?
                        }
                        _ => {
                            self.at -= 1;
                            return self.unexpected("a name or number behind '.'");
                        }
                    }
                }
                Token::Op("[") => {
                    self.at += 1;
                    self.deeper(|parser| parser.subscript(expr))?
                }
                Token::Op("(") => self.call(expr)?,
                _ => return Ok(expr),
            };
        }
    }

    fn subscript(&mut self, expr: Expr) -> Result<Expr> {
        let mut indices = vec![];
        let mut tuple = false;
        while !self.is_op("]") || indices.is_empty() {
            let first = if self.is_op(":") { None } else { Some(self.expression()?) };
            if !self.skip_op(":") {
                indices.extend(first);
            } else {
                let bound = |parser: &mut Self| -> Result<Option<Expr>> {
                    let absent = [":", "]", ","].iter().any(|end| parser.is_op(end));
                    if absent { Ok(None) } else { parser.expression().map(Some) }
                };
                let stop = bound(self)?;
                let step = if self.skip_op(":") { bound(self)? } else { None };
                self.expect_op("]")?;
                let bounds = [first, stop, step];
                let depth = bounds.iter().flatten().map(|bound| bound.depth).max().unwrap_or(0).max(expr.depth);
                return self.node(depth, ExprKind::Slice(expr, bounds));
            }
            if !self.skip_op(",") {
                break;
            }
            tuple = true;
        }
        self.expect_op("]")?;
        let index = match indices.pop() {
            Some(only) if !tuple => only,
            last => {
                indices.extend(last);
                self.list_node(indices, ExprKind::Tuple)?
            }
        };
        self.node(expr.depth.max(index.depth), ExprKind::Item(expr, index))
    }

    fn call(&mut self, expr: Expr) -> Result<Expr> {
        let args = self.deeper(Self::arguments)?;
        self.node(expr.depth.max(args.depth()), ExprKind::Call(expr, args))
    }

    fn arguments(&mut self) -> Result<Arguments> {
        self.expect_op("(")?;
        let mut args = Arguments::default();
        let mut comma = true;
        while !self.skip_op(")") {
            if !comma {
                self.expect_op(",")?;
                if self.skip_op(")") {
                    break;
                }
            }
            comma = false;
            if self.skip_op("*") {
                if args.starred.is_some() || args.double_starred.is_some() {
                    return self.fail("invalid syntax for a call: '*' stands twice or behind '**'");
                }
                args.starred = Some(self.expression()?);
            } else if self.skip_op("**") {
                if args.double_starred.is_some() {
                    return self.fail("invalid syntax for a call: '**' stands twice");
                }
                args.double_starred = Some(self.expression()?);
            } else if let (Token::Name(name), Token::Op("=")) = (self.token().clone(), self.after()) {
                if args.double_starred.is_some() {
                    return self.fail("invalid syntax for a call: a keyword stands behind '**'");
                }
                self.at += 2;
                let value = self.expression()?;
                args.keyword.push((name, value));
            } else {
                if args.starred.is_some() || args.double_starred.is_some() || !args.keyword.is_empty() {
                    return self.fail("invalid syntax for a call: a value stands behind a keyword");
                }
                args.positional.push(self.expression()?);
            }
        }
        Ok(args)
    }

    /// Filters, tests and calls behind an expression.
    fn filtered(&mut self, mut expr: Expr) -> Result<Expr> {
        loop {
            expr = match self.token() {
                Token::Op("|") => {
                    self.at += 1;
                    let filter = self.filter()?;
                    self.node(expr.depth.max(filter.depth()), ExprKind::Filter(expr, filter))?
                }
                Token::Name(name) if &**name == "is" => self.test(expr)?,
                Token::Op("(") => self.call(expr)?,
                _ => return Ok(expr),
            };
        }
    }

    fn dotted(&mut self) -> Result<Rc<str>> {
        let mut name = self.expect_name()?;
        while self.skip_op(".") {
            name = format!("{name}.{}", self.expect_name()?).into();
        }
        Ok(name)
    }

    /// Remembers what nobody knows, for it may yet turn out to stand in a condition.
    fn check(&mut self, known: bool, kind: &str, name: &str) {
        if let (false, false, Err(error)) = (known, self.soft, self.fail::<()>(format!("there is no {kind} '{name}'")))
        {
            self.unknown.push(error);
        }
    }

    fn filter(&mut self) -> Result<FilterCall> {
        let name = self.dotted()?;
        self.check(names::is_filter(&name), "filter", &name);
        let args = if self.is_op("(") { self.deeper(Self::arguments)? } else { Arguments::default() };
        Ok(FilterCall { name, args })
    }

    /// `a | b(c)`, of which the first may stand without its bar.
    pub(super) fn filters(&mut self, mut inline: bool) -> Result<Vec<FilterCall>> {
        let mut filters = vec![];
        while inline || self.skip_op("|") {
            filters.push(self.filter()?);
            inline = false;
        }
        Ok(filters)
    }

    fn test(&mut self, expr: Expr) -> Result<Expr> {
        self.at += 1;
        let negated = self.skip_name("not");
        let name = self.dotted()?;
        self.check(tests::is_test(&name), "test", &name);
        let args = match self.token() {
            Token::Op("(") => self.deeper(Self::arguments)?,
            Token::Name(name) if matches!(&**name, "else" | "or" | "and") => Arguments::default(),
            Token::Name(name) if &**name == "is" => return self.fail("tests cannot be chained with 'is'"),
            Token::Name(_) | Token::Str(_) | Token::Int(_) | Token::Float(_) | Token::Op("[" | "{") => {
                let value = self.primary()?;
                let value = self.deeper(|parser| parser.postfix(value))?;
                Arguments { positional: vec![value], ..Arguments::default() }
            }
            _ => Arguments::default(),
        };
        let test = FilterCall { name, args };
        let expr = self.node(expr.depth.max(test.depth()), ExprKind::Test(expr, test))?;
        if negated { self.node(expr.depth, ExprKind::Not(expr)) } else { Ok(expr) }
    }
}
