//! The one error type of the crate: a stable code, a sentence that says what to do, and a cause.
//!
//! The codes are part of the published face (`VitrineError.code` in JavaScript); they never change meaning.

use std::fmt;

/// What went wrong, as a word that programs may match on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The file is sound, but its architecture, quantisation or tokenizer is not one that Vitrine runs.
    UnsupportedModel,
    /// The file is damaged: cut short, a wrong magic, impossible counts, offsets or numbers.
    CorruptFile,
    /// The device or the process has no room for what was asked.
    OutOfMemory,
    /// The GPU went away (driver reset, tab in the background, watchdog).
    DeviceLost,
    /// The GPU computes wrong numbers or refuses its kernels, as a faulty driver does.
    DeviceFaulty,
    /// The caller's `AbortSignal` fired.
    Aborted,
    /// An address could not be read: no answer, a refusal, or an answer of the wrong kind.
    Network,
    /// The caller passed something that cannot be: a wrong type, range, or shape.
    BadArgument,
    /// The prompt and what should follow do not fit the model's context.
    ContextOverflow,
    /// The cache in the browser's storage could not be read or written.
    Storage,
    /// The model or the engine was unloaded or closed.
    Closed,
    /// A graph was built with shapes that do not fit, or a backend met an operation it cannot run.
    InvalidGraph,
    /// A fault of Vitrine's own.
    Internal,
}

impl ErrorCode {
    /// The word that JavaScript sees.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnsupportedModel => "unsupported-model",
            Self::CorruptFile => "corrupt-file",
            Self::OutOfMemory => "out-of-memory",
            Self::DeviceLost => "device-lost",
            Self::DeviceFaulty => "device-faulty",
            Self::Aborted => "aborted",
            Self::Network => "network",
            Self::BadArgument => "bad-argument",
            Self::ContextOverflow => "context-overflow",
            Self::Storage => "storage",
            Self::Closed => "closed",
            Self::InvalidGraph => "invalid-graph",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error with a stable code and a sentence that says what happened and what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    code: ErrorCode,
    message: String,
    #[source]
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! constructors {
    ($($name:ident => $code:ident),* $(,)?) => {$(
        #[doc = concat!("An error with the code `", stringify!($code), "`.")]
        pub fn $name(message: impl Into<String>) -> Self {
            Self::new(ErrorCode::$code, message)
        }
    )*};
}

impl Error {
    /// An error without a cause.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), cause: None }
    }

    /// The same error, with what lay beneath it.
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    constructors! {
        unsupported_model => UnsupportedModel,
        corrupt_file => CorruptFile,
        out_of_memory => OutOfMemory,
        device_lost => DeviceLost,
        device_faulty => DeviceFaulty,
        aborted => Aborted,
        network => Network,
        bad_argument => BadArgument,
        context_overflow => ContextOverflow,
        storage => Storage,
        closed => Closed,
        invalid_graph => InvalidGraph,
        internal => Internal,
    }
}
