"""A wheel as files that Python imports from, for the build machine's own use.

It unpacks what every other tool needs, so it imports the standard library, the package `installer` and modules that do
likewise.
"""

from __future__ import annotations

import configparser
import contextlib
import py_compile
import shutil
import warnings
from pathlib import Path

import installer
from installer.destinations import SchemeDictionaryDestination
from installer.exceptions import InstallerError
from installer.records import InvalidRecordEntry

from chassis.oci.layer.wheel_source import WheelError, open_wheel
from chassis.oci.layer.zip_index import ZipError

_INTERPRETER = "/usr/bin/python3"


def unpack(wheel: Path, output: Path) -> None:
    """Installs a wheel as `pip install --target` would: packages in `output`, scripts in its `bin`.

    Raises:
      WheelError: the wheel is refused; `output` is then empty.
    """
    output.mkdir(parents=True, exist_ok=True)
    schemes = dict.fromkeys(("purelib", "platlib", "data"), str(output))
    schemes |= {"scripts": str(output / "bin"), "headers": str(output / "include")}
    destination = SchemeDictionaryDestination(schemes, _INTERPRETER, "posix")
    try:
        with open_wheel(wheel) as source, warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # Says that `__pycache__` was left out.
            installer.install(source, destination, {"INSTALLER": b"chassis\n"})
    except BaseException as error:
        for left in output.iterdir():
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                left.unlink()
        if isinstance(error, WheelError):
            raise
        if isinstance(error, ZipError | FileExistsError | InvalidRecordEntry):
            raise WheelError(f"{wheel.name}: {error}") from None
        if isinstance(error, InstallerError | configparser.Error | AssertionError | ValueError):
            raise WheelError(f"{wheel.name}: is not a valid wheel: {error or type(error).__name__}") from None
        raise


def compile_bytecode(root: Path) -> None:
    """Compiles every module below `root` to a `.pyc` that is never checked against its source (PEP 552).

    A module that this Python cannot compile (a template, a test of old syntax) is left as it is, as pip
    leaves it.
    """
    for source in sorted(root.rglob("*.py")):
        name = str(source.relative_to(root))
        with contextlib.suppress(py_compile.PyCompileError, OSError, ValueError):
            py_compile.compile(
                str(source),
                dfile=name,
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
