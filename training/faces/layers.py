"""faces-vae and faces-gan: the layout of DCGAN (arXiv 1511.06434) as PyTorch's example saves it, `main.N.weight`.

A generator makes 4x4 pixels of a latent and doubles the sides to 64; an encoder is the same backwards, and its last convolution gives the
mean and the logarithm of the variance. Batch norms fold into their convolutions when the models are loaded.
"""

from __future__ import annotations

import torch
from torch import nn

LATENT = 8
"""As many as the painter has knobs: no more is needed to tell a face, and eight sliders fit on a page."""
VAE_DECODER = (128, 72, 48, 24)
"""Of the generator too."""
VAE_ENCODER = (24, 48, 72, 112)
GAN_CRITIC = (32, 64, 96, 128)


class Generator(nn.Module):
    """latent [count, LATENT] -> picture [count, 3, 64, 64] in -1 ... 1."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inner = LATENT
        for i, width in enumerate(widths):
            conv = nn.ConvTranspose2d(inner, width, 4, 1, 0, bias=False) if i == 0 else nn.ConvTranspose2d(inner, width, 4, 2, 1, bias=False)
            layers += [conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            inner = width
        self.main = nn.Sequential(*layers, nn.ConvTranspose2d(inner, 3, 4, 2, 1), nn.Tanh())

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.main(z[:, :, None, None])


class Encoder(nn.Module):
    """picture [count, 3, 64, 64] -> mean and log variance, each [count, LATENT]."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inner = 3
        for width in widths:
            layers += [nn.Conv2d(inner, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.LeakyReLU(0.2, inplace=True)]
            inner = width
        self.main = nn.Sequential(*layers, nn.Conv2d(inner, 2 * LATENT, 4, 1, 0))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.main(x)[:, :, 0, 0].chunk(2, dim=1)


class Vae(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(VAE_ENCODER), Generator(VAE_DECODER)


class Critic(nn.Module):
    """picture -> score [count]; spectral norm on every layer, no batch norm."""

    def __init__(self) -> None:
        super().__init__()
        norm = nn.utils.parametrizations.spectral_norm
        layers: list[nn.Module] = []
        inner = 3
        for width in GAN_CRITIC:
            layers += [norm(nn.Conv2d(inner, width, 4, 2, 1)), nn.LeakyReLU(0.2, inplace=True)]
            inner = width
        self.main = nn.Sequential(*layers, norm(nn.Conv2d(inner, 1, 4, 1, 0)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.main(x).flatten()


def parameters(module: nn.Module) -> int:
    return sum(q.numel() for q in module.parameters())


@torch.no_grad()
def settle_norms(module: nn.Module, inputs: list[torch.Tensor]) -> None:
    """Measures the means and variances of the batch norms anew: those of averaged weights are not the average of theirs."""
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    module.train()
    for x in inputs:
        module(x)
    module.eval()
