"""Weights that follow from their names, so that a fixture need not hold any: tests/models/diffusion/hashed.rs makes the same.

Number `i` of the tensor `name`, counted as the graph lays it out (a convolution is [out, height · width · in]), is the upper 24
bits of splitmix64 of the name's FNV-1a hash, as −1 … 1. Matrices are scaled by the root of 3 / columns, which keeps the variance
of what goes through; vectors by a tenth, about 1 where the name says `weight`, else about 0.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

GOLDEN = 0x9E3779B97F4A7C15
WORD = (1 << 64) - 1


def uniform(name: str, count: int) -> np.ndarray:
    """`count` numbers of −1 … 1, as f64."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 & WORD
    with np.errstate(over="ignore"):
        x = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(GOLDEN)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (x >> np.uint64(40)).astype(np.float64) / 2**23 - 1.0


def rows(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """An input of about unit variance."""
    return torch.from_numpy(uniform(name, int(np.prod(shape))) * np.sqrt(3.0)).float().reshape(shape)


@torch.no_grad()
def fill(model: nn.Module, prefix: str = "") -> nn.Module:
    """Gives every parameter its numbers."""
    transposed = {id(m.weight) for m in model.modules() if isinstance(m, nn.ConvTranspose2d)}
    for name, p in model.named_parameters():
        # PyTorch's layout, and the graph's as a permutation of it.
        order = (1, 2, 3, 0) if id(p) in transposed else (0, 2, 3, 1) if p.ndim == 4 else tuple(range(p.ndim))
        shape = [p.shape[i] for i in order]
        u = uniform(prefix + name, p.numel())
        if p.ndim == 1:
            u = u * 0.1 + (1.0 if name.endswith("weight") else 0.0)
        else:
            u = u * np.sqrt(3.0 / float(np.prod(shape[1:])))
        p.copy_(torch.from_numpy(u).float().reshape(shape).permute(*np.argsort(order).tolist()))
    return model.eval()
