"""How a worker process takes its request and hands back its answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from chassis.packaging.errors import PackagingError
from chassis.packaging.request import PickleRequest


def run_worker(pickle: Path, work: Callable[[PickleRequest], str], requests: TextIO) -> int:
    """Reads the request, does `work`, writes `{"result": …}` or `{"error": [class, message]}` beside `pickle`.

    Returns 0: a process that ends otherwise has crashed.
    """
    request = PickleRequest.from_json(requests.read())
    try:
        answer: dict[str, object] = {"result": work(request)}
    except PackagingError as error:
        answer = {"error": [type(error).__name__, str(error)]}
    answer_path(pickle).write_text(json.dumps(answer))
    return 0


def answer_path(pickle: Path) -> Path:
    """Where the worker for `pickle` leaves its answer."""
    return pickle.with_name(pickle.name + ".json")
