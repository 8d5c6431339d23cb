"""missing_distribution: what a hub has in place of a distribution that cannot be had, which fails when it is asked for."""

def _message(attr):
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
        "platform": attr.string(doc = "The lock's platform."),
        "problem": attr.string(doc = "What is wrong with its pin."),
        "renew": attr.string(mandatory = True, doc = "The command that renews the lock."),
    },
    doc = "Fails at analysis, naming distribution, platform, locks and what to do.",
)
