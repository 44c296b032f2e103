"""What transformers' contrastive search writes: tests/fixtures/contrastive.json.

    python -m venv VENV && VENV/bin/pip install transformers==4.49.0 torch==2.6.0 gguf==0.19.0 "accelerate<1.4" sentencepiece protobuf
    VENV/bin/python training/make_contrastive_fixtures.py models/storyteller/storyteller-q8_0.gguf STORIES260K.gguf

Of the trained storyteller, whose weights are widened to f32, and of stories260K (see Sources in docs/models.md): token ids behind some beginnings by several settings of
`penalty_alpha` and `top_k`. Later transformers have left this search to a repository of its own (transformers-community/contrastive-search), so that an older one is pinned. Each step
tells how far the chosen candidate was ahead of the next one (`lead`, the least of all steps): where that is less than rounding another token is as right.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM
from transformers.generation import utils

OUT = Path(__file__).parent.parent / "tests/fixtures/contrastive.json"
PROMPTS = {"storyteller": [[1, 40, 50, 60, 70], [1, 300, 301, 302]], "stories260K": [[1, 403, 407, 261, 378], [1, 317, 286, 296, 418, 426, 338]]}
CASES = [
    {"alpha": 0.6, "k": 4, "maxTokens": 48},
    {"alpha": 0.3, "k": 8, "maxTokens": 40},
    {"alpha": 1.0, "k": 3, "maxTokens": 24},
    {"alpha": 0.5, "k": 5, "maxTokens": 32, "repetitionPenalty": 1.3},
]

leads = []
ranked = utils._ranking_fast


def watched(context_hidden, next_hidden, next_top_k_probs, cosine_matrix_mask, alpha, beam_width):
    norms = [hidden / hidden.norm(dim=2, keepdim=True) for hidden in (context_hidden, next_hidden)]
    penalty = (torch.matmul(norms[0], norms[1].transpose(1, 2)).squeeze(-1) + torch.where(cosine_matrix_mask > 0, 0.0, -torch.inf)).max(dim=-1).values
    scores = ((1.0 - alpha) * next_top_k_probs.view(-1) - alpha * penalty).topk(2).values
    leads.append(float(scores[0] - scores[-1]))
    return ranked(context_hidden, next_hidden, next_top_k_probs, cosine_matrix_mask, alpha, beam_width)


utils._ranking_fast = watched


def main():
    found = []
    for path in map(Path, sys.argv[1:]):
        model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, torch_dtype=torch.float32).eval()
        name = next(name for name in PROMPTS if path.name.startswith(name))
        for prompt in PROMPTS[name]:
            for case in CASES:
                leads.clear()
                with torch.no_grad():
                    out = model.generate(
                        torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), penalty_alpha=case["alpha"], top_k=case["k"], max_new_tokens=case["maxTokens"],
                        repetition_penalty=case.get("repetitionPenalty", 1.0), do_sample=False, eos_token_id=2, pad_token_id=0,
                    )
                tokens = out[0].tolist()[len(prompt):]
                ended = tokens[-1] == 2
                found.append({"model": name, "prompt": prompt, **case, "lead": round(min(leads), 6), "tokens": tokens[:-1] if ended else tokens, "ended": ended})
                print(found[-1])
    OUT.write_text("[\n" + ",\n".join("  " + json.dumps(case) for case in found) + "\n]\n")


if __name__ == "__main__":
    main()
