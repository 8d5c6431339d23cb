"""An image and what is in it, as values that no format knows of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

APPLICATION, CONTAINER, FILE, LIBRARY, MODEL = "application", "container", "file", "library", "machine-learning-model"


@dataclass(frozen=True, slots=True)
class Component:
    """One thing in an image.

    `ref` names it within the document, `kind` is CycloneDX's type; `sha256` is of its file, in hexadecimal. `depends`
    has the refs of what it needs. `properties` are of this project: names to values.
    """

    ref: str
    kind: str
    name: str
    version: str = ""
    purl: str = ""
    sha256: str = ""
    file: str = ""
    licences: tuple[str, ...] = ()
    supplier: str = ""
    homepage: str = ""
    summary: str = ""
    depends: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inventory:
    """An image: itself as a component, and all that is in it, by ref; `card` is CycloneDX's model card of the model."""

    image: Component
    components: tuple[Component, ...]
    model_ref: str = ""
    card: Mapping[str, Any] = field(default_factory=dict)
