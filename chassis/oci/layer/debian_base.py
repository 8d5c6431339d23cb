"""A base layer of Debian packages: their files, normalised, and what their maintainer scripts would have
made.

Made here instead of by scripts: the links of the merged /usr, the users (`base-passwd`), the CA bundle
(`ca-certificates`), the time zone (`tzdata`), the directories and links of `base-files`, alternatives, the loader's
cache if libraries lie outside its own directories (`libc-bin`), and if asked for the bytecode of Python's modules
(`python3-minimal`'s `py3compile`). Each package's control paragraph lies in `var/lib/dpkg/status.d`, where scanners of
images without a package manager look.

Files keep their permission bits less set-user-id, set-group-id and write for group and others; all belong to
root, all times are 0, directories are 0755 but for those in `_DIRECTORY_MODES`. Devices are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from chassis.oci.descriptor import Origin
from chassis.oci.layer.alternatives import Alternative, links_of, read_alternatives
from chassis.oci.layer.base_layers import BaseLayers
from chassis.oci.layer.bytecode import BytecodeCompiler, BytecodeError, is_module
from chassis.oci.layer.deb import Control, DebError, Package, open_package
from chassis.oci.layer.debian_paths import MERGED, PathFilter, merged, mode_of
from chassis.oci.layer.error import LayerError
from chassis.oci.layer.library_cache import CACHE, CONFIGURATION, library_cache
from chassis.oci.layer.paths import LayerPathError
from chassis.oci.layer.tar_header import Owner
from chassis.oci.layer.writer import LayerWriter
from chassis.oci.tar_reader import DIRECTORY, FILE, HARDLINK, SYMLINK, TarEntry

NONROOT = Owner(65532, 65532)
_DIRECTORY_MODES = {"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700, "etc/ssl/private": 0o700}
_MOUNT_POINTS = ("dev", "proc", "run", "sys")
_CERTIFICATES = "usr/share/ca-certificates/"
_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
_PASSWD = "usr/share/base-passwd/passwd.master"
_GROUP = "usr/share/base-passwd/group.master"
_GENERATED = "generated"
_UTC = "usr/share/zoneinfo/Etc/UTC"
_MODULES = "usr/lib/python3"
_MAX_CAPTURED_BYTES = 1 << 20
_NSSWITCH = b"passwd: files\ngroup: files\nhosts: files dns\n"
_ROOT_USER = b"root:*:0:0:root:/root:/usr/sbin/nologin\nnobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
_ROOT_GROUP = b"root:*:0:\nnogroup:*:65534:\n"
_NONROOT_USER = b"nonroot:*:65532:65532:nonroot:/home/nonroot:/usr/sbin/nologin\n"
_NONROOT_GROUP = b"nonroot:*:65532:\n"


@dataclass(frozen=True, slots=True)
class BaseOptions:
    """What a base is made for; `architecture` is Debian's name of it (amd64, arm64)."""

    architecture: str
    name: str = "debian"
    keep_docs: bool = False


def add_base(
    writer: LayerWriter, packages: Iterable[Path], options: BaseOptions, bytecode: BytecodeCompiler | None = None
) -> Origin:
    """Adds the packages in the order of their names, then what their scripts would have made. With `bytecode`, each
    module of Python's brings its `.pyc`.

    Raises:
      DebError: a package is damaged, of another architecture, there twice, or at odds with another; the
      message names it.
    """
    (origin,) = add_base_layers([writer], packages, options, {}, bytecode)
    return origin


def add_base_layers(
    writers: Sequence[LayerWriter],
    packages: Iterable[Path],
    options: BaseOptions,
    groups: Mapping[str, Sequence[str]],
    bytecode: BytecodeCompiler | None = None,
) -> list[Origin]:
    """Adds the packages as `add_base` does, those of each group to a layer of their own.

    `groups` are names of layers to names of packages. Without any there is one layer; else the packages that no group
    names are the first, each group the next, and what scripts would have made of them all is the last: there are
    two `writers` more than groups. Returns their origins.

    Raises:
      DebError: as `add_base` does, or a group names a package that is not there, or that another group names.
    """
    with ExitStack() as stack:
        opened = sorted(
            (stack.enter_context(open_package(path)) for path in packages),
            key=lambda package: package.control.name,
        )
        _check_set([package.control for package in opened], options.architecture)
        chosen = _group_of(groups, [package.control.name for package in opened])
        layers = BaseLayers(writers)
        base = _Base(layers, options, bytecode)
        base.add_skeleton()
        layers.end_part("", "")
        for number, group in enumerate([None, *groups]):
            layers.choose(number)
            for package in opened:
                if chosen.get(package.control.name) == group:
                    base.add_package(package)
                    layers.end_part(package.control.name, package.control.version)
        layers.choose(len(writers) - 1)
        base.add_generated()
    version = next((package.control.version for package in opened if package.control.name == "base-files"), "")
    parts = [f"/{group}" for group in (*groups, _GENERATED)] if groups else []
    return [Origin("base", options.name + part, version) for part in ("", *parts)]


def _group_of(groups: Mapping[str, Sequence[str]], packages: Sequence[str]) -> dict[str, str]:
    """The group of each package that has one."""
    found: dict[str, str] = {}
    for group, members in groups.items():
        for name in members:
            if name not in packages:
                raise DebError(f"layer {group!r}: there is no package {name} in the base; it has {', '.join(packages)}")
            if found.setdefault(name, group) != group:
                raise DebError(f"layer {group!r}: package {name} is in the layer {found[name]!r} already")
    return found


def _check_set(controls: Sequence[Control], architecture: str) -> None:
    names: set[str] = set()
    for control in controls:
        if control.architecture not in (architecture, "all"):
            raise DebError(
                f"{control.file}: is built for {control.architecture}, but the base is for {architecture}; "
                "does the lock of another architecture name it?"
            )
        if control.name in names:
            raise DebError(f"{control.file}: package {control.name} is there twice")
        names.add(control.name)


class _Base:
    """A base in the making."""

    def __init__(self, writer: BaseLayers, options: BaseOptions, bytecode: BytecodeCompiler | None) -> None:
        self._writer = writer
        self._architecture = options.architecture
        self._bytecode = bytecode
        self._filter = PathFilter(options.keep_docs)
        self._owners: dict[str, str] = {}
        self._symlinks: dict[str, str] = {}
        self._captured: dict[str, bytes] = {}
        self._alternatives: list[Alternative] = []

    def add_skeleton(self) -> None:
        """Directories whose mode or being there matters, before a package names them."""
        for path, mode in _DIRECTORY_MODES.items():
            self._writer.add_directory(path, mode)
        for path in _MOUNT_POINTS:
            self._writer.add_directory(path)
        self._writer.add_directory("home/nonroot", 0o700, NONROOT)

    def add_package(self, package: Package) -> None:
        """The files of one package and its entry in the list of what is installed."""
        control = package.control
        dropped: set[str] = set()
        try:
            for entry, content in package.entries():
                path = entry.path.removeprefix("./").rstrip("/")
                if path in ("", "."):
                    if entry.type != DIRECTORY:
                        raise DebError(f"{control.file}: {entry.path!r}, the root, is not a directory")
                    continue
                if path in MERGED and entry.type == SYMLINK and entry.link == f"usr/{path}":
                    continue  # Releases since trixie bring these links, which every base here has.
                place = merged(path)
                if self._filter.keeps(place, entry.type == SYMLINK):
                    self._add(control, place, entry, content)
                else:
                    dropped.add(path)
            if self._bytecode:
                self._add_bytecode(self._bytecode.drain())
        except (BytecodeError, LayerError, LayerPathError) as error:
            raise DebError(f"{control.file}: {error}") from None
        self._alternatives += read_alternatives(control.postinst)
        status = f"var/lib/dpkg/status.d/{control.name}"
        self._writer.add_bytes(status, control.paragraph.encode())
        sums = [line for line in control.md5sums.splitlines() if line[34:] not in dropped]
        self._writer.add_bytes(f"{status}.md5sums", "".join(f"{line}\n" for line in sums).encode())

    def add_generated(self) -> None:
        """What maintainer scripts make: links, users, the CA bundle, the time zone, the loader's cache."""
        writer = self._writer
        for top in MERGED:
            if writer.has(f"usr/{top}"):
                writer.add_symlink(top, f"usr/{top}")
        self._add_users()
        self._add_missing("etc/nsswitch.conf", _NSSWITCH)
        if certificates := [data for path, data in sorted(self._captured.items()) if path.startswith(_CERTIFICATES)]:
            writer.add_bytes(_BUNDLE, b"".join(data.rstrip(b"\n") + b"\n" for data in certificates))
            self._link_missing("usr/lib/ssl/cert.pem", f"/{_BUNDLE}")
        if writer.has(_UTC):
            self._link_missing("etc/localtime", f"/{_UTC}")
            self._add_missing("etc/timezone", b"Etc/UTC\n")
        self._link_missing("var/run", "/run")
        self._link_missing("var/lock", "/run/lock")
        for path, target in links_of(self._alternatives, writer.has).items():
            writer.add_symlink(path, target)
        self._add_library_cache()

    def _add(self, control: Control, place: str, entry: TarEntry, content: BinaryIO) -> None:
        writer = self._writer
        if entry.type == DIRECTORY:
            # dpkg leaves a link to a directory if a package has the directory itself.
            if writer.type_of(place) != "symlink":
                writer.add_directory(place)
            return
        if entry.type == SYMLINK and self._symlinks.get(place) == entry.link:
            return
        if writer.has(place):
            owner = self._owners.get(place, "the base itself")
            raise DebError(f"{control.file}: installs /{place}, which {owner} installs too; leave one of them out")
        if entry.type == FILE:
            self._add_file(place, entry, content)
        elif entry.type == SYMLINK:
            writer.add_symlink(place, entry.link)
            self._symlinks[place] = entry.link
        elif entry.type == HARDLINK:
            writer.add_hardlink(place, merged(entry.link.removeprefix("./")))
        else:
            raise DebError(f"{control.file}: holds /{place}, a device or a pipe, which an image must not")
        self._owners[place] = control.name

    def _add_file(self, place: str, entry: TarEntry, content: BinaryIO) -> None:
        mode = mode_of(entry.mode)
        wanted = place in (_PASSWD, _GROUP) or place.startswith(_CERTIFICATES) or CONFIGURATION.fullmatch(place)
        if wanted and entry.size <= _MAX_CAPTURED_BYTES:
            data = self._captured[place] = content.read(entry.size)
            self._writer.add_bytes(place, data, mode)
        elif self._bytecode and place.startswith(_MODULES) and is_module(place, entry.size):
            data = content.read(entry.size)
            self._writer.add_bytes(place, data, mode)
            self._add_bytecode(self._bytecode.submit(place, data))
        else:
            self._writer.add_stream(place, content, entry.size, mode)

    def _add_bytecode(self, compiled: Iterable[tuple[str, bytes]]) -> None:
        for place, data in compiled:
            self._writer.add_bytes(place, data)

    def _add_users(self) -> None:
        users = self._captured.get(_PASSWD, _ROOT_USER)
        groups = self._captured.get(_GROUP, _ROOT_GROUP)
        self._add_missing("etc/passwd", users + _NONROOT_USER)
        self._add_missing("etc/group", groups + _NONROOT_GROUP)

    def _add_library_cache(self) -> None:
        configurations = {path: data for path, data in self._captured.items() if CONFIGURATION.fullmatch(path)}
        if (cache := library_cache(configurations, self._owners, self._architecture)) is not None:
            self._add_missing(CACHE, cache)

    def _add_missing(self, path: str, data: bytes) -> None:
        if not self._writer.has(path):
            self._writer.add_bytes(path, data)

    def _link_missing(self, path: str, target: str) -> None:
        if not self._writer.has(path):
            self._writer.add_symlink(path, target)
