"""A model without dependencies."""


def process(content: bytes) -> dict[str, int]:
    """Returns the sum of the input's bytes."""
    return {"total": sum(content)}
