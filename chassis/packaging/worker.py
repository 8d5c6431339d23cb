"""How a worker process takes its request and hands back its answer.

A model's code ran in it, so an answer may be anything: it is read as such.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TextIO

from chassis.packaging import errors
from chassis.packaging.errors import PackagingError
from chassis.packaging.request import PickleRequest

NOT_SHARED = 80
"""The status of a worker that cannot do for two."""

_MAX_NOTES = 20
_MAX_NOTE = 400


class Result(NamedTuple):
    """What a worker found.

    Attributes:
      signature: of the function.
      notes: what the user should know, one sentence each.
      printed: what the model's code wrote to standard output and standard error.
      declared: fields of the model's metadata that its code says, as JSON has them.
    """

    signature: str
    notes: tuple[str, ...] = ()
    printed: str = ""
    declared: Mapping[str, object] = MappingProxyType({})


def run_worker(answer: Path, work: Callable[[PickleRequest], Result], requests: TextIO | PickleRequest) -> int:
    """Does `work`, writes `{"signature": …, "notes": […], "declared": {…}}` or `{"error": [class, message]}`.

    It goes to the file `answer`. `requests` is the request, or a stream to read it from.
    Returns 0: a process that ends otherwise has crashed.
    """
    request = requests if isinstance(requests, PickleRequest) else PickleRequest.from_json(requests.read())
    try:
        result = work(request)
        document: dict[str, object] = {
            "signature": result.signature,
            "notes": result.notes,
            "declared": dict(result.declared),
        }
    except PackagingError as error:
        document = {"error": [type(error).__name__, str(error)]}
    answer.write_text(json.dumps(document))
    return 0


def parse_answer(content: bytes, printed: str) -> Result | PackagingError:
    """The result, or the error, of a worker that answered `content`; an answer of another form is an error, too."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        document = json.loads(content)
        if "error" in document:
            name, message = map(str, document["error"])
            kind = getattr(errors, name, None)
            if not isinstance(kind, type) or not issubclass(kind, PackagingError):
                kind = PackagingError
            return kind(message)
        signature, notes, declared = document["signature"], document["notes"], document.get("declared", {})
        if isinstance(signature, str) and isinstance(notes, list) and isinstance(declared, dict):
            shown = tuple(str(note)[:_MAX_NOTE] for note in notes[:_MAX_NOTES])
            return Result(signature, shown, printed, declared)
    return PackagingError("the interpreter that runs the model's code left no answer that can be read")
