"""A pipeline pruned as BK-SDM-Tiny is (three levels, one layer each, no middle), saved as segmind/tiny-sd is: in PyTorch's own files, in half precision.

    python make_tiny_sd_fixture.py      # writes ../tests/fixtures/tiny_sd/

Random weights. The U-Net's convolutions lie in `channels_last` and its cross-attention's keys are views of transposes, for the published
file holds tensors that are not contiguous either; position ids stand among the text encoder's weights, under the names of older transformers.
"""

from __future__ import annotations

import json
import shutil
from collections import OrderedDict

import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import save_file

from make_pipeline_fixture import OUT as PIPELINE
from make_pipeline_fixture import first_latents, rounded, small_text_encoder, small_vae

OUT = PIPELINE.parent / "tiny_sd"
PROMPT, NEGATIVE, SEED, STEPS, GUIDANCE, WIDTH, HEIGHT = "the fox in a night", "snow", 3, 6, 7.5, 48, 32
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


def save(name: str, model: torch.nn.Module, change=lambda name, tensor: (name, tensor), **extra: torch.Tensor) -> None:
    """The model's configuration, and its weights in half precision as `torch.save` writes them."""
    folder = OUT / name
    folder.mkdir(parents=True)
    config = model.config.to_dict() if hasattr(model.config, "to_dict") else {"_class_name": type(model).__name__, **model.config}
    keep = {k: v for k, v in config.items() if k == "_class_name" or not k.startswith("_")}
    (folder / "config.json").write_text(json.dumps(keep | ({"architectures": [type(model).__name__]} if name == "text_encoder" else {}), indent=1, default=list) + "\n")
    state = OrderedDict(change(key, tensor) for key, tensor in model.half().state_dict().items())
    torch.save(OrderedDict(**extra, **state), folder / ("pytorch_model.bin" if name == "text_encoder" else "diffusion_pytorch_model.bin"))


def strewn(name: str, tensor: torch.Tensor) -> tuple[str, torch.Tensor]:
    if tensor.ndim == 4:
        return name, tensor.contiguous(memory_format=torch.channels_last)
    return name, tensor.t().contiguous().t() if name.endswith("attn2.to_k.weight") else tensor


@torch.no_grad()
def main() -> None:
    torch.manual_seed(23)
    torch.set_num_threads(1)
    shutil.rmtree(OUT, ignore_errors=True)
    tokenizer, text = small_text_encoder(OUT / "tokenizer")
    unet = UNet2DConditionModel(sample_size=16, block_out_channels=(8, 16, 16), layers_per_block=1, mid_block_type=None, norm_num_groups=4, cross_attention_dim=16, attention_head_dim=2, down_block_types=("CrossAttnDownBlock2D",) * 3, up_block_types=("CrossAttnUpBlock2D",) * 3)
    vae = small_vae()
    text, unet, vae = map(rounded, (text, unet, vae))
    scheduler = DPMSolverMultistepScheduler(**SCHEDULE)
    pipeline = StableDiffusionPipeline(unet=unet, vae=vae, text_encoder=text, tokenizer=tokenizer, scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    latents = first_latents(SEED, WIDTH, HEIGHT)
    picture = pipeline(prompt=PROMPT, negative_prompt=NEGATIVE, num_inference_steps=STEPS, guidance_scale=GUIDANCE, width=WIDTH, height=HEIGHT, latents=latents, output_type="pt").images

    older = lambda name, tensor: (name if name.startswith("text_model.") else f"text_model.{name}", tensor)
    save("text_encoder", text, older, **{"text_model.embeddings.position_ids": torch.arange(16).expand(1, -1)})
    save("unet", unet, strewn)
    save("vae", vae)
    scheduler.save_pretrained(OUT / "scheduler")
    index = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"], "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"], "scheduler": ["diffusers", "DPMSolverMultistepScheduler"]}
    (OUT / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    save_file({"picture": picture[0].permute(1, 2, 0).contiguous()}, OUT / "reference.safetensors")
    (OUT / "reference.safetensors").chmod(0o644)
    views = [k for k, t in unet.state_dict().items() if not strewn(k, t)[1].is_contiguous()]
    print(picture.std(), len(views), "views")


if __name__ == "__main__":
    main()
