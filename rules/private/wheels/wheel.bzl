"""wheel: one `.whl` of a lock, and the same unpacked for programs of the build."""

load("@rules_python//python:py_info.bzl", "PyInfo")
load("//rules/private/platform:requirements_transition.bzl", "TRANSITION_ATTRS", "no_requirements_transition")
load("//rules/private/tools:runfiles.bzl", "runfiles_path")
load("//rules/providers:wheel_info.bzl", "DistributionInfo", "WheelInfo")

_DOC = """One wheel of a lock. Made by the wheel repositories, not by hand.

The layer of an image is made from the `.whl` by the aspect of packaging.bzl; only a program of the build, such as the
pickler, asks for the unpacked directory.
"""

# What a rule needs that calls `wheel_providers`.
UNPACK_ATTRS = {
    "_unpack": attr.label(default = "//chassis/tools:unpack_wheel", cfg = "exec", executable = True),
}

_ATTRS = TRANSITION_ATTRS | UNPACK_ATTRS | {
    "distribution": attr.string(mandatory = True, doc = "The normalised name (PEP 503)."),
    "lock": attr.string(mandatory = True, doc = "Where it is pinned: lock and line."),
    "size": attr.int(doc = "The wheel's size in bytes, 0 if it is not known."),
    "src": attr.label(mandatory = True, allow_single_file = [".whl"], doc = "The wheel."),
    "version": attr.string(mandatory = True, doc = "The version."),
    "without": attr.string_list(doc = "Distributions that its metadata requires and the hub leaves out."),
}

def _site_packages(ctx, file, distribution, version, bytecode = False):
    directory = ctx.actions.declare_directory(distribution + (".bytecode" if bytecode else "") + ".site-packages")
    args = ctx.actions.args()
    if bytecode:
        args.add("--bytecode")
    args.add(file, format = "--wheel=%s")
    args.add_all([directory], format_each = "--output=%s", expand_directories = False)
    ctx.actions.run(
        executable = ctx.executable._unpack,
        arguments = [args],
        inputs = [file],
        outputs = [directory],
        mnemonic = "UnpackWheel",
        progress_message = "Unpacking wheel %s %s" % (distribution, version),
    )
    return directory

def wheel_providers(ctx, file, distribution, version, lock, size = 0, without = []):
    """What a rule returns that stands for one wheel; it has `UNPACK_ATTRS`.

    Args:
      ctx: the rule's context.
      file: the wheel, a File.
      distribution: its normalised name.
      version: its version.
      lock: where it comes from, see WheelInfo.
      size: in bytes, 0 if it is not known before the build.
      without: what it requires and goes without.

    Returns:
      A list of providers.
    """
    info = WheelInfo(
        distribution = distribution,
        lock = lock,
        site_packages = _site_packages(ctx, file, distribution, version),
        size = size,
        version = version,
        wheel = file,
        without = without,
    )
    return [
        DefaultInfo(files = depset([file])),
        OutputGroupInfo(
            build_site_packages = depset([_site_packages(ctx, file, distribution, version, bytecode = True)]),
            site_packages = depset([info.site_packages]),
        ),
        info,
        DistributionInfo(wheels = depset([info])),
        PyInfo(
            imports = depset([runfiles_path(ctx, info.site_packages)]),
            transitive_sources = depset([info.site_packages]),
        ),
    ]

def _impl(ctx):
    return wheel_providers(
        ctx,
        ctx.file.src,
        ctx.attr.distribution,
        ctx.attr.version,
        ctx.attr.lock,
        ctx.attr.size,
        ctx.attr.without,
    )

wheel = rule(
    implementation = _impl,
    attrs = _ATTRS,
    cfg = no_requirements_transition,
    doc = _DOC,
    provides = [WheelInfo, DistributionInfo, PyInfo],
)
