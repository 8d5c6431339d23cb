"""A Python process that can import what a model's image will have, and nothing else of the machine."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from chassis.packaging import errors
from chassis.packaging.errors import PackagingError
from chassis.packaging.request import PickleRequest
from chassis.packaging.worker import answer_path

_OWN = ("chassis", "cloudpickle")
"""What an image always has, taken from where this process has it."""

_KEPT = ("PATH", "PYTHONHOME", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")
_SHOWN_OUTPUT = 4000


class Workplace:
    """A directory that is laid out as an image is: `data`, and the packages that every image has."""

    def __init__(
        self,
        root: Path,
        data: dict[str, Path],
        import_paths: Sequence[Path],
        timeout: float,
        interpreter: Path | None = None,
    ) -> None:
        """Lays out `root`, an empty directory.

        Args:
          root: the directory; what is in it is the caller's to remove.
          data: key to file or directory.
          import_paths: where the model's dependencies are imported from.
          timeout: seconds that a worker may take.
          interpreter: the Python of the workers; the running one where it is None.
        """
        self._root = root
        self._import_paths = import_paths
        self._timeout = timeout
        self._interpreter = str(interpreter.absolute()) if interpreter else sys.executable
        (root / "data").mkdir()
        (root / "home").mkdir()
        (root / "site").mkdir()
        for key, file in data.items():
            link = root / "data" / key
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file.resolve())
        for package in _OWN:
            spec = importlib.util.find_spec(package)
            if spec is None or not spec.submodule_search_locations:
                raise PackagingError(f"this interpreter does not find the package {package!r}, which the pickler needs")
            (root / "site" / package).symlink_to(Path(spec.submodule_search_locations[0]).resolve())

    def run(self, worker: str, request: PickleRequest, pickle: Path) -> str:
        """Runs the module `worker` with `request` on the file `pickle`; returns its result.

        Raises:
          PackagingError: as the worker says, or that it crashed or took too long.
        """
        # -S: no site-packages of the machine; -P: no directory of the script or the shell; -B: no bytecode left behind.
        # Not -I, which would ignore the hash seed.
        command = [self._interpreter, "-S", "-P", "-B", "-W", "ignore", "-c", _START, worker, str(pickle)]
        try:
            done = subprocess.run(
                command,
                input=request.to_json(),
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                timeout=self._timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise PackagingError(
                f"importing and pickling the model took more than {self._timeout:g} s: "
                "is there work at the top of its module?"
            ) from None
        answer = answer_path(pickle)
        if done.returncode or not answer.exists():
            raise PackagingError(
                f"the interpreter that runs the model's code ended with status {done.returncode}\n"
                f"{done.stdout[-_SHOWN_OUTPUT:]}"
            )
        document = json.loads(answer.read_text())
        answer.unlink()
        if "error" in document:
            kind, message = document["error"]
            raise getattr(errors, kind)(message)
        return document["result"]

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return kept | {
            "CHASSIS_DATA": str(self._root / "data"),
            "CHASSIS_IMPORT_PATHS": json.dumps([str(path) for path in self._import_paths]),
            "HOME": str(self._root / "home"),
            "LC_ALL": "C.UTF-8",
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": str(self._root / "site"),
            "PYTHONUTF8": "1",
            "TZ": "UTC",
        }


_START = """
import json, os, runpy, sys
# Behind the standard library, as site-packages is.
sys.path.extend(json.loads(os.environ.pop("CHASSIS_IMPORT_PATHS")))
worker = sys.argv.pop(1)
sys.argv[0] = worker
runpy.run_module(worker, run_name="__main__", alter_sys=True)
"""
