"""on_tools_python: a target as it is for the tools' Python, whatever an image's is."""

load(":python_transition.bzl", "TRANSITION_ATTRS", "tools_python_transition")

def _impl(ctx):
    # With a transition, a single-valued attribute is a list of one.
    actual = ctx.attr.actual[0] if type(ctx.attr.actual) == "list" else ctx.attr.actual
    return [DefaultInfo(files = actual[DefaultInfo].files, runfiles = ctx.runfiles(transitive_files = actual[DefaultInfo].files))]

on_tools_python = rule(
    implementation = _impl,
    attrs = TRANSITION_ATTRS | {
        "actual": attr.label(mandatory = True, cfg = tools_python_transition, doc = "The target."),
    },
    doc = "The files of a target, made for the tools' Python: for tests in which that loads a model.",
)
