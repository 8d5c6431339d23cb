"""python_toolchain: a Python runtime that says its minor version, whatever the rules_python beside it."""

load("@rules_python//python:py_runtime_info.bzl", "PyRuntimeInfo")

_DOC = """A toolchain for rules_python's own toolchain type.

It is `py_runtime_pair` with the version: `py_runtime` has an attribute for that in newer versions of rules_python only.
"""

_ATTRS = {
    "python_version": attr.string(mandatory = True, doc = "The minor version, such as `3.11`."),
    "runtime": attr.label(mandatory = True, providers = [PyRuntimeInfo], doc = "The `py_runtime`."),
}

def _impl(ctx):
    return [platform_common.ToolchainInfo(
        py2_runtime = None,
        py3_runtime = ctx.attr.runtime[PyRuntimeInfo],
        python_version = ctx.attr.python_version,
    )]

python_toolchain = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC)

def toolchain_python_version(toolchain):
    """The minor version of a toolchain's Python, such as `3.11`; None where there is none or it does not say."""
    if not toolchain:
        return None
    said = getattr(toolchain, "python_version", None)
    if said:
        return said
    info = getattr(toolchain.py3_runtime, "interpreter_version_info", None)
    major = getattr(info, "major", None)
    minor = getattr(info, "minor", None)
    return "%s.%s" % (major, minor) if major and minor else None
