//! What a template says: statements and expressions, as the parser found them.

use std::rc::Rc;

pub struct Statement {
    pub line: usize,
    pub kind: StatementKind,
}

pub enum StatementKind {
    Data(Rc<str>),
    Print(Expr),
    For(Rc<For>),
    If {
        branches: Vec<(Expr, Block)>,
        otherwise: Block,
    },
    Set {
        target: Target,
        value: Expr,
    },
    SetBlock {
        target: Target,
        filters: Vec<FilterCall>,
        body: Block,
    },
    Macro(Rc<Macro>),
    Call {
        call: Expr,
        caller: Rc<Macro>,
    },
    Filter {
        filters: Vec<FilterCall>,
        body: Block,
    },
    With {
        targets: Vec<(Target, Expr)>,
        body: Block,
    },
    Autoescape {
        on: Expr,
        body: Block,
    },
    /// A body in a scope of its own: `{% generation %}`.
    Generation(Block),
    /// A body that `self` calls by its name too. It sees what the template's top level sees, or, `scoped`, what stands round it.
    Block {
        definition: Rc<Macro>,
        scoped: bool,
        /// Whether only another template could fill it.
        required: bool,
    },
    Break,
    Continue,
    /// A tag that wants another template.
    Load,
}

pub type Block = Vec<Statement>;

/// A whole template, and its `{% block %}`s.
pub struct Source {
    pub body: Block,
    pub blocks: Vec<Rc<Macro>>,
}

pub struct For {
    pub target: Target,
    pub items: Expr,
    pub test: Option<Expr>,
    pub recursive: bool,
    pub body: Block,
    pub otherwise: Block,
}

pub struct Macro {
    /// None for what `{% call %}` hands over.
    pub name: Option<Rc<str>>,
    pub parameters: Vec<(Rc<str>, Option<Expr>)>,
    pub body: Block,
    pub takes_varargs: bool,
    pub takes_kwargs: bool,
    pub takes_caller: bool,
}

/// What is assigned to.
pub enum Target {
    Name(Rc<str>),
    /// `namespace.attribute`
    Attribute(Rc<str>, Rc<str>),
    Tuple(Vec<Target>),
}

pub struct FilterCall {
    pub name: Rc<str>,
    pub args: Arguments,
}

#[derive(Default)]
pub struct Arguments {
    pub positional: Vec<Expr>,
    pub keyword: Vec<(Rc<str>, Expr)>,
    pub starred: Option<Expr>,
    pub double_starred: Option<Expr>,
}

pub struct Expr {
    /// How deep it goes, which the parser bounds: evaluation and drop go down through it.
    pub depth: u16,
    pub kind: Box<ExprKind>,
}

/// A value as a template writes it.
pub enum Literal {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Rc<str>),
}

pub enum ExprKind {
    Const(Literal),
    Name(Rc<str>),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Conditional { test: Expr, then: Expr, otherwise: Option<Expr> },
    And(Expr, Expr),
    Or(Expr, Expr),
    Not(Expr),
    Negative(Expr),
    Positive(Expr),
    Binary(Operator, Expr, Expr),
    Concat(Vec<Expr>),
    Compare(Expr, Vec<(Comparison, Expr)>),
    Attribute(Expr, Rc<str>),
    Item(Expr, Expr),
    Slice(Expr, [Option<Expr>; 3]),
    Call(Expr, Arguments),
    Filter(Expr, FilterCall),
    Test(Expr, FilterCall),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}
