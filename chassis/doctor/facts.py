"""What the doctor knows of one layer, whatever image it is in: small enough to keep beside the blob, and JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chassis.doctor.elf import Elf, VersionNeed
from chassis.errors import ChassisError
from chassis.oci.descriptor import LayerFile, Origin, read_json

_FORM = 2


class FactsError(ChassisError):
    """A file of facts is not one, or of another version of the doctor."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """An installed Python distribution, by its `.dist-info` or `.egg-info` directory (`path`, without leading slash).

    `requires` has the `Requires-Dist` lines; `tags` those of the WHEEL file; `cpu` the CPU properties that the wheel
    declares (`x86_64 :: level :: v3`, wheel variants); `url` where it was installed from, if it says so. `hidden` are
    files of it in whose place another distribution of the same layer put a different one.
    """

    path: str
    name: str
    version: str
    requires: tuple[str, ...] = ()
    requires_python: str = ""
    tags: tuple[str, ...] = ()
    cpu: tuple[str, ...] = ()
    url: str = ""
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Script:
    """An executable text file in a `bin` directory with its first line's interpreter and that one's argument."""

    path: str
    interpreter: str
    argument: str = ""


@dataclass(frozen=True, slots=True)
class PathFile:
    """A `.pth` file in a directory of Python packages with the absolute paths that it adds."""

    path: str
    directories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Secret:
    """A file with a credential; `kind` says what one, in words."""

    path: str
    kind: str


@dataclass(frozen=True, slots=True)
class BuildPath:
    """A file that names paths of the build machine."""

    path: str
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """The facts of one layer. `libraries` are the pairs of /etc/ld.so.cache, None if the layer has none;
    `python` is the full version of the Python that it brings, empty if it does not say; `capable` are files with
    capabilities, `pointers` those that Git LFS put in place of others.
    """

    digest: str
    origin: Origin
    files: tuple[LayerFile, ...] = ()
    elves: tuple[tuple[str, Elf], ...] = ()
    distributions: tuple[Distribution, ...] = ()
    scripts: tuple[Script, ...] = ()
    path_files: tuple[PathFile, ...] = ()
    secrets: tuple[Secret, ...] = ()
    build_paths: tuple[BuildPath, ...] = ()
    virtual_environments: tuple[tuple[str, bool], ...] = ()
    capable: tuple[str, ...] = ()
    pointers: tuple[str, ...] = ()
    libraries: tuple[tuple[str, str], ...] | None = None
    python: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """How an image starts, and what it says of itself (OCI image specification, config.md, `config`); `history` are
    the commands that its layers were made by.
    """

    environment: dict[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    history: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of one layer, or of all layers of an image with how that starts."""

    layers: tuple[LayerFacts, ...]
    start: Start = field(default_factory=Start)


def encode(facts: Facts) -> bytes:
    """Facts as a JSON document, the same bytes for the same facts."""
    document = {
        "form": _FORM,
        "start": asdict(facts.start),
        "layers": [_layer_to_json(layer) for layer in facts.layers],
    }
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def read_facts(path: Path) -> Facts:
    """Reads what `encode` gave."""
    document = read_json(path)
    if not isinstance(document, dict) or document.get("form") != _FORM:
        raise FactsError(f"{path}: holds no facts of this version of the doctor; build it again")
    try:
        layers = tuple(_layer_from_json(layer) for layer in document["layers"])
        return Facts(layers, Start(**_frozen(document["start"])))
    except (KeyError, TypeError, ValueError) as error:
        raise FactsError(f"{path}: holds damaged facts: {error!r}; build it again") from None


def _layer_to_json(facts: LayerFacts) -> dict[str, Any]:
    return {
        "digest": facts.digest,
        "origin": asdict(facts.origin),
        "files": [[f.path, f.type, f.mode, f.size, f.digest, f.link] for f in facts.files],
        "elves": [[path, _sparse(elf)] for path, elf in facts.elves],
        "distributions": [_sparse(item) for item in facts.distributions],
        "scripts": [asdict(item) for item in facts.scripts],
        "path_files": [asdict(item) for item in facts.path_files],
        "secrets": [asdict(item) for item in facts.secrets],
        "build_paths": [asdict(item) for item in facts.build_paths],
        "virtual_environments": facts.virtual_environments,
        "capable": facts.capable,
        "pointers": facts.pointers,
        "libraries": facts.libraries,
        "python": facts.python,
    }


def _sparse(item: Any) -> dict[str, Any]:
    return {key: value for key, value in asdict(item).items() if value}


def _layer_from_json(fields: dict[str, Any]) -> LayerFacts:
    libraries = fields["libraries"]
    return LayerFacts(
        digest=fields["digest"],
        origin=Origin(**fields["origin"]),
        files=tuple(LayerFile(*row) for row in fields["files"]),
        elves=tuple((path, _elf_from_json(elf)) for path, elf in fields["elves"]),
        distributions=tuple(Distribution(**_frozen(item)) for item in fields["distributions"]),
        scripts=tuple(Script(**item) for item in fields["scripts"]),
        path_files=tuple(PathFile(**_frozen(item)) for item in fields["path_files"]),
        secrets=tuple(Secret(**item) for item in fields["secrets"]),
        build_paths=tuple(BuildPath(**_frozen(item)) for item in fields["build_paths"]),
        virtual_environments=tuple((path, shared) for path, shared in fields["virtual_environments"]),
        capable=tuple(fields["capable"]),
        pointers=tuple(fields["pointers"]),
        libraries=None if libraries is None else tuple((name, path) for name, path in libraries),
        python=fields["python"],
    )


def _elf_from_json(fields: dict[str, Any]) -> Elf:
    requires = tuple(VersionNeed(**need) for need in fields.pop("requires", ()))
    return Elf(**_frozen(fields), requires=requires)


def _frozen(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
