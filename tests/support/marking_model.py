"""A model for tests of what is computed and what is not: it leaves a file for each input that it is called with."""

from __future__ import annotations

import time
from pathlib import Path

from tests.support.running_server import write_model


def write_marking_model(directory: Path) -> tuple[Path, Path]:
    """Writes a model that takes half a second for each input, a file name; returns it and where it leaves the files."""
    marks = directory / "marks"
    marks.mkdir()

    def mark(content: bytes) -> int:
        (marks / content.decode()).touch()
        time.sleep(0.5)
        return 1

    return write_model(directory / "model", mark), marks
