"""Functions that this project's server alone serves: how large a body is, products of matrices, tokens one by one.

Pickled by value: each imports what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

TOKEN = "token"


def size(content: bytes) -> int:
    """Counts bytes."""
    return len(content)


def products(content: bytes) -> float:
    """A product of matrices of 400 rows, ten times, in as many threads as the library has."""
    import numpy

    given = numpy.ones((400, 400))
    for _ in range(10):
        given = given @ given
        given /= given[0, 0]
    return float(given[0, 0])


def tokens(content: bytes) -> Iterator[str]:
    """As many tokens as `content` says."""
    for _ in range(int(content)):
        yield TOKEN


FUNCTIONS: dict[str, Callable[[bytes], object]] = {"size": size, "products": products, "tokens": tokens}
