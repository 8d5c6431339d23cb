"""wheel_locks: what a module extension does in one step takes a repository and a macro call in a WORKSPACE."""

load("//rules/private/locks:lock_source.bzl", "lock_source")
load(":hub_attrs.bzl", "HUB_ATTRS", "hub_locks")

# What says where locks are, which are read here.
_LOCKS = ["lock", "locks", "platforms", "sets"]

def _impl(rctx):
    attr = rctx.attr
    sets = []
    for name, locks in hub_locks(attr, attr.hub).items():
        sources = []
        for label, platforms in locks:
            source = lock_source(rctx, label)
            sources.append("        (struct(file = %r, texts = %r), %r),\n" % (source.file, source.texts, platforms))
        sets.append("    %r: [\n%s    ],\n" % (name, "".join(sources)))
    options = ["    %s = %r,\n" % (name, getattr(attr, name)) for name in sorted(HUB_ATTRS) if name not in _LOCKS]
    rctx.file("BUILD.bazel", "")
    rctx.file("wheels.bzl", """\
load("@chassis//rules/private/wheels:wheel_sets.bzl", "wheel_sets")

_SETS = {
%s}

_OPTIONS = struct(
%s)

def wheel_hub():
    wheel_sets(%r, _SETS, _OPTIONS)
""" % ("".join(sets), "".join(options), attr.hub))

wheel_locks = repository_rule(
    implementation = _impl,
    attrs = HUB_ATTRS | {
        "hub": attr.string(mandatory = True, doc = "The hub's name, such as `pypi`."),
    },
    doc = "Reads wheel locks; `load(\"@name//:wheels.bzl\", \"wheel_hub\")` and `wheel_hub()` then make the hub.",
)
