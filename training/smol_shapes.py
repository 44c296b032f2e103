"""Llamas of real shapes with random weights, for tests and benchmarks.

    python training/smol_shapes.py --out DIR [--shape smol135|tiny15] [--schemes f32,q8_0,...]

writes, for each shape, `DIR/SHAPE/`:
    SHAPE-f32.gguf, -f16, -q8_0, -q4_0, -q4_k_m     the same weights; llama.cpp's mixes of types
    config.json, model.safetensors, tokenizer.json …  a Hugging Face folder (f16, the same weights exactly)
    prompts.json                                      prompts of exactly 16, 32, 256 and 512 tokens

Everything follows from seeds: numpy draws the weights (rounded to f16, so that every file holds the same
numbers before quantisation), and the tokenizer is trained on words made of drawn syllables and on this
repository's licence text. Rows of the embedding that belong to special tokens or to bytes outside ASCII are
made small, so that greedy decoding never chooses them and the output is always valid text.
With --fixture FILE the greedy continuation by PyTorch in f32 is written too.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from llama_gguf import LlamaShape, Vocabulary, greedy, torch_model, weights_sha256, write_gguf, write_hf_folder

ROOT = Path(__file__).resolve().parent.parent
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
SEED = 20261122

SHAPES = {
    # HuggingFaceTB/SmolLM2-135M
    "smol135": LlamaShape(576, 1536, 30, 9, 3, 49152, 8192, rope_theta=100000.0),
    # karpathy/tinyllamas stories15M
    "tiny15": LlamaShape(288, 768, 6, 6, 6, 32000, 2048),
    # small enough to commit
    "tiny": LlamaShape(64, 64, 2, 4, 2, 320, 256),
}
INIT_STD = {"smol135": 1 / 24, "tiny15": 0.059, "tiny": 0.22}


def licence_text() -> str:
    return (ROOT / "LICENSE-APACHE").read_text(encoding="utf-8")


def drawn_words(count: int) -> list[str]:
    rng = random.Random(SEED)
    onsets = "b bl br c ch cl cr d dr f fl fr g gl gr h j k l m n p ph pl pr qu r s sc sh sk sl sm sn sp st str sw t th tr tw v w y z".split()
    vowels = "a e i o u ai ea ee ie oa oo ou".split()
    codas = ["", "", "", "n", "r", "s", "t", "l", "m", "d", "nd", "st", "ng", "rk", "ck", "lt"]
    words: dict[str, None] = {}
    while len(words) < count:
        words["".join(rng.choice(onsets) + rng.choice(vowels) + rng.choice(codas) for _ in range(rng.choice((1, 2, 2, 3, 3, 4))))] = None
    return list(words)


def train_tokenizer(vocab_size: int) -> str:
    """A byte-level BPE with single digits (GGUF's `smollm` splitting), as tokenizer.json text."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    t.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=SPECIAL, min_frequency=2, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())

    def lines():
        for _ in range(50):
            yield licence_text()
        words = drawn_words(40000 if vocab_size > 1000 else 40)
        for rank, word in enumerate(words):
            yield f" {word}" * (2 + 20000 // (rank + 10))
            if rank % 3 == 0:
                yield "\n".join([word.capitalize()] * 2)

    t.train_from_iterator(lines(), trainer)
    if t.get_vocab_size() != vocab_size:
        raise RuntimeError(f"the tokenizer has {t.get_vocab_size()} tokens, {vocab_size} wanted: draw more words")
    return t.to_str()


def make_vocabulary(shape: LlamaShape) -> Vocabulary:
    return Vocabulary(train_tokenizer(shape.vocab_size), bos=1, eos=2, unk=0)


def make_weights(name: str, vocabulary: Vocabulary) -> dict[str, np.ndarray]:
    shape, rng = SHAPES[name], np.random.Generator(np.random.PCG64(SEED))
    out = {}
    for tensor, dims in shape.tensor_shapes().items():
        if len(dims) == 1:
            x = 1.0 + 0.1 * rng.standard_normal(dims, dtype=np.float32)
        else:
            x = np.float32(INIT_STD[name]) * rng.standard_normal(dims, dtype=np.float32)
        out[tensor] = x.astype(np.float16).astype(np.float32)
    embedding = out["model.embed_tokens.weight"]
    for index, text in enumerate(vocabulary.tokens()[0]):
        printable = all(c in "\u0120\u010a" or 33 <= ord(c) <= 126 for c in text)
        if not printable or text in SPECIAL:
            embedding[index] = (embedding[index] * np.float32(0.01)).astype(np.float16).astype(np.float32)
    return out


def make_prompts(vocabulary: Vocabulary, lengths=(16, 32, 256, 512)) -> dict:
    """Licence text cut to exactly N tokens; the text encodes to the ids again."""
    t = Tokenizer.from_str(vocabulary.json_text)
    text = licence_text()
    words = text[text.index("Subject to the terms") :].split()
    out = {}
    for n in lengths:
        text = ""
        for word in words:
            longer = f"{text} {word}".strip()
            if len(t.encode(longer).ids) > n:
                break
            text = longer
        while len(t.encode(text).ids) < n:
            text += " a"
        ids = t.encode(text).ids
        if len(ids) != n or t.decode(ids) != text:
            raise RuntimeError(f"no prompt of exactly {n} tokens")
        out[str(n)] = {"text": text, "ids": ids}
    return out


def write_json(path: Path, value: dict) -> None:
    """One key a line, so that a diff says which part changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in value.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def make(name: str, out: Path, schemes: list[str], fixture: Path | None) -> None:
    begin = time.time()
    shape, folder = SHAPES[name], out / name
    vocabulary = make_vocabulary(shape)
    weights = make_weights(name, vocabulary)
    digest = weights_sha256(shape, weights)
    write_hf_folder(folder, shape, weights, vocabulary)
    for scheme in schemes:
        path = folder / f"{name}-{scheme}.gguf"
        write_gguf(path, name, shape, weights, vocabulary, scheme)
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB", flush=True)
    prompts = make_prompts(vocabulary)
    model = torch_model(shape, weights)
    reference = greedy(model, prompts["32"]["ids"], 16)
    prompts["greedy16_fp32"] = reference["tokens"]
    prompts["greedy16_text"] = Tokenizer.from_str(vocabulary.json_text).decode(reference["tokens"])
    (folder / "prompts.json").write_text(json.dumps(prompts), encoding="utf-8")
    if fixture:
        ids = prompts["16"]["ids"]
        run = greedy(model, ids, 64)
        top = sorted(range(shape.vocab_size), key=lambda i: -run["logits"][i])[:16]
        value = {
            "about": f"Greedy continuation of {name} by PyTorch transformers in f32. Remake the weights: python training/smol_shapes.py --out DIR --shape {name}",
            "seed": SEED, "weights_sha256": digest, "prompt": prompts["16"]["text"], "prompt_ids": ids,
            "greedy": run["tokens"], "smallest_lead": run["smallest_lead"],
            "last_top": [{"token": i, "logit": run["logits"][i]} for i in top],
        }
        write_json(fixture, value)
        print(f"{fixture}: {len(set(run['tokens']))} different tokens of 64, smallest lead {run['smallest_lead']:.4f}")
    print(f"{name}: {sum(w.size for w in weights.values()) / 1e6:.2f} M parameters, sha256 {digest}, {time.time() - begin:.0f} s", flush=True)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--shape", choices=["smol135", "tiny15"], action="append", help="default: both")
    p.add_argument("--schemes", default="f32,f16,q8_0,q4_0,q4_k_m")
    p.add_argument("--fixture", type=Path, help="write the 64-step greedy reference here (one --shape only)")
    a = p.parse_args()
    shapes = a.shape or ["smol135", "tiny15"]
    if a.fixture and len(shapes) != 1:
        p.error("--fixture needs exactly one --shape")
    for name in shapes:
        make(name, a.out, a.schemes.split(","), a.fixture)


if __name__ == "__main__":
    main()
