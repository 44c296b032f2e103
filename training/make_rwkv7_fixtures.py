"""Makes tests/fixtures/families/rwkv7: a small random RWKV-7, and what the formulas of its paper (rwkv7_model.py) say of it.

    python training/make_rwkv7_fixtures.py

model.safetensors with fla-hub's names and config.json, model.gguf with llama.cpp's, answers.json as of the other families. The formulas themselves are held to the package
`rwkv`, which knows norms of the published models alone (heads of 64).
"""

from __future__ import annotations

import json
import os
import tempfile

import gguf
import numpy as np
import torch
from safetensors.numpy import save_file

import rwkv7_model
from smol_shapes import ROOT, SEED, write_json

OUT = ROOT / "tests" / "fixtures" / "families" / "rwkv7"
VOCABULARY, HIDDEN, LAYERS, HEAD, WIDE, RANK = 80, 36, 2, 12, 56, 5
# Heads' norms have the eps that llama.cpp gives all: 64e-5.
EPS = 64e-5 / HEAD


def draw(seed: int, hidden: int = HIDDEN, head: int = HEAD) -> dict[str, torch.Tensor]:
    """As the other families': norms about 1, all else about 0, rounded to f16. Mixes of neighbours lie within 0 and 1."""
    rng = np.random.Generator(np.random.PCG64(seed))
    weights = {}
    for name, shape in rwkv7_model.shapes(VOCABULARY, hidden, LAYERS, head, WIDE, RANK).items():
        x = rng.standard_normal(shape, dtype=np.float32)
        if ".x_" in name:
            x = 1 / (1 + np.exp(-x))
        elif "norm" in name:
            x = (1.0 if name.endswith("weight") else 0.0) + 0.2 * x
        else:
            x *= 0.7 if x.ndim == 1 else 0.35
        weights[name] = torch.from_numpy(x.astype(np.float16).astype(np.float64))
    return weights


def greedy(weights: dict, prompt: list[int], steps: int) -> dict:
    text, lead = list(prompt), float("inf")
    for _ in range(steps):
        with torch.no_grad():
            logits = rwkv7_model.logits(weights, LAYERS, HEAD, EPS, text)[-1]
        top = logits.topk(2).values
        lead = min(lead, float(top[0] - top[1]))
        text.append(int(logits.argmax()))
    return {"tokens": text[len(prompt) :], "lead": lead, "logits": logits.tolist()}


def in_gguf(weights: dict) -> dict[str, np.ndarray]:
    """The weights as llama.cpp names and lays them: the mixes of a layer in one, the low ranks' parts by number."""
    whole = {"model.embeddings": "token_embd", "model.layers.0.pre_norm": "token_embd_norm", "model.norm": "output_norm", "lm_head": "output"}
    parts = {
        "attn_norm": "attn_norm", "ffn_norm": "attn_norm_2", "attn.g_norm": "time_mix_ln", "attn.r_proj": "time_mix_receptance", "attn.k_proj": "time_mix_key", "attn.v_proj": "time_mix_value",
        "attn.o_proj": "time_mix_output", "attn.k_k": "time_mix_k_k.weight", "attn.k_a": "time_mix_k_a.weight", "attn.r_k": "time_mix_r_k.weight", "ffn.x_k": "channel_mix_lerp_k.weight",
        "ffn.key": "channel_mix_key", "ffn.value": "channel_mix_value",
    }
    for kind in "wavg":
        low = f"attn.{kind}_lora.lora"
        parts |= {f"{low}.0.weight": f"time_mix_{kind}1.weight", f"{low}.2.weight": f"time_mix_{kind}2.weight", f"{low}.2.bias": f"time_mix_{kind}0.weight"}
    there = {}
    for name, x in weights.items():
        if ".attn.x_" in name:
            continue
        layer = name.removeprefix("model.layers.").split(".")[0]
        inner = name.removeprefix(f"model.layers.{layer}.")
        stem, end = inner.rsplit(".", 1) if inner.endswith((".weight", ".bias")) else (inner, "")
        if name.rsplit(".", 1)[0] in whole:
            new = f"{whole[name.rsplit('.', 1)[0]]}.{end}"
        else:
            new = f"blk.{layer}.{parts[inner] if inner in parts else f'{parts[stem]}.{end}'}"
        there[new] = x.numpy().reshape(-1) if inner == "attn.r_k" else x.numpy()
    for i in range(LAYERS):
        there[f"blk.{i}.time_mix_lerp_fused.weight"] = np.stack([weights[f"model.layers.{i}.attn.x_{kind}"].numpy() for kind in "rwkvag"]).reshape(6, 1, 1, -1)
    # The first layer has no values before its own; converters write those of the rate there.
    for part in "012":
        there[f"blk.0.time_mix_v{part}.weight"] = there[f"blk.0.time_mix_a{part}.weight"]
    return there


def write_gguf(weights: dict) -> None:
    w = gguf.GGUFWriter(str(OUT / "model.gguf"), "rwkv7")
    w.add_context_length(1 << 20)
    w.add_embedding_length(HIDDEN)
    w.add_block_count(LAYERS)
    w.add_feed_forward_length(WIDE)
    w.add_layer_norm_eps(EPS)
    w.add_wkv_head_size(HEAD)
    w.add_head_count(0)
    for kind in ("decay", "iclr", "value_residual_mix", "gate"):
        w.add_uint32(f"rwkv7.attention.{kind}_lora_rank", RANK)
    for name, x in in_gguf(weights).items():
        full = x.ndim == 1 or "lerp" in name or name.endswith(("_w1.weight", "_w2.weight"))
        w.add_tensor(name, np.ascontiguousarray(x, dtype=np.float32 if full else np.float16))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def hold_the_formulas_to_the_package() -> None:
    """Both say the same of a model with the published models' head and norms."""
    os.environ |= {"RWKV_V7_ON": "1", "RWKV_JIT_ON": "0", "RWKV_CUDA_ON": "0"}
    from rwkv.model import RWKV

    head, hidden = 64, 128
    weights = draw(SEED, hidden, head)
    whole = {"model.embeddings": "emb", "model.layers.0.pre_norm": "blocks.0.ln0", "model.norm": "ln_out", "lm_head": "head"}
    parts = {"attn_norm": "ln1", "ffn_norm": "ln2", "attn.g_norm": "att.ln_x", "attn.r_proj": "att.receptance", "attn.k_proj": "att.key", "attn.v_proj": "att.value", "attn.o_proj": "att.output"}
    theirs = {}
    for name, x in weights.items():
        for here, there in whole.items():
            name = name.replace(f"{here}.", f"{there}.")
        for here, there in parts.items():
            name = name.replace(f".{here}.", f".{there}.")
        name = name.replace("model.layers.", "blocks.").replace(".attn.", ".att.")
        for kind in "wavg":
            low = f"{kind}_lora.lora"
            turned = f"{low}.0.weight" in name or f"{low}.2.weight" in name
            x = x.t() if turned else x
            name = name.replace(f"{low}.0.weight", f"{kind}1").replace(f"{low}.2.weight", f"{kind}2").replace(f"{low}.2.bias", f"{kind}0")
        theirs[name] = x.float().contiguous()
    ids = list(range(3, 40))
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        torch.save(theirs, f"{folder}/small.pth")
        package = RWKV(model=f"{folder}/small", strategy="cpu fp32")
        wanted, _ = package.forward(ids, None, full_output=True)
        got = rwkv7_model.logits(weights, LAYERS, head, 1e-5, ids)
    apart = float((wanted - got).abs().max())
    print(f"the package's logits are within {apart:.1e} of the formulas', which are as large as {float(got.abs().max()):.1f}")
    assert apart < 1e-4, apart


def main() -> None:
    hold_the_formulas_to_the_package()
    OUT.mkdir(parents=True, exist_ok=True)
    rng = np.random.Generator(np.random.PCG64(SEED))
    prompt = [int(id) for id in rng.integers(3, VOCABULARY, 24)]
    for seed in range(SEED, SEED + 400):
        weights = draw(seed)
        first = greedy(weights, prompt, 16)
        if first["lead"] < 0.01 or len(set(first["tokens"])) < 5:
            continue
        run = greedy(weights, prompt, 64)
        if run["lead"] >= 0.01 and len(set(run["tokens"])) >= 12:
            break
    else:
        raise RuntimeError("no seed leads to 64 tokens of 12 kinds, each by 0.01")
    save_file({name: np.ascontiguousarray(x.numpy().astype(np.float16)) for name, x in weights.items()}, OUT / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["RWKV7ForCausalLM"], "a_low_rank_dim": RANK, "attn": None, "bos_token_id": 0, "decay_low_rank_dim": RANK, "eos_token_id": 0, "gate_low_rank_dim": RANK, "head_dim": HEAD,
        "hidden_act": "sqrelu", "hidden_ratio": 1.5, "hidden_size": HIDDEN, "intermediate_size": WIDE, "max_position_embeddings": 2048, "model_type": "rwkv7", "norm_bias": True, "norm_eps": EPS,
        "norm_first": True, "num_heads": HIDDEN // HEAD, "num_hidden_layers": LAYERS, "tie_word_embeddings": False, "v_low_rank_dim": RANK, "vocab_size": VOCABULARY,
    }
    (OUT / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    write_gguf(weights)
    start = greedy(weights, prompt, 1)
    rounded = {"logits_after_prompt": start["logits"], "logits_last": run["logits"]}
    answers = {
        "about": "Greedy continuation by the paper's formulas in PyTorch in f64. Remake: python training/make_rwkv7_fixtures.py",
        "prompt_ids": prompt, "greedy": run["tokens"], "smallest_lead": run["lead"],
    }
    write_json(OUT / "answers.json", answers | {key: [round(v, 5) for v in x] for key, x in rounded.items()})
    sizes = {f.name: f.stat().st_size for f in OUT.iterdir()}
    print(f"rwkv7: seed {seed}, {len(set(run['tokens']))} different tokens of 64, smallest lead {run['lead']:.4f}, files {sizes}")


if __name__ == "__main__":
    main()
