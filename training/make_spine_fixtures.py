"""Makes tests/fixtures/spine: small random models of kinds beside the decoder, and what PyTorch and transformers say of them.

    python training/make_spine_fixtures.py [t5] [t5-relu] [bert] [charlstm] [attentions]

NAME/model.safetensors        weights drawn from a seed and rounded to f16; held in f32, BERT's in f16 (the same numbers exactly)
NAME/config.json              as published models have it; for the recurrent model its sizes and its characters
NAME.json                     inputs and answers in f32, six significant digits, matrices row by row in one list
storyteller_attentions.json   how the shipped storyteller looks back, in every layer and head

A seed is taken when 40 greedy tokens (never stopped) are varied and none was chosen by a hair, so that another order of sums chooses the same.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import BertConfig, BertModel, T5Config, T5ForConditionalGeneration

from llama_gguf import read_shape, read_tokenizer, read_weights, torch_model
from smol_shapes import ROOT, write_json

OUT = ROOT / "tests" / "fixtures" / "spine"
STORYTELLER = ROOT / "models" / "storyteller" / "storyteller-q8_0.gguf"
REMAKE = "Remake: python training/make_spine_fixtures.py"
STEPS, FEWEST_TOKENS, SMALLEST_LEAD = 40, 16, 0.025
CHARACTERS = "\n !',-.?" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + "abcdefghijklmnopqrstuvwxyz"

T5 = {
    "architectures": ["T5ForConditionalGeneration"], "d_ff": 64, "d_kv": 8, "d_model": 32, "decoder_start_token_id": 0, "dropout_rate": 0.1, "eos_token_id": 1,
    "feed_forward_proj": "gated-gelu", "initializer_factor": 1.0, "is_encoder_decoder": True, "layer_norm_epsilon": 1e-06, "model_type": "t5", "n_positions": 512,
    "num_decoder_layers": 2, "num_heads": 4, "num_layers": 2, "output_past": True, "pad_token_id": 0, "relative_attention_max_distance": 20,
    "relative_attention_num_buckets": 8, "tie_word_embeddings": False, "use_cache": True, "vocab_size": 96,
}
T5_RELU = T5 | {"feed_forward_proj": "relu", "tie_word_embeddings": True}
BERT = {
    "architectures": ["BertModel"], "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 32, "initializer_range": 0.02,
    "intermediate_size": 64, "layer_norm_eps": 1e-12, "max_position_embeddings": 40, "model_type": "bert", "num_attention_heads": 4, "num_hidden_layers": 2, "pad_token_id": 0,
    "position_embedding_type": "absolute", "torch_dtype": "float16", "type_vocab_size": 2, "use_cache": True, "vocab_size": 80,
}
CHARLSTM = {"architectures": ["CharLstm"], "embedding_dim": 24, "hidden_size": 48, "model_type": "charlstm", "num_layers": 2, "vocab": list(CHARACTERS), "vocab_size": 60}


class CharLstm(nn.Module):
    """The usual word or character model of tutorials."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Embedding(60, 24)
        self.rnn = nn.LSTM(24, 48, num_layers=2, batch_first=True)
        self.decoder = nn.Linear(48, 60)

    def forward(self, ids: torch.Tensor, state=None):
        out, state = self.rnn(self.encoder(ids), state)
        return self.decoder(out), state


def draw(model: nn.Module, seed: int, spread) -> nn.Module:
    """Fills every parameter from a seed; `spread` gives of a name and a shape the middle and the deviation."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            middle, deviation = spread(name, p)
            p.copy_((middle + deviation * torch.randn(p.shape)).half().float())
    return model.float().eval()


def numbers(x: torch.Tensor) -> list[float]:
    return [float(f"{v:.6g}") for v in x.detach().flatten().tolist()]


def some_ids(count: int, vocabulary: int, first: int) -> list[int]:
    """Ids that are no marks (from 2 up)."""
    return [2 + (first + 37 * i + 5 * i * i) % (vocabulary - 2) for i in range(count)]


def write_model(name: str, model: nn.Module, config: dict, dtype: torch.dtype = torch.float32) -> None:
    """named_parameters() gives what is shared once, under its first name, as save_pretrained does."""
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: p.detach().to(dtype).contiguous() for key, p in model.named_parameters()}, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def greedy(step) -> dict:
    """`step(None)` gives the first logits, `step(token)` those after one more. Tokens, log-probabilities, leads of the first choice over the second."""
    tokens, logprobs, leads, token = [], [], [], None
    for _ in range(STEPS):
        logits = step(token)
        top = logits.topk(2).values
        token = int(logits.argmax())
        tokens.append(token)
        leads.append(float(top[0] - top[1]))
        logprobs.append(float(logits.double().log_softmax(-1)[token]))
    return {"greedy": tokens, "logprobs": numbers(torch.tensor(logprobs, dtype=torch.float64)), "smallest_lead": min(leads)}


def search(name: str, make, run):
    """The first seed whose greedy tokens are varied and clear."""
    for seed in itertools.count(1):
        model = make(seed)
        found = run(model)
        tokens = found["greedy"]
        if len(set(tokens)) >= FEWEST_TOKENS and found["smallest_lead"] >= SMALLEST_LEAD:
            print(f"{name}: seed {seed}, {len(set(tokens))} different tokens of {STEPS}, smallest lead {found['smallest_lead']:.4f}")
            return seed, model, found


def t5_spread(tied: bool):
    def spread(name: str, p: nn.Parameter) -> tuple[float, float]:
        if "norm" in name:
            # Tied logits are multiplied by d_model ** -0.5: the last norm makes up for it.
            return (6.0, 0.9) if tied and name.startswith("decoder.final") else (1.0, 0.2)
        if name.endswith((".q.weight", ".k.weight")):
            return 0.0, 0.2  # nothing divides their products
        if "relative_attention_bias" in name:
            return 0.0, 1.5
        # A tied model that is mostly its own embedding says the last token again.
        return 0.0, {"shared.weight": 0.5 if tied else 1.0, "lm_head.weight": 0.7}.get(name, 0.7 if tied else 0.35)

    return spread


def t5_model(config: dict, seed: int) -> T5ForConditionalGeneration:
    tied = config["tie_word_embeddings"]
    model = T5ForConditionalGeneration(T5Config(**config, attn_implementation="eager"))
    if not tied:
        # transformers ties at first and lets a file's own head replace it; the configuration says only whether logits are scaled.
        model.lm_head.weight = nn.Parameter(torch.empty(config["vocab_size"], config["d_model"]))
    assert model.config.scale_decoder_outputs == tied
    return draw(model, seed, t5_spread(tied))


def buckets(attention, bidirectional: bool, positions: range, count: int, farthest: int) -> list[int]:
    return attention._relative_position_bucket(torch.tensor(list(positions)), bidirectional, count, farthest).tolist()


def t5(name: str, config: dict) -> None:
    ids = some_ids(22, config["vocab_size"], 11) + [config["eos_token_id"]]

    def run(model: T5ForConditionalGeneration) -> dict:
        encoded = model.get_encoder()(input_ids=torch.tensor([ids]))
        cache, first = None, None

        def step(token: int | None) -> torch.Tensor:
            nonlocal cache, first
            token = config["decoder_start_token_id"] if token is None else token
            out = model(encoder_outputs=encoded, decoder_input_ids=torch.tensor([[token]]), past_key_values=cache, use_cache=True)
            cache, logits = out.past_key_values, out.logits[0, -1]
            first = logits if first is None else first
            return logits

        found = greedy(step)
        return found | {"encoded": encoded.last_hidden_state, "first": first}

    seed, model, found = search(name, lambda seed: t5_model(config, seed), run)
    write_model(name, model, config)

    # The same from the files, all at once and without a cache.
    again = T5ForConditionalGeneration.from_pretrained(OUT / name, attn_implementation="eager").eval()
    start = [config["decoder_start_token_id"], *found["greedy"][:-1]]
    logits = again(input_ids=torch.tensor([ids]), decoder_input_ids=torch.tensor([start])).logits[0]
    assert logits.argmax(-1).tolist() == found["greedy"]
    logprobs = logits.double().log_softmax(-1).gather(1, torch.tensor(found["greedy"])[:, None])[:, 0]
    print(f"  without a cache, from the files: off by {float((logprobs - torch.tensor(found['logprobs'], dtype=torch.float64)).abs().max()):.1e} at most")
    print(f"  rms of the encoder's rows {float(found['encoded'].square().mean().sqrt()):.3f}, of the first logits {float(found['first'].std()):.3f}; first step taken {found['logprobs'][0]:.3f}")

    attention = model.encoder.block[0].layer[0].SelfAttention
    answers = {
        "about": f"An encoder and decoder by PyTorch transformers in f32 (seed {seed}). The decoder begins with decoder_start_token_id and is not stopped. {REMAKE}",
        "ids": ids, "encoder_last_hidden_state": numbers(found["encoded"]), "first_logits": numbers(found["first"]),
        "greedy": found["greedy"], "logprobs": found["logprobs"], "smallest_lead": round(found["smallest_lead"], 6),
    }
    if name == "t5":
        # Of published sizes: a key 140 behind the query up to 140 ahead.
        span = range(-140, 141)
        answers["relative_buckets"] = {
            "num_buckets": 32, "max_distance": 128, "first_position": span.start,
            "encoder": buckets(attention, True, span, 32, 128), "decoder": buckets(attention, False, span, 32, 128),
        }
    write_json(OUT / f"{name}.json", answers)


def bert_spread(name: str, p: nn.Parameter) -> tuple[float, float]:
    if "LayerNorm" in name:
        return (1.0 if name.endswith("weight") else 0.0), 0.2
    return 0.0, 0.2 if p.ndim == 1 else 1.0 if "word_embeddings" in name else 0.5 if "embeddings" in name else 0.3


def bert() -> None:
    seed, lengths, longest = 3, (5, 12, 9), 12
    model = draw(BertModel(BertConfig(**BERT, attn_implementation="eager")), seed, bert_spread)
    write_model("bert", model, BERT, torch.float16)
    members = [some_ids(n, BERT["vocab_size"], 7 + 20 * i) for i, n in enumerate(lengths)]
    second = (3, 7, 4)  # where the second segment begins
    kinds = [[int(i >= at) for i in range(n)] for n, at in zip(lengths, second)]

    def padded(rows: list[list[int]]) -> list[list[int]]:
        return [row + [0] * (longest - len(row)) for row in rows]

    ids, types, mask = padded(members), padded(kinds), padded([[1] * n for n in lengths])
    out = model(input_ids=torch.tensor(ids), token_type_ids=torch.tensor(types), attention_mask=torch.tensor(mask))
    hidden, weight = out.last_hidden_state, torch.tensor(mask).float()[..., None]
    pooled = nn.functional.normalize((hidden * weight).sum(1) / weight.sum(1), dim=1)

    again = BertModel.from_pretrained(OUT / "bert", attn_implementation="eager", dtype=torch.float32).eval()
    worst = 0.0
    for i, n in enumerate(lengths):
        alone = again(input_ids=torch.tensor([members[i]]), token_type_ids=torch.tensor([kinds[i]]))
        worst = max(worst, float((alone.last_hidden_state[0] - hidden[i, :n]).abs().max()), float((alone.pooler_output[0] - out.pooler_output[i]).abs().max()))
    cosines = pooled @ pooled.T
    print(f"bert: seed {seed}; cosines of the three embeddings {numbers(torch.stack((cosines[0, 1], cosines[0, 2], cosines[1, 2])))}")
    print(f"  each member alone, from the files: off by {worst:.1e} at most; without masks by {float((model(input_ids=torch.tensor(ids), token_type_ids=torch.tensor(types)).last_hidden_state[0, :5] - hidden[0, :5]).abs().max()):.2f}")
    write_json(OUT / "bert.json", {
        "about": f"A padded batch through transformers' BertModel in f32 (seed {seed}). Per member: the rows that count, their mean divided by its length, the pooler's output. {REMAKE}",
        "lengths": list(lengths), "input_ids": ids, "token_type_ids": types, "attention_mask": mask,
        "last_hidden_state": [numbers(hidden[i, :n]) for i, n in enumerate(lengths)],
        "sentence_embedding": [numbers(x) for x in pooled], "pooler_output": [numbers(x) for x in out.pooler_output],
    })


def charlstm_spread(name: str, p: nn.Parameter) -> tuple[float, float]:
    return 0.0, 1.0 if name.startswith("encoder") else 0.2 if p.ndim == 1 else 0.45


def charlstm() -> None:
    prompt = "A fox in the snow"
    ids = [CHARACTERS.index(c) for c in prompt]

    def run(model: CharLstm) -> dict:
        logits, prompted = model(torch.tensor([ids]))
        first, state = logits[0, -1], prompted

        def step(token: int | None) -> torch.Tensor:
            nonlocal state
            if token is None:
                return first
            logits, state = model(torch.tensor([[token]]), state)
            return logits[0, -1]

        return greedy(step) | {"first": first, "state": prompted}

    seed, model, found = search("charlstm", lambda seed: draw(CharLstm(), seed, charlstm_spread), run)
    write_model("charlstm", model, CHARLSTM)
    h, c = found["state"]
    whole = model(torch.tensor([ids + found["greedy"][:-1]]))[0][0, len(ids) - 1 :]
    assert whole.argmax(-1).tolist() == found["greedy"]
    print(f"  rms of h {float(h.square().mean().sqrt()):.3f}, of c {float(c.square().mean().sqrt()):.3f}, of the logits {float(found['first'].std()):.3f}")
    write_json(OUT / "charlstm.json", {
        "about": f"torch.nn.Embedding, LSTM and Linear in f32 (seed {seed}). h and c: one list a layer, after the prompt. {REMAKE}",
        "prompt": prompt, "prompt_ids": ids, "logits_after_prompt": numbers(found["first"]),
        "h": [numbers(x) for x in h[:, 0]], "c": [numbers(x) for x in c[:, 0]],
        "greedy": found["greedy"], "greedy_text": "".join(CHARACTERS[i] for i in found["greedy"]), "logprobs": found["logprobs"], "smallest_lead": round(found["smallest_lead"], 6),
    })


def attentions() -> None:
    prompt = "One winter day, a fox found a lantern."
    shape, tokenizer = read_shape(STORYTELLER), read_tokenizer(STORYTELLER)
    model = torch_model(shape, read_weights(STORYTELLER, shape))
    ids = [0, *tokenizer.encode(prompt, add_special_tokens=False).ids]
    layers = model(input_ids=torch.tensor([ids]), output_attentions=True).attentions
    assert all(float((x.sum(-1) - 1).abs().max()) < 1e-5 and float(x[0].triu(1).abs().max()) == 0 for x in layers)
    write_json(OUT / "storyteller_attentions.json", {
        "about": "Attention's weights by PyTorch transformers (eager, f32) from the dequantised weights of models/storyteller/storyteller-q8_0.gguf: "
        f"attentions[layer][head][query] has query + 1 numbers, one a key. prompt_ids begin with the beginning-of-text token. {REMAKE}",
        "model_sha256": hashlib.sha256(STORYTELLER.read_bytes()).hexdigest(),
        "prompt": prompt, "prompt_ids": ids, "tokens": [tokenizer.decode([i], skip_special_tokens=False) for i in ids],
        "layers": len(layers), "heads": layers[0].shape[1],
        "attentions": [[[numbers(row[: q + 1]) for q, row in enumerate(head)] for head in layer[0]] for layer in layers],
    })
    print(f"attentions: {len(layers)} layers, {layers[0].shape[1]} heads, {len(ids)} tokens")


def main() -> None:
    torch.set_num_threads(1)
    kinds = {"t5": lambda: t5("t5", T5), "t5-relu": lambda: t5("t5-relu", T5_RELU), "bert": bert, "charlstm": charlstm, "attentions": attentions}
    OUT.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        for kind in sys.argv[1:] or kinds:
            kinds[kind]()
    files = sorted(f for f in OUT.rglob("*") if f.is_file())
    for f in files:
        print(f"{f.relative_to(OUT)}: {f.stat().st_size} bytes")
    print(f"{sum(f.stat().st_size for f in files)} bytes in all")


if __name__ == "__main__":
    main()
