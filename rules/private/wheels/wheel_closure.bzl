"""Walks from a distribution to all that it depends on, by the wheels' own metadata."""

# More than any lock has; Starlark has no endless loop.
_MAX_STEPS = 100000

def wheel_closure(distribution, read_metadata, locked, extras = {}, problems = {}, without = {}):
    """Collects a distribution and what it depends on, through its extras and theirs. A cycle just ends the walk.

    Args:
      distribution: normalised name to start from.
      read_metadata: function from a locked name to the dict that chassis/fetching/fetch_wheel.py writes: `version`, and
        `requires`, which maps "" and each extra to a list of [name, [extra, …]].
      locked: every name of the lock.
      extras: name to the extras that the lock asks of it: they are followed wherever it is reached.
      problems: name to why the lock's pin of it cannot be used.
      without: name to what it depends on and is to go without.

    Returns:
      The sorted list of names. An error, a string, in its place if the lock lacks one.
    """
    queue = [(distribution, "")]
    seen = {}
    closure = {}
    for _ in range(_MAX_STEPS):
        if not queue:
            break
        name, extra = queue.pop()
        if (name, extra) in seen:
            continue
        seen[(name, extra)] = True
        metadata = read_metadata(name)
        if name not in closure:
            closure[name] = True
            queue.extend([(name, asked) for asked in extras.get(name, [])])

        # pip warns about an extra that the wheel does not offer, and goes on.
        for needed, wanted in metadata["requires"].get(extra, []):
            if needed in without.get(name, []):
                continue
            asking = "%s%s==%s needs %s" % (name, "[%s]" % extra if extra else "", metadata["version"], needed)
            if needed in problems:
                return "%s: %s" % (asking, problems[needed])
            if needed not in locked:
                return asking + ", which the lock does not hold"
            queue.extend([(needed, part) for part in [""] + wanted])
    return sorted(closure)
