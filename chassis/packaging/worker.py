"""How a worker process takes its request and hands back its answer.

A model's code ran in it, so an answer may be anything: it is read as such.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from chassis.packaging import errors
from chassis.packaging.errors import PackagingError
from chassis.packaging.request import PickleRequest

NOT_SHARED = 80
"""The status of a worker that cannot do for two."""


def run_worker(answer: Path, work: Callable[[PickleRequest], str], requests: TextIO | PickleRequest) -> int:
    """Does `work`, writes `{"result": …}` or `{"error": [class, message]}` to the file `answer`.

    `requests` is the request, or a stream to read it from.
    Returns 0: a process that ends otherwise has crashed.
    """
    request = requests if isinstance(requests, PickleRequest) else PickleRequest.from_json(requests.read())
    try:
        document: dict[str, object] = {"result": work(request)}
    except PackagingError as error:
        document = {"error": [type(error).__name__, str(error)]}
    answer.write_text(json.dumps(document))
    return 0


def parse_answer(content: bytes) -> tuple[str, PackagingError | None]:
    """The result, or the error, of an answer; an answer of another form is an error, too."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        document = json.loads(content)
        if "error" in document:
            name, message = map(str, document["error"])
            kind = getattr(errors, name, None)
            if not isinstance(kind, type) or not issubclass(kind, PackagingError):
                kind = PackagingError
            return "", kind(message)
        if isinstance(document["result"], str):
            return document["result"], None
    return "", PackagingError("the interpreter that runs the model's code left no answer that can be read")
