"""Trains the storyteller on the CPU (bfloat16) and keeps a resumable checkpoint.

    python training/train_storyteller.py --minutes 65 --log training/runs/storyteller-v1.jsonl [--resume]

Muon for the matrices of the layers (momentum, orthogonalised by Newton-Schulz), Adam for the embedding and
the norms; the weights live in f32, the arithmetic runs in bf16. The learning rate follows the clock: warm-up,
then a cosine down to a tenth when `--minutes` of training are over, so that a run fits the time there is.
The log has a line of JSON per 20 steps: step, tokens, loss (nats a token, names weighted by `--stress`), held-out losses (unweighted), seconds.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import subprocess
import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from llama_gguf import read_weights
from stories.lexicon import NAMES_HE, NAMES_SHE, load
from storyteller_model import SHAPE, Storyteller

BATCH = 8
WARM_UP_STEPS = 40


def newton_schulz(g: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Nearly orthogonal factor of each matrix. [n, rows, columns] -> the same shape, bf16."""
    x = g.bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / (x.float().norm(dim=(1, 2), keepdim=True).bfloat16() * 1.01 + 1e-7)
    for _ in range(steps):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * (a @ a)) @ x
    return x.mT if tall else x


class Optimizer:
    """Muon for matrices of the layers, Adam for the rest; f32 weights, whose bf16 copies are the model's."""

    def __init__(self, model: Storyteller):
        self.named = dict(model.named_parameters())
        self.master = {n: p.detach().float().clone() for n, p in self.named.items()}
        self.first = {n: torch.zeros_like(p) for n, p in self.master.items()}
        self.second = {n: torch.zeros_like(p) for n, p in self.master.items() if not self.is_matrix(n)}
        groups: dict[tuple, list[str]] = {}
        for n, p in self.master.items():
            if self.is_matrix(n):
                groups.setdefault(tuple(p.shape), []).append(n)
        self.groups = list(groups.values())
        self.steps = 0

    @staticmethod
    def is_matrix(name: str) -> bool:
        return "proj" in name

    def step(self, muon_rate: float, adam_rate: float) -> None:
        self.steps += 1
        for names in self.groups:
            updates = []
            for n in names:
                g = self.named[n].grad.float()
                m = self.first[n].mul_(0.95).add_(g, alpha=0.05)
                updates.append(g.lerp(m, 0.95))
            directions = newton_schulz(torch.stack(updates)).float()
            rows, columns = directions.shape[1:]
            scale = max(1.0, rows / columns) ** 0.5
            for n, d in zip(names, directions):
                w = self.master[n]
                w.mul_(1 - muon_rate * 0.05).add_(d, alpha=-muon_rate * scale)
        for n, v in self.second.items():
            g = self.named[n].grad.float()
            m = self.first[n].mul_(0.9).add_(g, alpha=0.1)
            v.mul_(0.98).addcmul_(g, g, value=0.02)
            hat_m, hat_v = m / (1 - 0.9**self.steps), v / (1 - 0.98**self.steps)
            self.master[n].add_(hat_m / (hat_v.sqrt() + 1e-10), alpha=-adam_rate)
        with torch.no_grad():
            for n, p in self.named.items():
                p.copy_(self.master[n])
                p.grad = None

    def state(self) -> dict:
        return {"master": self.master, "first": self.first, "second": self.second, "steps": self.steps}

    def set_weights(self, weights: dict[str, np.ndarray]) -> None:
        """Begins with the weights of a finished model; momenta and clock stay at nothing."""
        if weights.keys() != self.master.keys() or any(self.master[n].shape != w.shape for n, w in weights.items()):
            raise SystemExit("the weights to start with are of another shape than storyteller_model.SHAPE")
        for n, w in weights.items():
            self.master[n] = torch.from_numpy(w.copy())
        with torch.no_grad():
            for n, p in self.named.items():
                p.copy_(self.master[n])

    def load(self, state: dict) -> None:
        self.master, self.first, self.second, self.steps = state["master"], state["first"], state["second"], state["steps"]
        with torch.no_grad():
            for n, p in self.named.items():
                p.copy_(self.master[n])


class Rows:
    def __init__(self, path: Path, fill: bool = False):
        data = np.load(path)
        self.tokens, self.segments, self.weights = data["tokens"], data["segments"], data["weights"]
        if fill:
            self.fill_padding()
            self.hide_some_beginnings()
        else:
            self.weights = np.minimum(self.weights, 1)  # what is measured is what is said, all of it alike
        length = self.tokens.shape[1] - 1
        self.causal = torch.ones(length, length, dtype=torch.bool).tril()

    def fill_padding(self) -> None:
        """Two documents seldom leave room for a third: the rest of a row takes the beginning of another row's first."""
        source_tokens, source_segments, source_weights = self.tokens.copy(), self.segments.copy(), self.weights.copy()
        width = self.tokens.shape[1]
        used = (self.segments > 0).sum(axis=1)
        for row, n in enumerate(used):
            room, other = width - int(n), (row + 4099) % len(used)
            if room < 32:
                continue
            first = source_segments[other, :room] == 1
            self.tokens[row, n:][first] = source_tokens[other, :room][first]
            self.weights[row, n:][first] = source_weights[other, :room][first]
            self.segments[row, n:][first] = 255

    def hide_some_beginnings(self) -> None:
        """A fifth of the documents do without their beginning-of-text token, for callers that leave it out."""
        rng = np.random.default_rng(7)
        hidden = (self.tokens == 0) & (self.segments > 0) & (rng.random(self.tokens.shape) < 0.2)
        self.segments[hidden] = 254

    def stress(self, ids: list[int], weight: int) -> None:
        """Weighs the given tokens at least so much, wherever they are to be learned."""
        named = (self.weights > 0) & np.isin(self.tokens, ids)
        self.weights[named] = np.maximum(self.weights[named], weight)

    def batch(self, index: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        ids = torch.from_numpy(self.tokens[index].astype(np.int64))
        seg = torch.from_numpy(self.segments[index].astype(np.int64))[:, :-1]
        allowed = (seg[:, :, None] == seg[:, None, :]) & self.causal
        mask = torch.zeros(allowed.shape, dtype=torch.bfloat16).masked_fill_(~allowed, -1e4)
        return ids, mask[:, None], torch.from_numpy(self.weights[index].astype(np.int64))[:, 1:]


def names_of_things(tokenizer: Tokenizer) -> list[int]:
    """Tokens that are a character, a thing, a place, a name or a pronoun: few of all, and what binds a story together."""
    lexicon = load()
    places = [word for p in lexicon.places for word in p.noun.split() if word not in ("the", "of", "at")]
    words = [c.noun for c in lexicon.characters] + [t.noun for t in lexicon.things] + places + list(NAMES_HE) + list(NAMES_SHE) + "he she him her his".split()
    spelled = {i for w in words for i in tokenizer.encode(" " + w, add_special_tokens=False).ids}
    return sorted(i for i in spelled if len(tokenizer.id_to_token(i)) > 2)


def held_out_loss(loss, rows: Rows, count: int) -> float:
    total, weight = 0.0, 0
    with torch.no_grad():
        for at in range(0, min(count, len(rows.tokens) // BATCH * BATCH), BATCH):
            ids, mask, w = rows.batch(np.arange(at, at + BATCH))
            n = int(w.sum())
            total += float(loss(ids, mask, w)) * n
            weight += n
    return total / max(weight, 1)


def git_commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent)
    return done.stdout.strip() or "unknown"


def cpu_name() -> str:
    try:
        return next(line.split(": ")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        return platform.processor() or "unknown"


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path, default=Path("training/work/storyteller"))
    p.add_argument("--log", type=Path, default=Path("training/runs/storyteller-v1.jsonl"))
    p.add_argument("--minutes", type=float, default=65)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--muon-rate", type=float, default=0.02)
    p.add_argument("--adam-rate", type=float, default=0.003)
    p.add_argument("--stress", type=int, default=2, help="weight of the tokens that name characters and things")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--start", type=Path, help="begin with the weights of this GGUF, which needs the same tokenizer and shape")
    p.add_argument("--resume", action="store_true")
    p.add_argument("--compile", action="store_true", help="torch.compile: a third faster after some minutes of compiling")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    model = Storyteller()
    optimizer = Optimizer(model)
    model.bfloat16()
    optimizer.named = dict(model.named_parameters())
    rows, held, tiny = Rows(a.data / "train.npz", fill=True), Rows(a.data / "held_stories.npz"), Rows(a.data / "held_tiny.npz")
    rows.stress(names_of_things(Tokenizer.from_file(str(a.data / "tokenizer.json"))), a.stress)
    order = np.random.default_rng(a.seed).permutation(len(rows.tokens))
    checkpoint = a.data / "checkpoint.pt"
    a.log.parent.mkdir(parents=True, exist_ok=True)
    spent, tokens = 0.0, 0
    if a.resume and checkpoint.exists():
        saved = torch.load(checkpoint)
        optimizer.load(saved["optimizer"])
        spent, tokens = saved["seconds"], saved["tokens"]
    elif a.start:
        optimizer.set_weights(read_weights(a.start, SHAPE))
    log = a.log.open("a" if a.resume else "w")

    def write(value: dict) -> None:
        log.write(json.dumps(value) + "\n")
        log.flush()
        print(value, flush=True)

    write({
        "run": a.log.stem, "commit": git_commit(), "date": time.strftime("%Y-%m-%d %H:%M:%S"), "machine": cpu_name(), "threads": a.threads, "torch": torch.__version__, "parameters": sum(p.numel() for p in model.parameters()),
        "shape": SHAPE.__dict__, "batch": BATCH, "rows": len(rows.tokens), "muon_rate": a.muon_rate, "adam_rate": a.adam_rate, "minutes": a.minutes, "stress": a.stress, "seed": a.seed, "data": a.data.name, "start": a.start.name if a.start else None, "resumed_at_step": optimizer.steps,
    })
    loss_fn = torch.compile(model.loss) if a.compile else model.loss
    eager = model.loss
    begin = last = time.time()
    recent: list[float] = []
    saved_at = time.time()
    while True:
        done = spent / (a.minutes * 60)
        if done >= 1:
            break
        step = optimizer.steps
        index = order[np.arange(step * BATCH, (step + 1) * BATCH) % len(order)]
        ids, mask, weight = rows.batch(index)
        loss = loss_fn(ids, mask, weight)
        loss.backward()
        factor = min(1.0, (step + 1) / WARM_UP_STEPS) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))
        optimizer.step(a.muon_rate * factor, a.adam_rate * factor)
        recent.append(loss.item())
        tokens += int((rows.segments[index] > 0).sum())
        now = time.time()
        if step > 1:  # compiling takes no part in the schedule
            spent += now - last
        last = now
        if optimizer.steps % 20 == 0 or optimizer.steps in (1, 5, 10):
            value = {"step": optimizer.steps, "tokens": tokens, "loss": round(sum(recent) / len(recent), 4), "rate": round(factor, 4), "seconds": round(spent), "wall": round(now - begin)}
            if optimizer.steps % 200 == 0:
                value["held_out_stories"] = round(held_out_loss(eager, held, 32), 4)
                value["held_out_tinystories"] = round(held_out_loss(eager, tiny, 16), 4)
                last = time.time()
            write(value)
            recent = []
        if time.time() - saved_at > 120:
            save(checkpoint, optimizer, spent, tokens)
            saved_at = last = time.time()
    write({"finished": True, "step": optimizer.steps, "tokens": tokens, "seconds": round(spent), "held_out_stories": round(held_out_loss(eager, held, 10**9), 4), "held_out_tinystories": round(held_out_loss(eager, tiny, 10**9), 4)})
    save(checkpoint, optimizer, spent, tokens)


def save(path: Path, optimizer: Optimizer, spent: float, tokens: int) -> None:
    temporary = path.with_suffix(".tmp")
    torch.save({"optimizer": optimizer.state(), "seconds": spent, "tokens": tokens}, temporary)
    temporary.replace(path)


if __name__ == "__main__":
    main()
