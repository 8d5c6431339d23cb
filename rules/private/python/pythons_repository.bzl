"""The repository `@chassis_pythons`: by version, the Python of images that the workspace names, else Chassis' own."""

load("//rules/private/declaration:declared.bzl", "PYTHONS")
load("//rules/private/tools:host_machine.bzl", "linux_architecture")

_PARTS = ["", ".base", ".headers_amd64", ".headers_arm64", ".target_interpreter"]

def _impl(rctx):
    targets = {
        version: str(Label("//base_images:python%s" % version))
        for version, (_, _, suite) in PYTHONS.items()
        if suite
    } | rctx.attr.own
    lines = [
        'load("@chassis//rules/private/python:image_python.bzl", "missing_python")\n',
        'package(default_visibility = ["//visibility:public"])\n',
    ]
    for version in PYTHONS:
        for part in _PARTS:
            if version in targets:
                lines.append("alias(name = %r, actual = %r, tags = [\"manual\"])" % (version + part, targets[version] + part))
                continue
            message = ("there is no image_python for Python %s; there is one for %s\nAsk for one of these (--@chassis//rules:python, `python` of " +
                       "chassis_image, the platform's //platforms/python), or write an image_python of %s and name it in MODULE.bazel: " +
                       "pythons.image_python(version = %r, target = \"//:it\") (docs/python.md)") % (version, ", ".join(sorted(targets)), version, version)
            lines.append("missing_python(name = %r, message = %r, tags = [\"manual\"])" % (version + part, message))
    rctx.file("BUILD.bazel", "\n".join(lines) + "\n")

pythons_repository = repository_rule(
    implementation = _impl,
    attrs = {"own": attr.string_dict(doc = "Version to the canonical label of the workspace's own `image_python`.")},
    doc = "An alias for each part of each version's `image_python`.",
)

def _neighbours_impl(rctx):
    place = rctx.path(Label("@rules_python//python:BUILD.bazel")).dirname.get_child("config_settings")
    flag = None
    for name in ["BUILD.bazel", "config_settings.bzl"]:
        # Before 0.24 the flag took versions such as 3.12.1 alone.
        text = rctx.read(place.get_child(name)).lower() if place.get_child(name).exists else ""
        if "minor_mapping" in text or "version_flag_values" in text:
            flag = str(Label("@rules_python//python/config_settings:python_version"))
    rctx.file("BUILD.bazel", "exports_files([\"neighbours.bzl\"], visibility = [\"//visibility:public\"])\n")
    rctx.file("neighbours.bzl", """\
\"\"\"What Chassis stands beside: the rule sets of the workspace, and the machine.\"\"\"

RULES_PYTHON_VERSION_FLAG = %r

# The CPU of the machine that Bazel runs on as OCI names it, if it runs Linux programs that Chassis has; otherwise "".
MACHINE = %r
""" % (flag, linux_architecture(rctx)))

neighbours_repository = repository_rule(
    implementation = _neighbours_impl,
    doc = "What the rules_python of the workspace has, a flag of a minor version if it is not too old for that; and the machine's CPU.",
)
