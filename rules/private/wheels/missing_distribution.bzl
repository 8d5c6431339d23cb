"""missing_distribution: what a hub has in place of a distribution that cannot be had, which fails when it is asked for."""

load("//rules/private/declaration:declared.bzl", "IMPORT_NAMES")
load("//rules/private/locks:lock_target.bzl", "lock_variant")

def _of_other_pythons(attr):
    return """%s is not locked for Python %s on %s: what @%s has there is for Python %s
  give the image that Python, python = %r, or lock for %s too: add %s to the platforms of the locks, run %s, and name the lock in the hub
  a lock that holds for both: take it for %s, without a version, and name both in `pythons` of the hub""" % (
        attr.distribution,
        attr.python,
        attr.platform,
        attr.hub,
        " and ".join(attr.locked_pythons),
        attr.locked_pythons[-1],
        attr.python,
        lock_variant(attr.platform, attr.python),
        attr.renew,
        attr.platform,
    )

def _message(attr):
    if attr.locked_pythons:
        return _of_other_pythons(attr)
    if attr.import_of:
        names = " or ".join(attr.import_of)
        if attr.locked:
            return "%s is what Python imports; its distribution is %s\n  write: %s" % (
                attr.distribution,
                names,
                " or ".join(["@%s//%s" % (attr.hub, name) for name in attr.import_of]),
            )
        return "%s is what Python imports; its distribution is %s, which no lock of @%s has\n  add it to the requirements and run: %s" % (
            attr.distribution,
            names,
            attr.hub,
            attr.renew,
        )
    if attr.requirements:
        return "%s is not in the set %s of @%s; it is in %s\n  add it to the requirements of %s and run: %s" % (
            attr.distribution,
            attr.requirements,
            attr.hub,
            ", ".join(attr.sets),
            attr.requirements,
            attr.renew,
        )
    if attr.problem:
        return "%s cannot be had for %s\n  %s\n  renew the lock: %s" % (attr.distribution, attr.platform, attr.problem, attr.renew)
    lines = [
        "%s is not locked for %s" % (attr.distribution, attr.platform),
        "it is missing in %s" % attr.lock,
    ]
    if attr.found_in:
        lines.append("it is in %s" % "; ".join(attr.found_in))
    elif attr.listed:
        lines[1] = "%s has it, but not for this platform: its marker does not hold, or it belongs to an extra or group that the hub does not name" % attr.lock
    return "\n  ".join(lines + ["add it to the requirements of that platform and run: %s" % attr.renew])

def _impl(ctx):
    fail("\n" + _message(ctx.attr))

missing_distribution = rule(
    implementation = _impl,
    attrs = {
        "distribution": attr.string(mandatory = True, doc = "What is asked for."),
        "found_in": attr.string_list(doc = "The locks and lines that have it."),
        "hub": attr.string(doc = "The hub's name."),
        "import_of": attr.string_list(doc = "The distributions that bring it, if it is the name of an import."),
        "listed": attr.bool(doc = "Whether the lock has it, for other targets."),
        "lock": attr.string(doc = "The lock that lacks it."),
        "locked": attr.bool(doc = "Whether the hub has those of `import_of`."),
        "locked_pythons": attr.string_list(doc = "The versions of Python that the hub has locks of the platform for, if `python` is not one."),
        "platform": attr.string(doc = "The lock's platform."),
        "problem": attr.string(doc = "What is wrong with its pin."),
        "python": attr.string(doc = "The version of Python that no lock of the platform is for."),
        "renew": attr.string(mandatory = True, doc = "The command that renews the lock."),
        "requirements": attr.string(doc = "The set of requirements that lacks it."),
        "sets": attr.string_list(doc = "The sets that have it."),
    },
    doc = "Fails at analysis, naming distribution, platform, locks and what to do.",
)

# What a BUILD file with such targets begins with.
_HEAD = """\
load("@chassis//rules/private/wheels:missing_distribution.bzl", "missing_distribution")

package(default_visibility = ["//visibility:public"])

"""

def _target(name, distribution, attributes):
    """The text of a target, which `bazel build @hub//...` passes over."""
    attributes = attributes | {"distribution": distribution, "tags": ["manual"]}
    lines = ["    %s = %r,\n" % (key, value) for key, value in sorted(attributes.items())]
    return "missing_distribution(\n    name = %r,\n%s)\n" % (name, "".join(lines))

missing_distribution_build = struct(
    head = _HEAD,
    target = _target,
)

def import_packages(rctx, everywhere, renew):
    """Writes a hub's packages that only say which distribution brings an import.

    Args:
      rctx: the repository's context; its attribute `shown` is what people write for the hub.
      everywhere: the distributions that the hub has.
      renew: the command that renews its lock.
    """
    for imported, distributions in IMPORT_NAMES.items():
        if imported.replace("_", "-") in everywhere:
            continue
        here = [name for name in distributions if name in everywhere]
        rctx.file(imported + "/BUILD.bazel", _HEAD + _target(imported, imported, {
            "hub": rctx.attr.shown,
            "import_of": here or distributions,
            "locked": bool(here),
            "renew": renew,
        }))
