"""A wheel as files that Python imports from, for the build machine's own use.

It unpacks what every other tool needs, so it imports the standard library, the package `installer` and modules that do
likewise.
"""

from __future__ import annotations

import contextlib
import py_compile
import shutil
from pathlib import Path

from installer.destinations import SchemeDictionaryDestination

from chassis.oci.layer.wheel_source import install_wheel, open_wheel

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
        with open_wheel(wheel) as source:
            install_wheel(source, destination)
    except BaseException:
        for left in output.iterdir():
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                left.unlink()
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
