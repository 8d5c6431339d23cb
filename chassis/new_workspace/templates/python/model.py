"""Says how often each word is in a text."""

from collections import Counter


def predict(text: bytes) -> dict[str, int]:
    """What a request sends is `text`; what comes back is anything that JSON has."""
    return dict(Counter(text.decode().lower().split()))
