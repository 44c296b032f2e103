"""Samples answers of the storyteller for many prompts at once, with a key-value cache, on one core.

Rows that have ended leave the batch. Top-p is taken among the 128 likeliest tokens.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from storyteller_data import BOS_ID, END_ID
from storyteller_model import Storyteller, rotate

CANDIDATES = 128


class Cache:
    """Keys and values of every layer: [batch, key-value heads, capacity, head width]."""

    def __init__(self, model: Storyteller, batch: int, capacity: int):
        a = model.model.layers[0].self_attn
        self.keys = [torch.zeros(batch, a.kv, capacity, a.dim) for _ in model.model.layers]
        self.values = [torch.zeros_like(k) for k in self.keys]
        self.length = 0

    def keep(self, rows: torch.Tensor) -> None:
        self.keys, self.values = [k[rows] for k in self.keys], [v[rows] for v in self.values]


def step(model: Storyteller, ids: torch.Tensor, at: torch.Tensor, hidden: torch.Tensor, cache: Cache) -> torch.Tensor:
    """Runs ids [batch, n], whose positions are `at` [batch, n], after what is cached; logits of the last one [batch, vocabulary].
    `hidden` [batch, capacity] is -inf where a row has padding instead of text."""
    b, n = ids.shape
    begin, end = cache.length, cache.length + n
    cos, sin = model.cos[at][:, None], model.sin[at][:, None]
    mask = hidden[:, None, None, :end] + torch.full((n, end), float("-inf")).triu(begin + 1)
    x = model.model.embed_tokens(ids)
    for i, layer in enumerate(model.model.layers):
        a, h = layer.self_attn, layer.input_layernorm(x)
        q = rotate(a.q_proj(h).view(b, n, a.heads, a.dim).transpose(1, 2), cos, sin)
        cache.keys[i][:, :, begin:end] = rotate(a.k_proj(h).view(b, n, a.kv, a.dim).transpose(1, 2), cos, sin)
        cache.values[i][:, :, begin:end] = a.v_proj(h).view(b, n, a.kv, a.dim).transpose(1, 2)
        k, v = cache.keys[i][:, :, :end], cache.values[i][:, :, :end]
        group = a.heads // a.kv
        # the heads that share keys run as more queries of one head
        scores = q.reshape(b, a.kv, group * n, a.dim) * a.dim**-0.5 @ k.mT
        weights = (scores.view(b, a.kv * group, n, end) + mask).softmax(-1)
        y = weights.view(b, a.kv, group * n, end) @ v
        x = x + a.o_proj(y.view(b, a.heads, n, a.dim).transpose(1, 2).reshape(b, n, -1))
        x = x + layer.mlp(layer.post_attention_layernorm(x))
    cache.length = end
    return F.linear(model.model.norm(x[:, -1]), model.model.embed_tokens.weight)


def draw(logits: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    values, ids = logits.topk(CANDIDATES)
    p = (values / temperature).softmax(-1)
    p = p.masked_fill(p.cumsum(-1) - p >= top_p, 0.0)
    return ids.gather(1, torch.multinomial(p, 1))[:, 0]


def sample(model: Storyteller, prompts: list[list[int]], limit: int, temperature: float, top_p: float) -> list[list[int]]:
    """New tokens for each prompt, the end token among them where it came."""
    width = max(map(len, prompts))
    capacity = min(width + limit, model.cos.shape[0])
    padding = torch.tensor([width - len(p) for p in prompts])
    tokens = torch.tensor([[BOS_ID] * (width - len(p)) + p for p in prompts])
    places = torch.arange(capacity)
    # padding sees itself, lest a row of nothing but -inf becomes NaN; what follows never looks at it
    hidden = torch.zeros(len(prompts), capacity).masked_fill(places < padding[:, None], -1e9)
    cache, rows, out = Cache(model, len(prompts), capacity), torch.arange(len(prompts)), [[] for _ in prompts]
    with torch.inference_mode():
        logits = step(model, tokens, (places[:width] - padding[:, None]).clamp(min=0), hidden, cache)
        while True:
            new = draw(logits, temperature, top_p)
            for row, token in zip(rows.tolist(), new.tolist()):
                out[row].append(token)
            going = new != END_ID
            if cache.length >= capacity or not going.any():
                return out
            if not going.all():
                cache.keep(going)
                rows, new, hidden, padding = rows[going], new[going], hidden[going], padding[going]
            logits = step(model, new[:, None], (cache.length - padding)[:, None], hidden, cache)
