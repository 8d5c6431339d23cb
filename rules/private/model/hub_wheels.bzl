"""hub_wheels: the `.whl` files of a hub of rules_python, as layers of images."""

load("//rules/private/locks:wheel_name.bzl", "wheel_name")
load("//rules/private/tools:names.bzl", "names")
load("//rules/providers:wheel_files_info.bzl", "WheelFilesInfo")
load("//rules/providers:wheel_info.bzl", "WheelInfo")
load(":wheel_layer.bzl", "WHEEL_LAYER_ATTRS", "wheel_layer")

_DOC = """The wheels of a hub of rules_python: images have a layer of the wheel itself for each distribution that they need of it.

A model that has `@pip//numpy` in its own `deps` needs none. What only a library brings has no path to its wheel but
this: without it, its layer is made of the unpacked files, and is another than that of the wheel.

```starlark
load("@pip//:requirements.bzl", "all_whl_requirements")

hub_wheels(
    name = "pip_wheels",
    wheels = all_whl_requirements,
)
```

and in .bazelrc: `build --@chassis//rules:hub_wheels=//:pip_wheels`. Every wheel that is named is fetched; none is built
into an image that does not need it.
"""

def _own_wheel(ctx):
    """The file of a `:whl` target that is not another target's, or None."""
    found = []
    for dep in getattr(ctx.rule.attr, "srcs", None) or []:
        if WheelFilesInfo not in dep:
            found += [file for file in dep[DefaultInfo].files.to_list() if file.extension == "whl"]
    return found[0] if len(found) == 1 else None

def _aspect_impl(target, ctx):
    below = []
    for attribute in ["srcs", "data", "deps"]:
        for dep in getattr(ctx.rule.attr, attribute, None) or []:
            if type(dep) == "Target" and WheelFilesInfo in dep:
                below.append(dep[WheelFilesInfo].wheels)
    wheels = []
    file = _own_wheel(ctx)
    parsed = wheel_name.parse(file.basename) if file else None
    if parsed:
        wheels.append(wheel_layer(ctx, WheelInfo(
            distribution = parsed.distribution,
            lock = names.label_for_people(target.label),
            site_packages = None,
            size = 0,
            version = parsed.version,
            wheel = file,
        )))
    return [WheelFilesInfo(wheels = depset(wheels, transitive = below))]

wheel_files = aspect(
    implementation = _aspect_impl,
    attr_aspects = ["srcs", "data", "deps"],
    attrs = WHEEL_LAYER_ATTRS,
    doc = "Makes the layer of each wheel behind a `:whl` target, whose `data` are those of what it depends on.",
)

def _impl(ctx):
    return [WheelFilesInfo(wheels = depset(transitive = [dep[WheelFilesInfo].wheels for dep in ctx.attr.wheels]))]

hub_wheels = rule(
    implementation = _impl,
    attrs = {
        "wheels": attr.label_list(aspects = [wheel_files], doc = "The `:whl` targets of a hub, such as its `all_whl_requirements`."),
    },
    doc = _DOC,
    provides = [WheelFilesInfo],
)

def wheel_labels(deps):
    """The `:whl` targets beside those of `deps` that are distributions of a hub of rules_python; for a macro.

    Its module extension is called `pip`, which is a part of the hub's canonical name. Without bzlmod there is none: then
    `//:pkg` alone tells.

    Args:
      deps: the labels as they were written; a `select` has none that a macro can see.

    Returns:
      A list of Label.
    """
    found = {}
    for dep in deps if type(deps) == "list" else []:
        label = native.package_relative_label(dep)
        sibling = _sibling(label)
        if sibling:
            found[label.same_package_label(sibling)] = None
    return found.keys()

def _sibling(label):
    """The name of the `:whl` target of a distribution's label, or None if it is not one."""
    separator = "+" if "+" in label.repo_name else "~"
    parts = label.repo_name.split(separator)
    of_pip = len(parts) > 2 and parts[-2] == "pip"
    if label.name == "pkg" and label.repo_name and (of_pip or not label.package):
        return "whl"
    if not of_pip:
        return None
    if label.package:
        return "whl" if label.name == label.package.rpartition("/")[2] else None
    return label.name.removesuffix("_pkg") + "_whl" if label.name.endswith("_pkg") else None
