"""Names of wheels and of sdists (PEP 427, PEP 625), and the wheel of a release that fits a target best."""

load("//rules/private/declaration:declared.bzl", "PYTHONS")
load(":python_name.bzl", "normalize_name")
load(":python_version.bzl", "python_version")

def _parse(filename):
    """The parts of a wheel's name, a struct with `distribution`, `version`, `build` and `tags`; None if it is not one."""
    parts = filename.removesuffix(".whl").split("-")
    if not filename.endswith(".whl") or len(parts) not in (5, 6):
        return None
    tags = [
        "%s-%s-%s" % (python, abi, platform)
        for python in parts[-3].split(".")
        for abi in parts[-2].split(".")
        for platform in parts[-1].split(".")
    ]
    build = (-1, "")
    if len(parts) == 6:
        digits = parts[2][:len(parts[2]) - len(parts[2].lstrip("0123456789"))]
        build = (int(digits) if digits else -1, parts[2][len(digits):])
    return struct(distribution = normalize_name(parts[0]), version = parts[1], build = build, tags = tags)

def _same_version(found, version):
    one, other = python_version.parse(found.replace("_", "-")), python_version.parse(version)
    if one == None or other == None:
        return found.replace("_", "-") == version.replace("_", "-")
    return python_version.key(one) == python_version.key(other)

def _problem(filename, name, version, target):
    """What is wrong with a wheel of this name for `target`, or None."""
    wheel = _parse(filename)
    if wheel == None:
        return "%s is not a wheel's file name (PEP 427)" % filename
    if wheel.distribution != name:
        return "%s is a wheel of another distribution" % filename
    if not _same_version(wheel.version, version):
        return "%s is a wheel of another version than %s" % (filename, version)
    if [tag for tag in wheel.tags if tag in target.tag_ranks]:
        return None
    platforms = filename.removesuffix(".whl").rpartition("-")[2]
    if platforms == "any" or [one for one in platforms.split(".") if one.endswith("_" + target.machine) and "linux" in one]:
        return "%s does not run on CPython %s with glibc %s" % (filename, target.python, target.glibc)
    return "%s is built for %s, but %s needs %s or any" % (filename, platforms, target.platform, target.machine)

def _sdist_problem(filename, name, version):
    """What is wrong with an sdist of this name, or None."""
    stem = filename.removesuffix(".tar.gz").removesuffix(".zip")
    found, dash, found_version = stem.rpartition("-")
    if not dash or normalize_name(found) != name or not _same_version(found_version, version):
        return "%s is an sdist of another distribution or version" % filename
    return None

def _best(files, target):
    """The file of the most specific tag, of equal ones the highest build tag, then name; None if none runs on the target.

    Args:
      files: structs with `filename`.
      target: see lock_target.bzl.

    Returns:
      One of `files`, or None.
    """
    found = None
    best = None
    for file in files:
        wheel = _parse(file.filename)
        ranks = [target.tag_ranks[tag] for tag in (wheel.tags if wheel else []) if tag in target.tag_ranks]
        if ranks:
            key = (-min(ranks), wheel.build, file.filename)
            if best == None or key > best:
                found, best = file, key
    return found

def _other_python(filenames, target):
    """The first half of a remedy if one of these wheels is for another Python of images and for the target in all else; or "".

    Args:
      filenames: of wheels of which none runs on the target.
      target: see lock_target.bzl.

    Returns:
      The beginning of a sentence.
    """
    platforms = {platform: None for platform in target.platform_tags + ["any"]}
    minors = {"cp" + minor.replace(".", ""): minor for minor in PYTHONS}
    found = {}
    for filename in filenames:
        wheel = _parse(filename)
        for tag in wheel.tags if wheel else []:
            python, abi, platform = tag.split("-")
            if platform in platforms and python in minors and abi in (python, "abi3", "none"):
                found[minors[python]] = None
    if not found:
        return ""
    return "give the image a Python that one of them is for (%s), or " % ", ".join([minor for minor in PYTHONS if minor in found])

wheel_name = struct(
    best = _best,
    other_python = _other_python,
    parse = _parse,
    problem = _problem,
    sdist_problem = _sdist_problem,
)
