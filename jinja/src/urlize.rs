//! `urlize`: addresses in a text become links.

use crate::{
    error::{Result, fail},
    escape,
    lexer::is_space,
    run::{Args, Run},
    value::Value,
};

pub fn urlize(run: &Run, value: &Value, args: Args) -> Result<Value> {
    let names = ["trim_url_limit", "nofollow", "target", "rel", "extra_schemes"];
    let bound = args.bind("urlize", &names, 0)?;
    let limit = bound.given(0).map(|_| bound.int(0, 0)).transpose()?;
    let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(0));
    let rel = if bound.given(3).is_some() { bound.printed(3, "", &run.budget)? } else { String::new() };
    let own = ["noopener"].into_iter().chain(bound.truth(1).then_some("nofollow"));
    let mut rels: Vec<&str> = vec![];
    for part in rel.split(is_space).filter(|part| !part.is_empty()).chain(own) {
        if let Err(place) = rels.binary_search(&part) {
            rels.insert(place, part);
        }
    }
    let mut attributes = format!(" rel=\"{}\"", escape::html(&rels.join(" ")));
    if let Some(target) = bound.given(2) {
        attributes += &format!(" target=\"{}\"", escape::html(&target.print(&run.budget)?));
    }
    let mut schemes = vec![];
    for scheme in bound.given(4).map_or(Ok(vec![]), |schemes| schemes.iterate(&run.budget))? {
        let scheme = scheme.print(&run.budget)?;
        if !is_scheme(&scheme) {
            return fail(format!("'{scheme}' is not a valid URI scheme prefix."));
        }
        schemes.push(scheme);
    }
    let text = match value {
        Value::Str(text, true) => text.to_string(),
        other => escape::html(&other.print(&run.budget)?),
    };
    let mut out = String::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let end = rest.find(is_space).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        run.budget.bytes(word.len().saturating_mul(3) + attributes.len())?;
        out.push_str(&linked(word, limit, &attributes, &schemes));
        let blank = after.len() - after.trim_start_matches(is_space).len();
        out.push_str(&after[..blank]);
        rest = &after[blank..];
    }
    Ok(Value::Str(out.into(), run.autoescape.get()))
}

fn is_scheme(text: &str) -> bool {
    let name = text.trim_end_matches('/');
    let slashes = text.len() - name.len();
    let name = name.strip_suffix(':').unwrap_or_default();
    slashes <= 2 && name.chars().count() >= 2 && name.chars().all(|c| c.is_alphanumeric() || "_.+-".contains(c))
}

fn linked(word: &str, limit: Option<usize>, attributes: &str, schemes: &[String]) -> String {
    let mut middle = word;
    while let Some(rest) = ["(", "<", "&lt;"].iter().find_map(|open| middle.strip_prefix(open)) {
        middle = rest;
    }
    let head = &word[..word.len() - middle.len()];
    while let Some(rest) = [")", ">", ".", ",", "\n", "&gt;"].iter().find_map(|close| middle.strip_suffix(close)) {
        middle = rest;
    }
    let mut tail = &word[head.len() + middle.len()..];
    // Brackets that were opened inside of the address are closed there.
    for (open, close) in [("(", ")"), ("<", ">"), ("&lt;", "&gt;")] {
        let opened = middle.matches(open).count();
        if opened <= middle.matches(close).count() {
            continue;
        }
        for _ in 0..opened.min(tail.matches(close).count()) {
            let Some(at) = tail.find(close) else { break };
            middle = &word[head.len()..head.len() + middle.len() + at + close.len()];
            tail = &tail[at + close.len()..];
        }
    }
    let shown = |text: &str| match limit {
        Some(limit) if text.chars().count() > limit => text.chars().take(limit).collect::<String>() + "...",
        _ => text.to_owned(),
    };
    let link = if is_address(middle) {
        let scheme = if middle.starts_with("https://") || middle.starts_with("http://") { "" } else { "https://" };
        format!("<a href=\"{scheme}{middle}\"{attributes}>{}</a>", shown(middle))
    } else if let Some(mail) = middle.strip_prefix("mailto:").filter(|mail| is_mail(mail)) {
        format!("<a href=\"{middle}\">{mail}</a>")
    } else if !middle.starts_with("www.") && !middle.starts_with('@') && !middle.contains(':') && is_mail(middle) {
        format!("<a href=\"mailto:{middle}\">{middle}</a>")
    } else if schemes.iter().any(|scheme| middle != scheme && middle.starts_with(scheme.as_str())) {
        format!("<a href=\"{middle}\"{attributes}>{middle}</a>")
    } else {
        middle.to_owned()
    };
    format!("{head}{link}{tail}")
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// `name@host.domain`
fn is_mail(text: &str) -> bool {
    let Some((name, host)) = text.rsplit_once('@') else { return false };
    let Some((host, domain)) = host.rsplit_once('.') else { return false };
    let host_fits = host.starts_with(is_word) && host.chars().all(|c| is_word(c) || c == '.' || c == '-');
    !name.is_empty() && host_fits && !domain.is_empty() && domain.chars().all(is_word)
}

/// An address with `http`, `https` or `www.`, or one whose domain is well known.
fn is_address(text: &str) -> bool {
    let lower = text.to_lowercase();
    let scheme = ["https://", "http://"].iter().find_map(|scheme| lower.strip_prefix(scheme));
    let rest = scheme.unwrap_or(&lower);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = &rest[..end];
    let host = match host.rsplit_once(':') {
        Some((host, port)) if (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => host,
    };
    let label = |label: &str| !label.is_empty() && label.chars().all(|c| is_word(c) || c == '%' || c == '-');
    let top = |top: &str| {
        let plain = (2..=63).contains(&top.len()) && top.bytes().all(|b| b.is_ascii_lowercase());
        plain
            || top
                .strip_prefix("xn--")
                .is_some_and(|rest| rest.len() >= 2 && rest.chars().all(|c| is_word(c) || c == '%'))
    };
    let labels: Vec<&str> = host.split('.').collect();
    let Some((last, before)) = labels.split_last() else { return false };
    if scheme.is_some() {
        let number = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let address = labels.len() == 4 && labels.iter().all(number);
        return address || is_v6(host) || (top(last) && before.iter().all(|part| label(part)));
    }
    if let Some(host) = host.strip_prefix("www.") {
        let labels: Vec<&str> = host.split('.').collect();
        return labels.split_last().is_some_and(|(last, before)| top(last) && before.iter().all(|part| label(part)));
    }
    let known = ["com", "net", "int", "edu", "gov", "org", "info", "mil"].contains(last);
    known && !before.is_empty() && before.iter().all(|part| label(part) && (2..=63).contains(&part.chars().count()))
}

fn is_v6(host: &str) -> bool {
    let Some(groups) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) else { return false };
    let groups: Vec<&str> = groups.split(':').collect();
    (3..=8).contains(&groups.len())
        && groups.iter().all(|group| group.len() <= 4 && group.bytes().all(|b| b.is_ascii_hexdigit()))
}
