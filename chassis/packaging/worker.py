"""How a worker process takes its request and hands back its answer.

A model's code ran in it, so an answer may be anything: it is read as such.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from chassis.packaging import errors
from chassis.packaging.errors import PackagingError
from chassis.packaging.request import PickleRequest


def run_worker(answer: Path, work: Callable[[PickleRequest], str], requests: TextIO) -> int:
    """Reads the request, does `work`, writes `{"result": …}` or `{"error": [class, message]}` to the file `answer`.

    Returns 0: a process that ends otherwise has crashed.
    """
    request = PickleRequest.from_json(requests.read())
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
            known = isinstance(kind, type) and issubclass(kind, PackagingError)
            return "", (kind if known else PackagingError)(message)
        if isinstance(document["result"], str):
            return document["result"], None
    return "", PackagingError("the interpreter that runs the model's code left no answer that can be read")


def read_regular(path: Path, most: int | None = None) -> bytes | None:
    """The file's content, of at most `most` bytes; None if it is a link, a pipe, too large, or not there.

    A model's code could put a link to a file of the machine in its place, and have that read in its stead.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or (most is not None and status.st_size > most):
            return None
        return file.read()
