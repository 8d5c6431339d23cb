"""Reads locks in pip's requirements format with hashes, of one platform or with markers.

https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

load(":conflict_marks.bzl", "conflicted_lines")
load(":python_markers.bzl", "python_markers")
load(":python_name.bzl", "normalize_name")
load(":python_version.bzl", "python_version")
load(":wheel_name.bzl", "wheel_name")

_HEX = "0123456789abcdef"

# Lines that say where files come from: pip's own configuration does. With a value, or without.
_INDEX_OPTIONS = ("-f", "-i", "--extra-index-url", "--find-links", "--index-url", "--trusted-host")
_INDEX_FLAGS = ("--no-index",)

# Lines that change nothing for a lock with hashes.
_OTHER_OPTIONS = ("-c", "--constraint", "--no-binary", "--only-binary", "--use-feature")
_OTHER_FLAGS = ("--pre", "--prefer-binary", "--require-hashes", "--no-require-hashes")

# Shown of an address of which no part can be shown.
_ADDRESS = "<address>"

# Files that include each other end here.
_MAX_FILES = 1000

def _logical_lines(content):
    """The lines with continuations joined: a list of (number of the first, text, comment lines directly before)."""
    lines = []
    comments = []
    pending = None
    for number, line in enumerate(content.removeprefix("\357\273\277").replace("\r", "").split("\n"), 1):
        text = line.replace("\t", " ").strip()
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

def _option(text):
    """An option line as (option, value), `--index-url=x` and `-rx` included."""
    word, _, value = text.partition(" ")
    if word.startswith("--"):
        word, equals, joined = word.partition("=")
        return word, (joined if equals else value.strip())
    return word[:2], (word[2:].removeprefix("=") + " " + value).strip()

def _included(content):
    """The files that `-r` lines name, as they are written."""
    found = []
    for _, text, _ in _logical_lines(content):
        if text.startswith("-"):
            option, value = _option(text.partition(" #")[0].strip())
            if option in ("-r", "--requirement") and value:
                found.append(value)
    return found

def _resolve(name, value):
    """The name in a lock's texts of the file that `-r value` in the file `name` means: its path."""
    parts = []
    for part in name.removeprefix("//").replace(":", "/").split("/")[:-1] + value.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)

def _split_name(spec):
    """`name[extra]==1` as (name, extras, rest)."""
    end = len(spec)
    for i in range(len(spec)):
        if spec[i] in " [=<>!~@;(":
            end = i
            break
    name, rest = spec[:end], spec[end:].strip()
    extras = []
    if rest.startswith("["):
        inside, _, rest = rest[1:].partition("]")
        extras = [normalize_name(extra.strip()) for extra in inside.split(",") if extra.strip()]
    return name, extras, rest.strip()

def _hashes(words):
    """(sha256 hashes, what is wrong with one or None, the words that are not hashes)."""
    hashes, problem, others = [], None, []
    waits = False
    for word in words:
        if word == "--hash":
            waits = True
            continue
        if waits or word.startswith("--hash="):
            waits = False
            digest = word.removeprefix("--hash=")
            algorithm, _, value = digest.partition(":")
            value = value.lower()
            if algorithm in ("sha384", "sha512"):
                continue
            if algorithm != "sha256" or len(value) != 64 or value.strip(_HEX):
                problem = "%s is not a hash of the form sha256:<64 hexadecimal digits>" % digest
            elif value not in hashes:
                hashes.append(value)
        elif word:
            others.append(word)
    return hashes, problem, others

def _file_comment(comments):
    """The file that the last comment before a requirement names: (wheel, sdist), each a name or ""."""
    wheel, sdist = "", ""
    for comment in comments:
        if " " in comment:
            continue
        if comment.endswith(".whl"):
            wheel, sdist = comment, ""
        elif comment.endswith(".tar.gz") or comment.endswith(".zip"):
            wheel, sdist = "", comment
    return wheel, sdist

def _is_name(name):
    """Whether a text is of a distribution's name's characters."""
    return bool(name) and not name.lower().strip("abcdefghijklmnopqrstuvwxyz0123456789-_.")

def _last_part(address):
    """The last part of an address's path, which people may read, or "": all else of an address may be credentials."""
    end = len(address)
    for character in (" ", "?", "#", ";"):
        end = min(end, len(address[:end].partition(character)[0]))
    if "@" in address[end:]:  # so what was cut off began within a password
        return ""
    place = address[:end].rpartition("@")[2]
    place = place.partition("://")[2] if "://" in place else place.removeprefix("//")
    _, path, last = place.rstrip("/").rpartition("/")
    return last if path else ""

def _readable(text):
    """A text that no reader takes for an address, to be shown as it is; what may be one is not shown."""
    return _ADDRESS if "@" in text or "//" in text else text

def _pin(text, comments, where):
    """A requirement line as a struct; an error as a string if not even its name can be read."""
    hashes, problem, words = _hashes(text.partition(" #")[0].split(" "))
    spec = " ".join([word for word in words if not word.startswith("--")])
    requirement, _, marker = spec.partition(";")
    name, extras, rest = _split_name(requirement.strip())
    if not _is_name(name):
        return "%s: expected a pinned `name==version`, found: %s" % (where, _readable(spec))
    name = normalize_name(name)
    rest = rest.removeprefix("(").removesuffix(")").strip()
    version = ""
    if rest.startswith("@"):
        marker = spec.partition(" ;")[2]
        last = _last_part(spec.partition("@")[2].strip())
        problem = "it comes from an address%s: lock it from an index" % (", " + last if last else "")
    elif rest.startswith("==="):
        version = rest[3:].strip()
    elif rest.startswith("=="):
        version = rest[2:].strip()
    if not problem and (not version or "*" in version or "," in version):
        problem = "expected a pinned `name==version`, found: %s" % _readable(requirement.strip())
    elif not problem and python_version.parse(version) == None:
        problem = "%s is not a version" % _readable(version)
    elif not problem and not hashes:
        problem = "%s==%s has no --hash" % (name, version)
    wheel, sdist = _file_comment(comments)
    return struct(
        extras = extras,
        hashes = hashes,
        marker = marker.strip(),
        name = name,
        problem = problem,
        sdist = sdist,
        version = version,
        wheel = wheel,
        where = where,
    )

def _renew(content):
    """The command that a lock's first comments name, or ""."""
    lines = [line.strip() for line in content.split("\n")[:12]]
    for number, line in enumerate(lines):
        if line.startswith("# Renew with: "):
            return line.removeprefix("# Renew with: ")
        if line.startswith("# This file") and "following command" in line and number + 1 < len(lines):
            return lines[number + 1].removeprefix("#").strip()
        if line.startswith("# This file is autogenerated by pip-compile") and number + 2 < len(lines):
            return "pip-compile"
    return ""

def _place(text):
    """The directory, file or address that a line is in place of a requirement, as people may read it; "" if it is none."""
    word = text.partition(" ")[0]
    file = word.partition(";")[0]
    if not file.startswith(".") and "/" not in file.partition("@")[0] and not file.startswith("file:"):
        return ""
    if "://" in word or word.startswith("//") or (":" in file and "@" in word):
        return _last_part(text) or _ADDRESS
    return file

def _editable(value):
    """What `-e` names, as people may read it."""
    name = _split_name(value)[0]
    return _place(value) or (name if _is_name(name) else _ADDRESS)

def _read(texts, file):
    """Reads a lock with the files that it includes.

    Args:
      texts: dict from a file's name to its text; those that it includes are named by `resolve`.
      file: the lock's own name.

    Returns:
      A struct with `pins`, `notes` (what was set aside, for people), `renew` (the command of the lock's header or "") and
      `broken` (an error of every package, or None).
    """
    pins, indexes, others, broken = [], [], [], None
    queue = [file]
    seen = {}
    for _ in range(_MAX_FILES):
        if not queue:
            break
        name = queue.pop(0)
        if name in seen:
            continue
        seen[name] = True
        content = texts.get(name)
        if content == None:
            broken = broken or "%s, which %s includes, cannot be found" % (name, file)
            continue
        conflicts = conflicted_lines(content)
        for number, text, comments in _logical_lines(content):
            where = "%s, line %d" % (name, number)
            if number in conflicts and (text[:7] in ("<" * 7, "=" * 7, ">" * 7, "|" * 7)):
                continue
            if text.startswith("--hash"):
                broken = broken or where + ": a --hash without its requirement: is the backslash before it missing?"
                continue
            if text.startswith("-"):
                option, value = _option(text.partition(" #")[0].strip())
                if option in ("-r", "--requirement"):
                    if "://" in value or value.startswith("//"):
                        broken = broken or "%s: `%s` of an address cannot be read: put that file beside the lock" % (where, option)
                    else:
                        queue.append(_resolve(name, value))
                elif option in _INDEX_OPTIONS or option in _INDEX_FLAGS:
                    indexes.append("%s (line %d)" % (option, number) if name == file else "%s (%s)" % (option, where))
                elif option in ("-e", "--editable"):
                    others.append("%s: `%s %s` is not locked" % (where, option, _editable(value)))
                elif option not in _OTHER_OPTIONS and option not in _OTHER_FLAGS:
                    broken = broken or "%s: option `%s` cannot be read" % (where, _readable(option))
                continue
            place = _place(text)
            if place:
                others.append("%s: `%s` is not locked" % (where, place))
                continue
            pin = _pin(text, comments, where)
            if type(pin) == "string":
                broken = broken or pin
            else:
                pins.append(struct(
                    conflict = number in conflicts,
                    extras = pin.extras,
                    hashes = pin.hashes,
                    marker = pin.marker,
                    name = pin.name,
                    problem = pin.problem,
                    sdist = pin.sdist,
                    version = pin.version,
                    wheel = pin.wheel,
                    where = pin.where,
                ))
    notes = list(others)
    if indexes:
        notes.append("%s: set aside: %s. Files come from the indexes that pip is configured with, or from the hub's `index_url`" % (file, ", ".join(indexes)))
    return struct(broken = broken, notes = notes, pins = pins, renew = _renew(texts.get(file) or ""))

def _problem(pins, target):
    """What is wrong with the pins of one distribution that hold for a target, or None."""
    if [pin for pin in pins if pin.conflict]:
        return "%s: %s lies between conflict marks: the merge is not finished" % (pins[0].where, pins[0].name)
    for pin in pins:
        if pin.problem:
            return "%s: %s" % (pin.where, pin.problem if pin.name in pin.problem else pin.name + ": " + pin.problem)
        if pin.wheel:
            wrong = wheel_name.problem(pin.wheel, pin.name, pin.version, target)
        else:
            wrong = wheel_name.sdist_problem(pin.sdist, pin.name, pin.version) if pin.sdist else None
        if wrong:
            return "%s: %s==%s: %s" % (pin.where, pin.name, pin.version, wrong)
        if pin.version != pins[0].version:
            return "%s: %s is pinned to %s, and on %s to %s, and both hold for %s" % (
                pin.where,
                pin.name,
                pin.version,
                pins[0].where.rpartition(", ")[2],
                pins[0].version,
                target.platform,
            )
    return None

def _select(lock, target):
    """What a lock pins for a target.

    Args:
      lock: what `read` returned.
      target: see lock_target.bzl.

    Returns:
      A struct with `pins`, name to struct, and `problems`, name to error.
    """
    environment = target.environment()
    found, problems = {}, {}
    for pin in lock.pins:
        holds = python_markers.evaluate(pin.marker, environment)
        if type(holds) == "string":
            problems[pin.name] = "%s: %s: %s" % (pin.where, pin.name, holds)
        elif holds:
            found.setdefault(pin.name, []).append(pin)
    pins = {}
    for name, same in found.items():
        problem = problems.get(name) or _problem(same, target)
        if problem:
            problems[name] = problem
            continue
        hashes = {digest: None for pin in same for digest in pin.hashes}
        extras = {extra: None for pin in same for extra in pin.extras}
        pins[name] = struct(
            extras = sorted(extras),
            hashes = list(hashes),
            name = name,
            requires = None,
            sdist = same[0].sdist,
            url = "",
            version = same[0].version,
            wheel = same[0].wheel,
            where = same[0].where,
        )
    return struct(pins = pins, problems = problems)

requirements_lock = struct(
    included = _included,
    read = _read,
    resolve = _resolve,
    select = _select,
)
