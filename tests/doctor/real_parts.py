"""Real parts of images: bases, and the server's layer."""

from __future__ import annotations

import os
from pathlib import Path

from chassis.doctor.extraction import extract
from chassis.doctor.facts import LayerFacts, Start
from chassis.oci.descriptor import LayerDescriptor, read_json

START = Start({"PATH": "/opt/venv/bin:/usr/bin"}, ("/opt/venv/bin/python", "-m", "chassis.runtime"))
"""How an image of Chassis starts."""


def facts_of(variable: str) -> LayerFacts:
    """The facts of the layer whose blob, or a file beside it, a variable of the environment names."""
    blob = Path(os.environ[variable])
    blob = blob.with_suffix(".layer") if blob.suffix != ".layer" else blob
    layer = LayerDescriptor.from_json(read_json(Path(f"{blob}.json")), str(blob))
    return extract(blob, layer.descriptor, layer.origin, trusted=True)
