"""What wheels are locked for: the platforms of wheel locks, the Python and the glibc of images, and what follows from them."""

load("//rules/private/declaration:declared.bzl", "DEFAULT_PYTHON", "LOCKS", "MARKERS", "OLDER_TAGS", "OLDEST_GLIBC", "PYTHONS")

# The platforms that locks and hubs know. `machine` is the CPU by its name in wheel tags and markers, `accelerator` the value
# of the constraint //platforms/accelerator.
LOCK_PLATFORMS = {
    lock: struct(accelerator = accelerator, machine = machine)
    for lock, (accelerator, machine) in LOCKS.items()
}

def lock_variant(platform, minor):
    """The name of a platform with one of the Pythons: `linux_amd64_py313`; the platform's own for the default Python."""
    return platform if minor == DEFAULT_PYTHON else "%s_py%s" % (platform, minor.replace(".", ""))

# Every platform with every Python, by that name: what `LOCK_PLATFORMS` says, with the version of the image's `python` and its
# `glibc`, the `minor` version and the `platform`.
LOCK_VARIANTS = {
    lock_variant(platform, minor): struct(
        accelerator = known.accelerator,
        glibc = glibc,
        machine = known.machine,
        minor = minor,
        platform = platform,
        python = python,
    )
    for platform, known in LOCK_PLATFORMS.items()
    for minor, (python, glibc, _) in PYTHONS.items()
}

def _markers(machine, python):
    """The variables of markers as they are in the image."""
    return MARKERS | {
        "implementation_version": python,
        "platform_machine": machine,
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
    }

def _environment(machine, python, extras = [], groups = []):
    """The variables of markers when extras and groups are asked for, see python_markers.bzl."""
    return _markers(machine, python) | {
        "dependency_groups": groups,
        "extra": extras,
        "extras": extras,
    }

def _platform_tags(machine, glibc):
    tags = []
    for minor in range(int(glibc.split(".")[1]), OLDEST_GLIBC[machine] - 1, -1):
        tags.append("manylinux_2_%d_%s" % (minor, machine))
        if minor in OLDER_TAGS:
            tags.append("%s_%s" % (OLDER_TAGS[minor], machine))
    return tags + ["linux_" + machine]

def _tag_ranks(machine, python, glibc):
    """Every tag of a wheel that runs on the target, to its rank: 0 is the most specific, as packaging.tags orders them."""
    major, minor = [int(part) for part in python.split(".")[:2]]
    platforms = _platform_tags(machine, glibc)
    interpreter = "cp%d%d" % (major, minor)
    older = range(minor - 1, -1, -1)
    tags = []
    for abi in (interpreter, "abi3", "none"):
        tags += ["%s-%s-%s" % (interpreter, abi, platform) for platform in platforms]
    for lower in range(minor - 1, 1, -1):
        tags += ["cp%d%d-abi3-%s" % (major, lower, platform) for platform in platforms]
    versions = ["py%d%d" % (major, minor), "py%d" % major] + ["py%d%d" % (major, lower) for lower in older]
    for version in versions:
        tags += ["%s-none-%s" % (version, platform) for platform in platforms]
    tags += [interpreter + "-none-any"] + [version + "-none-any" for version in versions]
    return {tag: rank for rank, tag in enumerate(tags)}

def lock_target(variant):
    """What a lock is read for.

    Args:
      variant: one of `LOCK_VARIANTS`.

    Returns:
      A struct with `platform`, `accelerator`, `machine`, `python`, `glibc`, `environment` (a function from the lists of extras
      and of groups that are asked for to the variables of markers), `markers` (those variables without extras and groups),
      `platform_tags` (of wheels, the most specific first) and `tag_ranks`.
    """
    known = LOCK_VARIANTS[variant]
    return struct(
        accelerator = known.accelerator,
        environment = lambda extras = [], groups = []: _environment(known.machine, known.python, extras, groups),
        glibc = known.glibc,
        machine = known.machine,
        markers = _markers(known.machine, known.python),
        platform = known.platform,
        platform_tags = _platform_tags(known.machine, known.glibc),
        python = known.python,
        tag_ranks = _tag_ranks(known.machine, known.python, known.glibc),
    )
