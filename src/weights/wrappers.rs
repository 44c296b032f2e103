//! Names that training puts around a model's own: a model that was compiled, spread over devices or fine-tuned is often saved from
//! within its wrapper.

use super::contents::{TensorInfo, shown};
use crate::{Error, Result};

/// Of `torch.compile`, FSDP and checkpointed activations: around the model or any layer.
const ANYWHERE: [&str; 3] = ["_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."];
/// Of data parallelism, and of PEFT: around the whole model.
const AROUND: [&str; 2] = ["module.", "base_model.model."];
/// Ends of the small matrices that a LoRA (arXiv 2106.09685) adds to a model's own.
const ADAPTERS: [&str; 4] = [".lora_A.", ".lora_B.", ".lora_down.", ".lora_up."];

/// Takes the wrappers off the names of one file's tensors.
///
/// Errors: `unsupported-model` where a tensor is an adapter's, which changes another model or is not merged into this one.
pub(super) fn take_off(file: &str, tensors: &mut [TensorInfo]) -> Result<()> {
    if let Some(tensor) = tensors.iter().find(|tensor| ADAPTERS.iter().any(|mark| tensor.name.contains(mark))) {
        return Err(Error::unsupported_model(format!(
            "{file}: tensor {} is a LoRA adapter's, which changes another model; merge it into that model (with PEFT: \
             merge_and_unload()) and give what is saved then",
            shown(&tensor.name)
        )));
    }
    for tensor in tensors.iter_mut() {
        for wrapper in ANYWHERE {
            if tensor.name.contains(wrapper) {
                tensor.name = tensor.name.replace(wrapper, "");
            }
        }
    }
    while let Some(wrapper) = AROUND.iter().find(|wrapper| tensors.iter().all(|t| t.name.starts_with(**wrapper))) {
        // An empty list has any beginning.
        if tensors.is_empty() {
            break;
        }
        for tensor in tensors.iter_mut() {
            tensor.name.drain(..wrapper.len());
        }
    }
    Ok(())
}
