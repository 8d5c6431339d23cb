"""A model whose wheels are those of a hub of Chassis."""

import numpy


def process(content: bytes) -> dict:
    """The sum of an input's bytes."""
    return {"sum": int(numpy.frombuffer(content, "u1").sum())}
