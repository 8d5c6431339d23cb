"""python_tool, bare_python_tool, python_test, pytest_test: programs and tests on the tools' Python, started without any Python of the machine."""

load("@rules_python//python:py_info.bzl", "PyInfo")
load("//rules/private/platform:machine.bzl", "runs_on_this_machine")
load("//rules/private/tools:runfiles.bzl", "FIND_RUNFILES", "runfiles_path", "shell_quote")
load("//rules/providers:tool_python_info.bzl", "ToolPythonInfo")
load(":python_transition.bzl", "TRANSITION_ATTRS", "tools_python_transition")

_DOC = """A Python program, started by a shell script of four steps rather than by the machine's `python3`.

`py_binary`'s own launcher wants a Python on the PATH to find the real one; an action that runs a tool for a tenth of a
second would pay for two interpreters, and the build would lean on a program that it did not pin.
"""

_ATTRS = TRANSITION_ATTRS | {
    "data": attr.label_list(allow_files = True, doc = "Files that the program finds in its runfiles."),
    "deps": attr.label_list(providers = [PyInfo], cfg = tools_python_transition, doc = "Libraries and wheels."),
    "env": attr.string_dict(doc = "Environment."),
    "env_inherit": attr.string_list(doc = "Variables that `bazel test` and `bazel run` hand on from whoever started it."),
    "env_paths": attr.label_keyed_string_dict(
        allow_files = True,
        doc = "Data with the variable of the environment that holds its absolute path.",
    ),
    "main": attr.label(mandatory = True, allow_single_file = [".py"], doc = "The file that runs."),
    "path_args": attr.label_list(allow_files = True, doc = "Files whose absolute paths are arguments, after `tool_args`."),
    "tool_args": attr.string_list(doc = "Arguments before the caller's."),
    "zip_imports": attr.label_list(
        allow_files = [".whl"],
        doc = "Pure-Python wheels to import as they are: for the tools that unpack the others.",
    ),
    "_python": attr.label(default = "//platforms/toolchains:python", providers = [ToolPythonInfo]),
}

_COMPILED_ATTRS = {
    "compiled": attr.bool(
        doc = "Compile what the program imports in the build: for one that a person waits for, half of whose start is compiling. Files beside a module of this build are not there then.",
    ),
    "_compile": attr.label(default = "//chassis/tools:compile_modules", cfg = "exec", executable = True),
}

def _runfile(ctx, target):
    """The path of a target's program, only file or directory in the runfiles."""
    return runfiles_path(ctx, target[DefaultInfo].files_to_run.executable or target[DefaultInfo].files.to_list()[0])

def _compiled(ctx, sources):
    """A directory with the bytecode of all that the program imports, as the runfiles have it."""
    directory = ctx.actions.declare_directory(ctx.label.name + ".compiled")
    args = ctx.actions.args()
    args.add_all([directory], format_each = "--output=%s", expand_directories = False)
    for source in sources:
        args.add_all([source], format_each = runfiles_path(ctx, source) + "=%s", expand_directories = False)
    args.use_param_file("@%s")
    args.set_param_file_format("multiline")
    ctx.actions.run(
        executable = ctx.executable._compile,
        arguments = [args],
        inputs = sources,
        outputs = [directory],
        mnemonic = "CompileModules",
        progress_message = "Compiling the modules of %{label}",
    )
    return directory

def _start(ctx, roots, transitive_sources):
    """What the interpreter runs, the roots to import from in order, and the files for both."""
    main = runfiles_path(ctx, ctx.file.main)
    if not getattr(ctx.attr, "compiled", False):
        return '"$RUNFILES_DIR/%s"' % main, roots, [ctx.file.main]
    directory = _compiled(ctx, transitive_sources.to_list() + [ctx.file.main])
    own_root = [root for root in roots if main.startswith(root + "/")][0]
    module = main.removeprefix(own_root + "/").removesuffix(".py").replace("/", ".")

    # Sources stay: another Python may be given one to run.
    wheels = [runfiles_path(ctx, file) for file in _wheels(ctx, transitive_sources)]
    compiled_roots = [runfiles_path(ctx, directory) + "/" + root for root in roots]
    return "-m " + module, compiled_roots + [root for root in roots if root not in wheels], [directory]

def _wheels(ctx, sources):
    """The unpacked wheels among sources, whole directories, but for those that are `data`: their sources are wanted."""
    wanted = depset(transitive = [target[DefaultInfo].default_runfiles.files for target in ctx.attr.data]).to_list()
    return [file for file in sources.to_list() if file.is_directory and file not in wanted]

def _without_wheels(ctx, runfiles, sources):
    """What a compiled program has of its libraries: all but the wheels, which are among what was compiled."""
    wheels = {file: None for file in _wheels(ctx, sources)}
    return ctx.runfiles([file for file in runfiles.files.to_list() if file not in wheels])

def _impl(ctx):
    python = ctx.attr._python[ToolPythonInfo]
    interpreter = '"$RUNFILES_DIR/%s"' % runfiles_path(ctx, python.interpreter)
    imports = [runfiles_path(ctx, file) for file in ctx.files.zip_imports]
    imports += depset(transitive = [dep[PyInfo].imports for dep in ctx.attr.deps]).to_list()

    # The program's own repository, which is not the target's if a macro of Chassis makes the target.
    own_root = ctx.attr.main.label.repo_name or ctx.workspace_name
    roots = {path: None for path in [own_root, ctx.workspace_name] + imports}.keys()
    transitive_sources = depset(transitive = [dep[PyInfo].transitive_sources for dep in ctx.attr.deps])
    start, roots, start_files = _start(ctx, roots, transitive_sources)
    script = FIND_RUNFILES
    for name, value in ctx.attr.env.items():
        script += "export %s=%s\n" % (name, shell_quote(value))
    for target, name in ctx.attr.env_paths.items():
        script += "find_runfile %s\nexport %s=\"$found\"\n" % (shell_quote(_runfile(ctx, target)), name)
    script += "PYTHONPATH=%s\n" % ":".join(['"$RUNFILES_DIR/%s"' % path for path in roots])
    script += "export PYTHONPATH PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0 PYTHONNOUSERSITE=1 PYTHONUTF8=1\n"
    arguments = [shell_quote(argument) for argument in ctx.attr.tool_args]
    arguments += ['"$RUNFILES_DIR/"' + shell_quote(_runfile(ctx, target)) for target in ctx.attr.path_args]
    script += " ".join(
        ["exec", interpreter, "-P", "-s", start] + arguments + ['"$@"'],
    ) + "\n"
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(launcher, script, is_executable = True)
    runfiles = ctx.runfiles(
        files = start_files + ctx.files.data + ctx.files.env_paths + ctx.files.path_args + ctx.files.zip_imports,
        transitive_files = python.files,
    )
    libraries = ctx.runfiles(transitive_files = transitive_sources).merge_all(
        [target[DefaultInfo].default_runfiles for target in ctx.attr.deps],
    )
    if getattr(ctx.attr, "compiled", False):
        libraries = _without_wheels(ctx, libraries, transitive_sources)
    runfiles = runfiles.merge_all([libraries] + [
        target[DefaultInfo].default_runfiles
        for target in ctx.attr.data + ctx.attr.env_paths.keys()
    ])
    return [
        DefaultInfo(executable = launcher, files = depset([launcher]), runfiles = runfiles),
        RunEnvironmentInfo(inherited_environment = ctx.attr.env_inherit),
        python,
    ]

_python_tool = rule(
    implementation = _impl,
    attrs = _ATTRS | _COMPILED_ATTRS,
    cfg = tools_python_transition,
    doc = _DOC,
    executable = True,
)

_python_program = rule(
    implementation = _impl,
    attrs = _ATTRS | _COMPILED_ATTRS,
    doc = "A `python_tool` that is told what the build makes.",
    executable = True,
)

def python_tool(name, env_paths = {}, path_args = [], **kwargs):
    """A Python program on the tools' Python.

    One that is told the path of something, such as an image, gets it as it is for whoever asks: for their image's Python. Any other
    is built once, whatever Python an image asks for.

    Args:
      name: the target's name.
      env_paths: as `_ATTRS` has it.
      path_args: likewise.
      **kwargs: its other attributes, and Bazel's common ones.
    """
    if env_paths or path_args:
        _python_program(name = name, env_paths = env_paths, path_args = path_args, **kwargs)
    else:
        _python_tool(name = name, **kwargs)

bare_python_tool = rule(
    implementation = _impl,
    attrs = _ATTRS,
    cfg = tools_python_transition,
    doc = "A `python_tool` that others may be compiled with.",
    executable = True,
)

_python_test = rule(
    implementation = _impl,
    attrs = _ATTRS | _COMPILED_ATTRS,
    doc = "A `python_tool` that is a test.",
    test = True,
)

def python_test(name, target_compatible_with = [], **kwargs):
    """A `python_tool` that is a test; for a platform that this machine does not run programs of, it is passed over.

    Args:
      name: the target's name.
      target_compatible_with: Bazel's.
      **kwargs: any other attribute of a test.
    """
    _python_test(
        name = name,
        target_compatible_with = target_compatible_with + runs_on_this_machine(),
        **kwargs
    )

def pytest_test(name, srcs, deps = [], data = [], env = {}, env_paths = {}, size = "small", **kwargs):
    """A test of pytest files.

    Args:
      name: the target's name.
      srcs: the test files.
      deps: what they import.
      data: files they find in their runfiles.
      env: environment.
      env_paths: label to the variable of the environment that holds its absolute path.
      size: Bazel's test size.
      **kwargs: any other attribute of a test.
    """
    python_test(
        name = name,
        data = data,
        deps = deps + [
            Label("@chassis_tools//pytest"),
            Label("@chassis_tools//hypothesis"),
        ],
        env = env,
        env_paths = env_paths,
        main = Label("//tests:run_pytest.py"),
        path_args = srcs,
        size = size,
        **kwargs
    )
