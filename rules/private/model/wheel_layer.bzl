"""The layer of one wheel: one action for every image that has it."""

load("//rules/private/image:layer.bzl", "layer_action")
load("//rules/private/image:layer_flags.bzl", "LAYER_ATTRS", "MANY_MODULES_BYTES")
load("//rules/private/image:package_record.bzl", "RECORD_ATTRS", "package_record")
load("//rules/providers:wheel_info.bzl", "WheelLayerInfo")

# For aspects that make layers of wheels.
WHEEL_LAYER_ATTRS = LAYER_ATTRS | RECORD_ATTRS | {
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
    name = info.distribution + (".unpacked" if getattr(info, "unpacked", False) else "")
    what = "wheel %s %s" % (info.distribution, info.version)
    args = ctx.actions.args()
    args.add(info.wheel, format = "--wheel=%s")
    layer = layer_action(
        ctx,
        name,
        ctx.attr._wheel_layer[DefaultInfo].files_to_run,
        args,
        [info.wheel],
        what,
        "WheelLayer",
        many = getattr(info, "size", 0) >= MANY_MODULES_BYTES,
    )
    return WheelLayerInfo(
        layer = layer,
        record = package_record(ctx, name, "wheel", [info.wheel], what, lock = info.lock),
        wheel = info,
    )
