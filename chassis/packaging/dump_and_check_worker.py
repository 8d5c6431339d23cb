"""Run in an interpreter that has only a model's dependencies: pickles the entry point, and loads it as the server will.

`python -m chassis.packaging.dump_and_check_worker PICKLE ANSWER`, as dump_worker, and then as check_worker.

A fork pickles, so that the process that loads has never run the model's own code. What the entry module imports of
wheels before it does anything else is imported once, before that fork: it is what both begin with. Where that would not
be the same as two processes, this one ends with the status `NOT_SHARED`, and nothing is pickled.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from chassis.packaging.check_worker import check
from chassis.packaging.dump_worker import pickle_entry_point
from chassis.packaging.errors import PackagingError
from chassis.packaging.request import PickleRequest
from chassis.packaging.shared_imports import import_all, shareable_imports
from chassis.packaging.worker import NOT_SHARED, Result, parse_answer, run_worker

_PR_SET_PDEATHSIG = 1


def pickle_and_check(request: PickleRequest, output: Path, answer: Path) -> Result:
    """Writes the pickled entry point to `output` and loads it; returns what pickling found. `answer` is used meanwhile.

    Raises:
      PackagingError: what is wrong with the model, or its pickle.
    """
    _import_what_both_need(request)
    sys.stdout.flush()
    parent = os.getpid()
    child = os.fork()
    if not child:
        _end_with(parent)
        sys.exit(run_worker(answer, lambda request: pickle_entry_point(request, output), request))
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) or not answer.is_file():
        sys.exit(NOT_SHARED)  # it crashed, and shows how in a process of its own
    result = parse_answer(answer.read_bytes(), "")
    if isinstance(result, PackagingError):
        raise result
    with Path(os.devnull).open("w") as nothing:  # what is printed is what pickling printed
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    check(request, output)
    return result


def _import_what_both_need(request: PickleRequest) -> None:
    if request.framework:
        return
    try:
        shared = import_all(shareable_imports(request.entry_point, request.package_dir, request.sources))
    except PackagingError:
        return  # whoever pickles says it better
    except (Exception, SystemExit):
        shared = False
    if not shared:
        sys.exit(NOT_SHARED)


def _end_with(parent: int) -> None:
    """Has the kernel end this process when its parent ends, such as one that takes too long."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    pickle, answer = map(Path, sys.argv[1:])
    sys.exit(run_worker(answer, lambda request: pickle_and_check(request, pickle, answer), os.fdopen(0)))
