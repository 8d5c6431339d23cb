"""Reads wheel locks: pip's requirements format with hashes, `name==version --hash=sha256:…`.

https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

load(":declared.bzl", "LOCK_MACHINES")

_HEX = "0123456789abcdef"

# A lock's platform to the machine that its wheels are for, by the name in wheel tags.
PLATFORMS = LOCK_MACHINES

def _normalize(name):
    """A distribution's name as indexes spell it: lower case, runs of `-_.` as one `-` (PEP 503)."""
    out = []
    for char in name.lower().elems():
        if char in "-_.":
            if out and out[-1] == "-":
                continue
            char = "-"
        out.append(char)
    return "".join(out)

def _logical_lines(content):
    """The lines with continuations joined: a list of (number of the first, text, comment lines directly before)."""
    lines = []
    comments = []
    pending = None
    for number, line in enumerate(content.replace("\r", "").split("\n"), 1):
        text = line.strip()
        if text.startswith("#"):
            if pending == None:
                comments.append(text[1:].strip())
            continue
        if pending != None:
            first, before, said = pending
            text = before + " " + text
        else:
            first, said = number, comments
        if text.endswith("\\"):
            pending = (first, text[:-1].rstrip(), said)
            continue
        pending = None
        comments = []
        if text:
            lines.append((first, text, said))
    if pending != None:
        lines.append((pending[0], pending[1], pending[2]))
    return lines

def _check_wheel_name(filename, name, version, platform):
    """What is wrong with a wheel of this file name for `platform`, or None."""
    parts = filename.removesuffix(".whl").split("-")
    if len(parts) not in [5, 6]:
        return "%s is no wheel's file name (PEP 427)" % filename
    if _normalize(parts[0]) != name:
        return "%s is a wheel of another distribution" % filename
    if parts[1].replace("_", "-") != version.replace("_", "-"):
        return "%s is a wheel of another version than %s" % (filename, version)
    machine = PLATFORMS[platform]
    tags = parts[-1].split(".")
    for tag in tags:
        if tag == "any" or (tag.endswith("_" + machine) and "linux" in tag):
            return None
    return "%s is built for %s, but %s needs %s or any" % (filename, parts[-1], platform, machine)

def _check_sdist_name(filename, name, version):
    """What is wrong with an sdist of this file name, or None."""
    stem = filename.removesuffix(".tar.gz").removesuffix(".zip")
    found, dash, found_version = stem.rpartition("-")
    if not dash or _normalize(found) != name or found_version != version:
        return "%s is an sdist of another distribution or version" % filename
    return None

def _requirement(number, text, comments, where, platform):
    text = text.partition(" #")[0].strip()
    words = [word for word in text.split(" ") if word]
    hashes = []
    spec = []
    for word in words:
        if word.startswith("--hash="):
            digest = word[len("--hash="):]
            sha256 = digest.removeprefix("sha256:")
            if sha256 == digest or len(sha256) != 64 or sha256.strip(_HEX):
                return "%s: %s is no hash of the form sha256:<64 hexadecimal digits>" % (where, digest)
            hashes.append(sha256)
        elif word.startswith("--"):
            return "%s: option %s is not for a lock of Chassis" % (where, word)
        else:
            spec.append(word)
    pin = " ".join(spec).partition(";")[0].strip().replace(" ", "")
    name, equals, version = pin.partition("==")
    name = name.partition("[")[0]
    if not equals or not version or "*" in version or "," in version:
        return "%s: expected a pinned `name==version`, found: %s" % (where, pin)
    name = _normalize(name)
    if not hashes:
        return "%s: %s==%s has no --hash. Renew the lock: bazel run //requirements:update" % (where, name, version)
    wheel = None
    sdist = None
    for comment in comments:
        if " " in comment:
            continue
        if comment.endswith(".whl"):
            wheel, sdist = comment, None
        elif comment.endswith(".tar.gz") or comment.endswith(".zip"):
            wheel, sdist = None, comment
    if wheel or sdist:
        problem = _check_wheel_name(wheel, name, version, platform) if wheel else _check_sdist_name(sdist, name, version)
        if problem:
            return "%s: %s==%s: %s. Renew the lock: bazel run //requirements:update" % (where, name, version, problem)
    return struct(name = name, version = version, hashes = hashes, wheel = wheel, sdist = sdist, line = number)

def _parse(content, file, platform):
    """Reads a lock.

    Args:
      content: the lock's text. A comment line `# name-….whl` before a requirement names the wheel that its hash is of,
        `# name-….tar.gz` the sdist.
      file: the lock's name, for errors.
      platform: one of `PLATFORMS`.

    Returns:
      A dict from normalised name to a struct with `name`, `version`, `hashes` (sha256, hex), `wheel` (a file name or
      None), `sdist` (the same where the hash is an sdist's) and `line` (from 1). An error is a string in place of the dict.
    """
    requirements = {}
    for number, text, comments in _logical_lines(content):
        where = "%s, line %d" % (file, number)
        if text.startswith("--hash"):
            return where + ": a --hash without its requirement: is the backslash before it missing?"
        if text.startswith("-"):
            return "%s: option `%s` is not for a lock of Chassis: indexes come from pip's own configuration" % (where, text)
        requirement = _requirement(number, text, comments, where, platform)
        if type(requirement) == "string":
            return requirement
        if requirement.name in requirements:
            return "%s: %s stands there a second time, after line %d" % (where, requirement.name, requirements[requirement.name].line)
        requirements[requirement.name] = requirement
    return requirements

wheel_lock = struct(
    normalize = _normalize,
    parse = _parse,
)
