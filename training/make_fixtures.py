"""Makes tests/fixtures/tiny_llama*: a random Llama small enough to commit, and what PyTorch says of it.

    python training/make_fixtures.py

tiny_llama.gguf         f32, rope rows interleaved (GGUF's `llama`), byte-level BPE of 320 tokens
tiny_llama/             config.json, model.safetensors (f16, rope rows half-split), tokenizer.json
tiny_llama.json         prompt ids, 64 greedy tokens, all logits after the prompt and after the last token
"""

from __future__ import annotations

from pathlib import Path

from llama_gguf import greedy, torch_model, weights_sha256, write_gguf, write_hf_folder
from smol_shapes import ROOT, SEED, SHAPES, make_prompts, make_vocabulary, make_weights, write_json


def main() -> None:
    out: Path = ROOT / "tests" / "fixtures"
    shape = SHAPES["tiny"]
    vocabulary = make_vocabulary(shape)
    weights = make_weights("tiny", vocabulary)
    write_gguf(out / "tiny_llama.gguf", "tiny_llama", shape, weights, vocabulary, "f32")
    write_hf_folder(out / "tiny_llama", shape, weights, vocabulary)
    prompt = make_prompts(vocabulary, (16,))["16"]
    model = torch_model(shape, weights)
    first = greedy(model, prompt["ids"], 1)
    run = greedy(model, prompt["ids"], 64)
    write_json(
        out / "tiny_llama.json",
        {
            "about": "Greedy continuation by PyTorch transformers in f32. Remake: python training/make_fixtures.py",
            "seed": SEED, "weights_sha256": weights_sha256(shape, weights), "prompt": prompt["text"], "prompt_ids": prompt["ids"],
            "greedy": run["tokens"], "smallest_lead": run["smallest_lead"],
            "logits_after_prompt": [round(v, 6) for v in first["logits"]], "logits_last": [round(v, 6) for v in run["logits"]],
        },
    )
    print(f"{len(set(run['tokens']))} different tokens of 64, smallest lead {run['smallest_lead']:.4f}")


if __name__ == "__main__":
    main()
