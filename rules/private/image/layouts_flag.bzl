"""layouts_flag: whether a build leaves whole layouts of images, or their documents."""

LayoutsFlagInfo = provider(
    doc = "What `//rules:layouts` says.",
    fields = {"whole": "bool: whether the files of an image's target are its whole layout."},
)

_DOC = """A flag of the command line, `--@chassis//rules:layouts=false`.

Bazel brings every input of an action that runs here to this machine, and a layout has to be linked here to layers that
are here. So if nobody wants the layouts, as in a check before merging with `--remote_download_minimal`, this leaves
them out: an image's target then makes index, manifest and configuration, for which only descriptors are read.
"""

def _impl(ctx):
    return [LayoutsFlagInfo(whole = ctx.build_setting_value)]

layouts_flag = rule(
    implementation = _impl,
    build_setting = config.bool(flag = True),
    doc = _DOC,
)

# For rules whose output is a layout.
LAYOUTS_ATTRS = {
    "_layouts": attr.label(default = "//rules:layouts", providers = [LayoutsFlagInfo]),
}

def layout_files(ctx, documents, layout):
    """The files of a target that is an image: a depset of its layout, or of its documents if the flag says so."""
    return depset([layout if ctx.attr._layouts[LayoutsFlagInfo].whole else documents])

def layout_runfiles(ctx, files):
    """The runfiles of such a target: a depset that its layout is in, or nothing. Bazel makes what is in there, too."""
    return ctx.runfiles(transitive_files = files if ctx.attr._layouts[LayoutsFlagInfo].whole else depset())
