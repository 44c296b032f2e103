"""Makes tests/fixtures/texts: small random models that write texts otherwise than a decoder alone, and what transformers and PyTorch say of them.

    python training/make_text_fixtures.py [NAME...]

NAME/model.safetensors, config.json, generation_config.json, tokenizer.json   as save_pretrained leaves them, weights rounded to f16 and held in f32
t5.gguf, t5.gguf.json    the T5 as llama.cpp's converter writes it, its characters as unigrams; and what it writes with the farthest distance that a GGUF means
NAME/answers.json    a text, its ids, and 64 greedy tokens after it with their log-probabilities, forced ones included
lstm-tensorflow/     the LSTM's numbers as TensorFlow's BasicLSTMCells, raw, with a manifest.json
g2p/                 a GRU that reads letters and one that writes phonemes, as g2p-en names them in NumPy's archive: some arrays as doubles, some with columns first
darwin.json          what a published model of characters (see Sources in docs/models.md) writes, by the formulas of BasicLSTMCell in NumPy

A seed is taken when the tokens are varied and none was chosen by a hair.
"""

from __future__ import annotations

import copy
import itertools
import json
import shutil
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from torch import nn
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GenerationConfig,
    MarianConfig,
    MarianMTModel,
    MT5Config,
    MT5ForConditionalGeneration,
    PegasusConfig,
    PegasusForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
    UMT5Config,
    UMT5ForConditionalGeneration,
)

from smol_shapes import ROOT

OUT = ROOT / "tests" / "fixtures" / "texts"
DARWIN = ROOT.parent / "shared" / "reference" / "published" / "charrnn" / "darwin"
STEPS, FEWEST_TOKENS, SMALLEST_LEAD = 64, 12, 0.012
# Post-norm decoders with tied weights come back to a few tokens whatever is drawn.
FEWEST_TIED = 5
TEXT = "the quick brown fox jumps over the lazy dog, and the dog sleeps on."
CHARACTERS = "\n !',-.?" + "abcdefghijklmnopqrstuvwxyz"

# Odd head sizes; positions beyond what one power of two holds.
BART = BartConfig(
    vocab_size=70, d_model=36, encoder_layers=2, decoder_layers=3, encoder_attention_heads=3, decoder_attention_heads=2, encoder_ffn_dim=72, decoder_ffn_dim=60,
    max_position_embeddings=100, activation_function="gelu", scale_embedding=False, bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2,
    forced_bos_token_id=0, forced_eos_token_id=2,
)
MARIAN = MarianConfig(
    vocab_size=70, decoder_vocab_size=70, d_model=40, encoder_layers=2, decoder_layers=2, encoder_attention_heads=5, decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=64,
    max_position_embeddings=120, activation_function="swish", scale_embedding=True, bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=1, forced_eos_token_id=2,
)
# Each side with a vocabulary of its own.
MARIAN_APART = MarianConfig(**(MARIAN.to_diff_dict() | {"decoder_vocab_size": 50, "share_encoder_decoder_embeddings": False, "tie_word_embeddings": False, "forced_eos_token_id": None}))
PEGASUS = PegasusConfig(
    vocab_size=70, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64,
    max_position_embeddings=96, activation_function="relu", scale_embedding=True, bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=1, forced_eos_token_id=None,
)
T5 = T5Config(
    vocab_size=70, d_model=32, d_kv=12, num_heads=3, d_ff=48, num_layers=2, num_decoder_layers=3, relative_attention_num_buckets=8, relative_attention_max_distance=20,
    feed_forward_proj="gated-gelu", tie_word_embeddings=False, bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=1, n_positions=128,
)
MT5 = MT5Config(
    vocab_size=70, d_model=28, d_kv=8, num_heads=3, d_ff=40, num_layers=2, num_decoder_layers=2, relative_attention_num_buckets=8, relative_attention_max_distance=20,
    feed_forward_proj="gated-gelu", bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=1,
)
# A table of distances a layer.
UMT5 = UMT5Config(
    vocab_size=70, d_model=32, d_kv=8, num_heads=3, d_ff=44, num_layers=2, num_decoder_layers=3, relative_attention_num_buckets=8, relative_attention_max_distance=20,
    feed_forward_proj="gated-gelu", bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=1, tie_word_embeddings=False,
)
MODELS = {
    "bart": (BartForConditionalGeneration, BART, {}),
    "marian": (MarianMTModel, MARIAN, {"bad_words_ids": [[1], [9]]}),
    "marian-apart": (MarianMTModel, MARIAN_APART, {}),
    "pegasus": (PegasusForConditionalGeneration, PEGASUS, {}),
    "t5": (T5ForConditionalGeneration, T5, {}),
    "mt5": (MT5ForConditionalGeneration, MT5, {}),
    "umt5": (UMT5ForConditionalGeneration, UMT5, {}),
}
WITH_OWN_HEADS = ["t5", "mt5", "umt5"]


def tokenizer() -> Tokenizer:
    """A character a token; a text ends with </s>."""
    words = ["<s>", "<pad>", "</s>", "<unk>", *CHARACTERS]
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    made.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    made.pre_tokenizer = pre_tokenizers.Split(pattern="", behavior="isolated")
    made.decoder = decoders.Fuse()
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    return made


def numbers(x: torch.Tensor) -> list[float]:
    return [float(f"{v:.6g}") for v in x.detach().flatten().tolist()]


# How far layers and embeddings are spread, how loud learned positions are, how much is taken of what was read, and how far biases are spread.
T5_SPREAD = (1.6, 1.0, 1.0, 1.0, 0.3)
SPREADS = {"bart": (1.0, 0.4, 3.0, 0.3, 0.1), "marian": (5.0, 0.3, 1.0, 0.3, 0.03), "pegasus": (2.5, 0.3, 1.0, 0.3, 0.1)}


def draw(model: nn.Module, seed: int) -> None:
    spread, embedding, positions, read, bias = SPREADS.get(model.config.model_type, T5_SPREAD)
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name and name.endswith("weight"):
                values = 1 + 0.2 * torch.randn(p.shape)
            elif "embed_positions" in name:
                if "sinus" in type(model.get_submodule(name.rsplit(".", 1)[0])).__name__.lower():
                    continue
                values = positions * torch.randn(p.shape)
            elif "relative_attention_bias" in name:
                values = 1.5 * torch.randn(p.shape)
            elif name.endswith("bias"):
                values = bias * torch.randn(p.shape)
            elif "shared" in name or "embed_tokens" in name:
                values = embedding * torch.randn(p.shape)
            elif name == "lm_head.weight":
                values = 0.7 * torch.randn(p.shape)
            else:
                values = spread * torch.randn(p.shape) / p.shape[-1] ** 0.5
                if "encoder_attn.out" in name:
                    values = read * values
            p.copy_(values.half().float())
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.copy_((0.15 * torch.randn(model.final_logits_bias.shape)).half().float())


def written(model, encoded, start: list[int], steps: int, banned: list[int]) -> dict | None:
    """What is written greedily, with the log-probability of each token; `None` where a choice is close, an end, or one token comes again and again."""
    tokens, logprobs, leads = [], [], []
    for step in range(steps):
        begun = torch.tensor([start + tokens])
        logits = model(encoder_outputs=encoded, decoder_input_ids=begun, use_cache=False).logits[0, -1].clone()
        logits[banned] = -1e9
        top = logits.topk(2)
        leads.append(float(top.values[0] - top.values[1]))
        tokens.append(int(top.indices[0]))
        logprobs.append(float(logits.double().log_softmax(-1)[tokens[-1]]))
        if tokens[-1] == 2 or leads[-1] < SMALLEST_LEAD or (step > 14 and len(set(tokens[-14:])) < 3):
            return None
    return {"tokens": tokens, "logprobs": logprobs, "lead": min(leads)}


def encoder_decoder(name: str) -> None:
    kind, config, more = MODELS[name]
    made = tokenizer()
    folder = OUT / name
    ids = made.encode(TEXT).ids
    banned = [word[0] for word in more.get("bad_words_ids", [])]
    forced = getattr(config, "forced_eos_token_id", None) is not None
    second = getattr(config, "forced_bos_token_id", None)
    start = [config.decoder_start_token_id] + ([] if second is None else [second])
    begun = made.encode("a dog", add_special_tokens=False).ids
    # The last token of a text that must end with one is none that is chosen.
    count = STEPS - forced
    for seed in itertools.count(1):
        torch.manual_seed(seed)
        model = kind(copy.deepcopy(config)).float().eval()
        if name in WITH_OWN_HEADS:
            model.lm_head.weight = nn.Parameter(torch.empty(config.vocab_size, config.d_model))
        draw(model, seed)
        with torch.no_grad():
            encoded = model.get_encoder()(torch.tensor([ids]))
            found = written(model, encoded, start, count, banned)
            after = found and written(model, encoded, [config.decoder_start_token_id, *begun], 16, banned)
        if after and len(set(found["tokens"])) >= (FEWEST_TOKENS if name in WITH_OWN_HEADS else FEWEST_TIED):
            break
    tokens = found["tokens"]
    print(f"{name}: seed {seed}, {len(set(tokens))} different tokens, smallest lead {found['lead']:.3f}", flush=True)
    keys = ("decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id", "bos_token_id", "eos_token_id", "pad_token_id")
    model.generation_config = GenerationConfig(**({key: getattr(config, key, None) for key in keys} | more))
    out = model.generate(torch.tensor([ids]), max_new_tokens=len(start) - 1 + STEPS, do_sample=False, num_beams=1, use_cache=False)[0].tolist()
    assert out == start + tokens + [2] * forced, (out, start, tokens)
    if folder.exists():
        shutil.rmtree(folder)
    model.save_pretrained(folder)
    made.save(str(folder / "tokenizer.json"), pretty=False)
    with torch.no_grad():
        first = model(encoder_outputs=encoded, decoder_input_ids=torch.tensor([start])).logits[0, -1]
    answers = {
        "remake": "python training/make_text_fixtures.py",
        "text": TEXT,
        "ids": ids,
        "forced_end": forced,
        "tokens": tokens,
        "logprobs": numbers(torch.tensor(found["logprobs"])),
        "decoder_prompt": "a dog",
        "after_prompt": after["tokens"],
        "hidden": numbers(encoded.last_hidden_state),
        "first_logits": numbers(first),
    }
    (folder / "answers.json").write_text(json.dumps(answers) + "\n", encoding="utf-8")


def write_gguf() -> None:
    model = T5ForConditionalGeneration.from_pretrained(OUT / "t5").float().eval()
    config = model.config
    for part in model.modules():
        if hasattr(part, "relative_attention_max_distance"):
            part.relative_attention_max_distance = 128
    for words in range(15, 0, -1):
        text = " ".join(TEXT.split()[:words])
        ids = tokenizer().encode(text).ids
        with torch.no_grad():
            found = written(model, model.get_encoder()(torch.tensor([ids])), [config.decoder_start_token_id], 32, [])
        if found:
            break
    print(f"t5.gguf: {text!r}, {len(set(found['tokens']))} different tokens, smallest lead {found['lead']:.3f}")
    answers = {"remake": "python training/make_text_fixtures.py", "text": text, "ids": ids, "tokens": found["tokens"], "logprobs": numbers(torch.tensor(found["logprobs"]))}
    (OUT / "t5.gguf.json").write_text(json.dumps(answers) + "\n", encoding="utf-8")
    out = gguf.GGUFWriter(str(OUT / "t5.gguf"), "t5")
    out.add_context_length(config.n_positions)
    out.add_embedding_length(config.d_model)
    out.add_feed_forward_length(config.d_ff)
    out.add_block_count(config.num_layers)
    out.add_key_value("t5.decoder_block_count", config.num_decoder_layers, gguf.GGUFValueType.UINT32)
    out.add_head_count(config.num_heads)
    out.add_key_length(config.d_kv)
    out.add_value_length(config.d_kv)
    out.add_layer_norm_rms_eps(config.layer_norm_epsilon)
    out.add_relative_attn_buckets_count(config.relative_attention_num_buckets)
    out.add_decoder_start_token_id(config.decoder_start_token_id)
    words = tokenizer().get_vocab()
    words = sorted(words, key=words.get)
    out.add_tokenizer_model("t5")
    out.add_tokenizer_pre("default")
    out.add_token_list([word.replace(" ", "\u2581") for word in words])
    out.add_token_scores([0.0 if id < 4 else -1.0 for id in range(len(words))])
    out.add_token_types([3, 3, 3, 2] + [1] * (len(words) - 4))
    out.add_add_space_prefix(False)
    out.add_remove_extra_whitespaces(False)
    out.add_bos_token_id(0), out.add_pad_token_id(1), out.add_eos_token_id(2), out.add_unk_token_id(3)
    out.add_add_bos_token(False), out.add_add_eos_token(True)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.T5, max(config.num_layers, config.num_decoder_layers))
    for key, values in model.state_dict().items():
        if key.endswith("embed_tokens.weight"):
            continue
        name = names.get_name(key, try_suffixes=(".weight",))
        out.add_tensor(name, np.ascontiguousarray(values.numpy(), dtype=np.float32 if values.ndim == 1 or "rel_b" in name else np.float16))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


class CharRnn(nn.Module):
    """Models of characters as tutorials write them."""

    def __init__(self, cell: str, embedding: int | None, width: int, layers: int, names: tuple[str, str, str]) -> None:
        super().__init__()
        count = len(CHARACTERS)
        self.names = names
        if embedding:
            setattr(self, names[0], nn.Embedding(count, embedding))
        setattr(self, names[1], {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell](embedding or count, width, num_layers=layers, batch_first=True))
        setattr(self, names[2], nn.Linear(width, count))

    def forward(self, ids: torch.Tensor, state=None):
        embed, cells, head = (getattr(self, name, None) for name in self.names)
        x = embed(ids) if embed else nn.functional.one_hot(ids, len(CHARACTERS)).float()
        out, state = cells(x, state)
        return head(out), state


RECURRENT = {
    "gru": ("gru", 20, 44, 2, ("embed", "gru", "fc")),
    "lstm-one-hot": ("lstm", None, 40, 2, ("", "lstm", "out")),
    "rnn-tanh": ("rnn", 48, 48, 2, ("embedding", "net", "head")),
    "lstm-tensorflow": ("lstm", 24, 36, 2, ("embedding", "rnn", "softmax")),
}


def recurrent(name: str) -> None:
    cell, embedding, width, layers, names = RECURRENT[name]
    folder = OUT / name
    prompt = "the dog"
    ids = [CHARACTERS.index(c) for c in prompt]
    for seed in itertools.count(1):
        torch.manual_seed(seed)
        model = CharRnn(cell, embedding, width, layers, names).float().eval()
        with torch.no_grad():
            for part, p in model.named_parameters():
                # States that are pushed hard keep moving.
                p.copy_(((1.5 if "weight_hh" in part else 5.0 if "weight_ih" in part else 3.0 if "weight" in part else 0.4) * torch.randn(p.shape) / (p.shape[-1] ** 0.5 if p.dim() > 1 else 1)).half().float())
            logits, state = model(torch.tensor([ids]))
            tokens, logprobs, leads = [], [], []
            for _ in range(STEPS):
                last = logits[0, -1]
                top = last.topk(2).values
                leads.append(float(top[0] - top[1]))
                tokens.append(int(last.argmax()))
                logprobs.append(float(last.double().log_softmax(-1)[tokens[-1]]))
                if leads[-1] < SMALLEST_LEAD or (len(tokens) > 14 and len(set(tokens[-14:])) < 3):
                    break
                logits, state = model(torch.tensor([[tokens[-1]]]), state)
        if len(tokens) == STEPS and len(set(tokens)) >= FEWEST_TOKENS:
            print(f"{name}: seed {seed}, {len(set(tokens))} different tokens, smallest lead {min(leads):.3f}")
            break
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    state = {key: value.detach().contiguous() for key, value in model.state_dict().items()}
    if name == "lstm-tensorflow":
        write_tensorflow(folder, model, layers, width)
        (folder / "vocab.json").write_text(json.dumps({c: i for i, c in enumerate(CHARACTERS)}) + "\n", encoding="utf-8")
    else:
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        torch.save({"model_state_dict": state, "epoch": 3}, folder / "checkpoint.pth")
        (folder / "config.json").write_text(json.dumps({"model_type": "char-rnn", "vocab": list(CHARACTERS)}) + "\n", encoding="utf-8")
    answers = {
        "remake": "python training/make_text_fixtures.py",
        "text": prompt,
        "ids": ids,
        "tokens": tokens,
        "logprobs": numbers(torch.tensor(logprobs)),
        "written": "".join(CHARACTERS[t] for t in tokens),
    }
    (folder / "answers.json").write_text(json.dumps(answers) + "\n", encoding="utf-8")


def write_tensorflow(folder: Path, model: CharRnn, layers: int, width: int) -> None:
    """PyTorch's gates i, f, g, o become TensorFlow's i, j, f, o, and the forget gate's bias loses the 1 that the cell adds."""
    cells, order = model.rnn, [0, 2, 1, 3]
    tensors = {"Variable": np.float32(0), "embedding": model.embedding.weight.detach().numpy()}

    def gates(x: np.ndarray) -> np.ndarray:
        return np.concatenate([x[gate * width : (gate + 1) * width] for gate in order])

    for layer in range(layers):
        of = lambda part: getattr(cells, f"{part}_l{layer}").detach().numpy()  # noqa: E731
        kernel = np.concatenate([gates(of("weight_ih")).T, gates(of("weight_hh")).T])
        bias = gates(of("bias_ih") + of("bias_hh"))
        bias[2 * width : 3 * width] -= 1
        stem = f"rnnlm/multi_rnn_cell/cell_{layer}/basic_lstm_cell"
        tensors |= {f"{stem}/weights": kernel, f"{stem}/biases": bias}
    tensors |= {"rnnlm/softmax_w": model.softmax.weight.detach().numpy().T, "rnnlm/softmax_b": model.softmax.bias.detach().numpy()}
    manifest = {}
    for name, values in tensors.items():
        file = name.replace("/", "_")
        manifest[name] = {"filename": file, "shape": list(values.shape)}
        np.ascontiguousarray(values, dtype="<f4").tofile(folder / file)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def g2p() -> None:
    """Like g2p-en's model, smaller and of doubled words; PyTorch's cells say what it writes."""
    folder = OUT / "g2p"
    graphemes = ["<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz"]
    phonemes = ["<pad>", "<unk>", "<s>", "</s>", *(f"{vowel}{stress}" for vowel in ("AA", "EH", "IY", "OW") for stress in range(3)), *"BDFGKLMNPRSTVZ"]
    width, words = 36, ["fox", "Vitrine", "o'clock", "a", "quick brown"]
    spread = lambda *shape: torch.randn(shape)  # noqa: E731
    for seed in itertools.count(1):
        torch.manual_seed(seed)
        w = {}
        for side, count, embedding in (("enc", len(graphemes), 20), ("dec", len(phonemes), 28)):
            w[f"{side}_emb"] = 1.5 * spread(count, embedding)
            w[f"{side}_w_ih"], w[f"{side}_w_hh"] = 4.0 * spread(3 * width, embedding) / embedding**0.5, 1.5 * spread(3 * width, width) / width**0.5
            w[f"{side}_b_ih"], w[f"{side}_b_hh"] = 0.4 * spread(3 * width), 0.4 * spread(3 * width)
        w["fc_w"], w["fc_b"] = 3.0 * spread(len(phonemes), width) / width**0.5, 0.4 * spread(len(phonemes))
        w = {key: value.half().float() for key, value in w.items()}

        def cell(side: str) -> nn.GRUCell:
            made = nn.GRUCell(w[f"{side}_emb"].shape[1], width)  # noqa: B023
            made.load_state_dict({"weight_ih": w[f"{side}_w_ih"], "weight_hh": w[f"{side}_w_hh"], "bias_ih": w[f"{side}_b_ih"], "bias_hh": w[f"{side}_b_hh"]})  # noqa: B023
            return made

        read, write, cases, leads = cell("enc"), cell("dec"), [], []
        with torch.no_grad():
            for word in words:
                letters = [graphemes.index(c) if c in graphemes else 1 for c in word.lower()] + [2]
                h, last, tokens, logprobs = torch.zeros(1, width), 2, [], []
                for letter in letters:
                    h = read(w["enc_emb"][letter][None], h)
                for _ in range(24):
                    h = write(w["dec_emb"][last][None], h)
                    logits = (h @ w["fc_w"].T + w["fc_b"])[0]
                    top = logits.topk(2).values
                    leads.append(float(top[0] - top[1]))
                    last = int(logits.argmax())
                    if last == 3:
                        break
                    tokens.append(last)
                    logprobs.append(float(logits.double().log_softmax(-1)[last]))
                cases.append({"word": word, "letters": letters, "tokens": tokens, "logprobs": numbers(torch.tensor(logprobs)), "ended": last == 3, "written": " ".join(phonemes[t] for t in tokens)})
        if min(leads) > SMALLEST_LEAD and all(len(set(case["tokens"])) >= min(5, len(case["tokens"])) and case["tokens"] for case in cases) and any(case["ended"] for case in cases):
            print(f"g2p: seed {seed}, smallest lead {min(leads):.3f}: {[case['written'] for case in cases]}")
            break
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    arrays = {key: value.numpy() for key, value in w.items()}
    arrays["enc_w_ih"] = np.asfortranarray(arrays["enc_w_ih"])
    arrays["dec_w_hh"] = np.asfortranarray(arrays["dec_w_hh"].astype(np.float64))
    arrays["fc_w"] = arrays["fc_w"].astype(np.float16)
    arrays["steps"] = np.int64(20)
    np.savez(folder / "model.npz", **arrays)
    np.savez_compressed(folder / "deflated.npz", **arrays)
    (folder / "config.json").write_text(json.dumps({"graphemes": graphemes, "phonemes": phonemes}) + "\n", encoding="utf-8")
    (folder / "answers.json").write_text(json.dumps({"remake": "python training/make_text_fixtures.py g2p", "cases": cases}) + "\n", encoding="utf-8")


def darwin() -> None:
    manifest = json.loads((DARWIN / "manifest.json").read_text())
    read = lambda name: np.fromfile(DARWIN / manifest[name]["filename"], "<f4").astype(np.float64).reshape(manifest[name]["shape"])  # noqa: E731
    vocab = json.loads((DARWIN / "vocab.json").read_text())
    characters = {i: c for c, i in vocab.items()}
    cells = [(read(f"rnnlm/multi_rnn_cell/cell_{i}/basic_lstm_cell/weights"), read(f"rnnlm/multi_rnn_cell/cell_{i}/basic_lstm_cell/biases")) for i in range(2)]
    states = [(np.zeros(128), np.zeros(128)) for _ in cells]
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731

    def step(token: int) -> np.ndarray:
        x = read("embedding")[token]
        for at, ((kernel, bias), (h, c)) in enumerate(zip(cells, states)):
            i, j, f, o = np.split(np.concatenate([x, h]) @ kernel + bias, 4)
            c = c * sigmoid(f + 1) + sigmoid(i) * np.tanh(j)
            h = np.tanh(c) * sigmoid(o)
            states[at], x = (h, c), h
        return x @ read("rnnlm/softmax_w") + read("rnnlm/softmax_b")

    prompt = "The origin of species "
    for c in prompt:
        logits = step(vocab[c])
    tokens, logprobs, leads = [], [], []
    for _ in range(200):
        second, first = np.sort(logits)[-2:]
        leads.append(first - second)
        tokens.append(int(logits.argmax()))
        logprobs.append(float(first - logits.max() - np.log(np.exp(logits - logits.max()).sum())))
        logits = step(tokens[-1])
    text = "".join(characters[t] for t in tokens)
    print(f"darwin: smallest lead {min(leads):.4f}: {text!r}")
    answers = {"remake": "python training/make_text_fixtures.py", "text": prompt, "tokens": tokens, "written": text, "logprobs": [float(f"{v:.6g}") for v in logprobs]}
    (OUT / "darwin.json").write_text(json.dumps(answers, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    made = {**dict.fromkeys(MODELS, encoder_decoder), **dict.fromkeys(RECURRENT, recurrent), "t5.gguf": lambda _: write_gguf(), "g2p": lambda _: g2p(), "darwin": lambda _: darwin()}
    for name in sys.argv[1:] or made:
        made[name](name)


main()
