"""The layer of one wheel: one action for every image that has it."""

load("//rules/private/image:layer.bzl", "layer_action")
load("//rules/private/image:layer_flags.bzl", "LAYER_ATTRS", "MANY_MODULES_BYTES")
load("//rules/providers:wheel_info.bzl", "WheelLayerInfo")

# For aspects that make layers of wheels.
WHEEL_LAYER_ATTRS = LAYER_ATTRS | {
    "_wheel_layer": attr.label(default = "//chassis/tools:wheel_layer", cfg = "exec", executable = True),
}

def wheel_layer(ctx, info):
    """The layer of a wheel, made where the wheel is, so that images share it.

    Args:
      ctx: context of an aspect with `WHEEL_LAYER_ATTRS`.
      info: WheelInfo.

    Returns:
      A WheelLayerInfo.
    """
    args = ctx.actions.args()
    args.add(info.wheel, format = "--wheel=%s")
    layer = layer_action(
        ctx,
        info.distribution + (".unpacked" if getattr(info, "unpacked", False) else ""),
        ctx.attr._wheel_layer[DefaultInfo].files_to_run,
        args,
        [info.wheel],
        "wheel %s %s" % (info.distribution, info.version),
        "WheelLayer",
        many = getattr(info, "size", 0) >= MANY_MODULES_BYTES,
    )
    return WheelLayerInfo(layer = layer, wheel = info)
