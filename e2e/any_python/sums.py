"""What the model and the team's own test share."""


def total(values: list[int]) -> int:
    return sum(values)
