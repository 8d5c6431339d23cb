"""Another model without dependencies."""


def process(content: bytes) -> dict[str, int]:
    """Returns twice the sum of the input's bytes."""
    return {"total": 2 * sum(content)}
