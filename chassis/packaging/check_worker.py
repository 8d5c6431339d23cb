"""Run in an interpreter that has only what the image will have: loads a pickle as the server will.

`python -m chassis.packaging.check_worker PICKLE ANSWER`, the request on standard input; the answer is in `ANSWER`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import cloudpickle

from chassis.packaging.bytecode import check_version
from chassis.packaging.codec_packages import check_packages
from chassis.packaging.entry_module import module_name
from chassis.packaging.errors import EntryPointError, MissingDependencyError, PackagingError
from chassis.packaging.pickle_reader import pickled_code
from chassis.packaging.request import PickleRequest
from chassis.packaging.signature import declared_by, describe_signature
from chassis.packaging.worker import Result, run_worker
from chassis.runtime.core.loader import Loader, Records

_IN_IMAGE = frozenset(
    {
        "chassis",
        "chassis.accelerator",
        "chassis.call",
        "chassis.data",
        "chassis.errors",
        "chassis.frameworks",
        "chassis.runtime",
    }
)


def _is_of_builder(module: str) -> bool:
    """Whether a module is of Chassis, and of the parts that no image has."""
    return module.startswith("chassis.") and ".".join(module.split(".")[:2]) not in _IN_IMAGE


class _Absent(MetaPathFinder):
    """Refuses what is here and will not be in the image: the model's sources, and the parts of Chassis that build."""

    def __init__(self, sources: set[str]) -> None:
        self._sources = sources

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in self._sources:
            raise ModuleNotFoundError(
                f"{fullname} is pickled by value and not in the image, but the pickle refers to it by name",
                name=fullname,
            )
        if _is_of_builder(fullname):
            raise ModuleNotFoundError(f"{fullname} is not in the image", name=fullname)
        return None


def check(request: PickleRequest, pickle: Path) -> Result:
    """Loads `pickle`; returns the function's signature, see `describe_signature`.

    Raises:
      PackagingError: it does not load, or holds no predict function.
    """
    if request.pickle_name:
        check_version(pickled_code(pickle.read_bytes(), request.pickle_name), request.pickle_name)
    own = {module_name(path) for path in request.sources}
    sys.meta_path.insert(0, _Absent(own))
    for name in [name for name in sys.modules if _is_of_builder(name)]:
        del sys.modules[name]
    name = f"entry point {request.entry_point}" if request.entry_point else "the pickled function"
    if request.framework:
        name = f"framework {request.framework[0]!r}"
    try:
        with pickle.open("rb") as file:
            function = cloudpickle.load(file)
    except ModuleNotFoundError as error:
        if error.name in own:
            raise PackagingError(f"{name}: {error}\n  put {error.name} into a py_library among `deps`") from None
        raise MissingDependencyError(
            f"{name}: loading the pickle imports {error.name!r}, which is not among the model's dependencies\n"
            "  add what brings it to `deps` of the chassis_model"
        ) from None
    except (Exception, SystemExit) as error:
        raise PackagingError(f"{name}: the pickle does not load: {type(error).__name__}: {error}") from None
    if not callable(function) and not isinstance(function, Loader | Records):
        raise EntryPointError(f"{name} is a {type(function).__name__}, expected a function")
    signature = describe_signature(
        function, name, request.signature, request.batch_size, has_columns=request.has_columns
    )
    check_packages(signature)
    return Result(signature, declared=declared_by(function))


if __name__ == "__main__":
    path = Path(sys.argv[1])
    sys.exit(run_worker(Path(sys.argv[2]), lambda request: check(request, path), os.fdopen(0)))
