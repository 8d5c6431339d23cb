"""zig_runtime: what zig links into programs for one target, built from the sources that come with it."""

load("//rules/private/python:python_transition.bzl", "TRANSITION_ATTRS", "tools_python_transition")
load("//rules/private/tools:root_runfiles.bzl", "path_in_runfiles")
load("//rules/providers:compiler_info.bzl", "CompilerInfo")

_DOC = """A C and C++ compiler for one CPU and glibc.

Zig compiles libc++, compiler-rt and the stubs of glibc for each target from source: the better part of a minute, in
this one action, so that no compilation needs a cache beside its inputs.
"""

_ATTRS = {
    "architecture": attr.string(mandatory = True, values = ["amd64", "arm64"], doc = "The target's CPU."),
    "glibc": attr.string(mandatory = True, doc = "The oldest glibc to run on, such as `2.28`."),
    "_tool": attr.label(default = "//chassis/tools:zig_runtime", cfg = "exec", executable = True),
    "_zig": attr.label(default = "//platforms/build_machine:zig", allow_files = True, cfg = "exec"),
    "_zig_runfiles": attr.label(default = "//platforms/zig:root", cfg = "exec", executable = True),
}

def _impl(ctx):
    runtime = ctx.actions.declare_directory(ctx.label.name)
    root = ctx.files._zig[0]
    args = ctx.actions.args()
    zig = ctx.attr._zig_runfiles[DefaultInfo].files_to_run
    args.add("--zig=" + path_in_runfiles(ctx, zig, root))
    args.add("--architecture=" + ctx.attr.architecture)
    args.add("--glibc=" + ctx.attr.glibc)
    args.add_all([runtime], format_each = "--output=%s", expand_directories = False)
    ctx.actions.run(
        executable = ctx.executable._tool,
        arguments = [args],
        outputs = [runtime],
        tools = [zig],
        mnemonic = "ZigRuntime",
        progress_message = "Compiling libc++ and compiler-rt for %s, glibc %s" % (ctx.attr.architecture, ctx.attr.glibc),
    )
    return [
        DefaultInfo(files = depset([runtime, root])),
        CompilerInfo(
            architecture = ctx.attr.architecture,
            glibc = ctx.attr.glibc,
            root = root,
            runtime = runtime,
        ),
    ]

zig_runtime = rule(
    implementation = _impl,
    attrs = _ATTRS | TRANSITION_ATTRS,
    # One for all Pythons: it takes a minute to compile.
    cfg = tools_python_transition,
    doc = _DOC,
    provides = [CompilerInfo],
)
