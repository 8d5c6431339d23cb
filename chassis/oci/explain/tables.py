"""The tables of an explained image's page, as HTML: what the map shows, for every reader."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from html import escape

from chassis.oci.explain.amounts import count_text, share_text, size_text
from chassis.oci.explain.difference import Difference, FileChange, PackageChange
from chassis.oci.explain.image import ExplainedImage, ExplainedLayer
from chassis.oci.explain.packages import Package
from chassis.oci.explain.report import layer_label

_MAX_FILES = 500


def layer_table(image: ExplainedImage, fetched: Collection[str]) -> str:
    """A row for each layer from the bottom up; those whose digest is among `fetched` are marked."""
    rows = []
    before = ""
    for layer in image.layers:
        reason = "" if layer.why == before else f'<p class="why">{escape(layer.why)}</p>'
        before = layer.why
        mark = '<span class="new">to fetch</span>' if layer.descriptor.digest in fetched else ""
        share = image.share(layer.size)
        rows.append(
            f'<tr data-layer="{layer.number}"><td class="n" data-value="{layer.number}">{layer.number}</td>'
            f'<th scope="row">{_swatch(layer)}{escape(_name(layer))}{mark}{_parts(layer)}{reason}</th>'
            f'<td class="n" data-value="{layer.size}">{size_text(layer.size)}</td>'
            f'<td class="n" data-value="{share:.6f}"><span class="bar" style="--share:{share:.4f}"></span>'
            f'<span class="percent">{share_text(share)}</span></td>'
            + _number(layer.plain_size or None, size_text(layer.plain_size))
            + _number(layer.file_count if layer.source != "nothing" else None, f"{layer.file_count:,}")
            + f'<td class="digest"><code>{layer.descriptor.digest}</code></td></tr>'
        )
    heads = ("#", "Layer", "To pull", "Share", "Unpacked", "Files", "Digest")
    return _table("layers", "Layers, the lowest first", heads, rows)


def _name(layer: ExplainedLayer) -> str:
    if layer.origin.kind == "wheels":
        return count_text(len(layer.packages), "wheel")
    return layer_label(layer)


def _parts(layer: ExplainedLayer) -> str:
    if len(layer.packages) < 2:
        return ""
    listed = ", ".join(escape(f"{package.name} {package.version}".strip()) for package in layer.packages)
    return f"<details><summary>{count_text(len(layer.packages), 'package')}</summary><p>{listed}</p></details>"


def _swatch(layer: ExplainedLayer) -> str:
    return f'<span class="swatch {escape(layer.origin.kind)}"></span>'


def _number(value: int | None, text: str) -> str:
    if value is None:
        return '<td class="n" data-value="-1">not known</td>'
    return f'<td class="n" data-value="{value}">{text}</td>'


def package_table(image: ExplainedImage) -> str:
    """A row for each package, the biggest first; empty if none is known."""
    found = [(package, layer) for layer in image.layers for package in layer.packages]
    found.sort(key=lambda pair: (-(pair[0].size or pair[0].plain_size), pair[0].name))
    rows = [_package(package, layer) for package, layer in found]
    heads = ("Package", "Version", "Kind", "Layer", "To pull", "Unpacked", "Files")
    return _table("packages", "Packages, the biggest first", heads, rows) if rows else ""


def _package(package: Package, layer: ExplainedLayer) -> str:
    files = sum(file.type != "dir" for file in package.files)
    return (
        f'<tr data-layer="{layer.number}"><th scope="row">{_swatch(layer)}{escape(package.name)}</th>'
        f"<td>{escape(package.version)}</td><td>{escape(package.kind)}</td>"
        f'<td class="n" data-value="{layer.number}">{layer.number}</td>'
        + _number(package.size, size_text(package.size or 0))
        + _number(package.plain_size, size_text(package.plain_size))
        + _number(files, f"{files:,}")
        + "</tr>"
    )


def difference_section(difference: Difference) -> str:
    """What changed since the other image: bytes to fetch, packages, files."""
    after = difference.after
    shared = sum(layer.size for layer in difference.shared)
    percent = 100 * difference.fetch_size / ((difference.fetch_size + shared) or 1)
    chained = ""
    if difference.chained_size > difference.fetch_size:
        chained = (
            f"<p>A store that knows a layer by all that lies below it, as Docker's classic one does, fetches "
            f"<b>{size_text(difference.chained_size)}</b>.</p>"
        )
    return (
        f'<section aria-labelledby="changes"><h2 id="changes">Since {escape(difference.before.name)}</h2>'
        f"<p>A machine that has <code>{escape(difference.before.digest[:19])}…</code> fetches "
        f"<b>{size_text(difference.fetch_size)}</b> in {count_text(len(difference.fetched), 'layer')} of "
        f"{len(after.layers)}; {size_text(shared)} are there.</p>"
        f'<div class="split" role="img" aria-label="{percent:.1f} % to fetch">'
        f'<span style="--share:{percent / 100:.4f}"></span></div>{chained}'
        + _change_table(difference.packages)
        + _file_table(difference.files, difference.complete)
        + "</section>"
    )


def _change_table(changes: Iterable[PackageChange]) -> str:
    rows = [
        f'<tr><th scope="row">{escape(change.name)}</th><td>{escape(change.before or "")}</td>'
        f"<td>{escape(change.after or '')}</td></tr>"
        for change in changes
    ]
    return _table("changed-packages", "Packages that changed", ("Package", "Before", "After"), rows) if rows else ""


def _file_table(changes: Collection[FileChange], complete: bool) -> str:
    if not changes:
        return ""
    ranked = sorted(changes, key=lambda change: (-abs(change.growth), change.path))
    rows = [
        f'<tr><th scope="row"><code>/{escape(change.path)}</code></th><td>{_what(change)}</td>'
        + _number(change.growth, f"{'+' if change.growth > 0 else ''}{size_text(change.growth)}")
        + "</tr>"
        for change in ranked[:_MAX_FILES]
    ]
    notes = [f"{len(ranked) - _MAX_FILES:,} more are not listed."] if len(ranked) > _MAX_FILES else []
    if not complete:
        notes.append("The blobs of some layers were not there, so files of theirs may be missing.")
    table = _table("changed-files", "Files that changed", ("File", "What", "Growth"), rows)
    return (
        f"<details><summary>{count_text(len(ranked), 'file')} changed</summary>{table}"
        f"<p>{' '.join(notes)}</p></details>"
    )


def _what(change: FileChange) -> str:
    if change.before is None:
        return "added"
    return "removed" if change.after is None else "changed"


def _table(name: str, caption: str, heads: Iterable[str], rows: Iterable[str]) -> str:
    columns = "".join(f'<th scope="col">{head}</th>' for head in heads)
    return (
        f'<div class="scroll"><table id="{name}"><caption>{caption}</caption><thead><tr>{columns}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
