"""Installed Python distributions: complete, once, for this Python and this platform; scripts that start.

Specifications: PyPA, "Dependency specifiers", "Version specifiers", "Platform compatibility tags".
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from chassis.doctor.cpu import features_of_property, missing
from chassis.doctor.facts import Distribution, Script
from chassis.doctor.finding import Finding
from chassis.doctor.image import Image
from chassis.doctor.module_checks import check_modules
from chassis.doctor.requirements import image_markers, needs

_ENV = re.compile(r"^(?:-S\s+)?(?:-\S+\s+)*(\S+)")
_Distributions = Sequence[tuple[int, Distribution]]
_RENEW = "renew the wheel locks (a lock names its command, such as bazel run //:locks)"


def check_python(image: Image) -> Iterator[Finding]:
    """Yields what is wrong with the image's Python distributions."""
    for distributions in image.processes:
        yield from _check_unique(image, distributions)
        yield from _check_requirements(image, distributions)
    for layer, item in image.distributions:
        yield from _check_distribution(image, layer, item)
    yield from _check_scripts(image)
    yield from _check_path_files(image)
    yield from check_modules(image)


def _finding(image: Image, layer: int, path: str, code: str, defect: str, remedy: str) -> Finding:
    return Finding(code, image.name(layer), path, defect, remedy)


def _check_unique(image: Image, distributions: _Distributions) -> Iterator[Finding]:
    found: dict[str, list[tuple[int, Distribution]]] = defaultdict(list)
    for layer, item in distributions:
        found[canonicalize_name(item.name)].append((layer, item))
    for name, places in found.items():
        for layer, item in places[1:]:
            first_layer, first = places[0]
            yield _finding(
                image,
                layer,
                item.path,
                "PY003",
                f"is {name} {item.version}, and /{first.path} ({image.name(first_layer)}) is {name} {first.version}",
                "keep one of the two: take all dependencies from one hub of wheels",
            )


def _check_requirements(image: Image, distributions: _Distributions) -> Iterator[Finding]:
    installed = {canonicalize_name(item.name): item for _, item in distributions}
    for need in needs(image, distributions):
        path = f"{need.item.path}/METADATA"
        if need.requirement is None:
            defect = f"cannot be read: Requires-Dist: {need.defect}"
            yield _finding(image, need.layer, path, "PY008", defect, "take another release of the package")
        elif (found := installed.get(need.wanted)) is None:
            yield Finding(
                "PY001",
                image.name(need.layer),
                path,
                f"requires {_shown(need.requirement)}, which is not installed",
                f"add {need.requirement.name} to the model's `deps`, or {_RENEW}",
                subject=need.wanted,
            )
        else:
            yield from _check_version(image, need.layer, need.item, need.requirement, found)


def _check_version(
    image: Image, layer: int, item: Distribution, requirement: Requirement, found: Distribution
) -> Iterator[Finding]:
    try:
        fits = requirement.specifier.contains(Version(found.version), prereleases=True)
    except InvalidVersion:
        return  # Reported where the distribution itself is looked at.
    if not fits:
        yield _finding(
            image,
            layer,
            f"{item.path}/METADATA",
            "PY002",
            f"requires {_shown(requirement)}, and {found.version} is installed",
            f"lock versions that fit each other: {_RENEW}",
        )


def _shown(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras} {requirement.specifier}".strip()


def _check_distribution(image: Image, layer: int, item: Distribution) -> Iterator[Finding]:
    try:
        Version(item.version)
        named = bool(item.name)
    except InvalidVersion:
        named = False
    if not named:
        yield _finding(
            image,
            layer,
            f"{item.path}/METADATA",
            "PY008",
            f"names no distribution and version (Name: {item.name!r}, Version: {item.version!r})",
            "take another release of the package",
        )
    environment = image_markers(image)
    try:
        python = environment["python_full_version"]
        wanted_python = SpecifierSet(item.requires_python or "")
        if not wanted_python.contains(python, prereleases=True):
            # An upper bound is a guess about Pythons to come, which uv passes over when it locks; tags say the rest.
            least = SpecifierSet(",".join(str(one) for one in wanted_python if one.operator not in ("<", "<=")))
            yield Finding(
                "PY004",
                image.name(layer),
                f"{item.path}/METADATA",
                f"is for Python {item.requires_python}, the image has {python}",
                f"lock a release for Python {environment['python_version']}: {_RENEW}",
                "note" if least.contains(python, prereleases=True) else "error",
            )
    except InvalidSpecifier:
        pass  # pip takes such a distribution for one that fits.
    if item.tags and not any(_is_for_python(tag, environment["python_version"]) for tag in item.tags):
        built = ", ".join(sorted({tag.rpartition("-")[0] for tag in item.tags}))
        yield _finding(
            image,
            layer,
            f"{item.path}/WHEEL",
            "PY004",
            f"is built for {built}, the image has Python {environment['python_full_version']}",
            f"lock the wheel for Python {environment['python_version']}: {_RENEW}",
        )
    machine = environment["platform_machine"]
    if item.tags and not any(_fits(tag, machine) for tag in item.tags):
        platforms = ", ".join(sorted({tag.rpartition("-")[2] for tag in item.tags}))
        yield _finding(
            image,
            layer,
            f"{item.path}/WHEEL",
            "PY007",
            f"is built for {platforms}, the image is for {machine}",
            f"lock the wheel for {machine}, or cross-build it (chassis_wheel)",
        )
    wanted = tuple(name for text in item.cpu for name in _for_machine(text, machine))
    lacking = missing(wanted, image.target.architecture, image.target.cpu, image.target.variant)
    if lacking:
        yield _finding(
            image,
            layer,
            f"{item.path}/variant.json",
            "CPU002",
            f"needs {', '.join(lacking)}, which the platform's CPU ({image.target.cpu or 'the baseline'}) lacks",
            "take the variant of the wheel for the baseline, or build for a platform whose //platforms/cpu has it",
        )


def _for_machine(text: str, machine: str) -> tuple[str, ...]:
    return features_of_property(text) if text.startswith(machine) else ()


def _fits(tag: str, machine: str) -> bool:
    platform = tag.rpartition("-")[2]
    # NVIDIA tags some of its aarch64 wheels for servers by Arm's name of the server base system architecture.
    names = (machine, "sbsa") if machine == "aarch64" else (machine,)
    return platform == "any" or platform.endswith(tuple(f"_{name}" for name in names))


def _is_for_python(tag: str, python: str) -> bool:
    interpreters, abis, _ = [*tag.split("-"), "", ""][:3]
    taken = _tags_of(python)
    return any(f"{name}-{abi}" in taken for name in interpreters.split(".") for abi in abis.split("."))


@cache
def _tags_of(python: str) -> frozenset[str]:
    """Interpreter and ABI of every tag that CPython of a minor version takes, whatever the platform."""
    version = tuple(int(part) for part in python.split("."))
    name = "cp" + python.replace(".", "")
    known = [*cpython_tags(version, [name], ["any"]), *compatible_tags(version, name, ["any"])]
    return frozenset(f"{tag.interpreter}-{tag.abi}" for tag in known)


def _check_scripts(image: Image) -> Iterator[Finding]:
    for number, layer in enumerate(image.layers):
        if layer.origin.kind == "base":
            continue  # Scripts for administrators that nothing in the image starts.
        for script in layer.scripts:
            if image.is_in_place(number, script.path) and (defect := _script_defect(image, script)):
                yield _finding(
                    image,
                    number,
                    script.path,
                    "PY005",
                    defect,
                    "make it an entry point of its package, or give the base the interpreter",
                )


def _script_defect(image: Image, script: Script) -> str:
    if not script.interpreter.startswith("/"):
        return f"starts with the interpreter {script.interpreter!r}, which is not an absolute path"
    if image.tree.find(script.interpreter) is None:
        return f"starts with the interpreter {script.interpreter}, which is not in the image"
    match = _ENV.match(script.argument) if script.interpreter.endswith("/env") else None
    if match and image.program(match[1]) is None:
        return f"starts {match[1]} through {script.interpreter}, and no directory of PATH has it"
    return ""


def _check_path_files(image: Image) -> Iterator[Finding]:
    for number, layer in enumerate(image.layers):
        for file in layer.path_files:
            gone = [path for path in file.directories if image.tree.resolve(path) is None]
            if gone and image.is_in_place(number, file.path):
                yield _finding(
                    image,
                    number,
                    file.path,
                    "PY006",
                    f"adds {gone[0]} to the import path, which is not in the image",
                    "install the package itself, not a link to its sources (no editable install)",
                )
