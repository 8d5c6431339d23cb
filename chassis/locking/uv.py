"""Resolving requirements with `uv pip compile`, for a platform that need not be the machine's."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from chassis.errors import ChassisError
from chassis.locking.index_configuration import uv_environment
from chassis.locking.sdist_metadata import Sdist
from chassis.locking.target import LockTarget

_TIMEOUT_S = 900
_CHECK_S = 0.2
_MAX_MEMORY = 2 << 30
_SEVERAL_INDEXES = "\n  if you trust all of your indexes alike, set the variable UV_INDEX_STRATEGY=unsafe-best-match"


@dataclass(frozen=True, slots=True)
class WheelFile:
    """A file of a release: its name, its SHA-256 in lower-case hexadecimal, and its size in bytes, 0 if
    unknown.
    """

    filename: str
    sha256: str
    size: int


class Uv:
    """The program `program`, with the index that pip is configured with."""

    def __init__(self, program: Path, environment: Mapping[str, str], check: Callable[[], None] = lambda: None) -> None:
        """`check` is called several times a second while there is something to wait for, and may raise to end it."""
        self._program = program
        self.check = check
        # A build that uv starts runs in another Python than this one, which must not find this one's modules.
        own = {name: value for name, value in uv_environment(environment).items() if not name.startswith("PYTHON")}
        self.environment = {**own, "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
        # Without the target's Python uv would fetch one, 30 MB from another host, which resolving has no use for. If
        # that host cannot be reached every call waits for it, ten seconds.
        self.environment.setdefault("UV_PYTHON_DOWNLOADS", "never")

    def compile(
        self,
        inputs: Sequence[str],
        target: LockTarget,
        directory: Path,
        output: Path,
        options: Sequence[str] = (),
        settings: Path | None = None,
    ) -> None:
        """Resolves the requirements files `inputs`, relative to `directory`, into `output`, only of wheels.

        For a distribution with `--no-binary NAME` among `options` its sdist is taken in place of a wheel. The
        form follows from the name of `output`: requirements, or `pylock.toml`. What `output` pins already is
        kept if it can be. `settings` is a directory with a `uv.toml`. Raises `ChassisError` with uv's own
        explanation.
        """
        command = [str(self._program), *(("--project", str(settings)) if settings else ())]
        command += ["pip", "compile", "--quiet", "--no-header", *inputs]
        command += ["--python-platform", target.uv_platform, "--python-version", target.python_version]
        command += ["--only-binary", ":all:", "--output-file", str(output), *options]
        if not output.name.endswith(".toml"):
            command += ["--generate-hashes", "--annotation-style", "split", "--no-strip-extras"]
        status, said = self._run(command, directory)
        if status is None:
            raise ChassisError(f"uv pip compile {' '.join(inputs)} did not end within {_TIMEOUT_S} s")
        if status:
            remedy = _SEVERAL_INDEXES if "index-strategy" in said else ""
            if "memory allocation of" in said:
                remedy = f"\n  it may take {_MAX_MEMORY >> 20} MiB: a distribution has metadata of unusual size"
            raise ChassisError(
                f"uv cannot resolve {' '.join(inputs)} for {target.uv_platform}, "
                f"Python {target.python_version}:\n{said.strip()}{remedy}"
            )

    def _run(self, command: Sequence[str], directory: Path) -> tuple[int | None, str]:
        """The exit status, None if it took too long, and what it wrote to stderr; nothing that it started is left."""
        with subprocess.Popen(
            command,
            cwd=directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=_bounded,
        ) as process:
            end = time.monotonic() + _TIMEOUT_S
            try:
                while time.monotonic() < end:
                    self.check()
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        said = process.communicate(timeout=_CHECK_S)[1]
                        return process.returncode, said
                return None, ""
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def _bounded() -> None:
    """Of a wheel, which may be anybody's, uv inflates the metadata into memory whole."""
    resource.setrlimit(resource.RLIMIT_DATA, (_MAX_MEMORY, _MAX_MEMORY))


def read_pylock(path: Path) -> dict[str, list[WheelFile]]:
    """The wheels, and the sdist, of each `name==version` of a pylock.toml.

    https://packaging.python.org/en/latest/specifications/pylock-toml/
    """
    releases: dict[str, list[WheelFile]] = {}
    for package in tomllib.loads(path.read_text(encoding="utf-8")).get("packages", []):
        found = []
        for file in [*package.get("wheels", []), *filter(None, [package.get("sdist")])]:
            location = file.get("name") or file.get("url") or file.get("path") or ""
            filename = unquote(urlsplit(location).path.rpartition("/")[2])
            digest = file.get("hashes", {}).get("sha256")
            if digest:
                found.append(WheelFile(filename, digest.lower(), file.get("size", 0)))
        releases[f"{package['name']}=={package['version']}"] = found
    return releases


def read_sdists(path: Path) -> list[Sdist]:
    """The sdists of a pylock.toml."""
    found = []
    for package in tomllib.loads(path.read_text(encoding="utf-8")).get("packages", []):
        file = package.get("sdist", {})
        digest = file.get("hashes", {}).get("sha256", "")
        place = file.get("url") or (path.parent / file["path"] if "path" in file else None)
        if place and digest:
            found.append(Sdist(package["name"], package["version"], place, digest.lower()))
    return found


def find_uv() -> Path:
    """The uv program of the Python package `uv`, or of the PATH; `ChassisError` if there is none."""
    try:
        import uv
    except ImportError:
        candidates = []
    else:
        package = Path(uv.__file__).parent
        candidates = [parent / "bin/uv" for parent in list(package.parents)[:5]]
        candidates += sorted(package.parent.glob("uv-*.data/scripts/uv"))
    found = next((path for path in candidates if path.is_file() and os.access(path, os.X_OK)), None)
    found = found or (Path(program) if (program := shutil.which("uv")) else None)
    if not found:
        raise ChassisError("no uv: it comes with the Python package uv; install it")
    return found
