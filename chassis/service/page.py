"""The service's page for people: jobs, how far they are, their logs and sizes."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent / "page"


def status_page() -> str:
    """The page as one HTML document, with its style and script inside."""
    page = (_FOLDER / "page.html").read_text("utf-8")
    for name in ("page.css", "page.js"):
        page = page.replace(f"/*{{{{{name}}}}}*/", (_FOLDER / name).read_text("utf-8"))
    return page
