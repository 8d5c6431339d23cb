"""A model that keeps what its data was when it was pickled, and compares it with the data of the image."""

from __future__ import annotations

import chassis

PICKLED = chassis.data_path("drawn.txt").read_text()


def same(_: bytes) -> bool:
    """Whether the image has the data that the pickle was made with."""
    return chassis.data_path("drawn.txt").read_text() == PICKLED
