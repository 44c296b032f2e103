//! What files call the weights of a language model.

use crate::{
    Error, Result,
    models::{Form, Origin, Tensors},
};

/// The token embedding, which every model has once.
const EMBEDDING: &str = "token_embd";

/// What a family's files call weights that are called here as in llama.cpp, in stems without `.weight` or `.bias` where they have such an end.
#[derive(Debug, PartialEq)]
pub struct Names {
    /// Stands before all but the head.
    pub prefix: &'static str,
    /// What a model has once: its name here, below the prefix, and what its matrix or vector there is to that of here. Another weight is called as it is
    /// here.
    pub whole: &'static [Named],
    /// Stands before a layer's number, below the prefix.
    pub layers: &'static str,
    /// What each layer has: its name here behind `blk.N.`, and there behind the number.
    pub parts: &'static [Named],
}

/// A name here, the file's, and what the file's matrix or vector is to that of here.
pub type Named = (&'static str, &'static str, Form);

/// llama.cpp's names, for all families.
pub(super) const GGUF: Names = Names { prefix: "", whole: &[], layers: "blk.", parts: &[] };

/// The head stands beside the transformer: no prefix is its.
const HEAD: &str = "output";

impl Names {
    /// What the file calls a weight, prefix and all.
    fn origin(&self, weight: &str) -> Origin {
        let end = [".weight", ".bias"].into_iter().find(|end| weight.ends_with(end)).unwrap_or("");
        let stem = &weight[..weight.len() - end.len()];
        let named = |list: &'static [Named], here: &str| list.iter().find(|(name, ..)| *name == here);
        let whole = |name: String, form: Form| Origin { name, form: if end == ".bias" { Form::Whole } else { form } };
        if let Some((_, there, form)) = named(self.whole, stem) {
            let prefix = if stem == HEAD { "" } else { self.prefix };
            return whole(format!("{prefix}{there}{end}"), *form);
        }
        let layer = stem.strip_prefix("blk.").and_then(|rest| rest.split_once('.'));
        match layer.and_then(|(i, here)| Some((i, named(self.parts, here)?))) {
            Some((i, (_, there, form))) => whole(format!("{}{}{i}.{there}{end}", self.prefix, self.layers), *form),
            None => Origin::same(weight),
        }
    }
}

/// Where in a file a model's weights stand: behind the prefix that [`Names`] give them, behind another (one model of several, a trainer's
/// own class), or behind none (a base model saved without its head).
pub(super) struct Place {
    names: &'static Names,
    /// The file's prefix.
    here: String,
}

impl Place {
    /// Told by the embedding of tokens, which every model has once.
    ///
    /// Errors: `unsupported-model` that names the prefixes of several embeddings, or the weights of a layout that is none of these.
    pub fn of(names: &'static Names, tensors: &dyn Tensors) -> Result<Self> {
        let usual = names.prefix;
        let embedding = names.origin(&format!("{EMBEDDING}.weight")).name;
        let bare = embedding.strip_prefix(usual).unwrap_or(&embedding);
        let behind = |prefix: &str| Self { names, here: prefix.into() };
        if tensors.tensor(&embedding).is_some() {
            return Ok(behind(usual));
        }
        if tensors.tensor(bare).is_some() {
            return Ok(behind(""));
        }
        let others = tensors.names_ending(&format!(".{bare}"));
        match others.as_slice() {
            [one] => Ok(behind(one.strip_suffix(bare).unwrap_or_default())),
            // Perhaps a part is missing, which the weights say one by one.
            [] if usual.is_empty() || tensors.names_ending("").iter().any(|name| name.starts_with(usual)) => {
                Ok(behind(usual))
            }
            [] => match tensors.names_ending("").first() {
                Some(first) => Err(Error::unsupported_model(format!(
                    "the weights are called as in {first}, where {embedding} and the like are known; save the model with transformers' \
                     save_pretrained()"
                ))),
                None => Ok(behind(usual)),
            },
            several => Err(Error::unsupported_model(format!(
                "the file holds several models, by their prefixes: {}; save one of them by itself",
                several.join(", ")
            ))),
        }
    }

    /// Where the file keeps a weight.
    pub fn origin(&self, weight: &str, tensors: &dyn Tensors) -> Origin {
        let Origin { name, form } = self.names.origin(weight);
        let usual = self.names.prefix;
        let head = weight.strip_prefix(HEAD).is_some_and(|rest| rest.starts_with('.'));
        if let Some(rest) = name.strip_prefix(usual).filter(|_| !head) {
            return Origin { name: format!("{}{rest}", self.here), form };
        }
        // The head stands outside the transformer, behind what stands before that.
        let outer = format!("{}{name}", self.here.strip_suffix(usual).unwrap_or(&self.here));
        Origin { name: if tensors.tensor(&outer).is_some() { outer } else { name }, form }
    }
}
