#!/usr/bin/env python3
"""Small autoencoders and a generator with random weights, and what PyTorch computes with them.

Writes `tests/fixtures/pictures/NAME/`: the weights as diffusers or PyTorch save them (F16, so that a few hundred kilobytes do), the
`config.json`, and `expected.safetensors` with inputs and outputs (`[batch, channels, height, width]`, F32, computed in F32 from the
weights as they are saved).
"""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from safetensors.torch import save_file

OUT = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "pictures"


def half(module: torch.nn.Module) -> torch.nn.Module:
    """Rounds the weights to what F16 holds, and makes the norms do something."""
    with torch.no_grad():
        for name, value in module.named_parameters():
            if "norm" in name:
                value.add_(0.2 * torch.randn_like(value))
        for value in module.state_dict().values():
            if value.is_floating_point():
                value.copy_(value.half().float())
    return module.eval()


def save(name: str, weights: dict, expected: dict, config: dict | None, file: str) -> None:
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    as_half = lambda v: (v.half() if v.is_floating_point() else v).contiguous()
    save_file({k: as_half(v) for k, v in weights.items()}, folder / file)
    save_file({k: v.float().contiguous() for k, v in expected.items()}, folder / "expected.safetensors")
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def plain(config) -> dict:
    return {k: v for k, v in dict(config).items() if not k.startswith("_")}


@torch.no_grad()
def autoencoder_kl() -> None:
    torch.manual_seed(1)
    vae = half(
        AutoencoderKL(
            block_out_channels=(16, 32),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            layers_per_block=1,
            norm_num_groups=8,
            latent_channels=4,
            sample_size=16,
        )
    )
    latent, picture = torch.randn(2, 4, 5, 6), torch.rand(1, 3, 12, 16) * 2 - 1
    expected = {
        "latent": latent,
        "decoded": vae.decode(latent).sample,
        "picture": picture,
        "moments": vae.encode(picture).latent_dist.parameters,
    }
    save("autoencoder_kl", vae.state_dict(), expected, plain(vae.config), "diffusion_pytorch_model.safetensors")


@torch.no_grad()
def autoencoder_tiny(name: str, seed: int, channels: tuple[int, ...], encoder: tuple[int, ...], decoder: tuple[int, ...], latents: int) -> None:
    torch.manual_seed(seed)
    vae = half(
        AutoencoderTiny(
            encoder_block_out_channels=channels,
            decoder_block_out_channels=channels,
            num_encoder_blocks=encoder,
            num_decoder_blocks=decoder,
            latent_channels=latents,
        )
    )
    # diffusers' pictures are −1 … 1, TAESD's own 0 … 1.
    latent, picture = torch.randn(2, latents, 5, 6) * 3, torch.rand(1, 3, 12, 16)
    expected = {
        "latent": latent,
        "decoded": vae.decode(latent).sample / 2 + 0.5,
        "picture": picture,
        "encoded": vae.encode(picture * 2 - 1).latents,
    }
    save(name, vae.state_dict(), expected, plain(vae.config), "diffusion_pytorch_model.safetensors")


@torch.no_grad()
def dcgan() -> None:
    torch.manual_seed(3)

    class Generator(torch.nn.Module):
        """The layers of PyTorch's DCGAN example, narrow: 1 → 4 → 8 → 16 pixels."""

        def __init__(self) -> None:
            super().__init__()
            up = lambda i, o, stride, pad: torch.nn.ConvTranspose2d(i, o, 4, stride, pad, bias=False)
            self.main = torch.nn.Sequential(
                up(12, 32, 1, 0), torch.nn.BatchNorm2d(32), torch.nn.ReLU(),
                up(32, 16, 2, 1), torch.nn.BatchNorm2d(16), torch.nn.ReLU(),
                up(16, 3, 2, 1), torch.nn.Tanh(),
            )  # fmt: skip

    model = Generator()
    for layer in model.main:
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.3)
            layer.running_var.uniform_(0.5, 2)
            layer.weight.normal_(1, 0.2)
            layer.bias.normal_(0, 0.2)
    half(model)
    latent = torch.randn(3, 12)
    expected = {"latent": latent, "picture": model.main(latent[:, :, None, None])}
    save("dcgan", model.state_dict(), expected, None, "generator.safetensors")


if __name__ == "__main__":
    autoencoder_kl()
    autoencoder_tiny("autoencoder_tiny", 2, (16, 16), (1, 1), (2, 1), 4)
    # Levels of any number of blocks, none among them.
    autoencoder_tiny("autoencoder_tiny_levels", 4, (8, 8, 8), (0, 2, 1), (0, 3, 1), 5)
    dcgan()
