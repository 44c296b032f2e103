"""The storyteller's network in PyTorch: a Llama (RMSNorm, rotary embedding, SwiGLU, tied embedding).

Parameter names are those of `transformers`, so that a state dict exports as it is. The rotary embedding
pairs lane i with lane i + head_dim / 2, as there.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from llama_gguf import LlamaShape

SHAPE = LlamaShape(hidden_size=256, intermediate_size=672, num_hidden_layers=5, num_attention_heads=4, num_key_value_heads=2, vocab_size=3072, max_position_embeddings=512)


def rope_tables(length: int, head_dim: int, theta: float) -> tuple[torch.Tensor, torch.Tensor]:
    """cos, sin: [length, head_dim]."""
    frequency = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    angle = torch.outer(torch.arange(length, dtype=torch.float32), frequency).repeat(1, 2)
    return angle.cos(), angle.sin()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-b, a), dim=-1) * sin


class RmsNorm(nn.Module):
    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(size)), eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), self.eps)


class Attention(nn.Module):
    def __init__(self, s: LlamaShape):
        super().__init__()
        self.heads, self.kv, self.dim = s.num_attention_heads, s.num_key_value_heads, s.head_dim
        self.q_proj = nn.Linear(s.hidden_size, self.heads * self.dim, bias=False)
        self.k_proj = nn.Linear(s.hidden_size, self.kv * self.dim, bias=False)
        self.v_proj = nn.Linear(s.hidden_size, self.kv * self.dim, bias=False)
        self.o_proj = nn.Linear(self.heads * self.dim, s.hidden_size, bias=False)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        b, t, _ = x.shape
        q = self.q_proj(x).view(b, t, self.heads, self.dim).transpose(1, 2)
        k = self.k_proj(x).view(b, t, self.kv, self.dim).transpose(1, 2)
        v = self.v_proj(x).view(b, t, self.kv, self.dim).transpose(1, 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        group = self.heads // self.kv
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        # Plain matrix products: at these lengths they run three times faster on a CPU, there and back,
        # than its fused attention.
        scores = (q * self.dim**-0.5) @ k.transpose(-1, -2) + mask
        y = scores.softmax(dim=-1, dtype=x.dtype) @ v
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1))


class FeedForward(nn.Module):
    def __init__(self, s: LlamaShape):
        super().__init__()
        self.gate_proj = nn.Linear(s.hidden_size, s.intermediate_size, bias=False)
        self.up_proj = nn.Linear(s.hidden_size, s.intermediate_size, bias=False)
        self.down_proj = nn.Linear(s.intermediate_size, s.hidden_size, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, s: LlamaShape):
        super().__init__()
        self.input_layernorm = RmsNorm(s.hidden_size, s.rms_norm_eps)
        self.self_attn = Attention(s)
        self.post_attention_layernorm = RmsNorm(s.hidden_size, s.rms_norm_eps)
        self.mlp = FeedForward(s)

    def forward(self, x, cos, sin, mask):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class Body(nn.Module):
    def __init__(self, s: LlamaShape):
        super().__init__()
        self.embed_tokens = nn.Embedding(s.vocab_size, s.hidden_size)
        self.layers = nn.ModuleList(Layer(s) for _ in range(s.num_hidden_layers))
        self.norm = RmsNorm(s.hidden_size, s.rms_norm_eps)


class Storyteller(nn.Module):
    def __init__(self, s: LlamaShape = SHAPE):
        super().__init__()
        self.model = Body(s)
        cos, sin = rope_tables(s.max_position_embeddings, s.head_dim, s.rope_theta)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for name, p in self.named_parameters():
            if p.ndim == 2:
                out = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(p, std=0.02 if "embed" in name else p.shape[1] ** -0.5 * (0.5 / s.num_hidden_layers**0.5 if out else 0.8))

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """ids [batch, length], mask [length, length] or [batch, 1, length, length] (0 or -inf) -> hidden states after the last norm [batch, length, hidden]."""
        x = self.model.embed_tokens(ids)
        t = ids.shape[1]
        for layer in self.model.layers:
            x = layer(x, self.cos[:t].to(x.dtype), self.sin[:t].to(x.dtype), mask)
        return self.model.norm(x)

    def loss(self, ids: torch.Tensor, mask: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Weighted mean of the next-token cross-entropy (nats). ids [batch, length + 1], weight [batch, length]."""
        h = self(ids[:, :-1], mask)
        logits = F.linear(h, self.model.embed_tokens.weight).float().flatten(0, 1)
        each = F.cross_entropy(logits, ids[:, 1:].flatten(), reduction="none")
        weight = weight.flatten().float()
        return (each * weight).sum() / weight.sum().clamp(min=1.0)
