"""GGUF block quantisers for Q4_K and Q6_K, in numpy.

The `gguf` package quantises the legacy types and Q8_0 but only *de*quantises the K types.
These two are plain (per sub-block minimum and maximum, no search for the best scale): good enough
to make files of the right layout and of a sensible error. Layouts: llama.cpp's ggml-common.h.

A row length that is no multiple of 256 cannot hold K blocks; `fallback` names the type that
llama.cpp then takes instead.
"""

from __future__ import annotations

import gguf
import numpy as np

QT = gguf.GGMLQuantizationType
SUPER = 256


def _round(x: np.ndarray) -> np.ndarray:
    """Half away from zero, as C's roundf."""
    return np.trunc(x + np.copysign(np.float32(0.5), x))


def _safe_inverse(x: np.ndarray) -> np.ndarray:
    out = np.zeros_like(x)
    np.divide(1.0, x, out=out, where=x != 0)
    return out


def quantize_q4_k(x: np.ndarray) -> np.ndarray:
    """f32 [rows, n] (n a multiple of 256) -> u8 [rows, n / 256 * 144]."""
    rows, n = x.shape
    b = x.astype(np.float32).reshape(-1, 8, 32)
    low = np.minimum(b.min(axis=2), 0.0)
    scale = (b.max(axis=2) - low) / 15.0
    d = (scale.max(axis=1) / 63.0).astype(np.float16)
    dmin = ((-low).max(axis=1) / 63.0).astype(np.float16)
    d32, m32 = d.astype(np.float32)[:, None], dmin.astype(np.float32)[:, None]
    sc = np.clip(_round(scale * _safe_inverse(d32)), 0, 63).astype(np.uint8)
    mn = np.clip(_round(-low * _safe_inverse(m32)), 0, 63).astype(np.uint8)
    step, offset = d32 * sc, m32 * mn
    q = np.clip(_round((b + offset[:, :, None]) * _safe_inverse(step)[:, :, None]), 0, 15).astype(np.uint8)

    packed = np.zeros((b.shape[0], 12), np.uint8)
    packed[:, 0:4] = sc[:, 0:4] | ((sc[:, 4:8] >> 4) << 6)
    packed[:, 4:8] = mn[:, 0:4] | ((mn[:, 4:8] >> 4) << 6)
    packed[:, 8:12] = (sc[:, 4:8] & 15) | ((mn[:, 4:8] & 15) << 4)
    pairs = q.reshape(-1, 4, 2, 32)
    qs = (pairs[:, :, 0] | (pairs[:, :, 1] << 4)).reshape(-1, 128)
    block = np.concatenate([d[:, None].view(np.uint8), dmin[:, None].view(np.uint8), packed, qs], axis=1)
    return block.reshape(rows, n // SUPER * 144)


def quantize_q6_k(x: np.ndarray) -> np.ndarray:
    """f32 [rows, n] (n a multiple of 256) -> u8 [rows, n / 256 * 210]."""
    rows, n = x.shape
    b = x.astype(np.float32).reshape(-1, 16, 16)
    scale = np.abs(b).max(axis=2) / 31.0
    d = (scale.max(axis=1) / 127.0).astype(np.float16)
    d32 = d.astype(np.float32)[:, None]
    sc = np.clip(_round(scale * _safe_inverse(d32)), 0, 127).astype(np.int8)
    step = d32 * sc
    q = np.clip(_round(b * _safe_inverse(step)[:, :, None]), -32, 31).astype(np.int8)
    q = (q + 32).astype(np.uint8).reshape(-1, 2, 4, 32)  # [block, half, quarter, lane]
    ql = np.concatenate([(q[:, :, 0] & 15) | ((q[:, :, 2] & 15) << 4), (q[:, :, 1] & 15) | ((q[:, :, 3] & 15) << 4)], axis=2)
    qh = (q[:, :, 0] >> 4) | ((q[:, :, 1] >> 4) << 2) | ((q[:, :, 2] >> 4) << 4) | ((q[:, :, 3] >> 4) << 6)
    block = np.concatenate([ql.reshape(-1, 128), qh.reshape(-1, 64), sc.view(np.uint8), d[:, None].view(np.uint8)], axis=1)
    return block.reshape(rows, n // SUPER * 210)


def fallback(qtype: QT, row: int) -> QT:
    """The type that llama.cpp uses where `row` values do not divide into blocks of `qtype`."""
    if qtype in (QT.Q4_K, QT.Q6_K) and row % SUPER:
        return {QT.Q4_K: QT.Q5_0, QT.Q6_K: QT.Q8_0}[qtype]
    return qtype


def quantize(x: np.ndarray, qtype: QT) -> np.ndarray:
    """Quantise f32 [rows, n]; the legacy types and f16/f32 through the `gguf` package."""
    if qtype == QT.Q4_K:
        return quantize_q4_k(x)
    if qtype == QT.Q6_K:
        return quantize_q6_k(x)
    return gguf.quants.quantize(x, qtype)


def self_check() -> None:
    """Round trips through gguf's own dequantiser stay within the step of each type."""
    x = np.random.default_rng(5).standard_normal((7, 512), dtype=np.float32)
    for qtype, limit in ((QT.Q4_K, 0.09), (QT.Q6_K, 0.025), (QT.Q8_0, 0.008), (QT.Q4_0, 0.12), (QT.Q5_0, 0.06)):
        back = gguf.dequantize(quantize(x, qtype), qtype)
        error = float(np.sqrt(np.mean((back - x) ** 2)))
        if not error < limit:
            raise AssertionError(f"{qtype.name}: rms error {error:.4f}, at most {limit} expected")


if __name__ == "__main__":
    self_check()
    print("Q4_K, Q6_K, Q8_0, Q4_0, Q5_0: round trips agree with gguf.dequantize")
