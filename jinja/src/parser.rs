//! Tokens to statements: Jinja's grammar as its own parser reads it.

mod expressions;

use std::rc::Rc;

use crate::{
    error::{Error, ErrorKind, Result},
    lexer::{self, Spanned, Token},
    syntax::{Block, Expr, For, Macro, Source, Statement, StatementKind, Target},
};

/// Brackets, blocks and signs inside each other.
const NESTING: usize = 48;
/// What an expression may be deep, long chains of operators included.
const DEPTH: u16 = 160;

pub fn parse(source: &str) -> Result<Source> {
    let tokens = lexer::tokens(source)?;
    let mut parser =
        Parser { tokens, at: 0, nesting: 0, soft: false, unknown: vec![], loops: 0, macros: vec![], blocks: vec![] };
    let body = parser.block(&[])?;
    let Parser { unknown, blocks, .. } = parser;
    unknown.into_iter().next().map_or(Ok(Source { body, blocks }), Err)
}

struct Parser {
    tokens: Vec<Spanned>,
    at: usize,
    nesting: usize,
    /// Inside of an `if`: a filter that nobody knows is an error only where it is reached.
    soft: bool,
    /// Filters and tests that nobody knows and that stand outside of any condition, as errors.
    unknown: Vec<Error>,
    /// Loops round this place that `break` can leave.
    loops: usize,
    /// What the macros round this place read: `varargs`, `kwargs`, `caller`.
    macros: Vec<[bool; 3]>,
    /// The `{% block %}`s so far.
    blocks: Vec<Rc<Macro>>,
}

impl Parser {
    fn token(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |spanned| &spanned.token)
    }

    fn after(&self) -> &Token {
        self.tokens.get(self.at + 1).map_or(&Token::End, |spanned| &spanned.token)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |spanned| spanned.line)
    }

    fn next(&mut self) -> Token {
        let token = self.token().clone();
        self.at += 1;
        token
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(Error::new(ErrorKind::Syntax, message).at(self.line()))
    }

    fn unexpected<T>(&self, wanted: &str) -> Result<T> {
        let found = match self.token() {
            Token::End => "the end of the template".into(),
            Token::BlockEnd | Token::VariableEnd => "the end of the tag".into(),
            Token::Name(name) => format!("'{name}'"),
            Token::Op(operator) => format!("'{operator}'"),
            Token::Data(_) | Token::BlockBegin | Token::VariableBegin => "text".into(),
            Token::Str(_) => "a string".into(),
            Token::Int(_) | Token::Float(_) => "a number".into(),
        };
        self.fail(format!("{wanted} is missing before {found}"))
    }

    fn is_op(&self, operator: &str) -> bool {
        matches!(self.token(), Token::Op(found) if *found == operator)
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.token(), Token::Name(found) if **found == *name)
    }

    fn skip_op(&mut self, operator: &str) -> bool {
        let found = self.is_op(operator);
        self.at += usize::from(found);
        found
    }

    fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        self.at += usize::from(found);
        found
    }

    fn expect_op(&mut self, operator: &str) -> Result<()> {
        if self.skip_op(operator) { Ok(()) } else { self.unexpected(&format!("'{operator}'")) }
    }

    fn expect_name(&mut self) -> Result<Rc<str>> {
        match self.token() {
            Token::Name(name) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => self.unexpected("a name"),
        }
    }

    fn expect(&mut self, token: &Token) -> Result<()> {
        if self.token() == token {
            self.at += 1;
            return Ok(());
        }
        self.unexpected("the end of the tag")
    }

    /// Runs `inner` one level deeper.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.nesting += 1;
        if self.nesting > NESTING {
            return self.fail(format!("brackets and blocks are nested more than {NESTING} deep"));
        }
        let result = inner(self);
        self.nesting -= 1;
        result
    }

    /// Statements up to a tag named in `ends`, which stays; with none, up to the end of the template.
    fn block(&mut self, ends: &[&str]) -> Result<Block> {
        self.deeper(|parser| parser.statements(ends))
    }

    fn statements(&mut self, ends: &[&str]) -> Result<Block> {
        let mut body = vec![];
        loop {
            let line = self.line();
            let kind = match self.next() {
                Token::Data(text) => StatementKind::Data(text),
                Token::VariableBegin => {
                    let value = self.tuple()?;
                    self.expect(&Token::VariableEnd)?;
                    StatementKind::Print(value)
                }
                Token::BlockBegin => {
                    if ends.iter().any(|end| self.is_name(end)) {
                        return Ok(body);
                    }
                    let kind = self.statement(ends)?;
                    self.expect(&Token::BlockEnd)?;
                    kind
                }
                _ if ends.is_empty() => return Ok(body),
                _ => return self.fail(format!("the template ends before {{% {} %}}", ends.last().unwrap_or(&""))),
            };
            body.push(Statement { line, kind });
        }
    }

    /// A body up to its end tag, whose name is taken.
    fn body(&mut self, end: &str) -> Result<Block> {
        self.expect(&Token::BlockEnd)?;
        let body = self.block(&[end])?;
        self.at += 1;
        Ok(body)
    }

    /// The same, in a frame of its own: no longer inside of an `if`.
    fn framed(&mut self, end: &str) -> Result<Block> {
        let soft = std::mem::take(&mut self.soft);
        let body = self.body(end)?;
        self.soft = soft;
        Ok(body)
    }

    fn statement(&mut self, ends: &[&str]) -> Result<StatementKind> {
        let name = self.expect_name()?;
        Ok(match &*name {
            "for" => self.for_loop()?,
            "if" => self.conditional()?,
            "set" => self.set()?,
            "print" => StatementKind::Print(self.printed()?),
            "macro" => {
                let name = self.expect_name()?;
                StatementKind::Macro(self.macro_of(Some(name), "endmacro")?)
            }
            "call" => {
                let parameters = if self.is_op("(") { self.parameters()? } else { vec![] };
                let call = self.expression()?;
                if !matches!(*call.kind, crate::syntax::ExprKind::Call(..)) {
                    return self.fail("{% call %} wants a call of a macro");
                }
                let caller = self.macro_body(None, parameters, "endcall")?;
                StatementKind::Call { call, caller }
            }
            "filter" => {
                let filters = self.filters(true)?;
                StatementKind::Filter { filters, body: self.framed("endfilter")? }
            }
            "with" => {
                let mut targets = vec![];
                while *self.token() != Token::BlockEnd {
                    if !targets.is_empty() {
                        self.expect_op(",")?;
                    }
                    let target = self.target(false, &[])?;
                    self.expect_op("=")?;
                    targets.push((target, self.expression()?));
                }
                StatementKind::With { targets, body: self.framed("endwith")? }
            }
            "autoescape" => StatementKind::Autoescape { on: self.expression()?, body: self.framed("endautoescape")? },
            "generation" => {
                let loops = std::mem::take(&mut self.loops);
                let body = self.framed("endgeneration")?;
                self.loops = loops;
                StatementKind::Generation(body)
            }
            "block" => self.named_block()?,
            "break" | "continue" if self.loops == 0 => return self.fail(format!("'{name}' stands outside of a loop")),
            "break" => StatementKind::Break,
            "continue" => StatementKind::Continue,
            "extends" | "include" | "import" | "from" => {
                while !matches!(self.token(), Token::BlockEnd | Token::End) {
                    self.at += 1;
                }
                StatementKind::Load
            }
            _ => {
                let awaited = ends.last().map_or(String::new(), |end| format!("; {{% {end} %}} is awaited"));
                return self.fail(format!("there is no tag '{name}'{awaited}"));
            }
        })
    }

    fn named_block(&mut self) -> Result<StatementKind> {
        let name = self.expect_name()?;
        if self.blocks.iter().any(|block| block.name.as_ref() == Some(&name)) {
            return self.fail(format!("block '{name}' defined twice"));
        }
        let scoped = self.skip_name("scoped");
        let required = self.skip_name("required");
        let loops = std::mem::take(&mut self.loops);
        let body = self.framed("endblock")?;
        self.loops = loops;
        self.skip_name(&name);
        let empty =
            |statement: &Statement| matches!(&statement.kind, StatementKind::Data(text) if text.trim().is_empty());
        if required && !body.iter().all(empty) {
            return self.fail("Required blocks can only contain comments or whitespace");
        }
        let [takes_varargs, takes_kwargs, takes_caller] = [false; 3];
        let name = Some(name);
        let definition = Rc::new(Macro { name, parameters: vec![], body, takes_varargs, takes_kwargs, takes_caller });
        self.blocks.push(definition.clone());
        Ok(StatementKind::Block { definition, scoped, required })
    }

    /// Expressions that are printed one behind the other.
    fn printed(&mut self) -> Result<Expr> {
        let mut parts = vec![self.expression()?];
        while self.skip_op(",") {
            parts.push(self.expression()?);
        }
        self.joined(parts)
    }

    fn for_loop(&mut self) -> Result<StatementKind> {
        let target = self.target(false, &["in"])?;
        if !self.skip_name("in") {
            return self.unexpected("'in'");
        }
        let items = self.tuple_of(false, &["recursive"])?;
        let test = if self.skip_name("if") { Some(self.expression()?) } else { None };
        let recursive = self.skip_name("recursive");
        self.expect(&Token::BlockEnd)?;
        let soft = std::mem::take(&mut self.soft);
        self.loops += 1;
        let body = self.block(&["endfor", "else"])?;
        self.loops -= 1;
        let otherwise = if self.skip_name("else") {
            self.body("endfor")?
        } else {
            self.at += 1;
            vec![]
        };
        self.soft = soft;
        Ok(StatementKind::For(Rc::new(For { target, items, test, recursive, body, otherwise })))
    }

    fn conditional(&mut self) -> Result<StatementKind> {
        let soft = std::mem::replace(&mut self.soft, true);
        let (mut branches, mut otherwise) = (vec![], vec![]);
        loop {
            let test = self.tuple_of(false, &[])?;
            self.expect(&Token::BlockEnd)?;
            branches.push((test, self.block(&["elif", "else", "endif"])?));
            if self.skip_name("elif") {
                continue;
            }
            if self.skip_name("else") {
                otherwise = self.body("endif")?;
            } else {
                self.at += 1;
            }
            break;
        }
        self.soft = soft;
        Ok(StatementKind::If { branches, otherwise })
    }

    fn set(&mut self) -> Result<StatementKind> {
        let target = self.target(true, &[])?;
        if self.skip_op("=") {
            return Ok(StatementKind::Set { target, value: self.tuple()? });
        }
        let filters = self.filters(false)?;
        Ok(StatementKind::SetBlock { target, filters, body: self.framed("endset")? })
    }

    /// A name, or several with commas; `namespaces` may stand with an attribute.
    fn target(&mut self, namespaces: bool, ends: &[&str]) -> Result<Target> {
        let mut targets = vec![];
        let mut tuple = false;
        loop {
            let ended =
                matches!(self.token(), Token::BlockEnd | Token::Op(")")) || ends.iter().any(|end| self.is_name(end));
            if ended && !targets.is_empty() {
                break;
            }
            targets.push(match self.token() {
                Token::Name(name) if matches!(&**name, "true" | "false" | "none" | "True" | "False" | "None") => {
                    return self.fail(format!("can't assign to '{name}'"));
                }
                Token::Name(name) if &**name == "loop" && ends.contains(&"in") => {
                    return self.fail("can't assign to 'loop', which a loop has of its own");
                }
                Token::Name(_) if namespaces && matches!(self.after(), Token::Op(".")) => {
                    let namespace = self.expect_name()?;
                    self.at += 1;
                    Target::Attribute(namespace, self.expect_name()?)
                }
                Token::Name(_) => Target::Name(self.expect_name()?),
                Token::Op("(") => {
                    self.at += 1;
                    let inner = self.deeper(|parser| parser.target(false, ends))?;
                    self.expect_op(")")?;
                    inner
                }
                _ => return self.unexpected("a name to assign to"),
            });
            if !self.skip_op(",") {
                break;
            }
            tuple = true;
        }
        match targets.pop() {
            Some(only) if !tuple => Ok(only),
            last => {
                targets.extend(last);
                Ok(Target::Tuple(targets))
            }
        }
    }

    fn parameters(&mut self) -> Result<Vec<(Rc<str>, Option<Expr>)>> {
        self.expect_op("(")?;
        let mut parameters: Vec<(Rc<str>, Option<Expr>)> = vec![];
        while !self.skip_op(")") {
            if !parameters.is_empty() {
                self.expect_op(",")?;
            }
            let name = self.expect_name()?;
            let default = if self.skip_op("=") { Some(self.expression()?) } else { None };
            if default.is_none() && parameters.last().is_some_and(|(_, default)| default.is_some()) {
                return self.fail("a parameter without a default follows one with a default");
            }
            parameters.push((name, default));
        }
        Ok(parameters)
    }

    fn macro_of(&mut self, name: Option<Rc<str>>, end: &str) -> Result<Rc<Macro>> {
        let parameters = self.parameters()?;
        self.macro_body(name, parameters, end)
    }

    fn macro_body(
        &mut self,
        name: Option<Rc<str>>,
        parameters: Vec<(Rc<str>, Option<Expr>)>,
        end: &str,
    ) -> Result<Rc<Macro>> {
        let loops = std::mem::take(&mut self.loops);
        self.macros.push([false; 3]);
        let body = self.framed(end)?;
        let [takes_varargs, takes_kwargs, takes_caller] = self.macros.pop().unwrap_or_default();
        self.loops = loops;
        Ok(Rc::new(Macro { name, parameters, body, takes_varargs, takes_kwargs, takes_caller }))
    }

    /// A name was read: a macro that reads what it was not asked for takes more than its parameters.
    fn read(&mut self, name: &str) {
        if let Some(index) = ["varargs", "kwargs", "caller"].iter().position(|special| *special == name) {
            self.macros.iter_mut().for_each(|reads| reads[index] = true);
        }
    }
}
