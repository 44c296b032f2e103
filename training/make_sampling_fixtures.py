"""What llama.cpp's samplers make of logits: tests/fixtures/sampling.json.

    pip install llama-cpp-python==0.3.36 numpy
    python training/make_sampling_fixtures.py VOCABULARY.gguf

Each case is a chain of llama.cpp's samplers in its own default order, given logits, and the tokens before them where penalties look at those; it holds the
probabilities of the tokens that are left. Names of options are those of `SampleParams`. VOCABULARY.gguf is any file with a vocabulary of at least 64 tokens:
DRY asks for one, to find what breaks a repetition.
"""

import ctypes
import json
import sys
from pathlib import Path

import llama_cpp as lib
import numpy as np

OUT = Path(__file__).parent.parent / "tests/fixtures/sampling.json"
TOKENS = 60
HISTORY = [7, 3, 9, 3, 3, 14, 21, 9, 7, 3, 9]
# In the order in which llama.cpp's tools run them.
ORDER = ["bias", "penalties", "dry", "top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "xtc", "temperature", "mirostat"]

CASES = [
    {},
    {"temperature": 0.6},
    {"temperature": 1.7},
    {"top_k": 7},
    {"top_p": 0.8},
    {"min_p": 0.1},
    {"typical_p": 0.3},
    {"typical_p": 0.7},
    {"typical_p": 0.95},
    {"top_n_sigma": 0.6},
    {"top_n_sigma": 1.5},
    {"xtc_probability": 1.0, "xtc_threshold": 0.05},
    {"xtc_probability": 1.0, "xtc_threshold": 0.15},
    {"xtc_probability": 1.0, "xtc_threshold": 0.5},
    {"dynamic_range": 0.5, "dynamic_exponent": 1.0},
    {"temperature": 0.7, "dynamic_range": 1.2, "dynamic_exponent": 0.6, "top_k": 20},
    {"mirostat_mu": 3.0, "temperature": 0.9},
    {"mirostat_mu": 5.0},
    {"repetition_penalty": 1.3},
    {"presence_penalty": 0.6, "frequency_penalty": 0.25},
    {"repetition_penalty": 1.2, "presence_penalty": -0.4, "frequency_penalty": 0.3, "window": 5},
    {"bias": {"3": 2.0, "11": -1.5, "20": float("-inf")}},
    {"dry": {"multiplier": 0.8, "base": 1.75, "allowed": 2}},
    {"dry": {"multiplier": 1.5, "base": 1.2, "allowed": 1}},
    {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05},
    {"temperature": 1.2, "top_k": 30, "typical_p": 0.9, "top_p": 0.9, "min_p": 0.02, "repetition_penalty": 1.1},
    {"temperature": 0.7, "top_n_sigma": 1.2, "top_k": 25, "typical_p": 0.97, "top_p": 0.97, "min_p": 0.01,
     "xtc_probability": 1.0, "xtc_threshold": 0.08, "dynamic_range": 0.3, "dynamic_exponent": 1.4, "presence_penalty": 0.3},
]


def sampler(name, case, vocabulary):
    temperature = case.get("temperature", 1.0)
    if name == "bias" and "bias" in case:
        biases = [(int(token), bias) for token, bias in case["bias"].items()]
        array = (lib.llama_logit_bias * len(biases))(*biases)
        return lib.llama_sampler_init_logit_bias(TOKENS, len(biases), array)
    if name == "penalties":
        numbers = [case.get(f"{part}_penalty", neutral) for part, neutral in [("repetition", 1.0), ("frequency", 0.0), ("presence", 0.0)]]
        return lib.llama_sampler_init_penalties(TOKENS, case.get("window", len(HISTORY)), *numbers)
    if name == "dry" and "dry" in case:
        of = case["dry"]
        breakers = (ctypes.c_char_p * 0)()
        return lib.llama_sampler_init_dry(vocabulary, of["multiplier"], of["base"], of["allowed"], 64, breakers, 0)
    if name == "top_n_sigma" and name in case:
        return lib.llama_sampler_init_top_n_sigma(case[name])
    if name == "top_k" and name in case:
        return lib.llama_sampler_init_top_k(case[name])
    if name == "typical_p" and name in case:
        return lib.llama_sampler_init_typical(case[name], 1)
    if name == "top_p" and name in case:
        return lib.llama_sampler_init_top_p(case[name], 1)
    if name == "min_p" and name in case:
        return lib.llama_sampler_init_min_p(case[name], 1)
    if name == "xtc" and "xtc_probability" in case:
        return lib.llama_sampler_init_xtc(case["xtc_probability"], case["xtc_threshold"], 1, 5)
    if name == "temperature":
        return lib.llama_sampler_init_temp_ext(temperature, case.get("dynamic_range", 0.0), case.get("dynamic_exponent", 1.0))
    if name == "mirostat" and "mirostat_mu" in case:
        # It begins with twice its target.
        return lib.llama_sampler_init_mirostat_v2(5, case["mirostat_mu"] / 2, 0.1)
    return None


def left(logits, case, vocabulary):
    tokens = (lib.llama_token_data * TOKENS)(*[(i, float(logit), 0.0) for i, logit in enumerate(logits)])
    array = lib.llama_token_data_array(data=tokens, size=TOKENS, selected=-1, sorted=False)
    for name in ORDER:
        one = sampler(name, case, vocabulary)
        if one is None:
            continue
        for token in HISTORY:
            lib.llama_sampler_accept(one, token) if name in ("penalties", "dry") else None
        lib.llama_sampler_apply(one, ctypes.byref(array))
        lib.llama_sampler_free(one)
    kept = [(array.data[i].id, array.data[i].logit) for i in range(array.size)]
    kept = [(token, logit) for token, logit in kept if np.isfinite(logit)]
    weights = np.exp(np.array([logit for _, logit in kept], dtype=np.float64) - max(logit for _, logit in kept))
    return {str(token): float(f"{p:.7g}") for (token, _), p in sorted(zip(kept, weights / weights.sum()))}


def main():
    model = lib.llama_model_default_params()
    model.vocab_only = True
    model = lib.llama_model_load_from_file(sys.argv[1].encode(), model)
    vocabulary = lib.llama_model_get_vocab(model)
    rng = np.random.default_rng(12)
    logits = [rng.normal(0, spread, TOKENS).astype(np.float32).round(3) for spread in (1.0, 2.5)]
    cases = [
        {"logits": at, **{name: value for name, value in case.items() if name != "bias"},
         **({"bias": {token: max(bias, -2e30) for token, bias in case["bias"].items()}} if "bias" in case else {}),
         "left": left(given, case, vocabulary)}
        for at, given in enumerate(logits) for case in CASES
    ]
    body = ",\n".join(f"    {json.dumps(case)}" for case in cases)
    rows = ",\n".join(f"    {json.dumps([float(f'{l:.3f}') for l in row])}" for row in logits)
    OUT.write_text(f'{{\n  "history": {HISTORY},\n  "logits": [\n{rows}\n  ],\n  "cases": [\n{body}\n  ]\n}}\n')


if __name__ == "__main__":
    main()
