"""Reads pylock.toml (PEP 751).

https://packaging.python.org/en/latest/specifications/pylock-toml/
"""

load(":locked_release.bzl", "locked_file", "locked_release", "other_python")
load(":python_markers.bzl", "python_markers")
load(":python_name.bzl", "normalize_name")
load(":python_version.bzl", "python_version")
load(":toml.bzl", "TOML_LINE")

_HOW = {
    "archive": "an archive at an address",
    "directory": "a directory",
    "vcs": "a repository of sources",
}

def _read(document, file):
    """Reads a lock; see requirements_lock.read.

    Args:
      document: what toml.parse gave.
      file: the lock's name.

    Returns:
      The same, with `packages` and the file's own tables in `document`.
    """
    version = document.get("lock-version")
    broken = None
    if type(version) != "string" or version.partition(".")[0] != "1":
        broken = "%s: lock-version %s is not known: Chassis reads version 1" % (file, version)
    packages = document.get("packages", [])
    if type(packages) != "list":
        packages, broken = [], broken or "%s: it has no [[packages]]" % file
    named = [package for package in packages if type(package.get("name")) == "string"]
    if len(named) != len(packages):
        broken = broken or "%s: a package without a name" % file
    return struct(broken = broken, document = document, file = file, notes = [], packages = named, renew = "")

def _names(document, key):
    return [normalize_name(name) for name in document.get(key, [])]

def _pin(package, name, where, target):
    for kind, how in _HOW.items():
        if kind in package:
            return "%s: %s comes from %s, which is not a locked wheel" % (where, name, how)
    python = package.get("requires-python")
    if python and not python_version.satisfies(target.python, python):
        return other_python("%s: %s" % (where, name), python, target)
    return locked_release(
        name,
        package.get("version", ""),
        [locked_file(wheel, wheel.get("hashes", {}).get("sha256")) for wheel in package.get("wheels", [])],
        locked_file(package["sdist"], package["sdist"].get("hashes", {}).get("sha256")) if package.get("sdist") else None,
        [],
        None,
        where,
        target,
    )

def _select(lock, target, extras, groups):
    """What a lock pins for a target.

    Args:
      lock: what `read` returned.
      target: see lock_target.bzl.
      extras: the extras that are asked for.
      groups: the dependency groups that are asked for; with none, those that the lock calls its default.

    Returns:
      A struct with `pins`, `problems` and `broken` (an error of every package, or None).
    """
    document = lock.document
    known = {"extras": _names(document, "extras"), "groups": _names(document, "dependency-groups")}
    for kind, asked in {"extras": extras, "groups": groups}.items():
        for name in asked:
            if normalize_name(name) not in known[kind]:
                return struct(pins = {}, problems = {}, broken = "%s has no %s %s: it has %s" % (
                    lock.file,
                    {"extras": "extra", "groups": "group"}[kind],
                    name,
                    ", ".join(known[kind]) or "none",
                ))
    environment = target.environment(extras, groups or document.get("default-groups", []))
    python = document.get("requires-python")
    if python and not python_version.satisfies(target.python, python):
        return struct(pins = {}, problems = {}, broken = other_python(lock.file, python, target))
    environments = [python_markers.evaluate(marker, environment) for marker in document.get("environments", [])]
    if environments and True not in environments:
        return struct(pins = {}, problems = {}, broken = "%s is for other environments than %s: %s" % (
            lock.file,
            target.platform,
            "; ".join(document["environments"]),
        ))
    pins, problems = {}, {}
    for package in lock.packages:
        name = normalize_name(package["name"])
        where = "%s, line %d" % (lock.file, package[TOML_LINE])
        holds = python_markers.evaluate(package.get("marker", ""), environment)
        if holds == False:
            continue
        if type(holds) == "string":
            problems[name] = "%s: %s: %s" % (where, name, holds)
        elif name in pins:
            problems[name] = "%s: %s is pinned to %s and to %s, and both hold for %s" % (where, name, pins[name].version, package.get("version"), target.platform)
        else:
            pin = _pin(package, name, where, target)
            if type(pin) == "string":
                problems[name] = pin
            else:
                pins[name] = pin
    return struct(
        broken = None,
        pins = {name: pin for name, pin in pins.items() if name not in problems},
        problems = problems,
    )

pylock = struct(
    read = _read,
    select = _select,
)
