"""Run in an interpreter that has only a model's dependencies: pickles the entry point, and loads it as the server will.

`python -m chassis.packaging.dump_and_check_worker PICKLE ANSWER`, as dump_worker, and then as check_worker.

A fork pickles, so that the process that loads has never run the model's own code. What the entry module imports of
wheels before it does anything else is imported once, before that fork: it is what both begin with. Where that would not
be the same as two processes, this one ends with the status `NOT_SHARED`, and nothing is pickled.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from chassis.packaging.check_worker import check
from chassis.packaging.dump_worker import pickle_entry_point
from chassis.packaging.entry_module import entry_name, module_name
from chassis.packaging.errors import PackagingError
from chassis.packaging.request import PickleRequest
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


def leading_imports(source: bytes) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The modules, with the names taken of each, that a source imports before its first other statement."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module != "__future__":
                yield node.module, tuple(alias.name for alias in node.names)
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            return


def _import_what_both_need(request: PickleRequest) -> None:
    known = set(sys.modules)
    if request.framework:
        return
    try:
        entry = entry_name("entry point", request.entry_point.partition(":")[0], request.package_dir, request.sources)
        source = next(file for path, file in request.sources.items() if module_name(path) == entry)
        for module, names in leading_imports(Path(source).read_bytes()):
            if not _is_of_a_wheel(module.partition(".")[0], request):
                break
            __import__(module, fromlist=[name for name in names if name != "*"])
    except PackagingError:
        return  # whoever pickles says it better
    except (Exception, SystemExit):
        sys.exit(NOT_SHARED)
    # A wheel that imports Chassis may want what no image has, which is the check's to find.
    if any(name.partition(".")[0] == "chassis" for name in set(sys.modules) - known) or _has_threads():
        sys.exit(NOT_SHARED)


def _is_of_a_wheel(package: str, request: PickleRequest) -> bool:
    """Whether a package comes from the standard library or from unpacked wheels, and not from the workspace itself."""
    own = {name for path in request.sources for name in module_name(path).split(".")}
    if package in own or package == "chassis":
        return False
    if package in sys.stdlib_module_names:
        return True
    spec = importlib.util.find_spec(package)
    if spec is None:
        return False
    places: Sequence[str] = spec.submodule_search_locations or ([spec.origin] if spec.origin else [])
    return bool(places) and all(_is_wheels(Path(place).parent) for place in places)


def _is_wheels(directory: Path) -> bool:
    return next(directory.glob("*.dist-info"), None) is not None


def _has_threads() -> bool:
    """Whether there are threads that a fork would not have; of those that end before a fork there are none by then."""
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    return len(list(Path("/proc/self/task").iterdir())) > 1


def _end_with(parent: int) -> None:
    """Has the kernel end this process when its parent ends, such as one that takes too long."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    pickle, answer = map(Path, sys.argv[1:])
    sys.exit(run_worker(answer, lambda request: pickle_and_check(request, pickle, answer), os.fdopen(0)))
