"""A model with nothing to it."""


def process(input_bytes: bytes) -> dict:
    """Says how long the input is."""
    return {"length": len(input_bytes)}
