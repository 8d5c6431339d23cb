"""A Python process that can import what a model's image will have, and nothing else of the machine."""

from __future__ import annotations

import errno
import importlib.util
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from chassis.confinement.confined_process import Ended, run_confined
from chassis.confinement.left_files import read_regular
from chassis.confinement.walls import Walls, action_inputs
from chassis.image_interpreter import (
    CANNOT_START,
    NO_PROGRAM_OF_THIS_MACHINE,
    child_environment,
    does_not_run,
    not_started,
    wrong_version,
)
from chassis.packaging.errors import PackagingError
from chassis.packaging.request import PickleRequest
from chassis.packaging.warm_process import Step, WarmProcess
from chassis.packaging.worker import Result, parse_answer

_OWN = ("chassis", "cloudpickle")
"""What an image always has, taken from where this process has it."""

KEPT = ("PATH", "PYTHONHOME", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")
"""The variables of this process that workers get."""

_SHOWN_OUTPUT = 4000
_ANSWER_BYTES = 1 << 20


class NotSharedError(Exception):
    """One process cannot do the work of two for this model."""


class Workplace:
    """A directory that is laid out as an image is: `data`, and the packages that every image has."""

    def __init__(
        self,
        root: Path,
        data: dict[str, Path],
        import_paths: Sequence[Path],
        timeout: float,
        interpreter: Path | None = None,
        inputs: Path | None = None,
        python: str | None = None,
        shared: Sequence[Path] | None = None,
        warm: WarmProcess | None = None,
        work: Path | None = None,
    ) -> None:
        """Lays out `root`, an empty directory.

        Args:
          root: the directory; what is in it is the caller's to remove.
          data: key to file or directory.
          import_paths: where the model's dependencies are imported from.
          timeout: seconds that a worker may take.
          interpreter: the Python of the workers; the running one if it is None.
          inputs: a directory that, with what its links lead to, is all that a worker may read; what it may write lies
            below `root` (chassis/confinement). None: it is not confined.
          python: the minor version that the workers have to be of.
          shared: for code of one's own, what a confined worker may read beside that. It may set modes and times then.
          warm: a process that has imported what the workers do, to fork them; they are confined, and alike otherwise.
          work: another empty directory, for all that workers may write; `root` if it is None.
        """
        self._root = root
        self._import_paths = import_paths
        self._timeout = timeout
        self._interpreter = str(interpreter.absolute()) if interpreter else sys.executable
        self._inputs = inputs
        self._python = python or f"{sys.version_info.major}.{sys.version_info.minor}"
        self._kept = child_environment(interpreter, KEPT)
        self._shared = shared
        self._warm = warm
        self._work = work or root
        for directory in (root / "data", root / "site", self._home, self.output, self._temporary):
            directory.mkdir()
        for key, file in data.items():
            link = root / "data" / key
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file.resolve())
        link_own_packages(root / "site", interpreter)

    def run(self, worker: str, request: PickleRequest, pickle: Path, *, steps: int = 1) -> Result:
        """Runs the module `worker` with `request` on the file `pickle`; returns its result.

        What the worker writes goes to `output`, a directory of this place: its answer, and a pickle that it makes. It
        may take the timeout for each of its `steps`.

        Raises:
          NotSharedError: the worker does several steps, which takes a process for each with this model.
          PackagingError: as the worker says, or that it crashed or took too long.
          ConfinementError: it is to be confined, and the kernel lacks what that takes.
        """
        arguments = [str(pickle), str(self._answer)]
        limit = steps * self._timeout
        if self._inputs:
            ended = self._confined(worker, arguments, request, limit)
        else:
            command = [*worker_command(self._interpreter, self._python, worker), *arguments]
            ended = self._free(command, request, limit)
        if ended.not_started:
            raise PackagingError(not_started(self._python, self._interpreter, ended.not_started))
        if ended.status is None:
            raise PackagingError(
                f"importing and pickling the model took more than {limit:g} s: is there work at the top of its module?"
            )
        found = ended.output.strip().rpartition("\n")[2]
        if ended.status == _WRONG_VERSION and re.fullmatch(r"\d+\.\d+", found):  # a model may end with any status
            raise PackagingError(wrong_version(self._python, found, self._interpreter))
        if ended.status == CANNOT_START and NO_PROGRAM_OF_THIS_MACHINE in ended.output:
            raise PackagingError(does_not_run(self._python, self._interpreter, ended.output.strip()))
        if ended.status and steps > 1:  # one of them says why
            raise NotSharedError
        answer = None if ended.status else read_regular(self._answer, _ANSWER_BYTES)
        if answer is None:
            raise PackagingError(
                f"the interpreter that runs the model's code ended with status {ended.status}\n{ended.output}"
            )
        self._answer.unlink()
        result = parse_answer(answer, ended.output)
        if isinstance(result, PackagingError):
            raise result
        return result

    @property
    def output(self) -> Path:
        """Where a worker may leave what it makes."""
        return self._work / "output"

    @property
    def _home(self) -> Path:
        return self._work / "home"

    @property
    def _temporary(self) -> Path:
        return self._work / "tmp"

    @property
    def _answer(self) -> Path:
        return self.output / "answer.json"

    @property
    def is_confined(self) -> bool:
        """Whether workers are confined."""
        return self._inputs is not None

    def _free(self, command: list[str], request: PickleRequest, limit: float) -> Ended:
        try:
            done = subprocess.run(
                command,
                input=request.to_json(),
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Ended(None, "")
        except OSError as error:
            return Ended(None, "", error.errno or errno.ENOEXEC)
        return Ended(done.returncode, done.stdout[-_SHOWN_OUTPUT:])

    def _confined(self, worker: str, arguments: list[str], request: PickleRequest, limit: float) -> Ended:
        assert self._inputs is not None
        data = [link.resolve() for link in (self._root / "data").rglob("*") if link.is_symlink()]
        walls = Walls(
            readable=(
                *action_inputs(self._inputs),
                *files_of_python(self._interpreter, self._root / "site"),
                *data,
                self._root,
                arguments[0],
                *(self._shared or ()),
            ),
            writable=(self.output, self._home, self._temporary),
            metadata=self._shared is not None,
        )
        environment = self._environment() | {"TMPDIR": str(self._temporary)}
        if self._warm:
            step = Step(worker, arguments, request.to_json(), self._inputs, environment, walls)
            return self._warm.run(step, limit, _SHOWN_OUTPUT)
        return run_confined(
            [*worker_command(self._interpreter, self._python, worker), *arguments],
            walls,
            request=request.to_json(),
            environment=environment,
            timeout=limit,
            shown=_SHOWN_OUTPUT,
        )

    def _environment(self) -> dict[str, str]:
        return worker_environment(self._kept, self._root, self._import_paths) | {"HOME": str(self._home)}


def worker_command(interpreter: str, python: str, worker: str) -> list[str]:
    """What starts the module `worker`; its arguments follow."""
    # -S: no site-packages of the machine; -B: no bytecode left behind. Not -I, which would ignore the hash seed;
    # _START does what -P would, which Python 3.10 does not know.
    return [interpreter, "-S", "-B", "-c", _START, python, worker]


def worker_environment(kept: Mapping[str, str], root: Path, import_paths: Sequence[Path]) -> dict[str, str]:
    """The variables of a worker in the place `root`, with `kept` of this process's own."""
    return dict(kept) | {
        "CHASSIS_DATA": str(root / "data"),
        "CHASSIS_IMPORT_PATHS": json.dumps([str(path) for path in import_paths]),
        "HOME": str(root / "home"),
        # joblib warns where walls leave it no semaphores, and a pickle is not to depend on whether there are.
        "JOBLIB_MULTIPROCESSING": "0",
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(root / "site"),
        "PYTHONUTF8": "1",
        "TZ": "UTC",
    }


def link_own_packages(site: Path, interpreter: Path | None) -> None:
    """Has `site` lead to the packages that every image has, as the interpreter reads them; None is this one."""
    for package in _OWN:
        link = site / package
        if not link.is_symlink():
            link.symlink_to(_place(package, sources=interpreter is not None).resolve())


def files_of_python(interpreter: str, site: Path) -> tuple[str | Path, ...]:
    """The files of Python itself, and of what `link_own_packages` made links to."""
    # They are among an action's inputs; beside an action they are where they are.
    packages = [action_inputs((site / package).resolve()) for package in _OWN]
    path = Path(interpreter)
    runfiles = [action_inputs(parent) for parent in path.parents if parent.suffix == ".runfiles"]
    program = path.resolve()
    # An installation of the workspace's own has its libraries beside the program, and need not declare each.
    libraries = [found] if (found := program.parent.parent / "lib").is_dir() and program.parent.name == "bin" else []
    return Path(sys.base_prefix), program.parent, *libraries, *itertools.chain(*packages, *runfiles)


def _place(package: str, *, sources: bool) -> Path:
    """Where this process has a package: with `sources`, which every version of Python reads, where those are."""
    spec = importlib.util.find_spec(package)
    found = [Path(place) for place in (spec.submodule_search_locations if spec else None) or ()]
    if sources:
        # A tool that the build compiled imports its bytecode, and has the sources behind that.
        found = [
            path
            for path in (*found, *(Path(entry) / package for entry in sys.path))
            if (path / "__init__.py").is_file()
        ]
    if not found:
        raise PackagingError(f"this interpreter does not find the package {package!r}, which the pickler needs")
    return found[0]


_WRONG_VERSION = 79

_START = """
import sys
# No directory of the script or the shell.
sys.path[:] = [path for path in sys.path if path]
version = "%d.%d" % sys.version_info[:2]
if version != sys.argv.pop(1):
    print(version, flush=True)
    sys.exit(79)
import json, os, runpy
# Behind the standard library, as site-packages is.
sys.path.extend(json.loads(os.environ.pop("CHASSIS_IMPORT_PATHS")))
worker = sys.argv.pop(1)
sys.argv[0] = worker
runpy.run_module(worker, run_name="__main__", alter_sys=True)
"""
