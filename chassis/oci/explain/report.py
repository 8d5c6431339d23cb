"""An explained image, or what changed between two, as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from chassis.oci.descriptor import LayerFile
from chassis.oci.explain.amounts import count_text, share_text, size_text
from chassis.oci.explain.difference import Difference, FileChange, PackageChange
from chassis.oci.explain.image import ExplainedImage, ExplainedLayer

_BAR_CELLS = 12
_BAR_PARTS = " ▏▎▍▌▋▊▉█"
_MAX_LABEL = 60
_COLUMNS = 100


def image_report(image: ExplainedImage, largest: int = 5) -> str:
    """The layers from the bottom up, why each is where it is, and the `largest` files."""
    return "\n".join([*_head(image), "", *_layers(image), "", *_reasons(image), *_largest(image, largest)]) + "\n"


def difference_report(difference: Difference, most: int = 20) -> str:
    """What changed: bytes to fetch, layers, packages, and at most `most` files, those that changed most first."""
    return "\n".join(_difference(difference, most)) + "\n"


def layer_label(layer: ExplainedLayer) -> str:
    """What a layer is, in one line."""
    if layer.origin.kind == "wheels":
        return count_text(len(layer.packages), "wheel") + ": " + ", ".join(p.name for p in layer.packages)
    return str(layer.origin) if layer.origin.name else f"{layer.origin.kind} {layer.descriptor.digest[7:19]}"


def _head(image: ExplainedImage) -> Iterator[str]:
    yield f"{image.name}  {image.platform}"
    yield image.digest
    yield ", ".join(
        [
            count_text(len(image.layers), "layer"),
            f"{size_text(image.size)} to pull",
            f"{size_text(image.plain_size)} unpacked",
            count_text(len(image.packages()), "package"),
            count_text(image.file_count, "file"),
        ]
    )


def _layers(image: ExplainedImage) -> list[str]:
    rows = [("#", "to pull", "share", "", "unpacked", "files", "layer")]
    for layer in image.layers:
        share = image.share(layer.size)
        known = layer.source != "nothing"
        rows.append(
            (
                str(layer.number),
                size_text(layer.size),
                share_text(share),
                _bar(share),
                size_text(layer.plain_size) if layer.plain_size else "?",
                f"{layer.file_count:,}" if known else "?",
                _shortened(layer_label(layer)),
            )
        )
    return _table(rows, left=(3, 6))


def _bar(share: float) -> str:
    eighths = round(share * _BAR_CELLS * 8)
    return ("█" * (eighths // 8) + _BAR_PARTS[eighths % 8]).rstrip()


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_LABEL else text[: _MAX_LABEL - 1] + "…"


def _table(rows: Sequence[Sequence[str]], left: Iterable[int]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _reasons(image: ExplainedImage) -> Iterator[str]:
    """One line for each run of layers with one reason."""
    yield "Why they are where they are:"
    runs: list[tuple[list[int], str, str]] = []
    for layer in image.layers:
        if not runs or runs[-1][2] != layer.why:
            runs.append(([], layer.origin.kind, layer.why))
        runs[-1][0].append(layer.number)
    width = max((len(_range(numbers)) for numbers, _, _ in runs), default=0)
    for numbers, kind, why in runs:
        first = f"  {_range(numbers).rjust(width)}  "
        yield from textwrap.wrap(f"{kind}: {why}", _COLUMNS, initial_indent=first, subsequent_indent=" " * len(first))
    for layer in image.layers:
        if layer.source == "nothing":
            yield f"  The blob of layer {layer.number} is not here, so its files are not known."


def _range(numbers: list[int]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"


def _largest(image: ExplainedImage, count: int) -> Iterator[str]:
    files = [(file, layer) for layer in image.layers for file in layer.files if file.size]
    files.sort(key=lambda pair: (-pair[0].size, pair[0].path))
    if not files or count <= 0:
        return
    yield ""
    yield "Largest files:"
    rows = [(size_text(file.size), f"layer {layer.number}", f"/{file.path}") for file, layer in files[:count]]
    yield from ("  " + line for line in _table(rows, left=(1, 2)))


def _difference(difference: Difference, most: int) -> Iterator[str]:
    before, after = difference.before, difference.after
    yield f"from {before.name}  {before.platform}  {before.digest}"
    yield f"  to {after.name}  {after.platform}  {after.digest}"
    if before.digest == after.digest:
        yield "The images are the same."
        return
    yield (
        f"A machine that has the former fetches {size_text(difference.fetch_size)}: "
        f"{count_text(len(difference.fetched), 'layer')} of {len(after.layers)}, manifest and configuration; "
        f"{size_text(sum(layer.size for layer in difference.shared))} are there."
    )
    if difference.chained_size > difference.fetch_size:
        yield (
            f"A store that knows a layer by all below it (Docker's classic one) fetches "
            f"{size_text(difference.chained_size)}."
        )
    yield ""
    yield "Layers:"
    rows = [("-", size_text(layer.size), _shortened(layer_label(layer))) for layer in difference.gone]
    rows += [("+", size_text(layer.size), _shortened(layer_label(layer))) for layer in difference.fetched]
    yield from ("  " + line for line in _table(rows or [("", "", "the same, in another order")], left=(0, 2)))
    if difference.packages:
        yield ""
        yield "Packages:"
        yield from (f"  {_package(change)}" for change in difference.packages)
    yield ""
    yield from _files(difference, most)


def _package(change: PackageChange) -> str:
    if change.before is None:
        return f"+ {change.name} {change.after}"
    if change.after is None:
        return f"- {change.name} {change.before}"
    return f"  {change.name} {change.before} → {change.after}"


def _files(difference: Difference, most: int) -> Iterator[str]:
    files = sorted(difference.files, key=lambda change: (-abs(change.growth), change.path))
    added = sum(change.before is None for change in files)
    removed = sum(change.after is None for change in files)
    growth = sum(change.growth for change in files)
    yield (
        f"Files: {added:,} added, {removed:,} removed, {len(files) - added - removed:,} changed; "
        f"{'+' if growth > 0 else ''}{size_text(growth)}"
    )
    if not difference.complete:
        yield "  the blobs of some layers are not here, so files of theirs may be missing from this list"
    rows = [_file(change) for change in files[:most]]
    yield from ("  " + line for line in _table(rows, left=(0, 2)) if rows)
    if len(files) > most:
        yield f"  … and {len(files) - most:,} more"


def _file(change: FileChange) -> tuple[str, str, str]:
    mark = "+" if change.before is None else "-" if change.after is None else " "
    growth = f"{'+' if change.growth > 0 else ''}{size_text(change.growth)}"
    note = _note(change.before, change.after)
    return mark, growth, f"/{change.path}{note}"


def _note(before: LayerFile | None, after: LayerFile | None) -> str:
    if before is None or after is None:
        return ""
    if before.type != after.type:
        return f"  {before.type} → {after.type}"
    if before.mode != after.mode:
        return f"  mode {before.mode:04o} → {after.mode:04o}"
    return f"  → {after.link}" if before.link != after.link else ""
