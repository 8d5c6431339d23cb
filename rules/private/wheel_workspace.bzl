"""wheel_locks: what a module extension does in one step takes a repository and a macro call in a WORKSPACE."""

load(":wheel_repository.bzl", "CROSS_BUILD_ATTRS")

def _impl(rctx):
    files = []
    for lock, platform in rctx.attr.locks.items():
        files.append("    (struct(name = %r, package = %r), %r, %r),\n" % (lock.name, lock.package, platform, rctx.read(lock)))
    rctx.file("BUILD.bazel", "")
    rctx.file("wheels.bzl", """\
load("@chassis//rules/private:wheel_repository.bzl", "wheel_repositories")

_LOCKS = [
%s]

def wheel_hub():
    texts = {lock: text for lock, _, text in _LOCKS}
    wheel_repositories(%r, {lock: platform for lock, platform, _ in _LOCKS}, lambda lock: texts[lock], build_hub = %r, build_requires = %r, cross_build = %r)
""" % ("".join(files), rctx.attr.hub, rctx.attr.build_hub, rctx.attr.build_requires, rctx.attr.cross_build))

wheel_locks = repository_rule(
    implementation = _impl,
    attrs = CROSS_BUILD_ATTRS | {
        "hub": attr.string(mandatory = True, doc = "The hub's name, such as `pypi`."),
        "locks": attr.label_keyed_string_dict(mandatory = True, doc = "Each lock with its platform, as for the extension."),
    },
    doc = "Reads wheel locks; `load(\"@name//:wheels.bzl\", \"wheel_hub\")` and `wheel_hub()` then make the hub.",
)
