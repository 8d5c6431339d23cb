"""Reads uv.lock: the graph of a project and its workspace, with conflicting extras and groups.

https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile
"""

load(":locked_release.bzl", "locked_file", "locked_release", "other_python")
load(":python_markers.bzl", "python_markers")
load(":python_name.bzl", "normalize_name")
load(":python_version.bzl", "python_version")
load(":toml.bzl", "TOML_LINE")

# Where the packages of a workspace itself are.
_OWN = ("editable", "virtual", "directory")

# More than any lock has; Starlark has no endless loop.
_MAX_STEPS = 1000000

def _read(document, file):
    """Reads a lock; see requirements_lock.read.

    Args:
      document: what toml.parse gave.
      file: the lock's name.

    Returns:
      The same, with `packages`, name to its tables, and `members`, the tables of the workspace's own packages.
    """
    broken = None
    if document.get("version") != 1:
        broken = "%s: version %s of uv.lock is not known: Chassis reads version 1" % (file, document.get("version"))
    packages, members = {}, []
    for package in document.get("package", []):
        name = package.get("name")
        if type(name) != "string":
            broken = broken or "%s: a package without a name" % file
            continue
        packages.setdefault(normalize_name(name), []).append(package)
        if [kind for kind in _OWN if kind in package.get("source", {})]:
            members.append(package)
    if not broken and not members:
        broken = "%s: it has no project, so nothing says what is required" % file
    return struct(broken = broken, document = document, file = file, members = members, notes = [], packages = packages, renew = "uv lock")

def _where(lock, package):
    return "%s, line %d" % (lock.file, package[TOML_LINE])

def _conflict_names(package, extras, groups):
    """How uv's markers call the extras and groups of a project: `extra-7-project-cpu`."""
    name = package["name"]
    return (
        ["extra-%d-%s-%s" % (len(name), name, extra) for extra in extras] +
        ["group-%d-%s-%s" % (len(name), name, group) for group in groups] +
        ["project-%d-%s" % (len(name), name)]
    )

def _find(lock, dependency):
    """The package that a dependency means; an error as a string."""
    name = normalize_name(dependency["name"])
    candidates = lock.packages.get(name, [])
    if "version" in dependency:
        candidates = [package for package in candidates if package.get("version") == dependency["version"]]
    if "source" in dependency:
        candidates = [package for package in candidates if package.get("source") == dependency["source"]]
    if len(candidates) != 1:
        return "%s: %d packages are called %s %s, expected one" % (lock.file, len(candidates), name, dependency.get("version", ""))
    return candidates[0]

def _asked_for(lock, members, extras, groups):
    """An error if an extra or a group is asked for that no project has, or None."""
    for kind, table, asked in (("extra", "optional-dependencies", extras), ("group", "dev-dependencies", groups)):
        known = {normalize_name(name): None for member in members for name in member.get(table, {})}
        for name in asked:
            if normalize_name(name) not in known:
                return "%s has no %s %s: it has %s" % (lock.file, kind, name, ", ".join(sorted(known)) or "none")
    return None

def _table(package, key, name):
    """The dependencies under `name`, however it is spelled."""
    for spelled, dependencies in package.get(key, {}).items():
        if normalize_name(spelled) == normalize_name(name):
            return dependencies
    return []

def _pin(lock, package, name, requires, target):
    where = _where(lock, package)
    source = package.get("source", {})
    if "registry" not in source and "url" not in source:
        return "%s: %s comes from %s, which is not a locked wheel" % (where, name, ", ".join(sorted(source)) or "nowhere")
    return locked_release(
        name,
        package.get("version", ""),
        [locked_file(wheel, wheel.get("hash", "").removeprefix("sha256:")) for wheel in package.get("wheels", [])],
        locked_file(package["sdist"], package["sdist"].get("hash", "").removeprefix("sha256:")) if package.get("sdist") else None,
        sorted([extra for extra in requires if extra]),
        requires,
        where,
        target,
    )

def _select(lock, target, extras, groups):
    """What a lock pins for a target, of what its projects ask for.

    Args:
      lock: what `read` returned.
      target: see lock_target.bzl.
      extras: the projects' extras that are asked for.
      groups: the projects' dependency groups that are asked for.

    Returns:
      A struct with `pins`, `problems` and `broken` (an error of every package, or None). A pin's `requires` is the lock's graph.
    """
    python = lock.document.get("requires-python")
    if python and not python_version.satisfies(target.python, python):
        return struct(pins = {}, problems = {}, broken = other_python(lock.file, python, target))
    wrong = _asked_for(lock, lock.members, extras, groups)
    if wrong:
        return struct(pins = {}, problems = {}, broken = wrong)
    active = [name for member in lock.members for name in _conflict_names(member, extras, groups)]
    environment = target.environment(active)

    own_lines = {member[TOML_LINE]: None for member in lock.members}

    # What is left to follow: (package, extra), "" for the package alone.
    queue, seen, requires, problems, versions = [], {}, {}, {}, {}
    for member in lock.members:
        queue.append((member, ""))
        queue += [(member, "extra:" + extra) for extra in extras] + [(member, "group:" + group) for group in groups]
    for _ in range(_MAX_STEPS):
        if not queue:
            break
        package, part = queue.pop()
        name = normalize_name(package["name"])
        key = (name, package.get("version"), package[TOML_LINE], part)
        if key in seen:
            continue
        seen[key] = True
        own = package[TOML_LINE] in own_lines
        if part.startswith("group:"):
            dependencies = _table(package, "dev-dependencies", part.removeprefix("group:"))
        elif part:
            dependencies = _table(package, "optional-dependencies", part.removeprefix("extra:"))
        else:
            dependencies = package.get("dependencies", [])
        if not own:
            before = versions.setdefault(name, package)
            if before[TOML_LINE] != package[TOML_LINE]:
                problems[name] = "%s: %s is locked as %s (line %d) and as %s (line %d), and both are asked for on %s: name the extra or group that chooses in the hub" % (
                    lock.file,
                    name,
                    before.get("version"),
                    before[TOML_LINE],
                    package.get("version"),
                    package[TOML_LINE],
                    target.platform,
                )
        for dependency in dependencies:
            holds = python_markers.evaluate(dependency.get("marker", ""), environment)
            if type(holds) == "string":
                problems[name] = "%s: %s: %s" % (_where(lock, package), name, holds)
            if holds != True:
                continue
            needed = _find(lock, dependency)
            if type(needed) == "string":
                problems[name] = needed
                continue
            wanted = [normalize_name(extra) for extra in dependency.get("extra", [])]
            queue += [(needed, part) for part in [""] + ["extra:" + extra for extra in wanted]]
            if not own:
                of_part = requires.setdefault(name, {}).setdefault(part.removeprefix("extra:"), [])
                of_part.append([normalize_name(needed["name"]), wanted])
        if not own:
            requires.setdefault(name, {}).setdefault(part.removeprefix("extra:"), [])
    pins = {}
    for name, package in versions.items():
        if name in problems:
            continue
        pin = _pin(lock, package, name, requires[name], target)
        if type(pin) == "string":
            problems[name] = pin
        else:
            pins[name] = pin
    return struct(broken = None, pins = pins, problems = problems)

uv_lock = struct(
    read = _read,
    select = _select,
)
