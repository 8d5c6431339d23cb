"""Reads the files of a lock from the workspace: the lock itself and what it includes."""

load(":requirements_lock.bzl", "requirements_lock")

# Files that include each other end here.
_MAX_FILES = 1000

def _beside(path, value):
    """The path that `value` means in the directory of a file."""
    place = path.dirname
    parts = [part for part in value.split("/") if part not in ("", ".")]
    for part in parts:
        place = place.dirname if part == ".." else place.get_child(part)
    return place

def lock_source(ctx, label):
    """Reads a lock.

    Args:
      ctx: a module extension's or a repository rule's context.
      label: the lock's.

    Returns:
      A struct with `file`, the lock's name for people, and `texts`, dict from the name of each file to its text. A file that
      does not exist is missing in `texts`: whoever asks for a package learns that, and everything else works.
    """
    file = "//%s:%s" % (label.package, label.name)
    texts = {}
    queue = [(file, ctx.path(label))]
    for _ in range(_MAX_FILES):
        if not queue:
            break
        name, path = queue.pop(0)
        if name in texts or not path.exists:
            continue
        texts[name] = ctx.read(path)
        if name.endswith(".toml") or name.endswith(".lock"):
            continue
        for value in requirements_lock.included(texts[name]):
            queue.append((requirements_lock.resolve(name, value), _beside(path, value)))
    return struct(file = file, texts = texts)
