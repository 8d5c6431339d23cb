"""From a layer's blob to its facts: every file is looked at once, and read as far as it matters."""

from __future__ import annotations

import io
import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from chassis.doctor import python_metadata, secret_content
from chassis.doctor.build_paths import build_paths_in
from chassis.doctor.elf import EXTENSION_MODULE, MAGIC, Elf
from chassis.doctor.facts import BuildPath, Distribution, LayerFacts, PathFile, Script, Secret
from chassis.doctor.layer_content import LayerContent, walk_layer
from chassis.doctor.ld_cache import read_ld_cache
from chassis.doctor.rewound import Rewound
from chassis.oci.descriptor import Descriptor, LayerFile, Origin

_HEAD_BYTES = 4096
_READ_BYTES = 1 << 20
_IN_MEMORY_BYTES = 8 << 20
_MAX_RECORD_BYTES = 16 << 20
_MAX_PICKLE_BYTES = 64 << 20
_PICKLES = (".pkl", ".pickle", ".joblib", ".cloudpickle")
_PACKAGES = ("/site-packages", "/dist-packages")
_SCRIPTS = ("/bin", "/sbin")
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"  # github.com/git-lfs/git-lfs, docs/spec.md
_OWN_KINDS = ("code", "data", "model", "runtime")
_PYTHON_PACKAGE = re.compile(rb"^Package: (?:lib)?python3\.\d+-minimal$.*?^Version: (?:\d+:)?([\d.]+)", re.M | re.S)


def extract(blob: Path, descriptor: Descriptor, origin: Origin, trusted: bool) -> LayerFacts:
    """The facts of the layer in `blob`; `trusted` if this build made it.

    Raises:
      ChassisError: the blob is missing or damaged.
    """
    found = _Found(own=origin.kind in _OWN_KINDS, shared=origin.kind == "wheels")
    for content in walk_layer(blob, descriptor, trusted):
        file = content.file
        if file.type == "file":
            found.look(content)
        if content.capable:
            found.capable.append(file.path)
        found.files.append(file if file.digest or file.type != "file" else replace(file, digest=content.digest()))
    return found.facts(descriptor.digest, origin)


@dataclass(slots=True)
class _Information:
    """What is gathered of one `.dist-info` directory from its several files."""

    metadata: python_metadata.Metadata | None = None
    tags: tuple[str, ...] = ()
    cpu: tuple[str, ...] = ()
    url: str = ""
    record: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Found:
    own: bool
    shared: bool = False
    files: list[LayerFile] = field(default_factory=list)
    elves: list[tuple[str, Elf]] = field(default_factory=list)
    information: dict[str, _Information] = field(default_factory=dict)
    scripts: list[Script] = field(default_factory=list)
    path_files: list[PathFile] = field(default_factory=list)
    secrets: list[Secret] = field(default_factory=list)
    build_paths: list[BuildPath] = field(default_factory=list)
    environments: list[tuple[str, bool]] = field(default_factory=list)
    capable: list[str] = field(default_factory=list)
    pointers: list[str] = field(default_factory=list)
    libraries: tuple[tuple[str, str], ...] | None = None
    python: str = ""

    def look(self, content: LayerContent) -> None:
        file = content.file
        head = content.read(_HEAD_BYTES)
        if head.startswith(MAGIC):
            self.elves.append((file.path, _elf(head, content)))
            return
        if head.startswith(_LFS_POINTER):
            self.pointers.append(file.path)
            return
        if EXTENSION_MODULE.search(file.path):
            self.elves.append((file.path, Elf(defect="it is named as an extension module and is not an ELF file")))
            return
        if not head:
            return
        if file.path.endswith(_PICKLES) and self.own and file.size <= _MAX_PICKLE_BYTES:
            self._add_build_paths(file.path, "\n".join(_strings(head + _rest(content))).encode("utf-8", "replace"))
            return
        if self.shared and file.path.endswith(".dist-info/RECORD") and file.size <= _MAX_RECORD_BYTES:
            about = self.information.setdefault(file.path.rpartition("/")[0], _Information())
            about.record = python_metadata.read_record(head + _rest(content))
            return
        if file.size > secret_content.MAX_BYTES:
            if kind := secret_content.is_named_secret(file.path):
                self.secrets.append(Secret(file.path, kind))
            if file.path != "etc/ld.so.cache" and file.path != "var/lib/dpkg/status":
                return
        data = head if len(head) == file.size else head + _rest(content)
        if kind := secret_content.secret_in(file.path, data, tokens=self.own):
            self.secrets.append(Secret(file.path, kind))
        self._read_known(file, data)

    def _read_known(self, file: LayerFile, data: bytes) -> None:
        directory, _, name = file.path.rpartition("/")
        if directory.endswith((".dist-info", ".egg-info")):
            self._read_information(directory, name, data)
        elif file.mode & 0o111 and data.startswith(b"#!") and directory.endswith(_SCRIPTS):
            self.scripts.append(_script(file.path, data))
            self._add_build_paths(file.path, data)
        elif name.endswith(".pth") and directory.endswith(_PACKAGES):
            self.path_files.append(PathFile(file.path, _added_paths(data)))
        elif name == "pyvenv.cfg":
            shared = re.search(rb"(?mi)^include-system-site-packages\s*=\s*true\s*$", data)
            self.environments.append((directory, bool(shared)))
        elif file.path == "etc/ld.so.cache":
            self.libraries = read_ld_cache(data)
        elif directory == "var/lib/dpkg/status.d" or file.path == "var/lib/dpkg/status":
            if package := _PYTHON_PACKAGE.search(data):
                self.python = package[1].decode().rstrip(".")
        elif self.own and name.endswith((".json", ".sh")) and not file.path.startswith("app/data/"):
            self._add_build_paths(file.path, data)

    def _read_information(self, directory: str, name: str, data: bytes) -> None:
        if name not in ("METADATA", "PKG-INFO", "WHEEL", "variant.json", "direct_url.json"):
            return
        about = self.information.setdefault(directory, _Information())
        if name in ("METADATA", "PKG-INFO"):
            about.metadata = python_metadata.read_metadata(data)
        elif name == "WHEEL":
            about.tags = python_metadata.read_tags(data)
        elif name == "variant.json":
            about.cpu = python_metadata.read_cpu_properties(data)
        else:
            about.url = python_metadata.read_url(data)

    def _add_build_paths(self, path: str, data: bytes) -> None:
        if found := build_paths_in(data):
            self.build_paths.append(BuildPath(path, found))

    def _hidden(self, directory: str, record: tuple[tuple[str, str], ...], digests: dict[str, str]) -> tuple[str, ...]:
        """The paths of which a distribution's RECORD has another digest than the file that is there."""
        site = directory.rpartition("/")[0]
        places = ((posixpath.normpath(f"{site}/{path}"), digest) for path, digest in record)
        return tuple(place for place, digest in places if digests.get(place, digest) != digest)

    def facts(self, digest: str, origin: Origin) -> LayerFacts:
        digests = {file.path: file.digest for file in self.files} if self.shared else {}
        distributions = [
            Distribution(
                path=directory,
                name=about.metadata.name,
                version=about.metadata.version,
                requires=about.metadata.requires,
                requires_python=about.metadata.requires_python,
                tags=about.tags,
                cpu=about.cpu,
                url=about.url,
                hidden=self._hidden(directory, about.record, digests),
            )
            for directory, about in self.information.items()
            if about.metadata
        ]
        return LayerFacts(
            digest=digest,
            origin=origin,
            files=tuple(self.files),
            elves=tuple(self.elves),
            distributions=tuple(distributions),
            scripts=tuple(self.scripts),
            path_files=tuple(self.path_files),
            secrets=tuple(self.secrets),
            build_paths=tuple(self.build_paths),
            virtual_environments=tuple(self.environments),
            capable=tuple(self.capable),
            pointers=tuple(self.pointers),
            libraries=self.libraries,
            python=self.python,
        )


def _elf(head: bytes, content: LayerContent) -> Elf:
    """Reads an ELF file; a large one not whole if there is a way back, else through a file on disk."""
    from chassis.doctor.elf_reader import read_elf  # Most layers have none: they go without pyelftools.

    size = content.file.size
    if content.again and size > _IN_MEMORY_BYTES:
        return read_elf(Rewound(content.again, size))
    import tempfile  # Such a file comes with foreign layers only.

    stream: IO[bytes]
    with io.BytesIO() if size <= _IN_MEMORY_BYTES else tempfile.TemporaryFile(buffering=1 << 16) as stream:
        stream.write(head)
        _each(content.read, stream.write)
        return read_elf(stream)


def _rest(content: LayerContent) -> bytes:
    parts: list[bytes] = []
    _each(content.read, parts.append)
    return b"".join(parts)


def _each(read: Callable[[int], bytes], take: Callable[[bytes], object]) -> None:
    while piece := read(_READ_BYTES):
        take(piece)


def _strings(data: bytes) -> list[str]:
    """The texts in a pickle, as far as it can be followed; nothing in it is run."""
    import pickletools  # One layer of an image has a pickle.

    found = []
    try:
        for _, argument, _ in pickletools.genops(data):
            if isinstance(argument, str):
                found.append(argument)
    except Exception:  # joblib's files have arrays in their midst, where pickletools stumbles in many ways.
        return found
    return found


def _script(path: str, data: bytes) -> Script:
    line = data[2 : data.find(b"\n") if b"\n" in data else len(data)][:4096].strip()
    interpreter, _, argument = line.decode("utf-8", "backslashreplace").partition(" ")
    return Script(path, interpreter, argument.strip())


def _added_paths(data: bytes) -> tuple[str, ...]:
    """Absolute paths among the lines of a `.pth` file (Python library reference, module `site`)."""
    lines = data.decode("utf-8", "replace").splitlines()
    return tuple(line.strip() for line in lines if line.startswith("/"))
