"""debian_base: a base image put together from pinned Debian packages."""

load("//rules/providers:image_info.bzl", "BaseInfo")
load(":layer.bzl", "layer_action")
load(":layer_flags.bzl", "LAYER_ATTRS")

_DOC = """A base image from Debian packages: no package is installed, no script of theirs runs.

What the scripts would have made is made by the build: users (root, nobody, nonroot with id 65532), the certificate
bundle, `/tmp`, the links of a merged `/usr`, and an entry of each package in `/var/lib/dpkg/status.d` for scanners.
"""

_ATTRS = LAYER_ATTRS | {
    "architecture": attr.string(mandatory = True, values = ["amd64", "arm64"], doc = "What the packages are built for."),
    "env": attr.string_dict(doc = "Environment that the base sets."),
    "packages": attr.label(mandatory = True, allow_files = [".deb"], doc = "The packages, such as `@my_lock//:packages`."),
    "python_version": attr.string(default = "3.11", doc = "Minor version of the Python among them."),
    "_base_layer": attr.label(default = "//chassis/tools:base_layer", cfg = "exec", executable = True),
}

def _impl(ctx):
    args = ctx.actions.args()
    args.add("--architecture=" + ctx.attr.architecture)
    args.add("--python_version=" + ctx.attr.python_version)
    args.add_all(ctx.files.packages, format_each = "--deb=%s")
    layer = layer_action(
        ctx,
        ctx.label.name,
        ctx.attr._base_layer[DefaultInfo].files_to_run,
        args,
        ctx.files.packages,
        "base " + ctx.label.name,
        "BaseLayer",
    )
    return [
        DefaultInfo(files = depset([layer.blob, layer.descriptor])),
        BaseInfo(
            architecture = ctx.attr.architecture,
            env = ctx.attr.env,
            layers = [layer],
            python_version = ctx.attr.python_version,
        ),
    ]

debian_base = rule(
    implementation = _impl,
    attrs = _ATTRS,
    doc = _DOC,
    provides = [BaseInfo],
)
