//! What chat templates see and may call.
