//! What a model's files bring for conversations: chat templates by name, and what templates call the marks.

use serde_json::Value;

use crate::{
    Result,
    weights::{Metadata, WeightFile},
};

/// The marks that transformers tells templates of, and what GGUF calls their ids.
const MARKS: [(&str, &[&str]); 7] = [
    ("bos_token", &[]),
    ("eos_token", &[]),
    ("unk_token", &["unknown"]),
    // Converters of BERT's time wrote it with an e.
    ("sep_token", &["separator", "seperator"]),
    ("pad_token", &["padding"]),
    ("cls_token", &["cls"]),
    ("mask_token", &["mask"]),
];

/// The name of the template that is taken where nothing else is asked for.
const DEFAULT: &str = "default";

/// llama.cpp's converter writes this name in the place of RWKV's template where it has not the template's file; what it stands for.
const RWKV: (&str, &str) = (
    "rwkv-world",
    "{% for message in messages %}{{ {'system': 'System', 'user': 'User', 'assistant': 'Assistant'}[message.role] + ': ' + (message.content | trim) + '\\n\\n' }}{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}",
);

/// Chat templates and marks, as the files name them.
#[derive(Default)]
pub struct ChatParts {
    /// By name.
    pub templates: Vec<(String, String)>,
    /// `None` where a file says that there is none.
    pub marks: Vec<(&'static str, Option<String>)>,
}

/// One template, or a list of named ones.
fn templates(value: &Value) -> Vec<(String, String)> {
    let named = |entry: &Value| Some((entry["name"].as_str()?.to_owned(), entry["template"].as_str()?.to_owned()));
    match value {
        Value::String(template) => vec![(DEFAULT.into(), template.clone())],
        Value::Array(list) => list.iter().filter_map(named).collect(),
        Value::Object(map) => {
            map.iter().filter_map(|(name, template)| Some((name.clone(), template.as_str()?.to_owned()))).collect()
        }
        _ => vec![],
    }
}

impl ChatParts {
    /// Of a `tokenizer_config.json`.
    pub fn of_settings(settings: &Value) -> Self {
        let mark = |(name, _): (&'static str, _)| {
            let mark = settings.get(name)?;
            Some((name, mark["content"].as_str().or(mark.as_str()).map(str::to_owned)))
        };
        Self { templates: templates(&settings["chat_template"]), marks: MARKS.into_iter().filter_map(mark).collect() }
    }

    /// Of a GGUF, whose further templates stand under their names; `text` is what a token says.
    pub fn of_metadata<'a>(metadata: &Metadata, text: impl Fn(u32) -> Option<&'a str>) -> Result<Self> {
        let mut parts = Self::default();
        let mut names = vec![];
        if metadata.get::<&str>("tokenizer.chat_template")?.is_some() {
            names.push((DEFAULT, "tokenizer.chat_template".to_owned()));
        }
        for name in metadata.get::<Vec<&str>>("tokenizer.chat_templates")?.unwrap_or_default() {
            names.push((name, format!("tokenizer.chat_template.{name}")));
        }
        for (name, key) in names {
            let template =
                metadata.get::<&str>(&key)?.map(|template| if template == RWKV.0 { RWKV.1 } else { template });
            parts.templates.extend(template.map(|template| (name.to_owned(), template.to_owned())));
        }
        for (mark, ids) in MARKS {
            for id in ids {
                let id = metadata.get::<u32>(&format!("tokenizer.ggml.{id}_token_id"))?;
                if let Some(text) = id.and_then(&text) {
                    parts.marks.push((mark, Some(text.to_owned())));
                    break;
                }
            }
        }
        Ok(parts)
    }

    /// What lies beside the model counts more: a `chat_template.jinja` with `additional_chat_templates/`, else a
    /// `chat_template.json`.
    pub fn add_files(&mut self, file: &WeightFile) -> Result<()> {
        let read = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut found: Vec<(String, String)> = vec![];
        found.extend(file.extra("chat_template.jinja").map(|bytes| (DEFAULT.into(), read(bytes))));
        for path in file.extras() {
            let name = path.split_once("additional_chat_templates/").and_then(|(_, name)| name.strip_suffix(".jinja"));
            if let (Some(name), Some(bytes)) = (name, file.extra(path)) {
                found.push((name.into(), read(bytes)));
            }
        }
        if found.is_empty()
            && let Some(json) = file.extra_json("chat_template.json")?
        {
            found = templates(&json["chat_template"]);
        }
        if !found.is_empty() {
            self.templates = found;
        }
        Ok(())
    }

    /// The template for a conversation, as transformers chooses it; where several have names and none fits, those names.
    pub fn template(&self, with_tools: bool) -> Result<Option<&str>, Vec<&str>> {
        let named =
            |name: &str| self.templates.iter().find(|(known, _)| known == name).map(|(_, template)| template.as_str());
        let chosen = if with_tools { named("tool_use").or(named(DEFAULT)) } else { named(DEFAULT) };
        if chosen.is_none() && !self.templates.is_empty() {
            return Err(self.templates.iter().map(|(name, _)| name.as_str()).collect());
        }
        Ok(chosen)
    }
}
