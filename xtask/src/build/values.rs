//! `www/values.d.ts`: the values that cross between the module and the page, written from the Rust types that serde makes them of, with their
//! documentation. What a page sees of them stands in `www/vitrine.d.ts`, which adds what JavaScript itself puts there.
//!
//! A struct becomes an interface, an enum without fields a union of words, both with the names that serde gives. An `Option` may be missing, and so
//! may what serde skips now and then. A `&'static str` is one of the words that its documentation quotes (`"cpu"`), where it quotes any.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use anyhow::{Context, Result, bail, ensure};
use syn::{
    Attribute, Expr, Field, Fields, GenericArgument, Item, Lit, Meta, PathArguments, Token, Type,
    punctuated::Punctuated,
};

use crate::workspace::Workspace;

const FILE: &str = "www/values.d.ts";

const HEAD: &str = "/** The values that cross between the module and the page, written by `cargo xtask build` from the types of the crate. */\n";

/// Where each type stands, what it is called there, and what in JavaScript.
const VALUES: &[(&str, &[(&str, &str)])] = &[
    ("backend/mod.rs", &[("DeviceInfo", "DeviceInfo")]),
    ("backend/profile.rs", &[("Part", "StepPart")]),
    ("weights/summary.rs", &[("Summary", "FileSummary")]),
    ("text/logits.rs", &[("Candidate", "Alternative")]),
    (
        "text/generate.rs",
        &[
            ("FilterName", "FilterName"),
            ("Considered", "Considered"),
            ("Trace", "Trace"),
            ("TokenEvent", "TokenEvent"),
            ("EndReason", "FinishReason"),
        ],
    ),
    ("text/samples.rs", &[("SampleEvent", "SampleEvent"), ("SampleSummary", "SampleSummary")]),
    ("text/info.rs", &[("TextModelInfo", "ModelInfo"), ("GenerationStats", "GenerationStats")]),
    ("text/defaults.rs", &[("SamplingDefaults", "SamplingDefaults")]),
    ("text/model.rs", &[("ScoredToken", "ScoredToken"), ("Score", "Score")]),
    ("text/beams.rs", &[("Beam", "Beam"), ("Branch", "BeamBranch"), ("Beams", "FoundBeams")]),
    (
        "text/encoder.rs",
        &[
            ("EncoderInfo", "EncoderInfo"),
            ("PoolingName", "Pooling"),
            ("Labelling", "Labelling"),
            ("EncoderStats", "EncoderStats"),
        ],
    ),
    ("web/models/text.rs", &[("Stats", "ModelStats"), ("Next", "Next"), ("Summary", "SamplesSummary")]),
    ("image/schedulers/names.rs", &[("SchedulerName", "SchedulerName")]),
    ("image/model.rs", &[("ImageModelInfo", "ImageModelInfo")]),
    ("image/painting.rs", &[("PaintSummary", "PaintSummary")]),
    ("image/autoencoder.rs", &[("AutoencoderInfo", "AutoencoderInfo")]),
    ("web/models/image.rs", &[("Stats", "ImageModelStats"), ("Step", "PaintedRows")]),
    ("web/files.rs", &[("From", "Origin")]),
    ("web/engine.rs", &[("Step", "Step")]),
    ("web/tokenizer.rs", &[("Info", "TokenizerInfo")]),
    ("web/opfs.rs", &[("Record", "CacheRecord"), ("Entry", "CacheEntry"), ("Usage", "CacheUsage")]),
    ("outlook/mod.rs", &[("Outlook", "Outlook")]),
    ("outlook/marks.rs", &[("Listed", "Listed"), ("Ranked", "Ranked")]),
];

/// Writes them where they changed.
pub fn write(workspace: &Workspace) -> Result<()> {
    let (file, values) = (workspace.root.join(FILE), values(&workspace.root)?);
    if fs::read_to_string(&file).is_ok_and(|known| known == values) {
        return Ok(());
    }
    println!("{FILE} changed with the crate's types");
    fs::write(file, values).context(FILE)
}

/// Errors: the values in `www/` are not those of the crate.
pub fn check(workspace: &Workspace) -> Result<()> {
    let known = fs::read_to_string(workspace.root.join(FILE)).context(FILE)?;
    ensure!(known == values(&workspace.root)?, "{FILE} is older than the crate: run `cargo xtask build`");
    Ok(())
}

fn values(root: &Path) -> Result<String> {
    let mut written = HEAD.to_owned();
    let mut known = BTreeMap::new();
    for (file, types) in VALUES {
        let path = root.join("src").join(file);
        let source = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let items = syn::parse_file(&source).with_context(|| path.display().to_string())?.items;
        // Types of one name in two files are told apart by the file that names them.
        let names: Names = VALUES
            .iter()
            .flat_map(|(other, types)| types.iter().map(move |(rust, script)| (*other == *file, *rust, *script)))
            .fold(Names::new(), |mut names, (is_here, rust, script)| {
                if is_here || !names.contains_key(rust) {
                    names.insert(rust, script);
                }
                names
            });
        for (rust, script) in *types {
            let item = items.iter().find(|item| name_of(item).is_some_and(|name| name == *rust));
            let item = item.with_context(|| format!("{file} has no {rust}"))?;
            let value = value(item, script, &names).with_context(|| format!("{rust} in {file}"))?;
            ensure!(known.insert(*script, file).is_none(), "{script} is told twice");
            written.push('\n');
            written.push_str(&value);
        }
    }
    Ok(written)
}

/// The names in JavaScript by those in Rust.
type Names = BTreeMap<&'static str, &'static str>;

fn name_of(item: &Item) -> Option<String> {
    match item {
        Item::Struct(item) => Some(item.ident.to_string()),
        Item::Enum(item) => Some(item.ident.to_string()),
        Item::Type(item) => Some(item.ident.to_string()),
        _ => None,
    }
}

fn value(item: &Item, script: &str, names: &Names) -> Result<String> {
    let mut written = String::new();
    match item {
        Item::Struct(item) => {
            let Fields::Named(fields) = &item.fields else { bail!("its fields have no names") };
            let cases = Serde::of(&item.attrs)?.rename_all;
            let (mut lines, mut bases) = (String::new(), vec![]);
            for field in &fields.named {
                let serde = Serde::of(&field.attrs)?;
                if serde.is_flat {
                    bases.push(script_type(&field.ty, &[], names)?.0);
                } else if !serde.is_skipped {
                    lines.push_str(&line(field, &serde, cases.as_deref(), names)?);
                }
            }
            comment(&mut written, "", &item.attrs, names)?;
            let bases = if bases.is_empty() { String::new() } else { format!(" extends {}", bases.join(", ")) };
            writeln!(written, "export interface {script}{bases} {{\n{lines}}}")?;
        }
        Item::Enum(item) => {
            let cases = Serde::of(&item.attrs)?.rename_all;
            let mut words = vec![];
            let mut told = docs(&item.attrs)?;
            for variant in &item.variants {
                ensure!(variant.fields.is_empty(), "{} has fields", variant.ident);
                let given = Serde::of(&variant.attrs)?.rename;
                let word =
                    format!("{:?}", given.map_or_else(|| renamed(&variant.ident.to_string(), cases.as_deref()), Ok)?);
                let of_word = docs(&variant.attrs)?;
                if let [first, rest @ ..] = &of_word[..] {
                    told.push(format!("- {word}: {first}"));
                    told.extend(rest.iter().map(|line| format!("  {line}")));
                }
                words.push(word);
            }
            comment_of(&mut written, "", &told, names);
            writeln!(written, "export type {script} = {};", words.join(" | "))?;
        }
        Item::Type(item) => {
            comment(&mut written, "", &item.attrs, names)?;
            writeln!(written, "export type {script} = {};", script_type(&item.ty, &docs(&item.attrs)?, names)?.0)?;
        }
        _ => bail!("it is no struct, enum or name of a type"),
    }
    Ok(written)
}

/// A field of an interface.
fn line(field: &Field, serde: &Serde, cases: Option<&str>, names: &Names) -> Result<String> {
    let name = field.ident.as_ref().context("a field has no name")?.to_string();
    let name = serde.rename.clone().map_or_else(|| renamed(&name, cases), Ok)?;
    let (script, may_miss) = script_type(&field.ty, &docs(&field.attrs)?, names)?;
    // A flag that is skipped where it is false is true where it is there.
    let script = if serde.skips && script == "boolean" { "true".into() } else { script };
    let mark = if may_miss || serde.skips { "?" } else { "" };
    let mut written = String::new();
    comment(&mut written, "  ", &field.attrs, names)?;
    writeln!(written, "  {name}{mark}: {script};")?;
    Ok(written)
}

/// The type in JavaScript, and whether it may be missing.
fn script_type(of: &Type, docs: &[String], names: &Names) -> Result<(String, bool)> {
    let inner = |arguments: &PathArguments| -> Result<Vec<String>> {
        let PathArguments::AngleBracketed(arguments) = arguments else { return Ok(vec![]) };
        let types = arguments
            .args
            .iter()
            .filter_map(|each| if let GenericArgument::Type(each) = each { Some(each) } else { None });
        types.map(|each| Ok(script_type(each, docs, names)?.0)).collect()
    };
    let script = match of {
        Type::Reference(reference) => return script_type(&reference.elem, docs, names),
        Type::Tuple(tuple) => {
            let parts: Vec<_> =
                tuple.elems.iter().map(|each| Ok(script_type(each, &[], names)?.0)).collect::<Result<_>>()?;
            format!("[{}]", parts.join(", "))
        }
        Type::Path(path) => {
            let last = path.path.segments.last().context("a type without a name")?;
            let arguments = inner(&last.arguments)?;
            match (last.ident.to_string().as_str(), &arguments[..]) {
                ("Option", [one]) => return Ok((one.clone(), true)),
                ("Vec", [one]) if one.contains(" | ") => format!("({one})[]"),
                ("Vec", [one]) => format!("{one}[]"),
                ("f32" | "f64" | "u32" | "u64" | "usize", []) => "number".into(),
                ("bool", []) => "boolean".into(),
                ("str", []) if !quoted(docs).is_empty() => quoted(docs).join(" | "),
                ("str" | "String", []) => "string".into(),
                (name, []) => {
                    let known = names.get(name).with_context(|| format!("{name} is not among the values"))?;
                    (*known).to_owned()
                }
                (name, _) => bail!("{name} has no type in JavaScript"),
            }
        }
        _ => bail!("a type that is no name"),
    };
    Ok((script, false))
}

/// The words that documentation quotes, as `"webgpu"` in backticks.
fn quoted(docs: &[String]) -> Vec<String> {
    let whole = docs.join(" ");
    let spans = whole.split('`').skip(1).step_by(2);
    spans.filter(|span| span.len() > 2 && span.starts_with('"') && span.ends_with('"')).map(str::to_owned).collect()
}

/// What serde is told of a type, a field or a variant.
#[derive(Default)]
struct Serde {
    rename: Option<String>,
    rename_all: Option<String>,
    is_flat: bool,
    is_skipped: bool,
    /// Whether it is left out now and then.
    skips: bool,
}

impl Serde {
    fn of(attributes: &[Attribute]) -> Result<Self> {
        let mut serde = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            for meta in attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)? {
                let name = meta.path().get_ident().map(ToString::to_string).unwrap_or_default();
                match name.as_str() {
                    "rename" => serde.rename = Some(text(&meta)?),
                    "rename_all" => serde.rename_all = Some(text(&meta)?),
                    "flatten" => serde.is_flat = true,
                    "skip" => serde.is_skipped = true,
                    "skip_serializing_if" => serde.skips = true,
                    "serialize_with" => {}
                    other => bail!("serde's {other} is not known here"),
                }
            }
        }
        Ok(serde)
    }
}

/// The string of `name = "…"`.
fn text(meta: &Meta) -> Result<String> {
    if let Expr::Lit(literal) = &meta.require_name_value()?.value
        && let Lit::Str(text) = &literal.lit
    {
        return Ok(text.value());
    }
    bail!("an attribute without a string")
}

/// A name by serde's rule.
fn renamed(name: &str, cases: Option<&str>) -> Result<String> {
    Ok(match cases {
        None => name.to_owned(),
        Some("camelCase") => camel(name),
        Some("lowercase") => name.to_lowercase(),
        Some("kebab-case") => kebab(name),
        Some(other) => bail!("serde's rule {other} is not known here"),
    })
}

/// `top_k` and `TopK` as `topK`.
fn camel(name: &str) -> String {
    let mut written = String::new();
    let mut is_after_bar = false;
    for letter in name.chars() {
        match letter {
            '_' => is_after_bar = true,
            letter if written.is_empty() => written.extend(letter.to_lowercase()),
            letter if is_after_bar => {
                written.extend(letter.to_uppercase());
                is_after_bar = false;
            }
            letter => written.push(letter),
        }
    }
    written
}

/// `EulerAncestral` as `euler-ancestral`.
fn kebab(name: &str) -> String {
    let mut written = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !written.is_empty() {
            written.push('-');
        }
        written.extend(letter.to_lowercase());
    }
    written
}

/// The lines of documentation.
fn docs(attributes: &[Attribute]) -> Result<Vec<String>> {
    let of = attributes.iter().filter(|attribute| attribute.path().is_ident("doc"));
    of.map(|attribute| Ok(text(&attribute.meta)?.trim().to_owned())).collect()
}

fn comment(written: &mut String, indent: &str, attributes: &[Attribute], names: &Names) -> Result<()> {
    comment_of(written, indent, &docs(attributes)?, names);
    Ok(())
}

fn comment_of(written: &mut String, indent: &str, docs: &[String], names: &Names) {
    match docs {
        [] => {}
        [one] => *written += &format!("{indent}/** {} */\n", linked(one, names)),
        several => {
            *written += &format!("{indent}/**\n");
            for line in several {
                *written += format!("{indent} * {}", linked(line, names)).trim_end();
                written.push('\n');
            }
            *written += &format!("{indent} */\n");
        }
    }
}

/// A line whose links, as rustdoc has them, are names as JavaScript has them: [`Candidate::logprob`] is `Alternative.logprob`.
fn linked(line: &str, names: &Names) -> String {
    let mut written = String::new();
    let mut rest = line;
    while let Some((before, (link, after))) =
        rest.split_once("[`").and_then(|(before, link)| Some((before, link.split_once("`]")?)))
    {
        written += before;
        let (of, field) = link.split_once("::").map_or((link, None), |(of, field)| (of, Some(camel(field))));
        let of = names.get(of).copied().unwrap_or(of);
        written += &match field {
            Some(field) if of == "Self" => format!("`{field}`"),
            Some(field) => format!("`{of}.{field}`"),
            None => format!("`{of}`"),
        };
        rest = after;
    }
    written + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUST: &str = r#"
        /// What [`Told`] is.
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Told {
            /// `"one"` or `"two"`.
            kind: &'static str,
            /// As [`Self::kind`] says, and
            /// [`Other::top_k`].
            device_bytes: u64,
            #[serde(skip)]
            hidden: Nobody,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            forced: bool,
            pairs: Vec<(&'static str, usize)>,
            #[serde(flatten)]
            other: Other,
            #[serde(rename = "final")]
            is_final: Option<bool>,
        }
    "#;

    fn of(source: &str) -> Result<String> {
        let names = Names::from([("Told", "Said"), ("Other", "Another")]);
        value(&syn::parse_str(source)?, "Said", &names)
    }

    #[test]
    fn a_struct_is_an_interface_as_serde_writes_it() {
        let expected = "/** What `Said` is. */\n\
            export interface Said extends Another {\n  \
              /** `\"one\"` or `\"two\"`. */\n  \
              kind: \"one\" | \"two\";\n  \
              /**\n   * As `kind` says, and\n   * `Another.topK`.\n   */\n  \
              deviceBytes: number;\n  \
              forced?: true;\n  \
              pairs: [string, number][];\n  \
              final?: boolean;\n}\n";
        assert_eq!(of(RUST).unwrap(), expected);
    }

    #[test]
    fn an_enum_is_its_words() {
        let words =
            of(r#"#[serde(rename_all = "kebab-case")] enum Told { EulerAncestral, #[serde(rename = "x")] Lms }"#);
        assert_eq!(words.unwrap(), "export type Said = \"euler-ancestral\" | \"x\";\n");
    }

    #[test]
    fn what_has_no_type_in_javascript_is_named() {
        let error = format!("{:#}", of("struct Told { at: Instant }").unwrap_err());
        assert!(error.contains("Instant"), "{error}");
        assert!(of("#[serde(tag = \"kind\")] struct Told { at: u32 }").is_err());
    }
}
