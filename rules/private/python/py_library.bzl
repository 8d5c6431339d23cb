"""py_library: Chassis' own Python sources, as targets that need no Python."""

load("@rules_python//python:py_info.bzl", "PyInfo")

_DOC = """Python sources with what they import, for programs and images of this repository.

rules_python's own, of version 1.0 and later, asks for a Python of the target platform, even if nothing runs there: an image for
another CPU would then fetch that CPU's CPython. Users write rules_python's; both go into `deps` of either.
"""

_ATTRS = {
    "data": attr.label_list(allow_files = True, doc = "Files that the sources find in their runfiles."),
    "deps": attr.label_list(providers = [PyInfo], doc = "What the sources import."),
    "imports": attr.string_list(doc = "Directories of this package to import from, beside the root."),
    "srcs": attr.label_list(allow_files = [".py"], doc = "The sources."),
}

def _import_root(ctx, directory):
    parts = [ctx.label.repo_name or ctx.workspace_name, ctx.label.package, directory]
    return "/".join([part for part in parts if part not in ["", "."]])

def _impl(ctx):
    sources = depset(ctx.files.srcs, transitive = [dep[PyInfo].transitive_sources for dep in ctx.attr.deps])
    runfiles = ctx.runfiles(ctx.files.srcs + ctx.files.data).merge_all(
        [target[DefaultInfo].default_runfiles for target in ctx.attr.srcs + ctx.attr.data + ctx.attr.deps],
    )
    return [
        DefaultInfo(files = depset(ctx.files.srcs), runfiles = runfiles),
        PyInfo(
            imports = depset(
                [_import_root(ctx, directory) for directory in ctx.attr.imports],
                transitive = [dep[PyInfo].imports for dep in ctx.attr.deps],
            ),
            transitive_sources = sources,
        ),
    ]

py_library = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, provides = [PyInfo])
