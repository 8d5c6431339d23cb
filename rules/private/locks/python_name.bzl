"""Names of Python distributions, extras and dependency groups (PEP 503, PEP 685, PEP 735)."""

def normalize_name(name):
    """A name as indexes spell it: lower case, runs of `-_.` as one `-`."""
    out = name.lower().replace("_", "-").replace(".", "-")
    for _ in range(len(out)):
        if "--" not in out:
            break
        out = out.replace("--", "-")
    return out
