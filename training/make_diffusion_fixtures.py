"""What diffusers, transformers and the illustrator's PyTorch twin compute with weights that follow from their names.

    python make_diffusion_fixtures.py      # writes ../tests/fixtures/diffusion/*.json

Each file holds a configuration, sizes and an output; weights and inputs are made by name on both sides (hashed_weights.py).
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from hashed_weights import fill, rows
from illustrator_model import SAMPLER, DenoiserShape, Illustrator, Shape, TextShape, VaeShape
from transformers import CLIPTextConfig, CLIPTextModel

OUT = Path(__file__).parent.parent / "tests/fixtures/diffusion"

SD = {"in_channels": 4, "out_channels": 4, "norm_num_groups": 8, "cross_attention_dim": 32}
FOUR_DOWN = ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"]
FOUR_UP = ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3
# name → configuration, batch, latent height and width, tokens
UNETS = {
    "unet_sd15": ({**SD, "block_out_channels": [32, 64, 64, 96], "attention_head_dim": 4, "layers_per_block": 2, "down_block_types": FOUR_DOWN, "up_block_types": FOUR_UP}, 2, 8, 16, 7),
    "unet_sd21": ({**SD, "block_out_channels": [32, 64, 96, 96], "attention_head_dim": [2, 4, 6, 6], "layers_per_block": 2, "use_linear_projection": True, "down_block_types": FOUR_DOWN, "up_block_types": FOUR_UP}, 2, 16, 8, 5),
    "unet_tiny": ({**SD, "block_out_channels": [32, 64, 96], "attention_head_dim": 8, "layers_per_block": 1, "mid_block_type": None, "down_block_types": ["CrossAttnDownBlock2D"] * 3, "up_block_types": ["CrossAttnUpBlock2D"] * 3}, 1, 12, 8, 6),
    "unet_lcm": ({**SD, "block_out_channels": [32, 64], "attention_head_dim": 8, "layers_per_block": [1, 2], "time_cond_proj_dim": 16, "freq_shift": 1, "downsample_padding": 0, "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"], "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"]}, 2, 6, 8, 3),
}
# BK-SDM-Base keeps the middle. BK-SDM-Small does not; its sides here cannot be halved evenly, so what goes up again is cut to what went down.
UNETS["unet_base"] = ({**UNETS["unet_sd15"][0], "layers_per_block": 1}, 1, 8, 8, 5)
UNETS["unet_odd"] = ({**UNETS["unet_tiny"][0], "block_out_channels": [32, 64, 64, 96], "attention_head_dim": 4, "down_block_types": FOUR_DOWN, "up_block_types": FOUR_UP}, 2, 11, 6, 4)
# XL: no attention in the finest level, deeper transformers below, a row for the whole text and six sizes beside the time.
UNETS["unet_sdxl"] = ({**SD, "block_out_channels": [32, 64, 96], "attention_head_dim": [2, 4, 6], "layers_per_block": 2, "use_linear_projection": True, "transformer_layers_per_block": [1, 2, 3], "addition_embed_type": "text_time", "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 20 + 6 * 8, "down_block_types": ["DownBlock2D"] + ["CrossAttnDownBlock2D"] * 2, "up_block_types": ["CrossAttnUpBlock2D"] * 2 + ["UpBlock2D"]}, 2, 8, 12, 5)
CLIPS = {
    "clip_quick_gelu": {"vocab_size": 99, "max_position_embeddings": 77, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "hidden_act": "quick_gelu", "bos_token_id": 97, "eos_token_id": 98},
    "clip_gelu": {"vocab_size": 99, "max_position_embeddings": 24, "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 3, "hidden_act": "gelu", "bos_token_id": 97, "eos_token_id": 98},
}


def write(name: str, fixture: dict, output: torch.Tensor) -> None:
    fixture["output"] = [float(f"{v:.7g}") for v in output.flatten().tolist()]
    (OUT / f"{name}.json").write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
    print(name, tuple(output.shape), f"rms {output.square().mean().sqrt():.3f}")


def channels_first(x: torch.Tensor, batch: int, height: int, width: int) -> torch.Tensor:
    return x.reshape(batch, height, width, -1).permute(0, 3, 1, 2)


def guidance_embedding(scale: torch.Tensor, columns: int) -> torch.Tensor:
    """Sines and cosines of 1000 (w − 1), as diffusers' latent consistency pipeline makes them."""
    half = columns // 2
    frequency = torch.exp(torch.arange(half) * -(math.log(10000.0) / (half - 1)))
    angle = 1000.0 * (scale[:, None] - 1.0) * frequency
    return torch.cat((angle.sin(), angle.cos()), dim=1)


def unet(name: str, config: dict, batch: int, height: int, width: int, tokens: int) -> None:
    model = fill(UNet2DConditionModel(sample_size=height, **config))
    latent = rows("input.latent", (batch * height * width, config["in_channels"]))
    context = rows("input.context", (batch, tokens, config["cross_attention_dim"]))
    timestep = torch.tensor([721.0, 39.0][:batch])
    fixture = {"config": config, "batch": batch, "height": height, "width": width, "tokens": tokens, "timestep": timestep.tolist()}
    condition = None
    if columns := config.get("time_cond_proj_dim"):
        guidance = torch.tensor([7.5, 1.5][:batch])
        fixture["guidance"] = guidance.tolist()
        condition = guidance_embedding(guidance, columns)
    added = None
    if inputs := config.get("projection_class_embeddings_input_dim"):
        sizes = torch.tensor([[512.0, 768.0, 0.0, 32.0, 512.0, 768.0], [96.0, 64.0, 16.0, 0.0, 1024.0, 640.0]][:batch])
        fixture["sizes"] = sizes.flatten().tolist()
        added = {"time_ids": sizes, "text_embeds": rows("input.pooled", (batch, inputs - 6 * config["addition_time_embed_dim"]))}
    out = model(channels_first(latent, batch, height, width), timestep, context, timestep_cond=condition, added_cond_kwargs=added).sample
    write(name, fixture, out.permute(0, 2, 3, 1))


def some_ids(batch: int, length: int, vocabulary: int) -> torch.Tensor:
    return (torch.arange(batch * length) * 37 + 11) % vocabulary


def clip(name: str, config: dict) -> None:
    model = CLIPTextModel(CLIPTextConfig(**config))
    keys = list(model.state_dict())
    prefix = "" if any(key.startswith("text_model.") for key in keys) else "text_model."
    fill(model, prefix)
    batch, length = 2, config["max_position_embeddings"]
    ids = some_ids(batch, length, config["vocab_size"])
    out = model(ids.reshape(batch, length)).last_hidden_state
    # The last rows alone are enough: every row goes into them.
    write(name, {"config": config, "batch": batch, "ids": ids.tolist(), "last_rows": 4}, out[:, -4:])


def illustrator() -> None:
    shape = Shape(
        text=TextShape(vocabulary=64, length=8, width=32, layers=2, heads=4),
        denoiser=DenoiserShape(width=32, layers=2, heads=4, patch=2, latent_channels=4, latent_size=8, frequencies=16),
        vae=VaeShape(latent_channels=4, channels=(16, 8), groups=4),
    )
    model = fill(Illustrator(shape))
    batch, size = 2, 8
    ids = some_ids(batch, 8, 64)
    write("illustrator_text", {"config": shape.config(SAMPLER), "batch": batch, "ids": ids.tolist(), "last_rows": 8}, model.text(ids.reshape(batch, 8)))
    latent = channels_first(rows("input.latent", (batch * size * size, 4)), batch, size, size)
    context, t = rows("input.context", (batch, 8, 32)), torch.tensor([0.83, 0.25])
    out = model.denoiser(latent, t, context)
    fixture = {"config": shape.config(SAMPLER), "batch": batch, "height": size, "width": size, "tokens": 8, "timestep": (1000 * t).tolist()}
    write("illustrator_denoiser", fixture, out.permute(0, 2, 3, 1))


@torch.no_grad()
def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    for name, (config, *sizes) in UNETS.items():
        unet(name, config, *sizes)
    for name, config in CLIPS.items():
        clip(name, config)
    illustrator()


if __name__ == "__main__":
    main()
