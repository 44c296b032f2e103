//! A text model and its generations, as the worker holds them.

use std::cell::RefCell;

use futures_util::lock::Mutex;
use js_sys::{Date, Object, Reflect, Uint8Array, Uint32Array};
use serde::Serialize;
use vitrine_jinja::LocalTime;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use super::super::{
    cancel::Cancel as WebCancel,
    js::{from_js, options_from_js, thrown, to_js},
    matcher::JsForm,
    tokenizer::{decode, encode},
};
use crate::{
    Cancel, Error, Result,
    text::{
        BeamRequest, Beginning, Candidate, ChatMessage, ChatOptions, ChatRequest, EndReason, GenerateOptions,
        GenerateRequest, GenerationStats, SampleSummary, Samples, TextModel, TextModelStats, constraint,
    },
};

loaded_model!(
    "A loaded language model.",
    Model(TextModel), "ModelInfo", Stats as "ModelStats"
);

/// What a model took; what no generation has measured yet is left out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    load_ms: f64,
    /// Weights, caches and plans.
    device_bytes: u64,
    /// What a decode step costs on the GPU.
    dispatches_per_step: u32,
    passes_per_step: u32,
    submits_per_step: u32,
    /// Of the latest generation. A wait is a token that was awaited with no step queued behind it, so that the GPU then stood still.
    waits_per_token: Option<f64>,
    time_to_first_token_ms: Option<f64>,
    prefill_tokens_per_second: Option<f64>,
    decode_tokens_per_second: Option<f64>,
}

impl From<TextModelStats> for Stats {
    fn from(stats: TextModelStats) -> Self {
        let measured = |figure: f64| (figure > 0.0).then_some(figure);
        let TextModelStats { load_ms, device_bytes, decode, generation } = stats;
        Self {
            load_ms,
            device_bytes,
            dispatches_per_step: decode.dispatches,
            passes_per_step: decode.passes,
            submits_per_step: decode.submits,
            waits_per_token: (generation.generated_tokens > 0)
                .then(|| generation.waits as f64 / generation.generated_tokens as f64),
            time_to_first_token_ms: measured(generation.first_token_ms),
            prefill_tokens_per_second: measured(generation.prefill_tokens_per_second),
            decode_tokens_per_second: measured(generation.decode_tokens_per_second),
        }
    }
}

/// Templates that tell the date tell the page's.
fn on_this_clock(options: ChatOptions) -> ChatOptions {
    let now = Date::new_0();
    let ahead = -now.get_timezone_offset();
    let micros = ((now.get_time() + ahead * 60_000.0) * 1000.0) as i64;
    ChatOptions { now: Some(LocalTime { micros, ahead: ahead as i32 }), ..options }
}

/// A model that guesses for another. Freeing it closes nothing.
#[wasm_bindgen]
pub struct Draft(TextModel);

/// A token and how likely it is in its place.
#[derive(Serialize)]
pub(super) struct Next {
    token: u32,
    text: String,
    logprob: f32,
    probability: f32,
}

#[wasm_bindgen]
impl Model {
    /// Goes on from a text or from token ids.
    pub fn generate(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string | Uint32Array")] prompt: JsValue,
        #[wasm_bindgen(unchecked_param_type = "GenerateOptions")] options: JsValue,
        form: Option<JsForm>,
        draft: Option<Draft>,
    ) -> Result<Generation, JsValue> {
        self.begin(options, form, draft, |options, cancel| match prompt.as_string() {
            Some(text) => self.model.samples(Beginning::Text(&text), options, cancel),
            None => self.model.samples(Beginning::Ids(&Uint32Array::new(&prompt).to_vec()), options, cancel),
        })
    }

    /// Answers a conversation.
    pub fn chat(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Message[]")] messages: JsValue,
        #[wasm_bindgen(unchecked_param_type = "ChatOptions")] options: JsValue,
        form: Option<JsForm>,
        draft: Option<Draft>,
    ) -> Result<Generation, JsValue> {
        self.begin(options, form, draft, |options, cancel| {
            let messages: Vec<ChatMessage> = from_js(messages, "the messages")?;
            let chat = on_this_clock(options.chat);
            self.model.samples(Beginning::Chat(&messages), GenerateOptions { chat, ..options }, cancel)
        })
    }

    /// Itself, to guess for another model.
    #[wasm_bindgen(js_name = asDraft)]
    pub fn as_draft(&self) -> Draft {
        Draft(self.model.clone())
    }

    /// The model's tokens, as what holds a text to a form sorts them.
    #[wasm_bindgen(unchecked_return_type = "Pieces")]
    pub fn pieces(&self) -> Result<JsValue, JsValue> {
        let (tokenizer, vocabulary) = (self.model.tokenizer(), self.model.info().vocabulary);
        let (mut bytes, mut ends, mut marks) = (vec![], vec![], vec![]);
        for (word, is_mark) in constraint::pieces(tokenizer, vocabulary) {
            bytes.extend_from_slice(word);
            ends.push(bytes.len() as u32);
            marks.push(u8::from(is_mark));
        }
        let pieces = Object::new();
        let set = |name: &str, value: JsValue| Reflect::set(&pieces, &name.into(), &value);
        set("bytes", Uint8Array::from(bytes.as_slice()).into())?;
        set("ends", Uint32Array::from(ends.as_slice()).into())?;
        set("marks", Uint8Array::from(marks.as_slice()).into())?;
        set("end", constraint::end_of(tokenizer, vocabulary).into())?;
        Ok(pieces.into())
    }

    pub fn tokenize(&self, text: &str, add_special: bool, parse_special: bool) -> Result<Vec<u32>, JsValue> {
        encode(self.model.tokenizer(), text, add_special, parse_special)
    }

    /// The ids of a conversation, as [`Self::chat`] would give them to the model.
    #[wasm_bindgen(js_name = tokenizeChat)]
    pub fn tokenize_chat(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Message[]")] messages: JsValue,
        #[wasm_bindgen(unchecked_param_type = "TemplateOptions")] options: JsValue,
    ) -> Result<Vec<u32>, JsValue> {
        let encode = || {
            let messages: Vec<ChatMessage> = from_js(messages, "the messages")?;
            let options = on_this_clock(options_from_js::<ChatRequest>(options)?.check()?);
            Ok(self.model.tokenizer().encode_chat(&messages, &options)?.ids)
        };
        encode().map_err(thrown)
    }

    pub fn detokenize(&self, tokens: &[u32], skip_special: bool) -> Result<String, JsValue> {
        decode(self.model.tokenizer(), tokens, skip_special)
    }

    /// How likely each token of a text is after those before it.
    #[wasm_bindgen(unchecked_return_type = "Score")]
    pub async fn score(&self, text: String, cancel: &WebCancel) -> Result<JsValue, JsValue> {
        let score = self.model.score(&text, cancel.flag()).await.map_err(thrown)?;
        to_js(&score)
    }

    /// The likeliest texts behind a prompt as wholes, best first, and the steps of the search where they were asked for.
    #[wasm_bindgen(unchecked_return_type = "FoundBeams")]
    pub async fn beams(
        &self,
        prompt: String,
        #[wasm_bindgen(unchecked_param_type = "BeamRequest")] options: JsValue,
        cancel: &WebCancel,
    ) -> Result<JsValue, JsValue> {
        let options = options_from_js::<BeamRequest>(options).and_then(BeamRequest::check).map_err(thrown)?;
        let found = self.model.beams(&prompt, options, cancel.flag()).await.map_err(thrown)?;
        to_js(&found)
    }

    /// A conversation as a file, with what the page keeps of it.
    #[wasm_bindgen(unchecked_return_type = "Uint8Array<ArrayBuffer>")]
    pub async fn save(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Message[]")] messages: JsValue,
        #[wasm_bindgen(unchecked_param_type = "TemplateOptions")] options: JsValue,
        page: String,
        cancel: &WebCancel,
    ) -> Result<JsValue, JsValue> {
        let messages: Vec<ChatMessage> = from_js(messages, "the messages").map_err(thrown)?;
        let options = options_from_js::<ChatRequest>(options).and_then(ChatRequest::check).map_err(thrown)?;
        let saved = self.model.save(&messages, &on_this_clock(options), page, cancel.flag()).await.map_err(thrown)?;
        Ok(Uint8Array::from(saved.as_slice()).into())
    }

    /// What the page kept of a saved conversation, whose computed states are brought back.
    pub async fn restore(&self, file: Vec<u8>, other_model: bool, cancel: &WebCancel) -> Result<String, JsValue> {
        self.model.restore(&file, other_model, cancel.flag()).await.map_err(thrown)
    }

    /// Where the time of a decode step goes, the longest part first.
    #[wasm_bindgen(unchecked_return_type = "StepPart[]")]
    pub async fn profile(&self, steps: u32, cancel: &WebCancel) -> Result<JsValue, JsValue> {
        let parts = self.model.profile(steps as usize, cancel.flag()).await.map_err(thrown)?;
        to_js(&parts)
    }

    /// The `k` likeliest tokens after a text, likeliest first.
    #[wasm_bindgen(unchecked_return_type = "Next[]")]
    pub async fn next(&self, text: String, k: f64, cancel: &WebCancel) -> Result<JsValue, JsValue> {
        if k.fract() != 0.0 || k < 1.0 {
            return Err(thrown(Error::bad_argument(format!("k is {k}, but must be a whole number from 1"))));
        }
        let candidates = self.model.next(&text, k as usize, cancel.flag()).await.map_err(thrown)?;
        to_js(&candidates.into_iter().map(told).collect::<Vec<_>>())
    }
}

pub(super) fn told(c: Candidate) -> Next {
    Next { token: c.token, text: c.text, logprob: c.logprob, probability: c.logprob.exp() }
}

impl Model {
    fn begin(
        &self,
        options: JsValue,
        form: Option<JsForm>,
        draft: Option<Draft>,
        begin: impl FnOnce(GenerateOptions, Cancel) -> Result<Samples>,
    ) -> Result<Generation, JsValue> {
        let cancel = Cancel::new();
        let held = |samples: Samples| match form {
            Some(form) => samples.held_to(form.form()),
            None => Ok(samples),
        };
        let samples = options_from_js::<GenerateRequest>(options)
            .and_then(|request| request.check(&self.model.info().sampling.options()))
            .and_then(|options| begin(options, cancel.clone()))
            .and_then(held)
            .and_then(|samples| match draft {
                Some(Draft(model)) => samples.drafted_by(&model),
                None => Ok(samples),
            })
            .map_err(thrown)?;
        let summary = RefCell::new(Summary::of(&samples));
        Ok(Generation { samples: Mutex::new(samples), cancel, summary })
    }
}

/// A generation that is pulled chunk by chunk, of one text or of several. Freeing it ends it.
#[wasm_bindgen]
pub struct Generation {
    samples: Mutex<Samples>,
    cancel: Cancel,
    summary: RefCell<Summary>,
}

/// What came of a generation.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    /// Of the text, or of several the same of all; nothing while one is written.
    finish_reason: Option<EndReason>,
    /// Of each text where `n` is above 1; what stands beside is of all together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    samples: Vec<SampleSummary>,
    #[serde(flatten)]
    stats: GenerationStats,
}

impl Summary {
    fn of(samples: &Samples) -> Self {
        let texts = samples.texts();
        let first = texts.first().and_then(|text| text.finish_reason);
        Self {
            finish_reason: first.filter(|first| texts.iter().all(|text| text.finish_reason == Some(*first))),
            samples: if texts.len() > 1 { texts.to_vec() } else { vec![] },
            stats: samples.stats(),
        }
    }
}

#[wasm_bindgen]
impl Generation {
    /// `undefined` at the end.
    #[wasm_bindgen(unchecked_return_type = "SampleEvent | undefined")]
    pub async fn next(&self) -> Result<JsValue, JsValue> {
        let mut samples = self.samples.lock().await;
        let event = samples.next().await;
        self.summary.replace(Summary::of(&samples));
        match event.map_err(thrown)? {
            Some(event) => to_js(&event),
            None => Ok(JsValue::UNDEFINED),
        }
    }

    /// The `next` under way ends at once, with text that was held back or `undefined`.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Goes on with the same model on another device, after `next` said "device-lost".
    #[wasm_bindgen(js_name = moveTo)]
    pub async fn move_to(&self, model: &Model) {
        self.samples.lock().await.move_to(model.model.clone());
    }

    /// As far as it has come.
    #[wasm_bindgen(unchecked_return_type = "SamplesSummary")]
    pub fn summary(&self) -> Result<JsValue, JsValue> {
        to_js(&*self.summary.borrow())
    }
}
