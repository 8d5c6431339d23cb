"""Files of any kind: one content at a path, no rights too many, links that lead somewhere, nothing of the build."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from chassis.doctor.finding import Finding
from chassis.doctor.image import Image
from chassis.doctor.image_tree import Placed
from chassis.doctor.start_checks import check_start

_SETUID, _SETGID, _STICKY, _OTHERS_WRITE = 0o4000, 0o2000, 0o1000, 0o0002
# Where everybody may write, each his own: what /tmp is for, and by the file hierarchy standard /var/tmp.
_SHARED = ("tmp", "var/tmp")
_MADE_AT_START = ("proc/", "sys/", "dev/", "run/", "var/run/")


def check_files(image: Image) -> Iterator[Finding]:
    """Yields what is wrong with the image's files, with its environment and with how it starts."""
    yield from _check_conflicts(image)
    for placed in image.tree:
        yield from _check_rights(image, placed)
        if placed.file.type == "symlink":
            yield from _check_link(image, placed)
        elif placed.file.type == "special":
            yield _finding(
                image,
                placed,
                "FILE007",
                "is a device or a pipe",
                "leave it out of the layer: runtimes make /dev",
            )
    yield from _check_content(image)
    yield from check_start(image)


def _finding(image: Image, placed: Placed, code: str, defect: str, remedy: str) -> Finding:
    return Finding(code, image.name(placed.layer), placed.file.path, defect, remedy)


def _check_conflicts(image: Image) -> Iterator[Finding]:
    for conflict in image.tree.conflicts:
        kinds = {image.layers[placed.layer].origin.kind for placed in (conflict.earlier, conflict.later)}
        if kinds == {"base"}:
            continue  # The layers of one base are made to lie on each other.
        yield _finding(
            image,
            conflict.later,
            "FILE001",
            f"differs from the {conflict.earlier.file.type} that {image.name(conflict.earlier.layer)} has there",
            "remove one of the two from the image, or make them agree",
        )
    for number, layer in enumerate(image.layers):
        for item in layer.distributions:
            for path in item.hidden:
                yield Finding(
                    "FILE001",
                    image.name(number),
                    path,
                    f"is another distribution's, and hides the file that {item.name} {item.version} has there",
                    "remove one of the two from the image, or make them agree",
                )


def _check_rights(image: Image, placed: Placed) -> Iterator[Finding]:
    file = placed.file
    if file.type in ("file", "hardlink") and file.mode & (_SETUID | _SETGID):
        which = "setuid" if file.mode & _SETUID else "setgid"
        yield _finding(
            image,
            placed,
            "FILE002",
            f"is {which} (mode {file.mode:04o})",
            "take the package out of the base, or the bit off the file",
        )
    if file.type in ("file", "dir", "hardlink") and file.mode & _OTHERS_WRITE:
        if file.path in _SHARED and file.mode & _STICKY:
            return
        yield _finding(
            image,
            placed,
            "FILE003",
            f"can be written by everybody (mode {file.mode:04o})",
            "take the right from others; what is written at run time belongs into /tmp or a volume",
        )


def _check_link(image: Image, placed: Placed) -> Iterator[Finding]:
    path, target = placed.file.path, placed.file.link
    if _leaves_root(path, target):
        yield _finding(
            image,
            placed,
            "FILE004",
            f"links to {target}, out of the image's root",
            "make the link relative within the image",
        )
        return
    if image.layers[placed.layer].origin.kind == "base":
        return  # Debian's packages have links to what other packages, or the running system, bring.
    joined = target if target.startswith("/") else posixpath.join("/", posixpath.dirname(path), target)
    if posixpath.normpath(joined).lstrip("/").startswith(_MADE_AT_START):
        return
    if image.tree.resolve(path) is None:
        yield _finding(
            image,
            placed,
            "FILE005",
            f"links to {target}, which is not in the image",
            "add what it links to, or leave the link out",
        )


def _leaves_root(path: str, target: str) -> bool:
    depth = 0 if target.startswith("/") else path.count("/")
    for name in target.split("/"):
        depth += -1 if name == ".." else name not in ("", ".")
        if depth < 0:
            return True
    return False


def _check_content(image: Image) -> Iterator[Finding]:
    for number, layer in enumerate(image.layers):
        for path in layer.capable:
            if image.is_in_place(number, path):
                yield Finding(
                    "FILE002",
                    image.name(number),
                    path,
                    "has capabilities, which whoever runs it gets",
                    "take the package out of the base, or the capabilities off the file (setcap -r)",
                )
        for path in layer.pointers:
            if image.is_in_place(number, path):
                yield Finding(
                    "FILE008",
                    image.name(number),
                    path,
                    "is a pointer of Git LFS, not the file itself",
                    "fetch it where the build runs (git lfs pull), and build again",
                )
        for secret in layer.secrets:
            # A credential that an upper layer hides is in the image all the same.
            yield Finding(
                "SEC001",
                image.name(number),
                secret.path,
                f"holds {secret.kind}",
                "leave the file out, revoke the credential, and mount it where the container runs",
            )
        for item in layer.build_paths:
            outside = [path for path in item.found if not _begins_in_image(image, path)]
            if outside and image.is_in_place(number, item.path):
                yield Finding(
                    "FILE006",
                    image.name(number),
                    item.path,
                    f"names {outside[0]}, a path of the build machine",
                    "find files through chassis.data_path(…) or relative to the module, not by the builder's paths",
                )
    for layer_number, distribution in image.distributions:
        if distribution.url.startswith("file:"):
            yield Finding(
                "FILE006",
                image.name(layer_number),
                f"{distribution.path}/direct_url.json",
                f"says that it was installed from {distribution.url}",
                "build a wheel and lock it, or leave direct_url.json out",
            )


def _begins_in_image(image: Image, path: str) -> bool:
    """Whether the path is one of the image, or lies in a home directory that the image has."""
    names = path.strip("/").split("/")
    if names[0] == "home" and len(names) > 2 and image.tree.resolve("/".join(names[:2])) is not None:
        return True
    return image.tree.resolve(path) is not None
