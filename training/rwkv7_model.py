"""RWKV-7 "Goose" (arXiv 2503.14456) in plain PyTorch, from the paper's formulas: transformers has no such model, and fla's kernels need a GPU. In the weights' own precision. Weights are called as fla-hub's files call them."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F


def low_rank(weights: dict, name: str, x: torch.Tensor, between=lambda x: x) -> torch.Tensor:
    """Two thin matrices, with a bias behind them where there is one."""
    inner = between(F.linear(x, weights[f"{name}.lora.0.weight"]))
    return F.linear(inner, weights[f"{name}.lora.2.weight"], weights.get(f"{name}.lora.2.bias"))


def shifted(x: torch.Tensor) -> torch.Tensor:
    """The row before each; zeros before the first."""
    return torch.cat([torch.zeros_like(x[:1]), x[:-1]])


def time_mix(weights: dict, prefix: str, x: torch.Tensor, first: torch.Tensor | None, head_dim: int, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """x `[t, n]`, already normed, and the first layer's values -> what is added, and those values."""
    t, n = x.shape
    heads = (t, n // head_dim, head_dim)
    part = lambda name: weights[f"{prefix}.{name}"]
    mixed = {kind: x + (shifted(x) - x) * part(f"x_{kind}").reshape(-1) for kind in "rwkvag"}
    r, k, v = (F.linear(mixed[kind], part(f"{kind}_proj.weight")) for kind in "rkv")
    decay = torch.exp(-math.exp(-0.5) * torch.sigmoid(low_rank(weights, f"{prefix}.w_lora", mixed["w"], torch.tanh)))
    rate = torch.sigmoid(low_rank(weights, f"{prefix}.a_lora", mixed["a"]))
    gate = low_rank(weights, f"{prefix}.g_lora", mixed["g"], torch.sigmoid)
    if first is None:
        first = v
    else:
        v = v + (first - v) * torch.sigmoid(low_rank(weights, f"{prefix}.v_lora", mixed["v"]))
    removed = F.normalize((k * part("k_k")).view(heads), dim=-1)
    k = k * (1 + (rate - 1) * part("k_a"))
    r, k, v, decay, rate = (x.view(heads) for x in (r, k, v, decay, rate))
    state = torch.zeros(heads[1], head_dim, head_dim, dtype=x.dtype)
    rows = []
    for i in range(t):
        replaced = torch.einsum("hvk,hk->hv", state, removed[i])
        state = state * decay[i][:, None, :] - replaced[:, :, None] * (removed[i] * rate[i])[:, None, :] + v[i][:, :, None] * k[i][:, None, :]
        rows.append(torch.einsum("hvk,hk->hv", state, r[i]))
    y = F.group_norm(torch.stack(rows).reshape(t, n), heads[1], part("g_norm.weight"), part("g_norm.bias"), head_dim * eps)
    y = y + ((r * k * part("r_k")).sum(-1, keepdim=True) * v).reshape(t, n)
    return F.linear(y * gate, part("o_proj.weight")), first


def channel_mix(weights: dict, prefix: str, x: torch.Tensor) -> torch.Tensor:
    k = x + (shifted(x) - x) * weights[f"{prefix}.x_k"]
    return F.linear(torch.relu(F.linear(k, weights[f"{prefix}.key.weight"])) ** 2, weights[f"{prefix}.value.weight"])


def logits(weights: dict, layers: int, head_dim: int, eps: float, ids: list[int]) -> torch.Tensor:
    """`[t, vocabulary]`"""
    norm = lambda name, x: F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)
    x, first = norm("model.layers.0.pre_norm", weights["model.embeddings.weight"][ids]), None
    for i in range(layers):
        layer = f"model.layers.{i}"
        added, first = time_mix(weights, f"{layer}.attn", norm(f"{layer}.attn_norm", x), first, head_dim, eps)
        x = x + added
        x = x + channel_mix(weights, f"{layer}.ffn", norm(f"{layer}.ffn_norm", x))
    return F.linear(norm("model.norm", x), weights["lm_head.weight"])


def shapes(vocabulary: int, n: int, layers: int, head_dim: int, wide: int, rank: int) -> dict[str, tuple[int, ...]]:
    """The weights of a model by name."""
    both = lambda name, size: {f"{name}.weight": (size,), f"{name}.bias": (size,)}
    all = {"model.embeddings.weight": (vocabulary, n), "lm_head.weight": (vocabulary, n)} | both("model.norm", n) | both("model.layers.0.pre_norm", n)
    for i in range(layers):
        layer, attn = f"model.layers.{i}", f"model.layers.{i}.attn"
        all |= both(f"{layer}.attn_norm", n) | both(f"{layer}.ffn_norm", n) | both(f"{attn}.g_norm", n)
        all |= {f"{attn}.x_{kind}": (1, 1, n) for kind in "rwkvag"} | {f"{attn}.{kind}_proj.weight": (n, n) for kind in "rkvo"}
        all |= {f"{attn}.k_k": (n,), f"{attn}.k_a": (n,), f"{attn}.r_k": (n // head_dim, head_dim)}
        for kind in "wag" if i == 0 else "wagv":
            all |= {f"{attn}.{kind}_lora.lora.0.weight": (rank, n), f"{attn}.{kind}_lora.lora.2.weight": (n, rank)}
            all |= {} if kind == "g" else {f"{attn}.{kind}_lora.lora.2.bias": (n,)}
        all |= {f"{layer}.ffn.x_k": (n,), f"{layer}.ffn.key.weight": (wide, n), f"{layer}.ffn.value.weight": (n, wide)}
    return all
