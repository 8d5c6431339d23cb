"""Where a layer comes from, by the image's history, and why it is where it is."""

from __future__ import annotations

from typing import Any

from chassis.oci.descriptor import Origin

# What image layouts of this build write into the history: `chassis: KIND NAME VERSION`.
_MARK = "chassis: "
KINDS = ("base", "runtime", "wheel", "wheels", "code", "data", "model")
BELOW = "layer"
_MAX_HISTORY_CHARACTERS = 400

_WHY = {
    "base": "at the bottom, below everything else: it changes only when the base is renewed",
    "runtime": "above the base: the server is the same for every model, and changes only with its release",
    "wheel": "one wheel, one layer: every image with this wheel shares it; the bigger it is, the lower it lies, since "
    "some stores fetch all that is above a change again",
    "wheels": "small wheels that share a layer, because the image has more wheels than layers for them; a hash of its "
    "name put each here, so that other packages come and go without moving it",
    "code": "above the wheels: first-party code changes more often than what it imports",
    "data": "above code: weights and files change with each training",
    "model": "on top: the function changes most, and so an edit re-makes this layer alone",
    BELOW: "of the image that this one is built on, and so below all that was added to it",
}


def origins(history: Any, count: int) -> list[Origin]:
    """The origin of each of `count` layers by a configuration's `history`, lowest first.

    A layer that this build did not make has the kind `layer` and the command that made it as its name (OCI image
    specification, config.md, `history`); if the history does not fit the layers, the name is empty.
    """
    entries = [entry for entry in history or [] if isinstance(entry, dict) and not entry.get("empty_layer")]
    if len(entries) != count:
        return [Origin(BELOW, "")] * count
    return [_origin(str(entry.get("created_by") or entry.get("comment") or "")) for entry in entries]


def _origin(made_by: str) -> Origin:
    kind, _, rest = made_by.removeprefix(_MARK).partition(" ")
    if made_by.startswith(_MARK) and kind in KINDS:
        name, blank, version = rest.rpartition(" ") if kind != "wheels" else (rest, "", "")
        return Origin(kind, name, version) if blank else Origin(kind, rest)
    command = made_by.removeprefix("/bin/sh -c ").removeprefix("#(nop) ").strip()
    return Origin(BELOW, command[:_MAX_HISTORY_CHARACTERS])


def why(origin: Origin) -> str:
    """Why a layer of that origin is where it is, in a sentence without a full stop."""
    return _WHY.get(origin.kind, _WHY[BELOW])
