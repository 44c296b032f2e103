"""Makes tests/fixtures/published/NAME.json: what the libraries that published models are made for say of the weights that `cargo xtask models` fetches.

    python training/make_published_references.py [smollm2] [gemma3] [minilm] [wordllama] [g2p] [--models target/published]

smollm2, gemma3   transformers in f32 on the weights as it dequantises them from the GGUF: ids of texts that are hard to cut and of conversations through the
                  file's own template, log-probabilities of a text, 48 greedy tokens that were never chosen by a hair
minilm            transformers: hidden states, their mean over each sentence's tokens, divided by its length, as sentence-transformers does
wordllama         numpy, as the package does: rows of the table, their mean, divided by its length
g2p               numpy, as the package does: both GRUs step by step, the likeliest phoneme each time

Numbers have six significant digits. The SHA-256 in a reference is that of the weights that it speaks of.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from tokenizers import Tokenizer, pre_tokenizers
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from llama_gguf import greedy
from smol_shapes import ROOT, write_json

OUT = ROOT / "tests" / "fixtures" / "published"
STEPS, FEWEST_TOKENS, SMALLEST_LEAD = 48, 24, 0.03

TEXTS = [
    "Hello, World!",
    " leading and trailing ",
    "  two spaces,   three,    four",
    "tabs\tand\t\ttabs\n\n\nthree lines\r\n\r\nof two systems",
    "   ",
    "\n",
    "12345 + 678.90 = 13,023.90 (in 2026)",
    "x 7  8   9\n 10",
    "It's we'LL they'Re I'd o'clock ''quoted''",
    "naïve café Ångström, nai\u0308ve cafe\u0301",
    "Größe, œuvre, żółć, İstanbul, ﬁne",
    "東京は日本の首都です。你好，世界！한국어",
    "Привет, мир! Γειά σου Κόσμε",
    "مرحبا بالعالم שלום עולם",
    "สวัสดีชาวโลก नमस्ते दुनिया",
    "🦙🌈 👩‍👩‍👧‍👦 🇩🇪 👍🏽",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ①②③ ½ ²",
    "zero\u200bwidth\u00a0no\u2060break\ufeff",
    "def f(x):\n    return {\"a\": x**2, 'b': [x[::-1]]}  # ok?\n",
    "<table><tr><td>&nbsp;</td></tr></table> <b>bold</b>",
    "https://example.org/a/b?c=d&e=%20f#g user@example.org",
    "!!!???...---===>>>~~~```",
    "SCREAMING_SNAKE camelCase kebab-case PascalCase2",
    "Donaudampfschifffahrtsgesellschaftskapitän antidisestablishmentarianism",
    "a" * 40,
    "<unk> <s> [INST] <0x41> Ġ",
]
CHATS = [
    [{"role": "user", "content": "What is a rainbow?"}],
    [{"role": "system", "content": "You answer in one word."}, {"role": "user", "content": "  The capital of France?\n"}],
    [
        {"role": "user", "content": "Write a haiku 🌊 about the sea."},
        {"role": "assistant", "content": "Waves fold into foam,\nsalt light on a patient stone;\nthe tide keeps no clock."},
        {"role": "user", "content": "Now in 2 lines, with `code`: x = {\"a\": 1}"},
    ],
]
SCORED = (
    "The lighthouse keeper's daughter counted 37 ships before breakfast. By noon the fog had rolled in from the west, and she could hear only the bell "
    "of the harbour and, far away, a horn that answered it."
)
BEGINNINGS = [
    "The recipe is simple: first,",
    "Once upon a time, in a village by the sea,",
    "The history of the bicycle begins in",
    "Water boils at a lower temperature on a mountain because",
    "There are three reasons why people keep bees. The first is",
    "In the morning, the old clockmaker",
]
REQUESTS = [
    "Tell me three facts about the Moon.",
    "How do I make pancakes?",
    "Why is the sky blue?",
    "Describe a walk through a forest in autumn.",
    "What should I pack for a week by the sea?",
    "Explain how a bicycle stays upright.",
]
SENTENCES = [
    "A cat sleeps on the warm windowsill.",
    "A kitten naps in the sunlight by the window.",
    "The stock market fell sharply on Tuesday.",
    "Share prices dropped at the start of the week!",
    "How do I bake sourdough bread at home?",
    "Café naïve: Größe, 東京 and 12,345 llamas.",
    "Photosynthesis turns light, water and carbon dioxide into sugar and oxygen, which is why plants that stand in the dark for many days grow pale and die.",
    "Hi",
]
# Those that are no words of a dictionary among them: for such the model was made.
WORDS = """vitrine activationist quantise xylograph zephyrous mnemonics llama o'clock a antidisestablishmentarianism
the of and to in is you that it he was for on are as with his they I at be this have from or one had by word but not what all were we when your can said there use
an each which she do how their if will up other about out many then them these so some her would make like him into time has look two more write go see number no way
could people my than first water been call who oil its now find long down day did get come made may part over new sound take only little work know place year live me back
give most very after thing our just name good sentence man think say great where help through much before line right too mean old any same tell boy follow came want show
blorptastic snurfle quixotry zyzzyva gnocchi rendezvous colonel pharaoh Worcestershire knapsack psalm isthmus yacht ghoti wasmtime webgpu tokenizer lavapipe swiftshader
transformer diffusion latent scheduler embedding perplexity Ångström naïve kubernetes pterodactyl onomatopoeia syzygy rhythm crwth""".split()


def digits(numbers) -> list[float]:
    return [float(f"{x:.6g}") for x in np.asarray(numbers, dtype=np.float64).ravel()]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def language_model(path: Path, gguf_file: str, chats: bool) -> dict:
    tokenizer = AutoTokenizer.from_pretrained(path, gguf_file=gguf_file)
    if chats:
        # transformers makes every byte-level vocabulary GPT-2's; SmolLM2's own tokenizer.json takes digits one by one before that.
        cut = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(cut)
    model = AutoModelForCausalLM.from_pretrained(path, gguf_file=gguf_file, dtype=torch.float32).eval()

    def ids(text: str, framed: bool, marks: bool = False) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=framed, split_special_tokens=not marks)

    def conversation(messages: list[dict]) -> list[int]:
        return ids(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True), False, marks=True)

    scored = ids(SCORED, True)
    with torch.no_grad():
        logprobs = model(torch.tensor([scored])).logits[0].log_softmax(-1)
    told = [float(logprobs[row, token]) for row, token in enumerate(scored[1:])]
    if chats:
        prompts = [(request, conversation([{"role": "user", "content": request}])) for request in REQUESTS]
    else:
        prompts = [(text, ids(text, True)) for text in BEGINNINGS]
    return {
        "source": gguf_file,
        "sha256": sha256(path / gguf_file),
        "texts": [{"text": text, "ids": ids(text, False)} for text in TEXTS],
        "chats": [{"messages": messages, "ids": conversation(messages)} for messages in CHATS] if chats else [],
        "scored": {"text": SCORED, "ids": scored, "logprobs": digits(told)},
        "greedy": chosen(model, tokenizer, prompts),
    }


def chosen(model, tokenizer, prompts: list[tuple[str, list[int]]]) -> dict:
    """The continuation of the first prompt that is varied, clear at every step and not at its end yet."""
    for text, ids in prompts:
        found = greedy(model, ids, STEPS)
        tokens, lead = found["tokens"], found["smallest_lead"]
        print(f"{text!r}: {len(set(tokens))} different tokens, smallest lead {lead:.4f}: {tokenizer.decode(tokens)!r}")
        if len(set(tokens)) >= FEWEST_TOKENS and lead >= SMALLEST_LEAD and not set(tokens) & set(tokenizer.all_special_ids):
            return {"prompt": text, "prompt_ids": ids, "tokens": tokens, "smallest_lead": digits([lead])[0], "text": tokenizer.decode(tokens)}
    raise RuntimeError("no prompt is gone on with clearly enough: add some")


def smollm2(path: Path) -> dict:
    return language_model(path, "SmolLM2-135M-Instruct.Q4_1.gguf", chats=True)


def gemma3(path: Path) -> dict:
    # The file of the pretrained model has no template.
    return language_model(path, "gemma-3-270m-q4_k_m.gguf", chats=False)


def sentences(path: Path, ids: list[list[int]], embeddings: np.ndarray) -> dict:
    told = [{"text": text, "ids": each, "embedding": digits(row)} for text, each, row in zip(SENTENCES, ids, embeddings, strict=True)]
    return {"source": path.name, "sha256": sha256(path), "sentences": told}


def minilm(path: Path) -> dict:
    tokenizer = AutoTokenizer.from_pretrained(path)
    inputs = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(path, dtype=torch.float32).eval()(**inputs).last_hidden_state
    mask = inputs["attention_mask"].unsqueeze(-1).float()
    mean = (hidden * mask).sum(1) / mask.sum(1)
    ids = [row[kept.bool()].tolist() for row, kept in zip(inputs["input_ids"], inputs["attention_mask"])]
    return sentences(path / "model.safetensors", ids, torch.nn.functional.normalize(mean, dim=1).numpy())


def wordllama(path: Path) -> dict:
    table = load_file(path / "l2_supercat_256.safetensors")["embedding.weight"].astype(np.float32)
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in SENTENCES]
    mean = np.stack([table[each].mean(axis=0) for each in ids])
    return sentences(path / "l2_supercat_256.safetensors", ids, mean / np.linalg.norm(mean, axis=1, keepdims=True))


GRAPHEMES = ["<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz"]
PHONEMES = (
    "<pad> <unk> <s> </s> AA0 AA1 AA2 AE0 AE1 AE2 AH0 AH1 AH2 AO0 AO1 AO2 AW0 AW1 AW2 AY0 AY1 AY2 B CH D DH EH0 EH1 EH2 ER0 ER1 ER2 EY0 EY1 EY2 F G HH IH0 IH1 IH2 IY0 IY1 IY2 JH K L M N NG "
    "OW0 OW1 OW2 OY0 OY1 OY2 P R S SH T TH UH0 UH1 UH2 UW UW0 UW1 UW2 V W Y Z ZH"
).split()
LONGEST_WORD = 20


def g2p(path: Path) -> dict:
    w = np.load(path / "checkpoint20.npz")

    def cell(x: np.ndarray, h: np.ndarray, side: str) -> np.ndarray:
        # torch.nn.GRUCell: reset, update, new; the new gate's hidden bias is reset too.
        given, kept = w[f"{side}_w_ih"] @ x + w[f"{side}_b_ih"], w[f"{side}_w_hh"] @ h + w[f"{side}_b_hh"]
        (given_r, given_z, given_n), (kept_r, kept_z, kept_n) = np.split(given, 3), np.split(kept, 3)
        reset, update = (1 / (1 + np.exp(-(a + b))) for a, b in ((given_r, kept_r), (given_z, kept_z)))
        new = np.tanh(given_n + reset * kept_n)
        return (1 - update) * new + update * h

    def spelt(word: str) -> dict:
        letters = [GRAPHEMES.index(c) if c in GRAPHEMES else 1 for c in word.lower()] + [2]
        h = np.zeros(w["enc_w_hh"].shape[1], np.float32)
        for letter in letters:
            h = cell(w["enc_emb"][letter], h, "enc")
        chosen, last = [], 2
        for _ in range(LONGEST_WORD):
            h = cell(w["dec_emb"][last], h, "dec")
            logits = w["fc_w"] @ h + w["fc_b"]
            leads.append(float(np.subtract(*np.sort(logits)[:-3:-1])))
            last = int(logits.argmax())
            if last == 3:
                break
            chosen.append(last)
        return {"word": word, "letters": letters, "ids": chosen, "phonemes": [PHONEMES[i] for i in chosen]}

    leads: list[float] = []
    words = [spelt(word) for word in WORDS]
    print(f"{len(words)} words, smallest lead {min(leads):.4f}")
    source = path / "checkpoint20.npz"
    return {"source": source.name, "sha256": sha256(source), "graphemes": GRAPHEMES, "phonemes": PHONEMES, "words": words}


MAKERS = {"smollm2": smollm2, "gemma3": gemma3, "minilm": minilm, "wordllama": wordllama, "g2p": g2p}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*MAKERS, []], default=list(MAKERS))
    parser.add_argument("--models", type=Path, default=ROOT / "target" / "published", help="where `cargo xtask models` put them")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.names:
        path = OUT / f"{name}.json"
        write_json(path, {"note": f"Remake: cargo xtask models, then python training/make_published_references.py {name}", **MAKERS[name](arguments.models / name)})
        print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
