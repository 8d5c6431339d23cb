"""wheel_locks: what a module extension does in one step takes a repository and a macro call in a WORKSPACE."""

load("//rules/private/locks:lock_source.bzl", "lock_source")
load(":wheel_hub.bzl", "HUB_ATTRS", "hub_locks")

# What says where locks are, which are read here.
_LOCKS = ["lock", "locks", "platforms"]

def _impl(rctx):
    attr = rctx.attr
    sources = []
    for label, platforms in hub_locks(attr, attr.hub):
        source = lock_source(rctx, label)
        sources.append("    (struct(file = %r, texts = %r), %r),\n" % (source.file, source.texts, platforms))
    options = ["    %s = %r,\n" % (name, getattr(attr, name)) for name in sorted(HUB_ATTRS) if name not in _LOCKS]
    rctx.file("BUILD.bazel", "")
    rctx.file("wheels.bzl", """\
load("@chassis//rules/private/wheels:wheel_hub.bzl", "wheel_repositories")

_SOURCES = [
%s]

_OPTIONS = struct(
%s)

def wheel_hub():
    wheel_repositories(%r, _SOURCES, _OPTIONS)
""" % ("".join(sources), "".join(options), attr.hub))

wheel_locks = repository_rule(
    implementation = _impl,
    attrs = HUB_ATTRS | {
        "hub": attr.string(mandatory = True, doc = "The hub's name, such as `pypi`."),
    },
    doc = "Reads wheel locks; `load(\"@name//:wheels.bzl\", \"wheel_hub\")` and `wheel_hub()` then make the hub.",
)
