"""The part of a model that depends on the target: its layers and its wheels."""

load("//rules/private/image:layer.bzl", "files_layer")
load("//rules/private/image:layer_flags.bzl", "LAYER_ATTRS")
load("//rules/private/tools:names.bzl", "names")
load("//rules/providers:code_info.bzl", "CodeInfo")
load("//rules/providers:model_info.bzl", "ModelInfo", "PickleInfo")
load("//rules/providers:wheel_files_info.bzl", "WheelFilesInfo")
load(":hub_wheels.bzl", "wheel_files")
load(":packaging.bzl", "packaging")
load(":python_dependencies.bzl", "check_python_dependencies")

_DOC = """The part of a model that depends on the target: its layers and its wheels. See `chassis_model` in defs.bzl."""

_ATTRS = LAYER_ATTRS | {
    "data": attr.label_list(allow_files = True, cfg = "exec"),
    "data_keys": attr.string_list(),
    "data_on_target": attr.label_list(allow_files = True),
    "deps": attr.label_list(aspects = [packaging]),
    "pickle": attr.label(providers = [PickleInfo], cfg = "exec"),
    "pickle_on_target": attr.label(providers = [PickleInfo], cfg = "target"),
    "version": attr.string(),
    "warmup": attr.label_list(allow_files = True),
    "wheel_files": attr.label_list(aspects = [wheel_files]),
    "_hub_wheels": attr.label(default = "//rules:hub_wheels", providers = [WheelFilesInfo]),
    "_files_layer": attr.label(default = "//chassis/tools:files_layer", cfg = "exec", executable = True),
    "_warm_up": attr.label(default = "//chassis/tools:warm_up", cfg = "exec", executable = True),
}

def _code(ctx, files):
    """Path below /app/code to file, for the first-party code behind `deps`."""
    return {
        names.code_path(ctx.label.repo_name, names.repository_of(file), names.path_in_repository(file)): file
        for file in files.to_list()
    }

def _imports(ctx, imports, code):
    """The directories below /app/code to import from.

    They are the root, those that PyInfo's imports name and that hold code (wheels name directories of the build, which no
    image has), and the roots of other repositories, as Bazel's own programs have them.
    """
    own = ctx.label.repo_name

    # The image has the runtime's own package in its virtual environment.
    importable = [own, Label("//rules").repo_name]
    directories = {}
    roots = {}
    for path, file in code.items():
        if names.repository_of(file) not in importable:
            roots[names.code_path(own, names.repository_of(file), "")] = None
        if file.is_directory:
            directories[path] = None
        for _ in range(path.count("/")):
            path = path.rpartition("/")[0]
            directories[path] = None
    found = {"": None}
    for path in imports.to_list():
        repository, _, directory = path.partition("/")
        place = names.code_path(own, "" if repository == ctx.workspace_name else repository, directory)
        if place in directories:
            found[place] = None
    return (found | roots).keys()

def _wheels(ctx, wheels):
    """The wheels, those of a hub's files replaced by the hub's own if they are known."""
    files = depset(transitive = [dep[WheelFilesInfo].wheels for dep in ctx.attr.wheel_files + [ctx.attr._hub_wheels]])
    known = {_identity(entry.wheel): entry for entry in files.to_list()}
    if not known:
        return wheels
    return depset([
        known.get(_identity(entry.wheel), entry) if getattr(entry.wheel, "unpacked", False) else entry
        for entry in wheels.to_list()
    ])

def _identity(wheel):
    """Name and version, which a file's name spells in its own way."""
    return wheel.distribution, wheel.version.replace("_", "-")

def _warm_up(ctx, settings):
    """Path in the image to the file of what the model is asked before it is ready, if there is any."""
    if not ctx.files.warmup:
        return {}
    cases = [file for file in ctx.files.warmup if file.extension == "json"]
    if not cases:
        fail("\n%s: warmup: expected case files (docs/testing.md), .json, and files that they name" % ctx.label)
    output = ctx.actions.declare_file(ctx.label.name + ".warmup.json")
    args = ctx.actions.args()
    args.add_all(cases, format_each = "--case=%s")
    args.add(settings, format = "--model=%s")
    args.add(output, format = "--output=%s")
    ctx.actions.run(
        executable = ctx.executable._warm_up,
        arguments = [args],
        inputs = ctx.files.warmup + [settings],
        outputs = [output],
        mnemonic = "WarmUp",
        progress_message = "Warm-up of %{label}",
    )
    return {"app/model/warmup.json": output}

_NOT_A_PROGRAM = """#!/bin/sh
cat >&2 <<'END'
error: %s is a model, which nothing runs: its image does
  to serve it: bazel run %s:image.serve, if its chassis_image is called `image`
  the images of this workspace: bazel query 'kind(chassis_image, //...)'
END
exit 1
"""

def _not_a_program(ctx, sibling):
    """What `bazel run` of a model says, in place of Bazel's own words that it is not executable."""
    label = names.label_for_people(ctx.label)

    # Beside the model's files, which are looked for where the target's path leads.
    script = ctx.actions.declare_file("not_a_program", sibling = sibling)
    ctx.actions.write(script, _NOT_A_PROGRAM % (label, label.rpartition(":")[0]), is_executable = True)
    return script

def _impl(ctx):
    pickle = (ctx.attr.pickle or ctx.attr.pickle_on_target)[PickleInfo]
    infos = [dep[CodeInfo] for dep in ctx.attr.deps]
    check_python_dependencies(ctx.label, ctx.attr.deps, depset(transitive = [info.refused for info in infos]))
    code = _code(ctx, depset(transitive = [info.files for info in infos]))
    imports = _imports(ctx, depset(transitive = [info.imports for info in infos]), code)
    files = ctx.files.data + ctx.files.data_on_target
    data = {"app/data/" + key: file for key, file in zip(ctx.attr.data_keys, files)}
    tool = ctx.attr._files_layer[DefaultInfo].files_to_run
    layers = []
    if code:
        layers.append(files_layer(ctx, ctx.label.name + ".code", tool, "code", ctx.attr.version, {
            "app/code/" + path: file
            for path, file in code.items()
        }))
    if data:
        layers.append(files_layer(ctx, ctx.label.name + ".data", tool, "data", ctx.attr.version, data))
    layers.append(files_layer(ctx, ctx.label.name + ".model", tool, "model", ctx.attr.version, {
        "app/model/model.json": pickle.settings,
        "app/model/model.pkl": pickle.pickle,
        "app/model/status.pb": pickle.status,
    } | _warm_up(ctx, pickle.settings)))
    return [
        DefaultInfo(
            executable = _not_a_program(ctx, pickle.pickle),
            files = depset([pickle.pickle, pickle.status, pickle.settings]),
        ),
        ModelInfo(
            imports = imports,
            layers = layers,
            metadata = pickle.metadata,
            name = ctx.label.name,
            python_version = pickle.python_version,
            settings = pickle.settings,
            sources = depset(pickle.sources + code.values() + files),
            status = pickle.status,
            version = ctx.attr.version,
            wheels = _wheels(ctx, depset(transitive = [info.wheels for info in infos])),
        ),
    ]

chassis_model_target = rule(
    implementation = _impl,
    attrs = _ATTRS,
    doc = _DOC,
    executable = True,
    provides = [ModelInfo],
)
