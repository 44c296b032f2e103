//! The pieces of WGSL that several kernels include.

use std::borrow::Cow;

/// The text of the piece called `name`.
pub fn snippet(name: &str) -> Option<Cow<'static, str>> {
    let text = match name {
        "step" => return Some(Cow::Owned(super::kernels::step::wgsl())),
        "reduce" => include_str!("kernels/reduce.wgsl"),
        "cos_sin" => include_str!("kernels/cos_sin.wgsl"),
        "unary" => include_str!("kernels/unary.wgsl"),
        "stand" => include_str!("kernels/stand.wgsl"),
        "keys_seen" => include_str!("kernels/keys_seen.wgsl"),
        "keys_between" => include_str!("kernels/keys_between.wgsl"),
        "attention_softcap" => include_str!("kernels/attention_softcap.wgsl"),
        "attention_bias" => include_str!("kernels/attention_bias.wgsl"),
        "linear_weight" => include_str!("kernels/linear_weight.wgsl"),
        "linear_gather" => include_str!("kernels/linear_gather.wgsl"),
        "linear_input" => include_str!("kernels/linear_input.wgsl"),
        "linear_software_input" => include_str!("kernels/linear_software_input.wgsl"),
        "linear_output" => include_str!("kernels/linear_output.wgsl"),
        _ => return None,
    };
    Some(Cow::Borrowed(text))
}
