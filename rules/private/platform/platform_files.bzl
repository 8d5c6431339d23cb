"""platform_files: what a target makes for one platform, whatever `--platforms` says."""

load(":platform_transition.bzl", "PLATFORM_ATTRS", "platform_label", "platform_transition")

_DOC = """The first file of a target, built for the platform of this rule's own attribute and named for this rule."""

_ATTRS = PLATFORM_ATTRS | {
    "src": attr.label(mandatory = True, cfg = platform_transition, doc = "The target."),
}

def _impl(ctx):
    # With a transition, a single-valued attribute is a list of one.
    target = ctx.attr.src[0] if type(ctx.attr.src) == "list" else ctx.attr.src
    source = target[DefaultInfo].files.to_list()[0]

    # A directory of its own keeps the name, which is part of what a wheel is.
    file = ctx.actions.declare_file(ctx.label.name + "/" + source.basename)
    ctx.actions.symlink(output = file, target_file = source)
    return [DefaultInfo(files = depset([file]), runfiles = ctx.runfiles([file]))]

_platform_files = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC)

def platform_files(name, src, platform, **kwargs):
    """The first file of a target, built for one platform.

    Args:
      name: the target's name.
      src: the target.
      platform: label of the platform.
      **kwargs: Bazel's common attributes.
    """
    _platform_files(name = name, platform = platform_label(platform), src = src, **kwargs)
