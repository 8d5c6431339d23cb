"""chassis_pickle: the predict function, pickled in the build. `chassis_model` makes one; users do not."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load("@rules_python//python:py_info.bzl", "PyInfo")
load("//rules/private/python:image_python.bzl", "interpreter_of", "python_of")
load("//rules/private/tools:names.bzl", "names")
load("//rules/private/tools:persistent_worker.bzl", "run_in_worker")
load("//rules/private/tools:runfiles.bzl", "runfiles_path")
load("//rules/providers:image_python_info.bzl", "ImagePythonInfo")
load("//rules/providers:model_info.bzl", "PickleInfo")
load("//rules/providers:target_python_info.bzl", "TargetPythonInfo")

_DOC = """Imports the entry module and pickles the entry point by value.

A rule of its own so that it can be configured for the build machine: the same `deps` that are the target's wheels in
`chassis_model` are the build machine's here. With an `interpreter` it is configured for the target, and the target's
wheels are imported.
"""

# An import of PyTorch takes a minute and more under emulation on a busy machine.
_EMULATED_TIMEOUT_S = 1800

_ATTRS = {
    "data": attr.label_list(allow_files = True, cfg = "exec"),
    "data_keys": attr.string_list(),
    "data_on_target": attr.label_list(allow_files = True),
    "deps": attr.label_list(),
    "entry_point": attr.string(),
    "framework": attr.string(),
    "interpreter": attr.label(
        cfg = "target",
        executable = True,
        providers = [TargetPythonInfo],
        doc = "The target's Python if that is to import and pickle; defaults to the build machine's.",
    ),
    "loader": attr.string(),
    "metadata": attr.string(mandatory = True, doc = "The model's metadata as JSON (chassis/declaration/metadata_file.py)."),
    "package_dir": attr.string(doc = "The package that the entry module's name is relative to."),
    "pickle": attr.label(allow_single_file = [".pkl"]),
    "signature": attr.string(),
    "srcs": attr.label_list(allow_files = [".py"]),
    "_image_python": attr.label(default = "//base_images:image_python", providers = [ImagePythonInfo]),
    "_confine": attr.label(default = "//rules:confine", providers = [BuildSettingInfo]),
    "_pickle_model": attr.label(default = "//chassis/tools:pickle_model", cfg = "exec", executable = True),
}

def _impl(ctx):
    prefix = ctx.attr.package_dir
    outputs = {
        flag: ctx.actions.declare_file("%s/%s" % (ctx.label.name, file))
        for flag, file in [("model_pkl", "model.pkl"), ("status_pb", "status.pb"), ("model_json", "model.json")]
    }
    metadata = ctx.actions.declare_file(ctx.label.name + "/metadata.json")
    ctx.actions.write(metadata, ctx.attr.metadata)

    # The model says what is wrong with a dependency that has none.
    infos = [dep[PyInfo] for dep in ctx.attr.deps if PyInfo in dep]
    sources = depset(transitive = [info.transitive_sources for info in infos])
    imports = depset(transitive = [info.imports for info in infos])

    # What modules read while they are imported: extension modules of a hub's wheels, `data` of libraries.
    beside = depset(transitive = [dep[DefaultInfo].default_runfiles.files for dep in ctx.attr.deps])

    args = ctx.actions.args()
    args.add(metadata, format = "--metadata=%s")
    if ctx.file.pickle:
        args.add(ctx.file.pickle, format = "--pickle=%s")
    elif ctx.attr.framework:
        args.add("--framework=" + ctx.attr.framework)
    else:
        args.add("--entry_point=" + ctx.attr.entry_point)
    if ctx.attr.loader:
        args.add("--loader=" + ctx.attr.loader)
    for file in ctx.files.srcs:
        args.add("--source=%s=%s" % (names.path_in_repository(file), file.path))
    args.add("--package_dir=" + prefix)
    args.add("--signature=" + (ctx.attr.signature or "auto"))
    for key, target in zip(ctx.attr.data_keys, (ctx.files.data + ctx.files.data_on_target)):
        args.add_all([target], format_each = "--data=" + key.replace("%", "%%") + "=%s", expand_directories = False)

    # PyInfo's imports are paths below a runfiles tree; these are the directories of the same files in the action.
    roots = {}
    for path in imports.to_list():
        roots[path] = None
    args.add_all(_import_paths(ctx, sources, roots), format_each = "--import_path=%s")
    confine = ctx.attr._confine[BuildSettingInfo].value
    if confine:
        args.add("--confine")
    for flag, file in outputs.items():
        args.add(file, format = "--" + flag + "=%s")
    tools = []
    python_version = python_of(ctx).version
    args.add("--python_version=" + python_version)
    if not ctx.attr.interpreter:
        interpreter = interpreter_of(ctx)
        args.add_all(interpreter.args)
        tools += interpreter.tools
    if ctx.attr.interpreter:
        python = ctx.attr.interpreter[TargetPythonInfo]
        python_version = python.python_version
        args.add(ctx.executable.interpreter, format = "--interpreter=%s")
        if python.emulated:
            args.add("--timeout=%d" % _EMULATED_TIMEOUT_S)
        tools.append(ctx.attr.interpreter[DefaultInfo].files_to_run)
    inputs = depset(
        [metadata] + ctx.files.srcs + (ctx.files.data + ctx.files.data_on_target) + ([ctx.file.pickle] if ctx.file.pickle else []),
        transitive = [sources, beside],
    )
    args.add_all(inputs, map_each = _input, expand_directories = False)
    run_in_worker(
        ctx,
        args,
        executable = ctx.executable._pickle_model,
        inputs = inputs,
        outputs = outputs.values(),
        tools = tools,
        mnemonic = "PickleModel",
        progress_message = "Pickling %{label}",
        # The service wants Bazel's sandbox around the walls, and the target's Python is a program that makes a root for it.
        worker = not confine and not ctx.attr.interpreter,
    )
    return [
        DefaultInfo(files = depset(outputs.values())),
        PickleInfo(
            metadata = metadata,
            pickle = outputs["model_pkl"],
            python_version = python_version,
            settings = outputs["model_json"],
            sources = ctx.files.srcs + ([ctx.file.pickle] if ctx.file.pickle else []),
            status = outputs["status_pb"],
        ),
    ]

def _input(file):
    """An input, for a worker, which has no sandbox and is told what the model may read."""
    return ("--tree=" if file.is_directory else "--input=") + file.path

def _import_paths(ctx, sources, roots):
    """Where the runfiles paths of `roots` are in the action, and the roots of the repositories that sources are in.

    Both are in the source tree, the output tree or an external repository, `external/NAME` of either.
    """
    paths = {}
    trees = {}
    prefixes = {"": None}
    repositories = {}
    seen = {}
    for file in sources.to_list():
        if file.is_directory:
            trees[runfiles_path(ctx, file)] = file.path
            continue

        # `bazel-out/…/bin` before a generated file, `external` before another repository's, nothing else.
        prefix = file.path.removesuffix(file.short_path.removeprefix("../")).rstrip("/")
        repository = names.repository_of(file)
        if (prefix, repository) in seen:
            continue
        seen[prefix, repository] = None
        prefixes[prefix] = None

        # What pickles has Chassis' own package already.
        if repository in [ctx.label.repo_name, ""] or repository != Label("//rules").repo_name:
            repositories[_joined(prefix, repository)] = repository
    for root in roots:
        if root in trees:
            paths[trees[root]] = None
            continue
        own = ctx.workspace_name + "/"
        relative = root.removeprefix(own) if root.startswith(own) else root
        for prefix in prefixes:
            paths[_joined(prefix, relative)] = None
    if not ctx.label.repo_name:
        paths["."] = None
    for wanted in [True, False]:
        for path, repository in repositories.items():
            if (repository == ctx.label.repo_name) == wanted:
                paths[path or "."] = None
    return paths.keys()

def _joined(*parts):
    return "/".join([part for part in parts if part])

chassis_pickle = rule(
    implementation = _impl,
    attrs = _ATTRS,
    doc = _DOC,
    provides = [PickleInfo],
)
