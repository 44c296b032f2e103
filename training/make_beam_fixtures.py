"""What transformers' beam search finds: tests/fixtures/beams.json, beams-texts.json.

    python training/make_beam_fixtures.py STORIES260K.gguf

Of stories260K (see Sources in docs/models.md): texts behind some beginnings by several settings, with their tokens and scores. Tokens stand without the one that
ended the text, or was forced at its beginning. The second file is of the small random encoder-decoders of make_text_fixtures.py. To have texts end, the full stop counts as an end too in some of them: `ends` names it.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

OUT = Path(__file__).parent.parent / "tests/fixtures/beams.json"
PROMPTS = {"upon": [1, 403, 407, 261, 378], "Lily": [1, 317, 286, 296, 418, 426, 338]}
CASES = [
    {"beams": 1, "maxTokens": 12},
    {"beams": 2, "maxTokens": 20},
    {"beams": 4, "maxTokens": 30, "returned": 4},
    {"beams": 8, "maxTokens": 16, "returned": 3, "lengthPenalty": 0.0},
    {"beams": 4, "maxTokens": 40, "returned": 4, "ends": True},
    {"beams": 4, "maxTokens": 40, "returned": 4, "ends": True, "earlyStopping": True},
    {"beams": 4, "maxTokens": 40, "returned": 2, "ends": True, "earlyStopping": "never", "lengthPenalty": 2.0},
    {"beams": 3, "maxTokens": 40, "returned": 3, "ends": True, "lengthPenalty": -1.0},
]


TEXTS = Path(__file__).parent.parent / "tests/fixtures/texts"
ENCODER_DECODERS = ["t5", "mt5", "bart", "marian", "marian-apart", "pegasus"]


def of_texts():
    found = []
    for name in ENCODER_DECODERS:
        answers = json.loads((TEXTS / name / "answers.json").read_text())
        model = AutoModelForSeq2SeqLM.from_pretrained(TEXTS / name, dtype=torch.float32).eval()
        config = model.generation_config
        forced = 1 if config.forced_bos_token_id is not None else 0
        for beams, tokens, penalty in [(3, 10, 1.0), (4, 16, 0.6)]:
            with torch.no_grad():
                out = model.generate(
                    torch.tensor([answers["ids"]]), num_beams=beams, max_new_tokens=tokens + forced, num_return_sequences=2, length_penalty=penalty, use_cache=False,
                    do_sample=False, output_scores=True, return_dict_in_generate=True,
                )
            ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
            texts = []
            for row, score in zip(out.sequences.tolist(), out.sequences_scores):
                row = row[1 + forced:]
                length = next((at for at, token in enumerate(row) if token in ends), len(row))
                texts.append({"tokens": row[:length], "ended": length < len(row), "score": round(float(score), 6)})
            print(name, beams, texts)
            found.append({"model": name, "beams": beams, "maxTokens": tokens, "lengthPenalty": penalty, "returned": 2, "texts": texts})
    (OUT.parent / "beams-texts.json").write_text("[\n" + ",\n".join("  " + json.dumps(case) for case in found) + "\n]\n")


def main():
    of_texts()
    path = Path(sys.argv[1])
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    stop = 426
    found = []
    for name, prompt in PROMPTS.items():
        for case in CASES:
            ends = [2, stop] if case.get("ends") else [2]
            with torch.no_grad():
                out = model.generate(
                    torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), num_beams=case["beams"], max_new_tokens=case["maxTokens"],
                    num_return_sequences=case.get("returned", 1), length_penalty=case.get("lengthPenalty", 1.0),
                    early_stopping=case.get("earlyStopping", False), do_sample=False, eos_token_id=ends, pad_token_id=0,
                    output_scores=True, return_dict_in_generate=True,
                )
            texts = []
            scores = out.sequences_scores if case["beams"] > 1 else [None]
            for row, score in zip(out.sequences.tolist(), scores):
                tokens = row[len(prompt):]
                ended = any(token in ends for token in tokens)
                length = next((at for at, token in enumerate(tokens) if token in ends), len(tokens))
                texts.append({"tokens": tokens[:length], "ended": ended, **({} if score is None else {"score": round(float(score), 6)})})
            print(name, case, [(len(t["tokens"]), t["ended"], t.get("score")) for t in texts])
            found.append({"prompt": prompt, **case, **({"ends": stop} if case.get("ends") else {}), "texts": texts})
    OUT.write_text("[\n" + ",\n".join("  " + json.dumps(case) for case in found) + "\n]\n")


if __name__ == "__main__":
    main()
