"""Writes tests/fixtures/sdxl_paintings.json: what diffusers' pipelines of Stable Diffusion XL paint from words, from pictures, in a part, in few bits
and by latent consistency.

    python make_sdxl_paintings_fixture.py

`tiny` is the model of tests/fixtures/tiny_sdxl. The others are wide enough for blocks of 32 and have weights that follow from their names
(hashed_weights.py); their tokenizers, autoencoder and schedule are the tiny one's. What is in few bits has its matrices quantised as src/weights/encode.rs
does, and is painted with the numbers that come back. All noise is Vitrine's own, in the order in which it draws; pictures are in eight bits.
"""

from __future__ import annotations

import copy
import json

import numpy as np
import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, LCMScheduler, StableDiffusionXLImg2ImgPipeline, StableDiffusionXLInpaintPipeline, StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl_img2img as from_picture
from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl_inpaint as in_part
from diffusers.schedulers import scheduling_lcm
from hashed_weights import fill
from house_noise import noise
from make_tiny_sdxl_fixture import OUT as TINY
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

PROMPT, NEGATIVE, SEED, WIDTH, HEIGHT = "the fox, in a SNOW", "night", 5, 32, 24
VOCABULARY, PROJECTED, SIZE_COLUMNS = 526, 32, 16
FIRST = {"vocab_size": VOCABULARY, "max_position_embeddings": 16, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "hidden_act": "quick_gelu", "bos_token_id": 524, "eos_token_id": 525}
SECOND = {**FIRST, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4, "hidden_act": "gelu", "projection_dim": PROJECTED, "eos_token_id": 2}
UNET = {"in_channels": 4, "out_channels": 4, "sample_size": 16, "block_out_channels": [32, 64], "layers_per_block": 1, "norm_num_groups": 8, "cross_attention_dim": 96, "attention_head_dim": [2, 4], "transformer_layers_per_block": [1, 2], "use_linear_projection": True, "addition_embed_type": "text_time", "addition_time_embed_dim": SIZE_COLUMNS, "projection_class_embeddings_input_dim": PROJECTED + 6 * SIZE_COLUMNS, "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"], "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"]}
UNETS = {"wide": UNET, "lcm": {**UNET, "time_cond_proj_dim": 32}, "inpainting": {**UNET, "in_channels": 9}}
LCM = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "original_inference_steps": 50, "timestep_scaling": 10.0}

drawn = 0


def draw(*_, **__) -> torch.Tensor:
    """The next latent of the seed's noise, [1, 4, height / 2, width / 2]."""
    global drawn
    drawn += 1
    rows = noise(SEED, drawn * WIDTH * HEIGHT)[-WIDTH * HEIGHT :]
    return torch.from_numpy(rows).reshape(1, HEIGHT // 2, WIDTH // 2, 4).permute(0, 3, 1, 2)


def given() -> torch.Tensor:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    bytes_ = np.stack([x * 7, y * 9, 255 - 4 * x - 5 * y], axis=0).astype(np.uint8)
    return torch.from_numpy(bytes_.astype(np.float32) / 255)[None]


def right_half() -> torch.Tensor:
    mask = torch.zeros(1, 1, HEIGHT, WIDTH)
    mask[..., WIDTH // 2 :] = 1
    return mask


def rounded(x: np.ndarray) -> np.ndarray:
    """Half away from zero."""
    return np.trunc(x + np.copysign(np.float32(0.5), x))


def through_blocks(rows: np.ndarray, bits: int) -> np.ndarray:
    """Blocks of 32, f32 `[n, 32]`, quantised as Q8_0 or Q4_0 and back."""
    at = np.abs(rows).argmax(axis=1, keepdims=True)
    farthest = np.take_along_axis(rows, at, axis=1)
    scale = (np.abs(farthest) / np.float32(127) if bits == 8 else farthest / np.float32(-8)).astype(np.float16).astype(np.float32)
    inverse = np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=scale != 0)
    if bits == 8:
        return np.clip(rounded(rows * inverse), -127, 127) * scale
    return (np.clip(rounded(rows * inverse + np.float32(8)), 0, 15) - 8) * scale


def quantised(model: nn.Module, bits: int) -> nn.Module:
    """A copy with every matrix whose rows are whole blocks quantised and back; a convolution's row is [height · width · in]."""
    model, count = copy.deepcopy(model), 0
    for p in model.parameters():
        order = (0, 2, 3, 1) if p.ndim == 4 else tuple(range(p.ndim))
        rows = p.detach().permute(*order)
        if p.ndim < 2 or rows[0].numel() % 32:
            continue
        blocks = through_blocks(rows.contiguous().numpy().reshape(-1, 32), bits)
        p.copy_(torch.from_numpy(blocks).reshape(rows.shape).permute(*np.argsort(order).tolist()))
        count += 1
    print(type(model).__name__, count, "matrices in", bits, "bits")
    return model


def text_encoder(kind: type, config: dict, folder: str) -> nn.Module:
    model = kind(CLIPTextConfig(**config))
    below = "" if any(name.startswith("text_model.") for name, _ in model.named_parameters()) else "text_model."
    return fill(model, f"{folder}.{below}")


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(1)
    tokenizers = {name: CLIPTokenizer(str(TINY / name / "vocab.json"), str(TINY / name / "merges.txt"), model_max_length=16, pad_token=pad) for name, pad in (("tokenizer", "<|endoftext|>"), ("tokenizer_2", "!"))}
    vae = AutoencoderKL.from_pretrained(TINY / "vae", torch_dtype=torch.float32)
    euler = EulerDiscreteScheduler.from_pretrained(TINY / "scheduler")
    shared = {"vae": vae, **tokenizers, "force_zeros_for_empty_prompt": True}
    first = text_encoder(CLIPTextModel, FIRST, "text_encoder")
    second = text_encoder(CLIPTextModelWithProjection, SECOND, "text_encoder_2")
    texts = {"text_encoder": first, "text_encoder_2": second}
    unets = {name: fill(UNet2DConditionModel(**config)) for name, config in UNETS.items()}
    tiny = {"text_encoder": CLIPTextModel.from_pretrained(TINY / "text_encoder", dtype=torch.float32), "text_encoder_2": CLIPTextModelWithProjection.from_pretrained(TINY / "text_encoder_2", dtype=torch.float32), "unet": UNet2DConditionModel.from_pretrained(TINY / "unet", torch_dtype=torch.float32)}
    models = {"tiny": tiny} | {name: {**texts, "unet": unet} for name, unet in unets.items()}
    models |= {f"q{bits}_0": {name: quantised(part, bits) for name, part in models["wide"].items()} for bits in (8, 4)}

    from_picture.randn_tensor = in_part.randn_tensor = scheduling_lcm.randn_tensor = draw
    # The latent of a picture is the likeliest, not drawn.
    from_picture.retrieve_latents = in_part.retrieve_latents = lambda encoded, **_: encoded.latent_dist.mode()
    paintings = []

    def paint(model: str, steps: int, guidance: float, negative: str = "", strength: float | None = None, masked: bool = False) -> None:
        global drawn
        drawn = 0
        kind = StableDiffusionXLPipeline if strength is None else StableDiffusionXLInpaintPipeline if masked else StableDiffusionXLImg2ImgPipeline
        scheduler = LCMScheduler(**LCM) if model == "lcm" else euler
        made = kind(**shared, **models[model], scheduler=scheduler, add_watermarker=False)
        made.set_progress_bar_config(disable=True)
        asked = {"prompt": PROMPT, "num_inference_steps": steps, "guidance_scale": guidance, "output_type": "pt"}
        if negative:
            asked["negative_prompt"] = negative
        if strength is None:
            asked |= {"width": WIDTH, "height": HEIGHT, "latents": draw()}
        else:
            asked |= {"image": given(), "strength": strength}
        if masked:
            asked |= {"mask_image": right_half(), "width": WIDTH, "height": HEIGHT}
        images = made(**asked).images
        picture = (images[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8).tobytes().hex()
        told = {"model": model, "prompt": PROMPT, "negative": negative, "steps": steps, "guidance": guidance} | ({} if strength is None else {"strength": strength, "masked": masked})
        paintings.append(told | {"picture": picture})
        print(told, f"std {images.std():.3f}")

    for negative, guidance in ((NEGATIVE, 3.0), (NEGATIVE, 9.0), ("", 7.0), ("", 1.0)):
        paint("tiny", 4, guidance, negative)
    for strength in (0.5, 1.0):
        paint("tiny", 4, 5.0, NEGATIVE, strength)
    paint("tiny", 5, 5.0, "", 0.6)
    for strength in (0.6, 1.0):
        paint("tiny", 5, 5.0, NEGATIVE, strength, masked=True)
    for model in ("wide", "q8_0", "q4_0"):
        paint(model, 4, 5.0, NEGATIVE)
    paint("wide", 4, 5.0, NEGATIVE, 0.75)
    paint("inpainting", 4, 5.0, NEGATIVE, 1.0, masked=True)
    paint("lcm", 4, 8.0)
    paint("lcm", 2, 1.5)
    paint("lcm", 4, 4.0, strength=0.5)
    configs = {"text_encoder": {**FIRST, "architectures": ["CLIPTextModel"]}, "text_encoder_2": {**SECOND, "architectures": ["CLIPTextModelWithProjection"]}}
    configs |= {name: {"_class_name": "UNet2DConditionModel", **config} for name, config in UNETS.items()}
    configs["schedule of lcm"] = {"_class_name": "LCMScheduler", **LCM}
    lines = [json.dumps(each, separators=(",", ":")) for each in paintings]
    text = f'{{"configs":{json.dumps(configs, separators=(",", ":"))},\n"paintings":[\n' + ",\n".join(lines) + "\n]}\n"
    (TINY.parent / "sdxl_paintings.json").write_text(text)


if __name__ == "__main__":
    main()
