"""A release as TOML locks describe it: files with hashes, of which a target takes one."""

load(":wheel_name.bzl", "wheel_name")

_HEX_DIGITS = "0123456789abcdef"

def _unquote(text):
    """Percent-decoded, as far as it is ASCII."""
    if "%" not in text:
        return text
    parts = text.split("%")
    out = parts[0]
    for part in parts[1:]:
        if len(part) >= 2 and not part[:2].lower().strip(_HEX_DIGITS) and int(part[:2], 16) < 128 and int(part[:2], 16) > 31:
            out += json.decode('"\\u00%s"' % part[:2]) + part[2:] if part[:2].lower() not in ("22", "5c") else ("\"" if part[:2] == "22" else "\\") + part[2:]
        else:
            out += "%" + part
    return out

def locked_file(table, digest):
    """A file of a lock.

    Args:
      table: its inline table, with `name`, `filename`, `url` or `path`.
      digest: its SHA-256, hexadecimal, or None.

    Returns:
      A struct with `filename`, `url` ("" if the lock has none) and `sha256` ("" if the lock has none).
    """
    url = table.get("url") or ""
    location = table.get("name") or table.get("filename") or url.partition("#")[0].partition("?")[0] or table.get("path") or ""
    return struct(filename = _unquote(location.rpartition("/")[2]), sha256 = (digest or "").lower(), url = url)

def other_python(what, wanted, target):
    """What is said of a lock, or a package in it, that wants another Python than the target's."""
    return "%s needs Python %s, and the image has %s: give the image such a Python, or lock for %s" % (
        what,
        wanted,
        target.python,
        ".".join(target.python.split(".")[:2]),
    )

def _listed(wheels, target):
    names = sorted([wheel.filename for wheel in wheels])
    return "%s\n  %slock a version with a wheel for this one" % (
        ", ".join(names) or "none",
        wheel_name.other_python(names, target),
    )

def locked_release(name, version, wheels, sdist, extras, requires, where, target):
    """The pin of a release for a target.

    Args:
      name: normalised.
      version: the release's.
      wheels: what `locked_file` made, of each wheel.
      sdist: the same of the sdist, or None.
      extras: the extras to follow.
      requires: dict from "" and each extra to a list of [name, [extra]], or None if the wheel's metadata says it.
      where: the lock and the line.
      target: see lock_target.bzl.

    Returns:
      A struct as requirements_lock.select makes them; an error as a string.
    """
    best = wheel_name.best(wheels, target)
    if best == None and not sdist:
        return "%s: %s==%s has no wheel for CPython %s, %s, glibc %s: the lock has %s" % (
            where,
            name,
            version,
            target.python,
            target.machine,
            target.glibc,
            _listed(wheels, target),
        )
    chosen = best or sdist
    if not chosen.sha256:
        return "%s: %s==%s: %s has no sha256" % (where, name, version, chosen.filename)
    return struct(
        extras = extras,
        hashes = [chosen.sha256],
        name = name,
        requires = requires,
        sdist = "" if best else chosen.filename,
        url = chosen.url,
        version = version,
        wheel = chosen.filename if best else "",
        where = where,
    )
