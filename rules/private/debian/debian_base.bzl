"""debian_base: a base image put together from pinned Debian packages."""

load("//rules/private/image:layer.bzl", "layers_action")
load("//rules/private/image:layer_flags.bzl", "LAYER_ATTRS")
load("//rules/private/image:package_record.bzl", "RECORD_ATTRS", "package_record")
load("//rules/private/python:image_python.bzl", "python_of")
load("//rules/private/python:python_transition.bzl", "TRANSITION_ATTRS", "python_version_transition")
load("//rules/private/tools:names.bzl", "names")
load("//rules/providers:image_info.bzl", "BaseInfo")

_DOC = """A base image from Debian packages: no package is installed, no script of theirs runs.

What the scripts would have made is made by the build: users (root, nobody, nonroot with id 65532), the certificate
bundle, `/tmp`, the links of a merged `/usr`, the alternatives that scripts spell out, the loader's cache if libraries lie
outside its own directories, the bytecode of Python's modules, and an entry of each package in `/var/lib/dpkg/status.d` for
scanners.
"""

_ATTRS = LAYER_ATTRS | RECORD_ATTRS | TRANSITION_ATTRS | {
    "architecture": attr.string(mandatory = True, values = ["amd64", "arm64"], doc = "What the packages are built for."),
    "env": attr.string_dict(doc = "Environment that the base sets."),
    "layers": attr.string_list_dict(
        doc = """Layers to make beside that of all packages: name to packages, such as `{"renewed": ["libssl3", "tzdata"]}`.

        The packages that none names are the lowest layer, these are above in their order, and what the build makes of all of
        them, such as users and links, is the highest. A new release of a package then re-makes the layer that it is in and
        the last. Without, all is in one layer.""",
    ),
    "packages": attr.label(mandatory = True, allow_files = [".deb"], doc = "The packages, such as `@my_lock//:packages`."),
    "python_version": attr.string(doc = "Minor version of the Python among them; that of the images that are built if it is left out."),
    "_base_layer": attr.label(default = "//chassis/tools:base_layer", cfg = "exec", executable = True),
}

def _check_packages(ctx, version):
    """Fails if the packages are of another Python: the image would have none that starts."""
    found = [
        file.basename.removeprefix("python").removesuffix("-minimal.deb")
        for file in ctx.files.packages
        if file.basename.startswith("python3.") and file.basename.endswith("-minimal.deb")
    ]
    if found and version not in found:
        fail("\n%s: its packages have Python %s, and its Python is to be %s, %s\nWrite python_version = \"%s\", or take packages with Python %s." % (
            ctx.label,
            " and ".join(found),
            version,
            "as `python_version` says" if ctx.attr.python_version else "that of the images that are built",
            found[0],
            version,
        ))

def _impl(ctx):
    python = python_of(ctx)
    if ctx.attr.python_version not in ["", python.version]:
        fail("\n%s: it has Python %s, and the platform's //platforms/python says %s\nTake a platform that says %s or nothing, or packages with Python %s." % (
            ctx.label,
            ctx.attr.python_version,
            python.version,
            ctx.attr.python_version,
            python.version,
        ))
    _check_packages(ctx, python.version)
    args = ctx.actions.args()
    args.add("--architecture=" + ctx.attr.architecture)
    args.add_all(ctx.files.packages, format_each = "--deb=%s")
    for group, members in ctx.attr.layers.items():
        args.add("--layer=%s=%s" % (group, ",".join(members)))
    parts = [ctx.label.name]
    if ctx.attr.layers:
        parts += ["%s.%s" % (ctx.label.name, group) for group in ctx.attr.layers] + [ctx.label.name + ".generated"]
    layers = layers_action(
        ctx,
        parts,
        ["base " + part for part in parts],
        ctx.attr._base_layer[DefaultInfo].files_to_run,
        args,
        ctx.files.packages,
        "BaseLayer",
    )
    return [
        DefaultInfo(files = depset([file for layer in layers for file in [layer.blob, layer.descriptor]])),
        BaseInfo(
            architecture = ctx.attr.architecture,
            env = ctx.attr.env,
            layers = layers,
            python_version = python.version,
            record = package_record(ctx, ctx.label.name, "deb", ctx.files.packages, "base " + ctx.label.name, lock = names.label_for_people(ctx.attr.packages.label)),
        ),
    ]

debian_base = rule(
    implementation = _impl,
    attrs = _ATTRS,
    cfg = python_version_transition,
    doc = _DOC,
    provides = [BaseInfo],
)
