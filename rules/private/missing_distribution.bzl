"""missing_distribution: stands in a hub where one platform's lock lacks a distribution that another's has."""

def _impl(ctx):
    fail("\n%s is not locked for %s\n  it is missing in %s\n  it stands in %s\n  add it to the requirements of that platform and run: bazel run //requirements:update" % (
        ctx.attr.distribution,
        ctx.attr.platform,
        ctx.attr.lock,
        "; ".join(ctx.attr.found_in),
    ))

missing_distribution = rule(
    implementation = _impl,
    attrs = {
        "distribution": attr.string(mandatory = True, doc = "What is missing."),
        "found_in": attr.string_list(mandatory = True, doc = "The locks and lines that have it."),
        "lock": attr.string(mandatory = True, doc = "The lock that lacks it."),
        "platform": attr.string(mandatory = True, doc = "The lock's platform."),
    },
    doc = "Fails at analysis, naming distribution, platform and locks.",
)
