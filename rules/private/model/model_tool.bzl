"""model_tool: a program that makes a model's files in the build, on the Python of images."""

load("@rules_python//python:py_info.bzl", "PyInfo")
load("//rules/private/python:image_python.bzl", "python_of")
load("//rules/private/tools:runfiles.bzl", "FIND_RUNFILES", "runfiles_path", "shell_quote")
load("//rules/providers:image_python_info.bzl", "ImagePythonInfo")
load("//rules/providers:tool_python_info.bzl", "ToolPythonInfo")

_DOC = """A Python program that makes a model's files in the build: it trains, converts, or saves a directory.

```starlark
model_tool(
    name = "train",
    main = "train.py",
    deps = ["@pypi//scikit_learn"],
)

genrule(
    name = "trained",
    outs = ["iris.joblib"],
    cmd = "$(execpath :train) $@",
    tools = [":train"],
)
```

As `tool` of a `model_directory` it makes a directory. It runs on the build machine with the Python that images have, and imports
the wheels of the hub that the model has, of the same versions: neither a toolchain of Python nor another lock is needed.
"""

_ATTRS = {
    "data": attr.label_list(allow_files = True, doc = "Files that the program finds in its runfiles."),
    "deps": attr.label_list(providers = [PyInfo], doc = "Libraries, and wheels of a hub."),
    "main": attr.label(mandatory = True, allow_single_file = [".py"], doc = "The file that runs."),
    "_image_python": attr.label(default = "//base_images:image_python", providers = [ImagePythonInfo]),
    "_tools_python": attr.label(default = "//platforms/toolchains:python", cfg = "exec", providers = [ToolPythonInfo]),
}

# Python 3.10 does not know -P, which has nothing imported from the program's directory: what it is started with in place of it.
# Before the path is mended, nothing is imported that a file there could stand for.
_START_310 = """\
import sys
sys.path[:] = [path for path in sys.path if path]
del sys.argv[0]
import runpy
runpy.run_path(sys.argv[0], run_name="__main__")
"""

def _impl(ctx):
    tools_python = ctx.attr._tools_python[ToolPythonInfo]
    python = python_of(ctx)
    interpreter = python.interpreter or tools_python.interpreter
    imports = depset(transitive = [dep[PyInfo].imports for dep in ctx.attr.deps]).to_list()
    own_root = ctx.attr.main.label.repo_name or ctx.workspace_name
    roots = {path: None for path in [own_root, ctx.workspace_name] + imports}.keys()
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(launcher, FIND_RUNFILES + """\
export PYTHONPATH={roots}
export PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0 PYTHONNOUSERSITE=1 PYTHONUTF8=1
exec "$RUNFILES_DIR/{interpreter}" {start} "$RUNFILES_DIR/{main}" "$@"
""".format(
        interpreter = runfiles_path(ctx, interpreter),
        main = runfiles_path(ctx, ctx.file.main),
        start = "-s -c " + shell_quote(_START_310) if python.version == "3.10" else "-P -s",
        roots = ":".join(['"$RUNFILES_DIR/%s"' % path for path in roots]),
    ), is_executable = True)
    sources = depset([ctx.file.main], transitive = [dep[PyInfo].transitive_sources for dep in ctx.attr.deps])
    runfiles = ctx.runfiles(ctx.files.data, transitive_files = depset(transitive = [sources, tools_python.files]))
    return [DefaultInfo(
        executable = launcher,
        files = depset([launcher]),
        runfiles = runfiles.merge_all([
            target[DefaultInfo].default_runfiles
            for target in [ctx.attr._image_python] + ctx.attr.data + ctx.attr.deps
        ]),
    )]

model_tool = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, executable = True)
