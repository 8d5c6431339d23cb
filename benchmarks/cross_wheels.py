"""How long it takes to build wheels for arm64 with zig, against gcc for this machine and gcc in an emulated arm64 root.

The same sdists are built with the same build backend, side by side in one run: by the tool of `chassis_wheel` with zig
and with gcc, and in the emulated root as one would there, by pip (`pip wheel --no-build-isolation`) with gcc. Each
sdist sees what its action in the build would give it and no more; for the emulated root Cython is the wheel for arm64.
The first build has zig's runtime beside it, as every build after the first of a target has.

All have bytecode of all that they import, the emulated root also of its standard library, as Debian's scripts and pip
leave it; installing the backend is not counted. Emulated is all that runs in such a root: pip, the backend, the
compiler. With `--noemulated_pip` this project's tool is emulated in pip's place, which starts faster.

Times are medians of `--runs`, fewer if a build takes minutes; ratios are what to look at. On a machine that others
use too, `--processor_time` takes the processor's instead of the clock's.

All builds are with Python 3.11, which Debian 12 has beside the gcc for arm64:

    ./bazelw run --//rules:python=3.11 //benchmarks:cross_wheels
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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.errors import ChassisError

_RUNS = flags.DEFINE_integer("runs", 3, "Times that each is measured.", lower_bound=1)
_EMULATED = flags.DEFINE_bool("emulated", True, "Measure the emulated root too, which takes minutes.")
_EMULATED_PIP = flags.DEFINE_bool("emulated_pip", True, "In the emulated root pip builds, not this project's tool.")
_PROCESSOR_TIME = flags.DEFINE_bool("processor_time", False, "Measure the processor's time, not the clock's.")

_LIMIT_S = 1800
# What takes longer than this altogether is not measured once more.
_ENOUGH_S = 60

_NATIVE = '#!/bin/sh\nPATH=/usr/bin:/bin exec {program} "$@"\n'
_EMULATED_PYTHON = (
    '#!/bin/sh\nroot="${{0%/*}}/root"\nexport PYTHONHOME="${{0%/*}}/home"\n'
    # Python thinks that it is this script, so that what it starts as itself is emulated too.
    'exec "{qemu}" -cpu cortex-a57 -L "$root" -0 "$0" "$root/usr/bin/python3.11" "$@"\n'
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
class Sdist:
    """What is built: the variable that holds its path, and the distributions that its build sees."""

    name: str
    version: str
    kind: str
    variable: str
    build_requires: tuple[str, ...]


_SDISTS = (
    Sdist("crcmod", "1.7", "C", "CRCMOD_SDIST", ("setuptools",)),
    Sdist("annoy", "1.17.3", "C++", "ANNOY_SDIST", ("nose", "setuptools")),
    Sdist(
        *("cytoolz", "1.1.0", "Cython", "CYTOOLZ_SDIST"),
        ("cython", "packaging", "setuptools", "setuptools-git-versioning"),
    ),
)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to build: the OCI architecture of the result, the drivers' directory, the Python."""

    name: str
    architecture: str
    drivers: Path
    python: Path
    headers: str


def main(argv: Sequence[str]) -> None:
    """Measures and prints a line for each sdist."""
    del argv
    if not shutil.which("g++"):
        raise ChassisError("there is no g++ on this machine to compare with; install g++")
    with tempfile.TemporaryDirectory(prefix="cross-wheels-") as scratch:
        ways = _ways(Path(scratch))
        print(
            f"{'':22}{'gcc, amd64':>12}{'zig, arm64':>12}{'ratio':>8}{'again':>8}{'emulated':>11}{'times faster':>14}"
        )
        for sdist in _SDISTS:
            seconds = _measure(ways, sdist, Path(scratch))
            native = statistics.median(seconds["gcc"])
            first, cross = seconds["zig"][0], statistics.median(seconds["zig"])
            line = f"{f'{sdist.name} ({sdist.kind})':22}{native:>10.2f} s{first:>10.2f} s{first / native:>8.2f}"
            line += f"{cross / native:>8.2f}"
            if "emulated" in seconds:
                slow = statistics.median(seconds["emulated"])
                line += f"{slow:>9.1f} s{slow / cross:>14.1f}"
            print(line, flush=True)


def _measure(ways: Sequence[Way], sdist: Sdist, scratch: Path) -> dict[str, list[float]]:
    """Seconds of each build by the way's name, one after the other in each round."""
    seconds: dict[str, list[float]] = {way.name: [] for way in ways}
    for number in range(_RUNS.value):
        for way in ways:
            if sum(seconds[way.name]) < _ENOUGH_S:
                print(f"{sdist.name}, {way.name}, build {number + 1}", file=sys.stderr)
                seconds[way.name].append(_build(way, sdist, scratch))
    return seconds


def _ways(scratch: Path) -> list[Way]:
    gcc = scratch / "gcc"
    _write_drivers(gcc, {name: _NATIVE.format(program=program) for name, program in _programs("").items()})
    python = Path(os.environ["BUILD_PYTHON"])
    ways = [
        Way("gcc", "amd64", gcc, python, os.environ["PYTHON_HEADERS_AMD64"]),
        Way("zig", "arm64", Path(os.environ["ZIG_CC"]).parent, python, os.environ["PYTHON_HEADERS_ARM64"]),
    ]
    return [*ways, _emulated_way(scratch)] if _EMULATED.value else ways


def _emulated_way(scratch: Path) -> Way:
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
    library = emulated / "home/lib/python3.11"
    shutil.copytree(f"{root}/usr/lib/python3.11", library)
    # Bytecode is the same for any machine; of lib2to3's test data not all compiles, so the status says nothing.
    compile_all = [sys.executable, "-m", "compileall", "-q", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([*compile_all, str(library)], timeout=_LIMIT_S)
    python = emulated / "python"
    python.write_text(_EMULATED_PYTHON.format(qemu=qemu))
    python.chmod(0o755)
    return Way("emulated", "arm64", emulated, python, os.environ["PYTHON_HEADERS_ARM64"])


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


def _build(way: Way, sdist: Sdist, scratch: Path) -> float:
    """Seconds from start to the finished wheel."""
    if way.name == "emulated" and _EMULATED_PIP.value:
        return _build_by_pip(way, sdist, scratch / "by-pip")
    name = sdist.name
    output = scratch / f"{name}-{way.name}.whl"
    command = [str(way.python), "-P", "-s", "-m", "chassis.tools.build_wheel", f"--label={name}"]
    command += [f"--distribution={name}", f"--version={sdist.version}", f"--sdist={os.environ[sdist.variable]}"]
    command += [f"--architecture={way.architecture}", "--glibc=2.36", f"--hook={os.environ['BUILD_HOOK']}"]
    command += [f"--zig={os.environ['ZIG_DIRECTORY']}", f"--runtime={os.environ['ZIG_RUNTIME']}"]
    command += [f"--drivers={way.drivers}", f"--python={way.python}", f"--headers={way.headers}", f"--output={output}"]
    # Some setups leave out an extension that fails to compile: that would be fast.
    machine = {"amd64": "x86_64", "arm64": "aarch64"}[way.architecture]
    command += [f"--tag=cp311-cp311-manylinux_2_36_{machine}"]
    command += [f"--site_packages={_site_packages(way, required)}" for required in sdist.build_requires]
    start = _now()
    run = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S)
    seconds = _now() - start
    if run.returncode:
        raise ChassisError(f"{name} with {way.name}: {run.stderr}")
    return seconds


def _build_by_pip(way: Way, sdist: Sdist, place: Path) -> float:
    """The same by pip, in the environment that an installed gcc and Python of the root would be found by."""
    shutil.rmtree(place, ignore_errors=True)
    command = [str(way.python), "-P", "-s", "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index"]
    command += ["--no-cache-dir", "--disable-pip-version-check", f"--wheel-dir={place}", os.environ[sdist.variable]]
    paths = [Path(os.environ["PIP"]), *(_site_packages(way, required) for required in sdist.build_requires)]
    compiler, headers = way.drivers / "cc", f"{way.headers}/usr/include"
    # In the place of Python's own flags, and like those of the tool.
    compile_flags = f"-O2 -DNDEBUG -g0 -fPIC -fwrapv -Wall -I{headers}/python3.11 -idirafter {headers}"
    environment = {
        "AR": str(way.drivers / "ar"),
        "CC": str(compiler),
        "CFLAGS": compile_flags,
        "CXX": str(compiler),
        "CXXFLAGS": compile_flags,
        "HOME": str(place),
        "LDSHARED": f"{compiler} -shared",
        "PATH": f"{way.drivers}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }
    start = _now()
    run = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, env=environment)
    seconds = _now() - start
    wheels = [wheel.name for wheel in place.glob("*.whl")]
    if run.returncode or len(wheels) != 1 or not wheels[0].endswith("linux_aarch64.whl"):
        raise ChassisError(f"{sdist.name} by pip: {run.stdout}{run.stderr}{wheels}")
    return seconds


def _now() -> float:
    """Seconds of the clock, or of the processor in the programs that have been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime if _PROCESSOR_TIME.value else time.perf_counter()


def _site_packages(way: Way, distribution: str) -> Path:
    # Of the others the wheel is for any machine.
    hub = "emulated_build__linux_arm64_py311" if (way.name, distribution) == ("emulated", "cython") else "chassis_build"
    pattern = f"*{hub}__*{distribution.replace('-', '_')}__whl/{distribution}.bytecode.site-packages"
    found = list(Path(os.environ["RUNFILES_DIR"]).glob(pattern))
    if len(found) != 1:
        raise ChassisError(f"the runfiles hold {len(found)} directories of {distribution}, expected one: {pattern}")
    return found[0]


if __name__ == "__main__":
    run_main(main)
