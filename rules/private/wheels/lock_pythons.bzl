"""The Pythons that a lock is for: as the hub says, or its own first line."""

load("//rules/private/declaration:declared.bzl", "PYTHONS")
load("//rules/private/locks:lock_target.bzl", "LOCK_PLATFORMS", "LOCK_VARIANTS", "lock_variant")

def _variants(platforms, pythons, read, named):
    """The platforms with their Pythons that a lock is for, see `pythons` of HUB_ATTRS; `named` have a lock by that name."""
    given = [version for version, (_, _, suite) in PYTHONS.items() if suite]
    pythons = pythons or ([read.python] if read.python in PYTHONS else given)
    found = {}
    for platform in platforms:
        if platform not in LOCK_PLATFORMS:
            found[platform] = None
            continue
        for python in pythons:
            if lock_variant(platform, python) not in named:
                found[lock_variant(platform, python)] = None
    return found.keys()

def _of_another_python(read, variant, pythons, named):
    """What is wrong if `locks` takes a lock for another Python than its header names, and `pythons` does not say so too; or None."""
    minor = LOCK_VARIANTS[variant].minor
    if variant not in named or minor in pythons or read.python in ("", minor):
        return None
    return ("%s was made for Python %s, as its first line says, and the hub takes it for Python %s: name it for %s in the hub's `locks` " +
            "and give the image python = %r; or make a lock for %s: name %s in `platforms` of the wheel_locks; or, if this one holds " +
            "for %s too, name %s in `pythons` of the hub, beside the others that its locks are for") % (
        read.file,
        read.python,
        minor,
        lock_variant(LOCK_VARIANTS[variant].platform, read.python),
        read.python,
        minor,
        variant,
        minor,
        minor,
    )

lock_pythons = struct(
    of_another = _of_another_python,
    variants = _variants,
)
