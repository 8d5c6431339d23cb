"""exec_files: what a target makes for the build machine, for a test to find as the build's own actions do."""

_DOC = """The files of a target in the execution configuration: the same that actions use, so nothing is made twice."""

_ATTRS = {
    "src": attr.label(mandatory = True, cfg = "exec", doc = "The target."),
}

def _impl(ctx):
    files = ctx.attr.src[DefaultInfo].files
    return [DefaultInfo(files = files, runfiles = ctx.runfiles(transitive_files = files))]

exec_files = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC)
