"""Builds small images with the project's own tools from plans that tests change: healthy as they come."""

from __future__ import annotations

import base64
import copy
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from chassis.doctor.diagnosis import Diagnosis, examine
from chassis.doctor.elf_writer import AARCH64, EXECUTABLE, X86_64, ElfPlan, write_elf
from chassis.doctor.examination import facts_of_layout, from_layout, from_specification
from chassis.doctor.extraction import extract
from chassis.doctor.facts import Facts, encode
from chassis.doctor.image import ImageTarget
from chassis.oci import digest
from chassis.oci.descriptor import MEDIA_TYPE_LAYER, Descriptor, LayerDescriptor, Origin, Platform
from chassis.oci.layer.outputs import LayerOutputs, write_layer
from chassis.oci.layer.wheel import add_wheel
from chassis.oci.layer.writer import Compression, LayerWriter
from chassis.oci.layout import ImageLayer, RunSettings, read_base, write_layout

SITE = "opt/venv/lib/python3.11/site-packages"
_GLIBC = tuple(f"GLIBC_2.{minor}" for minor in range(17, 37))


@dataclass(frozen=True, slots=True)
class Item:
    """One path of a layer: a file by its `data`, or a link by its target."""

    data: bytes = b""
    mode: int = 0o644
    type: Literal["file", "dir", "symlink"] = "file"
    link: str = ""


def link(target: str) -> Item:
    """A symbolic link."""
    return Item(type="symlink", link=target)


def text(content: str, mode: int = 0o644) -> Item:
    """A text file."""
    return Item(content.encode(), mode)


@dataclass(slots=True)
class Wheel:
    """A wheel: `files` by their paths in it, `metadata` further lines of METADATA, `scripts` entry points."""

    name: str
    version: str = "1.0"
    tag: str = "cp311-cp311-manylinux_2_28_aarch64"
    files: dict[str, bytes] = field(default_factory=dict)
    metadata: list[str] = field(default_factory=list)
    scripts: dict[str, str] = field(default_factory=dict)

    def write(self, directory: Path) -> Path:
        """Writes the `.whl`; a tag in it that differs from the file's name is what `dist_tag` says."""
        path = directory / f"{self.name}-{self.version}-{self.tag}.whl"
        info = f"{self.name}-{self.version}.dist-info"
        members = dict(self.files)
        lines = ["Metadata-Version: 2.1", f"Name: {self.name}", f"Version: {self.version}", *self.metadata]
        members[f"{info}/METADATA"] = "\n".join([*lines, "", "Described.", ""]).encode()
        members[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {self.tag}\n".encode()
        if self.scripts:
            entries = [f"{name} = {target}" for name, target in self.scripts.items()]
            members[f"{info}/entry_points.txt"] = "\n".join(["[console_scripts]", *entries, ""]).encode()
        rows = [
            f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')},{len(data)}"
            for name, data in members.items()
        ]
        members[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(zipfile.ZipInfo(name), data)
        return path


@dataclass(slots=True)
class Plan:
    """An image: layers by what is in them, how it starts, and what it is for.

    `foreign` are layers of a base that another tool made, as tar files, under the others; the base's history has
    `base_name`.
    """

    architecture: str = "arm64"
    accelerator: str = "none"
    cpu: str = ""
    features: tuple[str, ...] = ()
    foreign: list[bytes] = field(default_factory=list)
    base_name: str = "foreign"
    base: dict[str, Item] = field(default_factory=dict)
    runtime: dict[str, Item] = field(default_factory=dict)
    wheels: list[Wheel] = field(default_factory=list)
    code: dict[str, Item] = field(default_factory=dict)
    data: dict[str, Item] = field(default_factory=dict)
    model: dict[str, Item] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ("/opt/venv/bin/python", "-m", "chassis.runtime")
    labels: dict[str, str] = field(default_factory=dict)
    allow: dict[str, str] = field(default_factory=dict)
    compression: Compression = "estargz"

    @property
    def machine(self) -> int:
        """The gABI's number of the image's machine."""
        return {"arm64": AARCH64, "amd64": X86_64}[self.architecture]

    def library(self, **asked: object) -> bytes:
        """A library for the image's machine that needs libc as every one does, but for what is asked for."""
        settings: dict[str, object] = {"needed": ("libc.so.6",), "requires": {"libc.so.6": ("GLIBC_2.17",)}}
        return write_elf(ElfPlan(**({"machine": self.machine} | settings | asked)))  # type: ignore[arg-type]


def healthy(architecture: str = "arm64") -> Plan:
    """An image with which nothing is wrong: a base, the server, two wheels, code, data and a model."""
    plan = Plan(architecture)
    triplet = {"arm64": "aarch64-linux-gnu", "amd64": "x86_64-linux-gnu"}[architecture]
    loader = {"arm64": "lib/ld-linux-aarch64.so.1", "amd64": "lib64/ld-linux-x86-64.so.2"}[architecture]
    libraries = f"usr/lib/{triplet}"
    plan.base = {
        "lib": link("usr/lib"),
        "lib64": link("usr/lib64"),
        "etc/passwd": text("root:x:0:0:root:/root:/sbin/nologin\n"),
        "etc/mtab": link("/proc/mounts"),
        "home/nonroot/.profile": text("umask 022\n"),
        "root/.profile": text("umask 022\n"),
        "tmp": Item(type="dir", mode=0o1777),
        "var/tmp": Item(type="dir", mode=0o1777),
        "usr/sbin/update-certificates": text("#!/bin/sh\n", 0o755),
        "var/lib/dpkg/status.d/python3.11-minimal": text("Package: python3.11-minimal\nVersion: 3.11.2-6+deb12u5\n"),
        f"usr/{loader}": Item(plan.library(needed=(), requires={}, soname=loader.rpartition("/")[2]), 0o755),
        f"{libraries}/libc.so.6": Item(plan.library(needed=(), requires={}, soname="libc.so.6", defines=_GLIBC), 0o755),
        f"{libraries}/libm.so.6": Item(plan.library(soname="libm.so.6", defines=_GLIBC)),
        f"{libraries}/libstdc++.so.6.0.30": Item(
            plan.library(soname="libstdc++.so.6", defines=("GLIBCXX_3.4", "GLIBCXX_3.4.30", "CXXABI_1.3"))
        ),
        f"{libraries}/libstdc++.so.6": link("libstdc++.so.6.0.30"),
        "usr/bin/python3.11": Item(
            plan.library(type=EXECUTABLE, needed=("libm.so.6", "libc.so.6"), interpreter="/" + loader), 0o755
        ),
    }
    plan.runtime = {
        "opt/venv/pyvenv.cfg": text("home = /usr/bin\ninclude-system-site-packages = false\n"),
        "opt/venv/bin/python": link("/usr/bin/python3.11"),
        f"{SITE}/chassis/runtime/__init__.py": text("'''Serves.'''\n"),
    }
    machine = {"arm64": "aarch64", "amd64": "x86_64"}[architecture]
    plan.wheels = [
        Wheel(
            "fast",
            tag=f"cp311-cp311-manylinux_2_28_{machine}",
            files={
                "fast/__init__.py": b"from fast import _core\n",
                "fast/_core.so": plan.library(
                    needed=("libfast-1a2b.so.1", "libstdc++.so.6", "libc.so.6"),
                    requires={"libstdc++.so.6": ("GLIBCXX_3.4",), "libc.so.6": ("GLIBC_2.17", "GLIBC_2.34")},
                    rpath="$ORIGIN/../fast.libs",
                ),
                "fast.libs/libfast-1a2b.so.1": plan.library(soname="libfast-1a2b.so.1"),
            },
            metadata=["Requires-Python: >=3.9", 'Requires-Dist: windows-only; sys_platform == "win32"'],
        ),
        Wheel(
            "pure",
            "2.1",
            "py3-none-any",
            files={
                "pure/__init__.py": b"KEY = '-----BEGIN PRIVATE KEY-----'\n",
                "pure/paths.py": b"'/home/runner/x'\n",
            },
            metadata=["Requires-Dist: fast>=1.0", "Provides-Extra: more", 'Requires-Dist: missing; extra == "more"'],
            scripts={"pure-tool": "pure:main"},
        ),
    ]
    plan.code = {"app/code/model/preprocess.py": text("SCALE = 1 / 16\n")}
    plan.data = {"app/data/weights.bin": Item(bytes(range(256)) * 64)}
    plan.model = {
        "app/model/model.pkl": Item(b"\x80\x05\x8c\x09model.pyz\x94."),
        "app/model/model.json": text('{"max_wait_ms": 0}\n'),
    }
    plan.environment = {"PATH": "/opt/venv/bin:/usr/bin", "PYTHONPATH": "/app/code", "TOKENIZERS_PARALLELISM": "false"}
    plan.labels = {"org.opencontainers.image.title": "digits"}
    return plan


def tar_layer(fill: Callable[[tarfile.TarFile], None]) -> bytes:
    """A tar as another tool would write it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        fill(archive)
    return stream.getvalue()


class BuiltImage:
    """An image on disk, made from a plan."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self._plan = copy.deepcopy(plan)
        self._directory = directory
        platform = Platform(plan.architecture)
        base = [self._foreign(number, data) for number, data in enumerate(plan.foreign)]
        base.append(self._layer("base", plan.base))
        self._base_layout = directory / "base_layout"
        write_layout(self._base_layout, platform, tuple(base), RunSettings(env={"LANG": "C.UTF-8"}))
        self._layers = [self._layer("runtime", plan.runtime), *map(self._wheel, plan.wheels)]
        for kind, items in (("code", plan.code), ("data", plan.data), ("model", plan.model)):
            self._layers.append(self._layer(kind, items))
        self.layout = directory / "layout"
        settings = RunSettings(env=plan.environment, entrypoint=plan.entrypoint, labels=plan.labels)
        write_layout(self.layout, platform, tuple(self._layers), settings, read_base(self._base_layout, platform))

    def diagnose_layout(self) -> Diagnosis:
        """What the doctor says of the finished layout, which it reads as it would any image."""
        plan = self._plan
        target = ImageTarget(plan.architecture, "", plan.accelerator, plan.cpu, plan.features)
        examination = from_layout(self.layout, target, plan.allow)
        return examine(examination.image, examination.waivers)

    def diagnose_as_built(self) -> Diagnosis:
        """What the doctor says in the build, by the facts of the single layers."""
        plan = self._plan
        base = self._directory / "base.facts.json"
        base.write_bytes(encode(facts_of_layout(self._base_layout)))
        facts = []
        for number, layer in enumerate(self._layers):
            path = self._directory / f"{number}.facts.json"
            found = extract(layer.blob, layer.layer.descriptor, layer.layer.origin, trusted=True)
            path.write_bytes(encode(Facts((found,))))
            facts.append(str(path))
        spec = self._directory / "doctor.spec.json"
        document = {
            "name": "//model:image",
            "architecture": plan.architecture,
            "variant": "",
            "accelerator": plan.accelerator,
            "cpu": plan.cpu,
            "features": plan.features,
            "env": plan.environment,
            "entrypoint": plan.entrypoint,
            "cmd": [],
            "labels": plan.labels,
            "allow": plan.allow,
            "base_facts": str(base),
            "facts": facts,
        }
        spec.write_text(json.dumps(document))
        examination = from_specification(spec)
        return examine(examination.image, examination.waivers)

    def _layer(self, kind: str, items: dict[str, Item]) -> ImageLayer:
        def fill(writer: LayerWriter) -> Origin:
            for path, item in items.items():
                if item.type == "symlink":
                    writer.add_symlink(path, item.link)
                elif item.type == "dir":
                    writer.add_directory(path, item.mode)
                else:
                    writer.add_bytes(path, item.data, item.mode)
            return Origin(kind, "debian" if kind == "base" else "//model:digits")

        return self._written(kind, fill)

    def _wheel(self, wheel: Wheel) -> ImageLayer:
        path = wheel.write(self._directory)
        return self._written(path.name, lambda writer: add_wheel(writer, path, "opt/venv", "3.11"))

    def _written(self, name: str, fill: Callable[[LayerWriter], Origin]) -> ImageLayer:
        paths = [self._directory / f"{name}.{ending}" for ending in ("layer", "json", "files")]
        return ImageLayer(write_layer(LayerOutputs(*paths), fill, self._plan.compression), paths[0])

    def _foreign(self, number: int, data: bytes) -> ImageLayer:
        blob = self._directory / f"foreign{number}.tar"
        blob.write_bytes(data)
        name = digest.of_bytes(data)
        descriptor = Descriptor(MEDIA_TYPE_LAYER, name, len(data))
        return ImageLayer(LayerDescriptor(descriptor, name, len(data), Origin("base", self._plan.base_name)), blob)
