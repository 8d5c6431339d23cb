"""target_python_test, target_python_program: a program on the target's Python and wheels, without an image."""

load("@rules_python//python:py_info.bzl", "PyInfo")
load("//rules/private/platform:platform_transition.bzl", "PLATFORM_ATTRS", "platform_label", "platform_transition")
load("//rules/private/tools:runfiles.bzl", "FIND_RUNFILES", "runfiles_path", "shell_quote")

_DOC = """A test of code whose wheels the build machine lacks: it runs with the target's, emulated if its CPU is another."""

_ATTRS = PLATFORM_ATTRS | {
    "data": attr.label_list(allow_files = True, doc = "Files whose paths are arguments."),
    "deps": attr.label_list(providers = [PyInfo], cfg = platform_transition, doc = "What the program imports."),
    "interpreter": attr.label(default = "//platforms:python", cfg = platform_transition, doc = "The target's Python."),
    "main": attr.label(mandatory = True, allow_single_file = [".py"], doc = "The program."),
    "zip_imports": attr.label_list(
        allow_files = [".whl"],
        doc = "Pure-Python wheels to import as they are, which the platform's lock need not have.",
    ),
}

def _impl(ctx):
    # With a transition, a single-valued attribute is a list of one.
    interpreter = ctx.attr.interpreter[0] if type(ctx.attr.interpreter) == "list" else ctx.attr.interpreter
    python = interpreter[DefaultInfo].files_to_run.executable
    roots = {ctx.workspace_name: None}
    for path in depset(transitive = [dep[PyInfo].imports for dep in ctx.attr.deps]).to_list():
        roots[path] = None
    for file in ctx.files.zip_imports:
        roots[runfiles_path(ctx, file)] = None
    located = ['"$RUNFILES_DIR/"' + shell_quote(runfiles_path(ctx, file)) for file in [python, ctx.file.main] + ctx.files.data]
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(launcher, FIND_RUNFILES + "".join([
        "PYTHONPATH=%s\n" % ":".join(['"$RUNFILES_DIR/%s"' % root for root in roots]),
        "export PYTHONPATH PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0 PYTHONUTF8=1\n",
        "exec %s -S -P %s \"$@\"\n" % (located[0], " ".join(located[1:])),
    ]), is_executable = True)
    sources = depset(transitive = [dep[PyInfo].transitive_sources for dep in ctx.attr.deps])
    runfiles = ctx.runfiles([python, ctx.file.main] + ctx.files.data + ctx.files.zip_imports, transitive_files = sources).merge_all(
        [interpreter[DefaultInfo].default_runfiles] +
        [target[DefaultInfo].default_runfiles for target in ctx.attr.data + ctx.attr.deps],
    )
    return [DefaultInfo(executable = launcher, runfiles = runfiles)]

_target_python_program = rule(
    implementation = _impl,
    attrs = _ATTRS,
    doc = "A program of code whose wheels the build machine lacks, for a test that runs it with arguments of its own.",
    executable = True,
)

_target_python_test = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC, test = True)

def target_python_test(name, main, platform, **kwargs):
    """A test program on the Python and the wheels of a platform.

    Args:
      name: the target's name.
      main: the program; exit status 0 is success.
      platform: label of the platform.
      **kwargs: `data`, `deps` and Bazel's common attributes of tests.
    """
    _target_python_test(name = name, main = main, platform = platform_label(platform), **kwargs)

def target_python_program(name, main, platform, **kwargs):
    """A program on the Python and the wheels of a platform, for a test to run.

    Args:
      name: the target's name.
      main: the program; it gets the paths of `data`, then the caller's arguments.
      platform: label of the platform.
      **kwargs: `data`, `deps`, `zip_imports` and Bazel's common attributes.
    """
    _target_python_program(name = name, main = main, platform = platform_label(platform), **kwargs)
