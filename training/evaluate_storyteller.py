"""Measures models/storyteller/storyteller-q8_0.gguf and writes training/reports/storyteller.{json,md}.

    python training/evaluate_storyteller.py [--data training/work/storyteller] [--requests 500]

Requests name a hero, a thing and a place that never met in training. Counted for each answer: are all three
there; does any run of six words come more than twice; does it end by itself; are names and pronouns kept.
Bits per byte are those of the answers to held-out requests, and of held-out TinyStories.
The weights are those of the shipped file, dequantised, run by PyTorch `transformers` in f32.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from export_storyteller import CHAT, MODEL
from llama_gguf import read_shape, read_tokenizer, read_weights, torch_model
from smol_shapes import ROOT
from storyteller_data import BOS_ID, END_ID
from stories.lexicon import NAMES_HE, NAMES_SHE

NAMES = set(NAMES_HE) | set(NAMES_SHE)
BATCH = 50


def generate(model, tokenizer, prompts: list[str], temperature: float, top_p: float, limit: int, seed: int) -> list[dict]:
    """Sampled answers to a batch of prompts: text and whether the end token came."""
    torch.manual_seed(seed)
    ids = [[BOS_ID, *tokenizer.encode(p, add_special_tokens=False).ids] for p in prompts]
    width = max(map(len, ids))
    tokens = torch.tensor([[BOS_ID] * (width - len(x)) + x for x in ids])
    mask = torch.tensor([[0] * (width - len(x)) + [1] * len(x) for x in ids])
    with torch.no_grad():
        out = model.generate(input_ids=tokens, attention_mask=mask, max_new_tokens=limit, do_sample=True, temperature=temperature, top_p=top_p, top_k=0, eos_token_id=END_ID, pad_token_id=END_ID)
    answers = []
    for row in out[:, width:].tolist():
        ended = END_ID in row
        row = row[: row.index(END_ID)] if ended else row
        answers.append({"text": tokenizer.decode(row, skip_special_tokens=True), "ended": ended, "tokens": len(row)})
    return answers


def has(text: str, noun: str) -> bool:
    return re.search(rf"\b{re.escape(noun.removeprefix('the '))}(s|es)?\b", text.lower()) is not None


def loops(text: str) -> bool:
    words = re.findall(r"[\w']+", text.lower())
    grams = Counter(tuple(words[i : i + 6]) for i in range(len(words) - 5))
    return any(n > 2 for n in grams.values())


def consistent(text: str, hero: str) -> bool:
    """One name per introduced creature, no name out of nowhere, one pronoun before anybody else comes in."""
    introduced = re.findall(r"\b(\w+) (?:named|called) ([A-Z]\w+)", text) + [(n, name) for name, n in re.findall(r"\b([A-Z]\w+) the (\w+)", text) if name in NAMES]
    names: dict[str, set[str]] = {}
    for noun, name in introduced:
        names.setdefault(noun, set()).add(name)
    if any(len(n) > 1 for n in names.values()):
        return False
    known = {name for _, name in introduced}
    if any(word in NAMES and word not in known for word in re.findall(r"\b[A-Z][a-z]+\b", text)):
        return False
    heads = [m.start() for m in re.finditer(r"\b(?:a|an) (?:[\w-]+ )?\w+ (?:named|called)|\b[Aa]n? (?:\w+ )?\w+ (?:came|was (?:his|her))", text)]
    alone = re.sub(r'"[^"]*"', "", text[: heads[1]] if len(heads) > 1 else text.split("\n\n")[0])
    pronouns = set(re.findall(r"\b(he|him|his|himself|she|her|herself)\b", alone.lower()))
    return not (pronouns & {"he", "him", "his", "himself"} and pronouns & {"she", "her", "herself"})


def bits_per_byte(model, tokenizer, path: Path, rows: int) -> float:
    """Over the tokens with weight 1 of the first rows; bytes are those of the text, the end token counts none."""
    data = np.load(path)
    names = tokenizer.get_vocab_size()
    sizes = np.array([0 if i < 3 else len(tokenizer.id_to_token(i)) for i in range(names)])  # a character of a byte-level token is a byte
    nats, size = 0.0, 0
    for tokens, segments, weights in zip(data["tokens"][:rows], data["segments"][:rows], data["weights"][:rows]):
        for segment in np.unique(segments[segments > 0]):
            at = segments == segment
            ids, w = torch.from_numpy(tokens[at].astype(np.int64))[None], weights[at][1:] > 0
            with torch.no_grad():
                loss = torch.nn.functional.cross_entropy(model(input_ids=ids).logits[0, :-1], ids[0, 1:], reduction="none").numpy()
            nats += float(loss[w].sum())
            size += int(sizes[tokens[at][1:][w]].sum())
    return nats / math.log(2) / size


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path, default=Path("training/work/storyteller"))
    p.add_argument("--model", type=Path, default=MODEL)
    p.add_argument("--requests", type=int, default=500)
    p.add_argument("--temperature", type=float, default=0.7)
    p.add_argument("--top-p", type=float, default=0.9)
    p.add_argument("--rows", type=int, default=80, help="rows of held-out text for bits per byte")
    p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    begin = time.time()
    shape, tokenizer = read_shape(a.model), read_tokenizer(a.model)
    model = torch_model(shape, read_weights(a.model, shape))
    model.config._attn_implementation = "sdpa"
    requests = json.loads((a.data / "requests.json").read_text(encoding="utf-8"))[: a.requests]
    results = []
    for at in range(0, len(requests), BATCH):
        batch = requests[at : at + BATCH]
        for ask, answer in zip(batch, generate(model, tokenizer, [CHAT.format(r["request"]) for r in batch], a.temperature, a.top_p, 400, at)):
            text = answer["text"]
            results.append({
                **ask, **answer, "has_hero": has(text, ask["hero"]), "has_thing": has(text, ask["thing"]), "has_place": has(text, ask["place"]),
                "loops": loops(text), "consistent": consistent(text, ask["hero"]),
            })
        print(f"{len(results)} answers, {time.time() - begin:.0f} s", flush=True)

    def share(predicate) -> float:
        return round(sum(map(bool, map(predicate, results))) / len(results), 4)

    summary = {
        "requests": len(results), "temperature": a.temperature, "top_p": a.top_p,
        "hero": share(lambda r: r["has_hero"]), "thing": share(lambda r: r["has_thing"]), "place": share(lambda r: r["has_place"]),
        "hero_thing_place": share(lambda r: r["has_hero"] and r["has_thing"] and r["has_place"]),
        "no_loops": share(lambda r: not r["loops"]), "ends_by_itself": share(lambda r: r["ended"]), "names_and_pronouns": share(lambda r: r["consistent"]),
        "distinct_answers": len({r["text"] for r in results}), "mean_tokens": round(sum(r["tokens"] for r in results) / len(results), 1),
        "mean_tokens_short": round(float(np.mean([r["tokens"] for r in results if r["short"]] or [0])), 1),
        "bits_per_byte_stories": round(bits_per_byte(model, tokenizer, a.data / "held_stories.npz", a.rows), 4),
        "bits_per_byte_tinystories": round(bits_per_byte(model, tokenizer, a.data / "held_tiny.npz", a.rows), 4),
        "seconds": round(time.time() - begin),
    }
    out = ROOT / "training" / "reports"
    out.mkdir(parents=True, exist_ok=True)
    (out / "storyteller.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    goal = {"hero_thing_place": 0.95, "no_loops": 0.98, "ends_by_itself": 0.95, "names_and_pronouns": 0.90}
    lines = ["# The storyteller, measured", "", f"`python training/evaluate_storyteller.py`: {len(results)} requests whose hero, thing and place never met in training; temperature {a.temperature}, top-p {a.top_p}.", "", "| measure | value | goal |", "|---|---|---|"]
    lines += [f"| {k.replace('_', ' ')} | {v} | {'≥ ' + str(goal[k]) if k in goal else ''} |" for k, v in summary.items() if k not in ("requests", "temperature", "top_p", "seconds")]
    lines += ["", "## The first thirty answers, as they came", ""]
    for r in results[:30]:
        flags = [k for k, bad in (("no hero", not r["has_hero"]), ("no thing", not r["has_thing"]), ("no place", not r["has_place"]), ("loops", r["loops"]), ("does not end", not r["ended"]), ("names or pronouns", not r["consistent"])) if bad]
        lines += [f"**{r['request']}**" + (f" *({', '.join(flags)})*" if flags else ""), "", r["text"].strip(), ""]
    (out / "storyteller.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
