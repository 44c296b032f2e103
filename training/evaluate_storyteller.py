"""Measures models/storyteller/storyteller-q8_0.gguf and writes training/reports/storyteller.{json,md}.

    python training/evaluate_storyteller.py [--data training/work/storyteller] [--requests 500] [--model FILE.gguf] [--report NAME]

Requests name a hero, a thing and a place that never met in training. Counted for each answer: are all three
there; does any run of six words come more than twice; does it end by itself; are names and pronouns kept
(`stories/check.py`). Then the exam of `stories/abilities.py`, and beginnings without a request. Bits per byte
are those of the answers to held-out requests, and of held-out TinyStories.
The weights are those of the file, dequantised, run by PyTorch in f32. What was read and judged by a person
stands in training/reports/NAME-notes.md and is put at the head of the report.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from export_storyteller import MODEL
from llama_gguf import read_shape, read_tokenizer, read_weights
from smol_shapes import ROOT
from story_speaker import sample
from storyteller_data import BOS_ID, END_ID
from storyteller_model import Storyteller
from stories.abilities import Reader, exam, openings, plot_reader
from stories.check import PRONOUN, clean, faults, has, loops
from stories.tell import plots
from train_storyteller import Rows

BATCH = 100
GOALS = {"hero_thing_place": 0.95, "no_loops": 0.98, "ends_by_itself": 0.95, "names_and_pronouns": 0.90}


def chat(turns) -> str:
    return "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns) + "<|im_start|>assistant\n"


class Speaker:
    """Samples answers to many prompts at once."""

    def __init__(self, model, tokenizer, temperature: float, top_p: float):
        self.model, self.tokenizer, self.temperature, self.top_p = model, tokenizer, temperature, top_p

    def batch(self, prompts: list[list[int]], limit: int, seed: int) -> list[dict]:
        torch.manual_seed(seed)
        answers = []
        for row in sample(self.model, prompts, limit, self.temperature, self.top_p):
            ended = END_ID in row
            row = row[: row.index(END_ID)] if ended else row
            answers.append({"text": self.tokenizer.decode(row, skip_special_tokens=True).strip(), "ended": ended, "tokens": len(row)})
        return answers

    def answers(self, prompts: list[str], limit: int, seed: int) -> list[dict]:
        """In the order of the prompts; those of like length run together."""
        ids = [[BOS_ID, *self.tokenizer.encode(p, add_special_tokens=False).ids] for p in prompts]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        out: list[dict] = [{} for _ in ids]
        for at in range(0, len(order), BATCH):
            chosen = order[at : at + BATCH]
            for i, answer in zip(chosen, self.batch([ids[i] for i in chosen], limit, seed + at)):
                out[i] = answer
        return out


def bits_per_byte(model: Storyteller, tokenizer, path: Path, rows: int) -> float:
    """Over the tokens with weight 1 of the first rows; bytes are those of the text, the end token counts none."""
    data = Rows(path)
    sizes = np.array([0 if i < 3 else len(tokenizer.id_to_token(i)) for i in range(tokenizer.get_vocab_size())])  # a character of a byte-level token is a byte
    nats, size = 0.0, 0
    for at in range(0, min(rows, len(data.tokens)), 8):
        index = np.arange(at, min(at + 8, rows, len(data.tokens)))
        ids, mask, weight = data.batch(index)
        with torch.inference_mode():
            nats += float(model.loss(ids, mask.float(), weight)) * int(weight.sum())
        size += int((sizes[data.tokens[index][:, 1:]] * weight.numpy()).sum())
    return nats / math.log(2) / size


def tell_all(speaker: Speaker, requests: list[dict]) -> list[dict]:
    results = []
    for ask, answer in zip(requests, speaker.answers([chat([("user", r["request"])]) for r in requests], 400, 1)):
        text = answer["text"]
        results.append({
            **ask, **answer, "has_hero": has(text, ask["hero"]), "has_thing": has(text, ask["thing"]), "has_place": has(text, ask["place"]), "loops": loops(text),
            "faults": faults(text, ask["hero"], PRONOUN[ask["hero"].replace(" ", "-")], ask["thing"]), "clean": clean(text),
        })
    return results


def plots_told(reader: Reader, texts: list[str]) -> dict:
    """How many of the generator's plots the texts are told by, and the share of the commonest."""
    counts = Counter(map(reader.kind, texts))
    name, count = counts.most_common(1)[0]
    return {"different": len(counts), "commonest": name, "its_share": round(count / len(texts), 3), "read_right_of_the_generators": round(reader.accuracy, 3)}


def report(summary: dict, results: list[dict], plain: list[dict], notes: str) -> str:
    lines = ["# The storyteller, measured", "", f"`python training/evaluate_storyteller.py`: {summary['requests']} requests whose hero, thing and place never met in training; temperature {summary['temperature']}, top-p {summary['top_p']}.", "", "| measure | value | goal |", "|---|---|---|"]
    skipped = ("requests", "temperature", "top_p", "seconds", "abilities", "faults", "model", "plots", "plots_of_beginnings")
    lines += [f"| {k.replace('_', ' ')} | {v} | {'≥ ' + str(GOALS[k]) if k in GOALS else ''} |" for k, v in summary.items() if k not in skipped]
    lines += ["", "What else it was asked for (`stories/abilities.py` says what counts as right):", "", "| ability | right |", "|---|---|"]
    lines += [f"| {k} | {v} |" for k, v in summary["abilities"].items()]
    lines += ["", *(f"{what}: {p['different']} of {len(plots())} plots, the commonest ({p['commonest']}) in {p['its_share']:.1%}." for what, p in (("These stories", summary["plots"]), ("Beginnings without a request", summary["plots_of_beginnings"])))]
    lines += ["", "What broke names and pronouns: " + (", ".join(f"{k} ({n})" for k, n in summary["faults"].items()) or "nothing") + ".", "", notes.strip(), "", "## The first thirty answers, as they came", ""]
    for r in results[:30]:
        flags = [k for k, bad in (("no hero", not r["has_hero"]), ("no thing", not r["has_thing"]), ("no place", not r["has_place"]), ("loops", r["loops"]), ("does not end", not r["ended"])) if bad] + r["faults"]
        lines += [f"**{r['request']}**" + (f" *({', '.join(flags)})*" if flags else ""), "", r["text"], ""]
    lines += ["## Beginnings without a request", ""]
    for r in plain[:13]:
        lines += [f"**{r['opening']}** {r['text']}", ""]
    return "\n".join(lines)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path, default=Path("training/work/storyteller"))
    p.add_argument("--model", type=Path, default=MODEL)
    p.add_argument("--report", default="storyteller", help="name of the two files in training/reports")
    p.add_argument("--requests", type=int, default=500)
    p.add_argument("--each", type=int, default=50, help="tasks of each ability")
    p.add_argument("--temperature", type=float, default=0.7)
    p.add_argument("--top-p", type=float, default=0.9)
    p.add_argument("--rows", type=int, default=80, help="rows of held-out text for bits per byte")
    p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    begin = time.time()
    shape, tokenizer = read_shape(a.model), read_tokenizer(a.model)
    weights = read_weights(a.model, shape)
    model = Storyteller(shape)
    model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in weights.items()})
    speaker = Speaker(model, tokenizer, a.temperature, a.top_p)
    requests = json.loads((a.data / "requests.json").read_text(encoding="utf-8"))[: a.requests]
    results = tell_all(speaker, requests)
    print(f"{len(results)} answers, {time.time() - begin:.0f} s", flush=True)

    tasks = exam(a.each, seed=5)
    kinds: dict[str, list[bool]] = {}
    for task, answer in zip(tasks, speaker.answers([chat(t.turns) for t in tasks], 320, 2)):
        kinds.setdefault(task.kind, []).append(answer["ended"] and task.right(answer["text"]))
    plain = [{"opening": o, **answer} for o, answer in zip(openings(), speaker.answers(openings(), 320, 3))]
    print(f"{len(tasks)} tasks, {time.time() - begin:.0f} s", flush=True)

    reader = plot_reader()

    def share(predicate, of=results) -> float:
        return round(sum(map(bool, map(predicate, of))) / len(of), 4)

    summary = {
        "model": a.model.name, "requests": len(results), "temperature": a.temperature, "top_p": a.top_p,
        "hero": share(lambda r: r["has_hero"]), "thing": share(lambda r: r["has_thing"]), "place": share(lambda r: r["has_place"]),
        "hero_thing_place": share(lambda r: r["has_hero"] and r["has_thing"] and r["has_place"]),
        "no_loops": share(lambda r: not r["loops"]), "ends_by_itself": share(lambda r: r["ended"]), "names_and_pronouns": share(lambda r: not r["faults"]),
        "clean_punctuation": share(lambda r: r["clean"]), "distinct_answers": len({r["text"] for r in results}), "mean_tokens": round(sum(r["tokens"] for r in results) / len(results), 1),
        "plots": plots_told(reader, [r["text"] for r in results]), "plots_of_beginnings": plots_told(reader, [r["opening"] + " " + r["text"] for r in plain]),
        "beginnings_clean_and_without_loops": share(lambda r: clean(r["text"].replace('"', "")) and not loops(r["text"]), plain), "beginnings_that_end": share(lambda r: r["ended"], plain),
        "bits_per_byte_stories": round(bits_per_byte(model, tokenizer, a.data / "held_stories.npz", a.rows), 4),
        "bits_per_byte_tinystories": round(bits_per_byte(model, tokenizer, a.data / "held_tiny.npz", a.rows), 4),
        "abilities": {k: round(sum(v) / len(v), 2) for k, v in kinds.items()},
        "faults": dict(Counter(f if "'s" not in f and "nowhere" not in f else ("somebody out of nowhere" if f.startswith("the ") and "nowhere" in f else "a pronoun that changes" if "pronoun" in f else f) for r in results for f in set(r["faults"])).most_common()),
        "seconds": round(time.time() - begin),
    }
    out = ROOT / "training" / "reports"
    notes = out / f"{a.report}-notes.md"
    (out / f"{a.report}.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    (out / f"{a.report}.md").write_text(report(summary, results, plain, notes.read_text(encoding="utf-8") if notes.exists() else ""), encoding="utf-8")
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
