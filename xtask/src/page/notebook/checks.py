"""What the package is by itself: its traits, and what it refuses."""

import importlib.resources

import traitlets
import vitrine_widgets
from vitrine_widgets import Image, Text, Widget

story = Text(max_tokens=80, prompt="One day", seed=7)
assert story.tag == "vitrine-text" and story.attributes == {"max-tokens": 80, "prompt": "One day", "seed": 7}
assert story.state == "loading" and story.outcome == {} and story.error == ""
assert story.version == vitrine_widgets.__version__
synced = set(story.traits(sync=True))
assert {"tag", "attributes", "base", "version", "outcome", "state", "error", "_esm"} <= synced, synced
assert "render" in story._esm and Image(steps=3).tag == "vitrine-image"
for wrong, what in [(lambda: Widget("textarea"), "tag"), (lambda: Text(seed=[7]), "seed")]:
    try:
        wrong()
    except traitlets.TraitError as error:
        assert what in str(error), error
    else:
        raise AssertionError(f"{what} was taken")

sent = []
story.send = lambda content, buffers=None: sent.append((content, buffers))
for name in ["vitrine_bg.wasm", "models/storyteller/storyteller-q8_0.gguf", "../__init__.py", "no.js"]:
    story._answer(story, {"file": name}, [])
wasm, model, outside, absent = sent
held = importlib.resources.files("vitrine_widgets") / "files"
assert wasm[1][0] == (held / "vitrine_bg.wasm").read_bytes() and model[1][0][:4] == b"GGUF"
assert outside[1] is None and "no file" in outside[0]["missing"] and "no file" in absent[0]["missing"]
