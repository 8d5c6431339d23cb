"""packaging: the aspect that finds, along `deps`, what a model brings into its image."""

load("@rules_python//python:py_info.bzl", "PyInfo")
load("//rules/providers:code_info.bzl", "CodeInfo")
load("//rules/providers:wheel_info.bzl", "DistributionInfo", "WheelInfo")
load(":python_dependencies.bzl", "is_wheel_of_rules_py")
load(":unpacked_distribution.bzl", "UNPACKED_ATTRS", "distribution_of_tags", "wheel_of_files")
load(":wheel_layer.bzl", "WHEEL_LAYER_ATTRS", "wheel_layer")

def _impl(target, ctx):
    if WheelInfo in target:
        return [CodeInfo(
            distribution = None,
            files = depset(),
            imports = depset(),
            refused = depset(),
            wheels = depset([wheel_layer(ctx, target[WheelInfo])]),
        )]
    below = []
    for attribute in ["deps", "wheels", "data"]:
        for dep in getattr(ctx.rule.attr, attribute, None) or []:
            if type(dep) == "Target" and CodeInfo in dep:
                below.append(dep[CodeInfo])
    files = []
    imports = []
    wheels = []
    distribution = distribution_of_tags(ctx.rule.attr.tags) if PyInfo in target else None
    own = getattr(ctx.rule.files, "srcs", []) + getattr(ctx.rule.files, "data", [])
    if distribution:
        # rules_python has two libraries for a wheel that depends on others: one of its files, and one over that.
        if distribution.name not in [info.distribution for info in below]:
            wheels = [wheel_layer(ctx, wheel_of_files(ctx, target.label, distribution, own))]
    elif PyInfo in target and DistributionInfo not in target:
        files = own
        imports = [target[PyInfo].imports]
    return [CodeInfo(
        distribution = distribution.name if distribution else None,
        files = depset(files, transitive = [info.files for info in below]),
        imports = depset(transitive = imports + [info.imports for info in below]),
        refused = depset(
            [str(target.label)] if is_wheel_of_rules_py(ctx.rule.kind) else [],
            transitive = [info.refused for info in below],
        ),
        wheels = depset(wheels, transitive = [info.wheels for info in below]),
    )]

packaging = aspect(
    implementation = _impl,
    attr_aspects = ["deps", "wheels"],
    attrs = WHEEL_LAYER_ATTRS | UNPACKED_ATTRS,
    doc = "Collects first-party files and wheels; makes each wheel's layer where the wheel is, so that images share it.",
)
