"""A model that needs nothing of what it depends on."""


def process(content: bytes) -> dict:
    """The number of bytes."""
    return {"bytes": len(content)}
