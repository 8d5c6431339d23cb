"""The names that somebody who mistyped one may have meant."""

_MAX_SHOWN = 3

def _distance(one, other):
    """The insertions, deletions, replacements and swaps of neighbours that make one text of another (optimal string alignment)."""
    before, above = [], list(range(len(other) + 1))
    for row in range(1, len(one) + 1):
        line = [row]
        for column in range(1, len(other) + 1):
            changed = 0 if one[row - 1] == other[column - 1] else 1
            cost = min(above[column] + 1, line[column - 1] + 1, above[column - 1] + changed)
            if row > 1 and column > 1 and one[row - 1] == other[column - 2] and one[row - 2] == other[column - 1]:
                cost = min(cost, before[column - 2] + 1)
            line.append(cost)
        before, above = above, line
    return above[-1]

def nearest_names(name, known):
    """The nearest of the known names.

    Args:
      name: what was asked for.
      known: list of string.

    Returns:
      At most three of them, the nearest first; none if nothing is near.
    """
    plain = name.lower().replace("_", "-").replace(".", "-")
    ranked = []
    for other in known:
        most = max(1, (min(len(plain), len(other)) + 1) // 3)
        if abs(len(plain) - len(other)) <= most:
            distance = _distance(plain, other)
            if distance <= most:
                ranked.append((distance, other))
        elif len(plain) > 3 and (other.startswith(plain + "-") or other.endswith("-" + plain) or plain.startswith(other + "-")):
            ranked.append((most + 1, other))
    return [other for _, other in sorted(ranked)][:_MAX_SHOWN]
