"""How an image starts: its first program, what is loaded into it, its CPU, and no credential in its configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chassis.doctor.cpu import missing
from chassis.doctor.finding import Finding
from chassis.doctor.image import Image
from chassis.doctor.loader import Loader
from chassis.doctor.secret_content import secret_in_environment, token_in

_PRELOAD_FILE = "etc/ld.so.preload"
_PYTHON = re.compile(r".*/bin/python(3\.\d+)")


def check_start(image: Image) -> Iterator[Finding]:
    """Yields what is wrong with the image's configuration."""
    yield from _check_credentials(image)
    yield from _check_program(image)
    yield from _check_preloading(image)
    yield from _check_features(image)


def _check_credentials(image: Image) -> Iterator[Finding]:
    for name, value in sorted(image.start.environment.items()):
        if kind := secret_in_environment(name, value):
            yield Finding(
                "SEC002",
                "configuration",
                "",
                f"environment variable {name} holds {kind}",
                "leave it out of `env`, revoke it, and set it where the container runs",
            )
    for name, value in sorted(image.start.labels.items()):
        if kind := token_in(value.encode()):
            yield Finding("SEC002", "configuration", "", f"label {name} holds {kind}", "leave it out of `labels`")
    for place, texts, remedy in (
        ("its first program's arguments hold", (*image.start.entrypoint, *image.start.command), "mount it as a file"),
        ("the history of its layers holds", image.start.history, "build the base without it: ARG and ENV are recorded"),
    ):
        if kind := next(filter(None, (token_in(text.encode()) for text in texts)), ""):
            yield Finding("SEC002", "configuration", "", f"{place} {kind}", f"revoke it, and {remedy}")


def _check_program(image: Image) -> Iterator[Finding]:
    words = image.start.entrypoint or image.start.command
    if not words:
        return
    placed = image.program(words[0])
    if placed is None:
        what, remedy = _absence(image, words[0])
        yield Finding("IMG001", "configuration", "", f"starts {words[0]}, {what}", remedy)
    elif placed.file.type == "dir" or not placed.file.mode & 0o111:
        what = "a directory" if placed.file.type == "dir" else f"not executable (mode {placed.file.mode:04o})"
        yield Finding(
            "IMG001",
            "configuration",
            "",
            f"starts {words[0]}, which is {what}",
            "make it executable where the layer is made, or give another entrypoint",
        )


def _absence(image: Image, program: str) -> tuple[str, str]:
    """What is said of a first program that is not there, and what to do: it may be the Python of another version."""
    link = image.tree.at(program.strip("/"))
    if link is None or link.file.type != "symlink":
        return "which is not in the image", "give the image a base with that program, or another entrypoint"
    what = f"which leads to {link.file.link}, which is not in the image"
    wanted = _PYTHON.fullmatch(link.file.link)
    found = sorted(
        {match[1]: match[0] for placed in image.tree if (match := _PYTHON.fullmatch(f"/{placed.file.path}"))}.items()
    )
    if wanted is None or not found:
        return what, f"give the image a base with {link.file.link}"
    there = " and ".join(f"Python {version}, {path}" for version, path in found)
    return (
        f"{what}; the image has {there}",
        f"take a base with Python {wanted[1]} at that place, name the place in `path` of its image_python, or write "
        f'python = "{found[0][0]}" and the same as base_python_version',
    )


def _check_preloading(image: Image) -> Iterator[Finding]:
    """LD_PRELOAD and /etc/ld.so.preload (ld.so(8)): libraries that go into every program."""
    loader = Loader(image)
    for name in image.start.environment.get("LD_PRELOAD", "").replace(":", " ").split():
        if loader.preloaded(name) is None:
            yield Finding(
                "IMG002",
                "configuration",
                "",
                f"LD_PRELOAD names {name}, which is not in the image, or not for its CPU",
                "add the package that has it to the base, or take it out of `env`",
            )
    placed = image.tree.find(_PRELOAD_FILE)
    if placed is not None and placed.file.size:
        yield Finding(
            "IMG002",
            image.name(placed.layer),
            _PRELOAD_FILE,
            "puts libraries into every program of the image",
            "take it out of the base; LD_PRELOAD in `env` does the same where everybody can see it",
        )


def _check_features(image: Image) -> Iterator[Finding]:
    target = image.target
    if lacking := missing(target.features, target.architecture, target.cpu, target.variant):
        cpu = target.cpu or "the baseline"
        yield Finding(
            "CPU002",
            "configuration",
            "",
            f"`cpu_features` asks for {', '.join(lacking)}, which the platform's CPU ({cpu}) lacks",
            "build for a platform whose //platforms/cpu has it, or let the code look for the feature when it runs",
        )
