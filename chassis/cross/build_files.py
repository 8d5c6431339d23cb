"""The files that tell meson and CMake that they build for another machine; setuptools asks `sysconfig`."""

from __future__ import annotations

from pathlib import Path

from chassis.cross.target import CrossTarget

# https://mesonbuild.com/Cross-compilation.html
_MESON = """\
[binaries]
c = {cc!r}
cpp = {cxx!r}
ar = {ar!r}
ranlib = {ranlib!r}
python = {python!r}
cython = 'cython'

[built-in options]
c_args = {cflags!r}
cpp_args = {cflags!r}
c_link_args = ['-Wl,-s']
cpp_link_args = ['-Wl,-s']

[properties]
needs_exe_wrapper = true

[host_machine]
system = 'linux'
kernel = 'linux'
cpu_family = {machine!r}
cpu = {machine!r}
endian = 'little'
"""

# https://cmake.org/cmake/help/latest/manual/cmake-toolchains.7.html
_CMAKE = """\
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR {machine})
set(CMAKE_C_COMPILER "{cc}")
set(CMAKE_CXX_COMPILER "{cxx}")
set(CMAKE_AR "{ar}" CACHE FILEPATH "")
set(CMAKE_RANLIB "{ranlib}" CACHE FILEPATH "")
set(CMAKE_C_FLAGS_INIT "{cflags}")
set(CMAKE_CXX_FLAGS_INIT "{cflags}")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-Wl,-s")
set(CMAKE_MODULE_LINKER_FLAGS_INIT "-Wl,-s")
set(CMAKE_FIND_ROOT_PATH "{headers}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE BOTH)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)
"""


def write_build_files(
    directory: Path, target: CrossTarget, bin_directory: Path, python: Path, headers: Path, cflags: str
) -> None:
    """Writes meson.ini and toolchain.cmake into `directory`."""
    directory.mkdir(parents=True)
    values = {
        "ar": f"{bin_directory}/ar",
        "cc": f"{bin_directory}/cc",
        "cxx": f"{bin_directory}/c++",
        "headers": str(headers),
        "machine": target.machine,
        "python": str(python),
        "ranlib": f"{bin_directory}/ranlib",
    }
    (directory / "meson.ini").write_text(_MESON.format(cflags=cflags.split(), **values))
    (directory / "toolchain.cmake").write_text(_CMAKE.format(cflags=cflags, **values))
