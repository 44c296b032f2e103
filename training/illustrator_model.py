"""The illustrator's three networks in PyTorch, named and shaped as docs/illustrator.md says.

A caption encoder and a denoiser (a DiT with cross-attention, trained as a rectified flow) over the latents of a small
convolutional autoencoder. `Shape` holds every number; `Illustrator.state_dict()` has the names of the file.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import nn


@dataclass(frozen=True)
class TextShape:
    vocabulary: int = 512
    length: int = 24
    width: int = 192
    layers: int = 2
    heads: int = 6
    pad: int = 0


@dataclass(frozen=True)
class DenoiserShape:
    width: int = 192
    layers: int = 6
    heads: int = 6
    patch: int = 1
    latent_channels: int = 16
    latent_size: int = 8
    frequencies: int = 128


@dataclass(frozen=True)
class VaeShape:
    latent_channels: int = 16
    channels: tuple[int, ...] = (96, 64, 48, 32)
    blocks: int = 1
    groups: int = 8
    scale: float = 1.0
    shift: float = 0.0


@dataclass(frozen=True)
class Shape:
    text: TextShape = field(default_factory=TextShape)
    denoiser: DenoiserShape = field(default_factory=DenoiserShape)
    vae: VaeShape = field(default_factory=VaeShape)

    def config(self, sampler: dict) -> dict:
        return {**asdict(self), "sampler": sampler}


SHAPE = Shape()
SAMPLER = {"steps": 12, "guidance": 4.0, "scheduler": "flow-euler"}


def ids_of(tokenizer: Tokenizer, captions: list[str]) -> torch.Tensor:
    """-> [captions, length], padded."""
    length, pad = SHAPE.text.length, SHAPE.text.pad
    rows = [tokenizer.encode(c).ids[:length] for c in captions]
    return torch.tensor([r + [pad] * (length - len(r)) for r in rows])


class Attention(nn.Module):
    """Rows of `x` look at rows of `y`. [batch, rows, width] each."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.dim = heads, width // heads
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        b, t, w = x.shape
        split = lambda rows: rows.view(b, -1, self.heads, self.dim).transpose(1, 2)
        q, k, v = split(self.query(x)), split(self.key(y)), split(self.value(y))
        # Plain products: at these lengths faster on a CPU than its fused attention.
        scores = (q * self.dim**-0.5) @ k.transpose(-1, -2)
        return self.output((scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(b, t, w))


class Mlp(nn.ModuleDict):
    """`in`, GELU (tanh), `out`; a ModuleDict because `in` is no name for an attribute."""

    def __init__(self, width: int):
        super().__init__({"in": nn.Linear(width, 4 * width), "out": nn.Linear(4 * width, width)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self["out"](F.gelu(self["in"](x), approximate="tanh"))


class TextLayer(nn.Module):
    def __init__(self, s: TextShape):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(s.width), nn.LayerNorm(s.width)
        self.attention, self.mlp = Attention(s.width, s.heads), Mlp(s.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y)
        return x + self.mlp(self.norm2(x))


class TextEncoder(nn.Module):
    def __init__(self, s: TextShape):
        super().__init__()
        self.token, self.position = nn.Embedding(s.vocabulary, s.width), nn.Embedding(s.length, s.width)
        self.layers = nn.ModuleList(TextLayer(s) for _ in range(s.layers))
        self.norm = nn.LayerNorm(s.width)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """ids [batch, length] -> context [batch, length, width]."""
        x = self.token(ids) + self.position.weight
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


def modulate(x: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return x * (1 + scale[:, None]) + shift[:, None]


class Block(nn.Module):
    def __init__(self, s: DenoiserShape):
        super().__init__()
        self.norm_cross = nn.LayerNorm(s.width, eps=1e-6)
        self.modulation = nn.Linear(s.width, 6 * s.width)
        self.attention, self.cross = Attention(s.width, s.heads), Attention(s.width, s.heads)
        self.mlp = Mlp(s.width)

    def forward(self, x: torch.Tensor, c: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.modulation(c).chunk(6, dim=-1)
        plain = lambda rows: F.layer_norm(rows, rows.shape[-1:], eps=1e-6)
        y = modulate(plain(x), shift_a, scale_a)
        x = x + gate_a[:, None] * self.attention(y, y)
        x = x + self.cross(self.norm_cross(x), text)
        return x + gate_m[:, None] * self.mlp(modulate(plain(x), shift_m, scale_m))


class Denoiser(nn.Module):
    def __init__(self, s: DenoiserShape):
        super().__init__()
        self.shape = s
        tokens = (s.latent_size // s.patch) ** 2
        self.patch = nn.Conv2d(s.latent_channels, s.width, s.patch, s.patch)
        self.position = nn.Embedding(tokens, s.width)
        self.time = nn.ModuleDict({"in": nn.Linear(2 * s.frequencies, s.width), "out": nn.Linear(s.width, s.width)})
        self.blocks = nn.ModuleList(Block(s) for _ in range(s.layers))
        self.modulation = nn.Linear(s.width, 2 * s.width)
        self.out = nn.ConvTranspose2d(s.width, s.latent_channels, s.patch, s.patch)

    def forward(self, latent: torch.Tensor, t: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """latent [batch, channels, size, size], t [batch] in 0…1, text [batch, length, width] -> noise − x_0, as latent."""
        s, side = self.shape, self.shape.latent_size // self.shape.patch
        x = self.patch(latent).flatten(2).transpose(1, 2) + self.position.weight
        frequency = torch.exp(-math.log(10000.0) * torch.arange(s.frequencies, device=t.device) / s.frequencies)
        angle = 1000.0 * t.float()[:, None] * frequency
        c = self.time["out"](F.silu(self.time["in"](torch.cat((angle.cos(), angle.sin()), dim=1))))
        c = F.silu(c)
        for block in self.blocks:
            x = block(x, c, text)
        shift, scale = self.modulation(c).chunk(2, dim=-1)
        x = modulate(F.layer_norm(x, x.shape[-1:], eps=1e-6), shift, scale)
        return self.out(x.transpose(1, 2).unflatten(2, (side, side)))


class ResidualBlock(nn.Module):
    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(groups, channels, eps=1e-6), nn.GroupNorm(groups, channels, eps=1e-6)
        self.conv1, self.conv2 = nn.Conv2d(channels, channels, 3, padding=1), nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))


class Level(nn.Module):
    """Blocks, then the way to the next level, if there is one: `up` (twice the size, then 3×3) or `down` (3×3, stride 2)."""

    def __init__(self, channels: int, following: int | None, s: VaeShape, up: bool):
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBlock(channels, s.groups) for _ in range(s.blocks))
        self.up = nn.Conv2d(channels, following, 3, padding=1) if following and up else None
        self.down = nn.Conv2d(channels, following, 3, stride=2, padding=1) if following and not up else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        if self.up:
            x = self.up(F.interpolate(x, scale_factor=2, mode="nearest"))
        return self.down(x) if self.down else x


class Half(nn.Module):
    """An encoder or a decoder: `in`, levels, `norm`, SiLU, `out`."""

    def __init__(self, into: int, channels: tuple[int, ...], out: int, s: VaeShape, up: bool):
        super().__init__()
        self.add_module("in", nn.Conv2d(into, channels[0], 3, padding=1))
        self.levels = nn.ModuleList(Level(c, n, s, up) for c, n in zip(channels, (*channels[1:], None)))
        self.norm = nn.GroupNorm(s.groups, channels[-1], eps=1e-6)
        self.out = nn.Conv2d(channels[-1], out, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.get_submodule("in")(x)
        for level in self.levels:
            x = level(x)
        return self.out(F.silu(self.norm(x)))


class Vae(nn.Module):
    def __init__(self, s: VaeShape):
        super().__init__()
        self.encoder = Half(3, s.channels[::-1], s.latent_channels, s, up=False)
        self.decoder = Half(s.latent_channels, s.channels, 3, s, up=True)


class Illustrator(nn.Module):
    """Everything that the file holds."""

    def __init__(self, s: Shape = SHAPE):
        super().__init__()
        self.shape = s
        self.text, self.denoiser, self.vae = TextEncoder(s.text), Denoiser(s.denoiser), Vae(s.vae)
        self.begin()

    def begin(self) -> None:
        """Weights before the first step: the denoiser begins as the identity (adaLN-zero) and answers zero."""
        for name, p in self.named_parameters():
            if name.startswith("vae."):
                continue
            if p.ndim == 2 and ("token" in name or "position" in name):
                nn.init.normal_(p, std=0.02 if "denoiser" in name else 0.5 if "token" in name else 0.1)
            elif p.ndim >= 2:
                nn.init.xavier_uniform_(p.view(p.shape[0], -1))
            elif name.endswith("bias"):
                nn.init.zeros_(p)
        d = self.denoiser
        zeros = [d.modulation, d.out] + [b.modulation for b in d.blocks] + [b.cross.output for b in d.blocks]
        for module in zeros:
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
        for half in (self.vae.encoder, self.vae.decoder):
            for level in half.levels:
                for block in level.blocks:
                    nn.init.zeros_(block.conv2.bias)


@torch.no_grad()
def sample(model: Illustrator, ids: torch.Tensor, noise: torch.Tensor, steps: int, guidance: float, negative: torch.Tensor | None = None) -> torch.Tensor:
    """Euler from t = 1 to 0 with classifier-free guidance. ids [batch, length], noise [batch, channels, size, size] -> latents."""
    empty = torch.full_like(ids, model.shape.text.pad) if negative is None else negative
    text = model.text(torch.cat((ids, empty)))
    x = noise
    for i in range(steps):
        t = torch.full((2 * len(ids),), 1 - i / steps)
        wanted, plain = model.denoiser(torch.cat((x, x)), t, text).chunk(2)
        x = x - (plain + guidance * (wanted - plain)) / steps
    return x


@torch.no_grad()
def decode(model: Illustrator, latents: torch.Tensor) -> torch.Tensor:
    """Latents -> pictures [batch, 3, height, width] in −1…1."""
    s = model.shape.vae
    return model.vae.decoder(latents / s.scale + s.shift)
