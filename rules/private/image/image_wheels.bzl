"""The wheels of an image: whose place each goes to, and which layer it is in."""

load(":layer.bzl", "layer_action")
load(":layer_plan.bzl", "layer_plan")

# For rules that make images, beside LAYER_ATTRS.
IMAGE_WHEELS_ATTRS = {
    "exclude": attr.string_list(),
    "wheel_layers": attr.int(),
    "workers": attr.int(),
    "_wheel_layer": attr.label(default = "//chassis/tools:wheel_layer", cfg = "exec", executable = True),
}

def place_wheels(ctx, model, server):
    """Says which wheels go where.

    The server's process has a place of its own. A model that brings the same wheels shares them: they are in the image once,
    where the model has them, and the server looks there too. If one of them is another wheel, the server has all of its own.

    Args:
      ctx: context of a rule with `IMAGE_WHEELS_ATTRS`.
      model: ModelInfo.
      server: ServerInfo.

    Returns:
      struct(environment: list of WheelLayerInfo, the model's; own: list of WheelLayerInfo, the server's; path: list of
      string, the directories that the server's process imports from).
    """
    chosen = {}
    for packaged in model.wheels.to_list():
        wheel = packaged.wheel
        other = chosen.get(wheel.distribution)
        if other and other.wheel.version == wheel.version and getattr(wheel, "unpacked", False):
            # A hub of rules_python brings the files of what another hub brings as a wheel.
            continue
        if other and other.wheel.wheel.basename != wheel.wheel.basename and not (
            other.wheel.version == wheel.version and getattr(other.wheel, "unpacked", False)
        ):
            fail("\n%s: two wheels of %s\n  %s, %s\n  %s, %s\nA model has one site-packages: take both dependencies from one hub." % (
                ctx.label,
                wheel.distribution,
                other.wheel.version,
                other.wheel.lock,
                wheel.version,
                wheel.lock,
            ))
        chosen[wheel.distribution] = packaged
    of_server = server.wheels.to_list()
    brought = [entry for entry in of_server if entry.wheel.distribution in chosen]
    differing = [entry for entry in brought if chosen[entry.wheel.distribution].wheel.wheel.basename != entry.wheel.wheel.basename]
    clashing = [entry for entry in differing if chosen[entry.wheel.distribution].wheel.version != entry.wheel.version]
    if clashing and ctx.attr.workers == 0:
        fail("\n%s: workers = 0 has the model in the server's own process, and their wheels clash:\n%s\nLet the model have a process of its own (workers = 1), or lock the server's versions." % (
            ctx.label,
            "\n".join([
                "  %s: the model's is %s (%s), the server runs with %s alone" % (
                    entry.wheel.distribution,
                    chosen[entry.wheel.distribution].wheel.version,
                    chosen[entry.wheel.distribution].wheel.lock,
                    entry.wheel.version,
                )
                for entry in clashing
            ]),
        ))
    shared = {} if differing else {entry.wheel.distribution: None for entry in brought}
    for packaged in server.model_wheels.to_list():
        chosen.setdefault(packaged.wheel.distribution, packaged)
    return struct(
        environment = [chosen[name] for name in sorted(chosen)],
        own = [entry for entry in of_server if entry.wheel.distribution not in shared],
        path = ([server.own_place] + ([server.shared_place] if shared else [])) if of_server else [],
    )

def wheel_layers(ctx, wheels, most):
    """A layer for each wheel, some of them shared if there are too many.

    Args:
      ctx: context of a rule with `IMAGE_WHEELS_ATTRS`.
      wheels: list of WheelLayerInfo.
      most: int, the most layers.

    Returns:
      A list of LayerInfo.
    """
    packaged = {entry.wheel.distribution: entry for entry in wheels}
    planned = layer_plan.plan(
        [struct(name = name, size = getattr(entry.wheel, "size", 0)) for name, entry in packaged.items()],
        most,
    )
    return [
        packaged[layer.names[0]].layer if len(layer.names) == 1 and not ctx.attr.exclude else _own_layer(ctx, layer, packaged)
        for layer in planned
    ]

def _own_layer(ctx, planned, packaged):
    """A layer of this image alone: several wheels share it, or it lacks some of their files."""
    files = [packaged[name].wheel.wheel for name in planned.names]
    args = ctx.actions.args()
    args.add_all(files, format_each = "--wheel=%s")
    args.add_all(ctx.attr.exclude, format_each = "--exclude=%s")
    alone = len(files) == 1
    return layer_action(
        ctx,
        "%s.wheel.%s" % (ctx.label.name, planned.names[0]) if alone else "%s.wheels_%d" % (ctx.label.name, planned.share),
        ctx.attr._wheel_layer[DefaultInfo].files_to_run,
        args,
        files,
        ("wheel " if alone else "wheels ") + ", ".join(["%s %s" % (name, packaged[name].wheel.version) for name in planned.names]),
        "WheelLayer",
    )
