//! What a chat template is given: messages as the caller wrote them, tools, documents, and variables of its own.

use serde::{Deserialize, Deserializer, de};
use vitrine_jinja::{Json, LocalTime};

use crate::{Error, Result};

/// One turn of a conversation, with every field that the caller gave, in that order: `role` and `content` (a text, nothing, or a list
/// of parts), and whatever else a template may read (`tool_calls`, `name`, `reasoning_content` …).
#[derive(Debug, Clone, PartialEq)]
pub struct ChatMessage(pub Vec<(String, Json)>);

impl ChatMessage {
    pub fn new(role: &str, content: &str) -> Self {
        let field = |name: &str, text: &str| (name.to_owned(), Json::String(text.into()));
        Self(vec![field("role", role), field("content", content)])
    }

    pub fn get(&self, field: &str) -> Option<&Json> {
        self.0.iter().find(|(name, _)| name == field).map(|(_, value)| value)
    }

    pub fn role(&self) -> Option<&str> {
        self.get("role")?.as_str()
    }

    /// The content, where it is one text.
    pub fn content(&self) -> Option<&str> {
        self.get("content")?.as_str()
    }

    /// The same message with each text in it changed.
    pub(super) fn map_words(&self, change: &dyn Fn(&str) -> String) -> Self {
        Self(self.0.iter().map(|(name, value)| (name.clone(), value.map_words(change))).collect())
    }

    /// The message as a template sees it: the reasoning under each of the names that templates read, as transformers gives it.
    pub(super) fn seen(&self) -> Json {
        let mut fields = self.0.clone();
        let said = |name: &&str| self.get(name).filter(|value| **value != Json::Null);
        if let Some(reasoning) = ["reasoning_content", "thinking", "reasoning"].iter().find_map(said) {
            let thinking = fields.iter().position(|(name, _)| name == "thinking");
            let thinking = thinking.map_or(("thinking".into(), reasoning.clone()), |at| fields.remove(at));
            fields.insert(0, thinking);
            match fields.iter_mut().find(|(name, _)| name == "reasoning_content") {
                Some((_, old)) => *old = reasoning.clone(),
                None => fields.push(("reasoning_content".into(), reasoning.clone())),
            }
        }
        Json::Object(fields)
    }
}

impl<'de> Deserialize<'de> for ChatMessage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::Object(fields) => Ok(Self(fields)),
            _ => Err(de::Error::custom("a message is an object with a role and a content")),
        }
    }
}

/// What a template is told beside the messages.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatOptions {
    /// Whether a model that can think before it answers does so, where its template asks (`enable_thinking`).
    pub thinking: Option<bool>,
    /// JSON schemas of functions that the model may call; a template finds `none` where there are none.
    pub tools: Option<Vec<Json>>,
    /// Texts to answer from, `{ title, text }` by convention; a template finds `none` where there are none.
    pub documents: Option<Vec<Json>>,
    /// Further variables that the template reads.
    pub variables: Vec<(String, Json)>,
    /// What `strftime_now` tells; the machine's own clock where it is left out (in a page: UTC).
    pub now: Option<LocalTime>,
    /// Whether a conversation that ends with words of the assistant is answered by going on from them; else the answer begins anew.
    pub continue_final_message: bool,
    /// Whether marks inside messages (`<|im_end|>`) become the tokens that they name. Never for a stranger's words.
    pub parse_special_tokens: bool,
}

impl Default for ChatOptions {
    fn default() -> Self {
        Self {
            thinking: None,
            tools: None,
            documents: None,
            variables: vec![],
            now: None,
            continue_final_message: true,
            parse_special_tokens: false,
        }
    }
}

/// What the template is told by other means than [`ChatOptions::variables`].
const TAKEN: [(&str, &str); 4] = [
    ("messages", "the conversation itself"),
    ("tools", "the option tools"),
    ("documents", "the option documents"),
    ("add_generation_prompt", "the conversation's end"),
];

impl ChatOptions {
    /// Errors: `bad-argument` that names the option and what is allowed.
    pub fn check(&self) -> Result<()> {
        for (name, list) in [("tools", &self.tools), ("documents", &self.documents)] {
            let odd = list.iter().flatten().position(|each| each.as_object().is_none());
            if let Some(index) = odd {
                return Err(Error::bad_argument(format!(
                    "{name}[{index}] is no object; {name} are objects as the model's chat template reads them"
                )));
            }
        }
        for (name, _) in &self.variables {
            if let Some((_, instead)) = TAKEN.iter().find(|(taken, _)| taken == name) {
                return Err(Error::bad_argument(format!(
                    "templateOptions cannot hold {name}: the template learns it from {instead}; leave it out"
                )));
            }
            if name == "enable_thinking" && self.thinking.is_some() {
                return Err(Error::bad_argument(
                    "thinking and templateOptions.enable_thinking say the same; give one of them",
                ));
            }
        }
        Ok(())
    }
}

/// [`ChatOptions`] as JavaScript gives them. Unknown names are refused.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ChatRequest {
    pub thinking: Option<bool>,
    pub tools: Option<Vec<Json>>,
    pub documents: Option<Vec<Json>>,
    pub template_options: Option<Json>,
    pub continue_final_message: Option<bool>,
    pub parse_special_tokens: Option<bool>,
}

impl ChatRequest {
    /// Errors: as [`ChatOptions::check`].
    pub fn check(self) -> Result<ChatOptions> {
        let Self { thinking, tools, documents, template_options, continue_final_message, parse_special_tokens } = self;
        let variables = match template_options {
            None | Some(Json::Null) => vec![],
            Some(Json::Object(variables)) => variables,
            Some(_) => {
                return Err(Error::bad_argument(
                    "templateOptions is no object; give the template's variables by their names, like { date_string: \"…\" }",
                ));
            }
        };
        let options = ChatOptions {
            thinking,
            tools,
            documents,
            variables,
            now: None,
            continue_final_message: continue_final_message.unwrap_or(true),
            parse_special_tokens: parse_special_tokens.unwrap_or(false),
        };
        options.check()?;
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    #[test]
    fn a_message_keeps_all_its_fields_in_their_order() {
        let json = r#"{"name": "x", "role": "user", "content": null, "a": [1, 2.5, {"z": true, "b": "c"}]}"#;
        let message: ChatMessage = serde_json::from_str(json).unwrap();
        let names: Vec<&str> = message.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["name", "role", "content", "a"]);
        assert_eq!((message.role(), message.content()), (Some("user"), None));
        assert!(serde_json::from_str::<ChatMessage>("[]").is_err());
    }

    #[test]
    fn what_a_template_learns_otherwise_is_refused_as_a_variable() {
        let refused = |json: &str, words: &str| {
            let error = serde_json::from_str::<ChatRequest>(json).unwrap().check().unwrap_err();
            assert_eq!(error.code(), ErrorCode::BadArgument);
            assert!(error.to_string().contains(words), "{error}");
        };
        refused(r#"{"templateOptions": {"messages": []}}"#, "templateOptions cannot hold messages");
        refused(r#"{"thinking": true, "templateOptions": {"enable_thinking": true}}"#, "say the same");
        refused(r#"{"templateOptions": [1]}"#, "templateOptions is no object");
        refused(r#"{"tools": [{}, 1]}"#, "tools[1] is no object");
        refused(r#"{"documents": ["x"]}"#, "documents[0] is no object");
        assert!(serde_json::from_str::<ChatRequest>(r#"{"template": {}}"#).is_err());
    }
}
