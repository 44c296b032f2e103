"""Vitrine's widgets for notebooks: small generative models that the reader's browser computes.

A widget's traits: ``tag``, the name of the element; ``attributes``, its attributes by their names there; ``base``, the address of a copy of Vitrine, or ``""`` for
that which this package holds; ``outcome``, ``state`` and ``error``, which the page writes.
"""

from __future__ import annotations

import pathlib
from importlib.metadata import version

import anywidget
import traitlets

__version__ = version("vitrine-widgets")
__all__ = ["Image", "Latent", "Text", "Widget"]

_HERE = pathlib.Path(__file__).parent
_FILES = _HERE / "files"


class Widget(anywidget.AnyWidget):
    """Any of Vitrine's elements: ``Widget("vitrine-text", max_tokens=80)``."""

    _esm = _HERE / "front.js"

    tag = traitlets.Unicode("vitrine-text").tag(sync=True)
    attributes = traitlets.Dict(key_trait=traitlets.Unicode()).tag(sync=True)
    base = traitlets.Unicode("").tag(sync=True)
    version = traitlets.Unicode(__version__, read_only=True).tag(sync=True)
    outcome = traitlets.Dict().tag(sync=True)
    state = traitlets.Enum(["loading", "ready", "working", "failed"], "loading").tag(sync=True)
    error = traitlets.Unicode("").tag(sync=True)

    def __init__(self, tag: str = "vitrine-text", *, base: str = "", **attributes):
        named = {name.replace("_", "-"): value for name, value in attributes.items()}
        super().__init__(tag=tag, base=base, attributes=named)
        self.on_msg(self._answer)

    @traitlets.validate("tag")
    def _check_tag(self, proposal):
        if not proposal["value"].startswith("vitrine-"):
            raise traitlets.TraitError(f"tag is {proposal['value']!r}, but must be one of Vitrine's elements, like 'vitrine-text'")
        return proposal["value"]

    @traitlets.validate("attributes")
    def _check_attributes(self, proposal):
        for name, value in proposal["value"].items():
            if not isinstance(value, (str, int, float, bool, type(None))):
                kind = type(value).__name__
                raise traitlets.TraitError(f"{name} is of the type {kind}, but must be a text, a number, True, False or None")
        return proposal["value"]

    def call(self, method: str, *args) -> None:
        """Calls a method of the element: what comes of it stands in ``outcome``."""
        self.send({"call": method, "args": list(args)})

    def stop(self) -> None:
        """Ends what is under way."""
        self.call("stop")

    def _answer(self, _widget, content, _buffers) -> None:
        """Hands over a file of this package to a page that asks for it."""
        name = content.get("file") if isinstance(content, dict) else None
        if not isinstance(name, str):
            return
        path = (_FILES / name).resolve()
        if _FILES.resolve() in path.parents and path.is_file():
            self.send({"file": name}, [path.read_bytes()])
        else:
            self.send({"file": name, "missing": f"vitrine-widgets {__version__} holds no file {name}"})


class Text(Widget):
    """A beginning, and a button that lets a language model go on. ``call("write")`` does so too."""

    def __init__(self, **attributes):
        super().__init__("vitrine-text", **attributes)


class Image(Widget):
    """Words, and a button that paints them. ``call("paint")`` does so too."""

    def __init__(self, **attributes):
        super().__init__("vitrine-image", **attributes)


class Latent(Widget):
    """A picture of a few numbers, which the reader turns."""

    def __init__(self, **attributes):
        super().__init__("vitrine-latent", **attributes)
