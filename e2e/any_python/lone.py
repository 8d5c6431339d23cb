"""A model that needs nothing."""


def process(data: bytes) -> dict[str, int]:
    return {"size": len(data)}
