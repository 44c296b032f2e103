//! Which files belong to a model.
