"""How long it takes to build wheels for arm64 with zig, against gcc for this machine and gcc in an emulated arm64 root.

The same tool builds the same sdists with the same build backend three ways, taking turns in one run; only the
compiler, and for the emulated root the interpreter and Cython too, is another one. The first build has zig's runtime
beside it, as every build after the first of a target has; `--cold` measures once what making that costs. Times are
medians of `--runs`, of the emulated root those of `--emulated_runs`. CPU seconds tell what a busy machine hides; ratios
are what to look at.

    ./bazelw run //benchmarks:cross_wheels
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import flags

from chassis.cross.target import cross_target
from chassis.cross.zig_runtime import build_runtime
from chassis.errors import ChassisError
from chassis.tools.run import run_main

_RUNS = flags.DEFINE_integer("runs", 3, "Times that each is measured.", lower_bound=1)
_EMULATED_RUNS = flags.DEFINE_integer("emulated_runs", 1, "Times for the emulated root: minutes each.", lower_bound=0)
_COLD = flags.DEFINE_bool("cold", False, "Also make zig's runtime from nothing, once: about a minute.")
_ONLY = flags.DEFINE_multi_string("only", [], "Measure only these distributions.")

_LIMIT_S = 1800
# Distribution and version to its language and the variable that holds its sdist.
_SDISTS = {
    ("crcmod", "1.7"): ("C", "CRCMOD_SDIST"),
    ("annoy", "1.17.3"): ("C++", "ANNOY_SDIST"),
    ("cytoolz", "1.1.0"): ("Cython", "CYTOOLZ_SDIST"),
}

_NATIVE = '#!/bin/sh\nPATH=/usr/bin:/bin exec {program} "$@"\n'
_EMULATED_PYTHON = (
    '#!/bin/sh\nroot="${{0%/*}}/root"\nexport PYTHONHOME="$root/usr"\n'
    'exec "{qemu}" -cpu cortex-a57 -L "$root" "$root/usr/bin/python3.11" "$@"\n'
)
_EMULATED_PROGRAM = (
    '#!/bin/sh\nunset PYTHONHOME\nexec "{qemu}" -cpu cortex-a57 -L "{root}" "{root}/usr/{program}" {flags} "$@"\n'
)
_GCC_PARTS = {
    "as": "bin/aarch64-linux-gnu-as",
    "cc1": "lib/gcc/aarch64-linux-gnu/12/cc1",
    "cc1plus": "lib/gcc/aarch64-linux-gnu/12/cc1plus",
    "collect2": "lib/gcc/aarch64-linux-gnu/12/collect2",
    "ld": "bin/aarch64-linux-gnu-ld",
}


@dataclass(frozen=True, slots=True)
class Way:
    """A way to build: the OCI architecture of the result, the drivers' directory, the Python, its headers, and what is
    imported before all else.
    """

    name: str
    architecture: str
    drivers: Path
    python: Path
    headers: str
    first: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds by the clock and of CPUs."""

    clock: float
    cpu: float


def main(argv: Sequence[str]) -> None:
    """Measures and prints a line for each sdist."""
    del argv
    if not shutil.which("g++"):
        raise ChassisError("there is no g++ on this machine to compare with; install g++")
    with tempfile.TemporaryDirectory(prefix="cross-wheels-") as scratch:
        ways = _ways(Path(scratch))
        titles = ("gcc, amd64", "zig, arm64", "first", "again", "CPU", "emulated", "times faster", "CPU")
        print(" " * 20 + "".join(f"{title:>13}" for title in titles))
        for (name, version), (kind, variable) in _SDISTS.items():
            if not _ONLY.value or name in _ONLY.value:
                costs = _measure(ways, name, version, Path(os.environ[variable]), Path(scratch))
                print(f"{name + ' (' + kind + ')':20}" + _columns(costs), flush=True)
        if _COLD.value:
            begin = _now()
            build_runtime(Path(os.environ["ZIG_DIRECTORY"]), cross_target("arm64", "2.36"), Path(scratch) / "runtime")
            cost = _since(begin)
            print(f"zig's runtime, once for each target: {cost.clock:.1f} s, {cost.cpu:.1f} s CPU")


def _measure(ways: list[Way], name: str, version: str, sdist: Path, scratch: Path) -> dict[str, list[Cost]]:
    """The costs by way, which take turns so that whatever else the machine does falls on all."""
    costs: dict[str, list[Cost]] = {way.name: [] for way in ways}
    for run in range(max(_RUNS.value, _EMULATED_RUNS.value)):
        for way in ways:
            if run < (_EMULATED_RUNS if way.name == "emulated" else _RUNS).value:
                costs[way.name].append(_build(way, name, version, sdist, scratch))
    return costs


def _columns(costs: dict[str, list[Cost]]) -> str:
    native, cross = _median(costs["gcc"]), _median(costs["zig"])
    first = costs["zig"][0].clock / costs["gcc"][0].clock
    line = f"{native.clock:>11.1f} s{cross.clock:>11.1f} s{first:>13.2f}{cross.clock / native.clock:>13.2f}"
    line += f"{cross.cpu / native.cpu:>13.2f}"
    if costs["emulated"]:
        slow = _median(costs["emulated"])
        line += f"{slow.clock:>11.1f} s{slow.clock / cross.clock:>13.1f}{slow.cpu / cross.cpu:>13.1f}"
    return line


def _median(costs: list[Cost]) -> Cost:
    return Cost(statistics.median(cost.clock for cost in costs), statistics.median(cost.cpu for cost in costs))


def _now() -> Cost:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(time.perf_counter(), used.ru_utime + used.ru_stime)


def _since(begin: Cost) -> Cost:
    now = _now()
    return Cost(now.clock - begin.clock, now.cpu - begin.cpu)


def _ways(scratch: Path) -> list[Way]:
    gcc = scratch / "gcc"
    _write_drivers(gcc, {name: _NATIVE.format(program=program) for name, program in _programs("").items()})
    qemu, root = os.environ["QEMU_AARCH64"], os.environ["GCC_ROOT"]
    emulated = scratch / "emulated"
    # What gcc starts is not emulated by itself: each program that it looks for is a script that has it emulated.
    parts = scratch / "parts"
    parts.mkdir()
    for name, place in _GCC_PARTS.items():
        (parts / name).write_text(_EMULATED_PROGRAM.format(qemu=qemu, root=root, program=place, flags=""))
        (parts / name).chmod(0o755)
    flags_of_gcc = f"--sysroot={root} -B{parts}/"
    _write_drivers(
        emulated,
        {
            name: _EMULATED_PROGRAM.format(
                qemu=qemu,
                root=root,
                program=f"bin/{program}",
                flags=flags_of_gcc if "g++" in program or "gcc" in program else "",
            )
            for name, program in _programs("aarch64-linux-gnu-").items()
        },
    )
    (emulated / "root").symlink_to(root)
    (emulated / "python").write_text(_EMULATED_PYTHON.format(qemu=qemu))
    (emulated / "python").chmod(0o755)
    python = Path(os.environ["BUILD_PYTHON"])
    cython = scratch / "cython"
    with zipfile.ZipFile(os.environ["CYTHON_ARM64"]) as wheel:
        wheel.extractall(cython)
    return [
        Way("gcc", "amd64", gcc, python, os.environ["PYTHON_HEADERS_AMD64"]),
        Way("zig", "arm64", Path(os.environ["ZIG_CC"]).parent, python, os.environ["PYTHON_HEADERS_ARM64"]),
        Way("emulated", "arm64", emulated, emulated / "python", os.environ["PYTHON_HEADERS_ARM64"], (cython,)),
    ]


def _programs(prefix: str) -> dict[str, str]:
    suffix = "-12" if prefix else ""
    found = {"cc": f"{prefix}g++{suffix}", "ar": f"{prefix}ar", "ranlib": f"{prefix}ranlib", "ld.lld": f"{prefix}ld"}
    return found if prefix else {name: shutil.which(program) or program for name, program in found.items()}


def _write_drivers(directory: Path, scripts: dict[str, str]) -> None:
    directory.mkdir()
    for name, text in scripts.items():
        # cc compiles C as C; zig's does so by the ending, g++ has to be told.
        if name == "cc":
            c = text.replace("g++", "gcc")
            text = _BY_LANGUAGE.format(c=directory / "c-driver", cxx=directory / "c++-driver")
            for driver, content in (("c-driver", c), ("c++-driver", scripts["cc"])):
                (directory / driver).write_text(content)
                (directory / driver).chmod(0o755)
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)


_BY_LANGUAGE = """\
#!/bin/sh
for argument; do
    case $argument in *.cc | *.cpp | *.cxx) exec "{cxx}" "$@" ;; *.c) exec "{c}" "$@" ;; esac
done
exec "{cxx}" "$@"
"""


def _build(way: Way, name: str, version: str, sdist: Path, scratch: Path) -> Cost:
    """What it takes from start to the finished wheel."""
    output = scratch / f"{name}-{way.name}.whl"
    output.unlink(missing_ok=True)
    command = [sys.executable, "-m", "chassis.tools.build_wheel", f"--label={name}", f"--distribution={name}"]
    command += [f"--version={version}", f"--sdist={sdist}", f"--architecture={way.architecture}", "--glibc=2.36"]
    command += [f"--zig={os.environ['ZIG_DIRECTORY']}", f"--runtime={os.environ['ZIG_RUNTIME']}"]
    command += [f"--drivers={way.drivers}", f"--python={way.python}", f"--headers={way.headers}", f"--output={output}"]
    # Some setups leave out an extension that fails to compile: that would be fast.
    machine = {"amd64": "x86_64", "arm64": "aarch64"}[way.architecture]
    command += [f"--tag=cp311-cp311-manylinux_2_36_{machine}"]
    imported = [*map(str, way.first), *(path for path in sys.path if path.endswith(".site-packages"))]
    command += [f"--site_packages={path}" for path in imported]
    begin = _now()
    run = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S)
    cost = _since(begin)
    if run.returncode:
        raise ChassisError(f"{name} with {way.name}: {run.stderr}")
    return cost


if __name__ == "__main__":
    run_main(main)
