//! Text in, text out: tokenizers, chat templates, and the loop that lets a model write.
//!
//! ```text
//! text ──▶ Tokenizer ──▶ ids ──▶ TextModel (prefill, decode …) ──▶ ids ──▶ Detokenizer ──▶ StopMatcher ──▶ text
//! ```
//!
//! Uses `weights` (a file's metadata), `models` (its graphs) and the face of `backend`; knows neither of the two backends nor
//! JavaScript. Promises: the same seed gives the same text on the same device; no half character and no part of a stop string is
//! ever shown; an aborted or dropped generation leaves its model as usable as before.

mod batch;
mod beams;
mod chat;
mod clock;
pub(crate) mod constraint;
mod contrastive;
mod conversation;
mod defaults;
mod detokenizer;
mod draft;
mod encoder;
mod framing;
mod generate;
mod guesses;
mod guide;
mod info;
mod kept;
mod logits;
mod model;
mod options;
mod ranges;
mod samples;
mod sampling;
mod saved;
mod session;
mod steps;
mod stop;
mod template;
mod tokenizer;

pub use beams::{Beam, BeamOptions, BeamRequest, Beams, Branch, EarlyStopping};
pub use chat::{ChatMessage, ChatOptions, ChatRequest};
pub use constraint::{Constraint, Matcher};
pub use contrastive::Contrastive;
pub use defaults::SamplingDefaults;
pub use detokenizer::Detokenizer;
pub(crate) use encoder::find_encoder;
pub use encoder::{EmbedOptions, Encoder, EncoderInfo, EncoderStats, Encoding, Input, Labelling, PoolingName};
pub use framing::Framed;
pub use generate::{Considered, EndReason, Generation, TokenEvent, Trace};
pub use info::{GenerationStats, TextModelInfo, TextModelStats};
pub use logits::Candidate;
pub use model::{Beginning, LoadOptions, Score, ScoredToken, Text, TextModel};
pub(crate) use model::{find_model, usual_context};
pub use options::{GenerateOptions, GenerateRequest, MOST_ALTERNATIVES, Overflow, Strings};
pub use samples::{Form, SampleEvent, SampleSummary, Samples};
pub use sampling::{Dry, DynamicTemperature, Mirostat, Xtc};
pub use stop::StopMatcher;
pub use template::ChatTemplate;
pub use tokenizer::{EncodeOptions, Pair, SpecialTokens, Tokenizer};
pub use vitrine_jinja::{Json, LocalTime};
