//! Chat templates: the Jinja program in a model's file that turns messages into the text that the model was trained on.
//!
//! Templates are written for Hugging Face's `apply_chat_template`; this gives them the same names: `messages`, `tools`, `documents`,
//! `add_generation_prompt`, the marks by their names, and what the caller adds. The language is that of the crate `vitrine-jinja`. A
//! template comes from a stranger's file: it runs with a bounded number of steps and bytes.

use vitrine_jinja::{Budget, Error as JinjaError, ErrorKind, Json, Template, Value};

use super::{ChatMessage, ChatOptions, Tokenizer, clock};
use crate::{Error, Result};

/// A model's chat template.
pub struct ChatTemplate {
    template: Template,
    source: String,
    /// `bos_token` and its kin.
    marks: Vec<(String, String)>,
}

/// Which messages hold no one text, where a template failed that may want one of each.
fn no_texts(messages: &[ChatMessage]) -> String {
    let held = messages.iter().enumerate().filter_map(|(index, message)| {
        Some(match message.get("content") {
            Some(Json::String(_)) => return None,
            Some(Json::Array(_)) => format!("messages[{index}].content is a list of parts"),
            None | Some(Json::Null) => format!("messages[{index}] has no content"),
            Some(_) => format!("messages[{index}].content is no text"),
        })
    });
    let held: Vec<_> = held.collect();
    if held.is_empty() {
        String::new()
    } else {
        format!(". {}: this template may take one text of each", held.join(", "))
    }
}

impl ChatTemplate {
    /// The template that came with the model; of several that have names the one for tools, where there are some and it is there.
    ///
    /// Errors: `bad-argument` where there is none (the model was not made for conversations) or none of that name, and for an option that
    /// it never reads; `corrupt-file` where it is no valid Jinja, with the line where it stops.
    pub fn of(tokenizer: &Tokenizer, options: &ChatOptions) -> Result<Self> {
        let chat = tokenizer.chat();
        let source = chat.template(options.tools.is_some()).map_err(|names| {
            Error::bad_argument(format!(
                "this model has chat templates named {} and none named default; a template is chosen by tools alone, so give \
                 tools, or call generate with the text itself",
                names.join(", ")
            ))
        })?;
        let source = source.ok_or_else(|| {
            Error::bad_argument(
                "this model's file has no chat template: it goes on with a text and was not made for conversations; \
                 call generate with the beginning of a text, or load an instruction-tuned model",
            )
        })?;
        check_read(source, options)?;
        let mut marks: Vec<(String, String)> =
            chat.marks.iter().filter_map(|(name, mark)| Some(((*name).to_owned(), mark.clone()?))).collect();
        for (name, id) in [("bos_token", tokenizer.special().bos), ("eos_token", tokenizer.special().eos)] {
            if !chat.marks.iter().any(|(known, _)| *known == name) {
                marks.extend(id.and_then(|id| tokenizer.token_text(id)).map(|text| (name.to_owned(), text)));
            }
        }
        Self::new(source, marks)
    }

    /// A template and the marks that it finds by their names.
    pub fn new(source: &str, marks: Vec<(String, String)>) -> Result<Self> {
        let template = Template::new(source).map_err(|cause| {
            Error::corrupt_file(format!(
                "the model's chat template cannot be read, {cause}; call generate, which needs none, or use another conversion of \
                 the model"
            ))
        })?;
        Ok(Self { template, source: source.to_owned(), marks })
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// The text for `messages`; where it `opens` an answer, it ends where that begins.
    ///
    /// Errors: `bad-argument` with the template's own words where it does not take these messages, or with the line where it fails.
    pub fn render(&self, messages: &[ChatMessage], options: &ChatOptions, opens: bool) -> Result<String> {
        if messages.is_empty() {
            return Err(Error::bad_argument(
                "a conversation needs at least one message; give [{ role: \"user\", content: … }]",
            ));
        }
        let now = options.now.unwrap_or_else(clock::now);
        let budget = Budget::default();
        let rendered = self.variables(messages, options, opens, &budget);
        let rendered = rendered.and_then(|variables| self.template.render(variables, budget, now));
        rendered.map_err(|cause| {
            Error::bad_argument(match cause.kind {
                ErrorKind::Raised => format!("the model's chat template refuses these messages: {cause}"),
                ErrorKind::Exhausted => {
                    format!("the model's chat template was stopped, {cause}; it may not be meant well")
                }
                _ => format!("the model's chat template fails with these messages, {cause}{}", no_texts(messages)),
            })
        })
    }

    /// What the template finds by name; later ones count more.
    fn variables(
        &self,
        messages: &[ChatMessage],
        options: &ChatOptions,
        opens: bool,
        budget: &Budget,
    ) -> Result<Vec<(String, Value)>, JinjaError> {
        let listed = |list: &Option<Vec<Json>>| list.clone().map_or(Json::Null, Json::Array);
        let mut variables = vec![];
        let mut add = |name: &str, value: &Json| -> Result<(), JinjaError> {
            variables.push((name.to_owned(), Value::from_json(value, budget)?));
            Ok(())
        };
        for (name, mark) in &self.marks {
            add(name, &Json::String(mark.clone()))?;
        }
        for (name, value) in &options.variables {
            add(name, value)?;
        }
        if let Some(thinking) = options.thinking {
            add("enable_thinking", &Json::Bool(thinking))?;
        }
        add("messages", &Json::Array(messages.iter().map(ChatMessage::seen).collect()))?;
        add("tools", &listed(&options.tools))?;
        add("documents", &listed(&options.documents))?;
        add("add_generation_prompt", &Json::Bool(opens))?;
        Ok(variables)
    }
}

/// Errors: `bad-argument` that names an option of which the template never speaks, so that it would change nothing. Not to think is no wish
/// that such a template could miss.
fn check_read(source: &str, options: &ChatOptions) -> Result<()> {
    let unread = |name: &str| !source.contains(name);
    let given = |list: &Option<Vec<Json>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let refused = |option: &str| {
        Err(Error::bad_argument(format!(
            "this model's chat template does not read {option}, so it would change nothing; leave it out"
        )))
    };
    if options.thinking == Some(true) && unread("enable_thinking") {
        return refused("thinking (as enable_thinking)");
    }
    for (name, list) in [("tools", &options.tools), ("documents", &options.documents)] {
        if given(list) && unread(name) {
            return refused(name);
        }
    }
    match options.variables.iter().find(|(name, _)| unread(name)) {
        Some((name, _)) => refused(&format!("templateOptions.{name}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    #[test]
    fn an_option_that_a_template_never_reads_is_refused_by_name() {
        let told = |json: &str| serde_json::from_str::<crate::text::ChatRequest>(json).unwrap().check().unwrap();
        let refused = |json: &str, name: &str| {
            let error = check_read(CHATML, &told(json)).unwrap_err();
            assert_eq!(error.code(), ErrorCode::BadArgument);
            assert!(error.to_string().contains(name), "{error}");
        };
        refused(r#"{"thinking": true}"#, "thinking");
        refused(r#"{"tools": [{"name": "f"}]}"#, "tools");
        refused(r#"{"documents": [{"text": "a"}]}"#, "documents");
        refused(r#"{"templateOptions": {"mood": "calm"}}"#, "templateOptions.mood");
        for neutral in [r#"{"thinking": false}"#, r#"{"tools": [], "documents": []}"#, r#"{"templateOptions": {}}"#] {
            assert!(check_read(CHATML, &told(neutral)).is_ok(), "{neutral}");
        }
        assert!(check_read(THINKING, &told(r#"{"thinking": true, "tools": [{"name": "f"}]}"#)).is_ok());
    }

    const CHATML: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are helpful<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
    const LLAMA2: &str = "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'].strip() + ' [/INST]' }}{% else %}{{ ' ' + message['content'] + ' ' + eos_token }}{% endif %}{% endfor %}";

    fn turns(turns: &[(&str, &str)]) -> Vec<ChatMessage> {
        turns.iter().map(|(role, content)| ChatMessage::new(role, content)).collect()
    }

    fn marks() -> Vec<(String, String)> {
        [("bos_token", "<s>"), ("eos_token", "</s>")].map(|(name, mark)| (name.into(), mark.into())).into()
    }

    fn thinking(thinking: bool) -> ChatOptions {
        ChatOptions { thinking: Some(thinking), ..ChatOptions::default() }
    }

    fn template(source: &str) -> ChatTemplate {
        ChatTemplate::new(source, marks()).unwrap()
    }

    #[test]
    fn a_chatml_template_frames_every_turn_and_opens_the_answer() {
        assert_eq!(
            template(CHATML).render(&turns(&[("user", "Hi <there>")]), &ChatOptions::default(), true).unwrap(),
            "<|im_start|>system\nYou are helpful<|im_end|>\n<|im_start|>user\nHi <there><|im_end|>\n<|im_start|>assistant\n"
        );
    }

    #[test]
    fn a_llama_2_template_strips_and_alternates() {
        let text = template(LLAMA2)
            .render(&turns(&[("user", " a "), ("assistant", "b"), ("user", "c")]), &ChatOptions::default(), true)
            .unwrap();
        assert_eq!(text, "<s>[INST] a [/INST] b </s>[INST] c [/INST]");
        let error = template(LLAMA2).render(&turns(&[("assistant", "b")]), &ChatOptions::default(), true).unwrap_err();
        assert_eq!(error.code(), ErrorCode::BadArgument);
        assert!(error.to_string().contains("must alternate"), "{error}");
    }

    #[test]
    fn json_and_python_methods_are_as_in_python() {
        let source = "{%- set ns = namespace(n=0) -%}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }} {{ {'a': [1, 'é<']} | tojson }} {{ messages[0].get('role') }} {{ messages[0].content.split(',')[-1] }} {{ messages[0]['content'][2:] }}";
        assert_eq!(
            template(source).render(&turns(&[("user", "x,yz")]), &ChatOptions::default(), true).unwrap(),
            "1 {\"a\": [1, \"é<\"]} user yz yz"
        );
    }

    /// In the manner of Qwen 3's: thoughts of earlier answers are cut off, and an answer without thinking begins behind empty thoughts.
    const THINKING: &str = r#"{%- if tools %}{{- tools | tojson }}{%- endif %}
{%- set ns = namespace(searching=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.searching and message.role == "user" and message.content is string and not(message.content.startswith('<result>') and message.content.endswith('</result>')) %}
        {%- set ns.searching = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}{%- set content = message.content %}{%- else %}{%- set content = '' %}{%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {%- set thoughts = '' %}
        {%- if message.reasoning_content is string %}
            {%- set thoughts = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set thoughts = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last and (loop.last or (not loop.last and thoughts)) %}
            {{- '<|im_start|>assistant\n<think>\n' + thoughts.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}{{- 'called' }}{%- endif %}
        {{- '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}
{%- endif %}"#;

    #[test]
    fn a_template_that_thinks_is_told_whether_to_and_forgets_old_thoughts() {
        let template = template(THINKING);
        let messages = turns(&[("user", "1+1?"), ("assistant", "<think>\none, two\n</think>\n\n2"), ("user", "+1?")]);
        let before =
            "<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n2<|im_end|>\n<|im_start|>user\n+1?<|im_end|>\n";
        let open = format!("{before}<|im_start|>assistant\n");
        assert_eq!(template.render(&messages, &ChatOptions::default(), true).unwrap(), open);
        assert_eq!(template.render(&messages, &thinking(true), true).unwrap(), open);
        assert_eq!(
            template.render(&messages, &thinking(false), true).unwrap(),
            format!("{open}<think>\n\n</think>\n\n")
        );
    }

    /// In the manner of Gemma 3's: the system's words stand before the first of the user's, and the assistant is called the model.
    const TURNS: &str = r#"{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set before = messages[0]['content'] + '\n\n' -%}
    {%- else -%}
        {%- set before = messages[0]['content'][0]['text'] + '\n\n' -%}
    {%- endif -%}
    {%- set rest = messages[1:] -%}
{%- else -%}
    {%- set before = "" -%}
    {%- set rest = messages -%}
{%- endif -%}
{%- for message in rest -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("roles must alternate") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}{%- set role = "model" -%}{%- else -%}{%- set role = message['role'] -%}{%- endif -%}
    {{ '<start_of_turn>' + role + '\n' + (before if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}{{ item['text'] | trim }}{%- endfor -%}
    {%- else -%}
        {{ raise_exception("no content") }}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{'<start_of_turn>model\n'}}{%- endif -%}"#;

    #[test]
    fn a_template_of_turns_puts_the_systems_words_before_the_users() {
        let messages = turns(&[("system", "Be brief."), ("user", " Hi "), ("assistant", "Hello"), ("user", "Bye")]);
        assert_eq!(
            template(TURNS).render(&messages, &ChatOptions::default(), true).unwrap(),
            "<s><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello<end_of_turn>\n\
             <start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n"
        );
        let error =
            template(TURNS).render(&turns(&[("user", "a"), ("user", "b")]), &thinking(false), true).unwrap_err();
        assert!(error.to_string().contains("must alternate"), "{error}");
    }

    #[test]
    fn a_template_that_never_ends_is_stopped_and_a_broken_one_refused() {
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}";
        assert!(template(endless).render(&turns(&[("user", "a")]), &ChatOptions::default(), true).is_err());
        let broken = ChatTemplate::new("a\n{% if %}", vec![]).err().unwrap();
        assert_eq!(broken.code(), ErrorCode::CorruptFile);
        assert!(broken.to_string().contains("line 2: an expression is missing"), "{broken}");
        assert_eq!(
            template("x").render(&[], &ChatOptions::default(), true).unwrap_err().code(),
            ErrorCode::BadArgument
        );
    }

    /// What `training/make_template_fixtures.py` made of conversations with templates in the manner of published models.
    #[cfg(not(target_arch = "wasm32"))]
    #[test]
    fn templates_in_the_manner_of_models_give_the_text_that_transformers_gives() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/templates/conversations.json");
        let bytes = std::fs::read(path).unwrap();
        let fixture: Json = serde_json::from_slice(&bytes).unwrap();
        let text = |of: &Json, name: &str| of.get(name).unwrap().as_str().unwrap().to_owned();
        let cases = fixture.get("cases").unwrap().as_array().unwrap();
        let families = fixture.get("templates").unwrap().as_object().unwrap().len();
        assert!(families > 20 && cases.len() > 200);
        for case in cases {
            let (name, which) = (text(case, "template"), text(case, "conversation"));
            let given = fixture.get("conversations").unwrap().get(&which).unwrap();
            let messages = given.get("messages").unwrap().as_array().unwrap().iter();
            let messages: Vec<_> = messages.map(|fields| ChatMessage(fields.as_object().unwrap().to_vec())).collect();
            let list = |name: &str| given.get(name).map(|list| list.as_array().unwrap().to_vec());
            let options = ChatOptions {
                tools: list("tools"),
                documents: list("documents"),
                variables: given.get("variables").map_or(vec![], |variables| variables.as_object().unwrap().to_vec()),
                now: Some(vitrine_jinja::LocalTime { micros: 1_772_716_029_000_042, ahead: 0 }),
                ..ChatOptions::default()
            };
            options.check().unwrap();
            let made = template(&text(fixture.get("templates").unwrap(), &name)).render(&messages, &options, true);
            let expected = case.get("expected").unwrap().as_str();
            assert_eq!(made.as_deref().ok(), expected, "{name}, {which}: {:?}", made.as_ref().err());
        }
    }
}
