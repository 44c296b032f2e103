//! Schedulers and their settings, weighted prompts.
