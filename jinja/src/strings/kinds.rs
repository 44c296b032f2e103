//! `isalpha` and its kin.

use crate::{lexer::is_space, numbers::decimal, print::is_printable};

/// Whether a character has a case.
pub fn is_upper_or_lower(c: char) -> bool {
    c.is_uppercase() || c.is_lowercase() || is_title(c)
}

fn is_title(c: char) -> bool {
    matches!(c, 'ǅ' | 'ǈ' | 'ǋ' | 'ǲ' | 'ᾈ'..='ᾏ' | 'ᾘ'..='ᾟ' | 'ᾨ'..='ᾯ' | 'ᾼ' | 'ῌ' | 'ῼ')
}

/// Superscripts, subscripts and numbers in circles are digits, but no decimals.
fn is_digit(c: char) -> bool {
    let others = matches!(c, '²' | '³' | '¹' | '⁰' | '⁴'..='⁹' | '₀'..='₉' | '①'..='⑨' | '⑴'..='⑼' | '⒈'..='⒐' | '❶'..='❾' | '⓪');
    decimal(c).is_some() || others
}

/// The ideographs of numbers count too.
fn is_numeric(c: char) -> bool {
    c.is_numeric() || "〇一二三四五六七八九十百千万亿億兆零壹贰叁肆伍陆柒捌玖拾佰仟".contains(c)
}

fn is_alphabetic(c: char) -> bool {
    c.is_alphabetic() && !c.is_numeric()
}

pub fn is(kind: &str, text: &str) -> bool {
    let all = |is: fn(char) -> bool| !text.is_empty() && text.chars().all(is);
    match kind {
        "isalnum" => all(|c| is_alphabetic(c) || is_numeric(c)),
        "isalpha" => all(is_alphabetic),
        "isascii" => text.is_ascii(),
        "isdecimal" => all(|c| decimal(c).is_some()),
        "isdigit" => all(is_digit),
        "isnumeric" => all(is_numeric),
        "isprintable" => text.chars().all(is_printable),
        "isspace" => all(is_space),
        "isidentifier" => {
            let first = text.chars().next().is_some_and(|c| c == '_' || is_alphabetic(c));
            first && text.chars().all(|c| c == '_' || is_alphabetic(c) || decimal(c).is_some())
        }
        "islower" => text.chars().any(char::is_lowercase) && !text.chars().any(|c| c.is_uppercase() || is_title(c)),
        "isupper" => text.chars().any(char::is_uppercase) && !text.chars().any(|c| c.is_lowercase() || is_title(c)),
        _ => is_titled(text),
    }
}

/// `istitle`: capitals begin words, and nothing else does.
fn is_titled(text: &str) -> bool {
    let (mut inside, mut any) = (false, false);
    for c in text.chars() {
        if c.is_uppercase() || is_title(c) {
            if inside {
                return false;
            }
            (inside, any) = (true, true);
        } else if c.is_lowercase() {
            if !inside {
                return false;
            }
        } else {
            inside = false;
        }
    }
    any
}
