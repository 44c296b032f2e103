"""A whole pipeline of diffusers, as small as one can be, saved as they are published, and what it paints.

    python make_pipeline_fixture.py      # writes ../tests/fixtures/pipeline/

Random weights in F16. Two U-Nets share the other parts: `unet/`, and `inpainting/`, which was "trained" to fill in (nine channels).
The noise is Vitrine's own (src/image/noise.rs), so that the same seed gives the same picture on both sides.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from house_noise import noise

OUT = Path(__file__).parent.parent / "tests/fixtures/pipeline"
WORDS = ["fox", "snow", "night", "the", "in", "a"]
PROMPT, NEGATIVE, SEED, STEPS, GUIDANCE, WIDTH, HEIGHT = "A fox, in the SNOW", "night", 7, 5, 5.0, 48, 32
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1, "clip_sample": False, "set_alpha_to_one": False}


def write_tokenizer(folder: Path) -> int:
    """CLIP's kind of vocabulary: every byte, every byte that ends a word, and merges that spell a few words. -> its size"""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {b: chr(b) for b in printable}
    table |= {b: chr(256 + i) for i, b in enumerate(b for b in range(256) if b not in table)}
    letters = [table[b] for b in [*printable, *(b for b in range(256) if b not in printable)]]
    tokens, merges = letters + [c + "</w>" for c in letters], []
    for word in WORDS:
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            merges.append(f"{parts[0]} {parts[1]}")
            parts = [parts[0] + parts[1], *parts[2:]]
            tokens.append(parts[0])
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    tokens = list(dict.fromkeys(tokens))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}, ensure_ascii=False, separators=(",", ":")) + "\n")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *dict.fromkeys(merges)]) + "\n")
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 16, "pad_token": "<|endoftext|>", "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config) + "\n")
    return len(tokens)


def rounded(model: torch.nn.Module) -> torch.nn.Module:
    """Weights as F16 holds them, in F32."""
    return model.half().float().eval()


def small_text_encoder(folder: Path) -> tuple[CLIPTokenizer, CLIPTextModel]:
    """CLIP in small with random weights, and its tokenizer, which is written into `folder`."""
    vocabulary = write_tokenizer(folder)
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16, pad_token="<|endoftext|>")
    start, end = vocabulary - 2, vocabulary - 1
    text = CLIPTextModel(CLIPTextConfig(vocab_size=vocabulary, max_position_embeddings=16, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, hidden_act="quick_gelu", bos_token_id=start, eos_token_id=end, pad_token_id=end))
    for parameter in text.parameters():
        if parameter.ndim == 2:
            parameter.normal_(0, 0.5)
    return tokenizer, text


def small_vae() -> AutoencoderKL:
    return AutoencoderKL(block_out_channels=(8, 16), latent_channels=4, layers_per_block=1, norm_num_groups=4, sample_size=32, down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2)


def first_latents(seed: int, width: int, height: int) -> torch.Tensor:
    """The noise that Vitrine draws for a seed, [1, 4, height / 2, width / 2]."""
    return torch.from_numpy(noise(seed, width * height)).reshape(1, height // 2, width // 2, 4).permute(0, 3, 1, 2)


@torch.no_grad()
def main() -> None:
    torch.manual_seed(11)
    torch.set_num_threads(1)
    shutil.rmtree(OUT, ignore_errors=True)
    tokenizer, text = small_text_encoder(OUT / "tokenizer")
    shape = {"sample_size": 16, "out_channels": 4, "block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4, "cross_attention_dim": 16, "attention_head_dim": 2, "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D")}
    unet, filler = UNet2DConditionModel(in_channels=4, **shape), UNet2DConditionModel(in_channels=9, **shape)
    vae = small_vae()
    # diffusers draws what stays of a picture from the encoder's distribution; one without spread has a single latent.
    vae.quant_conv.weight[4:], vae.quant_conv.bias[4:] = 0, -30
    text, unet, filler, vae = map(rounded, (text, unet, filler, vae))
    scheduler = DDIMScheduler(**SCHEDULE)
    parts = {"vae": vae, "text_encoder": text, "tokenizer": tokenizer, "scheduler": scheduler, "safety_checker": None, "feature_extractor": None}
    pipeline = StableDiffusionPipeline(unet=unet, **parts, requires_safety_checker=False)
    latents = first_latents(SEED, WIDTH, HEIGHT)
    wish = {"prompt": PROMPT, "negative_prompt": NEGATIVE, "num_inference_steps": STEPS, "guidance_scale": GUIDANCE, "width": WIDTH, "height": HEIGHT, "latents": latents, "output_type": "pt"}
    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline(**wish).images

    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    given = np.stack([x * 5, y * 7, 255 - x * 2 - y * 3], axis=-1).astype(np.uint8)
    mask = ((x > 15) & (x < 36) & (y > 7)).astype(np.uint8) * 255
    pipeline = StableDiffusionInpaintPipeline(unet=filler, **parts, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    filled = pipeline(image=Image.fromarray(given), mask_image=Image.fromarray(mask), strength=1.0, **wish).images

    for name, model in (("unet", unet), ("inpainting", filler), ("vae", vae), ("text_encoder", text)):
        model.half().save_pretrained(OUT / name)
    scheduler.save_pretrained(OUT / "scheduler")
    index = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"], "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"], "scheduler": ["diffusers", "DDIMScheduler"]}
    (OUT / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    ids = torch.tensor(tokenizer([PROMPT, NEGATIVE], padding="max_length", max_length=16).input_ids)
    rows = lambda p: p[0].permute(1, 2, 0).contiguous()
    save_file({"ids": ids.to(torch.float32), "picture": rows(picture), "filled": rows(filled)}, OUT / "reference.safetensors")
    print(ids.tolist(), picture.std(), filled.std())


if __name__ == "__main__":
    main()
