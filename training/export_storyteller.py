"""Exports the storyteller's checkpoint: its two files in models/storyteller, in eight bits and in four, and the references of the first.

    python training/export_storyteller.py [--data training/work/storyteller]

The references (tests/fixtures/storyteller_greedy.json) come from the file that was written: its weights are
dequantised and run by PyTorch `transformers` in f32, so that every backend can be held to them. The catalog is
written anew.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import torch

import make_catalog
from llama_gguf import Vocabulary, greedy, read_shape, read_tokenizer, read_weights, torch_model, write_gguf
from smol_shapes import ROOT, write_json
from storyteller_data import BOS_ID, CHAT_TEMPLATE, END_ID
from storyteller_model import SHAPE

MODEL = ROOT / "models" / "storyteller" / "storyteller-q8_0.gguf"
IN_FOUR_BITS = MODEL.with_name("storyteller-q4_0.gguf")
CHAT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
PROMPTS = ("Once upon a time", CHAT.format("Tell me a story about a fox who finds a lantern in the snow."))


def reference(path: Path) -> dict:
    shape, tokenizer = read_shape(path), read_tokenizer(path)
    model = torch_model(shape, read_weights(path, shape))
    cases = []
    for prompt in PROMPTS:
        ids = [BOS_ID, *tokenizer.encode(prompt, add_special_tokens=False).ids]
        first, run = greedy(model, ids, 1), greedy(model, ids, 64)

        def top(logits: list[float]) -> list[dict]:
            return [{"token": i, "logit": round(logits[i], 5)} for i in sorted(range(len(logits)), key=lambda i: -logits[i])[:16]]

        cases.append({
            "prompt": prompt, "prompt_ids": ids, "greedy": run["tokens"], "greedy_text": tokenizer.decode(run["tokens"], skip_special_tokens=False),
            "smallest_lead": run["smallest_lead"], "top_after_prompt": top(first["logits"]), "top_last": top(run["logits"]),
        })
    return {
        "about": "Greedy continuation (not stopped at the end token) by PyTorch transformers in f32 from the dequantised weights of models/storyteller/storyteller-q8_0.gguf. prompt_ids begin with the beginning-of-text token.",
        "model_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "cases": cases,
    }


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path, default=Path("training/work/storyteller"))
    a = p.parse_args()
    saved = torch.load(a.data / "checkpoint.pt")
    master = {n: w.numpy() for n, w in saved["optimizer"]["master"].items()}
    vocabulary = Vocabulary((a.data / "tokenizer.json").read_text(encoding="utf-8"), bos=BOS_ID, eos=END_ID, unk=BOS_ID, chat_template=CHAT_TEMPLATE, add_bos=True)
    about = {
        "general.author": "the Vitrine project", "general.license": "mit or apache-2.0",
        "general.description": f"Tells small stories. {saved['optimizer']['steps']} steps, {saved['tokens']} tokens.",
    }
    write_gguf(MODEL, "storyteller", SHAPE, master, vocabulary, "q8_0", about)
    write_gguf(IN_FOUR_BITS, "storyteller", SHAPE, master, vocabulary, "q4_0", about)
    write_json(ROOT / "tests" / "fixtures" / "storyteller_greedy.json", reference(MODEL))
    make_catalog.main()
    print(f"{MODEL}: {MODEL.stat().st_size} bytes, {IN_FOUR_BITS.name}: {IN_FOUR_BITS.stat().st_size} bytes, step {saved['optimizer']['steps']}, {saved['tokens']} tokens")


if __name__ == "__main__":
    main()
