"""The page on which a person tries a model: fields made of what the model declares, as one HTML document."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from chassis.declaration.columns import TIMESTAMP, Column
from chassis.declaration.model_io import ModelInput, ModelOutput
from chassis.declaration.tensor import FLOATS, NUMERIC
from chassis.image_test.curl_lines import instance_example, is_object

_PARTS = Path(__file__).with_name("trial_page")
_PICTURE = "image"


@dataclass(frozen=True, slots=True)
class Trial:
    """A model to try.

    Attributes:
      name: the model's, in URLs.
      version: the model's.
      signature: what an item is for the function (chassis/declaration/model_json.py).
      inputs: what it declares.
      outputs: what it declares.
      columns: of a row, if items are rows.
      protocol: `v1-http` or `v2-http`, whichever the page is to speak.
      url: of the server, such as `http://127.0.0.1:8080`.
    """

    name: str
    version: str
    signature: str
    inputs: Sequence[ModelInput]
    outputs: Sequence[ModelOutput]
    columns: Sequence[Column]
    protocol: str
    url: str

    @property
    def path(self) -> str:
        """Where the model is asked."""
        return f"/v1/models/{self.name}:predict" if self.protocol == "v1-http" else f"/v2/models/{self.name}/infer"

    def described(self) -> dict[str, object]:
        """What the page's script needs to know."""
        columns = [_column(column) for column in self.columns]
        return {
            "path": self.path,
            "protocol": self.protocol,
            "url": self.url,
            "rows": bool(columns),
            "fields": columns or [_field(self.signature, part) for part in self.inputs],
            "outputs": [{"name": part.name, "media_type": part.media_type} for part in self.outputs],
        }


@dataclass(frozen=True, slots=True)
class Page:
    """A document, and the Content-Security-Policy that lets it do what it has to and nothing else."""

    html: str
    policy: str


def trial_page(trial: Trial) -> Page:
    """The page of a model: it loads nothing, and asks nothing but the server that it came from."""
    script = (_PARTS / "page.js").read_text("utf-8")
    style = (_PARTS / "page.css").read_text("utf-8")
    described = json.dumps(trial.described(), ensure_ascii=True)
    fields = {
        "title": escape(trial.name),
        "version": escape(trial.version),
        # No name ends a script element (HTML, "Restrictions for contents of script elements").
        "trial": described.replace("<", "\\u003c"),
        "style": style,
        "script": script,
    }
    # In one pass, so that nothing in a model's names is taken for a field.
    head, *rest = (_PARTS / "page.html").read_text("utf-8").split("{{")
    html = head + "".join(fields[name] + tail for name, _, tail in (part.partition("}}") for part in rest))
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; connect-src 'self'; "
        "img-src blob: data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    )
    return Page(html, policy)


def _hash(text: str) -> str:
    """An element's text, as a policy names it (Content Security Policy Level 3, 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _column(column: Column) -> dict[str, object]:
    kind = "text"
    if column.datatype in NUMERIC:
        kind = "flag" if column.datatype == "BOOL" else "number" if column.datatype in FLOATS else "integer"
    return {
        "name": column.name,
        "kind": kind,
        "optional": column.optional,
        "datatype": column.tensor_type,
        "example": column.example,
        "says": f"{'ISO 8601' if column.datatype == TIMESTAMP else column.datatype.lower()}"
        f"{', may be empty' if column.optional else ''}",
    }


def _field(signature: str, part: ModelInput) -> dict[str, object]:
    example = instance_example(part)
    kind = "json"
    if part.datatype == "BYTES":
        if signature == _PICTURE or part.media_type.startswith("image/"):
            kind = "picture"
        elif signature == "text" or part.media_type.startswith("text/"):
            kind, example = "text", "text"
        elif signature != "json" and not is_object(part):
            kind = "file"
    shape = f"[{', '.join('any' if size < 0 else str(size) for size in part.shape)}]"
    return {
        "name": part.name,
        "kind": kind,
        "datatype": part.datatype,
        "example": example,
        "says": part.media_type if part.datatype == "BYTES" else f"{part.datatype} {shape}",
    }
