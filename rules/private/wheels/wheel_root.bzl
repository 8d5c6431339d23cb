"""wheel_root: a locked wheel's files as one directory, for a program that a build runs as it is."""

load("//rules/private/tools:repository_process.bzl", "make_modes_plain")
load(":wheel_repository.bzl", "file_repository_name")

WHEEL_ROOT_ATTRS = {
    "distribution": attr.string(mandatory = True, doc = "The normalised name in the lock."),
    "hub": attr.string(mandatory = True, doc = "The hub that has the lock."),
    "keep": attr.string_list_dict(doc = "Directories below the root, and what to keep of each: the rest of it only takes room."),
    "platform": attr.string(mandatory = True, doc = "The lock's platform, such as `linux_amd64`."),
    "strip_prefix": attr.string(doc = "The directory of the wheel to take."),
}

def _impl(rctx):
    attr = rctx.attr
    prefix = rctx.name.removesuffix(attr.own_name)
    source = Label("@@%s//:metadata.json" % (prefix + file_repository_name(attr.hub, attr.platform, attr.distribution)))
    metadata = rctx.path(source)
    wheel = metadata.dirname.get_child(json.decode(rctx.read(metadata))["file"])
    rctx.symlink(wheel, "wheel.zip")
    rctx.extract("wheel.zip", output = "root", stripPrefix = attr.strip_prefix)
    rctx.delete("wheel.zip")
    for directory, kept in attr.keep.items():
        _keep(rctx, directory, kept)
    rctx.file("BUILD.bazel", """\
package(default_visibility = ["//visibility:public"])

# One directory, one input: a sandbox links it as a whole.
filegroup(
    name = "files",
    srcs = ["root"],
)
""")
    make_modes_plain(rctx)

def _keep(rctx, directory, kept):
    """Removes from a directory of the root what is not among `kept`."""
    found = {path.basename: path for path in rctx.path("root/" + directory).readdir()}
    missing = [name for name in kept if name not in found]
    if missing:
        fail("%s of %s has no %s: look at what it has now, and change keep" %
             (directory, rctx.attr.distribution, ", ".join(missing)))
    for name, path in found.items():
        if name not in kept:
            rctx.delete(path)

wheel_root = repository_rule(
    implementation = _impl,
    attrs = WHEEL_ROOT_ATTRS | {
        "own_name": attr.string(mandatory = True, doc = "The repository's apparent name."),
    },
    doc = "A wheel of a hub, unpacked when the first target asks for it, as `//:files`.",
)
