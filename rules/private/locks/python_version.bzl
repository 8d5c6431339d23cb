"""Versions of Python packages and the comparisons of version specifiers (PEP 440).

https://packaging.python.org/en/latest/specifications/version-specifiers/
"""

_DIGITS = "0123456789"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"

# How a pre-release is spelled, to its phase. A version of only `.devN` comes before all of them, a final release after.
_PHASES = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "pre": 2, "preview": 2, "rc": 2}
_DEV_ONLY = (-1, 0)
_FINAL = (3, 0)

# What sorts after every `.devN`.
_NO_DEV = 1 << 60

def _runs(text):
    """`1.0rc2` as ["1", ".", "0", "rc", "2"]: runs of digits, runs of letters, single other characters."""
    runs = []
    kind = None
    for i in range(len(text)):
        char = text[i]
        found = "digits" if char in _DIGITS else "letters" if char in _LETTERS else None
        if found and found == kind:
            runs[-1] += char
        else:
            runs.append(char)
        kind = found
    return runs

def _is_number(run):
    return run != "" and run[0] in _DIGITS

def _local(text):
    """A local version, `cu130.1`, as a comparable tuple; None if it is not one."""
    segments = []
    for segment in text.replace("-", ".").replace("_", ".").split("."):
        runs = _runs(segment)
        if not runs or [run for run in runs if not _is_number(run) and run[0] not in _LETTERS]:
            return None
        segments.append((1, int(segment), "") if len(runs) == 1 and _is_number(segment) else (0, 0, segment))
    return tuple(segments)

def _suffix_number(runs, at):
    """The number of `rc.2`, `rc-2` or `rc2` whose letters end before `at`: (number, position after it)."""
    if at + 1 < len(runs) and runs[at] in "-_." and _is_number(runs[at + 1]):
        return int(runs[at + 1]), at + 2
    if at < len(runs) and _is_number(runs[at]):
        return int(runs[at]), at + 1
    return 0, (at + 1 if at + 1 == len(runs) and runs[at] in "-_." else at)

def _parse(text):
    """Reads a version.

    Args:
      text: such as `1!2.0rc1.post2.dev3+cu130`.

    Returns:
      A struct with `epoch`, `release` (a list), `pre`, `post` (None or int), `dev` (None or int) and `local`; None if `text`
      is not a version.
    """
    public, plus, local_text = text.strip().lower().partition("+")
    local = _local(local_text) if plus else ()
    if local == None:
        return None
    public = public.removeprefix("v")
    epoch = 0
    before, bang, after = public.partition("!")
    if bang:
        if not before or before.strip(_DIGITS):
            return None
        epoch, public = int(before), after
    runs = _runs(public)
    release = []
    at = 0
    for _ in range(len(runs)):
        if at < len(runs) and _is_number(runs[at]):
            release.append(int(runs[at]))
            at += 1
        if at + 1 < len(runs) and runs[at] == "." and _is_number(runs[at + 1]):
            at += 1
        else:
            break
    if not release:
        return None
    pre, post, dev = None, None, None
    for _ in range(len(runs)):
        if at >= len(runs):
            break
        start = at + 1 if runs[at] in "-_." else at
        word = runs[start] if start < len(runs) else ""
        if word in _PHASES and pre == None and post == None and dev == None:
            number, at = _suffix_number(runs, start + 1)
            pre = (_PHASES[word], number)
        elif word in ("post", "rev", "r") and post == None and dev == None:
            post, at = _suffix_number(runs, start + 1)
        elif runs[at] == "-" and _is_number(word) and post == None and dev == None:
            post, at = int(word), start + 1
        elif word == "dev" and dev == None:
            dev, at = _suffix_number(runs, start + 1)
        else:
            return None
    return struct(epoch = epoch, release = release, pre = pre, post = post, dev = dev, local = local)

def _trimmed(release):
    end = len(release)
    for _ in range(len(release)):
        if end > 1 and release[end - 1] == 0:
            end -= 1
    return release[:end]

def _key(version, local = True):
    """What orders versions: compare two of these."""
    pre = version.pre
    if pre == None:
        pre = _DEV_ONLY if version.post == None and version.dev != None else _FINAL
    return (
        version.epoch,
        _trimmed(version.release),
        pre,
        -1 if version.post == None else version.post,
        _NO_DEV if version.dev == None else version.dev,
        version.local if local else (),
    )

def _has_prefix(version, prefix):
    """Whether `version` is one of `prefix.*`."""
    padded = version.release + [0] * len(prefix.release)
    return version.epoch == prefix.epoch and padded[:len(prefix.release)] == prefix.release

def _same_release(one, other):
    return one.epoch == other.epoch and _trimmed(one.release) == _trimmed(other.release)

def _equal(version, wanted):
    return _key(version, bool(wanted.local)) == _key(wanted)

def _compatible(version, wanted):
    prefix = struct(epoch = wanted.epoch, release = wanted.release[:-1])
    return _key(version, False) >= _key(wanted) and _has_prefix(version, prefix)

def _less(version, wanted):
    if _key(version) >= _key(wanted):
        return False
    is_pre = version.pre != None or version.dev != None
    if is_pre and wanted.pre == None and wanted.dev == None:
        # What leads up to the wanted version is not before it: `1.0rc1` is not `<1.0`.
        first = struct(epoch = wanted.epoch, release = wanted.release, pre = None, post = wanted.post, dev = 0, local = ())
        return _key(version) < _key(first)
    return True

def _greater(version, wanted):
    if _key(version) <= _key(wanted):
        return False
    of_wanted = version.pre == wanted.pre and wanted.dev == None and _same_release(version, wanted)
    if version.post != None and wanted.post == None and of_wanted:
        return False
    if version.local and _key(version, False) == _key(wanted, False):
        return False
    return True

def _matches(version, operator, wanted):
    """Whether a version fulfils one clause of a specifier.

    Args:
      version: such as `3.11.2`.
      operator: `==`, `!=`, `<`, `<=`, `>`, `>=`, `~=` or `===`.
      wanted: what follows the operator, such as `3.11` or `3.*`.

    Returns:
      True or False; None if the clause is not one of PEP 440. A version that is not one fulfils nothing.
    """
    wanted = wanted.strip()
    if operator == "===":
        return version.lower() == wanted.lower()
    prefix = wanted.endswith(".*")
    found, asked = _parse(version), _parse(wanted.removesuffix(".*"))
    if asked == None or (prefix and operator not in ("==", "!=")):
        return None
    if asked.local and (operator not in ("==", "!=") or prefix):
        return None
    if (prefix and (asked.pre != None or asked.post != None or asked.dev != None)) or (operator == "~=" and len(asked.release) < 2):
        return None
    if found == None:
        return False
    if operator in ("==", "!="):
        equal = _has_prefix(found, asked) if prefix else _equal(found, asked)
        return equal == (operator == "==")
    if operator == "~=":
        return _compatible(found, asked)
    if operator == "<":
        return _less(found, asked)
    if operator == ">":
        return _greater(found, asked)
    if operator == "<=":
        return _key(found, False) <= _key(asked)
    if operator == ">=":
        return _key(found, False) >= _key(asked)
    return None

def _satisfies(version, specifier):
    """Whether a version fulfils every clause of a specifier, such as `>=3.10,<4`; None if the specifier is not one."""
    for clause in specifier.split(","):
        clause = clause.strip()
        if not clause:
            continue
        operator = ""
        for candidate in ("===", "~=", "==", "!=", "<=", ">=", "<", ">"):
            if clause.startswith(candidate):
                operator = candidate
                break
        result = _matches(version, operator, clause[len(operator):])
        if not result:
            return result
    return True

python_version = struct(
    key = _key,
    matches = _matches,
    parse = _parse,
    satisfies = _satisfies,
)
