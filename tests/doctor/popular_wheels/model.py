"""A model that needs nothing of the wheels that its image has."""


def predict(data: bytes) -> int:
    """The length."""
    return len(data)
