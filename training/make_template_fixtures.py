"""What transformers' Jinja makes of templates: fixtures for `jinja/tests/python.rs`.

    python training/make_template_fixtures.py      (transformers 5.23, jinja2 3.1.6; no PyTorch)

Writes `tests/fixtures/templates/expressions.json` (small templates over one context, each with its text or null where Python raises)
and `conversations.json` (templates in the manner of published models, with conversations, tools and documents).
"""

import datetime
import json
from pathlib import Path

from template_conversations import CONVERSATIONS, TEMPLATES
from template_expressions import CONTEXT, TEMPLATES as EXPRESSIONS
from transformers.utils import chat_template_utils

OUT = Path(__file__).parent.parent / "tests/fixtures/templates"
NOW = datetime.datetime(2026, 3, 5, 13, 7, 9, 42)


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


def rendered(make):
    """The text, or None where Python raises."""
    try:
        return make()
    except Exception:
        return None


def expression(template):
    return rendered(lambda: chat_template_utils._compile_jinja_template(template).render(**CONTEXT))


def conversation(template, given):
    def make():
        texts, _ = chat_template_utils.render_jinja_template(
            conversations=[given["messages"]],
            tools=given.get("tools"),
            documents=given.get("documents"),
            chat_template=template,
            add_generation_prompt=True,
            bos_token="<s>",
            eos_token="</s>",
            **given.get("variables", {}),
        )
        return texts[0]

    return rendered(make)


def write(name, value):
    (OUT / name).write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def main():
    chat_template_utils.datetime = Clock
    OUT.mkdir(parents=True, exist_ok=True)
    cases = [{"template": template, "expected": expression(template)} for template in EXPRESSIONS]
    write("expressions.json", {"context": CONTEXT, "cases": cases})
    cases = [
        {"template": name, "conversation": which, "expected": conversation(template, given)}
        for name, template in TEMPLATES.items()
        for which, given in CONVERSATIONS.items()
    ]
    write("conversations.json", {"templates": TEMPLATES, "conversations": CONVERSATIONS, "cases": cases})
    print(len(EXPRESSIONS), "expressions,", len(cases), "conversations")


if __name__ == "__main__":
    main()
