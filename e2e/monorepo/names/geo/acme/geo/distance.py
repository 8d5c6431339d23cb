def between(one: float, other: float) -> float:
    return abs(one - other)
