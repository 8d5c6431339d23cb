"""packaging: the aspect that finds, along `deps`, what a model brings into its image."""

load("@rules_python//python:py_info.bzl", "PyInfo")
load("//rules/private/image:layer.bzl", "layer_action")
load("//rules/private/image:layer_flags.bzl", "LAYER_ATTRS", "MANY_MODULES_BYTES")
load("//rules/private/image:package_record.bzl", "RECORD_ATTRS", "package_record")
load("//rules/providers:code_info.bzl", "CodeInfo")
load("//rules/providers:wheel_info.bzl", "DistributionInfo", "WheelInfo", "WheelLayerInfo")

def _wheel(target, ctx):
    """The wheel's layer: one action for every image that has it."""
    info = target[WheelInfo]
    args = ctx.actions.args()
    args.add(info.wheel, format = "--wheel=%s")
    layer = layer_action(
        ctx,
        info.distribution,
        ctx.attr._wheel_layer[DefaultInfo].files_to_run,
        args,
        [info.wheel],
        "wheel %s %s" % (info.distribution, info.version),
        "WheelLayer",
        many = getattr(info, "size", 0) >= MANY_MODULES_BYTES,
    )
    return [CodeInfo(
        files = depset(),
        imports = depset(),
        wheels = depset([WheelLayerInfo(
            layer = layer,
            record = package_record(
                ctx,
                info.distribution,
                "wheel",
                [info.wheel],
                "wheel %s %s" % (info.distribution, info.version),
                lock = info.lock,
            ),
            wheel = info,
        )]),
    )]

def _impl(target, ctx):
    if WheelInfo in target:
        return _wheel(target, ctx)
    below = []
    for attribute in ["deps", "wheels", "data"]:
        for dep in getattr(ctx.rule.attr, attribute, None) or []:
            if type(dep) == "Target" and CodeInfo in dep:
                below.append(dep[CodeInfo])
    files = []
    imports = []
    if PyInfo in target and DistributionInfo not in target:
        files = getattr(ctx.rule.files, "srcs", []) + getattr(ctx.rule.files, "data", [])
        imports = [target[PyInfo].imports]
    return [CodeInfo(
        files = depset(files, transitive = [info.files for info in below]),
        imports = depset(transitive = imports + [info.imports for info in below]),
        wheels = depset(transitive = [info.wheels for info in below]),
    )]

packaging = aspect(
    implementation = _impl,
    attr_aspects = ["deps", "wheels"],
    attrs = LAYER_ATTRS | RECORD_ATTRS | {
        "_wheel_layer": attr.label(default = "//chassis/tools:wheel_layer", cfg = "exec", executable = True),
    },
    doc = "Collects first-party files and wheels; makes each wheel's layer where the wheel is, so that images share it.",
)
