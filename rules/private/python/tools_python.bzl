"""tools_python: the Python that runs the tools of the build, theirs alone."""

load("//rules/providers:tool_python_info.bzl", "ToolPythonInfo")

_DOC = """The Python that tools are started with: pinned, the same for everybody, and not a toolchain.

A toolchain would be the workspace's to choose, or would be chosen for the workspace's own programs.
"""

_ATTRS = {
    "files": attr.label_list(allow_files = True, doc = "What the interpreter reads."),
    "interpreter": attr.label(mandatory = True, allow_single_file = True, doc = "The program."),
    "python_version": attr.string(mandatory = True, doc = "The minor version, such as `3.11`."),
}

def _impl(ctx):
    return [
        DefaultInfo(files = depset([ctx.file.interpreter])),
        ToolPythonInfo(
            files = depset([ctx.file.interpreter] + ctx.files.files),
            interpreter = ctx.file.interpreter,
            python_version = ctx.attr.python_version,
        ),
    ]

tools_python = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, provides = [ToolPythonInfo])
