"""Stable Diffusion XL as small as it can be, saved as it is published, and what diffusers paints with it.

    python make_tiny_sdxl_fixture.py      # writes ../tests/fixtures/tiny_sdxl/

Random weights in F16: two text encoders with a tokenizer each (the second pads with "!"), a U-Net without attention in its finest level. Two
schedules share the parts: `scheduler/`, the base model's, and `turbo/`, that of SDXL-Turbo.
"""

from __future__ import annotations

import json
import shutil

import torch
from diffusers import EulerAncestralDiscreteScheduler, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

from make_pipeline_fixture import OUT as PIPELINE
from make_pipeline_fixture import first_latents, rounded, small_text_encoder, small_vae, write_tokenizer

OUT = PIPELINE.parent / "tiny_sdxl"
PROMPT, NEGATIVE, SEED, STEPS, GUIDANCE, WIDTH, HEIGHT = "the fox, in a SNOW", "night", 5, 5, 5.0, 48, 32
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
PROJECTED, SIZE_COLUMNS = 20, 8


def second_text_encoder() -> tuple[CLIPTokenizer, CLIPTextModelWithProjection]:
    """OpenCLIP in small. Its end is the largest of the ids: so says the 2 that published files have for it."""
    vocabulary = write_tokenizer(OUT / "tokenizer_2")
    settings = OUT / "tokenizer_2/tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"pad_token": "!"}) + "\n")
    tokenizer = CLIPTokenizer(str(OUT / "tokenizer_2/vocab.json"), str(OUT / "tokenizer_2/merges.txt"), model_max_length=16, pad_token="!")
    text = CLIPTextModelWithProjection(CLIPTextConfig(vocab_size=vocabulary, max_position_embeddings=16, hidden_size=24, intermediate_size=48, num_hidden_layers=3, num_attention_heads=3, hidden_act="gelu", projection_dim=PROJECTED, bos_token_id=0, eos_token_id=2, pad_token_id=1))
    for parameter in text.parameters():
        if parameter.ndim == 2:
            parameter.normal_(0, 0.5)
    return tokenizer, text


@torch.no_grad()
def main() -> None:
    torch.manual_seed(29)
    torch.set_num_threads(1)
    shutil.rmtree(OUT, ignore_errors=True)
    tokenizer, text = small_text_encoder(OUT / "tokenizer")
    second_tokenizer, second = second_text_encoder()
    unet = UNet2DConditionModel(sample_size=16, block_out_channels=(8, 16, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=16 + 24, attention_head_dim=(1, 2, 4), transformer_layers_per_block=(1, 2, 3), use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=SIZE_COLUMNS, projection_class_embeddings_input_dim=PROJECTED + 6 * SIZE_COLUMNS, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"))
    vae = small_vae()
    vae.register_to_config(scaling_factor=0.13025)
    text, second, unet, vae = map(rounded, (text, second, unet, vae))
    base = EulerDiscreteScheduler(**SCHEDULE, timestep_spacing="leading")
    turbo = EulerAncestralDiscreteScheduler(**SCHEDULE, timestep_spacing="trailing")
    pipeline = StableDiffusionXLPipeline(unet=unet, vae=vae, text_encoder=text, text_encoder_2=second, tokenizer=tokenizer, tokenizer_2=second_tokenizer, scheduler=base, force_zeros_for_empty_prompt=True, add_watermarker=False)
    pipeline.set_progress_bar_config(disable=True)
    wish = {"prompt": PROMPT, "width": WIDTH, "height": HEIGHT, "output_type": "pt"}
    begin = lambda: {"latents": first_latents(SEED, WIDTH, HEIGHT)}
    guided = {"num_inference_steps": STEPS, "guidance_scale": GUIDANCE}
    pictures = {
        "picture": pipeline(**wish, **begin(), **guided, negative_prompt=NEGATIVE).images,
        "nothing_left_out": pipeline(**wish, **begin(), **guided).images,
    }
    pipeline.scheduler = turbo
    pictures["turbo"] = pipeline(**wish, **begin(), num_inference_steps=1, guidance_scale=0.0).images

    for name, model in (("text_encoder", text), ("text_encoder_2", second), ("unet", unet), ("vae", vae)):
        model.half().save_pretrained(OUT / name)
    base.save_pretrained(OUT / "scheduler")
    turbo.save_pretrained(OUT / "turbo")
    index = {"_class_name": "StableDiffusionXLPipeline", "force_zeros_for_empty_prompt": True, "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"], "text_encoder": ["transformers", "CLIPTextModel"], "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"], "tokenizer": ["transformers", "CLIPTokenizer"], "tokenizer_2": ["transformers", "CLIPTokenizer"], "scheduler": ["diffusers", "EulerDiscreteScheduler"]}
    (OUT / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    save_file({name: picture[0].permute(1, 2, 0).contiguous() for name, picture in pictures.items()}, OUT / "reference.safetensors")
    (OUT / "reference.safetensors").chmod(0o644)
    print({name: float(picture.std()) for name, picture in pictures.items()})


if __name__ == "__main__":
    main()
