//! Chat templates: the Jinja program in a model's file that turns messages into the text that the model was trained on.
//!
//! Templates are written for Hugging Face's `apply_chat_template`; this gives them the same names: `messages`,
//! `add_generation_prompt`, `bos_token`, `eos_token`, `raise_exception`, `strftime_now`, Python's string and dictionary methods,
//! and `tojson` as Python's `json.dumps` spells it. A template comes from a stranger's file: it runs with a bounded number of steps.

use minijinja::{Environment, ErrorKind, Value, context};
use serde::{Deserialize, Serialize};
use web_time::{SystemTime, UNIX_EPOCH};

use super::Tokenizer;
use crate::{Error, Result};

/// Steps of the template engine for one text: far more than any conversation needs, and over within a second.
const MOST_STEPS: u64 = 5_000_000;

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// `system`, `user` or `assistant`; templates may know others.
    pub role: String,
    pub content: String,
}

/// A model's chat template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// The template that came with the tokenizer.
    ///
    /// Errors: `bad-argument` where there is none (the model was not made for conversations), `corrupt-file` where it is no valid Jinja.
    pub fn of(tokenizer: &Tokenizer) -> Result<Self> {
        let source = tokenizer.chat_template().ok_or_else(|| {
            Error::bad_argument(
                "this model's file has no chat template: it goes on with a text and was not made for conversations; \
                 call generate with the beginning of a text, or load an instruction-tuned model",
            )
        })?;
        let text = |id: Option<u32>| id.and_then(|id| tokenizer.token_text(id)).unwrap_or_default();
        Self::new(source, text(tokenizer.special().bos), text(tokenizer.special().eos))
    }

    pub fn new(source: &str, bos: String, eos: String) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_fuel(Some(MOST_STEPS));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<Value, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_function("strftime_now", |format: String| strftime(&format, SystemTime::now()));
        environment.add_filter("tojson", |value: Value| python_json(&value));
        environment.add_template_owned("chat", source.to_owned()).map_err(|cause| {
            Error::corrupt_file(format!(
                "the model's chat template cannot be read: {cause}; use another conversion of the model"
            ))
        })?;
        Ok(Self { environment, bos, eos })
    }

    /// The text for `messages`, which ends where the assistant's answer begins. `thinking` is what a template finds as
    /// `enable_thinking`, where it is said.
    ///
    /// Errors: `bad-argument` with the template's own words where it does not take these messages.
    pub fn render(&self, messages: &[ChatMessage], thinking: Option<bool>) -> Result<String> {
        if messages.is_empty() {
            return Err(Error::bad_argument(
                "a conversation needs at least one message; give [{ role: \"user\", content: … }]",
            ));
        }
        let context = context! {
            messages => messages,
            add_generation_prompt => true,
            enable_thinking => thinking.map_or(Value::UNDEFINED, Value::from),
            bos_token => self.bos,
            eos_token => self.eos,
        };
        let rendered = self.environment.get_template("chat").and_then(|template| template.render(context));
        rendered.map_err(|cause| {
            let reason = cause.detail().map_or_else(|| cause.to_string(), str::to_owned);
            Error::bad_argument(format!("the model's chat template refuses these messages: {reason}"))
        })
    }
}

/// `json.dumps(value, ensure_ascii=False)`.
fn python_json(value: &Value) -> Result<Value, minijinja::Error> {
    struct Python;
    impl serde_json::ser::Formatter for Python {
        fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, w: &mut W, first: bool) -> std::io::Result<()> {
            if first { Ok(()) } else { w.write_all(b", ") }
        }
        fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, w: &mut W, first: bool) -> std::io::Result<()> {
            if first { Ok(()) } else { w.write_all(b", ") }
        }
        fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, w: &mut W) -> std::io::Result<()> {
            w.write_all(b": ")
        }
    }
    let mut out = vec![];
    value
        .serialize(&mut serde_json::Serializer::with_formatter(&mut out, Python))
        .map_err(|cause| minijinja::Error::new(ErrorKind::BadSerialization, cause.to_string()))?;
    Ok(Value::from_safe_string(String::from_utf8_lossy(&out).into_owned()))
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// C's `strftime` in UTC, for the directives that chat templates use.
fn strftime(format: &str, now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (month_name, day_name) = (MONTHS[(month - 1) as usize], DAYS[((days + 4) % 7) as usize]);
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('Y') => out.push_str(&year.to_string()),
            Some('y') => out.push_str(&format!("{:02}", year % 100)),
            Some('m') => out.push_str(&format!("{month:02}")),
            Some('d') => out.push_str(&format!("{day:02}")),
            Some('B') => out.push_str(month_name),
            Some('b') => out.push_str(&month_name[..3]),
            Some('A') => out.push_str(day_name),
            Some('a') => out.push_str(&day_name[..3]),
            Some('H') => out.push_str(&format!("{:02}", second / 3600)),
            Some('M') => out.push_str(&format!("{:02}", second / 60 % 60)),
            Some('S') => out.push_str(&format!("{:02}", second % 60)),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

/// Year, month and day of a count of days since 1970-01-01 (the proleptic Gregorian calendar, counted from March so that the leap
/// day comes last).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ErrorCode;

    const CHATML: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are helpful<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
    const LLAMA2: &str = "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'].strip() + ' [/INST]' }}{% else %}{{ ' ' + message['content'] + ' ' + eos_token }}{% endif %}{% endfor %}";

    fn turns(turns: &[(&str, &str)]) -> Vec<ChatMessage> {
        turns.iter().map(|(r, c)| ChatMessage { role: (*r).into(), content: (*c).into() }).collect()
    }

    fn template(source: &str) -> ChatTemplate {
        ChatTemplate::new(source, "<s>".into(), "</s>".into()).unwrap()
    }

    #[test]
    fn a_chatml_template_frames_every_turn_and_opens_the_answer() {
        assert_eq!(
            template(CHATML).render(&turns(&[("user", "Hi <there>")]), None).unwrap(),
            "<|im_start|>system\nYou are helpful<|im_end|>\n<|im_start|>user\nHi <there><|im_end|>\n<|im_start|>assistant\n"
        );
    }

    #[test]
    fn a_llama_2_template_strips_and_alternates() {
        let text =
            template(LLAMA2).render(&turns(&[("user", " a "), ("assistant", "b"), ("user", "c")]), None).unwrap();
        assert_eq!(text, "<s>[INST] a [/INST] b </s>[INST] c [/INST]");
        let error = template(LLAMA2).render(&turns(&[("assistant", "b")]), None).unwrap_err();
        assert_eq!(error.code(), ErrorCode::BadArgument);
        assert!(error.to_string().contains("must alternate"), "{error}");
    }

    #[test]
    fn json_and_python_methods_are_as_in_python() {
        let source = "{%- set ns = namespace(n=0) -%}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }} {{ {'a': [1, 'é<']} | tojson }} {{ messages[0].get('role') }} {{ messages[0].content.split(',')[-1] }} {{ messages[0]['content'][2:] }}";
        assert_eq!(
            template(source).render(&turns(&[("user", "x,yz")]), None).unwrap(),
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
        assert_eq!(template.render(&messages, None).unwrap(), open);
        assert_eq!(template.render(&messages, Some(true)).unwrap(), open);
        assert_eq!(template.render(&messages, Some(false)).unwrap(), format!("{open}<think>\n\n</think>\n\n"));
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
            template(TURNS).render(&messages, None).unwrap(),
            "<s><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello<end_of_turn>\n\
             <start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n"
        );
        let error = template(TURNS).render(&turns(&[("user", "a"), ("user", "b")]), Some(false)).unwrap_err();
        assert!(error.to_string().contains("must alternate"), "{error}");
    }

    #[test]
    fn a_template_that_never_ends_is_stopped_and_a_broken_one_refused() {
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}";
        assert!(template(endless).render(&turns(&[("user", "a")]), None).is_err());
        let broken = ChatTemplate::new("{% if %}", String::new(), String::new()).err().unwrap();
        assert_eq!(broken.code(), ErrorCode::CorruptFile);
        assert_eq!(template("x").render(&[], None).unwrap_err().code(), ErrorCode::BadArgument);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(strftime("%d %b %Y, %A %H:%M:%S %%", at(0)), "01 Jan 1970, Thursday 00:00:00 %");
        assert_eq!(strftime("%Y-%m-%d %a", at(1_709_164_800)), "2024-02-29 Thu");
        assert_eq!(strftime("%B %y", at(1_798_761_599)), "December 26");
    }
}
