"""faces-vae and faces-gan: the layout of DCGAN (arXiv 1511.06434) as PyTorch's example saves it, `main.N.weight`.

A generator makes 4x4 pixels of a latent and doubles the sides to 64; before it one linear layer and ReLU may stand (`mapping`): without it a latent
of zeros gives 4x4 equal pixels, and eight numbers are often near zero. An encoder is the same backwards, and its last convolution gives the
mean and the logarithm of the variance. Batch norms fold into their convolutions when the models are loaded.
"""

from __future__ import annotations

import torch
from torch import nn

LATENT = 8
"""As many as the painter has knobs: no more is needed to tell a face, and eight sliders fit on a page."""
MAPPED = 2 * LATENT + 1
DECODER = (128, 72, 48, 24)
ENCODER = (24, 48, 72, 112)
CRITIC = (32, 64, 96, 128)


class Generator(nn.Module):
    """latent [count, LATENT] -> picture [count, 3, 64, 64] in -1 ... 1."""

    def __init__(self, widths: tuple[int, ...] = DECODER, mapped: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inner = MAPPED if mapped else LATENT
        if mapped:
            self.mapping = nn.Linear(LATENT, MAPPED)
        for i, width in enumerate(widths):
            conv = nn.ConvTranspose2d(inner, width, 4, 1, 0, bias=False) if i == 0 else nn.ConvTranspose2d(inner, width, 4, 2, 1, bias=False)
            layers += [conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            inner = width
        self.main = nn.Sequential(*layers, nn.ConvTranspose2d(inner, 3, 4, 2, 1), nn.Tanh())

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        if hasattr(self, "mapping"):
            z = self.mapping(z).relu()
        return self.main(z[:, :, None, None])

    @torch.no_grad()
    def take_over(self, plain: dict[str, torch.Tensor]) -> None:
        """Becomes the same function as a generator without a mapping: z is the positive part of z less that of -z. The features that are left are constant."""
        eye = torch.eye(LATENT)
        self.mapping.weight.copy_(torch.cat([eye, -eye, torch.zeros(MAPPED - 2 * LATENT, LATENT)]))
        self.mapping.bias.copy_(torch.cat([torch.zeros(2 * LATENT), torch.ones(MAPPED - 2 * LATENT)]))
        first = plain["main.0.weight"]
        plain = {**plain, "main.0.weight": torch.cat([first, -first, torch.zeros(MAPPED - 2 * LATENT, *first.shape[1:])])}
        self.load_state_dict({**plain, "mapping.weight": self.mapping.weight, "mapping.bias": self.mapping.bias})


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
    def __init__(self, mapped: bool = True) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(ENCODER), Generator(mapped=mapped)


class Critic(nn.Module):
    """picture -> score [count]; spectral norm on every layer, no batch norm."""

    def __init__(self) -> None:
        super().__init__()
        norm = nn.utils.parametrizations.spectral_norm
        layers: list[nn.Module] = []
        inner = 3
        for width in CRITIC:
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
