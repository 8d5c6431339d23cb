"""Bazel's persistent workers: one process that does the work of many actions, so that Python starts once for all.

Specification: Bazel's documentation, "Creating Persistent Workers", in its JSON form: a `WorkRequest` on standard input
for each action, a `WorkResponse` on standard output for each, one after the other, until standard input ends.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

FLAG = "--persistent_worker"
"""What Bazel adds to the command line of a tool that is to stay."""

_BLOCK_BYTES = 1 << 16


Digests = Mapping[str, str]
"""Path of each input of an action to what tells its content from others; a directory is the files in it."""


def serve(act: Callable[[Sequence[str], Digests], int | None]) -> None:
    """Answers requests until there are no more; `act` does one, given its arguments and inputs: the exit status.

    What `act` prints is in the answer. No failure of it ends the worker. The process's own standard output is Bazel's
    alone, so that what a program writes there that `act` starts goes to standard error, which is Bazel's log of the
    worker.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        for request in _requests(0):
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                status = _status(act, request)
            answer = {"exitCode": status, "output": said.getvalue(), "requestId": request.get("requestId", 0)}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


def _status(act: Callable[[Sequence[str], Digests], int | None], request: Mapping[str, Any]) -> int:
    digests = {each["path"]: each.get("digest", "") for each in request.get("inputs", ())}
    try:
        return act(request.get("arguments", []), digests) or 0
    except SystemExit as error:
        if not isinstance(error.code, str):
            return error.code or 0
        print(error.code)
    except Exception:
        traceback.print_exc()
    return 1


def _requests(stream: int) -> Iterator[dict[str, Any]]:
    """The JSON documents of a stream; nothing need be between them.

    Raises:
      ValueError: the stream ends within one.
    """
    decode, parse, text = codecs.getincrementaldecoder("utf-8")().decode, json.JSONDecoder().raw_decode, ""
    while block := os.read(stream, _BLOCK_BYTES):
        text += decode(block)
        while text := text.lstrip():
            try:
                request, end = parse(text)
            except json.JSONDecodeError:
                break  # the rest of it is on its way
            text = text[end:]
            yield request
    if text:
        raise ValueError(f"a request ends after {len(text)} characters, in its middle")
