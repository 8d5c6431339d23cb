"""An explained image as one web page that needs nothing else: a map of areas, and tables that say the same.

The page loads nothing (its Content-Security-Policy forbids it), works from a file, and without scripts is its tables.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from chassis.oci.explain.amounts import size_text
from chassis.oci.explain.difference import Difference
from chassis.oci.explain.image import ExplainedImage
from chassis.oci.explain.tables import difference_section, layer_table, package_table
from chassis.oci.explain.tree import image_tree

_PARTS = Path(__file__).with_name("page")


def image_page(image: ExplainedImage, difference: Difference | None = None) -> str:
    """The page's HTML; `difference` is one that leads to `image`."""
    fetched = [layer.descriptor.digest for layer in difference.fetched] if difference else []
    fields = {
        "title": escape(image.name),
        "platform": escape(image.platform),
        "digest": escape(image.digest),
        "tiles": _tiles(image, difference),
        "difference": difference_section(difference) if difference else "",
        "layers": layer_table(image, set(fetched)),
        "packages": package_table(image),
        "tree": _embedded(image_tree(image, fetched)),
        "style": (_PARTS / "page.css").read_text("utf-8"),
        "script": "\n".join((_PARTS / name).read_text("utf-8") for name in ("squarify.js", "treemap.js", "page.js")),
    }
    html = (_PARTS / "page.html").read_text("utf-8")
    # In one pass, so that nothing in an image's names is taken for a field.
    head, *rest = html.split("{{")
    return head + "".join(fields[name] + tail for name, _, tail in (part.partition("}}") for part in rest))


def _embedded(document: dict[str, Any]) -> str:
    """JSON that no file name ends a script element with (HTML, "Restrictions for contents of script elements")."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c")


def _tiles(image: ExplainedImage, difference: Difference | None) -> str:
    tiles = [
        (size_text(image.size), "to pull"),
        (size_text(image.plain_size), "unpacked"),
        (f"{len(image.layers)}", "layers"),
        (f"{len(image.packages()):,}", "packages"),
        (f"{image.file_count:,}", "files"),
    ]
    if difference:
        tiles.insert(0, (size_text(difference.fetch_size), "to fetch"))
    return "".join(
        f'<li class="tile{" accent" if what == "to fetch" else ""}"><b>{value}</b> {what}</li>' for value, what in tiles
    )
