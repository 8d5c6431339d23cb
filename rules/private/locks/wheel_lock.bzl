"""Reads the wheel locks that teams have: requirements with hashes, pylock.toml and uv.lock."""

load(":conflict_marks.bzl", "first_conflict")
load(":lock_target.bzl", "LOCK_VARIANTS")
load(":pylock.bzl", "pylock")
load(":python_name.bzl", "normalize_name")
load(":requirements_lock.bzl", "requirements_lock")
load(":toml.bzl", "toml")
load(":uv_lock.bzl", "uv_lock")

# What the first line of such a lock begins with (chassis/locking/wheel_lock.py).
_WHEELS_FOR = "# Wheels for CPython "

def _kind(file, text):
    """`requirements`, `pylock` or `uv`."""
    name = file.rpartition("/")[2].rpartition(":")[2]
    if name == "uv.lock":
        return "uv"
    if name.endswith(".toml"):
        return "pylock"
    if "\n[[package]]" in "\n" + text:
        return "uv"
    return "pylock" if "\n[[packages]]" in "\n" + text else "requirements"

def _named(text):
    """Every name of a TOML lock that cannot be read: its packages exist and say why they cannot be had."""
    names = {}
    for line in text.split("\n"):
        key, equals, value = line.strip().partition("=")
        if equals and key.strip() == "name" and value.strip().startswith('"'):
            names[normalize_name(value.strip().strip('"'))] = None
    return names.keys()

def _python(text):
    """The version of Python that the header of a lock of `wheel_locks` names; else ""."""
    for line in text.split("\n"):
        if line.startswith(_WHEELS_FOR):
            return line.removeprefix(_WHEELS_FOR).partition(",")[0]
        if not line.startswith("#"):
            break
    return ""

def _read(source):
    """Reads a lock.

    Args:
      source: what lock_source.bzl made: a struct with `file`, the lock's name, and `texts`.

    Returns:
      A struct for `select`, with `notes`, a list of what people should know, and `python`, the version that it is for, or "".
    """
    text = source.texts.get(source.file)
    if text == None:
        broken = "%s does not exist yet" % source.file
        return struct(broken = broken, file = source.file, kind = "", lock = None, names = [], notes = [], python = "", renew = "")
    kind = _kind(source.file, text)
    if kind == "requirements":
        lock = requirements_lock.read(source.texts, source.file)
        names = [pin.name for pin in lock.pins]
        return struct(broken = lock.broken, file = source.file, kind = kind, lock = lock, names = names, notes = lock.notes, python = _python(text), renew = lock.renew)
    line = first_conflict(text)
    document = None if line else toml.parse(text)
    if line or type(document) == "string":
        broken = "%s, line %d: conflict marks: the merge is not finished" % (source.file, line) if line else "%s, %s" % (source.file, document)
        renew = "uv lock" if kind == "uv" else ""
        return struct(broken = broken, file = source.file, kind = kind, lock = None, names = _named(text), notes = [], python = "", renew = renew)
    lock = uv_lock.read(document, source.file) if kind == "uv" else pylock.read(document, source.file)
    names = [normalize_name(name) for name in lock.packages] if kind == "uv" else [normalize_name(package["name"]) for package in lock.packages]
    return struct(broken = lock.broken, file = source.file, kind = kind, lock = lock, names = names, notes = lock.notes, python = "", renew = lock.renew)

def _select(read, target, extras = [], groups = []):
    """What a lock pins for a target.

    Args:
      read: what `read` returned.
      target: see lock_target.bzl.
      extras: the project's extras that are asked for; requirements files have none.
      groups: the project's dependency groups that are asked for.

    Returns:
      A struct with `pins`, name to a struct, and `problems`, name to the error of whoever asks for it.
      A pin has `name`, `version`, `extras` (to follow wherever it is reached), `hashes` (sha256), `wheel` and `sdist` (the file's
      name if the lock says it, else ""), `url` (or ""), `requires` (see wheel_closure.bzl, or None) and `where`.
    """
    if read.broken:
        return struct(pins = {}, problems = {name: read.broken for name in read.names})
    if read.kind == "requirements":
        if extras or groups:
            broken = "%s is in pip's requirements format, which has no extras or groups to choose from" % read.file
            return struct(pins = {}, problems = {name: broken for name in read.names})
        return requirements_lock.select(read.lock, target)
    selected = (uv_lock if read.kind == "uv" else pylock).select(read.lock, target, extras, groups)
    if selected.broken:
        return struct(pins = {}, problems = {name: selected.broken for name in read.names})
    return struct(pins = selected.pins, problems = selected.problems)

def _chosen(choices, platform, requirements = ""):
    """The extras, or groups, of a platform.

    Args:
      choices: dict from `all`, an accelerator (`none`, `cuda`), a lock platform or a set of requirements to names.
      platform: one of LOCK_VARIANTS.
      requirements: the set of requirements, if the hub has sets.

    Returns:
      The sorted names.
    """
    found = {}
    known = LOCK_VARIANTS[platform]
    for key in ("all", known.accelerator, known.platform, platform, requirements):
        found.update({name: None for name in choices.get(key, [])})
    return sorted(found)

wheel_lock = struct(
    chosen = _chosen,
    read = _read,
    select = _select,
)
