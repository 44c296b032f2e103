//! Python's `str` and `repr`.

use crate::{
    budget::Budget,
    error::Result,
    value::{Object, Value, View},
};

/// `repr` of a float: the shortest digits that give it back, with an exponent from 1e16 and below 1e-4.
pub fn float(x: f64) -> String {
    if !x.is_finite() {
        return if x.is_nan() {
            "nan".into()
        } else if x > 0.0 {
            "inf".into()
        } else {
            "-inf".into()
        };
    }
    let shortest = to_even(x, format!("{x:e}"));
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let sign = if digits.starts_with('-') { "-" } else { "" };
        let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
        let whole = usize::try_from(exponent + 1).unwrap_or(0);
        if whole == 0 {
            return format!("{sign}0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1));
        }
        let digits = format!("{digits:0<0$}", whole + 1);
        return format!("{sign}{}.{}", &digits[..whole], &digits[whole..]);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// The shortest digits that mean this number; of two that are equally near, those that end evenly.
fn to_even(x: f64, shortest: String) -> String {
    let digits = shortest.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
    let rounded = format!("{x:.0$e}", digits.saturating_sub(1));
    if rounded.parse() == Ok(x) { rounded } else { shortest }
}

/// Whether Python shows a character as it is.
pub fn is_printable(c: char) -> bool {
    match c {
        ' '..='~' => true,
        '\0'..='\x7f' => false,
        // Rust has Python's table, in how it shows what stands behind a letter.
        _ => {
            let mut shown = [0; 8];
            shown[0] = b'x';
            let length = c.encode_utf8(&mut shown[1..]).len() + 1;
            std::str::from_utf8(&shown[..length]).is_ok_and(|text| text.escape_debug().count() == 2)
        }
    }
}

/// `repr` of a text.
pub fn quoted(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if is_printable(c) => out.push(c),
            c => escaped(c, out),
        }
    }
    out.push(quote);
}

/// `\x`, `\u` or `\U`, as many digits as are needed.
pub fn escaped(c: char, out: &mut String) {
    out.push_str(&match u32::from(c) {
        code @ 0..=0xff => format!("\\x{code:02x}"),
        code @ 0..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    });
}

impl Value {
    /// Python's `str(value)`.
    pub(crate) fn print(&self, budget: &Budget) -> Result<String> {
        let mut out = String::new();
        self.print_into(&mut out, budget)?;
        Ok(out)
    }

    pub(crate) fn print_into(&self, out: &mut String, budget: &Budget) -> Result<()> {
        match self {
            Self::Undefined(_) => Ok(()),
            Self::Str(text, _) => {
                budget.bytes(text.len())?;
                out.push_str(text);
                Ok(())
            }
            _ => self.repr_into(out, budget),
        }
    }

    /// Python's `repr(value)`.
    pub(crate) fn repr(&self, budget: &Budget) -> Result<String> {
        let mut out = String::new();
        self.repr_into(&mut out, budget)?;
        Ok(out)
    }

    pub(crate) fn repr_into(&self, out: &mut String, budget: &Budget) -> Result<()> {
        budget.enter()?;
        // What lists hold in common is printed as often as it occurs, and counted so.
        budget.bytes(16)?;
        match self {
            Self::Undefined(_) => out.push_str("Undefined"),
            Self::None => out.push_str("None"),
            Self::Bool(true) => out.push_str("True"),
            Self::Bool(false) => out.push_str("False"),
            Self::Int(n) => out.push_str(&n.to_string()),
            Self::Float(x) => out.push_str(&float(*x)),
            Self::Str(text, safe) => {
                budget.bytes(text.len().saturating_mul(10))?;
                let (before, after) = if *safe { ("Markup(", ")") } else { ("", "") };
                out.push_str(before);
                quoted(text, out);
                out.push_str(after);
            }
            Self::Bytes(bytes) => {
                budget.bytes(bytes.len().saturating_mul(4))?;
                bytes_repr(bytes, out);
            }
            Self::List(items) => listed("[", &items.values, "]", out, budget)?,
            Self::Tuple(items) => {
                let end = if items.values.len() == 1 { ",)" } else { ")" };
                listed("(", &items.values, end, out, budget)?;
            }
            Self::Dict(dict) => {
                out.push('{');
                for (index, (key, value)) in dict.entries.iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    key.repr_into(out, budget)?;
                    out.push_str(": ");
                    value.repr_into(out, budget)?;
                }
                out.push('}');
            }
            Self::View(view, dict) => {
                let before = match view {
                    View::Keys => "dict_keys([",
                    View::Values => "dict_values([",
                    View::Items => "dict_items([",
                };
                let values: Vec<Value> = dict.entries.iter().map(|entry| view.of(entry)).collect();
                listed(before, &values, "])", out, budget)?;
            }
            Self::Range(range) if range.step == 1 => out.push_str(&format!("range({}, {})", range.start, range.stop)),
            Self::Range(range) => {
                out.push_str(&format!("range({}, {}, {})", range.start, range.stop, range.step));
            }
            Self::Object(object) => object.repr_into(out, budget)?,
        }
        budget.leave();
        Ok(())
    }
}

impl Object {
    fn repr_into(&self, out: &mut String, budget: &Budget) -> Result<()> {
        match self {
            Self::Namespace(entries) => {
                out.push_str("<Namespace {");
                for (index, (name, value)) in entries.borrow().iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    quoted(name, out);
                    out.push_str(": ");
                    value.repr_into(out, budget)?;
                }
                out.push_str("}>");
            }
            Self::Loop(state) => {
                out.push_str(&format!("<LoopContext {}/{}>", state.index0.get() + 1, state.items.len()));
            }
            Self::Macro(bound) => match &bound.definition.name {
                Some(name) => {
                    out.push_str("<Macro ");
                    quoted(name, out);
                    out.push('>');
                }
                None => out.push_str("<Macro anonymous>"),
            },
            // What Python adds is an address in its memory.
            Self::Method(_, name) => out.push_str(&format!("<built-in method {name}>")),
            Self::Function(name) => out.push_str(&format!("<function {name}>")),
            other => out.push_str(&format!("<{} object>", other.type_name())),
        }
        Ok(())
    }
}

fn listed(before: &str, values: &[Value], after: &str, out: &mut String, budget: &Budget) -> Result<()> {
    out.push_str(before);
    for (index, value) in values.iter().enumerate() {
        out.push_str(if index > 0 { ", " } else { "" });
        value.repr_into(out, budget)?;
    }
    out.push_str(after);
    Ok(())
}

fn bytes_repr(bytes: &[u8], out: &mut String) {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' };
    out.push('b');
    out.push(quote);
    for byte in bytes {
        match *byte {
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b'\\' => out.push_str("\\\\"),
            byte if char::from(byte) == quote => out.extend(['\\', quote]),
            byte @ b' '..=b'~' => out.push(char::from(byte)),
            byte => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push(quote);
}
