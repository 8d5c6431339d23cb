"""Layers from files and from wheels: the actions behind every LayerInfo."""

load("//rules/private/doctor:doctor.bzl", "layer_facts")
load("//rules/private/tools:names.bzl", "names")
load("//rules/private/tools:persistent_worker.bzl", "run_in_worker")
load("//rules/providers:layer_info.bzl", "LayerInfo")
load(":layer_flags.bzl", "COMPILING_JOBS", "layer_flags")

def _outputs(ctx, name, facts):
    """The files of a layer, declared; by the layer tools' flags."""
    return {
        "blob": ctx.actions.declare_file(name + ".layer"),
        "descriptor": ctx.actions.declare_file(name + ".layer.json"),
        "files": ctx.actions.declare_file(name + ".files.json"),
    } | ({"facts": ctx.actions.declare_file(name + ".facts.json")} if facts else {})

def _compiling_resources(_os, _inputs):
    return {"cpu": COMPILING_JOBS}

def layers_action(ctx, names, origins, tool, args, inputs, mnemonic, modules = True, many = False, *, facts = False):
    """Runs a tool that makes several layers at once.

    Args:
      ctx: context of a rule or an aspect with `LAYER_ATTRS`.
      names: list of string, see `layer_action`, for each layer.
      origins: list of string, for people, for each layer.
      tool: the executable, an attribute's `files_to_run`.
      args: its arguments but for the outputs, an `Args`.
      inputs: depset or list of File.
      mnemonic: the action's.
      modules: whether the layers hold Python modules, which then have their bytecode beside them.
      many: whether they are so many that several are compiled at a time.
      facts: whether the tool writes what the doctor has to know, too; else that is an action of its own.

    Returns:
      A list of LayerInfo.
    """
    layers = [_outputs(ctx, name, facts) for name in names]
    flags = layer_flags(ctx, modules, many)
    args.add_all(flags.args)
    for outputs in layers:
        for flag, file in outputs.items():
            args.add(file, format = "--" + flag + "=%s")
    run_in_worker(
        ctx,
        args,
        executable = tool,
        inputs = inputs,
        outputs = [file for outputs in layers for file in outputs.values()],
        mnemonic = mnemonic,
        progress_message = "Layer of " + origins[0],
        resource_set = _compiling_resources if flags.jobs > 1 else None,
        tools = flags.tools,
    )
    return [
        LayerInfo(
            origin = origin,
            **(outputs if facts else outputs | {
                "facts": layer_facts(ctx, name, outputs["blob"], outputs["descriptor"], origin),
            })
        )
        for name, origin, outputs in zip(names, origins, layers)
    ]

def layer_action(ctx, name, tool, args, inputs, origin, mnemonic, modules = True, many = False, *, facts = False):
    """Runs a layer tool.

    Args:
      ctx: context of a rule or an aspect with `LAYER_ATTRS`.
      name: what the outputs are called before `.layer`, `.layer.json` and `.files.json`.
      tool: the executable, an attribute's `files_to_run`.
      args: its arguments but for the outputs, an `Args`.
      inputs: depset or list of File.
      origin: for people, see LayerInfo.
      mnemonic: the action's.
      modules: whether the layer holds Python modules, which then have their bytecode beside them.
      many: whether they are so many that several are compiled at a time.
      facts: whether the tool writes what the doctor has to know, too; else that is an action of its own.

    Returns:
      A LayerInfo.
    """
    return layers_action(ctx, [name], [origin], tool, args, inputs, mnemonic, modules, many, facts = facts)[0]

def files_layer(ctx, name, tool, kind, version, entries, symlinks = {}):
    """A layer of files.

    Args:
      ctx: context of a rule with `LAYER_ATTRS`.
      name: the outputs' name.
      tool: `//chassis/tools:files_layer`, an attribute's `files_to_run`.
      kind: `code`, `data`, `model` or `runtime`.
      version: of what the layer holds; may be empty.
      entries: dict from path in the image, without leading slash, to File (a directory's stands for all below).
      symlinks: dict from path in the image to the link's target.

    Returns:
      A LayerInfo.
    """
    args = ctx.actions.args()
    args.add("--kind=" + kind)
    args.add("--name=" + names.label_in_image(ctx.label))
    args.add("--version=" + version)
    for path, file in entries.items():
        args.add_all([file], format_each = "--entry=" + path.replace("%", "%%") + "=%s", expand_directories = False)
    for path, target in symlinks.items():
        args.add("--symlink=%s=%s" % (path, target))
    return layer_action(
        ctx,
        name,
        tool,
        args,
        entries.values(),
        "%s %s" % (kind, ctx.label.name),
        "FilesLayer",
        # What `data` and the model hold is not imported.
        modules = kind in ["code", "runtime"],
        # An action more for each would cost more than both do: each image has a layer or three of these.
        facts = True,
    )
