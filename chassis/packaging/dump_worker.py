"""Run in an interpreter that has only a model's dependencies: imports the entry point, pickles it.

`python -m chassis.packaging.dump_worker PICKLE ANSWER`, the request on standard input, the answer in the file `ANSWER`.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import cloudpickle

from chassis.packaging import pickler, unpicklable
from chassis.packaging.codec_packages import check_packages
from chassis.packaging.data_reads import DataReads, twice
from chassis.packaging.entry_module import SourceFinder, entry_name
from chassis.packaging.errors import (
    EntryPointError,
    MissingDependencyError,
    UnpicklableError,
    UnreproducibleError,
)
from chassis.packaging.framework_model import Framework, framework_model
from chassis.packaging.imports import is_importable, required_imports
from chassis.packaging.lost_statements import lost_statements, paths_beside
from chassis.packaging.remedies import remedy
from chassis.packaging.request import PickleRequest
from chassis.packaging.signature import Predictor, as_predictor, declared_by, describe_signature
from chassis.packaging.worker import Result, run_worker


def pickle_entry_point(request: PickleRequest, output: Path) -> Result:
    """Writes the pickled entry point to `output`; returns its signature, and what of the sources the image lacks.

    The signature is as `describe_signature` says it.

    Raises:
      PackagingError: what is wrong with the model.
    """
    if request.framework:
        return _pickle_framework(request, output)
    finder = SourceFinder(request.sources, request.package_dir)
    finder.install()
    attribute = request.entry_point.partition(":")[2]
    reads = DataReads(Path(os.environ["CHASSIS_DATA"]))
    reads.start()
    function = _imported("entry point", request.entry_point, request)
    predictor = as_predictor(function, _imported("loader", request.loader, request) if request.loader else None)
    signature = describe_signature(
        predictor, attribute, request.signature, request.batch_size, has_columns=request.has_columns
    )
    check_packages(signature)
    declared = declared_by(predictor)
    _check_imports(finder, request)
    notes = tuple(_lost(finder, request))
    content = _pickle(finder, predictor, attribute, request)
    _check_paths(content, request)
    output.write_bytes(content)
    note = twice(reads.end(), len(content))
    return Result(signature, (*notes, note) if note else notes, declared=declared)


def _pickle_framework(request: PickleRequest, output: Path) -> Result:
    name, data, columns, tensors, outputs = request.framework
    found = framework_model(Framework(name, data, tuple(columns), tuple(tensors), tuple(outputs)))
    signature = describe_signature(found.predictor, f"framework {name!r}", found.signature, request.batch_size)
    check_packages(signature)
    output.write_bytes(pickler.dump(found.predictor, hashlib.sha256(name.encode()).digest()))
    return Result(signature, declared=found.declared)


def _imported(what: str, path: str, request: PickleRequest) -> Callable[..., object]:
    """What `path`, `module:attribute`, names in the model's sources; `what` is what names it."""
    module, _, attribute = path.partition(":")
    name = entry_name(what, module, request.package_dir, request.sources)
    _import(name, request)
    return _attribute(name, attribute, f"{what} {path}")


def _import(name: str, request: PickleRequest) -> None:
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        place = _place(error, request)
        raise MissingDependencyError(
            f"{place}: no module named {error.name!r} among the model's dependencies\n"
            "  add what brings it to `deps` of the chassis_model"
        ) from None
    except SyntaxError as error:
        raise EntryPointError(f"{error.filename}, line {error.lineno}: {error.msg}") from None
    except (Exception, SystemExit) as error:
        raise EntryPointError(
            f"{_place(error, request)}: importing it failed: {type(error).__name__}: {error}{remedy(error)}"
        ) from None


def _place(error: BaseException, request: PickleRequest) -> str:
    """`model/model.py, line 3`: the innermost line of the model's own sources."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in request.sources]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else f"entry point {request.entry_point}"


def _attribute(name: str, attribute: str, called: str) -> Callable[..., object]:
    value: object = sys.modules[name]
    for part in attribute.split("."):
        if not hasattr(value, part):
            callables = [key for key, item in vars(value).items() if callable(item) and not key.startswith("__")]
            close = difflib.get_close_matches(part, callables, 3, 0.5) or sorted(callables)[:10]
            hint = f"\n  there are: {', '.join(close)}" if close else ""
            raise EntryPointError(f"{called}: {name} has no {part!r}{hint}")
        value = getattr(value, part)
    if not callable(value):
        raise EntryPointError(f"{called} is a {type(value).__name__}, expected a function")
    return value


def _check_imports(finder: SourceFinder, request: PickleRequest) -> None:
    """A function's own imports run in the image first: they are looked for here."""
    own = {known for name in finder.names() for known in (name, finder.short_name(name))}
    for module in finder.loaded():
        path = str(module.__file__)
        package = module.__package__ or ""
        for wanted in required_imports(Path(request.sources[path]).read_bytes(), path, package):
            place = f"{wanted.path}, line {wanted.line}"
            mine = [name for name in wanted.candidates() if name in own]
            if mine and wanted.deferred:
                raise EntryPointError(
                    f"{place}: {mine[-1]} is imported inside a function, but it is pickled with the model and "
                    "no module in the image\n"
                    "  import it at the top of the module, or put it into a py_library among `deps`"
                )
            if not mine and not is_importable(wanted.module):
                raise MissingDependencyError(
                    f"{place}: no module named {wanted.module!r} among the model's dependencies\n"
                    "  add what brings it to `deps` of the chassis_model, or import it under `try … except ImportError`"
                )


def _data_keys() -> list[str]:
    root = Path(os.environ["CHASSIS_DATA"])
    return [file.relative_to(root).as_posix() for file in root.rglob("*") if not file.is_dir()]


def _lost(finder: SourceFinder, request: PickleRequest) -> Iterator[str]:
    own = frozenset(known for name in finder.names() for known in (name, finder.short_name(name)))
    for module in finder.loaded():
        path = str(module.__file__)
        source = Path(request.sources[path]).read_bytes()
        for beside in paths_beside(source, path, _data_keys(), vars(module)):
            yield (
                f"{beside.path}, line {beside.line}: `{beside.text}` names a file that the image lacks; add it to "
                '`data` of the chassis_model, and find it with chassis.data_path("…")'
            )
        for lost in lost_statements(source, path, vars(module), own):
            yield (
                f"{lost.path}, line {lost.line}: `{lost.text}` runs where the model is pickled, and not in the image; "
                "if it is for the image, put it into the function that `loader` of the chassis_model names"
            )


def _pickle(finder: SourceFinder, predictor: Predictor, attribute: str, request: PickleRequest) -> bytes:
    for module in finder.loaded():
        cloudpickle.register_pickle_by_value(module)
    seed = hashlib.sha256()
    for path, file in sorted(request.sources.items()):
        seed.update(b"%s\0%s\0" % (path.encode(), hashlib.sha256(Path(file).read_bytes()).digest()))

    def dump(part: object) -> bytes:
        return pickler.dump(part, seed.digest(), finder.packages())

    try:
        return dump(predictor)
    except Exception:
        reason = unpicklable.explain(predictor, attribute, dump)
    raise UnpicklableError(
        f"entry point {request.entry_point}: {reason}\n"
        "  make it in a function that `loader` of the chassis_model names, or keep it out of what the function uses"
    )


def _check_paths(content: bytes, request: PickleRequest) -> None:
    for path in request.private_paths:
        if len(path) > 1 and path.encode() in content:
            rest = content[content.index(path.encode()) :][:200]
            shown = rest[: next((at for at, byte in enumerate(rest) if not 0x20 <= byte < 0x7F), len(rest))].decode()
            raise UnreproducibleError(
                f"entry point {request.entry_point}: the pickle holds a path of the build machine, {shown!r}\n"
                '  find data inside the function with chassis.data_path("…"), and keep no path as text outside it'
            )


if __name__ == "__main__":
    output = Path(sys.argv[1])
    sys.exit(run_worker(Path(sys.argv[2]), lambda request: pickle_entry_point(request, output), os.fdopen(0)))
