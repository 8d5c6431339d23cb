"""wheel: one `.whl` of a lock, and the same unpacked for programs of the build."""

load("@rules_python//python:py_info.bzl", "PyInfo")
load("//rules/providers:wheel_info.bzl", "DistributionInfo", "WheelInfo")
load(":runfiles.bzl", "runfiles_path")

_DOC = """One wheel of a lock. Made by the wheel repositories, not by hand.

The layer of an image is made from the `.whl` by the aspect of packaging.bzl; only a program of the build, such as the
pickler, asks for the unpacked directory.
"""

_ATTRS = {
    "distribution": attr.string(mandatory = True, doc = "The normalised name (PEP 503)."),
    "lock": attr.string(mandatory = True, doc = "Where it is pinned: lock and line."),
    "size": attr.int(doc = "The wheel's size in bytes, 0 where it is not known."),
    "src": attr.label(mandatory = True, allow_single_file = [".whl"], doc = "The wheel."),
    "version": attr.string(mandatory = True, doc = "The version."),
    "_unpack": attr.label(default = "//chassis/tools:unpack_wheel", cfg = "exec", executable = True),
}

def _site_packages(ctx):
    directory = ctx.actions.declare_directory(ctx.attr.distribution + ".site-packages")
    args = ctx.actions.args()
    args.add(ctx.file.src, format = "--wheel=%s")
    args.add_all([directory], format_each = "--output=%s", expand_directories = False)
    ctx.actions.run(
        executable = ctx.executable._unpack,
        arguments = [args],
        inputs = [ctx.file.src],
        outputs = [directory],
        mnemonic = "UnpackWheel",
        progress_message = "Unpacking wheel %s %s" % (ctx.attr.distribution, ctx.attr.version),
    )
    return directory

def _impl(ctx):
    info = WheelInfo(
        distribution = ctx.attr.distribution,
        lock = ctx.attr.lock,
        site_packages = _site_packages(ctx),
        size = ctx.attr.size,
        version = ctx.attr.version,
        wheel = ctx.file.src,
    )
    return [
        DefaultInfo(files = depset([ctx.file.src])),
        OutputGroupInfo(
            site_packages = depset([info.site_packages]),
        ),
        info,
        DistributionInfo(wheels = depset([info])),
        PyInfo(
            imports = depset([runfiles_path(ctx, info.site_packages)]),
            transitive_sources = depset([info.site_packages]),
        ),
    ]

wheel = rule(
    implementation = _impl,
    attrs = _ATTRS,
    doc = _DOC,
    provides = [WheelInfo, DistributionInfo, PyInfo],
)
