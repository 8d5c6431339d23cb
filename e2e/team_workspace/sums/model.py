"""A model of one input, which uses a library of the workspace."""

from ml.features.preprocess import total


def process(content: bytes) -> dict[str, int]:
    """Returns the sum of the input's bytes."""
    return {"total": total(content)}
