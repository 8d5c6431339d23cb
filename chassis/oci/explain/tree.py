"""An image as a tree of areas: layers, in them packages, in those directories and files.

A directory's small entries are one area, so that a page stays small whatever the image holds: what is under a
4,000th of the image and a 100th of its layer cannot be seen in a map of either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chassis.oci.descriptor import LayerFile
from chassis.oci.explain.amounts import count_text
from chassis.oci.explain.image import ExplainedImage, ExplainedLayer
from chassis.oci.explain.report import layer_label

_IMAGE_PARTS = 4000
_LAYER_PARTS = 100
_MAX_DEPTH = 60
_MOST_OF_IT = 0.95

Node = dict[str, Any]


def image_tree(image: ExplainedImage, fetched: Iterable[str] = ()) -> Node:
    """The tree as JSON objects: `name`, `kind`, `plain` and `size` in bytes, `files`, `children`.

    `plain` is the size unpacked, `size` that in the blob, null if it is known of what is above alone. Layers have
    `number`, `origin`, `digest`, `why` and `fetched` as well: whether their digest is among `fetched`. `below` of a
    layer or package is the directory that its children's names are relative to, but for those that begin with a slash.
    """
    wanted = set(fetched)
    return {
        "name": image.name,
        "kind": "image",
        "plain": image.plain_size,
        "size": image.size,
        "files": image.file_count,
        "children": [_layer(layer, image.plain_size, layer.descriptor.digest in wanted) for layer in image.layers],
    }


def _layer(layer: ExplainedLayer, image_size: int, fetched: bool) -> Node:
    least = max(1, min(image_size // _IMAGE_PARTS, layer.plain_size // _LAYER_PARTS))
    owned = {file.path for package in layer.packages for file in package.files}
    rest = [file for file in layer.files if file.path not in owned]
    inside = _contents(rest if layer.packages else layer.files, layer.stored, least)
    if len(layer.packages) == 1 and not rest:
        inside = _contents(layer.packages[0].files, layer.stored, least)
    elif layer.packages:
        packages = [
            {
                "name": f"{package.name} {package.version}".strip(),
                "kind": "package",
                "plain": package.plain_size,
                "size": package.size,
                "files": sum(file.type != "dir" for file in package.files),
                **_contents(package.files, layer.stored, least),
            }
            for package in layer.packages
        ]
        inside |= {"children": packages + inside["children"]}
    return {
        "name": layer_label(layer).removeprefix("wheel "),
        "kind": "layer",
        "plain": layer.plain_size,
        "size": layer.size,
        "files": layer.file_count,
        "number": layer.number,
        "origin": layer.origin.kind,
        "digest": layer.descriptor.digest,
        "why": layer.why,
        "fetched": fetched,
        **inside,
    }


def _contents(files: Iterable[LayerFile], stored: Mapping[str, int], least: int) -> Node:
    """`below`, the directory that nearly all lies in, and `children`: what is in it, and what is elsewhere."""
    named = [(file.path.split("/", _MAX_DEPTH), file) for file in files if file.type != "dir"]
    below = _main_directory(named)
    depth = len(below)
    inner = [(names, file) for names, file in named if names[:depth] == below]
    outer = [(["/" + names[0], *names[1:]], file) for names, file in named if names[:depth] != below]
    return {
        "below": "/".join(below),
        "children": _nodes(inner, depth, stored, least) + _nodes(outer, 0, stored, least),
    }


def _main_directory(named: Sequence[tuple[list[str], LayerFile]]) -> list[str]:
    """The innermost directory with nearly all the bytes, its names."""
    enough = _MOST_OF_IT * sum(file.size for _, file in named)
    below: list[str] = []
    while True:
        sizes: dict[str, int] = {}
        for names, file in named:
            if len(names) > len(below) + 1 and names[: len(below)] == below:
                sizes[names[len(below)]] = sizes.get(names[len(below)], 0) + file.size
        name = max(sizes, key=lambda name: sizes[name], default="")
        if not name or sizes[name] < enough or not enough:
            return below
        below = [*below, name]


def _nodes(
    named: Sequence[tuple[list[str], LayerFile]], depth: int, stored: Mapping[str, int], least: int
) -> list[Node]:
    """What lies in a directory, biggest first; `named` are the files below it, their paths split."""
    inner: dict[str, list[tuple[list[str], LayerFile]]] = {}
    nodes = []
    for names, file in named:
        if len(names) > depth + 1:
            inner.setdefault(names[depth], []).append((names, file))
        else:
            nodes.append(_file(names[depth], file, stored))
    for name, below in inner.items():
        nodes.append(_directory(name, _nodes(below, depth + 1, stored, least)))
    nodes.sort(key=lambda node: (-node["plain"], node["name"]))
    small = [node for node in nodes if node["plain"] < least]
    if len(small) < 2:
        return nodes
    return [*nodes[: len(nodes) - len(small)], _sum(count_text(_files(small), "small file"), "rest", small)]


def _file(name: str, file: LayerFile, stored: Mapping[str, int]) -> Node:
    size = stored.get(file.path, 0) if stored else None
    node: Node = {"name": name, "kind": "file", "plain": file.size, "size": size, "files": 1}
    if file.link:
        node["link"] = file.link
    return node


def _directory(name: str, children: list[Node]) -> Node:
    """A directory's node; one that holds a directory alone takes its name in, and what is one area has no parts."""
    if len(children) == 1 and children[0]["kind"] == "directory":
        return children[0] | {"name": f"{name}/{children[0]['name']}"}
    node = _sum(name, "directory", children)
    return node if len(children) == 1 and children[0]["kind"] == "rest" else node | {"children": children}


def _sum(name: str, kind: str, nodes: Sequence[Node]) -> Node:
    sizes = [node["size"] for node in nodes]
    return {
        "name": name,
        "kind": kind,
        "plain": sum(node["plain"] for node in nodes),
        "size": None if None in sizes else sum(sizes),
        "files": _files(nodes),
    }


def _files(nodes: Iterable[Node]) -> int:
    return sum(node["files"] for node in nodes)
