"""What zig links into programs for one target, built once and kept as plain files.

`zig c++` makes start files, stubs of glibc, libc++ and compiler-rt on first use and keeps them in a cache that is
bound to zig's own directory, which takes most of a minute. So it is asked once, in an action of its own, and says
with `-v` what it hands to clang and to lld; from then on both are called directly (//platforms/zig:cc), and neither
a cache nor a state is left.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from chassis.cross.archive import read_members, write_archive
from chassis.cross.target import CrossTarget
from chassis.errors import ChassisError

_TIMEOUT_S = 900

_SOURCE = "program.cc"

# Names that other compilers' users link with, and what stands for them here.
_STAND_INS = {
    "libatomic.a": "libcompiler_rt.a",
    "libgcc.a": "libcompiler_rt.a",
    "libgcc_s.a": "libunwind.a",
    "libstdc++.a": "libc++.a",
}


@dataclass(frozen=True, slots=True)
class Commands:
    """What zig does for one C++ program: include directories and definitions for clang, files and emulation for lld."""

    includes: tuple[str, ...]
    defines: tuple[str, ...]
    link: tuple[str, ...]


def build_runtime(zig: Path, target: CrossTarget, output: Path) -> None:
    """Fills `output`: `lib/` with start file, stubs and archives, and `target.sh` for //platforms/zig:cc.

    `zig` is the directory that holds the program and its `lib`, a relative path: what is built may hold it. The paths
    in `target.sh` are relative to it.

    Raises:
      ChassisError: zig failed, or did something else than expected.
    """
    # Beside the output: zig's cache takes 100 MB, which a /tmp may not have.
    with tempfile.TemporaryDirectory(prefix="zig-", dir=output.absolute().parent) as scratch:
        commands = read_commands(_ask(zig, target, Path(scratch)))
        # zig prints what is below its working directory relatively.
        own = (scratch, os.path.relpath(scratch))
        library = output / "lib"
        library.mkdir(parents=True, exist_ok=True)
        files = [Path(word) for word in commands.link if word.startswith(own) and not _is_program(word)]
        for file in files:
            _keep(file, library)
    found = {file.name for file in files}
    missing = {"libc++.a", "libc++abi.a", "libunwind.a", "libcompiler_rt.a", "libc.so.6"} - found
    start = [name for name in found if name.endswith("crt1.o")]
    if missing or len(start) != 1:
        raise ChassisError(
            f"zig for {target.zig_triple} did not link {', '.join(sorted(missing)) or 'one start file'}: it linked "
            f"{', '.join(sorted(found))}\n  Chassis does not know this zig; pin another in requirements/zig.txt"
        )
    (library / start[0]).rename(library / "start.o")
    _add_names(library)
    (output / "target.sh").write_text(_target_sh(commands, target, zig))


def _ask(zig: Path, target: CrossTarget, scratch: Path) -> str:
    source = scratch / _SOURCE
    source.write_text("int main() { return 0; }\n")
    cache = scratch / "cache"
    # A relative path of the library, so that no absolute one gets into what is built.
    environment = {
        "HOME": str(scratch),
        "PATH": "",
        "TMPDIR": str(scratch),
        "ZIG_GLOBAL_CACHE_DIR": str(cache),
        "ZIG_LIB_DIR": str(zig / "lib"),
        "ZIG_LOCAL_CACHE_DIR": str(cache),
    }
    command = [str(zig / "zig"), "c++", "-target", target.zig_triple, "-O2", "-g0", "-s", "-fPIE", "-pie", "-v"]
    command += [str(source), "-o", str(scratch / "program")]
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ChassisError(f"zig cannot build its runtime for {target.zig_triple}: {error}") from error
    if run.returncode:
        tail = "\n".join(run.stderr.strip().splitlines()[-10:])
        raise ChassisError(f"zig cannot build its runtime for {target.zig_triple}:\n{tail}")
    return run.stderr


def read_commands(said: str) -> Commands:
    """The commands in what `zig c++ -v` printed.

    Raises:
      ChassisError: they are not there.
    """
    # zig also prints how it links its stubs; the program comes last.
    lines = said.splitlines()
    compiler = next((line for line in lines if '" -cc1 ' in line and line.rstrip().endswith(_SOURCE)), None)
    linker = next((line for line in reversed(lines) if line.lstrip().startswith("ld.lld ")), None)
    if not compiler or not linker:
        raise ChassisError("zig c++ -v did not print the commands that it runs")
    words = shlex.split(compiler)
    pairs = list(pairwise(words))
    return Commands(
        includes=tuple(value for option, value in pairs if option == "-isystem"),
        defines=tuple(value for option, value in pairs if option == "-D" and value != "NDEBUG"),
        link=tuple(shlex.split(linker)),
    )


def _is_program(path: str) -> bool:
    return Path(path).name in ("program", "program.o")


def _keep(file: Path, library: Path) -> None:
    if file.suffix == ".a":
        members = read_members(file.read_bytes(), file.name)
        (library / file.name).write_bytes(write_archive(members))
    else:
        shutil.copyfile(file, library / file.name)


def _add_names(library: Path) -> None:
    """`libm.so` for `libm.so.6`, as `-lm` looks for it, and the names of other compilers' libraries."""
    for stub in list(library.glob("*.so.*")):
        stub.rename(library / (stub.name.partition(".so.")[0] + ".so"))
    for name, stands_for in _STAND_INS.items():
        (library / name).write_text(f"INPUT({stands_for})\n")


def _target_sh(commands: Commands, target: CrossTarget, zig: Path) -> str:
    prefix = str(zig / "lib")
    inside = [os.path.relpath(path, zig) for path in commands.includes if path.startswith(prefix)]
    cxx = [path for path in inside if path.startswith("lib/libcxx")]
    # lib/include is clang's own, which it finds by itself.
    libc = [path for path in inside if path not in cxx and path != "lib/include"]
    if not cxx or not libc:
        raise ChassisError(
            f"zig for {target.zig_triple} names no headers below {prefix}: it names {', '.join(commands.includes)}"
        )
    return (
        f"# What zig hands to clang for {target.zig_triple}; paths are relative to zig's directory.\n"
        f"triple={target.triple}\n"
        f"cxx_includes={shlex.quote(' '.join(cxx))}\n"
        f"libc_includes={shlex.quote(' '.join(libc))}\n"
        f"defines={shlex.quote(' '.join(commands.defines))}\n"
    )
