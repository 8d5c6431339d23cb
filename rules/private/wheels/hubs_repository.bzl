"""hubs_repository: what the hubs of a build hold, for macros, which can name what somebody may have meant."""

HUBS_REPOSITORY = "chassis_hubs"

def _impl(rctx):
    prefix = rctx.name.removesuffix(HUBS_REPOSITORY)
    hubs = {prefix + name: json.decode(text) for name, text in rctx.attr.hubs.items()}
    rctx.file("BUILD.bazel", "exports_files([\"hubs.bzl\"])\n")
    rctx.file("hubs.bzl", '"""Hubs by canonical name: what they are called, their distributions and sets."""\n\nHUBS = %s\n' % repr(hubs))

hubs_repository = repository_rule(
    implementation = _impl,
    attrs = {
        "hubs": attr.string_dict(doc = "A hub's apparent name to JSON: `name`, `names`, `renew` and `sets`."),
    },
    doc = "`@chassis_hubs//:hubs.bzl` has `HUBS`; without bzlmod it is empty.",
)
