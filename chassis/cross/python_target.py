"""The target's Python as a build sees it: what `sysconfig` and `platform` say while the build machine's Python runs.

Debian's `libpython3.x-dev` for the target holds the headers and the values of its own build; what names a compiler or
a path there is replaced. A build that asks `sysconfig` for flags, suffix and headers then gets the target's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chassis.cross.target import CrossTarget

SYSCONFIG_MODULE = "_sysconfigdata_chassis_target"

_SYSCONFIG = '''\
"""sysconfig of the target: Debian's values, with the compiler and the paths of this build."""

import runpy

build_time_vars = dict(runpy.run_path({debian!r})["build_time_vars"])
build_time_vars.update({changes!r})
'''

# What a build asks to learn where it is. `os.uname` answers with the kernel's own name of the CPU, as `uname -m` would.
_SITECUSTOMIZE = '''\
"""Makes the build machine's Python answer as the target's."""

import os
import platform

_real = os.uname()
_uname = os.uname_result((_real.sysname, "localhost", "0", "0", {machine!r}))
os.uname = lambda: _uname
platform.machine = lambda: {machine!r}
platform.processor = lambda: ""
'''


@dataclass(frozen=True, slots=True)
class PythonTarget:
    """The target's Python: `headers` is the root of Debian's packages, as the build will see it."""

    target: CrossTarget
    headers: Path

    @property
    def include(self) -> Path:
        """The directory of Python.h."""
        return self.headers / f"usr/include/python{self.target.python_version}"

    def write_overlay(self, directory: Path, bin_directory: Path) -> None:
        """Writes the modules that go first on the build's path; `bin_directory` holds cc, c++ and ar."""
        debian = self.headers / "usr/lib" / f"python{self.target.python_version}"
        debian /= f"_sysconfigdata__{self.target.triple}.py"
        changes = self._changes(bin_directory)
        directory.mkdir(parents=True)
        (directory / f"{SYSCONFIG_MODULE}.py").write_text(_SYSCONFIG.format(debian=str(debian), changes=changes))
        (directory / "sitecustomize.py").write_text(_SITECUSTOMIZE.format(machine=self.target.machine))

    def cflags(self) -> str:
        """For every compilation. `-idirafter`: Debian's pyconfig.h includes the one of the architecture from there."""
        return f"-O2 -DNDEBUG -g0 -fPIC -fwrapv -Wall -idirafter {self.headers}/usr/include"

    def _changes(self, bin_directory: Path) -> dict[str, object]:
        compiler, linker = f"{bin_directory}/cc", f"{bin_directory}/c++"
        shared = "-shared -Wl,-s"
        flags = self.cflags()
        return {
            "AR": f"{bin_directory}/ar",
            "ARFLAGS": "rcs",
            "BASECFLAGS": "",
            "BLDLIBRARY": "",
            "BLDSHARED": f"{compiler} {shared}",
            "CC": compiler,
            "CCSHARED": "-fPIC",
            "CFLAGS": flags,
            "CONFIGURE_CFLAGS": "",
            "CONFIGURE_LDFLAGS": "",
            "CONFINCLUDEDIR": str(self.headers / "usr/include"),
            "CONFINCLUDEPY": str(self.include),
            "CPPFLAGS": "",
            "CXX": linker,
            "INCLUDEDIR": str(self.headers / "usr/include"),
            "INCLUDEPY": str(self.include),
            "LDCXXSHARED": f"{linker} {shared}",
            "LDFLAGS": "",
            "LDLIBRARY": "",
            "LDSHARED": f"{compiler} {shared}",
            "LIBDIR": "",
            "LIBPL": "",
            "LIBRARY": "",
            "LINKCC": compiler,
            "OPT": "-O2 -DNDEBUG",
            "PY_CFLAGS": flags,
            "PY_CORE_CFLAGS": flags,
            "PY_CORE_LDFLAGS": "",
            "PY_LDFLAGS": "",
            "Py_ENABLE_SHARED": 0,
            "RANLIB": f"{bin_directory}/ranlib",
            "base": str(self.headers / "usr"),
            "installed_base": str(self.headers / "usr"),
            "installed_platbase": str(self.headers / "usr"),
        }
