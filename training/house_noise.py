"""The noise that Vitrine draws for a seed (src/image/noise.rs), so that PyTorch can begin with the same."""

from __future__ import annotations

import math

import numpy as np


def noise(seed: int, count: int) -> np.ndarray:
    """PCG-XSH-RR and Box–Muller, as src/image/noise.rs has them."""
    word = (1 << 64) - 1
    state, stream = 0, 1

    def bits() -> int:
        nonlocal state
        old = state
        state = (old * 6364136223846793005 + stream) & word
        x, turn = (((old >> 18) ^ old) >> 27) & 0xFFFFFFFF, old >> 59
        return ((x >> turn) | (x << (-turn & 31))) & 0xFFFFFFFF

    bits()
    state = (state + seed) & word
    bits()
    uniform = lambda: (bits() + 0.5) / 4294967296.0
    numbers: list[float] = []
    while len(numbers) < count:
        radius, angle = math.sqrt(-2 * math.log(uniform())), math.tau * uniform()
        numbers += [radius * math.cos(angle), radius * math.sin(angle)]
    return np.array(numbers[:count], dtype=np.float32)
