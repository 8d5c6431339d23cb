"""Walks from a distribution to all that it depends on, by the wheels' own metadata."""

# More than any lock has; a loop without end is not to be had in Starlark.
_MOST_STEPS = 100000

def wheel_closure(distribution, read_metadata, locked):
    """Collects a distribution and what it depends on, through its extras and theirs. A cycle just ends the walk.

    Args:
      distribution: normalised name to start from.
      read_metadata: function from a locked name to the dict that chassis/tools/fetch_wheel.py writes: `version`, and
        `requires`, which maps "" and each extra to a list of [name, [extra, …]].
      locked: every name of the lock.

    Returns:
      The sorted list of names. An error, a string, in its place where the lock lacks one.
    """
    queue = [(distribution, "")]
    seen = {}
    closure = {}
    for _ in range(_MOST_STEPS):
        if not queue:
            break
        name, extra = queue.pop()
        if (name, extra) in seen:
            continue
        seen[(name, extra)] = True
        metadata = read_metadata(name)
        closure[name] = True

        # pip warns about an extra that the wheel does not offer, and goes on.
        for needed, extras in metadata["requires"].get(extra, []):
            if needed not in locked:
                return "%s==%s needs %s" % (name, metadata["version"], needed)
            queue.extend([(needed, wanted) for wanted in [""] + extras])
    return sorted(closure)
