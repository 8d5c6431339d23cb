"""An image as the command line's flags make it."""

load("//rules:defs.bzl", "ImageInfo")

_FLAGS = {
    "bytecode": attr.bool(default = True),
    "chunk_size": attr.int(),
    "compression": attr.string(default = "estargz"),
    "layouts": attr.bool(default = True),
}

def _with_flags_impl(_settings, attr):
    return {"//rules:" + flag: getattr(attr, flag) for flag in _FLAGS}

_with_flags = transition(
    implementation = _with_flags_impl,
    inputs = [],
    outputs = ["//rules:" + flag for flag in _FLAGS],
)

def _impl(ctx):
    (files,) = ctx.attr.image[0][DefaultInfo].files.to_list()

    # A name of its own: the same image with other flags has the same path in a runfiles tree.
    directory = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.symlink(output = directory, target_file = files)
    return [DefaultInfo(files = depset([directory]), runfiles = ctx.runfiles([directory]))]

_flagged_image = rule(
    implementation = _impl,
    attrs = _FLAGS | {
        "image": attr.label(mandatory = True, providers = [ImageInfo], cfg = _with_flags, doc = "The image."),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    },
    doc = "The files of an image's target, built with flags as `--@chassis//rules:NAME` gives them.",
)

def flagged_images(flags, image, **kwargs):
    """An image, several times.

    Args:
      flags: target's name to the flags that are not as they are by default.
      image: its label.
      **kwargs: Bazel's common attributes.
    """
    for name, values in flags.items():
        _flagged_image(name = name, image = image, **(kwargs | values))
